"""The words: what a message, a batch and a reply are, and the states. (What is on its way in stands
in recado.submission.)

A record (Message, Batch, Reply or Alert) is something that a customer is told about. It is found by
(cost centre, id), it is written whole with a condition on its version, and the reports that it
owes to the customer are in it.
"""

import enum
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado.bulk_file import Bulk
from recado.submission import Listing


class State(enum.StrEnum):
    """Where a message is. From ENROUTE on these are SMPP's own (3.4, section 5.2.28)."""

    SCHEDULED = "SCHEDULED"  # waits for its hour
    PAUSED = "PAUSED"  # a batch whose rest waits for a word from its customer
    QUEUED = "QUEUED"  # accepted; no claim on it yet
    SUBMITTING = "SUBMITTING"  # claimed: an upstream is being asked, or was
    ENROUTE = "ENROUTE"  # the upstream took it
    ACCEPTED = "ACCEPTED"  # on its way, says an upstream that tells so
    DELIVERED = "DELIVERED"
    UNDELIVERABLE = "UNDELIVERABLE"
    EXPIRED = "EXPIRED"  # past its validity
    DELETED = "DELETED"  # cancelled
    REJECTED = "REJECTED"  # the upstream refused it
    UNKNOWN = "UNKNOWN"  # nobody will tell
    FAILED = "FAILED"  # our side could not


_FINAL_RANK = 6
_RANK = {
    **dict.fromkeys(State, _FINAL_RANK),
    State.SCHEDULED: 0,
    State.PAUSED: 1,
    State.QUEUED: 2,
    State.SUBMITTING: 3,
    State.ENROUTE: 4,
    State.ACCEPTED: 5,
}
_KEPT_EVENTS = 20


def is_final(state: State) -> bool:
    return _RANK[state] == _FINAL_RANK


class Event(Struct, frozen=True, omit_defaults=True):
    """One line of a message's history."""

    at: float
    state: State
    note: str = ""


class Attempt(Struct, frozen=True, omit_defaults=True):
    """One try at a callback: the HTTP status, or 0 with what went wrong."""

    at: float
    status: int = 0
    note: str = ""


class Report(Struct, frozen=True, omit_defaults=True):
    """Something owed to the customer. It is owed until given_at or abandoned_at is set."""

    kind: str  # "1": the submit's outcome, "2": the final state, "reply", "batch"
    owed_at: float
    stat: str = ""  # kind 1: an ESME_ name; kind 2: a receipt's stat
    err: str = ""
    given_at: float | None = None
    abandoned_at: float | None = None
    attempts: int = 0
    tries: tuple[Attempt, ...] = ()  # the newest ten

    @property
    def owed(self) -> bool:
        return self.given_at is None and self.abandoned_at is None


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="message"):
    """One MT from its claim on. Under 1 KB as a rule: a write on DynamoDB costs by the KB."""

    cost_centre: str
    id: str
    dialect: str
    state: State
    due_at: float
    expires_at: float
    accepted_at: float
    to: str = ""
    text: str = ""
    segments: int = 0
    units: int = 0
    voice: bool = False
    source: str = ""
    udh: str = ""  # what its customer wrote before the text, in hexadecimal: it is one part of many
    registered: int | None = None  # registered_delivery, where it came by SMPP
    fields: dict[str, str] = {}
    price: int = 0  # of a unit, where it was paid in advance
    reference: str | None = None
    batch_id: str | None = None
    connector: str = ""
    upstream_ids: tuple[str, ...] = ()
    parts: int = 0  # the SMS that its connector makes of it, where it splits: each has its id
    delivered: tuple[str, ...] = ()  # of those ids, the ones that were delivered
    claim: str = ""  # the token of who is submitting it
    claimed_until: float = 0.0
    submits: int = 0  # how often an upstream was asked; above 1 it may have been doubled
    maybe_sent: bool = False  # a submit ended without a word on whether it was taken
    ours: bool = False  # the final state is our own guess (UNKNOWN), and may be corrected
    history: tuple[Event, ...] = ()
    reports: tuple[Report, ...] = ()
    version: int = 0


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="batch"):
    """One request for many. Its list (ids in the request's order, refusals) lies in a blob; that of
    a long one is read from `listing` step by step, and how far that has come stands here."""

    cost_centre: str
    id: str
    dialect: str
    due_at: float
    accepted_at: float
    count: int
    blob: str = ""
    listing: Listing | None = None
    name: str = ""  # what its customer calls it
    bulk: Bulk | None = None  # where it is a file that was uploaded
    offset: int = 0  # bytes of the listing that became packets
    expanded: int = 0  # recipients in those
    units: int = 0  # of those, where they differ
    refused: int = 0  # lines of it that could not become recipients
    state: State = State.QUEUED  # SCHEDULED, PAUSED, or DELETED: cancelled
    announced_at: float | None = None  # from here on its messages' reports may go
    reports: tuple[Report, ...] = ()
    version: int = 0


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reply"):
    """An MO, and the MT that it answers."""

    cost_centre: str
    id: str
    dialect: str
    message_id: str
    source: str
    text: str
    received_at: float
    reference: str | None = None
    batch_id: str | None = None  # of that message
    destination: str = ""  # what it was sent to, where the upstream says so
    by_smpp: bool = False  # the message that it answers came by SMPP
    pieces: dict[str, str] = {}  # of a long one: its parts, by number and event, until it is whole
    of: int = 0  # how many there are
    reports: tuple[Report, ...] = ()
    version: int = 0


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert"):
    """Something about its account that a customer has to be told."""

    cost_centre: str
    id: str
    dialect: str
    kind: str  # "low_balance"
    at: float
    balance: int  # in ten-thousandths of the currency
    reports: tuple[Report, ...] = ()
    version: int = 0


Record: TypeAlias = Message | Batch | Reply | Alert


class Key(Struct, frozen=True):
    """What finds a record."""

    cost_centre: str
    id: str


def key_of(record: Record) -> Key:
    return Key(record.cost_centre, record.id)


_encoder = msgspec.json.Encoder()
_record_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode(thing: Struct) -> str:
    """A record or a packet as JSON text."""
    return _encoder.encode(thing).decode()


def decode_record(body: str | bytes) -> Record:
    return _record_decoder.decode(body)


def may_become(message: Message, state: State) -> bool:
    """States go forward only. A final state that an upstream gave never changes; an UNKNOWN of
    our own may still be corrected."""
    present, next_one = _RANK[message.state], _RANK[state]
    return next_one > present or (message.ours and present == next_one == _FINAL_RANK)


def moved(message: Message, state: State, at: float, note: str = "") -> Message:
    """The message in its new state, with a line of history. Raises ValueError on a step back."""
    history = history_with(message, state, at, note)
    return replace(message, state=state, ours=False, history=history)


def noted(message: Message, at: float, note: str) -> Message:
    """The message with a line of history, unless its last line says the same."""
    return replace(message, history=with_line(message.history, message.state, at, note))


def history_with(message: Message, state: State, at: float, note: str = "") -> tuple[Event, ...]:
    """The message's history with its step to this state, for whoever changes more of it at once.
    Raises ValueError on a step back."""
    if not may_become(message, state):
        raise ValueError(f"{message.state} does not become {state}")
    return with_line(message.history, state, at, note)


def with_line(
    history: tuple[Event, ...], state: State, at: float, note: str = ""
) -> tuple[Event, ...]:
    """A history with one line more, unless its last says the same. Kept are the first line and the
    newest: a record must stay small, however often an upstream is down."""
    if history and history[-1].state is state and history[-1].note == note:
        return history
    if len(history) >= _KEPT_EVENTS:
        history = (history[0], *history[-(_KEPT_EVENTS - 2) :])
    return (*history, Event(at, state, note))
