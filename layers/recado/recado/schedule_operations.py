"""What operators do about schedules. Operations as those of recado.operations, which has the list
of all."""

from typing import Any

from recado import schedules
from recado.cancel import cancel, record_of
from recado.configuration import cost_centre_of, cost_centres
from recado.costcentre import CostCentre
from recado.dialects import zoug
from recado.errors import Invalid, NotFound, RecadoError, Refused
from recado.ids import id_time
from recado.message import Key, State
from recado.moments import iso
from recado.schedule_requests import key_named
from recado.wiring import Deps


def schedule_list(deps: Deps, which: str | None = None, after: str = "") -> dict[str, Any]:
    """A page of what waits for its hour, of one cost centre or of all, and what to ask for the next
    one with (none: there is no more)."""
    owners = [cost_centre_of(which, deps)] if which else cost_centres(deps)
    owners.sort(key=lambda cost_centre: cost_centre.id)
    of, _, place = after.partition(" ")
    for n, cost_centre in enumerate(owners):
        if cost_centre.id < of:
            continue
        page = schedules.listed(
            cost_centre.id, place if cost_centre.id == of else "", schedules.PAGE, deps
        )
        if page.schedules or page.after:
            shown = [{"cost_centre": cost_centre.name, **one} for one in page.schedules]
            follows = owners[n + 1].id if n + 1 < len(owners) else ""
            more = f"{cost_centre.id} {page.after}" if page.after else follows
            return {"schedules": shown, "after": more}
    return {"schedules": [], "after": ""}


def schedule_move(deps: Deps, identifier: str, to: float) -> dict[str, Any]:
    """Moves a schedule to a time since 1970: when it is due now."""
    cost_centre, key = _owner(identifier, deps)
    try:
        due = schedules.move(key, to, deps)
    except Refused as refused:
        raise _explained(refused) from refused
    return {"id": key.id, "cost_centre": cost_centre.name, "due_at": iso(due)}


def schedule_cancel(deps: Deps, identifier: str) -> dict[str, Any]:
    """What waits for its hour will not be sent."""
    cost_centre, key = _owner(identifier, deps)
    try:
        cancel(key.id, zoug.NAME, cost_centre, deps)
    except Refused as refused:
        raise _explained(refused) from refused
    return {"id": key.id, "cost_centre": cost_centre.name, "state": State.DELETED}


def _owner(name: str, deps: Deps) -> tuple[CostCentre, Key]:
    """Whose it is: the id or callerid alone does not say so."""
    for cost_centre in cost_centres(deps):
        try:
            key = key_named(name, cost_centre, deps)
        except Refused:
            continue
        if record_of(key, deps) is not None:
            return cost_centre, key
        held = deps.engine.store.held(id_time(key.id), key.id)
        if held is not None and held.group == cost_centre.id:
            return cost_centre, key
    raise NotFound(f"no schedule has the id {name}: it has gone, or is not known here")


def _explained(refused: Refused) -> RecadoError:
    field, _, problem = zoug.explained(refused.refusal).partition(" ")
    return Invalid(field, problem)
