"""Accept: a client's request becomes durable, and only then is it answered with yes.

One write stands in the way of a yes, the submission on its queue (or held until its hour); a
message gets no record before somebody claims it. An idempotency key adds its own record, a daily
quota its counter, and who pays in advance is charged in one transaction with what is held.
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado import esme, limits
from recado.costcentre import CostCentre
from recado.dialects import Ask, Door, directcall, zoug
from recado.engine import Held, Remembered
from recado.errors import Refused
from recado.http import Answer, Event, Request, request_of
from recado.ids import MAX_AHEAD, derived_id, id_time, new_id
from recado.message import encode
from recado.money import price_of
from recado.observability import count, follow, follows, log
from recado.recipients import no_route, recipient, recipients, sized
from recado.submission import Listing, Recipient, Refusal, Submission
from recado.wiring import Deps

INLINE_BYTES = 200_000  # a queue message may have 1 MiB, but is billed by 64 KB
_LATE = 60.0  # a send_at this little in the past means now

Asked = TypeVar("Asked")


def answer(
    event: Event,
    door: Door[Asked],
    act: Callable[[Asked, CostCentre, Deps], Answer],
    deps: Deps,
) -> Answer:
    """One HTTP request, answered in its dialect whatever happens: who asks, may they, `act`."""
    asked: Asked | None = None
    cost_centre: CostCentre | None = None
    try:
        asked = door.read(request_of(event))
        cost_centre = _who(door.credential(asked), deps)
        _by_http(cost_centre)
        may(cost_centre, deps)
        return act(asked, cost_centre, deps)
    except Refused as refused:
        count(f"refused_{refused.refusal.reason}")
        identifier = new_id(deps.clock())
        if follows():
            log.debug("refused", extra={"correlation_id": identifier, **_why(refused.refusal)})
        return door.refused(refused.refusal, identifier, cost_centre, asked)
    except Exception:
        count("faults")
        identifier = new_id(deps.clock())
        log.exception("a request failed by our fault", extra={"correlation_id": identifier})
        fault = Refusal("request", "fault", esme.RSYSERR)
        return door.refused(fault, identifier, cost_centre, asked)


def _why(refusal: Refusal) -> dict[str, str]:
    return {"field": refusal.field, "reason": refusal.reason}


def _who(credential: str, deps: Deps) -> CostCentre:
    cost_centre = deps.directory.authenticate(credential)
    if cost_centre is None:
        raise Refused(Refusal("login or password", "credentials", esme.RINVPASWD))
    return cost_centre


def _by_http(cost_centre: CostCentre) -> None:
    if "http" not in cost_centre.sends_by:
        raise Refused(Refusal("cost centre", "by_http", esme.RBINDFAIL))


def may(cost_centre: CostCentre, deps: Deps) -> None:
    """Whether a request of this cost centre is to be looked at at all; it counts as one of its
    second. Raises Refused."""
    if cost_centre.suspended:
        raise Refused(Refusal("cost centre", "suspended", esme.RBINDFAIL))
    if cost_centre.per_second:
        _take(1, cost_centre, deps)


def _take(amount: int, cost_centre: CostCentre, deps: Deps) -> None:
    limit = cost_centre.per_second
    if not deps.engine.store.take(f"rate#{cost_centre.id}", amount, limit, deps.clock()):
        raise Refused(Refusal("rate", "rate", esme.RTHROTTLED))


def _take_the_others(ask: Ask, cost_centre: CostCentre, deps: Deps) -> None:
    """A submit_multi counts as many as it has destinations, or as a whole second's where it has
    more: with SMPP it is messages that are counted. (By HTTP it is requests.) The first of them
    was counted already."""
    if ask.registered is None:
        return
    others = min(len(ask.wishes), cost_centre.per_second) - 1
    if others > 0:
        _take(others, cost_centre, deps)


def one(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET and POST /message."""
    ask = zoug.send_ask(request, cost_centre)
    return zoug.sent(accept(ask, cost_centre, zoug.NAME, deps).id)


def batch(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /message/batch."""
    ask = zoug.batch_ask(request, cost_centre)
    accepted = accept(ask, cost_centre, zoug.NAME, deps)
    return zoug.batch_sent(accepted.id, accepted.count)


def sms(form: directcall.Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /sms/send."""
    order = directcall.send_order(form, cost_centre, deps.breathe)
    accepted = accept(order.ask, cost_centre, directcall.NAME, deps)
    deps.engine.store.put_refs([directcall.reference(cost_centre.id, accepted.id)])
    return directcall.sent(form, order, accepted.id, accepted.recipients)


class Accepted(Struct, frozen=True):
    """What was made durable: the message's id, or the batch's, and how many it holds. Recipients
    as they were checked; none of a long list, nor of a request that was answered before."""

    id: str
    count: int
    recipients: tuple[Recipient, ...] = ()


def accept(ask: Ask, cost_centre: CostCentre, dialect: str, deps: Deps) -> Accepted:
    """Makes a request to send durable. Raises Refused; of a refused request nothing is kept."""
    now = deps.clock()
    amount = len(ask.numbers) or len(ask.wishes)
    if ask.idempotency_key is None:
        _take_the_others(ask, cost_centre, deps)
        identifier = new_id(_due(ask, now))
        submission = _submission(ask, cost_centre, dialect, identifier, now, deps)
        _enqueue(identifier, submission, ask, cost_centre, deps)
        return Accepted(identifier, amount, submission.recipients)
    # Looked up first: a repeat has its answer, even where it would be refused by now.
    old = deps.engine.store.recall(cost_centre.id, ask.idempotency_key, now)
    entry = old or _entry(ask, cost_centre, ask.idempotency_key, now)
    if entry.body_hash != _hash(ask):
        raise Refused(Refusal("Idempotency-Key", "reused", esme.RINVOPTPARAMVAL))
    if entry.queued:
        return Accepted(entry.answer_id, amount)
    # Checked before the key is kept: a refused request uses up no key.
    if old is None:
        _take_the_others(ask, cost_centre, deps)
    submission = _submission(ask, cost_centre, dialect, entry.answer_id, entry.at, deps)
    if old is None:
        limits.look(submission, cost_centre, deps)
    if deps.engine.store.remember(entry) not in (None, entry):
        return accept(ask, cost_centre, dialect, deps)  # somebody was faster
    _enqueue(entry.answer_id, submission, ask, cost_centre, deps)
    deps.engine.store.mark_queued(entry)
    return Accepted(entry.answer_id, amount, submission.recipients)


def _hash(ask: Ask) -> str:
    """Of what is asked, not of how: a form's boundary and its token are others each time."""
    return hashlib.sha256(msgspec.msgpack.encode(ask)).hexdigest()


def _entry(ask: Ask, cost_centre: CostCentre, key: str, now: float) -> Remembered:
    return Remembered(cost_centre.id, key, _hash(ask), new_id(_due(ask, now)), now)


def _due(ask: Ask, now: float) -> float:
    return now if ask.send_at is None else due_at(ask.send_at, now)


def due_at(send_at: float, now: float) -> float:
    """The moment that a customer's date means. Raises Refused on one that makes no sense."""
    if send_at < now - _LATE:
        raise Refused(Refusal("send_at", "past", esme.RINVSCHED))
    if send_at > now + MAX_AHEAD:
        detail = f"must be at most {MAX_AHEAD // 86_400:.0f} days ahead!"
        raise Refused(Refusal("send_at", "long", esme.RINVSCHED, detail))
    return max(send_at, now)


def _submission(
    ask: Ask, cost_centre: CostCentre, dialect: str, identifier: str, now: float, deps: Deps
) -> Submission:
    due = id_time(identifier)
    submission = Submission(
        cost_centre=cost_centre.id,
        dialect=dialect,
        accepted_at=now,
        due_at=due,
        expires_at=due + (ask.validity or cost_centre.validity),
        recipients=() if ask.numbers else _recipients(ask, identifier, due, cost_centre, deps),
        batch_id=identifier if ask.batch else None,
        voice=ask.voice,
        source=ask.source,
        udh=ask.udh,
        registered=ask.registered,
        fields=ask.fields,
        price=price_of(cost_centre, voice=ask.voice),
    )
    return _of_a_list(submission, ask, cost_centre, deps) if ask.numbers else submission


def _recipients(
    ask: Ask, identifier: str, due: float, cost_centre: CostCentre, deps: Deps
) -> tuple[Recipient, ...]:
    """Where a message goes is decided when it goes; here only that it can go anywhere at all. An
    installation that has no route yet keeps what it takes until it has one."""
    if not ask.batch:
        only = recipient(ask.wishes[0], identifier, ask, cost_centre, deps.routing)
        if only.refusal:
            raise Refused(only.refusal)
        return (only,)
    identifiers = [derived_id(due, identifier, n) for n in range(len(ask.wishes))]
    checked = recipients(ask, identifiers, cost_centre, deps.routing)
    if all(r.refusal and r.refusal.reason in ("no_route", "no_voice") for r in checked):
        raise Refused(no_route(voice=ask.voice))
    return checked


def _of_a_list(base: Submission, ask: Ask, cost_centre: CostCentre, deps: Deps) -> Submission:
    made = sized(ask.text, cost_centre, voice=ask.voice)
    if made.refusal:
        raise Refused(made.refusal)
    if not any(deps.routing.reaches(cost_centre.id, n, voice=ask.voice) for n in ask.numbers):
        raise Refused(no_route(voice=ask.voice))
    return replace(
        base,
        text=made.text,
        segments=made.segments,
        units=ask.units or made.segments,
        listing=Listing(f"numbers-{base.batch_id}", count=len(ask.numbers)),
    )


def _enqueue(
    identifier: str, submission: Submission, ask: Ask, cost_centre: CostCentre, deps: Deps
) -> None:
    """The one durable write, after what limits it."""
    queue, body = _queued(submission, ask, deps)
    held = Held(identifier, submission.due_at, queue, submission.cost_centre, body)
    now = deps.clock()
    held_already = limits.pay(submission, held, cost_centre, deps)
    if submission.due_at > now:
        if held_already is None:
            deps.engine.store.hold(held)
    else:
        deps.engine.queue.send(queue, [body], submission.cost_centre)
        if held_already is not None:
            deps.engine.store.release([held_already])
    count("messages_accepted", _size(submission))
    if follows():
        _follow(submission, queue)


def _size(submission: Submission) -> int:
    return submission.listing.count if submission.listing else len(submission.recipients)


def _queued(submission: Submission, ask: Ask, deps: Deps) -> tuple[str, str]:
    """The queue that a submission goes to, and its message there; what is large lies in a blob."""
    if submission.batch_id is None:  # read as its own packet: it is written as that one would be
        return "Submit", encode(submission)
    if submission.listing:
        deps.engine.blobs.put(submission.listing.blob, "\n".join(ask.numbers).encode())
        return "Expand", encode(submission)
    body = encode(submission)
    if len(body) <= INLINE_BYTES // 4 or len(body.encode()) <= INLINE_BYTES:
        return "Expand", body
    name = f"submission-{submission.batch_id}"
    deps.engine.blobs.put(name, body.encode())
    return "Expand", encode(replace(submission, recipients=(), blob=name))


def _follow(submission: Submission, queue: str) -> None:
    name, batch_id = submission.cost_centre, submission.batch_id
    if batch_id:
        extra = {"correlation_id": batch_id, "cost_centre": name, "queue": queue}
        log.debug("batch accepted", extra={**extra, "count": _size(submission)})
    for one_of_them in submission.recipients:
        if one_of_them.refusal:
            why = _why(one_of_them.refusal)
            follow("refused", [one_of_them], batch_id=batch_id, cost_centre=name, **why)
        else:
            follow("accepted", [one_of_them], batch_id=batch_id, cost_centre=name, queue=queue)
