"""Crossing: how a thread that dispatches has its PDUs sent by the loop, which holds the binds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError
from typing import TypeAlias

from recado.http import Exchange, Outgoing, Reached, Unreached

Answer: TypeAlias = Reached | Unreached
Binds: TypeAlias = Callable[[Sequence[Outgoing]], Awaitable[Sequence[Answer]]]

SCHEME = "smpp:"
# What the loop takes beyond a request's own time-out, before it is given up here.
_MARGIN = 10.0


class Crossing:
    """A recado.http.Exchange for threads: requests to "smpp:..." go to the binds, all others to the
    courier. Until the binds are `opened` nothing reaches them."""

    def __init__(self, courier: Exchange) -> None:
        self._courier = courier
        self._loop: asyncio.AbstractEventLoop | None = None
        self._binds: Binds | None = None

    def open(self, loop: asyncio.AbstractEventLoop, binds: Binds) -> None:
        """The binds are in this loop."""
        self._loop, self._binds = loop, binds

    def __call__(self, requests: Sequence[Outgoing]) -> list[Answer]:
        by_bind = [request for request in requests if request.url.startswith(SCHEME)]
        if not by_bind:
            return self._courier(requests)
        if len(by_bind) == len(requests):
            return self._asked(by_bind)
        others = [request for request in requests if not request.url.startswith(SCHEME)]
        crossed, carried = iter(self._asked(by_bind)), iter(self._courier(others))
        return [next(crossed if r.url.startswith(SCHEME) else carried) for r in requests]

    def _asked(self, requests: Sequence[Outgoing]) -> list[Answer]:
        loop, binds = self._loop, self._binds
        if loop is None or binds is None or loop.is_closed():
            return [Unreached("no bind", sent=False)] * len(requests)

        async def ask() -> list[Answer]:
            return list(await binds(requests))

        coroutine = ask()
        try:
            asked = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # closed meanwhile
            coroutine.close()
            return [Unreached("no bind", sent=False)] * len(requests)
        longest = max(request.timeout for request in requests)
        try:
            return asked.result(longest + _MARGIN)
        except (TimeoutError, CancelledError):
            asked.cancel()
            # Perhaps a PDU has left: whoever is told "not sent" would send it again.
            return [Unreached("the binds gave no answer", sent=True)] * len(requests)
