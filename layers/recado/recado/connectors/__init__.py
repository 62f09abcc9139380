"""The connector socket: how one kind of upstream is spoken to. One module a kind.

A connector translates and never decides: what to do after an outcome is `dispatch`'s business.
docs/adding-a-connector.md shows how to write one; tests/connectors/test_contract.py runs over all
of recado.registry.CONNECTORS.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from recado.http import Answer, Exchange
from recado.message import State

MOST_ID = 64
"""Characters of an upstream's id. It goes into records and names refs: whoever sends more is not to
fill them. (SMPP 3.4, section 4.4.2, has room for as many.)"""


class Abilities(Struct, frozen=True):
    """What an upstream is able to do."""

    carries_our_id: bool = False  # receipts name our reference: no ref needs to be written
    gsm7_sizes: tuple[int, int] = (160, 153)  # septets of a single segment, and of one of several
    ucs2_sizes: tuple[int, int] = (70, 67)
    speaks: bool = False  # it can say a text on the telephone (voice)
    splits: bool = False  # we split long texts for it: each segment is submitted, and has its id
    over_bind: bool = False  # it is reached by a session that a process has to hold (SMPP)


class Setting(Struct, frozen=True):
    """One of the settings that a kind of upstream knows."""

    meaning: str  # one line for the person who sets it, with an example
    needed: bool = False
    secret: bool = False  # kept where secrets are, and never shown
    form: str = ".+"  # a regular expression that its value matches in full


class Upstream(Struct, frozen=True, kw_only=True):
    """One configured upstream: a connector's kind with its settings."""

    name: str
    kind: str
    settings: dict[str, str] = {}
    callback_secret: str = ""  # the last part of the path that its callbacks come to
    concurrency: int = 50  # messages in flight at once
    submit_timeout: float = 10.0  # seconds until an unanswered submit counts as uncertain
    after_uncertain: str = "resend"  # or "report": tell the customer UNKNOWN
    paused: bool = False  # nothing is handed to it: what is routed to it waits
    version: int = 0


class Submit(Struct, frozen=True):
    """One message for an upstream. `reference` is ours, to be echoed if the upstream can."""

    reference: str
    to: str
    text: str
    segments: int
    source: str = ""  # who it is from, where the customer says so; an upstream may not be able to
    voice: bool = False  # to be spoken; only ever asked of an upstream that `speaks`
    udh: str = ""  # of one part of a long text, in hexadecimal; an upstream may not be able to
    validity: float | None = None  # seconds that are left; an upstream may not be able to hear it


class Submitted(Struct, frozen=True, tag=True):
    """The upstream took it, and knows it by this id; where we split it, by one a segment, in order:
    the others of them are in `more`. One that it gave no id for has an empty one, by which no
    receipt finds the message."""

    upstream_id: str
    more: tuple[str, ...] = ()


class Rejected(Struct, frozen=True, tag=True):
    """The upstream refused it for good."""

    esme: str


class Unavailable(Struct, frozen=True, tag=True):
    """Nothing was sent; worth a try after so many seconds."""

    retry_after: float
    problem: str


class Uncertain(Struct, frozen=True, tag=True):
    """Perhaps it was sent: no answer came that says."""

    problem: str


Outcome: TypeAlias = Submitted | Rejected | Unavailable | Uncertain

Submitting: TypeAlias = Callable[[Sequence[Submit], Upstream], list[Outcome]]
"""Hands messages to an upstream, wherever that is done: an outcome for each, in order."""


class RawCallback(Struct, frozen=True):
    """What an upstream sent to our callback path, as it came, and when."""

    upstream: str
    method: str
    query: str
    headers: dict[str, str]
    body: str
    received_at: float


class Receipt(Struct, frozen=True):
    """An upstream's word on a message, found by our reference or by its own id."""

    state: State
    err: str
    reference: str | None = None
    upstream_id: str | None = None


class Part(Struct, frozen=True):
    """Which part of a long text: the reference that all have, and the number, from 1."""

    reference: int
    total: int
    number: int


class Incoming(Struct, frozen=True):
    """A reply (MO). Where the upstream names the message that it answers, so does this."""

    source: str
    text: str
    upstream_event: str  # the same each time that the upstream tells of it
    reference: str | None = None
    upstream_id: str | None = None
    destination: str = ""  # what it was sent to, where the upstream says so
    part: Part | None = None  # of a long one that comes in several


class Connector(Protocol):
    """The functions of a connector's module, and the settings that it reads, by name.

    Where `callback_url` is among these, it is filled in for whoever does not give it."""

    SETTINGS: Mapping[str, Setting]

    def abilities(self, upstream: Upstream) -> Abilities:
        """What this upstream is able to do, by its settings."""

    def submit(
        self, submits: Sequence[Submit], upstream: Upstream, exchange: Exchange
    ) -> list[Outcome]:
        """Asks the upstream to send each. One outcome each, in order; raises nothing for what the
        upstream does."""

    def verify_callback(self, raw: RawCallback, upstream: Upstream) -> bool:
        """Whether this callback is the upstream's, beyond the secret in its path."""

    def parse_callback(self, raw: RawCallback, upstream: Upstream) -> list[Receipt | Incoming]:
        """What it tells. Raises ValueError on what it can't read."""

    def acknowledgement(self) -> Answer:
        """The answer that the upstream expects once its callback is safe."""
