"""Schedules: what waits for its hour is listed, moved to another hour, or taken back.

A schedule is a held queue message. One that was never moved has no record, and its id says when it
is due (decision 0004); the first move writes a record in the state SCHEDULED, and from then on that
says it. Whatever else is held of the same id is what a crash left behind: who takes it up compares
its date with the record's, and drops it.

One conditional write decides between a move, a cancelling and whoever is about to send: on the
record, where the claim or the batch goes. So ids never change, and an entry is held before the
record points to it and released after.
"""

from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.accept import due_at
from recado.dialects import directcall
from recado.engine import Held
from recado.errors import Refused
from recado.ids import id_time
from recado.message import Batch, Event, Key, Message, Record, State, encode, noted
from recado.moments import iso
from recado.observability import count, follow
from recado.submission import Packet, Refusal, Submission
from recado.wiring import Deps

PAGE = 100
SOONEST = 60.0
"""No move leads nearer than so many seconds: what is held must not fall due before the record that
decides is written. No function runs for so long."""
_QUEUES = ("Submit", "Expand")
_DAY = 86_400.0
_LONGEST_VALIDITY = 3 * _DAY

Waiting: TypeAlias = Message | Batch
_packets: msgspec.json.Decoder[Packet] = msgspec.json.Decoder(Packet)
_submissions: msgspec.json.Decoder[Submission] = msgspec.json.Decoder(Submission)


class Page(Struct, frozen=True):
    """Some schedules by due date, and after which to go on; None: there are no more."""

    schedules: list[dict[str, Any]]
    after: str | None


# --- look ----------------------------------------------------------------------------------------


def listed(cost_centre: str, after: str, limit: int, deps: Deps) -> Page:
    """Up to `limit` schedules of a cost centre, by due date. A page may be short and yet not the
    last one. Raises Refused where `after` comes from no page."""
    page = deps.engine.store.held_of(cost_centre, _place(after), limit)
    ours = [held for held in page if held.queue in _QUEUES]
    records = deps.engine.store.records([Key(cost_centre, held.id) for held in ours])
    shown = [
        _shown(held, deps)
        for held, record in zip(ours, records, strict=True)
        if held.due_at == _due(held.id, record)
    ]
    more = len(page) == limit
    return Page(shown, f"{page[-1].due_at!r}~{page[-1].id}" if more else None)


def _place(after: str) -> Held | None:
    if not after:
        return None
    at, _, identifier = after.partition("~")
    try:
        return Held(identifier, float(at), "", "", "")
    except ValueError as error:
        raise Refused(Refusal("after", "invalid", esme.RINVOPTPARAMVAL)) from error


def _due(identifier: str, record: Record | None) -> float | None:
    """When what has this id and record is due; None where it waits no more. Whoever pays in advance
    has what is due now held for a moment, too: not at its own date, so it is no schedule."""
    if record is None:
        return id_time(identifier)
    if isinstance(record, Waiting) and record.state is State.SCHEDULED:
        return record.due_at
    return None


def _shown(held: Held, deps: Deps) -> dict[str, Any]:
    """A schedule as its customer may see it."""
    content = _content(held)
    shown: dict[str, Any] = {"id": held.id, "kind": "message", "due_at": iso(held.due_at)}
    if isinstance(content, Packet):
        [only] = content.recipients
        shown |= {"count": 1, "segments": only.segments, "destination_addr": only.to}
        text = content.text if only.text is None else only.text
    elif content.listing:
        amount = content.listing.count
        shown |= {"kind": "list", "count": amount, "segments": content.segments * amount}
        text = content.text
    else:
        whole = _whole(content, deps)
        segments = sum(one.segments for one in whole.recipients if not one.refusal)
        shown |= {"kind": "batch", "count": len(whole.recipients), "segments": segments}
        text = whole.text
    if text is not None:
        shown["text"] = text
    if content.voice:
        shown["voice"] = True
    if content.dialect == directcall.NAME:
        shown["callerid"] = directcall.callerid(held.id)
    return shown


def _content(held: Held) -> Packet | Submission:
    decoder = _packets if held.queue == "Submit" else _submissions
    return decoder.decode(held.body)


def _whole(submission: Submission, deps: Deps) -> Submission:
    """With its recipients, where they lie in a blob."""
    if submission.blob is None:
        return submission
    deps.breathe()
    return _submissions.decode(deps.engine.blobs.get(submission.blob))


def _record(key: Key, deps: Deps) -> Record | None:
    return deps.engine.store.records([key])[0]


def _held(key: Key, record: Record | None, deps: Deps) -> Held | None:
    """What is held of it, at the date that its record says: nobody else's."""
    due = _due(key.id, record)
    held = None if due is None else deps.engine.store.held(due, key.id)
    return held if held is not None and held.group == key.cost_centre else None


# --- move ----------------------------------------------------------------------------------------


def move(key: Key, to: float, deps: Deps) -> float:
    """Moves a schedule to a date: when it is due now. Raises Refused: the date makes no sense, it
    is unknown, or it has gone."""
    due = _checked(key, to, deps)
    store = deps.engine.store
    while True:
        record = _record(key, deps)
        held = _held(key, record, deps)
        if held is None:
            raise _refused(key, record, deps)
        new, pointing = _moved(held, record, due, deps)
        store.hold(new)
        if record is None:
            written = store.create([pointing])[0] is None
        else:
            written = store.replace([pointing])[0] is not None
        present = pointing if written else _record(key, deps)
        # Somebody else may have moved it to the very same date at the very same time.
        if written or _due(key.id, present) == new.due_at:
            break
        store.release([new])
    if written:
        store.release([held])
    count("schedules_moved")
    follow("moved", [key], due_at=iso(new.due_at))
    return new.due_at


def _checked(key: Key, to: float, deps: Deps) -> float:
    """The date to which it goes, in whole milliseconds. Its record is kept as long as its id says,
    so it can't go far beyond that."""
    now = deps.clock()
    due = max(due_at(to, now), now + SOONEST)
    days = deps.settings.retention_days // 3
    if due > id_time(key.id) + days * _DAY:
        detail = f"must be at most {days} days after its first date!"
        raise Refused(Refusal("send_at", "long", esme.RINVSCHED, detail))
    return int(due * 1000) / 1000


def _moved(held: Held, record: Record | None, due: float, deps: Deps) -> tuple[Held, Waiting]:
    """What is to be held, and the record that points to it."""
    version = record.version + 1 if isinstance(record, Waiting) else 0
    # A date that no other move of this id has ever had: what a slow one releases is its own.
    due += (version + 1) / 1_000_000
    content = _content(held)
    changed = replace(content, due_at=due, expires_at=due + content.expires_at - content.due_at)
    size = 1
    if isinstance(changed, Submission):
        whole = _whole(changed, deps)
        size = changed.listing.count if changed.listing else len(whole.recipients)
        if changed.blob is not None:  # it says its date, too
            # Named by it: a move that fails leaves a blob behind, which the next one must not
            # write over, or what the failed one held would look like what is due.
            changed = replace(changed, blob=f"submission-{held.id}-{round(due * 1_000_000)}")
            dated = replace(whole, due_at=due, expires_at=changed.expires_at)
            deps.engine.blobs.put(str(changed.blob), encode(dated).encode())
    new = replace(held, due_at=due, body=encode(changed))
    old = record if isinstance(record, Waiting) else _pointing(held, size)
    if isinstance(old, Message):
        old = replace(old, expires_at=changed.expires_at)
        old = noted(old, deps.clock(), f"moved to {iso(due)}")
    return new, replace(old, due_at=due)


def _pointing(held: Held, size: int) -> Waiting:
    """The record of what waits: little more than that it does. Without its number, to which it is
    not the newest message before it was sent."""
    content = _content(held)
    if isinstance(content, Submission):
        return Batch(
            cost_centre=held.group,
            id=held.id,
            dialect=content.dialect,
            due_at=content.due_at,
            accepted_at=content.accepted_at,
            count=size,
            state=State.SCHEDULED,
        )
    [only] = content.recipients
    return Message(
        cost_centre=held.group,
        id=held.id,
        dialect=content.dialect,
        state=State.SCHEDULED,
        due_at=content.due_at,
        expires_at=content.expires_at,
        accepted_at=content.accepted_at,
        segments=only.segments,
        units=only.units,
        voice=content.voice,
        price=content.price,
        reference=only.reference,
        history=(Event(content.accepted_at, State.SCHEDULED),),
    )


def _refused(key: Key, record: Record | None, deps: Deps) -> Refused:
    """Why nothing is held of it: it has gone, or it was never ours."""
    now = deps.clock()
    if record is None:
        known = now - _LONGEST_VALIDITY <= id_time(key.id) <= now
    else:
        known = isinstance(record, Waiting)
    if known:
        return Refused(Refusal("schedule", "gone", esme.RCANCELFAIL))
    return Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
