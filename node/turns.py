"""Whose turn it is: single messages go before what is many (lists, batches), in one process.

As long as single messages come, what is many goes in small windows at a bounded rate: each window's
submits, receipts and reports take the loop for a millisecond or two, and a single message's way has
some eight turns of the loop in it. When none has come for a while, it goes at full speed.
"""

import asyncio
import sys

from greenlet import getcurrent

from node.waiting import can_wait, wait
from recado.wiring import Turns

RECENT = 3.0  # seconds: for so long after a single message the next one is reckoned with
WINDOW = 4  # messages of what is many at once, beside single ones
RATE = 300.0  # of them a second
PATIENCE = 0.25  # seconds: so long at most it waits for single messages, whatever their number
SHARE = 1.0  # seconds: so long at most one handler waits for them in all
_GLANCE = 0.002


class Taking:
    """Counts single messages in hand, and says when others may go."""

    def __init__(self) -> None:
        self._in_hand = 0
        self._last = -RECENT
        self._next = 0.0

    def begins(self) -> None:
        """A single message, or some, are taken up."""
        self._in_hand += 1
        self._last = asyncio.get_running_loop().time()

    def ends(self) -> None:
        """They are done with for now."""
        self._in_hand -= 1

    def as_turns(self) -> Turns:
        return Turns(self.breathe, self.pace)

    def breathe(self) -> None:
        """Lets what has come meanwhile have its turn, and single messages go first."""
        if can_wait():
            mine, loop = getcurrent().__dict__, asyncio.get_running_loop()
            began, waited = loop.time(), mine.get("waited", 0.0)
            # Somebody may wait for the answer: after its share it only lets others have a turn.
            wait(self._turn() if waited < SHARE else asyncio.sleep(0))
            mine["waited"] = waited + loop.time() - began

    def pace(self) -> int:
        """Waits until some of what is many may go: how many."""
        return wait(self._paced()) if can_wait() else sys.maxsize

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        await asyncio.sleep(0)
        while self._in_hand and loop.time() < until:
            await asyncio.sleep(_GLANCE)

    async def _paced(self) -> int:
        loop = asyncio.get_running_loop()
        if loop.time() - self._last > RECENT:
            await asyncio.sleep(0)
            return sys.maxsize
        mine = max(self._next, loop.time())
        self._next = mine + WINDOW / RATE
        await asyncio.sleep(mine - loop.time())
        await self._turn()
        return WINDOW
