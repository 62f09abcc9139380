"""Binds: all our binds to SMSCs, as the configuration has them.

It is looked at every two seconds. Of all tasks one carries all binds, whoever has the lease of all;
the others stand by. So what is to be sent finds the bind of its connector where it is dispatched,
and a rolling deploy moves all of them at once. Besides, each bind is a lease of its own, lest who
has lost its time double it; one whose lease can't be renewed is closed before it runs out. A
connector that is paused stays bound, so that receipts and replies come, and takes nothing.

Leases are renewed beside those looks and not in them: what is wrong with one connector, or slow to
be read, ends no other's binds.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from recado.connectors.smpp import SCHEME, TEXT, TEXT_BEGUN
from recado.http import Outgoing, Reached, Unreached
from recado.observability import count, log, words_of
from recado.wiring import Deps
from smpp.bind import Timing
from smpp.carrier import Carrier, Slot, lease_name, login_of
from smpp.hands import Hands
from smpp.look import ALL_BINDS, Known, Lease, Seen, give_back, hold, look
from smpp.trunk import CLOSING, NO_BIND, Call, Job, Text, Trunk

_LOOKS, _LEASES = "binds", "leases"  # lanes: neither waits for the other
_USUAL = Timing()


class Binds:
    """Made and used within one running loop. `holder` names this process among all that may hold a
    lease."""

    def __init__(self, deps: Deps, hands: Hands, holder: str, timing: Timing = _USUAL) -> None:
        self._deps, self._hands, self._holder, self._timing = deps, hands, holder, timing
        self._loop = asyncio.get_running_loop()
        self._carriers: dict[str, Carrier] = {}
        self._known: dict[str, Known] = {}
        self._problems: Mapping[str, str] = {}  # of connectors that can't be read, as logged
        self._watching: list[asyncio.Task[None]] = []
        self._keeping = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False
        self._asked = self._renewed = -math.inf  # the lease of all
        self._lapse: asyncio.TimerHandle | None = None
        self.carries = False  # whether all binds are ours to carry; to be read in any thread
        self.looked_at = time.monotonic()  # when the Store last answered

    async def start(self) -> None:
        """Looks at the configuration, and begins to bind. That an SMSC can't be reached is no
        error: it is tried again for as long as it is configured."""
        await self._tried(self._look)
        await self._tried(self._keep)
        self._watching = [
            self._loop.create_task(self._again_and_again(self._look, self._keep)),
            self._loop.create_task(self._again_and_again(self._keep)),
        ]

    async def close(self, grace: float) -> None:
        """Unbinds once what is in flight is answered, at most `grace` seconds from now, and gives
        the leases back."""
        self._closed, self.carries = True, False
        self._forget_lapse()
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)
        # Also those that work, which nobody waits for any more, may have taken.
        leases = [(name, n) for name, carrier in self._carriers.items() for n in carrier.numbers]
        await asyncio.gather(*(carrier.close(grace) for carrier in self._carriers.values()))
        if self._leaving:
            await asyncio.wait(list(self._leaving))
        await self._give_back([*(lease_name(*lease) for lease in leases), ALL_BINDS])

    # --- what goes out ---------------------------------------------------------------------------

    async def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        """One PDU each, to the bind of its connector ("smpp:<name>") with most room; answers in
        order. What finds no room for half of its time-out is Unreached, as is at once what finds
        no bind: then nothing was sent. What belongs to a text of which something has left waits
        longer (smpp.trunk)."""
        call = Call(len(requests), self._loop.create_future())
        now = self._loop.time()
        by_trunk: dict[Trunk, list[Job]] = {}
        texts: dict[tuple[str, str], Text] = {}
        for at, request in enumerate(requests):
            carrier = self._carriers.get(request.url.removeprefix(SCHEME))
            if carrier is None or self._closed:
                call.settle(at, CLOSING if self._closed else NO_BIND)
                continue
            trunk = carrier.trunk
            text = _text_of(request, texts) if request.headers else None
            by_trunk.setdefault(trunk, []).append(Job(call, at, request, trunk, now, text))
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

    async def _again_and_again(self, *acts: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._timing.look)
            for act in acts:
                await self._tried(act)

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> None:
        """The leases tell by themselves when it fails for too long."""
        try:
            await act()
        except Exception as error:
            count("faults")
            told = {"problem": words_of(error) or type(error).__name__}
            log.exception("the binds could not be looked after", extra=told)

    async def _look(self) -> None:
        refused = frozenset(name for name in self._carriers if self._is_refused(name))
        work = partial(look, self._deps, dict(self._known), refused)
        seen = await self._done(_LOOKS, work)
        self.looked_at = time.monotonic()
        self._apply(seen)

    async def _keep(self) -> None:
        """Renews the leases that are due, and takes those that are missing."""
        async with self._keeping:
            began = self._loop.time()
            if not self.carries and began < self._asked + self._timing.look / 2:
                return  # who stands by pays for each time that it asks
            self._asked = began
            asks = not self.carries or self._renewed <= began - self._timing.renew
            wanted = self._due(began, asks)
            if not asks and not wanted:
                return
            work = partial(hold, self._deps, self._holder, asks, wanted, self._timing)
            held = await self._done(_LEASES, work)
            self.looked_at = time.monotonic()
            if asks:
                self._lead(held.ours, began)
            for (name, number), ours in held.leases.items():
                carrier = self._carriers.get(name)
                if carrier is not None and not ours:
                    carrier.lose(number)
                elif carrier is not None and name in self._known:  # else it was removed meanwhile
                    carrier.take(number, began)

    def _lead(self, ours: bool, began: float) -> None:
        """The lease of all is ours for its time from then on, or somebody else's."""
        until = began + self._timing.lease - self._timing.lapse
        if not ours or self._closed or until <= self._loop.time():  # or we were told so too late
            self._stand_by()
            return
        self._renewed, self.carries = began, True
        self._forget_lapse()
        self._lapse = self._loop.call_at(until, self._stand_by)

    def _stand_by(self) -> None:
        """What is in flight has its answers, as far as the binds' own leases let it."""
        self.carries = False
        self._forget_lapse()
        for carrier in self._carriers.values():
            for slot in list(carrier.slots.values()):
                self._let_go(carrier, slot)

    def _forget_lapse(self) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None

    def _due(self, now: float, all_due: bool) -> list[Lease]:
        """The binds' leases to be asked for now. All run out together with that of all, so that who
        takes over has them at once."""
        due = now if all_due else now - self._timing.renew
        return [
            (name, number)
            for name, carrier in self._carriers.items()
            if name in self._known  # else it is on its way out
            for number in range(1, carrier.measure.binds + 1)
            if carrier.is_due(number, due)
        ]

    def _is_refused(self, name: str) -> bool:
        """Its password is to be read again: it may have been put right."""
        carrier = self._carriers.get(name)
        return carrier is not None and any(slot.refused for slot in carrier.slots.values())

    def _apply(self, seen: Seen) -> None:
        self._tell(seen.problems)
        for name, known in seen.known.items():
            try:
                self._configure(name, known)
            except Exception:  # the others are to be bound all the same
                count("faults")
                log.exception("a connector can't be bound", extra={"connector": name})
        for name, carrier in list(self._carriers.items()):
            wanted = carrier.measure.binds if name in seen.known else 0
            for slot in list(carrier.slots.values()):
                if slot.number > wanted:
                    self._let_go(carrier, slot)
            if not wanted and not carrier.slots:
                del self._carriers[name]
        self._known = {name: seen.known[name] for name in seen.known if name in self._carriers}

    def _tell(self, problems: Mapping[str, str]) -> None:
        """Once each: a look comes every other second."""
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                count("faults")
                told = {"connector": name, "problem": problem}
                log.error("a connector can't be bound as it is configured", extra=told)
        self._problems = problems

    def _configure(self, name: str, known: Known) -> None:
        login = login_of(known.upstream, known.password)
        carrier = self._carriers.get(name)
        if carrier is None:
            made = Carrier(known.upstream, login, self._deps, self._hands, self._timing)
            self._carriers[name] = made
        else:
            carrier.change(known.upstream, login)

    def _let_go(self, carrier: Carrier, slot: Slot) -> None:
        if not slot.going:
            slot.going = True
            task = self._loop.create_task(self._end(carrier, slot))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _end(self, carrier: Carrier, slot: Slot) -> None:
        await carrier.end(slot, self._timing.grace)
        await self._give_back([lease_name(carrier.upstream.name, slot.number)])

    async def _give_back(self, leases: Sequence[str]) -> None:
        work = partial(give_back, self._deps, self._holder, leases)
        try:
            async with asyncio.timeout(self._timing.goodbye):
                await self._done(_LEASES, work)
        except Exception as error:  # they run out by themselves
            told = {"problem": words_of(error) or type(error).__name__}
            log.warning("leases could not be given back", extra=told)

    def _done(self, lane: str, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """What comes of a piece of work, once it is durable."""
        future = self._loop.create_future()

        def done(found: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(found)
            else:
                future.set_exception(error)

        self._hands.do(lane, work, done)
        return future


def _text_of(request: Outgoing, texts: dict[tuple[str, str], Text]) -> Text | None:
    """What it shares with the other PDUs of its text, if there are any."""
    reference = request.headers.get(TEXT)
    if reference is None:
        return None
    begun = Text(int(TEXT_BEGUN in request.headers))
    return texts.setdefault((request.url, reference), begun)
