"""The simulator as a function: on AWS, an upstream that does not exist (docs/simulator.md).

A function is frozen once it has answered, so it tells first and answers then; a receipt that comes
before its submit's answer is nothing new to the line. It has no log: what it can't tell it does not
take. Whoever knows its URL may call it, so it calls nobody but whom this installation's own
configuration names, and only for who knows that upstream's secret.
"""

import hmac
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from recado.connectors import Upstream
from recado.http import Answer, Event, Outgoing, Reached, request_of
from recado.ids import new_id
from recado.observability import log
from recado.simulator_behaviours import (
    GARBAGE,
    REFUSALS,
    Answering,
    Asked,
    Behaviour,
    Said,
    behaviour_of,
    event_of,
    not_now,
    said,
)
from recado.wiring import Deps

Sleep: TypeAlias = Callable[[float], None]

_HEADERS = {"content-type": "application/json"}
_FAILS: dict[Answering, int] = {"throttle": 2, "silence": 1, "garbage": 1}  # tries, until it works
_TRIES_KEPT = 10_000
_PAUSES = (0.0, 0.2, 0.4, 0.8, 1.6)  # before each try to tell one thing
# Of the time that the gateway waits for an answer, what may pass until the last try to tell: the
# rest is for this function's start, and for the answer's way back.
_TELLING_SHARE = 0.7
_LEAST_POST_TIMEOUT = 1.0
_LONGEST_SILENCE = 25.0  # the HTTP API waits for 30 s, the function has 29
_asked_decoder: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)


def submit(event: Event, deps: Deps, tries: dict[str, int], sleep: Sleep = time.sleep) -> Answer:
    """One submit, treated as its number says: answered once its receipts and replies have been
    acknowledged. 400 for what is no submit, and for a callback URL that is not ours to call; 503
    where the callback URL acknowledges nothing. `tries` is this environment's memory: the submits
    by reference that were let down."""
    try:
        asked = _asked_decoder.decode(request_of(event).body)
    except ValueError as error:  # msgspec's own are among these; none repeats the body
        return _answer(said(400, {"problem": str(error)}))
    upstream = _upstream_of(asked.callback_url, deps)
    if upstream is None:
        return _answer(said(400, {"problem": "callback_url is that of no simulator of ours"}))
    behaviour = behaviour_of(asked.to)
    if _works(behaviour, asked.reference, tries):
        return _answer(_taken(asked, behaviour, upstream, deps, sleep))
    return _answer(_let_down(behaviour.answering, upstream, sleep))


def _answer(it: Said) -> Answer:
    return {
        "statusCode": it.status,
        "headers": it.headers,
        "body": it.body.decode(),
        "isBase64Encoded": False,
    }


# --- whom it calls -------------------------------------------------------------------------------


def _upstream_of(callback_url: str, deps: Deps) -> Upstream | None:
    """The simulator whose callbacks come to this URL, as it stands in its settings."""
    name = callback_url.rpartition("/")[0].rpartition("/")[2]
    upstream = deps.routing.upstream(name)
    if not _is_its(callback_url, upstream):
        deps.routing.forget()  # it may have been configured a moment ago
        upstream = deps.routing.upstream(name)
    return upstream if _is_its(callback_url, upstream) else None


def _is_its(callback_url: str, upstream: Upstream | None) -> bool:
    """Compared whole, so that there is nothing in a URL to be read in two ways."""
    if upstream is None or upstream.kind != "simulator" or not upstream.callback_secret:
        return False
    configured = upstream.settings.get("callback_url", "")
    if not configured.endswith(f"/callback/{upstream.name}/{upstream.callback_secret}"):
        return False
    return hmac.compare_digest(callback_url.encode(), configured.encode())


# --- what it does --------------------------------------------------------------------------------


def _works(behaviour: Behaviour, reference: str, tries: dict[str, int]) -> bool:
    """Whether this submit is taken and answered; counts one that is let down."""
    if behaviour.answering == "accept":
        return True
    so_far = tries.get(reference, 0)
    fails = _FAILS.get(behaviour.answering)
    if fails is None:
        return False
    if so_far >= fails:
        return True
    if len(tries) >= _TRIES_KEPT:
        tries.clear()
    tries[reference] = so_far + 1
    return False


def _let_down(answering: Answering, upstream: Upstream, sleep: Sleep) -> Said:
    if answering == "garbage":
        return GARBAGE
    if answering == "silence":
        # An answer has to be given, so it is given when nobody waits for it any more.
        sleep(min(upstream.submit_timeout + 1.0, _LONGEST_SILENCE))
        return said(504, {"problem": answering})
    if answering == "close":
        return said(502, {"problem": answering})  # the connection is not ours to close
    return REFUSALS[answering]


def _taken(
    asked: Asked, behaviour: Behaviour, upstream: Upstream, deps: Deps, sleep: Sleep
) -> Said:
    stop_at = deps.clock() + _TELLING_SHARE * min(upstream.submit_timeout, _LONGEST_SILENCE)
    sleep(behaviour.answer_after)
    upstream_id = new_id(deps.clock())
    reference = asked.reference if asked.echo else None
    bodies = [
        event_of(step, upstream_id, asked.to, asked.source, reference) for step in behaviour.steps
    ]
    told = 0
    while told < len(bodies) and _told(asked.callback_url, bodies[told], stop_at, deps, sleep):
        told += 1
    if told < len(bodies):
        log.warning("the simulator was not heard", extra={"connector": upstream.name})
    if bodies and not told:
        return not_now(503, "callback_url acknowledges nothing")
    return said(200, {"id": upstream_id})


def _told(url: str, body: bytes, stop_at: float, deps: Deps, sleep: Sleep) -> bool:
    """Posts it until it is acknowledged: whether it was, in the time and the tries that there are.
    One try there is always."""
    for pause in _PAUSES:
        if pause and deps.clock() + pause >= stop_at:
            return False
        sleep(pause)
        timeout = max(stop_at - deps.clock(), _LEAST_POST_TIMEOUT)
        if _is_acknowledged(url, body, timeout, deps):
            return True
    return False


def _is_acknowledged(url: str, body: bytes, timeout: float, deps: Deps) -> bool:
    private = bool(deps.settings.private_callbacks)
    [answer] = deps.exchange([Outgoing("POST", url, _HEADERS, body, timeout, private)])
    return isinstance(answer, Reached) and 200 <= answer.status < 300
