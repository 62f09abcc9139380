"""What the simulator does with a message: the magic numbers, what it answers, and what it tells.

docs/simulator.md shows the same table; a test holds the two together. The simulator's process and
its function on AWS both go by this.
"""

from collections.abc import Mapping
from types import MappingProxyType
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
    # Named for what a telephone does. A text to them is treated alike: one table for both kinds.
    "20": Behaviour(says="Voice: answered (DELIVRD)."),
    "21": Behaviour(says="Voice: busy (UNDELIV, err 021).", steps=(Step("UNDELIV", "021"),)),
    "22": Behaviour(
        says="Voice: not picked up (UNDELIV, err 022).", steps=(Step("UNDELIV", "022"),)
    ),
    "23": Behaviour(
        says="Voice: answered by a machine (DELIVRD, err 023).", steps=(Step("DELIVRD", "023"),)
    ),
}


def behaviour_of(to: str) -> Behaviour:
    """Of a text and of a voice message alike. Every number outside the block, and each of it that
    has no row, is delivered; so is every fixed line, for the block holds mobiles alone."""
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
    source: str = ""
    voice: bool = False


class Said(Struct, frozen=True):
    """An answer to a submit."""

    status: int
    body: bytes
    headers: dict[str, str]


_JSON = {"content-type": "application/json"}
_encoder = msgspec.json.Encoder()

GARBAGE = Said(200, b"<h1>502 Bad Gateway</h1>", {"content-type": "text/html"})


def said(status: int, thing: object, headers: Mapping[str, str] = MappingProxyType({})) -> Said:
    """An answer in JSON."""
    return Said(status, _encoder.encode(thing), {**_JSON, **headers})


def not_now(status: int, problem: str) -> Said:
    """Nothing was taken; worth a try after a second."""
    return said(status, {"problem": problem}, {"retry-after": "1"})


REFUSALS: Mapping[Answering, Said] = MappingProxyType(
    {
        "reject": said(200, {"esme": "ESME_RINVDSTADR"}),
        "throttle": not_now(429, "throttle"),
        "unavailable": not_now(503, "unavailable"),
    }
)


def event_of(step: Step, upstream_id: str, to: str, source: str, reference: str | None) -> bytes:
    """The callback's body for one step of a message to `to` from `source`; without the reference
    where it is None. The same each time that it is tried."""
    echoed = {} if reference is None else {"reference": reference}
    if step.stat:
        event = {"event": "receipt", "id": upstream_id, "stat": step.stat, "err": step.err}
        return _encoder.encode(event | echoed)
    reply = {
        "event": "reply",
        "id": f"{upstream_id}-reply",
        "from": to,
        **({"to": source} if source else {}),
        "text": "Resposta: recebi a sua mensagem.",
    }
    named = {"in_reply_to": upstream_id} | echoed
    return _encoder.encode(reply | named if step.names_message else reply)
