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
            log.exception("a queue message failed")
            failures.append(_failure(record))
    return {"batchItemFailures": failures}


def together(
    event: Event, decode: Callable[[str], Thing], work: Callable[[Sequence[Thing]], None]
) -> dict[str, Any]:
    """Decodes each message and gives all of them to `work` at once. Where it raises, each goes by
    itself, since every hop may be done again: what can't be decoded, or still raises, is delivered
    again, and its neighbours are not drawn into it."""
    failures: list[dict[str, str]] = []
    things: list[tuple[dict[str, Any], Thing]] = []
    for record in event["Records"]:
        try:
            things.append((record, decode(record["body"])))
        except Exception:
            log.exception("a queue message can't be read")
            failures.append(_failure(record))
    try:
        work([thing for _, thing in things])
    except Exception:
        log.exception("a handful of queue messages failed: now one by one")
        failures += [_failure(record) for record, thing in things if not _alone(thing, work)]
    return {"batchItemFailures": failures}


def _alone(thing: Thing, work: Callable[[Sequence[Thing]], None]) -> bool:
    try:
        work([thing])
    except Exception:
        log.exception("a queue message failed by itself")
        return False
    return True


def _failure(record: dict[str, Any]) -> dict[str, str]:
    count("queue_failures")
    log.error("a queue message comes again", extra={"queue_message": record["messageId"]})
    return {"itemIdentifier": record["messageId"]}
