"""The Notify queue: reports and replies go to the customers' callback URLs."""

from functools import partial
from typing import Any

from recado import batches, notices, notify, wiring
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    work = partial(notify.notify, deps=wiring.deps())
    return batches.together(event, notices.decode_notice, work)
