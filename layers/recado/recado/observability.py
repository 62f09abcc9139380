"""Logs and metrics, in the field's words. Never a text, never a full number.

A decorated Powertools handler with a line and a metric costs more than all else in a hop, so a hop
counts into a plain dict; on Lambda one flush an invocation turns that into metrics, on a machine
the counts stay in the process. Faults are logged always, single messages at DEBUG alone: then each
hop says a line for each message, and the message's id as `correlation_id` leads along its way.
"""

import functools
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from traceback import walk_tb
from typing import Any, Protocol, TypeAlias

from recado.errors import RecadoError

log = logging.getLogger("recado")

_NAMESPACE = "Recado"
_FRAMES = 30  # of a trace, the innermost
_CAUSES = 5  # of an exception, the nearest
_counts: defaultdict[str, int] = defaultdict(int)  # a Counter takes half as long again

Handler: TypeAlias = Callable[[dict[str, Any], Any], Any]


class FunctionFailed(Exception):
    """A handler raised; what, is in the log. Lambda's runtime logs the text of what a handler
    raises, and in an exception of others that may be a customer's text or number."""


# --- metrics -------------------------------------------------------------------------------------


def count(name: str, amount: int = 1) -> None:
    """Adds to a metric: messages_accepted, submits, reports_given, ..."""
    _counts[name] += amount


def counts() -> dict[str, int]:
    """Every metric since this environment started, or since its last flush on Lambda."""
    return dict(_counts)


# --- what one message went through ---------------------------------------------------------------


class Followed(Protocol):
    """What a line can be about: a message, a recipient, a batch, a reply, what is held."""

    @property
    def id(self) -> str: ...


def follows() -> bool:
    """Whether single messages are logged: to be asked once for all that is in hand."""
    return log.isEnabledFor(logging.DEBUG)


def follow(step: str, things: Iterable[Followed], **fields: Any) -> None:
    """At DEBUG one line for each thing: what this hop did with it. A message of a batch has the
    batch's id beside its own."""
    if not follows():
        return
    for thing in things:
        batch = {"batch_id": getattr(thing, "batch_id", None), **fields}
        given = {name: value for name, value in batch.items() if value is not None}
        # Called by way of here, its place would be this line.
        log.debug(step, extra={"correlation_id": thing.id, **given}, stacklevel=2)


# --- faults --------------------------------------------------------------------------------------


def words_of(error: BaseException) -> str:
    """What an exception says, where that can't be a customer's text, number or secret: our own
    words, SQLite's, the system's, the code of an AWS error. Else nothing: most libraries quote
    what they could not read, and a URL may hold anything."""
    if isinstance(error, RecadoError) or type(error).__module__ == "sqlite3":
        return str(error)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return os.strerror(error.errno)
    answer = getattr(error, "response", None)  # of botocore's ClientError
    if isinstance(answer, dict) and hasattr(error, "operation_name"):
        return f"{error.operation_name}: {answer.get('Error', {}).get('Code')}"
    return ""


def without_words(record: logging.LogRecord) -> bool:
    """A filter for every handler: an exception is logged as its trace and `words_of` it."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        trace = "\n".join(_trace(error))
        vars(record).update(exception_name=type(error).__name__, exception=trace)
    record.exc_info = record.exc_text = None
    return True


def _trace(error: BaseException) -> Iterable[str]:
    """An exception and what caused it, as Python prints them, the cause first."""
    chain = [error]
    while len(chain) < _CAUSES and (cause := _cause(chain[-1])) is not None:
        chain.append(cause)
    for each in reversed(chain):
        frames = [(frame.f_code, line) for frame, line in walk_tb(each.__traceback__)]
        for code, line in frames[-_FRAMES:]:
            yield f'  File "{code.co_filename}", line {line}, in {code.co_name}'
        kind, words = type(each), words_of(each)
        name = (
            kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        )
        yield f"{name}: {words}" if words else name


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# --- a function's handler ------------------------------------------------------------------------


def observed(handler: Handler) -> Handler:
    """A function's handler: what it raises is logged before it goes on its way, and on Lambda what
    it counted becomes metrics and what it raised loses its words."""
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")

    @functools.wraps(handler)
    def watched(event: dict[str, Any], context: Any) -> Any:
        try:
            return handler(event, context)
        except Exception:
            count("faults")
            log.exception("a fault of ours", extra={"function_name": name or handler.__module__})
            raise

    return _on_lambda(watched, name) if name else watched


def _on_lambda(handler: Handler, name: str) -> Handler:
    from aws_lambda_powertools import Metrics  # noqa: PLC0415 - Lambda's alone
    from aws_lambda_powertools.logging.formatter import (  # noqa: PLC0415 - Lambda's alone
        LambdaPowertoolsFormatter,
    )
    from aws_lambda_powertools.metrics import MetricUnit  # noqa: PLC0415 - Lambda's alone

    # Lambda takes a line's level only where its time is as RFC 3339 has it.
    lines = LambdaPowertoolsFormatter(use_rfc3339=True, utc=True, function_name=name)
    _log_as_json(lines)
    metrics = Metrics(namespace=_NAMESPACE, service=name)

    @functools.wraps(handler)
    def flushing(event: dict[str, Any], context: Any) -> Any:
        lines.append_keys(function_request_id=getattr(context, "aws_request_id", None))
        try:
            return handler(event, context)
        except Exception as error:
            raise FunctionFailed(type(error).__name__) from None
        finally:
            for counted, amount in _counts.items():
                metrics.add_metric(name=counted, unit=MetricUnit.Count, value=amount)
            if _counts:
                metrics.flush_metrics()
                _counts.clear()

    return flushing


def _log_as_json(lines: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(lines)
    log_through(handler, os.environ.get("RECADO_LOG_LEVEL", "INFO"), "recado")


def log_through(handler: logging.Handler, level: str, *ours: str) -> None:
    """Sends all lines through one handler: those of our own loggers from `level` on, and those of
    others only from WARNING on, for below it botocore logs whole requests."""
    handler.addFilter(without_words)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in ours:
        logging.getLogger(name).setLevel(level)
