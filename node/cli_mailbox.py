"""`recado mailbox`: what waits for customers' binds."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask, moment
from node.cli_print import shown, table
from recado.errors import Invalid, RecadoError

app = typer.Typer(help="What waits for customers' SMPP binds.", no_args_is_help=True)

_COLUMNS = ("name", "id", "waiting", "oldest", "binds", "receivers")


@app.command("list")
def list_all(
    cost_centre: Annotated[
        str | None,
        typer.Option(help="Its id, login, SMPP system_id or name; all if not given."),
    ] = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Mailboxes in which anything waits: how much, since when (UTC), and how many binds are up, and
    of those receive, where a gateway that runs here holds them."""
    rows = ask(target, "mailbox_list", which=cost_centre)
    if not as_json:
        rows = [{**row, "waiting": _counted(row)} for row in rows]
    table(rows, as_json, _COLUMNS)


@app.command()
def drop(
    which: Annotated[str, typer.Argument(help="Its id, login, SMPP system_id or name.")],
    before: Annotated[
        str | None,
        typer.Option(help="What was owed before: ISO 8601, or a while ago: 90s, 30m, 2h, 3d."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever waits there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop it without asking.")] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Forget receipts and replies that wait for a customer's bind. `recado replay` puts them there
    again, as long as their messages are kept."""
    if everything == (before is not None):
        raise Invalid("mailbox drop", "needs --before TIME or --all, and not both")
    limits = {"which": which, "before": None if before is None else moment(before)}
    [found] = ask(target, "mailbox_list", **limits)
    if found["waiting"] and not yes:
        _confirm(found)
    dropped = ask(target, "mailbox_drop", **limits)
    total = dropped["dropped"]
    while dropped.pop("more"):
        dropped = ask(target, "mailbox_drop", **limits)
        total += dropped["dropped"]
    shown({**dropped, "dropped": total}, as_json)


def _confirm(found: Mapping[str, Any]) -> None:
    question = (
        f"Drop {_counted(found)} receipts and replies for {found['name']},"
        f" the oldest of {found['oldest']}?"
    )
    if not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise RecadoError("nothing was dropped (--yes drops without asking)")


def _counted(row: Mapping[str, Any]) -> str:
    return f"{row['waiting']}{'+' if row['more'] else ''}"
