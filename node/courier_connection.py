"""One kept connection of the node's courier: a request written, its answer read."""

import asyncio
import select
from typing import Any, Protocol, cast

import httptools
from msgspec import Struct

from recado.addresses import KEPT_BYTES, NO_ANSWER, NO_HTTP, READ_BYTES
from recado.http import Reached, Unreached

_HEAD_BYTES = 64 * 1024  # of an answer


class Batch:
    """Requests that were handed over together; `done` when the last outcome is there."""

    __slots__ = ("done", "left", "outcomes")

    def __init__(self, size: int, done: asyncio.Future[None]) -> None:
        self.outcomes: list[Reached | Unreached | None] = [None] * size
        self.left = size
        self.done = done

    def settle(self, index: int, outcome: Reached | Unreached) -> None:
        """One of them has its outcome."""
        self.outcomes[index] = outcome
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class Job(Struct, eq=False):
    """One request of a batch. `connection` from the moment that it is written."""

    batch: Batch
    index: int
    data: bytes
    head_only: bool
    connection: "Connection | None" = None
    over: bool = False

    def finish(self, outcome: Reached | Unreached) -> None:
        """The first outcome counts."""
        if self.over:
            return
        self.over = True
        self.connection = None
        self.batch.settle(self.index, outcome)


class Keeper(Protocol):
    """Whoever hands out a connection."""

    def free(self, connection: "Connection") -> None:
        """It may take the next job."""

    def lost(self, connection: "Connection") -> None:
        """It is gone."""


class _Enough(Exception):
    pass


class Connection(asyncio.Protocol):  # asyncio's own interface, which has no behaviour
    """Carries one job at a time."""

    __slots__ = (
        "_chunks",
        "_complete",
        "_framed",
        "_head_bytes",
        "_headers",
        "_in_body",
        "_job",
        "_keep",
        "_parser",
        "_poll",
        "_size",
        "_status",
        "_transport",
        "idle_since",
        "keeper",
    )

    def __init__(self) -> None:
        self.keeper: Keeper | None = None  # as long as there is none, nobody has to be told
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._job: Job | None = None
        self._status = 0
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._head_bytes = 0
        self._in_body = False
        self._framed = False  # the answer says where it ends
        self._complete = False
        self._keep = False

    def start(self, job: Job) -> None:
        """Writes the job's request. From here on the other side may have read it."""
        if self._transport is None:
            job.finish(Unreached(NO_ANSWER, sent=False))
            return
        self._job = job
        job.connection = self
        self._reset()
        self._transport.write(job.data)

    def alive(self) -> bool:
        """Whether the loop knows of no end."""
        return self._transport is not None and not self._transport.is_closing()

    def usable(self) -> bool:
        """Whether it is still open, by asking the kernel too: the loop may not yet have come to
        what the other side did. An idle connection with anything to read is of no use."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._poll.poll(0)

    def abandon(self) -> None:
        """Cuts off; its job is no longer its own."""
        self._job = None
        self.cut()

    def cut(self) -> None:
        """Cuts off; its job ends as unanswered."""
        if self._transport is not None:
            self._transport.abort()

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._job is None:
            self.abandon()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._keep = False
        except httptools.HttpParserError:
            if not self._complete:
                self._fail(NO_HTTP)
                return
            self._keep = False
        if self._complete:
            self._deliver(self._job)
        elif not self._in_body:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._fail(NO_HTTP)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._parser = None  # it refers back to here
        job, self._job = self._job, None
        if self.keeper is not None:
            self.keeper.lost(self)
        if job is None:
            return
        if self._in_body and not self._framed and exc is None:
            job.finish(self._answer())
        else:
            job.finish(Unreached(NO_ANSWER, sent=True))

    def _answer(self) -> Reached:
        return Reached(self._status, b"".join(self._chunks), self._headers)

    def _deliver(self, job: Job) -> None:
        self._job = None
        transport = self._transport
        job.finish(self._answer())
        if transport is None or transport.get_write_buffer_size():
            self.abandon()  # it answered before it had read all
        elif self._keep and self.keeper is not None:
            self.keeper.free(self)
        else:
            transport.close()

    def _fail(self, problem: str) -> None:
        job = self._job
        self.abandon()
        if job is not None:
            job.finish(Unreached(problem, sent=True))

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self._complete:
            raise _Enough  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer
        lower = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        before = self._headers.get(lower)
        self._headers[lower] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 200 and self._status != 101:
            return  # an interim answer, whose message is complete without a body
        self._in_body = True
        coding = self._headers.get("transfer-encoding", "")
        self._framed = "content-length" in self._headers or coding.lower().endswith("chunked")
        if self._job is not None and self._job.head_only:
            self._complete = True  # the parser would wait for the body; so it ends here
            raise _Enough

    def on_body(self, body: bytes) -> None:
        if self._size < KEPT_BYTES:
            self._chunks.append(body[: KEPT_BYTES - self._size])
        self._size += len(body)
        if self._size > READ_BYTES:
            self._complete = True
            raise _Enough

    def on_message_complete(self) -> None:
        if not self._in_body:
            self._reset()
            return
        self._complete = True
        self._keep = self._status != 101 and self._parser.should_keep_alive()
