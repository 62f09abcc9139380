"""User data headers and SAR parameters: which part of a long text a message is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.connectors import Part
from recado.smpp import pdu, status, udh
from recado.smpp.pdu import Malformed, ShortMessage

parts = st.integers(1, 255).flatmap(
    lambda total: st.builds(Part, st.integers(0, 0xFFFF), st.just(total), st.integers(1, total))
)


@given(parts, st.binary(max_size=134))
def test_a_part_is_read_from_the_header_that_says_it(part: Part, octets: bytes) -> None:
    message = ShortMessage(text=udh.concatenation(part) + octets, esm_class=pdu.UDHI)
    assert udh.concatenation_of(message) == part
    assert udh.header_and_text(message) == (udh.concatenation(part), octets)


@given(parts)
def test_a_part_is_read_from_the_parameters_that_say_it(part: Part) -> None:
    assert udh.concatenation_of(ShortMessage(text=b"a", tlvs=udh.sar(part))) == part


def test_a_reference_takes_one_octet_or_two() -> None:
    assert udh.concatenation(Part(255, 3, 1)).hex() == "050003ff0301"
    assert udh.concatenation(Part(256, 3, 2)).hex() == "06080401000302"


@pytest.mark.parametrize(
    "bad", [Part(0x10000, 2, 1), Part(-1, 2, 1), Part(1, 256, 1), Part(1, 2, 3)]
)
def test_numbers_that_no_header_holds_are_not_written(bad: Part) -> None:
    for write in (udh.concatenation, udh.sar):
        with pytest.raises(ValueError, match="part"):
            write(bad)


def test_a_part_is_found_beside_other_elements() -> None:
    told = bytes.fromhex("0b 0504 0b84 23f0 0003 2a 02 01")
    assert udh.elements(told) == [(5, bytes.fromhex("0b8423f0")), (0, b"\x2a\2\1")]
    assert udh.part_of_udh(told) == Part(42, 2, 1)


def test_of_several_concatenations_the_last_counts() -> None:
    assert udh.part_of_udh(bytes.fromhex("0b 0003010201 080401000302")) == Part(256, 3, 2)


@pytest.mark.parametrize("told", ["0500032a0000", "0500032a0003", "0500032a0200", "0500032a0203"])
def test_a_concatenation_of_no_part_is_ignored(told: str) -> None:
    assert udh.part_of_udh(bytes.fromhex(told)) is None


def test_the_header_may_stand_in_the_payload() -> None:
    tlvs = {pdu.MESSAGE_PAYLOAD: udh.concatenation(Part(1, 2, 2)) + b"longo"}
    message = ShortMessage(esm_class=pdu.UDHI, tlvs=tlvs)
    assert udh.concatenation_of(message) == Part(1, 2, 2)
    assert udh.header_and_text(message)[1] == b"longo"


def test_without_udhi_there_is_no_header() -> None:
    octets = udh.concatenation(Part(1, 2, 2)) + b"a"
    assert udh.concatenation_of(ShortMessage(text=octets)) is None
    assert udh.header_and_text(ShortMessage(text=octets)) == (b"", octets)


def test_a_header_of_other_things_leaves_the_word_to_sar() -> None:
    message = ShortMessage(
        text=bytes.fromhex("0605040b8423f0") + b"a",
        esm_class=pdu.UDHI,
        tlvs=udh.sar(Part(9, 2, 1)),
    )
    assert udh.concatenation_of(message) == Part(9, 2, 1)


@pytest.mark.parametrize("octets", ["", "05", "0500032a02", "0400032a0201", "0500022a0201", "0100"])
def test_a_header_that_is_not_whole_is_refused(octets: str) -> None:
    with pytest.raises(Malformed) as caught:
        udh.concatenation_of(ShortMessage(text=bytes.fromhex(octets), esm_class=pdu.UDHI))
    assert caught.value.command_status == status.ESME_RINVESMCLASS


@pytest.mark.parametrize("missing", [0x020C, 0x020E, 0x020F])
def test_sar_that_is_not_complete_is_ignored(missing: int) -> None:
    tlvs = udh.sar(Part(1, 2, 1))
    del tlvs[missing]
    assert udh.part_of_sar(tlvs) is None


def test_a_sar_reference_may_have_one_octet() -> None:
    assert udh.part_of_sar({0x020C: b"\7", 0x020E: b"\2", 0x020F: b"\1"}) == Part(7, 2, 1)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({0x020C: b""}, "ESME_RINVPARLEN"),
        ({0x020C: b"\0\0\1"}, "ESME_RINVPARLEN"),
        ({0x020E: b"\0\2"}, "ESME_RINVPARLEN"),
        ({0x020F: b""}, "ESME_RINVPARLEN"),
        ({0x020E: b"\0"}, "ESME_RINVOPTPARAMVAL"),
        ({0x020F: b"\0"}, "ESME_RINVOPTPARAMVAL"),
        ({0x020F: b"\3"}, "ESME_RINVOPTPARAMVAL"),
    ],
)
def test_sar_that_says_no_part_is_refused(changed: dict[int, bytes], name: str) -> None:
    with pytest.raises(Malformed) as caught:
        udh.part_of_sar(udh.sar(Part(1, 2, 1)) | changed)
    assert status.name_of(caught.value.command_status) == name


octets = st.binary(max_size=12) | st.binary(max_size=8).map(lambda it: bytes((len(it),)) + it)


@given(octets, octets, octets)
def test_whatever_octets_come_a_part_is_found_or_refused(
    text: bytes, reference: bytes, number: bytes
) -> None:
    tlvs = {0x020C: reference, 0x020E: b"\2", 0x020F: number}
    try:
        part = udh.concatenation_of(ShortMessage(text=text, esm_class=pdu.UDHI, tlvs=tlvs))
    except Malformed:
        return
    assert part is None or 1 <= part.number <= part.total
