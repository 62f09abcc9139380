"""The pump: what Lambda's pollers are to a function's queue, within a process.

One thread receives, others deal with what came, several batches at once. As on Lambda, what a batch
did not fail at is deleted, and the rest comes again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from recado.engine import Received
from recado.observability import log

Work = Callable[[dict[str, Any]], dict[str, Any]]
"""A function's handler, of the event alone: it gives back `batchItemFailures`."""

_PAUSE = 1.0  # seconds until AWS is asked again after it failed, or it is looked whose turn it is


class Source(Protocol):
    """Where the messages come from: queues, the receives of which wait."""

    def receive(self, queue: str, limit: int) -> list[Received]:
        """As a Queue's."""

    def done(self, received: Sequence[Received]) -> None:
        """As a Queue's."""

    def give_back(self, received: Sequence[Received]) -> None:
        """Others may receive them at once."""


class Pump:
    """Brings the messages of a queue to `work`, `batch` of them at most in one event, up to
    `at_once` events at the same time, from `start` to `stop`, while `is_turn` says so. `idle`:
    seconds between receives that find nothing, beyond those that a receive itself waits.
    `heard_at`: when (time.monotonic) AWS last answered."""

    def __init__(
        self,
        source: Source,
        name: str,
        work: Work,
        *,
        is_turn: Callable[[], bool] = lambda: True,
        batch: int = 10,  # SQS gives no more at once
        at_once: int = 8,
        idle: float = 0.0,
    ) -> None:
        self._source, self._name, self._work, self._idle = source, name, work, idle
        self._is_turn, self._batch, self._at_once = is_turn, batch, at_once
        self._changed = threading.Condition()
        self._in_hand = 0
        self._stopping = threading.Event()
        self._receiver = threading.Thread(target=self._run, name=f"pump {name}", daemon=True)
        self._pool = ThreadPoolExecutor(at_once, f"dispatch {name}")
        self.heard_at = time.monotonic()

    def start(self) -> None:
        self._receiver.start()

    def stop(self) -> None:
        """Begins with nothing more. What is in hand goes on: `wait` for it. A receive that is under
        way may wait for long; what it brings is given back: see `ended`."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """After `stop`: whether all that was in hand came to its end within that time. What did
        not comes again, to another process."""
        with self._changed:
            finished = self._changed.wait_for(lambda: not self._in_hand, seconds)
        if finished:
            self._pool.shutdown()
        return finished

    def ended(self, seconds: float) -> bool:
        """After `stop`: whether the last receive ended within that time. Who goes before that may
        take messages along, which come again only when they have been in hand for long enough."""
        self._receiver.join(max(seconds, 0.0))
        return not self._receiver.is_alive()

    def _run(self) -> None:
        while self._has_room():
            rows = self._received()
            if rows and not self._taken(rows):
                self._give_back(rows)

    def _has_room(self) -> bool:
        """Waits for it; not once it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand < self._at_once or self._stopping.is_set())
        return not self._stopping.is_set()

    def _received(self) -> list[Received]:
        if not self._is_turn():
            self.heard_at = time.monotonic()  # AWS was not asked
            self._stopping.wait(_PAUSE)
            return []
        try:
            rows = self._source.receive(self._name, self._batch)
        except Exception:
            log.exception("the queue can't be received from", extra={"queue": self._name})
            self._stopping.wait(_PAUSE)
            return []
        self.heard_at = time.monotonic()
        if not rows:
            self._stopping.wait(self._idle)
        return rows

    def _taken(self, rows: Sequence[Received]) -> bool:
        """Whether it is begun with them: a long receive may end when it is no turn of ours any
        more."""
        with self._changed:
            if self._stopping.is_set() or not self._is_turn():
                return False
            self._in_hand += 1
        self._pool.submit(self._deal, rows)
        return True

    def _give_back(self, rows: Sequence[Received]) -> None:
        try:
            self._source.give_back(rows)
        except Exception:
            log.exception("messages could not be given back", extra={"queue": self._name})

    def _deal(self, rows: Sequence[Received]) -> None:
        try:
            # By their places: a receipt handle is long, and a log line names what failed.
            records = [{"messageId": str(at), "body": row.body} for at, row in enumerate(rows)]
            failures = self._work({"Records": records})["batchItemFailures"]
            failed = {failure["itemIdentifier"] for failure in failures}
            self._source.done([row for at, row in enumerate(rows) if str(at) not in failed])
            self.heard_at = time.monotonic()
        except Exception:
            log.exception("a batch could not be put away", extra={"queue": self._name})
        finally:
            with self._changed:
                self._in_hand -= 1
                self._changed.notify_all()
