"""An HTTP/1.1 server for one machine: requests in, answers out, nothing in between.

One object a connection (node/http_connection.py), no task and no timer a request: a sweep each
second finds what is overdue. It runs on the standard loop and on uvloop.
"""

import asyncio
import ssl
import time
from email.utils import formatdate
from functools import partial

from node.http_connection import Common, Connection
from node.http_request import BeginUpload, Handle, Limits, RawRequest, Refuse, Reply

__all__ = ["BeginUpload", "Handle", "Limits", "RawRequest", "Refuse", "Reply", "Server", "serve"]

_TLS_SHUTDOWN_SECONDS = 2.0


class Server:
    """A listening server."""

    def __init__(self, listener: asyncio.Server, common: Common) -> None:
        self.port: int = listener.sockets[0].getsockname()[1]
        self._listener = listener
        self._common = common
        self._loop = asyncio.get_running_loop()
        limits = common.limits
        shortest = min(limits.header_seconds, limits.body_seconds, limits.idle_seconds)
        self._tick = min(1.0, shortest / 2)
        self._sweeper: asyncio.TimerHandle
        self._sweep()

    async def close(self, grace_seconds: float) -> None:
        """Stops listening and closes idle connections; what is in hand may be answered until the
        grace is over, then what is left is cut off."""
        self._common.closing = True
        self._listener.close()
        for connection in tuple(self._common.open):
            connection.wind_up()
        await self._wait_until_empty(grace_seconds)
        for connection in tuple(self._common.open):
            connection.abort()
        await self._wait_until_empty(1.0)  # the loop tells of an abort in its next turn
        self._sweeper.cancel()

    async def _wait_until_empty(self, seconds: float) -> None:
        if self._common.open:
            self._common.empty = self._loop.create_future()
            await asyncio.wait((self._common.empty,), timeout=seconds)

    def _sweep(self) -> None:
        self._common.date = formatdate(time.time(), usegmt=True)
        now = self._loop.time()
        for connection in tuple(self._common.open):
            connection.check_time(now)
        self._sweeper = self._loop.call_later(self._tick, self._sweep)


async def serve(
    handle: Handle,
    refuse: Refuse,
    host: str,
    port: int,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ssl_context: ssl.SSLContext | None = None,
    begin_upload: BeginUpload | None = None,
) -> Server:
    """Listens; port 0 picks one. Raises OSError where the address can't be had."""
    loop = asyncio.get_running_loop()
    common = Common(handle, refuse, limits, loop.time, begin_upload)
    listener = await loop.create_server(
        partial(Connection, common),
        host,
        port,
        ssl=ssl_context,
        backlog=1024,
        ssl_handshake_timeout=limits.header_seconds if ssl_context else None,
        ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS if ssl_context else None,
    )
    return Server(listener, common)
