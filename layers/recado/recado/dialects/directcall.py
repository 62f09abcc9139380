"""Directcall's HTTP API, from its published document on /sms/send and its older pages.

`read` opens a request, `send_order` says what it asks; the rest renders answers, errors, reports
and replies. What no page says (texts of errors, names of states, the bodies of callbacks, our own
fields) is marked "not in the document" here and in docs/directcall-api.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recado import esme
from recado.costcentre import CostCentre
from recado.dialects.directcall_callbacks import (
    MAX_TOLD,
    SHOWN,
    alert,
    batch_callback,
    callerid,
    detail,
    local_time,
    message_number,
    received,
    reference,
    reply,
    report,
)
from recado.dialects.directcall_forms import Form, read
from recado.dialects.directcall_orders import Order, refuse, send_order
from recado.dialects.directcall_words import SENT, code_of, status_name, status_of, told
from recado.errors import Refused
from recado.http import Answer, Request
from recado.numbers import NumberProblem, number_of
from recado.submission import Recipient, Refusal

__all__ = [
    "NAME",
    "PATHS",
    "TELLS_BATCHES",
    "Form",
    "Order",
    "alert",
    "answered",
    "batch_callback",
    "callerid",
    "client_of",
    "credential",
    "local_time",
    "message_number",
    "read",
    "received",
    "reference",
    "refused",
    "reply",
    "report",
    "send_order",
    "sent",
    "status_name",
    "token",
    "token_refused",
    "turned_away",
]

NAME = "directcall"
PATHS: tuple[str, ...] = ("/request_token", "/sms", "/extrato")
TELLS_BATCHES = False  # the answer to the request tells all that there is to tell

# `modulo` of a refusal, by the path's last word. "enviar" and "add-callback" are known; where no
# page says what it is, it is that word itself.
_MODULES = {"send": "enviar", "add-callback-status": "add-callback", "received": "recebimento"}


# --- who asks ------------------------------------------------------------------------------------


def credential(form: Form) -> str:
    """ "access_token obrigatório. Chave de acesso ao método", as a header has it. Not in the
    document: where there is no such field, the Authorization header serves. Raises Refused."""
    if form.problem is not None:
        raise Refused(form.problem)
    access_token = form.fields.get("access_token", "").strip()
    if access_token:
        return f"Bearer {access_token}"
    header = form.request.headers.get("authorization", "").strip()
    if header:
        return header
    raise refuse("access_token", "missing", esme.RINVPASWD)


def client_of(form: Form) -> tuple[str, str]:
    """client_id and client_secret of a request for a token. Raises Refused."""
    if form.problem is not None:
        raise Refused(form.problem)
    for name in ("client_id", "client_secret"):
        if not form.fields.get(name, "").strip():
            raise refuse(name, "missing", esme.RINVPASWD)
    return form.fields["client_id"].strip(), form.fields["client_secret"].strip()


# --- answers -------------------------------------------------------------------------------------


def _answer(
    status: int, body: Mapping[str, Any], form: Form | None, root: str = "directcall"
) -> Answer:
    """JSON on one line, as Directcall's; or XML, where the request asks for it."""
    if form is not None and form.xml:
        from recado.dialects import directcall_xml  # noqa: PLC0415 - few ask for it

        kind, text = "xml", directcall_xml.document(root, body)
    else:
        kind, text = "json", msgspec.json.encode(body).decode()
    return {
        "statusCode": status,
        "headers": {"content-type": f"application/{kind}; charset=utf-8"},
        "body": text,
        "isBase64Encoded": False,
    }


def _api_and_module(form: Form | None) -> tuple[str, str]:
    words = form.request.path.strip("/").split("/") if form is not None else ["sms"]
    return words[0], _MODULES.get(words[-1], words[-1])


def answered(form: Form, module: str, message: Any, **more: Any) -> Answer:
    """A yes: `msg` is a text, or what the module gives. `more` comes behind it, or in place of a
    field of that name."""
    api, _ = _api_and_module(form)
    body = {"api": api, "modulo": module, "status": "ok", "codigo": SENT, "msg": message}
    return _answer(200, body | more, form)


def sent(form: Form, order: Order, identifier: str, recipients: Sequence[Recipient]) -> Answer:
    """The answer to a request to /sms/send that we took, its fields in the order of Directcall's
    own. The three s of "sucessso" are the document's. `recipients`: as they were checked; none of a
    long list nor of a request that was answered before, whose answer is made from its order."""
    number = callerid(identifier)
    rows = [(r.as_written, r.refusal) for r in recipients] or _rows(order)
    few = len(rows) <= MAX_TOLD and not order.ask.numbers
    more: dict[str, Any] = {"destino": [to for to, _ in rows]} if few else {}
    more["callerid"] = number
    if few:
        more["detalhe"] = [
            detail(to, refusal, message_number(number, n)) for n, (to, refusal) in enumerate(rows)
        ]
    if order.ask.batch:
        more["lote"] = _list_told(order, rows)
    message = f"001 - Mensagem enviada com sucessso - CALLER-ID: {number}"
    return answered(form, "enviar", message, **more)


def _rows(order: Order) -> list[tuple[str, Refusal | None]]:
    """A request's recipients as `accept` judges their numbers."""
    rows: list[tuple[str, Refusal | None]] = []
    for wish in order.ask.wishes:
        number = number_of(wish.destination, order.ask.numbering)
        bad = isinstance(number, NumberProblem)
        refusal = Refusal("destination", number, esme.RINVDSTADR) if bad else None
        rows.append((wish.destination, refusal))
    return rows


def _list_told(order: Order, rows: Sequence[tuple[str, Refusal | None]]) -> dict[str, Any]:
    """Not in the document: what became of a list."""
    taken = len(order.ask.numbers) or sum(refusal is None for _, refusal in rows)
    # What is no number stands in the order; other refusals are known from the recipients alone.
    others = [
        (place, to)
        for place, (to, refusal) in enumerate(rows, 1)
        if refusal is not None and refusal.reason not in ("invalid", "fixed_line")
    ]
    bad, told_bad = order.bad_count + len(others), [*order.bad, *others][:MAX_TOLD]
    return {
        "total": taken + order.duplicates + bad,
        "aceitos": taken,
        "duplicados": order.duplicates,
        "invalidos": bad,
        "recusados": [{"linha": line, "valor": to[:SHOWN]} for line, to in told_bad],
    }


def refused(
    refusal: Refusal,
    identifier: str,
    cost_centre: CostCentre | None,  # noqa: ARG001 - the Protocol's; nothing of it changes an error
    asked: Form | None = None,
) -> Answer:
    """The answer to a request that is refused, or at which we failed. The id stands in our log, and
    in a header, so that the body has Directcall's fields alone."""
    if asked is not None and asked.request.path.startswith("/request_token"):
        answer = token_refused(asked, refusal)
    else:
        api, module = _api_and_module(asked)
        body = {
            "api": api,
            "modulo": module,
            "status": "erro",
            "codigo": code_of(refusal),
            "msg": told(refusal),
        }
        answer = _answer(status_of(refusal), body, asked)
    answer["headers"]["x-request-id"] = identifier
    if answer["statusCode"] == 503:
        answer["headers"]["retry-after"] = "1"
    return answer


def turned_away(refusal: Refusal, identifier: str, path: str) -> Answer:
    """The answer to a request that came to no function, in JSON: its format was not read."""
    return refused(refusal, identifier, None, Form(Request("", path, {}, "", {}, b"")))


# --- tokens --------------------------------------------------------------------------------------


def token(form: Form, token: str, seconds: int) -> Answer:
    """A token, alone: clients take it by its place as well as by its name. Not in the document: for
    how long it opens, in seconds, which stands in a header therefore."""
    answer = _answer(200, {"access_token": token}, form, "oauth")
    answer["headers"]["cache-control"] = "no-store"
    answer["headers"]["x-expires-in"] = str(seconds)
    return answer


def token_refused(form: Form, refusal: Refusal) -> Answer:
    """No token. Clients look whether access_token is false, or for an error_description. In XML it
    is empty: there the word "false" would be taken for a token."""
    message = told(refusal)
    body = {
        "access_token": None if form.xml else False,
        "codigo": code_of(refusal),
        "msg": message,
        "error_description": message,
    }
    return _answer(status_of(refusal), body, form, "oauth")
