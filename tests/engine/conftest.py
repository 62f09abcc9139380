"""The engines that have to pass the contract suite, each behind the same small harness.

Another engine is one more entry in ENGINES: a function that opens it on a directory (or under a
prefix of that name) with the harness's clock, and says how it is let go without a goodbye.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from recado.engine import Blobs, Engine, Queue, Received, Store
from recado.engine.embedded import open_engine
from recado.engine.embedded.queue import Policy
from recado.ids import derived_id
from recado.message import Batch, Key, Message, Reply, State

START = 1_780_000_000.0
DAY = 86_400.0
RETENTION = 90 * DAY
VISIBILITY = 240.0
MAX_RECEIVES = 3
QUEUES = ("Inbound", "Notify", "Submit")

Clock: TypeAlias = Callable[[], float]
Opened: TypeAlias = tuple[Engine, Callable[[], None]]


def _open_embedded(folder: Path, clock: Clock) -> Opened:
    policies = {queue: Policy(VISIBILITY, MAX_RECEIVES) for queue in QUEUES}
    engine, database = open_engine(folder, policies, clock, RETENTION)
    return engine, database.connection.close


ENGINES: dict[str, Callable[[Path, Clock], Opened]] = {"embedded": _open_embedded}


class Harness:
    """An engine with a clock that the test moves."""

    start, retention = START, RETENTION
    visibility, max_receives = VISIBILITY, MAX_RECEIVES
    expires_by_itself = False  # true of an engine whose tables have a time to live

    def __init__(self, name: str, folder: Path) -> None:
        self.now = START
        self._open, self._folder = ENGINES[name], folder
        self._engine, self._let_go = self._open(folder, lambda: self.now)

    @property
    def store(self) -> Store:
        return self._engine.store

    @property
    def queue(self) -> Queue:
        return self._engine.queue

    @property
    def blobs(self) -> Blobs:
        return self._engine.blobs

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def reopen(self) -> None:
        """The process dies, and another one starts on what it left."""
        self._let_go()
        self._engine, self._let_go = self._open(self._folder, lambda: self.now)

    def close(self) -> None:
        self._let_go()

    # --- shorthands ------------------------------------------------------------------------------

    def one(self, key: Key) -> Any:
        """A record as it stands."""
        return self.store.records([key])[0]

    def take_all(self, queue: str = "Submit", limit: int = 10) -> list[Received]:
        """Everything that can be received now, done with none of it."""
        taken: list[Received] = []
        while rows := self.queue.receive(queue, limit):
            taken += rows
        return taken

    def drain(self, queue: str = "Submit", limit: int = 10) -> list[str]:
        """The bodies of everything that can be received now, done with all of it."""
        bodies: list[str] = []
        while rows := self.queue.receive(queue, limit):
            bodies += [row.body for row in rows]
            self.queue.done(rows)
        return bodies


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(request.param, tmp_path)
    yield harness
    harness.close()


def id_at(at: float, *origin: str | int) -> str:
    """An id of exactly that millisecond."""
    return derived_id((round(at * 1000) + 0.5) / 1000, *origin)


def message(at: float = START, *origin: str | int, cost_centre: str = "ana", **fields: Any) -> Any:
    """A message due at `at`; a different one for each origin."""
    filled: dict[str, Any] = {
        "dialect": "zoug",
        "state": State.QUEUED,
        "expires_at": at + DAY,
        "accepted_at": at,
        "to": "5534998887755",
        "text": "oi",
        **fields,
    }
    return Message(cost_centre=cost_centre, id=id_at(at, *origin), due_at=at, **filled)


def batch(at: float = START, *origin: str | int, cost_centre: str = "ana") -> Batch:
    return Batch(
        cost_centre=cost_centre,
        id=id_at(at, "batch", *origin),
        dialect="zoug",
        due_at=at,
        accepted_at=at,
        count=2,
    )


def reply(at: float = START, *origin: str | int, cost_centre: str = "ana", **fields: Any) -> Reply:
    filled: dict[str, Any] = {"source": "5534998887755", "text": "sim", **fields}
    return Reply(
        cost_centre=cost_centre,
        id=id_at(at, "reply", *origin),
        dialect="zoug",
        message_id=id_at(at - 60),
        received_at=at,
        **filled,
    )
