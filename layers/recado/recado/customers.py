"""Customers: what operators do with cost centres and their logins.

As recado.operations says: plain data in and out, RecadoError with a text for the person who asked.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from recado.amounts import shown_amount
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
from recado.endpoint import reopen
from recado.errors import Conflict, Invalid, NotFound
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
_LONGEST_LOGIN = 255
_AMOUNTS = ("price", "voice_price", "low_balance")


def costcentre_create(
    deps: Deps,
    name: str,
    login: str | None = None,
    password: str | None = None,
    sign: bool = False,
    **switches: Any,
) -> dict[str, Any]:
    """A new cost centre with a login. Login and password may be brought along, so that a client
    moves over by changing its host. What Directcall's API calls client_id and client_secret are the
    same two."""
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
    told = {"password": password, "client_id": login, "client_secret": password}
    return {**shown, **told, **({"signing_secret": secret} if sign else {})}


def _usable(password: str) -> str:
    if len(password) < _SHORTEST_PASSWORD:
        raise Invalid("password", f"must have at least {_SHORTEST_PASSWORD} characters")
    return password


def _usable_login(login: str) -> None:
    if ":" in login or not login.isprintable() or not login.strip():
        raise Invalid("login", "must be printable and without a colon")
    if len(login) > _LONGEST_LOGIN:  # it is part of each access token
        raise Invalid("login", f"may have at most {_LONGEST_LOGIN} characters")


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
    shown |= {name: shown_amount(shown[name]) for name in _AMOUNTS}
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
    return costcentre_show(deps, change(cost_centre_of(which, deps), switches, deps).id)


def change(old: CostCentre, switches: dict[str, Any], deps: Deps) -> CostCentre:
    """The cost centre with other settings, kept. Raises Invalid, and Conflict where `old` is not
    what stands."""
    if "callback_url" in switches:
        switches = {"callback_by_customer": False, **switches}
    new = _switched(old, switches)
    _write(old, new, deps)
    if "callback_url" in switches:
        reopen(old.id, deps)
    return new


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
    told = {"client_id": login.login, "client_secret": password}
    return {"id": cost_centre.id, "login": login.login, "password": password, **told}


def costcentre_suspend(deps: Deps, which: str) -> dict[str, Any]:
    """Its requests are refused from now on; what it has sent goes its way, reports included."""
    return _suspended(deps, which, suspended=True)


def costcentre_resume(deps: Deps, which: str) -> dict[str, Any]:
    return _suspended(deps, which, suspended=False)


def _suspended(deps: Deps, which: str, *, suspended: bool) -> dict[str, Any]:
    old = cost_centre_of(which, deps)
    _write(old, replace(old, suspended=suspended), deps)
    return costcentre_show(deps, old.id)
