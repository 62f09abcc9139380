"""Listener: takes connections in, plain or TLS, behind a balancer or not.

The loop's own create_server reads nothing before the TLS handshake and limits nothing before it
is over; so connections are accepted here, and each becomes a session once it is known whose it is.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

from recado.observability import count, log
from smpp import proxy
from smpp.peers import plain_address
from smpp.session import Session

_BACKLOG = 1_024
_PAUSE = 0.2  # seconds, where the system has no more connections to give
_TLS_SHUTDOWN = 2.0


class Listener:
    """One listening port."""

    def __init__(
        self,
        admit: Callable[[str], Session | None],
        forget: Callable[[Session], None],
        seconds: float,
        ssl_context: ssl.SSLContext | None,
        *,
        behind_proxy: bool,
    ) -> None:
        """`admit` makes the session of whoever comes from that address, or refuses it with None;
        `forget` is told of one that never came to stand. Header and handshake have so many
        seconds each."""
        self._admit, self._forget, self._seconds = admit, forget, seconds
        self._ssl_context, self._behind_proxy = ssl_context, behind_proxy
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self.port = 0

    def start(self, host: str, port: int, most_arriving: int) -> None:
        """Listens; port 0 picks one. Raises OSError where the address can't be had."""
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.create_server(
                (str(address[0]), self.port or port), family=family, backlog=_BACKLOG
            )
            listening.setblocking(False)
            self._sockets.append(listening)
            self.port = listening.getsockname()[1]
        self._accepting = [
            asyncio.ensure_future(self._accept(listening, most_arriving))
            for listening in self._sockets
        ]

    @property
    def listens(self) -> bool:
        """Whether connections are accepted, on each of its addresses."""
        return bool(self._accepting) and not any(task.done() for task in self._accepting)

    async def close(self) -> None:
        """Takes nobody in any more."""
        tasks = [*self._accepting, *self._arriving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._sockets:
            listening.close()

    async def _accept(self, listening: socket.socket, most_arriving: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:
                log.exception("no connection can be accepted")
                await asyncio.sleep(_PAUSE)
                continue
            if len(self._arriving) >= most_arriving:
                count("smpp_connections_refused")
                connection.close()
                continue
            task = loop.create_task(self._arrive(connection, plain_address(address)))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _arrive(self, connection: socket.socket, peer: str) -> None:
        """Makes a session of a connection, or closes it."""
        session = None
        stands = False
        try:
            try:
                if self._behind_proxy:
                    peer = await asyncio.wait_for(_announced(connection), self._seconds) or peer
                session = self._admit(peer)
            finally:
                if session is None:
                    connection.close()
            if session is not None:
                await self._connect(session, connection)  # from here on the loop closes it
                stands = True
        except (OSError, ValueError, TimeoutError):  # cut off, no header, no handshake
            count("smpp_connections_failed")
        finally:
            if session is not None and not stands:
                self._forget(session)

    async def _connect(self, session: Session, connection: socket.socket) -> None:
        loop, secure = asyncio.get_running_loop(), self._ssl_context is not None
        await loop.connect_accepted_socket(
            lambda: session,
            connection,
            ssl=self._ssl_context,
            ssl_handshake_timeout=self._seconds if secure else None,
            ssl_shutdown_timeout=_TLS_SHUTDOWN if secure else None,
        )


async def _announced(connection: socket.socket) -> str:
    """Whose connection it is, as the balancer says. Not an octet more is read than is its own.
    Raises ValueError, and ConnectionError where it ends too soon."""
    head = await _exactly(connection, proxy.HEAD_SIZE)
    return proxy.source_of(head, await _exactly(connection, proxy.rest_of(head)))


async def _exactly(connection: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = b""
    while len(found) < size:
        more = await loop.sock_recv(connection, size - len(found))
        if not more:
            raise ConnectionError("the connection ended within its header")
        found += more
    return found
