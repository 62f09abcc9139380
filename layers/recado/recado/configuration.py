"""The configuration's records as operators' commands find and write them.

The line itself reads them by the caches of recado.directory.Directory and recado.routing.Routing;
here they are read as they stand.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from recado.costcentre import CostCentre, Login
from recado.errors import Conflict, NotFound
from recado.wiring import Deps

Kept = TypeVar("Kept", bound=Struct)


def every(kind: str, record_type: type[Kept], deps: Deps) -> list[Kept]:
    """All records of a kind, by name."""
    bodies = deps.engine.store.configs(kind)
    return [msgspec.json.decode(body, type=record_type) for body in bodies]


def named(kind: str, name: str, record_type: type[Kept], deps: Deps) -> Kept | None:
    """The record of that name."""
    body = deps.engine.store.config(kind, name)
    return None if body is None else msgspec.json.decode(body, type=record_type)


def put(kind: str, name: str, record: Struct, deps: Deps) -> bool:
    """Writes a record over the version before its own: False where it stands otherwise."""
    version: int = getattr(record, "version", 0)
    written = deps.engine.store.put_config(kind, name, msgspec.json.encode(record), version)
    _forget(deps)
    return written


def remove(kind: str, name: str, version: int, deps: Deps) -> bool:
    """Removes a record of that version: whether it is gone."""
    gone = deps.engine.store.remove_config(kind, name, version)
    _forget(deps)
    return gone


def _forget(deps: Deps) -> None:
    deps.directory.forget()
    deps.routing.forget()


def cost_centres(deps: Deps) -> list[CostCentre]:
    return every("cost-centre", CostCentre, deps)


def logins(deps: Deps) -> list[Login]:
    return every("login", Login, deps)


def smpp_logins(deps: Deps) -> list[Login]:
    """With the system_id as the login."""
    return every("smpp-login", Login, deps)


def cost_centre_of(which: str, deps: Deps) -> CostCentre:
    """A cost centre by its id, its login, its SMPP system_id or its name. Raises NotFound, and
    Conflict where several have that name."""
    # One's login may be another's system_id: then it is the login.
    owners = {login.login: login.cost_centre for login in (*smpp_logins(deps), *logins(deps))}
    found = cost_centres(deps)
    for cost_centre in found:
        if cost_centre.id in (which, owners.get(which)):
            return cost_centre
    same_name = [cost_centre for cost_centre in found if cost_centre.name == which]
    if len(same_name) > 1:
        raise Conflict(f"{len(same_name)} cost centres are called {which}: say which by its id")
    if not same_name:
        raise NotFound(f"no cost centre has the id, login, system_id or name {which}")
    return same_name[0]
