"""Segments: how a text is encoded for the air, and into how many SMS it is cut.

GSM 03.38 (3GPP TS 23.038, section 6.2.1) where the text fits its alphabet, else UCS-2. A single
SMS holds 140 octets: 160 septets or 70 UTF-16 code units; each of several gives 6 octets to its
concatenation header, which leaves 153 or 67 (3GPP TS 23.040, section 9.2.3.24.1). Upstreams that
cut otherwise say so in their `Abilities`.
"""

import enum
import re
from codecs import charmap_decode
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import combining, normalize

from msgspec import Struct

GSM7_SIZES = (160, 153)
UCS2_SIZES = (70, 67)

# By code; ESC (0x1B) stands as the space that a handset shows for it.
_BASIC_BY_CODE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
_STREAM_SAFE_MARKS = 30
_ESCAPE = 0x1B
_EXTENDED_BY_CODE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_ENCODED = {
    character: bytes([code])
    for code, character in enumerate(_BASIC_BY_CODE)
    if code != _ESCAPE  # the space keeps its own code
} | {character: bytes([_ESCAPE, code]) for code, character in _EXTENDED_BY_CODE.items()}

# Nearly every text is of Latin-1 characters that have one septet: their octets are translated at
# once, not character by character. Any other becomes what is no septet.
_TO_SEPTET = bytes(
    septet[0] if len(septet := _ENCODED.get(chr(code), b"")) == 1 else 0xFF for code in range(0x100)
)
_BY_OCTET = _BASIC_BY_CODE + "\ufffd" * 0x80

_BASIC = re.escape(_BASIC_BY_CODE)
_EXTENDED = re.escape("".join(_EXTENDED_BY_CODE.values()))
_is_basic = re.compile(f"[{_BASIC}]*").fullmatch
_is_gsm7 = re.compile(f"[{_BASIC}{_EXTENDED}]*").fullmatch
_foreign = re.compile(f"[^{_BASIC}{_EXTENDED}]").findall
_two_septets = re.compile(f"[{_EXTENDED}]").findall
_surrogate_pairs = re.compile("[\U00010000-\U0010ffff]").findall

# What decomposition does not give, or gives wrongly. A character whose nearest would change what
# the text says (½, ≠) is not here: the text goes as UCS-2.
_NEAREST = {
    **dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007", " "),
    **dict.fromkeys("\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    **dict.fromkeys("\v\u0085\u2028\u2029", "\n"),
    # Soft hyphen, zero widths, direction marks, variation selectors: nothing to be seen.
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff", ""),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‘’‚‛′´`", "'"),
    **dict.fromkeys("\u2010\u2011\u2012–—―−", "-"),
    **dict.fromkeys("•‣●▪", "*"),
    **dict.fromkeys("º°", "o"),
    **dict(zip("‹›·ª¹²³×ıłŁđĐ", "<>.a123xilLdD", strict=True)),
    "…": "...",
    "©": "(c)",
    "®": "(R)",
    "™": "TM",
    "œ": "oe",
    "Œ": "OE",
    "ﬁ": "fi",
    "ﬂ": "fl",
}
# Combining marks from this class on stand beside their letter (accents, cedilla). Those below stay:
# they strike a character through (≠ without its stroke would say =), or belong to other scripts.
_FIRST_ACCENT_CLASS = 200


class Encoding(enum.StrEnum):
    """What a text travels in."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


class Segmented(Struct, frozen=True):
    """A text as it will be sent. `parts` holds the text of each segment; joined they are `text`."""

    text: str
    encoding: Encoding
    parts: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.parts)


def segmented(
    text: str,
    *,
    replace_accents: bool,
    gsm7_sizes: tuple[int, int] = GSM7_SIZES,
    ucs2_sizes: tuple[int, int] = UCS2_SIZES,
) -> Segmented:
    """The text cut into as few segments as it takes; an empty text is one empty segment.

    `replace_accents`: characters that GSM-7 lacks give way to the nearest that it has (ã to a, “
    to "), but only if the whole text then fits it; a text that needs UCS-2 anyhow keeps them all.
    Sizes are those of a single segment and of one of several, in septets or UTF-16 code units, and
    at least 2. Neither an escape sequence nor a surrogate pair is cut in two.
    """
    sent, encoding = _as_sent(text, replace_accents)
    single, several = gsm7_sizes if encoding is Encoding.GSM7 else ucs2_sizes
    if _length(sent, encoding) <= single:
        return Segmented(sent, encoding, (sent,))
    return Segmented(sent, encoding, tuple(_cut(sent, encoding, several)))


def segment_count(
    text: str,
    *,
    replace_accents: bool,
    gsm7_sizes: tuple[int, int] = GSM7_SIZES,
    ucs2_sizes: tuple[int, int] = UCS2_SIZES,
) -> int:
    """How many segments `segmented` would make, at a fraction of its cost."""
    if _is_basic(text):
        single, several = gsm7_sizes
        return 1 if len(text) <= single else -(-len(text) // several)
    sent, encoding = _as_sent(text, replace_accents)
    single, several = gsm7_sizes if encoding is Encoding.GSM7 else ucs2_sizes
    if _length(sent, encoding) <= single:
        return 1
    return sum(1 for _ in _cut(sent, encoding, several))


def gsm7_segment_count(text: str) -> int | None:
    """How many segments the text takes as it is in GSM-7, or None where the alphabet lacks one of
    its characters."""
    if len(text) <= GSM7_SIZES[0] and _translated(text).isascii():
        return 1
    return segment_count(text, replace_accents=False) if _is_gsm7(text) else None


def septets(text: str) -> int | None:
    """The text's length in GSM-7, or None where the alphabet lacks one of its characters."""
    if _is_basic(text):
        return len(text)
    return _length(text, Encoding.GSM7) if _is_gsm7(text) else None


def encode_gsm7(text: str) -> bytes:
    """The text in GSM-7, unpacked: one septet a byte, extension characters behind ESC (0x1B).
    Raises ValueError where the alphabet lacks one of its characters."""
    translated = _translated(text)
    if translated.isascii():
        return translated
    try:
        return b"".join([_ENCODED[character] for character in text])
    except KeyError:
        # Without the character: an error's text may end up in a log.
        raise ValueError("the text has a character that GSM-7 lacks") from None


def _translated(text: str) -> bytes:
    """A character's septet for each; what is not ASCII where one has none, or needs two."""
    # What Latin-1 lacks gets a backslash, which takes two septets.
    return text.encode("latin-1", "backslashreplace").translate(_TO_SEPTET)


def decode_gsm7(data: bytes) -> str:
    """The text of unpacked septets. Refuses nothing, as a handset does (TS 23.038, section
    6.2.1.1): an unknown extension code shows as the character of that code without ESC, an ESC
    with nothing behind it as a space; a byte above 0x7F becomes U+FFFD."""
    if _ESCAPE not in data:
        return charmap_decode(data, "strict", _BY_OCTET)[0]
    return "".join(_decoded(data))


def _decoded(data: bytes) -> Iterator[str]:
    codes = iter(data)
    for code in codes:
        if code == _ESCAPE:
            second = next(codes, _ESCAPE)
            yield _EXTENDED_BY_CODE.get(second) or _basic(second)
        else:
            yield _basic(code)


def _basic(code: int) -> str:
    return _BASIC_BY_CODE[code] if code < len(_BASIC_BY_CODE) else "\ufffd"


def _is_stream_safe(text: str) -> bool:
    """At most 30 combining marks in a row (UAX #15, Stream-Safe): no word of any language has more,
    and composing takes time by the square of their number."""
    marks = 0
    for character in text:
        marks = marks + 1 if combining(character) else 0
        if marks > _STREAM_SAFE_MARKS:
            return False
    return True


def _as_sent(text: str, replace_accents: bool) -> tuple[str, Encoding]:
    if _is_gsm7(text):
        return text, Encoding.GSM7
    if not replace_accents or not _is_stream_safe(text):
        return text, Encoding.UCS2
    # Composed first, so that an é written as two characters stays the é that GSM-7 has.
    sent = normalize("NFC", text)
    for character in set(_foreign(sent)):
        nearest = _nearest(character)
        if nearest is None:
            return text, Encoding.UCS2
        sent = sent.replace(character, nearest)
    return sent, Encoding.GSM7


@lru_cache(maxsize=1024)
def _nearest(character: str) -> str | None:
    """What GSM-7 has in place of a character that it lacks, or None."""
    if character in _NEAREST:
        return _NEAREST[character]
    base = "".join(
        piece for piece in normalize("NFD", character) if combining(piece) < _FIRST_ACCENT_CLASS
    )
    return base if _is_gsm7(base) else None


def _length(text: str, encoding: Encoding) -> int:
    """In septets or UTF-16 code units."""
    wide = _two_septets if encoding is Encoding.GSM7 else _surrogate_pairs
    return len(text) + len(wide(text))


def _cut(text: str, encoding: Encoding, size: int) -> Iterator[str]:
    """Pieces of at most `size` units, each as long as it can be."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        # A character of two units shifts out one that was counted in; half of what is over can go
        # at once, for no character has more than two.
        while (over := _length(text[start:end], encoding) - size) > 0:
            end -= max(over // 2, 1)
        yield text[start:end]
        start = end
