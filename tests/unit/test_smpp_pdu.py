"""PDUs: what is written is read, and whatever comes is read or refused with a command_status."""

import contextlib
import struct
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recado import esme
from recado.smpp import pdu, status
from recado.smpp.pdu import Address, Bind, Malformed, Pdu, Query, Replacement, ShortMessage

MOST = 70_000
octet = st.integers(0, 255)
no_nul = st.characters(min_codepoint=1, max_codepoint=255)


def strings(most: int) -> st.SearchStrategy[str]:
    return st.text(no_nul, max_size=most)


addresses = st.builds(Address, octet, octet, strings(64))
tlvs = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=300), max_size=4)
messages = st.builds(
    ShortMessage,
    source=addresses,
    destination=addresses,
    text=st.binary(max_size=254),
    data_coding=octet,
    esm_class=octet,
    registered_delivery=octet,
    service_type=strings(5),
    protocol_id=octet,
    priority=octet,
    schedule_delivery_time=strings(16),
    validity_period=strings(16),
    replace_if_present=octet,
    default_message=octet,
    tlvs=tlvs,
)
binds = st.builds(Bind, strings(15), strings(8), strings(12), octet, addresses)

PLAIN = ShortMessage(
    source=Address(5, 0, "Clinica"),
    destination=Address(1, 1, "5541999990000"),
    text=b"Oi",
    registered_delivery=1,
)
MAILED = pdu.message_body(PLAIN)


@st.composite
def almost(draw: st.DrawFn, body: st.SearchStrategy[bytes]) -> bytes:
    """A body with something wrong in it, as a rule."""
    octets = bytearray(draw(body))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(octets)))
        end = draw(st.integers(at, min(at + 9, len(octets))))
        octets[at:end] = draw(st.binary(max_size=9))
    return bytes(octets[: draw(st.integers(0, len(octets)))] if draw(st.booleans()) else octets)


def text(value: str) -> bytes:
    return value.encode("latin-1") + b"\0"


def address(value: Address) -> bytes:
    return bytes((value.ton, value.npi)) + text(value.digits)


def refusal(read: Callable[[bytes], object], body: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        read(body)
    return status.name_of(caught.value.command_status)


# --- written and read ----------------------------------------------------------------------------


@given(messages)
def test_a_message_that_is_written_is_read_as_it_was(message: ShortMessage) -> None:
    assert pdu.read_message(pdu.message_body(message)) == message


@given(binds)
def test_a_bind_that_is_written_is_read_as_it_was(bind: Bind) -> None:
    assert pdu.read_bind(pdu.bind_body(bind)) == bind


@given(st.lists(st.builds(Pdu, octet, octet, octet, st.binary(max_size=60)), max_size=6))
def test_pdus_are_found_again_wherever_the_stream_is_cut(sent: list[Pdu]) -> None:
    stream = b"".join(
        pdu.framed(each.command, each.sequence, each.body, each.command_status) for each in sent
    )
    for cut in range(len(stream) + 1):
        buffer = bytearray(stream[:cut])
        first, taken = pdu.split(buffer, MOST)
        buffer = buffer[taken:] + stream[cut:]
        rest, left = pdu.split(buffer, MOST)
        assert (first + rest, left) == (sent, len(buffer))


def test_a_pdu_is_told_by_its_octets() -> None:
    assert pdu.framed(pdu.ENQUIRE_LINK, 7) == bytes.fromhex("00000010 00000015 00000000 00000007")
    assert pdu.framed(pdu.SUBMIT_SM | pdu.RESPONSE, 8, b"a\0", status.ESME_RTHROTTLED) == (
        bytes.fromhex("00000012 80000004 00000058 00000008 6100")
    )


def test_a_message_is_told_by_its_octets() -> None:
    told = bytes.fromhex("00 05 00") + b"Clinica\0" + bytes.fromhex("01 01") + b"5541999990000\0"
    told += bytes.fromhex("00 00 00 00 00 01 00 00 00 02") + b"Oi"
    assert told == MAILED


def test_a_frame_takes_another_number() -> None:
    framed = pdu.framed(pdu.SUBMIT_SM, 1, MAILED)
    assert pdu.renumbered(framed, 0x7FFFFFFF) == pdu.framed(pdu.SUBMIT_SM, 0x7FFFFFFF, MAILED)


@given(strings(64), addresses, addresses, strings(5))
def test_query_and_cancel_are_read(
    message_id: str, source: Address, destination: Address, service_type: str
) -> None:
    assert pdu.read_query(text(message_id) + address(source)) == Query(message_id, source)
    cancel = text(service_type) + text(message_id) + address(source) + address(destination)
    assert pdu.read_cancel(cancel) == Query(message_id, source, destination, service_type)


def test_a_replacement_is_read() -> None:
    body = text("abc") + address(PLAIN.source) + b"\0" + text("000001000000000R")
    body += bytes((1, 0, 3)) + b"Oi!"
    assert pdu.read_replacement(body) == Replacement(
        "abc", PLAIN.source, "", "000001000000000R", 1, 0, b"Oi!"
    )


@given(addresses, addresses, st.tuples(octet, octet, octet), tlvs)
def test_data_sm_is_read(
    source: Address, destination: Address, flags: tuple[int, int, int], options: dict[int, bytes]
) -> None:
    body = text("WAP") + address(source) + address(destination) + bytes(flags)
    assert pdu.read_data(body + pdu.tlv_octets(options.items())) == ShortMessage(
        source=source,
        destination=destination,
        service_type="WAP",
        esm_class=flags[0],
        registered_delivery=flags[1],
        data_coding=flags[2],
        tlvs=options,
    )


@given(messages, st.lists(addresses | strings(20), min_size=1, max_size=254))
def test_submit_multi_is_read(message: ShortMessage, recipients: list[Address | str]) -> None:
    told = b"".join(
        b"\1" + address(each) if isinstance(each, Address) else b"\2" + text(each)
        for each in recipients
    )
    bare = pdu.message_body(message)
    begun = text(message.service_type) + address(message.source)
    rest = bare[len(begun) + len(address(message.destination)) :]
    multi = pdu.read_multi(begun + bytes((len(recipients),)) + told + rest)
    assert multi.destinations == tuple(each for each in recipients if isinstance(each, Address))
    assert multi.lists == tuple(each for each in recipients if isinstance(each, str))
    assert pdu.message_body(multi.message) == begun + b"\0\0\0" + rest


def test_answers_are_told_by_their_octets() -> None:
    assert pdu.id_body("a1") == b"a1\0"
    assert pdu.query_answer("a1", "261122073000000+", 2, 0) == b"a1\x00261122073000000+\0\2\0"
    refused = [(Address(1, 1, "55"), status.ESME_RINVDSTADR)]
    assert pdu.multi_answer("a1", refused) == b"a1\0\1\1\x0155\0\0\0\0\x0b"


def test_an_answers_id_is_read_with_its_end_without_it_and_where_there_is_none() -> None:
    assert [pdu.read_id(body) for body in (b"a1\0", b"a1", b"", b"\0", b"a1\0\2\x10")] == [
        "a1",
        "a1",
        "",
        "",
        "a1",
    ]


def test_an_id_has_64_characters_at_most() -> None:
    for octets, read in ((64, "a" * 64), (65, ""), (60_000, "")):
        for end in (b"\0", b""):
            assert pdu.read_id(b"a" * octets + end) == read


def test_a_text_stands_in_the_message_or_in_its_payload() -> None:
    assert PLAIN.payload == b"Oi"
    assert ShortMessage(tlvs={pdu.MESSAGE_PAYLOAD: b"longer"}).payload == b"longer"
    assert ShortMessage().payload == b""


def test_of_two_parameters_with_one_tag_the_last_counts() -> None:
    body = MAILED + pdu.tlv_octets([(5, b"a"), (6, b""), (5, b"b")])
    assert pdu.read_message(body).tlvs == {5: b"b", 6: b""}


# --- refused -------------------------------------------------------------------------------------


@given(almost(messages.map(pdu.message_body)) | st.binary())
def test_a_spoilt_message_is_refused_or_says_what_its_octets_say(body: bytes) -> None:
    try:
        message = pdu.read_message(body)
    except Malformed:
        return
    mandatory = pdu.message_body(replace(message, tlvs={}))
    assert body.startswith(mandatory)
    # Each tag's last value stands in the body as it was read.
    assert all(pdu.tlv_octets([each]) in body for each in message.tlvs.items())


@pytest.mark.parametrize(
    "read",
    [
        pdu.read_message,
        pdu.read_bind,
        pdu.read_data,
        pdu.read_multi,
        pdu.read_query,
        pdu.read_cancel,
        pdu.read_replacement,
        pdu.read_id,
    ],
)
@given(
    body=st.binary()
    | almost(messages.map(pdu.message_body))
    | almost(binds.map(pdu.bind_body))
    # A length of destinations, and flags, where submit_multi has them.
    | almost(messages.map(lambda it: b"\0" + address(it.source) + b"\2\1\1\1a\0\2b\0" + b"\0" * 10))
)
def test_whatever_octets_come_they_are_read_or_refused(
    read: Callable[[bytes], object], body: bytes
) -> None:
    with contextlib.suppress(Malformed):
        read(body)


@given(st.binary(max_size=100), st.integers(16, 200))
def test_whatever_stream_comes_it_is_split_or_refused(stream: bytes, most: int) -> None:
    try:
        found, taken = pdu.split(stream, most)
    except Malformed:
        return
    assert taken == sum(pdu.HEADER_SIZE + len(each.body) for each in found)


@pytest.mark.parametrize("length", [0, 15, 101, 0xFFFFFFFF])
def test_pdus_before_an_impossible_length_are_given_first(length: int) -> None:
    good = pdu.framed(pdu.ENQUIRE_LINK, 1)
    bad = struct.pack(">IIII", length, pdu.SUBMIT_SM, 0, 2)
    found, taken = pdu.split(good + bad, 100)
    assert ([each.sequence for each in found], taken) == ([1], 16)
    assert refusal(lambda octets: pdu.split(octets, 100), bad) == "ESME_RINVCMDLEN"


def test_a_pdu_of_the_greatest_length_is_taken() -> None:
    framed = pdu.framed(pdu.SUBMIT_SM, 1, bytes(84))
    assert pdu.split(framed, 100)[1] == 100


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", "ESME_RINVCMDLEN"),
        (b"\0\1\1", "ESME_RINVCMDLEN"),
        (b"TOOLONG" + MAILED, "ESME_RINVSERTYP"),
        (b"\0\1\1" + b"1" * 65 + MAILED[10:], "ESME_RINVSRCADR"),
        (MAILED.replace(b"55419", b"5" * 60), "ESME_RINVDSTADR"),
        (MAILED[:-8], "ESME_RINVCMDLEN"),
        (MAILED[:-9] + b"1" * 17 + b"\0\0\1\0\0\0\2Oi", "ESME_RINVSCHED"),
        (MAILED[:-8] + b"1" * 17 + b"\0\1\0\0\0\2Oi", "ESME_RINVEXPIRY"),
        (MAILED[:-1], "ESME_RINVMSGLEN"),
        (MAILED + b"\0", "ESME_RINVOPTPARSTREAM"),
        (MAILED + b"\4\x24\0\2a", "ESME_RINVPARLEN"),
    ],
)
def test_what_is_wrong_with_a_message_is_said_by_its_status(body: bytes, name: str) -> None:
    assert refusal(pdu.read_message, body) == name


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"s" * 16 + b"\0p\0t\0\x34\0\0\0", "ESME_RINVSYSID"),
        (b"s\0" + b"p" * 9 + b"\0t\0\x34\0\0\0", "ESME_RINVPASWD"),
        (b"s\0p\0" + b"t" * 13 + b"\0\x34\0\0\0", "ESME_RINVSYSTYP"),
        (b"s\0p\0t\0", "ESME_RINVCMDLEN"),
        (b"s\0p\0t\0\x34\0", "ESME_RINVCMDLEN"),
    ],
)
def test_what_is_wrong_with_a_bind_is_said_by_its_status(body: bytes, name: str) -> None:
    assert refusal(pdu.read_bind, body) == name


def test_a_bind_may_end_before_its_address_range() -> None:
    assert pdu.read_bind(b"s\0p\0t\0\x34") == Bind("s", "p", "t", 0x34)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (b"\0", "ESME_RINVNUMDESTS"),
        (b"\xff" + b"\1\1\1a\0" * 255, "ESME_RINVNUMDESTS"),
        (b"\1\3\1\1a\0", "ESME_RINVDESTFLAG"),
        (b"\1\2" + b"l" * 21 + b"\0", "ESME_RINVDLNAME"),
    ],
)
def test_what_is_wrong_with_a_submit_multi_is_said_by_its_status(told: bytes, name: str) -> None:
    assert refusal(pdu.read_multi, b"\0\0\0\0" + told + b"\0" * 10) == name


# --- not written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        ShortMessage(text=bytes(255)),
        ShortMessage(source=Address(1, 1, "a\0b")),
        ShortMessage(service_type="a\0"),
        ShortMessage(validity_period="\0"),
        ShortMessage(destination=Address(1, 1, "55€")),
        ShortMessage(destination=Address(256, 1, "55")),
        ShortMessage(esm_class=-1),
        ShortMessage(data_coding=1000),
        ShortMessage(tlvs={5: bytes(0x10000)}),
        ShortMessage(tlvs={0x10000: b""}),
    ],
)
def test_what_a_field_cannot_hold_is_not_written(message: ShortMessage) -> None:
    with pytest.raises(ValueError, match=r"octet|NUL|too long"):
        pdu.message_body(message)


@pytest.mark.parametrize("bad", ["a\0b", "€"])
def test_what_a_string_cannot_hold_is_not_written(bad: str) -> None:
    for write in (
        partial(pdu.id_body, bad),
        partial(pdu.bind_body, Bind(bad, "p")),
        partial(pdu.query_answer, "a", bad, 2, 0),
        partial(pdu.multi_answer, "a", [(Address(1, 1, bad), 11)]),
    ):
        with pytest.raises(ValueError, match="a string"):
            write()


@given(st.text())
def test_an_error_does_not_hold_the_number(digits: str) -> None:
    digits += "5541999990000€"
    with pytest.raises(ValueError, match=r"octet|NUL") as caught:
        pdu.message_body(ShortMessage(destination=Address(1, 1, digits)))
    assert "5541" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# --- statuses ------------------------------------------------------------------------------------


def test_every_status_that_the_gateway_names_has_its_number() -> None:
    names = {value for value in vars(esme).values() if str(value).startswith("ESME_")}
    assert names <= status.NUMBERS.keys()
    assert all(status.name_of(status.number_of(name)) == name for name in names)


def test_a_status_without_a_name_is_shown_as_a_number() -> None:
    assert status.name_of(0x400) == "0x00000400"
    assert status.number_of("ESME_OF_OURS") == status.ESME_RSYSERR
