"""A message as submit_sm carries it: its addresses, its text in octets, and the segments of a long
one, each with its part in a user data header or in SAR parameters; or whole, as message_payload."""

from functools import lru_cache
from zlib import crc32

from msgspec.structs import replace

from recado.connectors import Part, Submit
from recado.connectors.smpp_settings import Terms
from recado.esme import RINVDSTADR, RINVMSGLEN
from recado.smpp.pdu import MESSAGE_PAYLOAD, MOST_TEXT, UDHI, Address, ShortMessage
from recado.smpp.text import UCS2, coded, coding_for, encoded, segments
from recado.smpp.times import relative
from recado.smpp.udh import concatenation, sar

_RINVSRCADR = "ESME_RINVSRCADR"
_MOST_PARTS = 255  # what a part's number has room for
_MOST_DIGITS = 20  # of an address (4.4.1)
_LONGEST = 99 * 86_400  # seconds of a validity_period that is told in days
_MOST_SHORT_CODE = 8  # digits; what is longer has its country's code


class Unfit(Exception):
    """It has no place in a PDU, and what an SMSC would say to that."""

    def __init__(self, esme: str) -> None:
        super().__init__(esme)
        self.esme = esme


def messages_of(one: Submit, terms: Terms) -> list[ShortMessage]:
    """A message for each segment. Raises Unfit, and ValueError on a character that nothing on the
    wire has."""
    if one.udh:
        coding = UCS2 if terms.encoding == "ucs2" else coding_for(one.text, terms.alphabet)
        octets = bytes.fromhex(one.udh) + encoded(one.text, coding, terms.alphabet)
        return [_holding(replace(_message(one, terms, coding, b""), esm_class=UDHI), octets)]
    # Cut by the sizes that the connector's abilities tell: so many parts are counted on.
    coding, parts = _cut(one.text, terms)
    if len(parts) == 1:
        return [_message(one, terms, coding, parts[0])]
    base = _message(one, terms, coding, b"")
    if terms.long == "payload":
        return [_holding(base, b"".join(parts))]
    if len(parts) > _MOST_PARTS:
        raise Unfit(RINVMSGLEN)
    # The same each time, so that of a message sent twice a handset still makes one.
    reference = crc32(one.reference.encode())
    return [
        _part(base, octets, reference, len(parts), number, terms)
        for number, octets in enumerate(parts, 1)
    ]


def _cut(text: str, terms: Terms) -> tuple[int, list[bytes]]:
    """The text's data_coding, and the octets of its segments."""
    if terms.encoding == "ucs2":
        return UCS2, segments(text, UCS2)
    return coded(text, terms.alphabet, terms.gsm7_sizes)


def _message(one: Submit, terms: Terms, coding: int, octets: bytes) -> ShortMessage:
    left = one.validity
    return ShortMessage(
        source=_source(terms.source or one.source, terms.source_ton, terms.source_npi),
        destination=_destination(one.to, terms),
        text=octets,
        data_coding=coding,
        registered_delivery=terms.registered,
        service_type=terms.service_type,
        validity_period=_period(int(left)) if terms.validity and left is not None else "",
    )


def _part(
    base: ShortMessage, octets: bytes, reference: int, total: int, number: int, terms: Terms
) -> ShortMessage:
    if terms.long == "sar":
        return replace(base, text=octets, tlvs=sar(Part(reference & 0xFFFF, total, number)))
    header = concatenation(Part(reference & 0xFF, total, number))
    return replace(base, text=header + octets, esm_class=UDHI)


def _holding(message: ShortMessage, octets: bytes) -> ShortMessage:
    if len(octets) <= MOST_TEXT:
        return replace(message, text=octets)
    if len(octets) > 0xFFFF:
        raise Unfit(RINVMSGLEN)
    return replace(message, tlvs={MESSAGE_PAYLOAD: octets})


@lru_cache(maxsize=1024)  # most messages have as many hours left, or nearly
def _period(left: int) -> str:
    """Of a second at least: 0 could be read as at once, or as for ever."""
    return relative(min(max(left, 1), _LONGEST))


def _destination(number: str, terms: Terms) -> Address:
    if not 1 <= len(number) <= _MOST_DIGITS:
        raise Unfit(RINVDSTADR)
    return Address(terms.dest_ton, terms.dest_npi, number)


@lru_cache(maxsize=1024)  # customers have few, and send many messages from each
def _source(source: str, told_ton: int | None, told_npi: int | None) -> Address:
    """With type of number and numbering plan as set, or by its look (5.2.5, 5.2.6)."""
    digits = source.removeprefix("+")
    ton, npi = 1, 1  # international, E.164
    if not source:
        ton, npi = 0, 0
    elif not (digits.isascii() and digits.isdigit()):
        ton, npi, digits = 5, 0, source  # alphanumeric
    elif len(digits) <= _MOST_SHORT_CODE and digits == source:
        ton, npi = 3, 0  # network specific: a short code
    if len(digits) > _MOST_DIGITS or not digits.isascii():
        raise Unfit(_RINVSRCADR)
    ton = ton if told_ton is None else told_ton
    npi = npi if told_npi is None else told_npi
    return Address(ton, npi, digits)
