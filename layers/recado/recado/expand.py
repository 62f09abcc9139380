"""Expand: a batch becomes its record, its packets and its callback.

A small batch does so at once. A long list does it stretch by stretch, each a step of its own that
ends by queueing the next. Every id was fixed when the batch was accepted, so that a step that is
done twice changes nothing.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from recado import bulk
from recado.dialects import Listed
from recado.errors import Conflict, Misconfigured
from recado.longlists import CLOSED, STRETCH, Stretch, numbers_from
from recado.message import Batch, Key, Message, Report, State, encode, key_of
from recado.money import is_cancelled, refund_rest
from recado.notices import emit
from recado.observability import count, follow, follows, log
from recado.registry import DIALECTS
from recado.report import BATCH
from recado.rows import rows_from
from recado.submission import Packet, Recipient, Submission, packet_of
from recado.wiring import Deps

PACKET_RECIPIENTS = 100
PACKET_BYTES = 60_000  # SQS bills by 64 KB


def expand(body: str, deps: Deps) -> None:
    """One message of the Expand queue: a batch, a step of a long list, or a step of checking one.
    A batch that was cancelled meanwhile goes nowhere."""
    if bulk.is_check(body):
        bulk.check(body, deps)
        return
    submission = _whole(body, deps)
    if submission.listing is None:
        _at_once(submission, deps)
    else:
        _step(submission, body, deps)


def _whole(body: str, deps: Deps) -> Submission:
    submission = msgspec.json.decode(body, type=Submission)
    if submission.blob is None:
        return submission
    return msgspec.json.decode(deps.engine.blobs.get(submission.blob), type=Submission)


def _send(packets: Sequence[Packet], submission: Submission, deps: Deps) -> None:
    bodies = []
    for packet in packets:
        bodies.append(encode(packet))
        deps.breathe()
    deps.engine.queue.send("SubmitBulk", bodies, submission.cost_centre)
    if follows():
        extra = {"correlation_id": submission.batch_id, "packets": len(packets)}
        log.debug("expanded", extra=extra)
        for packet in packets:
            follow("put into a packet", packet.recipients, batch_id=packet.batch_id)


# --- a small batch -------------------------------------------------------------------------------


def _at_once(submission: Submission, deps: Deps) -> None:
    batch = _created(_batch(submission, deps), deps)
    if batch is None:
        _end_cancelled(submission, deps)
        return
    _send(list(_packets(submission, submission.recipients)), submission, deps)
    emit([batch], deps)
    count("batches_expanded")


def _batch(submission: Submission, deps: Deps) -> Batch:
    assert submission.batch_id is not None  # noqa: S101 - accept sends nothing else here
    listed = [Listed(r.as_written, r.id, r.refusal, r.reference) for r in submission.recipients]
    name = f"batch-{submission.batch_id}"
    deps.engine.blobs.put(name, msgspec.json.encode(listed))
    now = deps.clock()
    # A submit_multi was answered with all that there is to say.
    tells = DIALECTS[submission.dialect].TELLS_BATCHES and submission.registered is None
    return Batch(
        cost_centre=submission.cost_centre,
        id=submission.batch_id,
        dialect=submission.dialect,
        due_at=submission.due_at,
        accepted_at=submission.accepted_at,
        count=len(listed),
        blob=name,
        announced_at=None if tells else now,
        reports=(Report(BATCH, now),) if tells else (),
    )


def _created(batch: Batch, deps: Deps) -> Batch | None:
    """The batch as it stands now, which may be further than this one; None where it is cancelled,
    or was moved to another hour and comes again."""
    stood = deps.engine.store.create([batch])[0]
    if stood is None:
        return batch
    if not isinstance(stood, Batch | Message) or stood.state is State.DELETED:
        return None
    if stood.state is State.SCHEDULED:
        if stood.due_at != batch.due_at:
            return None
        batch = replace(batch, version=stood.version)
        if isinstance(stood, Batch):
            batch = replace(batch, name=stood.name, bulk=stood.bulk)
        taken = deps.engine.store.replace([batch])[0]
        return taken if isinstance(taken, Batch) else _created(batch, deps)
    return stood if isinstance(stood, Batch) else None


# --- a long list ---------------------------------------------------------------------------------


def _step(submission: Submission, body: str, deps: Deps) -> None:
    batch = _ready(submission, body, deps)
    if batch is None:
        return
    stretch = _stretch(submission, batch.offset, deps)
    _send(list(_packets(submission, stretch.recipients)), submission, deps)
    written = _progressed(batch, stretch, deps)
    if written is None:
        return
    if written.state is State.DELETED:
        _give_back_rest(submission, written, "of a cancelled list", deps)
    elif stretch.end:
        _give_back_rest(submission, written, "that could not be sent", deps)
        count("batches_expanded")
    elif written.state is not State.PAUSED:
        deps.engine.queue.send("Expand", [body], submission.cost_centre)


def _ready(submission: Submission, body: str, deps: Deps) -> Batch | None:
    """The list's record, where a stretch of it may be taken now."""
    batch = _created(_of_a_list(submission, deps), deps)
    if batch is None:
        _end_cancelled(submission, deps)
        return None
    if batch.offset == 0:
        # Whoever goes on after a pause finds here what to go on with.
        deps.engine.blobs.put(f"submission-{batch.id}", body.encode())
    if batch.state is State.PAUSED:
        return None
    return batch if batch.listing else _taken_up(batch, submission, deps)


def _taken_up(batch: Batch, submission: Submission, deps: Deps) -> Batch:
    """The record of a file whose sender died when it had paid and not yet written so. Raises
    Conflict where it has changed meanwhile: the queue brings it again."""
    assert submission.listing is not None  # noqa: S101 - `expand` has looked
    bulk = replace(batch.bulk, stage="sending") if batch.bulk else None
    sent = replace(batch, listing=submission.listing, count=submission.listing.count, bulk=bulk)
    written = deps.engine.store.replace([sent])[0]
    if not isinstance(written, Batch):
        raise Conflict(f"the batch {batch.id} has changed meanwhile")
    return written


def _of_a_list(submission: Submission, deps: Deps) -> Batch:
    assert submission.batch_id is not None  # noqa: S101 - a list makes a batch
    assert submission.listing is not None  # noqa: S101 - `expand` has looked
    return Batch(
        cost_centre=submission.cost_centre,
        id=submission.batch_id,
        dialect=submission.dialect,
        due_at=submission.due_at,
        accepted_at=submission.accepted_at,
        count=submission.listing.count,
        listing=submission.listing,
        announced_at=deps.clock(),
    )


def _stretch(submission: Submission, offset: int, deps: Deps) -> Stretch:
    assert submission.listing is not None  # noqa: S101 - `expand` has looked
    if submission.listing.form == "numbers":
        return numbers_from(submission, offset, deps)
    cost_centre = deps.directory.cost_centre(submission.cost_centre)
    if cost_centre is None:
        raise Misconfigured(f"no cost centre has the id {submission.cost_centre}")
    return rows_from(submission, offset, STRETCH, cost_centre, deps)


def _progressed(batch: Batch, stretch: Stretch, deps: Deps) -> Batch | None:
    """The record with this stretch in it, whatever state it was put into meanwhile; None where
    somebody else has come that far already."""
    present: Batch = batch
    while present.offset < stretch.offset or (stretch.end and present.offset == batch.offset):
        units = sum(recipient.units for recipient in stretch.recipients)
        changed = replace(
            present,
            offset=CLOSED if present.state is State.DELETED else stretch.offset,
            expanded=present.expanded + len(stretch.recipients),
            refused=present.refused + stretch.refused,
            units=present.units + units,
        )
        written = deps.engine.store.replace([changed])[0]
        if isinstance(written, Batch):
            return written
        found = deps.engine.store.records([key_of(batch)])[0]
        if not isinstance(found, Batch):
            return None
        present = found
    return None


def _end_cancelled(submission: Submission, deps: Deps) -> None:
    """Gives back what has not been put into packets of a batch that is cancelled. (What has been is
    given back message by message, by whoever takes up the packet.)"""
    if not submission.price or submission.batch_id is None:
        return
    found = deps.engine.store.records([Key(submission.cost_centre, submission.batch_id)])[0]
    if found is None or not is_cancelled(found):
        return  # it was moved
    if not isinstance(found, Batch) or found.listing is None:  # before anybody took it up
        refund_rest(submission, 0, "of a cancelled batch", deps)
        return
    if found.offset < CLOSED:
        # Whoever was about to take this stretch may have sent its packets and died: so they go
        # once more, and only what comes after them is given back here.
        stretch = _stretch(submission, found.offset, deps)
        _send(list(_packets(submission, stretch.recipients)), submission, deps)
        closed = _progressed(found, stretch, deps)
        if closed is None:
            return
        found = closed
    _give_back_rest(submission, found, "of a cancelled list", deps)


def _give_back_rest(submission: Submission, batch: Batch, note: str, deps: Deps) -> None:
    """Of a list that has come to its end, or is closed: what was charged and is in no packet."""
    used = batch.units or batch.expanded * submission.units
    refund_rest(submission, used, note, deps)


# --- packets -------------------------------------------------------------------------------------


def _packets(submission: Submission, recipients: Sequence[Recipient]) -> Iterator[Packet]:
    taken: list[Recipient] = []
    size = 0
    for recipient in recipients:
        if recipient.refusal:
            continue
        weight = 150 + len((recipient.text or "").encode())
        if taken and (len(taken) == PACKET_RECIPIENTS or size + weight > PACKET_BYTES):
            yield packet_of(submission, taken)
            taken, size = [], 0
        taken.append(recipient)
        size += weight
    if taken:
        yield packet_of(submission, taken)
