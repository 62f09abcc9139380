"""Clock: what waited for its hour goes to its queue; what has lived its time is removed;
the usage of days that are over is counted.

Every minute on AWS, every second on one machine. Sent first and forgotten after: a crash between
the two sends again, and a claim makes the second sending harmless.
"""

from collections.abc import Iterable, Sequence

from recado.engine import Held
from recado.observability import count, follow
from recado.usage import roll_up
from recado.wiring import Deps

_AT_ONCE = 500
_STRETCH = 50  # then others have their turn: after a day at rest there may be thousands


def tick(deps: Deps) -> None:
    """Hands over everything that is due now."""
    store = deps.engine.store
    while due := store.due(deps.clock(), _AT_ONCE):
        for start in range(0, len(due), _STRETCH):
            _hand_over(due[start : start + _STRETCH], deps)
            deps.breathe()
    store.expire(deps.clock(), _AT_ONCE)
    roll_up(deps.clock() + deps.settings.counting_seconds, deps)


def _hand_over(due: Sequence[Held], deps: Deps) -> None:
    for (queue, group), bodies in _by_group(due):
        deps.engine.queue.send(queue, bodies, group)
    deps.engine.store.release(due)
    count("held_released", len(due))
    follow("released", due)


def _by_group(due: Sequence[Held]) -> Iterable[tuple[tuple[str, str], list[str]]]:
    """The bodies for each queue and group, so that they travel together."""
    bodies: dict[tuple[str, str], list[str]] = {}
    for held in due:
        bodies.setdefault((held.queue, held.group), []).append(held.body)
    return bodies.items()
