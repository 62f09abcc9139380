"""The upstream is down, full, slow or leaves us in the dark: what becomes of the messages."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from recado.http import Reached, Unreached
from recado.message import Message, State
from tests.support.dying import Death
from tests.support.world import START, World

HOUR = 3_600.0
DAY = 86_400.0

Answer = Reached | Unreached
Play = Callable[[dict[str, Any]], Answer]

DOWN = Unreached("connection refused", sent=False)
DARK: list[Answer] = [
    Unreached("timed out", sent=True),
    Reached(500, b""),
    Reached(200, b"<html>"),
    Reached(200, b"{}"),
]
In_the_dark = pytest.mark.parametrize("dark", DARK, ids=["silence", "500", "garbage", "nothing"])


def always(answer: Answer) -> Play:
    return lambda _: answer


def takes_but_answers(world: World, answer: Answer) -> Play:
    """The upstream takes each message, and what comes back does not say so."""

    def play(submit: dict[str, Any]) -> Answer:
        world.take(submit)
        return answer

    return play


def first(answer: Play, then: Play) -> Play:
    """One answer to the first submit, another one to all that follow."""
    asked = 0

    def play(submit: dict[str, Any]) -> Answer:
        nonlocal asked
        asked += 1
        return answer(submit) if asked == 1 else then(submit)

    return play


def send_batch(world: World, count: int, **fields: Any) -> str:
    listed = [
        {"destination_addr": f"55349{90_000_000 + number}", "message": "oi"}
        for number in range(count)
    ]
    answer = world.call("POST", "/message/batch", {"list": listed, **fields})[1]
    return str(answer["batchId"])


def messages(world: World) -> list[Message]:
    return [record for record in world.every_record() if isinstance(record, Message)]


def reported(world: World, identifier: str) -> list[str]:
    return [told.get("stat") or told["report_stat"] for told in world.reports(identifier)]


def waiting(world: World) -> int:
    depths = {depth.queue: depth.ready + depth.delayed for depth in world.queue.depths()}
    return depths["Submit"] + depths["SubmitBulk"]


def each_once(world: World) -> None:
    references = [taken["reference"] for taken in world.taken]
    assert len(references) == len(set(references))


# --- down ----------------------------------------------------------------------------------------


def test_an_upstream_down_for_a_day_fills_no_dead_letters_and_loses_only_what_has_expired(
    world: World,
) -> None:
    world.upstream = always(DOWN)
    short = [world.send(validity=validity) for validity in (5, 600, 3_600, 7_000)]
    short += [world.send()]  # a day
    long = [world.send(validity=172_800)]
    send_batch(world, 150, validity=50_000)
    world.run(DAY / 2, step=20.0)
    short += [world.send(validity=43_100)]
    long += [world.send()]
    world.run(DAY / 2, step=20.0)
    world.run(60.0)
    assert world.taken == []
    assert world.dead_letters() == 0
    batched = [message for message in messages(world) if message.batch_id]
    assert len(batched) == 150
    for message in [*(world.record(identifier) for identifier in short), *batched]:
        assert message.state is State.EXPIRED
        assert reported(world, message.id) == ["ESME_RSUBMITFAIL", "EXPIRED"]
        assert not message.maybe_sent
        assert message.submits == 0
        for report in message.reports:
            assert 0.0 <= report.owed_at - message.expires_at <= 60.0
            assert report.given_at is not None
            assert report.given_at - message.expires_at <= 60.0
    assert [world.message(identifier)["state"] for identifier in long] == ["SUBMITTING"] * 2
    world.upstream = world.take
    world.run(120.0)
    for identifier in long:
        assert reported(world, identifier) == ["ESME_ROK", "DELIVRD"]
    assert len(world.taken) == 2
    assert waiting(world) == 0


def test_a_batch_that_waits_for_its_upstream_does_not_fall_apart(world: World) -> None:
    world.upstream = always(DOWN)
    send_batch(world, 250)
    world.run(HOUR, step=10.0)
    assert waiting(world) <= 6, "three packets, each at most in what was tried and what was not"
    asked = len(world.requests)
    world.run(HOUR, step=10.0)
    assert len(world.requests) - asked < 6 * 60 * 60, "a window at a time is enough to find it down"
    world.upstream = world.take
    world.run(120.0)
    assert len(world.taken) == 250
    each_once(world)


def test_an_upstream_that_takes_some_and_not_others_gets_each_once(world: World) -> None:
    asked = 0

    def moody(submit: dict[str, Any]) -> Answer:
        nonlocal asked
        asked += 1
        return world.take(submit) if asked % 7 == 0 else DOWN

    world.upstream = moody
    send_batch(world, 120)
    world.run(2 * HOUR, step=10.0)
    assert len(world.taken) == 120
    each_once(world)
    assert {message.state for message in messages(world)} == {State.DELIVERED}
    assert {message.submits for message in messages(world)} == {1}


def test_a_one_time_password_is_never_sent_past_its_ten_minutes(world: World) -> None:
    world.upstream = always(DOWN)
    late = world.send(text="seu codigo: 1234", validity=600)
    world.run(599.0)
    world.upstream = world.take
    world.now += 1.0  # nobody has looked at the queue for a second
    world.run(HOUR, step=10.0)
    assert world.taken == []
    assert reported(world, late) == ["ESME_RSUBMITFAIL", "EXPIRED"]


def test_a_queue_that_was_not_worked_for_a_day_sends_nothing_that_has_expired(
    world: World,
) -> None:
    late = world.send()
    world.now += DAY
    in_time = world.send()
    world.run(10.0)
    assert [taken["reference"].partition(".")[2] for taken in world.taken] == [in_time]
    assert reported(world, late) == ["ESME_RSUBMITFAIL", "EXPIRED"]


# --- full ----------------------------------------------------------------------------------------


def test_a_throttled_upstream_gets_everything_once_in_its_own_time(world: World) -> None:
    in_second: dict[int, int] = {}

    def throttled(submit: dict[str, Any]) -> Answer:
        second = int(world.now)
        if in_second.get(second, 0) >= 5:
            return Reached(429, b"", {"Retry-After": "2"})
        in_second[second] = in_second.get(second, 0) + 1
        return world.take(submit)

    world.upstream = throttled
    for _ in range(20):
        world.send()
    send_batch(world, 80)
    world.run(HOUR)
    assert len(world.taken) == 100
    each_once(world)
    assert {message.maybe_sent for message in messages(world)} == {False}
    assert world.dead_letters() == 0


def test_an_upstream_that_asks_for_a_day_of_patience_is_asked_again_within_minutes(
    world: World,
) -> None:
    """A queue delays by 15 minutes at most."""
    world.upstream = always(Reached(503, b"", {"Retry-After": "86400"}))
    identifier = world.send()
    world.drain()
    delays = world.database.read("SELECT visible_at FROM queue WHERE queue = 'Submit'")
    assert [delay - START for (delay,) in delays] == [900.0]
    world.upstream = world.take
    world.run(901.0, step=10.0)
    assert reported(world, identifier) == ["ESME_ROK", "DELIVRD"]


# --- in the dark ---------------------------------------------------------------------------------


@In_the_dark
def test_after_an_answer_that_says_nothing_a_message_is_sent_again_and_that_shows(
    world: World, dark: Answer
) -> None:
    world.upstream = first(takes_but_answers(world, dark), world.take)
    identifier = world.send()
    world.drain(receipts=False)
    assert world.record(identifier).maybe_sent
    world.run(60.0, receipts=False)
    world.run(60.0)
    message = world.record(identifier)
    assert len(world.submits(identifier)) == 2
    assert message.submits == 2
    assert message.maybe_sent
    assert any(event.note.startswith("uncertain: ") for event in message.history)
    assert reported(world, identifier) == ["ESME_ROK", "DELIVRD"]


def test_a_receipt_that_comes_before_it_is_sent_again_says_that_it_was_sent(world: World) -> None:
    world.upstream = first(takes_but_answers(world, DARK[0]), world.take)
    identifier = world.send()
    world.run(60.0)
    assert len(world.submits(identifier)) == 1
    assert reported(world, identifier) == ["ESME_ROK", "DELIVRD"]


def test_what_was_perhaps_sent_and_then_expires_is_unknown_not_expired(world: World) -> None:
    world.upstream = first(takes_but_answers(world, DARK[0]), always(DOWN))
    identifier = world.send(validity=600)
    world.run(700.0, step=5.0, receipts=False)
    message = world.record(identifier)
    assert (message.state, message.ours) == (State.UNKNOWN, True)
    assert reported(world, identifier) == ["ESME_RSUBMITFAIL", "UNKNOWN"]


@In_the_dark
def test_where_the_upstream_says_so_an_uncertain_message_is_reported_and_not_sent_again(
    world: World, dark: Answer
) -> None:
    world.upstream_is(after_uncertain="report")
    world.upstream = takes_but_answers(world, dark)
    identifier = world.send()
    world.run(60.0, receipts=False)
    message = world.record(identifier)
    assert (message.state, message.ours, message.maybe_sent) == (State.UNKNOWN, True, True)
    assert len(world.submits(identifier)) == 1
    assert reported(world, identifier) == ["ESME_RSUBMITFAIL", "UNKNOWN"]
    world.run(60.0)  # its receipt comes late
    corrected = world.record(identifier)
    assert (corrected.state, corrected.ours) == (State.DELIVERED, False)
    assert reported(world, identifier) == ["ESME_RSUBMITFAIL", "UNKNOWN"]
    another = world.receipt(world.taken[0]["id"], world.taken[0]["reference"], "UNDELIV")
    assert world.tell(another) == 204
    world.run(60.0)
    assert world.record(identifier).state is State.DELIVERED, "it was no guess of ours any more"


def test_where_the_upstream_says_so_a_message_whose_submitter_died_is_reported_too(
    world: World,
) -> None:
    def fatal(submit: dict[str, Any]) -> Answer:
        world.take(submit)
        raise Death

    world.upstream_is(after_uncertain="report")
    world.upstream = fatal
    identifier = world.send()
    with pytest.raises(Death):
        world.drain(receipts=False)
    world.reopen()
    world.run(60.0, receipts=False)
    assert len(world.taken) == 1
    assert reported(world, identifier) == ["ESME_RSUBMITFAIL", "UNKNOWN"]
    world.run(10.0)
    assert world.record(identifier).state is State.DELIVERED


# --- no -------------------------------------------------------------------------------------------


def test_a_message_that_the_upstream_refuses_is_rejected_and_not_tried_again(world: World) -> None:
    asked: list[str] = []

    def refuses(submit: dict[str, Any]) -> Answer:
        asked.append(submit["reference"])
        return Reached(200, json.dumps({"esme": "ESME_RINVDSTADR"}).encode())

    world.upstream = refuses
    identifier = world.send()
    world.run(HOUR, step=60.0)
    assert len(asked) == 1
    assert world.record(identifier).state is State.REJECTED
    assert reported(world, identifier) == ["ESME_RINVDSTADR", "REJECTD"]


def test_a_refused_message_in_a_window_leaves_the_others_alone(world: World) -> None:
    def picky(submit: dict[str, Any]) -> Answer:
        if submit["to"].endswith("3"):
            return Reached(200, json.dumps({"esme": "ESME_RINVDSTADR"}).encode())
        return world.take(submit)

    world.upstream = picky
    send_batch(world, 60)
    world.run(60.0)
    states = {message.to: message.state for message in messages(world)}
    assert len(states) == 60
    for number, state in states.items():
        expected = State.REJECTED if number.endswith("3") else State.DELIVERED
        assert state is expected


# --- no route ------------------------------------------------------------------------------------


def test_a_message_without_a_route_waits_and_goes_once_there_is_one(world: World) -> None:
    identifier = world.send()
    send_batch(world, 120)
    world.route_is(prefix="99")
    world.run(HOUR, step=20.0)
    assert world.taken == []
    assert world.message(identifier)["state"] == "QUEUED"
    assert waiting(world) <= 3
    world.route_is(prefix="")
    world.run(60.0)
    assert len(world.taken) == 121
    each_once(world)
    assert reported(world, identifier) == ["ESME_ROK", "DELIVRD"]


@pytest.mark.parametrize("change", [{"prefix": "99"}, {"upstream": "unheard-of"}])
def test_a_message_that_never_gets_a_route_expires_on_time(
    world: World, change: dict[str, str]
) -> None:
    identifier = world.send(validity=600)
    world.route_is(**change)
    world.run(660.0, step=5.0)
    message = world.record(identifier)
    assert message.state is State.EXPIRED
    assert message.reports[0].owed_at - message.expires_at <= 60.0
    assert reported(world, identifier) == ["ESME_RSUBMITFAIL", "EXPIRED"]
    assert waiting(world) == 0


@pytest.mark.parametrize("change", [{"prefix": "99"}, {"upstream": "unheard-of"}])
def test_what_can_go_nowhere_is_refused_as_a_fault_of_ours(
    world: World, change: dict[str, str]
) -> None:
    world.route_is(**change)
    one = {"destination_addr": "5534998887755", "message": "oi"}
    for path, body in (("/message", one), ("/message/batch", {"list": [one, one]})):
        status, answer = world.call("POST", path, body, headers={"idempotency-key": path})
        assert (status, answer["esme"]) == (503, "ESME_RSYSERR")
        assert answer["message"] == "Message has no route!"
    world.run(10.0)
    assert (waiting(world), world.told) == (0, [])
    world.route_is(prefix="", upstream="simulator")
    assert world.call("POST", "/message", one, headers={"idempotency-key": "/message"})[0] == 200


def test_a_batch_of_which_something_can_go_is_taken(world: World) -> None:
    world.route_is(prefix="5534")
    numbers = ["5511999887755", "5534998887755"]
    body = {"list": [{"destination_addr": number, "message": "oi"} for number in numbers]}
    assert world.call("POST", "/message/batch", body)[0] == 200
    world.drain()
    assert [taken["to"] for taken in world.taken] == ["5534998887755"]


def test_a_message_that_loses_its_route_while_it_waits_expires_as_what_it_is(world: World) -> None:
    world.upstream = first(takes_but_answers(world, DARK[0]), always(DOWN))
    perhaps_sent = world.send(validity=600)
    not_sent = world.send(validity=600, to="5534998887756")
    world.run(60.0, receipts=False)
    world.route_is(prefix="99")
    world.run(600.0, step=5.0, receipts=False)
    assert reported(world, perhaps_sent) == ["ESME_RSUBMITFAIL", "UNKNOWN"]
    assert reported(world, not_sent) == ["ESME_RSUBMITFAIL", "EXPIRED"]
    assert waiting(world) == 0


def test_messages_of_two_upstreams_in_one_go_each_take_their_way(world: World) -> None:
    world.upstream_is("other")
    world.route_is("a-first", upstream="other", prefix="5511")
    down: set[str] = {"simulator"}

    def played(submit: dict[str, Any]) -> Answer:
        name = "other" if submit["to"].startswith("5511") else "simulator"
        return DOWN if name in down else world.take(submit)

    world.upstream = played
    here = world.send()
    there = world.send(to="5511998887755")
    world.drain(receipts=False)
    assert [world.record(x).connector for x in (here, there)] == ["simulator", "other"]
    assert [world.record(x).state for x in (here, there)] == [State.SUBMITTING, State.ENROUTE]
    down.clear()
    world.run(10.0, receipts=False)
    assert world.record(here).state is State.ENROUTE


# --- slow ----------------------------------------------------------------------------------------


def test_a_slow_upstream_leaves_the_rest_put_back_and_nothing_lost(world: World) -> None:
    def slow(submit: dict[str, Any]) -> Answer:
        world.now += 3.0
        return world.take(submit)

    world.upstream_is(concurrency=2)
    world.upstream = slow
    send_batch(world, 60)
    while not world.taken:
        world.step()
    assert world.now - START <= 20.0 + 2 * 3.0
    assert len(world.taken) < 12
    assert waiting(world) > 0
    world.run(HOUR, step=5.0)
    assert len(world.taken) == 60
    each_once(world)
    assert {message.maybe_sent for message in messages(world)} == {False}
    assert {message.state for message in messages(world)} == {State.DELIVERED}
