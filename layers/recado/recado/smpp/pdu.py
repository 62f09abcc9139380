"""PDUs: octets to records and back (section 4), for both ends of a session.

A PDU is a header of 16 octets and a body. Bodies are read only as far as somebody wants them; what
can't be read is a `Malformed`, which says the command_status that answers it.
"""

import struct
from collections.abc import Iterable, Mapping
from struct import Struct as Layout
from types import MappingProxyType

from msgspec import Struct

from recado.smpp import status

HEADER = Layout(">IIII")  # command_length, command_id, command_status, sequence_number
HEADER_SIZE = 16
LAST_SEQUENCE = 0x7FFFFFFF
MOST_TEXT = 254  # octets of a short_message; longer ones go in message_payload

GENERIC_NACK = 0x80000000
RESPONSE = 0x80000000  # set in the id of every response
BIND_RECEIVER = 0x01
BIND_TRANSMITTER = 0x02
QUERY_SM = 0x03
SUBMIT_SM = 0x04
DELIVER_SM = 0x05
UNBIND = 0x06
REPLACE_SM = 0x07
CANCEL_SM = 0x08
BIND_TRANSCEIVER = 0x09
OUTBIND = 0x0B
ENQUIRE_LINK = 0x15
SUBMIT_MULTI = 0x21
ALERT_NOTIFICATION = 0x102
DATA_SM = 0x103

BINDS = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})

# Optional parameters (section 5.3.2).
USER_MESSAGE_REFERENCE = 0x0204
SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
SC_INTERFACE_VERSION = 0x0210
QOS_TIME_TO_LIVE = 0x0017
RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

UDHI = 0x40  # of esm_class: the short message begins with a user data header (5.2.12)
RECEIPT = 0x04  # of esm_class in deliver_sm: an SMSC delivery receipt
TYPE_MASK = 0x3C

Tlvs = Mapping[int, bytes]
_NO_TLVS: Tlvs = MappingProxyType({})


class Malformed(Exception):
    """A PDU that can't be read, and the command_status that says so."""

    def __init__(self, command_status: int, why: str) -> None:
        super().__init__(why)
        self.command_status = command_status


class Pdu(Struct, frozen=True):
    """One PDU: its header taken apart, its body as it came."""

    command: int
    command_status: int
    sequence: int
    body: bytes = b""


class Address(Struct, frozen=True):
    """Type of number, numbering plan, digits or letters (5.2.5 to 5.2.7)."""

    ton: int = 0
    npi: int = 0
    digits: str = ""


NOBODY = Address()


class Bind(Struct, frozen=True):
    """The body of the three binds (4.1.1)."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = 0x34
    address_range: Address = NOBODY


class ShortMessage(Struct, frozen=True):
    """The body of submit_sm and deliver_sm (4.4.1, 4.6.1); that of data_sm and submit_multi as far
    as they have the same fields."""

    source: Address = NOBODY
    destination: Address = NOBODY
    text: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    registered_delivery: int = 0
    service_type: str = ""
    protocol_id: int = 0
    priority: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    replace_if_present: int = 0
    default_message: int = 0
    tlvs: Tlvs = _NO_TLVS

    @property
    def payload(self) -> bytes:
        """The text, wherever it stands."""
        return self.text or self.tlvs.get(MESSAGE_PAYLOAD, b"")


class Multi(Struct, frozen=True):
    """The body of submit_multi (4.5.1): destinations, names of distribution lists, the rest."""

    destinations: tuple[Address, ...]
    lists: tuple[str, ...]
    message: ShortMessage


class Query(Struct, frozen=True):
    """The body of query_sm (4.8.1), and of cancel_sm (4.9.1), which has more."""

    message_id: str
    source: Address = NOBODY
    destination: Address = NOBODY
    service_type: str = ""


class Replacement(Struct, frozen=True):
    """The body of replace_sm (4.10.1)."""

    message_id: str
    source: Address
    schedule_delivery_time: str
    validity_period: str
    registered_delivery: int
    default_message: int
    text: bytes


# --- reading -------------------------------------------------------------------------------------


def split(buffer: bytes | bytearray, most: int) -> tuple[list[Pdu], int]:
    """The whole PDUs at the beginning of what was received, and how many octets they take. Raises
    Malformed (RINVCMDLEN) on a length that no PDU has, or above `most`: what follows can't be
    found any more, the session has to end. PDUs before it are lost with it."""
    found: list[Pdu] = []
    at, end = 0, len(buffer)
    while end - at >= HEADER_SIZE:
        length, command, command_status, sequence = HEADER.unpack_from(buffer, at)
        if not HEADER_SIZE <= length <= most:
            if found:
                break  # those first; this one is met again
            raise Malformed(status.ESME_RINVCMDLEN, f"a PDU of {length} octets")
        if end - at < length:
            break
        found.append(
            Pdu(command, command_status, sequence, bytes(buffer[at + HEADER_SIZE : at + length]))
        )
        at += length
    return found, at


class _Reader:
    """Reads a body from its beginning to its end."""

    __slots__ = ("at", "body")

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def text(self, most: int, field: str, wrong: int = status.ESME_RINVCMDLEN) -> str:
        """A C-Octet string of at most `most` octets, its NUL included (3.1)."""
        end = self.body.find(0, self.at)
        if end < 0:
            raise Malformed(status.ESME_RINVCMDLEN, f"{field} has no end")
        if end - self.at >= most:
            raise Malformed(wrong, f"{field} has more than {most - 1} characters")
        found = self.body[self.at : end]
        self.at = end + 1
        return found.decode("latin-1")

    def octet(self) -> int:
        try:
            found = self.body[self.at]
        except IndexError:
            raise Malformed(status.ESME_RINVCMDLEN, "the body ends too soon") from None
        self.at += 1
        return found

    def address(self, field: str, wrong: int) -> Address:
        ton, npi = self.octet(), self.octet()
        return Address(ton, npi, self.text(65, field, wrong))

    def octets(self, length: int) -> bytes:
        found = self.body[self.at : self.at + length]
        if len(found) < length:
            raise Malformed(status.ESME_RINVMSGLEN, "short_message is shorter than sm_length")
        self.at += length
        return found

    def tlvs(self) -> Tlvs:
        """What is left of the body: optional parameters (3.2.4)."""
        body, at, end = self.body, self.at, len(self.body)
        if at == end:
            return _NO_TLVS
        found: dict[int, bytes] = {}
        while at + 4 <= end:
            tag, length = _TLV.unpack_from(body, at)
            at += 4 + length
            if at > end:
                raise Malformed(status.ESME_RINVPARLEN, f"optional parameter {tag:#06x} is cut off")
            found[tag] = body[at - length : at]
        if at != end:
            raise Malformed(status.ESME_RINVOPTPARSTREAM, "octets are left over")
        return found


_TLV = Layout(">HH")
_FIXED = Layout(">BBB")


def read_bind(body: bytes) -> Bind:
    reader = _Reader(body)
    return Bind(
        system_id=reader.text(16, "system_id", status.ESME_RINVSYSID),
        password=reader.text(9, "password", status.ESME_RINVPASWD),
        system_type=reader.text(13, "system_type", status.ESME_RINVSYSTYP),
        interface_version=reader.octet(),
        address_range=_address_range(reader),
    )


def _address_range(reader: _Reader) -> Address:
    # Some clients end their bind before it, and nobody uses it.
    if reader.at >= len(reader.body):
        return NOBODY
    return reader.address("address_range", status.ESME_RINVCMDLEN)


def read_message(body: bytes) -> ShortMessage:
    """The body of submit_sm or deliver_sm."""
    reader = _Reader(body)
    service_type = reader.text(6, "service_type", status.ESME_RINVSERTYP)
    source = reader.address("source_addr", status.ESME_RINVSRCADR)
    destination = reader.address("destination_addr", status.ESME_RINVDSTADR)
    return _rest(reader, service_type, source, destination)


def _rest(
    reader: _Reader, service_type: str, source: Address, destination: Address
) -> ShortMessage:
    """From esm_class on."""
    try:
        esm_class, protocol_id, priority = _FIXED.unpack_from(reader.body, reader.at)
    except struct.error:
        raise Malformed(status.ESME_RINVCMDLEN, "the body ends too soon") from None
    reader.at += 3
    schedule = reader.text(17, "schedule_delivery_time", status.ESME_RINVSCHED)
    validity = reader.text(17, "validity_period", status.ESME_RINVEXPIRY)
    registered, replace_if_present, data_coding = (reader.octet(), reader.octet(), reader.octet())
    default_message, length = reader.octet(), reader.octet()
    text = reader.octets(length)
    return ShortMessage(
        source=source,
        destination=destination,
        text=text,
        data_coding=data_coding,
        esm_class=esm_class,
        registered_delivery=registered,
        service_type=service_type,
        protocol_id=protocol_id,
        priority=priority,
        schedule_delivery_time=schedule,
        validity_period=validity,
        replace_if_present=replace_if_present,
        default_message=default_message,
        tlvs=reader.tlvs(),
    )


def read_data(body: bytes) -> ShortMessage:
    """The body of data_sm (4.7.1): its text is in message_payload."""
    reader = _Reader(body)
    service_type = reader.text(6, "service_type", status.ESME_RINVSERTYP)
    source = reader.address("source_addr", status.ESME_RINVSRCADR)
    destination = reader.address("destination_addr", status.ESME_RINVDSTADR)
    esm_class, registered, data_coding = reader.octet(), reader.octet(), reader.octet()
    return ShortMessage(
        source=source,
        destination=destination,
        data_coding=data_coding,
        esm_class=esm_class,
        registered_delivery=registered,
        service_type=service_type,
        tlvs=reader.tlvs(),
    )


def read_multi(body: bytes) -> Multi:
    reader = _Reader(body)
    service_type = reader.text(6, "service_type", status.ESME_RINVSERTYP)
    source = reader.address("source_addr", status.ESME_RINVSRCADR)
    amount = reader.octet()
    if not 1 <= amount <= 254:
        raise Malformed(status.ESME_RINVNUMDESTS, f"{amount} destinations")
    destinations: list[Address] = []
    lists: list[str] = []
    for _ in range(amount):
        flag = reader.octet()
        if flag == 1:
            destinations.append(reader.address("destination_addr", status.ESME_RINVDSTADR))
        elif flag == 2:
            lists.append(reader.text(21, "dl_name", status.ESME_RINVDLNAME))
        else:
            raise Malformed(status.ESME_RINVDESTFLAG, f"dest_flag {flag}")
    message = _rest(reader, service_type, source, NOBODY)
    return Multi(tuple(destinations), tuple(lists), message)


def read_query(body: bytes) -> Query:
    reader = _Reader(body)
    message_id = reader.text(65, "message_id", status.ESME_RINVMSGID)
    return Query(message_id, reader.address("source_addr", status.ESME_RINVSRCADR))


def read_cancel(body: bytes) -> Query:
    reader = _Reader(body)
    service_type = reader.text(6, "service_type", status.ESME_RINVSERTYP)
    message_id = reader.text(65, "message_id", status.ESME_RINVMSGID)
    source = reader.address("source_addr", status.ESME_RINVSRCADR)
    destination = reader.address("destination_addr", status.ESME_RINVDSTADR)
    return Query(message_id, source, destination, service_type)


def read_replacement(body: bytes) -> Replacement:
    reader = _Reader(body)
    message_id = reader.text(65, "message_id", status.ESME_RINVMSGID)
    source = reader.address("source_addr", status.ESME_RINVSRCADR)
    schedule = reader.text(17, "schedule_delivery_time", status.ESME_RINVSCHED)
    validity = reader.text(17, "validity_period", status.ESME_RINVEXPIRY)
    registered, default_message, length = reader.octet(), reader.octet(), reader.octet()
    text = reader.octets(length)
    return Replacement(message_id, source, schedule, validity, registered, default_message, text)


def read_id(body: bytes) -> str:
    """The message_id of a submit_sm_resp or data_sm_resp; empty where there is none, as an answer
    with an error may have it. An answer may not end in NUL, as some write it."""
    return body.partition(b"\0")[0].decode("latin-1")


# --- writing -------------------------------------------------------------------------------------


def framed(command: int, sequence: int, body: bytes = b"", command_status: int = 0) -> bytes:
    """A PDU with its header."""
    return HEADER.pack(HEADER_SIZE + len(body), command, command_status, sequence) + body


def renumbered(pdu: bytes, sequence: int) -> bytes:
    """A framed PDU with another sequence number."""
    return pdu[:12] + sequence.to_bytes(4) + pdu[16:]


def bind_body(bind: Bind) -> bytes:
    return b"".join(
        (
            _text(bind.system_id),
            _text(bind.password),
            _text(bind.system_type),
            bytes((bind.interface_version,)),
            _address(bind.address_range),
        )
    )


def message_body(message: ShortMessage) -> bytes:
    """The body of a submit_sm or deliver_sm. Raises ValueError on a text of more than MOST_TEXT
    octets."""
    length = len(message.text)
    if length > MOST_TEXT:
        raise ValueError(f"a short_message of {length} octets")
    source, destination = message.source, message.destination
    body = b"%b\0%c%c%b\0%c%c%b\0%c%c%c%b\0%b\0%c%c%c%c%c%b" % (
        message.service_type.encode("latin-1"),
        source.ton,
        source.npi,
        source.digits.encode("latin-1"),
        destination.ton,
        destination.npi,
        destination.digits.encode("latin-1"),
        message.esm_class,
        message.protocol_id,
        message.priority,
        message.schedule_delivery_time.encode("latin-1"),
        message.validity_period.encode("latin-1"),
        message.registered_delivery,
        message.replace_if_present,
        message.data_coding,
        message.default_message,
        length,
        message.text,
    )
    return body + tlv_octets(message.tlvs.items()) if message.tlvs else body


def tlv_octets(tlvs: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join([_TLV.pack(tag, len(value)) + value for tag, value in tlvs])


def _text(value: str) -> bytes:
    return value.encode("latin-1") + b"\0"


def _address(address: Address) -> bytes:
    return bytes((address.ton, address.npi)) + _text(address.digits)


def id_body(message_id: str) -> bytes:
    """The body of submit_sm_resp, and of deliver_sm_resp, whose id is empty (4.6.2)."""
    return _text(message_id)


def query_answer(message_id: str, final_date: str, state: int, error: int) -> bytes:
    """The body of query_sm_resp (4.8.2)."""
    return _text(message_id) + _text(final_date) + bytes((state, error))


def multi_answer(message_id: str, refused: Iterable[tuple[Address, int]]) -> bytes:
    """The body of submit_multi_resp (4.5.3): the destinations that were not taken, and why."""
    sad = [_address(address) + code.to_bytes(4) for address, code in refused]
    return _text(message_id) + bytes((len(sad),)) + b"".join(sad)
