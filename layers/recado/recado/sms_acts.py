"""What Directcall's paths do once it is known who asks, by route."""

from collections.abc import Callable
from types import MappingProxyType
from typing import TypeAlias

from recado import sms_callbacks, sms_query, sms_replies
from recado.costcentre import CostCentre
from recado.dialects.directcall import Form
from recado.http import Answer
from recado.wiring import Deps

Act: TypeAlias = Callable[[Form, CostCentre, Deps], Answer]

ACTS: MappingProxyType[str, Act] = MappingProxyType(
    {
        "GET /sms/status": sms_query.status,
        "POST /sms/status": sms_query.status,
        "GET /sms/remove": sms_query.remove,
        "POST /sms/remove": sms_query.remove,
        "POST /sms/recebimento": sms_replies.recebimento,
        "POST /sms/received": sms_replies.received,
        "POST /extrato/saldo": sms_replies.balance,
        "POST /sms/add-callback-status": sms_callbacks.add,
        "GET /sms/list-callback": sms_callbacks.listed,
        "POST /sms/list-callback": sms_callbacks.listed,
        "POST /sms/remove-callback": sms_callbacks.remove,
    }
)
