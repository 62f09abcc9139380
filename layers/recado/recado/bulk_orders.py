"""What a customer asks for when it sends a file, and what it is told of it.

No document says any of this: names and forms are ours, in the style of the Zoug API's.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.accept import due_at
from recado.bulk import KEPT_BAD, MOST_BYTES, bad_rows, begin_check, blob_of
from recado.bulk_file import Bulk
from recado.bulk_sending import refused, state_of, submitted_of
from recado.costcentre import CostCentre, zone
from recado.errors import Invalid, NotFound, Refused
from recado.ids import new_id
from recado.message import Batch
from recado.moments import iso
from recado.observability import count
from recado.recipients import sized
from recado.rows import template_of
from recado.submission import Refusal
from recado.wiring import Deps

UPLOAD_SECONDS = 3600
"""For so long an upload may begin."""
_LONGEST_TEXT = 10_000  # characters of a template; what becomes of it is counted row by row
_LONGEST_NAME = 100
_LONGEST_SOURCE = 20  # as long as an SMPP address may be (3.4, section 5.2.8)


class Order(Struct, frozen=True):
    """How a file is to be sent."""

    text: str
    column: str = ""
    source: str = ""
    name: str = ""
    send_at: float | None = None  # seconds since 1970


class Opened(Struct, frozen=True):
    """A bulk whose file is awaited."""

    batch: Batch
    upload_url: str
    upload_until: float


# --- asked ---------------------------------------------------------------------------------------


def order_of(body: bytes, cost_centre: CostCentre) -> Order:
    """What a request's JSON asks. Raises Refused."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong("body", "is not valid JSON!") from error
    if not isinstance(fields, dict):
        raise _wrong("body", "is not a JSON object!")
    if fields.get("text") is None:
        raise _wrong("text", "is missing!")
    return Order(
        text=_string(fields, "text", _LONGEST_TEXT),
        column=_string(fields, "column", _LONGEST_NAME),
        source=_string(fields, "source", _LONGEST_SOURCE).strip(),
        name=_string(fields, "name", _LONGEST_NAME).strip(),
        send_at=_moment(_string(fields, "send_at", _LONGEST_NAME), cost_centre),
    )


def _wrong(field: str, detail: str) -> Refused:
    # Capitals: "text" by itself is a message's in the dialect's words, and called so.
    return Refused(Refusal(field.capitalize(), "type", esme.RINVOPTPARAMVAL, detail))


def _string(fields: dict[str, Any], name: str, longest: int) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, "must be a string!")
    if len(value) > longest:
        raise _wrong(name, f"is too long: {longest} characters are allowed!")
    return value


def _moment(written: str, cost_centre: CostCentre) -> float | None:
    if not written.strip():
        return None
    try:
        at = datetime.fromisoformat(written.strip())
        at = at if at.tzinfo else at.replace(tzinfo=zone(cost_centre.time_zone))
        return at.timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong("send_at", "must be a date and time in ISO 8601!") from error


def in_words(invalid: Invalid) -> Refused:
    """A value that makes no sense, as a refusal."""
    return _wrong(invalid.field, f"{str(invalid).removeprefix(invalid.field).strip()}!")


def opened(order: Order, cost_centre: CostCentre, deps: Deps) -> Opened:
    """Makes room for a file. Raises Refused, for what can be told without it."""
    try:
        template = template_of(order.text)
    except Invalid as invalid:
        raise in_words(invalid) from invalid
    common = None if template.names else sized(template.literals[0], cost_centre)
    if common and common.refusal:
        raise Refused(replace(common.refusal, field="Text"))
    now = deps.clock()
    due = now if order.send_at is None else due_at(order.send_at, now)
    until = now + UPLOAD_SECONDS
    batch = Batch(
        cost_centre=cost_centre.id,
        id=new_id(due),
        dialect="zoug",
        due_at=due,
        accepted_at=now,
        count=0,
        name=order.name,
        bulk=Bulk(order.text, order.column, order.source, upload_until=until),
        announced_at=now,  # nobody is told of a million ids: reports may go at once
    )
    deps.engine.store.create([batch])
    url = deps.engine.blobs.upload_url(blob_of(batch.id), UPLOAD_SECONDS)
    if url.startswith("/"):
        url = deps.settings.public_base_url.rstrip("/") + url
    count("bulks_opened")
    return Opened(batch, url, until)


def check(batch: Batch, deps: Deps) -> Batch:
    """Begins the check of a file that has come, or begins it anew where the cost centre's settings
    have changed since. Raises Refused."""
    if batch.bulk is None or batch.bulk.stage != "upload":
        return begin_check(batch, 0, deps)
    try:
        size = deps.engine.blobs.size(blob_of(batch.id))
    except NotFound as error:
        raise refused("gone", "has not come yet!", "file") from error
    if size > MOST_BYTES:
        raise refused("large", f"is too large: {MOST_BYTES} bytes are allowed!", "file")
    return begin_check(batch, size, deps)


# --- told ----------------------------------------------------------------------------------------


def shown(batch: Batch, deps: Deps, *, whole: bool) -> dict[str, Any]:
    """A list as its customer may see it; `whole`: with its first bad rows."""
    submitted = submitted_of(batch, deps)
    state = state_of(batch, submitted, deps)
    told: dict[str, Any] = {
        "bulk_id": batch.id,
        "state": state,
        "name": batch.name,
        "created_at": iso(batch.accepted_at),
        "due_at": iso(batch.due_at),
    }
    bulk = batch.bulk
    if bulk is not None:
        told |= _found(bulk)
        if whole:
            told["bad"] = bad_rows(batch, deps)
            told["bad_listed"] = min(bulk.bad, KEPT_BAD)
    told |= {"messages": batch.count, "expanded": batch.expanded, "submitted": submitted}
    return told | {"percent": _percent(state, bulk, batch, submitted)}


def _found(bulk: Bulk) -> dict[str, Any]:
    """What the check has found so far. `units`: what all of it costs, in segments; its duplicates
    are counted last, once all rows are read."""
    told: dict[str, Any] = {"problem": bulk.problem} if bulk.problem else {}
    return told | {
        "text": bulk.text,
        "bytes": bulk.size,
        "rows": bulk.good + bulk.bad,
        "good": bulk.good - bulk.doubles,
        "duplicates": bulk.doubles,
        "bad_rows": bulk.bad,
        "units": bulk.segments,
    }


def _percent(state: str, bulk: Bulk | None, batch: Batch, submitted: int) -> int:
    """Of the file while it is checked, of its messages while it is sent."""
    if state == "checking" and bulk is not None:
        return min(99, 100 * bulk.offset // max(bulk.size, 1))
    if state in ("checked", "done"):
        return 100
    return 100 * submitted // batch.count if batch.count else 0
