"""Files of millions: opened, checked, sent, paused, resumed, cancelled, and looked at."""

from typing import Any

from recado import accept, bulk_api, query, wiring
from recado.dialects import zoug
from recado.observability import observed

ACTS = {
    "POST /bulk": bulk_api.create,
    "GET /bulk": bulk_api.listing,
    "GET /bulk/{id}": bulk_api.show,
    "DELETE /bulk/{id}": bulk_api.cancel,
    "POST /bulk/{id}/check": bulk_api.check,
    "POST /bulk/{id}/send": bulk_api.send,
    "POST /bulk/{id}/pause": bulk_api.pause,
    "POST /bulk/{id}/resume": bulk_api.resume,
}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    act = ACTS.get(event["routeKey"])
    if act is None:
        return query.nowhere(event, wiring.deps())
    return accept.answer(event, zoug, act, wiring.deps())
