"""What is done to long lists: a file that was checked is sent; any list is paused, resumed and
cancelled, as long as something of it has not gone.

The state in the batch's record decides: who puts a list into packets looks there before each
stretch, and who sends a packet before it is claimed.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from recado import esme, limits
from recado.accept import due_at
from recado.bulk import blob_of, changed
from recado.bulk_file import Bulk
from recado.cancel import cancel_batch
from recado.costcentre import CostCentre
from recado.engine import Held
from recado.errors import NotFound, Refused
from recado.ids import id_time
from recado.longlists import progress_counter
from recado.message import Batch, Key, State, encode
from recado.money import price_of
from recado.observability import count
from recado.recipients import no_route, sized
from recado.rows import rules_of, template_of
from recado.submission import Listing, Refusal, Submission
from recado.wiring import Deps

LONGEST_WAIT = 2 * 86_400.0
"""Seconds from the time in a file's id to its sending. Its messages have that time in theirs, and
whoever counts their day (recado.usage) has to find them there in time."""


def refused(reason: str, detail: str, field: str = "bulk") -> Refused:
    """Not in any document: these routes are ours."""
    return Refused(Refusal(field, reason, esme.RSUBMITFAIL, detail))


def long_list(key: Key, deps: Deps) -> Batch:
    """The list of that id. Raises Refused where there is none."""
    batch = deps.engine.store.records([key])[0]
    if not isinstance(batch, Batch) or (batch.bulk is None and batch.listing is None):
        raise Refused(Refusal("id", "unknown", esme.RQUERYFAIL))
    return batch


def state_of(batch: Batch, submitted: int, deps: Deps) -> str:
    """A list's state in one word. One that is put into packets whole is done when all of it was
    taken up or, should the count have fallen short, when its validity is over: nothing of it can
    leave any more."""
    if batch.state is State.DELETED:
        return "cancelled"
    bulk = batch.bulk
    if bulk is not None and bulk.stage != "sending":
        told = {"upload": "awaiting_upload", "checked": "checked", "failed": "failed"}
        return told.get(bulk.stage, "checking")
    if batch.state is State.PAUSED:
        return "paused"
    if batch.state is State.SCHEDULED:
        return "scheduled"
    done = is_expanded(batch) and (submitted >= batch.expanded or _is_over(batch, deps))
    return "done" if done else "sending"


def _is_over(batch: Batch, deps: Deps) -> bool:
    cost_centre = deps.directory.cost_centre(batch.cost_centre)
    return cost_centre is not None and deps.clock() > batch.due_at + cost_centre.validity


def is_expanded(batch: Batch) -> bool:
    """Whether all of it was put into packets."""
    if batch.bulk is None:
        return batch.expanded >= batch.count
    return batch.bulk.stage == "sending" and batch.offset >= batch.bulk.size


def submitted_of(batch: Batch, deps: Deps) -> int:
    """How many of its messages were taken up. (Where an answer of the store was lost it may have
    counted twice.)"""
    if not batch.expanded:
        return 0
    counted = deps.engine.store.counts(progress_counter(batch.id)).get("taken", 0)
    return min(counted, batch.expanded)


# --- send ----------------------------------------------------------------------------------------


def send(key: Key, cost_centre: CostCentre, deps: Deps) -> Batch:
    """Sends a file that was checked, at its hour. Raises Refused; then nothing was taken. Asked for
    again it is sent no second time, but what may have got lost is queued again."""
    batch = long_list(key, deps)
    bulk = batch.bulk
    if bulk is None or batch.state is State.DELETED:
        raise refused("gone", "can't be sent any more!")
    if bulk.stage == "sending":
        _send_again(batch, deps)
        return batch
    if bulk.stage != "checked":
        raise refused("gone", "has not been checked yet!")
    _may_be_sent(batch, bulk, cost_centre, deps)
    now = deps.clock()
    due = due_at(batch.due_at, now) if batch.due_at > now else now
    submission = _submission(batch, bulk, cost_centre, due, now)
    body = encode(submission)
    held = _paid(submission, bulk, body, cost_centre, deps)
    deps.engine.blobs.put(_kept_as(batch.id), body.encode())
    written = changed(key, lambda present: _sent(present, submission, now), deps, batch)
    if written is None or written.state is State.DELETED:
        raise refused("gone", "was cancelled meanwhile!")
    _queue(body, written, held, deps)
    count("messages_accepted", written.count)
    return written


def _send_again(batch: Batch, deps: Deps) -> None:
    """Queues what may have got lost of a list that nobody has begun with, at the date that its
    record says: it may have been moved since."""
    if batch.offset or batch.state not in (State.SCHEDULED, State.QUEUED):
        return
    if batch.state is State.SCHEDULED and deps.engine.store.held(batch.due_at, batch.id):
        return
    kept = msgspec.json.decode(deps.engine.blobs.get(_kept_as(batch.id)), type=Submission)
    expires = batch.due_at + kept.expires_at - kept.due_at
    _queue(encode(replace(kept, due_at=batch.due_at, expires_at=expires)), batch, None, deps)


def _may_be_sent(batch: Batch, bulk: Bulk, cost_centre: CostCentre, deps: Deps) -> None:
    if not bulk.good:
        raise refused("empty", "has no row that can be sent!", "file")
    if not bulk.reached:
        raise Refused(no_route(voice=False))
    if deps.engine.blobs.size(blob_of(batch.id)) != bulk.size:
        raise refused("gone", "has changed since it was checked!", "file")
    if bulk.rules != rules_of(cost_centre):
        raise refused("gone", "must be checked again: the cost centre's settings have changed!")
    if deps.clock() - id_time(batch.id) > LONGEST_WAIT:
        raise refused("gone", "has waited for more than two days: upload it anew!")


def _kept_as(batch_id: str) -> str:
    """Where `expand` keeps, too, what a list goes on with after a pause."""
    return f"submission-{batch_id}"


def _submission(
    batch: Batch, bulk: Bulk, cost_centre: CostCentre, due: float, now: float
) -> Submission:
    template = template_of(bulk.text)
    common = None if template.names else sized(template.literals[0], cost_centre)
    count = bulk.good - bulk.doubles
    return Submission(
        cost_centre=cost_centre.id,
        dialect=batch.dialect,
        accepted_at=now,
        due_at=due,
        expires_at=due + cost_centre.validity,
        recipients=(),
        batch_id=batch.id,
        text=common.text if common else bulk.text,
        segments=common.segments if common else 0,  # none: it is a template (recado.rows)
        units=common.segments if common else 0,
        source=bulk.source,
        price=price_of(cost_centre, voice=False),
        listing=Listing(
            blob_of(batch.id), "rows", count=count, units=bulk.segments, column=bulk.column
        ),
    )


def _paid(
    submission: Submission, bulk: Bulk, body: str, cost_centre: CostCentre, deps: Deps
) -> Held | None:
    """Takes what the check has summed up, to the segment, from quota and balance. In this dialect a
    segment costs a unit."""
    assert submission.batch_id is not None  # noqa: S101 - `_submission` has set it
    held = Held(submission.batch_id, submission.due_at, "Expand", cost_centre.id, body)
    # The whole as if it were one row.
    whole = replace(
        submission,
        segments=bulk.segments,
        units=bulk.segments,
        listing=Listing(blob_of(submission.batch_id), count=1),
    )
    return limits.pay(whole, held, cost_centre, deps)


def _sent(present: Batch, submission: Submission, now: float) -> Batch:
    assert submission.listing is not None  # noqa: S101 - `_submission` has set it
    if present.bulk is None or present.bulk.stage != "checked" or present.state is State.DELETED:
        return present
    return replace(
        present,
        due_at=submission.due_at,
        count=submission.listing.count,
        listing=submission.listing,
        bulk=replace(present.bulk, stage="sending"),
        state=State.SCHEDULED if submission.due_at > now else State.QUEUED,
    )


def _queue(body: str, batch: Batch, held: Held | None, deps: Deps) -> None:
    """Puts it on its queue, or holds it until its hour; `held`: so it is already."""
    if batch.state is State.SCHEDULED:
        if held is None:
            deps.engine.store.hold(Held(batch.id, batch.due_at, "Expand", batch.cost_centre, body))
        return
    deps.engine.queue.send("Expand", [body], batch.cost_centre)
    if held is not None:
        deps.engine.store.release([held])


# --- pause, resume, cancel -----------------------------------------------------------------------


def pause(key: Key, deps: Deps) -> Batch:
    """Sends no more of it until it is resumed; its validity goes on running. Raises Refused, also
    for what waits for its hour: that can be moved, or cancelled."""

    def paused(present: Batch) -> Batch:
        if present.state is State.PAUSED:
            return present
        _must_be_under_way(present, deps)
        return replace(present, state=State.PAUSED)

    return _changed(key, paused, deps)


def resume(key: Key, deps: Deps) -> Batch:
    """Goes on with what was paused. Raises Refused."""

    def resumed(present: Batch) -> Batch:
        if present.state is State.PAUSED:
            return replace(present, state=State.QUEUED)
        _must_be_under_way(present, deps)
        return present

    batch = _changed(key, resumed, deps)
    try:
        body = deps.engine.blobs.get(_kept_as(batch.id)).decode()
    except NotFound:
        return batch  # its first step is still to come
    # Where that goes on already, the slower of the two finds itself overtaken and ends.
    deps.engine.queue.send("Expand", [body], batch.cost_centre)
    return batch


def cancel(key: Key, cost_centre: CostCentre, deps: Deps) -> Batch:
    """What of it has not been taken up will not be sent, and is given back. Raises Refused where
    all has gone."""
    under_way = False

    def cancelled(present: Batch) -> Batch:
        nonlocal under_way
        under_way = present.bulk is None or present.bulk.stage == "sending"
        gone = under_way or present.state is State.DELETED
        return present if gone else replace(present, state=State.DELETED)

    batch = _changed(key, cancelled, deps)
    if under_way:
        cancel_batch(key.id, batch.dialect, cost_centre, deps)
        batch = long_list(key, deps)
    return batch


def _changed(key: Key, change: Callable[[Batch], Batch], deps: Deps) -> Batch:
    return changed(key, change, deps, long_list(key, deps)) or long_list(key, deps)


def _must_be_under_way(batch: Batch, deps: Deps) -> None:
    state = state_of(batch, submitted_of(batch, deps), deps)
    if state != "sending":
        told = "has gone already!" if state == "done" else f"is {state.replace('_', ' ')}!"
        raise refused("gone", told)
