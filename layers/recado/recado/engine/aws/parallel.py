"""Calls side by side: AWS takes milliseconds for each, and most of a call is waiting."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Protocol, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_ROUNDS = 8
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class NotAllTaken(Exception):
    """AWS did not take all of a batch, however often it was asked."""


class Many(Protocol):
    """Does the same with each of many things: the results in the order of the things. Raises what
    one of them raised; the others may have been done all the same."""

    def __call__(
        self, work: Callable[[Thing], Result], things: Sequence[Thing], /
    ) -> list[Result]: ...


def one_by_one(work: Callable[[Thing], Result], things: Sequence[Thing], /) -> list[Result]:
    """A Many that takes them in turn."""
    return [work(thing) for thing in things]


def in_threads(workers: int) -> Many:
    """A Many in threads, which start when there is first more than one thing to do."""
    pool = cache(lambda: ThreadPoolExecutor(workers, "aws"))

    def many(work: Callable[[Thing], Result], things: Sequence[Thing], /) -> list[Result]:
        if len(things) <= 1:
            return one_by_one(work, things)
        return list(pool().map(work, things))

    return many


def rounds() -> Iterator[int]:
    """Counts the times that what a batch call left over is asked for again, with growing pauses in
    between. Raises NotAllTaken when it was asked for often enough."""
    for turn in range(_ROUNDS):
        if turn:
            longest = min(_FIRST_PAUSE * 2**turn, _LONGEST_PAUSE)
            time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads retries, guards nothing
        yield turn
    raise NotAllTaken(f"left over after {_ROUNDS} rounds")
