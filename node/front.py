"""`python -m node.front <fd>`: the front process of a node, with every socket to the world.

It runs the same handlers as a node of one process, over an engine that is at the other end of a
link: in the worker, which has the one file and is its one writer. What a remote write returns from
is durable, so an answer that leaves here needs to wait for nothing. When the link ends, however the
worker ended, this process ends too: nothing that it has in hand could be answered with yes.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from node.front_pages import pages
from node.front_words import (
    OPERATIONS,
    Answered,
    Doors,
    Front,
    Outward,
    Standing,
    Worker,
    answered,
)
from node.gateway import Function
from node.installation import TEMPLATE, pepper_of
from node.logs import log_to_stderr
from node.memory import leave_alone_what_stays
from node.rpc import Link
from node.smpp import Bound
from node.template import Wiring, read_template
from node.turns import Taking
from node.workers import load_functions
from node.world import Inside, World
from recado import wiring as recado_wiring
from recado.connectors import Outcome, Submit, Unavailable
from recado.engine import Engine, Queue, Store
from recado.engine.embedded import BLOBS_NAME
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.keyring import SECRETS_NAME, FolderKeyring
from recado.http import Outgoing
from recado.settings import Settings
from recado.wiring import Deps, assemble

_UNKNOWN = Unavailable(1.0, "the front does not know this upstream yet")
_ONCE_MORE = 0.5  # seconds: what was being read when the configuration changed is old by then


class AtOnce:
    """Durably, where every write is durable when it returns."""

    def then(self, after: Callable[[BaseException | None], None]) -> None:
        after(None)


class Fronting:
    """node.front_words.Front and Outward. Made and used within one running loop."""

    def __init__(self, wiring: Wiring, functions: Mapping[str, Function]) -> None:
        self._wiring, self._functions = wiring, functions
        self._loop = asyncio.get_running_loop()
        awaited, carried = OPERATIONS.awaited(Front, self), OPERATIONS.carried(Outward, self)
        self.link = Link({**awaited, **carried})
        self._world: World | None = None
        self._deps: Deps | None = None

    async def begin(self, doors: Doors, settings: Settings) -> Standing:
        log_to_stderr(settings.log_level, settings.log_format)
        folder = Path(doors.data)
        pepper = pepper_of(folder)
        blobs = DirectoryBlobs(folder / BLOBS_NAME, time.time, pepper)
        world = self._world = World(doors)
        deps = self._deps = assemble(
            Engine(remote_store(self.link), OPERATIONS.remote(Queue, self.link.ask), blobs),
            pepper,
            world.ways.exchange,
            settings,
            time.time,
            Taking().as_turns(),
            holds_binds=True,
            keyring=FolderKeyring(folder / SECRETS_NAME),
        )
        recado_wiring.use(deps)
        own = pages(OPERATIONS.remote(Worker, self.link.ask), settings.metrics_token, world.smpp)
        inside = Inside(deps, AtOnce(), blobs, self._wiring, self._functions, own)
        standing = await world.start(inside)
        leave_alone_what_stays()
        return standing

    def exchange(self, requests: Sequence[Outgoing]) -> list[Answered]:
        assert self._deps is not None  # noqa: S101 - it has begun
        return [answered(one) for one in self._deps.exchange(requests)]

    def submit(self, submits: Sequence[Submit], upstream: str) -> list[Outcome]:
        assert self._deps is not None  # noqa: S101 - it has begun
        known = self._deps.routing.upstream(upstream)
        if known is None:  # it was added a moment ago, or has just been taken away
            return [_UNKNOWN for _ in submits]
        return self._deps.submit(submits, known)

    async def ring(self, cost_centre: str) -> None:
        if self._deps is not None:
            self._deps.bell.ring(cost_centre)

    async def forget(self) -> None:
        self._forget()
        self._loop.call_later(_ONCE_MORE, self._forget)

    def _forget(self) -> None:
        if self._deps is not None:
            self._deps.directory.forget()
            self._deps.routing.forget()

    async def binds(self, connector: str, tried: bool) -> list[dict[str, Any]]:
        return await self._world.smpp.binds(connector, tried) if self._world else []

    async def customers(self, cost_centres: Sequence[str]) -> list[Bound]:
        if self._world is None:
            return [(0, 0) for _ in cost_centres]
        return self._world.smpp.customers(cost_centres)

    async def stop_serving(self, grace: float) -> None:
        if self._world is not None:
            world = self._world
            await asyncio.gather(world.stop_front_door(grace), world.smpp.stop_serving(grace))

    async def close(self) -> None:
        if self._world is not None:
            world, self._world = self._world, None
            await world.smpp.close()
            await world.close()


def remote_store(link: Link) -> Store:
    """Store at the other end of a link. There `settle` has nothing to do: what was written is
    durable already."""
    store: Store = OPERATIONS.remote(Store, link.ask)
    store.settle = lambda: None  # type: ignore[method-assign]  # it is a namespace
    return store


async def _run(handle: int, wiring: Wiring, functions: Mapping[str, Function]) -> None:
    loop = asyncio.get_running_loop()
    fronting = Fronting(wiring, functions)
    # At once: nobody is to be told that what is in hand has failed, it may have been done.
    fronting.link.on_lost = partial(os._exit, 0)
    connection = socket.socket(fileno=handle)
    await loop.create_unix_connection(lambda: fronting.link, sock=connection)
    await loop.create_future()


def main(handle: int) -> None:
    """Until the link on that file descriptor ends."""
    # The worker says when to stop: whoever stops a service tells all of its processes at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # Before it is asked to begin: the worker has its own to load meanwhile.
    wiring = read_template(TEMPLATE)
    asked = {route.function for route in wiring.routes} | {wiring.default}
    functions = load_functions({name: wiring.functions[name] for name in asked})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(handle, wiring, functions))


if __name__ == "__main__":
    main(int(sys.argv[1]))
