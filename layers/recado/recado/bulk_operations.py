"""What operators do about files of millions and other long lists. Operations as those of
recado.operations, which has the list of all."""

from collections.abc import Callable
from typing import Any, TypeVar

from recado import bulk_orders, bulk_sending
from recado.bulk import blob_of
from recado.bulk_api import lists_of
from recado.bulk_orders import Order, shown
from recado.bulk_sending import long_list
from recado.configuration import cost_centre_of, cost_centres
from recado.costcentre import CostCentre
from recado.dialects import zoug
from recado.errors import Invalid, NotFound, Refused
from recado.message import Batch, Key
from recado.wiring import Deps

Result = TypeVar("Result")

_SHOWN = 100
_DAY = 86_400.0


def bulk_create(
    deps: Deps,
    which: str,
    text: str,
    column: str = "",
    send_at: float | None = None,
    name: str = "",
    source: str = "",
) -> dict[str, Any]:
    """Makes room for a file: its id, the blob that it goes to, and a URL for it."""
    cost_centre = cost_centre_of(which, deps)
    order = Order(text, column, source, name, send_at)
    made = _told(lambda: bulk_orders.opened(order, cost_centre, deps))
    return {
        "bulk_id": made.batch.id,
        "blob": blob_of(made.batch.id),
        "upload_url": made.upload_url,
    }


def bulk_list(deps: Deps, which: str | None = None, days: int = 7) -> list[dict[str, Any]]:
    """The long lists of the last days and of those to come, the newest first."""
    owners = [cost_centre_of(which, deps)] if which else cost_centres(deps)
    found = [(batch, owner) for owner in owners for batch in _newest(owner.id, days, deps)]
    found.sort(key=lambda one: one[0].accepted_at, reverse=True)
    return [
        {"cost_centre": owner.name, **shown(batch, deps, whole=False)}
        for batch, owner in found[:_SHOWN]
    ]


def _newest(cost_centre: str, days: int, deps: Deps) -> list[Batch]:
    since = deps.clock() - days * _DAY
    page = lists_of(cost_centre, since, "", deps)
    found = page.lists
    while page.before and len(found) < _SHOWN:
        page = lists_of(cost_centre, since, page.before, deps)
        found = found + page.lists
    return found


def bulk_show(deps: Deps, identifier: str) -> dict[str, Any]:
    batch, cost_centre = _found(identifier, deps)
    return {"cost_centre": cost_centre.name, **shown(batch, deps, whole=True)}


def bulk_check(deps: Deps, identifier: str) -> dict[str, Any]:
    """Begins the dry run."""
    batch, _ = _found(identifier, deps)
    return shown(_told(lambda: bulk_orders.check(batch, deps)), deps, whole=True)


def bulk_send(deps: Deps, identifier: str) -> dict[str, Any]:
    """Sends what was checked."""
    batch, cost_centre = _found(identifier, deps)
    key = Key(cost_centre.id, batch.id)
    return shown(_told(lambda: bulk_sending.send(key, cost_centre, deps)), deps, whole=False)


def bulk_pause(deps: Deps, identifier: str) -> dict[str, Any]:
    return _done(deps, identifier, lambda key, _: bulk_sending.pause(key, deps))


def bulk_resume(deps: Deps, identifier: str) -> dict[str, Any]:
    return _done(deps, identifier, lambda key, _: bulk_sending.resume(key, deps))


def bulk_cancel(deps: Deps, identifier: str) -> dict[str, Any]:
    """What has not gone will not be sent."""
    return _done(deps, identifier, lambda key, whose: bulk_sending.cancel(key, whose, deps))


def _done(deps: Deps, identifier: str, act: Callable[[Key, CostCentre], Batch]) -> dict[str, Any]:
    batch, cost_centre = _found(identifier, deps)
    changed = _told(lambda: act(Key(cost_centre.id, batch.id), cost_centre))
    return shown(changed, deps, whole=False)


def _found(identifier: str, deps: Deps) -> tuple[Batch, CostCentre]:
    """The list, and whose it is: the id alone does not say so."""
    for cost_centre in cost_centres(deps):
        try:
            return long_list(Key(cost_centre.id, identifier.lower()), deps), cost_centre
        except Refused:
            continue
    raise NotFound(f"no file and no long list has the id {identifier}")


def _told(act: Callable[[], Result]) -> Result:
    """What it gives; a refusal in words for the operator."""
    try:
        return act()
    except Refused as refused:
        field, _, problem = zoug.explained(refused.refusal).partition(" ")
        raise Invalid(field.lower(), problem.rstrip("!")) from refused
