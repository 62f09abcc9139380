"""Every minute: what waited for its hour is handed over."""

from typing import Any

from recado import clock, wiring
from recado.observability import observed


@observed
def handler(_event: dict[str, Any], _context: Any) -> None:
    clock.tick(wiring.deps())
