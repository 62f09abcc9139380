"""Binds: the pace, the brake, and which replies may come again; by a clock that the test moves."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp.doubts import Doubts
from smpp.pace import Brake, Pace

# --- pace ----------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.lists(st.floats(0.0, 0.2), min_size=50, max_size=300))
def test_no_stretch_of_time_has_more_messages_than_it_may(
    per_second: int, rests: list[float]
) -> None:
    pace, now, went = Pace(per_second), 0.0, []
    for rest in rests:
        now += rest
        now += pace.wait(now)
        pace.went(now)
        went.append(now)
    for first, start in enumerate(went):
        for amount, end in enumerate(went[first:], 1):
            # As many as the time has room for, and a burst of a twentieth of a second's.
            assert amount <= (end - start) * per_second + max(1.0, 0.05 * per_second) + 1e-3


def test_a_pace_is_kept_up_with_where_nothing_rests() -> None:
    pace, now = Pace(200), 0.0
    for _ in range(1001):
        now += pace.wait(now)
        pace.went(now)
    assert now == pytest.approx(5.0, abs=0.1)


def test_a_pace_of_none_never_waits_and_may_change() -> None:
    pace = Pace(0)
    pace.went(1.0)
    assert pace.wait(1.0) == 0.0
    pace.change(2)
    pace.went(1.0)
    assert pace.wait(1.0) == pytest.approx(0.5)


# --- brake ---------------------------------------------------------------------------------------


def test_pauses_double_to_five_seconds_and_shrink_again() -> None:
    brake, now, pauses = Brake(), 0.0, []
    for _ in range(9):
        brake.throttled(now)
        brake.throttled(now)  # of the same burst
        pauses.append(round(brake.until - now, 3))
        now = brake.until
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    brake.taken(now)  # too soon to say that all is well
    brake.throttled(now)
    assert brake.until - now == pytest.approx(5.0)
    now = brake.until + 5.0
    brake.taken(now)
    brake.throttled(now)
    assert brake.until - now == pytest.approx(5.0)  # half of it, doubled
    for _ in range(20):
        now += 5.0
        brake.taken(now)
    brake.throttled(now)
    assert brake.until - now == pytest.approx(0.1)


# --- doubts --------------------------------------------------------------------------------------


def test_a_reply_that_was_answered_late_is_the_same_when_it_comes_again() -> None:
    doubts = Doubts()
    assert doubts.came("session", b"Sim", 0.0, 100.0) == 100.0
    doubts.answered("session", b"Sim", 6.0, kept=True)
    assert doubts.came("session", b"Sim", 7.0, 107.0) == 100.0
    doubts.answered("session", b"Sim", 7.1, kept=True)
    assert doubts.came("session", b"Sim", 8.0, 108.0) == 108.0


def test_a_reply_that_is_still_not_answered_is_the_same_when_it_comes_again() -> None:
    doubts = Doubts()
    doubts.came("session", b"Sim", 0.0, 100.0)
    assert doubts.came("session", b"Sim", 4.0, 104.0) == 104.0  # too soon to be a repeat
    assert doubts.came("session", b"Sim", 10.0, 110.0) == 104.0


def test_the_same_text_twice_at_the_same_instant_is_two_replies() -> None:
    doubts = Doubts()
    times = [doubts.came("session", b"Sim", 0.0, 100.0005) for _ in range(3)]
    doubts.answered("session", b"Sim", 0.001, kept=True)
    times.append(doubts.came("session", b"Sim", 0.002, 100.0010))
    assert len({f"{time:.3f}" for time in times}) == 4


def test_an_answer_written_long_before_its_session_ended_has_arrived() -> None:
    doubts = Doubts()
    doubts.came("session", b"Sim", 0.0, 100.0)
    doubts.answered("session", b"Sim", 0.1, kept=True)
    doubts.gone("session", 11.0)
    assert doubts.came("another", b"Sim", 12.0, 112.0) == 112.0


def test_a_doubt_is_over_after_ten_minutes() -> None:
    doubts = Doubts()
    doubts.came("session", b"Sim", 0.0, 100.0)
    doubts.gone("session", 1.0)
    assert doubts.came("another", b"Sim", 602.0, 702.0) == 702.0


def test_of_a_reply_in_doubt_no_more_is_held_than_what_knows_it_again() -> None:
    doubts = Doubts()
    tracemalloc.start()
    try:
        for number in range(100):
            body = number.to_bytes(4) + bytes(65_000)
            doubts.came("session", body, number / 1000, 100.0)
            doubts.answered("session", body, number / 1000, kept=True)
        doubts.gone("session", 1.0)
        assert tracemalloc.get_traced_memory()[0] < 2 * len(body)
    finally:
        tracemalloc.stop()
    assert len(doubts) == 100
    assert doubts.came("another", body, 1.0, 500.0) == 100.0


def test_what_was_in_doubt_is_forgotten_when_anything_comes_ten_minutes_later() -> None:
    doubts = Doubts()
    for number in range(1_000):
        doubts.came("session", number.to_bytes(4), 0.0, 100.0)
    doubts.gone("session", 0.0)
    assert len(doubts) == 1_000
    doubts.came("another", b"Sim", 601.0, 701.0)
    assert len(doubts) == 1


def test_an_answer_that_has_arrived_is_forgotten_when_another_session_says_anything() -> None:
    doubts = Doubts()
    doubts.came("session", b"Sim", 0.0, 100.0)
    doubts.answered("session", b"Sim", 0.0, kept=True)
    doubts.came("another", b"Sim", 11.0, 111.0)
    assert len(doubts) == 1
