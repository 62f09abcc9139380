"""The workers over a real queue: batches in hand, failures, fairness, and the end."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.gateway import Function
from node.installation import TEMPLATE
from node.template import Consumer, Timer, read_template
from node.turns import Taking
from node.waiting import wait
from node.workers import Workers, load_functions, sqs_event
from recado.engine import Depth, Received
from recado.engine.embedded import DATABASE_NAME
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue, Policy

QUEUES = ("Submit", "Inbound", "Notify", "Expand", "SubmitBulk")


class Yard(Struct, frozen=True):
    """Workers over a queue, whose clock the test moves."""

    workers: Workers
    queue: EmbeddedQueue
    database: Database
    now: list[float]

    def depth(self, name: str = "Submit") -> Depth:
        return next(depth for depth in self.queue.depths() if depth.queue == name)

    async def until(self, condition: Callable[[], object]) -> None:
        """Looks once a turn of the loop: the workers tell nobody what they did."""
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def yard(
    folder: Path,
    function: Function,
    *,
    batch_size: int = 1,
    timers: Sequence[Timer] = (),
    starts: bool = True,
    **others: Function,
) -> AsyncIterator[Yard]:
    """Workers whose queues all go to `function`."""
    database = Database(folder / DATABASE_NAME)
    now = [1_000.0]
    policies = {name: Policy(visibility=240.0, max_receives=3) for name in QUEUES}
    queue = EmbeddedQueue(database, policies, lambda: now[0])
    database.schedule = asyncio.get_running_loop().call_soon
    consumers = [Consumer(name, "function", batch_size, 0.0) for name in QUEUES]
    workers = Workers(consumers, timers, {"function": function, **others}, queue, Taking())
    if starts:
        workers.start()
    try:
        yield Yard(workers, queue, database, now)
    finally:
        await workers.stop(5.0)
        database.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), 30.0)

    asyncio.run(whole())


def bodies(event: dict[str, Any]) -> list[str]:
    return [record["body"] for record in event["Records"]]


def failures(*identifiers: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


class Gate:
    """A handler that waits for its customer's gate to be opened, as for an upstream."""

    def __init__(self) -> None:
        self.opened: dict[str, asyncio.Future[None]] = {}
        self.waiting: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: list[str] = []

    def close(self, group: str) -> None:
        self.opened[group] = asyncio.get_running_loop().create_future()

    def open(self, group: str) -> None:
        self.opened.pop(group).set_result(None)

    def __call__(self, event: dict[str, Any], _context: Any) -> dict[str, Any]:
        group = event["Records"][0]["attributes"]["MessageGroupId"]
        self.waiting[group] += 1
        self.most[group] = max(self.most[group], self.waiting[group])
        if group in self.opened:
            wait(asyncio.shield(self.opened[group]))
        self.waiting[group] -= 1
        self.done += bodies(event)
        return failures()


def full(database: Database, *, is_full: bool) -> None:
    """The file may not grow, as where the disk is full; or it may again."""
    used = database.connection.execute("PRAGMA page_count").fetchone()[0]
    most = used if is_full else 1_000_000
    database.connection.execute(f"PRAGMA max_page_count = {most}")


def test_an_event_is_what_sqs_gives_to_lambda() -> None:
    rows = [Received("7", "Submit", "ana", "{}", 2), Received("8", "Submit", "ana", "[]", 1)]
    records = sqs_event(rows)["Records"]
    assert json.loads(json.dumps(records)) == records
    assert records[0] == {
        "messageId": "7",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "2", "MessageGroupId": "ana"},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:local:000000000000:Submit",
    }
    assert records[1]["messageId"] == "8"
    [record] = sqs_event([Received("9", "Inbound", "", "{}")])["Records"]
    assert record["attributes"] == {"ApproximateReceiveCount": "1"}


def test_every_function_of_the_template_is_loaded_each_from_its_own_folder() -> None:
    wiring = read_template(TEMPLATE)
    functions = load_functions(wiring.functions)
    assert set(functions) == set(wiring.functions)
    assert len({id(function) for function in functions.values()}) == len(functions)


def test_what_a_handler_dealt_with_is_gone_and_what_it_names_as_failed_comes_again(
    tmp_path: Path,
) -> None:
    seen: list[tuple[str, str]] = []

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        for record in event["Records"]:
            seen.append((record["body"], record["attributes"]["ApproximateReceiveCount"]))
        return failures(*[r["messageId"] for r in event["Records"] if r["body"] == "bad"])

    async def test() -> None:
        async with yard(tmp_path, handler, batch_size=10) as place:
            place.queue.send("Submit", ["good", "bad", "fine"], "ana")
            await place.until(lambda: len(seen) == 3 and place.depth().delayed == 1)
            assert place.depth().ready == 0
            place.now[0] += 1.0
            await place.until(lambda: len(seen) == 4 and place.depth().delayed == 1)
            place.now[0] += 2.0
            await place.until(lambda: place.depth().dead == 1)
            assert seen == [("good", "1"), ("bad", "1"), ("fine", "1"), ("bad", "2"), ("bad", "3")]
            assert (place.depth().ready, place.depth().delayed) == (0, 0)

    run(test)


@pytest.mark.parametrize("answer", [RuntimeError, KeyError, None, {}, {"batchItemFailures": [{}]}])
def test_a_handler_that_raises_or_answers_nonsense_gets_its_whole_batch_again(
    tmp_path: Path, answer: Any
) -> None:
    batches: list[list[str]] = []

    def handler(event: dict[str, Any], _context: Any) -> Any:
        batches.append(bodies(event))
        if len(batches) > 1:
            return failures()
        if isinstance(answer, type):
            raise answer
        return answer

    async def test() -> None:
        async with yard(tmp_path, handler, batch_size=10) as place:
            place.queue.send("Submit", ["a", "b"], "ana")
            await place.until(lambda: place.depth().delayed == 2)
            place.now[0] += 1.0
            await place.until(lambda: sorted(chain(*batches[1:])) == ["a", "b"])
            await place.until(lambda: place.depth().delayed == 0)
            assert (place.depth().ready, place.depth().dead) == (0, 0)

    run(test)


def test_batches_hold_one_customers_messages_alone_and_no_more_than_the_template_says(
    tmp_path: Path,
) -> None:
    batches: list[tuple[str, list[str]]] = []

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        groups = {record["attributes"]["MessageGroupId"] for record in event["Records"]}
        assert len(groups) == 1
        batches.append((groups.pop(), bodies(event)))
        return failures()

    async def test() -> None:
        async with yard(tmp_path, handler, batch_size=4) as place:
            for group in ("ana", "rui"):
                place.queue.send("Submit", [f"{group}{n}" for n in range(6)], group)
            await place.until(lambda: sum(len(bodies) for _, bodies in batches) == 12)
            assert {len(bodies) for _, bodies in batches} == {4, 2}
            assert all(body.startswith(group) for group, bodies in batches for body in bodies)

    run(test)


def test_a_slow_customer_leaves_room_for_the_others(tmp_path: Path) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            gate.close("slow")
            place.queue.send("Submit", [f"slow{n}" for n in range(200)], "slow")
            await place.until(lambda: gate.waiting["slow"])
            place.queue.send("Submit", [f"fast{n}" for n in range(200)], "fast")
            await place.until(lambda: len(gate.done) == 200)
            assert {body[:4] for body in gate.done} == {"fast"}
            assert gate.most["slow"] == 16
            gate.open("slow")
            await place.until(lambda: len(gate.done) == 400)
            assert place.depth().ready == 0

    run(test)


@pytest.mark.parametrize(("queue", "most"), [("Expand", 1), ("SubmitBulk", 2)])
def test_a_customer_of_large_lists_leaves_room_where_few_are_in_hand(
    tmp_path: Path, queue: str, most: int
) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            gate.close("slow")
            place.queue.send(queue, [f"slow{n}" for n in range(9)], "slow")
            await place.until(lambda: gate.waiting["slow"] == most)
            place.queue.send(queue, [f"fast{n}" for n in range(9)], "fast")
            await place.until(lambda: len(gate.done) == 9)
            assert {body[:4] for body in gate.done} == {"fast"}
            assert gate.most["slow"] == most
            gate.open("slow")
            await place.until(lambda: len(gate.done) == 18)

    run(test)


def test_many_slow_customers_have_a_bound_in_common_and_another_queue_has_its_own(
    tmp_path: Path,
) -> None:
    gate = Gate()
    slow = [f"slow{number}" for number in range(10)]

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            for group in slow:
                gate.close(group)
                place.queue.send("Submit", ["x"] * 20, group)
            await place.until(lambda: sum(gate.waiting.values()) == 64)
            place.queue.send("Inbound", ["receipt"], "simulator")
            await place.until(lambda: gate.done == ["receipt"])
            assert sum(gate.waiting.values()) == 64
            assert all(gate.waiting[group] for group in slow)
            for group in slow:
                gate.open(group)
            await place.until(lambda: len(gate.done) == 201)

    run(test)


def test_receipts_and_reports_come_before_what_is_new(tmp_path: Path) -> None:
    order: list[str] = []

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        order.extend(bodies(event))
        return failures()

    async def test() -> None:
        async with yard(tmp_path, handler, starts=False) as place:
            place.queue.send("Submit", ["new"], "ana")
            place.queue.send("Notify", ["report"], "ana")
            place.queue.send("Inbound", ["receipt"], "simulator")
            place.database.commit()
            place.workers.start()
            await place.until(lambda: len(order) == 3)
            assert order == ["receipt", "report", "new"]

    run(test)


def test_what_upstreams_tell_is_dealt_with_in_the_unit_that_makes_it_durable(
    tmp_path: Path,
) -> None:
    seen: list[tuple[str, int]] = []
    told: list[tuple[BaseException | None, list[tuple[str, int]]]] = []

    async def test() -> None:
        places: list[Yard] = []

        def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
            seen.extend((body, places[0].database.commits) for body in bodies(event))
            return failures()

        async with yard(tmp_path, handler) as place:
            places.append(place)
            before = place.database.commits
            place.queue.send("Inbound", ["receipt"], "")
            place.queue.send("Notify", ["report"], "ana")
            place.queue.send("Submit", ["single"], "ana")
            place.database.then(lambda problem: told.append((problem, list(seen))))
            await place.until(lambda: len(seen) == 3)
            assert told == [(None, [("receipt", before)])]
            assert seen == [("receipt", before), ("report", before + 1), ("single", before + 1)]

    run(test)


def test_what_upstreams_tell_is_written_where_its_handler_waits_beyond_the_commit(
    tmp_path: Path,
) -> None:
    done: list[str] = []

    async def test() -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
            wait(asyncio.shield(opened))
            done.extend(bodies(event))
            return failures()

        async with yard(tmp_path, handler) as place:
            place.queue.send("Inbound", ["receipt"], "")
            await place.until(lambda: place.depth("Inbound").ready == 1)
            assert place.database.read("SELECT body FROM queue") == [("receipt",)]
            opened.set_result(None)
            await place.until(lambda: done == ["receipt"] and not place.depth("Inbound").ready)
            assert place.database.read("SELECT body FROM queue") == []

    run(test)


def test_where_that_unit_is_lost_the_upstream_is_told_and_nothing_is_left_to_be_done(
    tmp_path: Path,
) -> None:
    told: list[bool] = []

    async def test() -> None:
        places: list[Yard] = []

        def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
            if bodies(event) == ["receipt"]:
                places[0].queue.send("Expand", ["x" * 20_000], "ana")
            return failures()

        async with yard(tmp_path, handler) as place:
            places.append(place)
            full(place.database, is_full=True)
            place.queue.send("Inbound", ["receipt"], "")
            place.database.then(lambda problem: told.append(problem is None))
            await place.until(lambda: told)
            assert [depth.ready for depth in place.queue.depths()] == [0] * len(QUEUES)
            full(place.database, is_full=False)
            place.queue.send("Inbound", ["receipt"], "")
            place.database.then(lambda problem: told.append(problem is None))
            await place.until(lambda: len(told) == 2)
            assert told == [False, True]

    run(test)


def test_stopping_leaves_what_upstreams_tell_for_the_next_life(tmp_path: Path) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            assert await place.workers.stop(1.0) is True
            place.queue.send("Inbound", ["receipt"], "ana")
            place.database.commit()
            assert place.depth("Inbound").ready == 1
        async with yard(tmp_path, gate) as place:
            await place.until(lambda: gate.done == ["receipt"])

    run(test)


def test_what_an_earlier_life_left_is_taken_up_first(tmp_path: Path) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate, starts=False) as place:
            place.queue.send("Submit", ["earlier"], "ana")
        assert gate.done == []
        async with yard(tmp_path, gate) as place:
            place.queue.send("Submit", ["later"], "ana")
            await place.until(lambda: len(gate.done) == 2)
            assert gate.done == ["earlier", "later"]

    run(test)


def test_stopping_waits_for_what_is_in_hand_and_takes_up_nothing_new(tmp_path: Path) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            gate.close("ana")
            place.queue.send("Submit", ["in hand"], "ana")
            await place.until(lambda: gate.waiting["ana"])
            stopping = asyncio.ensure_future(place.workers.stop(20.0))
            await asyncio.sleep(0)
            place.queue.send("Submit", ["too late"], "rui")
            done, _ = await asyncio.wait([stopping], timeout=0.3)
            assert not done
            gate.open("ana")
            assert await stopping is True
            assert gate.done == ["in hand"]
            place.database.commit()
            assert (place.depth().ready, place.depth().delayed) == (1, 0)

    run(test)


def test_stopping_with_nothing_in_hand_is_done_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with yard(tmp_path, Gate()) as place:
            assert await place.workers.stop(0.0) is True

    run(test)


def test_what_outlasts_the_grace_is_left_for_the_next_life(tmp_path: Path) -> None:
    gate = Gate()

    async def test() -> None:
        async with yard(tmp_path, gate) as place:
            gate.close("ana")
            place.queue.send("Submit", ["slow"], "ana")
            await place.until(lambda: gate.waiting["ana"])
            assert await place.workers.stop(0.05) is False
            assert place.depth().ready == 1
            gate.open("ana")
            await place.until(lambda: gate.done)

    run(test)


def test_a_timer_is_called_again_and_again_but_never_beside_itself(tmp_path: Path) -> None:
    calls, beside = [], []

    async def test() -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def slow(_event: Any, _context: Any) -> None:
            calls.append("slow")
            wait(asyncio.shield(opened))

        def broken(_event: Any, _context: Any) -> None:
            calls.append("broken")
            beside.append(calls.count("slow"))
            raise RuntimeError

        # A minute of the template's is a second on one machine.
        timers = [Timer("slow", 0.6), Timer("broken", 0.6)]
        async with yard(tmp_path, Gate(), timers=timers, slow=slow, broken=broken) as place:
            await place.until(lambda: calls.count("broken") >= 3)
            assert beside == [1] * len(beside)
            assert await place.workers.stop(0.01) is False
            opened.set_result(None)
            assert await place.workers.stop(5.0) is True

    run(test)


def test_a_batch_whose_end_can_not_be_written_comes_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    """A full disk costs a second try, and neither a message nor one of its receives."""
    seen: list[tuple[str, str]] = []

    async def test() -> None:
        places: list[Yard] = []

        def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
            for record in event["Records"]:
                seen.append((record["body"], record["attributes"]["ApproximateReceiveCount"]))
            if len(seen) == 1:
                full(places[0].database, is_full=True)
            else:
                full(places[0].database, is_full=False)
            places[0].queue.send("Notify", ["x" * 20_000], "ana")
            return failures()

        async with yard(tmp_path, handler, starts=False) as place:
            places.append(place)
            place.queue.send("Submit", ["one"], "ana")
            place.database.commit()
            place.workers.start()
            await place.until(lambda: len(seen) >= 2)
            assert seen[:2] == [("one", "1"), ("one", "1")]
            await place.until(lambda: not place.depth().ready)

    run(test)
