"""POST /request_token: a client's id and secret for an access token (Directcall's API).

client_id and client_secret are a cost centre's login and password. Who is unknown, whose secret is
wrong and who is suspended get the same answer: it tells nobody which clients there are.
"""

import hashlib

from recado import esme, tokens
from recado.dialects import directcall
from recado.directory import Client
from recado.errors import Refused
from recado.http import Answer, Event, request_of
from recado.ids import new_id
from recado.observability import count, log
from recado.submission import Refusal
from recado.wiring import Deps

ATTEMPTS = 5  # a second, at one client from one address


def request_token(event: Event, deps: Deps) -> Answer:
    """The answer, whatever happens."""
    form = directcall.read(request_of(event))
    try:
        return _token(form, event["requestContext"]["http"].get("sourceIp", ""), deps)
    except Refused as refused:
        count(f"refused_{refused.refusal.reason}")
        return directcall.token_refused(form, refused.refusal)
    except Exception:
        count("faults")
        identifier = new_id(deps.clock())
        log.exception("a request failed by our fault", extra={"correlation_id": identifier})
        return directcall.refused(Refusal("request", "fault", esme.RSYSERR), identifier, None, form)


def _token(form: directcall.Form, address: str, deps: Deps) -> Answer:
    client = _client(form, address, deps)
    seconds = client.cost_centre.token_seconds
    token = tokens.issue(client.login.login, client.digest, deps.pepper, deps.clock(), seconds)
    count("tokens_issued")
    return directcall.token(form, token, seconds)


def _client(form: directcall.Form, address: str, deps: Deps) -> Client:
    """Who asks. Raises Refused."""
    login, secret = directcall.client_of(form)
    # Counted before it is looked at: a guess that is right would stand out among the refused. By
    # address, too: whoever guesses must not keep the customer out.
    if not deps.engine.store.take(_bucket(login, address), 1, ATTEMPTS, deps.clock()):
        raise Refused(Refusal("rate", "rate", esme.RTHROTTLED))
    client = deps.directory.client(login, secret)
    if client is None or client.cost_centre.suspended:
        raise Refused(Refusal("client_id ou client_secret", "credentials", esme.RINVPASWD))
    return client


def _bucket(login: str, address: str) -> str:
    """One of 65,536: names that somebody makes up must not fill the memory."""
    name = f"{address}\n{login}"
    return f"token#{hashlib.sha256(name.encode()).hexdigest()[:4]}"
