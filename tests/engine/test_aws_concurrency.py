"""What the AWS engine keeps up when many work on the same things at once: rivals over one record,
consumers of one queue, hands that fill what others empty. On ministack, with real threads.

Each rival is an environment of its own, with its own clients and its own threads.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from recado import operations
from recado.engine import Depth, Endpoint, Engine, Held, Mail, Received, Remembered
from recado.engine.aws import open_engine
from recado.engine.aws.units import in_units
from recado.message import Key, Message, Report, State, key_of
from recado.settings import Settings
from recado.wiring import Deps, assemble
from smpp.aws_hands import AwsHands
from tests.engine.conftest import (
    DAY,
    QUEUES,
    RETENTION,
    SERVICES,
    START,
    batch,
    id_at,
    message,
    reply,
)
from tests.support.aws import EmulatedAccount, Stack, clients_at, queue_policy
from tests.support.emulator import NO_EMULATOR, Emulator, available
from tests.support.processes import until

RIVALS = 6
VISIBILITY, MAX_RECEIVES = queue_policy("Submit")

Result = TypeVar("Result")


class Cloud:
    """An account on which many environments work. Its clock stands."""

    def __init__(self, emulator: Emulator) -> None:
        self.now = START
        self.account = EmulatedAccount(emulator, START, QUEUES)
        self.clients = self.account.clients()
        self.engine = self.environment()
        self.store, self.queue = self.engine.store, self.engine.queue

    def environment(self) -> Engine:
        """Another one."""
        clients = self.account.clients()
        _ = clients.sqs, clients.s3  # here, since a session makes its clients in one thread
        return self.account.engine(lambda: self.now, RETENTION, clients)

    def at(self, now: float) -> None:
        self.now = now
        self.account.at(now)

    def deps(self) -> Deps:
        return assemble(self.engine, b"pepper", lambda _: [], Settings(), lambda: self.now)

    def rivals(self, work: Callable[[int, Engine], Result], count: int = RIVALS) -> list[Result]:
        """Does the work in so many environments, all of which begin together."""
        engines = [self.environment() for _ in range(count)]
        start = threading.Barrier(count)

        def one(number: int) -> Result:
            start.wait()
            return work(number, engines[number])

        return at_once([partial(one, number) for number in range(count)])

    def kinds(self) -> Counter[str]:
        """What lies in both tables."""
        found: Counter[str] = Counter()
        for table in ("MessagesTable", "ConfigTable"):
            for item in self.clients.dynamodb.scan(TableName=table)["Items"]:
                found[item["pk"]["S"].partition("#")[0]] += 1
        return found


def at_once(works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Each in a thread of its own; raises what one of them raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


@pytest.fixture
def cloud(emulator: Emulator) -> Iterator[Cloud]:
    made = Cloud(emulator)
    yield made
    made.account.close()


def _shuffled(things: Sequence[Any], seed: int) -> list[Any]:
    return random.Random(seed).sample(things, len(things))


# --- one wins ------------------------------------------------------------------------------------


def test_of_rivals_over_the_same_claims_exactly_one_wins_each_and_all_see_the_winner(
    cloud: Cloud,
) -> None:
    numbers = range(60)

    def claim(rival: int, engine: Engine) -> dict[int, str]:
        order = _shuffled(numbers, rival)
        stood = engine.store.create([message(START, n, claim=f"rival-{rival}") for n in order])
        return {
            n: f"rival-{rival}" if record is None else f"lost to {record.claim}"  # type: ignore[union-attr] # messages all
            for n, record in zip(order, stood, strict=True)
        }

    told = cloud.rivals(claim)
    records = cloud.store.records([key_of(message(START, n)) for n in numbers])
    for n, record in zip(numbers, records, strict=True):
        assert isinstance(record, Message)
        losers = [f"lost to {record.claim}"] * (RIVALS - 1)
        assert sorted(answer[n] for answer in told) == sorted([record.claim, *losers])


def test_of_rivals_over_one_idempotency_key_one_keeps_it_and_the_others_are_told_its_answer(
    cloud: Cloud,
) -> None:
    keys = [f"k-{n}" for n in range(20)]

    def remember(rival: int, engine: Engine) -> dict[str, str]:
        answers = {}
        for key in _shuffled(keys, rival):
            entry = Remembered("ana", key, "hash", f"id-{rival}", START)
            stood = engine.store.remember(entry)
            answers[key] = "kept" if stood is None else stood.answer_id
        return answers

    told = cloud.rivals(remember)
    for key in keys:
        [winner] = [rival for rival, answers in enumerate(told) if answers[key] == "kept"]
        others = {answers[key] for rival, answers in enumerate(told) if rival != winner}
        assert others == {f"id-{winner}"}


def test_rivals_who_write_over_the_same_records_lose_none_of_their_changes(cloud: Cloud) -> None:
    keys = [key_of(message(START, n)) for n in range(5)]
    cloud.store.create([message(START, n) for n in range(5)])
    turns = 4

    def report(rival: int, engine: Engine) -> None:
        for turn in range(turns):
            mine = Report(f"{rival}/{turn}", START)
            wanted = list(keys)
            while wanted:
                read: Any = engine.store.records(wanted)
                written = engine.store.replace(
                    [replace(one, reports=(*one.reports, mine)) for one in read]
                )
                wanted = [key for key, new in zip(wanted, written, strict=True) if new is None]

    cloud.rivals(report, 4)
    for record in cloud.store.records(keys):
        assert isinstance(record, Message)
        assert record.version == len(record.reports) == 4 * turns
        kinds = sorted(report.kind for report in record.reports)
        assert kinds == sorted(f"{rival}/{turn}" for rival in range(4) for turn in range(turns))


@pytest.mark.parametrize("kind", ["configuration", "endpoint"])
def test_of_rivals_over_a_version_exactly_one_writes_it(cloud: Cloud, kind: str) -> None:
    versions = range(1, 11)

    def write(engine: Engine, rival: int, version: int) -> bool:
        if kind == "endpoint":
            return engine.store.put_endpoint(Endpoint("ana", f"{rival}", START, version))
        return engine.store.put_config("route", "r", f"{rival}/{version}".encode(), version)

    cloud.store.put_config("route", "r", b"0", 0)
    turn = threading.Barrier(RIVALS)

    def compete(rival: int, engine: Engine) -> list[int]:
        won = []
        for version in versions:
            turn.wait()
            if write(engine, rival, version):
                won.append(version)
        return won

    won = cloud.rivals(compete)
    assert sorted(version for mine in won for version in mine) == list(versions)
    [last] = [rival for rival, mine in enumerate(won) if versions[-1] in mine]
    if kind == "endpoint":
        assert cloud.store.endpoint("ana") == Endpoint("ana", f"{last}", START, versions[-1])
    else:
        assert cloud.store.config("route", "r") == f"{last}/{versions[-1]}".encode()


@pytest.mark.parametrize(("amount", "taken"), [(1, 100), (3, 99)])
def test_a_bucket_that_many_take_from_gives_its_limit_and_no_more(
    cloud: Cloud, amount: int, taken: int
) -> None:
    def take(_: int, engine: Engine) -> int:
        return sum(engine.store.take("rate#ana", amount, 100, START) for _ in range(20))

    assert sum(cloud.rivals(take)) * amount == taken


# --- some fill what others empty -----------------------------------------------------------------


MINUTES, HOLDING, HANDING_OVER = 80, 4, 2


def _in_minute(minute: int, name: str) -> Held:
    return Held(f"{name}-{minute}", START - DAY + minute * 60, "Submit", "ana", "{}")


def _hold_and_release(rival: int, engine: Engine) -> None:
    """Leaves minutes on the list in which there is nothing any more."""
    for minute in range(rival, MINUTES, HOLDING):
        engine.store.hold(_in_minute(minute, "gone"))
        engine.store.release([_in_minute(minute, "gone")])


def _hand_over(engine: Engine, all_are_held: Callable[[], bool]) -> list[str]:
    """Until nothing is left: the ids."""
    handed = []
    while True:
        last = all_are_held()
        due = engine.store.due(START, 500)
        engine.store.release(due)
        handed += [one.id for one in due]
        if last and not due:
            return handed


def test_what_is_held_while_others_hand_over_is_handed_over(cloud: Cloud) -> None:
    """In minutes that are long over and empty, so that those who hand over take them off the list
    while something is put into them."""
    ended: list[int] = []

    def work(rival: int, engine: Engine) -> list[str]:
        if rival >= HOLDING:
            return _hand_over(engine, lambda: len(ended) == HOLDING)
        for minute in range(rival, MINUTES, HOLDING):
            engine.store.hold(_in_minute(minute, "held"))
        ended.append(rival)
        return []

    cloud.rivals(_hold_and_release, HOLDING)
    assert cloud.kinds() == {"due": MINUTES}
    handed = {
        identifier for ids in cloud.rivals(work, HOLDING + HANDING_OVER) for identifier in ids
    }
    assert handed == {_in_minute(minute, "held").id for minute in range(MINUTES)}
    assert cloud.kinds() == {}, "nothing is left behind, and no minute on the list"


def test_what_one_releases_while_another_holds_it_again_is_one_or_the_other(cloud: Cloud) -> None:
    held = [Held(f"h-{n}", START - 60, "Submit", "ana", "{}") for n in range(50)]

    def work(rival: int, engine: Engine) -> None:
        for one in held:
            if rival % 2:
                engine.store.hold(one)
            else:
                engine.store.release([one])

    cloud.rivals(work, 4)
    for one in held:
        cloud.store.hold(one)
    assert sorted(one.id for one in cloud.store.due(START, 500)) == sorted(h.id for h in held)


# --- queues --------------------------------------------------------------------------------------


def _taken(engine: Engine, queue: str = "Submit") -> list[Received]:
    """Everything that it can get."""
    taken = []
    while rows := engine.queue.receive(queue, 10):
        taken += rows
    return taken


def _depth(cloud: Cloud) -> Depth:
    return next(depth for depth in cloud.queue.depths() if depth.queue == "Submit")


def test_consumers_side_by_side_get_no_message_twice_within_its_visibility(cloud: Cloud) -> None:
    bodies = [str(n) for n in range(400)]
    cloud.queue.send("Submit", bodies, "ana")
    first = [row for rows in cloud.rivals(lambda _, e: _taken(e)) for row in rows]
    assert Counter(row.body for row in first) == Counter(bodies)
    cloud.at(START + VISIBILITY - 1)
    assert cloud.rivals(lambda _, e: _taken(e), 2) == [[], []]


def test_what_is_not_done_comes_again_to_one_consumer_after_its_visibility(cloud: Cloud) -> None:
    cloud.queue.send("Submit", [str(n) for n in range(200)], "ana")

    def take_and_do_the_even(_: int, engine: Engine) -> None:
        rows = _taken(engine)
        engine.queue.done([row for row in rows if int(row.body) % 2 == 0])

    cloud.rivals(take_and_do_the_even)
    cloud.at(START + VISIBILITY + 1)
    again = [row for rows in cloud.rivals(lambda _, e: _taken(e)) for row in rows]
    odd = sorted(str(n) for n in range(1, 200, 2))
    assert sorted(row.body for row in again) == odd
    assert {row.receives for row in again} == {2}


def test_what_many_send_while_many_take_is_taken_once(cloud: Cloud) -> None:
    each, senders = 60, RIVALS // 2
    ended: list[int] = []

    def send(rival: int, engine: Engine) -> list[str]:
        for n in range(each):
            engine.queue.send("Submit", [f"{rival}/{n}"], f"group-{rival}")
        ended.append(rival)
        return []

    def consume(_: int, engine: Engine) -> list[str]:
        bodies = []
        while True:
            all_are_sent = len(ended) == senders
            rows = engine.queue.receive("Submit", 10)
            assert {row.group for row in rows} == {f"group-{row.body[0]}" for row in rows}
            engine.queue.done(rows)
            bodies += [row.body for row in rows]
            if all_are_sent and not rows:
                return bodies

    def work(rival: int, engine: Engine) -> list[str]:
        return (send if rival < senders else consume)(rival, engine)

    taken = [body for bodies in cloud.rivals(work) for body in bodies]
    assert Counter(taken) == Counter(f"{r}/{n}" for r in range(senders) for n in range(each))
    cloud.at(START + VISIBILITY + 1)
    assert _depth(cloud) == Depth("Submit", 0, 0, 0)


def test_groups_travel_as_message_groups_of_a_standard_queue(cloud: Cloud) -> None:
    """By which SQS makes a standard queue fair. That it is so, only AWS can show."""
    names = ["ana", "rui", "019e7044-8800-73b0-8442-98fc1c149afb"]
    at_once([partial(cloud.queue.send, "Submit", ["x"] * 20, name) for name in names])
    url = cloud.account.environment()["RECADO_QUEUE_SUBMIT"]
    sqs = cloud.clients.sqs
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert not url.endswith(".fifo")
    assert "FifoQueue" not in told
    groups: Counter[str] = Counter()
    for _ in range(6):
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        groups.update(one["Attributes"]["MessageGroupId"] for one in answer["Messages"])
    assert groups == dict.fromkeys(names, 20)


@pytest.mark.skipif(not available(), reason=NO_EMULATOR)
def test_a_receive_takes_what_comes_while_it_waits(tmp_path: Path) -> None:
    """By the real clock."""
    with closing(Emulator(tmp_path, SERVICES)) as ticking:
        environment = Stack(clients_at(ticking), ["Submit"]).environment()
        clients = clients_at(ticking)
        consumer = open_engine(environment, clients, time.time, RETENTION, wait=4)
        sender = open_engine(environment, clients_at(ticking), time.time, RETENTION)
        asked = threading.Event()
        clients.sqs.meta.events.register("before-send.sqs", lambda **_: asked.set())

        def send() -> list[Received]:
            assert asked.wait(30)
            sender.queue.send("Submit", ["late"], "ana")
            return []

        received, _ = at_once([lambda: consumer.queue.receive("Submit", 10), send])
        assert [row.body for row in received] == ["late"]


# --- dead letters --------------------------------------------------------------------------------


def test_what_many_consumers_fail_at_is_a_dead_letter_once_and_is_redriven(cloud: Cloud) -> None:
    groups = {str(n): f"group-{n % 3}" for n in range(60)}
    for body, group in groups.items():
        cloud.queue.send("Submit", [body], group)
    for turn in range(MAX_RECEIVES):
        rows = [row for rows in cloud.rivals(lambda _, e: _taken(e), 4) for row in rows]
        assert Counter(row.body for row in rows) == Counter(groups.keys())
        assert {row.receives for row in rows} == {turn + 1}
        cloud.at(cloud.now + VISIBILITY + 1)
    assert cloud.rivals(lambda _, e: _taken(e), 4) == [[]] * 4
    assert _depth(cloud) == Depth("Submit", 0, 0, 60)
    assert operations.queue_redrive(cloud.deps(), "submit") == {"queue": "Submit", "redriven": 60}
    assert _depth(cloud) == Depth("Submit", 60, 0, 0)
    rows = _taken(cloud.engine)
    assert {row.body: row.group for row in rows} == groups
    assert [row.receives for row in rows] == [1] * 60


def test_a_redrive_ends_although_a_consumer_buries_all_of_it_again(cloud: Cloud) -> None:
    bodies = [str(n) for n in range(30)]
    for body in bodies:
        cloud.queue.bury("Submit", body, "ana")
    ended = threading.Event()
    enough = 300

    def bury_again() -> int:
        engine, buried = cloud.environment(), 0
        while buried < enough and not ended.is_set():
            rows = engine.queue.receive("Submit", 10)
            for row in rows:
                engine.queue.bury("Submit", row.body, row.group)
            engine.queue.done(rows)
            buried += len(rows)
        return buried

    def redrive() -> int:
        try:
            return cloud.queue.redrive("Submit")
        finally:
            ended.set()

    moved, buried = at_once([redrive, bury_again])
    assert len(bodies) <= moved < len(bodies) + 10
    assert buried < enough
    left = [row.body for row in _taken(cloud.engine)]
    for body in left:
        cloud.queue.bury("Submit", body, "ana")
    assert _depth(cloud).dead == len(bodies)


def test_what_two_redrive_at_once_is_moved_once(cloud: Cloud) -> None:
    bodies = [str(n) for n in range(100)]
    for body in bodies:
        cloud.queue.bury("Submit", body, "ana")
    assert sum(cloud.rivals(lambda _, e: e.queue.redrive("Submit"), 3)) == len(bodies)
    assert Counter(row.body for row in _taken(cloud.engine)) == Counter(bodies)
    assert _depth(cloud).dead == 0


# --- time to live --------------------------------------------------------------------------------


def test_what_has_lived_its_time_goes_by_itself_and_nothing_else_does(cloud: Cloud) -> None:
    """By the table's own time to live, whose attribute and whose unit are the template's."""
    cloud.store.create([message(), batch(), reply()])
    cloud.store.put_refs([("simulator", "u-1", key_of(message()))])
    cloud.store.hold(Held("h-1", START + 60, "Submit", "ana", "{}"))
    cloud.store.remember(Remembered("ana", "k", "hash", "id", START))
    cloud.store.take("rate#ana", 1, 10, START)
    cloud.store.put_endpoint(Endpoint("ana", "parked", START, version=1))
    cloud.store.put_config("route", "r", b"{}", 0)
    stays = Counter({"endpoint": 1, "route": 1})
    records = stays + Counter({"cc": 3, "ref": 1, "due": 2, "held": 1, "days": 1, "list": 2})
    assert cloud.kinds() == records + Counter({"idem": 1, "take": 1})
    for later, left in (
        (3_700, records + Counter({"idem": 1})),
        (DAY + 100, records),
        (RETENTION + 2 * DAY + 100, stays),
    ):
        cloud.at(START + later)
        until(partial(_lies_there, cloud, left), lambda: f"{left}, but {cloud.kinds()}")  # noqa: B023 - called at once


def _lies_there(cloud: Cloud, kinds: Counter[str]) -> bool:
    return cloud.kinds() == kinds


# --- leases, mailboxes, units of work ------------------------------------------------------------


def test_of_rivals_over_the_same_leases_one_gets_each_and_keeps_it(cloud: Cloud) -> None:
    names = [f"bind#claro#{n}" for n in range(20)]

    def lease(now: float) -> Callable[[int, Engine], dict[str, bool]]:
        def ask(rival: int, engine: Engine) -> dict[str, bool]:
            order = _shuffled(names, rival)
            return {n: engine.store.lease(n, f"task-{rival}", now + 30, now) for n in order}

        return ask

    first = cloud.rivals(lease(START))
    assert [sum(told[name] for told in first) for name in names] == [1] * len(names)
    assert cloud.rivals(lease(START + 10)) == first
    again = cloud.rivals(lease(START + 10 + 30))
    assert [sum(told[name] for told in again) for name in names] == [1] * len(names)


def test_of_rivals_a_lease_that_is_given_back_is_one_others_at_once(cloud: Cloud) -> None:
    turn, rounds = threading.Barrier(RIVALS), range(10)

    def ask(rival: int, engine: Engine) -> list[int]:
        won = []
        for n in rounds:
            turn.wait()
            if engine.store.lease("mail#ana", f"task-{rival}", START + 30, START):
                won.append(n)
            turn.wait()
            engine.store.lease("mail#ana", f"task-{rival}", 0.0, START)
        return won

    assert sorted(n for won in cloud.rivals(ask) for n in won) == list(rounds)


def test_a_mailbox_that_many_fill_is_read_in_order_and_emptied_by_one(cloud: Cloud) -> None:
    def mails(rival: int) -> list[Mail]:
        return [Mail("ana", f"{n:05}#{rival}", "x" * 300, START + DAY) for n in range(60)]

    def post(rival: int, engine: Engine) -> None:
        for mail in _shuffled(mails(rival), rival):
            engine.store.post([mail])
        engine.store.post(mails(rival))

    cloud.rivals(post)
    found = cloud.store.mails("ana", "", 1000)
    everything = [mail for rival in range(RIVALS) for mail in mails(rival)]
    assert found == sorted(everything, key=lambda mail: mail.place)
    assert len(found) == 60 * RIVALS
    cloud.store.forget(found[:-1])
    assert cloud.store.mails("ana", "", 1000) == found[-1:]
    assert cloud.kinds() == {"mail": 1}


def test_lanes_side_by_side_put_all_that_they_were_given_on_their_queues(cloud: Cloud) -> None:
    engine = in_units(cloud.engine)
    deps = assemble(engine, b"pepper", lambda _: [], Settings(), lambda: START)

    def submit(lane: str, n: int) -> str:
        engine.queue.send("Submit", [f"{lane}/{n}"], f"customer-{lane}")
        engine.store.put_refs([(f"c-{lane}", f"u-{n}", Key("ana", id_at(START, lane, n)))])
        return f"{lane}/{n}"

    async def whole() -> list[str]:
        hands = AwsHands(deps, asyncio.get_running_loop(), 4)
        told = await asyncio.gather(
            *(hands.run(partial(submit, lane, n), f"s-{lane}") for n in range(60) for lane in "abc")
        )
        await hands.close()
        return told

    told = asyncio.run(whole())
    assert told == [f"{lane}/{n}" for n in range(60) for lane in "abc"]
    assert Counter(row.body for row in _taken(cloud.engine)) == Counter(told)
    assert cloud.kinds() == {"ref": 180}


# --- much at once --------------------------------------------------------------------------------


def test_five_hundred_records_are_written_read_and_written_over_in_their_order(
    cloud: Cloud,
) -> None:
    records = [message(START + n * 7.001, n) for n in range(500)]
    there = [record if n % 3 == 0 else None for n, record in enumerate(records)]
    cloud.store.create([record for record in there if record])
    late = [replace(record, text="late") for record in records]
    assert cloud.store.create(late) == there
    stand = [record or new for record, new in zip(there, late, strict=True)]
    keys = [key_of(record) for record in records]
    mixed = [key for pair in zip(keys, _unknown(500), strict=True) for key in pair]
    assert cloud.store.records(mixed) == [one for record in stand for one in (record, None)]
    # Of every second one somebody else has written the first version meanwhile.
    cloud.store.replace(stand[::2])
    written = cloud.store.replace([replace(record, state=State.ENROUTE) for record in stand])
    assert written[::2] == [None] * 250
    assert written[1::2] == [replace(r, state=State.ENROUTE, version=1) for r in stand[1::2]]
    found = cloud.store.records_between("ana", START, START + 7200, "", 1000)
    assert [record.id for record in found] == [record.id for record in records]
    assert [record.version for record in found] == [1] * 500


def _unknown(count: int) -> list[Key]:
    return [Key("ana", id_at(START, "unknown", n)) for n in range(count)]


def test_refs_by_the_hundred_lead_each_to_its_own_message(cloud: Cloud) -> None:
    keys = _unknown(300)

    def put(rival: int, engine: Engine) -> None:
        engine.store.put_refs([(f"c-{rival}", f"u-{n}", key) for n, key in enumerate(keys)])

    cloud.rivals(put, 3)
    for rival in range(3):
        for n in (0, 24, 25, 299):
            assert cloud.store.by_refs([(f"c-{rival}", f"u-{n}")])[0] == keys[n]
    assert cloud.kinds() == {"ref": 900}


def test_three_hundred_bodies_and_more_than_a_megabyte_are_sent_at_once(cloud: Cloud) -> None:
    bodies = [f"{n:03}" + "x" * (n % 5 * 2_000) for n in range(300)]
    assert sum(map(len, bodies)) > 1024 * 1024
    large = [letter * 200_000 for letter in "abcdefgh"]
    cloud.queue.send("Submit", bodies, "ana")
    cloud.queue.send("Notify", large, "ana")
    assert Counter(row.body for row in _taken(cloud.engine)) == Counter(bodies)
    assert Counter(row.body for row in _taken(cloud.engine, "Notify")) == Counter(large)


def test_blobs_of_megabytes_side_by_side_hold_their_own_contents(cloud: Cloud) -> None:
    def contents(rival: int, n: int) -> bytes:
        return random.Random(f"{rival}/{n}").randbytes(3_000_000 + rival)

    def put_and_get(rival: int, engine: Engine) -> list[bool]:
        for n in range(2):
            engine.blobs.put(f"list-{rival}-{n}", contents(rival, n))
        return [engine.blobs.get(f"list-{rival}-{n}") == contents(rival, n) for n in range(2)]

    assert cloud.rivals(put_and_get, 4) == [[True, True]] * 4
    assert cloud.engine.blobs.get("list-3-1") == contents(3, 1)
