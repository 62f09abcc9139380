"""Whether an upstream is there: what an operator asks before its customers do."""

import time
from typing import Any

from recado.connectors import Upstream
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached
from recado.registry import CONNECTORS
from recado.smpp.pdu import ENQUIRE_LINK, framed
from recado.upstreams import upstream_named
from recado.wiring import Deps

_PATIENCE = 10.0
_URL = "url"  # the setting that says where an upstream listens


def connector_test(deps: Deps, name: str) -> dict[str, Any]:
    """Asks an upstream whether it is there: by HTTP, whatever it answers to a HEAD; by a bind, for
    an enquire_link. Nothing is sent through it. Raises Misconfigured where that can't be tried."""
    upstream = upstream_named(name, deps)
    about = {"name": name, "kind": upstream.kind, "paused": upstream.paused}
    if is_over_bind(upstream):
        if not deps.holds_binds:
            raise Misconfigured(f"not from here: another process holds the binds of {name}")
        asked = Outgoing("SMPP", f"smpp:{name}", {}, framed(ENQUIRE_LINK, 1), _PATIENCE)
        return {**about, **_tried(asked, deps)}
    url = upstream.settings.get(_URL)
    if url is None:
        raise Misconfigured(f"connectors of the kind {upstream.kind} have no {_URL} to try")
    asked = Outgoing("HEAD", url, {}, timeout=_PATIENCE, private_allowed=True)
    return {**about, "url": url, **_tried(asked, deps)}


def is_over_bind(upstream: Upstream) -> bool:
    """Whether it is reached by a session that a process holds."""
    return CONNECTORS[upstream.kind].abilities(upstream).over_bind


def _tried(asked: Outgoing, deps: Deps) -> dict[str, Any]:
    began = time.perf_counter()
    [answer] = deps.exchange([asked])
    took = round((time.perf_counter() - began) * 1000, 1)
    if isinstance(answer, Reached):
        return {"reached": True, "status": answer.status, "milliseconds": took}
    return {"reached": False, "problem": answer.problem}
