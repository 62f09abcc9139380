"""Waiting without blocking: a handler is plain code that runs in a greenlet, and steps aside while
something of the event loop's is under way.

So the same straight handlers serve Lambda, where they may block, and this machine, where hundreds
are in hand in one thread. (SQLAlchemy's asyncio support stands on the same idea.)
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

Result = TypeVar("Result")


def can_wait() -> bool:
    """Whether the caller runs in a greenlet of `start`."""
    return getcurrent().parent is not None


def start(work: Callable[[], None]) -> None:
    """Runs `work` now, until it ends or waits for the first time. It must raise nothing."""
    greenlet(work).switch()


def wait(awaitable: Awaitable[Result]) -> Result:
    """The awaitable's result, or what it raised. Only for greenlets of `start`."""
    future = asyncio.ensure_future(awaitable)
    mine = getcurrent()
    future.add_done_callback(lambda _: mine.switch())
    hub: Any = mine.parent
    hub.switch()
    return future.result()
