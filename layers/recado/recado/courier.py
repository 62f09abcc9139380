"""The courier on Lambda: an Exchange in threads, over connections that are kept.

It stands on the transport adapter of requests. The Session above it is left out, for what it adds
is what a gateway must not have: cookies, proxies and .netrc out of the environment, and a look
into redirects that reads their whole body even where they are not followed. Adapter, pool and
connection are subclassed because that is how requests and urllib3 let connecting be replaced.
"""

import io
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from recado.addresses import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    KEPT_BYTES,
    NO_ANSWER,
    NO_HTTP,
    NO_TURN,
    READ_BYTES,
    TIMED_OUT,
    Wire,
    connect_problem,
    connected_socket,
    wire_of,
)
from recado.http import Outgoing, Reached, Unreached

_HOSTS = 64  # so many keep their connections

_here = threading.local()  # `call`: urllib3 hands a connection no word on whose request it carries
_lock = threading.Lock()  # over who uses which connection


def session_exchange(
    workers: int = 32, ssl_context: ssl.SSLContext | None = None
) -> "SessionExchange":
    """An Exchange to be made once and kept. TLS trusts what the system trusts, unless a context
    says otherwise."""
    # It would log whole URLs, which for some upstreams hold numbers and texts.
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return SessionExchange(workers, ssl_context or ssl.create_default_context())


class SessionExchange:
    """A recado.http.Exchange. At most `workers` requests are on their way at once; others wait in
    line, bounded by their timeout."""

    def __init__(self, workers: int, ssl_context: ssl.SSLContext) -> None:
        self._workers = ThreadPoolExecutor(workers, "courier")
        # Apart, so that no request rides on a connection that it could not have opened.
        self._adapters = {
            private_allowed: _Adapter(workers, ssl_context) for private_allowed in (False, True)
        }

    def __call__(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        now = time.monotonic()
        calls = [_Call(request, now + request.timeout) for request in requests]
        outcomes = [self._workers.submit(self._run, call) for call in calls]
        return [_outcome_of(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)]

    def close(self) -> None:
        """Closes the kept connections."""
        self._workers.shutdown()
        for adapter in self._adapters.values():
            adapter.close()

    def _run(self, call: "_Call") -> Reached | Unreached:
        remaining = call.deadline - time.monotonic()
        if remaining <= 0:
            return Unreached(NO_TURN, sent=False)
        try:
            wire = wire_of(call.request)
        except ValueError as problem:
            return Unreached(str(problem), sent=False)
        _here.call = call
        adapter = self._adapters[call.request.private_allowed]
        timeout = (min(CONNECT_SECONDS, remaining), remaining)
        try:
            answer = adapter.send(_prepared(wire, call.request.body), stream=True, timeout=timeout)
            with closing(answer):
                return _reached(answer.raw)
        except _Unconnected as problem:
            return Unreached(str(problem), sent=False)
        except Exception as error:  # whatever the network does is an outcome
            return Unreached(_problem(error), sent=call.written)
        finally:
            _here.call = None


class _Unconnected(Exception):
    """No connection, and why. None of the classes that urllib3 and requests know, so that it
    passes through them as it is: it is the certainty that nothing was sent."""


class _Call:
    """One request on its way. Its socket's timeouts are for one read each, so who waits for it
    ends it when its time is over."""

    def __init__(self, request: Outgoing, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.written = False
        self._abandoned = False
        self._connection: _Connection | None = None

    def begin(self, connection: "_Connection") -> None:
        """Called before the first byte is written."""
        with _lock:
            if self._abandoned:
                raise _Unconnected(NO_TURN)
            self.written = True
            self._connection = connection
            connection.call = self

    def abandon(self) -> None:
        """Cuts its connection off, unless another call has it already."""
        with _lock:
            self._abandoned = True
            connection = self._connection
            if connection is None or connection.call is not self or connection.sock is None:
                return
            try:
                # The plain socket's: that of ssl would take the TLS away under the reading thread.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            except OSError:
                return  # closed meanwhile


def _outcome_of(call: _Call, outcome: Future[Reached | Unreached]) -> Reached | Unreached:
    try:
        return outcome.result(max(0.0, call.deadline - time.monotonic()))
    except TimeoutError:
        outcome.cancel()
        call.abandon()
        if call.written:
            return Unreached(TIMED_OUT, sent=True)
        return Unreached(NO_TURN, sent=False)


class _Lines(io.BufferedReader):
    """http.client takes the end of the connection for the end of the headers; an answer cut short
    there is none."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line:
            raise RemoteDisconnected(NO_ANSWER)
        return line


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = _Lines(self.fp.detach())


class _Connection(HTTPConnection):
    """Connects to the very address that was checked, and says when writing begins."""

    response_class = _Answer
    call: _Call | None = None
    _used_at = 0.0

    def _new_conn(self) -> socket.socket:
        call: _Call = _here.call
        timeout = self.timeout if isinstance(self.timeout, float) else CONNECT_SECONDS
        return connected_socket(self._dns_host, self.port, call.request.private_allowed, timeout)

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            self.close()
            raise _Unconnected(connect_problem(error)) from error

    @property
    def is_connected(self) -> bool:
        # By the wall clock, which goes on while the environment is frozen; what lies between may
        # have forgotten the connection by then, and a request into it would be lost unnoticed.
        return super().is_connected and time.time() - self._used_at < IDLE_SECONDS

    def request(self, *args: Any, **options: Any) -> None:
        """As urllib3's."""
        if self.sock is None:
            self.connect()
        call: _Call = _here.call
        call.begin(self)
        self._used_at = time.time()
        super().request(*args, **options)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def __init__(self, workers: int, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        super().__init__(pool_connections=_HOSTS, pool_maxsize=workers)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._ssl_context, **options
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> tuple[Any, Any]:
        """The place alone: TLS is as the context says."""
        url = urlsplit(request.url or "")
        return {"scheme": url.scheme, "host": url.hostname, "port": url.port}, {}

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing more to be loaded into the context."""


def _prepared(wire: Wire, body: bytes) -> requests.PreparedRequest:
    """By hand: what requests' own preparation does is done."""
    prepared = requests.PreparedRequest()
    prepared.method = wire.method
    prepared.url = f"{wire.place.scheme}://{wire.place.authority}{wire.target}"
    prepared.headers = CaseInsensitiveDict(wire.headers)
    prepared.body = body or None
    return prepared


def _reached(raw: urllib3.BaseHTTPResponse) -> Reached:
    kept: list[bytes] = []
    size = 0
    while size <= READ_BYTES and (piece := raw.read(KEPT_BYTES, decode_content=False)):
        if size < KEPT_BYTES:
            kept.append(piece[: KEPT_BYTES - size])
        size += len(piece)
    headers = {name.lower(): value for name, value in raw.headers.itermerged()}
    return Reached(raw.status, b"".join(kept), headers)


def _problem(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)):
            return TIMED_OUT
        if isinstance(cause, (RemoteDisconnected, IncompleteRead)):
            return NO_ANSWER
        if isinstance(cause, HTTPException):
            return NO_HTTP
    return NO_ANSWER


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The libraries wrap an error by making it an argument of theirs."""
    yield error
    for argument in error.args:
        if isinstance(argument, BaseException):
            yield from _causes(argument)
