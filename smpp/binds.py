"""Binds: all our binds to SMSCs, as the configuration has them.

It is looked at every two seconds. Each bind is a lease in Store, so that a second task, or the next
one in a rolling deploy, never doubles it; one whose lease can't be renewed is closed before it runs
out. A connector that is paused stays bound, so that receipts and replies come, and takes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from recado.connectors import Upstream
from recado.connectors.smpp import SCHEME
from recado.connectors.smpp_settings import measure_of
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached, Unreached
from recado.observability import count, log, words_of
from recado.wiring import Deps
from smpp.bind import Timing
from smpp.carrier import Carrier, lease_name, login_of
from smpp.hands import Hands
from smpp.trunk import CLOSING, NO_BIND, Call, Job, Trunk

_KIND = "smpp"
_LANE = "binds"
_USUAL = Timing()


class _Known(Struct, frozen=True):
    """What the last look has shown of a connector."""

    upstream: Upstream
    password: str


class _Seen(Struct, frozen=True):
    """What a look shows: connectors by name, and of each lease that was asked for whether we have
    it."""

    known: Mapping[str, _Known]
    leases: Mapping[tuple[str, int], bool]


class Binds:
    """Made and used within one running loop. `holder` names this process among all that may hold a
    lease."""

    def __init__(self, deps: Deps, hands: Hands, holder: str, timing: Timing = _USUAL) -> None:
        self._deps, self._hands, self._holder, self._timing = deps, hands, holder, timing
        self._loop = asyncio.get_running_loop()
        self._carriers: dict[str, Carrier] = {}
        self._known: dict[str, _Known] = {}
        self._watching: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Looks at the configuration, and begins to bind. That an SMSC can't be reached is no
        error: it is tried again for as long as it is configured."""
        await self._look()
        self._watching = self._loop.create_task(self._watch())

    async def close(self, grace: float) -> None:
        """Unbinds once what is in flight is answered, at most `grace` seconds from now, and gives
        the leases back."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        leases = [(name, n) for name, carrier in self._carriers.items() for n in carrier.slots]
        await asyncio.gather(*(carrier.close(grace) for carrier in self._carriers.values()))
        if self._leaving:
            await asyncio.wait(list(self._leaving))
        await self._give_back(leases)

    # --- what goes out ---------------------------------------------------------------------------

    async def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        """One PDU each, to the bind of its connector ("smpp:<name>") with most room; answers in
        order. What finds no room for half of its time-out is Unreached, as is at once what finds
        no bind: then nothing was sent."""
        call = Call(len(requests), self._loop.create_future())
        now = self._loop.time()
        by_trunk: dict[Trunk, list[Job]] = {}
        for at, request in enumerate(requests):
            carrier = self._carriers.get(request.url.removeprefix(SCHEME))
            if carrier is None or self._closed:
                call.settle(at, CLOSING if self._closed else NO_BIND)
                continue
            trunk = carrier.trunk
            by_trunk.setdefault(trunk, []).append(Job(call, at, request, trunk, now))
        for trunk, jobs in by_trunk.items():
            trunk.take(jobs)
        try:
            await call.done
        except asyncio.CancelledError:
            for jobs in by_trunk.values():
                for job in jobs:
                    job.drop()
            raise
        return call.found

    # --- what is configured ----------------------------------------------------------------------

    def states(self) -> list[dict[str, Any]]:
        """One row a bind: connector, bind (its number), mode, state, in_flight, window, problem."""
        return [row for name in sorted(self._carriers) for row in self._carriers[name].states()]

    def holds(self, connector: str) -> bool:
        """Whether a bind of this connector is held here, be it up or not."""
        carrier = self._carriers.get(connector)
        return carrier is not None and bool(carrier.slots)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._timing.look)
            await self._look()

    async def _look(self) -> None:
        began = self._loop.time()
        known = {name: one for name, one in self._known.items() if not self._is_refused(name)}
        work = partial(_look, self._deps, self._holder, known, self._kept(began), self._timing)
        try:
            seen = await self._done(work)
        except Exception as error:  # the leases tell by themselves when it lasts too long
            count("faults")
            told = {"problem": words_of(error) or type(error).__name__}
            log.error("the binds' configuration could not be read", extra=told)
            return
        self._apply(seen, began)

    def _kept(self, now: float) -> frozenset[tuple[str, int]]:
        """The leases that need not be asked for now."""
        due = now - self._timing.renew
        return frozenset(
            (name, slot.number)
            for name, carrier in self._carriers.items()
            for slot in carrier.slots.values()
            if slot.going or slot.renewed > due
        )

    def _is_refused(self, name: str) -> bool:
        """Its password is to be read again: it may have been put right."""
        carrier = self._carriers.get(name)
        return carrier is not None and any(slot.refused for slot in carrier.slots.values())

    def _apply(self, seen: _Seen, began: float) -> None:
        for name, known in seen.known.items():
            self._configure(name, known)
        for (name, number), ours in seen.leases.items():
            carrier = self._carriers[name]
            if ours:
                carrier.take(number, began)
            else:
                carrier.lose(number)
        for name, carrier in list(self._carriers.items()):
            wanted = carrier.measure.binds if name in seen.known else 0
            for slot in list(carrier.slots.values()):
                if slot.number > wanted and not slot.going:
                    slot.going = True
                    self._leave(self._end(carrier, slot.number))
            if not wanted and not carrier.slots:
                del self._carriers[name]
        self._known = dict(seen.known)

    def _configure(self, name: str, known: _Known) -> None:
        login = login_of(known.upstream, known.password)
        carrier = self._carriers.get(name)
        if carrier is None:
            made = Carrier(known.upstream, login, self._deps, self._hands, self._timing)
            self._carriers[name] = made
        else:
            carrier.change(known.upstream, login)

    def _leave(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _end(self, carrier: Carrier, number: int) -> None:
        await carrier.end(carrier.slots[number], self._timing.grace)
        await self._give_back([(carrier.upstream.name, number)])

    async def _give_back(self, leases: Sequence[tuple[str, int]]) -> None:
        if not leases:
            return
        work = partial(_give_back, self._deps, self._holder, leases)
        try:
            async with asyncio.timeout(self._timing.goodbye):
                await self._done(work)
        except Exception as error:  # they run out by themselves
            told = {"problem": words_of(error) or type(error).__name__}
            log.warning("leases could not be given back", extra=told)

    def _done(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """What comes of a piece of work, once it is durable."""
        future = self._loop.create_future()

        def done(found: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(found)
            else:
                future.set_exception(error)

        self._hands.do(_LANE, work, done)
        return future


# --- done by the hands -------------------------------------------------------------------------


def _look(
    deps: Deps,
    holder: str,
    known: Mapping[str, _Known],
    kept: frozenset[tuple[str, int]],
    timing: Timing,
) -> _Seen:
    now = deps.clock()
    found: dict[str, _Known] = {}
    leases: dict[tuple[str, int], bool] = {}
    for body in deps.engine.store.configs("upstream"):
        upstream = msgspec.json.decode(body, type=Upstream)
        if upstream.kind != _KIND:
            continue
        try:
            login_of(upstream, "")
            binds = measure_of(upstream).binds
        except Misconfigured as problem:
            told = {"connector": upstream.name, "problem": str(problem)}
            log.error("a connector can't be bound", extra=told)
            continue
        found[upstream.name] = _known(upstream, known.get(upstream.name), deps)
        for lease in ((upstream.name, number) for number in range(1, binds + 1)):
            if lease not in kept:
                until = now + timing.lease
                leases[lease] = deps.engine.store.lease(lease_name(*lease), holder, until, now)
    return _Seen(found, leases)


def _known(upstream: Upstream, before: _Known | None, deps: Deps) -> _Known:
    """With its password, which is looked up only where something has changed: it costs money."""
    if before is not None and before.upstream == upstream:
        return before
    return _Known(upstream, deps.keyring.get(f"connector/{upstream.name}/password") or "")


def _give_back(deps: Deps, holder: str, leases: Sequence[tuple[str, int]]) -> None:
    now = deps.clock()
    for lease in leases:
        deps.engine.store.lease(lease_name(*lease), holder, now, now)
