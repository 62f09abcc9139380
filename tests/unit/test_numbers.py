"""Brazilian numbers, held to the seed document, to Anatel's plan and to libphonenumber."""

import re

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recado.numbers import NumberProblem, brazilian_mobile

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
    found = brazilian_mobile(written, strict=True)
    return found.value if isinstance(found, NumberProblem) else "mobile"


@pytest.mark.parametrize("strict", [True, False])
def test_the_numbers_of_the_seed_document_fare_as_it_says(strict: bool) -> None:
    assert brazilian_mobile("553488556644", strict=strict) is INVALID
    assert brazilian_mobile("5534998887755", strict=strict) == "5534998887755"
    assert brazilian_mobile("34998887755", strict=strict) == "5534998887755"


def test_there_are_67_area_codes_and_no_other_passes() -> None:
    assert len(DDDS) == 67
    taken = {
        ddd
        for ddd in range(100)
        if brazilian_mobile(f"55{ddd:02}998887755", strict=True) is not INVALID
    }
    assert taken == DDDS


def test_a_fixed_line_is_named_unless_fixed_lines_may_pass() -> None:
    assert brazilian_mobile("554130600300", strict=True) is FIXED_LINE
    assert brazilian_mobile("4130600300", strict=True) is FIXED_LINE
    assert brazilian_mobile("554130600300", strict=True, fixed_lines=True) == "554130600300"
    assert brazilian_mobile("4130600300", strict=True, fixed_lines=True) == "554130600300"
    assert brazilian_mobile("+554130600300", strict=False, fixed_lines=True) == "554130600300"
    assert brazilian_mobile("34998887755", strict=True, fixed_lines=True) == "5534998887755"


def test_area_code_55_is_kept_apart_from_the_country_code_by_the_length() -> None:
    assert brazilian_mobile("55999998888", strict=True) == "5555999998888"
    assert brazilian_mobile("5555999998888", strict=True) == "5555999998888"
    assert brazilian_mobile("5532221111", strict=True, fixed_lines=True) == "555532221111"
    assert brazilian_mobile("555532221111", strict=True, fixed_lines=True) == "555532221111"


def test_a_leading_plus_is_tolerated_before_the_country_code() -> None:
    assert brazilian_mobile("+5534998887755", strict=False) == "5534998887755"
    assert brazilian_mobile("++5534998887755", strict=False) is INVALID


def test_a_leading_plus_is_refused_when_the_cost_centre_is_strict() -> None:
    assert brazilian_mobile("+5534998887755", strict=True) is INVALID
    assert brazilian_mobile("+554130600300", strict=True) is INVALID


def test_a_plus_without_the_country_code_is_another_countrys_number() -> None:
    assert phonenumbers.region_code_for_number(phonenumbers.parse("+34998887755")) != "BR"
    assert brazilian_mobile("+34998887755", strict=False) is INVALID


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
    assert brazilian_mobile(written, strict=strict, fixed_lines=True) is INVALID


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
    found = brazilian_mobile(written, strict=False, fixed_lines=True)
    if isinstance(found, NumberProblem):
        return
    read = phonenumbers.parse(written, "BR")
    assert phonenumbers.is_valid_number(read)
    assert phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164) == "+" + found


@given(mobiles)
def test_a_mobile_passes_with_and_without_the_country_code(national: str) -> None:
    assert brazilian_mobile(national, strict=True) == "55" + national
    assert brazilian_mobile("55" + national, strict=True) == "55" + national
    assert brazilian_mobile("+55" + national, strict=False) == "55" + national


@given(mobiles | brazilian_looking | digits, st.booleans(), st.booleans())
def test_a_number_made_normal_stays_as_it_is(written: str, strict: bool, fixed_lines: bool) -> None:
    found = brazilian_mobile(written, strict=strict, fixed_lines=fixed_lines)
    if not isinstance(found, NumberProblem):
        assert brazilian_mobile(found, strict=True, fixed_lines=fixed_lines) == found


@given(st.text() | brazilian_looking | digits, st.booleans(), st.booleans())
def test_no_text_makes_it_raise_and_what_passes_is_digits(
    written: str, strict: bool, fixed_lines: bool
) -> None:
    found = brazilian_mobile(written, strict=strict, fixed_lines=fixed_lines)
    if not isinstance(found, NumberProblem):
        assert re.fullmatch("55[0-9]{10,11}", found)


@given(st.text() | brazilian_looking)
def test_strictness_only_takes_away(written: str) -> None:
    strictly = brazilian_mobile(written, strict=True)
    if strictly is not INVALID:
        assert brazilian_mobile(written, strict=False) == strictly
