"""The container killed at each step of a packet's way from the queue to its end, and told to end in
the midst of it: nothing is lost, and a message goes twice only where nobody can know whether it
went."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recado.engine import Blobs, Engine, Queue, Store
from recado.message import State
from smpp.container import Container
from smpp.pump import Source
from tests.support.aws_world import AwsWorld
from tests.support.smpp_container import Scene, one_at_a_time
from tests.support.smsc import SILENT, Said, Smsc
from tests.support.smsc_binds import configure

# By then its leases, its claims and what it had in hand are anybody's.
LATER = 125.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one_at_a_time(monkeypatch)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with AwsWorld(tmp_path) as aws, Smsc() as smsc:
        yield Scene(aws, smsc)


class Dead(Exception):
    """The process is no more: it asks AWS for nothing."""


class Life:
    """Of a process, until a call of this name: before it or after it, that is its end."""

    def __init__(self, last: str, *, after: bool) -> None:
        self._last, self._after = last, after
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.armed = False

    def wrap(self, engine: Engine) -> Engine:
        return Engine(
            store=cast(Store, _Part(engine.store, self)),
            queue=cast(Queue, _Part(engine.queue, self)),
            blobs=cast(Blobs, _Part(engine.blobs, self)),
        )

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        with self._lock:
            dead = self.over.is_set()
            dies = self.armed and not dead and name == self._last
            if dies:
                self.over.set()
        if dead:
            raise Dead
        if not dies:
            return work()
        if self._after:
            work()
        raise Dead


class _Part:
    """Store, Queue, Blobs or the container's source, of a process that may die."""

    def __init__(self, part: object, life: Life) -> None:
        self._part, self._life = part, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)

        def called(*args: Any) -> Any:
            if name == "receive":
                return self._received(*args)
            step = "" if args and args[0] == [] else name  # nothing is written
            return self._life.call(step, lambda: method(*args))

        return called

    def _received(self, queue: str, limit: int) -> Any:
        """A receive that finds nothing is no step."""
        rows = self._life.call("", lambda: cast(Source, self._part).receive(queue, limit))
        return self._life.call("receive", lambda: rows) if rows else rows


async def _buried(container: Container) -> None:
    """Its sessions end with it, and its leases stay."""
    binds = container.service.binds
    for task in binds._watching:
        task.cancel()
    for carrier in binds._carriers.values():
        for slot in carrier.slots.values():
            slot.cut()
    await container.close()


async def _sent(scene: Scene) -> str:
    identifier = await scene.by_http()
    await scene.functions()
    return identifier


def _is_at_its_end(scene: Scene, identifier: str) -> bool:
    record = scene.world.record(identifier)
    return record is not None and record.state is State.ENROUTE and scene.left("Smpp") == 0


STEPS = [
    ("receive", True, 1),
    ("create", False, 1),  # its claim
    ("create", True, 1),
    ("put_refs", False, 2),  # the SMSC has it, and nobody knows
    ("put_refs", True, 2),
    ("replace", False, 2),
    ("replace", True, 1),  # its outcome
    ("send", False, 1),  # that there is something to tell the customer
    ("send", True, 1),
    ("done", False, 1),
    ("done", True, 1),
]


@pytest.mark.parametrize(
    ("step", "after", "submits"),
    STEPS,
    ids=[f"{'after' if after else 'before'} {step}" for step, after, _ in STEPS],
)
def test_a_kill_at_any_step_loses_nothing(
    scene: Scene, step: str, after: bool, submits: int
) -> None:
    life = Life(step, after=after)

    async def test() -> None:
        doomed = await scene.begun(scene.deps(life.wrap), cast(Source, _Part(scene.source(), life)))
        await scene.smsc.bound()
        life.armed = True
        identifier = await _sent(scene)
        assert await asyncio.to_thread(life.over.wait, 20.0)
        await _buried(doomed)
        scene.aws.at(scene.world.now + LATER)
        following = await scene.started()
        try:
            await scene.until(lambda: _is_at_its_end(scene, identifier))
        finally:
            await following.close()
        assert len(scene.smsc.taken) == submits
        scene.aws.at(scene.world.now + 31)  # what is told again waits for what may be on its way
        await scene.functions()
        told = [report["type"] for report in scene.world.reports(identifier)]
        assert told == [1]
        assert scene.world.dead_letters() == 0

    asyncio.run(test())


# --- told to end ---------------------------------------------------------------------------------


def test_what_is_in_hand_has_its_outcome_before_the_container_ends(scene: Scene) -> None:
    scene.smsc.answering = lambda _: Said(after=0.5)

    async def test() -> None:
        container = await scene.started()
        identifier = await _sent(scene)
        await scene.smsc.until(lambda: len(scene.smsc.taken) == 1)
        await container.close()
        assert _is_at_its_end(scene, identifier)
        assert len(scene.smsc.taken) == 1

    asyncio.run(test())


def test_what_an_smsc_does_not_answer_comes_again_after_the_end(scene: Scene) -> None:
    """Perhaps it went: after its connector's time-out it is uncertain, and sent again."""
    configure(scene.world, scene.smsc, upstream={"submit_timeout": 0.5})
    scene.smsc.answering = lambda _: SILENT

    async def test() -> None:
        container = await scene.started()
        identifier = await _sent(scene)
        await scene.smsc.until(lambda: len(scene.smsc.taken) == 1)
        await container.close()
        assert scene.left("Smpp") == 0
        assert scene.left("Submit") == 1
        scene.smsc.answering = lambda _: Said()
        following = await scene.started()
        try:
            scene.aws.at(scene.world.now + LATER)
            await scene.functions()
            await scene.until(lambda: _is_at_its_end(scene, identifier))
        finally:
            await following.close()
        assert len(scene.smsc.taken) == 2

    asyncio.run(test())
