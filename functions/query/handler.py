"""GET and DELETE of messages and batches; and every path that leads nowhere."""

from typing import Any

from recado import accept, query, wiring
from recado.dialects import zoug
from recado.observability import observed

ACTS = {
    "GET /message/{id}": query.show_message,
    "DELETE /message/{id}": query.cancel_message,
    "GET /message/batch/{id}": query.show_batch,
    "DELETE /message/batch/{id}": query.cancel_batch,
}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    act = ACTS.get(event["routeKey"])
    if act is None:
        return query.nowhere(event, wiring.deps())
    return accept.answer(event, zoug, act, wiring.deps())
