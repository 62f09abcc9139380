"""What every Queue has to do, sentence by sentence of recado.engine.Queue."""

from collections import Counter

import pytest

from recado.engine import Depth, Received
from tests.engine.conftest import Harness


def _depth(engine: Harness, queue: str = "Submit") -> Depth:
    return next(depth for depth in engine.queue.depths() if depth.queue == queue)


def _exhaust(engine: Harness, queue: str = "Submit") -> list[int]:
    """Takes what is there again and again and never ends it: how often each was received."""
    receives = []
    for _ in range(engine.max_receives + 1):
        receives += [row.receives for row in engine.take_all(queue)]
        engine.advance(engine.visibility + 1)
    return receives


# --- send, receive, done -------------------------------------------------------------------------


def test_what_is_sent_is_received_with_its_queue_and_its_group(engine: Harness) -> None:
    engine.queue.send("Submit", ["one", "two"], "ana")
    received = engine.take_all()
    assert sorted(row.body for row in received) == ["one", "two"]
    assert {(row.queue, row.group, row.receives) for row in received} == {("Submit", "ana", 1)}
    assert len({row.id for row in received}) == 2


def test_a_queue_gives_nothing_of_another(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    engine.queue.send("Notify", ["two"], "ana")
    assert engine.drain("Notify") == ["two"]
    assert engine.drain("Submit") == ["one"]
    assert engine.drain("Inbound") == []


def test_an_empty_queue_gives_nothing(engine: Harness) -> None:
    assert engine.queue.receive("Submit", 10) == []


def test_sending_nothing_leaves_nothing(engine: Harness) -> None:
    engine.queue.send("Submit", [], "ana")
    engine.queue.send("Submit", [], "ana", delay=5)
    engine.advance(10)
    assert engine.drain() == []


def test_no_more_are_received_than_the_limit(engine: Harness) -> None:
    engine.queue.send("Submit", [str(n) for n in range(7)], "ana")
    sizes = []
    while rows := engine.queue.receive("Submit", 3):
        sizes.append(len(rows))
    assert max(sizes) <= 3
    assert sum(sizes) == 7


def test_a_message_in_hand_is_given_to_nobody_else(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    assert len(engine.take_all()) == 1
    engine.advance(engine.visibility - 1)
    assert engine.take_all() == []


def test_a_message_that_is_done_never_comes_again(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    engine.queue.done(engine.take_all())
    engine.advance(engine.visibility + 1)
    assert engine.take_all() == []
    engine.reopen()
    assert engine.take_all() == []
    assert _depth(engine) == Depth("Submit", 0, 0, 0)


def test_done_forgets_these_and_no_others(engine: Harness) -> None:
    engine.queue.send("Submit", ["one", "two", "three"], "ana")
    received = engine.take_all()
    engine.queue.done([row for row in received if row.body == "two"])
    engine.advance(engine.visibility + 1)
    assert sorted(row.body for row in engine.take_all()) == ["one", "three"]


def test_done_is_repeatable(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    received = engine.take_all()
    engine.queue.done(received)
    engine.queue.done(received)
    assert engine.take_all() == []


@pytest.mark.parametrize(
    "body", ["{}", "çãé 👍🏽 \U0001f1e7\U0001f1f7 \t\n '\"", "x" * 240_000, "é" * 120_000]
)
def test_a_body_comes_out_as_it_went_in(engine: Harness, body: str) -> None:
    engine.queue.send("Submit", [body], "ana")
    assert [row.body for row in engine.take_all()] == [body]
    engine.reopen()
    engine.advance(engine.visibility + 1)  # SQS does not notice that a process died
    assert engine.drain() == [body]


# --- delay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1.0, 30.0, 900.0])
def test_a_delayed_message_is_received_after_its_delay_and_not_before(
    engine: Harness, delay: float
) -> None:
    engine.queue.send("Submit", ["later"], "ana", delay=delay)
    engine.queue.send("Submit", ["now"], "ana")
    assert engine.drain() == ["now"]
    engine.advance(delay - 0.5)
    assert engine.drain() == []
    engine.advance(0.5)
    assert engine.drain() == ["later"]


def test_delayed_messages_come_each_in_its_own_time(engine: Harness) -> None:
    for delay in (30.0, 10.0, 20.0):
        engine.queue.send("Submit", [str(delay)], "ana", delay=delay)
    came = []
    for _ in range(4):
        came.append(engine.drain())
        engine.advance(10)
    assert came == [[], ["10.0"], ["20.0"], ["30.0"]]


def test_a_delayed_message_survives_a_restart_and_keeps_its_hour(engine: Harness) -> None:
    engine.queue.send("Submit", ["later"], "ana", delay=60)
    engine.reopen()
    engine.advance(59)
    assert engine.drain() == []
    engine.reopen()
    engine.advance(1)
    assert engine.drain() == ["later"]


def test_a_message_that_fell_due_while_nobody_ran_comes_after_the_restart(engine: Harness) -> None:
    engine.queue.send("Submit", ["later"], "ana", delay=60)
    engine.advance(3600)
    engine.reopen()
    assert engine.drain() == ["later"]


def test_a_message_that_was_delayed_is_received_for_the_first_time(engine: Harness) -> None:
    engine.queue.send("Submit", ["later"], "ana", delay=60)
    engine.advance(60)
    assert [(row.receives, row.group) for row in engine.take_all()] == [(1, "ana")]


# --- redelivery ----------------------------------------------------------------------------------


def test_a_message_in_hand_comes_back_after_the_visibility_timeout(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    engine.take_all()
    engine.advance(engine.visibility + 1)
    assert [(row.body, row.group) for row in engine.take_all()] == [("one", "ana")]


def test_receives_count_from_one_upwards(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    assert _exhaust(engine) == list(range(1, engine.max_receives + 1))


def test_a_message_is_a_dead_letter_after_its_last_receive(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    _exhaust(engine)
    assert engine.take_all() == []
    assert _depth(engine) == Depth("Submit", 0, 0, 1)


def test_each_message_has_its_own_visibility_timeout(engine: Harness) -> None:
    engine.queue.send("Submit", ["early"], "ana")
    engine.take_all()
    engine.advance(engine.visibility / 2)
    engine.queue.send("Submit", ["late"], "ana")
    engine.take_all()
    engine.advance(engine.visibility / 2 + 1)
    assert engine.drain() == ["early"]
    engine.advance(engine.visibility / 2)
    assert engine.drain() == ["late"]


# --- groups --------------------------------------------------------------------------------------


def test_many_groups_all_get_theirs_once(engine: Harness) -> None:
    for turn in range(3):
        for group in range(100):
            engine.queue.send("Submit", [f"{group}/{turn}"], f"group-{group}")
    received: Counter[str] = Counter()
    while rows := engine.queue.receive("Submit", 10):
        assert all(row.body.startswith(row.group.removeprefix("group-") + "/") for row in rows)
        received.update(row.body for row in rows)
        engine.queue.done(rows)
    assert received == Counter(f"{group}/{turn}" for group in range(100) for turn in range(3))


def test_a_message_without_a_group_comes_like_any_other(engine: Harness) -> None:
    engine.queue.send("Submit", ["of none"], "")
    engine.queue.send("Submit", ["of none, later"], "", delay=30)
    engine.queue.send("Submit", ["of ana"], "ana")
    rows = engine.take_all()
    assert {(row.body, row.group, row.receives) for row in rows} == {
        ("of none", "", 1),
        ("of ana", "ana", 1),
    }
    engine.queue.done([row for row in rows if row.group])
    engine.reopen()
    engine.advance(engine.visibility + 1)
    assert sorted(engine.drain()) == ["of none", "of none, later"]


def test_a_dead_letter_without_a_group_goes_back_without_one(engine: Harness) -> None:
    engine.queue.send("Submit", ["worn"], "")
    _exhaust(engine)
    engine.queue.bury("Submit", "buried", "")
    engine.queue.bury("Submit", "of ana", "ana")
    engine.reopen()
    assert engine.queue.redrive("Submit") == 3
    rows = engine.take_all()
    assert {(row.body, row.group, row.receives) for row in rows} == {
        ("worn", "", 1),
        ("buried", "", 1),
        ("of ana", "ana", 1),
    }
    engine.queue.done(rows)
    assert _depth(engine) == Depth("Submit", 0, 0, 0)


# --- dead letters --------------------------------------------------------------------------------


def test_a_buried_message_is_a_dead_letter_and_is_not_received(engine: Harness) -> None:
    engine.queue.bury("Submit", "bad", "ana")
    assert engine.take_all() == []
    assert _depth(engine) == Depth("Submit", 0, 0, 1)
    engine.reopen()
    assert engine.take_all() == []
    assert _depth(engine) == Depth("Submit", 0, 0, 1)


def test_redriving_puts_dead_letters_back_with_their_group_and_a_fresh_count(
    engine: Harness,
) -> None:
    engine.queue.send("Submit", ["worn"], "ana")
    _exhaust(engine)
    engine.queue.bury("Submit", "buried", "rui")
    assert engine.queue.redrive("Submit") == 2
    assert _depth(engine) == Depth("Submit", 2, 0, 0)
    received = {(row.body, row.group, row.receives) for row in engine.take_all()}
    assert received == {("worn", "ana", 1), ("buried", "rui", 1)}


def test_a_redriven_message_may_die_again(engine: Harness) -> None:
    engine.queue.bury("Submit", "bad", "ana")
    engine.queue.redrive("Submit")
    assert _exhaust(engine) == list(range(1, engine.max_receives + 1))
    assert _depth(engine).dead == 1


def test_redriving_touches_no_other_queue_and_nothing_twice(engine: Harness) -> None:
    engine.queue.bury("Submit", "one", "ana")
    engine.queue.bury("Notify", "two", "ana")
    assert engine.queue.redrive("Submit") == 1
    assert engine.queue.redrive("Submit") == 0
    assert engine.drain("Submit") == ["one"]
    assert _depth(engine, "Notify").dead == 1


def test_a_redriven_message_survives_a_restart(engine: Harness) -> None:
    engine.queue.bury("Submit", "one", "ana")
    engine.queue.redrive("Submit")
    engine.reopen()
    assert engine.drain() == ["one"]


def test_depths_tell_of_every_queue_by_name(engine: Harness) -> None:
    engine.queue.send("Submit", ["a", "b"], "ana")
    engine.queue.send("Submit", ["c"], "ana", delay=60)
    engine.queue.bury("Submit", "d", "rui")
    engine.queue.send("Notify", ["e"], "ana")
    assert engine.queue.depths() == [
        Depth("Inbound", 0, 0, 0),
        Depth("Notify", 1, 0, 0),
        Depth("Submit", 2, 1, 1),
    ]


# --- restarts ------------------------------------------------------------------------------------


def test_over_a_restart_nothing_is_lost_and_nothing_doubled(engine: Harness) -> None:
    bodies = [f"{group}/{n}" for group in range(5) for n in range(40)]
    for body in bodies:
        engine.queue.send("Submit", [body], f"group-{body[0]}")
    done: list[Received] = []
    for _ in range(6):
        done += engine.queue.receive("Submit", 10)
    engine.queue.done(done)
    in_hand = engine.queue.receive("Submit", 10) + engine.queue.receive("Submit", 10)
    assert in_hand
    engine.reopen()
    engine.advance(engine.visibility + 1)
    rest = Counter(engine.drain())
    assert rest == Counter(bodies) - Counter(row.body for row in done)


def test_what_is_sent_after_a_restart_has_an_id_of_its_own(engine: Harness) -> None:
    engine.queue.send("Submit", ["one"], "ana")
    engine.reopen()
    engine.queue.send("Submit", ["two"], "ana")
    received = engine.take_all()
    assert sorted(row.body for row in received) == ["one", "two"]
    assert len({row.id for row in received}) == 2
