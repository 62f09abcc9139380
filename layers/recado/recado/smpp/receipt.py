"""Delivery receipts (Appendix B, 5.2.12, 5.2.28), ours made and those of upstreams read."""

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
from recado.smpp.times import receipt_date
from recado.smpp.udh import header_and_text

INTERMEDIATE = 0x20  # of esm_class in deliver_sm: an intermediate notification (5.2.12)
NO_ERROR = "000"
_RECEIPTS = frozenset({pdu.RECEIPT, INTERMEDIATE})
_UNKNOWN = State.UNKNOWN

IdForm: TypeAlias = Literal["text", "hex", "decimal"]

_TEXT_SHOWN = 20  # characters of the message in its receipt (Appendix B)
_MOST_DIGITS = 64  # of a number that is an id or a stat
_DECIMAL = "0123456789"
_HEX = _DECIMAL + "abcdefABCDEF"

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
USUAL_STATS = {
    "DELIVRD": State.DELIVERED,
    "EXPIRED": State.EXPIRED,
    "DELETED": State.DELETED,
    "UNDELIV": State.UNDELIVERABLE,
    "ACCEPTD": State.ACCEPTED,
    "UNKNOWN": State.UNKNOWN,
    "REJECTD": State.REJECTED,
    "ENROUTE": State.ENROUTE,
}

# The form that most upstreams send, in one pass. It matches only where no reading of the text could
# say anything else, which is why an id has none of the marks that fields are parted by. Possessive,
# so that nothing is tried twice.
_usual = re.compile(
    r"id:([0-9A-Za-z_.:+/=-]{1,65}+) sub:[0-9]{1,3}+ dlvrd:[0-9]{1,3}+"
    r" submit date:[0-9]{10,14}+ done date:[0-9]{10,14}+"
    r" stat:([0-9A-Za-z_]{1,32}+) err:([0-9]{3})(?: [Tt]ext:|[ \r\n\0]*+\Z)"
).match


class Told(Struct, frozen=True):
    """What a receipt says of a message."""

    id: str  # the upstream's, as receipted_message_id has it; where there is none, as the text has
    state: State  # ENROUTE or ACCEPTED where it is not final
    stat: str  # as it stands there, in capitals; by Appendix B where there is none
    err: str  # three digits as a rule; 000 where nothing is said
    id_in_text: str = ""  # some write it as a decimal number there, and in hexadecimal elsewhere


# --- reading -------------------------------------------------------------------------------------


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm or data_sm is a receipt or an intermediate notification: by its
    esm_class, or by receipted_message_id where it tells a state, too; without one it is a reply,
    which some tell so. Never by its text alone: a reply could say anything. Raises Malformed as
    `split_udh` does."""
    if message.esm_class & pdu.TYPE_MASK in _RECEIPTS:
        return True
    tlvs = message.tlvs
    if pdu.RECEIPTED_MESSAGE_ID not in tlvs:
        return False
    _, stat, _ = _words(message)
    return _state(tlvs.get(pdu.MESSAGE_STATE, b""), stat) is not None


def read_receipt(message: ShortMessage) -> Told:
    """Reads a receipt: message_state and receipted_message_id first, what they don't say from its
    text, whatever the order and case of its fields. A stat that is spelled like nothing known is
    UNKNOWN.

    What follows `text:` is the message's own and read for nothing. Raises Malformed (RX_P_APPN)
    where no id or no state is found, and as `split_udh` does."""
    id_in_text, stat, err = _words(message)
    if len(id_in_text) > pdu.MOST_ID:
        id_in_text = ""  # no id that submit_sm_resp could have given
    tlvs = message.tlvs
    told_id = pdu.read_id(tlvs.get(pdu.RECEIPTED_MESSAGE_ID, b"")).strip()
    state = _state(tlvs.get(pdu.MESSAGE_STATE, b""), stat)
    if state is None or not (told_id or id_in_text):
        raise Malformed(status.ESME_RX_P_APPN, "a receipt without an id or a state")
    return Told(
        told_id or id_in_text,
        state,
        stat or RECEIPT_STAT.get(state, state.value),
        _err(err, tlvs.get(pdu.NETWORK_ERROR_CODE, b"")),
        id_in_text,
    )


def _words(message: ShortMessage) -> tuple[str, str, str]:
    """id, stat and err, as its text has them."""
    _, octets = header_and_text(message)
    ucs2 = is_ucs2(message.data_coding)
    return (None if ucs2 else usual_words(octets)) or _any_words(octets, ucs2)


def usual_words(octets: bytes) -> tuple[str, str, str] | None:
    """What `vendor_receipts.words_of` says of these octets, at a fraction of its cost; None where
    they are not the usual form of Appendix B."""
    found = _usual(octets.decode("latin-1"))
    if found is None:
        return None
    identifier, stat, err = found.groups()
    return identifier, stat.upper(), err


def _any_words(octets: bytes, ucs2: bool) -> tuple[str, str, str]:
    from recado.smpp.vendor_receipts import words_of  # noqa: PLC0415 - see below

    # Its regular expressions cost milliseconds of a cold start, and few upstreams need them. Names
    # of fields and ids are ASCII in every vendor's default alphabet.
    return words_of(octets.decode("utf-16-be", "replace") if ucs2 else octets.decode("latin-1"))


def _state(told: bytes, stat: str) -> State | None:
    """The optional parameter's state, unless it is UNKNOWN and the text knows better."""
    state = _STATE.get(told[0]) if len(told) == 1 else None
    if state is None or state is _UNKNOWN:
        return _spelled(stat) or state
    return state


def _spelled(stat: str) -> State | None:
    if not stat:
        return None
    if state := USUAL_STATS.get(stat):
        return state
    if _is_number(stat, _DECIMAL):  # that of a message_state
        return _STATE.get(int(stat), State.UNKNOWN)
    from recado.smpp.vendor_receipts import spelled  # noqa: PLC0415 - as in _any_words

    return spelled(stat)


def _err(code: str, network: bytes) -> str:
    """The text's code; where it says none or 0, that of network_error_code: a type of network, and
    a code of two octets (5.3.2.31)."""
    if code in ("", NO_ERROR) and len(network) == 3:
        return f"{int.from_bytes(network[1:]):03d}"
    return code or NO_ERROR


def same_id(message_id: str, form: IdForm) -> str:
    """An upstream's id in one spelling, however it stands in an answer or a receipt: "hex" and
    "decimal" become the decimal number without leading zeros, "text" stays. What is not of its
    form stays as it is."""
    stripped = message_id.strip()
    if form == "hex":
        digits = stripped[2:] if stripped[:2] in ("0x", "0X") else stripped
        return str(int(digits, 16)) if _is_number(digits, _HEX) else stripped
    if form == "decimal" and _is_number(stripped, _DECIMAL):
        return str(int(stripped))
    return stripped


def _is_number(text: str, digits: str) -> bool:
    return 0 < len(text) <= _MOST_DIGITS and not text.strip(digits)


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
