"""What a bound customer asks for: to send, to be told what became of it, to take it back, to change
it. Plain code over the engine, for the hands of the SMPP service; requests are answered by PDU.

A session knows whose it is, so that nobody authenticates here; all else that is checked of a
request by HTTP is checked of these, by the same functions.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from recado import cancel, esme
from recado.accept import Accepted, accept, may
from recado.callback import listed_of
from recado.cancel import record_of, state_without_record
from recado.costcentre import CostCentre, zone
from recado.dialects import zoug
from recado.dialects.smpp import multi_ask, refuse, submit_ask
from recado.errors import Refused
from recado.ids import is_id, new_id
from recado.message import Batch, Key, Message, State, is_final
from recado.observability import count, follows, log
from recado.recipients import sized
from recado.smpp import pdu, status
from recado.smpp.pdu import Address, Malformed, Multi, Pdu, Query, ShortMessage
from recado.smpp.receipt import state_number
from recado.smpp.times import absolute
from recado.smpp_changes import replace_message
from recado.submission import Refusal
from recado.wiring import Deps

# By which reports by HTTP are written, where a cost centre has them sent there.
_DIALECT = zoug.NAME
_MOST_ERROR = 255  # error_code has one octet


class Answer(Struct, frozen=True):
    """What a response says. Of a request that is refused it has no body (4.4.2 and others)."""

    body: bytes = b""
    command_status: int = status.ESME_ROK


class Taken(Struct, frozen=True):
    """What became of a submit_multi: its id, and which destinations were not taken, and why."""

    message_id: str
    refused: tuple[tuple[Address, int], ...]


class Found(Struct, frozen=True):
    """What became of a message. `ended_at`: None where it is on its way."""

    state: State
    ended_at: float | None = None
    error: int = 0


def answer(order: Pdu, cost_centre_id: str, deps: Deps) -> Answer:
    """Does what a request asks for. What it raises is our own fault, never the customer's."""
    try:
        cost_centre = _customer(cost_centre_id, deps)
        return Answer(_ACTS[order.command](order.body, cost_centre, deps))
    except Malformed as malformed:
        count("smpp_pdus_malformed")
        return Answer(command_status=malformed.command_status)
    except Refused as refused:
        _follow(refused.refusal, cost_centre_id, deps)
        return Answer(command_status=status.number_of(refused.refusal.esme))


def _follow(refusal: Refusal, cost_centre_id: str, deps: Deps) -> None:
    count(f"refused_{refusal.reason}")
    if follows():
        why = {"field": refusal.field, "reason": refusal.reason, "cost_centre": cost_centre_id}
        log.debug("refused", extra={"correlation_id": new_id(deps.clock()), **why})


def _customer(identifier: str, deps: Deps) -> CostCentre:
    """Whoever asks, if it may: it may have been suspended since it was bound."""
    cost_centre = deps.directory.cost_centre(identifier)
    if cost_centre is None or "smpp" not in cost_centre.sends_by:
        raise Refused(Refusal("cost centre", "by_smpp", esme.RBINDFAIL))
    may(cost_centre, deps)
    return cost_centre


# --- to send -------------------------------------------------------------------------------------


def submit(message: ShortMessage, cost_centre: CostCentre, deps: Deps) -> str:
    """submit_sm and data_sm: the message's id, once its write is under way. Raises Refused, and
    Malformed; then nothing is kept."""
    ask = submit_ask(message, cost_centre, deps.clock())
    return accept(ask, cost_centre, _DIALECT, deps).id


def submit_multi(multi: Multi, cost_centre: CostCentre, deps: Deps) -> Taken:
    """submit_multi: a batch. Raises Refused, where none of its destinations is taken by what is
    wrong with all of them, or RSUBMITFAIL."""
    understood = multi_ask(multi, cost_centre, deps.clock())
    if understood.ask is None:
        raise _none_taken(understood.refused)
    text = sized(understood.ask.wishes[0].text, cost_centre, udh=understood.ask.udh)
    if text.refusal is not None:
        raise Refused(text.refusal)
    accepted = accept(understood.ask, cost_centre, _DIALECT, deps)
    return Taken(accepted.id, (*understood.refused, *_refused(understood.asked, accepted)))


def _refused(asked: Sequence[Address], accepted: Accepted) -> list[tuple[Address, int]]:
    return [
        (address, status.number_of(recipient.refusal.esme))
        for address, recipient in zip(asked, accepted.recipients, strict=True)
        if recipient.refusal is not None
    ]


def _none_taken(refused: Sequence[tuple[Address, int]]) -> Refused:
    reasons = {command_status for _, command_status in refused}
    return refuse(
        "destination",
        "invalid",
        reasons.pop() if len(reasons) == 1 else status.ESME_RSUBMITFAIL,
    )


# --- to be told ----------------------------------------------------------------------------------


def query(asked: Query, cost_centre: CostCentre, deps: Deps) -> Found:
    """query_sm: what became of a message, or of all messages of a submit_multi. Its source address
    proves nothing and is not looked at. Raises Refused (RQUERYFAIL): unknown."""
    key = Key(cost_centre.id, _identifier(asked.message_id, status.ESME_RQUERYFAIL))
    record = record_of(key, deps)
    if record is None:
        return Found(state_without_record(key.id, cost_centre, deps.clock()))
    if isinstance(record, Message):
        return _found(record)
    if isinstance(record, Batch):
        return _found_batch(record, deps)
    raise refuse("id", "unknown", status.ESME_RQUERYFAIL)


def _identifier(written: str, otherwise: int) -> str:
    identifier = written.lower()
    if not is_id(identifier):
        raise refuse("id", "unknown", otherwise)
    return identifier


def _found(message: Message) -> Found:
    if not is_final(message.state):
        return Found(message.state)
    ends = [event for event in message.history if event.state is message.state]
    note = ends[0].note if ends else ""
    known = note.isascii() and note.isdigit() and int(note) <= _MOST_ERROR
    ended_at = ends[0].at if ends else message.due_at
    return Found(message.state, ended_at, int(note) if known else 0)


def _found_batch(batch: Batch, deps: Deps) -> Found:
    """Of many: on their way as long as one is; DELIVERED where all are; else what became of the
    first that was not delivered. (Not in the specification, which has one state for all.)"""
    if not batch.blob:  # cancelled or moved before anybody looked at its list, or a long one
        return Found(batch.state, batch.due_at if is_final(batch.state) else None)
    listed = listed_of(batch, deps.engine.blobs)
    keys = [Key(batch.cost_centre, line.id) for line in listed if not line.refusal]
    records = deps.engine.store.records(keys)
    found = [_found(record) for record in records if isinstance(record, Message)]
    under_way = [one for one in found if one.ended_at is None]
    if under_way or len(found) < len(keys) or not found:
        return Found(State.ENROUTE if found else State.QUEUED)
    worst = next((one for one in found if one.state is not State.DELIVERED), found[0])
    return Found(worst.state, max(one.ended_at or 0.0 for one in found), worst.error)


# --- to take back --------------------------------------------------------------------------------


def take_back(asked: Query, cost_centre: CostCentre, deps: Deps) -> None:
    """cancel_sm: what has not gone of a message or a submit_multi will not be sent. Raises Refused
    (RCANCELFAIL): unknown, or gone, or no id is given: all messages to a destination can't be
    found without reading all of a customer's."""
    identifier = _identifier(asked.message_id, status.ESME_RCANCELFAIL)
    try:
        cancel.cancel(identifier, _DIALECT, cost_centre, deps)
    except Refused as refused:
        reason = refused.refusal.reason
        raise refuse("id", reason, status.ESME_RCANCELFAIL) from refused


# --- by command ----------------------------------------------------------------------------------

_Act: TypeAlias = Callable[[bytes, CostCentre, Deps], bytes]


def _submit_sm(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    return pdu.id_body(submit(pdu.read_message(body), cost_centre, deps))


def _data_sm(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    return pdu.id_body(submit(pdu.read_data(body), cost_centre, deps))


def _submit_multi(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    taken = submit_multi(pdu.read_multi(body), cost_centre, deps)
    return pdu.multi_answer(taken.message_id, taken.refused)


def _query_sm(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    asked = pdu.read_query(body)
    found = query(asked, cost_centre, deps)
    local = zone(cost_centre.time_zone)
    ended = absolute(found.ended_at, local) if found.ended_at is not None else ""
    return pdu.query_answer(asked.message_id, ended, state_number(found.state), found.error)


def _cancel_sm(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    take_back(pdu.read_cancel(body), cost_centre, deps)
    return b""


def _replace_sm(body: bytes, cost_centre: CostCentre, deps: Deps) -> bytes:
    replace_message(pdu.read_replacement(body), cost_centre, deps)
    return b""


_ACTS: MappingProxyType[int, _Act] = MappingProxyType(
    {
        pdu.SUBMIT_SM: _submit_sm,
        pdu.DATA_SM: _data_sm,
        pdu.SUBMIT_MULTI: _submit_multi,
        pdu.QUERY_SM: _query_sm,
        pdu.CANCEL_SM: _cancel_sm,
        pdu.REPLACE_SM: _replace_sm,
    }
)
COMMANDS = frozenset(_ACTS)
"""The requests that `answer` knows."""
