"""The workers: queue messages become SQS events for the functions that the template names.

Everything runs in the loop's one thread; a batch in hand is a greenlet. What brings messages to
their end comes before what begins new ones, so that load at the front never starves the back.
"""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from node.gateway import Function
from node.template import Consumer, Timer
from node.template import Function as FunctionSpec
from node.turns import Taking
from node.waiting import can_wait, start
from recado.engine import Received
from recado.engine.embedded.queue import EmbeddedQueue
from recado.observability import log

# In this order: receipts and reports first, then what is new.
_PRIORITY = ("Inbound", "Notify", "Expand", "Submit", "SubmitBulk")
# What upstreams tell is dealt with in the same unit of work that makes it durable, where that can
# be: what it changes is written, and its queue message not at all. Right for Track alone, which
# touches nothing outside the engine. (Dispatch and Notify speak to the world.)
_EARLY = ("Inbound",)
_BATCHES_IN_HAND = 64  # of one queue
_FEW = {"SubmitBulk": 4, "Expand": 2}  # of what is many: the others wait in the file
_OF_ONE_GROUP = 16  # so that one slow customer leaves room for the others; of few, half of them
_TICK = 0.1
_SINGLE = "Submit"  # the queue of single messages
_PAUSE = 1.0  # until a batch comes again that could not be put away: the disk may be full


def _most(consumer: Consumer) -> int:
    return _FEW.get(consumer.queue, _BATCHES_IN_HAND)


def _most_of_one_group(queue: str) -> int:
    return _FEW[queue] // 2 if queue in _FEW else _OF_ONE_GROUP


class Workers:
    """Runs the consumers and timers of a template over an embedded engine."""

    def __init__(
        self,
        consumers: Sequence[Consumer],
        timers: Sequence[Timer],
        functions: Mapping[str, Function],
        queue: EmbeddedQueue,
        turns: Taking,
    ) -> None:
        self._turns = turns
        order = {name: place for place, name in enumerate(_PRIORITY)}
        self._consumers = sorted(consumers, key=lambda c: order.get(c.queue, len(order)))
        self._timers, self._functions = timers, functions
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._in_hand: Counter[str] = Counter()
        self._of_group: Counter[tuple[str, str]] = Counter()
        self._timing: set[str] = set()
        self._pumping = False
        self._stopping = False
        self._idle = asyncio.Event()
        self._ticker: asyncio.TimerHandle | None = None
        self._next: dict[str, float] = {}

    def start(self) -> None:
        """Begins; what the directory holds from an earlier life is taken up first."""
        self._queue.on_ready = self.wake
        self._queue.hand_on_early(_EARLY, self._pump_early)
        self._tick()

    @property
    def problem(self) -> str | None:
        """Why nothing is taken up, or None."""
        if self._stopping:
            return "stopping"
        return "not started" if self._ticker is None else None

    def wake(self) -> None:
        """Something may be waiting: looks for it in the loop's next turn."""
        if not self._pumping and not self._stopping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _tick(self) -> None:
        if self._stopping:
            return
        self.wake()
        now = self._loop.time()
        for timer in self._timers:
            if now >= self._next.get(timer.function, 0.0) and timer.function not in self._timing:
                # A minute on AWS is a second here: nothing is billed by the call.
                self._next[timer.function] = now + timer.every / 60.0
                self._timing.add(timer.function)
                start(partial(self._run_timer, timer.function))
        self._ticker = self._loop.call_later(_TICK, self._tick)

    def _run_timer(self, function: str) -> None:
        try:
            self._functions[function]({}, None)
        except Exception:  # noqa: S110 - `observed` has logged it; the next tick tries again
            pass
        finally:
            self._timing.discard(function)
            self._check_idle()

    def _pump(self) -> None:
        self._pumping = False
        for consumer in self._consumers:
            self._take_all(consumer)

    def _pump_early(self) -> None:
        """Right before a commit. Within a greenlet no other can begin: then it is as if late."""
        for consumer in self._consumers:
            if consumer.queue in _EARLY and not can_wait():
                self._take_all(consumer)

    def _take_all(self, consumer: Consumer) -> None:
        queue, size, most = consumer.queue, consumer.batch_size, _most(consumer)
        while not self._stopping and self._in_hand[queue] < most:
            rows = self._queue.receive(queue, size, self._busy_groups(queue))
            if not rows:
                break
            self._take_up(consumer, rows)

    def _busy_groups(self, queue: str) -> set[str]:
        most = _most_of_one_group(queue)
        return {
            group
            for (name, group), batches in self._of_group.items()
            if name == queue and batches >= most
        }

    def _take_up(self, consumer: Consumer, rows: Sequence[Received]) -> None:
        lane = (consumer.queue, rows[0].group)
        self._in_hand[consumer.queue] += 1
        if consumer.queue == _SINGLE:
            self._turns.begins()
        self._of_group[lane] += 1

        def work() -> None:
            try:
                self._run(consumer.function, rows)
            except BaseException:
                log.exception("a batch could not be put away", extra={"queue": consumer.queue})
                self._loop.call_later(_PAUSE, self._queue.give_back, rows)
            finally:
                self._in_hand[consumer.queue] -= 1
                if consumer.queue == _SINGLE:
                    self._turns.ends()
                self._of_group[lane] -= 1
                if not self._of_group[lane]:
                    del self._of_group[lane]
                self._check_idle()
                self.wake()

        start(work)

    def _run(self, function: str, rows: Sequence[Received]) -> None:
        try:
            answer = self._functions[function](sqs_event(rows), None)
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        except Exception:  # `observed` has logged it; as on SQS, the whole batch comes again
            failed = {row.id for row in rows}
        bad = [row for row in rows if row.id in failed]
        if bad:
            self._queue.failed(bad)
        good = [row for row in rows if row.id not in failed] if bad else rows
        if good:
            self._queue.done(good)

    def _check_idle(self) -> None:
        if not any(self._in_hand.values()) and not self._timing:
            self._idle.set()

    async def stop(self, grace_seconds: float) -> bool:
        """Takes nothing new in hand and waits for what is: whether all of it came to its end."""
        self._stopping = True
        if self._ticker:
            self._ticker.cancel()
        self._idle.clear()
        self._check_idle()
        if self._idle.is_set():
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), grace_seconds)
        except TimeoutError:
            return False
        return True


def sqs_event(rows: Sequence[Received]) -> dict[str, Any]:
    """The event that Lambda would get for these messages, all of one queue and group."""
    source = f"arn:aws:sqs:local:000000000000:{rows[0].queue}"
    attributes = {n: _attributes(n, rows[0].group) for n in {row.receives for row in rows}}
    return {
        "Records": [
            {
                "messageId": row.id,
                "body": row.body,
                "attributes": attributes[row.receives],
                "eventSource": "aws:sqs",
                "eventSourceARN": source,
            }
            for row in rows
        ]
    }


def _attributes(receives: int, group: str) -> dict[str, str]:
    counted = {"ApproximateReceiveCount": str(receives)}
    return {**counted, "MessageGroupId": group} if group else counted


def load_functions(specs: Mapping[str, FunctionSpec]) -> dict[str, Callable[..., Any]]:
    """The handlers that the template names, each from its own folder."""
    loaded = {}
    for name, function in specs.items():
        path = function.folder / f"{function.module}.py"
        spec = importlib.util.spec_from_file_location(f"recado_function_{name}", path)
        assert spec is not None  # noqa: S101 - a .py file always has a spec
        assert spec.loader is not None  # noqa: S101 - and a loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded[name] = getattr(module, function.attribute)
    return loaded
