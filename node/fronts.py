"""The face of a node in a process of its own (node.front), and what it takes to keep one there."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from node.faces import Behind
from node.front_answers import FrontsCounted, served
from node.front_process import FrontProcess
from node.front_words import OPERATIONS, Answered, Doors, Front, Outward, Standing, found
from node.rpc import Link, Lost
from node.rpc_operations import Operation, Served
from node.smpp import Bound, knowing
from node.waiting import wait
from recado.connectors import Outcome, Submit, Unavailable, Uncertain, Upstream
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached, Unreached
from recado.observability import log, words_of
from recado.operations import OPERATIONS as OPERATORS
from recado.settings import Settings

_SCHEME = "smpp:"
_NO_FRONT = Unreached("the node's front is being started", sent=False)
_CUT_OFF = Unreached("the node's front ended meanwhile", sent=True)
_PATIENCE = 5.0  # seconds that what is to leave waits for a front that is being started
_YOUNG = 10.0  # seconds: one that ends before is started again after a pause
_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


class FrontFace:
    """node.faces.Face. Made and used within one running loop."""

    def __init__(self, doors: Doors, settings: Settings) -> None:
        self._doors, self._settings = doors, settings
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._front: Front
        self._outward: Outward
        self._served: Served
        # Now: what it imports it imports while the worker does its own.
        self._process = FrontProcess()
        self._keeping: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._counted = FrontsCounted()
        self._settle: Callable[[], None] = _nothing

    async def start(self, behind: Behind) -> Standing:
        self._settle = behind.database.wait
        self._served = served(behind, self._counted)
        try:
            standing = await self._begun()
        except Lost as error:
            raise Misconfigured("the front did not start: see above") from error
        # The next one has to be found where this one was.
        self._doors = replace(self._doors, http_port=standing.http_port, smpp=standing.smpp)
        behind.deps.bell.heard = self._ring
        self._keeping = self._loop.create_task(self._keep())
        return standing

    # --- the process -----------------------------------------------------------------------------

    async def _begun(self) -> Standing:
        """Has the process begin: it listens on return. Raises Misconfigured, and Lost."""
        link = self._link = Link(self._served)
        link.on_lost = self._ended
        self._lost.clear()
        await self._loop.create_unix_connection(lambda: link, sock=self._process.socket)
        self._front = OPERATIONS.remote(Front, link.ask)
        self._outward = OPERATIONS.remote(Outward, link.ask)
        standing: Standing = await self._asked("begin", self._doors, self._settings)
        self._up.set()
        return standing

    def _ended(self) -> None:
        self._up.clear()
        self._lost.set()

    async def _keep(self) -> None:
        """Puts another one in the place of a front that has ended."""
        pause, began = 0.0, time.monotonic()
        while True:
            await self._lost.wait()
            status = await self._process.ended()
            self._counted.ended()
            log.error("the front ended: another one is started", extra={"status": status})
            is_young = time.monotonic() - began < _YOUNG
            pause = min(max(2 * pause, _PAUSE), _LONGEST_PAUSE) if is_young else 0.0
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                self._process = FrontProcess()
                await self._begun()
            except Exception as error:  # a full disk, a port: whatever it is may pass
                why = words_of(error) or type(error).__name__
                log.error("the front could not be started: %s", why)
                if self._link is not None:
                    self._link.close()

    def _asked(self, name: str, *arguments: Any) -> "asyncio.Future[Any]":
        assert self._link is not None  # noqa: S101 - whoever asks has one
        return self._link.asked(_operation(name), *arguments)

    # --- what it is for --------------------------------------------------------------------------

    def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        if not all(request.url.startswith(_SCHEME) for request in requests):
            # As node.smpp.Ways: not lost once it has spoken to the world outside.
            self._settle()
        if not self._up.is_set() and not wait(self._is_up()):
            return [_NO_FRONT for _ in requests]
        try:
            told: list[Answered] = self._outward.exchange(requests)
        except Lost:
            return [_CUT_OFF for _ in requests]
        return [found(one) for one in told]

    def submits_elsewhere(self, submits: Sequence[Submit], upstream: Upstream) -> list[Outcome]:
        """recado.connectors.Submitting. Dispatch has waited until its claims were durable."""
        if not self._up.is_set() and not wait(self._is_up()):
            return [Unavailable(_PATIENCE, _NO_FRONT.problem) for _ in submits]
        try:
            return self._outward.submit(submits, upstream.name)
        except Lost:
            return [Uncertain(_CUT_OFF.problem) for _ in submits]

    async def _is_up(self) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._up.wait(), _PATIENCE)
        return self._up.is_set()

    def _ring(self, cost_centre: str) -> None:
        if self._link is not None:
            self._link.tell(_operation("ring"), cost_centre)

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        binds = knowing(self._look, self._customers)
        operators = OPERATORS if self._doors.smpp is None else binds
        return {name: partial(self._operated, work) for name, work in operators.items()}

    def _look(self, connector: str, tried: bool) -> list[dict[str, Any]]:
        return self._front.binds(connector, tried) if wait(self._is_up()) else []

    def _customers(self, cost_centres: Sequence[str]) -> list[Bound]:
        if wait(self._is_up()):
            return self._front.customers(cost_centres)
        return [(0, 0) for _ in cost_centres]

    def _operated(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """An operation may change the configuration: the front must not go on with the old one."""
        try:
            return work(*arguments, **named)
        finally:
            # Now: who waits for something else would not be told of a commit that failed meanwhile.
            self._settle()
            with contextlib.suppress(Lost):
                if self._up.is_set():
                    self._front.forget()

    # --- its end ---------------------------------------------------------------------------------

    async def stop_serving(self, grace: float) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        await self._last("stop_serving", grace)

    async def unbind(self) -> None:
        await self._last("close")

    async def _last(self, name: str, *arguments: Any) -> None:
        try:
            await self._asked(name, *arguments)
        except Lost:
            log.error("the front ended before its time")

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        if self._link is not None:
            self._link.close()
        else:
            self._process.socket.close()
        await self._process.ended()


def _operation(name: str) -> Operation:
    return OPERATIONS.of[Front, name]


def _nothing() -> None:
    pass
