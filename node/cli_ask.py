"""How a command reaches the installation: through the node that runs on it, or directly."""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from node.control import Answer, Command, run
from node.control import ask as ask_node
from node.installation import TEMPLATE, make_durable, open_installation
from node.template import read_template
from recado.engine.embedded import DATABASE_NAME, claim_directory
from recado.errors import Invalid, NotFound, RecadoError
from recado.http import Outgoing, Reached, Unreached
from recado.settings import Settings

DataOption = Annotated[
    Path, typer.Option("--data", envvar="RECADO_DATA", help="The data directory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def ask(data: Path, operation: str, **arguments: Any) -> Any:
    """The result of an operation on a data directory. Raises RecadoError with its problem."""
    command = Command(operation, arguments)
    answer = ask_node(data, command) or _without_node(data, command)
    if answer.problem is not None:
        raise RecadoError(answer.problem)
    return answer.result


def _without_node(data: Path, command: Command) -> Answer:
    if not (data / DATABASE_NAME).exists() and command.operation != "costcentre_create":
        raise NotFound(f"{data} is no data directory of Recado: `recado up` makes one")
    with claim_directory(data):
        wiring = read_template(TEMPLATE)
        deps, database, _ = open_installation(data, wiring, Settings(), _no_network)
        database.schedule = lambda _commit: None  # all that the command writes is one unit
        try:
            answer = run(command, deps)
            make_durable(database)
            return answer
        finally:
            database.close()


def _no_network(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
    return [Unreached("the gateway does not run", sent=False) for _ in requests]


def moment(text: str) -> float:
    """A time since 1970, in ISO 8601 (local where it names no zone) or as a while ago. Raises
    Invalid."""
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            at = time.time() - float(ago[1]) * _SECONDS[ago[2]]
        else:
            at = datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):  # the last two: a year beyond the system's own
        at = -1.0
    if at < 0:
        raise Invalid(text, "is no time: 2026-05-30T12:00 or 2h, for example")
    return at
