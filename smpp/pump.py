"""The pump: what Lambda's pollers are to a function's queue, within a process.

One thread receives, others deal with what came, several batches at once. As on Lambda, what a batch
did not fail at is deleted, and the rest comes again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recado.engine import Queue, Received
from recado.observability import log

Work = Callable[[dict[str, Any]], dict[str, Any]]
"""A function's handler, of the event alone: it gives back `batchItemFailures`."""

_BATCH = 10  # SQS gives no more at once
_PAUSE = 1.0  # seconds until AWS is asked again after it failed, or it is looked whose turn it is


class Pump:
    """Brings the messages of a queue to `work`, from `start` to `stop`, up to `at_once` batches at
    the same time, while `is_turn` says so, which may ask AWS. `idle`: seconds between receives that
    find nothing, beyond those that the queue itself waits. `heard_at`: when (time.monotonic) AWS
    last answered."""

    def __init__(
        self,
        queue: Queue,
        name: str,
        work: Work,
        *,
        is_turn: Callable[[], bool] = lambda: True,
        at_once: int = 8,
        idle: float = 0.0,
    ) -> None:
        self._queue, self._name, self._work, self._idle = queue, name, work, idle
        self._is_turn = is_turn
        self._at_once = at_once
        self._room = threading.Semaphore(at_once)
        self._stopping = threading.Event()
        self._receiver = threading.Thread(target=self._run, name="pump", daemon=True)
        self._pool = ThreadPoolExecutor(at_once, "dispatch")
        self.heard_at = time.monotonic()

    def start(self) -> None:
        self._receiver.start()

    def stop(self) -> None:
        """Receives nothing more. What is in hand goes on: `wait` for it."""
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        """After `stop`: whether all that was in hand came to its end within that time. What did
        not comes again, to another process."""
        over_at = time.monotonic() + seconds
        self._receiver.join(seconds)
        free = 0
        while free < self._at_once:
            if not self._room.acquire(timeout=max(0.0, over_at - time.monotonic())):
                break
            free += 1
        for _ in range(free):
            self._room.release()
        if free == self._at_once:
            self._pool.shutdown()
        return free == self._at_once

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._room.acquire(timeout=1.0):
                continue
            rows = self._received()
            if rows:
                self._pool.submit(self._deal, rows)
            else:
                self._room.release()

    def _received(self) -> list[Received]:
        try:
            is_turn = self._is_turn()
            rows = self._queue.receive(self._name, _BATCH) if is_turn else []
        except Exception:
            log.exception("the queue can't be received from", extra={"queue": self._name})
            self._stopping.wait(_PAUSE)
            return []
        self.heard_at = time.monotonic()
        if not rows:
            self._stopping.wait(self._idle if is_turn else _PAUSE)
        return rows

    def _deal(self, rows: Sequence[Received]) -> None:
        try:
            # By their places: a receipt handle is long, and a log line names what failed.
            records = [{"messageId": str(at), "body": row.body} for at, row in enumerate(rows)]
            failures = self._work({"Records": records})["batchItemFailures"]
            failed = {failure["itemIdentifier"] for failure in failures}
            self._queue.done([row for at, row in enumerate(rows) if str(at) not in failed])
            self.heard_at = time.monotonic()
        except Exception:
            log.exception("a batch could not be put away", extra={"queue": self._name})
        finally:
            self._room.release()
