"""Identifiers: UUIDv7, whose first 48 bits are a time in milliseconds (RFC 9562, section 5.7).

A message's id carries the time at which the message is due. So the store finds its partition from
the id alone, ids sort by time, and "is this id younger than its validity?" needs no record.
"""

import hashlib
import os
import uuid

MAX_AHEAD = 90 * 86_400.0  # how far ahead a message may be due, in seconds
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # its first bits are 10


def _uuid7(at: float, randomness: bytes) -> str:
    # Its first and its last dash are where `hex` puts them; the other two, the version and the
    # variant come with the rest.
    text = (int(at * 1000).to_bytes(6) + randomness[:10]).hex("-", 6)
    return f"{text[:13]}-7{text[14:17]}-{_VARIANT[text[17]]}{text[18:]}"


def new_id(at: float) -> str:
    """A fresh id with the time `at` (seconds since the epoch) in it."""
    return _uuid7(at, os.urandom(10))


def derived_id(at: float, *origin: str | int) -> str:
    """The same id each time for the same origin: what makes a redelivered step harmless."""
    return _uuid7(at, hashlib.sha256("\0".join(map(str, origin)).encode()).digest())


def id_time(identifier: str) -> float:
    """The time in a UUIDv7, in seconds since the epoch, to the millisecond."""
    return int(identifier[:8] + identifier[9:13], 16) / 1000


def first_id(at: float) -> str:
    """A bound: every id of time `at` or later sorts at or after it."""
    text = f"{int(at * 1000):012x}"
    return f"{text[:8]}-{text[8:12]}-0000-0000-000000000000"


def is_id(text: str) -> bool:
    """Whether the text is a UUID of version 7 in its usual form, as all of ours are."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    return parsed.version == 7 and str(parsed) == text.lower()
