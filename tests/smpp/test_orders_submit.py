"""submit_sm and data_sm: what is taken, as what, and what is refused with which command_status."""

from collections.abc import Callable
from typing import Any

import pytest

from recado import operations
from recado.connectors import Part
from recado.engine import Entry
from recado.ids import id_time, is_id
from recado.message import Message
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address
from recado.smpp.times import absolute
from recado.smpp.udh import concatenation, sar
from tests.support.smpp_asking import PHONE, ask, data_sm, refused, submit_sm, submitted
from tests.support.world import START, World

MakeWorld = Callable[..., World]


@pytest.fixture
def cost_centre(world: World) -> str:
    return another(world)


def another(world: World, **switches: Any) -> str:
    """Another cost centre's id."""
    return world.cost_centre(login="smpp", **switches)


def recorded(world: World, identifier: str) -> Message:
    """The message's record, once it has gone."""
    world.drain()
    record = world.record(identifier, "smpp")
    assert isinstance(record, Message)
    return record


def test_a_message_is_taken_and_goes(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre, text=b"oi", registered_delivery=1)
    assert is_id(identifier)
    message = recorded(world, identifier)
    assert (message.to, message.text, message.source) == (PHONE, "oi", "Recado")
    assert (message.registered, message.segments, message.reference) == (1, 1, None)
    assert world.taken[0]["to"] == PHONE


def test_registered_delivery_0_is_kept_as_what_it_says(world: World, cost_centre: str) -> None:
    assert recorded(world, submitted(world, cost_centre)).registered == 0


@pytest.mark.parametrize(
    ("octets", "data_coding", "text"),
    [
        (b"\x00 \x1b\x65", 0, "@ €"),
        (b"abc", 1, "abc"),
        ("é".encode("latin-1"), 3, "é"),
        ("Привет".encode("utf-16-be"), 8, "Привет"),
        (b"agora", 0x10, "agora"),
        ("д".encode("utf-16-be"), 0x18, "д"),
    ],
    ids=["gsm", "ascii", "latin-1", "ucs-2", "flash", "flash in ucs-2"],
)
def test_a_text_is_read_by_its_data_coding(
    world: World, cost_centre: str, octets: bytes, data_coding: int, text: str
) -> None:
    identifier = submitted(world, cost_centre, text=octets, data_coding=data_coding)
    assert recorded(world, identifier).text == text


def test_data_coding_0_is_latin_1_for_whoever_has_it_so(world: World) -> None:
    cost_centre = another(world, smpp_alphabet="latin1", replace_accents=False)
    identifier = submitted(world, cost_centre, text="não @".encode("latin-1"))
    assert recorded(world, identifier).text == "não @"


@pytest.mark.parametrize("data_coding", [2, 4, 5, 6, 7, 9, 10, 13, 14, 0xF5, 0x14])
def test_what_is_no_text_is_refused(world: World, cost_centre: str, data_coding: int) -> None:
    assert refused(world, cost_centre, data_coding=data_coding) == status.ESME_RSUBMITFAIL


@pytest.mark.parametrize(
    ("fields", "command_status"),
    [
        ({"text": b""}, status.ESME_RINVMSGLEN),
        ({"text": b"\0o\0", "data_coding": 8}, status.ESME_RINVMSGLEN),
        ({"tlvs": {wire.MESSAGE_PAYLOAD: b"oi"}}, status.ESME_ROPTPARNOTALLWD),
        ({"default_message": 1}, status.ESME_RINVDFTMSGID),
        ({"esm_class": 1}, status.ESME_RINVESMCLASS),
        ({"esm_class": 2}, status.ESME_RINVESMCLASS),
        ({"esm_class": 4}, status.ESME_RINVESMCLASS),
        ({"esm_class": 8}, status.ESME_RINVESMCLASS),
        ({"tlvs": {wire.USER_MESSAGE_REFERENCE: b""}}, status.ESME_RINVPARLEN),
        ({"source": Address(1, 1, "5" * 21)}, status.ESME_RINVSRCADR),
        ({"source": Address(5, 0, "a\nb")}, status.ESME_RINVSRCADR),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_own_status(
    world: World, cost_centre: str, fields: dict[str, Any], command_status: int
) -> None:
    assert refused(world, cost_centre, **fields) == command_status
    world.drain()
    assert world.taken == []


@pytest.mark.parametrize("fields", [{"esm_class": 3}, {"protocol_id": 64}, {"priority": 3}])
def test_what_changes_nothing_is_taken(
    world: World, cost_centre: str, fields: dict[str, Any]
) -> None:
    assert recorded(world, submitted(world, cost_centre, **fields)).text == "oi"


def test_a_long_text_comes_in_message_payload(world: World, cost_centre: str) -> None:
    tlvs = {wire.MESSAGE_PAYLOAD: b"a" * 400}
    message = recorded(world, submitted(world, cost_centre, text=b"", tlvs=tlvs))
    assert (message.text, message.segments) == ("a" * 400, 3)


def test_a_text_of_too_many_segments_is_refused(world: World) -> None:
    tlvs = {wire.MESSAGE_PAYLOAD: b"a" * 400}
    told = refused(world, another(world, max_segments=2), text=b"", tlvs=tlvs)
    assert told == status.ESME_RINVMSGLEN


def test_data_sm_has_its_text_in_message_payload(world: World, cost_centre: str) -> None:
    body = data_sm({wire.MESSAGE_PAYLOAD: b"oi", wire.QOS_TIME_TO_LIVE: (60).to_bytes(4)})
    told = ask(world, cost_centre, wire.DATA_SM, body)
    assert told.command_status == 0
    message = recorded(world, wire.read_id(told.body))
    assert (message.text, message.expires_at - message.due_at) == ("oi", 60)


def test_a_user_message_reference_is_kept(world: World, cost_centre: str) -> None:
    tlvs = {wire.USER_MESSAGE_REFERENCE: b"\x01\x02"}
    assert recorded(world, submitted(world, cost_centre, tlvs=tlvs)).reference == "258"


# --- destinations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        Address(1, 1, PHONE),
        Address(1, 1, f"+{PHONE}"),
        Address(1, 1, f"00{PHONE}"),
        Address(2, 1, "34998887755"),
        Address(2, 8, PHONE),
        Address(0, 0, "34998887755"),
        Address(0, 1, f"+{PHONE}"),
    ],
    ids=str,
)
def test_a_number_is_read_by_its_type(world: World, cost_centre: str, to: Address) -> None:
    assert recorded(world, submitted(world, cost_centre, to=to)).to == PHONE


@pytest.mark.parametrize(
    ("to", "command_status"),
    [
        (Address(1, 1, "34998887755"), status.ESME_RINVDSTADR),
        (Address(1, 1, "55998887755"), status.ESME_RINVDSTADR),
        (Address(1, 1, ""), status.ESME_RINVDSTADR),
        (Address(1, 1, "Recado"), status.ESME_RINVDSTADR),
        (Address(1, 1, "551133334444"), status.ESME_RINVDSTADR),
        (Address(5, 0, "Recado"), status.ESME_RINVDSTTON),
        (Address(3, 1, "27000"), status.ESME_RINVDSTTON),
        (Address(1, 14, PHONE), status.ESME_RINVDSTNPI),
    ],
    ids=str,
)
def test_what_is_no_mobile_is_refused(
    world: World, cost_centre: str, to: Address, command_status: int
) -> None:
    assert refused(world, cost_centre, to=to) == command_status


def test_an_international_number_is_abroad_for_whoever_may_send_there(world: World) -> None:
    cost_centre = another(world, international=True)
    identifier = submitted(world, cost_centre, to=Address(1, 1, "34998887755"))
    assert recorded(world, identifier).to == "34998887755"


def test_a_plus_is_refused_where_the_cost_centre_is_strict(world: World) -> None:
    cost_centre = another(world, strict_numbers=True)
    assert refused(world, cost_centre, to=Address(0, 1, f"+{PHONE}")) == status.ESME_RINVDSTADR
    assert submitted(world, cost_centre, to=Address(1, 1, f"+{PHONE}"))


def test_a_number_that_no_route_leads_to_is_refused(world: World, cost_centre: str) -> None:
    world.route_is(prefix="5511")
    assert refused(world, cost_centre) == status.ESME_RSYSERR


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [7, 700])
def test_a_part_keeps_its_header_and_is_one_segment(
    world: World, cost_centre: str, reference: int
) -> None:
    header = concatenation(Part(reference, 2, 1))
    octets = header + b"a" * 150
    message = recorded(world, submitted(world, cost_centre, text=octets, esm_class=0x40))
    assert (message.udh, message.text, message.segments) == (header.hex(), "a" * 150, 1)


def test_sar_parameters_become_a_header(world: World, cost_centre: str) -> None:
    tlvs, text = sar(Part(0x012C, 3, 2)), "a" * 153
    message = recorded(world, submitted(world, cost_centre, text=text.encode(), tlvs=tlvs))
    # With a reference of one octet, or so long a text would have no room.
    assert (message.udh, message.text) == (concatenation(Part(0x2C, 3, 2)).hex(), text)


def test_the_only_part_is_a_whole_message(world: World, cost_centre: str) -> None:
    octets = concatenation(Part(7, 1, 1)) + b"oi"
    message = recorded(world, submitted(world, cost_centre, text=octets, esm_class=0x40))
    assert (message.udh, message.text) == ("", "oi")


@pytest.mark.parametrize(
    "octets",
    [b"\x06\x05\x04\x0b\x84\x23\xf0logo", b"\x03\x24\x01\x01merhaba", b"\x09\x00\x03cut", b""],
    ids=["port", "language", "cut off", "no header"],
)
def test_another_header_is_refused(world: World, cost_centre: str, octets: bytes) -> None:
    told = refused(world, cost_centre, text=octets, esm_class=0x40)
    assert told == status.ESME_RINVESMCLASS


def test_a_part_that_fits_no_segment_is_refused(world: World, cost_centre: str) -> None:
    octets = concatenation(Part(7, 2, 1)) + b"a" * 154
    assert refused(world, cost_centre, text=octets, esm_class=0x40) == status.ESME_RINVMSGLEN


# --- times ---------------------------------------------------------------------------------------


def test_a_message_waits_for_its_absolute_hour(world: World, cost_centre: str) -> None:
    schedule = absolute(START + 3600)
    identifier = submitted(world, cost_centre, schedule_delivery_time=schedule)
    assert id_time(identifier) == START + 3600
    world.drain()
    assert world.taken == []
    world.run(3601, step=100)
    assert len(world.taken) == 1


def test_a_message_waits_for_a_relative_hour(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre, schedule_delivery_time="000000020000000R")
    assert id_time(identifier) == START + 7200


def test_a_local_hour_is_the_cost_centres(world: World) -> None:
    cost_centre = another(world, time_zone="America/Manaus")
    # START is 2026-05-28 20:26:40 UTC, and Manaus four hours behind.
    identifier = submitted(world, cost_centre, schedule_delivery_time="260528172640")
    assert id_time(identifier) == START + 3600


@pytest.mark.parametrize(
    ("validity", "seconds"),
    [
        ("000000001000000R", 600),
        (absolute(START + 7200), 7200),
        ("000030000000000R", 259_200),
        ("", 86_400),
    ],
    ids=["relative", "absolute", "too long", "none"],
)
def test_a_validity_counts_from_now(
    world: World, cost_centre: str, validity: str, seconds: int
) -> None:
    message = recorded(world, submitted(world, cost_centre, validity_period=validity))
    assert message.expires_at == START + seconds


def test_a_validity_ends_after_the_scheduled_hour(world: World, cost_centre: str) -> None:
    fields = {
        "schedule_delivery_time": "000000010000000R",
        "validity_period": "000000013000000R",
    }
    identifier = submitted(world, cost_centre, **fields)
    world.run(3601, step=600)
    record = world.record(identifier, "smpp")
    assert record.expires_at - record.due_at == 1800


@pytest.mark.parametrize(
    ("fields", "command_status"),
    [
        ({"schedule_delivery_time": "tomorrow"}, status.ESME_RINVSCHED),
        ({"schedule_delivery_time": absolute(START - 120)}, status.ESME_RINVSCHED),
        ({"schedule_delivery_time": absolute(START + 91 * 86_400)}, status.ESME_RINVSCHED),
        ({"validity_period": "long"}, status.ESME_RINVEXPIRY),
        ({"validity_period": absolute(START - 1)}, status.ESME_RINVEXPIRY),
        (
            {
                "schedule_delivery_time": "000000020000000R",
                "validity_period": "000000010000000R",
            },
            status.ESME_RINVEXPIRY,
        ),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(
    world: World, cost_centre: str, fields: dict[str, str], command_status: int
) -> None:
    assert refused(world, cost_centre, **fields) == command_status


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switches", "command_status"),
    [
        ({"sends_by": ("http",)}, status.ESME_RBINDFAIL),
        ({"suspended": True}, status.ESME_RBINDFAIL),
        ({"prepaid": True, "price": 500}, status.ESME_RSUBMITFAIL),
    ],
)
def test_who_may_not_is_refused(
    make_world: MakeWorld, switches: dict[str, Any], command_status: int
) -> None:
    world = make_world()
    suspended = switches.pop("suspended", False)
    cost_centre = another(world, **switches)
    if suspended:
        operations.costcentre_suspend(world.deps, cost_centre)
    assert refused(world, cost_centre) == command_status


def test_more_than_the_rate_is_throttled(world: World) -> None:
    cost_centre = another(world, per_second=2)
    submitted(world, cost_centre)
    submitted(world, cost_centre)
    assert refused(world, cost_centre) == status.ESME_RTHROTTLED
    world.now += 1
    submitted(world, cost_centre)


def test_more_than_the_daily_quota_is_throttled(world: World) -> None:
    cost_centre = another(world, daily_quota=1)
    submitted(world, cost_centre)
    assert refused(world, cost_centre) == status.ESME_RTHROTTLED


def test_who_pays_in_advance_is_charged(world: World) -> None:
    cost_centre = another(world, prepaid=True, price=500)
    store = world.bare.store
    store.credit([Entry(cost_centre, "gift", "credit", 700, START)])
    submitted(world, cost_centre)
    assert store.balance(cost_centre) == 200
    assert refused(world, cost_centre) == status.ESME_RSUBMITFAIL


def test_a_customer_that_is_no_more_is_refused(world: World) -> None:
    assert refused(world, "nobody") == status.ESME_RBINDFAIL


@pytest.mark.parametrize("length", range(len(submit_sm())))
def test_a_body_that_is_cut_off_is_refused(world: World, cost_centre: str, length: int) -> None:
    told = ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()[:length])
    assert told.command_status in (status.ESME_RINVCMDLEN, status.ESME_RINVMSGLEN)
    assert told.body == b""
