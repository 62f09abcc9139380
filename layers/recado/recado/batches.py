"""A queue's batch, dealt with so that one bad message never holds up the others."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from recado.http import Event
from recado.ids import is_id
from recado.observability import count, log

Thing = TypeVar("Thing")


def one_by_one(event: Event, work: Callable[[str], None]) -> dict[str, Any]:
    """Gives each message's body to `work`; those at which it raised are delivered again."""
    failures = []
    for record in event["Records"]:
        try:
            work(record["body"])
        except Exception:
            log.exception("a queue message failed", extra=_about(record))
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
            log.exception("a queue message can't be read", extra=_about(record))
            failures.append(_failure(record))
    try:
        work([thing for _, thing in things])
    except Exception:
        about = _about(things[0][0]) if len(things) == 1 else {}
        log.exception("a handful of queue messages failed: now one by one", extra=about)
        failures += [_failure(rec) for rec, thing in things if not _alone(rec, thing, work)]
    return {"batchItemFailures": failures}


def _alone(record: dict[str, Any], thing: Thing, work: Callable[[Sequence[Thing]], None]) -> bool:
    try:
        work([thing])
    except Exception:
        log.exception("a queue message failed by itself", extra=_about(record))
        return False
    return True


def _failure(record: dict[str, Any]) -> dict[str, str]:
    count("queue_failures")
    log.error("a queue message comes again", extra=_about(record))
    return {"itemIdentifier": record["messageId"]}


class _Identified(Struct):
    id: str = ""


class _Body(Struct):
    """What any of our queue messages may name: a message, a batch, a record to look at."""

    id: str = ""
    batch_id: str | None = None
    recipients: tuple[_Identified, ...] = ()


def _about(record: dict[str, Any]) -> dict[str, str]:
    """The ids that a fault's log line has: the queue message's and what that is about, as far as
    its body can be read."""
    try:
        body = msgspec.json.decode(record["body"], type=_Body)
    except (msgspec.MsgspecError, UnicodeError):
        body = _Body()
    single = body.recipients[0].id if len(body.recipients) == 1 else ""
    name = next((name for name in (body.id, single, body.batch_id) if name and is_id(name)), None)
    named = {"correlation_id": name} if name else {}
    if name and body.batch_id and name != body.batch_id:
        named["batch_id"] = body.batch_id
    return {"queue_message": record["messageId"], **named}
