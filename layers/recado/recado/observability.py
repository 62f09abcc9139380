"""Logs and metrics, in the field's words. Never a text, never a full number.

A decorated Powertools handler with a line and a metric costs more than all else in a hop, so a hop
counts into a plain dict; on Lambda one flush an invocation turns that into metrics, on a machine
the counts stay in the process. Faults are logged always, single messages not at all.
"""

import functools
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

log = logging.getLogger("recado")

_NAMESPACE = "Recado"
_counts: Counter[str] = Counter()

Handler: TypeAlias = Callable[[dict[str, Any], Any], Any]


def count(name: str, amount: int = 1) -> None:
    """Adds to a metric: messages_accepted, submits, reports_given, ..."""
    _counts[name] += amount


def counts() -> dict[str, int]:
    """Every metric since this environment started, or since its last flush on Lambda."""
    return dict(_counts)


def observed(handler: Handler) -> Handler:
    """A function's handler: what it raises is logged before it goes on its way, and on Lambda what
    it counted becomes metrics."""

    @functools.wraps(handler)
    def watched(event: dict[str, Any], context: Any) -> Any:
        try:
            return handler(event, context)
        except Exception:
            count("faults")
            log.exception("a fault of ours", extra={"function": handler.__module__})
            raise

    if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return watched
    _log_as_json()
    return _flushing(watched)


def _log_as_json() -> None:
    from aws_lambda_powertools.logging.formatter import (  # noqa: PLC0415 - Lambda's alone
        LambdaPowertoolsFormatter,
    )

    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(LambdaPowertoolsFormatter())
    log.handlers = [lines]
    log.propagate = False  # the runtime's own handler would print each line again
    log.setLevel(os.environ.get("RECADO_LOG_LEVEL", "INFO"))


def _flushing(handler: Handler) -> Handler:
    from aws_lambda_powertools import Metrics  # noqa: PLC0415 - Lambda's alone
    from aws_lambda_powertools.metrics import MetricUnit  # noqa: PLC0415 - Lambda's alone

    metrics = Metrics(namespace=_NAMESPACE, service=os.environ["AWS_LAMBDA_FUNCTION_NAME"])

    @functools.wraps(handler)
    def flushing(event: dict[str, Any], context: Any) -> Any:
        try:
            return handler(event, context)
        finally:
            for name, amount in _counts.items():
                metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)
            if _counts:
                metrics.flush_metrics()
                _counts.clear()

    return flushing
