"""The simulator: an upstream that does not exist, and behaves by magic numbers.

docs/simulator.md has its numbers and its protocol.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from recado.connectors import (
    MOST_ID,
    Abilities,
    Incoming,
    Outcome,
    RawCallback,
    Receipt,
    Rejected,
    Setting,
    Submit,
    Submitted,
    Unavailable,
    Uncertain,
    Upstream,
)
from recado.errors import Misconfigured
from recado.http import Answer, Exchange, Outgoing, Reached, Unreached
from recado.message import State
from recado.segments import GSM7_SIZES, UCS2_SIZES

_HTTP_URL = r"https?://[^\s/]\S*"

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "url": Setting(
            "where it listens, such as http://127.0.0.1:8090", needed=True, form=_HTTP_URL
        ),
        "callback_url": Setting(
            "where it posts receipts and replies: our callback endpoint, with its secret",
            form=_HTTP_URL,
        ),
        "echo": Setting(
            "yes (unless set) or no: whether it names our reference in them", form="yes|no"
        ),
        "gsm7_sizes": Setting(
            "septets of a single segment, and of one of several: 160,153 unless set",
            form=r"\d+,\d+",
        ),
        "ucs2_sizes": Setting("the same in UCS-2: 70,67 unless set", form=r"\d+,\d+"),
        "voice": Setting("yes (unless set) or no: whether it speaks", form="yes|no"),
    }
)

# SMPP 3.4, Appendix B, field "stat"; ENROUTE is no receipt's stat there, but upstreams send it.
STATES = {
    "ENROUTE": State.ENROUTE,
    "ACCEPTD": State.ACCEPTED,
    "DELIVRD": State.DELIVERED,
    "UNDELIV": State.UNDELIVERABLE,
    "EXPIRED": State.EXPIRED,
    "DELETED": State.DELETED,
    "UNKNOWN": State.UNKNOWN,
    "REJECTD": State.REJECTED,
}

_DEFAULT_RETRY_AFTER = 1.0


_Id: TypeAlias = Annotated[str, Meta(max_length=MOST_ID)]


class _Question(Struct, frozen=True, omit_defaults=True):
    reference: str
    to: str
    text: str
    segments: int
    callback_url: str
    echo: bool
    source: str = ""
    voice: bool = False


class _Answered(Struct, frozen=True):
    id: _Id | None = None
    esme: str | None = None


class _ReceiptEvent(Struct, frozen=True, tag_field="event", tag="receipt"):
    id: _Id
    stat: str
    err: str = "000"
    reference: str | None = None


class _ReplyEvent(Struct, frozen=True, tag_field="event", tag="reply", rename={"source": "from"}):
    id: _Id
    source: str
    text: str
    to: str = ""
    in_reply_to: _Id | None = None
    reference: str | None = None


_CallbackEvent: TypeAlias = _ReceiptEvent | _ReplyEvent
_encoder = msgspec.json.Encoder()
_answer_decoder: msgspec.json.Decoder[_Answered] = msgspec.json.Decoder(_Answered)
_event_decoder: msgspec.json.Decoder[_CallbackEvent] = msgspec.json.Decoder(_CallbackEvent)


def _needed(upstream: Upstream, name: str) -> str:
    value = upstream.settings.get(name, "")
    if not value:
        raise Misconfigured(f"{upstream.name}: connector setting {name} is missing")
    return value


def _echoes(upstream: Upstream) -> bool:
    return upstream.settings.get("echo", "yes") != "no"


def abilities(upstream: Upstream) -> Abilities:
    """By its settings; long texts are taken whole. Raises Misconfigured on sizes that are none."""
    return Abilities(
        carries_our_id=_echoes(upstream),
        gsm7_sizes=_sizes(upstream, "gsm7_sizes", GSM7_SIZES),
        ucs2_sizes=_sizes(upstream, "ucs2_sizes", UCS2_SIZES),
        speaks=upstream.settings.get("voice", "yes") != "no",
    )


def _sizes(upstream: Upstream, name: str, usual: tuple[int, int]) -> tuple[int, int]:
    setting = upstream.settings.get(name)
    if setting is None:
        return usual
    single, _, several = setting.partition(",")
    # A part has to hold at least an escaped character or a surrogate pair.
    if not (single.isdecimal() and several.isdecimal() and int(single) >= int(several) >= 2):
        raise Misconfigured(f"connector setting {name} must be two sizes such as 160,153")
    return int(single), int(several)


def submit(submits: Sequence[Submit], upstream: Upstream, exchange: Exchange) -> list[Outcome]:
    """One POST each, all at once. Raises Misconfigured where `url` or `callback_url` is missing."""
    found = exchange([_asked(one, upstream) for one in submits])
    return [_outcome(answer) for answer in found]


def _asked(one: Submit, upstream: Upstream) -> Outgoing:
    # The reference travels even when it is not to be echoed: the simulator counts doubles by it.
    question = _Question(
        reference=one.reference,
        to=one.to,
        text=one.text,
        segments=one.segments,
        callback_url=_needed(upstream, "callback_url"),
        echo=_echoes(upstream),
        source=one.source,
        voice=one.voice,
    )
    return Outgoing(
        method="POST",
        url=_needed(upstream, "url").rstrip("/") + "/submit",
        headers={"content-type": "application/json"},
        body=_encoder.encode(question),
        timeout=upstream.submit_timeout,
        private_allowed=True,
    )


def _outcome(answer: Reached | Unreached) -> Outcome:
    if isinstance(answer, Unreached):
        if answer.sent:
            return Uncertain(answer.problem)
        return Unavailable(_DEFAULT_RETRY_AFTER, answer.problem)
    if answer.status in (429, 503):
        return Unavailable(_retry_after(answer), f"HTTP {answer.status}")
    if answer.status != 200:
        return Uncertain(f"HTTP {answer.status}")
    try:
        said = _answer_decoder.decode(answer.body)
    except msgspec.DecodeError:
        return Uncertain("an answer that is not understood")
    if said.id:
        return Submitted(said.id)
    if said.esme:
        return Rejected(said.esme)
    return Uncertain("an answer without id and esme")


def _retry_after(answer: Reached) -> float:
    """The header's seconds; 1 where it is missing, a date, or makes no sense."""
    written = {name.lower(): value for name, value in answer.headers.items()}.get("retry-after", "")
    return float(written) if written.isascii() and written.isdigit() else _DEFAULT_RETRY_AFTER


def verify_callback(raw: RawCallback, upstream: Upstream) -> bool:  # noqa: ARG001 - the Protocol's
    """Always: the simulator signs nothing, the secret in the path is all."""
    return True


def parse_callback(raw: RawCallback, upstream: Upstream) -> list[Receipt | Incoming]:
    """One receipt or reply a callback. Raises ValueError on anything else."""
    try:
        event = _event_decoder.decode(raw.body)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a simulator's callback: {error}") from error
    reference = event.reference if _echoes(upstream) else None
    if isinstance(event, _ReplyEvent):
        return [
            Incoming(event.source, event.text, event.id, reference, event.in_reply_to, event.to)
        ]
    if event.stat not in STATES:
        raise ValueError(f"unknown stat: {event.stat[:20]}")
    return [Receipt(STATES[event.stat], event.err, reference, event.id)]


def acknowledgement() -> Answer:
    """An empty 204: any 2xx ends the simulator's retries."""
    return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
