"""Query: what became of a message or a batch, and taking back what has not gone.

These routes are ours: the seed document has none. A message that nobody has claimed has no record;
an id that is younger than its validity is then queued or was never ours, and the answer says so.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from recado import esme
from recado.accept import MAX_AHEAD
from recado.callback import listed_of
from recado.costcentre import CostCentre
from recado.dialects import Listed, zoug
from recado.errors import Refused
from recado.http import Answer, Event, Request, json_answer, request_of
from recado.ids import id_time, is_id, new_id
from recado.lifecycle import cancelled
from recado.message import Batch, Key, Message, Record, Refusal, State
from recado.observability import follow
from recado.wiring import Deps

_METHODS = {"/message": "GET, POST", "/message/batch": "POST"}
_METHODS_OF_ONE = "GET, DELETE"  # of a single message or batch, one path segment further
_WAITING = (State.SCHEDULED, State.QUEUED)


def iso(at: float) -> str:
    """A time as in answers and lists of ours: ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def nowhere(event: Event, deps: Deps) -> Answer:
    """The answer to an unknown path or method: the same for everybody."""
    return _nowhere(request_of(event).path, None, deps)


def _nowhere(path: str, cost_centre: CostCentre | None, deps: Deps) -> Answer:
    allowed = _allowed(path)
    field, reason = ("method", "method") if allowed else ("path", "unknown")
    refusal = Refusal(field, reason, esme.RINVCMDID)
    answer = zoug.refused(refusal, new_id(deps.clock()), cost_centre)
    if allowed:
        answer["headers"]["allow"] = allowed
    return answer


def _allowed(path: str) -> str:
    collection, _, identifier = path.rpartition("/")
    of_one = _METHODS_OF_ONE if collection in _METHODS and identifier else ""
    return _METHODS.get(path, of_one)


def _identifier(request: Request) -> str:
    identifier = request.parameters.get("id", "").lower()
    if not is_id(identifier):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return identifier


def _record(key: Key, deps: Deps) -> Record | None:
    return deps.engine.store.records([key])[0]


def _state_without_record(identifier: str, cost_centre: CostCentre, now: float) -> State:
    """What an id says that has no record. Raises Refused where it says nothing."""
    at = id_time(identifier)
    if not now - cost_centre.validity <= at <= now + MAX_AHEAD:
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return State.SCHEDULED if at > now else State.QUEUED


def _json(content: dict[str, Any]) -> Answer:
    return json_answer(200, msgspec.json.encode(content).decode())


def show_message(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /message/{id}: its state, its history, its reports."""
    if request.path in _METHODS:  # to a router /message/batch is a message, too
        return _nowhere(request.path, cost_centre, deps)
    identifier = _identifier(request)
    message = _record(Key(cost_centre.id, identifier), deps)
    if message is None:
        state = _state_without_record(identifier, cost_centre, deps.clock())
        return _json({"message_id": identifier, "state": state, "recorded": False})
    if not isinstance(message, Message):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return _json(shown(message))


def shown(message: Message) -> dict[str, Any]:
    """A message as its customer may see it."""
    content: dict[str, Any] = {
        "message_id": message.id,
        "state": message.state,
        "recorded": True,
        "destination_addr": message.to,
        "segments": message.segments,
        "due_at": iso(message.due_at),
        "expires_at": iso(message.expires_at),
        "history": [
            {"at": iso(event.at), "state": event.state, "note": event.note}
            for event in message.history
        ],
        "reports": [
            {
                "type": int(report.kind),
                "stat": report.stat,
                "owed_at": iso(report.owed_at),
                "given_at": iso(report.given_at) if report.given_at else None,
                "attempts": report.attempts,
            }
            for report in message.reports
        ],
    }
    if message.reference is not None:
        content["reference_id"] = message.reference
    if message.batch_id is not None:
        content["batch_id"] = message.batch_id
    return content


def show_batch(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /message/batch/{id}: how many are in which state, and every id in the request's order."""
    identifier = _identifier(request)
    batch = _record(Key(cost_centre.id, identifier), deps)
    if batch is None:
        state = _state_without_record(identifier, cost_centre, deps.clock())
        return _json({"batchId": identifier, "state": state, "recorded": False})
    if not isinstance(batch, Batch):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    if not batch.blob:  # cancelled before its list was looked at
        return _json({"batchId": identifier, "state": batch.state, "recorded": True})
    states, listed = _states(batch, deps)
    return _json(
        {
            "batchId": batch.id,
            "recorded": True,
            "batchCount": str(batch.count),
            "announced_at": iso(batch.announced_at) if batch.announced_at else None,
            "counts": dict(Counter(states)),
            "list": [
                {"message_id": line_id, "destination_addr": number, "state": state}
                for (line_id, number), state in zip(listed, states, strict=True)
            ],
        }
    )


def _states(batch: Batch, deps: Deps) -> tuple[list[str], list[tuple[str, str]]]:
    """Each line's state, "REFUSED" for a line that was, and its id and number."""
    listed = listed_of(batch, deps.engine.blobs)
    records = deps.engine.store.records([Key(batch.cost_centre, line.id) for line in listed])
    states = [_state_of(line, record) for line, record in zip(listed, records, strict=True)]
    return states, [(line.id, line.as_written) for line in listed]


def _state_of(line: Listed, record: Record | None) -> str:
    if line.refusal:
        return "REFUSED"
    return record.state if isinstance(record, Message) else State.QUEUED


def cancel_message(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /message/{id}: it will not be sent; or it has gone already."""
    if request.path in _METHODS:
        return _nowhere(request.path, cost_centre, deps)
    identifier = _identifier(request)
    key = Key(cost_centre.id, identifier)
    record = _record(key, deps)
    if record is None:
        _state_without_record(identifier, cost_centre, deps.clock())
    elif not isinstance(record, Message):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    if not _cancel([key], deps)[0]:
        raise Refused(Refusal("message", "gone", esme.RCANCELFAIL))
    return _json({"message_id": identifier, "state": State.DELETED})


def cancel_batch(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /message/batch/{id}: what of it has not gone will not be sent: how many."""
    identifier = _identifier(request)
    key = Key(cost_centre.id, identifier)
    batch = _record(key, deps)
    if batch is None:
        _state_without_record(identifier, cost_centre, deps.clock())
        batch = _tombstone_batch(key, deps)
        if batch is None:
            return _json({"batchId": identifier, "state": State.DELETED})
    if not isinstance(batch, Batch):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    if not batch.blob:
        return _json({"batchId": identifier, "state": State.DELETED})
    listed = listed_of(batch, deps.engine.blobs)
    keys = [Key(key.cost_centre, line.id) for line in listed if not line.refusal]
    taken_back = _cancel(keys, deps, batch_id=batch.id)
    done = sum(taken_back)
    if taken_back and not done:
        raise Refused(Refusal("batch", "gone", esme.RCANCELFAIL))
    return _json({"batchId": identifier, "cancelled": done, "gone": len(taken_back) - done})


def _tombstone_batch(key: Key, deps: Deps) -> Record | None:
    """Puts DELETED where expanding would put the batch: None, or the batch that was faster."""
    now = deps.clock()
    batch = Batch(
        cost_centre=key.cost_centre,
        id=key.id,
        dialect="zoug",
        due_at=id_time(key.id),
        accepted_at=now,
        count=0,
        state=State.DELETED,
    )
    return deps.engine.store.create([batch])[0]


def _cancel(keys: list[Key], deps: Deps, batch_id: str | None = None) -> list[bool]:
    """Puts DELETED where a claim would go. For each: whether it will not be sent."""
    now = deps.clock()
    tombstones = [_tombstone(key, now) for key in keys]
    stood = deps.engine.store.create(tombstones)
    gone = [old is None or _cancelled_already(old, now, deps) for old in stood]
    mine = [key for key, is_gone in zip(keys, gone, strict=True) if is_gone]
    follow("cancelled", mine, batch_id=batch_id)
    return gone


def _tombstone(key: Key, now: float) -> Message:
    at = id_time(key.id)
    queued = Message(
        cost_centre=key.cost_centre,
        id=key.id,
        dialect="zoug",
        state=State.QUEUED,
        due_at=at,
        expires_at=at,
        accepted_at=now,
    )
    return cancelled(queued, now)


def _cancelled_already(old: Record, now: float, deps: Deps) -> bool:
    """A message that waits after an upstream could not take it is still ours to take back."""
    if not isinstance(old, Message):
        return False
    if old.state is State.DELETED:
        return True
    free = old.state is State.SUBMITTING and not old.claim and not old.maybe_sent
    if not free and old.state not in _WAITING:
        return False
    return deps.engine.store.replace([replace(cancelled(old, now), claim="")])[0] is not None
