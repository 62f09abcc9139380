"""Precedence: single messages go before what is many (lists, batches) where threads dispatch both.

As long as single messages come, what is many goes in small windows, each of which waits a moment
for the single ones in hand: so no more than a few PDUs stand before a one-time password on a bind.
When no single message has come for a while, it goes at full speed.
"""

import sys
import threading
import time

from recado.wiring import Turns
from smpp.pump import Work

_RECENT = 3.0  # seconds: for so long after a single message the next one is reckoned with
_WINDOW = 4  # messages of what is many at once, in each thread, beside single ones
_PATIENCE = 0.25  # seconds: so long at most a window waits for single messages, however many come


class Precedence:
    """Counts single messages in hand, and says when others may go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_hand = 0
        self._last = -_RECENT

    def given(self, work: Work) -> Work:
        """The same work; what it deals with are single messages."""

        def first(event: dict[str, object]) -> dict[str, object]:
            self._count(1)
            try:
                return work(event)
            finally:
                self._count(-1)

        return first

    def as_turns(self) -> Turns:
        return Turns(lambda: None, self.pace)  # threads need not breathe

    def pace(self) -> int:
        """Waits until some of what is many may go: how many."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand, _PATIENCE)
            recent = self._in_hand or time.monotonic() - self._last < _RECENT
        return _WINDOW if recent else sys.maxsize

    def _count(self, change: int) -> None:
        with self._changed:
            self._in_hand += change
            self._last = time.monotonic()
            self._changed.notify_all()
