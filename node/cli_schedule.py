"""`recado schedule`: what waits for its hour."""

from typing import Annotated

import typer

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask, moment
from node.cli_print import shown, table

app = typer.Typer(help="What waits for its hour.", no_args_is_help=True)

Which = Annotated[
    str, typer.Argument(metavar="ID", help="The id of its message or batch, or its callerid.")
]
_COLUMNS = ("id", "cost_centre", "kind", "due_at", "count", "segments")


@app.command("list")
def list_all(
    cost_centre: Annotated[
        str | None, typer.Option(help="Its id, login or name; all if not given.")
    ] = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Messages, batches and lists that are due later, with when that is (UTC)."""
    found, after = [], ""
    while True:
        page = ask(target, "schedule_list", which=cost_centre, after=after)
        found += page["schedules"]
        after = page["after"]
        if not after:
            break
    table(found, as_json, _COLUMNS)


@app.command()
def move(
    identifier: Which,
    when: Annotated[str, typer.Argument(help="ISO 8601; local where it names no zone.")],
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Make it due at another time: a minute from now at the soonest. Its ids stay the same."""
    shown(ask(target, "schedule_move", identifier=identifier, to=moment(when)), as_json)


@app.command()
def cancel(
    identifier: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Take it back: it will not be sent, and what it cost is given back."""
    shown(ask(target, "schedule_cancel", identifier=identifier), as_json)
