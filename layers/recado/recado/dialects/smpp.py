"""What a bound customer asks for, as Asks: SMPP is a dialect with a session. (Sections are those of
the SMPP 3.4 specification; what it leaves open is marked "not in the specification".)

Taken and not kept: message classes (flash), service_type, protocol_id, priority_flag,
replace_if_present_flag, reply path, SME acknowledgements and intermediate notifications.
"""

import math
from typing import Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from recado.costcentre import CostCentre, zone
from recado.dialects import Ask, Wish
from recado.errors import Refused
from recado.numbers import Numbering, NumberProblem, number_of
from recado.smpp import pdu, status
from recado.smpp.pdu import Address, Malformed, Multi, ShortMessage, Tlvs
from recado.smpp.text import decoded, is_text, is_ucs2
from recado.smpp.times import read_time
from recado.smpp.udh import concatenation, elements, header_and_text, part_of_sar, part_of_udh
from recado.submission import Refusal

LONGEST_VALIDITY = 259_200  # seconds; whoever asks for more gets so much

_INTERNATIONAL = 1
_TONS = frozenset({0, _INTERNATIONAL, 2})  # unknown, international, national (5.2.5)
_NPIS = frozenset({0, 1, 6, 8})  # unknown, telephone, land mobile, national (5.2.6)
_MODE, _MODES = 0x03, frozenset({0, 3})  # the default, which is ours too: store and forward
_CONCATENATIONS = frozenset({0x00, 0x08})  # elements of a header (3GPP TS 23.040, 9.2.3.24)
_MAX_SOURCE = 20


class Multiple(Struct, frozen=True):
    """A submit_multi, understood. `asked` has the destinations of the ask's wishes, in their order;
    what can't be one stands in `refused` with its command_status. No ask: none can."""

    ask: Ask | None
    asked: tuple[Address, ...]
    refused: tuple[tuple[Address, int], ...]


class Times(Struct, frozen=True):
    """When a message is due, in seconds since the epoch (None: now), and its validity from then on,
    in seconds (None: its cost centre's)."""

    send_at: float | None
    validity: int | None


def refuse(field: str, reason: str, command_status: int) -> Refused:
    """A refusal by its command_status."""
    return Refused(Refusal(field, reason, status.name_of(command_status)))


def numbering(cost_centre: CostCentre) -> Numbering:
    """As on the Zoug API; and abroad, by numbers that say so, where the cost centre may."""
    return Numbering(
        plus=True, fixed_lines=bool(cost_centre.fixed_lines), abroad=cost_centre.international
    )


def submit_ask(message: ShortMessage, cost_centre: CostCentre, now: float) -> Ask:
    """What a submit_sm or a data_sm asks. Raises Refused, and Malformed."""
    destination = _destination(message.destination, cost_centre)
    return _ask(message, (destination,), cost_centre, now)


def multi_ask(multi: Multi, cost_centre: CostCentre, now: float) -> Multiple:
    """What a submit_multi asks. Raises Refused, and Malformed, for what all its destinations
    share. Distribution lists there are none (RINVDLNAME)."""
    asked: list[Address] = []
    destinations: list[str] = []
    refused = [(Address(digits=name), status.ESME_RINVDLNAME) for name in multi.lists]
    numbers = numbering(cost_centre)
    for address in multi.destinations:
        try:
            destination = _destination(address, cost_centre)
        except Refused as problem:
            refused.append((address, status.number_of(problem.refusal.esme)))
            continue
        if isinstance(number_of(destination, numbers), NumberProblem):
            refused.append((address, status.ESME_RINVDSTADR))
        else:
            asked.append(address)
            destinations.append(destination)
    ask = _ask(multi.message, tuple(destinations), cost_centre, now, batch=True)
    return Multiple(ask if asked else None, tuple(asked), tuple(refused))


def _ask(
    message: ShortMessage,
    destinations: tuple[str, ...],
    cost_centre: CostCentre,
    now: float,
    *,
    batch: bool = False,
) -> Ask:
    _check(message)
    text, udh = _content(message, cost_centre)
    reference = _reference(message.tlvs)
    validity = message.validity_period or _time_to_live(message.tlvs)
    times = times_of(message.schedule_delivery_time, validity, cost_centre, now)
    return Ask(
        wishes=tuple([Wish(destination, text, reference) for destination in destinations]),
        batch=batch,
        numbering=numbering(cost_centre),
        source=_source(message.source),
        udh=udh,
        registered=message.registered_delivery,
        validity=times.validity,
        send_at=times.send_at,
    )


def _check(message: ShortMessage) -> None:
    """What we are not able to do is refused rather than left out."""
    if message.default_message:
        raise refuse("sm_default_msg_id", "invalid", status.ESME_RINVDFTMSGID)
    # Datagram and transaction mode promise what we don't do; the other types of message answer one.
    if message.esm_class & _MODE not in _MODES or message.esm_class & pdu.TYPE_MASK:
        raise refuse("esm_class", "invalid", status.ESME_RINVESMCLASS)
    if message.text and pdu.MESSAGE_PAYLOAD in message.tlvs:
        raise refuse("message_payload", "invalid", status.ESME_ROPTPARNOTALLWD)


# --- addresses -----------------------------------------------------------------------------------


def _destination(address: Address, cost_centre: CostCentre) -> str:
    """A destination as a number to be read by `numbering`. International (TON 1) is a country's
    code and a number, with a plus, with 00 or bare: 34998887755 is in Spain then. Any other stays
    as it is written, with or without 55: many gateways say national whatever they send."""
    if address.ton not in _TONS:
        raise refuse("dest_addr_ton", "invalid", status.ESME_RINVDSTTON)
    if address.npi not in _NPIS:
        raise refuse("dest_addr_npi", "invalid", status.ESME_RINVDSTNPI)
    digits = address.digits
    if address.ton == _INTERNATIONAL:
        bare = digits.removeprefix("+").removeprefix("00")
        return f"+{bare}" if bare.startswith("55") else f"00{bare}"
    if cost_centre.strict_numbers and digits.startswith("+"):
        raise refuse("destination_addr", "invalid", status.ESME_RINVDSTADR)
    return digits


def _source(address: Address) -> str:
    """Who it is from, a number or a word, as it is written. Its TON and NPI are not kept: an
    upstream has its own rules for them."""
    source = address.digits.strip()
    if len(source) > _MAX_SOURCE or not source.isprintable():
        raise refuse("source_addr", "invalid", status.ESME_RINVSRCADR)
    return source


# --- texts ---------------------------------------------------------------------------------------


def text_of(octets: bytes, data_coding: int, cost_centre: CostCentre) -> str:
    """The text. Binary and the alphabets of other countries are refused with RSUBMITFAIL (not in
    the specification, which has no status for a data_coding)."""
    if not is_text(data_coding):
        raise refuse("data_coding", "invalid", status.ESME_RSUBMITFAIL)
    if len(octets) % 2 and is_ucs2(data_coding):
        raise refuse("short_message", "invalid", status.ESME_RINVMSGLEN)
    alphabet = cast(Literal["gsm", "latin1"], cost_centre.smpp_alphabet)
    return decoded(octets, data_coding, alphabet)


def _content(message: ShortMessage, cost_centre: CostCentre) -> tuple[str, str]:
    """The text, and where it is one of several parts the header that says which, in hexadecimal.
    SAR parameters become that header. Any other header (ports, ringing tones, the tables of a
    language) is refused: the text would say something else without it."""
    header, octets = header_and_text(message)
    if header and any(identifier not in _CONCATENATIONS for identifier, _ in elements(header)):
        raise refuse("short_message", "invalid", status.ESME_RINVESMCLASS)
    part = part_of_udh(header) if header else None
    if part is None and (told := part_of_sar(message.tlvs)):
        # Its reference has two octets, its text as many as fit beside a header with one.
        part = replace(told, reference=told.reference & 0xFF)
    text = text_of(octets, message.data_coding, cost_centre)
    # The only part is whole: some clients give every message a header.
    return text, concatenation(part).hex() if part and part.total > 1 else ""


# --- optional parameters and times ---------------------------------------------------------------


def _reference(tlvs: Tlvs) -> str | None:
    """user_message_reference (5.3.2.17): a number that comes back in the receipt."""
    value = tlvs.get(pdu.USER_MESSAGE_REFERENCE)
    if value is None:
        return None
    if not 1 <= len(value) <= 2:
        raise Malformed(status.ESME_RINVPARLEN, "a user_message_reference of the wrong length")
    return str(int.from_bytes(value))


def _time_to_live(tlvs: Tlvs) -> int | str:
    """qos_time_to_live (5.3.2.9), in seconds: what data_sm has in place of a validity_period."""
    value = tlvs.get(pdu.QOS_TIME_TO_LIVE)
    if value is None:
        return ""
    if len(value) != 4:
        raise Malformed(status.ESME_RINVPARLEN, "a qos_time_to_live of the wrong length")
    return int.from_bytes(value)


def times_of(
    schedule: str,
    validity: str | int,
    cost_centre: CostCentre,
    now: float,
    due: float = 0.0,
) -> Times:
    """schedule_delivery_time and validity_period, absolute or relative to now (5.2.15, 5.2.16); a
    validity may be a number of seconds. Local times without an offset are those of the cost
    centre. `due`: when a message is due that is not scheduled here. Raises Malformed on what is no
    time, and Refused on a validity that ends before the message is due. Whether the date makes
    sense is decided where it is accepted."""
    if not schedule and validity == "":
        return _NOW
    local = zone(cost_centre.time_zone)
    send_at = read_time(schedule, now, local, status.ESME_RINVSCHED)
    if isinstance(validity, int):
        until: float | None = now + validity
    else:
        until = read_time(validity, now, local, status.ESME_RINVEXPIRY)
    if until is None:
        return Times(send_at, None)
    seconds = math.ceil(until - max(send_at or due, now))
    if seconds <= 0:
        raise refuse("validity_period", "past", status.ESME_RINVEXPIRY)
    return Times(send_at, min(seconds, LONGEST_VALIDITY))


_NOW = Times(None, None)
