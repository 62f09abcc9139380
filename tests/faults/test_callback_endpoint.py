"""The customer's callback URL is down, slow, moody or gone: nothing owed is lost or doubled."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from recado import endpoint, operations
from recado.engine import Endpoint, Engine
from recado.http import Outgoing, Reached, Unreached
from recado.message import Key, Message
from recado.notices import Look
from recado.notify import notify
from recado.wiring import assemble
from tests.support.world import CALLBACK_URL, START, World

HOUR = 3_600.0
DAY = 86_400.0
OTHER_URL = "https://elsewhere.example/reports"

Answer = Reached | Unreached


def always(answer: Answer) -> Callable[[Outgoing], Answer]:
    return lambda _: answer


YES = always(Reached(200, b""))
REFUSED = always(Unreached("connection refused", sent=False))
BROKEN = always(Reached(500, b""))


def callbacks(world: World) -> list[Outgoing]:
    return [request for request in world.requests if "customer.example" in request.url]


def content(request: Outgoing) -> dict[str, Any]:
    return dict(json.loads(request.body))


def state(world: World, login: str = "ana") -> str:
    return str(operations.costcentre_show(world.deps, login)["callbacks"])


def types(world: World, identifier: str) -> list[int]:
    return [told["type"] for told in world.reports(identifier)]


def send_many(world: World, count: int, login: str = "ana") -> list[str]:
    sent = []
    for number in range(count):
        asked = {"destination_addr": f"55349{90_000_000 + number}", "message": "oi"}
        sent.append(world.call("POST", "/message", asked, login=login)[1]["message_id"])
    return sent


def send_batch(world: World, count: int) -> str:
    listed = [
        {"destination_addr": f"55349{90_000_000 + number}", "message": "oi"}
        for number in range(count)
    ]
    return str(world.call("POST", "/message/batch", {"list": listed})[1]["batchId"])


def given_once_and_in_order(world: World, identifiers: list[str]) -> None:
    by_message: dict[str, list[int]] = {identifier: [] for identifier in identifiers}
    for told in world.told:
        if told.get("message_id") in by_message and "type" in told:
            by_message[told["message_id"]].append(told["type"])
    assert {identifier: t for identifier, t in by_message.items() if t != [1, 2]} == {}


# --- one report that is not taken ----------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Unreached("connection refused", sent=False),
        Unreached("timed out", sent=True),
        Unreached("what came back is not HTTP", sent=True),
        Reached(500, b"<html>"),
        Reached(503, b"", {"retry-after": "86400"}),
        Reached(404, b""),
        Reached(401, b""),
        Reached(302, b"", {"location": OTHER_URL}),
        Reached(308, b"", {"location": OTHER_URL}),
    ],
    ids=lambda answer: getattr(answer, "problem", None) or f"HTTP {answer.status}",
)
def test_what_is_no_2xx_is_tried_again_until_it_is_one(world: World, answer: Answer) -> None:
    world.customer = always(answer)
    identifier = world.send()
    world.run(30.0)
    assert world.told == []
    tried = world.record(identifier).reports[0]
    assert tried.attempts >= 3
    assert {one.status for one in tried.tries} == {getattr(answer, "status", 0)}
    assert {request.url for request in callbacks(world)} == {CALLBACK_URL}
    world.customer = YES
    world.run(120.0)
    assert types(world, identifier) == [1, 2]
    assert {request.url for request in world.requests if "elsewhere" in request.url} == set()


def test_an_endpoint_that_is_slow_gets_each_report_once(world: World) -> None:
    def slow(_: Outgoing) -> Answer:
        world.now += 14.0
        return Reached(204, b"")

    world.customer = slow
    sent = send_many(world, 5)
    world.run(300.0)
    given_once_and_in_order(world, sent)
    assert world.dead_letters() == 0


def test_type_2_waits_for_type_1_however_long_that_fails(world: World) -> None:
    world.customer = lambda request: Reached(500 if content(request).get("type") == 1 else 200, b"")
    identifier = world.send()
    world.run(HOUR, step=10.0)
    assert {content(request)["type"] for request in callbacks(world)} == {1}
    world.customer = YES
    world.run(HOUR, step=10.0)
    assert types(world, identifier) == [1, 2]


def test_a_report_is_tried_ever_later_for_a_day_and_then_abandoned(world: World) -> None:
    tries: list[float] = []

    def takes_no_type_1(request: Outgoing) -> Answer:
        if content(request)["type"] == 1:
            tries.append(world.now - START)
            return Reached(500, b"")
        return Reached(200, b"")

    world.customer = takes_no_type_1
    identifier = world.send()
    world.run(DAY, step=20.0)
    assert world.told == []
    gaps = [later - sooner for sooner, later in pairwise(tries)]
    assert gaps[0] <= 20.0
    assert 400.0 < max(gaps) <= 920.0
    assert 90 < len(tries) < 500
    world.run(HOUR, step=20.0)
    assert world.record(identifier).reports[0].abandoned_at - START > DAY
    assert types(world, identifier) == [2], "type 2 may go after a type 1 that nobody took"
    asked = len(tries)
    world.run(DAY, step=600.0)
    assert len(tries) == asked
    assert world.dead_letters() == 0
    world.customer = YES
    operations.replay(world.deps, "ana", START - 1.0)
    world.run(60.0)
    assert types(world, identifier) == [2, 1, 2], "a replay owes it again"


def test_what_waited_out_a_stall_of_more_than_a_day_is_not_abandoned_at_its_first_failure(
    world: World,
) -> None:
    world.customer = BROKEN
    sent = send_many(world, 20)
    world.run(30 * HOUR, step=120.0)
    failures = Counter[str]()

    def hiccups(request: Outgoing) -> Answer:
        name = request.headers["webhook-id"]
        failures[name] += 1
        return Reached(500 if failures[name] == 1 else 200, b"")

    world.customer = hiccups
    world.run(2 * HOUR, step=10.0)
    given_once_and_in_order(world, sent)


# --- 410 -----------------------------------------------------------------------------------------


def test_410_parks_the_endpoint_until_its_owner_gives_a_url_and_then_everything_comes(
    world: World,
) -> None:
    world.customer = always(Reached(410, b""))
    first = world.send()
    world.drain()
    assert state(world) == "parked"
    asked = len(callbacks(world))
    sent = [first, *send_many(world, 30)]
    world.run(2 * DAY, step=600.0)
    assert len(callbacks(world)) == asked, "nothing more goes there"
    world.customer = YES
    world.run(DAY, step=600.0)
    assert world.told == [], "not even when it is well again: only its owner opens it"
    operations.costcentre_update(world.deps, "ana", callback_url=CALLBACK_URL)
    world.run(60.0)
    assert state(world) == "open"
    given_once_and_in_order(world, sent)


def test_410_parks_an_endpoint_that_is_stalled_already(world: World) -> None:
    world.customer = BROKEN
    sent = send_many(world, 20)
    world.run(60.0)
    assert state(world) == "stalled"
    world.customer = always(Reached(410, b""))
    world.run(600.0, step=10.0)
    assert state(world) == "parked"
    asked = len(callbacks(world))
    world.run(DAY, step=600.0)
    assert len(callbacks(world)) == asked
    world.customer = YES
    operations.costcentre_update(world.deps, "ana", callback_url=CALLBACK_URL)
    world.run(60.0)
    given_once_and_in_order(world, sent)


def test_a_410_of_the_old_url_does_not_park_the_new_one(world: World) -> None:
    """Another environment remembers the old URL for up to a minute."""
    which = operations.costcentre_show(world.deps, "ana")["id"]
    elsewhere = assemble(
        world.deps.engine, b"pepper", world.exchange, world.deps.settings, world.clock
    )
    assert elsewhere.directory.cost_centre(which)
    world.customer = lambda request: Reached(410 if request.url == CALLBACK_URL else 200, b"")
    identifier = world.send()
    for _ in range(2):
        world.step()
    operations.costcentre_update(
        world.deps, "ana", callback_url="https://customer.example/new-reports"
    )
    notify([Look(which, identifier)], elsewhere)
    assert state(world) == "open"
    world.run(60.0)
    given_once_and_in_order(world, [identifier])


# --- stalled -------------------------------------------------------------------------------------


def test_a_stalled_endpoint_gets_one_probe_at_a_time_and_then_everything_once_in_order(
    world: World,
) -> None:
    world.customer = REFUSED
    sent = send_many(world, 300)
    world.drain()
    assert state(world) == "stalled"
    assert len(callbacks(world)) <= 100, "one round of notices, and no more"
    world.run(60.0)
    asked = len(callbacks(world))
    world.run(6 * HOUR, step=30.0)
    probes = len(callbacks(world)) - asked
    assert 6 * 12 <= probes <= 6 * 24 + 5, "one each 150 to 300 s"
    waiting = {d.queue: d.ready + d.delayed for d in world.queue.depths()}
    assert waiting["Notify"] == 1, "its notices were dropped: only the probe goes on"
    sent += send_many(world, 50)
    world.run(600.0, step=30.0)
    world.customer = YES
    world.run(600.0, step=10.0)
    assert state(world) == "open"
    given_once_and_in_order(world, sent)
    assert max(Counter(told["webhook-id"] for told in world.told).values()) == 1
    assert world.dead_letters() == 0
    endpoint_now = world.bare.store.endpoint(world.record(sent[0]).cost_centre)
    assert endpoint_now.since == 0.0, "the replay has come to its end"


def test_several_stalls_in_a_row_lose_and_double_nothing(world: World) -> None:
    sent: list[str] = []
    for _ in range(5):
        world.customer = BROKEN
        sent += send_many(world, 40)
        world.run(900.0, step=20.0)
        assert state(world) == "stalled"
        world.customer = YES
        sent += send_many(world, 10)
        world.run(7.0)  # not always long enough for the probe
    world.run(900.0, step=20.0)
    assert state(world) == "open"
    given_once_and_in_order(world, sent)


def test_an_endpoint_that_stalls_again_and_again_in_the_midst_of_its_replay_gets_everything_once(
    world: World,
) -> None:
    asked = 0

    def moody(_: Outgoing) -> Answer:
        nonlocal asked
        asked += 1
        return Reached(200 if asked % 250 < 90 else 503, b"")

    world.customer = moody
    sent = send_many(world, 400)
    stalls = 0
    for _ in range(200):
        world.run(60.0, step=20.0)
        stalls += state(world) == "stalled"
    assert stalls > 3
    world.customer = YES
    world.run(HOUR, step=20.0)
    given_once_and_in_order(world, sent)


def test_what_an_old_message_owes_is_replayed_though_its_id_is_older_than_the_replay(
    world: World,
) -> None:
    old = world.send(validity=259_200)
    world.drain(receipts=False)
    assert types(world, old) == [1]
    receipt = world.receipts.pop()
    world.run(3 * DAY + HOUR, step=HOUR)
    world.customer = REFUSED
    send_many(world, 20)
    world.drain()
    assert state(world) == "stalled"
    assert world.tell(receipt) == 204
    world.run(60.0)
    world.customer = YES
    world.run(600.0, step=10.0)
    assert types(world, old) == [1, 2]


def test_the_probe_of_an_endpoint_whose_url_is_removed_ends(world: World) -> None:
    world.customer = BROKEN
    send_many(world, 20)
    world.run(60.0)
    operations.costcentre_update(world.deps, "ana", callback_url="")
    asked = len(callbacks(world))
    world.run(HOUR, step=60.0)
    assert len(callbacks(world)) == asked
    assert {d.queue: d.ready + d.delayed for d in world.queue.depths()}["Notify"] == 0


class Meanwhile:
    """A store where something happens just before a call for the n-th time."""

    def __init__(self, store: Any, call: str, time: int, happens: Callable[[], None]) -> None:
        self._store, self._call, self._left, self._happens = store, call, time, happens

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            self._left -= 1
            if self._left == 0:
                self._happens()
        return getattr(self._store, name)


@pytest.mark.parametrize(("call", "time"), [("endpoint", 2), ("put_endpoint", 1)])
def test_an_endpoint_that_is_opened_while_a_notice_is_dropped_stays_open_and_loses_nothing(
    world: World, call: str, time: int
) -> None:
    identifier = world.send()
    world.drain(receipts=False)
    which = world.record(identifier).cost_centre
    stalled = Endpoint(which, "stalled", world.now + 5.0, 1)
    assert world.bare.store.put_endpoint(stalled)
    message = world.record(identifier)
    owing = replace(message, reports=tuple(replace(r, given_at=None) for r in message.reports))
    assert world.bare.store.replace([owing])[0]
    world.told.clear()
    store: Any = Meanwhile(world.bare.store, call, time, lambda: endpoint.reopen(which, world.deps))
    between = Engine(store=store, queue=world.bare.queue, blobs=world.bare.blobs)
    other = assemble(between, b"pepper", world.exchange, world.deps.settings, world.clock)
    notify([Look(which, identifier)], other)
    assert state(world) == "open"
    world.run(60.0, receipts=False)
    assert types(world, identifier) == [1]


# --- batches -------------------------------------------------------------------------------------


def is_batch(request: Outgoing) -> bool:
    return "batchId" in content(request)


def told_of_batch(world: World, batch_id: str) -> tuple[list[int], list[int]]:
    """Where in the customer's log the batch's callback stands, and where its messages' reports."""
    ids = {
        record.id for record in world.every_record() if getattr(record, "batch_id", "") == batch_id
    }
    announced = [n for n, told in enumerate(world.told) if told.get("batchId") == batch_id]
    reports = [n for n, told in enumerate(world.told) if "type" in told]
    return announced, [n for n in reports if world.told[n]["message_id"] in ids]


def test_a_stall_while_a_batch_is_unannounced_keeps_its_callback_before_its_reports(
    world: World,
) -> None:
    world.customer = REFUSED
    singles = send_many(world, 15)
    batch_id = send_batch(world, 150)
    world.run(HOUR, step=30.0)
    assert state(world) == "stalled"
    world.customer = YES
    world.run(900.0, step=10.0)
    announced, reported = told_of_batch(world, batch_id)
    assert len(announced) == 1
    assert len(reported) == 300
    given_once_and_in_order(world, singles)
    messages = [r for r in world.every_record() if isinstance(r, Message) and r.batch_id]
    given_once_and_in_order(world, [message.id for message in messages])


def test_a_batch_that_comes_while_its_endpoint_is_stalled_is_announced_first(world: World) -> None:
    world.customer = REFUSED
    send_many(world, 15)
    world.run(20.0)
    assert state(world) == "stalled"
    batch_id = send_batch(world, 120)
    world.run(30.0)
    world.customer = YES
    world.run(900.0, step=5.0)
    announced, reported = told_of_batch(world, batch_id)
    assert len(announced) == 1
    assert len(reported) == 240
    assert announced[0] < reported[0]


def test_a_batch_callback_that_fails_for_60_s_lets_the_reports_go(world: World) -> None:
    world.customer = lambda request: Reached(500 if is_batch(request) else 200, b"")
    batch_id = send_batch(world, 120)
    world.run(58.0)
    assert world.told == []
    world.run(60.0)
    announced, reported = told_of_batch(world, batch_id)
    assert announced == []
    assert len(reported) == 240
    world.customer = YES
    world.run(HOUR, step=30.0)
    assert len(told_of_batch(world, batch_id)[0]) == 1, "the callback comes all the same"
    assert len(world.told) == 241


def test_a_customer_who_takes_no_batch_callbacks_at_all_gets_its_reports(world: World) -> None:
    world.customer = lambda request: Reached(404 if is_batch(request) else 200, b"")
    batches = [send_batch(world, 5) for _ in range(20)]
    world.run(2 * HOUR, step=10.0)
    assert [len(told_of_batch(world, batch_id)[1]) for batch_id in batches] == [10] * 20
    late = world.send()
    world.run(2 * HOUR, step=10.0)
    assert types(world, late) == [1, 2]


def test_a_batch_whose_own_notice_was_dropped_is_announced_once_a_message_has_news(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    identifier = world.cost_centre(callback_url="")
    batch_id = send_batch(world, 12)
    world.drain(receipts=False)
    operations.costcentre_update(world.deps, identifier, callback_url=CALLBACK_URL)
    world.now += 70.0
    world.run(120.0, step=5.0)
    announced, reported = told_of_batch(world, batch_id)
    assert len(announced) == 1
    assert len(reported) == 24
    assert announced[0] < reported[0]


# --- an endpoint that fails for some reports only ------------------------------------------------


def test_an_endpoint_that_fails_for_some_reports_among_others_is_not_stalled(world: World) -> None:
    sent = send_many(world, 60)
    poison = set(sent[::2])
    world.customer = lambda request: Reached(
        500 if content(request)["message_id"] in poison else 200, b""
    )
    world.drain()
    assert state(world) == "open"
    given_once_and_in_order(world, sent[1::2])


def test_a_few_reports_that_always_fail_never_stall_an_endpoint(world: World) -> None:
    sent = send_many(world, 12)
    poison = set(sent[:9])
    world.customer = lambda request: Reached(
        500 if content(request)["message_id"] in poison else 200, b""
    )
    for _ in range(12):
        world.run(HOUR, step=30.0)
        assert state(world) == "open"
    given_once_and_in_order(world, sent[9:])
    late = world.send()
    world.drain()
    assert types(world, late) == [1, 2], "it is not held up by the others"


def test_many_reports_that_always_fail_do_not_keep_others_from_their_endpoint(
    world: World,
) -> None:
    poison = set(send_many(world, 15))
    world.customer = lambda request: Reached(
        500 if content(request)["message_id"] in poison else 200, b""
    )
    world.run(HOUR, step=10.0)
    late = send_many(world, 5)
    world.run(2 * HOUR, step=10.0)
    given_once_and_in_order(world, late)


# --- without a URL, and replays ------------------------------------------------------------------


def test_without_a_callback_url_nothing_is_told_until_there_is_one_and_a_replay_is_asked(
    world: World,
) -> None:
    world.cost_centre("sem", callback_url="")
    before = send_many(world, 5, login="sem")
    world.run(HOUR, step=60.0)
    operations.costcentre_update(world.deps, "sem", callback_url=CALLBACK_URL)
    world.run(HOUR, step=60.0)
    assert world.told == []
    after = send_many(world, 5, login="sem")
    world.run(60.0)
    assert {told["message_id"] for told in world.told} == set(after)
    world.told.clear()
    operations.replay(world.deps, "sem", START - 1.0, START + HOUR)
    world.run(60.0)
    assert {told["message_id"] for told in world.told} == set(before)
    given_once_and_in_order(world, before)


def test_a_replay_gives_everything_of_its_time_once_more_and_nothing_else(world: World) -> None:
    before = world.send()
    world.run(HOUR, step=60.0)
    since = world.now
    scheduled = world.send(send_at="2026-05-28T22:00:00Z")
    sent = send_many(world, 250)
    batch_id = send_batch(world, 5)
    world.drain()
    reply = {"event": "reply", "id": "mo-1", "from": "5534990000001", "text": "sim"}
    assert world.tell(reply) == 204
    world.run(HOUR, step=60.0)
    until = world.now - 1.0
    after = world.send()
    world.run(60.0)
    once = Counter(told["webhook-id"] for told in world.told)
    assert set(once.values()) == {1}
    world.told.clear()
    operations.replay(world.deps, "ana", since, until)
    world.run(60.0)
    again = Counter(told["webhook-id"] for told in world.told)
    not_again = {f"{identifier}.{kind}" for identifier in (before, after) for kind in (1, 2)}
    assert set(again.values()) == {1}
    assert set(again) == set(once) - not_again
    given_once_and_in_order(world, [scheduled, *sent])
    assert len(told_of_batch(world, batch_id)[1]) == 10


# --- more than one at a time ---------------------------------------------------------------------


def test_a_dead_endpoint_does_not_delay_another_cost_centres(world: World) -> None:
    world.cost_centre("bia", callback_url=OTHER_URL)
    world.customer = lambda request: (
        Reached(200, b"") if request.url == OTHER_URL else Unreached("timed out", sent=True)
    )
    dead = send_many(world, 30)
    well = send_many(world, 30, login="bia")
    world.drain()
    given_once_and_in_order(world, well)
    assert {world.record(x, "bia").reports[1].attempts for x in well} == {1}
    assert (state(world), state(world, "bia")) == ("stalled", "open")
    world.customer = YES
    world.run(600.0, step=10.0)
    given_once_and_in_order(world, dead)


def test_in_one_handful_of_notices_the_slow_and_dead_cost_the_others_nothing(world: World) -> None:
    world.cost_centre("bia", callback_url=OTHER_URL)

    def customer(request: Outgoing) -> Answer:
        if request.url == OTHER_URL:
            return Reached(200, b"")
        world.now += 15.0
        return Unreached("timed out", sent=True)

    dead, well = world.send(), send_many(world, 3, login="bia")
    world.customer = REFUSED
    world.drain(receipts=False)
    world.customer = customer
    which = world.record(dead).cost_centre
    other = world.record(well[0], "bia").cost_centre
    notify([Look(which, dead), *(Look(other, identifier) for identifier in well)], world.deps)
    assert {kind for identifier in well for kind in types(world, identifier)} == {1}
    world.run(60.0)
    given_once_and_in_order(world, well)


def test_two_workers_with_the_same_record_give_a_report_once(world: World) -> None:
    nested = 0

    def customer(request: Outgoing) -> Answer:
        nonlocal nested
        identifier = content(request)["message_id"]
        if nested < 5:
            nested += 1
            which = world.record(identifier).cost_centre
            notify([Look(which, identifier), Look(which, identifier)], world.deps)
            world.step()
        return Reached(200, b"")

    world.customer = customer
    sent = send_many(world, 3)
    world.run(60.0)
    assert nested == 5
    given_once_and_in_order(world, sent)


def test_a_probe_on_its_way_and_a_replay_give_a_report_once(world: World) -> None:
    world.customer = BROKEN
    sent = send_many(world, 20)
    world.drain()
    assert state(world) == "stalled"
    opened = False

    def customer(_: Outgoing) -> Answer:
        nonlocal opened
        if not opened:
            opened = True
            operations.costcentre_update(world.deps, "ana", callback_url=CALLBACK_URL)
            world.drain()
        return Reached(200, b"")

    world.customer = customer
    world.run(600.0, step=5.0)
    given_once_and_in_order(world, sent)


def test_a_record_that_changes_while_its_report_is_on_its_way_keeps_both(world: World) -> None:
    def customer(_: Outgoing) -> Answer:
        world.tell_receipts()
        while world.step():
            pass
        return Reached(200, b"")

    world.customer = customer
    identifier = world.send()
    world.drain(receipts=False)
    assert world.record(identifier).state == "DELIVERED"
    world.run(60.0)
    given_once_and_in_order(world, [identifier])
    assert world.bare.store.records([Key(world.record(identifier).cost_centre, identifier)])[0]
