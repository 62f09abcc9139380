"""Throttle: how often somebody may try to bind. SMPP's password has eight characters.

Every try is counted in the Store before its password is looked at, and given back where it was
right: all tasks count together, and a guess that is right does not stand out among the refused.
Whoever guesses must not keep the customer out: beyond a system_id's tries from everywhere, the
addresses that it has bound from may go on, with tries of their own.
"""

import hashlib
from typing import TypeAlias

from recado.wiring import Deps

Tries: TypeAlias = tuple[tuple[str, float], ...]
"""Counters that a try was added to, and when each may be forgotten."""

FROM_ONE = 20  # tries at one system_id from one address, in a minute
FROM_ALL = 100  # at one system_id from everywhere, in ten
_MINUTE = 60.0
_TEN = 600.0
_KNOWN = 90 * 86_400.0  # how long an address is known from its last bind


def take(system_id: str, peer: str, deps: Deps) -> Tries | None:
    """Counts a try. None where there were too many."""
    store, now = deps.engine.store, deps.clock()
    mine = _counter("one", f"{peer}\n{system_id}", _MINUTE, now)
    if not store.add(mine[0], {"tries": 1}, limit=FROM_ONE, expires=mine[1]):
        return None
    everybody = _counter("all", system_id, _TEN, now)
    if store.add(everybody[0], {"tries": 1}, limit=FROM_ALL, expires=everybody[1]):
        return mine, everybody
    return (mine,) if store.counts(_known(system_id, peer)) else None


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
