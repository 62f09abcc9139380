"""The container between a customer and an SMSC, over a simulated AWS, with the functions before and
behind it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from recado.engine import Engine
from recado.engine.aws.clients import Clients
from recado.engine.aws.keyring import SecretsKeyring
from recado.engine.aws.queue import SQSQueue
from recado.engine.aws.units import in_units
from recado.http import Reached
from recado.message import Message, State
from recado.settings import Settings
from recado.wiring import Deps, assemble
from smpp import pump
from smpp.aws_hands import bind_queues
from smpp.container import Container, ContainerSettings
from smpp.pump import Source
from smpp.server import ServerSettings
from tests.support.aws_world import AwsWorld
from tests.support.metering import Call
from tests.support.smpp_place import smpp_login
from tests.support.smpp_wire import Wire
from tests.support.smsc import Smsc
from tests.support.smsc_binds import NAME, configure

DAY = 86_400.0
PATIENCE = 20.0
PREFIX = "recado"


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto knows one thread; the container has many."""
    answer, lock = BotocoreStubber.__call__, threading.RLock()

    def locked(*args: Any, **options: Any) -> Any:
        with lock:
            return answer(*args, **options)

    monkeypatch.setattr(BotocoreStubber, "__call__", locked)
    monkeypatch.setattr(pump, "_PAUSE", 0.05)


class Noted:
    """What was asked of some clients."""

    def __init__(self, clients: Clients) -> None:
        self.calls: list[Call] = []
        for client in (clients.dynamodb, clients.sqs, clients.s3, clients.secrets):
            self.listen(client)

    def listen(self, client: Any) -> None:
        client.meta.events.register("before-parameter-build", self._asked)

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        action = f"{model.service_model.service_name}:{model.name}"
        self.calls.append(Call("smpp", action, dict(params), {}, 0))


class Scene:
    """An SMSC, a container bound to it, and a customer's cost centre, "ana". The route leads to the
    SMSC."""

    def __init__(self, aws: AwsWorld, smsc: Smsc) -> None:
        self.aws, self.world, self.smsc = aws, aws.world, smsc
        self.clients = aws.account.clients()
        self.noted = Noted(self.clients)
        configure(self.world, smsc)
        SecretsKeyring(aws.account.clients(), PREFIX).put(f"connector/{NAME}/password", "segredo")
        self.world.route_is(upstream=NAME)
        self.cost_centre = smpp_login(self.world, reports_by="origin", per_second=0)
        self.container: Container

    def deps(self, wrap: Callable[[Engine], Engine] = lambda engine: engine) -> Deps:
        """As the container's environment gives them; its calls are noted. `wrap`: the engine that
        it is to have in place of the account's."""
        account, clients = self.aws.account, self.clients
        engine = wrap(account.engine(self.aws._clock, 90 * DAY, clients))
        secret = account.environment()["RECADO_PEPPER_SECRET"]
        return assemble(
            in_units(engine),
            partial(clients.secret, secret),
            lambda requests: [Reached(200, b"")] * len(requests),
            Settings(),
            self.aws._clock,
            holds_binds=True,
            keyring=SecretsKeyring(clients, PREFIX),
        )

    def source(self) -> SQSQueue:
        """The container's queues; its receives wait for nothing, for moto's clock stands still."""
        made = bind_queues(self.aws.account.environment(), self.clients, 0)
        self.noted.listen(made._clients.sqs)
        return made

    async def begun(self, deps: Deps | None = None, source: Source | None = None) -> Container:
        """A container that has started, and has the binds or stands by."""
        server = ServerSettings(host="127.0.0.1", port=0)
        settings = ContainerSettings(health_port=0, server=server)
        container = Container(deps or self.deps(), source or self.source(), settings, idle=0.02)
        container.health._host = "127.0.0.1"
        await container.start()
        return container

    async def started(self) -> Container:
        """One that is bound to the SMSC."""
        container = await self.begun()
        await self.smsc.bound()
        return container

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            self.container = await self.started()
            try:
                await test()
            finally:
                await self.container.close()

        asyncio.run(whole())

    async def customer(self) -> Wire:
        """A bound transceiver."""
        connected = await Wire.to(self.container.service.server.port)
        assert (await connected.bind()).command_status == 0
        return connected

    async def by_http(self) -> str:
        """Another customer sends a message, and wants both reports: its id."""
        return await asyncio.to_thread(self.world.send)

    async def functions(self) -> None:
        """Everything that waits for a function is done by it."""
        await asyncio.to_thread(self.aws.drain)

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(so):
                await asyncio.sleep(0.02)

    def is_in(self, identifier: str, state: State) -> bool:
        record = self.world.record(identifier, login="http-ana")
        return isinstance(record, Message) and record.state is state

    def left(self, queue: str) -> int:
        depths = self.world.deps.engine.queue.depths()
        return next(depth.ready + depth.delayed for depth in depths if depth.queue == queue)
