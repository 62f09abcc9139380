"""Ingest: what an upstream tells us is made durable raw, whether anybody understands it or not."""

import hmac
from urllib.parse import unquote

from recado.connectors import RawCallback
from recado.http import Answer, Event, Request, json_answer, request_of
from recado.message import encode
from recado.observability import count, follows, log
from recado.registry import CONNECTORS
from recado.wiring import Deps

_METHODS = frozenset({"GET", "POST"})
_KEPT_HEADERS = frozenset({"content-type", "authorization", "x-signature", "webhook-signature"})


def ingest(event: Event, deps: Deps) -> Answer:
    """One callback of an upstream: queued as it came, then acknowledged as the upstream expects.
    A wrong name or secret in the path is not found, nor is another path or method than the API's
    routes have: the function's own URL takes whatever comes."""
    request = request_of(event)
    name, secret = _addressed(request)
    upstream = deps.routing.upstream(name)
    if upstream is None or not _same(secret, upstream.callback_secret):
        return json_answer(404, '{"error":"no such callback"}')
    connector = CONNECTORS[upstream.kind]
    raw = _raw(request, upstream.name, deps.clock())
    if not connector.verify_callback(raw, upstream):
        return json_answer(403, '{"error":"not verified"}')
    # Of no group: those are cost centres, and whose message this is about only its parser can tell.
    # The upstream's name would be the group of nearly everything, and each send that names a group
    # is paid for.
    deps.engine.queue.send("Inbound", [encode(raw)], "")
    count("callbacks_received")
    if follows():  # whom it is about, only its connector's parser can tell
        log.debug("callback kept", extra={"connector": upstream.name})
    return connector.acknowledgement()


def _addressed(request: Request) -> tuple[str, str]:
    """Connector and secret of /callback/<connector>/<secret>, decoded; empty for anything else.

    Read from the path, since a function's URL has no routes and so no parameters. It leaves the
    path as it was sent, the HTTP API decodes it: neither a name nor a secret can hold what differs.
    """
    parts = request.path.split("/")
    if len(parts) != 4 or parts[:2] != ["", "callback"] or request.method not in _METHODS:
        return "", ""
    return unquote(parts[2]), unquote(parts[3])


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
