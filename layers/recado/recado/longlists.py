"""Long lists: numbers or rows that are too many for one step, read stretch by stretch.

How far a list has come stands in its batch's record; whoever dies in a step leaves the record as it
was before, and the step is done again. The ids of its messages follow from the batch and the
number, so that what was put into a packet twice is sent once, and so is a number that stands in the
list twice.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from recado.ids import derived_id, id_time
from recado.lifecycle import cancelled, queued
from recado.message import Batch, Key, Message, State
from recado.money import is_cancelled, refund_cancelled
from recado.observability import count, follow, log
from recado.submission import Packet, Recipient, Submission
from recado.wiring import Deps

STRETCH = 1_000  # recipients a step
_BYTES_A_NUMBER = 17  # E.164's fifteen digits, a line break, and one to spare
_PROGRESS_DAYS = 90.0
_AT_ONCE = 200  # between two breaths: a millisecond
CLOSED = 1 << 62  # the offset of a cancelled list: nothing of it is put into packets any more


class Stretch(Struct, frozen=True):
    """A stretch of a list: its recipients, how many lines could not become any, where the next one
    begins (in bytes), and whether there is none."""

    recipients: list[Recipient]
    refused: int
    offset: int
    end: bool


def message_id(batch_id: str, number: str) -> str:
    """The id of a long list's message to this number."""
    return derived_id(id_time(batch_id), batch_id, number)


def numbers_from(submission: Submission, offset: int, deps: Deps) -> Stretch:
    """The stretch of a list of checked numbers that begins there."""
    assert submission.listing is not None  # noqa: S101 - `expand` has looked
    assert submission.batch_id is not None  # noqa: S101 - a list makes a batch
    length = STRETCH * _BYTES_A_NUMBER
    content = deps.engine.blobs.read(submission.listing.blob, offset, length)
    end = len(content) < length
    if not end:
        content = content[: content.rindex(b"\n") + 1]
    lines = content.decode().split("\n")[: None if end else -1]
    taken = [line for line in lines[:STRETCH] if line]
    used = sum(len(line) + 1 for line in lines[:STRETCH])
    batch_id = submission.batch_id
    recipients: list[Recipient] = []
    for start in range(0, len(taken), _AT_ONCE):
        some = taken[start : start + _AT_ONCE]
        recipients += [Recipient(id=message_id(batch_id, number), to=number) for number in some]
        deps.breathe()
    return Stretch(recipients, 0, offset + used, end and len(lines) <= STRETCH)


def progress_counter(batch_id: str) -> str:
    return f"progress#{batch_id}"


def count_taken(batch_id: str, amount: int, deps: Deps) -> None:
    """Notes that so many of a list's recipients were taken up. It is for people to look at: that it
    can't be noted must keep no message from its way."""
    expires = id_time(batch_id) + _PROGRESS_DAYS * 86_400
    counter = progress_counter(batch_id)
    try:
        deps.engine.store.add(counter, {"taken": amount}, limit=None, expires=expires)
    except Exception:
        count("progress_not_counted")
        log.exception("what was taken up of a list is not counted")


def called_off(packets: Sequence[Packet], deps: Deps) -> tuple[list[Packet], list[Packet]]:
    """Of these packets those that may go, and those whose list is paused (past its validity a
    message goes to its end all the same). Those of a cancelled list
    end here: their messages are DELETED, and given back, but for what was taken up before."""
    keys = {Key(p.cost_centre, p.batch_id): p for p in packets if p.bulk and p.batch_id}
    if not keys:
        return list(packets), []
    records = deps.engine.store.records(list(keys))
    states = {r.id: r.state for r in records if isinstance(r, Batch)}
    go: list[Packet] = []
    paused: list[Packet] = []
    for packet in packets:
        state = states.get(packet.batch_id or "")
        if state is State.PAUSED and deps.clock() < packet.expires_at:
            paused.append(packet)
        elif state is State.DELETED:
            left = _cancel(packet, deps)
            go += [left] if left.recipients else []
        else:
            go.append(packet)
    return go, paused


def _cancel(packet: Packet, deps: Deps) -> Packet:
    """Ends what of a cancelled list's packet nobody has taken up, and gives it back. What is left
    has been: whoever did so may have died, so it goes on as it would have."""
    now = deps.clock()
    fresh = [queued(packet, recipient) for recipient in packet.recipients]
    stood = deps.engine.store.create([cancelled(message, now) for message in fresh])
    # What stands already as DELETED may be what a crash kept us from giving back.
    gone = [new for new, old in zip(fresh, stood, strict=True) if old is None or is_cancelled(old)]
    waiting = [old for old in stood if isinstance(old, Message) and _is_free(old)]
    taken_back = deps.engine.store.replace([cancelled(old, now) for old in waiting])
    gone += [message for message in taken_back if isinstance(message, Message)]
    refund_cancelled(gone, deps)
    count("messages_deleted", len(gone))
    follow("cancelled", gone, batch_id=packet.batch_id)
    ended = {message.id for message in gone}
    return replace(packet, recipients=tuple(r for r in packet.recipients if r.id not in ended))


def _is_free(message: Message) -> bool:
    """Whether it waits after an upstream could not take it."""
    return message.state is State.SUBMITTING and not message.claim and not message.maybe_sent
