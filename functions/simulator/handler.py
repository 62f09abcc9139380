"""POST /simulator/submit: an upstream that does not exist, where the stack is asked for one."""

from typing import Any

from recado import simulated, wiring
from recado.observability import observed

_tries: dict[str, int] = {}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return simulated.submit(event, wiring.deps(), _tries)
