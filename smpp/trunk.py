"""A trunk: all binds of one connector, and the PDUs that wait for room on them.

What is handed over here is answered once, whatever happens: by the SMSC, or with why it is not.

The PDUs of one long text have one fate: as long as none has left they are given up as any other is;
once one has, the others are to follow it, and to go before what has not begun. For a text of which
a part is missing is sent again as a whole, and then its first parts went twice.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from recado.http import Outgoing, Reached, Unreached
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import HEADER_SIZE, Pdu
from smpp.bind import Bind
from smpp.pace import Pace

_PATIENCE, _BEGUN_PATIENCE = 0.5, 0.8  # of a time-out; the rest of it is the answer's
_SWEEP = 0.1  # seconds between looks for what has waited too long
_LEAST_NAP = 0.005  # seconds: of a paced connector several go at once rather than one a timer

NO_BIND = Unreached("no bind", sent=False)
PAUSED = Unreached("the connector is paused", sent=False)
FULL = Unreached("the window is full", sent=False)
CLOSING = Unreached("the gateway is closing", sent=False)


class Call:
    """One exchange: its answers, and who waits for all of them."""

    __slots__ = ("_left", "done", "found")

    def __init__(self, amount: int, done: "asyncio.Future[None]") -> None:
        self._left, self.done = amount, done
        self.found: list[Reached | Unreached] = [NO_BIND] * amount
        if not amount:
            done.set_result(None)

    def settle(self, at: int, found: Reached | Unreached) -> None:
        self.found[at] = found
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


class Text:
    """What the several PDUs of one text share: how many of them have left."""

    __slots__ = ("left",)

    def __init__(self, left: int = 0) -> None:
        self.left = left


class Job:
    """One PDU on its way. `text`: where it is one of several."""

    __slots__ = ("at", "bind", "call", "open", "request", "taken_at", "text", "timeout", "trunk")

    def __init__(
        self, call: Call, at: int, request: Outgoing, trunk: "Trunk", now: float, text: Text | None
    ) -> None:
        self.call, self.at, self.trunk, self.text = call, at, trunk, text
        self.request, self.taken_at, self.timeout = request.body, now, request.timeout
        self.open = True
        self.bind: Bind | None = None

    @property
    def begun(self) -> bool:
        """Whether another PDU of its text has left."""
        return self.text is not None and self.text.left > 0

    @property
    def patience(self) -> float:
        """Then it waits no longer for room."""
        return self.taken_at + self.timeout * (_BEGUN_PATIENCE if self.begun else _PATIENCE)

    def leaves(self, bind: Bind, now: float) -> None:
        """By this bind, which has room for it."""
        self.bind = bind
        if self.text is not None:
            self.text.left += 1
        command, body = int.from_bytes(self.request[4:8]), self.request[HEADER_SIZE:]
        bind.carry(command, body, self.answered, max(self.taken_at + self.timeout - now, 0.0))

    def stays(self) -> None:
        """After all: it did not leave."""
        if self.text is not None:
            self.text.left -= 1

    def settle(self, found: Reached | Unreached) -> None:
        if self.open:
            self.open = False
            self.call.settle(self.at, found)

    def drop(self) -> None:
        """Nobody wants to know any more: where it still waits, it is not sent."""
        if self.bind is None:
            self.settle(FULL)

    def answered(self, answer: Pdu | None, why: str, sent: bool) -> None:
        self.trunk.answered(self, answer, why, sent=sent)


class Trunk:
    """The binds of one connector. `window` is each bind's; `per_second` that of all here."""

    def __init__(self, window: int, per_second: float) -> None:
        self.window = window
        self.paused = False
        self.pace = Pace(per_second)
        self.binds: list[Bind] = []
        self._waiting: deque[Job] = deque()
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._nap: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, jobs: Sequence[Job]) -> None:
        """Sends them, as far as there is room now; the others wait."""
        begun = [job for job in jobs if job.begun]
        self._waiting.extendleft(reversed(begun))
        self._waiting.extend([job for job in jobs if not job.begun] if begun else jobs)
        self._turn_away()
        self._pump()
        self._mind_waiting()

    def _expire(self) -> None:
        """What has waited for too long is answered so."""
        self._sweeper = None
        now = self._loop.time()
        for job in self._waiting:
            if now >= job.patience:
                job.settle(FULL)
        self._waiting = deque(job for job in self._waiting if job.open)
        self._mind_waiting()

    def _mind_waiting(self) -> None:
        if self._waiting and self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._expire)

    def changed(self) -> None:
        """A bind stands or has gone, or something is set otherwise."""
        self._turn_away()
        self._soon()

    def _turn_away(self) -> None:
        """Where nothing may go nothing waits; but of a text that has begun, which may be told to
        the end as soon as there is a bind again."""
        if self._waiting and (self.paused or not self._promising()):
            why = PAUSED if self.paused else NO_BIND
            for job in self._waiting:
                if not job.begun:
                    job.settle(why)
            self._waiting = deque(job for job in self._waiting if job.open)

    def close(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.settle(CLOSING)
        for timer in (self._nap, self._sweeper):
            if timer is not None:
                timer.cancel()

    def _may_wait(self, job: Job) -> bool:
        may = job.begun or (not self.paused and self._promising())
        return may and self._loop.time() < job.patience

    def _promising(self) -> bool:
        """Whether a bind stands, or is being made for the first time and may stand in a moment."""
        return any(
            bind.sends
            and (bind.state == "bound" or (bind.state == "connecting" and not bind.tries))
            for bind in self.binds
        )

    def _soon(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        waiting, now = self._waiting, self._loop.time()
        while waiting:
            job = waiting[0]
            if not job.open:
                waiting.popleft()
                continue
            if wait := self.pace.wait(now):
                self._wake_in(wait)
                return
            bind = self._roomiest(now)
            if bind is None:
                self._wake_after_brakes(now)
                return
            waiting.popleft()
            self.pace.went(now)
            job.leaves(bind, now)

    def _roomiest(self, now: float) -> Bind | None:
        best, most = None, 0
        for bind in self.binds:
            room = bind.room(self.window, now)
            if room > most:
                best, most = bind, room
        return best

    def _wake_after_brakes(self, now: float) -> None:
        """Room that answers make is seen when they come; the end of a pause is not."""
        pauses = [bind.brake.until - now for bind in self.binds if bind.brake.until > now]
        if pauses:
            self._wake_in(min(pauses))

    def _wake_in(self, seconds: float) -> None:
        if self._nap is not None:
            self._nap.cancel()
        self._nap = self._loop.call_later(max(seconds, _LEAST_NAP), self._pump)

    def answered(self, job: Job, answer: Pdu | None, why: str, *, sent: bool) -> None:
        """What came of a PDU that a bind carried."""
        bind, job.bind = job.bind, None
        assert bind is not None  # noqa: S101 - it was carried
        if not sent:
            job.stays()
        bind.settled(answer, sent=sent)
        if answer is not None:
            job.settle(Reached(_status_of(answer), answer.body))
        elif sent:
            job.settle(Unreached(why, sent=True))
        elif self._may_wait(job):
            self._waiting.appendleft(job)  # it never left: another bind may take it
            self._mind_waiting()
        else:
            job.settle(Unreached(why, sent=False))
        self._soon()


def _status_of(answer: Pdu) -> int:
    if answer.command == wire.GENERIC_NACK and answer.command_status == status.ESME_ROK:
        return status.ESME_RUNKNOWNERR  # it says no, and not why
    return answer.command_status
