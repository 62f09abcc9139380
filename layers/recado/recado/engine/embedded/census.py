"""How many messages lie in each queue and since when, kept in memory: to count rows when somebody
asks would hold up everything else where millions wait."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable

from recado.engine.embedded.database import Database

_ALL = "SELECT queue, count(*) FROM queue GROUP BY queue"
_DELAYED = (
    "SELECT queue, count(*) FROM queue INDEXED BY queue_delayed WHERE visible_at > 0 GROUP BY queue"
)
_MARK_SECONDS = 1.0
_MARKS = 100_000  # more than a day of them, in 1.6 MB


class Census:
    """By queue, the durable messages that may be received (or are in hand) and those that are
    delayed. Counted once, when the file is opened (0.35 s a million); whoever changes rows adds to
    them at the commit."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.delayed: Counter[str] = Counter(dict(database.read(_DELAYED)))
        self.ready: Counter[str] = Counter(dict(database.read(_ALL)))
        self.ready.subtract(self.delayed)
        # What has an id from _ids[n] on was sent at _times[n] or later; of what lies there already
        # no more is known than that.
        self._ids, self._times = array("q", [0]), array("d", [clock()])
        self._next_mark = 0.0

    def mark(self, now: float, last_id: int) -> None:
        """Notes that all after `last_id` is newer than now. Does nothing within a second."""
        if now < self._next_mark:
            return
        self._next_mark = now + _MARK_SECONDS
        if self._ids[-1] > last_id:  # nothing has come since
            self._times[-1] = now
            return
        self._ids.append(last_id + 1)
        self._times.append(now)
        if len(self._ids) > _MARKS:
            del self._ids[: _MARKS // 10], self._times[: _MARKS // 10]

    def age(self, identifier: int, now: float) -> float:
        """For how many seconds a message has been there, to the second; since the file was opened
        at most."""
        place = max(bisect_right(self._ids, identifier) - 1, 0)
        return max(now - self._times[place], 0.0)
