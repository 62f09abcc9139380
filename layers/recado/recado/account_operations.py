"""What operators do about money: balances, ledgers and usage. Operations as those of
recado.operations, which has the list of all."""

from datetime import date
from typing import Any

from recado.account import usage_rows
from recado.amounts import amount_of, shown_amount
from recado.configuration import cost_centre_of, cost_centres
from recado.engine import Entry, place_of
from recado.errors import Conflict, Invalid
from recado.ids import is_id, new_id
from recado.moments import iso
from recado.money import CREDIT, watch_anew
from recado.usage import today, usage_of
from recado.wiring import Deps

_PAGE = 100


def credit_add(
    deps: Deps, which: str, amount: str, note: str = "", reference: str = ""
) -> dict[str, Any]:
    """Adds to a balance what was paid, or takes from it what was paid too much (an amount below
    zero). `reference`: one of our ids, so that what is asked for again is added once. Raises
    Conflict where it was added before."""
    cost_centre = cost_centre_of(which, deps)
    parts = amount_of(amount, "amount")
    if not parts:
        raise Invalid("amount", "must not be zero")
    if reference and not is_id(reference):
        raise Invalid("reference", "must be one that an earlier try gave")
    identifier = reference.lower() or new_id(deps.clock())
    entry = Entry(cost_centre.id, identifier, CREDIT, parts, deps.clock(), note)
    store = deps.engine.store
    if entry.id in [one.id for one in store.ledger(cost_centre.id, f"{identifier}#", 1)]:
        raise Conflict(f"{identifier} was added before")
    if parts < 0 and store.balance(cost_centre.id) + parts < 0:
        raise Invalid("amount", "is more than the balance")
    if parts > 0:
        watch_anew(cost_centre.id, deps)  # before: dying in between, it is told once too often
    if not store.credit([entry])[0]:
        raise Conflict(f"{identifier} was added before")
    return {"reference": identifier, **credit_show(deps, cost_centre.id)}


def credit_show(deps: Deps, which: str) -> dict[str, Any]:
    """What is left, and what a message costs."""
    cost_centre = cost_centre_of(which, deps)
    return {
        "id": cost_centre.id,
        "name": cost_centre.name,
        "prepaid": cost_centre.prepaid,
        "balance": shown_amount(deps.engine.store.balance(cost_centre.id)),
        "currency": cost_centre.currency,
        "price": shown_amount(cost_centre.price),
        "voice_price": shown_amount(cost_centre.voice_price),
        "low_balance": shown_amount(cost_centre.low_balance),
    }


def credit_ledger(deps: Deps, which: str, after: str = "") -> dict[str, Any]:
    """A page of the ledger, and what to ask for the next one with (none: there is no more)."""
    cost_centre = cost_centre_of(which, deps)
    entries = deps.engine.store.ledger(cost_centre.id, after, _PAGE)
    more = place_of(entries[-1]) if len(entries) == _PAGE else ""
    return {"entries": [_shown(entry) for entry in entries], "after": more}


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "at": iso(entry.at),
        "kind": entry.kind,
        "amount": shown_amount(entry.amount),
        "about": entry.id,
        "note": entry.note,
    }


def usage(
    deps: Deps, since: str | None = None, until: str | None = None, which: str | None = None
) -> list[dict[str, Any]]:
    """By day, cost centre, connector and state; of one cost centre or of all. The days are the
    cost centres' own, both included; the present one by default."""
    chosen = [cost_centre_of(which, deps)] if which else cost_centres(deps)
    rows: list[dict[str, Any]] = []
    for cost_centre in chosen:
        last = _day("until", until) or today(cost_centre, deps.clock())
        first = _day("since", since) or last
        if first > last:
            raise Invalid("since", "must not lie after until")
        rows += usage_rows(usage_of(cost_centre, first, last, deps))
    return sorted(rows, key=lambda row: (row["day"], row["cost_centre"]))


def _day(name: str, written: str | None) -> date | None:
    if not written:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise Invalid(name, "is no day: 2026-05-28, for example") from error
