"""Announce: a batch's callback gives the customer its ids, so its messages' reports wait for it.

Until then notices of its messages are dropped. That is safe by order: a report is written before
its notice is sent, and a batch is announced before all of its messages are looked at.
"""

from msgspec.structs import replace

from recado.callback import listed_of
from recado.message import Batch, Key, Message, key_of
from recado.notices import emit, look_later
from recado.report import next_owed
from recado.wiring import Deps

PATIENCE = 60.0  # a batch's reports wait so long for its callback to be answered
_MENDED = 900.0  # a kill shows in a redelivery; it has come by then
_AT_ONCE = 100
_AT_ONCE_AGAIN = 1.0


def is_announced(message: Message, deps: Deps) -> bool:
    """Whether the reports of a batch's message may go."""
    key = Key(message.cost_centre, message.batch_id or "")
    batch = deps.engine.store.records([key])[0]
    owed = next_owed(batch) if isinstance(batch, Batch) else None
    if not isinstance(batch, Batch) or owed is None or batch.announced_at is not None:
        return True
    if not owed.attempts and deps.clock() - owed.owed_at > PATIENCE:
        # Nobody has tried: its own notice was dropped, for its customer had no callback URL then,
        # or had none as far as somebody's memory of a minute went.
        look_later(key, _AT_ONCE_AGAIN, deps)
    return False


def announced(batch: Batch, deps: Deps) -> Batch:
    """The batch whose callback nobody takes: from here on its messages may be told all the same.
    Done again within minutes it looks at them again: a kill may have come in between."""
    now = deps.clock()
    while batch.announced_at is None:
        written = deps.engine.store.replace([replace(batch, announced_at=now)])[0]
        present = written or deps.engine.store.records([key_of(batch)])[0]
        if not isinstance(present, Batch):
            return batch
        batch = present
    if now - batch.announced_at < _MENDED:
        look_at_messages(batch, deps)
    return batch


def look_at_messages(batch: Batch, deps: Deps) -> None:
    """Looks at those of an announced batch's messages that owe something."""
    lines = listed_of(batch, deps.engine.blobs) if batch.blob else ()
    ids = [line.id for line in lines if line.refusal is None]
    for start in range(0, len(ids), _AT_ONCE):
        keys = [Key(batch.cost_centre, identifier) for identifier in ids[start : start + _AT_ONCE]]
        emit([record for record in deps.engine.store.records(keys) if record is not None], deps)
