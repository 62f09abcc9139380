"""Query: what became of a message or a batch, and taking back what has not gone.

These routes are ours: the seed document has none. A message that nobody has claimed has no record;
an id that is younger than its validity is then queued or was never ours, and the answer says so.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from recado import cancel, esme
from recado.callback import listed_of
from recado.cancel import record_of, state_without_record, waiting
from recado.costcentre import CostCentre
from recado.dialects import Listed, zoug
from recado.errors import Refused
from recado.http import Answer, Event, Request, json_answer, request_of
from recado.ids import is_id, new_id
from recado.message import Batch, Key, Message, Record, State
from recado.moments import iso
from recado.registry import dialect_of
from recado.submission import Refusal
from recado.wiring import Deps

_COLLECTIONS = frozenset({"/message", "/message/batch"})


def nowhere(event: Event, deps: Deps) -> Answer:
    """The answer to an unknown path or method: the same for everybody."""
    return _nowhere(request_of(event).path, None, deps)


def _nowhere(path: str, cost_centre: CostCentre | None, deps: Deps) -> Answer:
    allowed = _allowed(path)
    field, reason = ("method", "method") if allowed else ("path", "unknown")
    refusal = Refusal(field, reason, esme.RINVCMDID)
    identifier = new_id(deps.clock())
    if cost_centre is None:
        answer = dialect_of(path).turned_away(refusal, identifier, path)
    else:
        answer = zoug.refused(refusal, identifier, cost_centre)
    if allowed:
        answer["headers"]["allow"] = allowed
    return answer


def _allowed(path: str) -> str:
    from recado.openapi import methods  # noqa: PLC0415 - hundreds of records that few ask for

    return ", ".join(methods(path))


def _identifier(request: Request) -> str:
    identifier = request.parameters.get("id", "").lower()
    if not is_id(identifier):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return identifier


def _json(content: dict[str, Any]) -> Answer:
    return json_answer(200, msgspec.json.encode(content).decode())


def show_message(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /message/{id}: its state, its history, its reports."""
    if request.path in _COLLECTIONS:  # to a router /message/batch is a message, too
        return _nowhere(request.path, cost_centre, deps)
    identifier = _identifier(request)
    message = record_of(Key(cost_centre.id, identifier), deps)
    if message is None:
        state = state_without_record(identifier, cost_centre, deps.clock())
        return _json({"message_id": identifier, "state": state, "recorded": False})
    if isinstance(message, Batch) and message.state is State.DELETED and not message.count:
        # Cancelled when nobody could tell whether it was a message or a batch.
        return _json({"message_id": identifier, "state": State.DELETED, "recorded": True})
    if not isinstance(message, Message):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    if message.state is State.SCHEDULED:  # it was moved: its record says little more than that
        moved = {"recorded": True, "due_at": iso(message.due_at)}
        return _json({"message_id": identifier, "state": message.state, **moved})
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
    batch = record_of(Key(cost_centre.id, identifier), deps)
    if batch is None:
        state = state_without_record(identifier, cost_centre, deps.clock())
        return _json({"batchId": identifier, "state": state, "recorded": False})
    if not isinstance(batch, Batch):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    if batch.listing:
        return _json({"batchId": identifier, "recorded": True, **_progress(batch, deps)})
    if not batch.blob:  # cancelled, or moved to another hour, before its list was looked at
        moved = {"due_at": iso(batch.due_at)} if batch.state is State.SCHEDULED else {}
        return _json({"batchId": identifier, "state": batch.state, "recorded": True, **moved})
    states, listed = states_of(batch, deps)
    return _json(
        {
            "batchId": batch.id,
            "recorded": True,
            "batchCount": str(batch.count),
            "announced_at": iso(batch.announced_at) if batch.announced_at else None,
            "counts": dict(Counter(states)),
            "list": [
                {"message_id": line.id, "destination_addr": line.as_written, "state": state}
                for line, state in zip(listed, states, strict=True)
            ],
        }
    )


def _progress(batch: Batch, deps: Deps) -> dict[str, Any]:
    """How far a long list has come."""
    left = waiting(batch, deps)
    return {
        "state": batch.state,
        "batchCount": str(batch.count),
        "read": batch.expanded + batch.refused,
        "refused": batch.refused,
        "taken": batch.count - batch.refused - left,
        "waiting": left,
    }


def states_of(batch: Batch, deps: Deps) -> tuple[list[str], Sequence[Listed]]:
    """Each line's state, "REFUSED" for a line that was, and the lines."""
    listed = listed_of(batch, deps.engine.blobs)
    records = deps.engine.store.records([Key(batch.cost_centre, line.id) for line in listed])
    return [_state_of(line, record) for line, record in zip(listed, records, strict=True)], listed


def _state_of(line: Listed, record: Record | None) -> str:
    if line.refusal:
        return "REFUSED"
    return record.state if isinstance(record, Message) else State.QUEUED


def cancel_message(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /message/{id}: it will not be sent; or it has gone already."""
    if request.path in _COLLECTIONS:
        return _nowhere(request.path, cost_centre, deps)
    identifier = _identifier(request)
    cancel.cancel_message(identifier, zoug.NAME, cost_centre, deps)
    return _json({"message_id": identifier, "state": State.DELETED})


def cancel_batch(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """DELETE /message/batch/{id}: what of it has not gone will not be sent: how many."""
    identifier = _identifier(request)
    done = cancel.cancel_batch(identifier, zoug.NAME, cost_centre, deps)
    if not done.counted:
        return _json({"batchId": identifier, "state": State.DELETED})
    return _json({"batchId": identifier, "cancelled": done.done, "gone": done.gone})
