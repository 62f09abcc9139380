"""GET and POST /callback/{connector}/{secret}: what upstreams tell us, queued raw."""

from typing import Any

from recado import ingest, wiring
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return ingest.ingest(event, wiring.deps())
