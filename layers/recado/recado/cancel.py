"""Cancel: taking back what has not gone.

One conditional write decides it: DELETED is put where a claim would go, and where expanding would
put a batch; whoever is first has it. What was cancelled before its hour goes to its queue at once:
whoever takes it up there finds it cancelled, and gives back what it cost.
"""

from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.callback import listed_of
from recado.costcentre import CostCentre
from recado.engine import Held
from recado.errors import NotFound, Refused
from recado.ids import MAX_AHEAD, id_time
from recado.lifecycle import cancelled
from recado.longlists import CLOSED, progress_counter
from recado.message import Batch, Key, Message, Record, State, key_of
from recado.money import refund
from recado.observability import follow
from recado.submission import Refusal
from recado.wiring import Deps

_WAITING = (State.SCHEDULED, State.QUEUED)
_IN_A_WHILE = 60.0  # a step that is under way when its list is cancelled has ended by then


class Cancelled(Struct, frozen=True):
    """How many messages will not be sent, and how many had gone already. `counted`: False where
    all was cancelled before anybody had counted it."""

    done: int = 0
    gone: int = 0
    counted: bool = True


def record_of(key: Key, deps: Deps) -> Record | None:
    return deps.engine.store.records([key])[0]


def state_without_record(identifier: str, cost_centre: CostCentre, now: float) -> State:
    """What an id says that has no record. Raises Refused where it says nothing."""
    at = id_time(identifier)
    if not now - cost_centre.validity <= at <= now + MAX_AHEAD:
        raise _unknown()
    return State.SCHEDULED if at > now else State.QUEUED


def _unknown() -> Refused:
    return Refused(Refusal("id", "unknown", esme.RQUERYFAIL))


def cancel(identifier: str, dialect: str, cost_centre: CostCentre, deps: Deps) -> Cancelled:
    """Cancels a message or a batch, whichever has this id. Raises Refused: unknown, or gone."""
    key = Key(cost_centre.id, identifier)
    record = record_of(key, deps)
    if record is None and not is_single(key, deps):
        # What is on its queue and has no record may be either. A batch's DELETED stops a message,
        # too; and of a long list it is what gives the rest back.
        state_without_record(identifier, cost_centre, deps.clock())
        record = _entombed(key, dialect, deps)
        if record is None:
            return Cancelled(counted=False)
    if isinstance(record, Batch):
        return _cancel_record(record, dialect, deps)
    cancel_message(identifier, dialect, cost_centre, deps)
    return Cancelled(done=1)


def is_single(key: Key, deps: Deps) -> bool:
    """Whether it waits for its hour as a single message does."""
    held = _held(key, None, deps)
    return held is not None and held.queue == "Submit"


def _held(key: Key, record: Record | None, deps: Deps) -> Held | None:
    """What waits for its hour, where that is to come."""
    due_at = id_time(key.id)
    if isinstance(record, Message | Batch) and record.state is State.SCHEDULED:
        due_at = record.due_at  # it was moved to another
    if due_at <= deps.clock():
        return None
    held = deps.engine.store.held(due_at, key.id)
    # Whoever guesses another's id cancels nothing by it, and must not hurry it either.
    return held if held is not None and held.group == key.cost_centre else None


def _hurry(held: Held | None, deps: Deps) -> None:
    """What was cancelled goes to its end at once. Done again it finds nothing to do."""
    if held is not None:
        deps.engine.queue.send(held.queue, [held.body], held.group)
        deps.engine.store.release([held])


# --- a message -----------------------------------------------------------------------------------


def cancel_message(identifier: str, dialect: str, cost_centre: CostCentre, deps: Deps) -> None:
    """It will not be sent. Raises Refused: unknown, or gone."""
    key = Key(cost_centre.id, identifier)
    record = record_of(key, deps)
    if record is None:
        state_without_record(identifier, cost_centre, deps.clock())
    elif not isinstance(record, Message):
        raise _unknown()
    if not _take_back([key], dialect, deps)[0]:
        raise Refused(Refusal("message", "gone", esme.RCANCELFAIL))
    _hurry(_held(key, record, deps), deps)


def _take_back(
    keys: list[Key], dialect: str, deps: Deps, batch_id: str | None = None
) -> list[bool]:
    """Puts DELETED where a claim would go. For each: whether it will not be sent."""
    now = deps.clock()
    tombstones = [_tombstone(key, dialect, now) for key in keys]
    stood = deps.engine.store.create(tombstones)
    gone = [old is None or _cancelled_already(old, now, deps) for old in stood]
    mine = [key for key, is_gone in zip(keys, gone, strict=True) if is_gone]
    follow("cancelled", mine, batch_id=batch_id)
    return gone


def _tombstone(key: Key, dialect: str, now: float) -> Message:
    at = id_time(key.id)
    queued = Message(
        cost_centre=key.cost_centre,
        id=key.id,
        dialect=dialect,
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
        refund([old], deps)
        return True
    free = old.state is State.SUBMITTING and not old.claim and not old.maybe_sent
    if not free and old.state not in _WAITING:
        return False
    written = deps.engine.store.replace([replace(cancelled(old, now), claim="")])[0]
    if written is None:
        return False
    refund([written], deps)
    return True


# --- a batch -------------------------------------------------------------------------------------


def cancel_batch(identifier: str, dialect: str, cost_centre: CostCentre, deps: Deps) -> Cancelled:
    """What of it has not gone will not be sent. Raises Refused: unknown, or all of it gone."""
    key = Key(cost_centre.id, identifier)
    record = record_of(key, deps)
    if record is None:
        state_without_record(identifier, cost_centre, deps.clock())
        record = _entombed(key, dialect, deps)
        if record is None:
            return Cancelled(counted=False)
    if not isinstance(record, Batch):
        raise _unknown()
    return _cancel_record(record, dialect, deps)


def _entombed(key: Key, dialect: str, deps: Deps) -> Record | None:
    """Puts DELETED where expanding would put the batch: None, or the record that was faster."""
    tombstone = Batch(
        cost_centre=key.cost_centre,
        id=key.id,
        dialect=dialect,
        due_at=id_time(key.id),
        accepted_at=deps.clock(),
        count=0,
        state=State.DELETED,
    )
    stood = deps.engine.store.create([tombstone])[0]
    if stood is None:
        follow("cancelled", [tombstone])
        _hurry(_held(key, None, deps), deps)
    return stood


def _cancel_record(batch: Batch, dialect: str, deps: Deps) -> Cancelled:
    if not batch.blob:
        return _call_off(batch, deps)
    listed = listed_of(batch, deps.engine.blobs)
    keys = [Key(batch.cost_centre, line.id) for line in listed if not line.refusal]
    taken_back = _take_back(keys, dialect, deps, batch_id=batch.id)
    done = sum(taken_back)
    if taken_back and not done:
        raise _gone()
    return Cancelled(done, len(taken_back) - done)


def _gone() -> Refused:
    return Refused(Refusal("batch", "gone", esme.RCANCELFAIL))


def _call_off(batch: Batch, deps: Deps) -> Cancelled:
    """A batch that waits for its hour, or a long list on its way: whoever takes it up sees by its
    record that it is cancelled."""
    if batch.state is State.DELETED and batch.listing and batch.offset < CLOSED:
        _close(batch, deps)  # whoever cancelled it may have died before that
    while batch.state is not State.DELETED:
        if batch.listing and waiting(batch, deps) == 0:
            raise _gone()
        written = deps.engine.store.replace([replace(batch, state=State.DELETED)])[0]
        if written is not None:
            follow("cancelled", [batch])
            _end(batch, deps)
        found = written or record_of(key_of(batch), deps)
        if not isinstance(found, Batch):
            raise _unknown()
        batch = found
    if not batch.listing:
        return Cancelled(counted=False)
    left = waiting(batch, deps)
    return Cancelled(left, batch.count - batch.refused - left)


def waiting(batch: Batch, deps: Deps) -> int:
    """How many of a long list nobody has taken up yet."""
    taken = deps.engine.store.counts(progress_counter(batch.id)).get("taken", 0)
    return max(batch.count - batch.refused - taken, 0)


def _end(before: Batch, deps: Deps) -> None:
    """Sees to it that what was cancelled is taken up, though nothing would have been for now."""
    if before.state is State.SCHEDULED:
        _hurry(_held(key_of(before), before, deps), deps)
    elif before.state is State.PAUSED:
        _close(before, deps)


def _close(batch: Batch, deps: Deps) -> None:
    """Has a list's next step done, which finds it cancelled."""
    try:
        body = deps.engine.blobs.get(f"submission-{batch.id}").decode()
    except NotFound:
        return  # its first step is still to come
    deps.engine.queue.send("Expand", [body], batch.cost_centre, delay=_IN_A_WHILE)
