"""Receipts whose text is not quite Appendix B's: its form is the vendor's own affair, so what is
read here is what vendors are known to send.

`recado.smpp.receipt` reads the usual form by itself and imports this for the others only.
"""

import re
from collections.abc import Mapping

from recado.message import State

_MOST_ERR = 10

# What a stat is spelled like; the first that fits counts, for UNDELIVERED has DELIV in it.
_SPELLED = tuple(
    (re.compile(pattern), state)
    for pattern, state in (
        ("UNDEL|FAIL|^NOT|^ERR|ABSENT|BARRED", State.UNDELIVERABLE),
        ("EXPIR", State.EXPIRED),
        ("^DELET|CANCEL", State.DELETED),
        ("REJ|BLOCK|SPAM|BLACKLIST", State.REJECTED),
        ("ACC?EP|^ACK", State.ACCEPTED),
        ("^EN.?ROUTE|^SCHED|BUFFER|QUEUE|PEND|DELAY|^SENT|TRANSIT|^SUBMIT", State.ENROUTE),
        ("^DELI|^DELVR|^DLV|^SUCC|^READ$|^OK$", State.DELIVERED),
    )
)

_key = re.compile(
    r"(?:^|(?<=[\s;,|]))"
    r"((?:message[ _]?|msg[ _]?)?id|sub|dlvrd|submit[ _-]?date|done[ _-]?date|stat|err|text)"
    r" ?[:=]",
    re.IGNORECASE,
)
_hex_err = re.compile(r"0[xX]([0-9A-Fa-f]{1,4})").fullmatch
_decimal_err = re.compile(r"[0-9]{1,9}").fullmatch


def words_of(text: str) -> tuple[str, str, str]:
    """id, stat in capitals, and err as a code of three digits where it is a number, of any text:
    whatever the order and case of its fields; empty what is not there. What follows `text:` is the
    message's own and read for nothing."""
    fields = _fields(text)
    return _word(fields, "id"), _word(fields, "stat").upper(), _code(_word(fields, "err"))


def spelled(stat: str) -> State:
    """The state of a stat in capitals; UNKNOWN where it is spelled like nothing known."""
    return next((state for pattern, state in _SPELLED if pattern.search(stat)), State.UNKNOWN)


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    marks = list(_key.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    for mark, end in zip(marks, ends, strict=True):
        name = re.sub("[ _-]|message|msg", "", mark[1].lower())
        if name == "text" and found.keys() & {"id", "stat"}:
            break
        found[name] = text[mark.end() : end].strip(" \t\r\n\0;,|")
    return found


def _word(fields: Mapping[str, str], name: str) -> str:
    return next(iter(fields.get(name, "").split(maxsplit=1)), "")


def _code(told: str) -> str:
    """Letters stay as they are."""
    if found := _hex_err(told):
        return f"{int(found[1], 16):03d}"
    if _decimal_err(told):
        return f"{int(told):03d}"
    return told[:_MOST_ERR].upper()
