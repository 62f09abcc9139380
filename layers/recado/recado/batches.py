"""A queue's batch, dealt with so that one bad message never holds up the others."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from recado.http import Event
from recado.observability import count, log

Thing = TypeVar("Thing")


def one_by_one(event: Event, work: Callable[[str], None]) -> dict[str, Any]:
    """Gives each message's body to `work`; those at which it raised are delivered again."""
    failures = []
    for record in event["Records"]:
        try:
            work(record["body"])
        except Exception:
            failures.append(_failure(record))
    return {"batchItemFailures": failures}


def together(
    event: Event, decode: Callable[[str], Thing], work: Callable[[Sequence[Thing]], None]
) -> dict[str, Any]:
    """Decodes each message and gives all that could be decoded to `work` at once; what could not
    be decoded is delivered again, and so is everything where `work` raised."""
    failures, things = [], []
    for record in event["Records"]:
        try:
            things.append(decode(record["body"]))
        except Exception:
            failures.append(_failure(record))
    try:
        work(things)
    except Exception:
        failures = [_failure(record) for record in event["Records"]]
    return {"batchItemFailures": failures}


def _failure(record: dict[str, Any]) -> dict[str, str]:
    count("queue_failures")
    log.exception("a queue message failed", extra={"queue_message": record["messageId"]})
    return {"itemIdentifier": record["messageId"]}
