"""The process is killed before and after every single call that it makes on its engine.

Each kill leaves a directory behind; a new process opens it, the queue's messages in hand come
again, the clock moves past every claim, and then the promises are counted in the upstream's and
the customer's own logs. The engine commits call by call here, as DynamoDB and SQS do.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recado import endpoint, operations
from recado.http import Reached
from recado.longlists import message_id
from recado.message import Batch, Key, Message, Record, Reply, State, is_final
from recado.registry import DIALECTS
from tests.support.dying import Death, Dying
from tests.support.world import World

LONG_ENOUGH = 200.0  # past every claim, every pause of an upstream that is up, and a batch's 60 s
ORDER = [State.SCHEDULED, State.QUEUED, State.SUBMITTING, State.ENROUTE, State.ACCEPTED]

Script = Callable[["Life"], None]
How = pytest.mark.parametrize("echo", [True, False], ids=["echo", "refs"])


class Left:
    """How often kills left something unfinished: only so often may it be doubled."""

    def __init__(self) -> None:
        self.in_flight: Counter[str] = Counter()  # claimed, and no outcome written
        self.unmarked: Counter[str] = Counter()  # webhook ids that were taken, and not marked


class Life:
    """A world whose process may die once, and what was promised in it."""

    def __init__(self, folder: Path, dying: Dying, *, echo: bool) -> None:
        self.dying = dying
        self.world = World(folder, echo=echo, wrap=dying.wrap)
        self.left = Left()
        self.promised: list[str] = []
        self.replies: list[str] = []

    def survive(self, act: Callable[[], Any]) -> Any:
        """Does it; where the process dies over it, a new one starts, and None is the answer."""
        try:
            return act()
        except Death:
            self._look_at_what_is_left()
            self.world.reopen()
            return None

    def _look_at_what_is_left(self) -> None:
        records = self.world.every_record()
        self.left.in_flight.update(r.id for r in records if isinstance(r, Message) and r.claim)
        told = {told["webhook-id"] for told in self.world.told}
        self.left.unmarked.update(name for name in told if not self._is_given(name))

    def _is_given(self, webhook_id: str) -> bool:
        identifier, _, kind = webhook_id.rpartition(".")
        record = self.world.record(identifier)
        return any(r.kind == kind and r.given_at is not None for r in record.reports)

    def live(self, seconds: float = LONG_ENOUGH, *, receipts: bool = True) -> None:
        """Works until nothing is ready, whatever dies in it; then lets time pass."""
        self.survive(lambda: self.world.drain(receipts=receipts))
        self.dying.disarm()
        self.world.run(seconds, step=max(10.0, seconds / 20), receipts=receipts)


@contextmanager
def lives(folder: Path, dying: Dying, *, echo: bool) -> Iterator[Life]:
    """A life in a copy of a directory that has been set up."""
    ready, home = folder / "ready", folder / "home"
    if not ready.exists():
        ready.mkdir()
        world = World(ready, echo=echo)
        world.cost_centre()
        world.close()
    shutil.copytree(ready, home)
    life = Life(home, dying, echo=echo)
    try:
        yield life
    finally:
        life.world.close()
        shutil.rmtree(home)


def die_everywhere(folder: Path, script: Script, *, echo: bool, at_least: int) -> None:
    """Plays the script with a kill before and after each call; the promises hold each time."""
    for after in (False, True):
        at, died_in = 0, "nothing yet"
        while died_in:
            at += 1
            with lives(folder, Dying(at, after=after), echo=echo) as life:
                script(life)
                life.dying.disarm()
                died_in = life.dying.died_in
                try:
                    the_promises_hold(life)
                except AssertionError as error:
                    error.add_note(f"killed {'after' if after else 'before'} call {at}, {died_in}")
                    raise
        assert at > at_least, f"only {at - 1} calls were there to die in"


# --- the promises --------------------------------------------------------------------------------


def the_promises_hold(life: Life) -> None:
    world = life.world
    submitted_at_least_once_and_doubled_only_in_flight(life)
    for identifier in life.promised:
        record = world.record(identifier)
        assert record.state is State.DELIVERED
        states_never_go_back(record)
        reports_came_in_order_and_once(life, record)
    batches_were_announced_first(life)
    told = [t["webhook-id"] for t in world.told if "short_message" in t]
    assert sorted(set(told)) == sorted(f"{x}.reply" for x in reply_ids(life))
    assert len(set(told)) == len(life.replies)
    doubled_only_unmarked(life)
    assert world.dead_letters() == 0
    # An upstream id that was never heard of is waited for, for a day: all else is at rest.
    waiting = dict(world.database.read("SELECT queue, count(DISTINCT body) FROM queue GROUP BY 1"))
    assert set(waiting) <= {"Inbound"}
    assert waiting.get("Inbound", 0) <= (0 if world.echo else life.left.in_flight.total())


def submitted_at_least_once_and_doubled_only_in_flight(life: Life) -> None:
    for identifier in life.promised:
        assert life.world.submits(identifier), "a yes, and nothing was sent"
    for identifier in {t["reference"].partition(".")[2] for t in life.world.taken}:
        record, times = life.world.record(identifier), len(life.world.submits(identifier))
        assert times <= 1 + life.left.in_flight[identifier]
        assert times == 1 or record.maybe_sent
        assert times <= record.submits
        assert not record.maybe_sent or life.left.in_flight[identifier]


def states_never_go_back(message: Message) -> None:
    places = [len(ORDER) if is_final(e.state) else ORDER.index(e.state) for e in message.history]
    assert places == sorted(places)
    assert len([place for place in places if place == len(ORDER)]) == 1


def reports_came_in_order_and_once(life: Life, record: Record) -> None:
    names = [str(told["webhook-id"]).partition(".") for told in life.world.told]
    types = [kind for identifier, _, kind in names if identifier == record.id]
    assert types == sorted(types)
    assert set(types) == {"1", "2"}


def doubled_only_unmarked(life: Life) -> None:
    told = Counter(told["webhook-id"] for told in life.world.told)
    for name, times in told.items():
        assert times <= 1 + life.left.unmarked[name], name


def batches_were_announced_first(life: Life) -> None:
    told = life.world.told
    for identifier in life.promised:
        message = life.world.record(identifier)
        batch_id = message.batch_id
        if batch_id is not None and DIALECTS[message.dialect].TELLS_BATCHES:
            announced = [n for n, t in enumerate(told) if t.get("batchId") == batch_id]
            reported = [n for n, t in enumerate(told) if t.get("message_id") == identifier]
            assert announced[0] < reported[0]


def reply_ids(life: Life) -> list[str]:
    """The replies that are kept, by the refs that the upstream's events have."""
    keys = [life.world.bare.store.by_refs([("simulator", f"reply:{x}")])[0] for x in life.replies]
    return [key.id for key in keys if key is not None]


# --- the scripts ---------------------------------------------------------------------------------


def send(life: Life, **fields: Any) -> str | None:
    """A request for one message: its id, or None where it got no answer."""
    identifier = life.survive(lambda: life.world.send(**fields))
    life.promised += [identifier] if identifier else []
    return identifier if identifier is None else str(identifier)


def tell_reply(life: Life, event: str, **fields: Any) -> None:
    """The upstream tells of a reply until that is acknowledged."""
    told = {"event": "reply", "id": event, "from": "5534998887755", "text": "sim", **fields}
    while life.survive(lambda: life.world.tell(told)) not in (200, 204):
        pass
    life.replies.append(event)


@How
def test_killed_in_accept_a_yes_is_kept_and_a_request_without_one_is_sent_once_at_most(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        life.dying.arm()
        send(life)
        life.dying.disarm()
        life.live()
        assert len(life.world.taken) <= 1
        assert len(life.promised) == (0 if life.dying.died_in else 1)

    die_everywhere(tmp_path, script, echo=echo, at_least=2)


@How
def test_killed_in_dispatch_a_message_is_sent_once_unless_it_was_in_flight(
    tmp_path: Path, echo: bool
) -> None:
    doubled: list[str] = []

    def script(life: Life) -> None:
        send(life)
        life.world.deps.routing.forget()  # accepting has read the routes: dispatch is to read them
        life.dying.arm()
        life.live(receipts=False)
        life.live()
        doubled.extend(x for x in life.promised if len(life.world.submits(x)) > 1)

    die_everywhere(tmp_path, script, echo=echo, at_least=10)
    assert doubled, "a kill between the upstream's yes and its outcome leaves no other way"


@How
def test_killed_in_dispatch_an_early_receipt_tells_what_became_of_a_message_in_flight(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        send(life)
        life.dying.arm()
        life.live()
        if echo and life.world.taken:
            assert len(life.world.taken) == 1, "its receipt came before its claim ran out"

    die_everywhere(tmp_path, script, echo=echo, at_least=15)


@How
def test_killed_in_track_no_receipt_is_lost(tmp_path: Path, echo: bool) -> None:
    def script(life: Life) -> None:
        send(life)
        life.world.drain(receipts=False)
        life.dying.arm()
        life.live()
        assert len(life.world.taken) == 1

    die_everywhere(tmp_path, script, echo=echo, at_least=7)


@How
def test_killed_in_notify_each_report_comes_in_order(tmp_path: Path, echo: bool) -> None:
    def script(life: Life) -> None:
        life.world.customer = lambda _: Reached(500, b"")
        send(life)
        life.world.drain()
        life.world.customer = lambda _: Reached(200, b"")
        life.world.now += 5.0
        life.dying.arm()
        life.live()
        assert len(life.world.taken) == 1

    die_everywhere(tmp_path, script, echo=echo, at_least=5)


@How
def test_killed_anywhere_two_messages_in_one_window_go_their_ways(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        send(life)
        send(life, to="5534998887756")
        life.dying.arm()
        life.live()

    die_everywhere(tmp_path, script, echo=echo, at_least=25)


@How
def test_killed_anywhere_a_batch_is_sent_and_announced_before_its_reports(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        life.dying.arm()
        listed = [{"destination_addr": f"553499888775{n}", "message": "oi"} for n in range(2)]
        listed.append({"destination_addr": "nobody", "message": "oi"})
        answer = life.survive(lambda: life.world.call("POST", "/message/batch", {"list": listed}))
        life.live()
        if answer is not None:
            batch = life.world.record(answer[1]["batchId"])
            assert isinstance(batch, Batch)
            announced = next(t for t in life.world.told if t.get("batchId") == batch.id)
            life.promised += [x["message_id"] for x in announced["list"] if not x["error"]]
            assert len(life.promised) == 2

    die_everywhere(tmp_path, script, echo=echo, at_least=40)


@How
def test_killed_anywhere_a_long_list_is_sent_whole_and_each_number_once(
    tmp_path: Path, echo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.dialects.directcall_orders.MAX_WISHES", 2)
    monkeypatch.setattr("recado.longlists.STRETCH", 2)
    numbers = [f"553499888775{n}" for n in range(5)]
    asked = {"origem": "554130600300", "destino": [*numbers, numbers[0]], "texto": "oi"}

    def script(life: Life) -> None:
        life.dying.arm()
        answer = life.survive(lambda: life.world.call("POST", "/sms/send", asked))
        life.live()
        if answer is not None:
            assert answer[1]["codigo"] == "000"
            key = callerid_key(life, answer[1]["callerid"])
            batch = life.world.record(key.id)
            assert isinstance(batch, Batch)
            assert batch.expanded == batch.count == len(numbers)
            life.promised += [message_id(key.id, number) for number in numbers]
        assert max(Counter(taken["to"] for taken in life.world.taken).values(), default=0) <= 2

    die_everywhere(tmp_path, script, echo=echo, at_least=60)


def callerid_key(life: Life, callerid: str) -> Key:
    """What Directcall's answer is about."""
    [row] = life.world.database.read("SELECT name FROM config WHERE kind = 'cost-centre'")
    key = life.world.bare.store.by_refs([(f"callerid#{row[0]}", callerid)])[0]
    assert key is not None
    return key


@How
def test_killed_anywhere_a_scheduled_message_is_sent_in_its_hour(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        life.dying.arm()
        send(life, send_at="2026-05-28T21:00:00Z")
        life.live(1_995.0)
        assert life.world.taken == []
        life.world.now += 5.0
        life.dying.arm()
        life.survive(life.world.tick)
        life.live()

    die_everywhere(tmp_path, script, echo=echo, at_least=20)


@How
def test_killed_anywhere_a_request_repeated_with_its_key_is_sent_exactly_once(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        asked = {"destination_addr": "5534998887755", "message": "oi"}

        def ask() -> Any:
            key = {"idempotency-key": "pedido-7"}
            return life.world.call("POST", "/message", asked, headers=key)[1]["message_id"]

        life.dying.arm()
        identifier = life.survive(ask)
        if identifier is None:
            life.world.run(5.0)  # what the first request left may be sent before it is repeated
            identifier = ask()
        life.promised.append(identifier)
        life.live()
        life.dying.arm()
        assert life.survive(ask) in (identifier, None)
        life.live()
        assert {taken["reference"].partition(".")[2] for taken in life.world.taken} == {identifier}

    die_everywhere(tmp_path, script, echo=echo, at_least=20)


@How
def test_killed_anywhere_a_reply_comes_once_however_often_the_upstream_tells_of_it(
    tmp_path: Path, echo: bool
) -> None:
    def script(life: Life) -> None:
        send(life)
        life.world.drain()
        life.dying.arm()
        tell_reply(life, "mo-1")
        life.live(30.0)
        life.dying.arm()
        life.survive(
            lambda: life.world.tell(
                {"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "sim"}
            )
        )
        life.live()
        assert all(isinstance(life.world.record(x), Reply) for x in reply_ids(life))

    die_everywhere(tmp_path, script, echo=echo, at_least=14)


@How
def test_killed_anywhere_a_stalled_endpoint_is_probed_and_gets_everything_in_the_end(
    tmp_path: Path, echo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "STALLS_AFTER", 2)

    def script(life: Life) -> None:
        world = life.world
        for number in range(3):
            send(life, to=f"553499888775{number}")
        world.customer = lambda _: Reached(500, b"")
        for _ in range(3):
            life.dying.arm()
            life.survive(world.drain)
            world.now += 2.0
        world.customer = lambda _: Reached(200, b"")
        for _ in range(3):
            life.survive(world.drain)
            world.now += 10.0
        life.live()
        life.dying.disarm()
        which = operations.costcentre_show(world.deps, "ana")
        assert which["callbacks"] == "open"
        assert world.bare.store.endpoint(which["id"]).since == 0.0

    die_everywhere(tmp_path, script, echo=echo, at_least=80)


@How
def test_killed_again_and_again_everything_comes_to_its_end(tmp_path: Path, echo: bool) -> None:
    deaths = 0
    for seed in range(25):
        chance = random.Random(seed)
        with lives(tmp_path, Dying(chance.randint(1, 20)), echo=echo) as life:
            for number in (5, 6, 7):
                send(life, to=f"553499888775{number}")
            life.dying.arm()
            tell_reply(life, "mo-1")
            for _ in range(4):
                life.survive(life.world.drain)
                deaths += 1 if life.dying.died_in else 0
                life.dying = Dying(chance.randint(1, 20), after=chance.random() < 0.5)
                life.world.wrap = life.dying.wrap
                life.world.reopen()
                life.dying.arm()
                life.world.now += chance.choice([0.0, 1.0, 20.0])
            life.live()
            life.dying.disarm()
            the_promises_hold(life)
    assert deaths > 25
