"""Brazilian numbers: which can receive an SMS.

The seed document's rule: digits only, with or without the country code 55. Mobiles have nine
digits that begin with 9 after one of the 67 area codes (DDD), nationwide since November 2016
(Anatel, Resolução 749/2022); fixed lines have eight that begin with 2 to 5.
"""

import enum
import re

_DDD = "(?:[14689][1-9]|2[12478]|3[1-578]|5[1345]|7[134579])"
# The lengths keep the country code apart from DDD 55: 10 or 11 digits without it, 12 or 13 with.
# A plus promises a country code: +34 998887755 is a number in Spain.
_MOBILE = f"{_DDD}9[0-9]{{8}}"
_FIXED_LINE = f"{_DDD}[2-5][0-9]{{7}}"
_is_mobile = re.compile(rf"(?:\+?55)?{_MOBILE}").fullmatch
_is_mobile_strictly = re.compile(f"(?:55)?{_MOBILE}").fullmatch
_is_fixed_line = re.compile(rf"(?:\+?55)?{_FIXED_LINE}").fullmatch
_is_fixed_line_strictly = re.compile(f"(?:55)?{_FIXED_LINE}").fullmatch


class NumberProblem(enum.StrEnum):
    """Why a number can't receive an SMS."""

    INVALID = "invalid"
    FIXED_LINE = "fixed_line"


def brazilian_mobile(
    written: str, *, strict: bool, fixed_lines: bool = False
) -> str | NumberProblem:
    """The number as digits with the country code ("5534998887755"), or what is wrong with it.

    `strict` is the seed document's letter: digits only. Otherwise a plus may stand before the
    country code. `fixed_lines` lets fixed lines pass too.
    """
    if (_is_mobile_strictly if strict else _is_mobile)(written):
        return "55" + written[-11:]
    if (_is_fixed_line_strictly if strict else _is_fixed_line)(written):
        return "55" + written[-10:] if fixed_lines else NumberProblem.FIXED_LINE
    return NumberProblem.INVALID
