"""Bulk: a customer's file of up to ten million rows is uploaded, checked, and sent.

    upload    the file goes to storage, by a URL of its own
    check     step by step, each a message on the Expand queue; nothing is sent by it
    sending   what was checked is paid for and becomes a long list (recado.longlists)

All of it stands in the batch's record. It is written with a condition on its version, and what
follows a write is emitted after it: a step that comes again after its write emits again. So any
process may die at any time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado import doubles
from recado.bulk_file import Bulk, found_as
from recado.costcentre import CostCentre
from recado.errors import Invalid, Misconfigured
from recado.message import Batch, Key, State, encode, key_of
from recado.observability import count
from recado.rows import (
    BAD_QUOTES,
    Plan,
    Taken,
    block_of,
    breather,
    plan_of,
    ruled,
    rules_of,
    table_in,
    taken,
    template_of,
)
from recado.wiring import Deps

MOST_BYTES = 1024 * 1024 * 1024
UPLOAD_HEADERS = MappingProxyType({"If-None-Match": "*"})
"""What an upload is made with: a file comes once (RFC 9110, section 13.1.2), for what was checked
must not be another one when it is sent."""
KEPT_BAD = 1_000  # bad rows that are listed
CHECKING = frozenset({"rows", "doubles", "join"})
_BLOCK = 512 * 1024  # bytes that a step checks
_UNREADABLE = 1_000  # rows one after the other: such a file is no CSV, and slow to read
_WHILE = 20.0  # longer than a step takes
_TRIED = 1_000  # numbers of a step for which a route is looked for


class Check(Struct, frozen=True, tag="check"):
    """A message on the Expand queue: the step of a check that is to be done."""

    cost_centre: str
    id: str
    step: int


class Bad(Struct, frozen=True):
    """A row that can't be sent."""

    line: int
    value: str
    reason: str


def is_check(body: str) -> bool:
    """Whether an Expand queue's message is a step of a check."""
    return body.startswith('{"type":"check"')


def blob_of(bulk_id: str) -> str:
    """Where a file is uploaded to."""
    return f"upload-{bulk_id}"


def changed(
    key: Key, change: Callable[[Batch], Batch], deps: Deps, found: Batch | None = None
) -> Batch | None:
    """The batch after the change, which is made to it as it stands (or, tried first, as it was
    found) and may raise or return the batch itself. None where there is no such batch."""
    while True:
        present = found or deps.engine.store.records([key])[0]
        if not isinstance(present, Batch):
            return None
        wanted = change(present)
        if wanted is present:
            return present
        written = deps.engine.store.replace([wanted])[0]
        if isinstance(written, Batch):
            return written
        found = None


# --- the check -----------------------------------------------------------------------------------


def begin_check(batch: Batch, size: int, deps: Deps) -> Batch:
    """Checks a file that has come; one whose check has begun goes on, and one whose check is over
    is checked anew where its cost centre's settings are others now. Done again it emits again."""
    rules = rules_of(_cost_centre(batch, deps))

    def begun(present: Batch) -> Batch:
        bulk = present.bulk
        if bulk is None or present.state is State.DELETED:
            return present
        if bulk.stage == "upload":
            return replace(present, bulk=replace(bulk, stage="rows", size=size, rules=rules))
        if bulk.stage not in ("checked", "failed") or bulk.rules == rules:
            return present
        as_new = Bulk(bulk.text, bulk.column, bulk.source, bulk.upload_until, "rows")
        again = replace(as_new, size=bulk.size, rules=rules, checks=bulk.checks + 1)
        return replace(present, bulk=again)

    written = changed(key_of(batch), begun, deps, batch) or batch
    _emit(written, deps)
    return written


def _emit(batch: Batch, deps: Deps, delay: float = 0.0) -> None:
    """What has to follow a write of the check: its next step."""
    if batch.bulk and batch.bulk.stage in CHECKING and batch.state is not State.DELETED:
        body = encode(Check(batch.cost_centre, batch.id, batch.bulk.step))
        deps.engine.queue.send("Expand", [body], batch.cost_centre, delay=delay)


def check(body: str, deps: Deps) -> None:
    """One step of a check. Raises nothing for what is wrong with the file: that is told in the
    batch's record."""
    asked = msgspec.json.decode(body, type=Check)
    key = Key(asked.cost_centre, asked.id)
    batch = deps.engine.store.records([key])[0]
    if not isinstance(batch, Batch) or batch.bulk is None or batch.bulk.stage not in CHECKING:
        return
    if batch.bulk.step != asked.step:
        # Whoever wrote that may have died before it emitted. Where it did not, this one comes when
        # the check is further still, and ends. So does one of a check that was made before.
        if batch.bulk.step == asked.step + 1:
            _emit(batch, deps, delay=_WHILE)
        return
    checked = _stepped(batch, batch.bulk, deps)
    overtaken = False

    def stepped(present: Batch) -> Batch:
        nonlocal overtaken
        overtaken = present.bulk is None or present.bulk.step != asked.step
        return present if overtaken else replace(present, bulk=checked)

    written = changed(key, stepped, deps, batch)
    if written and not overtaken:  # else it is somebody else's to emit
        _emit(written, deps)


def _stepped(batch: Batch, bulk: Bulk, deps: Deps) -> Bulk:
    """What stands in the record after its next step."""
    if bulk.stage == "rows":
        try:
            after = _rows_checked(batch, bulk, deps)
        except Invalid as invalid:
            count("bulk_files_failed")
            return replace(bulk, stage="failed", problem=str(invalid), step=bulk.step + 1)
        return after
    of = doubles.passes(bulk.good)
    name = found_as(batch.id, bulk)
    if bulk.stage == "join":
        doubles.join(name, of, bulk.size, deps)
        return replace(bulk, stage="checked", step=bulk.step + 1)
    number = bulk.step - bulk.row_steps
    found = doubles.go_through(name, bulk.row_steps, (number, of), bulk.size, deps)
    last = "checked" if of == 1 else "join"
    return replace(
        bulk,
        stage=last if number + 1 == of else "doubles",
        step=bulk.step + 1,
        doubles=bulk.doubles + found.doubles,
        segments=bulk.segments - found.segments,
    )


def _cost_centre(batch: Batch, deps: Deps) -> CostCentre:
    found = deps.directory.cost_centre(batch.cost_centre)
    if found is None:
        raise Misconfigured(f"no cost centre has the id {batch.cost_centre}")
    return found


def plan_for(batch: Batch, bulk: Bulk, deps: Deps) -> Plan:
    """Raises Invalid where the file can't be used as a whole."""
    table = table_in(blob_of(batch.id), bulk.column, deps.engine.blobs)
    return plan_of(template_of(bulk.text), table, ruled(_cost_centre(batch, deps), bulk))


def _rows_checked(batch: Batch, bulk: Bulk, deps: Deps) -> Bulk:
    """Reads the next block of rows. Raises Invalid."""
    plan = plan_for(batch, bulk, deps)
    start, line = max(bulk.offset, plan.table.start), bulk.line or plan.table.line
    block = block_of(blob_of(batch.id), start, _BLOCK, deps.engine.blobs)
    found, bad, used = doubles.empty(), list[Bad](), 0
    breathe = breather(deps)
    for row in _readable(taken(block.content, block.at_end, plan), line):
        used = row.end
        if row.problem:
            bad.append(Bad(line + row.line, row.value, row.problem))
        elif row.number:
            _add(row, start, found)
        breathe()
    good = bulk.good + len(found.numbers)
    if good > doubles.MOST_ROWS:
        raise Invalid("file", f"has more than {doubles.MOST_ROWS:,} rows: send it in parts")
    doubles.keep(found_as(batch.id, bulk), bulk.step, found, deps.engine.blobs)
    next_stage = "doubles" if good else "checked"
    return replace(
        bulk,
        stage=next_stage if block.at_end else "rows",
        step=bulk.step + 1,
        row_steps=bulk.step + 1,
        offset=start + used,
        line=line + block.content.count(b"\n", 0, used),
        good=good,
        bad=bulk.bad + len(bad),
        bad_steps=_kept(found_as(batch.id, bulk), bulk, bad, deps),
        segments=bulk.segments + sum(found.segments),
        reached=bulk.reached or _reached(batch, found, deps),
    )


def _readable(rows: Iterable[Taken], line: int) -> Iterator[Taken]:
    """The rows themselves. Raises Invalid where too many in a row can't be read."""
    unreadable = 0
    for row in rows:
        unreadable = unreadable + 1 if row.problem == BAD_QUOTES else 0
        if unreadable == _UNREADABLE:
            lines = f"line {line + row.line} and those before it"
            raise Invalid("file", f"has {unreadable:,} rows whose quotes make no sense: {lines}")
        yield row


def _add(row: Taken, start: int, found: doubles.Numbers) -> None:
    found.numbers.append(int(row.number))
    found.offsets.append(start + row.start)
    found.segments.append(row.segments)


def _reached(batch: Batch, found: doubles.Numbers, deps: Deps) -> bool:
    numbers = found.numbers[:_TRIED]
    return any(deps.routing.reaches(batch.cost_centre, str(n), voice=False) for n in numbers)


def _kept(name: str, bulk: Bulk, bad: Sequence[Bad], deps: Deps) -> tuple[int, ...]:
    """Puts bad rows away, up to so many of a file."""
    room = KEPT_BAD - bulk.bad
    if not bad or room <= 0:
        return bulk.bad_steps
    deps.engine.blobs.put(_bad_of(name, bulk.step), msgspec.json.encode(bad[:room]))
    return (*bulk.bad_steps, bulk.step)


def _bad_of(name: str, step: int) -> str:
    return f"bad-{step}-{name}"


def bad_rows(batch: Batch, deps: Deps) -> list[dict[str, Any]]:
    """The first bad rows that a check has found so far."""
    if batch.bulk is None:
        return []
    name = found_as(batch.id, batch.bulk)
    parts = [deps.engine.blobs.get(_bad_of(name, step)) for step in batch.bulk.bad_steps]
    return [row for part in parts for row in msgspec.json.decode(part)]
