"""The node's own pages, before the template's routes: is it alive, can it work, what did it count.

/health   the process answers
/ready    the store can commit, and the workers run: 503 and what is not
/metrics  for Prometheus; to this machine alone, or to whoever has RECADO_METRICS_TOKEN
"""

import hmac
import ipaddress
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from node.gateway import Page
from node.http_server import RawRequest, Reply
from node.metrics import SmppCounts, exposition
from node.workers import Workers
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue
from recado.observability import counts, words_of

_PROOF_SECONDS = 1.0  # a commit shows so long that the store can: a probe is no way to wear a disk
# A reverse proxy's requests come from this machine, whoever is behind it.
_FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})


def pages(
    database: Database,
    queue: EmbeddedQueue,
    workers: Workers,
    metrics_token: str,
    smpp: Callable[[], SmppCounts | None] = lambda: None,
) -> dict[str, Page]:
    """The pages by their path. Whether an SMSC can be reached is told by /metrics alone: what goes
    there waits, and the node is as ready as ever."""
    return {
        "/health": healthy,
        "/ready": Readiness(database, workers).answer,
        "/metrics": partial(_metrics, database, queue, smpp, metrics_token, time.time()),
    }


def healthy(_request: RawRequest, reply: Reply) -> None:
    tell(reply, 200, {"status": "ok"})


def tell(reply: Reply, status: int, content: Mapping[str, str]) -> None:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    reply(status, headers, msgspec.json.encode(content))


class Readiness:
    """Whether the node can work: answered after a commit that shows it."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database, self._workers = database, workers
        self._proved_at = -_PROOF_SECONDS

    def answer(self, _request: RawRequest, reply: Reply) -> None:
        self.tell(reply)

    def tell(self, reply: Reply) -> None:
        """Answers at once, or when the commit that it asks for has come to its end."""
        problem = self._workers.problem
        if problem is not None:
            tell(reply, 503, {"status": "not ready", "workers": problem})
        elif self._database.problem is None and time.monotonic() - self._proved_at < _PROOF_SECONDS:
            tell(reply, 200, {"status": "ready"})
        else:
            self._prove(reply)

    def _prove(self, reply: Reply) -> None:
        try:
            self._database.prove()
        except Exception as error:  # another hop's unit is lost, and this write with it
            self._proved(reply, error)
        else:
            self._database.then(partial(self._proved, reply))

    def _proved(self, reply: Reply, problem: BaseException | None) -> None:
        if problem is None:
            self._proved_at = time.monotonic()
            tell(reply, 200, {"status": "ready"})
        else:
            why = words_of(problem) or type(problem).__name__
            tell(reply, 503, {"status": "not ready", "store": why})


def _metrics(
    database: Database,
    queue: EmbeddedQueue,
    smpp: Callable[[], SmppCounts | None],
    token: str,
    started_at: float,
    request: RawRequest,
    reply: Reply,
) -> None:
    if refuses(token, request, reply):
        return
    commits = (database.commits, database.commit_seconds)
    text = exposition(counts(), queue.depths(), queue.ages(), commits, started_at, smpp())
    tell_metrics(reply, text)


def refuses(token: str, request: RawRequest, reply: Reply) -> bool:
    """Whether whoever asks may not read the metrics; then it is told so."""
    headers = request.headers
    if token and not _is_bearer(headers.get("authorization", ""), token):
        body = b'{"error":"the token is missing or wrong"}'
        reply(401, {"content-type": "application/json", "www-authenticate": "Bearer"}, body)
    elif not token and not (_is_loopback(request.peer) and headers.keys().isdisjoint(_FORWARDED)):
        tell(reply, 403, {"error": "this machine alone, unless RECADO_METRICS_TOKEN is set"})
    else:
        return False
    return True


def tell_metrics(reply: Reply, text: str) -> None:
    reply(200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, text.encode())


def _is_bearer(authorization: str, token: str) -> bool:
    scheme, _, offered = authorization.partition(" ")
    same = hmac.compare_digest(offered.strip().encode("latin-1"), token.encode())
    return same and scheme.lower() == "bearer"


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
