"""Directcall's /sms/add-callback-status, /sms/list-callback, and a removal.

A cost centre has one callback URL (not in the document: another takes its place). What is posted
there stands in no document either; see recado.dialects.directcall.
"""

import hashlib

from recado import esme
from recado.configuration import named
from recado.costcentre import CostCentre
from recado.customers import change
from recado.dialects import directcall
from recado.dialects.directcall import Form
from recado.errors import Conflict, Invalid, Refused
from recado.http import Answer
from recado.sms_query import fields_of
from recado.submission import Refusal
from recado.wiring import Deps

# The page on add-callback answers a success with "status": "ok" and this code, which says on the
# page of codes that a parameter is wrong. Clients were written against the first.
_ADDED = "001"


def add(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /sms/add-callback-status: `url`. It also opens an endpoint that was stalled."""
    url = fields_of(form).get("url", "").strip()
    if not url:
        raise Refused(Refusal("url", "missing", esme.RINVOPTPARAMVAL))
    _set(url, cost_centre, deps)
    code = _code(url, cost_centre)
    return directcall.answered(
        form, "add-callback", "Callback adicionado", codigo=_ADDED, code=code
    )


def listed(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET and POST /sms/list-callback. Not in the document: the form of the list."""
    fields_of(form)
    url = _fresh(cost_centre, deps).callback_url
    callbacks = [{"code": _code(url, cost_centre), "url": url}] if url else []
    return directcall.answered(form, "list-callback", callbacks)


def remove(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /sms/remove-callback: `code`, as add answered it. Not in the document."""
    code = fields_of(form).get("code", "").strip().lower()
    if not code:
        raise Refused(Refusal("code", "missing", esme.RQUERYFAIL))
    url = _fresh(cost_centre, deps).callback_url
    if not url or code != _code(url, cost_centre):
        raise Refused(Refusal("code", "unknown", esme.RQUERYFAIL))
    _set("", cost_centre, deps)
    return directcall.answered(form, "remove-callback", "Callback removido", code=code)


def _code(url: str, cost_centre: CostCentre) -> str:
    """40 hexadecimal digits, as the page's example has: a name, not a secret."""
    content = f"{cost_centre.id}\n{url}".encode()
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _fresh(cost_centre: CostCentre, deps: Deps) -> CostCentre:
    """As it stands now: what authenticated may be a minute old."""
    return named("cost-centre", cost_centre.id, CostCentre, deps) or cost_centre


def _set(url: str, cost_centre: CostCentre, deps: Deps) -> None:
    present = _fresh(cost_centre, deps)
    if url == present.callback_url and deps.engine.store.endpoint(cost_centre.id).state != "parked":
        return  # clients set it at each start: nothing is to be opened, nor replayed, each time
    try:
        change(present, {"callback_url": url, "callback_by_customer": True}, deps)
    except Invalid as error:
        detail = "deve ser um endereço http ou https"
        raise Refused(Refusal("url", "invalid", esme.RINVOPTPARAMVAL, detail)) from error
    except Conflict as error:
        raise Refused(Refusal("url", "busy", esme.RSYSERR)) from error
