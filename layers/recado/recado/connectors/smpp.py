"""SMPP 3.4: an SMSC that we bind to. Messages go as submit_sm, and each segment of a long text has
an id of its own; receipts and replies come as deliver_sm or data_sm over the same binds.

Who holds the binds (`smpp.binds`) sends the PDUs that are made here, and queues what comes over
them as `raw_of` makes it. docs/smpp.md has the settings.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from hashlib import sha256

from msgspec.structs import replace

from recado.connectors import (
    Abilities,
    Incoming,
    Outcome,
    RawCallback,
    Receipt,
    Rejected,
    Submit,
    Submitted,
    Unavailable,
    Uncertain,
    Upstream,
)
from recado.connectors.smpp_messages import Unfit, messages_of
from recado.connectors.smpp_settings import (
    SETTINGS,
    Terms,
    dialling_of,
    measure_of,
    once_a_reading,
    terms_of,
)
from recado.esme import RSUBMITFAIL
from recado.http import Answer, Exchange, Outgoing, Reached, Unreached
from recado.segments import UCS2_SIZES
from recado.smpp import pdu, status
from recado.smpp.pdu import Malformed, ShortMessage
from recado.smpp.receipt import Told, is_receipt, read_receipt, same_id
from recado.smpp.text import DEFAULT, UCS2, decoded
from recado.smpp.udh import concatenation_of, header_and_text

__all__ = [
    "SETTINGS",
    "abilities",
    "acknowledgement",
    "parse_callback",
    "raw_of",
    "submit",
    "verify_callback",
]

SCHEME = "smpp:"  # of an Outgoing that goes by a bind
# Headers of such an Outgoing, which never go on the wire: PDUs with the same TEXT are the parts of
# one text; with TEXT_BEGUN others of them were taken before.
TEXT, TEXT_BEGUN = "text", "text-begun"
_METHOD = "SMPP"  # of a RawCallback that came over one
_SECOND_GO = 3.0  # seconds; a claim holds 5 longer than its submit may take

# Not now, says the SMSC: after how many seconds it is worth a try.
_NOT_NOW = {
    status.ESME_RTHROTTLED: 1.0,
    status.ESME_RMSGQFUL: 2.0,
    status.ESME_RSYSERR: 5.0,
    status.ESME_RX_T_APPN: 5.0,
    status.ESME_RINVBNDSTS: 1.0,  # the bind is wrong, not the message
}
_UNREACHED_FOR = 1.0

# What tells something, by its command.
_READERS = {str(pdu.DELIVER_SM): pdu.read_message, str(pdu.DATA_SM): pdu.read_data}
# Of esm_class in deliver_sm (5.2.12): a reply, and what a handset or its owner acknowledges.
_REPLIES = frozenset({0x00, 0x08, 0x10})


@once_a_reading
def abilities(upstream: Upstream) -> Abilities:
    """By its settings. Raises Misconfigured on one that makes no sense."""
    terms = terms_of(upstream)
    dialling_of(upstream)
    measure_of(upstream)
    return Abilities(
        gsm7_sizes=terms.gsm7_sizes,
        ucs2_sizes=UCS2_SIZES,
        splits=terms.long != "payload",
        over_bind=True,
    )


# --- submit --------------------------------------------------------------------------------------


def submit(submits: Sequence[Submit], upstream: Upstream, exchange: Exchange) -> list[Outcome]:
    """One submit_sm a segment, all at once. Where of a long text some were taken and others could
    not go now, those have one more try before the whole is Uncertain."""
    terms = terms_of(upstream)
    asked: list[Outgoing] = []
    shares: list[int | range | Rejected] = []  # which of `asked` are a message's: one, or several
    for one in submits:
        try:
            bodies = [pdu.message_body(message) for message in messages_of(one, terms)]
        except Unfit as unfit:
            shares.append(Rejected(unfit.esme))
        except ValueError:  # a character that nothing on the wire has
            shares.append(Rejected(RSUBMITFAIL))
        else:
            at = len(asked)
            shares.append(at if len(bodies) == 1 else range(at, at + len(bodies)))
            headers = {TEXT: one.reference} if len(bodies) > 1 else {}
            asked += [_asked(body, headers, upstream) for body in bodies]
    said = [_said(answer, terms) for answer in exchange(asked)] if asked else []
    if several := [share for share in shares if isinstance(share, range)]:
        _once_more(asked, said, several, terms, exchange)
    return [_outcome(share, said) for share in shares]


def _asked(body: bytes, headers: dict[str, str], upstream: Upstream) -> Outgoing:
    request = pdu.framed(pdu.SUBMIT_SM, 0, body)
    return Outgoing(_METHOD, SCHEME + upstream.name, headers, request, upstream.submit_timeout)


# --- outcomes ------------------------------------------------------------------------------------


def _said(answer: Reached | Unreached, terms: Terms) -> Outcome:
    """What became of one PDU."""
    if isinstance(answer, Unreached):
        if answer.sent:
            return Uncertain(answer.problem)
        return Unavailable(_UNREACHED_FOR, answer.problem)
    if answer.status != status.ESME_ROK:
        name = status.name_of(answer.status)
        after = _NOT_NOW.get(answer.status)
        return Rejected(name) if after is None else Unavailable(after, name)
    # It said yes, even where it gives no id, or one that is none: sent again it would be doubled.
    return Submitted(same_id(pdu.read_id(answer.body), terms.id_in_answer))


def _once_more(
    asked: Sequence[Outgoing],
    said: list[Outcome],
    several: Sequence[range],
    terms: Terms,
    exchange: Exchange,
) -> None:
    """Asks again what could not go, of messages whose other segments were taken: before all that
    waits, or it would find no room this time either."""
    again = [
        at
        for share in several
        if isinstance(_together(said[share.start : share.stop]), Uncertain)
        for at in share
        if isinstance(said[at], Unavailable)
    ]
    if again:
        answers = exchange([_second(asked[at]) for at in again])
        for at, answer in zip(again, answers, strict=True):
            said[at] = _said(answer, terms)


def _second(asked: Outgoing) -> Outgoing:
    return replace(asked, headers={**asked.headers, TEXT_BEGUN: "yes"}, timeout=_SECOND_GO)


def _outcome(share: int | range | Rejected, said: Sequence[Outcome]) -> Outcome:
    """What became of a message that has this share in what was asked, or none."""
    if isinstance(share, int):
        return said[share]
    if isinstance(share, Rejected):
        return share
    return _together(said[share.start : share.stop])


def _together(parts: Sequence[Outcome]) -> Outcome:
    """What became of a message, by its several segments."""
    for part in parts:
        if isinstance(part, Rejected):
            return part
    ids = [part.upstream_id for part in parts if isinstance(part, Submitted)]
    if len(ids) == len(parts):
        return Submitted(ids[0], tuple(ids[1:]))
    waits = [part for part in parts if isinstance(part, Unavailable)]
    if len(waits) == len(parts):
        return max(waits, key=lambda part: part.retry_after)
    return next((part for part in parts if isinstance(part, Uncertain)), Uncertain("sent in part"))


# --- what comes over a bind ----------------------------------------------------------------------


def raw_of(upstream: str, command: int, body: bytes, received_at: float) -> RawCallback:
    """A deliver_sm or data_sm as it goes on the queue. `received_at` is that of the first time
    where the upstream sends it again: by it and by its octets a reply is known."""
    octets = b2a_base64(body, newline=False).decode("ascii")
    return RawCallback(upstream, _METHOD, "", {"command": str(command)}, octets, received_at)


def verify_callback(raw: RawCallback, upstream: Upstream) -> bool:  # noqa: ARG001 - the Protocol's
    """What came over a bind; nobody posts to it by HTTP."""
    return raw.method == _METHOD


def parse_callback(raw: RawCallback, upstream: Upstream) -> list[Receipt | Incoming]:
    """One receipt (final or not) or reply. Raises ValueError on anything else."""
    terms = terms_of(upstream)
    try:
        message, body = _read(raw)
        if is_receipt(message):
            told = read_receipt(message)
            return [Receipt(told.state, told.err, upstream_id=_id_of(told, terms))]
        return [_incoming(message, body, raw, terms)]
    except (Malformed, KeyError) as error:
        raise ValueError(f"no deliver_sm that can be read: {error}") from error


def _read(raw: RawCallback) -> tuple[ShortMessage, bytes]:
    if raw.method != _METHOD:
        raise ValueError("it did not come over a bind")
    body = a2b_base64(raw.body, strict_mode=True)
    return _READERS[raw.headers["command"]](body), body


def _id_of(told: Told, terms: Terms) -> str:
    """The id as submit_sm_resp gave it, in one spelling. receipted_message_id has the answer's
    form (5.3.2.12); the text has its vendor's."""
    if told.id_in_text and (told.id == told.id_in_text or terms.id_in_receipt != "text"):
        return same_id(told.id_in_text, terms.id_in_receipt)
    return same_id(told.id, terms.id_in_answer)


def _incoming(message: ShortMessage, body: bytes, raw: RawCallback, terms: Terms) -> Incoming:
    kind = message.esm_class & pdu.TYPE_MASK
    source = message.source.digits.removeprefix("+")
    if kind not in _REPLIES or not source:
        raise ValueError(f"esm_class {message.esm_class:#04x} is no reply of anybody's")
    _, octets = header_and_text(message)
    ucs2 = terms.encoding == "ucs2" and message.data_coding == DEFAULT
    coding = UCS2 if ucs2 else message.data_coding
    return Incoming(
        source=source,
        text=decoded(octets, coding, terms.alphabet),
        # A customer's customer may write the same twice; an upstream repeats itself to the octet.
        upstream_event=f"{sha256(body).hexdigest()[:32]}.{raw.received_at:.3f}",
        destination=message.destination.digits.removeprefix("+"),
        part=concatenation_of(message),
    )


def acknowledgement() -> Answer:
    """An empty 204; what comes over a bind is acknowledged there."""
    return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
