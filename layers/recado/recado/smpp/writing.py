"""From records to octets. Users import these from `recado.smpp.pdu`.

Raised is ValueError, on what a field can't hold: NUL or a character beyond Latin-1 in a string, a
number above an octet. Its text does not hold what it is about.
"""

import struct
from collections.abc import Iterable

from recado.smpp.records import HEADER, HEADER_SIZE, MOST_TEXT, TLV, Address, Bind, ShortMessage


def framed(command: int, sequence: int, body: bytes = b"", command_status: int = 0) -> bytes:
    """A PDU with its header."""
    return HEADER.pack(HEADER_SIZE + len(body), command, command_status, sequence) + body


def renumbered(pdu: bytes, sequence: int) -> bytes:
    """A framed PDU with another sequence number."""
    return pdu[:12] + sequence.to_bytes(4) + pdu[16:]


def bind_body(bind: Bind) -> bytes:
    """The body of a bind. Raises ValueError on what a field can't hold."""
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
    octets, and on what another field can't hold."""
    source, destination, text = message.source, message.destination, message.text
    service_type, schedule = message.service_type, message.schedule_delivery_time
    validity = message.validity_period
    if len(text) > MOST_TEXT:
        raise ValueError(f"a short_message of {len(text)} octets")
    if "\0" in service_type + source.digits + destination.digits + schedule + validity:
        raise ValueError("a string with a NUL in it")
    try:
        body = b"%b\0%c%c%b\0%c%c%b\0%c%c%c%b\0%b\0%c%c%c%c%c%b" % (
            service_type.encode("latin-1"),
            source.ton,
            source.npi,
            source.digits.encode("latin-1"),
            destination.ton,
            destination.npi,
            destination.digits.encode("latin-1"),
            message.esm_class,
            message.protocol_id,
            message.priority,
            schedule.encode("latin-1"),
            validity.encode("latin-1"),
            message.registered_delivery,
            message.replace_if_present,
            message.data_coding,
            message.default_message,
            len(text),
            text,
        )
    except (OverflowError, UnicodeEncodeError):
        raise ValueError("a field holds more than an octet, or is not Latin-1") from None
    return body + tlv_octets(message.tlvs.items()) if message.tlvs else body


def tlv_octets(tlvs: Iterable[tuple[int, bytes]]) -> bytes:
    """Optional parameters (3.2.4). Raises ValueError on a value of more than 65,535 octets."""
    try:
        return b"".join([TLV.pack(tag, len(value)) + value for tag, value in tlvs])
    except struct.error:
        raise ValueError("an optional parameter is too long") from None


def id_body(message_id: str) -> bytes:
    """The body of submit_sm_resp, and of deliver_sm_resp, whose id is empty (4.6.2). Raises
    ValueError on what a string can't hold."""
    return _text(message_id)


def query_answer(message_id: str, final_date: str, state: int, error: int) -> bytes:
    """The body of query_sm_resp (4.8.2). Raises ValueError on what a field can't hold."""
    return _text(message_id) + _text(final_date) + bytes((state, error))


def multi_answer(message_id: str, refused: Iterable[tuple[Address, int]]) -> bytes:
    """The body of submit_multi_resp (4.5.3): the destinations that were not taken, and why. Raises
    ValueError on more than 255 of them, and on what a field can't hold."""
    sad = [_address(address) + code.to_bytes(4) for address, code in refused]
    return _text(message_id) + bytes((len(sad),)) + b"".join(sad)


def _text(value: str) -> bytes:
    if "\0" in value:
        raise ValueError("a string with a NUL in it")
    try:
        return value.encode("latin-1") + b"\0"
    except UnicodeEncodeError:
        raise ValueError("a string that is not Latin-1") from None


def _address(address: Address) -> bytes:
    return bytes((address.ton, address.npi)) + _text(address.digits)
