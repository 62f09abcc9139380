"""The Zoug HTTP API, from its published document ("Documentação – Envio de mensagens via API").

`send_ask` and `batch_ask` read what the document calls "Envio avulso" and "Envio em lote"; the
rest renders answers, reports, replies and the batch callback in the document's form and order of
fields. What the document does not say (statuses, texts of errors beyond its one example, our own
fields) is marked "not in the document" here and in docs/zoug-api.md.
"""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from recado import esme
from recado.costcentre import CostCentre
from recado.dialects import Ask, Listed, Wish
from recado.errors import Refused
from recado.http import Answer, Request, json_answer
from recado.message import Batch, Message, Refusal, Reply, Report

NAME = "zoug"
MAX_BATCH = 400  # "limite de 400 registros por requisição"
_MAX_KEY = 255

# Not in the document: the HTTP status of a refusal, by its reason. Everything else is 400.
_STATUS = {
    "credentials": 401,
    "suspended": 403,
    "unknown": 404,
    "method": 405,
    "gone": 409,
    "reused": 409,
    "large": 413,
    "rate": 429,
    "fault": 500,
    "busy": 503,
    "no_route": 503,
}
_NAMES = {"destination": "Destination_addr", "text": "Message"}
_PROBLEMS = {
    "missing": "is missing!",
    "empty": "is empty!",
    "invalid": "is invalid!",
    "fixed_line": "is a fixed line!",
    "long": "is too long!",
    "large": "is too large!",
    "unknown": "is unknown!",
    "method": "is not possible here!",
    "credentials": "is invalid!",
    "suspended": "is suspended!",
    "gone": "has already gone!",
    "reused": "was used for another request!",
    "rate": "is exceeded!",
    "past": "is in the past!",
    "no_route": "has no route!",
    "fault": "failed, try again!",
    "busy": "is busy, try again!",
}


def _refuse(field: str, reason: str, code: str, detail: str = "") -> Refused:
    return Refused(Refusal(field, reason, code, detail))


# --- requests ------------------------------------------------------------------------------------


def _fields(request: Request, *, query_serves: bool) -> dict[str, Any]:
    """The body's fields, or the query string's where it may serve and there is no body."""
    if not request.body.strip() and query_serves:
        return dict(request.query_fields())
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refuse("body", "type", esme.RINVCMDLEN, "is not valid JSON!") from error
    if not isinstance(body, dict):
        raise _refuse("body", "type", esme.RINVCMDLEN, "is not a JSON object!")
    return body


def _text_field(fields: dict[str, Any], name: str, generic: str, code: str, where: str = "") -> str:
    value = fields.get(name)
    field = where + name if where else generic
    if value is None:
        raise _refuse(field, "missing", code)
    if not isinstance(value, str):
        raise _refuse(field, "type", code, "must be a string!")
    return value


def _reference(fields: dict[str, Any], where: str = "") -> str | None:
    """Not in the document: clients send a reference_id, which its reports echo."""
    value = fields.get("reference_id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or (isinstance(value, str) and len(value) <= _MAX_KEY):
        return value
    detail = f"must be a string of at most {_MAX_KEY} characters!"
    raise _refuse(where + "reference_id", "type", esme.RINVOPTPARAMVAL, detail)


def _validity(fields: dict[str, Any]) -> int | None:
    value = fields.get("validity")
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 5 <= value <= 259_200:
        detail = "must be a number of seconds from 5 to 259200!"
        raise _refuse("validity", "type", esme.RINVEXPIRY, detail)
    return value


def _send_at(fields: dict[str, Any], cost_centre: CostCentre) -> float | None:
    value = fields.get("send_at")
    if value is None or value == "":
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=zone(cost_centre.time_zone))
        return at.timestamp()
    except (TypeError, ValueError, OverflowError, OSError) as error:
        detail = "must be a date and time in ISO 8601!"
        raise _refuse("send_at", "type", esme.RINVSCHED, detail) from error


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None or (0 < len(key) <= _MAX_KEY):
        return key
    detail = f"must have 1 to {_MAX_KEY} characters!"
    raise _refuse("Idempotency-Key", "type", esme.RINVOPTPARAMVAL, detail)


def send_ask(request: Request, cost_centre: CostCentre) -> Ask:
    """What a request to /message asks. Raises Refused."""
    fields = _fields(request, query_serves=request.method == "GET")
    wish = Wish(
        _text_field(fields, "destination_addr", "destination", esme.RINVDSTADR),
        _text_field(fields, "message", "text", esme.RINVMSGLEN),
        _reference(fields),
    )
    return Ask(
        wishes=(wish,),
        validity=_validity(fields),
        send_at=_send_at(fields, cost_centre),
        idempotency_key=_idempotency_key(request),
    )


def batch_ask(request: Request, cost_centre: CostCentre) -> Ask:
    """What a request to /message/batch asks. Raises Refused, and names the element, for one that
    can't be read; what its values are worth is decided element by element."""
    fields = _fields(request, query_serves=False)
    elements = fields.get("list")
    if elements is None:
        raise _refuse("list", "missing", esme.RINVNUMDESTS)
    if not isinstance(elements, list):
        raise _refuse("list", "type", esme.RINVNUMDESTS, "must be an array!")
    if not elements:
        raise _refuse("list", "empty", esme.RINVNUMDESTS)
    if len(elements) > MAX_BATCH:
        detail = f"has {len(elements)} elements, at most {MAX_BATCH} are allowed!"
        raise _refuse("list", "long", esme.RINVNUMDESTS, detail)
    return Ask(
        wishes=tuple(_element(element, n) for n, element in enumerate(elements)),
        batch=True,
        validity=_validity(fields),
        send_at=_send_at(fields, cost_centre),
        idempotency_key=_idempotency_key(request),
    )


def _element(element: Any, position: int) -> Wish:
    where = f"list[{position}]"
    if not isinstance(element, dict):
        raise _refuse(where, "type", esme.RINVNUMDESTS, "must be an object!")
    where += "."
    return Wish(
        _text_field(element, "destination_addr", "destination", esme.RINVDSTADR, where),
        _text_field(element, "message", "text", esme.RINVMSGLEN, where),
        _reference(element, where),
    )


# --- answers -------------------------------------------------------------------------------------


def explained(refusal: Refusal) -> str:
    """A refusal in words, as in the document's "Destination_addr is invalid!"."""
    name = _NAMES.get(refusal.field, refusal.field)
    name = name[:1].upper() + name[1:] if "[" not in name else name
    return f"{name} {refusal.detail or _PROBLEMS.get(refusal.reason, 'is invalid!')}"


def sent(identifier: str) -> Answer:
    """The answer to a message that we took."""
    return json_answer(200, f'{{"message_id":"{identifier}"}}')


def batch_sent(identifier: str, count: int) -> Answer:
    """The answer to a batch that we took. The count is a string, as in the document."""
    return json_answer(200, f'{{"batchCount":"{count}","batchId":"{identifier}"}}')


def refused(refusal: Refusal, identifier: str, cost_centre: CostCentre | None) -> Answer:
    """The answer to a request that is refused, or at which we failed. The id stands in our log."""
    body = {
        "message_id": identifier,
        "error": True,
        "message": explained(refusal),
        "esme": refusal.esme,
    }
    status = _STATUS.get(refusal.reason, 400)
    headers = {}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="Recado", charset="UTF-8"'
    elif status in (429, 503):
        headers["retry-after"] = "1"
    if cost_centre is not None and cost_centre.impediments_ok and status < 500:
        status = 200
    return json_answer(status, msgspec.json.encode(body).decode(), headers)


# --- reports, replies, the batch callback --------------------------------------------------------


@functools.lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_time(at: float, cost_centre: CostCentre) -> str:
    """ "ano-mês-dia hora:minuto:segundo" in the cost centre's time zone."""
    moment = datetime.fromtimestamp(at, zone(cost_centre.time_zone))
    return moment.isoformat(sep=" ")[:19]  # strftime takes ten times as long


def report(message: Message, report: Report, cost_centre: CostCentre) -> dict[str, Any]:
    """A report of type 1 or 2, its fields in the document's order."""
    if report.kind == "1":
        body: dict[str, Any] = {"stat": report.stat, "type": 1}
    else:
        body = {"err": report.err or "000", "report_stat": report.stat, "type": 2}
    body["report_date"] = local_time(report.owed_at, cost_centre)
    body["message_id"] = message.id
    if message.reference is not None:
        body["reference_id"] = message.reference
    return body


def reply(reply: Reply, cost_centre: CostCentre) -> dict[str, Any]:
    """A reply (MO), its fields in the document's order. esme_class: "o valor será sempre 0"."""
    body: dict[str, Any] = {
        "short_message": reply.text,
        "report_date": local_time(reply.received_at, cost_centre),
        "esme_class": 0,
        "message_id": reply.message_id,
        "cost_center_id": reply.cost_centre,
        "source_addr": reply.source,
    }
    if reply.reference is not None:
        body["reference_id"] = reply.reference
    return body


def batch_callback(batch: Batch, listed: Sequence[Listed]) -> dict[str, Any]:
    """The callback with every message's id, "na mesma ordem que foram enviadas as mensagens"."""
    return {"batchId": batch.id, "list": [_listed(line) for line in listed]}


def _listed(line: Listed) -> dict[str, Any]:
    body: dict[str, Any] = {"destination_addr": line.as_written, "message_id": line.id}
    if line.refusal is None:
        body["error"] = False
    else:
        body["message"] = f"Error: {explained(line.refusal)}"
        body["error"] = True
        body["esme"] = line.refusal.esme
    if line.reference is not None:
        body["reference_id"] = line.reference
    return body
