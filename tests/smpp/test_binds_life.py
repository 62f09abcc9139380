"""Binds: how they are made, lost, made again, changed and given up; and their leases."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from recado.engine.embedded.keyring import FolderKeyring
from recado.http import Reached, Unreached
from recado.smpp import status
from smpp.bind import Timing
from smpp.binds import Binds
from tests.support.smsc import SILENT, Said, Smsc
from tests.support.smsc_binds import QUICK, Bound, binding, configure, forget, plain
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with Smsc() as made:
        yield made


async def works(bound: Bound) -> bool:
    [found] = await bound.exchange(plain())
    return isinstance(found, Reached)


# --- made again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drop", "say_unbind"])
def test_a_bind_that_is_lost_is_made_again(run: Run, world: World, smsc: Smsc, how: str) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            for times in range(1, 4):
                await smsc.until(partial(smsc.has_been_asked, times))
                await smsc.bound()
                await bound.are("bound")
                assert await works(bound)
                getattr(smsc, how)()
            await smsc.until(lambda: len(smsc.asked) == 4)

    run(scene())


def test_the_smscs_unbind_is_answered(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc):
            await smsc.bound()
            smsc.say_unbind()
            await smsc.until(lambda: bool(smsc.answers))
            assert smsc.answers[0].command == 0x80000006

    run(scene())


def test_an_smsc_that_does_not_listen_is_tried_until_it_does(run: Run, world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    dead = Smsc(port=port)
    dead.close()

    async def scene() -> None:
        async with binding(world, dead) as bound:
            await bound.are("waiting")
            [row] = bound.binds.states()
            assert row["problem"]
            with Smsc(port=port) as alive:
                await alive.bound()
                await bound.are("bound")
                assert await works(bound)
                assert bound.binds.states()[0]["problem"] == ""
                await bound.binds.close(1.0)

    run(scene())


def test_a_name_or_password_that_is_refused_is_not_insisted_on(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.letting = lambda bind: status.ESME_RINVPASWD if bind.password == "segredo" else 0
    quick = replace(QUICK, no_entry=60.0)

    async def scene() -> None:
        async with binding(world, smsc, timing=quick) as bound:
            await bound.are("waiting")
            looks = len(bound.hands.lanes)
            while len(bound.hands.lanes) < looks + 6:  # as many looks as would have been tries
                await asyncio.sleep(0.01)
            assert len(smsc.asked) == 1
            assert bound.binds.states()[0]["problem"].endswith("ESME_RINVPASWD")
            bound.keyring.put("connector/smsc/password", "correta")
            await bound.are("bound")  # a new password is tried at once
            assert [asked.bind.password for asked in smsc.asked] == ["segredo", "correta"]

    run(scene())


def test_silence_is_asked_about_and_no_answer_ends_the_bind(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, enquire=1, upstream={"submit_timeout": 0.5})
        async with binding(world, smsc) as bound:
            await smsc.until(lambda: smsc.enquired == [1])
            smsc.answers_enquiries = False
            await smsc.until(lambda: len(smsc.asked) == 2)
            smsc.answers_enquiries = True
            await bound.are("bound")

    run(scene())


# --- TLS -----------------------------------------------------------------------------------------


def test_a_bind_by_tls_checks_who_it_speaks_with(
    run: Run, world: World, secure: tuple[ssl.SSLContext, ssl.SSLContext], certificate: Path
) -> None:
    with Smsc(secure=secure[0]) as smsc:

        async def scene() -> None:
            configure(world, smsc, tls="yes", host="localhost")
            async with binding(world, smsc) as bound:
                await bound.are("waiting")  # the system does not trust it
                assert "certificate is not trusted" in bound.binds.states()[0]["problem"]
                configure(world, smsc, ca=f"{certificate}.crt")
                await bound.are("bound")
                assert await works(bound)
                configure(world, smsc, host="127.0.0.1")  # not the name in its certificate
                await smsc.until(lambda: smsc.unbound == smsc.lines() or bool(smsc.unbound))
                await bound.are("waiting")
                assert "certificate is not trusted" in bound.binds.states()[0]["problem"]
                configure(world, smsc, host="localhost", ca="/nowhere.pem")
                await bound.are("waiting")

        run(scene())


# --- the configuration ---------------------------------------------------------------------------


def test_a_new_connector_is_bound_and_one_that_is_removed_unbound(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        bound = Bound(world, "one", QUICK)
        await bound.binds.start()
        assert bound.binds.carries
        configure(world, smsc, binds=2)
        await smsc.bound(2)
        forget(world)
        await smsc.until(lambda: sorted(smsc.unbound) == [1, 2])
        await smsc.bound(0)
        await bound.are()
        assert await bound.exchange(plain()) == [Unreached("no bind", sent=False)]
        await bound.binds.close(1.0)

    run(scene())


class Unreadable(FolderKeyring):
    """One whose passwords of `lost` connectors can't be read."""

    def __init__(self, bound: Bound, *lost: str) -> None:
        super().__init__(bound.world.folder / "secrets")
        self.lost = set(lost)

    def get(self, name: str) -> str | None:
        if name.split("/")[1] in self.lost:
            raise PermissionError(errno.EACCES, "no")
        return super().get(name)


def locked(world: World, *lost: str) -> tuple[Bound, Unreadable]:
    """Binds, of which these can't have their passwords."""
    made = Bound(world, "one", QUICK)
    keyring = Unreadable(made, *lost)
    made.binds = Binds(replace(world.deps, keyring=keyring), made.hands, "one", QUICK)
    return made, keyring


async def looks(bound: Bound, amount: int) -> None:
    """Waits for so many looks at the configuration from now on."""
    wanted = bound.hands.lanes.count("binds") + amount
    async with asyncio.timeout(10.0):
        while bound.hands.lanes.count("binds") < wanted:
            await asyncio.sleep(0.01)


def test_a_password_that_can_not_be_read_is_one_connectors_affair(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc)
        configure(world, smsc, "other")
        bound, keyring = locked(world, "other")
        await bound.binds.start()
        await bound.are("bound")
        await looks(bound, 3)
        assert [row["connector"] for row in bound.binds.states()] == ["smsc"]
        keyring.lost = {"smsc"}  # what was read stays known, also when it is changed
        configure(world, smsc, window=3)
        await bound.are("bound", "bound")
        await looks(bound, 3)
        assert [row["window"] for row in bound.binds.states()] == [50, 50]
        keyring.lost = set()
        async with asyncio.timeout(10.0):
            while bound.binds.states()[1]["window"] != 3:
                await asyncio.sleep(0.01)
        await bound.binds.close(1.0)

    run(scene())


@pytest.mark.parametrize("body", [b"", b"{", b'{"name": "other", "kind": 7}', b'{"name": "smsc"}'])
def test_a_record_that_can_not_be_read_ends_no_bind(
    run: Run, world: World, smsc: Smsc, body: bytes
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await bound.are("bound")
            assert world.bare.store.put_config("upstream", "other", body, 0)
            await looks(bound, 3)
            assert await works(bound)
            if b"smsc" in body:
                return
            configure(world, smsc, window=3)  # and others can be changed still
            async with asyncio.timeout(10.0):
                while bound.binds.states()[0]["window"] != 3:
                    await asyncio.sleep(0.01)
            assert smsc.lines() == [1]

    run(scene())


def test_a_look_that_lasts_does_not_keep_leases_from_being_renewed(
    run: Run, world: World, smsc: Smsc
) -> None:
    timing = replace(QUICK, lease=2.0, renew=0.1, lapse=0.5)

    async def scene() -> None:
        async with binding(world, smsc, timing=timing) as bound:
            await bound.are("bound")
            slow: list[Callable[[], None]] = []
            do = bound.hands.do

            def hold_looks(lane: str, work: Callable[[], Any], done: Any) -> None:
                if lane == "binds":
                    slow.append(partial(do, lane, work, done))
                else:
                    do(lane, work, done)

            bound.hands.do = hold_looks  # type: ignore[method-assign] # a look that is under way
            began = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < began + 2.5:  # longer than a lease
                await asyncio.sleep(0.05)
                world.now += 0.05
            assert len(slow) == 1
            assert smsc.lines() == [1]
            assert await works(bound)
            for one in slow:
                one()

    run(scene())


def test_more_and_fewer_binds_leave_the_others_alone(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound(1)
            configure(world, smsc, binds=3)
            await smsc.bound(3)
            configure(world, smsc, binds=1, window=2, per_second=1000)
            await smsc.bound(1)
            assert smsc.lines() == [1]
            await bound.are("bound")
            assert await works(bound)
            assert bound.binds.states()[0]["window"] == 2

    run(scene())


def test_a_change_binds_anew_once_what_was_in_flight_is_answered(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.answering = lambda _: Said(after=0.5)

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            work = asyncio.ensure_future(bound.exchange(plain(3)))
            await smsc.until(lambda: len(smsc.taken) == 3)
            configure(world, smsc, system_type="VMA")
            assert all(isinstance(one, Reached) for one in await work)
            await smsc.until(lambda: len(smsc.asked) == 2)
            assert smsc.unbound == [1]
            assert smsc.asked[1].bind.system_type == "VMA"

    run(scene())


def test_a_paused_connector_stays_bound_and_takes_nothing(
    run: Run, world: World, smsc: Smsc
) -> None:
    paused = [Unreached("the connector is paused", sent=False)]

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            configure(world, smsc, upstream={"paused": True})
            while await bound.exchange(plain()) != paused:
                await asyncio.sleep(0.005)
            assert bound.states() == ["bound"]
            configure(world, smsc, upstream={"paused": False})
            while await bound.exchange(plain()) == paused:
                await asyncio.sleep(0.005)
            assert len(smsc.asked) == 1

    run(scene())


def test_a_connector_whose_settings_make_no_sense_harms_no_other(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, "broken", window="wide")
        async with binding(world, smsc) as bound:
            await bound.are("bound")
            assert await works(bound)

    run(scene())


# --- leases --------------------------------------------------------------------------------------


def test_two_tasks_never_hold_the_same_bind_and_one_takes_over_what_the_other_gives_back(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc, binds=2) as first:
            await first.are("bound", "bound")
            async with binding(world, smsc, holder="two") as second:
                looks = len(second.hands.lanes)
                while len(second.hands.lanes) < looks + 5:
                    await asyncio.sleep(0.01)
                assert second.states() == ["elsewhere", "elsewhere"]
                assert await second.exchange(plain()) == [Unreached("no bind", sent=False)]
                assert (first.binds.carries, second.binds.carries) == (True, False)
                assert len(smsc.asked) == 2
                await first.binds.close(1.0)
                await second.are("bound", "bound")
                assert smsc.unbound == [1, 2]
                assert await works(second)

    run(scene())


def test_a_lease_that_ran_out_is_taken_over(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        configure(world, smsc)
        store = world.deps.engine.store
        assert store.lease("bind#smsc#1", "who died", world.now + 30.0, world.now)
        async with binding(world, smsc) as bound:
            await bound.are("elsewhere")
            world.now += 30.0
            await bound.are("bound")

    run(scene())


def test_a_bind_whose_lease_can_not_be_renewed_is_closed_before_it_runs_out(
    run: Run, world: World, smsc: Smsc
) -> None:
    short = Timing(look=0.05, renew=0.1, lease=1.0, lapse=0.4, goodbye=0.1, first_pause=0.05)

    async def scene() -> None:
        async with binding(world, smsc, timing=short) as bound:
            await smsc.bound()
            asked_at = time.monotonic()
            bound.hands.held = held = list[Callable[[], None]]()  # nothing is done any more
            await smsc.bound(0)
            assert smsc.unbound == [1]
            assert 0.2 < time.monotonic() - asked_at < 1.0
            bound.hands.held = None
            for work in held:
                work()
            await bound.are("bound")

    run(scene())


def test_a_bind_whose_lease_is_anothers_by_now_ends_at_once(
    run: Run, world: World, smsc: Smsc
) -> None:
    often = replace(QUICK, renew=0.05)
    smsc.answering = lambda _: SILENT

    async def scene() -> None:
        async with binding(world, smsc, timing=often) as bound:
            await smsc.bound()
            work = asyncio.ensure_future(bound.exchange(plain(2)))
            await smsc.until(lambda: len(smsc.taken) == 2)
            world.now += 31.0  # it had slept for so long
            store = world.deps.engine.store
            assert store.lease("bind#smsc#1", "another", world.now + 30.0, world.now)
            assert all(isinstance(one, Unreached) and one.sent for one in await work)
            await smsc.bound(0)
            await bound.are("elsewhere")

    run(scene())


# --- the end -------------------------------------------------------------------------------------


def test_closing_waits_for_what_is_in_flight_and_unbinds(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.answering = lambda _: Said(after=0.3)

    async def scene() -> None:
        async with binding(world, smsc, window=2) as bound:
            await smsc.bound()
            work = asyncio.ensure_future(bound.exchange(plain(3)))
            await smsc.until(lambda: len(smsc.taken) == 2)
            await bound.binds.close(5.0)
            first, second, third = await work
            assert isinstance(first, Reached)
            assert isinstance(second, Reached)
            assert third == Unreached("the gateway is closing", sent=False)
            assert smsc.unbound == [1]
            assert await bound.exchange(plain()) == [third]

    run(scene())


def test_closing_does_not_wait_longer_than_it_is_told(run: Run, world: World, smsc: Smsc) -> None:
    smsc.answering = lambda _: SILENT
    smsc.answers_unbind = False

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            work = asyncio.ensure_future(bound.exchange(plain(2, timeout=60.0)))
            await smsc.until(lambda: len(smsc.taken) == 2)
            async with asyncio.timeout(5.0):
                await bound.binds.close(0.1)
            assert all(isinstance(one, Unreached) and one.sent for one in await work)

    run(scene())
