"""An engine at the other end of a real link: what a node's front has, for the contract suite.

Each call is made as the front makes it, in a greenlet. The engine behind it commits each by itself,
so that what the suite says of one call after the other holds."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvloop

from node.front import remote_store
from node.front_words import OPERATIONS
from node.rpc import Link
from node.waiting import start
from recado.engine import Engine, Queue, Store
from recado.engine.embedded.database import Database


class Remote:
    """The two ends of it, with a loop that runs as long as a call does."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._database = database
        self._links = self._runner.run(self._join(engine))
        asking = self._links[0]
        self.engine = Engine(
            self._awaiting(remote_store(asking)),
            self._awaiting(OPERATIONS.remote(Queue, asking.ask)),
            engine.blobs,
        )

    async def _join(self, engine: Engine) -> tuple[Link, Link]:
        loop = asyncio.get_running_loop()
        then = self._database.then
        asking = Link({})
        served = {
            **OPERATIONS.served(Store, engine.store, then),
            **OPERATIONS.served(Queue, engine.queue, then),
        }
        serving = Link(served)
        ours, theirs = socket.socketpair()
        await loop.create_unix_connection(lambda: asking, sock=ours)
        await loop.create_unix_connection(lambda: serving, sock=theirs)
        return asking, serving

    def _awaiting(self, member: Any) -> Any:
        for name, method in vars(member).items():
            setattr(member, name, self._run(method))
        return member

    def _run(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*arguments: Any, **named: Any) -> Any:
            end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def work() -> None:
                try:
                    end.set_result(method(*arguments, **named))
                except Exception as error:
                    end.set_exception(error)

            start(work)
            return await end

        return lambda *arguments, **named: self._runner.run(called(*arguments, **named))

    def close(self) -> None:
        async def gone() -> None:
            ended = asyncio.Event()
            self._links[1].on_lost = ended.set
            self._links[0].close()
            await ended.wait()

        self._runner.run(gone())
        self._runner.close()
