"""Limits: what a cost centre may send in a day, and whether it has paid for it."""

from datetime import datetime

from msgspec.structs import replace

from recado import esme, money
from recado.costcentre import CostCentre, zone
from recado.engine import Entry, Held
from recado.errors import Refused
from recado.submission import Refusal, Submission
from recado.wiring import Deps

_DAY = 86_400.0
_IN_A_MOMENT = 60.0  # when the clock looks after what was charged and, by a crash, not queued


def pay(submission: Submission, held: Held, cost_centre: CostCentre, deps: Deps) -> Held | None:
    """Takes a submission from its cost centre's daily quota and from its balance: what is held
    for it then, in one transaction with the charge. None where nothing was charged. Raises Refused,
    and then nothing was taken. Of the same id it charges once; the quota may count what is asked
    for again after a crash twice."""
    if not cost_centre.daily_quota and not submission.price:
        return None
    now = deps.clock()
    segments, units = _segments(submission), money.units_of(submission)
    counter = quota_counter(cost_centre, now) if cost_centre.daily_quota else ""
    _take_quota(counter, segments, cost_centre, deps)
    if not submission.price or not units:
        return None
    if held.due_at <= now:
        # What is due now goes to its queue at once. Should we die before, the clock sees to it.
        held = replace(held, due_at=now + _IN_A_MOMENT)
    entry = Entry(cost_centre.id, held.id, money.CHARGE, -submission.price * units, now)
    left = deps.engine.store.charge(entry, held)
    if left is None:
        _give_quota_back(counter, segments, cost_centre, deps)
        money.watch(
            cost_centre, deps.engine.store.balance(cost_centre.id), submission.dialect, deps
        )
        raise _too_little()
    money.watch(cost_centre, left, submission.dialect, deps)
    return held


def look(submission: Submission, cost_centre: CostCentre, deps: Deps) -> None:
    """Whether `pay` would refuse it now, and then refuses it: before anything is kept for it."""
    store, segments = deps.engine.store, _segments(submission)
    if cost_centre.daily_quota and segments:
        used = store.counts(quota_counter(cost_centre, deps.clock())).get("segments", 0)
        if used + segments > cost_centre.daily_quota:
            raise _quota_used_up(cost_centre, segments)
    amount = submission.price * money.units_of(submission)
    if amount and store.balance(cost_centre.id) < amount:
        raise _too_little()


def _quota_used_up(cost_centre: CostCentre, segments: int) -> Refused:
    detail = f"of {cost_centre.daily_quota} segments does not suffice for {segments} more today!"
    return Refused(Refusal("daily quota", "quota", esme.RTHROTTLED, detail))


def _too_little() -> Refused:
    return Refused(Refusal("balance", "balance", esme.RSUBMITFAIL))


def _segments(submission: Submission) -> int:
    """Segments of all that was taken. (Where a list's lines differ, a segment is a unit.)"""
    listing = submission.listing
    if listing:
        return submission.segments * listing.count or listing.units
    return sum(one.segments for one in submission.recipients if not one.refusal)


def _take_quota(counter: str, segments: int, cost_centre: CostCentre, deps: Deps) -> None:
    """Counts segments of the present day. Raises Refused."""
    quota = cost_centre.daily_quota
    if not quota or not segments:
        return
    expires = deps.clock() + 2 * _DAY
    if not deps.engine.store.add(counter, {"segments": segments}, limit=quota, expires=expires):
        raise _quota_used_up(cost_centre, segments)


def _give_quota_back(counter: str, segments: int, cost_centre: CostCentre, deps: Deps) -> None:
    if cost_centre.daily_quota and segments:
        expires = deps.clock() + 2 * _DAY
        deps.engine.store.add(counter, {"segments": -segments}, limit=None, expires=expires)


def quota_counter(cost_centre: CostCentre, now: float) -> str:
    """The name of the counter of a day's segments, in the cost centre's time zone."""
    day = datetime.fromtimestamp(now, zone(cost_centre.time_zone)).date()
    return f"quota#{cost_centre.id}#{day}"
