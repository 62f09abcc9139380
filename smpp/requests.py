"""Requests: what one session has sent, by sequence number, until the response is there."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from recado.observability import count, log
from recado.smpp.pdu import GENERIC_NACK, LAST_SEQUENCE, RESPONSE, Pdu

Answered: TypeAlias = Callable[[Pdu | None, str, bool], None]
"""Called once with the response to a request; or with None, why there is none, and whether the
request may have left."""
Late: TypeAlias = Callable[[Pdu], None]
"""Called with a response that came after its request was given up."""

_REMEMBERED = 300.0  # seconds in which a late response still finds who asked
_EXCUSED = 300.0  # seconds of our not reading that excuse a response, in all


class _Pending(Struct):
    command: int
    answered: Answered
    deadline: float
    latest: float  # whatever excuses it
    place: int  # the octets that the session had written before it
    late: Late | None


class _Overdue(Struct, frozen=True):
    command: int
    late: Late
    until: float  # when it is forgotten


class Requests:
    """Our requests without response."""

    __slots__ = ("_overdue", "_pending", "_sequence")

    def __init__(self, last: int = 0) -> None:
        """`last`: the sequence number after which they go on."""
        self._pending: dict[int, _Pending] = {}
        self._overdue: dict[int, _Overdue] = {}  # those that ask for it, the oldest first
        self._sequence = last

    def __len__(self) -> int:
        return len(self._pending)

    def add(
        self,
        command: int,
        answered: Answered,
        deadline: float,
        place: int,
        late: Late | None = None,
    ) -> int:
        """Remembers a request: its sequence number, 1 to 0x7FFFFFFF and round again (5.1.4)."""
        pending, overdue, sequence = self._pending, self._overdue, self._sequence
        while True:
            sequence = 1 if sequence >= LAST_SEQUENCE else sequence + 1
            if sequence not in pending and sequence not in overdue:
                break
        self._sequence = sequence
        latest = deadline + _EXCUSED
        pending[sequence] = _Pending(command, answered, deadline, latest, place, late)
        return sequence

    def match(self, pdu: Pdu) -> bool:
        """Gives a response to its request. One that nobody waits for is counted, and no more."""
        sequence = pdu.sequence
        pending = self._pending.get(sequence)
        if pending is not None and _answers(pdu, pending.command):
            del self._pending[sequence]
            _call(pending.answered, pdu, "", sent=True)
            return True
        overdue = self._overdue.get(sequence)
        if overdue is not None and _answers(pdu, overdue.command):
            del self._overdue[sequence]
            _tell(overdue.late, pdu)
            return True
        count("smpp_responses_ignored")
        return False

    def time_out(self, now: float, *, reading: bool = True) -> None:
        """Gives up what is overdue; while nothing is read, what nothing excuses any more. Unsent as
        it may be, it is still on its way out."""
        late = [
            at
            for at, pending in self._pending.items()
            if (pending.deadline if reading else pending.latest) <= now
        ]
        for sequence in late:
            pending = self._pending.pop(sequence, None)  # the one before may have closed it all
            if pending is None:
                continue
            if pending.late is not None:
                until = now + _REMEMBERED
                self._overdue[sequence] = _Overdue(pending.command, pending.late, until)
            _call(pending.answered, None, "no response in time", sent=True)
        self._forget(now)

    def _forget(self, now: float) -> None:
        over = []
        for sequence, overdue in self._overdue.items():
            if overdue.until > now:
                break
            over.append(sequence)
        for sequence in over:
            del self._overdue[sequence]

    def postpone(self, seconds: float) -> None:
        """So long nothing was read: no response is late for that. But not for ever: somebody may
        keep us from reading by what he sends."""
        for pending in self._pending.values():
            pending.deadline = min(pending.deadline + seconds, pending.latest)

    def give_up(self, why: str, handed: int) -> None:
        """No responses will come. What was written behind so many octets has never left."""
        pending, self._pending = self._pending, {}
        self._overdue.clear()
        for one in pending.values():
            _call(one.answered, None, why, sent=one.place < handed)


def _answers(pdu: Pdu, command: int) -> bool:
    return pdu.command == command | RESPONSE or pdu.command == GENERIC_NACK


def _call(answered: Answered, pdu: Pdu | None, why: str, *, sent: bool) -> None:
    try:
        answered(pdu, why, sent)
    except Exception:
        count("faults")
        log.exception("a response was not handled")


def _tell(late: Late, pdu: Pdu) -> None:
    try:
        late(pdu)
    except Exception:
        count("faults")
        log.exception("a late response was not handled")
