"""Accept: a client's request becomes durable, and only then is it answered with yes.

One write stands in the way of a yes, the submission on its queue (or held until its hour); a
message gets no record before somebody claims it. An idempotency key adds its own record.
"""

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.costcentre import CostCentre
from recado.dialects import Ask, Dialect, Wish, zoug
from recado.engine import Held, Remembered
from recado.errors import Refused
from recado.http import Answer, Event, Request, request_of
from recado.ids import derived_id, id_time, new_id
from recado.message import Packet, Recipient, Refusal, Submission, encode
from recado.numbers import NumberProblem, brazilian_mobile
from recado.observability import count, follow, follows, log
from recado.segments import segment_count, segmented, septets
from recado.wiring import Deps

INLINE_BYTES = 200_000  # a queue message may have 1 MiB, but is billed by 64 KB
MAX_AHEAD = 90 * 86_400.0  # how far ahead a message may be scheduled, in seconds
# What a segment's 160 septets may be written with. A text beyond is not even looked at: to compose
# megabytes of accents would take minutes.
_CHARACTERS = 320
_LATE = 60.0  # a send_at this little in the past means now

Act: TypeAlias = Callable[[Request, CostCentre, Deps], Answer]


def answer(event: Event, dialect: Dialect, act: Act, deps: Deps) -> Answer:
    """One HTTP request, answered in its dialect whatever happens: who asks, may they, `act`."""
    cost_centre: CostCentre | None = None
    try:
        request = request_of(event)
        cost_centre = _who(request, deps)
        _may(cost_centre, deps)
        return act(request, cost_centre, deps)
    except Refused as refused:
        count(f"refused_{refused.refusal.reason}")
        identifier = new_id(deps.clock())
        if follows():
            log.debug("refused", extra={"correlation_id": identifier, **_why(refused.refusal)})
        return dialect.refused(refused.refusal, identifier, cost_centre)
    except Exception:
        count("faults")
        identifier = new_id(deps.clock())
        log.exception("a request failed by our fault", extra={"correlation_id": identifier})
        fault = Refusal("request", "fault", esme.RSYSERR)
        return dialect.refused(fault, identifier, cost_centre)


def _why(refusal: Refusal) -> dict[str, str]:
    return {"field": refusal.field, "reason": refusal.reason}


def _who(request: Request, deps: Deps) -> CostCentre:
    header = request.headers.get("authorization")
    if not header:
        raise Refused(Refusal("authorization", "credentials", esme.RINVPASWD, "is missing!"))
    cost_centre = deps.directory.authenticate(header)
    if cost_centre is None:
        raise Refused(Refusal("login or password", "credentials", esme.RINVPASWD))
    return cost_centre


def _may(cost_centre: CostCentre, deps: Deps) -> None:
    if cost_centre.suspended:
        raise Refused(Refusal("cost centre", "suspended", esme.RBINDFAIL))
    limit = cost_centre.per_second
    if limit and not deps.engine.store.take(f"rate#{cost_centre.id}", 1, limit, deps.clock()):
        raise Refused(Refusal("rate", "rate", esme.RTHROTTLED))


def one(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET and POST /message."""
    ask = zoug.send_ask(request, cost_centre)
    return zoug.sent(accept(ask, cost_centre, zoug.NAME, request, deps).id)


def batch(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /message/batch."""
    ask = zoug.batch_ask(request, cost_centre)
    accepted = accept(ask, cost_centre, zoug.NAME, request, deps)
    return zoug.batch_sent(accepted.id, accepted.count)


class Accepted(Struct, frozen=True):
    """What was made durable: the message's id, or the batch's, and how many it holds."""

    id: str
    count: int


def accept(
    ask: Ask, cost_centre: CostCentre, dialect: str, request: Request, deps: Deps
) -> Accepted:
    """Makes a request to send durable. Raises Refused; of a refused request nothing is kept."""
    now = deps.clock()
    if ask.idempotency_key is None:
        submission = _submission(ask, cost_centre, dialect, new_id(_due(ask, now)), now)
        _check_route(submission, deps)
        _enqueue(submission, deps)
        return Accepted(submission.batch_id or submission.recipients[0].id, len(ask.wishes))
    # Looked up first: a repeat has its answer, even where it would be refused by now.
    old = deps.engine.store.recall(cost_centre.id, ask.idempotency_key, now)
    entry = old or _entry(ask, cost_centre, request, ask.idempotency_key, now)
    if entry.body_hash != _hash(request):
        raise Refused(Refusal("Idempotency-Key", "reused", esme.RINVOPTPARAMVAL))
    if not entry.queued:
        # Checked before the key is kept: a refused request uses up no key.
        submission = _submission(ask, cost_centre, dialect, entry.answer_id, entry.at)
        _check_route(submission, deps)
        if deps.engine.store.remember(entry) not in (None, entry):
            return accept(ask, cost_centre, dialect, request, deps)  # somebody was faster
        _enqueue(submission, deps)
        deps.engine.store.mark_queued(entry)
    return Accepted(entry.answer_id, len(ask.wishes))


def _hash(request: Request) -> str:
    asked = f"{request.path}?{request.query}\n".encode() + request.body
    return hashlib.sha256(asked).hexdigest()


def _entry(ask: Ask, cost_centre: CostCentre, request: Request, key: str, now: float) -> Remembered:
    identifier = new_id(_due(ask, now))
    return Remembered(cost_centre.id, key, _hash(request), identifier, now)


def _due(ask: Ask, now: float) -> float:
    if ask.send_at is None:
        return now
    if ask.send_at < now - _LATE:
        raise Refused(Refusal("send_at", "past", esme.RINVSCHED))
    if ask.send_at > now + MAX_AHEAD:
        detail = f"must be at most {MAX_AHEAD // 86_400:.0f} days ahead!"
        raise Refused(Refusal("send_at", "long", esme.RINVSCHED, detail))
    return max(ask.send_at, now)


def _submission(
    ask: Ask, cost_centre: CostCentre, dialect: str, identifier: str, now: float
) -> Submission:
    due_at = id_time(identifier)
    if ask.batch:
        recipients = tuple(
            _recipient(wish, derived_id(due_at, identifier, n), cost_centre)
            for n, wish in enumerate(ask.wishes)
        )
    else:
        recipients = (_recipient(ask.wishes[0], identifier, cost_centre),)
        if recipients[0].refusal:
            raise Refused(recipients[0].refusal)
    return Submission(
        cost_centre=cost_centre.id,
        dialect=dialect,
        accepted_at=now,
        due_at=due_at,
        expires_at=due_at + (ask.validity or cost_centre.validity),
        recipients=recipients,
        batch_id=identifier if ask.batch else None,
    )


def _recipient(wish: Wish, identifier: str, cost_centre: CostCentre) -> Recipient:
    """The recipient checked against the cost centre's rules: taken, or with its refusal."""
    number = brazilian_mobile(
        wish.destination, strict=cost_centre.strict_numbers, fixed_lines=cost_centre.fixed_lines
    )
    text, segments, refusal = "", 0, None
    if isinstance(number, NumberProblem):
        reason = "empty" if not wish.destination.strip() else number.value
        refusal = Refusal("destination", reason, esme.RINVDSTADR)
    else:
        text, segments, refusal = _sized(wish.text, cost_centre)
    if refusal:
        return Recipient(
            id=identifier, as_written=wish.destination, reference=wish.reference, refusal=refusal
        )
    return Recipient(
        id=identifier,
        as_written=wish.destination,
        to=str(number),
        text=text,
        segments=segments,
        reference=wish.reference,
    )


def _sized(text: str, cost_centre: CostCentre) -> tuple[str, int, Refusal | None]:
    """The text as it will be sent, its segments, and what is wrong with it."""
    most = cost_centre.max_segments
    if len(text) > _CHARACTERS * most:
        return "", 0, _long(f"{len(text)} characters, at most {most} segments are allowed!")
    if septets(text) is not None:
        segments = segment_count(text, replace_accents=False)
    else:
        fitted = segmented(text, replace_accents=cost_centre.replace_accents)
        text, segments = fitted.text, fitted.count
    if not text.strip():
        return text, segments, Refusal("text", "empty", esme.RINVMSGLEN)
    if segments > most:
        return text, segments, _long(f"{segments} segments, at most {most} are allowed!")
    return text, segments, None


def _long(why: str) -> Refusal:
    return Refusal("text", "long", esme.RINVMSGLEN, f"is too long: {why}")


def _check_route(submission: Submission, deps: Deps) -> None:
    """Where a message goes is decided when it goes; here only that it can go anywhere at all. An
    installation that has no route yet keeps what it takes until it has one."""
    numbers = [recipient.to for recipient in submission.recipients if not recipient.refusal]
    routing, name = deps.routing, submission.cost_centre
    if not numbers or not routing.has_routes():
        return
    if not any(routing.upstream_for(name, number) for number in numbers):
        raise Refused(Refusal("message", "no_route", esme.RSYSERR))


def _enqueue(submission: Submission, deps: Deps) -> None:
    """The one durable write."""
    identifier = submission.batch_id or submission.recipients[0].id
    if submission.batch_id:
        queue, body = "Expand", _inline_or_blob(submission, deps)
    else:
        queue, body = "Submit", encode(_packet(submission))
    if submission.due_at > deps.clock():
        deps.engine.store.hold(
            Held(identifier, submission.due_at, queue, submission.cost_centre, body)
        )
    else:
        deps.engine.queue.send(queue, [body], submission.cost_centre)
    count("messages_accepted", len(submission.recipients))
    if follows():
        _follow(submission, queue)


def _follow(submission: Submission, queue: str) -> None:
    name, batch_id = submission.cost_centre, submission.batch_id
    if batch_id:
        extra = {"correlation_id": batch_id, "cost_centre": name, "queue": queue}
        log.debug("batch accepted", extra={**extra, "count": len(submission.recipients)})
    for recipient in submission.recipients:
        if recipient.refusal:
            why = _why(recipient.refusal)
            follow("refused", [recipient], batch_id=batch_id, cost_centre=name, **why)
        else:
            follow("accepted", [recipient], batch_id=batch_id, cost_centre=name, queue=queue)


def _inline_or_blob(submission: Submission, deps: Deps) -> str:
    body = encode(submission)
    if len(body) <= INLINE_BYTES // 4 or len(body.encode()) <= INLINE_BYTES:
        return body
    name = f"submission-{submission.batch_id}"
    deps.engine.blobs.put(name, body.encode())
    return encode(replace(submission, recipients=(), blob=name))


def _packet(submission: Submission) -> Packet:
    """A small submission is its own packet."""
    return Packet(
        cost_centre=submission.cost_centre,
        dialect=submission.dialect,
        accepted_at=submission.accepted_at,
        due_at=submission.due_at,
        expires_at=submission.expires_at,
        recipients=submission.recipients,
    )
