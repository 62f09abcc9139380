"""Requests: what one session has sent, by sequence number, until the response is there."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from recado.observability import count, log
from recado.smpp.pdu import GENERIC_NACK, LAST_SEQUENCE, RESPONSE, Pdu

Answered: TypeAlias = Callable[[Pdu | None, str, bool], None]
"""Called once with the response to a request; or with None, why there is none, and whether the
request may have left."""


class _Pending(Struct):
    command: int
    answered: Answered
    deadline: float
    place: int  # the octets that the session had written before it


class Requests:
    """Our requests without response."""

    __slots__ = ("_pending", "_sequence")

    def __init__(self, last: int = 0) -> None:
        """`last`: the sequence number after which they go on."""
        self._pending: dict[int, _Pending] = {}
        self._sequence = last

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, command: int, answered: Answered, deadline: float, place: int) -> int:
        """Remembers a request: its sequence number, 1 to 0x7FFFFFFF and round again (5.1.4)."""
        pending, sequence = self._pending, self._sequence
        while True:
            sequence = 1 if sequence >= LAST_SEQUENCE else sequence + 1
            if sequence not in pending:
                break
        self._sequence = sequence
        pending[sequence] = _Pending(command, answered, deadline, place)
        return sequence

    def match(self, pdu: Pdu) -> bool:
        """Gives a response to its request. One that nobody waits for is counted, and no more."""
        pending = self._pending.get(pdu.sequence)
        if pending is None or pdu.command not in (pending.command | RESPONSE, GENERIC_NACK):
            count("smpp_responses_ignored")
            return False
        del self._pending[pdu.sequence]
        _call(pending.answered, pdu, "", sent=True)
        return True

    def time_out(self, now: float) -> None:
        """Gives up what is overdue. Unsent as it may be, it is still on its way out."""
        late = [at for at, pending in self._pending.items() if pending.deadline <= now]
        for sequence in late:
            pending = self._pending.pop(sequence, None)  # the one before may have closed it all
            if pending is not None:
                _call(pending.answered, None, "no response in time", sent=True)

    def postpone(self, seconds: float) -> None:
        """So long nothing was read: no response is late for that."""
        for pending in self._pending.values():
            pending.deadline += seconds

    def give_up(self, why: str, handed: int) -> None:
        """No responses will come. What was written behind so many octets has never left."""
        pending, self._pending = self._pending, {}
        for one in pending.values():
            _call(one.answered, None, why, sent=one.place < handed)


def _call(answered: Answered, pdu: Pdu | None, why: str, *, sent: bool) -> None:
    try:
        answered(pdu, why, sent)
    except Exception:
        count("faults")
        log.exception("a response was not handled")
