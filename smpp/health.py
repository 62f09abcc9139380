"""Health: a port that says whether the container does its work. The loop itself answers, so that
one that no longer turns gives no answer."""

import asyncio
from collections.abc import Callable

from recado.observability import log
from smpp import proxy

Problem = Callable[[], str | None]
"""What is wrong, in a few words, or None."""

_END = b"\r\n\r\n"  # of a request; and no request begins with it
_SECONDS = 5.0


class Health:
    """GET /health: 200 while `problem` gives None, else 503 and what it says. From `start` to
    `close`. Port 0: any, which `port` then tells."""

    def __init__(self, problem: Problem, host: str, port: int) -> None:
        self._problem, self._host, self.port = problem, host, port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError where it can't listen."""
        self._server = await asyncio.start_server(self._answer, self._host, self.port, limit=8192)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(_request_line(reader), _SECONDS)
            writer.write(self._said(line))
            await writer.drain()
        except (TimeoutError, ValueError, OSError, EOFError):
            pass  # no request, or nobody who waits for its answer
        finally:
            writer.close()

    def _said(self, line: bytes) -> bytes:
        if line.split(b" ")[:2] not in ([b"GET", b"/health"], [b"HEAD", b"/health"]):
            return _http(404, "Not Found", "there is /health alone")
        problem = self._problem()
        if problem is None:
            return _http(200, "OK", "ok")
        log.warning("the container is not in health", extra={"problem": problem})
        return _http(503, "Service Unavailable", problem)


async def _request_line(reader: asyncio.StreamReader) -> bytes:
    """Raises ValueError, or EOFError, on what is no request."""
    head = await reader.readexactly(proxy.HEAD_SIZE)
    if head.startswith(_END):
        # A balancer that says whose connections it hands on says so of its own, too.
        await reader.readexactly(proxy.rest_of(head))
        head = b""
    if _END not in head:
        try:
            head += await reader.readuntil(_END)
        except asyncio.LimitOverrunError as error:
            raise ValueError("no request") from error
    return head.partition(b"\r\n")[0]


def _http(code: int, reason: str, text: str) -> bytes:
    body = f"{text}\n".encode()
    return (
        f"HTTP/1.1 {code} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode() + body
