"""A trunk: all binds of one connector, and the PDUs that wait for room on them.

What is handed over here is answered once, whatever happens: by the SMSC, or with why it is not.
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


class Job:
    """One PDU on its way."""

    __slots__ = ("at", "bind", "body", "call", "command", "open", "patience", "trunk", "until")

    def __init__(self, call: Call, at: int, request: Outgoing, trunk: "Trunk", now: float) -> None:
        self.call, self.at, self.trunk = call, at, trunk
        self.command = int.from_bytes(request.body[4:8])
        self.body = request.body[HEADER_SIZE:]
        self.patience = now + request.timeout / 2  # then it waits no longer for room
        self.until = now + request.timeout
        self.open = True
        self.bind: Bind | None = None

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
        if self.paused or not self._promising():
            for job in jobs:
                job.settle(PAUSED if self.paused else NO_BIND)
            return
        self._waiting.extend(jobs)
        self._pump()
        self._mind_waiting()

    def _expire(self) -> None:
        """What has waited for half of its time is answered so."""
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
        if self.paused or not self._promising():
            self.give_up(PAUSED if self.paused else NO_BIND)
        self._soon()

    def give_up(self, why: Unreached) -> None:
        """Nothing waits any more."""
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.settle(why)

    def close(self) -> None:
        self.give_up(CLOSING)
        for timer in (self._nap, self._sweeper):
            if timer is not None:
                timer.cancel()

    def _may_wait(self, job: Job) -> bool:
        return not self.paused and self._promising() and self._loop.time() < job.patience

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
            job.bind = bind
            bind.carry(job.command, job.body, job.answered, max(job.until - now, 0.0))

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
