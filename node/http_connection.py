"""One HTTP connection: its requests one after the other, their answers in order, its time.

node/http_reader.py makes requests out of bytes; node/http_server.py listens and sweeps.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from node.http_answer import render
from node.http_reader import CLOSE, HEAD, IDLE, Reader
from node.http_request import HANG_UP, BeginUpload, Handle, Limits, RawRequest, Refuse, path_of

_log = logging.getLogger(__name__)

_AHEAD_BYTES = 64 * 1024  # read ahead of an unanswered request
_LINGER_SECONDS = 2.0  # a refused client has so long from its last byte to read why
_SLOWEST = 10  # an upload that we can't write may stand still for so many times a client's limit
_SURPLUS_CONNECTIONS = 256  # above the limit so many get a 503; any more are cut off


class Common:
    """What the connections of a server have in common."""

    def __init__(
        self,
        handle: Handle,
        refuse: Refuse,
        limits: Limits,
        clock: Callable[[], float],
        begin_upload: BeginUpload | None = None,
    ) -> None:
        self.handle = handle
        self.begin_upload = begin_upload
        self.limits = limits
        self.clock = clock
        self.date = ""  # the Date header's value, as of the last sweep
        self.closing = False
        self.open: set[Connection] = set()
        self.empty: asyncio.Future[None] | None = None  # done when the last connection is gone
        self._refuse = refuse

    def forget(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.open.discard(connection)
        if not self.open and self.empty is not None and not self.empty.done():
            self.empty.set_result(None)

    def refusal(self, status: int, path: str) -> tuple[Mapping[str, str], bytes]:
        """The error answer in the words of whoever calls that path; a bare one where those fail."""
        try:
            return self._refuse(status, path)
        except Exception:
            _log.exception("no words for a status %d", status)
            return {}, b""


class Connection(asyncio.Protocol):  # asyncio's own interface, which has no behaviour
    __slots__ = (
        "_ahead",
        "_answering",
        "_choked",
        "_common",
        "_ended",
        "_ending",
        "_eof",
        "_full",
        "_head_only",
        "_lingers",
        "_out",
        "_patience",
        "_paused",
        "_persistence",
        "_reader",
        "_serial",
        "_since",
        "_transport",
        "_turning",
    )
    _reader: Reader
    _transport: asyncio.Transport

    def __init__(self, common: Common) -> None:
        self._common = common
        self._serial = 0  # of the request in hand: an answer to another one comes too late
        self._answering = False  # a request is in hand
        self._turning = False
        self._choked = False  # the client does not take off what we wrote
        self._paused = False
        self._full = False  # an upload can't keep up
        self._ending = False  # the last answer was given
        self._ended = False
        self._lingers = False
        self._eof = False
        self._head_only = False
        self._persistence = ""
        self._out: list[bytes] = []
        self._ahead = 0
        self._since = 0.0
        self._patience = 0.0

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        common = self._common
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        name = peer[0] if peer else ""
        self._reader = Reader(common.limits, name, common.clock, common.begin_upload)
        self._since = common.clock()
        crowd = len(common.open) - common.limits.connections
        common.open.add(self)
        if crowd >= _SURPLUS_CONNECTIONS or common.closing:
            self._transport.abort()
        elif crowd >= 0:
            self._reader.refused = 503
            self._turn()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            if self._lingers:  # a refused client that still sends may go on for a while
                self._since = min(self._common.clock(), self._patience)
            return
        reader = self._reader
        reader.feed(data)
        if not self._answering:
            self._turn()
        if (self._answering or reader.requests) and not self._ended:
            self._ahead += len(data)
            if self._ahead > _AHEAD_BYTES and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        if reader.upload is not None and reader.upload.full and not self._full:
            self._full = True
            self._transport.pause_reading()
            reader.upload.when_room(self._go_on)

    def _go_on(self) -> None:
        """The upload has kept up, or given up: reads on."""
        self._full = False
        self._reader.since = self._common.clock()
        if not self._paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        # A client may close its sending half and wait for its answers, but TLS knows no halves.
        self._eof = True
        waits = not self._ended and (self._answering or bool(self._reader.requests))
        return waits and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._answering = False
        self._ended = True
        self._reader.release()
        self._common.forget(self)

    def pause_writing(self) -> None:
        self._choked = True
        self._since = self._common.clock()

    def resume_writing(self) -> None:
        self._choked = False
        self._since = self._common.clock()
        if not self._turning and not self._ended:
            self._turn()

    # What the server asks.

    def check_time(self, now: float) -> None:
        """Closes, refuses or cuts off what is overdue."""
        limits = self._common.limits
        reader = self._reader
        waited = now - max(self._since, reader.since)
        if self._ended or self._choked:
            if waited > (_LINGER_SECONDS if self._lingers else limits.body_seconds):
                self._transport.abort()
        elif self._answering:
            return
        elif reader.phase == IDLE:
            if waited > limits.idle_seconds:
                self._end()
        else:
            most = limits.header_seconds if reader.phase == HEAD else limits.body_seconds
            if waited > (_SLOWEST * most if self._full else most):
                reader.refused = 503 if self._full else 408  # full: it is we who are slow
                reader.drop_upload()
                self._turn()

    def wind_up(self) -> None:
        """Closes unless something is in hand, or on its way in."""
        reader = self._reader
        busy = self._answering or reader.requests or reader.phase != IDLE or self._ended
        if not busy:
            self._end()

    def abort(self) -> None:
        """Cuts off."""
        self._transport.abort()

    # One request after the other.

    def _turn(self) -> None:
        """Hands over requests until one is unanswered, then writes the answers in one piece."""
        reader = self._reader
        self._turning = True
        while not (self._answering or self._choked or self._ending):
            if reader.requests:
                self._hand_over(*reader.requests.popleft())
            elif reader.refused:
                self._hand_over_nothing(reader.refused)
            else:
                self._ending = self._eof
                break
        self._turning = False
        if self._out or not self._answering:
            self._flush()

    def _hand_over(self, request: RawRequest, persistence: str) -> None:
        self._serial += 1
        self._answering = True
        self._persistence = persistence
        self._head_only = request.method == "HEAD"
        reply = partial(self._reply, self._serial)
        try:
            self._common.handle(request, reply)
        except Exception:
            _log.exception("a request was not handled")
            reply(500, *self._common.refusal(500, path_of(self._reader.url)))

    def _hand_over_nothing(self, status: int) -> None:
        self._serial += 1
        self._answering = True
        self._persistence = CLOSE
        self._head_only = False
        self._reply(self._serial, status, *self._common.refusal(status, path_of(self._reader.url)))

    def _reply(self, serial: int, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if serial != self._serial or not self._answering:
            return
        if status == HANG_UP:
            self.abort()
            return
        if self._common.closing:
            self._persistence = CLOSE
        self._out.append(self._rendered(status, headers, body))
        self._answering = False
        self._since = self._common.clock()
        self._ending = self._persistence is CLOSE
        if not self._turning:
            self._turn()

    def _rendered(self, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
        date, persistence, bare = self._common.date, self._persistence, self._head_only
        try:
            return render(status, headers, body, date, persistence, head_only=bare)
        except (ValueError, TypeError):
            _log.exception("an answer can't be written")
        headers, body = self._common.refusal(500, path_of(self._reader.url))
        try:
            return render(500, headers, body, date, persistence, head_only=bare)
        except (ValueError, TypeError):
            return render(500, {}, b"", date, persistence, head_only=bare)

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
        if self._ending and not self._ended:
            self._end()
        elif not self._answering:
            self._ahead = 0
            if self._paused and not self._choked:
                self._paused = False
                if not self._full:
                    self._transport.resume_reading()
            if self._reader.expects:
                self._reader.expects = False
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end(self) -> None:
        """Closes. While the client still sends, closing would make its kernel throw away our
        answer (RFC 9112, section 9.6): then only our half, and the sweep does the rest."""
        self._ended = True
        self._since = self._common.clock()
        reader = self._reader
        sends = reader.refused or reader.surplus or reader.requests or reader.phase != IDLE
        if self._eof or not sends:
            self._transport.close()
            return
        self._lingers = True
        self._patience = self._since + self._common.limits.body_seconds
        if self._paused or self._full:
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
