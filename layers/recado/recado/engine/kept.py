"""What an engine keeps beside records, and what it hands out."""

from msgspec import Struct


class Remembered(Struct, frozen=True, omit_defaults=True):
    """An idempotency key: what was asked with it, and the id that was answered."""

    cost_centre: str
    key: str
    body_hash: str
    answer_id: str
    at: float
    queued: bool = False  # False: a repeat queues the same ids again


class Held(Struct, frozen=True):
    """A queue message that waits for its hour."""

    id: str
    due_at: float
    queue: str
    group: str
    body: str


class Entry(Struct, frozen=True, omit_defaults=True):
    """A line of a cost centre's ledger. There is one of each kind for each id, ever."""

    cost_centre: str
    id: str  # of the message, the submission or the payment that it is about; one of our ids
    kind: str  # "charge", "refund", "credit"
    amount: int  # in ten-thousandths of the currency; below zero: taken from the balance
    at: float
    note: str = ""


def place_of(entry: Entry) -> str:
    """Where an entry stands in its cost centre's ledger: what `Store.ledger` sorts by."""
    return f"{entry.id}#{entry.kind}"


ACCOUNTS_KEPT = 400 * 86_400.0
"""For how long a ledger and what was used are kept at least, in seconds: money outlives messages,
and a year can be held against the one before."""


class Usage(Struct, frozen=True):
    """What a cost centre sent in a day: rows of (connector, state, messages, segments, units)."""

    cost_centre: str
    day: str  # 2026-05-28, in the cost centre's time zone
    rows: tuple[tuple[str, str, int, int, int], ...]
    after: str = ""  # counted up to this id only; empty: to its end
    final: bool = False  # nothing of it changes any more


class Endpoint(Struct, frozen=True):
    """The state of a cost centre's callback URL."""

    cost_centre: str
    state: str = "open"  # "open", "stalled": a probe goes on, "parked": it answered 410
    since: float = 0.0  # what was owed from here on has to be replayed
    version: int = 0


class Mail(Struct, frozen=True):
    """A receipt or a reply that waits for its customer's bind."""

    cost_centre: str
    place: str  # its mailbox is in order of these; the same each time that the same is posted
    body: str
    expires: float


class Received(Struct, frozen=True):
    """A queue message in hand. `receives` counts from 1."""

    id: str
    queue: str
    group: str
    body: str
    receives: int = 1


class Depth(Struct, frozen=True):
    """What lies in a queue and in its dead letters."""

    queue: str
    ready: int
    delayed: int
    dead: int
