"""An HTTP answer's bytes."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

_OURS = frozenset(("content-length", "transfer-encoding", "connection", "date"))
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_BODILESS = frozenset((*range(200), 204, 304))


def render(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    date: str,
    persistence: str,
    *,
    head_only: bool,
) -> bytes:
    """An answer's bytes, with the Date header's value, and the line that says whether the
    connection is kept. Raises ValueError on a header that would break out of its line."""
    head = _head(status, tuple(headers.items()), len(body), date, persistence)
    return head if head_only or status in _BODILESS else head + body


@lru_cache(maxsize=256)  # within a second most answers differ in their bodies alone
def _head(
    status: int, headers: tuple[tuple[str, str], ...], length: int, date: str, persistence: str
) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _OURS]
    fields = "".join(lines)
    if fields.count("\n") != len(lines) or fields.count("\r") != len(lines):
        raise ValueError("a header holds a line break")
    line = _STATUS_LINES.get(status) or f"{status} "
    end = "" if status in _BODILESS else f"Content-Length: {length}\r\n"
    head = f"HTTP/1.1 {line}\r\n{fields}Date: {date}\r\n{persistence}{end}\r\n"
    return head.encode("latin-1")
