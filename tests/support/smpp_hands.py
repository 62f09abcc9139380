"""Hands for tests: the work is done at once, over an engine that commits each operation."""

import asyncio
from collections.abc import Callable
from typing import Any

from smpp.hands import Done


class Hands:
    """Does the work in the call, and tells its result in the loop's next turn."""

    def __init__(self) -> None:
        self.lanes: list[str] = []
        self.held: list[Callable[[], None]] | None = None
        """Where a test puts a list here, works go into it and are done when it calls them."""

    def do(self, lane: str, work: Callable[[], Any], done: Done) -> None:
        self.lanes.append(lane)

        def now() -> None:
            try:
                result, error = work(), None
            except Exception as raised:
                result, error = None, raised
            asyncio.get_running_loop().call_soon(done, result, error)

        if self.held is None:
            now()
        else:
            self.held.append(now)
