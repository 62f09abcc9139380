"""A session: one connection, either end of it. PDUs in and out, responses matched with requests.

All PDUs of one turn of the loop leave in one write: singly they cost four times as much. One timer
a session finds what is overdue.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from recado.observability import count
from recado.smpp import pdu as wire
from recado.smpp.pdu import ENQUIRE_LINK, RESPONSE, Malformed, Pdu, framed
from smpp.frames import Frames
from smpp.inbox import Inbox
from smpp.limits import Limits
from smpp.outbox import Outbox
from smpp.peers import plain_address
from smpp.requests import Answered, Late, Requests

__all__ = ["Answered", "Limits", "Session"]

_ENQUIRED = ENQUIRE_LINK | RESPONSE
_TICK = 1.0
_LINGER = 2.0  # seconds in which whoever sent rubbish may read why we close
_CLOSING = 5.0  # seconds in which what is unsent may still leave


class Session(asyncio.Protocol):  # asyncio's own interface, which has no behaviour
    """One SMPP connection. enquire_link, responses and generic_nack are dealt with here; every
    other request goes to `on_request`, which answers by `respond`, then or later, or raises
    Malformed. Of these at most `window` are in hand at once: what comes beyond waits, and in the
    end is not read. `on_closed` is called once, when the connection is gone, with the reason."""

    _transport: asyncio.Transport
    _loop: asyncio.AbstractEventLoop
    _timer: asyncio.TimerHandle
    _outbox: Outbox

    def __init__(
        self,
        on_request: Callable[["Session", Pdu], None],
        on_closed: Callable[["Session", str], None],
        limits: Limits,
        on_made: Callable[["Session"], None] | None = None,
        peer: str = "",
    ) -> None:
        """`on_made` is called when the connection stands. `peer` is given where the connection
        itself names somebody between us."""
        self._on_closed, self._on_made, self._limits = on_closed, on_made, limits
        times = (limits.response, limits.enquire, limits.inactivity)
        self._tick_seconds = min(_TICK, *(time / 4 for time in times if time))
        self.peer = peer
        self.closed, self._why, self._close_by = False, "", 0.0
        self._requests = Requests()
        self._frames = Frames(limits.most_octets)
        self._inbox = Inbox(partial(on_request, self), self.respond, self.nack)
        self._reading_stopped_at = 0.0
        self._heard = self._active = 0.0
        self._asking = False
        self._silent = False  # since we asked (the clock of a loop is too coarse to say it)
        self._all_answered: Callable[[], None] | None = None

    # --- for both ends ---------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Our requests without response, enquire_link apart."""
        return len(self._requests) - self._asking

    @property
    def unanswered(self) -> int:
        """The other side's requests that are in hand or wait, unbind apart."""
        return len(self._inbox)

    @property
    def window(self) -> int:
        """How many of them may be in hand at once."""
        return self._inbox.window

    @window.setter
    def window(self, most: int) -> None:
        self._inbox.window = most

    def request(
        self,
        command: int,
        body: bytes,
        answered: Answered,
        timeout: float | None = None,
        late: Late | None = None,
    ) -> None:
        """Numbers, sends and remembers a request. `answered` is never called before this returns.
        One that no response came to in time counts as one that may have left; of a response that
        comes within some minutes all the same, `late` is told."""
        if self.closed:
            self._loop.call_soon(answered, None, self._why, False)
            return
        now = self._loop.time()
        deadline = now + (self._limits.response if timeout is None else timeout)
        sequence = self._requests.add(command, answered, deadline, self._outbox.queued, late)
        if command != ENQUIRE_LINK:
            self._active = now
        self._outbox.put(framed(command, sequence, body))

    def respond(self, to: Pdu, body: bytes = b"", command_status: int = 0) -> None:
        """Answers a request. Where the session is closed nobody is told."""
        drained = self._inbox.let_go(to.command)
        if not self.closed:
            self._outbox.put(framed(to.command | RESPONSE, to.sequence, body, command_status))
            if drained is not None:
                self._loop.call_soon(drained)  # behind the answer

    def nack(self, sequence: int, command_status: int) -> None:
        """Sends a generic_nack. (A request that has a response is answered by `respond`.)"""
        if not self.closed:
            self._outbox.put(framed(wire.GENERIC_NACK, sequence, b"", command_status))

    def when_drained(self, then: Callable[[], None]) -> None:
        """Calls `then` once every request of the other side is answered: now, where none is in
        hand. Never, where the connection ends before."""
        self._inbox.when_drained(then)

    def when_answered(self, then: Callable[[], None] | None) -> None:
        """Calls `then`, and nobody who was given before, once all requests of ours are answered,
        enquire_link apart; now, if they are. Never, where the connection ends before."""
        self._all_answered = then
        self._mind_answers()

    def _mind_answers(self) -> None:
        if self._all_answered is not None and not self.in_flight and not self.closed:
            then, self._all_answered = self._all_answered, None
            then()

    def pause_reading(self) -> None:
        """Hands over no requests until `resume_reading`. What we don't read is not late."""
        self._inbox.stopped = True
        self._mind_reading()

    def resume_reading(self) -> None:
        self._inbox.stopped = False
        self._loop.call_soon(self._go_on)

    def close(self, why: str) -> None:
        """Sends what is unsent, and closes. Requests of ours without response are answered now."""
        self._close(why, _CLOSING, self._transport.close)

    def abort(self, why: str) -> None:
        """Closes at once; what is unsent never leaves."""
        if not self.closed:
            self._end(why)
        self._transport.abort()

    # --- what the loop tells ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._transport, self._loop, self._after_turn)
        self.peer = self.peer or plain_address(transport.get_extra_info("peername"))
        self._heard = self._active = self._loop.time()
        self._timer = self._loop.call_later(self._tick_seconds, self._tick)
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        self._heard, self._silent = self._loop.time(), False
        pdus = self._frames.feed(data)
        if pdus:
            count("smpp_pdus_in", len(pdus))
            self._handle(pdus)
            self._mind_answers()
        if self._frames.broken and not self._why:
            self._refuse_stream(*self._frames.broken)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            self._end("the connection broke" if exc else "the other side closed")
        self._timer.cancel()
        self._on_closed(self, self._why)

    def pause_writing(self) -> None:
        self._outbox.choked = True

    def resume_writing(self) -> None:
        self._outbox.choked = False
        if not self.closed:
            self._outbox.hand_over()

    # --- requests that come in -------------------------------------------------------------------

    def _handle(self, pdus: Sequence[Pdu]) -> None:
        for pdu in pdus:
            command = pdu.command
            if command == ENQUIRE_LINK:
                self._outbox.put(framed(_ENQUIRED, pdu.sequence))
            elif command == _ENQUIRED:
                self._requests.match(pdu)
            else:
                self._active = self._heard
                if command & RESPONSE:
                    self._requests.match(pdu)
                else:
                    self._inbox.put(pdu)
            if self.closed:
                return
        if self._inbox.waits:
            self._mind_reading()

    def _go_on(self) -> None:
        self._inbox.go_on()
        self._mind_reading()

    def _mind_reading(self) -> None:
        """Stops or resumes reading from the connection, as is due."""
        stop = self._inbox.full
        if stop == bool(self._reading_stopped_at) or self.closed:
            return
        now = self._loop.time()
        if stop:
            self._reading_stopped_at = now
            self._transport.pause_reading()
        else:
            self._requests.postpone(now - self._reading_stopped_at)
            self._heard = self._active = now
            self._reading_stopped_at = 0.0
            self._transport.resume_reading()

    def _after_turn(self) -> None:
        """What this turn brought is written, or waits because the other side does not read."""
        if self.closed:
            return
        outbox = self._outbox
        if outbox.choked and outbox.unsent > self._limits.most_unsent:
            count("smpp_peers_not_reading")
            self.abort("the other side does not read")
        elif self._inbox.waits:
            self._go_on()

    # --- time and the end ------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._tick_seconds, self._tick)
        now = self._loop.time()
        if self.closed:
            if now >= self._close_by:
                self._transport.abort()
            return
        reading = not self._reading_stopped_at
        self._requests.time_out(now, reading=reading)
        self._mind_answers()
        if reading:
            self._mind_silence(now)

    def _mind_silence(self, now: float) -> None:
        limits = self._limits
        if self.closed:
            return
        if limits.inactivity and now - self._active >= limits.inactivity:
            self.close("inactive")
        elif limits.enquire and not self._asking and now - self._heard >= limits.enquire:
            self._asking = self._silent = True
            self.request(ENQUIRE_LINK, b"", self._enquired)

    def _enquired(self, pdu: Pdu | None, _why: str, _sent: bool) -> None:
        self._asking = False
        # Whoever says something else is there, too; and whom we don't read may have said it.
        heard = not self._silent or self._reading_stopped_at
        if pdu is None and not heard and not self.closed:
            count("smpp_enquires_unanswered")
            self.abort("enquire_link was not answered")

    def _refuse_stream(self, malformed: Malformed, sequence: int) -> None:
        """What follows can't be found any more: says so, and closes. While the other side still
        sends, closing would make its kernel throw away what we said: then only our half."""
        count("smpp_streams_refused")
        self.nack(sequence, malformed.command_status)
        transport = self._transport
        how = transport.write_eof if transport.can_write_eof() else transport.close
        self._close(str(malformed), _LINGER, how)

    def _close(self, why: str, seconds: float, how: Callable[[], None]) -> None:
        if self.closed:
            return
        self._outbox.hand_over()
        if self._reading_stopped_at:
            self._transport.resume_reading()  # or the other side's end is never seen
        self._close_by = self._loop.time() + seconds
        self._end(why)
        how()

    def _end(self, why: str) -> None:
        """From here on nothing is heard and nothing is written."""
        self.closed, self._why = True, why
        self._inbox.drop()
        self._requests.give_up(why, self._outbox.handed)
        self._outbox.drop()
