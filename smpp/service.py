"""The service: what customers bind to, what takes their mail to them, and our binds to SMSCs."""

import asyncio

from msgspec import Struct

from recado.wiring import Deps
from smpp.binds import Binds
from smpp.delivery import Delivery
from smpp.hands import Hands
from smpp.orders import Orders
from smpp.server import Server, ServerSettings


class ServiceSettings(Struct, frozen=True, kw_only=True):
    """What the service is told. `holder`: this process among all that may hold a lease."""

    server: ServerSettings
    holder: str


class Service:
    """Server, delivery and binds, begun and ended in the order that loses nothing."""

    def __init__(self, deps: Deps, hands: Hands, settings: ServiceSettings) -> None:
        self.server = Server(deps, hands, settings.server, Orders(deps, hands))
        self.delivery = Delivery(deps, hands, self.server, settings.holder)
        self.binds = Binds(deps, hands, settings.holder)
        self.server.on_bound = self.delivery.bound
        self.server.on_gone = self.delivery.gone
        deps.bell.heard = self.delivery.wake

    async def start(self) -> None:
        """Binds to the SMSCs, and listens. Raises OSError where it can't."""
        await self.binds.start()
        await self.server.start()

    def healthy(self) -> str | None:
        """Why customers can't bind, in a few words; None where they can. Binds to SMSCs do not
        count: whose SMSC is down keeps what goes to it, and serves everybody else."""
        return None if self.server.listens else "the server does not listen"

    async def stop_serving(self, grace: float) -> None:
        """Takes nothing new from customers, and says goodbye to them."""
        await asyncio.gather(self.server.close(grace), self.delivery.close())

    async def close(self, grace: float) -> None:
        """Ends it: customers first, then, once what was in hand has its answers, the SMSCs."""
        await self.stop_serving(grace)
        await self.binds.close(grace)
