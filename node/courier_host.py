"""The connections of the node's courier to one place, and who waits for one."""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from node.courier_connection import Connection, Job
from recado.addresses import connect_problem
from recado.http import Unreached

CLOSED = "the courier is closed"
_CLOSED_AT_ONCE = "the connection was closed at once"
_CONNECTIONS = 64


class Host:
    """The connections to one place, and who waits for one."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        clock: Callable[[], float],
    ) -> None:
        self.connections: set[Connection] = set()
        self._connect_one = connect
        self._spawn = spawn
        self._clock = clock
        self._idle: list[Connection] = []  # the last one freed is the next one used
        self._waiting: deque[Job] = deque()
        self._connecting = 0
        self._closed = False

    def submit(self, job: Job) -> None:
        """Gives the job to an idle connection, or puts it in line."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                connection.start(job)
                return
            connection.abandon()
        self._waiting.append(job)
        self._reach_out()

    def free(self, connection: Connection) -> None:
        """Next in line."""
        job = self._next_waiting() if self._waiting else None
        if job is None:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        elif connection.usable():
            connection.start(job)
        else:
            self._waiting.appendleft(job)
            connection.abandon()  # `lost` reaches out for another

    def lost(self, connection: Connection) -> None:
        """One fewer."""
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._reach_out()

    def drop_idle(self, before: float) -> None:
        """Closes what has been idle since before then."""
        for connection in [each for each in self._idle if each.idle_since <= before]:
            self._idle.remove(connection)
            connection.abandon()

    def empty(self) -> bool:
        """Whether it may be forgotten."""
        return not (self.connections or self._waiting or self._connecting)

    def close(self) -> None:
        """Ends every job, and every connection in one of the loop's next turns."""
        self._closed = True
        while (job := self._next_waiting()) is not None:
            job.finish(Unreached(CLOSED, sent=False))
        for connection in tuple(self.connections):
            connection.cut()

    def _next_waiting(self) -> Job | None:
        while self._waiting:
            job = self._waiting.popleft()
            if not job.over:
                return job
        return None

    def _reach_out(self) -> None:
        room = _CONNECTIONS - len(self.connections) - self._connecting
        wanted = min(room, len(self._waiting) - self._connecting)
        if self._closed:
            return
        for _ in range(wanted):
            self._connecting += 1
            self._spawn(self._connect())

    async def _connect(self) -> None:
        """One attempt for one job in line, whichever is the first when it has come to an end."""
        try:
            connection = await self._connect_one()
        except Exception as error:  # whatever it is, the job gets its outcome
            self._connecting -= 1
            self._fail_next(connect_problem(error))
        else:
            self._connecting -= 1
            self._adopt(connection)
        self._reach_out()

    def _fail_next(self, problem: str) -> None:
        job = self._next_waiting()
        if job is not None:
            job.finish(Unreached(problem, sent=False))

    def _adopt(self, connection: Connection) -> None:
        if self._closed or not connection.alive():
            connection.abandon()
            self._fail_next(_CLOSED_AT_ONCE)
            return
        self.connections.add(connection)
        connection.keeper = self
        job = self._next_waiting()
        if job is None:
            self.free(connection)
        else:
            connection.start(job)
