"""A report as the HTTP request that carries it to the customer."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from recado.costcentre import CostCentre
from recado.dialects import Listed
from recado.engine import Blobs
from recado.http import Outgoing
from recado.message import Alert, Batch, Message, Record, Report
from recado.registry import DIALECTS

TIMEOUT = 15.0
_encoder = msgspec.json.Encoder()
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that tells what a secret is for


def outgoing(
    record: Record,
    report: Report,
    cost_centre: CostCentre,
    blobs: Blobs,
    *,
    now: float,
    private_allowed: bool,
) -> Outgoing:
    """The request for one report. By GET it carries a JSON body, a query string or both, as the
    cost centre chose."""
    content = _content(record, report, cost_centre, blobs)
    body = _encoder.encode(content)
    # What follows a # is not sent, nor would be what we put behind it.
    url = cost_centre.callback_url.partition("#")[0]
    if cost_centre.callback_method == "GET":
        if cost_centre.callback_get_form != "body":
            url += ("&" if "?" in url else "?") + urlencode(_flat(content))
        if cost_centre.callback_get_form == "query":
            body = b""
    headers = {"content-type": "application/json"} if body else {}
    # Stable over all tries of one report: the customer can tell a repetition by it.
    identifier = f"{record.id}.{report.kind}"
    headers |= signature(cost_centre.signing_secret, identifier, now, body)
    return Outgoing(
        method=cost_centre.callback_method,
        url=url,
        headers=headers,
        body=body,
        timeout=TIMEOUT,
        private_allowed=private_allowed,
    )


def _content(
    record: Record, report: Report, cost_centre: CostCentre, blobs: Blobs
) -> dict[str, Any]:
    dialect = DIALECTS[record.dialect]
    if isinstance(record, Message):
        return dialect.report(record, report, cost_centre)
    if isinstance(record, Batch):
        return dialect.batch_callback(record, listed_of(record, blobs))
    if isinstance(record, Alert):
        return dialect.alert(record, cost_centre)
    return dialect.reply(record, cost_centre)


def _flat(content: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a query string; what is no plain value is JSON there."""
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in content.items()
    }


def listed_of(batch: Batch, blobs: Blobs) -> Sequence[Listed]:
    """A batch's list, in the order of its request."""
    return msgspec.json.decode(blobs.get(batch.blob), type=list[Listed])


def signature(secret: str, identifier: str, now: float, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0 (symmetric scheme v1); only the id without a secret."""
    headers = {"webhook-id": identifier}
    if secret:
        timestamp = str(int(now))
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
        signed = f"{identifier}.{timestamp}.".encode() + body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers["webhook-timestamp"] = timestamp
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers
