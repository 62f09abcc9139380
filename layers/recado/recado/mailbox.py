"""The mailbox: what is owed to a customer waits here until its SMPP bind takes it.

A mail's place tells record and kind, so that whoever posts it a second time, after a crash or for a
replay, puts it where it lay. Whoever delivers takes mails from the front: one may be posted before
another that has gone already, because a receipt was ahead of its message, or is replayed.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from recado.engine import Mail
from recado.message import Attempt, Key, Message, Record, Reply, Report, encode, key_of
from recado.notices import customers_of
from recado.observability import count, follow, follows
from recado.report import SUBMIT_OUTCOME, given, next_owed, told_by_mailbox
from recado.wiring import Deps

_DAY = 86_400.0
_NOTE = "mailbox"
_QUOTED = 20  # characters of the text that a receipt has (Appendix B)
_NO_ERROR = "000"


class MailedReceipt(Struct, frozen=True, omit_defaults=True, tag="receipt"):
    """A message's final state. Times are seconds since the epoch."""

    message_id: str  # as the customer was answered: of submit_multi the batch's
    to: str
    source: str
    stat: str  # DELIVRD, ...
    err: str  # three characters
    submitted_at: float
    done_at: float
    text: str = ""  # the first 20 characters
    reference: str | None = None


class MailedReply(Struct, frozen=True, omit_defaults=True, tag="reply"):
    """An MO, whole: who wrote it, and the message that it answers."""

    source: str
    destination: str
    text: str
    received_at: float
    message_id: str


Mailed: TypeAlias = MailedReceipt | MailedReply
_Told: TypeAlias = Message | Reply
_decoder: msgspec.json.Decoder[Mailed] = msgspec.json.Decoder(Mailed)


def read_mail(body: str) -> Mailed:
    """What a mail's body holds. Raises msgspec's errors on what is none."""
    return _decoder.decode(body)


def mail_of(record: Message | Reply, report: Report, expires: float) -> Mail:
    """The mail for one report: a final state or a reply."""
    mailed = _receipt(record, report) if isinstance(record, Message) else _reply(record)
    place = f"{int(report.owed_at * 1000):013d}#{record.id}#{report.kind}"
    return Mail(record.cost_centre, place, encode(mailed), expires)


def _receipt(message: Message, report: Report) -> MailedReceipt:
    return MailedReceipt(
        message_id=_answered_id(message.id, message.batch_id, message.registered is not None),
        to=message.to,
        source=message.source,
        stat=report.stat,
        err=_three(report.err),
        submitted_at=message.accepted_at,
        done_at=report.owed_at,
        text=message.text[:_QUOTED],
        reference=message.reference,
    )


def _reply(reply: Reply) -> MailedReply:
    return MailedReply(
        source=reply.source,
        destination=reply.destination,
        text=reply.text,
        received_at=reply.received_at,
        message_id=_answered_id(reply.message_id, reply.batch_id, reply.by_smpp),
    )


def _answered_id(identifier: str, batch_id: str | None, by_smpp: bool) -> str:
    """The id that its customer knows a message by. submit_multi was answered with one for all; of a
    batch by HTTP each message's own was told."""
    return batch_id if by_smpp and batch_id else identifier


def _three(err: str) -> str:
    """An upstream's error in the three characters that a receipt has for it (Appendix B)."""
    return err[-3:].rjust(3, "0") if err.isalnum() and err.isascii() else _NO_ERROR


# --- posting -------------------------------------------------------------------------------------


def put_into_mailboxes(records: Sequence[Record], deps: Deps) -> list[Record]:
    """Posts all that those of the records owe that are told by mailbox, and marks it given: on
    return it waits there, and who holds the customers' binds has heard of it. The other records."""
    rest: list[Record] = []
    mailed: list[_Told] = []
    customers = customers_of(records, deps)
    for record in records:
        cost_centre = customers[record.cost_centre]
        if cost_centre is None or not told_by_mailbox(record, cost_centre):
            rest.append(record)
        elif isinstance(record, Message | Reply) and next_owed(record) is not None:
            mailed.append(record)
    if mailed:
        _post(mailed, deps)
    return rest


def _post(records: Sequence[_Told], deps: Deps) -> None:
    now = deps.clock()
    expires = now + deps.settings.retention_days * _DAY
    posted: set[Mail] = set()
    waiting = records
    while waiting:
        mails = [mail for record in waiting for mail in _mails(record, expires)]
        deps.engine.store.post([mail for mail in mails if mail not in posted])
        posted.update(mails)
        told = [_all_given(record, now) for record in waiting]
        written = deps.engine.store.replace(told)
        lost = [key_of(r) for r, kept in zip(told, written, strict=True) if kept is None]
        # Changed meanwhile: what is posted already is not posted again, for it may have been taken.
        waiting = _owing(lost, deps) if lost else ()
    count("reports_mailed", len(posted))
    if follows():
        follow("report mailed", records)
    for name in {mail.cost_centre for mail in posted}:
        deps.bell.ring(name)


def _mails(record: _Told, expires: float) -> Iterator[Mail]:
    for report in record.reports:
        # A submit's outcome is owed where this customer's reports went elsewhere until now.
        if report.owed and report.kind != SUBMIT_OUTCOME:
            yield mail_of(record, report, expires)


def _all_given(record: Record, now: float) -> Record:
    for report in record.reports:
        if report.owed:
            record = given(record, report, Attempt(now, 0, _NOTE))
    return record


def _owing(keys: Sequence[Key], deps: Deps) -> list[_Told]:
    found = deps.engine.store.records(keys)
    return [r for r in found if isinstance(r, Message | Reply) and next_owed(r) is not None]
