"""What a worker answers its front: for the engine's operations, the engine does."""

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from node.faces import Behind, mails_waiting
from node.front_words import OPERATIONS, Figures, Page, Worker
from node.health import Readiness
from node.rpc_operations import Respond, Served
from recado.engine import Queue, Store
from recado.observability import counts


class FrontsCounted:
    """What the fronts so far have counted, the last one as far as it has told: no metric that was
    shown goes back when a front is replaced."""

    def __init__(self) -> None:
        self._earlier: Counter[str] = Counter()
        self._last: Mapping[str, int] = {}
        self._earlier_cpu = self._last_cpu = 0.0

    def told(self, so_far: Mapping[str, int], cpu_seconds: float) -> tuple[Counter[str], float]:
        """By the front that runs: what all of them have counted, and their CPU time."""
        self._last, self._last_cpu = so_far, cpu_seconds
        return self._earlier + Counter(so_far), self._earlier_cpu + cpu_seconds

    def ended(self) -> None:
        """The front that ran has ended: the next one counts from 0."""
        self._earlier, self._earlier_cpu = self.told(self._last, self._last_cpu)
        self._last, self._last_cpu = {}, 0.0


class _Answers:
    """node.front_words.Worker, but for `ready`, which is answered after a commit."""

    def __init__(self, behind: Behind, fronts: FrontsCounted) -> None:
        self._behind, self._fronts, self._started_at = behind, fronts, time.time()

    def figures(self, counted: dict[str, int], cpu_seconds: float) -> Figures:
        database, queue = self._behind.database, self._behind.queue
        theirs, their_cpu = self._fronts.told(counted, cpu_seconds)
        return Figures(
            counts=dict(theirs + Counter(counts())),
            depths=queue.depths(),
            ages=queue.ages(),
            commits=database.commits,
            commit_seconds=database.commit_seconds,
            started_at=self._started_at,
            cpu_seconds=time.process_time() + their_cpu,
            mails=mails_waiting(database),
        )

    def ready(self) -> Page:
        raise NotImplementedError


def served(behind: Behind, fronts: FrontsCounted) -> Served:
    """What a front may ask for."""
    engine, then = behind.deps.engine, behind.database.then
    ready = OPERATIONS.of[Worker, "ready"]
    readiness = Readiness(behind.database, behind.workers)
    return {
        **OPERATIONS.served(Store, engine.store, then),
        **OPERATIONS.served(Queue, engine.queue, then),
        **OPERATIONS.served(Worker, _Answers(behind, fronts), then),
        ready.number: (ready, partial(_tell_ready, readiness)),
    }


def _tell_ready(readiness: Readiness, _: tuple[Any, ...], respond: Respond) -> None:
    readiness.tell(lambda status, headers, body: respond(Page(status, dict(headers), body), None))
