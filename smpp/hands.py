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


SESSION = "smpp#"
"""What the name of a session's lane begins with. None of its works waits for the one before it: who
asks for something that depends on an answer has had that answer."""


class Hands(Protocol):
    """Has work done."""

    def do(self, lane: str, work: Callable[[], Any], done: Done) -> None:
        """Has `work` done soon, and calls `done` when its result is durable. Works of one lane (a
        session, a connector) begin in their order; where they wait, one follows another, but those
        of a session, which may go side by side. Called in the loop; returns at once."""
