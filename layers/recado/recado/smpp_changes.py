"""replace_sm: another text, hour or validity for a message that waits for its hour.

As a move does (recado.schedules): what is to be sent is held anew, at a date that nothing else of
its id is held at, then the record points to that, then what was held is released. The conditional
write of the record decides between this, a move, a cancelling and whoever is about to send.
"""

import random

import msgspec
from msgspec.structs import replace

from recado.accept import due_at
from recado.cancel import record_of
from recado.costcentre import CostCentre
from recado.dialects.smpp import Times, refuse, text_of, times_of
from recado.engine import Held
from recado.errors import Refused
from recado.ids import id_time, is_id
from recado.lifecycle import queued
from recado.message import Event, Key, Message, Record, State, encode, noted
from recado.observability import count, follow
from recado.recipients import Sized, sized
from recado.schedules import SOONEST
from recado.smpp import status
from recado.smpp.pdu import Replacement
from recado.smpp.text import DEFAULT
from recado.submission import Packet
from recado.wiring import Deps

_DAY = 86_400.0
_packets: msgspec.json.Decoder[Packet] = msgspec.json.Decoder(Packet)


def replace_message(asked: Replacement, cost_centre: CostCentre, deps: Deps) -> None:
    """replace_sm: the message as it waits is replaced. Its text is read as data_coding 0, since the
    PDU names none; empty dates stay as they are. Raises Malformed, and Refused (RREPLACEFAIL where
    it is not as asked): unknown, gone or less than a minute from going, one part of a long text, a
    submit_multi, or longer than what was paid or counted for it."""
    if asked.default_message:
        raise refuse("sm_default_msg_id", "invalid", status.ESME_RINVDFTMSGID)
    text = sized(text_of(asked.text, DEFAULT, cost_centre), cost_centre)
    if text.refusal is not None:
        raise Refused(text.refusal)
    key = Key(cost_centre.id, asked.message_id.lower())
    if not is_id(key.id):
        raise _failed("unknown")
    while not _replaced(key, asked, text, cost_centre, deps):
        pass  # somebody else was faster: once more, on top of that
    count("messages_replaced")
    follow("replaced", [key])


def _failed(reason: str) -> Refused:
    return refuse("message", reason, status.ESME_RREPLACEFAIL)


def _replaced(
    key: Key, asked: Replacement, text: Sized, cost_centre: CostCentre, deps: Deps
) -> bool:
    """One try: False, where the record has changed meanwhile. Raises Refused, and Malformed."""
    store, record = deps.engine.store, record_of(key, deps)
    held = _held(key, record, deps)
    if held is None:
        if record_of(key, deps) != record:
            return False
        raise _failed("gone")
    packet = _packets.decode(held.body)
    times = _times(asked, packet, cost_centre, deps)
    if packet.udh or packet.voice:
        raise _failed("invalid")
    _suffices(packet, text, cost_centre)
    changed = _changed(packet, asked, text, times)
    pointing = _pointing(changed, record, deps)
    new = replace(held, due_at=changed.due_at, body=encode(changed))
    store.hold(new)
    if record is None:
        written = store.create([pointing])[0] is None
    else:
        written = store.replace([pointing])[0] is not None
    if written:
        store.release([held])
        return True
    present = record_of(key, deps)
    # Two at once may have drawn the same date: then it is the other's, too.
    if not isinstance(present, Message) or present.due_at != new.due_at:
        store.release([new])
    return False


def _times(asked: Replacement, packet: Packet, cost_centre: CostCentre, deps: Deps) -> Times:
    """Its date, and its validity from then on where that is given. What is held must not fall due
    before the record that decides is written: so no date is nearer than that of a move. Its record
    is kept as long as its id says, so it can't go far beyond that either."""
    now, due = deps.clock(), packet.due_at
    times = times_of(asked.schedule_delivery_time, asked.validity_period, cost_centre, now, due)
    if times.send_at is None:
        if due < now + SOONEST:
            raise _failed("gone")
        return replace(times, send_at=due)
    send_at = max(due_at(times.send_at, now), now + SOONEST)
    [only] = packet.recipients
    if send_at > id_time(only.id) + deps.settings.retention_days // 3 * _DAY:
        raise refuse("schedule_delivery_time", "long", status.ESME_RINVSCHED)
    return replace(times, send_at=send_at)


def _held(key: Key, record: Record | None, deps: Deps) -> Held | None:
    """What waits for its hour of this message, as its record has it."""
    due = id_time(key.id)
    if isinstance(record, Message) and record.state is State.SCHEDULED:
        due = record.due_at
    elif record is not None:
        return None
    held = deps.engine.store.held(due, key.id)
    # By another's id nobody changes anything.
    if held is None or held.group != key.cost_centre or held.queue != "Submit":
        return None
    return held


def _suffices(packet: Packet, text: Sized, cost_centre: CostCentre) -> None:
    [only] = packet.recipients
    counted = bool(packet.price or cost_centre.daily_quota)
    if counted and text.segments > max(only.segments, only.units):
        raise _failed("long")


def _changed(packet: Packet, asked: Replacement, text: Sized, times: Times) -> Packet:
    [only] = packet.recipients
    due = _a_date_of_its_own(times.send_at or packet.due_at, packet.due_at)
    validity = times.validity or packet.expires_at - packet.due_at
    return replace(
        packet,
        due_at=due,
        expires_at=due + validity,
        recipients=(
            replace(
                only,
                text=text.text,
                segments=text.segments,
                # What was paid is what is given back should it not go.
                units=only.units if packet.price else text.segments,
            ),
        ),
        registered=None if packet.registered is None else asked.registered_delivery,
    )


def _a_date_of_its_own(due: float, old: float) -> float:
    """Beyond whole milliseconds and what moves add to them, and not the one that is released."""
    whole = int(due * 1000) * 1000
    taken = round(old * 1_000_000) - whole
    drawn = random.choice([n for n in range(500, 1000) if n != taken])  # noqa: S311 - guards nothing
    return (whole + drawn) / 1_000_000


def _pointing(packet: Packet, record: Record | None, deps: Deps) -> Message:
    """The record of what waits: little more than that it does. Without its number, to which it is
    not the newest message before it was sent, and its text, which is held."""
    [only] = packet.recipients
    if isinstance(record, Message):
        old = replace(record, due_at=packet.due_at, expires_at=packet.expires_at)
    else:
        old = replace(
            queued(packet, only),
            state=State.SCHEDULED,
            to="",
            text="",
            history=(Event(packet.accepted_at, State.SCHEDULED),),
        )
    old = replace(old, segments=only.segments, units=only.units, registered=packet.registered)
    return noted(old, deps.clock(), "replaced")
