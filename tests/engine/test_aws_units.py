"""Units of work on AWS: several works share calls, and each fails alone."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest

from recado.engine import Engine, Entry, Held, Remembered
from recado.engine.aws.parallel import NotAllTaken, in_threads
from recado.engine.aws.units import Done, UnitQueue, Work, in_units
from tests.engine.conftest import RETENTION, START, id_at
from tests.support.aws import Account
from tests.support.metering import Meter

_SENT = "sqs:SendMessageBatch"


class Aws:
    """An account, an engine with units on it, and what that asks."""

    def __init__(self) -> None:
        self.account = Account(START, ("Submit", "Notify"))
        self.clients = self.account.clients()
        self.meter = Meter(self.clients)
        engine = self.account.engine(lambda: START, RETENTION, self.clients)
        self.engine: Engine = in_units(engine)
        self.queue, self.store = cast(UnitQueue, self.engine.queue), self.engine.store

    def calls(self) -> list[list[str]]:
        """The bodies of each call that sent."""
        return [
            [entry["MessageBody"] for entry in call.params["Entries"]]
            for call in self.meter.calls
            if call.action == _SENT
        ]

    def taken(self, queue: str = "Submit") -> list[str]:
        """What lies on a queue."""
        bodies: list[str] = []
        while rows := self.queue.receive(queue, 10):
            bodies += [row.body for row in rows]
        return sorted(bodies)

    def put(self, *bodies: str, queue: str = "Submit", result: Any = None) -> Callable[[], Any]:
        """A work that puts these on a queue, one by one."""

        def work() -> Any:
            for body in bodies:
                self.queue.send(queue, [body], "ana")
            return result

        return work

    def on(self, event: str, work: Callable[..., Any]) -> None:
        self.clients.sqs.meta.events.register(f"{event}.sqs.SendMessageBatch", work)

    def refuses(self, body: str) -> None:
        """SQS refuses one message, and takes the others of its call."""

        asked: list[str] = []

        def note(params: dict[str, Any], **_: Any) -> None:
            asked[:] = [entry["MessageBody"] for entry in params["Entries"]]

        def refuse(parsed: dict[str, Any], **_: Any) -> None:
            if body in asked:
                code = {"Code": "InvalidMessageContents", "SenderFault": True}
                parsed["Failed"] = [{"Id": str(asked.index(body)), **code}]

        self.on("before-parameter-build", note)
        self.on("after-call", refuse)

    def fails_from_call(self, number: int) -> None:
        """No more than the calls before it come through."""
        calls = iter(range(1, 1000))

        def fail(**_: Any) -> None:
            if next(calls) >= number:
                raise ConnectionAbortedError

        self.on("before-call", fail)


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.account.close()


def _problems(told: list[Done]) -> list[str]:
    return [type(one.problem).__name__ if one.problem else "" for one in told]


# --- together ------------------------------------------------------------------------------------


def test_what_a_hundred_works_queue_goes_in_ten_calls(aws: Aws) -> None:
    bodies = [f"{n:03}" for n in range(100)]
    told = aws.queue.together([aws.put(body, result=int(body)) for body in bodies])
    assert [one.result for one in told] == list(range(100))
    assert _problems(told) == [""] * 100
    assert list(map(len, aws.calls())) == [10] * 10
    assert aws.taken() == bodies


def test_nothing_goes_before_the_last_work_is_done(aws: Aws) -> None:
    seen: list[int] = []

    def look(body: str) -> None:
        aws.put(body)()
        seen.append(len(aws.calls()))

    aws.queue.together([partial(look, body) for body in "abc"])
    assert seen == [0, 0, 0]
    assert aws.calls() == [["a", "b", "c"]]


def test_messages_of_all_customers_and_delays_share_calls_and_go_to_their_own_queues(
    aws: Aws,
) -> None:
    def work(n: int) -> None:
        aws.queue.send("Submit", [f"s{n}"], f"customer-{n}", delay=n * 0.5)
        aws.queue.send("Notify", [f"n{n}", f"m{n}"], "")

    aws.queue.together([partial(work, n) for n in range(4)])
    first, second = [call.params["Entries"] for call in aws.meter.calls]
    assert [(e["MessageGroupId"], e.get("DelaySeconds", 0)) for e in first] == [
        ("customer-0", 0),
        ("customer-1", 1),
        ("customer-2", 1),
        ("customer-3", 2),
    ]
    assert len(second) == 8
    assert not any("MessageGroupId" in entry for entry in second)
    assert aws.taken() == ["s0"]
    assert len(aws.taken("Notify")) == 8


def test_a_unit_of_nothing_and_works_that_queue_nothing_ask_for_nothing(aws: Aws) -> None:
    assert aws.queue.together([]) == []
    assert aws.queue.together([lambda: 1, lambda: None]) == [Done(1), Done(None)]
    assert aws.meter.calls == []


def test_outside_of_a_unit_a_message_is_sent_at_once(aws: Aws) -> None:
    aws.queue.send("Submit", ["before"], "ana")
    aws.queue.together([aws.put("within")])
    aws.queue.send("Submit", ["after"], "ana")
    assert aws.calls() == [["before"], ["within"], ["after"]]
    aws.store.settle()
    assert len(aws.calls()) == 3


def test_a_unit_is_its_threads_own(aws: Aws) -> None:
    def another_thread() -> None:
        aws.put("mine")()
        thread = threading.Thread(target=aws.put("another's"))
        thread.start()
        thread.join()

    aws.queue.together([another_thread])
    assert aws.calls() == [["another's"], ["mine"]]


# --- side by side --------------------------------------------------------------------------------


def test_works_side_by_side_begin_in_their_order_and_share_calls_all_the_same(aws: Aws) -> None:
    meeting, begun = threading.Barrier(4), list[int]()

    def work(n: int) -> int:
        begun.append(n)
        meeting.wait(30)  # raises where there are not four at once
        aws.put(f"{n:02}")()
        return n

    works = [partial(work, n) for n in range(24)]
    told = aws.queue.together(works, in_threads(8), abreast=4)
    assert [one.result for one in told] == list(range(24))
    # Each four are under way together: within them the threads' own order is the system's.
    assert [sorted(begun[at : at + 4]) for at in range(0, 24, 4)] == [
        list(range(at, at + 4)) for at in range(0, 24, 4)
    ]
    assert list(map(len, aws.calls())) == [10, 10, 4]


def test_a_work_beside_others_fails_alone_and_one_by_itself_needs_no_other_thread(
    aws: Aws,
) -> None:
    def half() -> None:
        aws.put("half")()
        raise ZeroDivisionError

    works: list[Work] = [aws.put("a", result=1), half, aws.put("b", result=2)]
    told = aws.queue.together(works, in_threads(2), abreast=2)
    assert _problems(told) == ["", "ZeroDivisionError", ""]
    assert aws.taken() == ["a", "b"]
    mine = threading.get_ident()
    [only] = aws.queue.together([threading.get_ident], in_threads(2), abreast=2)
    assert only.result == mine


def test_what_a_work_flushes_beside_others_is_its_own_threads_alone(aws: Aws) -> None:
    flushed, seen = threading.Event(), list[list[list[str]]]()

    def first() -> None:
        aws.put("first")()
        aws.store.settle()
        seen.append(aws.calls())
        flushed.set()

    def second() -> None:
        aws.put("second")()
        assert flushed.wait(30)

    aws.queue.together([second, first], in_threads(2), abreast=2)
    assert seen == [[["first"]]]
    assert aws.calls() == [["first"], ["second"]]


def test_charges_of_one_balance_never_meet(aws: Aws) -> None:
    """On DynamoDB they would refuse each other."""
    aws.store.credit([Entry("ana", id_at(START), "credit", 100, START)])
    under_way, met = threading.Lock(), list[str]()
    events = aws.clients.dynamodb.meta.events

    def began(**_: Any) -> None:
        if not under_way.acquire(blocking=False):
            met.append("two at once")

    events.register("before-call.dynamodb.TransactWriteItems", began)
    events.register("after-call.dynamodb.TransactWriteItems", lambda **_: under_way.release())

    def charge(n: int) -> int | None:
        identifier = id_at(START, n)
        held = Held(identifier, START, "Submit", "ana", "body")
        return aws.store.charge(Entry("ana", identifier, "charge", -1, START), held)

    told = aws.queue.together([partial(charge, n) for n in range(20)], in_threads(4), abreast=4)
    assert _problems(told) == [""] * 20
    assert (met, aws.store.balance("ana")) == ([], 80)


# --- failures ------------------------------------------------------------------------------------


def test_a_work_that_raises_fails_alone_and_what_it_had_queued_is_dropped(aws: Aws) -> None:
    def half() -> None:
        aws.put("half")()
        raise ZeroDivisionError

    told = aws.queue.together([aws.put("a", result=1), half, aws.put("b", result=2)])
    assert _problems(told) == ["", "ZeroDivisionError", ""]
    assert [one.result for one in told] == [1, None, 2]
    assert aws.taken() == ["a", "b"]


def test_a_message_that_sqs_refuses_fails_its_work_and_no_other(aws: Aws) -> None:
    aws.refuses("b2")
    works: list[Work] = [aws.put("a1", "a2"), aws.put("b1", "b2"), aws.put("c1"), lambda: "none"]
    told = aws.queue.together(works)
    assert _problems(told) == ["", "NotAllTaken", "", ""]
    assert isinstance(told[1].problem, NotAllTaken)
    assert told[3].result == "none"


def test_a_call_that_fails_fails_the_works_whose_messages_were_in_it(aws: Aws) -> None:
    aws.fails_from_call(2)
    works: list[Work] = [aws.put(f"{n:02}", result=n) for n in range(25)]
    works.append(lambda: "nothing queued")
    told = aws.queue.together(works)
    assert _problems(told) == [""] * 10 + ["ConnectionAbortedError"] * 15 + [""]
    assert [one.result for one in told[:11]] == [*range(10), None]
    assert aws.taken() == [f"{n:02}" for n in range(10)]


def test_a_work_some_of_whose_messages_were_not_taken_has_failed(aws: Aws) -> None:
    aws.fails_from_call(2)
    told = aws.queue.together(
        [aws.put(*map(str, range(9))), aws.put("last of ten", "first of one")]
    )
    assert _problems(told) == ["", "ConnectionAbortedError"]


def test_a_queue_that_is_not_there_fails_the_works_that_send_to_it(aws: Aws) -> None:
    told = aws.queue.together([aws.put("a"), aws.put("b", queue="Nowhere")])
    assert _problems(told) == ["", "KeyError"]
    assert aws.taken() == ["a"]


def test_after_a_unit_that_failed_the_next_begins_afresh(aws: Aws) -> None:
    aws.fails_from_call(2)
    aws.queue.together([aws.put("a")])
    assert _problems(aws.queue.together([aws.put("b")])) == ["ConnectionAbortedError"]
    assert aws.queue.together([lambda: 1]) == [Done(1)]


def test_a_thread_that_is_stopped_in_the_midst_of_a_unit_leaves_none_behind(aws: Aws) -> None:
    def stop() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        aws.queue.together([aws.put("lost"), stop])
    aws.put("at once")()
    assert aws.calls() == [["at once"]]


# --- what comes before and after a sending -------------------------------------------------------


def test_settling_sends_what_the_unit_has_so_far(aws: Aws) -> None:
    seen: list[list[list[str]]] = []

    def settles() -> None:
        aws.put("b")()
        aws.store.settle()
        seen.append(aws.calls())
        aws.put("c")()

    aws.queue.together([aws.put("a"), settles, aws.put("d")])
    assert seen == [[["a", "b"]]]
    assert aws.calls() == [["a", "b"], ["c", "d"]]


def test_settling_raises_what_its_own_message_met_and_spares_it_others_troubles(aws: Aws) -> None:
    aws.refuses("bad")
    went_on: list[str] = []

    def settles(body: str) -> None:
        aws.put(body)()
        aws.store.settle()
        went_on.append(body)

    good, bad = partial(settles, "good"), partial(settles, "bad")
    told = aws.queue.together([aws.put("bad"), good, bad, aws.put("last")])
    assert _problems(told) == ["NotAllTaken", "", "NotAllTaken", ""]
    assert went_on == ["good"]


def _remembered() -> Remembered:
    return Remembered("ana", "k", "hash", id_at(START), START)


def test_a_key_is_marked_as_queued_only_once_it_is(aws: Aws) -> None:
    marked: list[bool] = []

    def accept() -> None:
        aws.store.remember(_remembered())
        aws.put("a")()
        aws.store.mark_queued(_remembered())
        marked.append(_marked(aws))

    aws.queue.together([accept])
    assert [*marked, _marked(aws)] == [False, True]


def test_a_key_whose_message_was_not_taken_is_not_marked_as_queued(aws: Aws) -> None:
    aws.fails_from_call(1)

    def accept() -> None:
        aws.store.remember(_remembered())
        aws.put("a")()
        aws.store.mark_queued(_remembered())

    assert _problems(aws.queue.together([accept])) == ["ConnectionAbortedError"]
    assert not _marked(aws)


def _marked(aws: Aws) -> bool:
    entry = aws.store.recall("ana", "k", START)
    assert entry is not None
    return entry.queued


def test_what_was_paid_for_is_held_until_its_message_is_taken(aws: Aws) -> None:
    taken, lost = (Held(id_at(START, n), START, "Submit", "ana", str(n)) for n in range(2))
    aws.refuses("1")

    def accept(held: Held) -> None:
        aws.store.hold(held)
        aws.put(held.body)()
        aws.store.release([held])
        assert aws.store.held(held.due_at, held.id) == held

    told = aws.queue.together([partial(accept, taken), partial(accept, lost)])
    assert _problems(told) == ["", "NotAllTaken"]
    assert aws.store.due(START, 10) == [lost]


def test_what_presupposes_no_message_is_done_at_once(aws: Aws) -> None:
    held = Held(id_at(START), START, "Submit", "ana", "1")

    def work() -> None:
        aws.store.hold(held)
        aws.store.release([held])
        assert aws.store.due(START, 10) == []

    assert _problems(aws.queue.together([work])) == [""]


def test_a_message_in_hand_is_done_once_what_it_became_is_taken(aws: Aws) -> None:
    aws.queue.send("Submit", ["in"], "ana")
    [row] = aws.queue.receive("Submit", 10)
    calls = len(aws.meter.calls)

    def work() -> None:
        aws.put("out", queue="Notify")()
        aws.queue.done([row])

    aws.queue.together([work])
    done = [call.action for call in aws.meter.calls[calls:]]
    assert done == ["sqs:SendMessageBatch", "sqs:DeleteMessageBatch"]


def test_the_store_does_all_else_as_it_did(aws: Aws) -> None:
    assert aws.store.put_config("route", "r", b"{}", 0)
    assert aws.store.config("route", "r") == b"{}"
    assert aws.store.lease("mail#ana", "a", START + 30, START)
