"""From a connection's bytes to requests: httptools parses, framing and limits are ours.

What httptools leaves to its user (RFC 9112): it reads a request with an Upgrade header as if it
had no body, and then takes the body for the next request; it holds header lines of any length; it
lets any transfer coding pass whose last one is chunked.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import httptools

from node.http_request import BeginUpload, Limits, RawRequest, Upload, path_and_query

IDLE: Final = 0  # between requests
HEAD: Final = 1
BODY: Final = 2

# What the answer says of the connection: nothing in 1.1 while it is kept.
KEEP: Final = ""
KEEP_OLD: Final = "Connection: keep-alive\r\n"
CLOSE: Final = "Connection: close\r\n"

_FRAMING = frozenset(("content-length", "transfer-encoding"))
_REQUEST_LINE = len("  HTTP/1.1\r\n\r\n")  # what method and target do not count
_CHUNKING = 64 * 1024  # of chunk headers and the like, above as much again as the body's limit


class _Refused(Exception):
    pass


@lru_cache(maxsize=512)  # a client sends nearly the same headers with each request
def _field(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode("latin-1").lower(), value.decode("latin-1")


class Reader:
    """One connection's requests. After `feed`: complete ones are in `requests`, each with what
    its answer has to say of the connection; `refused` is the status to answer after them, once
    the bytes are no request that we take; `expects` tells that the client waits for a 100."""

    __slots__ = (
        "_begin_upload",
        "_begun",
        "_body",
        "_body_size",
        "_clock",
        "_headers",
        "_limits",
        "_method",
        "_muted",
        "_parser",
        "_peer",
        "_persistence",
        "_raw",
        "_size",
        "_upgrade",
        "expects",
        "last",
        "phase",
        "refused",
        "requests",
        "since",
        "surplus",
        "upload",
        "url",
    )

    def __init__(
        self,
        limits: Limits,
        peer: str,
        clock: Callable[[], float],
        begin_upload: BeginUpload | None = None,
    ) -> None:
        self.requests: deque[tuple[RawRequest, str]] = deque()
        self.refused = 0
        self.expects = False
        self.last = False  # no request is read after one that closes the connection
        self.surplus = False  # bytes came that nobody will read
        self.url = b""  # of the request that is being read, or was read last
        self.phase: int = IDLE
        self.since = 0.0  # when the phase began, or the last piece of an upload came
        self.upload: Upload | None = None  # where the present body goes, if not into the request
        self._begin_upload = begin_upload
        self._limits = limits
        self._peer = peer
        self._clock = clock
        self._parser: Any = httptools.HttpRequestParser(self)
        self._muted = False
        self._begun = 0  # messages that began within this feed
        self._raw = 0
        self._size = 0
        self._method = ""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._persistence = KEEP
        self._upgrade = False

    def release(self) -> None:
        """Lets go of the parser, which refers back to the reader, and of what it has read."""
        self._parser = None
        self.drop_upload()
        for request, _ in self.requests:
            if request.upload is not None:
                request.upload.abort()

    def drop_upload(self) -> None:
        """The present body is not wanted."""
        if self.upload is not None:
            self.upload.abort()
            self.upload = None

    def feed(self, data: bytes) -> None:
        """Takes what came."""
        over = self.refused or self.last
        if over:
            self.surplus = True
            return
        touched = self.phase != IDLE
        self._begun = 0
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._stop_at_fault()
        if self.phase != IDLE:
            self._check_raw(len(data) if self._begun + touched == 1 else 0)
        if self.refused:
            self.drop_upload()

    def _stop_at_fault(self) -> None:
        if self.last:
            self.surplus = True  # after the last request anything may come
        else:
            self.refused = self.refused or 400

    def _parse(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while True:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                self._read_on()
            else:
                return

    def _read_on(self) -> None:
        """We change to no other protocol, so what follows is this request's body and then the next
        request: a fresh parser is led there by a head of the same framing."""
        framing = "".join(f"{n}: {v}\r\n" for n, v in self._headers.items() if n in _FRAMING)
        if not framing:
            framing = "content-length: 0\r\n"
        closing = CLOSE if self._persistence is CLOSE else ""
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        self._muted = True
        self._parser.feed_data(f"POST / HTTP/1.1\r\n{closing}{framing}\r\n".encode("latin-1"))
        self._muted = False

    def _check_raw(self, fed: int) -> None:
        """Bounds what the parser holds back of an unfinished line, or reads and does not tell."""
        self._raw += fed
        if self.phase == HEAD and self._raw > self._limits.header_bytes:
            self.refused = self.refused or 431
            return
        # What comes of an upload is counted from its last piece on.
        most = fed if self.upload is not None else 2 * self._limits.body_bytes
        if self._raw > most + _CHUNKING:
            self.refused = self.refused or 413

    def _refuse(self, status: int) -> None:
        self.refused = status
        raise _Refused

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self._muted:
            return
        self._begun += 1
        self._raw = 0
        self._size = _REQUEST_LINE
        self.url = b""
        self._headers = {}
        self.phase = HEAD
        self.since = self._clock()

    def on_url(self, url: bytes) -> None:
        if self._muted:
            return
        self.url += url
        self._size += len(url)
        if self._size > self._limits.header_bytes:
            self._refuse(431)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._muted:
            return
        self._size += len(name) + len(value) + 4
        if self._size > self._limits.header_bytes:
            self._refuse(431)
        if self.phase == BODY:
            return  # a trailer: may be left out (RFC 9110, section 6.5.1)
        lower, text = _field(name, value)
        if lower in self._headers:
            text = self._joined(lower, text)
        self._headers[lower] = text

    def _joined(self, name: str, value: str) -> str:
        if name == "host":
            self._refuse(400)  # RFC 9112, section 3.2
        return f"{self._headers[name]},{value}"  # RFC 9110, section 5.3

    def on_headers_complete(self) -> None:
        if self._muted:
            return
        parser = self._parser
        version = parser.get_http_version()
        self._method = parser.get_method().decode()
        if self._size + len(self._method) > self._limits.header_bytes:
            self._refuse(431)
        if version not in {"1.1", "1.0"}:
            self._refuse(400)
        if not parser.should_keep_alive():
            self._persistence = CLOSE
        else:
            self._persistence = KEEP if version == "1.1" else KEEP_OLD
        limit = self._limits.body_bytes
        if self._method == "PUT" and self._begin_upload is not None:
            limit = self._led_away(self._begin_upload)
        self._check_fields(modern=version == "1.1", limit=limit)
        self._upgrade = parser.should_upgrade()
        self._body = []
        self._body_size = 0
        self.phase = BODY
        self.since = self._clock()

    def _led_away(self, begin: BeginUpload) -> int:
        """Asks whether the body goes into an upload: the body's limit."""
        upload = begin(path_and_query(self.url.decode("ascii")))
        if upload is None:
            return self._limits.body_bytes
        if isinstance(upload, int):
            self._refuse(upload)
            return 0
        self.upload = upload
        return upload.limit

    def _check_fields(self, modern: bool, limit: int) -> None:
        headers = self._headers
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if length is not None and int(length) > limit:
            self._refuse(413)
        self.expects = modern and headers.get("expect", "").lower() == "100-continue"
        amiss = "host" not in headers if modern else coding is not None
        if amiss:
            self._refuse(400)  # RFC 9112, sections 3.2 and 6.1
        if coding is not None and coding.lower() != "chunked":
            self._refuse(501)

    def on_body(self, body: bytes) -> None:
        self.expects = False
        self._body_size += len(body)
        upload = self.upload
        if upload is None:
            if self._body_size > self._limits.body_bytes:
                self._refuse(413)
            self._body.append(body)
            return
        if self._body_size > upload.limit:
            self._refuse(413)
        if upload.failed:
            self._refuse(500)
        self._raw = 0
        self.since = self._clock()  # it may take its time, as long as something comes
        upload.take(body)

    def on_message_complete(self) -> None:
        if self._upgrade:
            return  # its body is still to come: see _read_on
        body = self._body
        request = RawRequest(
            self._method,
            path_and_query(self.url.decode("ascii")),
            self._headers,
            body[0] if len(body) == 1 else b"".join(body),
            self._peer,
            self.upload,
        )
        self.upload = None
        self.requests.append((request, self._persistence))
        self.last = self._persistence is CLOSE
        self.expects = False
        self._body = []
        self.phase = IDLE
