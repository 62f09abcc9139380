"""Texts in the octets of a short message, by data_coding (5.2.19), and cut into segments.

0 is the SMSC's own alphabet: GSM 03.38, one septet an octet, or Latin-1 where it says so. Values
that carry a message class (3GPP TS 23.038, section 4) are told apart from the alphabet they name.
"""

import enum
from collections.abc import Iterator
from typing import Literal, TypeAlias

from recado.segments import (
    GSM7_SIZES,
    UCS2_SIZES,
    decode_gsm7,
    encode_gsm7,
    segmented,
    septets,
)

Alphabet: TypeAlias = Literal["gsm", "latin1"]

DEFAULT = 0
ASCII = 1
LATIN1 = 3
UCS2 = 8

_ESCAPE = 0x1B


class _Kind(enum.Enum):
    DEFAULT = enum.auto()
    ASCII = enum.auto()
    LATIN1 = enum.auto()
    UCS2 = enum.auto()


_KINDS = {
    DEFAULT: _Kind.DEFAULT,
    ASCII: _Kind.ASCII,
    LATIN1: _Kind.LATIN1,
    UCS2: _Kind.UCS2,
    **dict.fromkeys((*range(0x10, 0x14), *range(0xF0, 0xF4)), _Kind.DEFAULT),
    **dict.fromkeys(range(0x18, 0x1C), _Kind.UCS2),
}
_UCS2_CODINGS = frozenset(coding for coding, kind in _KINDS.items() if kind is _Kind.UCS2)


def is_text(data_coding: int) -> bool:
    """Whether `decoded` and `encoded` know it."""
    return data_coding in _KINDS


def is_ucs2(data_coding: int) -> bool:
    return data_coding in _UCS2_CODINGS


def decoded(octets: bytes, data_coding: int, alphabet: Alphabet = "gsm") -> str:
    """The text, without a user data header. `alphabet` is what the sender's data_coding 0 means.

    Refuses no octets: what the coding lacks becomes U+FFFD, as does a surrogate without its other
    half (a pair that was cut by segments is lost). IA5 is read as Latin-1, which has all of it.
    Raises ValueError on a data_coding that is not a text's, or none that we know."""
    kind = _kind(data_coding, alphabet)
    if kind is _Kind.DEFAULT:
        return decode_gsm7(octets)
    if kind is _Kind.UCS2:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def encoded(text: str, data_coding: int, alphabet: Alphabet = "gsm") -> bytes:
    """The text's octets. Raises ValueError where the coding lacks one of its characters, or is not
    a text's; the error does not hold the text."""
    kind = _kind(data_coding, alphabet)
    if kind is _Kind.DEFAULT:
        return encode_gsm7(text)
    codec = {_Kind.ASCII: "ascii", _Kind.LATIN1: "latin-1", _Kind.UCS2: "utf-16-be"}[kind]
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        raise ValueError(f"the text has a character that {codec} lacks") from None


def coding_for(text: str, alphabet: Alphabet = "gsm", latin1: bool = False) -> int:
    """The data_coding that a text goes in: 0 where it fits both GSM-7 and the receiver's own
    alphabet; 3 where it fits Latin-1 and the receiver takes that (`latin1`); else UCS-2.

    A text that is in Latin-1 but not in GSM-7 does not go as 0 even where 0 is Latin-1: on the air
    it is UCS-2, and our count of its segments says so."""
    if septets(text) is not None and (alphabet == "gsm" or _is_latin1(text)):
        return DEFAULT
    return LATIN1 if latin1 and _is_latin1(text) else UCS2


def coded(
    text: str, alphabet: Alphabet = "gsm", gsm7_sizes: tuple[int, int] = GSM7_SIZES
) -> tuple[int, list[bytes]]:
    """What `coding_for` and `segments` say of a text, in one go: it is looked at once, where it is
    of GSM-7 and the receiver takes that. Raises ValueError as `encoded` does."""
    if alphabet == "gsm":
        try:
            return DEFAULT, _cut(encode_gsm7(text), gsm7_sizes, 1)
        except ValueError:
            pass  # it has a character that GSM-7 lacks
    coding = coding_for(text, alphabet)
    return coding, segments(text, coding, alphabet=alphabet, gsm7_sizes=gsm7_sizes)


def segments(
    text: str,
    data_coding: int,
    *,
    alphabet: Alphabet = "gsm",
    gsm7_sizes: tuple[int, int] = GSM7_SIZES,
    ucs2_sizes: tuple[int, int] = UCS2_SIZES,
) -> list[bytes]:
    """The octets of each segment, without headers: one where the text fits one, else as few as it
    takes. As many as `recado.segments.segment_count` says for the same sizes, where `data_coding`
    is what `coding_for` gives; more where a text of GSM-7 has to go as UCS-2 because the receiver's
    own alphabet is Latin-1, which lacks some of it (€).

    Sizes are those of a single segment and of one of several, in septets or UTF-16 code units, and
    at least 2. Neither an escape sequence nor a surrogate pair is cut in two. Raises ValueError as
    `encoded` does."""
    kind = _kind(data_coding, alphabet)
    if kind is _Kind.DEFAULT:
        return _cut(encode_gsm7(text), gsm7_sizes, 1)
    if kind is _Kind.UCS2:
        return _cut(encoded(text, data_coding, alphabet), ucs2_sizes, 2)
    # The receiver puts Latin-1 into GSM-7 or UCS-2 for the air: cut as that is counted.
    whole = segmented(text, replace_accents=False, gsm7_sizes=gsm7_sizes, ucs2_sizes=ucs2_sizes)
    return [encoded(part, data_coding, alphabet) for part in whole.parts]


def _kind(data_coding: int, alphabet: Alphabet) -> _Kind:
    try:
        kind = _KINDS[data_coding]
    except KeyError:
        raise ValueError(f"data_coding {data_coding:#04x} is not a text's") from None
    return _Kind.LATIN1 if kind is _Kind.DEFAULT and alphabet == "latin1" else kind


def _is_latin1(text: str) -> bool:
    return text.isascii() or max(text) <= "\xff"


def _cut(octets: bytes, sizes: tuple[int, int], width: int) -> list[bytes]:
    """`width`: octets of a unit; 1 is GSM-7, 2 is UTF-16."""
    single, several = sizes[0] * width, sizes[1] * width
    if len(octets) <= single:
        return [octets]
    return [octets[start:end] for start, end in _cuts(octets, several, width)]


def _cuts(octets: bytes, size: int, width: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(octets):
        end = start + size
        # The last unit opens a pair: it goes with its other half. (A text's last never does.)
        if end < len(octets) and _opens_pair(octets, end - width, width):
            end -= width
        yield start, end
        start = end


def _opens_pair(octets: bytes, at: int, width: int) -> bool:
    return octets[at] == _ESCAPE if width == 1 else 0xD8 <= octets[at] <= 0xDB
