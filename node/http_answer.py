"""An HTTP answer's bytes."""

from collections.abc import Mapping
from http import HTTPStatus

_OURS = frozenset(("content-length", "transfer-encoding", "connection", "date"))
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def render(
    status: int, headers: Mapping[str, str], end: str, body: bytes, head_only: bool
) -> bytes:
    """An answer's bytes. Raises ValueError on a header that would break out of its line."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _OURS]
    fields = "".join(lines)
    if fields.count("\n") != len(lines) or fields.count("\r") != len(lines):
        raise ValueError("a header holds a line break")
    line = _STATUS_LINES.get(status) or f"{status} "
    if status in {204, 304} or status < 200:
        return f"HTTP/1.1 {line}\r\n{fields}{end}\r\n".encode("latin-1")
    head = f"HTTP/1.1 {line}\r\n{fields}{end}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") if head_only else head.encode("latin-1") + body
