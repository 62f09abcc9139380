"""The engine socket: Store, Queue and Blobs, the three things under which clouds differ.

Each operation can be done by DynamoDB, SQS or S3 in bounded reads: what they can't do is not here,
whatever SQL could do. The contract suite (tests/engine) holds every engine to these docstrings.

Durability: a write is durable when the hop that made it is answered (its HTTP answer let go, its
queue message done), and earlier where `settle` was called. A hop whose writes could not be made
durable gets no answer, so it is done again; every hop may be done again.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from recado.engine.kept import (
    ACCOUNTS_KEPT,
    Depth,
    Endpoint,
    Entry,
    Held,
    Mail,
    Received,
    Remembered,
    Usage,
    place_of,
)
from recado.message import Key, Record

__all__ = [
    "ACCOUNTS_KEPT",
    "Blobs",
    "Depth",
    "Endpoint",
    "Engine",
    "Entry",
    "Held",
    "Mail",
    "Queue",
    "Received",
    "Remembered",
    "Store",
    "Usage",
    "place_of",
]


class Store(Protocol):
    """Records, and the few small things beside them."""

    def create(self, records: Sequence[Record]) -> list[Record | None]:
        """Writes each record whose (cost centre, id) is free. For each: None, or the record that
        stood there, untouched."""

    def replace(self, records: Sequence[Record]) -> list[Record | None]:
        """Writes each record over the one of its version. For each: the record as it stands now
        (version one higher), or None where it has changed meanwhile."""

    def records(self, keys: Sequence[Key]) -> list[Record | None]:
        """The records, read consistently, in the order of the keys."""

    def records_between(
        self, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        """Up to `limit` records of a cost centre, by id, whose ids' times lie in the range and
        which sort after the id `after`."""

    def listed(
        self, kind: str, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        """As records_between, of one kind alone: "batch" or "reply". Fewer than `limit` does not
        mean that no more follow: only an empty list does."""

    def newest_to(self, number: str, limit: int) -> list[Key]:
        """The newest messages to this number, of any cost centre, up to `limit` of them, the newest
        first: one of them is what an MO answers."""

    def put_refs(self, refs: Sequence[tuple[str, str, Key]]) -> None:
        """(connector, upstream id, message): leads a receipt to its message. Repeatable."""

    def by_refs(self, refs: Sequence[tuple[str, str]]) -> list[Key | None]:
        """For each connector and upstream id, the message that the upstream knows by it."""

    def recall(self, cost_centre: str, key: str, now: float) -> Remembered | None:
        """The entry of that key, if it was kept within the last 24 hours."""

    def remember(self, entry: Remembered) -> Remembered | None:
        """Keeps the entry if its key is free: None, or the entry that stood there."""

    def mark_queued(self, entry: Remembered) -> None:
        """The entry's submission is durable: a repeat answers and queues nothing."""

    def hold(self, held: Held) -> None:
        """Keeps a queue message until it is due. Repeatable by its id."""

    def due(self, now: float, limit: int) -> list[Held]:
        """Up to `limit` held messages that are due, the longest due first."""

    def release(self, held: Sequence[Held]) -> None:
        """Forgets held messages: they were put on their queues, or taken back. Repeatable. Where
        it fails, any of them may have been forgotten."""

    def held(self, due_at: float, identifier: str) -> Held | None:
        """The held message of that id and due date."""

    def held_of(self, group: str, after: Held | None, limit: int) -> list[Held]:
        """Up to `limit` held messages of a group, by due date and id, which sort after `after`."""

    def take(self, bucket: str, amount: int, limit: int, now: float) -> bool:
        """Adds to the bucket's count of the present second, unless that would pass the limit."""

    def add(
        self, counter: str, amounts: Mapping[str, int], *, limit: int | None, expires: float
    ) -> bool:
        """Adds to some of a counter's fields (fifty at most), all or none; where there is a
        `limit`, only if none that grows passes it: what is given back, below zero, is never
        refused. A counter is forgotten as a whole, some time after the `expires` of the last who
        added to it. Where an answer is lost it may have been added twice."""

    def counts(self, counter: str) -> dict[str, int]:
        """A counter's fields; none where nothing was added."""

    def charge(self, entry: Entry, held: Held) -> int | None:
        """Takes the amount from the balance, writes the ledger's entry and holds the queue message:
        all or, where the balance would go below zero, nothing. The balance after it, or None where
        it did not suffice. Many who charge a cost centre at once may be told a balance from which
        others have taken, too. Of an entry that stands already nothing is done again but the
        holding, and the balance is that of now."""

    def credit(self, entries: Sequence[Entry]) -> list[bool]:
        """Adds each entry's amount to its cost centre's balance and writes the entry, both or
        none, unless it stands already (of the same entry given twice, the second). For each:
        whether it was new. An amount below zero is taken whatever the balance: by hand, to put it
        right."""

    def balance(self, cost_centre: str) -> int:
        """In ten-thousandths of the currency; 0 where nothing was written."""

    def ledger(self, cost_centre: str, after: str, limit: int) -> list[Entry]:
        """Up to `limit` entries, by id and kind, which sort after `after` ("<id>#<kind>", as
        `place_of` has it). An entry is kept as long as a record of its id's time, and at least
        ACCOUNTS_KEPT; the balance for ever."""

    def put_usage(self, usage: Usage) -> None:
        """Keeps a day's usage in place of what was kept of that day, as long as a record of that
        day, and at least ACCOUNTS_KEPT."""

    def usages(self, cost_centre: str, first_day: str, last_day: str) -> list[Usage]:
        """What is kept of these days, both included, by day."""

    def post(self, mails: Sequence[Mail]) -> None:
        """Puts mails into their customers' mailboxes. Repeatable by their places."""

    def mails(self, cost_centre: str, after: str, limit: int) -> list[Mail]:
        """Up to `limit` mails of a mailbox, in order, whose places sort after `after`."""

    def forget(self, mails: Sequence[Mail]) -> None:
        """Removes mails: their customer has them. Repeatable."""

    def lease(self, name: str, holder: str, until: float, now: float) -> bool:
        """Takes a lease, or keeps it, until that time, unless another holder has it still: whether
        it is this holder's now. With `until` at or before `now`, gives it back."""

    def config(self, kind: str, name: str) -> bytes | None:
        """A configuration record's JSON."""

    def configs(self, kind: str) -> list[bytes]:
        """All records of a kind, by name."""

    def put_config(self, kind: str, name: str, body: bytes, version: int) -> bool:
        """Writes a record of version `version` over that of the version before (0: it must be
        new). False where it stands otherwise."""

    def remove_config(self, kind: str, name: str, version: int) -> bool:
        """Removes a record of that version: whether none stands there now. Repeatable."""

    def endpoint(self, cost_centre: str) -> Endpoint:
        """The state of a cost centre's callback URL; open where nothing was written."""

    def put_endpoint(self, endpoint: Endpoint) -> bool:
        """Writes an endpoint of version `version` over that of the version before; False where it
        stands otherwise."""

    def expire(self, now: float, limit: int) -> int:
        """Removes up to about `limit` things whose time to live is over: how many. Zero where the
        engine does it by itself."""

    def settle(self) -> None:
        """Returns when every write of this hop so far is durable. Before anything leaves for the
        world outside on the strength of a write."""


class Queue(Protocol):
    """Queues with delay, redelivery and dead letters, fair between groups (cost centres): in turn
    on one machine, and on SQS by its fair queues, once a group has many in hand. What has no group
    ("") comes like any other. A body is never empty."""

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        """Puts messages on a queue, to be received after `delay` seconds (at most 900)."""

    def bury(self, queue: str, body: str, group: str) -> None:
        """Puts a message on the queue's dead letters."""

    def receive(self, queue: str, limit: int) -> list[Received]:
        """Takes messages in hand; each comes back after the queue's visibility timeout, and goes
        to the dead letters after its last receive."""

    def done(self, received: Sequence[Received]) -> None:
        """Forgets messages in hand: they were dealt with."""

    def depths(self) -> list[Depth]:
        """What lies in each queue, by name."""

    def redrive(self, queue: str) -> int:
        """Puts a queue's dead letters back on it: how many."""


class Blobs(Protocol):
    """What is too large for a queue message."""

    def put(self, name: str, content: bytes) -> None:
        """Durable on return. Repeatable: the same name always holds the same content."""

    def get(self, name: str) -> bytes:
        """The content. Raises NotFound."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from there on; empty at the end. Raises NotFound."""

    def size(self, name: str) -> int:
        """In bytes. Raises NotFound."""

    def upload_url(self, name: str, seconds: int) -> str:
        """Where whoever knows this URL may put the content by HTTP PUT, for so many seconds (a week
        at most; less where what signed it ends sooner), with the header `If-None-Match: *`: a path
        of the node's own, or a presigned URL. What was put there before stays."""


class Engine(Struct, frozen=True):
    """The three together."""

    store: Store
    queue: Queue
    blobs: Blobs
