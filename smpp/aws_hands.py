"""Hands on AWS: threads, since each call to AWS is a wait of milliseconds.

What comes in a lane while its last works are under way is done together, by one thread, and its
queue messages go in batches. So the more a session sends, the fewer calls a message costs; and one
that sends little waits for nobody. Of a session's works some go side by side, for each may wait for
a call of its own (a limit a second, a quota).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, TypeVar

from recado import dispatch
from recado.engine.aws import named
from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import in_threads, one_by_one
from recado.engine.aws.queue import SQSQueue
from recado.engine.aws.units import Done as Outcome
from recado.engine.aws.units import UnitQueue, Work, in_units
from recado.errors import Misconfigured
from recado.observability import log
from recado.wiring import Deps, on_aws
from smpp.hands import SESSION, Done

Result = TypeVar("Result")

AT_ONCE = 100  # works of a lane that are done together
ABREAST = 4  # of a session's, how many at the same time


def deps_for_container(environment: Mapping[str, str], clients: Clients) -> Deps:
    """The dependencies of a process that holds binds and works in many threads. Raises
    Misconfigured, naming the variable that is missing."""
    # Here, since a session makes its clients in one thread.
    _ = clients.dynamodb, clients.sqs, clients.s3, clients.secrets
    return on_aws(environment, clients, holds_binds=True, shaped=in_units)


def bind_queues(environment: Mapping[str, str], clients: Clients, wait: int) -> SQSQueue:
    """The queues of what goes over binds: their receives wait so many seconds for a message. Raises
    Misconfigured, naming the variable that is missing."""
    urls = {
        dispatch.BIND_QUEUE: named(environment, "RECADO_QUEUE_SMPP"),
        dispatch.BIND_BULK_QUEUE: named(environment, "RECADO_QUEUE_SMPP_BULK"),
    }
    waiting = clients.waiting(wait)
    _ = waiting.sqs  # as above
    return SQSQueue(waiting, urls, {}, one_by_one, wait)


class AwsHands:
    """smpp.hands.Hands, with so many threads at most. Used in the loop's thread alone. Raises
    Misconfigured where the dependencies have no units of work (`deps_for_container` has)."""

    def __init__(self, deps: Deps, loop: asyncio.AbstractEventLoop, threads: int) -> None:
        queue = deps.engine.queue
        if not isinstance(queue, UnitQueue):
            raise Misconfigured("these hands need an engine on AWS with units of work")
        self._queue, self._loop = queue, loop
        self._pool = ThreadPoolExecutor(threads, "hands")
        self._abreast = in_threads(threads)
        self._free = threads
        self._lanes: dict[str, deque[tuple[Work, Done]]] = {}  # those that have something to do
        self._turns: deque[str] = deque()  # of these, the ones that no thread is busy with
        self._numbers = count()
        self._called = self._closed = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    def do(self, lane: str, work: Work, done: Done) -> None:
        if self._closed:
            closed = ConnectionAbortedError("the service has ended")
            self._loop.call_soon(done, None, closed)
            return
        if lane not in self._lanes:
            self._lanes[lane] = deque()
            self._turns.append(lane)
            self._at_rest.clear()
        self._lanes[lane].append((work, done))
        self._call()

    async def run(self, work: Callable[[], Result], lane: str = "") -> Result:
        """The result of a work once it is durable; by default in a lane of its own. Raises what it
        raised, or why it could not be made durable."""
        told: asyncio.Future[Result] = self._loop.create_future()

        def done(result: Any, problem: BaseException | None) -> None:
            if told.done():  # who waited for it was cancelled
                return
            if problem is None:
                told.set_result(result)
            else:
                told.set_exception(problem)

        self.do(lane or f"run {next(self._numbers)}", work, done)
        return await told

    async def close(self) -> None:
        """Takes nothing more, and returns when all that was taken is done."""
        self._closed = True
        await self._at_rest.wait()
        self._pool.shutdown()

    # --- lanes -----------------------------------------------------------------------------------

    def _call(self) -> None:
        # At the end of the loop's turn, so that all the requests of one packet go together.
        if not self._called:
            self._called = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._called = False
        while self._free and self._turns:
            name = self._turns.popleft()
            lane = self._lanes[name]
            taken = [lane.popleft() for _ in range(min(len(lane), AT_ONCE))]
            self._free -= 1
            works = [work for work, _ in taken]
            abreast = ABREAST if name.startswith(SESSION) else 1
            future = self._pool.submit(self._queue.together, works, self._abreast, abreast)
            future.add_done_callback(partial(self._from_thread, name, [done for _, done in taken]))

    def _from_thread(
        self, lane: str, waiting: Sequence[Done], future: Future[list[Outcome]]
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended, lane, waiting, future)

    def _ended(self, lane: str, waiting: Sequence[Done], future: Future[list[Outcome]]) -> None:
        self._free += 1
        if self._lanes[lane]:
            self._turns.append(lane)  # behind those that have waited
        else:
            del self._lanes[lane]
        self._begin()
        problem = future.exception()
        outcomes = [Outcome(problem=problem)] * len(waiting) if problem else future.result()
        for done, outcome in zip(waiting, outcomes, strict=True):
            _tell(done, outcome)
        if not self._lanes:
            self._at_rest.set()


def _tell(done: Done, outcome: Outcome) -> None:
    try:
        done(outcome.result, outcome.problem)
    except Exception:  # one answer that can't be given must not keep the others
        log.exception("what waited for a work failed")
