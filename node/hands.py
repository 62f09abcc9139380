"""Hands on one machine: a piece of work is a greenlet in the loop's own thread, and it is done once
the commit that all writes of this turn share has made it durable.

This runs for each submit_sm: no task, no timer, and no future unless the work waits. One read may
bring requests for seconds of work: of each turn of the loop works have a part, so that who brings
many does not keep all others waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from node.waiting import Durably, can_wait, start
from smpp.hands import Done

_SHARE = 0.01  # seconds of a turn in which works begin


class GreenHands:
    """smpp.hands.Hands. Made and used within one running loop. All works begin in their order,
    whatever their lane; those that wait for nothing end in it, too."""

    def __init__(self, durable: Durably) -> None:
        self._durable = durable
        self._soon = asyncio.get_running_loop().call_soon
        self._put_off: deque[Callable[[], None]] = deque()
        self._share_ends = 0.0  # 0: none has begun in this turn

    def do(self, lane: str, work: Callable[[], Any], done: Done) -> None:  # noqa: ARG002 - Hands'
        """Begins the work now, unless others have had their share of this turn, or it is another
        work that asks: one begun within a greenlet would come back to that and not to the loop."""
        begun = partial(self._run, work, done)
        if not self._put_off and not can_wait() and self._has_time():
            start(begun)
            return
        if not self._put_off:
            self._soon(self._begin)
        self._put_off.append(begun)

    def _begin(self) -> None:
        while self._put_off and self._has_time():
            start(self._put_off[0])
            self._put_off.popleft()  # only now: what this one asked for comes after the others
        if self._put_off:
            self._soon(self._begin)

    def _has_time(self) -> bool:
        now = perf_counter()
        if not self._share_ends:
            self._share_ends = now + _SHARE
            self._soon(self._turn_is_over)
        return now < self._share_ends

    def _turn_is_over(self) -> None:
        self._share_ends = 0.0

    def _run(self, work: Callable[[], Any], done: Done) -> None:
        try:
            result = work()
        except BaseException as error:  # a greenlet has nobody else to raise it to
            self._soon(done, None, error)
        else:
            self._durable.then(partial(self._ended, done, result))

    def _ended(self, done: Done, result: Any, problem: BaseException | None) -> None:
        if problem is not None:
            done(None, problem)
        elif can_wait():  # nothing was open: this is the work itself still, and `do` its caller
            self._soon(done, result, None)
        else:
            done(result, None)
