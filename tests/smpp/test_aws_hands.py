"""Hands on AWS: what comes together goes together, in its lane's order, and is answered when it is
durable."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recado import accept, operations
from recado.dialects import Ask, Wish, zoug
from recado.engine.aws.units import UnitQueue, in_units
from recado.errors import Misconfigured
from recado.message import Key
from recado.numbers import Numbering
from recado.settings import Settings
from recado.wiring import Deps, assemble
from smpp.aws_hands import ABREAST, AT_ONCE, AwsHands, bind_queues, deps_for_container
from smpp.hands import SESSION
from tests.support.aws import Account
from tests.support.world import START

DAY = 86_400.0


class Aws:
    """An account, dependencies over it, and the bodies that SQS has taken, call by call."""

    def __init__(self) -> None:
        self.account = Account(START, ("Submit",))
        self.clients = self.account.clients()
        self.calls: list[list[str]] = []
        self.deps = self._deps()
        self._asked: list[str] = []
        self.on("before-parameter-build", self._ask)
        self.on("after-call", self._note)

    def _deps(self) -> Deps:
        engine = in_units(self.account.engine(lambda: START, 90 * DAY, self.clients))
        return assemble(engine, b"pepper", lambda _: [], Settings(), lambda: START)

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        self._asked = [entry["MessageBody"] for entry in params["Entries"]]

    def _note(self, **_: Any) -> None:
        self.calls.append(self._asked)

    def on(self, event: str, work: Callable[..., Any]) -> None:
        self.clients.sqs.meta.events.register(f"{event}.sqs.SendMessageBatch", work)

    def put(self, body: str) -> Callable[[], str]:
        """A work that puts this on a queue."""

        def work() -> str:
            self.deps.engine.queue.send("Submit", [body], "ana")
            return f"result of {body}"

        return work


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.account.close()


@asynccontextmanager
async def _hands(aws: Aws, threads: int = 1) -> AsyncIterator[AwsHands]:
    """With one thread by default: moto knows no others."""
    hands = AwsHands(aws.deps, asyncio.get_running_loop(), threads)
    yield hands
    await hands.close()


def _run(aws: Aws, test: Callable[[AwsHands], Awaitable[None]], threads: int = 1) -> None:
    async def whole() -> None:
        async with _hands(aws, threads) as hands:
            await test(hands)

    asyncio.run(whole())


class Answers:
    """What works were answered, in the order in which they were."""

    def __init__(self, wanted: int) -> None:
        self.told: dict[int, tuple[Any, BaseException | None]] = {}
        self._wanted, self.all = wanted, asyncio.Event()

    def to(self, number: int) -> Callable[[Any, BaseException | None], None]:
        def done(result: Any, problem: BaseException | None) -> None:
            assert number not in self.told
            self.told[number] = (result, problem)
            if len(self.told) == self._wanted:
                self.all.set()

        return done


# --- one session ---------------------------------------------------------------------------------


def test_a_hundred_submits_of_one_packet_share_ten_calls(aws: Aws) -> None:
    async def test(hands: AwsHands) -> None:
        answers = Answers(100)
        for n in range(100):
            hands.do("session", aws.put(f"{n:03}"), answers.to(n))
        assert not answers.told
        await answers.all.wait()
        assert list(answers.told.items()) == [(n, (f"result of {n:03}", None)) for n in range(100)]

    _run(aws, test)
    assert list(map(len, aws.calls)) == [10] * 10
    assert [body for call in aws.calls for body in call] == [f"{n:03}" for n in range(100)]


def test_a_line_of_real_submits_costs_a_call_for_each_ten(aws: Aws) -> None:
    operations.costcentre_create(aws.deps, name="Ana", login="ana", password="segredo")
    [cost_centre] = [
        found for found in [aws.deps.directory.authenticate("Basic YW5hOnNlZ3JlZG8=")] if found
    ]
    ask = Ask(wishes=(Wish("5534998887755", "oi"),), numbering=Numbering())
    aws.calls.clear()

    async def test(hands: AwsHands) -> None:
        work = partial(accept.accept, ask, cost_centre, zoug.NAME, aws.deps)
        accepted = await asyncio.gather(*(hands.run(work, "session") for _ in range(25)))
        assert len({one.id for one in accepted}) == 25
        assert aws.deps.engine.store.records([Key(cost_centre.id, accepted[0].id)]) == [None]

    _run(aws, test)
    assert list(map(len, aws.calls)) == [10, 10, 5]


def test_nothing_is_answered_before_its_own_call_was_answered(aws: Aws) -> None:
    early: list[int] = []

    async def test(hands: AwsHands) -> None:
        answers = Answers(60)

        def done(number: int, result: Any, problem: BaseException | None) -> None:
            if not any(str(number) in call for call in aws.calls):
                early.append(number)
            answers.to(number)(result, problem)

        for n in range(60):
            hands.do("session", aws.put(str(n)), partial(done, n))
            if n % 7 == 0:
                await asyncio.sleep(0)
        await answers.all.wait()

    _run(aws, test)
    assert early == []
    assert sum(map(len, aws.calls)) == 60


def test_what_comes_while_a_lanes_works_are_under_way_is_done_together_next(aws: Aws) -> None:
    async def test(hands: AwsHands) -> None:
        began, may_end, answers = threading.Event(), threading.Event(), Answers(26)

        def first() -> None:
            began.set()
            assert may_end.wait(30)
            aws.put("first")()

        hands.do("session", first, answers.to(0))
        await asyncio.to_thread(began.wait)
        for n in range(1, 26):
            hands.do("session", aws.put(str(n)), answers.to(n))
            await asyncio.sleep(0)
        assert not answers.told
        may_end.set()
        await answers.all.wait()
        assert list(answers.told) == list(range(26))

    _run(aws, test)
    assert list(map(len, aws.calls)) == [1, 10, 10, 5]


def test_no_more_than_so_many_are_done_before_the_first_is_answered(aws: Aws) -> None:
    async def test(hands: AwsHands) -> None:
        answered = threading.Event()
        answers = Answers(AT_ONCE + 1)

        def done(result: Any, problem: BaseException | None) -> None:
            answered.set()
            answers.to(0)(result, problem)

        hands.do("session", lambda: None, done)
        for n in range(1, AT_ONCE):
            hands.do("session", lambda: None, answers.to(n))
        hands.do("session", lambda: answered.wait(30), answers.to(AT_ONCE))
        await answers.all.wait()
        assert answers.told[AT_ONCE] == (True, None)

    _run(aws, test)


def test_a_work_that_fails_is_answered_so_and_the_others_as_they_went(aws: Aws) -> None:
    def fails() -> None:
        aws.put("half of it")()
        raise ZeroDivisionError

    async def test(hands: AwsHands) -> None:
        answers = Answers(3)
        for n, work in enumerate([aws.put("a"), fails, aws.put("b")]):
            hands.do("session", work, answers.to(n))
        await answers.all.wait()
        result, problem = answers.told.pop(1)
        assert result is None
        assert isinstance(problem, ZeroDivisionError)
        assert answers.told == {0: ("result of a", None), 2: ("result of b", None)}

    _run(aws, test)
    assert aws.calls == [["a", "b"]]


def test_a_work_whose_message_is_not_taken_is_answered_with_why(aws: Aws) -> None:
    calls = iter(range(1, 100))

    def fail(**_: Any) -> None:
        if next(calls) == 2:
            raise ConnectionAbortedError

    aws.on("before-call", fail)

    async def test(hands: AwsHands) -> None:
        answers = Answers(25)
        for n in range(25):
            hands.do("session", aws.put(str(n)), answers.to(n))
        await answers.all.wait()
        failed = [n for n, (_, problem) in answers.told.items() if problem is not None]
        assert failed == list(range(10, 20))
        assert isinstance(answers.told[10][1], ConnectionAbortedError)

    _run(aws, test)
    assert list(map(len, aws.calls)) == [10, 5]


def test_an_answer_that_can_not_be_given_keeps_no_other(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(hands: AwsHands) -> None:
        answers = Answers(2)

        def breaks(*_: Any) -> None:
            raise ZeroDivisionError

        hands.do("session", lambda: 0, answers.to(0))
        hands.do("session", lambda: 1, breaks)
        hands.do("session", lambda: 2, answers.to(2))
        await answers.all.wait()

    _run(aws, test)
    assert "what waited for a work failed" in caplog.text


def test_works_of_a_session_that_wait_go_side_by_side_and_share_calls(aws: Aws) -> None:
    """As those that each ask DynamoDB for a limit a second."""
    meeting = threading.Barrier(ABREAST)

    def work(n: int) -> int:
        meeting.wait(30)  # raises where not so many are under way at once
        aws.put(f"{n:02}")()
        return n

    async def test(hands: AwsHands) -> None:
        lane, amount = f"{SESSION}1", 6 * ABREAST
        works = [hands.run(partial(work, n), lane) for n in range(amount)]
        assert await asyncio.gather(*works) == list(range(amount))

    _run(aws, test, threads=ABREAST)
    assert list(map(len, aws.calls)) == [10, 10, 4]


def test_in_any_other_lane_one_work_follows_another(aws: Aws) -> None:
    order: list[str] = []

    def work(n: int) -> None:
        order.append(f"{n} begins")
        threading.Event().wait(0.001)
        order.append(f"{n} ends")

    async def test(hands: AwsHands) -> None:
        await asyncio.gather(*(hands.run(partial(work, n), "leases") for n in range(10)))

    _run(aws, test, threads=ABREAST)
    assert order == [f"{n} {what}" for n in range(10) for what in ("begins", "ends")]


# --- several sessions ----------------------------------------------------------------------------


def test_lanes_go_side_by_side(aws: Aws) -> None:
    together = threading.Barrier(4)

    async def test(hands: AwsHands) -> None:
        meet = partial(together.wait, 30)
        places = await asyncio.gather(*(hands.run(meet, f"session {n}") for n in range(4)))
        assert sorted(places) == [0, 1, 2, 3]

    _run(aws, test, threads=4)


def test_no_more_lanes_than_threads_go_at_once_and_each_has_its_turn(aws: Aws) -> None:
    lock = threading.Lock()
    present: list[int] = [0, 0]
    order: dict[int, list[int]] = {lane: [] for lane in range(7)}

    def work(lane: int, number: int) -> None:
        with lock:
            present[0] += 1
            present[1] = max(present)
            order[lane].append(number)
        threading.Event().wait(0.002)
        with lock:
            present[0] -= 1

    async def test(hands: AwsHands) -> None:
        works = [(lane, number) for number in range(20) for lane in range(7)]
        await asyncio.gather(
            *(hands.run(partial(work, *one), f"session {one[0]}") for one in works)
        )

    _run(aws, test, threads=3)
    assert present == [0, 3]
    assert order == {lane: list(range(20)) for lane in range(7)}


def test_a_lane_with_much_to_do_lets_the_others_have_their_turns(aws: Aws) -> None:
    order: list[str] = []

    async def test(hands: AwsHands) -> None:
        much = [hands.run(partial(order.append, "much"), "much") for _ in range(3 * AT_ONCE)]
        little = hands.run(partial(order.append, "little"), "little")
        await asyncio.gather(*much, little)

    _run(aws, test)
    assert order.index("little") == AT_ONCE


# --- beginning and end ---------------------------------------------------------------------------


def test_who_waits_for_a_work_is_told_its_result_or_what_it_raised(aws: Aws) -> None:
    async def test(hands: AwsHands) -> None:
        assert await hands.run(aws.put("a")) == "result of a"
        assert aws.calls == [["a"]]
        with pytest.raises(ValueError, match="nothing"):
            await hands.run(partial(int, "nothing"))

    _run(aws, test)


def test_who_has_stopped_waiting_is_no_trouble(aws: Aws) -> None:
    async def test(hands: AwsHands) -> None:
        began, may_end = threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            assert may_end.wait(30)

        waiting = asyncio.ensure_future(hands.run(work))
        await asyncio.to_thread(began.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_end.set()
        assert await hands.run(lambda: "the next") == "the next"

    _run(aws, test)


def test_closing_waits_for_all_that_was_taken_and_refuses_the_rest(aws: Aws) -> None:
    async def test() -> None:
        hands = AwsHands(aws.deps, asyncio.get_running_loop(), 1)
        answers = Answers(150)
        for n in range(150):
            hands.do("session", aws.put(str(n)), answers.to(n))
        await hands.close()
        assert [problem for _, problem in answers.told.values()] == [None] * 150
        with pytest.raises(ConnectionAbortedError):
            await hands.run(lambda: "too late")
        await hands.close()

    asyncio.run(test())
    assert sum(map(len, aws.calls)) == 150


def test_a_container_has_units_of_work_binds_and_a_keyring(aws: Aws) -> None:
    environment = {**aws.account.environment(), "RECADO_KEYRING_PREFIX": "recado/upstreams"}
    deps = deps_for_container(environment, aws.clients)
    assert isinstance(deps.engine.queue, UnitQueue)
    assert deps.holds_binds
    deps.keyring.put("a", "b")
    assert deps_for_container(environment, aws.clients).keyring.get("a") == "b"


def test_the_queues_of_the_binds_are_asked_with_patience_and_once(aws: Aws) -> None:
    """SQS takes as long as a receive may wait, and the connection has to last longer."""
    environment = {
        "RECADO_QUEUE_SMPP": "https://sqs.example/smpp",
        "RECADO_QUEUE_SMPP_BULK": "https://sqs.example/smpp-bulk",
    }
    source = bind_queues(environment, aws.clients, 20)
    client: Any = source._clients.sqs
    config, others = client.meta.config, cast(Any, aws.clients.sqs).meta.config
    assert config.read_timeout >= 20 + others.read_timeout
    assert config.retries["total_max_attempts"] == 1
    assert others.retries["total_max_attempts"] == 3
    assert (config.user_agent, config.region_name) == (others.user_agent, others.region_name)
    asked: list[dict[str, Any]] = []

    def answered(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        asked.append(json.loads(params["body"]))
        return SimpleNamespace(status_code=200), {"Messages": []}

    client.meta.events.register("before-call.sqs.ReceiveMessage", answered)
    for queue in ("Smpp", "SmppBulk"):
        assert source.receive(queue, 10) == []
    assert [(it["QueueUrl"], it["WaitTimeSeconds"]) for it in asked] == [
        (url, 20) for url in environment.values()
    ]
    for missing in environment:
        with pytest.raises(Misconfigured, match=missing):
            bind_queues({**environment, missing: ""}, aws.clients, 20)


def test_hands_need_units_of_work(aws: Aws) -> None:
    engine = aws.account.engine(lambda: START, 90 * DAY, aws.clients)
    bare = assemble(engine, b"pepper", lambda _: [], Settings(), lambda: START)

    async def test() -> None:
        AwsHands(bare, asyncio.get_running_loop(), 1)

    with pytest.raises(Misconfigured, match="units of work"):
        asyncio.run(test())
