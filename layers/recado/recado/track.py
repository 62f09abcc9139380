"""Track: what an upstream told changes a message's state, or becomes a reply to a customer."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from recado.connectors import Incoming, RawCallback, Receipt, Upstream
from recado.errors import Misconfigured
from recado.ids import is_id
from recado.lifecycle import received
from recado.message import Key, Message, Record, key_of
from recado.money import refund
from recado.notices import customers_of, emit, emit_again, is_looked_at
from recado.observability import count, follow, follows, log
from recado.registry import CONNECTORS
from recado.replies import Told, keep
from recado.report import wanted
from recado.wiring import Deps

PATIENCE = 86_400.0  # how long a receipt may be ahead of its message, in seconds
_REFERENCE_SEPARATOR = "."
_decoder = msgspec.json.Decoder(RawCallback)


def reference_to(key: Key) -> str:
    """Our reference for an upstream that echoes one."""
    return f"{key.cost_centre}{_REFERENCE_SEPARATOR}{key.id}"


class Heard(Struct, frozen=True):
    """A raw callback, and what its upstream tells in it. `body`: its queue message's."""

    body: str
    raw: RawCallback
    upstream: Upstream
    told: Sequence[Receipt | Incoming]


class _Addressed(Struct, frozen=True):
    """A receipt, and the key of its message."""

    key: Key
    told: Receipt
    heard: Heard


class _Outcome(Struct):
    """What came out of a number of callbacks: records that may owe something by now, and callbacks
    that are ahead of their messages. Of two receipts for one message the later one counts."""

    owing: dict[Key, Record] = {}
    again: dict[Key, Record] = {}
    ahead: list[Heard] = []


def hear(body: str, deps: Deps) -> Heard:
    """A raw callback from its queue message. Raises what the connector's parser raises: the queue
    delivers it again, and it becomes a dead letter that can be redriven once that is mended."""
    raw = _decoder.decode(body)
    upstream = deps.routing.upstream(raw.upstream)
    if upstream is None:
        raise Misconfigured(f"no upstream is called {raw.upstream}")
    return Heard(body, raw, upstream, CONNECTORS[upstream.kind].parse_callback(raw, upstream))


def track(heard: Sequence[Heard], deps: Deps) -> None:
    """What upstreams told becomes states and replies. A callback that is ahead of its message
    waits; after a day it is a dead letter."""
    outcome = _Outcome()
    receipts: list[tuple[Heard, Receipt]] = []
    for one in heard:
        for told in one.told:
            if isinstance(told, Incoming):
                _reply(told, one, outcome, deps)
            else:
                receipts.append((one, told))
    addressed: list[_Addressed] = []
    for (one, receipt), key in zip(receipts, _keys(receipts, deps), strict=True):
        if key:
            addressed.append(_Addressed(key, receipt, one))
        else:
            outcome.ahead.append(one)
    _apply(addressed, outcome, deps)
    refund([*outcome.owing.values(), *outcome.again.values()], deps)
    emit(outcome.owing.values(), deps)
    emit_again(outcome.again.values(), deps)
    ahead = {id(one) for one in outcome.ahead}
    for one in heard:
        if id(one) in ahead:
            _wait(one, deps)


def _reply(told: Incoming, heard: Heard, outcome: _Outcome, deps: Deps) -> None:
    [named] = _keys([(heard, told)], deps)
    kept = keep(Told(heard.upstream.name, told, heard.raw.received_at, named, heard.body), deps)
    if kept.record is None:
        outcome.ahead.append(heard)
    else:
        (outcome.again if kept.again else outcome.owing)[key_of(kept.record)] = kept.record


def _wait(heard: Heard, deps: Deps) -> None:
    """Tried again after as long as it has waited so far, from 1 s to 15 minutes."""
    name, age = heard.upstream.name, deps.clock() - heard.raw.received_at
    if age > PATIENCE:
        count("callbacks_unmatched")
        if any(isinstance(told, Incoming) and _is_known(told, deps) for told in heard.told):
            count("replies_of_a_stranger")
        log.warning("a callback matches no message", extra={"connector": name})
        deps.engine.queue.bury("Inbound", heard.body, "")
    else:
        delay = min(max(age, 1.0), 900.0)
        deps.engine.queue.send("Inbound", [heard.body], "", delay=delay)


def _is_known(reply: Incoming, deps: Deps) -> bool:
    """Whether messages went where it comes from, if by another upstream than the one that tells."""
    return bool(deps.engine.store.newest_to(reply.source, 1))


def _keys(told: Sequence[tuple[Heard, Receipt | Incoming]], deps: Deps) -> list[Key | None]:
    """Of the message that each is about, where it says so; the refs are read all at once."""
    # The upstream's own name for the message, where that is all that it says.
    refs = [
        (heard.upstream.name, one.upstream_id)
        if one.reference is None and one.upstream_id is not None
        else None
        for heard, one in told
    ]
    found = iter(deps.engine.store.by_refs([ref for ref in refs if ref]))
    return [next(found) if ref else _named(one) for ref, (_, one) in zip(refs, told, strict=True)]


def _named(told: Receipt | Incoming) -> Key | None:
    """By our own reference, which the upstream echoes."""
    if told.reference is None:
        return None
    cost_centre, _, identifier = told.reference.partition(_REFERENCE_SEPARATOR)
    return Key(cost_centre, identifier)


# --- receipts ------------------------------------------------------------------------------------


def _apply(receipts: Sequence[_Addressed], outcome: _Outcome, deps: Deps) -> None:
    """Applies receipts, side by side as far as each has a message of its own; and again, until no
    one else has changed a message meanwhile."""
    waiting = receipts
    while waiting:
        turn: dict[Key, _Addressed] = {}
        for receipt in waiting:
            turn.setdefault(receipt.key, receipt)
        later = []
        if len(turn) < len(waiting):
            later = [receipt for receipt in waiting if turn[receipt.key] is not receipt]
        waiting = _apply_each(turn, outcome, deps) + later


def _apply_each(turn: Mapping[Key, _Addressed], outcome: _Outcome, deps: Deps) -> list[_Addressed]:
    """Those whose messages somebody else has changed meanwhile."""
    changed: list[tuple[_Addressed, Message, Message]] = []
    records = deps.engine.store.records(list(turn))
    customers = customers_of([record for record in records if record is not None], deps)
    for receipt, record in zip(turn.values(), records, strict=True):
        if not isinstance(record, Message):
            _follow_ahead(receipt)
            outcome.ahead.append(receipt.heard)
        elif record.connector != receipt.heard.upstream.name:
            count("receipts_of_a_stranger")
        else:
            kinds = wanted(customers[record.cost_centre], record.registered)
            after = received(record, receipt.told, receipt.heard.raw.received_at, kinds)
            if after is record:
                _follow("receipt changes nothing", receipt, record)
                outcome.again[receipt.key] = record
            else:
                changed.append((receipt, record, after))
    return _written(changed, outcome, deps)


def _written(
    changed: Sequence[tuple[_Addressed, Message, Message]], outcome: _Outcome, deps: Deps
) -> list[_Addressed]:
    """Writes messages as they are after their receipts; those of which that was refused."""
    refused, now, debug = [], deps.clock(), follows()
    written = deps.engine.store.replace([after for _, _, after in changed])
    for (receipt, before, _), kept in zip(changed, written, strict=True):
        if kept is None:
            refused.append(receipt)
            continue
        count(f"receipts_{receipt.told.state.lower()}")
        if debug:
            _follow("receipt", receipt, kept)
        seen = bool(before.reports) and is_looked_at(before, now)
        (outcome.again if seen else outcome.owing)[receipt.key] = kept
    return refused


def _follow(step: str, receipt: _Addressed, record: Record) -> None:
    follow(step, [record], connector=receipt.heard.upstream.name, state=receipt.told.state)


def _follow_ahead(receipt: _Addressed) -> None:
    if follows() and is_id(receipt.key.id):  # an upstream may say anything
        extra = {"correlation_id": receipt.key.id, "connector": receipt.heard.upstream.name}
        log.debug("receipt ahead of its message", extra=extra)
