"""The Submit and SubmitBulk queues: packets go to their upstreams."""

from functools import partial
from typing import Any

from recado import batches, dispatch, wiring
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    work = partial(dispatch.dispatch, deps=wiring.deps())
    return batches.together(event, dispatch.decode_packet, work)
