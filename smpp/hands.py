"""Hands: how the loop has the line's work done, which is plain code that may wait.

On one machine a piece of work is a greenlet in the loop's own thread, and all writes of a turn
share one commit. On AWS it is done by a thread, together with all that waits in the same lane:
their queue messages then go in one batch. Either way `done` is called in the loop, after the
work's writes are durable.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Done: TypeAlias = Callable[[Any, BaseException | None], None]
"""Called once, in the loop, with the work's result; or with None and why it failed, or could not be
made durable."""


class Hands(Protocol):
    """Has work done."""

    def do(self, lane: str, work: Callable[[], Any], done: Done) -> None:
        """Has `work` done soon, and calls `done` when its result is durable. Works of one lane (a
        session, a connector) begin in their order. Called in the loop; returns at once."""
