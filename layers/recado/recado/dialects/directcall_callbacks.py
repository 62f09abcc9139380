"""What Directcall's customers are told without asking: reports, replies, batches, a low balance.

Nothing of these bodies is in the document, but that there are callbacks. Their names are those of
the documented answers.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recado import esme
from recado.amounts import shown_amount
from recado.costcentre import CostCentre, zone
from recado.dialects import Listed
from recado.dialects.directcall_words import stat_name, status_name, told
from recado.message import Alert, Batch, Key, Message, Reply, Report
from recado.report import SUBMIT_OUTCOME
from recado.submission import Refusal

MAX_TOLD = 100  # recipients with a number of their own: their places have two digits
SHOWN = 40  # characters of what is no number


def callerid(identifier: str) -> str:
    """The 14 digits by which a customer knows a message or a batch of ours."""
    digest = int.from_bytes(hashlib.sha256(identifier.encode()).digest())
    return str(10**13 + digest % (8 * 10**13))


def message_number(callerid: str, n: int) -> int:
    """id_mensagem: the request's callerid and the recipient's place in it, below 100. It stays
    below 2**53, which is where JavaScript's numbers end."""
    return int(f"{callerid}{n:02}")


def reference(cost_centre_id: str, identifier: str) -> tuple[str, str, Key]:
    """What leads from a callerid to its message or batch, for Store.put_refs."""
    return f"callerid#{cost_centre_id}", callerid(identifier), Key(cost_centre_id, identifier)


def detail(to: str, refusal: Refusal | None, number: int) -> dict[str, Any]:
    if refusal is None:
        return {"destino": to, "id_mensagem": number}
    return {"destino": to[:SHOWN], "erro": told(refusal)}


def local_time(at: float, cost_centre: CostCentre) -> str:
    """ "Y-m-d H:i:s" in the cost centre's time zone."""
    moment = datetime.fromtimestamp(at, zone(cost_centre.time_zone))
    return moment.isoformat(sep=" ")[:19]


def report(message: Message, report: Report, cost_centre: CostCentre) -> dict[str, Any]:
    """A report. `tipo` 1: whether the upstream took the message; 2: what became of it. A message of
    a long list has the list's callerid and its number, and no id_mensagem."""
    body = {"api": "sms", "modulo": "status", **_names(message)}
    body["destino"] = message.to
    body["origem"] = message.source
    if report.kind == SUBMIT_OUTCOME:
        ok = report.stat == esme.ROK
        status = stat_name(report.stat) if ok else status_name(message.state)
        body |= {"tipo": 1, "status": status, "erro": report.stat}
    else:
        # UNDELIV is said of two states; a report that is given again may be older than the state.
        now = esme.RECEIPT_STAT.get(message.state) == report.stat
        status = status_name(message.state) if now else stat_name(report.stat)
        body |= {"tipo": 2, "status": status, "erro": report.err or "000"}
    body["data"] = local_time(report.owed_at, cost_centre)
    body["campos"] = message.fields
    return body


def _names(record: Message | Reply) -> dict[str, Any]:
    """The numbers by which the customer knows the message that this is, or answers. Its place in
    its request stands in its reference (`send_order` puts it there)."""
    own = record.id if isinstance(record, Message) else record.message_id
    number = callerid(record.batch_id or own)
    if record.reference is None:
        return {"callerid": number}
    return {"callerid": number, "id_mensagem": message_number(number, int(record.reference))}


def received(reply: Reply, cost_centre: CostCentre) -> dict[str, Any]:
    """A reply, by the names under which clients read those of /sms/recebimento."""
    return {
        "origem": reply.source,
        "texto": reply.text,
        "destino": reply.destination,
        "dataHora": local_time(reply.received_at, cost_centre),
    }


def reply(reply: Reply, cost_centre: CostCentre) -> dict[str, Any]:
    """A reply's callback: whose message it answers, and what it says."""
    names = _names(reply)
    return {"api": "sms", "modulo": "recebimento", **names, **received(reply, cost_centre)}


def batch_callback(batch: Batch, listed: Sequence[Listed]) -> dict[str, Any]:
    """A batch's recipients, with the numbers of the first hundred messages."""
    number = callerid(batch.id)
    rows = []
    for n, line in enumerate(listed):
        row = detail(line.as_written, line.refusal, message_number(number, min(n, 99)))
        if n >= MAX_TOLD:
            row.pop("id_mensagem", None)
        rows.append(row)
    return {
        "api": "sms",
        "modulo": "lote",
        "callerid": number,
        "total": batch.count,
        "detalhe": rows,
    }


def alert(alert: Alert, cost_centre: CostCentre) -> dict[str, Any]:
    """A low balance."""
    return {
        "api": "extrato",
        "modulo": "saldo",
        "alerta": "saldo baixo",
        "saldo": shown_amount(alert.balance),
        "data": local_time(alert.at, cost_centre),
    }
