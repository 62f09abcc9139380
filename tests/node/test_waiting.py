"""Work that steps aside, and work that is begun within it."""

import asyncio
from typing import Any

from node.waiting import start, wait


def test_work_that_is_begun_within_another_waits_and_ends_as_if_it_were_alone() -> None:
    said: list[str] = []
    problems: list[dict[str, Any]] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        gates = {name: asyncio.Event() for name in ("outer", "first", "second")}
        ended = asyncio.Event()

        def outer() -> None:
            wait(gates["outer"].wait())
            start(lambda: inner("first"))
            start(lambda: inner("second"))
            said.append("outer")

        def inner(name: str) -> None:
            for _ in range(2):
                wait(gates[name].wait())
            said.append(name)
            if name == "first":
                ended.set()

        start(outer)
        gates["outer"].set()
        await asyncio.sleep(0)
        gates["second"].set()
        start(lambda: said.append("another"))
        while len(said) < 3:
            await asyncio.sleep(0)
        gates["first"].set()
        await ended.wait()

    asyncio.run(asyncio.wait_for(test(), 20.0))
    assert problems == []
    assert said == ["another", "outer", "second", "first"]
