"""A cost centre's callback URL as a whole: open, stalled with a probe going on, or parked.

While it is not open its notices are dropped, and `since` says from when on what it is owed has to
be replayed. An open endpoint with a `since` is being replayed.
"""

from msgspec.structs import replace

from recado.engine import Endpoint
from recado.ids import MAX_AHEAD
from recado.message import Key
from recado.notices import LOOK_BACK, Probe, Replay, send
from recado.observability import count, log
from recado.retry import backoff
from recado.wiring import Deps

STALLS_AFTER = 10  # records that failed in a row, as one environment sees them
_LONGEST_PROBE_WAIT = 300.0
_OVERTAKEN = 15.0  # a probe may be faster than the write that it belongs to, by seconds


def answered(cost_centre: str, deps: Deps) -> None:
    """The endpoint gave a 2xx: it is well."""
    deps.failing.pop(cost_centre, None)


def failed_too_often(cost_centre: str, record: str, deps: Deps) -> bool:
    """Counts a failure: whether the endpoint is to be stalled. One record counts once, however
    often it fails: that may be its own fault."""
    failed = deps.failing.setdefault(cost_centre, set())
    if len(failed) < STALLS_AFTER:
        failed.add(record)
    return len(failed) >= STALLS_AFTER


def stall(key: Key, since: float, deps: Deps) -> None:
    """Holds back everything but one probe, which begins with this record. The probe is sent first:
    after a crash in between it finds the endpoint open and ends."""
    while not held_back(key.cost_centre, since, deps):
        endpoint = deps.engine.store.endpoint(key.cost_centre)
        if endpoint.state == "open":
            send(Probe(key.cost_centre, key.id, deps.clock()), deps, delay=backoff(1))
            _close(endpoint, "stalled", since, deps)


def park(cost_centre: str, since: float, deps: Deps) -> None:
    """The endpoint said 410: nothing goes there until its owner says so."""
    while True:
        endpoint = deps.engine.store.endpoint(cost_centre)
        if endpoint.state == "parked" or _close(endpoint, "parked", since, deps):
            held_back(cost_centre, since, deps)
            return


def _close(endpoint: Endpoint, state: str, since: float, deps: Deps) -> bool:
    """False where it has changed meanwhile."""
    earliest = min(since, endpoint.since or since)
    changed = replace(endpoint, state=state, since=earliest, version=endpoint.version + 1)
    if not deps.engine.store.put_endpoint(changed):
        return False
    count(f"endpoints_{state}")
    log.warning("a callback URL is %s", state, extra={"cost_centre": endpoint.cost_centre})
    return True


def held_back(cost_centre: str, since: float, deps: Deps) -> bool:
    """Whether a notice of what is owed since then may be dropped: not where the endpoint is open.
    The replay will reach back to it."""
    while True:
        endpoint = deps.engine.store.endpoint(cost_centre)
        if endpoint.state == "open":
            return False
        if since >= endpoint.since:
            return True
        changed = replace(endpoint, since=since, version=endpoint.version + 1)
        if deps.engine.store.put_endpoint(changed):
            return True


def reopen(cost_centre: str, deps: Deps) -> None:
    """Opens the endpoint and replays what it was owed meanwhile. Done again it replays again."""
    answered(cost_centre, deps)
    while True:
        endpoint = deps.engine.store.endpoint(cost_centre)
        if endpoint.state == "open":
            break
        changed = replace(endpoint, state="open", version=endpoint.version + 1)
        if deps.engine.store.put_endpoint(changed):
            log.info("a callback URL is open again", extra={"cost_centre": cost_centre})
            break
    if endpoint.since:
        now = deps.clock()
        send(Replay(cost_centre, endpoint.since, now), deps)
        # What was moved to an earlier hour owes by now what its id says is yet to come; a replay
        # looks some days back from where it begins.
        send(Replay(cost_centre, now + LOOK_BACK, now + MAX_AHEAD), deps)


def replayed(cost_centre: str, since: float, deps: Deps) -> None:
    """The replay from `since` has looked at everything."""
    endpoint = deps.engine.store.endpoint(cost_centre)
    if endpoint.state == "open" and endpoint.since == since:
        deps.engine.store.put_endpoint(replace(endpoint, since=0.0, version=endpoint.version + 1))


def probe_again(probe: Probe, deps: Deps) -> None:
    """The endpoint is still down; or this probe was faster than what stalls it."""
    if deps.engine.store.endpoint(probe.cost_centre).state == "open":
        if deps.clock() - probe.sent_at < _OVERTAKEN:
            send(probe, deps, delay=_OVERTAKEN / 3)
        return
    wait = backoff(probe.attempt + 1, cap=_LONGEST_PROBE_WAIT)
    send(replace(probe, attempt=probe.attempt + 1), deps, delay=wait)
