"""Account: what a cost centre has, and what it has used, as it may ask itself. These routes are
ours: neither seed document has them."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from recado import esme
from recado.amounts import shown_amount
from recado.costcentre import CostCentre
from recado.engine import Usage
from recado.errors import Refused
from recado.http import Answer, Request, json_answer
from recado.limits import quota_counter
from recado.submission import Refusal
from recado.usage import today, usage_of
from recado.wiring import Deps

COLUMNS = ("day", "cost_centre", "connector", "state", "messages", "segments", "units")
_LONGEST = 92  # days in one question
_PATIENCE = 15.0  # seconds: an API Gateway waits 30


def balance(_request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /balance: what is left of what was paid in advance, and of today's quota."""
    content: dict[str, Any] = {"prepaid": cost_centre.prepaid, "currency": cost_centre.currency}
    content["balance"] = shown_amount(deps.engine.store.balance(cost_centre.id))
    if cost_centre.daily_quota:
        counts = deps.engine.store.counts(quota_counter(cost_centre, deps.clock()))
        content["daily_quota"] = cost_centre.daily_quota
        content["used_today"] = counts.get("segments", 0)
    return json_answer(200, msgspec.json.encode(content).decode())


def usage(request: Request, cost_centre: CostCentre, deps: Deps) -> Answer:
    """GET /usage: by day, connector and state; since and until are days (ISO 8601), both included,
    and the present one by default; format is json or csv. Raises Refused, also where a day that has
    not been counted yet would take too long."""
    fields = request.query_fields()
    now = today(cost_centre, deps.clock())
    until = _day(fields, "until", now)
    since = _day(fields, "since", until)
    if not since <= until:
        raise _refused("since", "must not lie after until!")
    if until - since >= timedelta(days=_LONGEST):
        raise _refused("since", f"and until may span at most {_LONGEST} days!")
    form = fields.get("format", "json").lower()
    if form not in ("json", "csv"):
        raise _refused("format", "must be json or csv!")
    stop_at = deps.clock() + _PATIENCE
    rows = list(usage_rows(usage_of(cost_centre, since, until, deps, stop_at)))
    if form == "csv":
        return {
            "statusCode": 200,
            "headers": {"content-type": "text/csv; charset=utf-8"},
            "body": usage_csv(rows),
            "isBase64Encoded": False,
        }
    return json_answer(200, msgspec.json.encode({"usage": rows}).decode())


def _day(fields: Mapping[str, str], name: str, otherwise: date) -> date:
    written = fields.get(name, "")
    if not written:
        return otherwise
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise _refused(name, "must be a day, such as 2026-05-28!") from error


def _refused(field: str, detail: str) -> Refused:
    return Refused(Refusal(field, "type", esme.RINVOPTPARAMVAL, detail))


def usage_rows(usages: Iterable[Usage]) -> Iterable[dict[str, Any]]:
    """A row for each day, connector and state."""
    for one in usages:
        for row in one.rows:
            yield dict(zip(COLUMNS, (one.day, one.cost_centre, *row), strict=True))


def usage_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as a table with a header line (RFC 4180)."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
