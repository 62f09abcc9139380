"""The node's log lines: as text where a person reads them on a terminal, else as JSON with the same
keys as on Lambda."""

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from recado.observability import log, log_through

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_TRACE = ("exception_name", "exception")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`, and the trace that the filter made of an exception."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


class _Text(logging.Formatter):  # subclasses, as logging wants it
    """A line that ends with its fields, and an exception's trace below it."""

    def format(self, record: logging.LogRecord) -> str:
        given = _fields(record)
        fields = [f"  {name}={given[name]}" for name in sorted(given) if name not in _TRACE]
        trace = f"\n{given['exception']}" if "exception" in given else ""
        return super().format(record) + "".join(fields) + trace


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds"),
            **_fields(record),
        }
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_to_stderr(level: str, form: str = "") -> None:
    """Everything that is logged goes to standard error from now on, as "text" or "json": without a
    word on it as text to a terminal. What ends the process, too."""
    form = form or ("text" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text(_FORMAT) if form == "text" else _Json())
    handler.addFilter(_without_arguments)
    log_through(handler, level, "recado", "node", "smpp")
    sys.excepthook = _ended


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("a fault ended the process", exc_info=(kind, error, trace))


def _without_arguments(record: logging.LogRecord) -> bool:
    """The event loop names a failed callback with its arguments, which may be queue messages."""
    if record.name == "asyncio":
        record.msg, record.args = "a fault in the event loop", ()
    return True
