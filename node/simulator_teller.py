"""How the simulator tells: posts to a callback URL until they are acknowledged."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from recado.http import Outgoing, Reached, Unreached

Post: TypeAlias = Callable[[Sequence[Outgoing]], Awaitable[list[Reached | Unreached]]]

_HEADERS = {"content-type": "application/json"}
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 5.0  # seconds
_IN_FLIGHT = 64
_POST_TIMEOUT = 15.0


class _Telling:
    """Bodies to be posted one after the other, each until it is acknowledged."""

    def __init__(self, bodies: Sequence[bytes], acknowledged: Callable[[int], None]) -> None:
        self.bodies, self.acknowledged = bodies, acknowledged
        self.done = 0
        self.backoff = 0.0


class Teller:
    """Posts to one callback URL: up to 64 tellings at once, each in order, for ever.

    A failure pauses the whole URL, and then one goes ahead as a probe: so thousands that wait for
    a gateway which is down cost one try every five seconds, not thousands.
    """

    def __init__(self, url: str, post: Post, loop: asyncio.AbstractEventLoop) -> None:
        self._url, self._post, self._loop = url, post, loop
        self._waiting: list[tuple[float, int, _Telling]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._backoff = self._paused_until = 0.0

    def tell(
        self, bodies: Sequence[bytes], acknowledged: Callable[[int], None], delay: float
    ) -> None:
        """Posts the bodies in order, the first after `delay` seconds, and hands back each index."""
        self._push(_Telling(bodies, acknowledged), delay)

    def _push(self, telling: _Telling, delay: float) -> None:
        due = self._loop.time() + delay
        heapq.heappush(self._waiting, (due, next(self._order), telling))
        if self._timer is None or due < self._wakes_at:
            self._pump()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        width = 1 if self._backoff else _IN_FLIGHT
        now = self._loop.time()
        while self._waiting and self._in_flight < width:
            due = max(self._waiting[0][0], self._paused_until)
            if due > now:
                # Not asked of the timer: uvloop's has no time where the delay is under 1 ms.
                self._wakes_at = due
                self._timer = self._loop.call_at(due, self._pump)
                return
            telling = heapq.heappop(self._waiting)[2]
            self._in_flight += 1
            task = self._loop.create_task(self._tell(telling))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, telling: _Telling) -> None:
        body = telling.bodies[telling.done]
        [answer] = await self._post(
            [Outgoing("POST", self._url, _HEADERS, body, _POST_TIMEOUT, private_allowed=True)]
        )
        self._in_flight -= 1
        if isinstance(answer, Reached) and 200 <= answer.status < 300:
            self._backoff = self._paused_until = telling.backoff = 0.0
            telling.done += 1
            telling.acknowledged(telling.done - 1)
        else:
            telling.backoff = _longer(telling.backoff)
            self._pause()
        if telling.done < len(telling.bodies):
            self._push(telling, telling.backoff)
        self._pump()

    def _pause(self) -> None:
        now = self._loop.time()
        # What was in flight together fails together: that is one failure.
        if now >= self._paused_until:
            self._backoff = _longer(self._backoff)
            self._paused_until = now + self._backoff

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _longer(backoff: float) -> float:
    return min(2 * backoff, _LONGEST_BACKOFF) if backoff else _FIRST_BACKOFF
