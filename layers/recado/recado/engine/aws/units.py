"""Units of work on AWS: what several works put on queues goes in as few calls as it can.

SQS takes ten messages a call and bills calls, and a call takes milliseconds: so a hundred messages
that come over one connection at once are put on their queue by ten calls, not by a hundred. A work
is over, and may be answered, when its messages were taken.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from recado.engine import Depth, Engine, Entry, Held, Received, Remembered, Store
from recado.engine.aws.parallel import Many, one_by_one
from recado.engine.aws.queue import Posting, SQSQueue, postings_of

Work: TypeAlias = Callable[[], Any]


class Done(Struct, frozen=True):
    """What came of a work: its result, or why it failed or its messages were not taken."""

    result: Any = None
    problem: BaseException | None = None


class _Doing:
    """A work of a unit."""

    __slots__ = ("afterwards", "problem", "result", "unsent")

    def __init__(self) -> None:
        self.unsent: list[tuple[str, Posting]] = []
        self.afterwards: list[Callable[[], None]] = []
        self.result: Any = None
        self.problem: BaseException | None = None

    def fail(self, problem: BaseException) -> None:
        """Nothing more of it goes: it will be done again, by whoever asked for it."""
        self.problem = self.problem or problem
        self.unsent, self.afterwards = [], []


class UnitQueue:
    """recado.engine.Queue over SQS. Within a unit, which is one thread's, `send` keeps what it is
    given until the unit's end, or until it is flushed; outside of one it sends at once."""

    def __init__(self, queue: SQSQueue) -> None:
        self._queue = queue
        self._local = threading.local()

    def together(
        self, works: Sequence[Work], many: Many = one_by_one, abreast: int = 1
    ) -> list[Done]:
        """Does the works one after another, and then sends what all of them have put on queues. For
        each what came of it. One that raises fails alone, and what it has not sent yet is dropped;
        where a message is not taken, its work fails. With `abreast` above one so many are done at
        the same time, by `many`; they still begin in their order."""
        unit = [_Doing() for _ in works]
        ahead = deque(zip(unit, works, strict=True))
        many(self._do, [ahead] * min(abreast, len(works)))
        self._local.unit = unit
        try:
            self._send_all(unit)
        finally:
            self._local.unit = None
        return [Done(None if it.problem else it.result, it.problem) for it in unit]

    def _do(self, ahead: deque[tuple[_Doing, Work]]) -> None:
        """Does what nobody has begun yet, until nothing is left."""
        begun: list[_Doing] = []
        self._local.unit = begun
        try:
            while ahead:
                try:
                    doing, work = ahead.popleft()
                except IndexError:  # another thread was faster
                    break
                begun.append(doing)
                try:
                    doing.result = work()
                except Exception as problem:
                    doing.fail(problem)
        finally:
            self._local.unit = None

    def flush(self) -> None:
        """Within a unit: sends what is unsent. Raises where the present work has failed by it."""
        unit = self._unit()
        if not unit:
            return
        self._send_all(unit)
        if unit[-1].problem is not None:
            raise unit[-1].problem

    def after_sending(self, act: Callable[[], None]) -> None:
        """Does what presupposes that the present work's messages were taken: once they are, and
        not at all where they are not."""
        unit = self._unit()
        if unit and unit[-1].unsent:
            unit[-1].afterwards.append(act)
        else:
            act()

    def _unit(self) -> list[_Doing] | None:
        unit: list[_Doing] | None = getattr(self._local, "unit", None)
        return unit

    def _send_all(self, unit: Sequence[_Doing]) -> None:
        unsent = [(it, *one) for it in unit for one in it.unsent]
        for it in unit:
            it.unsent = []
        for queue in dict.fromkeys(queue for _, queue, _ in unsent):
            of_it = [(it, posting) for it, name, posting in unsent if name == queue]
            self._send_to(queue, of_it)
        for it in unit:
            acts, it.afterwards = it.afterwards, []
            try:
                for act in acts:
                    act()
            except Exception as problem:
                it.fail(problem)

    def _send_to(self, queue: str, unsent: Sequence[tuple[_Doing, Posting]]) -> None:
        try:
            told = self._queue.send_each(queue, [posting for _, posting in unsent])
        except Exception as problem:  # there is no such queue
            told = [problem] * len(unsent)
        for (it, _), why_not in zip(unsent, told, strict=True):
            if why_not is not None:
                it.fail(why_not)

    # --- recado.engine.Queue ---------------------------------------------------------------------

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        unit = self._unit()
        if unit:
            unit[-1].unsent += [(queue, one) for one in postings_of(bodies, group, delay)]
        else:
            self._queue.send(queue, bodies, group, delay)

    def bury(self, queue: str, body: str, group: str) -> None:
        self._queue.bury(queue, body, group)

    def receive(self, queue: str, limit: int) -> list[Received]:
        return self._queue.receive(queue, limit)

    def done(self, received: Sequence[Received]) -> None:
        self.after_sending(partial(self._queue.done, received))

    def depths(self) -> list[Depth]:
        return self._queue.depths()

    def redrive(self, queue: str) -> int:
        return self._queue.redrive(queue)


class _UnitStore:
    """A store whose writes that come after a message was queued wait until it is."""

    def __init__(self, store: Store, queue: UnitQueue) -> None:
        self._store, self._queue = store, queue
        self._charging: dict[str, threading.Lock] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def mark_queued(self, entry: Remembered) -> None:
        self._queue.after_sending(partial(self._store.mark_queued, entry))

    def charge(self, entry: Entry, held: Held) -> int | None:
        # One after another: two transactions on one balance refuse each other, and try again later.
        with self._charging.setdefault(entry.cost_centre, threading.Lock()):
            return self._store.charge(entry, held)

    def release(self, held: Sequence[Held]) -> None:
        self._queue.after_sending(partial(self._store.release, held))

    def settle(self) -> None:
        self._queue.flush()
        self._store.settle()


def in_units(engine: Engine) -> Engine:
    """The engine on AWS, with units of work; its queue is a UnitQueue."""
    queue = UnitQueue(cast(SQSQueue, engine.queue))
    store = cast(Store, _UnitStore(engine.store, queue))
    return msgspec.structs.replace(engine, store=store, queue=queue)
