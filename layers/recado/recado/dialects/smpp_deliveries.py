"""What a mailbox holds, as deliver_sm: receipts (SMPP 3.4, Appendix B) and replies."""

import re
from types import MappingProxyType
from typing import Literal, cast

from msgspec.structs import replace

from recado.costcentre import CostCentre, zone
from recado.esme import RECEIPT_STAT
from recado.mailbox import Mailed, MailedReceipt, MailedReply
from recado.message import State
from recado.smpp.pdu import (
    MESSAGE_PAYLOAD,
    MOST_TEXT,
    NETWORK_ERROR_CODE,
    NOBODY,
    RECEIPT,
    USER_MESSAGE_REFERENCE,
    Address,
    ShortMessage,
    message_body,
    read_message,
)
from recado.smpp.receipt import receipt_text, receipt_tlvs
from recado.smpp.text import coding_for, encoded, is_ucs2

_INTERNATIONAL, _ALPHANUMERIC = 1, 5  # types of number (5.2.5)
_TELEPHONE = 1  # numbering plan (5.2.6)
_GSM = b"\x03"  # the network of an error code (5.3.2.31)
_SHORTEST_NUMBER = 8  # digits; what has fewer is a short number, of no country
_HIGH_SURROGATES = range(0xD8, 0xDC)  # first octets of a pair's first half (UTF-16, big-endian)
_ESCAPE = b"\x1b"  # to the extension table of GSM 03.38
_MOST_ADDRESS = 20  # octets (4.6.1)
_MOST_PAYLOAD = 0xFFFE  # octets: what the length of an optional parameter can say (3.2.4.1), even
# From the last to the first: UNDELIV is what an upstream said, before it is our own FAILED.
_STATE = MappingProxyType({stat: state for state, stat in reversed(RECEIPT_STAT.items())})
_is_number = re.compile(r"\+?[0-9]+").fullmatch
_is_reference = re.compile("[0-9]{1,5}").fullmatch


def deliver_body(mailed: Mailed, cost_centre: CostCentre) -> bytes:
    """The body of the deliver_sm that carries it."""
    if isinstance(mailed, MailedReceipt):
        return message_body(_receipt(mailed, cost_centre))
    return message_body(_reply(mailed, cost_centre))


def without_tlvs(body: bytes) -> bytes:
    """The same deliver_sm for a client older than 3.4, which knows no optional parameters: of a
    text that only message_payload holds its beginning, as much as a short_message has."""
    message = read_message(body)
    if not message.tlvs:
        return body
    text = _beginning(message.payload, message.data_coding, MOST_TEXT)
    return message_body(replace(message, text=text, tlvs={}))


def _beginning(octets: bytes, data_coding: int, most: int) -> bytes:
    """At most so many octets, an even number of them, without half a character at the end."""
    text = octets[:most]
    if len(octets) <= most:
        return text
    if is_ucs2(data_coding):
        return text[:-2] if text[-2] in _HIGH_SURROGATES else text
    return text.removesuffix(_ESCAPE)


def _receipt(mailed: MailedReceipt, cost_centre: CostCentre) -> ShortMessage:
    """From the number that the message went to, to the source that its customer gave. Dates in its
    text are local, in the cost centre's time zone."""
    tlvs = receipt_tlvs(mailed.message_id, _STATE.get(mailed.stat, State.UNKNOWN))
    if mailed.err.isdigit() and int(mailed.err):
        tlvs[NETWORK_ERROR_CODE] = _GSM + int(mailed.err).to_bytes(2)
    reference = mailed.reference or ""
    if _is_reference(reference) and int(reference) <= 0xFFFF:
        tlvs[USER_MESSAGE_REFERENCE] = int(reference).to_bytes(2)
    text = receipt_text(
        mailed.message_id,
        mailed.stat,
        mailed.err,
        mailed.submitted_at,
        mailed.done_at,
        mailed.text,
        zone(cost_centre.time_zone),
    )
    return ShortMessage(
        source=_address(mailed.to),
        destination=_address(mailed.source),
        text=text,
        esm_class=RECEIPT,
        tlvs=tlvs,
    )


def _reply(mailed: MailedReply, cost_centre: CostCentre) -> ShortMessage:
    """ "o valor será sempre 0", the Zoug document says of its esm_class. In data_coding 0 where it
    fits, else in UCS-2. Of a text that is too long even for message_payload its beginning goes."""
    alphabet = cast(Literal["gsm", "latin1"], cost_centre.smpp_alphabet)
    coding = coding_for(mailed.text, alphabet)
    octets = _beginning(encoded(mailed.text, coding, alphabet), coding, _MOST_PAYLOAD)
    fits = len(octets) <= MOST_TEXT
    return ShortMessage(
        source=_address(mailed.source),
        destination=_address(mailed.destination),
        text=octets if fits else b"",
        data_coding=coding,
        tlvs={} if fits else {MESSAGE_PAYLOAD: octets},
    )


def _address(written: str) -> Address:
    """A number with its country, a short number, or a word. By HTTP a source may have been any
    text: what an address can't hold is shown as "?"."""
    if not written:
        return NOBODY
    if _is_number(written):
        ton = _INTERNATIONAL if len(written) >= _SHORTEST_NUMBER else 0
        return Address(ton, _TELEPHONE, written[:_MOST_ADDRESS])
    plain = written.encode("latin-1", "replace").replace(b"\0", b"?")[:_MOST_ADDRESS]
    return Address(_ALPHANUMERIC, 0, plain.decode("latin-1"))
