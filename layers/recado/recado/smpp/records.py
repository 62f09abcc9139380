"""The records that PDUs are read into and written from (section 4). Users import them from
`recado.smpp.pdu`."""

from collections.abc import Mapping
from struct import Struct as Layout
from types import MappingProxyType

from msgspec import Struct

HEADER = Layout(">IIII")  # command_length, command_id, command_status, sequence_number
HEADER_SIZE = 16
TLV = Layout(">HH")  # tag, length (3.2.4)
MOST_TEXT = 254  # octets of a short_message; longer ones go in message_payload
MESSAGE_PAYLOAD = 0x0424  # (5.3.2.32)

Tlvs = Mapping[int, bytes]
NO_TLVS: Tlvs = MappingProxyType({})


class Malformed(Exception):
    """A PDU that can't be read, and the command_status that says so."""

    def __init__(self, command_status: int, why: str) -> None:
        super().__init__(why)
        self.command_status = command_status


# None of these can be part of a cycle, and there are many of them: the collector is spared.


class Pdu(Struct, frozen=True, gc=False):
    """One PDU: its header taken apart, its body as it came."""

    command: int
    command_status: int
    sequence: int
    body: bytes = b""


class Address(Struct, frozen=True, gc=False):
    """Type of number, numbering plan, digits or letters (5.2.5 to 5.2.7)."""

    ton: int = 0
    npi: int = 0
    digits: str = ""


NOBODY = Address()


class Bind(Struct, frozen=True, gc=False):
    """The body of the three binds (4.1.1)."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = 0x34
    address_range: Address = NOBODY


class ShortMessage(Struct, frozen=True, gc=False):
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
    tlvs: Tlvs = NO_TLVS

    @property
    def payload(self) -> bytes:
        """The text, wherever it stands."""
        return self.text or self.tlvs.get(MESSAGE_PAYLOAD, b"")


class Multi(Struct, frozen=True, gc=False):
    """The body of submit_multi (4.5.1): destinations, names of distribution lists, the rest."""

    destinations: tuple[Address, ...]
    lists: tuple[str, ...]
    message: ShortMessage


class Query(Struct, frozen=True, gc=False):
    """The body of query_sm (4.8.1), and of cancel_sm (4.9.1), which has more."""

    message_id: str
    source: Address = NOBODY
    destination: Address = NOBODY
    service_type: str = ""


class Replacement(Struct, frozen=True, gc=False):
    """The body of replace_sm (4.10.1)."""

    message_id: str
    source: Address
    schedule_delivery_time: str
    validity_period: str
    registered_delivery: int
    default_message: int
    text: bytes
