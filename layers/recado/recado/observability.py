"""Logs and metrics, in the field's words. Never a text, never a full number.

A decorated Powertools handler with a line and a metric costs more than all else in a hop, so a hop
counts into a plain dict, and logs one line a batch; single messages are logged at DEBUG.
"""

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

log = logging.getLogger("recado")

_counts: Counter[str] = Counter()

Handler: TypeAlias = Callable[[dict[str, Any], Any], Any]


def count(name: str, amount: int = 1) -> None:
    """Adds to a metric: messages accepted, submits rejected, ..."""
    _counts[name] += amount


def counts() -> dict[str, int]:
    """Every metric since this environment started."""
    return dict(_counts)


def observed(handler: Handler) -> Handler:
    """A function's handler; what it raises is logged with its name before it goes on its way."""

    @functools.wraps(handler)
    def watched(event: dict[str, Any], context: Any) -> Any:
        try:
            return handler(event, context)
        except Exception:
            count("faults")
            log.exception("a fault of ours", extra={"function": handler.__module__})
            raise

    return watched
