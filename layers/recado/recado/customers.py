"""Customers: what operators do with cost centres and their logins.

As recado.operations says: plain data in and out, RecadoError with a text for the person who asked.
"""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from recado import credentials
from recado.amounts import shown_amount
from recado.configuration import cost_centre_of, cost_centres, logins, put, remove, smpp_logins
from recado.costcentre import CostCentre, checked, new_cost_centre_id, new_signing_secret
from recado.endpoint import reopen
from recado.errors import Conflict, Invalid, RecadoError
from recado.wiring import Deps

SETTABLE = frozenset(CostCentre.__struct_fields__) - {
    "id",
    "created_at",
    "suspended",
    "signing_secret",
    "version",
}
_OVERLAP = 86_400.0
_LISTS = ("reports", "sends_by", "smpp_addresses")
_AMOUNTS = ("price", "voice_price", "low_balance")


def costcentre_create(
    deps: Deps,
    name: str,
    login: str | None = None,
    password: str | None = None,
    sign: bool = False,
    smpp_system_id: str | None = None,
    smpp_password: str | None = None,
    **switches: Any,
) -> dict[str, Any]:
    """A new cost centre with a login for HTTP and one for SMPP. Both may be brought along with
    their passwords, so that a client moves over by changing its host. What Directcall's API calls
    client_id and client_secret are login and password."""
    identifier = new_cost_centre_id()
    login = login or f"cc-{identifier[:8]}"
    secret = new_signing_secret() if sign else ""
    base = CostCentre(id=identifier, name=name, created_at=deps.clock(), signing_secret=secret)
    cost_centre = _switched(base, switches)
    # The logins last: on AWS these are three writes, and a login that leads nowhere could be
    # neither used nor given away again.
    put("cost-centre", identifier, cost_centre, deps)
    try:
        binds, smpp_password = credentials.make_smpp_login(
            identifier, smpp_system_id, smpp_password, deps
        )
        try:
            _, password = credentials.make_login(identifier, login, password, deps)
        except RecadoError:
            credentials.unmake_smpp_login(binds, deps)
            raise
    except RecadoError:
        remove("cost-centre", identifier, cost_centre.version, deps)
        raise
    told = {
        "password": password,
        "client_id": login,
        "client_secret": password,
        "smpp_password": smpp_password,
    }
    shown = costcentre_show(deps, identifier)
    return {**shown, **told, **({"signing_secret": secret} if sign else {})}


def _switched(cost_centre: CostCentre, switches: dict[str, Any]) -> CostCentre:
    unknown = set(switches) - SETTABLE
    if unknown:
        raise Invalid(sorted(unknown)[0], "is no setting of a cost centre")
    fields = {**msgspec.structs.asdict(cost_centre), **switches}
    try:
        return checked(msgspec.convert(fields, CostCentre))
    except msgspec.ValidationError as error:
        raise Invalid("setting", str(error)) from error


class _Names(Struct, frozen=True):
    """By cost centre, what it logs in by."""

    login: dict[str, str]
    system_id: dict[str, str]


def _names(deps: Deps) -> _Names:
    http, smpp = reversed(logins(deps)), reversed(smpp_logins(deps))
    return _Names(
        login={login.cost_centre: login.login for login in http},
        system_id={login.cost_centre: login.login for login in smpp},
    )


def _shown(cost_centre: CostCentre, names: _Names, deps: Deps) -> dict[str, Any]:
    shown = msgspec.structs.asdict(cost_centre)
    shown["signed"] = bool(shown.pop("signing_secret"))
    shown |= {name: shown_amount(shown[name]) for name in _AMOUNTS}
    shown |= {name: list(shown[name]) for name in _LISTS}
    endpoint = deps.engine.store.endpoint(cost_centre.id)
    return {
        "id": cost_centre.id,
        "login": names.login.get(cost_centre.id),
        "smpp_system_id": names.system_id.get(cost_centre.id),
        "callbacks": endpoint.state,
        **shown,
    }


def costcentre_list(deps: Deps) -> list[dict[str, Any]]:
    names = _names(deps)
    return [_shown(cost_centre, names, deps) for cost_centre in cost_centres(deps)]


def costcentre_show(deps: Deps, which: str) -> dict[str, Any]:
    return _shown(cost_centre_of(which, deps), _names(deps), deps)


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


def costcentre_rotate(
    deps: Deps, which: str, overlap: float = _OVERLAP, smpp: bool = False
) -> dict[str, Any]:
    """A new password, of SMPP where that is said; the old one opens for `overlap` seconds more.
    Whoever has no SMPP login yet gets one."""
    identifier = cost_centre_of(which, deps).id
    if smpp:
        login, password = credentials.rotate_smpp_login(identifier, overlap, deps)
        return {"id": identifier, "smpp_system_id": login.login, "smpp_password": password}
    login, password = credentials.rotate_login(identifier, overlap, deps)
    told = {"client_id": login.login, "client_secret": password}
    return {"id": identifier, "login": login.login, "password": password, **told}


def costcentre_suspend(deps: Deps, which: str) -> dict[str, Any]:
    """Its requests are refused from now on; what it has sent goes its way, reports included."""
    return _suspended(deps, which, suspended=True)


def costcentre_resume(deps: Deps, which: str) -> dict[str, Any]:
    return _suspended(deps, which, suspended=False)


def _suspended(deps: Deps, which: str, *, suspended: bool) -> dict[str, Any]:
    old = cost_centre_of(which, deps)
    _write(old, replace(old, suspended=suspended), deps)
    return costcentre_show(deps, old.id)
