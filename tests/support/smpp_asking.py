"""What a bound customer asks of a world, without the session between them."""

import struct
from typing import Any

from recado.smpp import pdu as wire
from recado.smpp.pdu import Address, Pdu, ShortMessage
from recado.smpp_orders import Answer, answer
from tests.support.world import World

PHONE = "5534998887755"
TO = Address(1, 1, PHONE)


def submit_sm(
    text: bytes = b"oi", to: str | Address = TO, tlvs: dict[int, bytes] | None = None, **fields: Any
) -> bytes:
    """The body of a submit_sm from "Recado"."""
    destination = Address(1, 1, to) if isinstance(to, str) else to
    source = fields.pop("source", Address(5, 0, "Recado"))
    return wire.message_body(
        ShortMessage(source=source, destination=destination, text=text, tlvs=tlvs or {}, **fields)
    )


def data_sm(tlvs: dict[int, bytes], to: Address = TO, registered_delivery: int = 0) -> bytes:
    """The body of a data_sm in data_coding 0."""
    fixed = bytes((0, registered_delivery, 0))
    return b"\0" + address() + address(to) + fixed + wire.tlv_octets(tlvs.items())


def submit_multi(
    *to: str | Address, text: bytes = b"oi", lists: tuple[str, ...] = (), **fields: Any
) -> bytes:
    """The body of a submit_multi."""
    whole = submit_sm(text, "1", **fields)
    # Behind the one destination, which is replaced by many.
    rest = whole[whole.index(b"\x01\x011\0") + 4 :]
    addresses = [Address(1, 1, one) if isinstance(one, str) else one for one in to]
    many = [b"\x01" + address(one) for one in addresses]
    many += [b"\x02" + name.encode() + b"\0" for name in lists]
    return b"\0" + address(Address(5, 0, "Recado")) + bytes((len(many),)) + b"".join(many) + rest


def address(one: Address = wire.NOBODY) -> bytes:
    return bytes((one.ton, one.npi)) + one.digits.encode("latin-1") + b"\0"


def query_sm(identifier: str) -> bytes:
    return identifier.encode() + b"\0" + address()


def cancel_sm(identifier: str, to: Address = wire.NOBODY) -> bytes:
    return b"\0" + identifier.encode() + b"\0" + address() + address(to)


def replace_sm(
    identifier: str,
    text: bytes = b"outro",
    schedule: str = "",
    validity: str = "",
    registered_delivery: int = 0,
    default_message: int = 0,
) -> bytes:
    times = schedule.encode() + b"\0" + validity.encode() + b"\0"
    fixed = bytes((registered_delivery, default_message, len(text)))
    return identifier.encode() + b"\0" + address() + times + fixed + text


def ask(world: World, cost_centre: str, command: int, body: bytes) -> Answer:
    """What is answered."""
    return answer(Pdu(command, 0, 1, body), cost_centre, world.deps)


def submitted(world: World, cost_centre: str, **fields: Any) -> str:
    """Submits a message: its id."""
    told = ask(world, cost_centre, wire.SUBMIT_SM, submit_sm(**fields))
    assert told.command_status == 0, told
    assert told.body.endswith(b"\0")
    return wire.read_id(told.body)


def refused(world: World, cost_centre: str, **fields: Any) -> int:
    """Submits a message that is not taken: the command_status."""
    told = ask(world, cost_centre, wire.SUBMIT_SM, submit_sm(**fields))
    assert told.body == b""
    return told.command_status


class Asked(Exception):
    """An answer is not what it has to be."""


def read_query(body: bytes) -> tuple[str, str, int, int]:
    """query_sm_resp: message_id, final_date, message_state, error_code."""
    identifier, final_date, rest = body.split(b"\0", 2)
    state, error = rest
    return identifier.decode(), final_date.decode(), state, error


def read_multi(body: bytes) -> tuple[str, list[tuple[str, int]]]:
    """submit_multi_resp: message_id, and of each that was not taken the address and the status."""
    identifier, _, rest = body.partition(b"\0")
    amount, rest = rest[0], rest[1:]
    refused: list[tuple[str, int]] = []
    for _ in range(amount):
        digits, _, rest = rest[2:].partition(b"\0")
        refused.append((digits.decode(), struct.unpack_from(">I", rest)[0]))
        rest = rest[4:]
    if rest:
        raise Asked("octets are left over")
    return identifier.decode(), refused
