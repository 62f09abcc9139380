"""Inbox: the other side's requests, handed over in their order, a window of them at a time."""

from collections import deque
from collections.abc import Callable

from recado.observability import count, log
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import HEADER_SIZE, UNBIND, Malformed, Pdu

_WITHOUT_RESPONSE = frozenset({wire.OUTBIND, wire.ALERT_NOTIFICATION})
_KNOWN = (
    frozenset({wire.SUBMIT_SM, wire.SUBMIT_MULTI, wire.DATA_SM, wire.DELIVER_SM, UNBIND})
    | frozenset({wire.QUERY_SM, wire.REPLACE_SM, wire.CANCEL_SM})
    | wire.BINDS
    | _WITHOUT_RESPONSE
)
_WINDOW = 1_000
_MOST_AHEAD = 64 * 1024  # octets of requests that wait


class Inbox:
    """The requests of one session that are in hand, and those that wait for room. An unbind is not
    in hand: its answer is the last, and waits for all others."""

    __slots__ = (
        "_ahead",
        "_ahead_octets",
        "_drained",
        "_hand_over",
        "_in_hand",
        "_nack",
        "_respond",
        "stopped",
        "window",
    )

    def __init__(
        self,
        hand_over: Callable[[Pdu], None],
        respond: Callable[[Pdu, bytes, int], None],
        nack: Callable[[int, int], None],
    ) -> None:
        self._hand_over, self._respond, self._nack = hand_over, respond, nack
        self._ahead: deque[Pdu] = deque()
        self._ahead_octets = self._in_hand = 0
        self._drained: Callable[[], None] | None = None
        self.window = _WINDOW
        self.stopped = False

    def __len__(self) -> int:
        return self._in_hand + len(self._ahead)

    @property
    def waits(self) -> bool:
        """Whether there is something that had no room."""
        return bool(self._ahead)

    @property
    def full(self) -> bool:
        """Whether nothing more should be read."""
        return self.stopped or self._ahead_octets > _MOST_AHEAD

    def put(self, pdu: Pdu) -> None:
        """Hands over a request, now or later."""
        if self._ahead or self.stopped or self._in_hand >= self.window:
            self._ahead.append(pdu)
            self._ahead_octets += HEADER_SIZE + len(pdu.body)
        else:
            self._take(pdu)

    def go_on(self) -> None:
        """Hands over what had to wait, as far as there is room."""
        ahead = self._ahead
        while ahead and self._in_hand < self.window and not self.stopped:
            pdu = ahead.popleft()
            self._ahead_octets -= HEADER_SIZE + len(pdu.body)
            self._take(pdu)

    def _take(self, pdu: Pdu) -> None:
        command = pdu.command
        if command not in _KNOWN:
            count("smpp_commands_unknown")
            self._nack(pdu.sequence, status.ESME_RINVCMDID)
            return
        if command != UNBIND and command not in _WITHOUT_RESPONSE:
            self._in_hand += 1
        try:
            self._hand_over(pdu)
        except Malformed as malformed:
            count("smpp_pdus_malformed")
            self._fail(pdu, malformed.command_status)
        except Exception:
            count("faults")
            log.exception("a request was not handled", extra={"command": command})
            self._fail(pdu, status.ESME_RSYSERR)

    def _fail(self, pdu: Pdu, command_status: int) -> None:
        if pdu.command in _WITHOUT_RESPONSE:
            self._nack(pdu.sequence, command_status)
        else:
            self._respond(pdu, b"", command_status)

    def let_go(self, command: int) -> Callable[[], None] | None:
        """A request was answered. What is to be called now, where it was the last of them."""
        if command == UNBIND:
            return None
        self._in_hand = max(0, self._in_hand - 1)
        if self._drained is None or len(self):
            return None
        drained, self._drained = self._drained, None
        return drained

    def when_drained(self, then: Callable[[], None]) -> None:
        """Calls `then` once nothing is in hand and nothing waits; now, if that is so."""
        if len(self):
            self._drained = then
        else:
            then()

    def drop(self) -> None:
        """The session has ended: what waits is never handed over."""
        self._ahead.clear()
        self._drained = None
