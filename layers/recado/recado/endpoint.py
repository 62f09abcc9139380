"""A cost centre's callback URL as a whole: open, stalled with a probe going on, or parked.

While it is not open its notices are dropped, and `since` says from when on what it is owed has to
be replayed. An open endpoint with a `since` is being replayed.
"""

from collections import Counter

from msgspec.structs import replace

from recado.message import Key
from recado.notices import Probe, Replay, send
from recado.observability import count, log
from recado.retry import backoff
from recado.wiring import Deps

STALLS_AFTER = 10  # failures in a row, of whatever reports, as one environment sees them
_LONGEST_PROBE_WAIT = 300.0
_OVERTAKEN = 15.0  # a probe may be faster than the write that it belongs to, by seconds

_failures: Counter[str] = Counter()


def answered(cost_centre: str) -> None:
    """The endpoint gave a 2xx: it is well."""
    _failures.pop(cost_centre, None)


def failed_too_often(cost_centre: str) -> bool:
    """Counts a failure: whether the endpoint is to be stalled."""
    _failures[cost_centre] += 1
    return _failures[cost_centre] >= STALLS_AFTER


def stall(key: Key, since: float, deps: Deps) -> None:
    """Holds back everything but one probe, with this record. The probe is sent first: after a
    crash in between it finds the endpoint open and ends."""
    if deps.engine.store.endpoint(key.cost_centre).state == "open":
        send(Probe(key.cost_centre, key.id, deps.clock()), deps, delay=backoff(1))
    _close(key.cost_centre, "stalled", since, deps)


def park(cost_centre: str, since: float, deps: Deps) -> None:
    """The endpoint said 410: nothing goes there until its owner says so."""
    _close(cost_centre, "parked", since, deps)


def _close(cost_centre: str, state: str, since: float, deps: Deps) -> None:
    while True:
        endpoint = deps.engine.store.endpoint(cost_centre)
        if endpoint.state == "parked":
            state = "parked"
        earliest = min(since, endpoint.since or since)
        if (endpoint.state, endpoint.since) == (state, earliest):
            return
        changed = replace(endpoint, state=state, since=earliest, version=endpoint.version + 1)
        if deps.engine.store.put_endpoint(changed):
            if endpoint.state != state:
                count(f"endpoints_{state}")
                log.warning("a callback URL is %s", state, extra={"cost_centre": cost_centre})
            return


def owed_since(cost_centre: str, owed_at: float, deps: Deps) -> None:
    """A notice is about to be dropped: the replay has to reach back to what it was for."""
    endpoint = deps.engine.store.endpoint(cost_centre)
    if endpoint.state != "open" and owed_at < endpoint.since:
        _close(cost_centre, endpoint.state, owed_at, deps)


def reopen(cost_centre: str, deps: Deps) -> None:
    """Opens the endpoint and replays what it was owed meanwhile. Done again it replays again."""
    answered(cost_centre)
    while True:
        endpoint = deps.engine.store.endpoint(cost_centre)
        if endpoint.state == "open":
            break
        changed = replace(endpoint, state="open", version=endpoint.version + 1)
        if deps.engine.store.put_endpoint(changed):
            log.info("a callback URL is open again", extra={"cost_centre": cost_centre})
            break
    if endpoint.since:
        send(Replay(cost_centre, endpoint.since, deps.clock()), deps)


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
