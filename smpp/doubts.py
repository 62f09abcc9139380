"""Which replies an SMSC may send again: those whose answer it may not have had.

A reply has no id in SMPP 3.4, and people do write the same twice. So what comes twice is taken for
two, unless the session broke before its answer can have arrived, or its answer was late. What was
in doubt when a process died is not known to the next: such a reply may be told twice, never lost.

A reply is known by a digest, and forgotten in time: an SMSC may send 64 KB in each, as fast as it
can, and is not to fill our memory with what it said.
"""

from collections import OrderedDict, deque
from hashlib import blake2b

_ON_ITS_WAY = 10.0  # seconds in which an answer may be lost with its session
_LATE = 5.0  # an SMSC may have given up by then
_APART = 0.002  # between two of the same that came at once: replies are known to the millisecond
_KEPT = 600.0  # seconds in which it is sent again, if ever
_MOST = 10_000
_DIGEST = 16  # octets


class Doubts:
    """The replies of one connector. `session` is whatever tells its sessions apart; `at` is the
    loop's time, `received_at` the clock's."""

    def __init__(self) -> None:
        self._unanswered: dict[object, dict[bytes, tuple[float, float]]] = {}
        self._answered: dict[object, deque[tuple[float, bytes, float]]] = {}
        self._doubtful: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # by their time

    def __len__(self) -> int:
        """How many replies are kept in mind."""
        known = (*self._unanswered.values(), *self._answered.values(), self._doubtful)
        return sum(map(len, known))

    def came(self, session: object, body: bytes, at: float, received_at: float) -> float:
        """When the reply was received first: now, or when it came and its answer was lost."""
        self._forget(at)
        reply = _digest(body)
        _, first = self._doubtful.pop(reply, (at, received_at))
        waiting = self._unanswered.setdefault(session, {})
        before = waiting.get(reply)
        if before is not None and at - before[0] > _LATE:
            return before[1]
        last = before[1] if before is not None else self._just_answered(session, reply, at)
        first = max(first, last + _APART)
        waiting[reply] = (at, first)
        return first

    def _just_answered(self, session: object, reply: bytes, at: float) -> float:
        """When another of the same came that was answered a moment ago; 0: there is none."""
        for written, told, first in reversed(self._answered.get(session, ())):
            if at - written > _APART:
                break
            if told == reply:
                return first
        return 0.0

    def answered(self, session: object, body: bytes, at: float, *, kept: bool) -> None:
        """Its answer was written: it was kept, or it has to come again."""
        self._forget(at)
        reply = _digest(body)
        found = self._unanswered.get(session, {}).pop(reply, None)
        if found is None:
            return
        came, first = found
        if not kept or at - came > _LATE:
            self._doubt(reply, at, first)
            return
        self._answered.setdefault(session, deque(maxlen=_MOST)).append((at, reply, first))

    def gone(self, session: object, at: float) -> None:
        """The session is no more."""
        self._forget(at)
        for reply, (_, first) in self._unanswered.pop(session, {}).items():
            self._doubt(reply, at, first)
        for _, reply, first in self._answered.pop(session, ()):
            self._doubt(reply, at, first)

    def _doubt(self, reply: bytes, at: float, first: float) -> None:
        self._doubtful[reply] = (at, first)
        self._doubtful.move_to_end(reply)
        if len(self._doubtful) > _MOST:
            self._doubtful.popitem(last=False)

    def _forget(self, at: float) -> None:
        """What is so old by now that it says nothing more."""
        for answered in self._answered.values():
            while answered and at - answered[0][0] > _ON_ITS_WAY:
                answered.popleft()
        while self._doubtful and at - next(iter(self._doubtful.values()))[0] > _KEPT:
            self._doubtful.popitem(last=False)


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST).digest()
