"""What a record owes to its customer: which report is next, and what became of each try.

Every accepted message owes one report of type 1 (the submit's outcome) and then one of type 2 (its
final state), less those that the cost centre does not want. A batch owes its callback, a reply
owes itself. They are given in the order in which they stand in the record.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from recado.message import Attempt, Message, Record, Report

SUBMIT_OUTCOME = "1"
FINAL_STATE = "2"
REPLY = "reply"
BATCH = "batch"
ALERT = "alert"
_KEPT_TRIES = 10


def with_report(message: Message, report: Report, wanted: Iterable[str]) -> Message:
    """The message, owing this report too, if the cost centre wants its kind. Each kind is owed
    once: a second final state changes a type 2 that has not been given, and adds none."""
    if report.kind not in wanted:
        return message
    others = tuple(old for old in message.reports if old.kind != report.kind)
    mine = [old for old in message.reports if old.kind == report.kind]
    if mine and mine[0].given_at is not None:
        return message
    kept = replace(mine[0], stat=report.stat, err=report.err) if mine else report
    return replace(message, reports=tuple(sorted((*others, kept), key=lambda r: r.kind)))


def next_owed(record: Record) -> Report | None:
    """The first report that is still owed, or None."""
    return next((report for report in record.reports if report.owed), None)


def _changed(record: Record, report: Report) -> Record:
    reports = tuple(report if old.kind == report.kind else old for old in record.reports)
    return replace(record, reports=reports)


def _tried(report: Report, attempt: Attempt) -> Report:
    return replace(
        report,
        attempts=report.attempts + 1,
        tries=(*report.tries, attempt)[-_KEPT_TRIES:],
    )


def given(record: Record, report: Report, attempt: Attempt) -> Record:
    """The record after the customer's 2xx."""
    return _changed(record, replace(_tried(report, attempt), given_at=attempt.at))


def failed(record: Record, report: Report, attempt: Attempt) -> Record:
    """The record after a try that was not answered with 2xx: still owed."""
    return _changed(record, _tried(report, attempt))


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
