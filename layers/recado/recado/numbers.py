"""Numbers: which can receive an SMS or a call.

The seed documents' rule: with or without the country code 55. Brazilian mobiles have nine digits
that begin with 9 after one of the 67 area codes (DDD), nationwide since November 2016 (Anatel,
Resolução 749/2022); fixed lines have eight that begin with 2 to 5.
"""

import enum
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from msgspec import Struct

_DDD = "(?:[14689][1-9]|2[12478]|3[1-578]|5[1345]|7[134579])"
_MOBILE = f"{_DDD}9[0-9]{{8}}"
_FIXED_LINE = f"{_DDD}[2-5][0-9]{{7}}"
_ABROAD = "(?!55)[1-9][0-9]{7,14}"  # E.164 has 15 digits at most
_SLICE = 65_536
KEPT_BAD = 1_000


class Numbering(Struct, frozen=True):
    """Which numbers are taken, and how they may be written. The lengths keep the country code
    apart from DDD 55: 10 or 11 digits without it, 12 or 13 with."""

    plus: bool = False  # a plus before the country code: +34 998887755 is a number in Spain
    trunk_zero: bool = False  # dialled as within Brazil, 0 and the area code, or as from abroad
    fixed_lines: bool = False
    abroad: bool = False  # 00, a country's code and a number


class NumberProblem(enum.StrEnum):
    """Why a number can't receive an SMS."""

    INVALID = "invalid"
    FIXED_LINE = "fixed_line"


@lru_cache(maxsize=64)
def _matcher(numbering: Numbering) -> Callable[[str], re.Match[str] | None]:
    """Matches what is taken (group `b`: Brazilian, `a`: from abroad) or a fixed line (`f`)."""
    country = r"\+?55" if numbering.plus else "55"
    prefix = f"(?:{country}|0055|0)?" if numbering.trunk_zero else f"(?:{country})?"
    pattern = f"{prefix}(?:(?P<b>{_MOBILE})|(?P<f>{_FIXED_LINE}))"
    if numbering.abroad:
        pattern += f"|00(?P<a>{_ABROAD})"
    return re.compile(pattern).fullmatch


def number_of(written: str, numbering: Numbering) -> str | NumberProblem:
    """The number as digits with the country code ("5534998887755"), or what is wrong with it."""
    found = _matcher(numbering)(written)
    if found is None:
        return NumberProblem.INVALID
    if found["b"]:
        return "55" + found["b"]
    if found["f"] and not numbering.fixed_lines:
        return NumberProblem.FIXED_LINE
    return _digits(found, numbering)


def _digits(found: re.Match[str], numbering: Numbering) -> str:
    if numbering.abroad and found["a"]:
        return found["a"]
    return "55" + (found["b"] or found["f"])


class Found(Struct):
    """The numbers of a list: each once and in its order, how many came again, and what is none."""

    numbers: dict[str, None] = {}
    duplicates: int = 0
    bad_count: int = 0
    bad: list[
        tuple[int, str]
    ] = []  # of the first thousand: the line, from 1, and what stands there


def numbers_in(text: str, numbering: Numbering) -> Iterator[Found]:
    """Reads a list of numbers that are separated by whatever is no digit (the seed's "qualquer
    caracter não numérico"). Yields the same Found again and again, after each stretch of 5 ms, so
    that its caller may turn to others meanwhile; the last time it is whole."""
    found = Found()
    numbers = found.numbers
    match = _matcher(numbering)
    start, line = 0, 1
    while start < len(text):
        end = _end_of_stretch(text, start)
        stretch = text[start:end]
        known, good, unread = len(numbers), 0, []
        for written in _runs(stretch):
            read = match(written)
            if read is None or (read["f"] and not numbering.fixed_lines):
                unread.append(written)
                continue
            good += 1
            numbers[_digits(read, numbering)] = None
        found.duplicates += good - (len(numbers) - known)
        found.bad_count += len(unread)
        wanted = unread[: KEPT_BAD - len(found.bad)]
        found.bad.extend(_lines_of(stretch, wanted, line))
        line += stretch.count("\n")
        start = end
        yield found
    if not text:
        yield found


_runs = re.compile("[0-9]+").findall
_run = re.compile("[0-9]+")
_no_digit = re.compile("[^0-9]").search


def _end_of_stretch(text: str, start: int) -> int:
    """Where a stretch may end: not within a number, however long what looks like one is."""
    found = _no_digit(text, start + _SLICE)
    return found.start() if found else len(text)


def _lines_of(stretch: str, wanted: list[str], line: int) -> Iterator[tuple[int, str]]:
    """The lines of a stretch, whose first is `line`, in which these first of its bad runs stand."""
    names = set(wanted)
    at, place, left = line, 0, len(wanted)
    for run in _run.finditer(stretch) if wanted else ():
        if run[0] in names:
            at += stretch.count("\n", place, run.start())
            place = run.start()
            yield at, run[0]
            left -= 1
            if not left:
                return
