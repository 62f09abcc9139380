"""How long to wait before the next try."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recado.retry import backoff

attempts = st.integers(1, 10_000)
chances = st.floats(0.0, 1.0)


def test_without_luck_it_doubles_from_a_second_to_fifteen_minutes() -> None:
    waits = [backoff(attempt, chance=0.0) for attempt in range(1, 13)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_the_whole_luck_halves_it() -> None:
    assert [backoff(attempt, chance=1.0) for attempt in (1, 2, 3, 50)] == [0.5, 1, 2, 450]


def test_base_and_cap_are_the_callers() -> None:
    assert backoff(1, base=5.0, cap=60.0, chance=0.0) == 5.0
    assert backoff(4, base=5.0, cap=60.0, chance=0.0) == 40.0
    assert backoff(5, base=5.0, cap=60.0, chance=0.0) == 60.0


def test_before_the_first_attempt_it_is_as_after_it() -> None:
    assert backoff(0, chance=0.0) == backoff(-3, chance=0.0) == backoff(1, chance=0.0)


@given(attempts, chances)
def test_it_lies_between_half_of_the_whole_and_the_whole(attempt: int, chance: float) -> None:
    whole = backoff(attempt, chance=0.0)
    assert whole / 2 <= backoff(attempt, chance=chance) <= whole <= 900.0


@given(chances)
def test_it_never_gets_shorter_with_more_attempts(chance: float) -> None:
    waits = [backoff(attempt, chance=chance) for attempt in range(1, 60)]
    assert all(sooner <= later for sooner, later in pairwise(waits))


@given(attempts)
def test_those_who_failed_at_once_do_not_come_back_at_once(attempt: int) -> None:
    waits = {backoff(attempt) for _ in range(50)}
    assert len(waits) > 25
    assert backoff(attempt, chance=1.0) <= min(waits)
    assert max(waits) <= backoff(attempt, chance=0.0)
