"""Delivery: the mailboxes of those who are bound here as receivers, each emptied as long as one is.

Several tasks may have binds of one customer: which of them empties its mailbox is a lease's to say.
"""

import asyncio
import threading
from functools import partial
from typing import Protocol

from recado.wiring import Deps
from smpp.customer import Customer
from smpp.hands import Hands
from smpp.mailbox import Mailbox, Rhythm

_RHYTHM = Rhythm()


class Bound(Protocol):
    """Who is bound: the server."""

    def customers_of(self, cost_centre: str) -> list[Customer]:
        """Its bound sessions."""


class Delivery:
    """Takes receipts and replies from customers' mailboxes to their receivers. Everything but
    `wake` is called in the loop."""

    def __init__(
        self, deps: Deps, hands: Hands, server: Bound, holder: str, rhythm: Rhythm = _RHYTHM
    ) -> None:
        self._deps, self._hands, self._server = deps, hands, server
        self._holder, self._rhythm = holder, rhythm
        self._mailboxes: dict[str, Mailbox] = {}
        self._ending: dict[str, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def wake(self, cost_centre: str) -> None:
        """Mail has come for it, says whoever posted it, in whatever thread."""
        if cost_centre not in self._mailboxes or self._loop is None:
            return
        if threading.get_ident() == self._thread:
            self._look(cost_centre)
        else:
            self._loop.call_soon_threadsafe(self._look, cost_centre)

    def bound(self, customer: Customer) -> None:
        """Somebody has bound: what waits for it goes, if it receives."""
        if not customer.receives or self._closing:
            return
        name = customer.cost_centre
        if self._loop is None:
            self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        if self._timer is None:
            self._timer = self._loop.call_later(self._rhythm.look, self._tick)
        if name not in self._mailboxes:
            receivers = partial(self._receivers, name)
            self._mailboxes[name] = Mailbox(
                name, self._deps, self._hands, receivers, self._holder, self._rhythm
            )
        elif name in self._ending:
            self._ending.pop(name).set_result(None)
            self._mailboxes[name].reopen()
        self._look(name)

    def gone(self, customer: Customer) -> None:
        """A bound session has ended."""
        name = customer.cost_centre
        if name in self._mailboxes and not self._receivers(name):
            self._end(name)

    async def close(self) -> None:
        """Begins nothing more, waits for what its customers are being told, gives leases back."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for name in self._mailboxes:
            self._end(name)
        await asyncio.gather(*self._ending.values())

    def _receivers(self, cost_centre: str) -> list[Customer]:
        return [
            customer
            for customer in self._server.customers_of(cost_centre)
            if customer.receives and not customer.session.closed
        ]

    def _look(self, cost_centre: str) -> None:
        mailbox = self._mailboxes.get(cost_centre)
        if mailbox is not None:
            mailbox.look()

    def _tick(self) -> None:
        self._timer = None
        if self._mailboxes and self._loop is not None:
            self._timer = self._loop.call_later(self._rhythm.look, self._tick)
        for mailbox in self._mailboxes.values():
            mailbox.look()

    def _end(self, cost_centre: str) -> None:
        if cost_centre not in self._ending:
            self._ending[cost_centre] = asyncio.get_running_loop().create_future()
            self._mailboxes[cost_centre].end(partial(self._ended, cost_centre))

    def _ended(self, cost_centre: str) -> None:
        del self._mailboxes[cost_centre]
        self._ending.pop(cost_centre).set_result(None)
