"""Our PDUs in the eyes of three other implementations, and theirs in ours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiosmpplib.protocol as aio  # type: ignore[import-untyped]  # ships no type information
import pytest
import smpp34
import smpplib.client  # type: ignore[import-untyped]  # ships no type information
import smpplib.smpp  # type: ignore[import-untyped]  # ships no type information
from aiosmpplib.state import (  # type: ignore[import-untyped]  # ships no type information
    NPI,
    TON,
    OptionalParam,
    PhoneNumber,
)
from hypothesis import given
from hypothesis import strategies as st

from recado.connectors import Part
from recado.message import State
from recado.smpp import pdu, status, text, udh
from recado.smpp.pdu import Address, Bind, Pdu, ShortMessage
from recado.smpp.receipt import read_receipt, receipt_text, receipt_tlvs
from recado.smpp.times import read_time

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC).timestamp()
ID = "01a20029-d169-7d05-a52a-a01db102b1d3"
SENT = ShortMessage(
    source=Address(5, 0, "Clinica"),
    destination=Address(1, 1, "5541999990000"),
    text=b"Oi",
    data_coding=3,
    esm_class=3,
    registered_delivery=1,
    service_type="CMT",
    protocol_id=64,
    priority=2,
    schedule_delivery_time="261122073000000+",
    validity_period="000001000000000R",
    replace_if_present=1,
    default_message=4,
    tlvs={pdu.USER_MESSAGE_REFERENCE: b"\x01\x02"},
)
COMMANDS = {"submit_sm": pdu.SUBMIT_SM, "deliver_sm": pdu.DELIVER_SM}
THEIR_SM: dict[str, tuple[Any, Any]] = {
    "submit_sm": (smpp34.SubmitSm, aio.SubmitSm),
    "deliver_sm": (smpp34.DeliverSm, aio.DeliverSm),
}
# What smpplib and smpp34 call the fields of ShortMessage.
FIELDS = {
    "data_coding": "data_coding",
    "esm_class": "esm_class",
    "registered_delivery": "registered_delivery",
    "service_type": "service_type",
    "protocol_id": "protocol_id",
    "priority": "priority_flag",
    "schedule_delivery_time": "schedule_delivery_time",
    "validity_period": "validity_period",
    "replace_if_present": "replace_if_present_flag",
    "default_message": "sm_default_msg_id",
}


def their_words(message: ShortMessage) -> dict[str, Any]:
    return {theirs: getattr(message, ours) for ours, theirs in FIELDS.items()} | {
        "source_addr_ton": message.source.ton,
        "source_addr_npi": message.source.npi,
        "source_addr": message.source.digits,
        "dest_addr_ton": message.destination.ton,
        "dest_addr_npi": message.destination.npi,
        "destination_addr": message.destination.digits,
        "short_message": message.text,
    }


def only(octets: bytes) -> Pdu:
    (found,), taken = pdu.split(octets, 70_000)
    assert taken == len(octets)
    return found


def made(name: str, **words: Any) -> bytes:
    """By smpplib, with sequence number 9."""
    theirs = smpplib.smpp.make_pdu(name, client=smpplib.client.SimpleSequenceGenerator(), **words)
    theirs.sequence = 9
    return bytes(theirs.generate())


def parsed(octets: bytes) -> Any:
    """By smpplib."""
    return smpplib.smpp.parse_pdu(octets, client=smpplib.client.SimpleSequenceGenerator())


def aio_parsed(kind: Any, octets: bytes) -> Any:
    return kind.from_pdu(octets, aio.SmppMessage.parse_header(octets[:16]), "gsm0338")


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
octet = st.integers(0, 255)
address = st.builds(Address, octet, octet, printable)
messages = st.builds(
    ShortMessage,
    source=address,
    destination=address,
    text=st.binary(max_size=254),
    data_coding=octet,
    esm_class=octet,
    registered_delivery=octet,
    service_type=printable.map(lambda it: it[:5]),
    protocol_id=octet,
    priority=octet,
    schedule_delivery_time=st.sampled_from(["", "261122073000000+"]),
    validity_period=st.sampled_from(["", "000001000000000R"]),
    replace_if_present=octet,
    default_message=octet,
    tlvs=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=3),
)


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
@given(message=messages)
def test_smpp34_and_we_write_the_same_octets(name: str, message: ShortMessage) -> None:
    theirs = THEIR_SM[name][0](
        **their_words(message),
        tlvs=[smpp34.Tlv(tag, value) for tag, value in message.tlvs.items()],
        sequence_number=9,
    ).encode()
    assert theirs == pdu.framed(COMMANDS[name], 9, pdu.message_body(message))
    assert pdu.read_message(only(theirs).body) == message


@pytest.mark.parametrize("name", COMMANDS)
@given(message=messages)
def test_smpp34_reads_what_we_write(name: str, message: ShortMessage) -> None:
    theirs = smpp34.decode(pdu.framed(COMMANDS[name], 9, pdu.message_body(message)))
    assert isinstance(theirs, smpp34.SubmitSm | smpp34.DeliverSm)
    assert theirs.command_id == COMMANDS[name]
    assert {word: getattr(theirs, word) for word in their_words(message)} == their_words(message)
    assert {each.tag: each.value for each in theirs.tlvs} == message.tlvs


@pytest.mark.parametrize("name", COMMANDS)
def test_smpplib_and_we_write_the_same_octets(name: str) -> None:
    theirs = made(name, **their_words(SENT), user_message_reference=0x0102)
    assert theirs == pdu.framed(COMMANDS[name], 9, pdu.message_body(SENT))


@pytest.mark.parametrize("name", COMMANDS)
def test_smpplib_reads_what_we_write(name: str) -> None:
    theirs = parsed(pdu.framed(COMMANDS[name], 9, pdu.message_body(SENT)))
    words = {
        word: value.encode() if isinstance(value, str) else value
        for word, value in their_words(SENT).items()
    }
    assert (theirs.command, theirs.sequence, theirs.status) == (name, 9, 0)
    assert {word: getattr(theirs, word) for word in words} == words
    assert theirs.user_message_reference == 0x0102


@pytest.mark.parametrize("name", COMMANDS)
def test_aiosmpplib_and_we_write_the_same_octets(name: str) -> None:
    theirs = THEIR_SM[name][1](
        sequence_num=9,
        short_message="Amanhã às 10",
        source=PhoneNumber("Clinica", TON.ALPHANUMERIC, NPI.UNKNOWN),
        destination=PhoneNumber("5541999990000", TON.INTERNATIONAL, NPI.ISDN),
        encoding="ucs2",
        validity_period=timedelta(hours=1),
        optional_params=[OptionalParam(pdu.SAR_MSG_REF_NUM, 7)],
    ).pdu()
    ours = ShortMessage(
        source=SENT.source,
        destination=SENT.destination,
        text=text.encoded("Amanhã às 10", text.UCS2),
        data_coding=text.UCS2,
        registered_delivery=1,
        validity_period="000000010000000R",
        tlvs={pdu.SAR_MSG_REF_NUM: b"\0\7"},
    )
    assert theirs == pdu.framed(COMMANDS[name], 9, pdu.message_body(ours))
    assert pdu.read_message(only(theirs).body) == ours
    read = aio_parsed(THEIR_SM[name][1], theirs)
    assert (read.short_message, read.source.number, read.destination.npi) == (
        "Amanhã às 10",
        "Clinica",
        NPI.ISDN,
    )


@pytest.mark.parametrize("told", ["Olá", "Reunião às 10: {sala} 😀", "€ 10"])
def test_aiosmpplib_and_we_read_one_anothers_texts(told: str) -> None:
    coding = text.coding_for(told)
    ours = pdu.message_body(replace_text(told, coding))
    read = aio_parsed(aio.SubmitSm, pdu.framed(pdu.SUBMIT_SM, 1, ours))
    # UCS-2 without surrogates: a pair is two characters to it.
    assert str(read.short_message).encode("utf-16", "surrogatepass").decode("utf-16") == told


def replace_text(told: str, coding: int) -> ShortMessage:
    return ShortMessage(
        source=SENT.source,
        destination=SENT.destination,
        text=text.encoded(told, coding),
        data_coding=coding,
    )


def test_aiosmpplib_reads_our_concatenation() -> None:
    part = Part(42, 3, 2)
    for message in (
        ShortMessage(text=udh.concatenation(part) + b"meio", esm_class=pdu.UDHI),
        ShortMessage(text=b"meio", tlvs=udh.sar(part)),
    ):
        read = aio_parsed(aio.SubmitSm, pdu.framed(pdu.SUBMIT_SM, 1, pdu.message_body(message)))
        assert read.get_segmentation_data() == (42, 2, 3)
        assert read.short_message == "meio"
        assert udh.concatenation_of(message) == part


def test_a_time_of_aiosmpplibs_is_read() -> None:
    at = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    for theirs, meant in ((at, at.timestamp()), (timedelta(days=2, hours=1), NOW + 49 * 3600)):
        told = aio.SubmitSm.datetime_to_smpp_time(theirs)
        assert read_time(told, NOW, UTC, status.ESME_RINVSCHED) == meant


# --- receipts ------------------------------------------------------------------------------------


def test_aiosmpplib_reads_our_receipt() -> None:
    message = ShortMessage(
        text=receipt_text(ID, "UNDELIV", "042", NOW, NOW + 60, "Oi, Ana"),
        esm_class=pdu.RECEIPT,
        tlvs=receipt_tlvs(ID, State.UNDELIVERABLE),
    )
    read = aio_parsed(aio.DeliverSm, pdu.framed(pdu.DELIVER_SM, 1, pdu.message_body(message)))
    assert read.is_receipt()
    assert read.parse_receipt() == {
        "id": ID,
        "sub": 1,
        "dlvrd": 0,
        "submit date": datetime(2026, 11, 22, 10, 30),  # noqa: DTZ001  # as it gives it
        "done date": datetime(2026, 11, 22, 10, 31),  # noqa: DTZ001  # as it gives it
        "stat": "UNDELIV",
        "err": 42,
        "text": "Oi, Ana",
    }


def test_smpplib_reads_our_receipts_parameters() -> None:
    body = pdu.message_body(ShortMessage(tlvs=receipt_tlvs(ID, State.DELIVERED)))
    theirs = parsed(pdu.framed(pdu.DELIVER_SM, 1, body))
    assert (theirs.receipted_message_id, theirs.message_state) == (ID.encode(), 2)


def test_a_receipt_of_aiosmpplibs_is_read() -> None:
    done = datetime(2026, 11, 22, 10, 31, tzinfo=UTC)
    told = aio.DeliverSm.encode_receipt(
        {"id": "77", "sub": 1, "dlvrd": 1, "done date": done, "stat": "DELIVRD", "err": 0}
    )
    found = read_receipt(ShortMessage(text=told.encode(), esm_class=pdu.RECEIPT))
    assert (found.id, found.state, found.err) == ("77", State.DELIVERED, "000")


# --- binds and answers ---------------------------------------------------------------------------

BIND = Bind("ana", "segredo", "VMA", 0x34, Address(1, 1, "55"))
BINDS = {
    "bind_receiver": (pdu.BIND_RECEIVER, aio.BindReceiver),
    "bind_transmitter": (pdu.BIND_TRANSMITTER, aio.BindTransmitter),
    "bind_transceiver": (pdu.BIND_TRANSCEIVER, aio.BindTransceiver),
}


@pytest.mark.parametrize("name", BINDS)
def test_smpplib_aiosmpplib_and_we_write_the_same_bind(name: str) -> None:
    command, their_bind = BINDS[name]
    words: dict[str, Any] = {"system_id": "ana", "password": "segredo", "system_type": "VMA"}
    words |= {"interface_version": 0x34, "addr_ton": 1, "addr_npi": 1, "address_range": "55"}
    ours = pdu.framed(command, 9, pdu.bind_body(BIND))
    assert made(name, **words) == ours
    words |= {"addr_ton": TON.INTERNATIONAL, "addr_npi": NPI.ISDN}
    assert their_bind(sequence_num=9, **words).pdu() == ours
    assert (only(ours).command, pdu.read_bind(only(ours).body)) == (command, BIND)


@pytest.mark.parametrize("name", BINDS)
def test_a_binds_answer_is_read(name: str) -> None:
    body = pdu.id_body("recado") + pdu.tlv_octets([(pdu.SC_INTERFACE_VERSION, b"\x34")])
    ours = pdu.framed(BINDS[name][0] | pdu.RESPONSE, 9, body, status.ESME_ROK)
    theirs = aio_parsed(aio.BindTransceiverResp, ours)
    assert (theirs.system_id, theirs.sc_interface_version, theirs.sequence_num) == (
        "recado",
        0x34,
        9,
    )
    assert parsed(ours).command == f"{name}_resp"
    assert parsed(ours).system_id == b"recado"


@pytest.mark.parametrize("name", COMMANDS)
def test_an_answer_is_read_by_them_and_by_us(name: str) -> None:
    ours = pdu.framed(COMMANDS[name] | pdu.RESPONSE, 9, pdu.id_body(ID), status.ESME_RTHROTTLED)
    kind = aio.SubmitSmResp if name == "submit_sm" else aio.DeliverSmResp
    theirs = aio_parsed(kind, ours)
    assert (theirs.message_id, int(theirs.command_status)) == (ID, status.ESME_RTHROTTLED)
    assert theirs.pdu() == ours
    by_smpplib = parsed(ours)
    assert (by_smpplib.message_id, by_smpplib.status) == (ID.encode(), status.ESME_RTHROTTLED)
    assert pdu.read_id(only(ours).body) == ID


def test_a_query_and_its_answer_are_read() -> None:
    theirs = made("query_sm", message_id=ID, source_addr_ton=5, source_addr="Clinica")
    assert pdu.read_query(only(theirs).body) == pdu.Query(ID, Address(5, 0, "Clinica"))
    body = pdu.query_answer(ID, "261122103100000+", 2, 0)
    read = parsed(pdu.framed(pdu.QUERY_SM | pdu.RESPONSE, 9, body))
    assert (read.message_id, read.final_date, read.message_state, read.error_code) == (
        ID.encode(),
        b"261122103100000+",
        2,
        0,
    )


def test_data_sm_of_smpplibs_is_read() -> None:
    theirs = made(
        "data_sm",
        source_addr="Clinica",
        source_addr_ton=5,
        destination_addr="5541999990000",
        dest_addr_ton=1,
        dest_addr_npi=1,
        registered_delivery=1,
        data_coding=8,
        message_payload=b"\0O\0i",
    )
    read = pdu.read_data(only(theirs).body)
    assert (read.source, read.destination) == (SENT.source, SENT.destination)
    assert (read.payload, read.data_coding, read.registered_delivery) == (b"\0O\0i", 8, 1)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (aio.EnquireLink, pdu.ENQUIRE_LINK),
        (aio.EnquireLinkResp, pdu.ENQUIRE_LINK | pdu.RESPONSE),
        (aio.Unbind, pdu.UNBIND),
        (aio.UnbindResp, pdu.UNBIND | pdu.RESPONSE),
        (aio.GenericNack, pdu.GENERIC_NACK),
    ],
)
def test_pdus_without_a_body_are_the_same(kind: Any, command: int) -> None:
    assert kind(sequence_num=9).pdu() == pdu.framed(command, 9)
    assert only(pdu.framed(command, 9)) == Pdu(command, 0, 9)
