"""The SMPP connector: PDUs from messages, outcomes from answers, receipts and replies from what
came over a bind. It is pure; over real sockets it is in tests/smpp/test_binds_*.py."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.connectors import (
    Incoming,
    Outcome,
    Part,
    RawCallback,
    Receipt,
    Rejected,
    Submit,
    Submitted,
    Unavailable,
    Uncertain,
    Upstream,
    smpp,
)
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached, Unreached
from recado.message import State
from recado.segments import decode_gsm7, segment_count
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address, ShortMessage
from recado.smpp.udh import concatenation, concatenation_of

LONG = "Bom dia, a sua fatura vence hoje. " * 10  # 340 septets: three segments
LONG_UCS2 = "Atenção: não responda! " * 6  # 138 units: three segments


def upstream(**settings: str) -> Upstream:
    usual = {"host": "smsc.example", "system_id": "recado"}
    return Upstream(name="claro", kind="smpp", settings=usual | settings, submit_timeout=7.0)


def to(text: str = "oi", **how: Any) -> Submit:
    return Submit("cc.1", "5534998887755", text, 1, **how)


class Smsc:
    """Answers requests, the first of them first, and keeps them."""

    def __init__(self, *answers: Reached | Unreached) -> None:
        self.answers = list(answers)
        self.asked: list[Outgoing] = []

    def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        self.asked += requests
        return [self.answers.pop(0) if self.answers else taken("id") for _ in requests]

    @property
    def messages(self) -> list[ShortMessage]:
        return [wire.read_message(request.body[16:]) for request in self.asked]


def taken(identifier: str) -> Reached:
    return Reached(0, wire.id_body(identifier))


def refused(command_status: int) -> Reached:
    return Reached(command_status, b"")


def sent(one: Submit, **settings: str) -> list[ShortMessage]:
    smsc = Smsc()
    smpp.submit([one], upstream(**settings), smsc.exchange)
    return smsc.messages


def outcome(*answers: Reached | Unreached, text: str = "oi", **settings: str) -> Outcome:
    smsc = Smsc(*answers)
    [found] = smpp.submit([to(text)], upstream(**settings), smsc.exchange)
    assert not smsc.answers
    return found


# --- what is sent --------------------------------------------------------------------------------


def test_a_message_is_one_framed_submit_sm_for_its_connectors_binds() -> None:
    smsc = Smsc()
    assert smpp.submit([to()], upstream(), smsc.exchange) == [Submitted("id")]
    [request] = smsc.asked
    assert (request.method, request.url, request.timeout) == ("SMPP", "smpp:claro", 7.0)
    [pdu], used = wire.split(request.body, 1000)
    assert used == len(request.body)
    assert (pdu.command, pdu.command_status, pdu.sequence) == (wire.SUBMIT_SM, 0, 0)
    [message] = smsc.messages
    assert message == ShortMessage(
        destination=Address(1, 1, "5534998887755"), text=b"oi", registered_delivery=1
    )


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("", Address(0, 0, "")),
        ("Recado", Address(5, 0, "Recado")),
        ("27400", Address(3, 0, "27400")),
        ("554130600300", Address(1, 1, "554130600300")),
        ("+554130600300", Address(1, 1, "554130600300")),
        ("Ana 24", Address(5, 0, "Ana 24")),
    ],
)
def test_the_source_has_the_type_that_it_looks_like(source: str, address: Address) -> None:
    [message] = sent(to(source=source))
    assert message.source == address


def test_settings_say_who_it_is_from_and_of_which_types() -> None:
    settings = {"source": "27400", "source_ton": "6", "source_npi": "9", "dest_ton": "2"}
    [message] = sent(to(source="Recado"), **settings, dest_npi="8", service_type="CMT")
    assert message.source == Address(6, 9, "27400")
    assert message.destination == Address(2, 8, "5534998887755")
    assert message.service_type == "CMT"


@pytest.mark.parametrize(
    ("left", "period"),
    [
        (None, ""),
        (86_400.0, "000001000000000R"),
        (59.9, "000000000059000R"),
        (3.7 * 86_400, "000003164800000R"),
        (0.2, "000000000001000R"),
        (-3.0, "000000000001000R"),  # it ended between its claim and its submit
        (400 * 86_400.0, "000099000000000R"),
    ],
)
def test_the_smsc_is_told_how_long_it_may_go_on_trying(left: float | None, period: str) -> None:
    for message in sent(to(LONG, validity=left)):
        assert message.validity_period == period


def test_the_smsc_need_not_be_told_how_long_it_may_go_on_trying() -> None:
    [message] = sent(to(validity=60.0), validity="no")
    assert message.validity_period == ""


def test_receipts_need_not_be_asked_for() -> None:
    [message] = sent(to(), receipts="no")
    assert message.registered_delivery == 0


@pytest.mark.parametrize(
    ("encoding", "text", "coding", "octets"),
    [
        ("gsm", "Olé @ {1}", 0, b"Ol\x05 \x00 \x1b(1\x1b)"),
        ("gsm", "ação", 8, "ação".encode("utf-16-be")),
        ("latin1", "Olé @ {1}", 0, "Olé @ {1}".encode("latin-1")),
        ("latin1", "10 €", 8, "10 €".encode("utf-16-be")),
        ("ucs2", "oi", 8, b"\0o\0i"),
    ],
)
def test_a_text_goes_in_the_alphabet_that_the_smsc_has(
    encoding: str, text: str, coding: int, octets: bytes
) -> None:
    [message] = sent(to(text), encoding=encoding)
    assert (message.data_coding, message.text) == (coding, octets)


@pytest.mark.parametrize("text", [LONG, LONG_UCS2])
def test_a_long_text_goes_in_parts_with_a_header_each(text: str) -> None:
    messages = sent(to(text))
    parts = [concatenation_of(message) for message in messages]
    assert len(messages) == segment_count(text, replace_accents=False) == 3
    assert all(message.esm_class == wire.UDHI and len(message.text) <= 160 for message in messages)
    assert [(part.total, part.number) for part in parts if part] == [(3, 1), (3, 2), (3, 3)]
    assert len({part.reference for part in parts if part}) == 1
    whole = b"".join(message.text[6:] for message in messages)
    read = whole.decode("utf-16-be") if messages[0].data_coding else decode_gsm7(whole)
    assert read == text


def test_a_long_text_goes_with_sar_parameters() -> None:
    messages = sent(to(LONG), long="sar")
    parts = [concatenation_of(message) for message in messages]
    assert [(part.total, part.number) for part in parts if part] == [(3, 1), (3, 2), (3, 3)]
    assert all(message.esm_class == 0 and len(message.text) <= 153 for message in messages)
    assert decode_gsm7(b"".join(message.text for message in messages)) == LONG


def test_a_long_text_goes_whole_as_a_payload() -> None:
    [message] = sent(to(LONG), long="payload")
    assert message.text == b""
    assert decode_gsm7(message.tlvs[wire.MESSAGE_PAYLOAD]) == LONG
    [message] = sent(to("a" * 200), long="payload")
    assert (message.text, message.esm_class) == (b"a" * 200, 0)


def test_the_parts_of_a_message_have_the_same_reference_each_time_that_it_is_sent() -> None:
    assert sent(to(LONG)) == sent(to(LONG))
    other = sent(Submit("cc.2", "5534998887755", LONG, 3))
    assert other[0].text[3] != sent(to(LONG))[0].text[3]


@pytest.mark.parametrize("long", ["udh", "sar", "payload"])
def test_a_customers_own_part_keeps_its_header(long: str) -> None:
    header = concatenation(Part(77, 2, 1))
    [message] = sent(to("a" * 153, udh=header.hex()), long=long)
    assert message.esm_class == wire.UDHI
    assert message.text == header + b"a" * 153
    assert concatenation_of(message) == Part(77, 2, 1)


def test_what_has_no_place_in_a_pdu_is_refused_alone() -> None:
    smsc = Smsc()
    found = smpp.submit(
        [
            to(source="a name that is too long"),
            Submit("cc.1", "5" * 21, "oi", 1),
            Submit("cc.1", "", "oi", 1),
            to("a" * 153 * 256),
            to("\ud800"),
            to(source="ação"),
            to(),
        ],
        upstream(),
        smsc.exchange,
    )
    refusals = ["RINVSRCADR", "RINVDSTADR", "RINVDSTADR", "RINVMSGLEN", "RSUBMITFAIL", "RINVSRCADR"]
    assert found == [*(Rejected(f"ESME_{name}") for name in refusals), Submitted("id")]
    assert len(smsc.asked) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_any_text_arrives_whole(text: str) -> None:
    for long in ("udh", "sar", "payload"):
        messages = sent(to(text), long=long)
        assert all(len(message.text) <= 254 for message in messages)
        skip = 6 if messages[0].esm_class else 0
        whole = b"".join(message.payload[skip:] for message in messages)
        coding = messages[0].data_coding
        assert (whole.decode("utf-16-be") if coding else decode_gsm7(whole)) == text


_FITS_BOTH = st.text(st.sampled_from("abc é@{}~\n"), min_size=1, max_size=600)


@given(_FITS_BOTH)
def test_where_octets_are_read_as_latin1_a_segment_has_so_many_as_are_counted_on(text: str) -> None:
    able = smpp.abilities(upstream(encoding="latin1"))
    messages = sent(to(text), encoding="latin1", long="sar")
    assert len(messages) == segment_count(
        text, replace_accents=False, gsm7_sizes=able.gsm7_sizes, ucs2_sizes=able.ucs2_sizes
    )
    assert b"".join(message.text for message in messages).decode("latin-1") == text
    most = 140 if len(messages) == 1 else 134
    assert all(len(message.text) <= most for message in messages)


# --- outcomes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "answered", "kept"),
    [
        ("text", "0001A2b", "0001A2b"),
        ("hex", "0001A2b", "6699"),
        ("decimal", "0006699", "6699"),
        ("hex", "no number", "no number"),
    ],
)
def test_an_id_is_kept_in_one_spelling(form: str, answered: str, kept: str) -> None:
    assert outcome(taken(answered), id_in_answer=form) == Submitted(kept)


@pytest.mark.parametrize("body", [b"", b"\0", b" \0", b"A" * 65 + b"\0", b"A" * 60_000])
def test_a_yes_without_an_id_is_a_yes(body: bytes) -> None:
    assert outcome(Reached(0, body)) == Submitted("")


def test_a_receipt_with_an_id_that_is_longer_than_any_has_none() -> None:
    with pytest.raises(ValueError, match="without an id"):
        told(receipt(b"id:" + b"7" * 65 + b" stat:DELIVRD"))


_TAKEN = taken("1")
_REFUSED = refused(status.ESME_RINVDSTADR)
_THROTTLED = refused(status.ESME_RTHROTTLED)
_FULL = Unreached("the window is full", sent=False)
_SILENT = Unreached("no response in time", sent=True)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([taken("1"), taken("2"), taken("3")], Submitted("1", ("2", "3"))),
        ([taken(""), taken("2"), taken("3")], Submitted("", ("2", "3"))),
        ([_TAKEN, _REFUSED, _TAKEN], Rejected("ESME_RINVDSTADR")),
        ([_THROTTLED, _REFUSED, _SILENT], Rejected("ESME_RINVDSTADR")),
        ([_THROTTLED, _THROTTLED, _FULL], Unavailable(1.0, "ESME_RTHROTTLED")),
        ([_FULL, refused(status.ESME_RSYSERR), _FULL], Unavailable(5.0, "ESME_RSYSERR")),
        ([_FULL, _FULL, _FULL], Unavailable(1.0, "the window is full")),
        ([_TAKEN, _SILENT, _TAKEN], Uncertain("no response in time")),
        ([_SILENT, _THROTTLED, _SILENT, _THROTTLED], Uncertain("no response in time")),
        # What could not go beside what was taken has one more try.
        ([taken("1"), _THROTTLED, taken("3"), taken("2")], Submitted("1", ("2", "3"))),
        ([_TAKEN, _FULL, _FULL, _TAKEN, _FULL], Uncertain("sent in part")),
        ([_TAKEN, _FULL, _TAKEN, _REFUSED], Rejected("ESME_RINVDSTADR")),
    ],
)
def test_what_becomes_of_a_long_text_is_what_becomes_of_its_parts(
    answers: list[Reached | Unreached], expected: Outcome
) -> None:
    assert outcome(*answers, text=LONG) == expected


def test_messages_have_their_own_outcomes_in_order() -> None:
    smsc = Smsc(taken("1"), taken("2"), _THROTTLED, taken("4"), _REFUSED, taken("3"))
    messages = [to(), to(LONG), to()]
    assert smpp.submit(messages, upstream(), smsc.exchange) == [
        Submitted("1"),
        Submitted("2", ("3", "4")),
        Rejected("ESME_RINVDSTADR"),
    ]
    assert smsc.messages[2] == smsc.messages[5]
    assert smsc.asked[5].timeout < 5.0  # a claim holds 5 s longer than a submit may take
    texts = [asked.headers.get(smpp.TEXT) for asked in smsc.asked]
    assert texts == [None, *[messages[1].reference] * 3, None, messages[1].reference]
    assert [smpp.TEXT_BEGUN in asked.headers for asked in smsc.asked] == [False] * 5 + [True]


# --- receipts ------------------------------------------------------------------------------------


def heard(message: ShortMessage, command: int = wire.DELIVER_SM) -> RawCallback:
    return smpp.raw_of("claro", command, wire.message_body(message), 1_780_000_000.5)


def told(message: ShortMessage, **settings: str) -> Receipt | Incoming:
    [one] = smpp.parse_callback(heard(message), upstream(**settings))
    return one


_APPENDIX_B = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2605281130 done date:2605281131"
    b" stat:%s err:%s text:Bom dia, a sua fatur"
)


def receipt(text: bytes, esm_class: int = wire.RECEIPT, **tlvs: bytes) -> ShortMessage:
    tags = {name: getattr(wire, name.upper()) for name in tlvs}
    return ShortMessage(
        source=Address(1, 1, "5534998887755"),
        text=text,
        esm_class=esm_class,
        tlvs={tags[name]: value for name, value in tlvs.items()},
    )


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        (b"DELIVRD", State.DELIVERED),
        (b"UNDELIV", State.UNDELIVERABLE),
        (b"EXPIRED", State.EXPIRED),
        (b"DELETED", State.DELETED),
        (b"REJECTD", State.REJECTED),
        (b"UNKNOWN", State.UNKNOWN),
        (b"ACCEPTD", State.ACCEPTED),
        (b"ENROUTE", State.ENROUTE),
    ],
)
def test_a_receipt_by_the_book(stat: bytes, state: State) -> None:
    found = told(receipt(_APPENDIX_B % (stat, b"034")))
    assert found == Receipt(state, "034", upstream_id="0123456789")


def test_an_intermediate_notification_is_a_receipt_too() -> None:
    found = told(receipt(_APPENDIX_B % (b"ACCEPTD", b"000"), esm_class=0x20))
    assert found == Receipt(State.ACCEPTED, "000", upstream_id="0123456789")


@pytest.mark.parametrize(
    ("settings", "message", "identifier"),
    [
        # The answer had it in hexadecimal, the text has it as a number.
        (
            {"id_in_answer": "hex", "id_in_receipt": "decimal"},
            receipt(b"id:0000006699 stat:DELIVRD err:000"),
            "6699",
        ),
        (
            {"id_in_answer": "decimal", "id_in_receipt": "hex"},
            receipt(b"id:1A2B stat:DELIVRD err:000"),
            "6699",
        ),
        # The parameter is written as the answer was, the text in its own way.
        (
            {"id_in_answer": "hex", "id_in_receipt": "decimal"},
            receipt(b"id:6699 stat:DELIVRD err:000", receipted_message_id=b"1A2B\0"),
            "6699",
        ),
        (
            {"id_in_answer": "hex", "id_in_receipt": "decimal"},
            receipt(b"", receipted_message_id=b"1A2B\0", message_state=b"\2"),
            "6699",
        ),
        # The text's id is cut off after ten characters.
        (
            {},
            receipt(b"id:0193fcd0-5 stat:DELIVRD", receipted_message_id=b"0193fcd0-5e1a\0"),
            "0193fcd0-5e1a",
        ),
        # A receipt by its parameters alone, without the bit in esm_class.
        (
            {},
            receipt(b"", esm_class=0, receipted_message_id=b"abc\0", message_state=b"\2"),
            "abc",
        ),
    ],
)
def test_a_receipt_finds_its_message_however_its_vendor_writes_ids(
    settings: dict[str, str], message: ShortMessage, identifier: str
) -> None:
    assert told(message, **settings) == Receipt(State.DELIVERED, "000", upstream_id=identifier)


# --- replies -------------------------------------------------------------------------------------


def reply(text: bytes, **how: Any) -> ShortMessage:
    usual = {"source": Address(1, 1, "5534998887755"), "destination": Address(3, 0, "27400")}
    return ShortMessage(**{**usual, "text": text, **how})


@pytest.mark.parametrize(
    ("encoding", "coding", "octets", "text"),
    [
        ("gsm", 0, b"\x00 \x05 \x1b(", "@ é {"),
        ("latin1", 0, "não".encode("latin-1"), "não"),
        ("ucs2", 0, "não".encode("utf-16-be"), "não"),
        ("gsm", 3, "não".encode("latin-1"), "não"),
        ("gsm", 8, "não €".encode("utf-16-be"), "não €"),
        ("gsm", 1, b"sim", "sim"),
    ],
)
def test_a_reply_is_read_by_its_coding(
    encoding: str, coding: int, octets: bytes, text: str
) -> None:
    found = told(reply(octets, data_coding=coding), encoding=encoding)
    assert isinstance(found, Incoming)
    assert (found.source, found.destination) == ("5534998887755", "27400")
    assert (found.text, found.part, found.reference) == (text, None, None)


def test_what_names_a_message_and_says_no_state_of_it_is_a_reply() -> None:
    """Kannel's drive_smpp writes replies so."""
    found = told(reply(b"sim", tlvs={wire.RECEIPTED_MESSAGE_ID: b"1A2B\0"}))
    assert isinstance(found, Incoming)
    assert (found.source, found.text) == ("5534998887755", "sim")


def test_a_reply_may_stand_in_a_payload_and_come_by_data_sm() -> None:
    whole = "a" * 300
    found = told(reply(b"", tlvs={wire.MESSAGE_PAYLOAD: whole.encode()}))
    assert isinstance(found, Incoming)
    assert found.text == whole
    body = b"\0" + b"\1\x01123\0" + b"\3\x00456\0" + b"\0\0\0"  # service_type, addresses (4.7.1)
    body += wire.tlv_octets([(wire.MESSAGE_PAYLOAD, b"oi")])
    [found] = smpp.parse_callback(smpp.raw_of("claro", wire.DATA_SM, body, 1.0), upstream())
    assert isinstance(found, Incoming)
    assert (found.source, found.destination, found.text) == ("123", "456", "oi")


@pytest.mark.parametrize(
    "message",
    [
        reply(concatenation(Part(9, 3, 2)) + b"meio", esm_class=wire.UDHI),
        reply(concatenation(Part(900, 3, 2)) + b"meio", esm_class=wire.UDHI),
        reply(
            b"meio",
            tlvs={
                wire.SAR_MSG_REF_NUM: b"\3\x84",
                wire.SAR_TOTAL_SEGMENTS: b"\3",
                wire.SAR_SEGMENT_SEQNUM: b"\2",
            },
        ),
    ],
)
def test_a_part_of_a_long_reply_says_which(message: ShortMessage) -> None:
    found = told(message)
    assert isinstance(found, Incoming)
    assert found.text == "meio"
    assert found.part is not None
    assert found.part.reference in (9, 900)
    assert (found.part.total, found.part.number) == (3, 2)


def test_a_plus_before_a_number_is_no_part_of_it() -> None:
    found = told(reply(b"oi", source=Address(1, 1, "+5534998887755")))
    assert isinstance(found, Incoming)
    assert found.source == "5534998887755"


def test_a_reply_that_only_looks_like_a_receipt_is_a_reply() -> None:
    found = told(reply(_APPENDIX_B % (b"DELIVRD", b"000")))
    assert isinstance(found, Incoming)


def test_a_reply_is_known_by_its_octets_and_by_when_it_came_first() -> None:
    def event(message: ShortMessage, at: float) -> str:
        raw = smpp.raw_of("claro", wire.DELIVER_SM, wire.message_body(message), at)
        [found] = smpp.parse_callback(raw, upstream())
        assert isinstance(found, Incoming)
        return found.upstream_event

    assert event(reply(b"oi"), 1.0) == event(reply(b"oi"), 1.0)
    assert event(reply(b"oi"), 1.0) != event(reply(b"oi"), 2.0)
    assert event(reply(b"oi"), 1.0) != event(reply(b"ei"), 1.0)


@pytest.mark.parametrize(
    "raw",
    [
        heard(reply(b"\x09\0", esm_class=wire.UDHI)),  # a header that is cut off
        heard(reply(b"oi", esm_class=0x18)),  # a conversation abort
        heard(reply(b"oi", source=Address())),  # from nobody
        heard(reply(b"\0\1", data_coding=4)),  # octets that are no text
        heard(receipt(b"whatever")),
        smpp.raw_of("claro", wire.DELIVER_SM, b"\0\0", 1.0),
        smpp.raw_of("claro", wire.SUBMIT_SM, wire.message_body(reply(b"oi")), 1.0),
        RawCallback("claro", "SMPP", "", {}, "", 1.0),
        RawCallback("claro", "SMPP", "", {"command": "5"}, "no base64!", 1.0),
        RawCallback("claro", "POST", "", {"command": "5"}, heard(reply(b"oi")).body, 1.0),
    ],
)
def test_what_can_not_be_read_is_a_value_error(raw: RawCallback) -> None:
    with pytest.raises(ValueError, match=r".+"):
        smpp.parse_callback(raw, upstream())


@given(st.binary(max_size=200))
def test_whatever_an_smsc_sends_it_is_read_or_a_value_error(body: bytes) -> None:
    for command in (wire.DELIVER_SM, wire.DATA_SM):
        try:
            smpp.parse_callback(smpp.raw_of("claro", command, body, 1.0), upstream())
        except ValueError:
            continue


def test_nobody_posts_to_it_by_http() -> None:
    assert smpp.verify_callback(heard(reply(b"oi")), upstream())
    posted = RawCallback("claro", "POST", "", {}, "{}", 1.0)
    assert not smpp.verify_callback(posted, upstream())
    assert smpp.acknowledgement()["statusCode"] == 204


# --- settings ------------------------------------------------------------------------------------


def test_it_splits_unless_the_smsc_does_and_goes_over_binds() -> None:
    able = smpp.abilities(upstream())
    assert (able.splits, able.over_bind, able.carries_our_id) == (True, True, False)
    assert not smpp.abilities(upstream(long="payload")).splits
    assert smpp.abilities(upstream(encoding="ucs2")).gsm7_sizes == (70, 67)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"host": ""}, "host is missing"),
        ({"system_id": ""}, "system_id is missing"),
        ({"port": "65536"}, "port is above 65535"),
        ({"port": "0"}, "port makes no sense"),
        ({"binds": "0"}, "binds makes no sense"),
        ({"window": "many"}, "window makes no sense"),
        ({"source_ton": "256"}, "source_ton makes no sense"),
        ({"long": "short"}, "long makes no sense"),
        ({"id_in_receipt": "octal"}, "id_in_receipt makes no sense"),
        ({"system_id": "sixteen-letters-"}, "system_id makes no sense"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(change: dict[str, str], problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem):
        smpp.abilities(upstream(**change))


def test_the_password_is_the_only_secret_and_is_not_read_from_the_settings() -> None:
    secret = [name for name, setting in smpp.SETTINGS.items() if setting.secret]
    assert secret == ["password"]
    read: Callable[[Upstream], object] = smpp.abilities
    assert read(upstream(password="anything")) == read(upstream())
