"""A request by HTTP as it came, what a client may take, where a body too large to hold goes, and
how all of it is answered."""

import re
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class Upload(Protocol):
    """Takes a body that is too large to be held, piece by piece."""

    limit: int
    """In bytes: more is refused."""

    @property
    def full(self) -> bool:
        """Whether it can't keep up: no more should be read before `when_room` has told so."""

    @property
    def failed(self) -> bool:
        """Whether it can't be kept, however much of it comes: the rest is to be refused."""

    def when_room(self, tell: Callable[[], None]) -> None:
        """Calls `tell` once, when it is full no longer."""

    def take(self, data: bytes) -> None:
        """The next piece."""

    def finish(self, done: Callable[[BaseException | None], None]) -> None:
        """All has come. Calls `done` once all is kept, or with why it could not be."""

    def abort(self) -> None:
        """The rest does not come, or is not wanted: nothing of it is kept."""


BeginUpload: TypeAlias = Callable[[str], Upload | int | None]
"""Asked for the target of each PUT before its body is read: what takes the body, or the status to
refuse it with, or None where it is a request like any other."""


class RawRequest(Struct, frozen=True):
    """A request as it came. The target is path and query as sent, in ASCII (of the absolute form
    the path and query alone); header names are lower case, values decoded as latin-1, those of a
    repeated header joined by commas. A body that went into an upload is not here."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    upload: Upload | None = None


class Limits(Struct, frozen=True):
    """What a client may take, in bytes, seconds and connections."""

    header_bytes: int = 10_240  # request line and headers
    body_bytes: int = 6 * 1024 * 1024
    header_seconds: float = 30  # from a request's first byte to the end of its headers
    body_seconds: float = 30  # for the whole of its body, or an upload's next piece; and for a
    # client to take an answer off
    idle_seconds: float = 75
    connections: int = 10_000


Reply: TypeAlias = Callable[[int, Mapping[str, str], bytes], None]
"""Status, headers, body: called once for each request, now or later, in the loop's thread. Called
again, or after the connection is gone, it does nothing. Content-Length, Transfer-Encoding,
Connection and Date are the server's own. Status HANG_UP closes without an answer."""

HANG_UP = 0

Handle: TypeAlias = Callable[[RawRequest, Reply], None]
"""Called when a request is complete. If it raises, the client gets `refuse`'s 500."""

Refuse: TypeAlias = Callable[[int, str], tuple[Mapping[str, str], bytes]]
"""Headers and body of an error answer of the server's own: 400, 408, 413, 431, 500, 501 or 503."""


def path_and_query(target: str) -> str:
    """A server takes the absolute form too (RFC 9112, section 3.2.2)."""
    if target.startswith("/"):
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest.startswith("/") else "/" + rest


def path_of(url: bytes) -> str:
    """The path alone, also of a request that has not come whole."""
    return path_and_query(url.decode("latin-1")).partition("?")[0]
