"""Delivery receipts (Appendix B, 5.2.12, 5.2.28), ours made and those of upstreams read.

Appendix B calls the form of a receipt's text the vendor's own affair; what is read here is what
vendors are known to send.
"""

import re
from datetime import UTC, tzinfo
from typing import Literal, TypeAlias
from unicodedata import combining, normalize

from msgspec import Struct

from recado.esme import RECEIPT_STAT
from recado.message import State
from recado.smpp import pdu, status
from recado.smpp.pdu import Malformed, ShortMessage
from recado.smpp.text import is_ucs2
from recado.smpp.times import read_receipt_date, receipt_date
from recado.smpp.udh import header_and_text

INTERMEDIATE = 0x20  # of esm_class in deliver_sm: an intermediate notification (5.2.12)
NO_ERROR = "000"

IdForm: TypeAlias = Literal["text", "hex", "decimal"]

_TEXT_SHOWN = 20  # characters of the message in its receipt (Appendix B)
_MOST_ERR = 10

# message_state (5.2.28). What has not been submitted yet is on its way to SMPP's eyes; 0 and 9 are
# of SMPP 5.0, which some send on a 3.4 session.
_NUMBER = {
    State.SCHEDULED: 1,
    State.PAUSED: 1,
    State.QUEUED: 1,
    State.SUBMITTING: 1,
    State.ENROUTE: 1,
    State.DELIVERED: 2,
    State.EXPIRED: 3,
    State.DELETED: 4,
    State.UNDELIVERABLE: 5,
    State.FAILED: 5,
    State.ACCEPTED: 6,
    State.UNKNOWN: 7,
    State.REJECTED: 8,
}
_STATE = {
    0: State.ENROUTE,
    1: State.ENROUTE,
    2: State.DELIVERED,
    3: State.EXPIRED,
    4: State.DELETED,
    5: State.UNDELIVERABLE,
    6: State.ACCEPTED,
    7: State.UNKNOWN,
    8: State.REJECTED,
    9: State.UNDELIVERABLE,
}
# What a stat is spelled like; the first that fits counts, for UNDELIVERED has DELIV in it.
_SPELLED = tuple(
    (re.compile(pattern), state)
    for pattern, state in (
        ("UNDEL|FAIL|^NOT|^ERR|ABSENT|BARRED", State.UNDELIVERABLE),
        ("EXPIR", State.EXPIRED),
        ("^DELET|CANCEL", State.DELETED),
        ("REJ|BLOCK|SPAM|BLACKLIST", State.REJECTED),
        ("ACC?EP|^ACK", State.ACCEPTED),
        ("^EN.?ROUTE|^SCHED|BUFFER|QUEUE|PEND|DELAY|^SENT|TRANSIT|^SUBMIT", State.ENROUTE),
        ("^DELI|^DELVR|^DLV|^SUCC|^READ$|^OK$", State.DELIVERED),
    )
)

_key = re.compile(
    r"(?:^|(?<=[\s;,|]))"
    r"((?:message[ _]?|msg[ _]?)?id|sub|dlvrd|submit[ _-]?date|done[ _-]?date|stat|err|text)"
    r" ?[:=]",
    re.IGNORECASE,
)
_hex = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,64})").fullmatch
_decimal = re.compile(r"[0-9]{1,64}").fullmatch
_hex_err = re.compile(r"0[xX]([0-9A-Fa-f]{1,4})").fullmatch
_decimal_err = re.compile(r"[0-9]{1,9}").fullmatch


class Told(Struct, frozen=True, kw_only=True):
    """What a receipt says of a message."""

    id: str  # the upstream's, as receipted_message_id has it; where there is none, as the text has
    state: State  # ENROUTE or ACCEPTED where it is not final
    stat: str  # as it stands there, in capitals; by Appendix B where there is none
    err: str  # three digits as a rule; 000 where nothing is said
    id_in_text: str = ""  # some write it as a decimal number there, and in hexadecimal elsewhere
    submitted_at: float | None = None  # seconds since the epoch, where a date can be read
    done_at: float | None = None
    text: str = ""  # of the message, as far as it is quoted


# --- reading -------------------------------------------------------------------------------------


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm or data_sm is a receipt or an intermediate notification: by its
    esm_class, or by receipted_message_id, which nothing else has. Never by its text: a reply could
    say anything."""
    kind = message.esm_class & pdu.TYPE_MASK
    return kind in (pdu.RECEIPT, INTERMEDIATE) or pdu.RECEIPTED_MESSAGE_ID in message.tlvs


def read_receipt(message: ShortMessage, zone: tzinfo = UTC) -> Told:
    """Reads a receipt: message_state and receipted_message_id first, what they don't say from its
    text, whatever the order and case of its fields. Dates are local in `zone`. A stat that is
    spelled like nothing known is UNKNOWN.

    What follows `text:` is the message's own and read for nothing. Raises Malformed (RX_P_APPN)
    where no id or no state is found, and as `split_udh` does."""
    fields = _fields(_shown(message))
    id_in_text = _word(fields, "id")
    told_id = pdu.read_id(message.tlvs.get(pdu.RECEIPTED_MESSAGE_ID, b"")).strip()
    stat = _word(fields, "stat").upper()
    state = _state(message.tlvs.get(pdu.MESSAGE_STATE, b""), stat)
    if state is None or not (told_id or id_in_text):
        raise Malformed(status.ESME_RX_P_APPN, "a receipt without an id or a state")
    return Told(
        id=told_id or id_in_text,
        id_in_text=id_in_text,
        state=state,
        stat=stat or RECEIPT_STAT.get(state, state.value),
        err=_err(_word(fields, "err"), message.tlvs.get(pdu.NETWORK_ERROR_CODE, b"")),
        submitted_at=read_receipt_date(fields.get("submitdate", ""), zone),
        done_at=read_receipt_date(fields.get("donedate", ""), zone),
        text=fields.get("text", ""),
    )


def _shown(message: ShortMessage) -> str:
    """Names of fields and ids are ASCII in every vendor's default alphabet."""
    _, octets = header_and_text(message)
    if is_ucs2(message.data_coding):
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    marks = list(_key.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    for mark, end in zip(marks, ends, strict=True):
        name = re.sub("[ _-]|message|msg", "", mark[1].lower())
        if name == "text" and found.keys() & {"id", "stat"}:
            found[name] = text[mark.end() :]
            break
        found[name] = text[mark.end() : end].strip(" \t\r\n\0;,|")
    return found


def _word(fields: dict[str, str], name: str) -> str:
    return next(iter(fields.get(name, "").split(maxsplit=1)), "")


def _state(told: bytes, stat: str) -> State | None:
    """The optional parameter's state, unless it is UNKNOWN and the text knows better."""
    spelled = _spelled(stat)
    state = _STATE.get(told[0]) if len(told) == 1 else None
    return spelled or state if state in (None, State.UNKNOWN) else state


def _spelled(stat: str) -> State | None:
    if not stat:
        return None
    if _decimal(stat):  # the number of a message_state
        return _STATE.get(int(stat), State.UNKNOWN)
    return next((state for pattern, state in _SPELLED if pattern.search(stat)), State.UNKNOWN)


def _err(told: str, network: bytes) -> str:
    """The text's code, letters as they are; where it says none or 0, that of network_error_code: a
    type of network, and a code of two octets (5.3.2.31)."""
    if found := _hex_err(told):
        code = f"{int(found[1], 16):03d}"
    elif _decimal_err(told):
        code = f"{int(told):03d}"
    else:
        code = told[:_MOST_ERR].upper()
    if code in ("", NO_ERROR) and len(network) == 3:
        return f"{int.from_bytes(network[1:]):03d}"
    return code or NO_ERROR


def same_id(message_id: str, form: IdForm) -> str:
    """An upstream's id in one spelling, however it stands in an answer or a receipt: "hex" and
    "decimal" become the decimal number without leading zeros, "text" stays. What is not of its
    form stays as it is."""
    stripped = message_id.strip()
    if form == "hex" and (found := _hex(stripped)):
        return str(int(found[1], 16))
    if form == "decimal" and _decimal(stripped):
        return str(int(stripped))
    return stripped


# --- writing -------------------------------------------------------------------------------------


def state_number(state: State) -> int:
    """Its message_state, as query_sm_resp and the optional parameter have it (5.2.28)."""
    return _NUMBER[state]


def receipt_text(
    message_id: str,
    stat: str,
    err: str,
    submitted_at: float,
    done_at: float,
    text: str = "",
    zone: tzinfo = UTC,
) -> bytes:
    """The short_message of a receipt of ours, in ASCII (data_coding 0): Appendix B's fields in its
    order, dates in `zone`.

    Ids are whole, 36 characters, although Appendix B has room for 10: a customer finds its message
    by them. `text` is the message's own; 20 characters of it are shown, what ASCII lacks as its
    letter without the accent or as "?". Fits a short_message with an id of up to 64 characters."""
    delivered = int(stat == RECEIPT_STAT[State.DELIVERED])
    dates = (
        f"submit date:{receipt_date(submitted_at, zone)} done date:{receipt_date(done_at, zone)}"
    )
    told = f"id:{message_id} sub:001 dlvrd:{delivered:03d} {dates} stat:{stat} err:{err}"
    return f"{told} text:{_plain(text[:_TEXT_SHOWN])}".encode("ascii", "replace")


def _plain(text: str) -> str:
    bare = "".join(piece for piece in normalize("NFKD", text) if not combining(piece))
    shown = "".join(piece if " " <= piece <= "~" else "?" for piece in bare.replace("\n", " "))
    return shown[:_TEXT_SHOWN]


def receipt_tlvs(message_id: str, state: State) -> dict[int, bytes]:
    """The optional parameters of a receipt of ours: receipted_message_id, message_state."""
    return {
        pdu.RECEIPTED_MESSAGE_ID: pdu.id_body(message_id),
        pdu.MESSAGE_STATE: bytes((state_number(state),)),
    }
