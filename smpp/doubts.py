"""Which replies an SMSC may send again: those whose answer it may not have had.

A reply has no id in SMPP 3.4, and people do write the same twice. So what comes twice is taken for
two, unless the session broke before its answer can have arrived, or its answer was late. What was
in doubt when a process died is not known to the next: such a reply may be told twice, never lost.
"""

from collections import deque

_ON_ITS_WAY = 10.0  # seconds in which an answer may be lost with its session
_LATE = 5.0  # an SMSC may have given up by then
_KEPT = 600.0  # seconds in which it is sent again, if ever
_MOST = 10_000


class Doubts:
    """The replies of one connector. `session` is whatever tells its sessions apart; `at` is the
    loop's time, `received_at` the clock's."""

    def __init__(self) -> None:
        self._unanswered: dict[object, dict[bytes, tuple[float, float]]] = {}
        self._answered: dict[object, deque[tuple[float, bytes, float]]] = {}
        self._doubtful: dict[bytes, tuple[float, float]] = {}

    def came(self, session: object, body: bytes, at: float, received_at: float) -> float:
        """When the reply was received first: now, or when it came and its answer was lost."""
        first = received_at
        doubtful = self._doubtful.pop(body, None)
        if doubtful is not None and at - doubtful[0] <= _KEPT:
            first = doubtful[1]
        waiting = self._unanswered.setdefault(session, {})
        before = waiting.get(body)
        if before is not None and at - before[0] > _LATE:
            return before[1]
        waiting[body] = (at, first)
        return first

    def answered(self, session: object, body: bytes, at: float, *, kept: bool) -> None:
        """Its answer was written: it was kept, or it has to come again."""
        found = self._unanswered.get(session, {}).pop(body, None)
        if found is None:
            return
        came, first = found
        if not kept or at - came > _LATE:
            self._doubt(body, at, first)
            return
        answered = self._answered.setdefault(session, deque())
        answered.append((at, body, first))
        while at - answered[0][0] > _ON_ITS_WAY or len(answered) > _MOST:
            answered.popleft()

    def gone(self, session: object, at: float) -> None:
        """The session is no more."""
        for body, (_, first) in self._unanswered.pop(session, {}).items():
            self._doubt(body, at, first)
        for written, body, first in self._answered.pop(session, ()):
            if at - written <= _ON_ITS_WAY:
                self._doubt(body, at, first)

    def _doubt(self, body: bytes, at: float, first: float) -> None:
        self._doubtful[body] = (at, first)
        if len(self._doubtful) > _MOST:
            self._doubtful.pop(next(iter(self._doubtful)))
