"""Throttle: how often somebody may try to bind. SMPP's password has eight characters.

Every try is counted in the Store before its password is looked at, and given back where it was
right: all tasks count together, and a guess that is right does not stand out among the refused.
Whoever guesses must not keep the customer out: beyond an address's tries, and beyond a system_id's
from everywhere, the addresses that it has bound from may go on, with tries of their own.
"""

import hashlib
from typing import TypeAlias

from recado.wiring import Deps

Tries: TypeAlias = tuple[tuple[str, float], ...]
"""Counters that a try was added to, and when each may be forgotten."""

FROM_ONE = 20  # tries at one system_id from one address, in a minute
BY_ONE = 60  # from one address, whatever the system_id
FROM_ALL = 100  # at one system_id from everywhere, in ten
_MINUTE = 60.0
_TEN = 600.0
_KNOWN = 90 * 86_400.0  # how long an address is known from its last bind


def take(system_id: str, peer: str, deps: Deps) -> Tries | None:
    """Counts a try. None where there were too many."""
    now = deps.clock()
    mine = _counter("one", f"{peer}\n{system_id}", _MINUTE, now)
    peers = _counter("by", peer, _MINUTE, now)
    everybody = _counter("all", system_id, _TEN, now)
    taken: list[tuple[str, float]] = []
    for counter, limit in ((peers, BY_ONE), (mine, FROM_ONE), (everybody, FROM_ALL)):
        if deps.engine.store.add(counter[0], {"tries": 1}, limit=limit, expires=counter[1]):
            taken.append(counter)
        elif counter is mine or not deps.engine.store.counts(_known(system_id, peer)):
            return None
    return tuple(taken)


def give_back(tries: Tries, deps: Deps) -> None:
    """It was right."""
    for counter, expires in tries:
        deps.engine.store.add(counter, {"tries": -1}, limit=None, expires=expires)


def know(system_id: str, peer: str, deps: Deps) -> None:
    """It has bound from there."""
    expires = deps.clock() + _KNOWN
    deps.engine.store.add(_known(system_id, peer), {"binds": 1}, limit=None, expires=expires)


def _counter(kind: str, of: str, window: float, now: float) -> tuple[str, float]:
    return f"bind#{kind}#{int(now / window)}#{_short(of)}", now + 2 * window


def _known(system_id: str, peer: str) -> str:
    return f"bound#{_short(f'{peer}{chr(10)}{system_id}')}"


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]
