"""A server that customers can bind to, over a world; its orders are answered at once, or kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from recado.costcentre import KeptPassword, Login, digest
from recado.observability import counts
from recado.smpp import pdu as wire
from recado.smpp.pdu import Pdu
from smpp.customer import Customer
from smpp.server import Orders, Server, ServerSettings
from tests.support.smpp_hands import Hands
from tests.support.smpp_wire import Wire
from tests.support.world import World

SYSTEM_ID, PASSWORD = "ana", "segredo"


def smpp_login(
    world: World, system_id: str = SYSTEM_ID, *passwords: KeptPassword, **switches: Any
) -> str:
    """A cost centre that may bind by this system_id and PASSWORD; its id."""
    cost_centre = world.cost_centre(login=f"http-{system_id}", **switches)
    put_login(world, system_id, cost_centre, *passwords)
    return cost_centre


def put_login(
    world: World, system_id: str, cost_centre: str, *passwords: KeptPassword, version: int = 0
) -> None:
    kept = passwords or (KeptPassword(digest(PASSWORD, b"pepper")),)
    login = Login(login=system_id, cost_centre=cost_centre, passwords=kept, version=version)
    body = msgspec.json.encode(login)
    assert world.bare.store.put_config("smpp-login", system_id, body, version)


class Place:
    """A running server, and what it was asked and told."""

    def __init__(self, world: World, settings: ServerSettings) -> None:
        self.world, self.hands = world, Hands()
        self.server = Server(world.deps, self.hands, settings, self._order)
        self.orders: Orders = self._answer
        self.taken: list[tuple[Customer, Pdu]] = []
        self.bound: list[Customer] = []
        self.gone: list[Customer] = []
        self.server.on_bound = self.bound.append
        self.server.on_gone = self._gone
        self.somebody_gone = asyncio.Event()
        self.keeps = False  # what is ordered is answered by the test

    def _order(self, customer: Customer, pdu: Pdu) -> None:
        self.taken.append((customer, pdu))
        self.orders(customer, pdu)

    def _answer(self, customer: Customer, pdu: Pdu) -> None:
        if not self.keeps:
            customer.session.respond(pdu, wire.id_body(f"id-{len(self.taken)}"))

    def _gone(self, customer: Customer) -> None:
        self.gone.append(customer)
        self.somebody_gone.set()

    async def connect(self, **how: Any) -> Wire:
        """A connection that is not bound."""
        return await Wire.to(self.server.port, **how)

    async def customer(self, command: int = wire.BIND_TRANSCEIVER, **how: Any) -> Wire:
        """A connection that is bound."""
        connected = await self.connect(**how)
        answer = await connected.bind(SYSTEM_ID, PASSWORD, command)
        assert answer.command_status == 0, answer
        return connected


@asynccontextmanager
async def serving(world: World, **settings: Any) -> AsyncIterator[Place]:
    """A server on a free port, which closes at the end."""
    settings = {"port": 0, "refusal_seconds": 0.05, **settings}
    place = Place(world, ServerSettings(**settings))
    await place.server.start()
    try:
        yield place
    finally:
        await place.server.close(0.0)


class Counted:
    """What was counted since it was made."""

    def __init__(self) -> None:
        self._before = counts()

    def __getitem__(self, name: str) -> int:
        return counts().get(name, 0) - self._before.get(name, 0)
