"""Times as SMPP writes them (7.1.1), and as receipts do (Appendix B).

Absolute: YYMMDDhhmmsstnnp, with tenths of a second, and quarters of an hour that local time is
ahead of UTC (+) or behind it (-). Relative: the same with R, counted from now. Years are those of
this century.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from recado.smpp.pdu import Malformed

_QUARTER = 900
_MOST_QUARTERS = 48
_whole = re.compile(r"([0-9]{12})([0-9])([0-9]{2})([-+])").fullmatch
_relative = re.compile(r"([0-9]{12})[0-9]{3}R").fullmatch
_short = re.compile(r"([0-9]{10})([0-9]{2})?").fullmatch
# Of twelve digits that begin so the second two would be no month: they are the year.
_with_century = re.compile(r"20(?:[0-9]{12}|(?:1[3-9]|[2-9][0-9])[0-9]{8})").fullmatch


def read_time(text: str, now: float, zone: tzinfo, wrong: int) -> float | None:
    """The moment that schedule_delivery_time or validity_period names, in seconds since the epoch;
    None where it is empty. What it is from now on is `read_time(...) - now`.

    A time without its offset, with or without seconds or the century (YYMMDDhhmm to
    YYYYMMDDhhmmss), is read as local in `zone`. Raises Malformed with the command_status `wrong`
    (RINVSCHED or RINVEXPIRY) on what is none of these; a moment that has passed is no error here.
    """
    if not text:
        return None
    try:
        return _read(text, now, zone)
    except ValueError:
        raise Malformed(wrong, "a time that can't be read") from None


def _read(text: str, now: float, zone: tzinfo) -> float:
    if found := _whole(text):
        quarters = int(found[3])
        if quarters > _MOST_QUARTERS:
            raise ValueError("an offset of more than twelve hours")
        ahead = timedelta(seconds=quarters * _QUARTER * (1 if found[4] == "+" else -1))
        return _moment(found[1], timezone(ahead)) + int(found[2]) / 10
    if found := _relative(text):
        return _later(now, found[1])
    return _local(text, zone)


def _local(text: str, zone: tzinfo) -> float:
    found = _short(text[2:] if _with_century(text) else text)
    if not found:
        raise ValueError("no time")
    return _moment(found[1] + (found[2] or "00"), zone)


def _moment(digits: str, zone: tzinfo) -> float:
    year, month, day, hour, minute, second = _pairs(digits)
    return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone).timestamp()


def _later(now: float, digits: str) -> float:
    """By the calendar: a month from January 31 is the last day of February."""
    years, months, days, hours, minutes, seconds = _pairs(digits)
    base = datetime.fromtimestamp(now, UTC)
    over, month = divmod(base.month - 1 + months, 12)
    year = base.year + years + over
    day = min(base.day, monthrange(year, month + 1)[1])
    moved = base.replace(year=year, month=month + 1, day=day)
    return (moved + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)).timestamp()


def _pairs(digits: str) -> list[int]:
    return [int(digits[at : at + 2]) for at in range(0, 12, 2)]


def absolute(at: float, zone: tzinfo = UTC) -> str:
    """A moment in seconds since the epoch as YYMMDDhhmmsstnnp, local in `zone`: what query_sm_resp
    has as its final_date."""
    tenths = round(at * 10)
    local = datetime.fromtimestamp(tenths // 10, zone)
    offset = local.utcoffset() or timedelta()
    quarters = round(offset / timedelta(seconds=_QUARTER))
    sign = "-" if quarters < 0 else "+"
    return f"{local:%y%m%d%H%M%S}{tenths % 10}{abs(quarters):02d}{sign}"


def relative(seconds: float) -> str:
    """A span as YYMMDDhhmmss000R, to the second, in days and less. Raises ValueError on one below
    0, or of 100 days and more (months have no length)."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    if not 0 <= days < 100:
        raise ValueError(f"a span of {whole} seconds")
    return f"0000{days:02d}{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}000R"


def receipt_date(at: float, zone: tzinfo = UTC) -> str:
    """A moment as a receipt's text has it: YYMMDDhhmm, local in `zone`."""
    return f"{datetime.fromtimestamp(at, zone):%y%m%d%H%M}"
