"""A world over an account of AWS, in which every function has an environment of its own, and all
that it asks there, says to the world and logs is noted, invocation by invocation.

The handlers are loaded as Lambda loads them: with their metrics, and with log lines as JSON.
"""

import io
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from node.installation import TEMPLATE
from node.template import Consumer, read_template
from node.workers import load_functions, sqs_event
from recado import wiring
from recado.engine.aws import open_engine
from recado.http import Exchange, Outgoing, Reached, Unreached
from recado.observability import log
from recado.settings import Settings
from recado.wiring import Deps, assemble
from tests.support import world as world_module
from tests.support.aws import Account
from tests.support.metering import Call, Meter
from tests.support.world import START, World

OURSELVES = "the test"  # configures, and lets time pass
POLLERS = "the pollers"  # of Lambda, which bring the queues' messages
WIRING = read_template(TEMPLATE, {"Simulator": "true"})
_DAY = 86_400.0


class Invocation(Struct):
    """One call of a function: what it was given and what it did. `exchanged`: its requests to
    upstreams and customers, those of one window together."""

    function: str
    records: int  # queue messages, or 1
    calls: list[Call]
    exchanged: list[list[Outgoing]]
    logged: str
    answer: Any


class AwsWorld:
    """From `AwsWorld(...)` to `close()`. `echo`: whether the upstream tells our id."""

    def __init__(self, folder: Path, *, echo: bool = True) -> None:
        self.account = Account(START)
        self._clients = self.account.clients()
        self.meter = Meter(self._clients)
        self.meter.by = OURSELVES
        self.invocations: list[Invocation] = []
        self._exchanged: list[list[Outgoing]] = []
        self._output = io.StringIO()
        self._logging = [
            (logger, logger.handlers, logger.level) for logger in (log, logging.getLogger())
        ]
        self._handlers = {name: self._metered(name) for name in WIRING.functions}
        self._as_they_were = dict(world_module._HANDLERS)
        world_module._HANDLERS.update(self._handlers)
        deps = self._deps(lambda _: [])
        self.world = World(folder, echo=echo, wrap=lambda _: deps.engine)
        self.world.bare = deps.engine
        self._environments = {name: self._deps(self._exchange) for name in WIRING.functions}
        self.world._configure()
        self.world.cost_centre()

    def close(self) -> None:
        self.world.close()
        world_module._HANDLERS.clear()
        world_module._HANDLERS.update(self._as_they_were)
        for logger, handlers, level in self._logging:
            logger.handlers = handlers
            logger.setLevel(level)
        self.account.close()

    def __enter__(self) -> "AwsWorld":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- environments ----------------------------------------------------------------------------

    def _deps(self, exchange: Exchange) -> Deps:
        environment = self.account.environment()
        engine = open_engine(
            environment, self._clients, self._clock, 90 * _DAY, many=self.meter.side_by_side, wait=0
        )
        pepper = partial(self._clients.secret, environment["RECADO_PEPPER_SECRET"])
        settings = Settings(private_callbacks=False)
        return assemble(engine, pepper, exchange, settings, self._clock)

    def _clock(self) -> float:
        return self.world.now if hasattr(self, "world") else START

    def _exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        self._exchanged.append(list(requests))
        return self.world.exchange(requests)

    def _metered(self, name: str) -> Callable[..., Any]:
        named = {"AWS_LAMBDA_FUNCTION_NAME": f"recado-{logical(name)}-AbCdEfGhIjKl"}
        with patch.dict(os.environ, named), redirect_stdout(self._output):
            handler = load_functions({name: WIRING.functions[name]})[name]

        def metered(event: Any, context: Any) -> Any:
            before = len(self.meter.calls)
            with self._inside(name), redirect_stdout(self._output):
                answer = handler(event, context)
            calls = self.meter.calls[before:]
            done = Invocation(
                function=name,
                records=len(event.get("Records", ".")),
                calls=[call for call in calls if call.by == name],  # an upstream may call meanwhile
                exchanged=self._exchanged,
                logged=self._output.getvalue(),
                answer=answer,
            )
            self.invocations.append(done)
            self._exchanged = []
            self._output.seek(0)
            self._output.truncate()
            return answer

        return metered

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        outside = wiring._deps, self.meter.by
        wiring.use(self._environments[name])
        self.meter.by = name
        try:
            yield
        finally:
            wiring.use(outside[0])
            self.meter.by = outside[1]

    def as_world(self) -> World:
        """The world, for tests that run on either engine: its time and queues are those here."""
        world = self.world

        def drain(*, receipts: bool = True) -> None:
            self.at(world.now)
            self.drain()

        def run(seconds: float, *, step: float = 1.0, receipts: bool = True) -> None:
            end = world.now + seconds
            while world.now < end:
                self.at(min(world.now + step, end))
                world.tick()
                self.drain()

        world.drain, world.run = drain, run  # type: ignore[method-assign] # of this one alone
        return world

    def forget(self) -> None:
        """No environment knows any configuration: as after a quiet minute."""
        for deps in self._environments.values():
            deps.directory.forget()
            deps.routing.forget()

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Its answer to an event."""
        return self._handlers[function](event, None)

    # --- time and queues -------------------------------------------------------------------------

    def at(self, now: float) -> None:
        self.world.now = now
        self.account.at(now)

    def work(self, queue: str, most: int = 10_000, taken: int = 10) -> int:
        """Gives all that is ready on a queue to its function, as many at once as the template and
        `most` allow: how many there were. Lambda's pollers take `taken` at a time, and delete ten.
        """
        [consumer] = [it for it in WIRING.consumers if it.queue == queue]
        done = 0
        while rows := self._batch(consumer, min(most, consumer.batch_size), taken):
            answer = self._handlers[consumer.function](sqs_event(rows), None)
            assert answer == {"batchItemFailures": []}
            with self._polling():
                self.world.deps.engine.queue.done(rows)
            done += len(rows)
        return done

    def drain(self) -> None:
        """Works until nothing is ready; the clock stands still."""
        for _ in range(1000):
            self.world.tell_receipts()
            if not sum(self.work(consumer.queue) for consumer in WIRING.consumers):
                return
        raise AssertionError("the queues never come to rest")

    def _batch(self, consumer: Consumer, most: int, taken: int) -> list[Any]:
        rows: list[Any] = []
        with self._polling():
            while len(rows) < most:
                limit = min(most - len(rows), taken)
                got = self.world.deps.engine.queue.receive(consumer.queue, limit)
                if not got:
                    break
                rows += got
        return rows

    @contextmanager
    def _polling(self) -> Iterator[None]:
        before, self.meter.by = self.meter.by, POLLERS
        try:
            yield
        finally:
            self.meter.by = before

    def leave(self, queue: str, some: int) -> None:
        """Leaves the first messages of a queue on it, and forgets the others."""
        own = self.world.deps.engine.queue
        rows: list[Any] = []
        while got := own.receive(queue, 10):
            rows += got
            own.done(got)
        for row in rows[:some]:
            own.send(queue, [row.body], row.group)

    # --- looking ---------------------------------------------------------------------------------

    def calls(self, *, of: str | None = None) -> list[Call]:
        """The calls of all functions, or of one."""
        calls = [call for call in self.meter.calls if call.by not in (OURSELVES, POLLERS)]
        return [call for call in calls if call.by == of] if of else calls


def logical(function: str) -> str:
    """A function's logical id: batch_send is BatchSendFunction."""
    return function.title().replace("_", "") + "Function"
