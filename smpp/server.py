"""The server: customers bind to it. It listens, limits, and says goodbye; what happens on one
connection is in smpp/link.py."""

import asyncio
from collections.abc import Callable
from functools import partial

from recado.observability import count, log, words_of
from recado.wiring import Deps
from smpp.customer import Customer
from smpp.hands import SESSION, Hands
from smpp.link import Common, Link, Orders
from smpp.listener import Listener
from smpp.review import Finding, review
from smpp.server_settings import ServerSettings
from smpp.session import Session

__all__ = ["Orders", "Server", "ServerSettings"]


class Server:
    """What customers bind to; what a bound customer asks for goes to `orders`."""

    def __init__(self, deps: Deps, hands: Hands, settings: ServerSettings, orders: Orders) -> None:
        self._deps, self._hands, self._settings = deps, hands, settings
        self._common = Common(deps, hands, settings, orders)
        self._links: dict[Session, Link] = {}
        self._listeners: list[Listener] = []
        self._serial = 0
        self._reviewing = False
        self._review_timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self.port: int | None = None
        self.tls_port: int | None = None

    @property
    def on_bound(self) -> Callable[[Customer], None]:
        """Called when a customer has bound."""
        return self._common.on_bound

    @on_bound.setter
    def on_bound(self, told: Callable[[Customer], None]) -> None:
        self._common.on_bound = told

    @property
    def on_gone(self) -> Callable[[Customer], None]:
        """Called once when a customer is not bound any more: nothing may be delivered to it."""
        return self._common.on_gone

    @on_gone.setter
    def on_gone(self, told: Callable[[Customer], None]) -> None:
        self._common.on_gone = told

    def customers_of(self, cost_centre: str) -> list[Customer]:
        """Who is bound for a cost centre here, in the order of their binds."""
        return list(self._common.customers.get(cost_centre, ()))

    @property
    def customers(self) -> list[Customer]:
        """Everybody who is bound here."""
        return [one for bound in self._common.customers.values() for one in bound]

    async def start(self) -> None:
        """Listens. Raises OSError where it can't."""
        settings = self._settings
        if settings.port is not None:
            self.port = self._listen(settings.port, secure=False)
        if settings.tls_port is not None and settings.ssl_context is not None:
            self.tls_port = self._listen(settings.tls_port, secure=True)
        self._wait_for_review()

    @property
    def listens(self) -> bool:
        """Whether it takes connections in, on all of its ports."""
        return bool(self._listeners) and all(it.listens for it in self._listeners)

    def _listen(self, port: int, *, secure: bool) -> int:
        settings = self._settings
        listener = Listener(
            self._admit,
            self._forget,
            settings.bind_seconds,
            settings.ssl_context if secure else None,
            behind_proxy=settings.proxy_protocol,
        )
        listener.start(settings.host, port, settings.connections)
        self._listeners.append(listener)
        return listener.port

    async def close(self, grace: float) -> None:
        """Takes nobody in any more, unbinds everybody, and waits so many seconds at most until what
        is in hand is answered. Then who is left is cut off."""
        self._common.closing = True
        if self._review_timer is not None:
            self._review_timer.cancel()
        await asyncio.gather(*[listener.close() for listener in self._listeners])
        patience = min(self._settings.limits.response, grace) / 2
        for link in tuple(self._links.values()):
            link.say_goodbye("the server closes", patience)
        await self._wait_until_empty(grace)
        for session in tuple(self._links):
            session.abort("the server closes")
        await self._wait_until_empty(1.0)  # the loop tells of an abort in its next turn

    async def _wait_until_empty(self, seconds: float) -> None:
        if self._links:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._empty,), timeout=seconds)

    # --- connections -----------------------------------------------------------------------------

    def _admit(self, peer: str) -> Session | None:
        links = self._links.values()
        unbound = sum(link.customer is None and link.peer == peer for link in links)
        crowded = len(links) >= self._settings.connections
        if crowded or unbound >= self._settings.unbound_per_peer:
            count("smpp_connections_refused")
            return None
        count("smpp_connections")
        self._serial += 1
        link = Link(self._common, peer, f"{SESSION}{self._serial}", self._ended)
        self._links[link.session] = link
        return link.session

    def _ended(self, session: Session, why: str) -> None:
        link = self._links.get(session)
        if link is not None:  # else it was lost while it was still arriving
            link.ended(why)
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self._links.pop(session, None)
        if not self._links and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    # --- whether those who are bound still may be ------------------------------------------------

    def _wait_for_review(self) -> None:
        loop = asyncio.get_running_loop()
        self._review_timer = loop.call_later(self._settings.review_seconds, self._review)

    def _review(self) -> None:
        self._wait_for_review()
        customers = self.customers
        if customers and not self._reviewing:
            self._reviewing = True
            work = partial(review, customers, self._deps)
            self._hands.do("smpp-review", work, self._reviewed)

    def _reviewed(self, found: list[Finding] | None, error: BaseException | None) -> None:
        self._reviewing = False
        if found is None:
            count("faults")
            why = words_of(error) if error else ""
            log.error("binds were not reviewed", extra={"reason": why or type(error).__name__})
            return
        for customer, cost_centre, why in found:
            link = self._links.get(customer.session)
            if link is None:
                continue
            if cost_centre is None:
                link.say_goodbye(why, self._settings.limits.response / 2, expelled=True)
            else:
                customer.session.window = cost_centre.smpp_window
