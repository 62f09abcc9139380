"""The node's log lines: what Lambda logs as JSON fields stands at the end of the line here."""

import logging
import sys

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fields"}
_FORMAT = "%(asctime)s %(levelname)s %(message)s%(fields)s"


class _WithFields(logging.Formatter):
    """A line with the ids that its caller gave as `extra`. (A subclass, as logging wants it.)"""

    def format(self, record: logging.LogRecord) -> str:
        given = {name: value for name, value in vars(record).items() if name not in _USUAL}
        record.fields = "".join(f"  {name}={value}" for name, value in sorted(given.items()))
        return super().format(record)


def log_to_stderr(level: str) -> None:
    """Everything that is logged goes to standard error from now on."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_WithFields(_FORMAT))
    logging.basicConfig(level=level, handlers=[lines])
