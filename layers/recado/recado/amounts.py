"""Amounts of money: integers of ten-thousandths inside, decimals where people read and write."""

import re

from recado.errors import Invalid

_PARTS = 10_000
# No thousands' separators: whether 1.000 is one or a thousand depends on who writes it, and here
# it is one. ASCII alone, and no exponents, which a Decimal would take.
_written = re.compile(r"([+-]?)([0-9]{1,11})(?:[.,]([0-9]{1,4}))?").fullmatch


def amount_of(written: str, field: str) -> int:
    """The amount that "12.34" or "0,085" means. Raises Invalid, naming the field."""
    found = _written(written.strip())
    if found is None:
        problem = "is no amount: 12.34, for example (four decimals at most, no thousands' points)"
        raise Invalid(field, problem)
    sign, whole, decimals = found.groups(default="")
    amount = int(whole) * _PARTS + int(decimals.ljust(4, "0"))
    return -amount if sign == "-" else amount


def shown_amount(amount: int) -> str:
    """With two decimals, or as many more as it takes: 12.34, 0.085."""
    whole, parts = divmod(abs(amount), _PARTS)
    decimals = f"{parts:04}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals}"
