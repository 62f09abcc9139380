"""Amounts: decimals outside, integers inside."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.amounts import amount_of, shown_amount
from recado.errors import Invalid

MOST = 10**15 - 1


@given(st.integers(-MOST, MOST))
def test_what_is_shown_is_read_as_the_same_amount(amount: int) -> None:
    shown = shown_amount(amount)
    assert amount_of(shown, "amount") == amount
    assert amount_of(shown.replace(".", ","), "amount") == amount
    assert Decimal(shown) * 10_000 == amount


@given(st.text() | st.from_regex(r"[+-]?[0-9]{0,14}[.,]?[0-9]{0,6}", fullmatch=True))
def test_nothing_but_invalid_comes_out_of_what_somebody_writes(written: str) -> None:
    with contextlib.suppress(Invalid):
        assert abs(amount_of(written, "price")) <= MOST


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("12.34", 123_400),
        (" 12,34 ", 123_400),
        ("0.085", 850),
        ("-5", -50_000),
        ("+5", 50_000),
        ("1.000", 10_000),
        ("0.0001", 1),
        ("99999999999.9999", MOST),
    ],
)
def test_a_point_or_a_comma_stands_before_at_most_four_decimals(written: str, amount: int) -> None:
    assert amount_of(written, "amount") == amount


@pytest.mark.parametrize(
    "written",
    [
        *("", "-", ".", "5.", ".5", "1.2.3", "1.000,00", "1,000.00", "1 000", "1_000"),
        *("1e3", "NaN", "sNaN", "Infinity", "0x10", "R$ 5", "١٢", "--5", "5-"),
        *("0.00001", "100000000000", "12.34000000000000000000000000000000001"),
    ],
)
def test_what_is_no_plain_amount_is_refused(written: str) -> None:
    with pytest.raises(Invalid, match=r"^amount is no amount"):
        amount_of(written, "amount")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0.00"), (1, "0.0001"), (850, "0.085"), (123_400, "12.34"), (-500, "-0.05")],
)
def test_two_decimals_are_shown_or_as_many_as_it_takes(amount: int, shown: str) -> None:
    assert shown_amount(amount) == shown
