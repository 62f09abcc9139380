"""Track: what an upstream told changes a message's state, or becomes a reply to a customer."""

import msgspec

from recado.connectors import Incoming, RawCallback, Receipt, Upstream
from recado.ids import derived_id
from recado.lifecycle import received
from recado.message import Key, Message, Record, Reply, Report
from recado.notices import emit
from recado.observability import count, log
from recado.registry import CONNECTORS
from recado.report import REPLY
from recado.wiring import Deps

PATIENCE = 86_400.0  # how long a receipt may be ahead of its message, in seconds
_REFERENCE_SEPARATOR = "."


def reference_to(key: Key) -> str:
    """Our reference for an upstream that echoes one."""
    return f"{key.cost_centre}{_REFERENCE_SEPARATOR}{key.id}"


def track(body: str, deps: Deps) -> None:
    """One raw callback from the Inbound queue. One that is ahead of its message waits; after a day
    it is a dead letter. Raises what the connector's parser raises: the queue delivers it again,
    and it becomes a dead letter that can be redriven once the parser is mended."""
    raw = msgspec.json.decode(body, type=RawCallback)
    upstream = deps.routing.upstream(raw.upstream)
    if upstream is None:
        raise ValueError(f"no upstream is called {raw.upstream}")
    ahead = False
    for told in CONNECTORS[upstream.kind].parse_callback(raw, upstream):
        if isinstance(told, Receipt):
            found = _receipt(told, upstream, raw.received_at, deps)
        else:
            found = _reply(told, upstream, raw.received_at, deps)
        ahead = ahead or not found
    if ahead:
        _wait(body, raw, deps)


def _wait(body: str, raw: RawCallback, deps: Deps) -> None:
    """Tried again after as long as it has waited so far, from 1 s to 15 minutes."""
    age = deps.clock() - raw.received_at
    if age > PATIENCE:
        count("callbacks_unmatched")
        log.warning("a callback matches no message", extra={"connector": raw.upstream})
        deps.engine.queue.bury("Inbound", body, raw.upstream)
    else:
        deps.engine.queue.send("Inbound", [body], raw.upstream, delay=min(max(age, 1.0), 900.0))


def _key(told: Receipt | Incoming, upstream: Upstream, deps: Deps) -> Key | None:
    if told.reference is not None:
        cost_centre, _, identifier = told.reference.partition(_REFERENCE_SEPARATOR)
        return Key(cost_centre, identifier)
    if told.upstream_id is not None:
        return deps.engine.store.by_ref(upstream.name, told.upstream_id)
    return None


def _message(key: Key | None, deps: Deps) -> Message | None:
    record: Record | None = deps.engine.store.records([key])[0] if key else None
    return record if isinstance(record, Message) else None


def _receipt(told: Receipt, upstream: Upstream, at: float, deps: Deps) -> bool:
    """Applies a receipt: whether its message was found. Again and again, until no one else has
    changed the message meanwhile."""
    key = _key(told, upstream, deps)
    while True:
        message = _message(key, deps)
        if message is None:
            return False
        if message.connector != upstream.name:
            count("receipts_of_a_stranger")
            return True
        changed = received(message, told, at, _wanted(message, deps))
        if changed is message:
            emit([message], deps)  # a redelivery: what it owes may not have been emitted
            return True
        written = deps.engine.store.replace([changed])[0]
        if written is not None:
            count(f"receipts_{told.state.lower()}")
            emit([written], deps)
            return True


def _wanted(message: Message, deps: Deps) -> tuple[str, ...]:
    cost_centre = deps.directory.cost_centre(message.cost_centre)
    return cost_centre.reports if cost_centre else ()


def _reply(told: Incoming, upstream: Upstream, at: float, deps: Deps) -> bool:
    """Keeps a reply for the cost centre whose message it answers: whether there is one. Told again
    it stays the one that it was, though another message to that number may be the newest now."""
    event = f"reply:{told.upstream_event}"
    known = deps.engine.store.by_ref(upstream.name, event)
    kept = deps.engine.store.records([known])[0] if known else None
    if kept is not None:
        emit([kept], deps)
        return True
    message = _message(_key(told, upstream, deps) or deps.engine.store.newest_to(told.source), deps)
    if message is None:
        return False
    identifier = known.id if known else derived_id(at, upstream.name, event)
    key = Key(message.cost_centre, identifier)
    deps.engine.store.put_refs([(upstream.name, event, key)])
    reply = Reply(
        cost_centre=message.cost_centre,
        id=identifier,
        dialect=message.dialect,
        message_id=message.id,
        source=told.source,
        text=told.text,
        received_at=at,
        reference=message.reference,
        reports=(Report(REPLY, at),),
    )
    stood = deps.engine.store.create([reply])[0]
    count("replies", 0 if stood else 1)
    emit([stood or reply], deps)
    return True
