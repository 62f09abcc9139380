"""What may happen to a message, each as a pure function from the message to the message after it.

Here a message's reports come to be owed: every accepted message owes one report of type 1 and
then one of type 2, less those that its cost centre does not want. Which report a customer gets for
a message that never reached an upstream is not in the seed document: type 1 with ESME_RSUBMITFAIL,
so that nobody waits for a report that can't come.
"""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec.structs import replace

from recado import esme
from recado.connectors import Abilities, Receipt
from recado.message import Event, Message, Report, State, is_final, may_become, moved, noted
from recado.report import FINAL_STATE, SUBMIT_OUTCOME, with_report
from recado.segments import GSM7_SIZES, UCS2_SIZES, segment_count
from recado.submission import Packet, Recipient

Wanted: TypeAlias = Iterable[str]


def queued(packet: Packet, recipient: Recipient) -> Message:
    """The message that a packet carries, before anything has happened to it. What a recipient has
    no text for is the packet's: the text, and with it the segments and units."""
    own = recipient.text is not None
    return Message(
        cost_centre=packet.cost_centre,
        id=recipient.id,
        dialect=packet.dialect,
        state=State.QUEUED,
        due_at=packet.due_at,
        expires_at=packet.expires_at,
        accepted_at=packet.accepted_at,
        to=recipient.to,
        text=recipient.text if recipient.text is not None else packet.text or "",
        segments=recipient.segments if own else packet.segments,
        units=recipient.units if own else packet.units,
        voice=packet.voice,
        source=packet.source,
        udh=packet.udh,
        registered=packet.registered,
        fields=packet.fields,
        price=packet.price,
        reference=recipient.reference,
        batch_id=packet.batch_id,
        history=(Event(packet.accepted_at, State.QUEUED),),
    )


def counted(message: Message, able: Abilities) -> Message:
    """The message with its segments by the sizes of the upstream that it is going to. What is
    spoken has none to be cut into."""
    if message.voice or (able.gsm7_sizes, able.ucs2_sizes) == (GSM7_SIZES, UCS2_SIZES):
        return message
    segments = segment_count(
        message.text,
        replace_accents=False,  # accepting has done that, where it was to be done
        gsm7_sizes=able.gsm7_sizes,
        ucs2_sizes=able.ucs2_sizes,
    )
    return replace(message, segments=segments)


def claimed(message: Message, upstream: str, token: str, now: float, until: float) -> Message:
    """Somebody is about to submit it."""
    if message.state is not State.SUBMITTING:
        message = moved(message, State.SUBMITTING, now, upstream)
    return replace(
        message,
        connector=upstream,
        claim=token,
        claimed_until=until,
        submits=message.submits + 1,
    )


def submitted(
    message: Message, upstream_id: str, token: str, now: float, wanted: Wanted
) -> Message:
    """The upstream took it. A receipt may have come first, and another claim may be on it after
    ours ran out: then only the upstream's id is kept."""
    if upstream_id not in message.upstream_ids:
        message = replace(message, upstream_ids=(*message.upstream_ids, upstream_id))
    if message.claim not in (token, ""):
        return message
    if may_become(message, State.ENROUTE):
        message = moved(message, State.ENROUTE, now)
    message = with_report(message, Report(SUBMIT_OUTCOME, now, esme.ROK), wanted)
    return _released(message)


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
    """The upstream told of it. The very same message where that changes nothing."""
    if not may_become(message, receipt.state):
        return message
    overtook = message.state is State.SUBMITTING
    message = moved(message, receipt.state, now, receipt.err)
    # A receipt can overtake the submit's answer; that it came says that the submit was taken.
    if overtook:
        message = with_report(message, Report(SUBMIT_OUTCOME, now, esme.ROK), wanted)
    if is_final(receipt.state):
        final = Report(FINAL_STATE, now, esme.RECEIPT_STAT[receipt.state], receipt.err)
        message = with_report(message, final, wanted)
    return _released(message)


def cancelled(message: Message, now: float) -> Message:
    """Its customer took it back before it went. Owes no report: the cancelling was answered."""
    return moved(message, State.DELETED, now, "cancelled")


def _released(message: Message) -> Message:
    return replace(message, claim="", claimed_until=0.0)


def _ended(
    message: Message, state: State, code: str, now: float, wanted: Wanted, note: str
) -> Message:
    message = moved(message, state, now, note)
    message = with_report(message, Report(SUBMIT_OUTCOME, now, code), wanted)
    final = Report(FINAL_STATE, now, esme.RECEIPT_STAT[state])
    return _released(with_report(message, final, wanted))
