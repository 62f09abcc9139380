"""Numbers, held to the seed documents, to Anatel's plan and to libphonenumber."""

import re

import phonenumbers
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recado.numbers import KEPT_BAD, Found, Numbering, NumberProblem, number_of, numbers_in

# Anatel's numbering plan.
DDDS = {
    *range(11, 20), 21, 22, 24, 27, 28, *range(31, 36), 37, 38, *range(41, 50),
    51, 53, 54, 55, *range(61, 70), 71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
}  # fmt: skip # a line of the plan a line
INVALID = NumberProblem.INVALID
FIXED_LINE = NumberProblem.FIXED_LINE

digits = st.text("0123456789", max_size=16)
mobiles = st.builds(
    "{}9{}".format, st.sampled_from(sorted(DDDS)), st.text("0123456789", min_size=8, max_size=8)
)
brazilian_looking = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "55", "+55", "0", "+"]),
    st.sampled_from(sorted(map(str, DDDS))) | st.text("0123456789", min_size=2, max_size=2),
    st.text("0123456789", min_size=7, max_size=10),
)


def brazilian(written: str, *, strict: bool, fixed_lines: bool = False) -> str | NumberProblem:
    """As the first seed document has it: strict is its letter."""
    return number_of(written, Numbering(plus=not strict, fixed_lines=fixed_lines))


def libphonenumber_says(national: str) -> str:
    """The kind of a national number (no leading zero) in libphonenumber's data."""
    number = phonenumbers.PhoneNumber(country_code=55, national_number=int(national))
    kind = phonenumbers.number_type(number)
    names = {
        phonenumbers.PhoneNumberType.MOBILE: "mobile",
        phonenumbers.PhoneNumberType.FIXED_LINE: FIXED_LINE.value,
    }
    return names.get(kind, INVALID.value)


def we_say(written: str) -> str:
    found = brazilian(written, strict=True)
    return found.value if isinstance(found, NumberProblem) else "mobile"


@pytest.mark.parametrize("strict", [True, False])
def test_the_numbers_of_the_seed_document_fare_as_it_says(strict: bool) -> None:
    assert brazilian("553488556644", strict=strict) is INVALID
    assert brazilian("5534998887755", strict=strict) == "5534998887755"
    assert brazilian("34998887755", strict=strict) == "5534998887755"


def test_there_are_67_area_codes_and_no_other_passes() -> None:
    assert len(DDDS) == 67
    taken = {
        ddd for ddd in range(100) if brazilian(f"55{ddd:02}998887755", strict=True) is not INVALID
    }
    assert taken == DDDS


def test_a_fixed_line_is_named_unless_fixed_lines_may_pass() -> None:
    assert brazilian("554130600300", strict=True) is FIXED_LINE
    assert brazilian("4130600300", strict=True) is FIXED_LINE
    assert brazilian("554130600300", strict=True, fixed_lines=True) == "554130600300"
    assert brazilian("4130600300", strict=True, fixed_lines=True) == "554130600300"
    assert brazilian("+554130600300", strict=False, fixed_lines=True) == "554130600300"
    assert brazilian("34998887755", strict=True, fixed_lines=True) == "5534998887755"


def test_area_code_55_is_kept_apart_from_the_country_code_by_the_length() -> None:
    assert brazilian("55999998888", strict=True) == "5555999998888"
    assert brazilian("5555999998888", strict=True) == "5555999998888"
    assert brazilian("5532221111", strict=True, fixed_lines=True) == "555532221111"
    assert brazilian("555532221111", strict=True, fixed_lines=True) == "555532221111"


def test_a_leading_plus_is_tolerated_before_the_country_code() -> None:
    assert brazilian("+5534998887755", strict=False) == "5534998887755"
    assert brazilian("++5534998887755", strict=False) is INVALID


def test_a_leading_plus_is_refused_when_the_cost_centre_is_strict() -> None:
    assert brazilian("+5534998887755", strict=True) is INVALID
    assert brazilian("+554130600300", strict=True) is INVALID


def test_a_plus_without_the_country_code_is_another_countrys_number() -> None:
    assert phonenumbers.region_code_for_number(phonenumbers.parse("+34998887755")) != "BR"
    assert brazilian("+34998887755", strict=False) is INVALID


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "55",
        " 5534998887755",
        "5534998887755 ",
        "5534998887755\n",
        "55 34 99888-7755",
        "(34)998887755",
        "034998887755",
        "005534998887755",
        "5534٩٩٨٨٨٧٧٥٥",
        "\uff15\uff1534998887755",  # full width digits
        "55²4998887755",
        "3499888775",
        "349988877555",
        "55349988877555",
        "1155534998887755",
        "34898887755",
        "3411112222",
    ],
)
def test_anything_but_the_digits_of_a_number_is_invalid(written: str, strict: bool) -> None:
    assert brazilian(written, strict=strict, fixed_lines=True) is INVALID


def test_every_beginning_of_a_number_is_judged_as_by_libphonenumber() -> None:
    differing = set()
    for ddd in range(10, 100):
        for beginning in range(100):
            for rest in ("123456", "1234567"):
                national = f"{ddd}{beginning:02}{rest}"
                if we_say(national) != libphonenumber_says(national):
                    differing.add((ddd, len(national), beginning // 10))
    # The one known difference: libphonenumber still takes eight digits that begin with 7 (a trunked
    # radio service's) for a mobile. Mobiles have nine digits since 2016.
    assert differing == {(ddd, 10, 7) for ddd in DDDS}


@given(st.from_regex("[1-9][0-9]{9,10}", fullmatch=True) | mobiles)
def test_random_national_numbers_are_judged_as_by_libphonenumber(national: str) -> None:
    assume(not re.fullmatch("[0-9]{2}7[0-9]{7}", national))  # the known difference, see above
    assert we_say(national) == we_say("55" + national) == libphonenumber_says(national)


@given(brazilian_looking)
def test_what_passes_is_the_number_that_libphonenumber_reads(written: str) -> None:
    """One way only: its parser also takes the trunk prefix 0 or 90, with a carrier's code, off
    what was dialled, which is more than digits with or without the country code."""
    found = brazilian(written, strict=False, fixed_lines=True)
    if isinstance(found, NumberProblem):
        return
    read = phonenumbers.parse(written, "BR")
    assert phonenumbers.is_valid_number(read)
    assert phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164) == "+" + found


@given(mobiles)
def test_a_mobile_passes_with_and_without_the_country_code(national: str) -> None:
    assert brazilian(national, strict=True) == "55" + national
    assert brazilian("55" + national, strict=True) == "55" + national
    assert brazilian("+55" + national, strict=False) == "55" + national


@given(mobiles | brazilian_looking | digits, st.booleans(), st.booleans())
def test_a_number_made_normal_stays_as_it_is(written: str, strict: bool, fixed_lines: bool) -> None:
    found = brazilian(written, strict=strict, fixed_lines=fixed_lines)
    if not isinstance(found, NumberProblem):
        assert brazilian(found, strict=True, fixed_lines=fixed_lines) == found


@given(st.text() | brazilian_looking | digits, st.booleans(), st.booleans())
def test_no_text_makes_it_raise_and_what_passes_is_digits(
    written: str, strict: bool, fixed_lines: bool
) -> None:
    found = brazilian(written, strict=strict, fixed_lines=fixed_lines)
    if not isinstance(found, NumberProblem):
        assert re.fullmatch("55[0-9]{10,11}", found)


@given(st.text() | brazilian_looking)
def test_strictness_only_takes_away(written: str) -> None:
    strictly = brazilian(written, strict=True)
    if strictly is not INVALID:
        assert brazilian(written, strict=False) == strictly


# --- as the second document has them: dialled, abroad ---------------------------------------------

DIALLED = Numbering(plus=True, trunk_zero=True, fixed_lines=True)
ABROAD = Numbering(plus=True, trunk_zero=True, fixed_lines=True, abroad=True)
numberings = st.builds(Numbering, st.booleans(), st.booleans(), st.booleans(), st.booleans())
dialled = st.builds(
    "{}{}".format, st.sampled_from(["", "0", "00", "0055", "+55", "055", "+", "0034"]), digits
)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("034998887755", "5534998887755"),
        ("005534998887755", "5534998887755"),
        ("04130600300", "554130600300"),
        ("00554130600300", "554130600300"),
        ("055999998888", "5555999998888"),
        ("34998887755", "5534998887755"),
        ("+5534998887755", "5534998887755"),
    ],
)
def test_a_number_may_be_dialled_as_within_brazil_or_as_from_abroad(
    written: str, number: str
) -> None:
    assert number_of(written, DIALLED) == number
    assert number_of(written, ABROAD) == number
    if written.startswith("0"):
        assert number_of(written, Numbering(plus=True, fixed_lines=True)) is INVALID


@pytest.mark.parametrize(
    "written",
    [
        *["00", "0", "0000", "055", "0055", "0034998887755", "05534998887755"],
        *["00005534998887755", "0+5534998887755", "+034998887755", "+005534998887755"],
        "001155534998887755",
    ],
)
def test_a_prefix_without_its_number_is_invalid(written: str) -> None:
    assert number_of(written, DIALLED) is INVALID


@pytest.mark.parametrize(
    ("written", "number"),
    [("0034612345678", "34612345678"), ("0012125550123", "12125550123"), ("00595981123456", None)],
)
def test_00_and_a_country_is_taken_where_numbers_abroad_are(
    written: str, number: str | None
) -> None:
    assert number_of(written, ABROAD) == (number or written[2:])
    assert number_of(written, DIALLED) is INVALID


@pytest.mark.parametrize(
    "written",
    [
        *["00553488556644", "0055", "00551234567", "000034612345678", "001234567"],
        *["34612345678", "+34612345678", "001234567890123456"],
    ],
)
def test_00_is_no_way_around_the_brazilian_plan_nor_beyond_e_164(written: str) -> None:
    assert number_of(written, ABROAD) is INVALID


def test_a_fixed_line_is_named_however_it_is_dialled() -> None:
    mobiles_alone = Numbering(trunk_zero=True, abroad=True)
    for written in ("04130600300", "00554130600300", "4130600300"):
        assert number_of(written, mobiles_alone) is FIXED_LINE


@given(dialled | brazilian_looking | st.text(), numberings)
def test_what_is_taken_is_digits_and_is_taken_again(written: str, numbering: Numbering) -> None:
    found = number_of(written, numbering)
    if isinstance(found, NumberProblem):
        return
    assert re.fullmatch("[1-9][0-9]{7,14}", found)
    if found.startswith("55"):
        assert number_of(found, numbering) == found


@given(dialled | brazilian_looking, numberings)
def test_each_switch_only_adds(written: str, numbering: Numbering) -> None:
    narrow = number_of(written, numbering)
    if not isinstance(narrow, NumberProblem):
        assert number_of(written, ABROAD) == narrow


# --- lists ---------------------------------------------------------------------------------------


def read(text: str, numbering: Numbering = DIALLED) -> Found:
    """The list, read to its end."""
    *_, found = numbers_in(text, numbering)
    return found


def by_the_book(text: str, numbering: Numbering) -> Found:
    """The same in the plainest way."""
    found = Found({}, 0, 0, [])
    for place, line in enumerate(text.split("\n"), 1):
        for written in re.findall("[0-9]+", line):
            number = number_of(written, numbering)
            if isinstance(number, NumberProblem):
                found.bad_count += 1
                if found.bad_count <= KEPT_BAD:
                    found.bad.append((place, written))
            elif number in found.numbers:
                found.duplicates += 1
            else:
                found.numbers[number] = None
    return found


def same(found: Found, other: Found) -> bool:
    return found == other and list(found.numbers) == list(other.numbers)


@pytest.mark.parametrize("between", [";", ",", "\n", "\r\n", " ", "|", "x", "-", "é", "\0", "²"])
def test_numbers_are_parted_by_whatever_is_no_digit(between: str) -> None:
    text = between.join(["5541997992010", "041997992011", "554130600300"])
    assert list(read(text).numbers) == ["5541997992010", "5541997992011", "554130600300"]


def test_the_seeds_masked_example_is_parts_of_numbers() -> None:
    found = read("5541xx99792010;554199xx2030")
    assert (found.numbers, found.bad_count) == ({}, 4)
    assert found.bad == [(1, "5541"), (1, "99792010"), (1, "554199"), (1, "2030")]


def test_a_number_that_comes_again_is_kept_once_and_counted() -> None:
    found = read("5541997992010\n041997992010\n41997992010;5541997992011")
    assert list(found.numbers) == ["5541997992010", "5541997992011"]
    assert (found.duplicates, found.bad) == (2, [])


def test_what_is_no_number_is_told_with_its_line() -> None:
    found = read("nome;fone\nAna 2;5541997992010\n\nBia;41 30600300;7\n8")
    assert found.bad == [(2, "2"), (4, "41"), (4, "30600300"), (4, "7"), (5, "8")]


def test_fixed_lines_are_no_numbers_of_a_list_where_they_are_not_taken() -> None:
    found = read("554130600300;5541997992010", Numbering(trunk_zero=True))
    assert (list(found.numbers), found.bad) == (["5541997992010"], [(1, "554130600300")])


def test_an_empty_list_has_nothing() -> None:
    for text in ("", "\n", "nome;fone\n"):
        assert same(read(text), Found({}, 0, 0, []))


def test_a_long_list_is_read_in_stretches_that_cut_no_number() -> None:
    for width in range(1, 30):  # the first stretch ends at each place within a number
        numbers = [f"55419{n:08}" for n in range(10_000)]
        text = "x" * width + "\n" + ";".join(numbers)
        stretches = list(numbers_in(text, DIALLED))
        assert len(stretches) > 1
        assert (list(stretches[-1].numbers), stretches[-1].bad) == (numbers, [])


def test_digits_without_an_end_are_one_thing() -> None:
    found = read("1" * 500_000 + "\n5541997992010")
    assert (list(found.numbers), found.bad) == (["5541997992010"], [(1, "1" * 500_000)])


def test_of_what_is_no_number_the_first_thousand_are_kept_and_all_counted() -> None:
    text = "5541997992010;7\n" * 20_000
    found = read(text)
    assert (found.bad_count, len(found.bad), found.duplicates) == (20_000, KEPT_BAD, 19_999)
    assert found.bad == [(n, "7") for n in range(1, KEPT_BAD + 1)]


lists = st.lists(
    st.sampled_from([";", "\n", "\r\n", " ", "x", "é"]) | brazilian_looking | dialled | st.text()
).map("".join)


@settings(deadline=None)
@given(lists, numberings)
def test_a_list_is_read_as_in_the_plainest_way(text: str, numbering: Numbering) -> None:
    assert same(read(text, numbering), by_the_book(text, numbering))


@settings(deadline=None)
@given(lists, numberings, st.integers(0, 40))
def test_a_list_is_read_so_wherever_its_stretches_end(
    text: str, numbering: Numbering, before: int
) -> None:
    padded = " " * (65_536 - before) + text + " " * 65_536 + text
    assert same(read(padded, numbering), by_the_book(padded, numbering))
