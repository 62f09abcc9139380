"""From octets to records. Users import these from `recado.smpp.pdu`.

Raised is Malformed, whatever the octets. Addresses may have 64 characters everywhere, as in
data_sm, not 20 as in submit_sm: whether one can be sent to is not the codec's business.
"""

import re

from recado.smpp import status
from recado.smpp.records import (
    HEADER,
    HEADER_SIZE,
    NO_TLVS,
    NOBODY,
    TLV,
    Address,
    Bind,
    Malformed,
    Multi,
    Pdu,
    Query,
    Replacement,
    ShortMessage,
    Tlvs,
)

MOST_ID = 64  # characters of a message_id; its NUL makes 65 octets

_header = HEADER.unpack_from
_tag_and_length = TLV.unpack_from
# The mandatory parameters of submit_sm and deliver_sm up to short_message, in one pass: a method
# call for each field would take three times as long. Possessive, so that nothing is tried twice.
_mandatory = re.compile(
    rb"([^\0]{0,5}+)\0"  # service_type
    rb"(..)([^\0]{0,64}+)\0"  # source_addr_ton, source_addr_npi, source_addr
    rb"(..)([^\0]{0,64}+)\0"  # dest_addr_ton, dest_addr_npi, destination_addr
    rb"(...)"  # esm_class, protocol_id, priority_flag
    rb"([^\0]{0,16}+)\0([^\0]{0,16}+)\0"  # schedule_delivery_time, validity_period
    # registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length
    rb"(.....)",
    re.DOTALL,
).match


def split(buffer: bytes | bytearray, most: int) -> tuple[list[Pdu], int]:
    """The whole PDUs at the beginning of what was received, and how many octets they take. Raises
    Malformed (RINVCMDLEN) where the first has a length that no PDU has, or one above `most`: what
    follows can't be found any more, the session has to end. PDUs before such a one are returned
    first; it is raised the next time, when it is the first."""
    octets = bytes(buffer)
    found: list[Pdu] = []
    at, end = 0, len(octets)
    while end - at >= HEADER_SIZE:
        length, command, command_status, sequence = _header(octets, at)
        if not HEADER_SIZE <= length <= most:
            if found:
                break
            raise Malformed(status.ESME_RINVCMDLEN, f"a PDU of {length} octets")
        if end - at < length:
            break
        body = octets[at + HEADER_SIZE : at + length]
        found.append(Pdu(command, command_status, sequence, body))
        at += length
    return found, at


def read_message(body: bytes) -> ShortMessage:
    """The body of submit_sm or deliver_sm."""
    found = _mandatory(body)
    if found is None:
        return _read_by_field(body)  # which says what is wrong with it
    (
        service_type,
        (source_ton, source_npi),
        source,
        (destination_ton, destination_npi),
        destination,
        (esm_class, protocol_id, priority),
        schedule,
        validity,
        (registered, replace_if_present, data_coding, default_message, length),
    ) = found.groups()
    at = found.end()
    end = at + length
    if end > len(body):
        return _read_by_field(body)
    return ShortMessage(  # in the order of its fields: names would cost a third more
        Address(source_ton, source_npi, source.decode("latin-1")),
        Address(destination_ton, destination_npi, destination.decode("latin-1")),
        body[at:end],
        data_coding,
        esm_class,
        registered,
        service_type.decode("latin-1") if service_type else "",
        protocol_id,
        priority,
        schedule.decode("latin-1") if schedule else "",
        validity.decode("latin-1") if validity else "",
        replace_if_present,
        default_message,
        _tlvs(body, end) if end < len(body) else NO_TLVS,
    )


def _read_by_field(body: bytes) -> ShortMessage:
    reader = _Reader(body)
    service_type = reader.service_type()
    source, destination = reader.source(), reader.destination()
    return _rest(reader, service_type, source, destination)


def _rest(
    reader: "_Reader", service_type: str, source: Address, destination: Address
) -> ShortMessage:
    """From esm_class on."""
    esm_class, protocol_id, priority = reader.octet(), reader.octet(), reader.octet()
    schedule, validity = reader.times()
    registered, replace_if_present, data_coding = reader.octet(), reader.octet(), reader.octet()
    default_message = reader.octet()
    text = reader.short_message()
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


def read_bind(body: bytes) -> Bind:
    reader = _Reader(body)
    return Bind(
        system_id=reader.text(16, "system_id", status.ESME_RINVSYSID),
        password=reader.text(9, "password", status.ESME_RINVPASWD),
        system_type=reader.text(13, "system_type", status.ESME_RINVSYSTYP),
        interface_version=reader.octet(),
        address_range=_address_range(reader),
    )


def _address_range(reader: "_Reader") -> Address:
    # Some clients end their bind before it, and nobody uses it.
    if reader.at >= len(reader.body):
        return NOBODY
    return reader.address("address_range", status.ESME_RINVCMDLEN)


def read_data(body: bytes) -> ShortMessage:
    """The body of data_sm (4.7.1): its text is in message_payload."""
    reader = _Reader(body)
    service_type = reader.service_type()
    source, destination = reader.source(), reader.destination()
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
    service_type, source = reader.service_type(), reader.source()
    amount = reader.octet()
    if not 1 <= amount <= 254:
        raise Malformed(status.ESME_RINVNUMDESTS, f"{amount} destinations")
    destinations: list[Address] = []
    lists: list[str] = []
    for _ in range(amount):
        flag = reader.octet()
        if flag == 1:
            destinations.append(reader.destination())
        elif flag == 2:
            lists.append(reader.text(21, "dl_name", status.ESME_RINVDLNAME))
        else:
            raise Malformed(status.ESME_RINVDESTFLAG, f"dest_flag {flag}")
    message = _rest(reader, service_type, source, NOBODY)
    return Multi(tuple(destinations), tuple(lists), message)


def read_query(body: bytes) -> Query:
    reader = _Reader(body)
    return Query(reader.message_id(), reader.source())


def read_cancel(body: bytes) -> Query:
    reader = _Reader(body)
    service_type, message_id = reader.service_type(), reader.message_id()
    return Query(message_id, reader.source(), reader.destination(), service_type)


def read_replacement(body: bytes) -> Replacement:
    reader = _Reader(body)
    message_id, source = reader.message_id(), reader.source()
    schedule, validity = reader.times()
    registered, default_message = reader.octet(), reader.octet()
    text = reader.short_message()
    return Replacement(message_id, source, schedule, validity, registered, default_message, text)


def read_id(body: bytes) -> str:
    """The message_id of a submit_sm_resp or data_sm_resp, or a receipted_message_id; empty where
    there is none, as an answer with an error may have it. An answer may not end in NUL, as some
    write it. What is longer than an id can be is none (4.4.2): nobody could ask for it."""
    found = body.partition(b"\0")[0]
    return found.decode("latin-1") if len(found) <= MOST_ID else ""


class _Reader:
    """Reads a body from its beginning to its end, field by field."""

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
        if self.at >= len(self.body):
            raise Malformed(status.ESME_RINVCMDLEN, "the body ends too soon")
        found = self.body[self.at]
        self.at += 1
        return found

    def address(self, field: str, wrong: int) -> Address:
        ton, npi = self.octet(), self.octet()
        return Address(ton, npi, self.text(65, field, wrong))

    def source(self) -> Address:
        return self.address("source_addr", status.ESME_RINVSRCADR)

    def destination(self) -> Address:
        return self.address("destination_addr", status.ESME_RINVDSTADR)

    def service_type(self) -> str:
        return self.text(6, "service_type", status.ESME_RINVSERTYP)

    def message_id(self) -> str:
        return self.text(MOST_ID + 1, "message_id", status.ESME_RINVMSGID)

    def times(self) -> tuple[str, str]:
        """schedule_delivery_time, validity_period."""
        schedule = self.text(17, "schedule_delivery_time", status.ESME_RINVSCHED)
        return schedule, self.text(17, "validity_period", status.ESME_RINVEXPIRY)

    def short_message(self) -> bytes:
        length = self.octet()
        found = self.body[self.at : self.at + length]
        if len(found) < length:
            raise Malformed(status.ESME_RINVMSGLEN, "short_message is shorter than sm_length")
        self.at += length
        return found

    def tlvs(self) -> Tlvs:
        """What is left of the body."""
        return _tlvs(self.body, self.at) if self.at < len(self.body) else NO_TLVS


def _tlvs(body: bytes, at: int) -> Tlvs:
    """The optional parameters from `at` to the body's end (3.2.4). Of those with one tag the last
    counts."""
    found: dict[int, bytes] = {}
    end = len(body)
    while at + 4 <= end:
        tag, length = _tag_and_length(body, at)
        start = at + 4
        at = start + length
        if at > end:
            raise Malformed(status.ESME_RINVPARLEN, f"optional parameter {tag:#06x} is cut off")
        found[tag] = body[start:at]
    if at != end:
        raise Malformed(status.ESME_RINVOPTPARSTREAM, "octets are left over")
    return found
