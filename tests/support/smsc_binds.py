"""Our binds to a scripted SMSC, over a world: the real Binds, an engine that commits at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec.structs import replace

from recado.connectors import Outcome, RawCallback, Submit, Upstream, smpp
from recado.engine.embedded.keyring import FolderKeyring
from recado.http import Outgoing, Reached, Unreached
from recado.smpp import pdu as wire
from recado.smpp.pdu import Address, ShortMessage
from smpp.bind import Timing
from smpp.binds import Binds
from tests.support.smpp_hands import Hands
from tests.support.smsc import Smsc
from tests.support.world import World

NAME, PASSWORD = "smsc", "segredo"
QUICK = Timing(first_pause=0.05, longest_pause=0.2, settled=0.0, look=0.05, goodbye=0.5)
_BODY = wire.message_body(ShortMessage(destination=Address(1, 1, "5534998887755"), text=b"oi"))


def configure(world: World, smsc: Smsc, name: str = NAME, **changes: Any) -> Upstream:
    """Puts a connector to the SMSC into the configuration, or changes it: settings by their names,
    and fields of an upstream under `upstream`."""
    return configure_port(world, smsc.port, name, **changes)


def configure_port(world: World, port: int, name: str = NAME, **changes: Any) -> Upstream:
    """The same for whatever listens there."""
    store = world.bare.store
    body = store.config("upstream", name)
    base = Upstream(
        name=name,
        kind="smpp",
        settings={"host": "127.0.0.1", "port": str(port), "system_id": "recado"},
        submit_timeout=5.0,
    )
    old = msgspec.json.decode(body, type=Upstream) if body else base
    fields = changes.pop("upstream", {})
    settings = {**old.settings, **{key: str(value) for key, value in changes.items()}}
    version = old.version + 1 if body else 0
    upstream = replace(old, settings=settings, version=version, **fields)
    assert store.put_config("upstream", name, msgspec.json.encode(upstream), version)
    return upstream


def forget(world: World, name: str = NAME) -> None:
    """Takes the connector out of the configuration."""
    body = world.bare.store.config("upstream", name)
    assert body is not None
    version = msgspec.json.decode(body, type=Upstream).version
    assert world.bare.store.remove_config("upstream", name, version)


def plain(amount: int = 1, name: str = NAME, timeout: float = 5.0) -> list[Outgoing]:
    """Requests whose content does not matter."""
    request = Outgoing("SMPP", f"smpp:{name}", {}, wire.framed(wire.SUBMIT_SM, 0, _BODY), timeout)
    return [request] * amount


class Bound:
    """Running Binds, and what they put on the queue."""

    def __init__(self, world: World, holder: str, timing: Timing) -> None:
        self.world, self.hands = world, Hands()
        keyring = FolderKeyring(world.folder / "secrets")
        keyring.put(f"connector/{NAME}/password", PASSWORD)
        self.keyring = keyring
        self.binds = Binds(replace(world.deps, keyring=keyring), self.hands, holder, timing)

    async def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        return await self.binds.exchange(requests)

    async def submit(self, *submits: Submit) -> list[Outcome]:
        """By the connector, as dispatch does it."""
        body = self.world.bare.store.config("upstream", NAME)
        upstream = msgspec.json.decode(body or b"", type=Upstream)
        loop = asyncio.get_running_loop()

        def exchange(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
            work = self.binds.exchange(requests)
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        return await asyncio.to_thread(smpp.submit, submits, upstream, exchange)

    def states(self) -> list[str]:
        return [row["state"] for row in self.binds.states()]

    async def are(self, *states: str) -> None:
        """Waits until the binds' states are these."""
        async with asyncio.timeout(10.0):
            while self.states() != list(states):
                await asyncio.sleep(0.005)

    def kept(self) -> list[RawCallback]:
        """What lies on the queue Inbound."""
        rows = self.world.database.read(
            "SELECT body FROM queue WHERE queue = 'Inbound' ORDER BY id"
        )
        return [msgspec.json.decode(body, type=RawCallback) for (body,) in rows]


@asynccontextmanager
async def binding(
    world: World, smsc: Smsc, *, holder: str = "one", timing: Timing = QUICK, **settings: Any
) -> AsyncIterator[Bound]:
    """Binds to the SMSC with these settings, and unbinds at the end."""
    if world.bare.store.config("upstream", NAME) is None:
        configure(world, smsc, **settings)
    made = Bound(world, holder, timing)
    await made.binds.start()
    try:
        yield made
    finally:
        await made.binds.close(0.5)
