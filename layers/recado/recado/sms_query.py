"""Directcall's questions about what was sent: /sms/status and /sms/remove.

Its public pages name the paths, `code`, and that a status's `msg` is a string. The words of a
status, the answer of remove and all about requests for many are ours, and marked "not in the
document" here and in docs/directcall-api.md.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from recado import esme
from recado.callback import listed_of
from recado.cancel import (
    Cancelled,
    cancel,
    cancel_message,
    is_single,
    record_of,
    state_without_record,
    waiting,
)
from recado.costcentre import CostCentre
from recado.dialects import Listed, directcall
from recado.dialects.directcall import Form
from recado.errors import Refused
from recado.http import Answer
from recado.ids import derived_id, id_time
from recado.longlists import message_id
from recado.message import Batch, Key, Message, Record, State
from recado.numbers import Numbering, NumberProblem, number_of
from recado.query import states_of
from recado.submission import Refusal
from recado.wiring import Deps

_CALLERID, _MESSAGE_NUMBER = 14, 16  # the second: a callerid, and a place in the request's list
_ANY_NUMBER = Numbering(plus=True, trunk_zero=True, fixed_lines=True, abroad=True)


class _Subject(Struct, frozen=True):
    """What a `code` stands for: all that one request sent, or one message of it."""

    callerid: str
    key: Key
    record: Record | None
    one_of_many: bool = False
    line: Listed | None = None  # that one's, where the request's list is known
    is_certain: bool = True  # False: it has no record that says whether it is one or many


def fields_of(form: Form) -> dict[str, str]:
    """A form's fields. Raises Refused where it could not be read."""
    if form.problem is not None:
        raise Refused(form.problem)
    return form.fields


def status(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET and POST /sms/status. Not in the document: `destino`, for one message of many."""
    with _about_the_code():
        subject = _subject(form, cost_centre, deps)
        record = subject.record
        if subject.line is not None and subject.line.refusal:
            word = directcall.status_name(State.REJECTED)
            return _answered(form, subject, word, destino=subject.line.as_written)
        if isinstance(record, Message):
            return _message_status(form, subject, record, cost_centre)
        if isinstance(record, Batch):
            return _batch_status(form, subject, record, deps)
        if record is not None:
            raise _unknown()
        state = state_without_record(subject.key.id, cost_centre, deps.clock())
        return _answered(form, subject, directcall.status_name(state))


def remove(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET and POST /sms/remove: cancels a schedule, and whatever else has not gone."""
    with _about_the_code():
        subject = _subject(form, cost_centre, deps)
        identifier, done = subject.key.id, Cancelled(done=1)
        if not subject.is_certain or (subject.line is not None and subject.line.refusal):
            raise Refused(Refusal("code", "gone", esme.RCANCELFAIL))
        before = record_of(subject.key, deps)
        if subject.one_of_many:
            cancel_message(identifier, directcall.NAME, cost_centre, deps)
        else:
            done = cancel(identifier, directcall.NAME, cost_centre, deps)
        # Done again all the same: the first time may have died half way.
        if isinstance(before, Message | Batch) and before.state is State.DELETED:
            # 010: "Identificador inexistente ou previamente cancelado".
            raise Refused(Refusal("code", "gone", esme.RCANCELFAIL))
    counted = {"canceladas": done.done, "enviadas": done.gone} if done.counted else {}
    return directcall.answered(
        form, "remove", "Envio cancelado", callerid=subject.callerid, **counted
    )


# --- answers -------------------------------------------------------------------------------------


def _answered(form: Form, subject: _Subject, message: str, **more: object) -> Answer:
    return directcall.answered(form, "status", message, callerid=subject.callerid, **more)


def _message_status(
    form: Form, subject: _Subject, message: Message, cost_centre: CostCentre
) -> Answer:
    """Not in the document: whom it was for, when it came to this, and both its sizes: the SMS that
    it costs and the segments that it was sent in."""
    at = message.history[-1].at if message.history else message.accepted_at
    return _answered(
        form,
        subject,
        directcall.status_name(message.state),
        **({"destino": message.to} if message.to else {}),  # it was moved: it says when, not whom
        data=directcall.local_time(at, cost_centre),
        sms=message.units,
        segmentos=message.segments,
    )


def _batch_status(form: Form, subject: _Subject, batch: Batch, deps: Deps) -> Answer:
    """Not in the document: how many are in which state."""
    if not batch.blob and not batch.listing:  # cancelled or moved before anybody looked at it
        return _answered(form, subject, directcall.status_name(batch.state))
    words = _words_of_list(batch, deps) if batch.listing else _words_of_batch(batch, deps)
    counted = {word: amount for word, amount in words.items() if amount}
    summary = ", ".join(f"{amount} {word}" for word, amount in counted.items())
    message = f"{batch.count} mensagens: {summary}"
    return _answered(form, subject, message, contagem=counted)


def _words_of_batch(batch: Batch, deps: Deps) -> Counter[str]:
    states, _ = states_of(batch, deps)
    return Counter(_word(state) for state in states)


def _word(state: str) -> str:
    return directcall.status_name(State.REJECTED if state == "REFUSED" else State(state))


def _words_of_list(batch: Batch, deps: Deps) -> Counter[str]:
    """Of a long list it is counted how many were taken up; not what became of each."""
    left = waiting(batch, deps)
    rest = batch.state if batch.state in (State.PAUSED, State.DELETED) else State.QUEUED
    words: Counter[str] = Counter()
    words[directcall.status_name(State.ENROUTE)] += batch.count - batch.refused - left
    words[directcall.status_name(rest)] += left
    words[directcall.status_name(State.REJECTED)] += batch.refused
    return words


# --- what a code stands for ----------------------------------------------------------------------


def _unknown(field: str = "code") -> Refused:
    return Refused(Refusal(field, "unknown", esme.RQUERYFAIL))


@contextmanager
def _about_the_code() -> Iterator[None]:
    """What is refused by an id or a message was refused by the code that led to it."""
    try:
        yield
    except Refused as refused:
        if refused.refusal.field in ("id", "message", "batch"):
            raise Refused(replace(refused.refusal, field="code")) from refused
        raise


def _subject(form: Form, cost_centre: CostCentre, deps: Deps) -> _Subject:
    """Raises Refused where there is no code, or nothing of this cost centre has it."""
    fields = fields_of(form)
    code = fields.get("code", "").strip()
    if not code:
        raise Refused(Refusal("code", "missing", esme.RQUERYFAIL))
    if not (code.isascii() and code.isdigit() and len(code) in (_CALLERID, _MESSAGE_NUMBER)):
        raise _unknown()
    callerid, place = code[:_CALLERID], code[_CALLERID:]
    of_its_own, _, _ = directcall.reference(cost_centre.id, "")
    [key] = deps.engine.store.by_refs([(of_its_own, callerid)])
    if key is None:
        raise _unknown()
    whole = _Subject(callerid, key, record_of(key, deps))
    if place:
        return _at(int(place), whole, deps)
    number = fields.get("destino", "").strip()
    return _to(number, whole, deps) if number else whole


def _at(place: int, whole: _Subject, deps: Deps) -> _Subject:
    """The message at a place in the request's list."""
    record, key = whole.record, whole.key
    if isinstance(record, Batch) and record.blob:
        listed = listed_of(record, deps.engine.blobs)
        if place >= len(listed):
            raise _unknown()
        return _one_of(whole, listed[place].id, deps, listed[place])
    if isinstance(record, Batch) and record.listing:
        raise _unknown()  # a long list's have no places
    if isinstance(record, Batch) and record.state is State.DELETED:
        return whole
    if isinstance(record, Message) or (record is None and is_single(key, deps)):
        if place:
            raise _unknown()
        return whole
    if place == 0 and id_time(key.id) <= deps.clock():
        return replace(whole, is_certain=False)
    return _one_of(whole, derived_id(id_time(key.id), key.id, place), deps)


def _to(written: str, whole: _Subject, deps: Deps) -> _Subject:
    """The message to a number."""
    record, number = whole.record, number_of(written, _ANY_NUMBER)
    if isinstance(number, NumberProblem):
        raise Refused(Refusal("destino", number.value, esme.RINVDSTADR))
    if isinstance(record, Batch) and record.blob:
        for line in listed_of(record, deps.engine.blobs):
            if number_of(line.as_written, _ANY_NUMBER) == number:
                return _one_of(whole, line.id, deps, line)
        raise _unknown("destino")
    if isinstance(record, Batch) and record.listing:
        one = _one_of(whole, message_id(record.id, number), deps)
        if one.record is None and not _is_in(number, record, deps):
            raise _unknown("destino")
        return one
    if isinstance(record, Message) and record.to not in ("", number):
        raise _unknown("destino")
    return whole


def _is_in(number: str, batch: Batch, deps: Deps) -> bool:
    """Whether a list of checked numbers has this one. A table's rows would have to be read anew:
    of those nobody says so before they are taken up."""
    if batch.listing is None or batch.listing.form != "numbers":
        return False
    content = deps.engine.blobs.get(batch.listing.blob)
    return f"\n{number}\n".encode() in b"\n" + content + b"\n"


def _one_of(whole: _Subject, identifier: str, deps: Deps, line: Listed | None = None) -> _Subject:
    key = Key(whole.key.cost_centre, identifier)
    return _Subject(whole.callerid, key, record_of(key, deps), one_of_many=True, line=line)
