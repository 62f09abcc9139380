"""Two tasks of the container over one account: one carries the binds and takes what goes over them,
the other stands by until they are given back, or until their leases run out."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from recado.engine import Received
from recado.engine.aws.queue import SQSQueue
from recado.http import Outgoing
from recado.message import State
from recado.smpp import pdu as wire
from smpp.container import _FEW_BATCHES, Container
from smpp.crossing import Answer
from tests.support.aws_world import AwsWorld
from tests.support.smpp_asking import submit_multi
from tests.support.smpp_container import Scene, one_at_a_time
from tests.support.smpp_wire import Wire
from tests.support.smsc import Smsc

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one_at_a_time(monkeypatch)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with AwsWorld(tmp_path) as aws, Smsc() as smsc:
        yield Scene(aws, smsc)


class Watched:
    """A task's queues, and what it took off them."""

    def __init__(self, source: SQSQueue) -> None:
        self._source = source
        self.asked: set[str] = set()
        self.took: list[str] = []

    def receive(self, queue: str, limit: int) -> list[Received]:
        self.asked.add(queue)
        rows = self._source.receive(queue, limit)
        self.took += [row.queue for row in rows]
        return rows

    def done(self, received: Sequence[Received]) -> None:
        self._source.done(received)

    def give_back(self, received: Sequence[Received]) -> None:
        self._source.give_back(received)


class Two:
    """Two tasks; the first has the binds."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.sources = [Watched(scene.source()), Watched(scene.source())]
        self.tasks: list[Container] = []

    async def __aenter__(self) -> "Two":
        for source in self.sources:
            self.tasks.append(await self.scene.begun(source=source))
        await self.scene.smsc.bound()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            await task.close()

    def carrying(self) -> list[bool]:
        """Which of them carry the binds."""
        return [task.service.binds.carries for task in self.tasks]

    async def send(self, amount: int) -> list[str]:
        """So many messages, which dispatch hands on: their ids."""
        identifiers = [await self.scene.by_http() for _ in range(amount)]
        await self.scene.functions()
        return identifiers

    async def have_gone(self, identifiers: Sequence[str]) -> None:
        """Waits until all have, and looks that none has gone twice."""
        world = self.scene.world

        def gone() -> bool:
            records = [world.record(one) for one in identifiers]
            return all(record and record.state is State.ENROUTE for record in records)

        await self.scene.until(gone)
        await self.scene.until(lambda: self.scene.left("Smpp") == 0)
        assert len(self.scene.smsc.taken) == len(identifiers)


async def _killed(task: Container) -> None:
    """As by a kill: it takes nothing more, its sessions end, and it gives nothing back."""
    binds = task.service.binds
    for watching in binds._watching:
        watching.cancel()
    task._single.stop()
    task._bulk.stop()
    for carrier in binds._carriers.values():
        for slot in carrier.slots.values():
            slot.cut()
    await asyncio.sleep(0)


def test_the_one_with_the_binds_takes_all_packets_and_the_other_asks_for_none(
    scene: Scene,
) -> None:
    async def test() -> None:
        async with Two(scene) as two:
            await two.have_gone(await two.send(3))
            assert two.carrying() == [True, False]
            assert two.sources[0].took == ["Smpp"] * 3
            assert two.sources[1].asked == set()

    asyncio.run(test())


def test_customers_of_a_task_that_stands_by_submit_over_the_binds_of_the_other(
    scene: Scene,
) -> None:
    async def test() -> None:
        async with Two(scene) as two:
            customer = await Wire.to(two.tasks[1].service.server.port)
            assert (await customer.bind()).command_status == 0
            numbers = [f"55349988877{n:02}" for n in range(3)]
            answer = await customer.call(wire.SUBMIT_MULTI, submit_multi(*numbers))
            assert answer.command_status == 0
            await scene.functions()
            await scene.smsc.until(lambda: len(scene.smsc.taken) == 3)
            await scene.until(lambda: scene.left("SmppBulk") == 0)
            assert two.sources[0].took == ["SmppBulk"]  # a batch stands before no single message
            await customer.close()

    asyncio.run(test())


def test_who_ends_hands_all_over_at_once_and_what_comes_meanwhile_waits(scene: Scene) -> None:
    async def test() -> None:
        async with Two(scene) as two:
            before = await two.send(2)
            await two.have_gone(before)
            first = two.tasks[0]
            ended = asyncio.ensure_future(first.close())
            meanwhile = await two.send(2)
            await ended
            await scene.smsc.bound()
            await two.have_gone(before + meanwhile)  # and time has not moved
            assert two.carrying() == [False, True]
            assert scene.smsc.unbound == [1]
            two.tasks.remove(first)

    asyncio.run(test())


def test_who_dies_is_followed_when_its_lease_runs_out_and_nothing_is_lost_or_doubled(
    scene: Scene,
) -> None:
    async def test() -> None:
        async with Two(scene) as two:
            before = await two.send(2)
            await two.have_gone(before)
            first, second = two.tasks
            await _killed(first)
            meanwhile = await two.send(3)
            scene.aws.at(scene.world.now + 29)
            looked_at = second.service.binds.looked_at
            await scene.until(lambda: second.service.binds.looked_at > looked_at)
            assert scene.left("Smpp") == 3
            assert not any(two.carrying()[1:])
            scene.aws.at(scene.world.now + 2)
            await two.have_gone(before + meanwhile)
            assert two.carrying()[1]
            assert two.sources[1].took == ["Smpp"] * 3

    asyncio.run(test())


def _batch(scene: Scene, numbers: str) -> None:
    elements = [{"destination_addr": f"{numbers}{n}", "message": "oi"} for n in range(3)]
    assert scene.world.call("POST", "/message/batch", {"list": elements})[0] == 200


def test_a_single_message_overtakes_batches_however_many_are_in_hand(scene: Scene) -> None:
    single = "5534998887701"

    async def test() -> None:
        may_go = asyncio.Event()
        async with Two(scene) as two:
            exchange = two.tasks[0]._crossing
            held = exchange._binds
            assert held is not None

            async def slow(requests: Sequence[Outgoing]) -> Sequence[Answer]:
                if len(requests) > 1:
                    await may_go.wait()
                return await held(requests)

            exchange._binds = slow
            for n in range(10):
                await asyncio.to_thread(_batch, scene, f"55349988800{n}")
            await scene.functions()
            # As many as it may have.
            await scene.until(lambda: two.tasks[0]._bulk._in_hand == _FEW_BATCHES)
            await asyncio.to_thread(scene.world.send, single)
            await scene.functions()
            await scene.smsc.until(lambda: len(scene.smsc.taken) == 1)
            may_go.set()
            await scene.smsc.until(lambda: len(scene.smsc.taken) == 31)
            assert scene.smsc.taken[0].message.destination.digits == single

    asyncio.run(test())
