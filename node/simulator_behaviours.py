"""What the simulator does with a message: the magic numbers, what it tells of each, and its log's
lines. docs/simulator.md shows the same table; a test holds the two together.
"""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

MAGIC_BLOCK = "55119000000"  # and two digits: 5511900000000 to 5511900000099

Answering: TypeAlias = Literal[
    "accept",  # 200 with an id
    "reject",  # 200 with ESME_RINVDSTADR
    "throttle",  # 429 on the first two tries of a message, then accept
    "unavailable",  # 503
    "silence",  # the first try is taken and never answered, then accept
    "garbage",  # the first try is taken and answered with no JSON, then accept
    "close",  # the connection is closed, nothing is taken
]


class Step(Struct, frozen=True):
    """One thing that the simulator tells of a message. An empty `stat`: a reply (MO)."""

    stat: str = ""
    err: str = "000"
    names_message: bool = True  # whether a reply says which message it answers


class Behaviour(Struct, frozen=True, kw_only=True):
    """How one magic number is treated. Times are in seconds."""

    says: str
    answering: Answering = "accept"
    steps: tuple[Step, ...] = (Step("DELIVRD"),)
    answer_after: float = 0.0
    told_after: float = 0.0  # on top of answer_after and of the usual delay
    told_first: bool = False  # the submit is answered once the first step was acknowledged


_DELIVERED = Step("DELIVRD")
DELIVERED = Behaviour(says="Delivered.")

# By a magic number's last two digits. An err is invented: the number's own digits.
BEHAVIOURS = {
    "00": DELIVERED,
    "01": Behaviour(says="Undeliverable (UNDELIV, err 001).", steps=(Step("UNDELIV", "001"),)),
    "02": Behaviour(says="Expired (EXPIRED, err 002).", steps=(Step("EXPIRED", "002"),)),
    "03": Behaviour(says="Rejected at submit (ESME_RINVDSTADR).", answering="reject", steps=()),
    "04": Behaviour(
        says="Throttled (429, Retry-After 1) on the first two tries, then delivered.",
        answering="throttle",
    ),
    "05": Behaviour(
        says="Unavailable (503, Retry-After 1) always, until the validity ends.",
        answering="unavailable",
        steps=(),
    ),
    "06": Behaviour(
        says="No answer: the first submit is taken and never answered, nor heard of again; "
        "a later one is delivered.",
        answering="silence",
    ),
    "07": Behaviour(
        says="Delivered; the receipt comes before the submit's answer.", told_first=True
    ),
    "08": Behaviour(says="Delivered; the receipt comes twice.", steps=(_DELIVERED, _DELIVERED)),
    "09": Behaviour(
        says="Delivered; receipts in the wrong order (DELIVRD, then ENROUTE, then ACCEPTD).",
        steps=(_DELIVERED, Step("ENROUTE"), Step("ACCEPTD")),
    ),
    "10": Behaviour(
        says="Delivered, then a reply that names the message it answers.",
        steps=(_DELIVERED, Step()),
    ),
    "11": Behaviour(
        says="Slow: the submit is answered after 3 s, the receipt comes 5 s later.",
        answer_after=3.0,
        told_after=5.0,
    ),
    "12": Behaviour(
        says="Delivered, then a reply that names no message.",
        steps=(_DELIVERED, Step(names_message=False)),
    ),
    "13": Behaviour(says="Unknown (UNKNOWN, err 013).", steps=(Step("UNKNOWN", "013"),)),
    "14": Behaviour(says="Taken; no receipt ever.", steps=()),
    "15": Behaviour(
        says="The first submit is taken and answered with garbage, nor heard of again; "
        "a later one is delivered.",
        answering="garbage",
    ),
    "16": Behaviour(
        says="The connection is closed without an answer, always; nothing is taken.",
        answering="close",
        steps=(),
    ),
    "17": Behaviour(
        says="Rejected by receipt (REJECTD, err 017).", steps=(Step("REJECTD", "017"),)
    ),
}


def behaviour_of(to: str) -> Behaviour:
    """Every number outside the block, and each of it that has no row, is delivered."""
    if len(to) == 13 and to.startswith(MAGIC_BLOCK):
        return BEHAVIOURS.get(to[-2:], DELIVERED)
    return DELIVERED


class Asked(Struct, frozen=True):
    """A submit's body. The reference is what tells "the same message again"."""

    reference: str
    to: str
    text: str
    segments: int
    callback_url: str
    echo: bool = True  # may receipts and replies name the reference


class Taken(Struct, frozen=True, omit_defaults=True, tag_field="event", tag="taken"):
    """A log line: this submit was taken."""

    id: str
    reference: str
    to: str
    segments: int
    at: float
    callback_url: str
    echo: bool = True
    lost: bool = False  # its submit got no answer, and nothing more will be heard of it

    @property
    def steps(self) -> tuple[Step, ...]:
        return () if self.lost else behaviour_of(self.to).steps


class Refused(Struct, frozen=True, tag_field="event", tag="refused"):
    """A log line: this submit was not taken."""

    reference: str
    to: str
    why: Answering
    at: float


class Told(Struct, frozen=True, tag_field="event", tag="told"):
    """A log line: the gateway acknowledged this receipt."""

    id: str
    stat: str
    at: float


class Replied(Struct, frozen=True, tag_field="event", tag="replied"):
    """A log line: the gateway acknowledged the message's reply."""

    id: str
    at: float


Line: TypeAlias = Taken | Refused | Told | Replied
_encoder = msgspec.json.Encoder()


def event_of(taken: Taken, step: Step) -> bytes:
    """The callback's body for one step. The same each time that it is tried."""
    reference = {"reference": taken.reference} if taken.echo else {}
    if step.stat:
        event = {"event": "receipt", "id": taken.id, "stat": step.stat, "err": step.err}
        return _encoder.encode(event | reference)
    reply = {
        "event": "reply",
        "id": f"{taken.id}-reply",
        "from": taken.to,
        "text": "Resposta: recebi a sua mensagem.",
    }
    named = {"in_reply_to": taken.id} | reference
    return _encoder.encode(reply | named if step.names_message else reply)


def told_line(taken: Taken, step: Step, at: float) -> Told | Replied:
    """The log's line once a step was acknowledged."""
    return Told(taken.id, step.stat, at) if step.stat else Replied(taken.id, at)
