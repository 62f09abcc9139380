"""Directcall's API: tokens, /sms/send, and the questions about what was sent."""

from typing import Any

from recado import accept, sms_token, wiring
from recado.dialects import directcall
from recado.observability import observed
from recado.sms_acts import ACTS as ASKED

ACTS = {"POST /sms/send": accept.sms, **ASKED}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    if event["routeKey"] == "POST /request_token":
        return sms_token.request_token(event, wiring.deps())
    return accept.answer(event, directcall, ACTS[event["routeKey"]], wiring.deps())
