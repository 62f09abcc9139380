"""Waiting without blocking: a handler is plain code that runs in a greenlet, and steps aside while
something of the event loop's is under way.

So the same straight handlers serve Lambda, where they may block, and this machine, where hundreds
are in hand in one thread. (SQLAlchemy's asyncio support stands on the same idea.)
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from greenlet import getcurrent, greenlet

Result = TypeVar("Result")


class Durably(Protocol):
    """Where a hop's writes become durable: the database or, at the other end of a link to it,
    whatever says so."""

    def then(self, after: Callable[[BaseException | None], None]) -> None:
        """Calls `after` when all writes so far are durable (None), or with why they are not."""


# Greenlets that wait for the next piece of work: a new one costs 12 us, to wake one costs 0.4.
_idle: list[Any] = []
_MOST_IDLE = 256


def can_wait() -> bool:
    """Whether the caller runs in a greenlet of `start`."""
    return getcurrent().parent is not None


def start(work: Callable[[], None]) -> None:
    """Runs `work` now, until it ends or waits for the first time; for a greenlet of `start`, in the
    loop's next turn. It must raise nothing. What it leaves in its greenlet's __dict__ goes when it
    ends."""
    mine = getcurrent()
    # Of this thread's alone: another one's would come back to that other thread.
    if _idle and _idle[-1].parent is mine:
        _idle.pop().switch(work)
    elif mine.parent is None:
        greenlet(_labour).switch(work)
    else:  # begun here it would come back to this greenlet, which may be gone by then
        asyncio.get_running_loop().call_soon(start, work)


def _labour(work: Callable[[], None] | None) -> None:
    mine = getcurrent()
    hub: Any = mine.parent
    while work is not None:
        work()
        mine.__dict__.clear()
        if len(_idle) >= _MOST_IDLE:
            return
        work = None  # what it holds need not live until the next one comes
        _idle.append(mine)
        work = hub.switch()


def wait(awaitable: Awaitable[Result]) -> Result:
    """The awaitable's result, or what it raised. Only for greenlets of `start`."""
    future = asyncio.ensure_future(awaitable)
    mine = getcurrent()
    future.add_done_callback(lambda _: mine.switch())
    hub: Any = mine.parent
    hub.switch()
    return future.result()
