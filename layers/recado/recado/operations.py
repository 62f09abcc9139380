"""What operators do, as functions that run where the engine is: the CLI, and later the panel.

Each takes the dependencies and plain values, returns plain data, and raises RecadoError with a
text for the person who asked. Secrets are in the answer once and nowhere else.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from recado.accept import accept
from recado.configuration import cost_centre_of, cost_centres, logins, put, remove
from recado.costcentre import (
    CostCentre,
    KeptPassword,
    Login,
    checked,
    digest,
    new_cost_centre_id,
    new_password,
    new_signing_secret,
)
from recado.dialects import Ask, Wish, zoug
from recado.endpoint import reopen
from recado.errors import Conflict, Invalid, NotFound, Refused
from recado.http import Request
from recado.message import Key
from recado.notices import Replay, send
from recado.upstreams import (
    connector_add,
    connector_list,
    connector_remove,
    connector_show,
    connector_update,
    route_add,
    route_list,
    route_remove,
    route_update,
)
from recado.wiring import Deps

SETTABLE = frozenset(CostCentre.__struct_fields__) - {
    "id",
    "created_at",
    "suspended",
    "signing_secret",
    "version",
}
_OVERLAP = 86_400.0
_SHORTEST_PASSWORD = 6


def costcentre_create(
    deps: Deps,
    name: str,
    login: str | None = None,
    password: str | None = None,
    sign: bool = False,
    **switches: Any,
) -> dict[str, Any]:
    """A new cost centre with a login. Login and password may be brought along, so that a client
    moves over by changing its host."""
    identifier = new_cost_centre_id()
    login = login or f"cc-{identifier[:8]}"
    password = _usable(password) if password else new_password()
    secret = new_signing_secret() if sign else ""
    base = CostCentre(id=identifier, name=name, created_at=deps.clock(), signing_secret=secret)
    cost_centre = _switched(base, switches)
    kept = KeptPassword(digest(password, deps.pepper))
    _usable_login(login)
    record = Login(login=login, cost_centre=identifier, passwords=(kept,))
    # The login last: on AWS these are two writes, and a login that leads nowhere could be neither
    # used nor given away again.
    put("cost-centre", identifier, cost_centre, deps)
    if not put("login", login, record, deps):
        remove("cost-centre", identifier, cost_centre.version, deps)
        raise Conflict(f"the login {login} is taken")
    shown = costcentre_show(deps, identifier)
    return {**shown, "password": password, **({"signing_secret": secret} if sign else {})}


def _usable(password: str) -> str:
    if len(password) < _SHORTEST_PASSWORD:
        raise Invalid("password", f"must have at least {_SHORTEST_PASSWORD} characters")
    return password


def _usable_login(login: str) -> None:
    if ":" in login or not login.isprintable() or not login.strip():
        raise Invalid("login", "must be printable and without a colon")


def _switched(cost_centre: CostCentre, switches: dict[str, Any]) -> CostCentre:
    unknown = set(switches) - SETTABLE
    if unknown:
        raise Invalid(sorted(unknown)[0], "is no setting of a cost centre")
    fields = {**msgspec.structs.asdict(cost_centre), **switches}
    try:
        return checked(msgspec.convert(fields, CostCentre))
    except msgspec.ValidationError as error:
        raise Invalid("setting", str(error)) from error


def _shown(cost_centre: CostCentre, every_login: Sequence[Login], deps: Deps) -> dict[str, Any]:
    shown = msgspec.structs.asdict(cost_centre)
    shown["signed"] = bool(shown.pop("signing_secret"))
    mine = [login.login for login in every_login if login.cost_centre == cost_centre.id]
    endpoint = deps.engine.store.endpoint(cost_centre.id)
    return {
        "id": cost_centre.id,
        "login": mine[0] if mine else None,
        "callbacks": endpoint.state,
        **shown,
        "reports": list(cost_centre.reports),
    }


def costcentre_list(deps: Deps) -> list[dict[str, Any]]:
    every_login = logins(deps)
    return [_shown(cost_centre, every_login, deps) for cost_centre in cost_centres(deps)]


def costcentre_show(deps: Deps, which: str) -> dict[str, Any]:
    return _shown(cost_centre_of(which, deps), logins(deps), deps)


def costcentre_update(deps: Deps, which: str, **switches: Any) -> dict[str, Any]:
    """Changes settings. A new callback URL opens an endpoint that was stalled or parked, and
    replays what it was owed."""
    old = cost_centre_of(which, deps)
    _write(old, _switched(old, switches), deps)
    if "callback_url" in switches:
        reopen(old.id, deps)
    return costcentre_show(deps, old.id)


def _write(old: CostCentre, new: CostCentre, deps: Deps) -> None:
    if not put("cost-centre", old.id, replace(new, version=old.version + 1), deps):
        raise Conflict("somebody else has just changed this cost centre: look, and try again")


def costcentre_rotate(deps: Deps, which: str, overlap: float = _OVERLAP) -> dict[str, Any]:
    """A new password; the old one opens for `overlap` seconds more."""
    cost_centre = cost_centre_of(which, deps)
    login = next((x for x in logins(deps) if x.cost_centre == cost_centre.id), None)
    if login is None:
        raise NotFound(f"{which} has no login")
    password, until = new_password(), deps.clock() + overlap
    kept = [
        KeptPassword(old.digest, min(until, old.until or until))
        for old in login.passwords
        if overlap > 0 and (old.until is None or old.until > deps.clock())
    ]
    passwords = (KeptPassword(digest(password, deps.pepper)), *kept)
    changed = replace(login, passwords=passwords, version=login.version + 1)
    if not put("login", login.login, changed, deps):
        raise Conflict("somebody else has just rotated this password: look, and try again")
    return {"id": cost_centre.id, "login": login.login, "password": password}


def costcentre_suspend(deps: Deps, which: str) -> dict[str, Any]:
    """Its requests are refused from now on; what it has sent goes its way, reports included."""
    return _suspended(deps, which, suspended=True)


def costcentre_resume(deps: Deps, which: str) -> dict[str, Any]:
    return _suspended(deps, which, suspended=False)


def _suspended(deps: Deps, which: str, *, suspended: bool) -> dict[str, Any]:
    old = cost_centre_of(which, deps)
    _write(old, replace(old, suspended=suspended), deps)
    return costcentre_show(deps, old.id)


def send_message(deps: Deps, which: str, to: str, text: str) -> dict[str, Any]:
    """Sends one message in a cost centre's name, by the same way as its own requests."""
    cost_centre = cost_centre_of(which, deps)
    request = Request("POST", "/message", {}, "", {}, b"")
    ask = Ask(wishes=(Wish(to, text),))
    try:
        accepted = accept(ask, cost_centre, zoug.NAME, request, deps)
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
    if not cost_centre.callback_url:
        raise Invalid("callback_url", f"is not set for {which}: there is nobody to tell")
    end = deps.clock() if until is None else until
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
            connector_add,
            connector_list,
            connector_show,
            connector_update,
            connector_remove,
            route_add,
            route_list,
            route_update,
            route_remove,
        )
    }
)
