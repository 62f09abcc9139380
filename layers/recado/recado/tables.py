"""Tables: a customer's CSV file, read a block at a time.

What such files look like is in no document of ours; read is what spreadsheets and databases
write: `;`, `,` or tab between the columns, UTF-8 with or without a BOM or else Latin-1 (as Windows
has it), quoted fields with line breaks in them (RFC 4180), Excel's line `sep=;` before all.
"""

import csv
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from recado.errors import Invalid

LONGEST_ROW = 64 * 1024  # bytes; a block that is read must hold more
MOST_LINES = 50  # of a row with line breaks in its quotes
LONGEST_LINES = 8 * 1024  # bytes of all its lines; so much at most is read for a quote left open
NUMBER_COLUMNS = (
    "telefone",
    "celular",
    "numero",
    "número",
    "destino",
    "phone",
    "number",
    "msisdn",
)
_DELIMITERS = (";", ",", "\t")  # in this order where a header has as many of each
_SEPARATOR = re.compile(rb"sep=([;,\t])\r?\n", re.IGNORECASE)
_ARCHIVE = b"PK\x03\x04"
_between_quotes = re.compile('"[^"]*"')
_PUNCTUATION = str.maketrans("", "", " \t\u00a0.-()")
_looks_like_a_number = re.compile(r"\+?[0-9]{8,20}").fullmatch


class Row(NamedTuple):
    """A row: its first line from the block's (0: the block's own), where it begins and ends in the
    block, in bytes, and its cells: none where it can't be read."""

    line: int
    start: int
    end: int
    cells: list[str]


class Table(Struct, frozen=True):
    """What a file's beginning says of the rest."""

    delimiter: str
    names: tuple[str, ...]  # of its columns, folded; none where it has no header
    column: int  # where the number stands
    start: int  # the first row, in bytes
    line: int  # and the line that it stands in, from 1


def folded(name: str) -> str:
    """A column's name as names are compared."""
    return name.strip().casefold()


def bare(cell: str) -> str:
    """A number's cell without what people put between digits."""
    return cell if cell.isdigit() else cell.translate(_PUNCTUATION)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing to Windows
        return raw.decode("latin-1")


def read_rows(content: bytes, at_end: bool, delimiter: str) -> Iterator[Row]:
    """The rows that a block holds whole; `at_end`: nothing follows the block. A row whose quotes
    make no sense has no cells, and the line after its first is read anew. Raises Invalid where a
    line is longer than any row may be."""
    position, line, size = 0, 0, len(content)
    while position < size:
        end = content.find(b"\n", position) + 1 or size
        if end - position > LONGEST_ROW:
            raise Invalid("file", f"has a line of more than {LONGEST_ROW} bytes")
        if end == size and not at_end and content[-1:] != b"\n":
            return
        raw = content[position:end]
        if b'"' not in raw:
            yield Row(line, position, end, _decoded(raw).rstrip("\r\n").split(delimiter))
            line += 1
        else:
            quoted = _Lines(content, position, at_end)
            cells = quoted.cells(delimiter)
            if cells is not None:
                end = quoted.end
            elif quoted.is_short:
                return
            yield Row(line, position, end, cells or [])
            line += quoted.count if cells is not None else 1
        position = end


class _Lines:
    """The lines of a row with quotes: as many as csv asks for, up to the most that a row may have.
    (Its first has been measured.)"""

    def __init__(self, content: bytes, start: int, at_end: bool) -> None:
        self.end, self.count, self.is_short = start, 0, False
        self._content, self._start, self._at_end = content, start, at_end

    def cells(self, delimiter: str) -> list[str] | None:
        """None where the quotes make no sense, or the block ends too soon."""
        try:
            return next(csv.reader(self._lines(), delimiter=delimiter, strict=True))
        except (csv.Error, StopIteration):
            return None

    def _lines(self) -> Iterator[str]:
        content, size = self._content, len(self._content)
        while self.end < size:
            end = content.find(b"\n", self.end) + 1
            if self.count and self._is_too_long(end or size):
                return
            if not end and not self._at_end:
                break
            raw = content[self.end : end or size]
            self.end = end or size
            self.count += 1
            yield _decoded(raw)
        self.is_short = not self._at_end and not self._is_too_long(size)

    def _is_too_long(self, end: int) -> bool:
        return self.count >= MOST_LINES or end - self._start > LONGEST_LINES


# --- a file's beginning --------------------------------------------------------------------------


def table_of(head: bytes, at_end: bool, column: str = "") -> Table:
    """What a file is, by its first bytes (more than the longest row, where there are so many), and
    where its numbers stand: in the column of that name, or in the first that is called as numbers
    are, or in the first of all. A file whose first cell is a number has no header. Raises Invalid,
    in words for whoever wrote the file."""
    skipped = _skipped(head)
    separator = _SEPARATOR.match(head, skipped)
    start = separator.end() if separator else skipped
    given = separator[1].decode() if separator else ""
    before = 2 if separator else 1
    first = _first_row(head, start, at_end, given)
    if first is None:
        raise Invalid("file", "is empty")
    delimiter, row = first
    line = before + row.line
    if _looks_like_a_number(bare(row.cells[0])):
        if column:
            raise Invalid("column", f"{_shown(column)} can't be found: the file has no header line")
        return Table(delimiter, (), 0, start + row.start, line)
    if any(_looks_like_a_number(bare(cell)) for cell in row.cells):
        raise Invalid("file", f"has a number in its header line (line {line})")
    names = tuple(map(folded, row.cells))
    lines = head.count(b"\n", start, start + row.end)
    return Table(delimiter, names, _column(names, column), start + row.end, before + lines)


def _skipped(head: bytes) -> int:
    """The length of a BOM. Raises Invalid on what is no text as we read it."""
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise Invalid("file", "is UTF-16: save it as CSV in UTF-8")
    if head.startswith(_ARCHIVE):
        raise Invalid("file", "is a workbook or an archive: save it as CSV")
    if b"\0" in head:
        raise Invalid("file", "is no text")
    return len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0


def _first_row(head: bytes, start: int, at_end: bool, given: str) -> tuple[str, Row] | None:
    """The first row that is not empty, and what stands between its cells. A row that the beginning
    does not hold whole is longer than any may be."""
    content = head[start:]
    delimiter = given or _sniffed(content)
    for row in read_rows(content, at_end, delimiter):
        if not row.cells:
            raise Invalid("file", f"has a header whose quotes make no sense (line {row.line + 1})")
        if any(cell.strip() for cell in row.cells):
            return delimiter, row
    if not at_end:
        raise Invalid("file", f"has a line of more than {LONGEST_ROW} bytes")
    return None


def _sniffed(content: bytes) -> str:
    """What stands most often between the cells of the first line that is not empty."""
    lines = (line for line in content.splitlines() if line.strip(b" ;,\t"))
    header = _between_quotes.sub("", _decoded(next(lines, b"")))
    return max(_DELIMITERS, key=header.count)


def _column(names: tuple[str, ...], wanted: str) -> int:
    if wanted:
        if folded(wanted) in names:
            return names.index(folded(wanted))
        raise Invalid("column", f"{_shown(wanted)} is none of the file's: {_listed(names)}")
    return next((names.index(name) for name in NUMBER_COLUMNS if name in names), 0)


def _shown(name: str) -> str:
    return name.strip()[:60]


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(_shown(name) for name in names[:20])
    return shown + (", ..." if len(names) > 20 else "")


def no_column(name: str, table: Table) -> Invalid:
    """What is wrong with a text that names a variable of which there is no column."""
    there = f"there are {_listed(table.names)}" if table.names else "the file has no header line"
    return Invalid("text", f"names {{{_shown(name)}}}, which is no column: {there}")
