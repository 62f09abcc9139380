"""Claims: who may submit a message, and for how long.

A claim is durable before its submit leaves. Whoever dies in between leaves a claim that expires:
that message is uncertain, never silently sent again.
"""

import secrets
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from recado.connectors import Abilities, Upstream
from recado.lifecycle import cancelled, claimed, counted, given_up, queued, uncertain
from recado.longlists import count_taken
from recado.message import Batch, Message, Record, State, key_of
from recado.money import is_cancelled, refund, refund_cancelled
from recado.notices import emit, emit_again
from recado.observability import count, follow
from recado.registry import CONNECTORS
from recado.submission import Packet, Recipient
from recado.wiring import Deps

SOON = 0.5
_CLAIM_MARGIN = 5.0  # how much longer than its submit's time-out a claim holds
_NONE = Abilities()
_SUBMITTING = State.SUBMITTING
_OPEN = (State.SCHEDULED, State.QUEUED, State.SUBMITTING)


class Job(Struct, frozen=True):
    """One recipient of a packet on its way through dispatch."""

    packet: Packet
    recipient: Recipient
    upstream: Upstream
    wanted: tuple[str, ...]  # the reports that its cost centre takes


class Later(Struct, frozen=True):
    """A recipient that can't go now, and how many seconds it has to wait."""

    packet: Packet
    recipient: Recipient
    wait: float


def claim(window: Sequence[Job], deps: Deps) -> tuple[list[tuple[Job, Message]], list[Later]]:
    """The messages that are ours to submit now, and what has to wait; all of a window go to the
    same upstream. What has been dealt with already, or is past its validity, is in neither."""
    now = deps.clock()
    token = secrets.token_hex(6)
    able = _abilities(window)
    fresh = [_begun(queued(job.packet, job.recipient), job, able, token, now) for job in window]
    stood = deps.engine.store.create(fresh)
    later: list[Later] = []
    written: list[tuple[Job, Record | None]] = []
    again: list[tuple[Job, Message]] = []
    for job, message, old in zip(window, fresh, stood, strict=True):
        if old is None:
            written.append((job, message))
        elif isinstance(old, Batch) and old.state is State.DELETED:
            # It was cancelled when nobody could tell that it is no batch.
            refund([cancelled(queued(job.packet, job.recipient), now)], deps)
        elif not isinstance(old, Message) or old.state not in _OPEN:
            resubmitted(old, deps)
            refund_cancelled([message] if is_cancelled(old) else [], deps)
        elif old.state is State.SCHEDULED and old.due_at != job.packet.due_at:
            count("moved_away")  # to another hour: then it comes again
        elif old.claim and now < old.claimed_until:
            later.append(Later(job.packet, job.recipient, old.claimed_until - now))
        else:
            again.append((job, _taken_over(old, job, able, token, now)))
    if again:
        replaced = deps.engine.store.replace([message for _, message in again])
        written += [(job, message) for (job, _), message in zip(again, replaced, strict=True)]
    _count_progress(window, stood, deps)
    return _sorted(written, later, deps), later


def _count_progress(window: Sequence[Job], stood: Sequence[Record | None], deps: Deps) -> None:
    """Of long lists it is kept how many recipients have been taken up for the first time; those
    that were cancelled before are among them."""
    taken = [
        job.packet.batch_id
        for job, old in zip(window, stood, strict=True)
        if job.packet.bulk and (old is None or is_cancelled(old))
    ]
    if taken:
        for batch_id, amount in Counter(taken).items():
            if batch_id:
                count_taken(batch_id, amount, deps)


def _sorted(
    written: Sequence[tuple[Job, Record | None]], later: list[Later], deps: Deps
) -> list[tuple[Job, Message]]:
    """Of the messages just written, those that are to be submitted."""
    mine = []
    for job, message in written:
        if not isinstance(message, Message):  # somebody else was faster
            later.append(Later(job.packet, job.recipient, SOON))
        elif message.state is _SUBMITTING:
            mine.append((job, message))
        else:
            count(f"messages_{message.state.lower()}")
            follow("given up", [message], state=message.state)
            refund([message], deps)
            emit([message], deps)
    return mine


def _abilities(window: Sequence[Job]) -> Abilities:
    """Of the upstream that all of a window go to; what has no route any more goes to none."""
    upstream = window[0].upstream if window else None
    return CONNECTORS[upstream.kind].abilities(upstream) if upstream and upstream.kind else _NONE


def _begun(message: Message, job: Job, able: Abilities, token: str, now: float) -> Message:
    """The message claimed, or at its end where its validity is over."""
    if now >= message.expires_at:
        return given_up(message, now, job.wanted)
    message = counted(message, able)
    until = now + job.upstream.submit_timeout + _CLAIM_MARGIN
    return claimed(message, job.upstream.name, token, now, until)


def _taken_over(old: Message, job: Job, able: Abilities, token: str, now: float) -> Message:
    """A message that waited, or whose claim ran out, claimed by us; or at its end."""
    if old.state is State.SCHEDULED:
        # Of what was moved to this hour the record says little more than that.
        whole = replace(queued(job.packet, job.recipient), version=old.version)
        return _begun(replace(whole, history=old.history), job, able, token, now)
    if old.claim:
        old = uncertain(old, old.claim, now, "its submitter did not come back")
        count("uncertain")
    if old.maybe_sent and job.upstream.after_uncertain == "report":
        return given_up(old, now, job.wanted)
    return _begun(old, job, able, token, now)


def resubmitted(old: Record, deps: Deps) -> None:
    """Redelivered after its outcome was written: what followed the write is done once more."""
    if isinstance(old, Message) and old.upstream_ids:
        deps.engine.store.put_refs([(old.connector, ref, key_of(old)) for ref in old.upstream_ids])
    follow("redelivered", [old])
    refund([old], deps)
    emit_again([old], deps)
