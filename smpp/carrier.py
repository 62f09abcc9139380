"""A carrier: one configured SMSC with its binds here, each under a lease, so that of all tasks only
one ever holds it."""

import asyncio
from typing import Any

from recado.connectors import Upstream
from recado.connectors.smpp_settings import dialling_of, measure_of
from recado.smpp import pdu as wire
from recado.wiring import Deps
from smpp.bind import Bind, Ears, Login, Timing
from smpp.hands import Hands
from smpp.ingress import Ingress
from smpp.session import Limits
from smpp.trunk import Trunk


def lease_name(connector: str, number: int) -> str:
    return f"bind#{connector}#{number}"


class Slot:
    """What is bound under one lease: a transceiver, or a transmitter and a receiver."""

    def __init__(self, carrier: "Carrier", number: int) -> None:
        self.number = number
        self.binds: list[Bind] = []
        self.going = False  # it is closed, and not to be taken up again
        self.renewed = 0.0
        self._carrier = carrier
        self._login: Login | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []

    def keep(self, renewed: float) -> None:
        """The lease holds for its time from then on: the loop's."""
        self.renewed = renewed
        self._forget_timers()
        timing = self._carrier.timing
        until = renewed + timing.lease
        self._timers = [
            self._loop.call_at(until - timing.lapse, self._carrier.lapse, self),
            self._loop.call_at(until - timing.lapse / 4, self.cut),
        ]

    async def bind(self, login: Login | None, grace: float) -> None:
        """Binds with this login and no other; None: not at all. What is bound otherwise has its
        answers first, as far as they come within `grace`."""
        async with self._turn:
            if login == self._login:
                return
            trunk = self._carrier.trunk
            await asyncio.gather(*(bind.close(grace) for bind in self.binds))
            for bind in self.binds:
                trunk.binds.remove(bind)
            self._login, self.binds = None, []
            if login is not None:
                self.begin(login)
            trunk.changed()

    def begin(self, login: Login) -> None:
        """Begins to bind; nothing is bound yet."""
        self._login, self.binds = login, self._carrier.made(self.number, login)
        self._carrier.trunk.binds += self.binds

    def cut(self) -> None:
        """Ends its binds at once: the lease may be another's in a moment."""
        for bind in self.binds:
            bind.cut()

    async def end(self, grace: float) -> None:
        self.going = True
        await self.bind(None, grace)
        self._forget_timers()

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()

    @property
    def refused(self) -> bool:
        return any(bind.refused for bind in self.binds)


class Carrier:
    """One SMSC, as far as it is bound here."""

    def __init__(
        self, upstream: Upstream, login: Login, deps: Deps, hands: Hands, timing: Timing
    ) -> None:
        """Raises Misconfigured on settings that make no sense."""
        self.upstream, self.login, self.timing = upstream, login, timing
        self.measure = measure_of(upstream)
        self.trunk = Trunk(self.measure.window, self.measure.per_second)
        self.trunk.paused = upstream.paused
        self.slots: dict[int, Slot] = {}
        self._ingress = Ingress(upstream.name, deps, hands)
        self._tasks: set[asyncio.Task[None]] = set()

    def made(self, number: int, login: Login) -> list[Bind]:
        """The binds of a slot, which begin to try."""
        commands = [wire.BIND_TRANSCEIVER]
        if login.dialling.separate:
            commands = [wire.BIND_TRANSMITTER, wire.BIND_RECEIVER]
        limits = Limits(
            response=self.upstream.submit_timeout,
            enquire=login.dialling.enquire,
        )
        ears = Ears(self._ingress.take, self._ingress.gone, self.trunk.changed)
        name = f"{self.upstream.name}#{number}"
        return [Bind(name, command, login, limits, self.timing, ears) for command in commands]

    def change(self, upstream: Upstream, login: Login) -> None:
        """The configuration is this now. Binds are made anew only where they have to be."""
        if (upstream, login) == (self.upstream, self.login):
            return
        self.upstream, self.login, self.measure = upstream, login, measure_of(upstream)
        self.trunk.paused, self.trunk.window = upstream.paused, self.measure.window
        self._share()
        self.trunk.changed()
        for slot in list(self.slots.values()):
            if not slot.going:
                self._start(slot.bind(login, self.timing.grace))

    def is_due(self, number: int, before: float) -> bool:
        """Whether this slot's lease is to be asked for: it is not here, or was renewed before."""
        slot = self.slots.get(number)
        return slot is None or not (slot.going or slot.renewed > before)

    def take(self, number: int, renewed: float) -> None:
        """This slot's lease is ours, or still is."""
        if renewed + self.timing.lease - self.timing.lapse <= asyncio.get_running_loop().time():
            return  # we were told so too late
        slot = self.slots.get(number)
        if slot is None:
            slot = self.slots[number] = Slot(self, number)
            self._share()
            slot.begin(self.login)  # now: what is to be sent may be there already
        if not slot.going:
            slot.keep(renewed)

    def _share(self) -> None:
        """The messages a second are those of all tasks: here it is the part of our binds."""
        measure = self.measure
        here = min(len(self.slots), measure.binds)
        self.trunk.pace.change(measure.per_second * here / measure.binds)

    def lose(self, number: int) -> None:
        """The lease is somebody else's: whatever is bound under it ends now."""
        slot = self.slots.get(number)
        if slot is not None:
            slot.cut()
            self.lapse(slot)

    def lapse(self, slot: Slot) -> None:
        """The lease can't be kept: it is closed while it is still ours."""
        if not slot.going:
            slot.going = True
            self._start(self.end(slot, self.timing.lapse / 2))

    async def end(self, slot: Slot, grace: float) -> None:
        """Closes a slot; the lease is its caller's to give back."""
        await slot.end(grace)
        self.slots.pop(slot.number, None)
        self._share()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace: float) -> None:
        """Ends all of it."""
        self.trunk.close()
        slots = list(self.slots.values())
        for slot in slots:
            slot.going = True
        await asyncio.gather(*(self.end(slot, grace) for slot in slots))
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    @property
    def numbers(self) -> list[int]:
        """Of its slots: those that there are to be, and those that still are."""
        return sorted({*range(1, self.measure.binds + 1), *self.slots})

    def states(self) -> list[dict[str, Any]]:
        """One row a bind; of a slot that another task holds, or nobody, that it is not here."""
        rows: list[dict[str, Any]] = []
        for number in self.numbers:
            slot = self.slots.get(number)
            name = {"connector": self.upstream.name, "bind": number}
            binds = slot.binds if slot else []
            rows += [
                {
                    **name,
                    "mode": bind.mode,
                    "state": bind.state,
                    "in_flight": bind.in_flight,
                    "window": self.measure.window,
                    "problem": bind.problem,
                }
                for bind in binds
            ]
            if not binds:
                rows.append({**name, "mode": "", "state": "elsewhere", "problem": ""})
        return rows


def login_of(upstream: Upstream, password: str) -> Login:
    """Raises Misconfigured on settings that make no sense."""
    return Login(dialling_of(upstream), password)
