"""The Inbound queue: what upstreams told becomes states and replies."""

from functools import partial
from typing import Any

from recado import batches, track, wiring
from recado.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    hear = partial(track.hear, deps=wiring.deps())
    return batches.together(event, hear, partial(track.track, deps=wiring.deps()))
