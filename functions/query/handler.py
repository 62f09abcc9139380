"""GET and DELETE of messages and batches; and every path that leads nowhere."""

from typing import Any

from recado import accept, account, query, reference, schedule_requests, wiring
from recado.dialects import zoug
from recado.observability import observed

ACTS = {
    "GET /message/{id}": query.show_message,
    "DELETE /message/{id}": query.cancel_message,
    "GET /message/batch/{id}": query.show_batch,
    "DELETE /message/batch/{id}": query.cancel_batch,
    "GET /balance": account.balance,
    "GET /usage": account.usage,
    "GET /schedules": schedule_requests.show_all,
    "PATCH /schedules/{id}": schedule_requests.move_one,
    "DELETE /schedules/{id}": schedule_requests.cancel_one,
}

OPEN_TO_ALL = {
    "GET /openapi.json": reference.openapi,
    "GET /docs": reference.docs,
}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    shown = OPEN_TO_ALL.get(event["routeKey"])
    if shown is not None:
        return shown(event, wiring.deps())
    act = ACTS.get(event["routeKey"])
    if act is None:
        return query.nowhere(event, wiring.deps())
    return accept.answer(event, zoug, act, wiring.deps())
