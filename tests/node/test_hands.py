"""Hands on one machine: work is done in its order, and told of when it is durable."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from greenlet import getcurrent

from node.hands import GreenHands
from node.waiting import can_wait, start, wait
from recado.engine.embedded.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "recado.db")
    yield opened
    opened.schedule = None
    opened.close()


class Told:
    """What was told, in its order, and how many commits there were then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.all: list[tuple[Any, str]] = []
        self.commits: list[int] = []
        self._came = asyncio.Event()

    def __call__(self, result: Any, error: BaseException | None) -> None:
        assert not can_wait(), "it is told in the loop"
        self.all.append((result, str(error) if error else ""))
        self.commits.append(self._database.commits)
        self._came.set()

    async def until(self, amount: int) -> None:
        while len(self.all) < amount:
            self._came.clear()
            await self._came.wait()


def within(database: Database, test: Callable[[GreenHands, Told], Awaitable[None]]) -> None:
    async def whole() -> None:
        database.schedule = asyncio.get_running_loop().call_soon
        await asyncio.wait_for(test(GreenHands(database), Told(database)), 20.0)

    asyncio.run(whole())


def writing(database: Database, place: str) -> Callable[[], str]:
    def work() -> str:
        database.write("INSERT OR REPLACE INTO mail VALUES ('c', ?, '', 0)", (place,))
        return place

    return work


def test_all_works_of_a_turn_share_one_commit_and_are_told_of_after_it(database: Database) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        for place in "abc":
            hands.do(place, writing(database, place), told)
        assert told.all == []
        await told.until(3)
        assert told.all == [("a", ""), ("b", ""), ("c", "")]
        assert told.commits == [1, 1, 1]

    within(database, test)


def test_a_work_that_wrote_nothing_is_told_of_later_too_never_within_the_call(
    database: Database,
) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        hands.do("a", lambda: "read", told)
        assert told.all == []
        await told.until(1)
        assert told.all == [("read", "")]

    within(database, test)


def test_what_a_work_raises_is_told(database: Database) -> None:
    def fails() -> None:
        raise ValueError("so it goes")

    def ends() -> None:
        raise asyncio.CancelledError("so it ends")

    async def test(hands: GreenHands, told: Told) -> None:
        hands.do("a", fails, told)
        hands.do("a", ends, told)
        await told.until(2)
        assert told.all == [(None, "so it goes"), (None, "so it ends")]

    within(database, test)


def test_what_can_not_be_made_durable_is_told_as_failed(database: Database) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        hands.do("a", writing(database, "a"), told)
        with pytest.raises(Exception, match="no such table"):
            database.write("INSERT INTO nowhere VALUES (?)", (1,))
        await told.until(1)
        assert told.all == [(None, "no such table: nowhere")]
        assert database.read("SELECT * FROM mail") == []

    within(database, test)


def test_a_work_may_wait_and_others_go_on_meanwhile(database: Database) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        gate = asyncio.Event()

        def waits() -> str:
            wait(gate.wait())
            return writing(database, "slow")()

        hands.do("a", waits, told)
        hands.do("b", writing(database, "fast"), told)
        await told.until(1)
        assert told.all == [("fast", "")]
        gate.set()
        await told.until(2)
        assert told.all[1] == ("slow", "")

    within(database, test)


def test_what_a_work_asks_for_begins_after_what_was_asked_before(database: Database) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        begun: list[str] = []

        def asks() -> None:
            begun.append("first")
            hands.do("a", lambda: begun.append("asked within it"), told)
            hands.do("a", lambda: begun.append("and that"), told)
            wait(asyncio.sleep(0.01))
            begun.append("first again")

        hands.do("a", asks, told)
        hands.do("a", lambda: begun.append("second"), told)
        await told.until(4)
        assert begun == ["first", "asked within it", "and that", "second", "first again"]

    within(database, test)


def test_who_brings_much_work_leaves_the_loop_its_turns(database: Database) -> None:
    async def test(hands: GreenHands, told: Told) -> None:
        loop = asyncio.get_running_loop()
        turn, begun = 0, []

        def next_turn() -> None:
            nonlocal turn
            turn += 1
            if len(told.all) < 12:
                loop.call_soon(next_turn)

        def works(number: int) -> int:
            begun.append((number, turn))
            over = time.perf_counter() + 0.004
            while time.perf_counter() < over:
                pass
            return number

        next_turn()
        for number in range(10):
            hands.do("a", partial(works, number), told)
        assert len(begun) <= 3, "the others wait for the next turn"
        await asyncio.sleep(0)
        for number in (10, 11):  # behind those that were put off
            hands.do("b", partial(works, number), told)
        await told.until(12)
        assert [number for number, _ in begun] == list(range(12))
        turns = [when for _, when in begun]
        assert max(turns.count(when) for when in turns) <= 3

    within(database, test)


def test_a_greenlet_is_used_again_and_forgets_what_was_left_in_it() -> None:
    seen: list[tuple[Any, dict[str, Any]]] = []

    def work() -> None:
        seen.append((getcurrent(), dict(getcurrent().__dict__)))
        getcurrent().__dict__["waited"] = 1.0

    start(work)
    start(work)
    (first, left), (second, found) = seen
    assert first is second
    assert left == found == {}
