"""Texts in a short message's octets, held to recado.segments and to another's GSM 03.38 table."""

import pytest
from gsm0338 import Codec
from hypothesis import assume, given
from hypothesis import strategies as st

from recado.segments import segment_count, septets
from recado.smpp import text

OTHER_TABLE = Codec()
GSM7 = "".join(chr(c) for c in range(0x10000) if septets(chr(c)) is not None)
EXTENSION = "^{}\\[~]|€\f"

gsm7_texts = st.text(st.sampled_from(GSM7) | st.sampled_from(EXTENSION), max_size=500)
latin1_texts = st.text(st.characters(max_codepoint=255), max_size=400)
whole_texts = st.text(st.characters(codec="utf-8"), max_size=300)
emoji_texts = st.text(st.sampled_from("ab😀🇧🇷"), max_size=400)
texts = gsm7_texts | latin1_texts | whole_texts | emoji_texts
sizes = st.tuples(st.integers(2, 20), st.integers(2, 20)).map(lambda pair: (max(pair), min(pair)))
alphabets = st.sampled_from(["gsm", "latin1"])
TEXTS = [*range(2), 3, 8, *range(0x10, 0x14), *range(0x18, 0x1C), *range(0xF0, 0xF4)]


@given(gsm7_texts)
def test_the_default_alphabet_is_gsm_one_septet_an_octet(sent: str) -> None:
    octets = text.encoded(sent, 0)
    assert octets == bytes(OTHER_TABLE.encode(sent)[0])
    assert text.decoded(octets, 0) == sent


def test_the_default_alphabet_is_latin1_where_the_other_end_says_so() -> None:
    assert text.decoded(b"n\xe3o", 0, "latin1") == "não"
    assert text.encoded("não @", 0, "latin1") == b"n\xe3o @"
    assert text.encoded("@", 0) == b"\0"


@pytest.mark.parametrize(
    ("data_coding", "sent", "octets"),
    [
        (1, "ok", b"ok"),
        (3, "não", b"n\xe3o"),
        (8, "😀ã", b"\xd8\x3d\xde\x00\x00\xe3"),
        (0x10, "€", b"\x1be"),
        (0x1B, "ã", b"\x00\xe3"),
        (0xF0, "@a", b"\0a"),
    ],
)
def test_each_coding_has_its_octets(data_coding: int, sent: str, octets: bytes) -> None:
    assert text.encoded(sent, data_coding) == octets
    assert text.decoded(octets, data_coding) == sent


def test_ia5_above_127_is_read_as_latin1_and_not_written() -> None:
    assert text.decoded(b"n\xe3o", 1) == "não"
    with pytest.raises(ValueError, match="ascii"):
        text.encoded("não", 1)


def test_a_class_is_told_apart_from_the_alphabet() -> None:
    assert [coding for coding in range(256) if text.is_ucs2(coding)] == [8, 24, 25, 26, 27]


def test_a_coding_that_is_not_a_texts_is_an_error() -> None:
    for data_coding in set(range(256)) - set(TEXTS):
        assert not text.is_text(data_coding)
        with pytest.raises(ValueError, match="is not a text's"):
            text.decoded(b"", data_coding)
        with pytest.raises(ValueError, match="is not a text's"):
            text.encoded("", data_coding)


@given(st.binary(max_size=300), st.sampled_from(TEXTS), alphabets)
def test_whatever_octets_come_of_a_texts_coding_they_are_read(
    octets: bytes, data_coding: int, alphabet: text.Alphabet
) -> None:
    text.decoded(octets, data_coding, alphabet).encode()  # fit to be kept as UTF-8


@given(whole_texts | emoji_texts)
def test_ucs2_carries_every_text(sent: str) -> None:
    assert text.decoded(text.encoded(sent, 8), 8) == sent


def test_half_a_character_is_read_as_unknown() -> None:
    assert text.decoded(b"\0a\xd8\x3d", 8) == "a\ufffd"
    assert text.decoded(b"\0a\0", 8) == "a\ufffd"


def test_an_error_does_not_hold_the_text() -> None:
    for data_coding in (0, 1, 3):
        with pytest.raises(ValueError, match="has a character") as caught:
            text.encoded("segredo 😀", data_coding)
        assert "segredo" not in str(caught.value)
    with pytest.raises(ValueError, match="utf-16"):
        text.encoded("\ud83d", 8)


@pytest.mark.parametrize(
    ("sent", "alphabet", "latin1", "coding"),
    [
        ("", "gsm", False, 0),
        ("Consulta @ 10h", "gsm", False, 0),
        ("Δ €", "gsm", False, 0),
        ("Δ €", "latin1", False, 8),
        ("é", "latin1", False, 0),
        ("ã", "gsm", False, 8),
        ("ã", "latin1", False, 8),
        ("ã", "gsm", True, 3),
        ("😀", "gsm", True, 8),
    ],
)
def test_a_text_goes_in_the_coding_that_has_it(
    sent: str, alphabet: text.Alphabet, latin1: bool, coding: int
) -> None:
    assert text.coding_for(sent, alphabet, latin1) == coding


@given(texts, alphabets, st.booleans(), sizes, sizes)
def test_a_text_has_as_many_segments_as_are_counted_and_they_are_the_text(
    sent: str,
    alphabet: text.Alphabet,
    latin1: bool,
    gsm7_sizes: tuple[int, int],
    ucs2_sizes: tuple[int, int],
) -> None:
    coding = text.coding_for(sent, alphabet, latin1)
    assume(coding != 8 or septets(sent) is None)  # a text that only Latin-1 forces into UCS-2
    parts = text.segments(
        sent, coding, alphabet=alphabet, gsm7_sizes=gsm7_sizes, ucs2_sizes=ucs2_sizes
    )
    counted = segment_count(
        sent, replace_accents=False, gsm7_sizes=gsm7_sizes, ucs2_sizes=ucs2_sizes
    )
    assert len(parts) == counted
    assert "".join(text.decoded(part, coding, alphabet) for part in parts) == sent


@given(texts, alphabets, sizes)
def test_coding_and_segments_are_the_same_in_one_go(
    sent: str, alphabet: text.Alphabet, gsm7_sizes: tuple[int, int]
) -> None:
    coding = text.coding_for(sent, alphabet)
    parts = text.segments(sent, coding, alphabet=alphabet, gsm7_sizes=gsm7_sizes)
    assert text.coded(sent, alphabet, gsm7_sizes) == (coding, parts)


@given(texts)
def test_each_segment_leaves_room_for_its_header(sent: str) -> None:
    coding = text.coding_for(sent)
    parts = text.segments(sent, coding)
    several = len(parts) > 1
    most = {0: 153 if several else 160, 8: 134 if several else 140}[coding]
    assert all(len(part) <= most for part in parts)


@given(gsm7_texts, sizes)
def test_a_text_that_fits_gsm_is_cut_by_its_own_units_when_it_goes_as_ucs2(
    sent: str, ucs2_sizes: tuple[int, int]
) -> None:
    parts = text.segments(sent, 8, ucs2_sizes=ucs2_sizes)
    several = ucs2_sizes[1]
    assert len(parts) == (1 if len(sent) <= ucs2_sizes[0] else -(-len(sent) // several))
    assert "".join(text.decoded(part, 8) for part in parts) == sent


def test_what_a_latin1_alphabet_lacks_makes_segments_of_ucs2() -> None:
    assert len(text.segments("€" + "a" * 100, 8, alphabet="latin1")) == 2
    assert segment_count("€" + "a" * 100, replace_accents=False) == 1
