"""The Zoug HTTP API, from its published document ("Documentação – Envio de mensagens via API").

Requests are read in zoug_requests; here answers, reports, replies and the batch callback get the
document's form and order of fields. What the document does not say (statuses, texts of errors
beyond its one example, our own fields) is marked "not in the document" here and in
docs/zoug-api.md.
"""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from recado.amounts import shown_amount
from recado.costcentre import CostCentre, zone
from recado.dialects import Listed
from recado.dialects.zoug_requests import (
    MAX_BATCH,
    batch_ask,
    credential,
    fields_of,
    numbering,
    read,
    send_ask,
    send_time,
)
from recado.http import Answer, Request, json_answer
from recado.message import Alert, Batch, Message, Reply, Report
from recado.submission import Refusal

__all__ = [
    "MAX_BATCH",
    "NAME",
    "PATHS",
    "TELLS_BATCHES",
    "alert",
    "batch_ask",
    "batch_callback",
    "batch_sent",
    "credential",
    "explained",
    "fields_of",
    "local_time",
    "numbering",
    "read",
    "refused",
    "reply",
    "report",
    "send_ask",
    "send_time",
    "sent",
    "turned_away",
]

NAME = "zoug"
PATHS: tuple[str, ...] = ("/",)
TELLS_BATCHES = True  # "Após o processamento ... o sistema retornará um call-back"

# Not in the document: the HTTP status of a refusal, by its reason. Everything else is 400.
_STATUS = {
    "credentials": 401,
    "suspended": 403,
    "by_http": 403,
    "unknown": 404,
    "method": 405,
    "gone": 409,
    "reused": 409,
    "large": 413,
    "rate": 429,
    "fault": 500,
    "busy": 503,
    "no_route": 503,
    "no_voice": 503,
    "balance": 402,
    "quota": 429,
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
    "by_http": "sends by SMPP alone!",
    "gone": "has already gone!",
    "reused": "was used for another request!",
    "rate": "is exceeded!",
    "past": "is in the past!",
    "no_route": "has no route!",
    "no_voice": "has no route that speaks!",
    "balance": "is insufficient!",
    "quota": "is used up!",
    "fault": "failed, try again!",
    "busy": "is busy, try again!",
}


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


def turned_away(refusal: Refusal, identifier: str, path: str) -> Answer:  # noqa: ARG001 - the Protocol's
    """The answer to a request that came to no function."""
    return refused(refusal, identifier, None)


def refused(
    refusal: Refusal,
    identifier: str,
    cost_centre: CostCentre | None,
    asked: Request | None = None,  # noqa: ARG001 - the Protocol's: other dialects have forms
) -> Answer:
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


def local_time(at: float, cost_centre: CostCentre) -> str:
    """ "ano-mês-dia hora:minuto:segundo" in the cost centre's time zone."""
    return _local_second(int(at), cost_centre.time_zone)


@functools.lru_cache(maxsize=1_024)
def _local_second(second: int, time_zone: str) -> str:
    """Once a second and time zone, not once a report."""
    moment = datetime.fromtimestamp(second, zone(time_zone))
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


def alert(alert: Alert, cost_centre: CostCentre) -> dict[str, Any]:
    """Not in the document: a low balance. Told apart by its `alert`, which no report has."""
    return {
        "alert": alert.kind,
        "balance": shown_amount(alert.balance),
        "report_date": local_time(alert.at, cost_centre),
        "cost_center_id": alert.cost_centre,
    }
