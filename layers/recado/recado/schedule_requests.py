"""Requests about schedules: GET /schedules, PATCH and DELETE /schedules/{id}.

These routes are ours: no document has them. They serve the schedules of every dialect.
"""

from typing import Any

import msgspec

from recado import esme
from recado.cancel import cancel
from recado.costcentre import CostCentre
from recado.dialects import directcall, zoug
from recado.errors import Refused
from recado.http import Answer, Request, json_answer
from recado.ids import is_id
from recado.message import Key, State
from recado.moments import iso
from recado.schedules import PAGE, listed, move
from recado.submission import Refusal
from recado.wiring import Deps

_CALLERID = 14  # digits


def show_all(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /schedules: what waits for its hour, by due date, page by page."""
    fields = request.query_fields()
    limit = fields.get("limit") or str(PAGE)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= PAGE):
        detail = f"must be a number from 1 to {PAGE}!"
        raise Refused(Refusal("limit", "type", esme.RINVOPTPARAMVAL, detail))
    page = listed(cost_centre.id, fields.get("after", ""), int(limit), deps)
    return _json({"schedules": page.schedules, "after": page.after})


def move_one(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """PATCH /schedules/{id}: to another hour."""
    to = zoug.send_time(zoug.fields_of(request, query_serves=False), cost_centre)
    if to is None:
        raise Refused(Refusal("send_at", "missing", esme.RINVSCHED))
    key = key_named(request.parameters.get("id", ""), cost_centre, deps)
    due = move(key, to, deps)
    return _json({"id": key.id, "state": State.SCHEDULED, "due_at": iso(due)})


def cancel_one(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /schedules/{id}: it will not be sent; or it has gone already."""
    key = key_named(request.parameters.get("id", ""), cost_centre, deps)
    done = cancel(key.id, zoug.NAME, cost_centre, deps)
    shown: dict[str, Any] = {"id": key.id, "state": State.DELETED}
    if done.gone:  # it had begun
        shown |= {"cancelled": done.done, "gone": done.gone}
    return _json(shown)


def key_named(name: str, cost_centre: CostCentre, deps: Deps) -> Key:
    """What has this id, or this callerid of Directcall's. Raises Refused."""
    if is_id(name):
        return Key(cost_centre.id, name.lower())
    if len(name) == _CALLERID:
        connector, _, _ = directcall.reference(cost_centre.id, name)
        found = deps.engine.store.by_refs([(connector, name)])[0]
        if found is not None:
            return found
    raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))


def _json(content: dict[str, Any]) -> Answer:
    return json_answer(200, msgspec.json.encode(content).decode())
