"""Encoding and cutting, held to the sizes of TS 23.040 and to another's GSM 03.38 table."""

import pytest
from gsm0338 import Codec
from hypothesis import example, given
from hypothesis import strategies as st

from recado.segments import (
    Encoding,
    decode_gsm7,
    encode_gsm7,
    segment_count,
    segmented,
    septets,
)

OTHER_TABLE = Codec()
ESCAPE = "\x1b"
EXTENSION = "^{}\\[~]|€\f"
GSM7 = "".join(chr(c) for c in range(0x10000) if septets(chr(c)) is not None)
PORTUGUESE = "áâãêíóôõúçÁÂÃÀÊÍÓÔÕÚªº“”‘’–—…•\u00a0\t"
EMOJI = "😀🇧🇷👩🏽"

gsm7_texts = st.text(st.sampled_from(GSM7) | st.sampled_from(EXTENSION), max_size=500)
portuguese_texts = st.text(st.sampled_from(GSM7 + PORTUGUESE), max_size=500)
any_texts = (
    gsm7_texts
    | portuguese_texts
    | st.text(st.sampled_from("aé" + EMOJI), max_size=500)
    | st.text(max_size=200)
)
sizes = st.tuples(st.integers(2, 20), st.integers(2, 20)).map(lambda pair: (max(pair), min(pair)))


def octets(text: str, encoding: Encoding) -> bytes:
    """What goes over the air, by another's implementation."""
    if encoding is Encoding.GSM7:
        return bytes(OTHER_TABLE.encode(text)[0])
    return text.encode("utf-16-be")


def units(text: str, encoding: Encoding) -> int:
    length = len(octets(text, encoding))
    return length if encoding is Encoding.GSM7 else length // 2


def test_the_alphabet_is_that_of_another_implementation_for_every_bmp_character() -> None:
    for code in range(0x10000):
        character = chr(code)
        try:
            theirs = OTHER_TABLE.encode(character)[0]
        except UnicodeEncodeError:
            theirs = None
        if character == ESCAPE:
            # The other table takes the control character ESC for the escape code. It is none: a
            # text that holds it would reach the handset as another text.
            theirs = None
        if theirs is None:
            assert septets(character) is None, hex(code)
            with pytest.raises(ValueError, match="GSM-7 lacks"):
                encode_gsm7(character)
        else:
            assert encode_gsm7(character) == theirs, hex(code)
            assert septets(character) == len(theirs), hex(code)
            assert decode_gsm7(theirs) == character, hex(code)


def test_every_code_decodes_as_in_another_implementation() -> None:
    for code in set(range(0x80)) - {0x1B}:
        assert decode_gsm7(bytes([code])) == OTHER_TABLE.decode(bytes([code]))[0]


def test_every_extension_code_decodes_as_in_another_implementation() -> None:
    known = 0
    for code in set(range(0x80)) - {0x1B}:
        data = bytes([0x1B, code])
        try:
            theirs = OTHER_TABLE.decode(data)[0]
        except UnicodeDecodeError:
            # An unknown one shows as the character of the code alone (TS 23.038, 6.2.1.1).
            assert decode_gsm7(data) == decode_gsm7(data[1:])
        else:
            known += 1
            assert decode_gsm7(data) == theirs
    assert known == 10


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"A\x1b", "A "),
        (b"\x1b\x1bA", " A"),
        (b"\x1b\x41", "A"),
        (b"\x00\x80\xff", "@\ufffd\ufffd"),
        (b"\x1b\x80", "\ufffd"),
    ],
)
def test_decoding_refuses_nothing(data: bytes, text: str) -> None:
    assert decode_gsm7(data) == text


@given(st.binary(max_size=50))
def test_no_bytes_make_decoding_raise(data: bytes) -> None:
    assert len(decode_gsm7(data)) <= len(data)


@given(gsm7_texts)
def test_a_gsm7_text_decodes_back(text: str) -> None:
    encoded = encode_gsm7(text)
    assert decode_gsm7(encoded) == text
    assert septets(text) == len(encoded)


@given(st.lists(st.integers(0, 255).filter(lambda code: code != 0x1B)).map(bytes))
@example(bytes(code for code in range(256) if code != 0x1B))
def test_octets_decode_the_same_before_an_escape_as_without_one(data: bytes) -> None:
    assert decode_gsm7(data + b"\x1be") == decode_gsm7(data) + "€"


@given(st.text(st.sampled_from(GSM7)))
@example(GSM7)
def test_a_text_encodes_the_same_before_an_extension_character_as_without_one(text: str) -> None:
    assert encode_gsm7(text + "€") == encode_gsm7(text) + b"\x1be"


def test_what_gsm7_has_of_portuguese_is_known() -> None:
    assert septets("àéÉüÜñÇ") == 7
    assert [c for c in "çáâãêíóôõúÀÁÂÃÊÍÓÔÕÚ" if septets(c) is not None] == []


def test_the_error_of_encoding_does_not_tell_the_text() -> None:
    with pytest.raises(ValueError, match="GSM-7 lacks") as raised:
        encode_gsm7("segredo ã")
    assert "segredo" not in str(raised.value)
    assert "ã" not in str(raised.value)


@given(any_texts, st.booleans())
def test_the_parts_joined_are_the_text_and_each_fits_its_size(text: str, replace: bool) -> None:
    cut = segmented(text, replace_accents=replace)
    single, several = (160, 153) if cut.encoding is Encoding.GSM7 else (70, 67)
    assert "".join(cut.parts) == cut.text
    assert cut.count == len(cut.parts) >= 1
    size = single if cut.count == 1 else several
    assert all(units(part, cut.encoding) <= size for part in cut.parts)
    assert (cut.count == 1) == (units(cut.text, cut.encoding) <= single)


@given(any_texts, st.booleans())
def test_the_count_alone_is_the_count_of_the_parts(text: str, replace: bool) -> None:
    assert segment_count(text, replace_accents=replace) == (
        segmented(text, replace_accents=replace).count
    )


@given(any_texts, st.booleans(), sizes, sizes)
def test_the_count_alone_is_the_count_of_the_parts_with_own_sizes(
    text: str, replace: bool, gsm7: tuple[int, int], ucs2: tuple[int, int]
) -> None:
    count = segment_count(text, replace_accents=replace, gsm7_sizes=gsm7, ucs2_sizes=ucs2)
    cut = segmented(text, replace_accents=replace, gsm7_sizes=gsm7, ucs2_sizes=ucs2)
    assert count == cut.count
    single, several = gsm7 if cut.encoding is Encoding.GSM7 else ucs2
    size = single if cut.count == 1 else several
    assert all(units(part, cut.encoding) <= size for part in cut.parts)


@given(any_texts, st.booleans(), sizes, sizes)
def test_each_part_decodes_by_itself(
    text: str, replace: bool, gsm7: tuple[int, int], ucs2: tuple[int, int]
) -> None:
    cut = segmented(text, replace_accents=replace, gsm7_sizes=gsm7, ucs2_sizes=ucs2)
    for part in cut.parts:
        air = octets(part, cut.encoding)
        if cut.encoding is Encoding.GSM7:
            assert encode_gsm7(part) == air
            assert decode_gsm7(air) == part
            assert OTHER_TABLE.decode(air)[0] == part
        else:
            assert air.decode("utf-16-be") == part
    whole = octets(cut.text, cut.encoding)
    assert b"".join(octets(part, cut.encoding) for part in cut.parts) == whole


def fewest(text: str, encoding: Encoding, size: int) -> int:
    """The least number of pieces over all ways to cut, by trying them."""
    least = [0] + [len(text) + 1] * len(text)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - size), end):
            if units(text[start:end], encoding) <= size:
                least[end] = min(least[end], least[start] + 1)
    return least[-1]


@given(
    st.text(st.sampled_from("a€{"), min_size=1, max_size=30)
    | st.text(st.sampled_from("aã😀"), min_size=1, max_size=30),
    sizes,
)
def test_no_way_to_cut_makes_fewer_segments(text: str, own: tuple[int, int]) -> None:
    cut = segmented(text, replace_accents=False, gsm7_sizes=own, ucs2_sizes=own)
    if cut.count == 1:
        assert units(text, cut.encoding) <= own[0]
    else:
        assert cut.count == fewest(text, cut.encoding, own[1])


@pytest.mark.parametrize(
    ("text", "encoding", "lengths"),
    [
        ("", Encoding.GSM7, [0]),
        ("a" * 160, Encoding.GSM7, [160]),
        ("a" * 161, Encoding.GSM7, [153, 8]),
        ("a" * 306, Encoding.GSM7, [153, 153]),
        ("a" * 307, Encoding.GSM7, [153, 153, 1]),
        ("€" * 80, Encoding.GSM7, [80]),
        ("€" * 81, Encoding.GSM7, [76, 5]),
        ("a" * 159 + "€", Encoding.GSM7, [153, 7]),
        ("a" * 152 + "€" + "b" * 151, Encoding.GSM7, [152, 152]),
        ("a" * 151 + "€" + "b" * 153, Encoding.GSM7, [152, 153]),
        ("ã" * 70, Encoding.UCS2, [70]),
        ("ã" * 71, Encoding.UCS2, [67, 4]),
        ("ã" * 134, Encoding.UCS2, [67, 67]),
        ("ã" * 135, Encoding.UCS2, [67, 67, 1]),
        ("😀" * 35, Encoding.UCS2, [35]),
        ("😀" * 36, Encoding.UCS2, [33, 3]),
        ("😀" * 330, Encoding.UCS2, [33] * 10),
        ("😀" * 331, Encoding.UCS2, [33] * 10 + [1]),
        ("ã" * 66 + "😀" + "ã" * 65, Encoding.UCS2, [66, 66]),
    ],
)
def test_the_edges_of_the_sizes(text: str, encoding: Encoding, lengths: list[int]) -> None:
    cut = segmented(text, replace_accents=False)
    assert cut.encoding is encoding
    assert [len(part) for part in cut.parts] == lengths
    assert segment_count(text, replace_accents=False) == len(lengths)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("a" * 140, [140]),
        ("a" * 141, [132, 9]),
        ("ã" * 60, [60]),
        ("ã" * 61, [50, 11]),
    ],
)
def test_an_upstream_with_its_own_sizes_is_followed(text: str, lengths: list[int]) -> None:
    own = {"gsm7_sizes": (140, 132), "ucs2_sizes": (60, 50)}
    cut = segmented(text, replace_accents=False, **own)
    assert [len(part) for part in cut.parts] == lengths
    assert segment_count(text, replace_accents=False, **own) == len(lengths)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("Olá, João! Sua reserva é às 9h", "Ola, Joao! Sua reserva é às 9h"),
        ("AÇÃO, ação", "AÇAO, acao"),
        ("áâãêíóôõúç ÀÁÂÃÊÍÓÔÕÚ", "aaaeiooouc AAAAEIOOOU"),
        ("1ª via, 2º andar, nº 3, 4°", "1a via, 2o andar, no 3, 4o"),
        ("“sim” ‘não’ «ok»", '"sim" \'nao\' "ok"'),
        ("9h–18h — seg…", "9h-18h - seg..."),
        ("•\u00a0item\tum", "* item um"),
        ("uma\u2028duas\vtrês", "uma\nduas\ntres"),
        ("in\u00advisível\u200b\ufeff", "invisivel"),
        ("cœur Łódź Dvořák ế", "coeur Lodz Dvorak e"),
        ("12 m², 3×4, d´água", "12 m2, 3x4, d'agua"),
        ("Loja™ © 2024 ®\ufe0f", "LojaTM (c) 2024 (R)"),
        ("€ 10 [sim] não", "€ 10 [sim] nao"),
    ],
)
def test_characters_that_gsm7_lacks_give_way_to_the_nearest(written: str, sent: str) -> None:
    cut = segmented(written, replace_accents=True)
    assert (cut.text, cut.encoding) == (sent, Encoding.GSM7)
    kept = segmented(written, replace_accents=False)
    assert (kept.text, kept.encoding) == (written, Encoding.UCS2)


def test_letters_written_with_combining_accents_are_sent_like_composed_ones() -> None:
    written = "na\u0303o e\u0301 voce\u0302, u\u0308, ac\u0327a\u0303o, x\u0303"
    assert segmented(written, replace_accents=True).text == "nao é voce, ü, acao, x"


@pytest.mark.parametrize(
    "text",
    [
        "Olá, João 😀",
        "João, 你好",
        "ação: 1️⃣",  # a digit that is shown as a key
        "não: x ≠ y",  # its = would say the contrary
        "não: ½",  # 1½ would become 11/2
        "não: 1\u03360",  # struck through
        "são \x1b",
        "são \x00",
        "Привет, João",
    ],
)
def test_a_text_that_needs_ucs2_anyhow_keeps_its_accents(text: str) -> None:
    cut = segmented(text, replace_accents=True)
    assert (cut.text, cut.encoding) == (text, Encoding.UCS2)


@given(any_texts)
def test_a_text_is_replaced_as_a_whole_or_stays_as_it_was(text: str) -> None:
    cut = segmented(text, replace_accents=True)
    assert cut.encoding is Encoding.GSM7 or cut.text == text
    assert (cut.encoding is Encoding.GSM7) == (septets(cut.text) is not None)


@given(gsm7_texts, st.booleans())
def test_a_text_that_fits_gsm7_is_sent_as_it_is(text: str, replace: bool) -> None:
    cut = segmented(text, replace_accents=replace)
    assert (cut.text, cut.encoding) == (text, Encoding.GSM7)


@given(portuguese_texts)
def test_characters_that_gsm7_has_are_never_replaced(text: str) -> None:
    one_by_one = [c if c in GSM7 else segmented(c, replace_accents=True).text for c in text]
    cut = segmented(text, replace_accents=True)
    assert cut.encoding is Encoding.GSM7
    assert cut.text == "".join(one_by_one)


@given(portuguese_texts, st.sampled_from(EMOJI + "你≠"))
def test_one_character_beyond_repair_keeps_all_others(text: str, beyond: str) -> None:
    cut = segmented(text + beyond, replace_accents=True)
    assert (cut.text, cut.encoding) == (text + beyond, Encoding.UCS2)


@given(any_texts)
def test_replacing_a_second_time_changes_nothing(text: str) -> None:
    once = segmented(text, replace_accents=True)
    assert segmented(once.text, replace_accents=True) == once


@given(st.text(st.characters(categories=["Cs", "Lu"]), max_size=200), st.booleans())
def test_half_a_surrogate_pair_is_one_unit_and_raises_nothing(text: str, replace: bool) -> None:
    cut = segmented(text, replace_accents=replace)
    assert "".join(cut.parts) == cut.text
    assert segment_count(text, replace_accents=replace) == cut.count


def test_a_run_of_combining_marks_that_no_language_has_is_sent_as_it_is() -> None:
    # Composing it would take time by the square of its length (UAX #15, Stream-Safe).
    text = "a" + "\u0301\u0316" * 100_000
    sent = segmented(text, replace_accents=True)
    assert (sent.text, sent.encoding) == (text, Encoding.UCS2)
