"""How a command reaches what it works on: a data directory, through the node that runs on it or
directly, or a stack on AWS."""

import os
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct

from node.control import Answer, Command, Operations, run
from node.control import ask as ask_node
from node.installation import TEMPLATE, make_durable, open_installation
from node.template import read_template
from recado.engine.embedded import DATABASE_NAME, claim_directory
from recado.errors import Invalid, Misconfigured, NotFound, RecadoError
from recado.http import Outgoing, Reached, Unreached
from recado.operations import OPERATIONS
from recado.settings import read_settings


class OnAWS(Struct, frozen=True):
    """A stack in an AWS account; without a region, the one that the profile says."""

    stack: str
    region: str | None = None


class Target(Struct, frozen=True):
    """What a command works on: a data directory, or a stack instead."""

    data: Path
    on_aws: OnAWS | None = None


def _target(context: typer.Context, parameter: typer.CallbackParam, value: Path) -> Target:
    on_aws = context.find_object(OnAWS)
    source = context.get_parameter_source(str(parameter.name))
    if on_aws is not None and source is not None and source.name == "COMMANDLINE":
        raise Invalid("--data", "contradicts --stack (or RECADO_STACK): a command works on one")
    return Target(value, on_aws)


DataOption = Annotated[
    Path, typer.Option("--data", envvar="RECADO_DATA", help="The data directory.")
]
TargetOption = Annotated[
    Target,
    typer.Option(
        "--data",
        envvar="RECADO_DATA",
        help="The data directory, where no --stack is named.",
        parser=Path,
        metavar="PATH",
        callback=_target,
    ),
]
DEFAULT_DATA: Any = Path("data")  # of which the option makes a Target
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BEGINNINGS = frozenset({"costcentre_create", "connector_add"})  # what an empty directory takes


def ask(target: Target, operation: str, **arguments: Any) -> Any:
    """The result of an operation. Raises RecadoError with its problem."""
    command = Command(operation, arguments)
    if target.on_aws is not None:
        answer = _on_aws(target.on_aws, command)
    else:
        answer = ask_node(target.data, command) or _without_node(target.data, command)
    if answer.problem is not None:
        raise RecadoError(answer.problem)
    return answer.result


def _on_aws(where: OnAWS, command: Command) -> Answer:
    try:
        from node.stack import ask_stack
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "botocore":
            raise
        problem = "--stack needs boto3, which is not installed: pip install 'recado[aws]'"
        raise Misconfigured(problem) from error
    return ask_stack(where.stack, where.region, command)


def _without_node(data: Path, command: Command) -> Answer:
    if not (data / DATABASE_NAME).exists() and command.operation not in _BEGINNINGS:
        raise NotFound(f"{data} is no data directory of Recado: `recado up` makes one")
    settings = read_settings(os.environ)
    with claim_directory(data):
        wiring = read_template(TEMPLATE)
        deps, database, _ = open_installation(data, wiring, settings, _no_network)
        database.schedule = lambda _commit: None  # all that the command writes is one unit
        try:
            answer = run(command, deps, _operations(command))
            make_durable(database)
            return answer
        finally:
            database.close()


def _operations(command: Command) -> Operations:
    """What they are without a node: no binds are held, and no courier runs."""
    if command.operation != "connector_test":
        return OPERATIONS
    from node.bind_once import tested_alone

    return {"connector_test": tested_alone}


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
