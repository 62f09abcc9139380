"""What operators do, as functions that run where the engine is: the CLI, and later the panel.

Each takes the dependencies and plain values, returns plain data, and raises RecadoError with a
text for the person who asked. Secrets are in the answer once and nowhere else.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import msgspec

from recado.accept import accept
from recado.account_operations import credit_add, credit_ledger, credit_show, usage
from recado.bulk_operations import (
    bulk_cancel,
    bulk_check,
    bulk_create,
    bulk_list,
    bulk_pause,
    bulk_resume,
    bulk_send,
    bulk_show,
)
from recado.configuration import cost_centre_of, cost_centres
from recado.connector_tests import connector_test
from recado.customers import (
    costcentre_create,
    costcentre_list,
    costcentre_resume,
    costcentre_rotate,
    costcentre_show,
    costcentre_suspend,
    costcentre_update,
)
from recado.dialects import Ask, Wish, zoug
from recado.errors import Invalid, NotFound, Refused
from recado.mailbox_operations import mailbox_drop, mailbox_list
from recado.message import Key
from recado.notices import Replay, send
from recado.replay import tells_mailbox
from recado.route_operations import (
    route_add,
    route_list,
    route_remove,
    route_test,
    route_update,
)
from recado.schedule_operations import schedule_cancel, schedule_list, schedule_move
from recado.upstreams import (
    connector_add,
    connector_list,
    connector_pause,
    connector_remove,
    connector_resume,
    connector_show,
    connector_update,
)
from recado.wiring import Deps

__all__ = [
    "OPERATIONS",
    "costcentre_create",
    "costcentre_list",
    "costcentre_resume",
    "costcentre_rotate",
    "costcentre_show",
    "costcentre_suspend",
    "costcentre_update",
    "credit_add",
    "credit_ledger",
    "credit_show",
    "message_show",
    "queue_list",
    "queue_redrive",
    "replay",
    "send_message",
    "usage",
]


def send_message(deps: Deps, which: str, to: str, text: str) -> dict[str, Any]:
    """Sends one message in a cost centre's name, by the same way as its own requests."""
    cost_centre = cost_centre_of(which, deps)
    ask = Ask(wishes=(Wish(to, text),), numbering=zoug.numbering(cost_centre))
    try:
        accepted = accept(ask, cost_centre, zoug.NAME, deps)
    except Refused as refused:
        field, _, problem = zoug.explained(refused.refusal).partition(" ")
        raise Invalid(field, problem) from refused
    return {"message_id": accepted.id}


def message_show(deps: Deps, identifier: str) -> dict[str, Any]:
    """Everything kept of a message, batch or reply. Tried cost centre by cost centre: the id alone
    does not say whose it is."""
    keys = [Key(cost_centre.id, identifier.lower()) for cost_centre in cost_centres(deps)]
    found = [record for record in deps.engine.store.records(keys) if record is not None]
    if not found:
        raise NotFound(f"no record has the id {identifier}: it is queued still, or not known here")
    shown: dict[str, Any] = msgspec.to_builtins(found[0])
    for report in shown.get("reports", ()):
        report["owed"] = report.get("given_at") is None and report.get("abandoned_at") is None
    return shown


def replay(deps: Deps, which: str, since: float, until: float | None = None) -> dict[str, Any]:
    """Owes every report of a time range again, given or not."""
    cost_centre = cost_centre_of(which, deps)
    end = deps.clock() if until is None else until
    if not cost_centre.callback_url and not tells_mailbox(cost_centre, since, end, deps):
        raise Invalid("callback_url", f"is not set for {which}: there is nobody to tell")
    if since >= end:
        raise Invalid("since", "must lie before now, and before until")
    send(Replay(cost_centre.id, since, end, again=True), deps)
    return {"id": cost_centre.id, "since": since, "until": end}


def queue_list(deps: Deps) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(depth) for depth in deps.engine.queue.depths()]


def queue_redrive(deps: Deps, name: str) -> dict[str, Any]:
    """Puts a queue's dead letters back on it."""
    names = {depth.queue.lower(): depth.queue for depth in deps.engine.queue.depths()}
    if name.lower() not in names:
        raise NotFound(f"no queue is called {name}: there are {', '.join(names.values())}")
    queue = names[name.lower()]
    return {"queue": queue, "redriven": deps.engine.queue.redrive(queue)}


OPERATIONS: MappingProxyType[str, Callable[..., Any]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            costcentre_create,
            costcentre_list,
            costcentre_show,
            costcentre_update,
            costcentre_rotate,
            costcentre_suspend,
            costcentre_resume,
            send_message,
            message_show,
            replay,
            queue_list,
            queue_redrive,
            schedule_list,
            schedule_move,
            schedule_cancel,
            connector_add,
            connector_list,
            connector_show,
            connector_update,
            connector_pause,
            connector_resume,
            connector_test,
            connector_remove,
            route_add,
            route_list,
            route_update,
            route_test,
            route_remove,
            credit_add,
            credit_show,
            credit_ledger,
            usage,
            bulk_create,
            bulk_list,
            bulk_show,
            bulk_check,
            bulk_send,
            bulk_pause,
            bulk_resume,
            bulk_cancel,
            mailbox_list,
            mailbox_drop,
        )
    }
)
