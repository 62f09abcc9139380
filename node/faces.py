"""A node's face: what it shows to the world, in its own process or in another."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from node.front_words import Doors, Standing
from node.gateway import Function
from node.health import pages
from node.template import Wiring
from node.workers import Workers
from node.world import Inside, World
from recado.connectors import Submitting
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue
from recado.http import Outgoing, Reached, Unreached
from recado.wiring import Deps

_MOST_COUNTED = 100_000  # mails: to count more of them would hold up everything else


class Behind(Struct, frozen=True):
    """What lies behind a face."""

    deps: Deps
    database: Database
    queue: EmbeddedQueue
    workers: Workers
    wiring: Wiring
    functions: Mapping[str, Function]


class Face(Protocol):
    """Sockets to the world. `close` is called last, whatever happened."""

    def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        """recado.http.Exchange. Only for greenlets of node.waiting."""

    @property
    def submits_elsewhere(self) -> Submitting | None:
        """Hands messages to upstreams, where that is done elsewhere: connectors are where the
        sockets are."""

    async def start(self, behind: Behind) -> Standing:
        """Listens, and binds to the SMSCs. Raises Misconfigured."""

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """The operators' operations."""

    async def stop_serving(self, grace: float) -> None:
        """Takes nothing new, answers what is in hand, and unbinds customers."""

    async def unbind(self) -> None:
        """Unbinds from the SMSCs, once the workers have done with them."""

    async def close(self) -> None:
        """Ends what is left."""


class OwnFace:
    """A Face in the node's own process."""

    submits_elsewhere: Submitting | None = None

    def __init__(self, doors: Doors) -> None:
        self._world = World(doors)

    def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        return self._world.ways.exchange(requests)

    async def start(self, behind: Behind) -> Standing:
        deps, database = behind.deps, behind.database
        self._world.ways.settle = database.wait
        smpp = partial(self._world.smpp.counts, partial(mails_waiting, database))
        token = deps.settings.metrics_token
        own = pages(database, behind.queue, behind.workers, token, smpp)
        blobs = deps.engine.blobs
        assert isinstance(blobs, DirectoryBlobs)  # noqa: S101 - the embedded engine's
        inside = Inside(deps, database, blobs, behind.wiring, behind.functions, own)
        return await self._world.start(inside)

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return self._world.smpp.operations()

    async def stop_serving(self, grace: float) -> None:
        world = self._world
        await asyncio.gather(world.stop_front_door(grace), world.smpp.stop_serving(grace))

    async def unbind(self) -> None:
        await self._world.smpp.close()

    async def close(self) -> None:
        await self._world.close()


def mails_waiting(database: Database) -> int:
    """In all mailboxes, as far as they are counted."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM mail LIMIT ?)"
    [(mails,)] = database.read(sql, (_MOST_COUNTED,))
    return int(mails)
