"""Notify: what a record owes goes to its customer's callback URL, in order, once, persistently.

A notice says only which record to look at; the record says what it owes. When an endpoint keeps
failing, its cost centre is stalled: its notices are dropped, one probe goes on, and once it is
answered, everything owed since then is replayed by the same replay that operators use.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from recado import endpoint
from recado.callback import TIMEOUT, listed_of, outgoing
from recado.costcentre import CostCentre
from recado.http import Outgoing, Reached, Unreached
from recado.message import Attempt, Batch, Key, Message, Record, Report, key_of
from recado.notices import Look, Notice, Probe, Replay, emit, look_later, send
from recado.observability import count
from recado.report import abandoned, failed, given, next_owed, owed_again
from recado.retry import backoff
from recado.wiring import Deps

BATCH_PATIENCE = 60.0  # a batch's reports wait so long for its callback to be answered
BUDGET = 20.0
LOOK_BACK = 3 * 86_400.0  # an id's time is when a message was due; what it owes comes later
_LONGEST_WAIT = 900.0
_BUSY_WAIT = 1.0
_PAGE = 100


class Telling(Struct, frozen=True):
    """One report on its way to one customer."""

    record: Record
    report: Report
    cost_centre: CostCentre


def notify(notices: Sequence[Notice], deps: Deps) -> None:
    """Deals with notices: on return each is done, dropped for a replay, or put back."""
    looks = [Key(notice.cost_centre, notice.id) for notice in notices if isinstance(notice, Look)]
    if looks:
        _tell_all(list(dict.fromkeys(looks)), deps)
    for notice in notices:
        if isinstance(notice, Probe):
            _probe(notice, deps)
        elif isinstance(notice, Replay):
            _replay(notice, deps)


def _tell_all(keys: Sequence[Key], deps: Deps) -> None:
    """Tells what these records owe. A record that is being told elsewhere in this environment is
    left for a moment, lest the same report goes twice."""
    mine = []
    for key in keys:
        if key in deps.telling:
            look_later(key, _BUSY_WAIT, deps)
        else:
            mine.append(key)
    deps.telling.update(mine)
    try:
        _tell_on([r for r in deps.engine.store.records(mine) if r is not None], deps)
    finally:
        deps.telling.difference_update(mine)


def _tell_on(records: Iterable[Record], deps: Deps) -> None:
    """Report by report, until the records owe nothing more that may go now."""
    stop_at = deps.clock() + BUDGET - TIMEOUT
    while tellings := _tellings(records, deps):
        if deps.clock() > stop_at:
            for telling in tellings:
                look_later(key_of(telling.record), _BUSY_WAIT, deps)
            return
        records = _tell(tellings, deps)


def _tellings(records: Iterable[Record], deps: Deps) -> list[Telling]:
    """The next report of each record that has one to give, and may."""
    tellings = []
    announced: dict[str, bool] = {}
    open_: dict[str, bool] = {}
    for record in records:
        report, name = next_owed(record), record.cost_centre
        cost_centre = deps.directory.cost_centre(name)
        if report is None or cost_centre is None or not cost_centre.callback_url:
            continue
        if isinstance(record, Message) and record.batch_id:
            if record.batch_id not in announced:
                announced[record.batch_id] = _is_announced(record, deps)
            # Dropping is safe: once it is announced, the batch looks at all of its messages.
            if not announced[record.batch_id]:
                continue
        if name not in open_:
            open_[name] = deps.engine.store.endpoint(name).state == "open"
        if open_[name]:
            tellings.append(Telling(record, report, cost_centre))
        else:
            endpoint.owed_since(name, report.owed_at, deps)
    return tellings


def _is_announced(message: Message, deps: Deps) -> bool:
    key = Key(message.cost_centre, message.batch_id or "")
    batch = deps.engine.store.records([key])[0]
    return not isinstance(batch, Batch) or batch.announced_at is not None


def _tell(tellings: Sequence[Telling], deps: Deps) -> list[Record]:
    """Sends one report each and keeps what became of it: the records that may go on."""
    answers = deps.exchange([_request(telling, deps) for telling in tellings])
    now = deps.clock()
    changed = [_told(t.record, t.report, a, now) for t, a in zip(tellings, answers, strict=True)]
    written = deps.engine.store.replace(changed)
    go_on: list[Record] = []
    for telling, answer, record in zip(tellings, answers, written, strict=True):
        kept = record or _told_late(telling, answer, now, deps)
        if kept is None:
            continue
        if _is_yes(answer):
            count("reports_given")
            endpoint.answered(kept.cost_centre)
            go_on.append(_announced(kept, now, deps) if isinstance(kept, Batch) else kept)
        else:
            _not_told(kept, telling.report, answer, deps)
    return go_on


def _request(telling: Telling, deps: Deps) -> Outgoing:
    return outgoing(
        telling.record,
        telling.report,
        telling.cost_centre,
        deps.engine.blobs,
        now=deps.clock(),
        private_allowed=bool(deps.settings.private_callbacks),
    )


def _is_yes(answer: Reached | Unreached) -> bool:
    return isinstance(answer, Reached) and 200 <= answer.status < 300


def _told(record: Record, report: Report, answer: Reached | Unreached, now: float) -> Record:
    if isinstance(answer, Unreached):
        return failed(record, report, Attempt(now, 0, answer.problem))
    attempt = Attempt(now, answer.status)
    return given(record, report, attempt) if _is_yes(answer) else failed(record, report, attempt)


def _told_late(
    telling: Telling, answer: Reached | Unreached, now: float, deps: Deps
) -> Record | None:
    """The record was changed while its report was on its way."""
    while True:
        present = deps.engine.store.records([key_of(telling.record)])[0]
        if present is None:
            return None
        report = _report_of(present, telling.report)
        if not report.owed:
            return present
        written = deps.engine.store.replace([_told(present, report, answer, now)])[0]
        if written is not None:
            return written


def _report_of(record: Record, report: Report) -> Report:
    return next((mine for mine in record.reports if mine.kind == report.kind), report)


def _announced(batch: Batch, now: float, deps: Deps) -> Batch:
    """From here on the batch's messages may be told; those that waited are looked at."""
    while batch.announced_at is None:
        written = deps.engine.store.replace([replace(batch, announced_at=now)])[0]
        present = written or deps.engine.store.records([key_of(batch)])[0]
        if not isinstance(present, Batch):
            return batch
        batch = present
    ids = [line.id for line in listed_of(batch, deps.engine.blobs) if line.refusal is None]
    for start in range(0, len(ids), _PAGE):
        keys = [Key(batch.cost_centre, identifier) for identifier in ids[start : start + _PAGE]]
        emit([record for record in deps.engine.store.records(keys) if record is not None], deps)
    return batch


def _not_told(record: Record, report: Report, answer: Reached | Unreached, deps: Deps) -> None:
    """Later again, and ever later, for a day; an endpoint that keeps failing is stalled, and one
    that answers 410 is parked."""
    count("reports_failed")
    now = deps.clock()
    report = _report_of(record, report)
    if isinstance(record, Batch) and now - report.owed_at >= BATCH_PATIENCE:
        record = _announced(record, now, deps)
    if isinstance(answer, Reached) and answer.status == 410:
        endpoint.park(record.cost_centre, report.owed_at, deps)
    elif now - report.owed_at > deps.settings.callback_hours * 3600:
        _abandon(record, report, deps)
    elif endpoint.failed_too_often(record.cost_centre):
        endpoint.stall(key_of(record), report.owed_at, deps)
    else:
        wait = backoff(report.attempts, cap=_LONGEST_WAIT)
        if isinstance(record, Batch) and record.announced_at is None:
            wait = min(wait, BATCH_PATIENCE / 6)
        look_later(key_of(record), wait, deps)


def _abandon(record: Record, report: Report, deps: Deps) -> None:
    """Nobody took it for a day: what comes after it may go. A replay owes it again."""
    count("reports_abandoned")
    written = deps.engine.store.replace([abandoned(record, report, deps.clock())])[0]
    if written is None:
        look_later(key_of(record), _BUSY_WAIT, deps)
    else:
        emit([written], deps)


def _probe(probe: Probe, deps: Deps) -> None:
    """One try at a stalled endpoint. Once it is answered, what was owed is replayed."""
    state = deps.engine.store.endpoint(probe.cost_centre)
    if state.state == "parked":
        return
    if state.state == "open":
        if state.since:
            endpoint.reopen(probe.cost_centre, deps)
        else:
            endpoint.probe_again(probe, deps)
        return
    record = deps.engine.store.records([Key(probe.cost_centre, probe.id)])[0]
    cost_centre = deps.directory.cost_centre(probe.cost_centre)
    report = next_owed(record) if record else None
    nobody = cost_centre is None or not cost_centre.callback_url
    if record is None or report is None or cost_centre is None or nobody:
        endpoint.reopen(probe.cost_centre, deps)  # there is nothing left to try it with
        return
    if _tell_probe(Telling(record, report, cost_centre), deps):
        endpoint.reopen(probe.cost_centre, deps)
    else:
        endpoint.probe_again(probe, deps)


def _tell_probe(telling: Telling, deps: Deps) -> bool:
    """Sends one report past the closed door, and says whether it was taken."""
    answer = deps.exchange([_request(telling, deps)])[0]
    now = deps.clock()
    kept = _told_late(telling, answer, now, deps)
    if isinstance(kept, Batch) and (_is_yes(answer) or now - kept.due_at >= BATCH_PATIENCE):
        _announced(kept, now, deps)
    if isinstance(answer, Reached) and answer.status == 410:
        endpoint.park(telling.cost_centre.id, telling.report.owed_at, deps)
    return _is_yes(answer)


def _replay(replay: Replay, deps: Deps) -> None:
    """One page of a replay, and a notice for the next."""
    records = deps.engine.store.records_between(
        replay.cost_centre, replay.since - LOOK_BACK, replay.until, replay.after, _PAGE
    )
    if replay.again:
        records = [_owed_again(record, replay, deps) for record in records]
    emit(records, deps)
    if len(records) == _PAGE:
        send(replace(replay, after=records[-1].id), deps)
    elif not replay.again:
        endpoint.replayed(replay.cost_centre, replay.since, deps)


def _owed_again(record: Record, replay: Replay, deps: Deps) -> Record:
    while True:
        changed = owed_again(record, replay.since, replay.until)
        if changed == record:
            return record
        written = deps.engine.store.replace([changed])[0]
        present = written or deps.engine.store.records([key_of(record)])[0]
        if present is None or written is not None:
            return present or record
        record = present
