"""The engines that have to pass the contract suite, each behind the same small harness.

Another engine is one more entry in ENGINES: an Installation, which is opened with the harness's
clock, let go without a goodbye, and opened again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from recado.engine import Blobs, Engine, Queue, Received, Store
from recado.engine.embedded import open_engine
from recado.engine.embedded.queue import Policy
from recado.ids import derived_id
from recado.message import Batch, Key, Message, Reply, State
from tests.support.aws import Account, EmulatedAccount, queue_policy
from tests.support.emulator import NO_EMULATOR, Emulator, available
from tests.support.remote_engine import Remote

START = 1_780_000_000.0
DAY = 86_400.0
RETENTION = 90 * DAY
QUEUES = ("Inbound", "Notify", "Submit")
SERVICES = ("dynamodb", "s3", "secretsmanager", "sqs")

Clock: TypeAlias = Callable[[], float]


class Installation(Protocol):
    """What an engine is opened on, and what stays of it when its process dies."""

    visibility: float  # of the queue Submit
    max_receives: int
    expires_by_itself: bool  # its tables have a time to live

    def open(self) -> Engine:
        """As a new process does it."""

    def let_go(self) -> None:
        """The process dies."""

    def at(self, now: float) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Nobody will open it again."""


class Embedded:
    visibility, max_receives, expires_by_itself = 240.0, 3, False

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def open(self) -> Engine:
        policies = {queue: Policy(self.visibility, self.max_receives) for queue in QUEUES}
        engine, self._database = open_engine(self._folder, policies, self._clock, RETENTION)
        return engine

    def let_go(self) -> None:
        self._database.connection.close()

    def at(self, now: float) -> None:
        """It is asked of the clock."""

    close = let_go


class OverALink(Embedded):
    """The embedded engine as a node's front has it: in another process, at the end of a link."""

    def open(self) -> Engine:
        self._remote = Remote(super().open(), self._database)
        return self._remote.engine

    def let_go(self) -> None:
        self._remote.close()
        super().let_go()

    close = let_go


class AWS:
    visibility, max_receives = queue_policy("Submit")
    expires_by_itself = True

    def __init__(self, account: Account | EmulatedAccount, clock: Clock) -> None:
        self._account, self._clock = account, clock

    def open(self) -> Engine:
        return self._account.engine(self._clock, RETENTION)

    def let_go(self) -> None:
        """Nothing is in hand that a process could lose."""

    def at(self, now: float) -> None:
        self._account.at(now)

    def close(self) -> None:
        self._account.close()


def _aws_on_ministack(request: pytest.FixtureRequest, clock: Clock) -> Installation:
    emulator: Emulator = request.getfixturevalue("emulator")
    return AWS(EmulatedAccount(emulator, clock(), QUEUES), clock)


def _aws_on_moto(_: pytest.FixtureRequest, clock: Clock) -> Installation:
    return AWS(Account(clock(), QUEUES), clock)


def _embedded(request: pytest.FixtureRequest, clock: Clock) -> Installation:
    return Embedded(request.getfixturevalue("tmp_path"), clock)


def _over_a_link(request: pytest.FixtureRequest, clock: Clock) -> Installation:
    return OverALink(request.getfixturevalue("tmp_path"), clock)


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Clock], Installation]] = {
    "aws-on-ministack": _aws_on_ministack,
    "aws-on-moto": _aws_on_moto,
    "embedded": _embedded,
    "embedded-over-a-link": _over_a_link,
}


class Harness:
    """An engine with a clock that the test moves."""

    start, retention = START, RETENTION

    def __init__(self, name: str, request: pytest.FixtureRequest) -> None:
        self.now = START
        self.installation = ENGINES[name](request, lambda: self.now)
        self.visibility = self.installation.visibility
        self.max_receives = self.installation.max_receives
        self.expires_by_itself = self.installation.expires_by_itself
        self._engine = self.installation.open()

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
        self.installation.at(self.now)

    def reopen(self) -> None:
        """The process dies, and another one starts on what it left."""
        self.installation.let_go()
        self._engine = self.installation.open()

    def close(self) -> None:
        self.installation.close()

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


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One for all tests, which empty it behind them. Its clock is moved by them."""
    if not available():
        pytest.skip(NO_EMULATOR)
    started = Emulator(tmp_path_factory.mktemp("emulator"), SERVICES, clock=START)
    yield started
    started.close()


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Harness]:
    harness = Harness(request.param, request)
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
