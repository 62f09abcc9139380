"""Track: what an upstream told changes a message's state, or becomes a reply to a customer."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from recado.connectors import Incoming, RawCallback, Receipt, Upstream
from recado.errors import Misconfigured
from recado.ids import is_id
from recado.lifecycle import received
from recado.message import Key, Message, Record, key_of
from recado.money import refund
from recado.notices import emit, emit_again, is_looked_at
from recado.observability import count, follow, follows, log
from recado.registry import CONNECTORS
from recado.replies import Told, keep
from recado.report import wanted
from recado.wiring import Deps

PATIENCE = 86_400.0  # how long a receipt may be ahead of its message, in seconds
_REFERENCE_SEPARATOR = "."


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
    that are ahead of their messages."""

    owing: list[Record] = []
    again: list[Record] = []
    ahead: list[Heard] = []


def hear(body: str, deps: Deps) -> Heard:
    """A raw callback from its queue message. Raises what the connector's parser raises: the queue
    delivers it again, and it becomes a dead letter that can be redriven once that is mended."""
    raw = msgspec.json.decode(body, type=RawCallback)
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
    refund([*outcome.owing, *outcome.again], deps)
    # Of two receipts for one message the later one counts.
    emit({key_of(record): record for record in outcome.owing}.values(), deps)
    emit_again({key_of(record): record for record in outcome.again}.values(), deps)
    for one in heard:
        if any(one is ahead for ahead in outcome.ahead):
            _wait(one, deps)


def _reply(told: Incoming, heard: Heard, outcome: _Outcome, deps: Deps) -> None:
    [named] = _keys([(heard, told)], deps)
    kept = keep(Told(heard.upstream.name, told, heard.raw.received_at, named, heard.body), deps)
    if kept.record is None:
        outcome.ahead.append(heard)
    else:
        (outcome.again if kept.again else outcome.owing).append(kept.record)


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


def _keys(told: Sequence[tuple[Heard, Receipt | Incoming]], deps: Deps) -> Iterator[Key | None]:
    """Of the message that each is about, where it says so; the refs are read all at once."""
    refs = [_ref(heard, one) for heard, one in told]
    wanted = [ref for ref in refs if ref]
    found = dict(zip(wanted, deps.engine.store.by_refs(wanted), strict=True))
    for ref, (_, one) in zip(refs, told, strict=True):
        if one.reference is not None:
            cost_centre, _, identifier = one.reference.partition(_REFERENCE_SEPARATOR)
            yield Key(cost_centre, identifier)
        else:
            yield found[ref] if ref else None


def _ref(heard: Heard, told: Receipt | Incoming) -> tuple[str, str] | None:
    """The upstream's own name for the message, where that is all that it says."""
    if told.reference is not None or told.upstream_id is None:
        return None
    return heard.upstream.name, told.upstream_id


# --- receipts ------------------------------------------------------------------------------------


def _apply(receipts: Sequence[_Addressed], outcome: _Outcome, deps: Deps) -> None:
    """Applies receipts, side by side as far as each has a message of its own; and again, until no
    one else has changed a message meanwhile."""
    waiting = list(receipts)
    while waiting:
        turn: dict[Key, _Addressed] = {}
        for receipt in waiting:
            turn.setdefault(receipt.key, receipt)
        later = [receipt for receipt in waiting if turn[receipt.key] is not receipt]
        waiting = _apply_each(turn, outcome, deps) + later


def _apply_each(turn: Mapping[Key, _Addressed], outcome: _Outcome, deps: Deps) -> list[_Addressed]:
    """Those whose messages somebody else has changed meanwhile."""
    changed: list[tuple[_Addressed, Message, Message]] = []
    records = deps.engine.store.records(list(turn))
    for receipt, record in zip(turn.values(), records, strict=True):
        if not isinstance(record, Message):
            _follow_ahead(receipt)
            outcome.ahead.append(receipt.heard)
        elif record.connector != receipt.heard.upstream.name:
            count("receipts_of_a_stranger")
        else:
            at = receipt.heard.raw.received_at
            after = received(record, receipt.told, at, _wanted(record, deps))
            if after is record:
                _follow("receipt changes nothing", receipt, record)
                outcome.again.append(record)
            else:
                changed.append((receipt, record, after))
    refused = []
    written = deps.engine.store.replace([after for _, _, after in changed])
    for (receipt, before, _), kept in zip(changed, written, strict=True):
        if kept is None:
            refused.append(receipt)
        else:
            count(f"receipts_{receipt.told.state.lower()}")
            _follow("receipt", receipt, kept)
            seen = is_looked_at(before, deps.clock())
            (outcome.again if seen else outcome.owing).append(kept)
    return refused


def _follow(step: str, receipt: _Addressed, record: Record) -> None:
    follow(step, [record], connector=receipt.heard.upstream.name, state=receipt.told.state)


def _follow_ahead(receipt: _Addressed) -> None:
    if follows() and is_id(receipt.key.id):  # an upstream may say anything
        extra = {"correlation_id": receipt.key.id, "connector": receipt.heard.upstream.name}
        log.debug("receipt ahead of its message", extra=extra)


def _wanted(message: Message, deps: Deps) -> tuple[str, ...]:
    return wanted(deps.directory.cost_centre(message.cost_centre), message.registered)
