"""The Expand queue: batches become packets."""

from functools import partial
from typing import Any

from recado import batches, expand, wiring
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return batches.one_by_one(event, partial(expand.expand, deps=wiring.deps()))
