"""Ingest: what an upstream tells us is made durable raw, before anybody tries to understand it."""

import hmac

from recado.connectors import RawCallback
from recado.http import Answer, Event, Request, json_answer, request_of
from recado.message import encode
from recado.observability import count, follows, log
from recado.registry import CONNECTORS
from recado.wiring import Deps

_KEPT_HEADERS = frozenset({"content-type", "authorization", "x-signature", "webhook-signature"})


def ingest(event: Event, deps: Deps) -> Answer:
    """One callback of an upstream: queued as it came, then acknowledged as the upstream expects.
    A wrong name or secret in the path is not found."""
    request = request_of(event)
    upstream = deps.routing.upstream(request.parameters.get("connector", ""))
    secret = request.parameters.get("secret", "")
    if upstream is None or not _same(secret, upstream.callback_secret):
        return json_answer(404, '{"error":"no such callback"}')
    connector = CONNECTORS[upstream.kind]
    raw = _raw(request, upstream.name, deps.clock())
    if not connector.verify_callback(raw, upstream):
        return json_answer(403, '{"error":"not verified"}')
    deps.engine.queue.send("Inbound", [encode(raw)], upstream.name)
    count("callbacks_received")
    if follows():  # whom it is about, only its connector's parser can tell
        log.debug("callback kept", extra={"connector": upstream.name})
    return connector.acknowledgement()


def _same(offered: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(offered.encode(), secret.encode())


def _raw(request: Request, upstream: str, now: float) -> RawCallback:
    return RawCallback(
        upstream=upstream,
        method=request.method,
        query=request.query,
        headers={k: v for k, v in request.headers.items() if k in _KEPT_HEADERS},
        body=request.body.decode(errors="replace"),
        received_at=now,
    )
