"""Requests of the Zoug HTTP API: "Envio avulso" and "Envio em lote" of its document.

What the document does not say is marked "not in the document".
"""

from datetime import datetime
from typing import Any

import msgspec

from recado import esme
from recado.costcentre import CostCentre, zone
from recado.dialects import Ask, Wish
from recado.errors import Refused
from recado.http import Request
from recado.numbers import Numbering
from recado.submission import Refusal

MAX_BATCH = 400  # "limite de 400 registros por requisição"
_MAX_KEY = 255


def _refuse(field: str, reason: str, code: str, detail: str = "") -> Refused:
    return Refused(Refusal(field, reason, code, detail))


def read(request: Request) -> Request:
    """The request itself: its credentials stand in a header."""
    return request


def credential(request: Request) -> str:
    """ "Autenticação/Autorização: Basic Auth". Raises Refused where there is none."""
    header = request.headers.get("authorization")
    if not header:
        raise _refuse("authorization", "credentials", esme.RINVPASWD, "is missing!")
    return header


def numbering(cost_centre: CostCentre) -> Numbering:
    """ "Deve conter somente números, pode ou não conter o código do país (55)"."""
    return Numbering(plus=not cost_centre.strict_numbers, fixed_lines=bool(cost_centre.fixed_lines))


def fields_of(request: Request, *, query_serves: bool) -> dict[str, Any]:
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


def send_time(fields: dict[str, Any], cost_centre: CostCentre) -> float | None:
    """The date in `send_at`, if there is one. Raises Refused."""
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
    fields = fields_of(request, query_serves=request.method == "GET")
    wish = Wish(
        _text_field(fields, "destination_addr", "destination", esme.RINVDSTADR),
        _text_field(fields, "message", "text", esme.RINVMSGLEN),
        _reference(fields),
    )
    return Ask(
        wishes=(wish,),
        numbering=numbering(cost_centre),
        validity=_validity(fields),
        send_at=send_time(fields, cost_centre),
        idempotency_key=_idempotency_key(request),
    )


def batch_ask(request: Request, cost_centre: CostCentre) -> Ask:
    """What a request to /message/batch asks. Raises Refused, and names the element, for one that
    can't be read; what its values are worth is decided element by element."""
    fields = fields_of(request, query_serves=False)
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
        numbering=numbering(cost_centre),
        batch=True,
        validity=_validity(fields),
        send_at=send_time(fields, cost_centre),
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
