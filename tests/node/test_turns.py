"""Single messages go before what is many, in one process."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from node.turns import PATIENCE, RATE, SHARE, WINDOW, Taking
from node.waiting import start


def within(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), 20.0)

    asyncio.run(whole())


def asked(taking: Taking) -> "asyncio.Future[int]":
    """Asks in a handler's place how many of what is many may go."""
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    start(lambda: answer.set_result(taking.as_turns().pace()))
    return answer


def test_where_no_single_message_comes_all_of_what_is_many_may_go() -> None:
    async def test() -> None:
        assert await asked(Taking()) == sys.maxsize

    within(test)


def test_after_a_single_message_what_is_many_goes_in_small_windows_at_a_rate() -> None:
    async def test() -> None:
        taking, loop = Taking(), asyncio.get_running_loop()
        taking.begins()
        taking.ends()
        began = loop.time()
        assert [await asked(taking) for _ in range(6)] == [WINDOW] * 6
        # Never faster; how much slower is the machine's affair.
        assert loop.time() - began >= 5 * WINDOW / RATE * 0.9

    within(test)


def test_what_is_many_waits_while_a_single_message_is_in_hand() -> None:
    async def test() -> None:
        taking = Taking()
        taking.begins()
        answer = asked(taking)
        await asyncio.sleep(PATIENCE / 5)
        assert not answer.done()
        taking.ends()
        assert await answer == WINDOW

    within(test)


def test_it_goes_on_all_the_same_where_there_is_always_one_in_hand() -> None:
    async def test() -> None:
        taking = Taking()
        taking.begins()
        assert await asked(taking) == WINDOW

    within(test)


def test_breathing_lets_what_has_come_meanwhile_have_its_turn() -> None:
    async def test() -> None:
        taking, order = Taking(), list[str]()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def work() -> None:
            order.append("begins")
            taking.as_turns().breathe()
            order.append("goes on")
            done.set_result(None)

        start(work)
        order.append("another")
        await done
        assert order == ["begins", "another", "goes on"]

    within(test)


def test_outside_a_handler_nobody_waits() -> None:
    turns = Taking().as_turns()
    turns.breathe()
    assert turns.pace() == sys.maxsize


def test_one_handler_waits_for_single_messages_only_so_long_in_all() -> None:
    async def test() -> None:
        taking, loop = Taking(), asyncio.get_running_loop()
        taking.begins()
        done: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            for _ in range(100):
                taking.as_turns().breathe()
            done.set_result(None)

        began = loop.time()
        start(work)
        await done
        assert loop.time() - began < 100 * PATIENCE / 2
        assert loop.time() - began >= SHARE * 0.9

    within(test)
