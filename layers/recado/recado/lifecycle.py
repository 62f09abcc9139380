"""What may happen to a message, each as a pure function from the message to the message after it.

Here a message's reports come to be owed: every accepted message owes one report of type 1 and
then one of type 2, less those that are not wanted (recado.report). Which report a customer gets for
a message that never reached an upstream is not in the seed document: type 1 with ESME_RSUBMITFAIL,
so that nobody waits for a report that can't come.
"""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec.structs import replace

from recado import esme
from recado.connectors import Abilities, Receipt, Submitted
from recado.message import (
    Event,
    Message,
    Report,
    State,
    history_with,
    is_final,
    may_become,
    moved,
    noted,
    with_line,
)
from recado.report import FINAL_STATE, SUBMIT_OUTCOME, with_report
from recado.segments import GSM7_SIZES, UCS2_SIZES, segment_count
from recado.submission import Packet, Recipient

Wanted: TypeAlias = Iterable[str]
# Of every message: to look at a member of an enum takes as long as to call a function.
_QUEUED, _SUBMITTING, _ENROUTE = State.QUEUED, State.SUBMITTING, State.ENROUTE


def queued(packet: Packet, recipient: Recipient) -> Message:
    """The message that a packet carries, before anything has happened to it. What a recipient has
    no text for is the packet's: the text, and with it the segments and units."""
    text, segments, units = recipient.text, recipient.segments, recipient.units
    if text is None:
        text, segments, units = packet.text or "", packet.segments, packet.units
    return replace(
        _common(packet),
        id=recipient.id,
        to=recipient.to,
        text=text,
        segments=segments,
        units=units,
        reference=recipient.reference,
    )


def _common(packet: Packet) -> Message:
    """What the messages of a packet have in common. (Python builds a dict for a call with more than
    15 names in it, which costs more than the whole message in two steps.)"""
    return Message(
        cost_centre=packet.cost_centre,
        id="",
        dialect=packet.dialect,
        state=_QUEUED,
        due_at=packet.due_at,
        expires_at=packet.expires_at,
        accepted_at=packet.accepted_at,
        voice=packet.voice,
        source=packet.source,
        udh=packet.udh,
        registered=packet.registered,
        fields=packet.fields,
        price=packet.price,
        batch_id=packet.batch_id,
        history=(Event(packet.accepted_at, _QUEUED),),
    )


def counted(message: Message, able: Abilities) -> Message:
    """The message with its segments by the sizes of the upstream that it is going to, and with its
    parts where we split it for that. What is spoken, or is a part already, is not cut."""
    if message.voice or message.udh:
        return message
    if able.gsm7_sizes != GSM7_SIZES or able.ucs2_sizes != UCS2_SIZES:
        segments = segment_count(
            message.text,
            replace_accents=False,  # accepting has done that, where it was to be done
            gsm7_sizes=able.gsm7_sizes,
            ucs2_sizes=able.ucs2_sizes,
        )
        message = replace(message, segments=segments)
    parts = message.segments if able.splits and message.segments > 1 else 0
    return message if parts == message.parts else replace(message, parts=parts)


def claimed(message: Message, upstream: str, token: str, now: float, until: float) -> Message:
    """Somebody is about to submit it."""
    history = message.history
    if message.state is not _SUBMITTING:
        history = history_with(message, _SUBMITTING, now, upstream)
    return replace(
        message,
        state=_SUBMITTING,
        history=history,
        connector=upstream,
        claim=token,
        claimed_until=until,
        submits=message.submits + 1,
    )


def ids_of(took: Submitted) -> tuple[str, ...]:
    """All ids by which the upstream knows it, in the order of its parts; of a part that it gave
    none for, none."""
    if took.upstream_id and not took.more:
        return (took.upstream_id,)
    return tuple(dict.fromkeys(one for one in (took.upstream_id, *took.more) if one))


def submitted(message: Message, took: Submitted, token: str, now: float, wanted: Wanted) -> Message:
    """The upstream took it. A receipt may have come first, and another claim may be on it after
    ours ran out: then only the upstream's ids are kept."""
    ids, parts = message.upstream_ids, message.parts
    given = ids_of(took)
    if not ids or not set(given) <= set(ids):
        # As many as it gave ids for: we may have expected another number of parts.
        ids, parts = (*ids, *given), len(given) if message.parts or took.more else 0
    if message.claim not in (token, ""):
        known = ids is message.upstream_ids
        return message if known else replace(message, upstream_ids=ids, parts=parts)
    state, history = message.state, message.history
    if may_become(message, _ENROUTE):
        state, history = _ENROUTE, with_line(history, _ENROUTE, now)
    message = replace(
        message,
        state=state,
        history=history,
        upstream_ids=ids,
        parts=parts,
        claim="",
        claimed_until=0.0,
        reports=with_report(message.reports, Report(SUBMIT_OUTCOME, now, esme.ROK), wanted),
    )
    return _delivered(message, now, wanted) if message.delivered else message


def rejected(message: Message, code: str, token: str, now: float, wanted: Wanted) -> Message:
    """The upstream refused it for good."""
    if message.claim != token or not may_become(message, State.REJECTED):
        return message
    return _ended(message, State.REJECTED, code, now, wanted, code)


def unavailable(message: Message, token: str, now: float, problem: str) -> Message:
    """Nothing was sent: anybody may claim it again."""
    if message.claim != token:
        return message
    return _released(noted(replace(message, submits=message.submits - 1), now, problem))


def uncertain(message: Message, token: str, now: float, problem: str) -> Message:
    """Perhaps it was sent: anybody may claim it again, and it is known that it may be doubled."""
    if message.claim != token:
        return message
    return _released(noted(replace(message, maybe_sent=True), now, f"uncertain: {problem}"))


def given_up(message: Message, now: float, wanted: Wanted) -> Message:
    """It will not be submitted (again): EXPIRED, or UNKNOWN where it was perhaps sent. A receipt
    may still correct an UNKNOWN of ours."""
    if message.maybe_sent:
        ended = _ended(message, State.UNKNOWN, esme.RSUBMITFAIL, now, wanted, "perhaps sent")
        return replace(ended, ours=True)
    return _ended(message, State.EXPIRED, esme.RSUBMITFAIL, now, wanted, "not sent")


def received(message: Message, receipt: Receipt, now: float, wanted: Wanted) -> Message:
    """The upstream told of it. The very same message where that changes nothing. Where we split
    it, it is delivered when all parts are; and what one of them fails by, it fails by at once."""
    if not may_become(message, receipt.state):
        return message
    part = receipt.upstream_id
    if message.parts and part is not None and receipt.state is State.DELIVERED:
        if part in message.delivered:
            return message
        message = replace(message, delivered=(*message.delivered, part))
        return _delivered(message, now, wanted, receipt.err)
    return _told(message, receipt.state, receipt.err, now, wanted)


def _delivered(message: Message, now: float, wanted: Wanted, err: str = "") -> Message:
    """The message at its end, if all of its parts have arrived and nobody has said otherwise."""
    if not _has_arrived(message) or not may_become(message, State.DELIVERED):
        return message
    return _told(message, State.DELIVERED, err, now, wanted)


def _has_arrived(message: Message) -> bool:
    """Whether each part was delivered at least once. The ids of one try after the other stand in
    `upstream_ids`, those of a try in the order of the parts. A receipt can be faster than the
    answer to its submit: such ids are told apart alone, and if it went once that will do."""
    known = message.upstream_ids
    if not known:
        return message.submits <= 1 and len(message.delivered) >= message.parts
    places = {known.index(one) % message.parts for one in message.delivered if one in known}
    return len(places) == message.parts


def _told(message: Message, state: State, err: str, now: float, wanted: Wanted) -> Message:
    reports = message.reports
    # A receipt can overtake the submit's answer; that it came says that the submit was taken.
    if message.state is _SUBMITTING:
        reports = with_report(reports, Report(SUBMIT_OUTCOME, now, esme.ROK), wanted)
    if is_final(state):
        final = Report(FINAL_STATE, now, esme.RECEIPT_STAT[state], err)
        reports = with_report(reports, final, wanted)
    return _closed(message, state, now, err, reports)


def cancelled(message: Message, now: float) -> Message:
    """Its customer took it back before it went. Owes no report: the cancelling was answered."""
    return moved(message, State.DELETED, now, "cancelled")


def _released(message: Message) -> Message:
    return replace(message, claim="", claimed_until=0.0)


def _closed(
    message: Message, state: State, now: float, note: str, reports: tuple[Report, ...]
) -> Message:
    """The message in a state in which nobody claims it, all at once."""
    return replace(
        message,
        state=state,
        ours=False,
        history=history_with(message, state, now, note),
        reports=reports,
        claim="",
        claimed_until=0.0,
    )


def _ended(
    message: Message, state: State, code: str, now: float, wanted: Wanted, note: str
) -> Message:
    reports = with_report(message.reports, Report(SUBMIT_OUTCOME, now, code), wanted)
    final = Report(FINAL_STATE, now, esme.RECEIPT_STAT[state])
    return _closed(message, state, now, note, with_report(reports, final, wanted))
