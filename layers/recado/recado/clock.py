"""Clock: what waited for its hour goes to its queue; what has lived its time is removed.

Every minute on AWS, every second on one machine. Sent first and forgotten after: a crash between
the two sends again, and a claim makes the second sending harmless.
"""

from recado.observability import count, follow
from recado.wiring import Deps

_AT_ONCE = 500


def tick(deps: Deps) -> None:
    """Hands over everything that is due now."""
    store, queue = deps.engine.store, deps.engine.queue
    while due := store.due(deps.clock(), _AT_ONCE):
        for held in due:
            queue.send(held.queue, [held.body], held.group)
            store.release(held)
        count("held_released", len(due))
        follow("released", due)
    store.expire(deps.clock(), _AT_ONCE)
