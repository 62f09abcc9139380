"""Replay: every record of a time range is looked at again, and where that is asked, what was given
in it is owed anew. Both a stalled endpoint that is well again and operators end up here."""

from msgspec.structs import replace

from recado import endpoint
from recado.costcentre import CostCentre
from recado.ids import id_time
from recado.message import Record, Report, key_of
from recado.notices import LOOK_BACK, Replay, emit, send
from recado.report import owed_again, told_by_mailbox
from recado.wiring import Deps

PAGE = 100


def reaching(record: Record, report: Report) -> float:
    """From when on a replay has to begin to come by this record."""
    return min(report.owed_at, id_time(record.id) + LOOK_BACK)


def tells_mailbox(cost_centre: CostCentre, since: float, until: float, deps: Deps) -> bool:
    """Whether a replay of this time would put anything into the mailbox of its SMPP bind."""
    if cost_centre.reports_by != "origin":
        return cost_centre.reports_by == "smpp"
    store, after = deps.engine.store, ""
    while page := store.records_between(cost_centre.id, since - LOOK_BACK, until, after, PAGE):
        if any(record.reports and told_by_mailbox(record, cost_centre) for record in page):
            return True
        after = page[-1].id
        deps.breathe()
    return False


def replay(asked: Replay, deps: Deps) -> None:
    """One page of a replay, and a notice for the next."""
    records = deps.engine.store.records_between(
        asked.cost_centre, asked.since - LOOK_BACK, asked.until, asked.after, PAGE
    )
    if asked.again:
        records = [_owed_again(record, asked, deps) for record in records]
    emit(records, deps)
    if len(records) == PAGE:
        send(replace(asked, after=records[-1].id), deps)
    elif not asked.again:
        endpoint.replayed(asked.cost_centre, asked.since, deps)


def _owed_again(record: Record, asked: Replay, deps: Deps) -> Record:
    while True:
        changed = owed_again(record, asked.since, asked.until)
        if changed == record:
            return record
        written = deps.engine.store.replace([changed])[0]
        present = written or deps.engine.store.records([key_of(record)])[0]
        if present is None or written is not None:
            return present or record
        record = present
