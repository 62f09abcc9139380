"""The gateways that the flow suite runs on: what it needs of one, and `recado up` as one.

The other is the template on an emulator of AWS (tests/cloud/conftest.py).
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from recado.engine.embedded import DATABASE_NAME
from tests.support.processes import Process, Processes, Ran


class Installation(Protocol):
    """A gateway that listens at `url`. Its upstream is the simulator of `others`, and that has a
    sink for the customers' callbacks; each is a process with a log of its own."""

    url: str
    others: Processes
    once: bool
    """Whether a callback comes once as long as nothing fails. Queues that may deliver twice, to two
    environments at a time, can't promise it: there its id tells that it came before."""

    def recado(self, *arguments: str) -> Ran:
        """A command on it, come to its end."""

    def paused(self) -> AbstractContextManager[None]:
        """While it takes nothing from its queues. Commands are carried out all the same."""

    def double(self, queue: str) -> int:
        """Puts each message that lies on a queue there once more: how many. For use in a pause."""

    def blobs(self) -> list[str]:
        """The names of what is kept as blobs."""

    def logged(self) -> str:
        """All that it has written so far for its operators to read."""


class Node:
    """`recado up`."""

    once = True

    def __init__(self, others: Processes) -> None:
        self.others = others
        self.url = f"http://127.0.0.1:{others.http_port}"
        self._started: list[Process] = []
        self._start()

    def _start(self) -> None:
        # Private addresses are allowed by name: a customer sets its callback URL by itself, and
        # the sink is on this machine.
        env = {"RECADO_LOG_LEVEL": "DEBUG", "RECADO_PRIVATE_CALLBACKS": "true"}
        self._started.append(self.others.node(env=env))

    def recado(self, *arguments: str) -> Ran:
        return self.others.recado(*arguments)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody is there; a command finds the directory."""
        self._started[-1].kill()
        yield
        self._start()

    def double(self, queue: str) -> int:
        with (
            contextlib.closing(sqlite3.connect(self.others.data / DATABASE_NAME)) as database,
            database,
        ):
            return database.execute(
                "INSERT INTO queue SELECT queue, grp, id + (SELECT max(id) FROM queue), visible_at,"
                " receives, body FROM queue WHERE queue = ?",
                (queue,),
            ).rowcount

    def blobs(self) -> list[str]:
        return [path.name for path in (self.others.data / "blobs").rglob("*") if path.is_file()]

    def logged(self) -> str:
        return "\n".join(process.said for process in self._started)
