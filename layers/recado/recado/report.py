"""What a record owes to its customer: which report is next, where it goes, and what became of each
try.

Every accepted message owes one report of type 1 (the submit's outcome) and then one of type 2 (its
final state), less those that the cost centre does not want. A batch owes its callback, a reply
owes itself. They are given in the order in which they stand in the record: to the customer's
callback URL, or into its mailbox, from where they go by its SMPP bind.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from recado.costcentre import CostCentre
from recado.esme import RECEIPT_STAT
from recado.http import Reached, Unreached
from recado.message import Attempt, Batch, Message, Record, Reply, Report, State

SUBMIT_OUTCOME = "1"
FINAL_STATE = "2"
FAILURE = "failure"  # as a kind that is wanted: FINAL_STATE, where the message was not delivered
REPLY = "reply"
BATCH = "batch"
ALERT = "alert"
_KEPT_TRIES = 10
# Bits 0 and 1 of registered_delivery (SMPP 3.4, 5.2.17). The fourth is reserved there: who sets it
# is better told than not.
_REGISTERED: tuple[tuple[str, ...], ...] = ((), (FINAL_STATE,), (FAILURE,), (FINAL_STATE,))


def wanted(cost_centre: CostCentre | None, registered: int | None) -> tuple[str, ...]:
    """The kinds of report that a message owes, by its cost centre and, where it came by SMPP, by
    its registered_delivery. A mailbox takes no SUBMIT_OUTCOME: the submit_sm_resp has said it."""
    if cost_centre is None:
        return ()
    by = cost_centre.reports_by
    if by == "http" or (by == "origin" and registered is None):
        return cost_centre.reports
    if registered is not None:
        return _REGISTERED[registered & 3]
    return (FINAL_STATE,) if FINAL_STATE in cost_centre.reports else ()


def told_by_mailbox(record: Record, cost_centre: CostCentre) -> bool:
    """Whether what this record owes goes to the mailbox of its customer's SMPP bind. What is about
    a batch or an account never does: SMPP has no words for it."""
    if isinstance(record, Message):
        by_smpp = record.registered is not None
    elif isinstance(record, Reply):
        by_smpp = record.by_smpp
    else:
        return False
    by = cost_centre.reports_by
    return by == "smpp" or (by == "origin" and by_smpp)


def with_report(
    reports: tuple[Report, ...], report: Report, wanted: Iterable[str]
) -> tuple[Report, ...]:
    """A message's reports and this one, if its kind is among the wanted. Each kind is owed once: a
    second final state changes a type 2 that has not been given, and adds none."""
    if report.kind not in wanted:
        if report.kind != FINAL_STATE or FAILURE not in wanted:
            return reports
        if report.stat == RECEIPT_STAT[State.DELIVERED]:
            return _without(reports, report.kind)
    if not reports:
        return (report,)
    others = tuple(old for old in reports if old.kind != report.kind)
    mine = [old for old in reports if old.kind == report.kind]
    if mine and mine[0].given_at is not None:
        return reports
    kept = replace(mine[0], stat=report.stat, err=report.err) if mine else report
    return tuple(sorted((*others, kept), key=lambda r: r.kind))


def _without(reports: tuple[Report, ...], kind: str) -> tuple[Report, ...]:
    """Without a failure that was none after all, unless its customer was told."""
    return tuple(old for old in reports if old.kind != kind or old.given_at is not None)


def next_owed(record: Record) -> Report | None:
    """The first report that is still owed, or None."""
    for report in record.reports:
        if report.given_at is None and report.abandoned_at is None:
            return report
    return None


def _changed(record: Record, report: Report) -> Record:
    reports = [report if old.kind == report.kind else old for old in record.reports]
    return replace(record, reports=tuple(reports))


def given(record: Record, report: Report, attempt: Attempt) -> Record:
    """The record after the customer's 2xx."""
    return _tried(record, report, attempt, attempt.at)


def failed(record: Record, report: Report, attempt: Attempt) -> Record:
    """The record after a try that was not answered with 2xx: still owed."""
    return _tried(record, report, attempt, report.given_at)


def _tried(record: Record, report: Report, attempt: Attempt, given_at: float | None) -> Record:
    tries = (*report.tries, attempt)[-_KEPT_TRIES:]
    attempts = report.attempts + 1
    return _changed(record, replace(report, attempts=attempts, tries=tries, given_at=given_at))


def is_taken(answer: Reached | Unreached) -> bool:
    """Whether the customer answered with 2xx."""
    return isinstance(answer, Reached) and 200 <= answer.status < 300


def told(record: Record, report: Report, answer: Reached | Unreached, now: float) -> Record:
    """The record after a try that was answered so. A batch whose callback was given is announced
    by that."""
    if isinstance(answer, Unreached):
        return failed(record, report, Attempt(now, 0, answer.problem))
    attempt = Attempt(now, answer.status)
    if not is_taken(answer):
        return failed(record, report, attempt)
    after = given(record, report, attempt)
    if isinstance(after, Batch):
        return replace(after, announced_at=after.announced_at or now)
    return after


def report_of(record: Record, report: Report) -> Report:
    """That report as it stands in the record now."""
    return next((mine for mine in record.reports if mine.kind == report.kind), report)


def abandoned(record: Record, report: Report, at: float) -> Record:
    """The record after we gave up on this report. A replay owes it again."""
    return _changed(record, replace(report, abandoned_at=at))


def owed_again(record: Record, since: float, until: float) -> Record:
    """The record with each report of the time range owed again, given or not: a replay."""
    reports = tuple(
        replace(report, given_at=None, abandoned_at=None)
        if since <= report.owed_at <= until
        else report
        for report in record.reports
    )
    return replace(record, reports=reports)
