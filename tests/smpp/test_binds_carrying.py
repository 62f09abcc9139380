"""Of all tasks one carries all binds: whoever has the lease of all. The others stand by."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from recado.http import Reached, Unreached
from smpp.bind import Timing
from tests.support.smsc import Smsc
from tests.support.smsc_binds import QUICK, Bound, binding, configure, plain
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]
NAMES = ("azul", "claro", "oi", "tim", "vivo")


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with Smsc() as made:
        yield made


async def looks(bound: Bound, times: int = 3) -> None:
    """Waits until so many more looks have been taken."""
    until = len(bound.hands.lanes) + times
    async with asyncio.timeout(10.0):
        while len(bound.hands.lanes) < until:
            await asyncio.sleep(0.005)


def dies(bound: Bound) -> None:
    """As by a kill: its sessions end, and nobody gives anything back."""
    bound.hands.held = []  # nothing that it asks for is done any more
    for carrier in bound.binds._carriers.values():
        for slot in carrier.slots.values():
            slot.cut()


async def all_reach(bound: Bound, *names: str) -> bool:
    found = [(await bound.exchange(plain(name=name)))[0] for name in names]
    return all(isinstance(one, Reached) for one in found)


def test_one_carries_the_binds_of_all_connectors_however_they_come(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, NAMES[0])
        async with (
            binding(world, smsc) as first,
            binding(world, smsc, holder="two") as second,
        ):
            for amount, name in enumerate(NAMES[1:], 3):  # beside "smsc" and the first of them
                configure(world, smsc, name)
                await looks(second)  # each of which would find a new bind that nobody has
                await smsc.bound(amount)
            await first.are(*["bound"] * 6)
            assert second.states() == ["elsewhere"] * 6
            assert (first.binds.carries, second.binds.carries) == (True, False)
            assert await all_reach(first, *NAMES)
            assert await second.exchange(plain()) == [Unreached("no bind", sent=False)]

    run(scene())


def test_who_stands_by_asks_once_a_look_and_who_carries_when_it_is_time(
    run: Run, world: World, smsc: Smsc
) -> None:
    """On AWS each time that it is asked for costs a write."""

    async def scene() -> None:
        async with (
            binding(world, smsc) as first,
            binding(world, smsc, holder="two") as second,
        ):
            await first.are("bound")
            before = first.hands.lanes.count("leases")
            await looks(second, 20)
            asked = second.hands.lanes.count("leases")
            assert 5 < asked <= second.hands.lanes.count("binds") + 1
            assert first.hands.lanes.count("leases") == before

    run(scene())


def test_all_binds_go_to_another_at_once_when_they_are_given_back(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, "claro", binds=2)
        async with (
            binding(world, smsc) as first,
            binding(world, smsc, holder="two") as second,
        ):
            await first.are("bound", "bound", "bound")
            await first.binds.close(1.0)
            assert not first.binds.carries
            await second.are("bound", "bound", "bound")  # and time has not moved
            assert second.binds.carries
            assert await all_reach(second, "claro", "smsc")
            assert sorted(smsc.unbound) == [1, 2, 3]

    run(scene())


def test_all_binds_of_who_died_go_to_another_when_its_leases_run_out_and_no_sooner(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, "claro")
        async with (
            binding(world, smsc) as first,
            binding(world, smsc, holder="two") as second,
        ):
            await first.are("bound", "bound")
            dies(first)
            world.now += 29.0
            await looks(second)
            assert second.states() == ["elsewhere", "elsewhere"]
            world.now += 1.0
            await second.are("bound", "bound")
            assert await all_reach(second, "claro", "smsc")

    run(scene())


def test_who_stands_by_closes_without_touching_what_the_other_has(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as first:
            await first.are("bound")
            async with binding(world, smsc, holder="two") as second:
                await looks(second)
            async with binding(world, smsc, holder="three") as third:
                await looks(third)
                assert third.states() == ["elsewhere"]
            assert first.binds.carries
            assert first.states() == ["bound"]

    run(scene())


def test_who_loses_the_lease_of_all_gives_its_binds_to_who_has_it(
    run: Run, world: World, smsc: Smsc
) -> None:
    """As after a sleep, from which others did not wait for it to wake."""
    often = replace(QUICK, renew=0.05)

    async def scene() -> None:
        configure(world, smsc, "claro")
        async with binding(world, smsc, timing=often) as first:
            await first.are("bound", "bound")
            world.now += 31.0
            store = world.deps.engine.store
            assert store.lease("binds", "another", world.now + 30.0, world.now)
            await first.are("elsewhere", "elsewhere")
            assert not first.binds.carries
            for name in ("claro", "smsc"):
                lease = f"bind#{name}#1"
                async with asyncio.timeout(10.0):
                    while not store.lease(lease, "another", world.now + 30.0, world.now):
                        await asyncio.sleep(0.01)  # it is given back once it is unbound
            assert sorted(smsc.unbound) == [1, 2]

    run(scene())


def test_who_can_not_renew_the_lease_of_all_stands_by_before_it_runs_out(
    run: Run, world: World, smsc: Smsc
) -> None:
    short = Timing(look=0.05, renew=0.1, lease=1.0, lapse=0.4, goodbye=0.1, first_pause=0.05)

    async def scene() -> None:
        async with binding(world, smsc, timing=short) as bound:
            await smsc.bound()
            bound.hands.held = held = list[Callable[[], None]]()  # nothing is done any more
            await smsc.bound(0)
            assert not bound.binds.carries
            bound.hands.held = None
            for work in held:
                work()
            await bound.are("bound")
            assert bound.binds.carries

    run(scene())


def test_a_password_that_can_not_be_read_hinders_no_other_connector(
    run: Run, world: World, smsc: Smsc, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        configure(world, smsc, "broken")
        configure(world, smsc)
        bound = Bound(world, "one", QUICK)
        read = bound.keyring.get

        def get(name: str) -> str | None:
            if "broken" in name and failing:
                raise PermissionError
            return read(name)

        failing = True
        monkeypatch.setattr(bound.keyring, "get", get)
        await bound.binds.start()
        try:
            await bound.are("bound")
            failing = False
            await bound.are("bound", "bound")
            failing = True
            configure(world, smsc, "broken", window=3)  # it stays bound as it was
            await looks(bound)
            assert bound.states() == ["bound", "bound"]
        finally:
            await bound.binds.close(0.5)

    run(scene())
