"""Rows: a customer's table as recipients, each with a text of its own.

`{nome}` in a text is the value of the column of that name; `{{` and `}}` are braces.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from time import monotonic
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import asdict, replace

from recado.bulk_file import Bulk, Rules, found_as
from recado.costcentre import CostCentre
from recado.doubles import doubles_in
from recado.engine import Blobs
from recado.errors import Invalid
from recado.longlists import Stretch, message_id
from recado.message import Batch, Key
from recado.numbers import Numbering, NumberProblem, number_of
from recado.recipients import Sized, sized
from recado.submission import Recipient, Submission
from recado.tables import LONGEST_ROW, Table, bare, folded, no_column, read_rows, table_of
from recado.wiring import Deps

BLOCK = 4 * LONGEST_ROW  # bytes that are read at once
BAD_QUOTES = "its quotes make no sense"
_A_BREATH = 0.005  # seconds from one to the next; a row may take one of them, or a thousandth
_SHOWN = 40  # characters of what can't be used
_pieces = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]").finditer
_NUMBER_PROBLEMS = {
    NumberProblem.INVALID: "the number is invalid",
    NumberProblem.FIXED_LINE: "the number is a fixed line",
}


class Template(Struct, frozen=True):
    """A text with variables: `names[n]` stands between `literals[n]` and `literals[n + 1]`."""

    literals: tuple[str, ...]
    names: tuple[str, ...]


def template_of(text: str) -> Template:
    """The template that a text is. Raises Invalid where its braces make no sense."""
    literals, names, literal, at = [], [], "", 0
    for piece in _pieces(text):
        literal += text[at : piece.start()]
        at = piece.end()
        if piece[0] in ("{{", "}}"):
            literal += piece[0][0]
        elif piece[1] is None:
            raise Invalid("text", f"has a {piece[0]} without its other half: write {piece[0] * 2}")
        elif not folded(piece[1]):
            raise Invalid("text", "has a variable without a name: {}")
        else:
            literals.append(literal)
            names.append(folded(piece[1]))
            literal = ""
    return Template((*literals, literal + text[at:]), tuple(names))


def check_head(head: bytes, at_end: bool, text: str, column: str) -> None:
    """What can be told of a file by its beginning, before it is uploaded. Raises Invalid."""
    table = table_of(head, at_end, column)
    for name in template_of(text).names:
        if name not in table.names:
            raise no_column(name, table)


def rules_of(cost_centre: CostCentre) -> Rules:
    """What a check made now goes by."""
    return Rules(
        fixed_lines=bool(cost_centre.fixed_lines),
        international=cost_centre.international,
        replace_accents=cost_centre.replace_accents,
        max_segments=cost_centre.max_segments,
    )


def ruled(cost_centre: CostCentre, bulk: Bulk) -> CostCentre:
    """The cost centre as it was when the file's check began: what was checked, and paid for, is
    what is sent."""
    return replace(cost_centre, **asdict(bulk.rules)) if bulk.rules else cost_centre


def breather(deps: Deps) -> Callable[[], None]:
    """To be called at each row: breathes whenever it is time to."""
    last = monotonic()

    def breathe() -> None:
        nonlocal last
        if monotonic() - last >= _A_BREATH:
            deps.breathe()
            last = monotonic()

    return breathe


class Plan(Struct, frozen=True):
    """How the rows of one table become recipients."""

    table: Table
    literals: tuple[str, ...]
    columns: tuple[int, ...]  # the variables', in the text's order
    common: Sized | None  # the text, where it is the same for all
    cost_centre: CostCentre
    numbering: Numbering


def plan_of(template: Template, table: Table, cost_centre: CostCentre) -> Plan:
    """Raises Invalid where the text names a variable that is no column, or can't be sent."""
    for name in template.names:
        if name not in table.names:
            raise no_column(name, table)
    common = None if template.names else sized(template.literals[0], cost_centre)
    if common and common.refusal:
        raise Invalid("text", common.refusal.detail or "is empty")
    columns = tuple(table.names.index(name) for name in template.names)
    return Plan(table, template.literals, columns, common, cost_centre, _numbering(cost_centre))


def _numbering(cost_centre: CostCentre) -> Numbering:
    return Numbering(
        plus=True,
        trunk_zero=True,
        fixed_lines=bool(cost_centre.fixed_lines),
        abroad=cost_centre.international,
    )


class Taken(NamedTuple):
    """A row as it was understood. `problem`: why it can't be sent, of the value `value`. One that
    has neither a number nor a problem is empty."""

    line: int  # from the block's first
    start: int  # in the block, in bytes
    end: int
    number: str = ""
    text: str = ""
    segments: int = 0
    problem: str = ""
    value: str = ""


def taken(content: bytes, at_end: bool, plan: Plan) -> Iterator[Taken]:
    """The rows that a block holds whole. Raises Invalid as `read_rows` does."""
    column = plan.table.column
    for line, start, end, cells in read_rows(content, at_end, plan.table.delimiter):
        if not cells:
            yield Taken(line, start, end, problem=BAD_QUOTES)
            continue
        written = cells[column] if column < len(cells) else ""
        number = number_of(bare(written.strip()), plan.numbering)
        if isinstance(number, NumberProblem):
            if written.strip():
                problem, value = _NUMBER_PROBLEMS[number], written.strip()[:_SHOWN]
                yield Taken(line, start, end, problem=problem, value=value)
            else:
                problem = "the number is missing" if any(map(str.strip, cells)) else ""
                yield Taken(line, start, end, problem=problem)
            continue
        made = plan.common or sized(_rendered(plan, cells), plan.cost_centre)
        if made.refusal:
            problem = f"the text {made.refusal.detail.rstrip('!') or 'is empty'}"
            yield Taken(line, start, end, number, problem=problem, value=written.strip()[:_SHOWN])
        else:
            yield Taken(line, start, end, number, made.text, made.segments)


def _rendered(plan: Plan, cells: list[str]) -> str:
    """What is missing at a row's end is empty."""
    values = [cells[n].strip() if n < len(cells) else "" for n in plan.columns]
    pairs = zip(plan.literals, values, strict=False)
    return "".join(chain(chain.from_iterable(pairs), plan.literals[-1:]))


class Block(Struct, frozen=True):
    """A piece of a file that begins with a row. `at_end`: it is the last."""

    content: bytes
    at_end: bool


def block_of(name: str, offset: int, length: int, blobs: Blobs) -> Block:
    """Raises NotFound where there is no such file."""
    content = blobs.read(name, offset, length)
    return Block(content, len(content) < length)


def table_in(name: str, column: str, blobs: Blobs) -> Table:
    """What a file in storage is. Raises Invalid, and NotFound."""
    head = block_of(name, 0, 2 * LONGEST_ROW, blobs)
    return table_of(head.content, head.at_end, column)


def rows_from(
    submission: Submission, offset: int, most: int, cost_centre: CostCentre, deps: Deps
) -> Stretch:
    """The stretch of a checked table that begins there: at most so many recipients, and none whose
    number an earlier row has. A submission's text that has no segments of its own is a template."""
    listing, batch_id = submission.listing, submission.batch_id
    assert listing is not None  # noqa: S101 - a table's submission has both
    assert batch_id is not None  # noqa: S101 - the same
    blobs = deps.engine.blobs
    bulk = _bulk(Key(submission.cost_centre, batch_id), deps)
    table = table_in(listing.blob, listing.column, blobs)
    plan = _plan_again(submission, table, ruled(cost_centre, bulk))
    start = max(offset, table.start)
    block = block_of(listing.blob, start, BLOCK, blobs)
    doubles = doubles_in(found_as(batch_id, bulk), start, start + len(block.content), blobs)
    recipients: list[Recipient] = []
    refused, used = 0, 0
    breathe = breather(deps)
    for row in taken(block.content, block.at_end, plan):
        if len(recipients) == most:
            return Stretch(recipients, refused, start + used, end=False)
        used = row.end
        if row.problem:
            refused += 1
        elif row.number and start + row.start not in doubles:
            recipients.append(_recipient(row, batch_id, plan))
        breathe()
    return Stretch(recipients, refused, start + used, end=block.at_end)


def _bulk(key: Key, deps: Deps) -> Bulk:
    record = deps.engine.store.records([key])[0]
    assert isinstance(record, Batch)  # noqa: S101 - whoever reads a stretch has just had it
    assert record.bulk is not None  # noqa: S101 - only a file's rows are read like this
    return record.bulk


def _plan_again(submission: Submission, table: Table, cost_centre: CostCentre) -> Plan:
    text = submission.text or ""
    if not submission.segments:
        return plan_of(template_of(text), table, cost_centre)
    common = Sized(text, submission.segments)
    return Plan(table, (text,), (), common, cost_centre, _numbering(cost_centre))


def _recipient(row: Taken, batch_id: str, plan: Plan) -> Recipient:
    identifier = message_id(batch_id, row.number)
    if plan.common:
        return Recipient(id=identifier, to=row.number)
    return Recipient(
        id=identifier, to=row.number, text=row.text, segments=row.segments, units=row.segments
    )
