"""Usage: how many messages, segments and units a cost centre sent in a day, by connector and state.

Counted from the records themselves, so that counting a day again gives what is true by then. The
clock does it a page at a time: the day after, and once more when receipts can change nothing of it
any more: not before what was moved to a later day has come to its end. A day that has not been
counted yet is counted when somebody asks.

A message belongs to the day, in its cost centre's time zone, that its id says: when it was first
due.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.configuration import cost_centres
from recado.costcentre import CostCentre, zone
from recado.engine import Usage
from recado.errors import Refused
from recado.message import Batch, Message, Record, State, is_final
from recado.submission import Refusal
from recado.wiring import Deps

FINAL_AFTER = 4  # days: the longest validity (three), and a receipt that took its time
PAGE = 200
_LOOK_BACK = 35  # days: what was not counted because the clock stood still is made up for
_NAME = "usage"
_HOUR = 3600.0
_DAY = 86_400.0
_LATE = timedelta(hours=1)  # after midnight, for what was sent just before it
_ONE_DAY = timedelta(days=1)


class Counted(Struct):
    """A day's sums so far: messages, segments and units by connector and state."""

    sums: dict[tuple[str, str], tuple[int, int, int]] = {}

    def add(self, message: Message) -> None:
        key = (message.connector, str(message.state))
        messages, segments, units = self.sums.get(key, (0, 0, 0))
        self.sums[key] = (messages + 1, segments + message.segments, units + message.units)

    def wait(self) -> None:
        """Notes that messages of this day are still to come: a row of none that are SCHEDULED."""
        self.sums.setdefault(("", str(State.SCHEDULED)), (0, 0, 0))

    def rows(self) -> tuple[tuple[str, str, int, int, int], ...]:
        return tuple((*key, *sums) for key, sums in sorted(self.sums.items()))


def today(cost_centre: CostCentre, now: float) -> date:
    """The present day where the cost centre is."""
    return datetime.fromtimestamp(now, zone(cost_centre.time_zone)).date()


def bounds(day: date, cost_centre: CostCentre) -> tuple[float, float]:
    """A day's first moment, and the last millisecond before the next day's."""
    here = zone(cost_centre.time_zone)
    start = datetime.combine(day, time(), here).timestamp()
    # Well within that millisecond: a float of seconds lies a little beside it.
    return start, datetime.combine(day + _ONE_DAY, time(), here).timestamp() - 0.0006


def pages(cost_centre: CostCentre, day: date, after: str, deps: Deps) -> Iterator[list[Record]]:
    """The records of a day, by the hour at which they were due, from behind the id `after`."""
    since, until = bounds(day, cost_centre)
    while records := deps.engine.store.records_between(cost_centre.id, since, until, after, PAGE):
        yield records
        after = records[-1].id


def counted(usage: Usage, records: list[Record]) -> Usage:
    """The usage with these records in it."""
    sums = Counted({(row[0], row[1]): (row[2], row[3], row[4]) for row in usage.rows})
    for record in records:
        if isinstance(record, Message):
            sums.add(record)
        elif isinstance(record, Batch) and record.state in (State.SCHEDULED, State.PAUSED):
            sums.wait()
    return replace(usage, rows=sums.rows(), after=records[-1].id)


# --- asked for -----------------------------------------------------------------------------------


def usage_of(
    cost_centre: CostCentre, first: date, last: date, deps: Deps, until: float | None = None
) -> Iterator[Usage]:
    """Day by day: as it was counted, or, of a day that was not counted to its end, counted now.
    Raises Refused where that is not done by the moment `until`."""
    kept = {u.day: u for u in deps.engine.store.usages(cost_centre.id, str(first), str(last))}
    day = max(first, today(cost_centre, cost_centre.created_at))
    while day <= min(last, today(cost_centre, deps.clock())):
        found = kept.get(str(day))
        if found is None or found.after:
            found = _counted_now(cost_centre, day, deps, until)
        rows = tuple(row for row in found.rows if row[2])
        if rows:
            yield replace(found, rows=rows, after="")
        day += _ONE_DAY


def _counted_now(cost_centre: CostCentre, day: date, deps: Deps, until: float | None) -> Usage:
    usage = Usage(cost_centre.id, str(day), ())
    for records in pages(cost_centre, day, "", deps):
        if until is not None and deps.clock() >= until:
            detail = f"of {day} is too much to count while you wait: ask for the days before it!"
            raise Refused(Refusal("usage", "busy", esme.RMSGQFUL, detail))
        usage = counted(usage, records)
        deps.breathe()
    return usage


# --- rolled up -----------------------------------------------------------------------------------


def roll_up(until: float, deps: Deps) -> None:
    """Counts days that are to be counted, until that moment at most (but always a page); what is
    left is gone on with when this is called again. Where nothing is left, it does nothing for an
    hour."""
    if deps.clock() < deps.resting.get(_NAME, 0.0):
        return
    for cost_centre, usage in _due(deps):
        written = _counted_on(cost_centre, usage, until, deps)
        deps.engine.store.put_usage(written)
        if written.after or deps.clock() >= until:
            return
    deps.resting[_NAME] = deps.clock() + _HOUR


def _counted_on(cost_centre: CostCentre, usage: Usage, until: float, deps: Deps) -> Usage:
    """The day counted to its end, or as far as it came by then."""
    day = date.fromisoformat(usage.day)
    for records in pages(cost_centre, day, usage.after, deps):
        usage = counted(usage, records)
        if deps.clock() >= until:
            return usage
        deps.breathe()
    if usage.final and _waits(usage) and _age(day, cost_centre, deps) < _longest(deps):
        # Each time it rests for longer: a day of millions is not counted again and again.
        age = _age(day, cost_centre, deps)
        deps.resting[_rest_of(usage)] = deps.clock() + age * _DAY / 4
        usage = replace(usage, final=False)
    return replace(usage, after="")


def _waits(usage: Usage) -> bool:
    """Whether something of it has not come to its end."""
    return not all(is_final(State(row[1])) for row in usage.rows)


def _longest(deps: Deps) -> int:
    """The age in days at which nothing is waited for: a message is moved by a third of the
    retention at most (recado.schedules)."""
    return deps.settings.retention_days // 3 + FINAL_AFTER


def _rest_of(usage: Usage) -> str:
    return f"{_NAME} {usage.cost_centre} {usage.day}"


def _here(cost_centre: CostCentre, deps: Deps) -> date:
    """The day there; until a while after midnight it is still the one before."""
    return (datetime.fromtimestamp(deps.clock(), zone(cost_centre.time_zone)) - _LATE).date()


def _age(day: date, cost_centre: CostCentre, deps: Deps) -> int:
    return (_here(cost_centre, deps) - day).days


def _due(deps: Deps) -> Iterator[tuple[CostCentre, Usage]]:
    """What is to be counted, as far as it has come. `final` says of what is under way already that
    it began when nothing could change any more."""
    # What was counted while its records stood must not be counted again without them.
    back = max(_LOOK_BACK, _longest(deps) + 1)
    oldest = max(min(back, deps.settings.retention_days - 1), 1)
    for cost_centre in cost_centres(deps):
        here = _here(cost_centre, deps)
        last = here - _ONE_DAY
        first = here - timedelta(days=oldest)
        day = max(first, today(cost_centre, cost_centre.created_at))
        usages = deps.engine.store.usages(cost_centre.id, str(day), str(last))
        kept = {usage.day: usage for usage in usages}
        while day <= last:
            final = (here - day).days >= FINAL_AFTER
            found = kept.get(str(day))
            anew = Usage(cost_centre.id, str(day), (), final=final)
            if found is None or (final and not found.final and _may_be_final(found, deps)):
                yield cost_centre, anew
            elif found.after:
                yield cost_centre, found
            day += _ONE_DAY


def _may_be_final(usage: Usage, deps: Deps) -> bool:
    return deps.clock() >= deps.resting.get(_rest_of(usage), 0.0)
