"""Doubles: which rows of a long file repeat a number that an earlier row has.

While a file is checked, each step leaves the numbers of its good rows in a blob, 17 bytes a row.
Afterwards they are gone through in as many passes as keep memory flat, each over its own share of
the numbers. What comes of it are blobs with the offsets of the rows that are not sent, in order, 8
bytes each: one for each stretch of the file, so that none is large, however many there are.
"""

from __future__ import annotations  # array is no generic at run time before 3.12

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from sys import byteorder

from msgspec import Struct

from recado.engine import Blobs
from recado.wiring import Deps

MOST_ROWS = 10_000_000
_A_PASS = 1_000_000  # numbers, of which a set takes 70 MB
_COUNT = 4  # bytes: how many rows a step's blob holds
_WIDTH = 8  # bytes an offset
_PAGE = 64 * 1024
_SPAN = 32 * 1024 * 1024  # bytes of the file whose doubles lie in one blob
_AT_ONCE = 5_000  # between two breaths


class Numbers(Struct):
    """The good rows of a step, in the file's order."""

    numbers: array[int]
    offsets: array[int]
    segments: array[int]


def empty() -> Numbers:
    return Numbers(array("Q"), array("Q"), array("B"))


def passes(rows: int) -> int:
    """In how many passes so many rows are gone through."""
    return -(-rows // _A_PASS)


def keep(bulk_id: str, step: int, found: Numbers, blobs: Blobs) -> None:
    """Puts a step's numbers away."""
    count = len(found.numbers).to_bytes(_COUNT)
    parts = (found.numbers.tobytes(), found.offsets.tobytes(), found.segments.tobytes())
    blobs.put(_of_step(bulk_id, step), b"".join((count, *parts)))


def _of_step(bulk_id: str, step: int) -> str:
    return f"numbers-{step}-{bulk_id}"


def _read(bulk_id: str, step: int, blobs: Blobs) -> Numbers:
    content = blobs.get(_of_step(bulk_id, step))
    count = int.from_bytes(content[:_COUNT])
    found, start = empty(), _COUNT
    for column in (found.numbers, found.offsets, found.segments):
        end = start + count * column.itemsize
        column.frombytes(content[start:end])
        start = end
    return found


class Passed(Struct, frozen=True):
    """What a pass found: so many doubles, and the segments that they would have taken."""

    doubles: int
    segments: int


class _Pieces:
    """Offsets, which come in order, on their way into the blobs of the file's stretches."""

    def __init__(self, name_of: Callable[[int], str], size: int, blobs: Blobs) -> None:
        self._name_of, self._size, self._blobs = name_of, size, blobs
        self._offsets = array("Q")
        self._number = 0

    def add(self, offset: int) -> None:
        while offset >= (self._number + 1) * _SPAN:
            self._put()
        self._offsets.append(offset)

    def end(self) -> None:
        while self._number < _stretches(self._size):
            self._put()

    def _put(self) -> None:
        self._blobs.put(self._name_of(self._number), self._offsets.tobytes())
        self._offsets = array("Q")
        self._number += 1


def _stretches(size: int) -> int:
    return -(-size // _SPAN)


def go_through(bulk_id: str, steps: int, part: tuple[int, int], size: int, deps: Deps) -> Passed:
    """One pass over the blobs of so many steps of a file of that size; `part`: which one, and of
    how many. Done again it does the same again."""
    number, of = part
    blobs = deps.engine.blobs
    seen: set[int] = set()
    pieces = _Pieces(lambda stretch: _of_pass(bulk_id, stretch, number, of), size, blobs)
    doubles = segments = 0
    for step in range(steps):
        found = _read(bulk_id, step, blobs)
        for start in range(0, len(found.numbers), _AT_ONCE):
            for place in _repeated(found.numbers, start, part, seen):
                pieces.add(found.offsets[place])
                doubles += 1
                segments += found.segments[place]
            deps.breathe()
    pieces.end()
    return Passed(doubles, segments)


def _repeated(
    numbers: array[int], start: int, part: tuple[int, int], seen: set[int]
) -> Iterator[int]:
    """Where, from `start` on, numbers of this part stand that were seen before."""
    number, of = part
    for place, value in enumerate(numbers[start : start + _AT_ONCE], start):
        if value % of != number:
            continue
        if value in seen:
            yield place
        else:
            seen.add(value)


def _of_pass(bulk_id: str, stretch: int, number: int, of: int) -> str:
    whole = _of_all(bulk_id, stretch)
    return whole if of == 1 else f"pass-{number}-{whole}"


def _of_all(bulk_id: str, stretch: int) -> str:
    return f"doubles-{stretch}-{bulk_id}"


def join(bulk_id: str, of: int, size: int, deps: Deps) -> None:
    """Makes one blob a stretch of those of all passes. Nothing is left to do after a single one."""
    if of == 1:
        return
    for stretch in range(_stretches(size)):
        parts = [_passed(_of_pass(bulk_id, stretch, n, of), deps) for n in range(of)]
        deps.engine.blobs.put(_of_all(bulk_id, stretch), _merged(parts, deps).tobytes())


def _passed(name: str, deps: Deps) -> array[int]:
    part = array("Q")
    part.frombytes(deps.engine.blobs.get(name))
    deps.breathe()
    return part


def _merged(parts: Sequence[array[int]], deps: Deps) -> array[int]:
    whole = array("Q")
    for offset in merge(*parts):
        whole.append(offset)
        if len(whole) % _AT_ONCE == 0:
            deps.breathe()
    return whole


def doubles_in(bulk_id: str, start: int, end: int, blobs: Blobs) -> set[int]:
    """The offsets of the rows from `start` up to `end`, which is at most the file's size, that are
    not sent."""
    found: set[int] = set()
    for stretch in range(start // _SPAN, _stretches(end)):
        name = _of_all(bulk_id, stretch)
        for page in _pages(name, _first(name, start, blobs), blobs):
            found.update(page[bisect_left(page, start) : bisect_left(page, end)])
            if page[-1] >= end:
                break
    return found


def _first(name: str, start: int, blobs: Blobs) -> int:
    """Where in the blob to begin, in bytes: not after the first offset from `start` on, and less
    than a page before it."""
    low, high = 0, blobs.size(name)
    while high - low > _PAGE:
        middle = (low + high) // (2 * _WIDTH) * _WIDTH
        if int.from_bytes(blobs.read(name, middle, _WIDTH), byteorder) < start:
            low = middle
        else:
            high = middle
    return low


def _pages(name: str, position: int, blobs: Blobs) -> Iterator[array[int]]:
    while content := blobs.read(name, position, _PAGE):
        page = array("Q")
        page.frombytes(content)
        yield page
        position += len(content)
