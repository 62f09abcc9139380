"""Receipts: ours by the letter of Appendix B, and those of upstreams in the forms that are met."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.esme import RECEIPT_STAT
from recado.message import State, is_final
from recado.smpp import pdu, receipt, status
from recado.smpp.pdu import Malformed, ShortMessage
from recado.smpp.receipt import (
    USUAL_STATS,
    Told,
    read_receipt,
    receipt_text,
    receipt_tlvs,
    same_id,
    usual_words,
)
from recado.smpp.vendor_receipts import spelled, words_of

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
SUBMITTED = datetime(2026, 11, 22, 10, 30, tzinfo=UTC).timestamp()
DONE = SUBMITTED + 60
ID = "01a20029-d169-7d05-a52a-a01db102b1d3"
PLAIN = "id:77 sub:001 dlvrd:001 submit date:2611221030 done date:2611221031"


def told(text: str, **tlvs: bytes) -> Told:
    return read_receipt(sent(text, **tlvs))


def sent(text: str, **tlvs: bytes) -> ShortMessage:
    return ShortMessage(
        text=text.encode("latin-1"),
        esm_class=pdu.RECEIPT,
        tlvs={getattr(pdu, name): value for name, value in tlvs.items()},
    )


# --- ours ----------------------------------------------------------------------------------------


def test_a_receipt_of_ours_is_appendix_bs() -> None:
    text = receipt_text(ID, "DELIVRD", "000", SUBMITTED, DONE, "Sua consulta é amanhã", SAO_PAULO)
    assert text == (
        f"id:{ID} sub:001 dlvrd:001 submit date:2611220730 done date:2611220731"
        " stat:DELIVRD err:000 text:Sua consulta e amanh"
    ).encode("ascii")


def test_what_was_not_delivered_is_not_counted_as_delivered() -> None:
    assert b" dlvrd:000 " in receipt_text(ID, "UNDELIV", "001", SUBMITTED, DONE)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64))
def test_the_longest_receipt_fits_a_short_message(message_id: str) -> None:
    text = receipt_text(message_id, "DELIVRD", "000", SUBMITTED, DONE, "ﷺ" * 300)
    assert len(text) <= pdu.MOST_TEXT


@given(st.text())
def test_a_receipts_text_is_printable_ascii_of_20_characters(text: str) -> None:
    shown = receipt_text(ID, "DELIVRD", "000", SUBMITTED, DONE, text).partition(b" text:")[2]
    assert len(shown) <= 20
    assert all(32 <= octet < 127 for octet in shown)


@pytest.mark.parametrize("state", [state for state in State if is_final(state)])
def test_a_receipt_of_ours_is_read_as_what_it_says(state: State) -> None:
    text = receipt_text(ID, RECEIPT_STAT[state], "042", SUBMITTED, DONE, "Oi id:1 stat:X")
    bare = ShortMessage(text=text, esm_class=pdu.RECEIPT)
    same = State.UNDELIVERABLE if state is State.FAILED else state
    expected = Told(
        id=ID,
        id_in_text=ID,
        state=same,
        stat=RECEIPT_STAT[state],
        err="042",
    )
    assert read_receipt(bare) == expected
    assert read_receipt(ShortMessage(text=text, tlvs=receipt_tlvs(ID, state))) == expected
    assert told("", **named(receipt_tlvs(ID, state))).state == same


def named(tlvs: dict[int, bytes]) -> dict[str, bytes]:
    names = {pdu.RECEIPTED_MESSAGE_ID: "RECEIPTED_MESSAGE_ID", pdu.MESSAGE_STATE: "MESSAGE_STATE"}
    return {names[tag]: value for tag, value in tlvs.items()}


def test_every_state_has_its_number() -> None:
    assert {state: receipt.state_number(state) for state in State} == {
        State.SCHEDULED: 1,
        State.PAUSED: 1,
        State.QUEUED: 1,
        State.SUBMITTING: 1,
        State.ENROUTE: 1,
        State.DELIVERED: 2,
        State.EXPIRED: 3,
        State.DELETED: 4,
        State.UNDELIVERABLE: 5,
        State.FAILED: 5,
        State.ACCEPTED: 6,
        State.UNKNOWN: 7,
        State.REJECTED: 8,
    }


# --- what is a receipt ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        (ShortMessage(esm_class=0x04), True),
        (ShortMessage(esm_class=0x44), True),
        (ShortMessage(esm_class=0x20), True),
        (ShortMessage(tlvs={pdu.RECEIPTED_MESSAGE_ID: b"1\0", pdu.MESSAGE_STATE: b"\2"}), True),
        (ShortMessage(text=b"stat:DELIVRD", tlvs={pdu.RECEIPTED_MESSAGE_ID: b"1\0"}), True),
        # An id, and no state: neither, none that there is, and none that can be read.
        (ShortMessage(text=b"Obrigado", tlvs={pdu.RECEIPTED_MESSAGE_ID: b"1\0"}), False),
        (ShortMessage(tlvs={pdu.RECEIPTED_MESSAGE_ID: b"1\0", pdu.MESSAGE_STATE: b"\63"}), False),
        (ShortMessage(tlvs={pdu.RECEIPTED_MESSAGE_ID: b"1\0", pdu.MESSAGE_STATE: b""}), False),
        (ShortMessage(tlvs={pdu.MESSAGE_STATE: b"\2"}), False),
        (ShortMessage(esm_class=0x00, text=f"{PLAIN} stat:DELIVRD".encode()), False),
        (ShortMessage(esm_class=0x40), False),
        (ShortMessage(esm_class=0x08), False),
        (ShortMessage(esm_class=0x10), False),
        (ShortMessage(esm_class=0x18), False),
        (ShortMessage(tlvs={pdu.MESSAGE_PAYLOAD: b"a"}), False),
    ],
)
def test_a_receipt_is_known_by_its_class_and_parameters(
    message: ShortMessage, is_one: bool
) -> None:
    assert receipt.is_receipt(message) is is_one


# --- theirs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{PLAIN} stat:DELIVRD err:000 text:Oi",
        "ID:77 SUB:001 DLVRD:001 SUBMIT DATE:2611221030 DONE DATE:2611221031 STAT:delivrd ERR:000",
        "stat:DELIVRD done date:261122103100 err:000 id:77 submit date:261122103000 Text:Oi",
        "id: 77 sub: 001 dlvrd: 001 submit date: 2611221030 done date: 2611221031 stat: DELIVRD",
        "id:77;sub:001;submit_date:2611221030;done_date:20261122103100;stat:DELIVERED;err:0",
        "id=77 submitdate=2611221030 donedate=2611221031 stat=DELIVRD err=",
        "id:77 submit date:2026-11-22 10:30:00 done date:2026-11-22 10:31:00 stat:2 err:00000",
        f"{PLAIN} stat:DELIVRD err: text:",
        f"  {PLAIN}\r\nstat:DELIVRD\r\nerr:000\0",
        "message_id:77 submit date:2611221030 done date:2611221031 stat:DELIVRD",
        "text:Oi id:77 sub:001 submit date:2611221030 done date:2611221031 stat:DELIVRD err:0",
    ],
)
def test_a_vendors_receipt_is_read(text: str) -> None:
    found = told(text)
    assert (found.id, found.state, found.err) == ("77", State.DELIVERED, "000")


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("DELIVRD", State.DELIVERED),
        ("Delivered", State.DELIVERED),
        ("DELIVERD", State.DELIVERED),
        ("DLVRD", State.DELIVERED),
        ("SUCCESS", State.DELIVERED),
        ("UNDELIV", State.UNDELIVERABLE),
        ("UNDELIVERED", State.UNDELIVERABLE),
        ("UNDELIVERABLE", State.UNDELIVERABLE),
        ("NOT_DELIVERED", State.UNDELIVERABLE),
        ("DELIVERY_FAILED", State.UNDELIVERABLE),
        ("FAILED", State.UNDELIVERABLE),
        ("EXPIRED", State.EXPIRED),
        ("EXPIRD", State.EXPIRED),
        ("DELETED", State.DELETED),
        ("CANCELLED", State.DELETED),
        ("ACCEPTD", State.ACCEPTED),
        ("ACCEPTED", State.ACCEPTED),
        ("REJECTD", State.REJECTED),
        ("REJECTED", State.REJECTED),
        ("ENROUTE", State.ENROUTE),
        ("EN_ROUTE", State.ENROUTE),
        ("BUFFERED", State.ENROUTE),
        ("DELAYED", State.ENROUTE),
        ("UNKNOWN", State.UNKNOWN),
        ("UNKNOWD", State.UNKNOWN),
        ("WHATEVER", State.UNKNOWN),
        ("5", State.UNDELIVERABLE),
        ("99", State.UNKNOWN),
    ],
)
def test_a_stat_is_read_however_it_is_spelled(stat: str, state: State) -> None:
    found = told(f"id:77 stat:{stat}")
    assert (found.state, found.stat) == (state, stat.upper())


@pytest.mark.parametrize("stat", USUAL_STATS)
def test_a_usual_stat_is_what_its_spelling_says(stat: str) -> None:
    assert USUAL_STATS[stat] is spelled(stat)


@pytest.mark.parametrize(
    ("number", "stat", "state"),
    [
        (2, "", State.DELIVERED),
        (2, "UNDELIV", State.DELIVERED),
        (5, "DELIVRD", State.UNDELIVERABLE),
        (1, "", State.ENROUTE),
        (0, "", State.ENROUTE),
        (9, "", State.UNDELIVERABLE),
        (7, "EXPIRED", State.EXPIRED),
        (7, "", State.UNKNOWN),
        (99, "EXPIRED", State.EXPIRED),
    ],
)
def test_the_state_parameter_counts_before_the_text(number: int, stat: str, state: State) -> None:
    assert told(f"id:77 stat:{stat}", MESSAGE_STATE=bytes((number,))).state is state


def test_a_receipt_may_be_told_by_parameters_alone() -> None:
    assert told("", RECEIPTED_MESSAGE_ID=b"a1\0", MESSAGE_STATE=b"\3") == Told(
        id="a1", state=State.EXPIRED, stat="EXPIRED", err="000"
    )


def test_an_id_in_the_parameter_counts_and_that_of_the_text_is_kept() -> None:
    found = told("id:0172054 stat:DELIVRD", RECEIPTED_MESSAGE_ID=b"2A016")
    assert (found.id, found.id_in_text) == ("2A016", "0172054")


@pytest.mark.parametrize(
    ("err", "network", "code"),
    [
        ("0", "", "000"),
        ("7", "", "007"),
        ("1143", "", "1143"),
        ("00000012", "", "012"),
        ("0x1F", "", "031"),
        ("e1f", "", "E1F"),
        ("ABSENT_SUBSCRIBER", "", "ABSENT_SUB"),
        ("", "", "000"),
        ("", "03001b", "027"),
        ("000", "0304d2", "1234"),
        ("005", "03001b", "005"),
        ("", "001b", "000"),
    ],
)
def test_an_err_has_three_digits_as_a_rule(err: str, network: str, code: str) -> None:
    tlvs = {"NETWORK_ERROR_CODE": bytes.fromhex(network)} if network else {}
    assert told(f"id:77 stat:UNDELIV err:{err} text:", **tlvs).err == code


def test_an_id_that_is_longer_than_any_is_none() -> None:
    longest, longer = "7" * 64, "7" * 65
    for form in ("id:%s sub:001 stat:DELIVRD", PLAIN.replace("id:77", "id:%s") + " stat:DELIVRD"):
        assert told(form % longest).id == longest
        with pytest.raises(Malformed):
            told(form % longer)
    state = {"MESSAGE_STATE": b"\2"}
    with pytest.raises(Malformed):
        told("", RECEIPTED_MESSAGE_ID=longer.encode() + b"\0", **state)
    assert told("id:77", RECEIPTED_MESSAGE_ID=longer.encode() + b"\0", **state).id == "77"


def test_the_messages_own_text_is_read_for_nothing() -> None:
    found = told("id:77 stat:UNDELIV err:001 text:id:78 stat:DELIVRD err:000 text:done date:")
    assert (found.id, found.state, found.err) == ("77", State.UNDELIVERABLE, "001")


def test_a_receipt_may_come_in_ucs2_in_the_payload_and_behind_a_header() -> None:
    text = f"{PLAIN} stat:DELIVRD"
    for message in (
        ShortMessage(text=text.encode("utf-16-be"), data_coding=8),
        ShortMessage(tlvs={pdu.MESSAGE_PAYLOAD: text.encode()}),
        ShortMessage(text=b"\5\0\3\1\1\1" + text.encode(), esm_class=0x44),
    ):
        assert read_receipt(message).id == "77"


@pytest.mark.parametrize(
    "text", ["", "stat:DELIVRD", "id:77", "id: stat:DELIVRD", "Oi", "text:id:77", "mid:77 stat:OK"]
)
def test_a_receipt_without_an_id_or_a_state_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        told(text)
    assert caught.value.command_status == status.ESME_RX_P_APPN


# --- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answered", "answer_form", "receipted", "receipt_form"),
    [
        ("2A016", "hex", "172054", "decimal"),
        ("2a016", "hex", "0000172054", "decimal"),
        ("0x2A016", "hex", "0002A016", "hex"),
        ("172054", "decimal", "2A016", "hex"),
        (" 01a2-b3 ", "text", "01a2-b3", "text"),
    ],
)
def test_an_id_is_the_same_in_the_answer_and_in_the_receipt(
    answered: str, answer_form: receipt.IdForm, receipted: str, receipt_form: receipt.IdForm
) -> None:
    assert same_id(answered, answer_form) == same_id(receipted, receipt_form)


@given(st.integers(0, 2**64))
def test_hexadecimal_and_decimal_are_one(number: int) -> None:
    assert same_id(f"{number:x}", "hex") == same_id(f"{number:020d}", "decimal") == str(number)


@pytest.mark.parametrize("form", ["text", "hex", "decimal"])
@pytest.mark.parametrize(
    "other", ["not-a-number", "", "1_0", "+1", "-1", "٣", "9" * 5000, "0x", "0x0x1"]
)
def test_an_id_of_another_form_stays_as_it_is(other: str, form: receipt.IdForm) -> None:
    assert same_id(other, form) == other


def test_an_id_of_text_keeps_its_zeros() -> None:
    assert same_id("0042", "text") == "0042"


# --- whatever comes ------------------------------------------------------------------------------

words = st.sampled_from(
    ["id:", "stat:", "err:", "text:", "submit date:", "done date:", " ", ";", "7", "DELIVRD", "\0"]
)


@given(
    st.lists(words | st.text(max_size=5)).map("".join),
    st.sampled_from([0, 4, 8, 0xF5]),
    st.sampled_from([0x04, 0x44, 0x20]),
    st.dictionaries(
        st.sampled_from(
            [pdu.RECEIPTED_MESSAGE_ID, pdu.MESSAGE_STATE, pdu.NETWORK_ERROR_CODE, 0x0424]
        ),
        st.binary(max_size=12),
    ),
)
def test_whatever_comes_as_a_receipt_it_is_read_or_refused(
    text: str, data_coding: int, esm_class: int, tlvs: dict[int, bytes]
) -> None:
    octets = text.encode("utf-16-be" if data_coding == 8 else "utf-8", "replace")
    message = ShortMessage(text=octets, data_coding=data_coding, esm_class=esm_class, tlvs=tlvs)
    try:
        found = read_receipt(message)
    except Malformed:
        return
    assert found.id
    assert found.err


ODD = (
    *("", " ", "  ", "\t", "\0", "\r\n", ";", ",", "|", "=", ":", "\xa0", "\x85", "é", "_", "-"),
    *(
        "a;stat:X",
        "a,err:1",
        "7|id:8",
        "7 err:",
        " text:",
        " id:8",
        "stat:X",
        "delivrd",
        "2",
        "X_1",
    ),
    *("1", "00", "0001", "0x1", "2026-11-22 10:31", "20261122103100", "٣", "7" * 70),
)
NAMES = ("", "id:", " sub:", " dlvrd:", " submit date:", " done date:", " stat:", " err:")
USUAL = ("", "77", "001", "001", "2611221030", "2611221031", "DELIVRD", "000", "", "")
ENDS = (("", ""), (" text:", ""), (" Text:", "Oi"))


def made(values: Sequence[str], ends: tuple[str, str]) -> bytes:
    pieces = zip((*NAMES, *ends), values, strict=True)
    return "".join(name + value for name, value in pieces).encode("latin-1", "replace")


def agree(octets: bytes) -> bool:
    """Whether the two readings do, of what the quick one reads."""
    return usual_words(octets) in (None, words_of(octets.decode("latin-1")))


def test_the_usual_form_says_what_any_form_says_whatever_is_odd_in_it() -> None:
    read = 0
    for at, odd, ends in product(range(len(USUAL)), ODD, ENDS):
        for value in (odd, odd + USUAL[at], USUAL[at] + odd):
            octets = made([*USUAL[:at], value, *USUAL[at + 1 :]], ends)
            assert agree(octets), octets
            read += usual_words(octets) is not None
    assert read > 300


@given(
    st.lists(st.sampled_from(ODD) | st.sampled_from(USUAL) | words, min_size=10, max_size=10),
    st.sets(st.integers(0, 9), max_size=3),
    st.sampled_from(ENDS),
)
def test_the_usual_form_says_what_any_form_says_wherever_it_is_odd(
    others: list[str], places: set[int], ends: tuple[str, str]
) -> None:
    values = [others[at] if at in places else value for at, value in enumerate(USUAL)]
    assert agree(made(values, ends))


@given(st.binary() | st.lists(words | st.text(max_size=5)).map("".join).map(str.encode))
def test_any_octets_say_the_same_in_the_usual_form_and_in_any(octets: bytes) -> None:
    assert agree(octets)


@pytest.mark.parametrize("behind", [" text:Oi id:78 stat:UNDELIV", " Text:", "", " ", "\r\n", "\0"])
@pytest.mark.parametrize("message_id", [ID, "77", "0A1B", "7:8/9=a"])
def test_the_form_that_most_send_is_the_usual_one(message_id: str, behind: str) -> None:
    text = f"{PLAIN} stat:DELIVRD err:042{behind}".replace("id:77", f"id:{message_id}").encode()
    assert usual_words(text) == (message_id, "DELIVRD", "042") == words_of(text.decode())


def test_odd_receipts_cost_a_start_nothing_where_none_come() -> None:
    script = (
        "import sys; from recado.connectors import smpp; from recado.smpp import receipt;"
        "text = receipt.receipt_text('77', 'DELIVRD', '000', 0.0, 0.0);"
        "receipt.read_receipt(receipt.ShortMessage(text=text));"
        "print([name for name in sys.modules if 'vendor' in name and name.startswith('recado')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_long_text_of_field_names_takes_no_long_time() -> None:
    text = "id:77 stat:DELIVRD " + "submit " * 9000
    assert told(text).state is State.DELIVERED
