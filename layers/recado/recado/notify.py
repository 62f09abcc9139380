"""Notify: what a record owes goes to its customer, in order, once, persistently: to its callback
URL, or into the mailbox of its SMPP bind, which takes everything at once.

A notice says only which record to look at; the record says what it owes. When an endpoint keeps
failing, its cost centre is stalled: its notices are dropped, one probe goes on, and once it is
answered, everything owed since then is replayed by the same replay that operators use.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from recado import endpoint
from recado.announce import PATIENCE, announced, is_announced, look_at_messages
from recado.callback import TIMEOUT, outgoing
from recado.costcentre import CostCentre
from recado.http import Outgoing, Reached, Unreached
from recado.ids import id_time
from recado.mailbox import put_into_mailboxes
from recado.message import Batch, Key, Message, Record, Report, key_of
from recado.notices import Look, Notice, Probe, customers_of, emit, look_later
from recado.observability import count, follow, follows
from recado.replay import PAGE, reaching, replay
from recado.report import abandoned, is_taken, next_owed, report_of, told, told_by_mailbox
from recado.retry import backoff
from recado.settings import reaches_private
from recado.wiring import Deps

BUDGET = 20.0
_LONGEST_WAIT = 900.0
_BUSY_WAIT = 1.0
_LEAST_TRIES = 10  # before a report is abandoned: a stall may have taken up all of its day


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
    for notice in [notice for notice in notices if not isinstance(notice, Look)]:
        if isinstance(notice, Probe):
            _probe(notice, deps)
        else:
            replay(notice, deps)


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
        records = [r for r in deps.engine.store.records(mine) if r is not None]
        _tell_on(put_into_mailboxes(records, deps), deps)
    finally:
        deps.telling.difference_update(mine)


def _tell_on(records: Sequence[Record], deps: Deps) -> None:
    """Report by report, until the records owe nothing more that may go now."""
    stop_at = deps.clock() + BUDGET - TIMEOUT
    while tellings := _tellings(records, deps):
        if deps.clock() > stop_at:
            for telling in tellings:
                look_later(key_of(telling.record), _BUSY_WAIT, deps)
            return
        records = _tell(tellings, deps)


def _tellings(records: Sequence[Record], deps: Deps) -> list[Telling]:
    """The next report of each record that has one to give, and may. A batch that owes no more has
    its messages looked at; on a redelivery too, for a kill may have come before that."""
    tellings = []
    known: dict[str, bool] = {}
    open_: dict[str, bool] = {}
    customers = customers_of(records, deps)
    for record in records:
        report, name = next_owed(record), record.cost_centre
        if report is None:
            if isinstance(record, Batch):
                look_at_messages(record, deps)
            continue
        telling = _telling(record, report, customers[name], known, deps)
        if telling is None:
            continue
        if name not in open_:
            open_[name] = deps.engine.store.endpoint(name).state == "open"
        if open_[name]:
            tellings.append(telling)
        elif not endpoint.held_back(name, reaching(record, telling.report), deps):
            look_later(key_of(record), _BUSY_WAIT, deps)
    return tellings


def _telling(
    record: Record,
    report: Report,
    cost_centre: CostCentre | None,
    known: dict[str, bool],
    deps: Deps,
) -> Telling | None:
    """A record's next report, unless it goes elsewhere, nobody wants it, or its batch's callback
    has to come first."""
    if cost_centre is None or not cost_centre.callback_url:
        return None
    if told_by_mailbox(record, cost_centre):
        return None
    if isinstance(record, Message) and record.batch_id:
        if record.batch_id not in known:
            known[record.batch_id] = is_announced(record, deps)
        # Dropping is safe: once it is announced, the batch looks at all of its messages.
        if not known[record.batch_id]:
            return None
    return Telling(record, report, cost_centre)


def _tell(tellings: Sequence[Telling], deps: Deps) -> list[Record]:
    """Sends one report each and keeps what became of it: the records that may go on."""
    asked_at = deps.clock()
    answers = deps.exchange([_request(telling, asked_at, deps) for telling in tellings])
    told_at = deps.clock()
    answered = list(zip(tellings, answers, strict=True))
    changed = [told(t.record, t.report, answer, told_at) for t, answer in answered]
    written = deps.engine.store.replace(changed)
    taken = [is_taken(answer) for answer in answers]
    well = {t.record.cost_centre for t, yes in zip(tellings, taken, strict=True) if yes}
    for name in well:
        endpoint.answered(name, deps)
    if follows():
        for telling, answer in answered:
            _follow(telling, answer)
    go_on: list[Record] = []
    for (telling, answer), yes, record in zip(answered, taken, written, strict=True):
        kept = record or _told_late(telling, answer, told_at, deps)
        if kept is None:
            continue
        if yes:
            count("reports_given")
            go_on.append(kept)
        else:
            _not_told(kept, telling, answer, deps, down=kept.cost_centre not in well)
    return go_on


def _request(telling: Telling, now: float, deps: Deps) -> Outgoing:
    return outgoing(
        telling.record,
        telling.report,
        telling.cost_centre,
        deps.engine.blobs,
        now=now,
        private_allowed=reaches_private(deps.settings, telling.cost_centre),
    )


def _follow(telling: Telling, answer: Reached | Unreached) -> None:
    status = answer.status if isinstance(answer, Reached) else 0
    step = "report given" if is_taken(answer) else "report failed"
    follow(step, [telling.record], kind=telling.report.kind, status=status)


def _told_late(
    telling: Telling, answer: Reached | Unreached, now: float, deps: Deps
) -> Record | None:
    """The record was changed while its report was on its way."""
    while True:
        present = deps.engine.store.records([key_of(telling.record)])[0]
        if present is None:
            return None
        report = report_of(present, telling.report)
        if not report.owed:
            return present
        written = deps.engine.store.replace([told(present, report, answer, now)])[0]
        if written is not None:
            return written


def _not_told(
    record: Record, telling: Telling, answer: Reached | Unreached, deps: Deps, *, down: bool
) -> None:
    """Later again, and ever later, for a day; an endpoint that keeps failing is stalled, and one
    that answers 410 is parked. `down`: it took nothing else meanwhile."""
    count("reports_failed")
    now = deps.clock()
    report = report_of(record, telling.report)
    if isinstance(record, Batch) and now - report.owed_at >= PATIENCE:
        record = announced(record, deps)
    too_old = now - report.owed_at > deps.settings.callback_hours * 3600
    if isinstance(answer, Reached) and answer.status == 410:
        _gone(telling, deps)
    elif too_old and report.attempts >= _LEAST_TRIES:
        _abandon(record, report, deps)
    elif down and endpoint.failed_too_often(record.cost_centre, record.id, deps):
        endpoint.stall(key_of(record), reaching(record, report), deps)
    else:
        wait = backoff(report.attempts, cap=_LONGEST_WAIT)
        if isinstance(record, Batch) and record.announced_at is None:
            wait = min(wait, PATIENCE / 6)
        look_later(key_of(record), wait, deps)


def _gone(telling: Telling, deps: Deps) -> None:
    """A 410 parks the endpoint, unless its owner has just given it another URL: then that is tried
    before long. Asked of the store, because the directory may remember the old one for a minute."""
    name, tried = telling.cost_centre.id, telling.cost_centre.callback_url
    deps.directory.forget()
    present = deps.directory.cost_centre(name)
    if present is not None and present.callback_url != tried:
        look_later(key_of(telling.record), _BUSY_WAIT, deps)
    else:
        endpoint.park(name, reaching(telling.record, telling.report), deps)


def _abandon(record: Record, report: Report, deps: Deps) -> None:
    """Nobody took it for a day: what comes after it may go. A replay owes it again."""
    count("reports_abandoned")
    follow("report abandoned", [record], kind=report.kind)
    written = deps.engine.store.replace([abandoned(record, report, deps.clock())])[0]
    if written is None:
        look_later(key_of(record), _BUSY_WAIT, deps)
    else:
        emit([written], deps)


# --- the probe of a stalled endpoint -------------------------------------------------------------


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
    cost_centre = deps.directory.cost_centre(probe.cost_centre)
    known: dict[str, bool] = {}
    tries = (
        _telling(record, report, cost_centre, known, deps)
        for record in _owing(probe, state.since, deps)
        if (report := next_owed(record)) is not None
    )
    telling = next((telling for telling in tries if telling is not None), None)
    # Without any there is nothing left to try it with.
    if telling is None or _tell_probe(telling, deps):
        endpoint.reopen(probe.cost_centre, deps)
    else:
        endpoint.probe_again(replace(probe, id=telling.record.id), deps)


def _owing(probe: Probe, since: float, deps: Deps) -> Iterator[Record]:
    """What to try it with: at first what stalled it, then each time the next by id, round and
    round. For there are endpoints that fail at one report and take all others."""
    store, name = deps.engine.store, probe.cost_centre
    own = [record for record in store.records([Key(name, probe.id)]) if record is not None]
    if probe.attempt == 1:
        yield from own
    yield from store.records_between(name, id_time(probe.id), deps.clock(), probe.id, PAGE)
    yield from store.records_between(name, since, deps.clock(), "", PAGE)
    yield from own


def _tell_probe(telling: Telling, deps: Deps) -> bool:
    """Sends one report past the closed door, and says whether it was taken."""
    key = key_of(telling.record)
    if key in deps.telling:
        return False
    deps.telling.add(key)
    try:
        answer = deps.exchange([_request(telling, deps.clock(), deps)])[0]
        _follow(telling, answer)
        kept = _told_late(telling, answer, deps.clock(), deps)
    finally:
        deps.telling.discard(key)
    waited = deps.clock() - telling.report.owed_at
    if not is_taken(answer) and isinstance(kept, Batch) and waited >= PATIENCE:
        announced(kept, deps)
    if isinstance(answer, Reached) and answer.status == 410:
        _gone(telling, deps)
    return is_taken(answer)
