"""What operators do with routes: which upstream a message goes through.

Operations as those of recado.operations, which has the list of all.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from recado.configuration import cost_centre_of, cost_centres, every, named, put, remove
from recado.costcentre import CostCentre
from recado.errors import Conflict, Invalid, NotFound
from recado.numbers import Numbering, NumberProblem, number_of
from recado.routing import Route
from recado.upstreams import check_name, there_are, upstream_named
from recado.wiring import Deps

_ROUTE = "route"  # the kind of configuration records
_ANYHOW = Numbering(plus=True, trunk_zero=True, fixed_lines=True, abroad=True)
_PREFIX = re.compile(r"[0-9]{0,15}")  # E.164 has 15 digits at most


def route_add(
    deps: Deps, name: str, upstream: str, cost_centre: str = "", prefix: str = ""
) -> dict[str, Any]:
    """A new route: messages of a cost centre (none: of any) to numbers with a prefix (none: to all)
    go to that upstream. Routes are tried by name."""
    check_name(name)
    given = {"upstream": upstream, "cost_centre": cost_centre, "prefix": prefix}
    route = _led(Route(name=name, upstream=upstream), given, deps)
    if not put(_ROUTE, name, route, deps):
        raise Conflict(f"there is a route {name} already")
    return _described(route, cost_centres(deps))


def route_list(deps: Deps) -> list[dict[str, Any]]:
    """Every route, in the order in which they are tried."""
    customers = cost_centres(deps)
    return [_described(route, customers) for route in every(_ROUTE, Route, deps)]


def route_update(deps: Deps, name: str, **changes: str) -> dict[str, Any]:
    """Changes upstream, cost centre or prefix; an empty cost centre is any, an empty prefix all."""
    old = _route(name, deps)
    changed = replace(_led(old, changes, deps), version=old.version + 1)
    if not put(_ROUTE, name, changed, deps):
        raise Conflict("somebody else has just changed this route: look, and try again")
    return _described(changed, cost_centres(deps))


def route_remove(deps: Deps, name: str) -> dict[str, Any]:
    """Forgets a route: what it would have taken tries the others, and waits where there is none."""
    if not remove(_ROUTE, name, _route(name, deps).version, deps):
        raise Conflict("somebody else has just changed this route: look, and try again")
    return {"removed": name}


def route_test(
    deps: Deps, number: str, cost_centre: str = "", voice: bool = False
) -> dict[str, Any]:
    """Which way a message to this number would go, as it stands: of that cost centre, or of one
    that no route names. Both `route` and `upstream` are None where none takes it."""
    digits = _digits(number)
    customer = cost_centre_of(cost_centre, deps).id if cost_centre else ""
    route = deps.routing.route_for(customer, digits, voice=voice)
    upstream = deps.routing.upstream(route.upstream) if route else None
    return {
        "number": digits,
        "route": route.name if route else None,
        "upstream": upstream.name if upstream else None,
        "kind": upstream.kind if upstream else None,
        "paused": upstream.paused if upstream else None,
    }


def _digits(written: str) -> str:
    """With the country code; what no API of ours takes, such as a short code, as it is written."""
    read = number_of(written, _ANYHOW)
    if not isinstance(read, NumberProblem):
        return read
    digits = written.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise Invalid("number", "must be digits, such as 5534998887755")
    return digits


def _route(name: str, deps: Deps) -> Route:
    found = named(_ROUTE, name, Route, deps) if name else None
    if found is None:
        known = [route.name for route in every(_ROUTE, Route, deps)]
        raise NotFound(f"no route is called {name}{there_are(known)}")
    return found


def _led(route: Route, changes: Mapping[str, str], deps: Deps) -> Route:
    """The route with what was given to it, each of which has to exist."""
    unknown = sorted(set(changes) - {"upstream", "cost_centre", "prefix"})
    if unknown:
        raise Invalid(unknown[0], "is nothing that a route has")
    fields = dict(changes)
    if "upstream" in fields:
        fields["upstream"] = upstream_named(fields["upstream"], deps).name
    if fields.get("cost_centre"):
        fields["cost_centre"] = cost_centre_of(fields["cost_centre"], deps).id
    if not _PREFIX.fullmatch(fields.get("prefix", "")):
        raise Invalid("prefix", "must be the first digits of numbers, such as 5534")
    return replace(route, **fields)


def _described(route: Route, customers: Sequence[CostCentre]) -> dict[str, Any]:
    names = {cost_centre.id: cost_centre.name for cost_centre in customers}
    return {**asdict(route), "cost_centre_name": names.get(route.cost_centre, "")}
