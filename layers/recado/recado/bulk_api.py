"""The routes of files of millions. They are ours: no document has them.

POST   /bulk             {"text", "column"?, "send_at"?, "name"?, "source"?}: where to PUT the file
GET    /bulk             the newest first
GET    /bulk/{id}        how far it is, what is wrong with it
POST   /bulk/{id}/check  the dry run; nothing is sent by it
POST   /bulk/{id}/send   sends what was checked
POST   /bulk/{id}/pause  and /resume
DELETE /bulk/{id}        cancels what has not gone
"""

import sys
from typing import Any

import msgspec
from msgspec import Struct

from recado import bulk_orders, bulk_sending, esme
from recado.bulk import UPLOAD_HEADERS
from recado.bulk_orders import in_words, shown
from recado.bulk_sending import long_list
from recado.costcentre import CostCentre
from recado.errors import Invalid, Refused
from recado.http import Answer, Request, json_answer
from recado.ids import MAX_AHEAD, first_id, id_time, is_id
from recado.message import Batch, Key
from recado.moments import iso
from recado.submission import Refusal
from recado.wiring import Deps

PAGE = 50
_DAY = 86_400.0
_MOST_DAYS = 90
_DAYS = 7
_READ_AT_ONCE = 200
_MOST_READ = 5_000  # batches for a page
_FIRST_SPAN = 3_600_000  # milliseconds; what is read in one stretch grows and shrinks from there on


def _json(content: dict[str, Any], status: int = 200) -> Answer:
    return json_answer(status, msgspec.json.encode(content).decode())


def _key(request: Request, cost_centre: CostCentre) -> Key:
    identifier = request.parameters.get("id", "").lower()
    if not is_id(identifier):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return Key(cost_centre.id, identifier)


def create(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /bulk."""
    order = bulk_orders.order_of(request.body, cost_centre)
    made = bulk_orders.opened(order, cost_centre, deps)
    until = iso(made.upload_until)
    return _json(
        {
            "bulk_id": made.batch.id,
            "upload_url": made.upload_url,
            "upload_headers": dict(UPLOAD_HEADERS),
            "upload_until": until,
        },
        201,
    )


def show(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /bulk/{id}."""
    return _json(shown(long_list(_key(request, cost_centre), deps), deps, whole=True))


def check(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /bulk/{id}/check."""
    batch = bulk_orders.check(long_list(_key(request, cost_centre), deps), deps)
    return _json(shown(batch, deps, whole=True))


def send(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /bulk/{id}/send."""
    try:
        batch = bulk_sending.send(_key(request, cost_centre), cost_centre, deps)
    except Invalid as invalid:
        raise in_words(invalid) from invalid
    return _json(shown(batch, deps, whole=False))


def pause(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /bulk/{id}/pause."""
    return _json(shown(bulk_sending.pause(_key(request, cost_centre), deps), deps, whole=False))


def resume(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /bulk/{id}/resume."""
    return _json(shown(bulk_sending.resume(_key(request, cost_centre), deps), deps, whole=False))


def cancel(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /bulk/{id}."""
    batch = bulk_sending.cancel(_key(request, cost_centre), cost_centre, deps)
    return _json(shown(batch, deps, whole=False))


# --- the list ------------------------------------------------------------------------------------


def listing(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /bulk: of the last `days` days (7; before that id's time, where there is one) and of
    those to come, those before the id `before`."""
    fields = request.query_fields()
    days = _days(fields.get("days", ""))
    before = fields.get("before", "").lower()
    if before and not is_id(before):
        raise Refused(Refusal("before", "invalid", esme.RINVOPTPARAMVAL))
    now = deps.clock()
    since = min(now, id_time(before) if before else now) - days * _DAY
    found = lists_of(cost_centre.id, since, before, deps)
    more = {"before": found.before} if found.before else {}
    return _json({"list": [shown(batch, deps, whole=False) for batch in found.lists], **more})


def _days(written: str) -> int:
    if not written:
        return _DAYS
    if written.isascii() and written.isdigit() and 1 <= int(written[:9]) <= _MOST_DAYS:
        return int(written)
    detail = f"must be a number from 1 to {_MOST_DAYS}!"
    raise Refused(Refusal("days", "type", esme.RINVOPTPARAMVAL, detail))


class Found(Struct, frozen=True):
    """A page of lists, the newest first, and the id before which the next one begins; empty: there
    is none."""

    lists: list[Batch]
    before: str = ""


def lists_of(cost_centre: str, since: float, before: str, deps: Deps) -> Found:
    """The long lists of a cost centre whose ids come before that id, back to that time: PAGE of
    them, or fewer where so many other batches lie between them that reading on takes too long."""
    # In whole milliseconds, as ids have it: a stretch of time ends just before the next one.
    end = round((id_time(before) if before else deps.clock() + MAX_AHEAD) * 1000)
    oldest = round(since * 1000)
    found: list[Batch] = []
    span, read = _FIRST_SPAN, 0
    while end >= oldest:
        start = max(oldest, end - span)
        most = _READ_AT_ONCE if span > 1 else sys.maxsize
        batches = _batches(cost_centre, start, end, most, deps)
        read += len(batches)
        if len(batches) > most:  # what was read is not the newest of it
            span = max(span // 8, 1)
            continue
        found += [one for one in reversed(batches) if _is_listed(one, before)]
        if len(found) > PAGE:
            return Found(found[:PAGE], found[PAGE - 1].id)
        end = start - 1
        if read >= _MOST_READ and end >= oldest:
            return Found(found, _lowest_id(start))
        span *= 4
    return Found(found)


def _batches(cost_centre: str, start: int, end: int, most: int, deps: Deps) -> list[Batch]:
    """Those of a stretch of time, both ends included, by id; where they are more than `most`, some
    more than that."""
    since, until = (start + 0.5) / 1000, (end + 0.5) / 1000
    found: list[Batch] = []
    after = ""
    while len(found) <= most:
        page = deps.engine.store.listed("batch", cost_centre, since, until, after, _READ_AT_ONCE)
        if not page:
            break
        found += [one for one in page if isinstance(one, Batch)]
        after = page[-1].id
        deps.breathe()
    return found


def _lowest_id(at: int) -> str:
    """The lowest that an id of that millisecond can be."""
    return first_id((at + 0.5) / 1000)[:14] + "7000-8000-000000000000"


def _is_listed(batch: Batch, before: str) -> bool:
    is_list = batch.bulk is not None or batch.listing is not None
    return is_list and (not before or batch.id < before)
