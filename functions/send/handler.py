"""GET and POST /message: one message."""

from typing import Any

from recado import accept, wiring
from recado.dialects import zoug
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return accept.answer(event, zoug, accept.one, wiring.deps())
