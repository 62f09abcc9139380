"""`recado credit` and `recado usage`: what customers have paid, and what they have used."""

import time
from typing import Annotated

import typer
from typer import echo

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask
from node.cli_print import shown, table
from recado.account import COLUMNS, usage_csv
from recado.errors import Misconfigured
from recado.ids import new_id

credit_app = typer.Typer(help="Balances of those who pay in advance.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="A cost centre's id, login or name.")]
Day = Annotated[str | None, typer.Option(help="A day, such as 2026-05-28; today if not given.")]


# So that -5.00 is no option.
@credit_app.command(context_settings={"ignore_unknown_options": True})
def add(
    which: Which,
    amount: Annotated[str, typer.Argument(help="Such as 100.00; below zero takes it back.")],
    note: Annotated[str, typer.Option(help="What for; stands in the ledger.")] = "",
    reference: Annotated[
        str, typer.Option(help="Of an earlier try: the same is then added once.")
    ] = "",
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Add to a balance what was paid."""
    # Made here, so that whoever gets no answer can ask for the same again.
    reference = reference or new_id(time.time())
    arguments = {"which": which, "amount": amount, "note": note, "reference": reference}
    try:
        added = ask(target, "credit_add", **arguments)
    except Misconfigured as error:  # the way to it failed, and perhaps only the way back
        again = f"whether it was added is not known: with --reference {reference} it is added once"
        raise Misconfigured(f"{error}; {again}") from error
    shown(added, as_json)


@credit_app.command()
def show(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """What is left, and what a message costs."""
    shown(ask(target, "credit_show", which=which), as_json)


@credit_app.command()
def ledger(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every charge, refund and payment, by the time of what it is about."""
    entries, after = [], ""
    while True:
        page = ask(target, "credit_ledger", which=which, after=after)
        entries += page["entries"]
        after = page["after"]
        if not after:
            break
    table(entries, as_json, ("at", "kind", "amount", "about", "note"))


def usage(
    since: Day = None,
    until: Day = None,
    cost_centre: Annotated[
        str | None, typer.Option(help="Its id, login or name; all if not given.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Messages, segments and units by day, cost centre, connector and state."""
    rows = ask(target, "usage", since=since, until=until, which=cost_centre)
    if csv:
        echo(usage_csv(rows), nl=False)
    else:
        table(rows, as_json, COLUMNS)
