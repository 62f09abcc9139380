"""What operators do with upstreams ("connectors", where they name them) and with routes to them.

Operations as those of recado.operations, which has the list of all. A callback URL has a secret in
it: it is told when it is made, and later to whoever asks for secrets.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from recado.configuration import cost_centre_of, cost_centres, every, named, put, remove
from recado.connectors import Setting, Upstream
from recado.costcentre import CostCentre, new_password
from recado.errors import Conflict, Invalid, NotFound
from recado.registry import CONNECTORS
from recado.routing import Route
from recado.wiring import Deps

_UPSTREAM, _ROUTE = "upstream", "route"  # kinds of configuration records
_CALLBACK_URL = "callback_url"  # the setting of upstreams that have to be told where we are
_HIDDEN = "***"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # part of a URL's path, and of keys
_BASE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]+)*")
_PREFIX = re.compile(r"[0-9]{0,15}")  # E.164 has 15 digits at most
_AFTER_UNCERTAIN = ("resend", "report")
_MOST_IN_FLIGHT = 1_000
_LONGEST_SUBMIT = 15.0  # dispatch has 40 s for its last submits to end; it begins none after 20
_LIMITS = frozenset({"concurrency", "submit_timeout", "after_uncertain"})


def connector_kinds() -> list[dict[str, Any]]:
    """Every setting of every kind of upstream."""
    return [
        {"kind": kind, "setting": name, "needed": setting.needed, "meaning": setting.meaning}
        for kind, connector in CONNECTORS.items()
        for name, setting in connector.SETTINGS.items()
    ]


# --- connectors ----------------------------------------------------------------------------------


def connector_add(
    deps: Deps,
    name: str,
    kind: str,
    settings: Mapping[str, str] | None = None,
    callback_base: str | None = None,
    **limits: Any,
) -> dict[str, Any]:
    """A new upstream with a callback URL of its own, under `callback_base` or where the
    installation says that it is reached. No route leads to it yet."""
    _check_name(name)
    if kind not in CONNECTORS:
        raise Invalid("kind", f"must be one of {', '.join(CONNECTORS)}")
    secret = new_password()
    base = Upstream(name=name, kind=kind, settings=dict(settings or {}), callback_secret=secret)
    url = _callback_url(base, callback_base, deps)
    if url is None:
        raise Invalid(
            "callback_base", "is not known: it is the URL at which this gateway is reached"
        )
    upstream = _checked(_limited(_told(base, base.settings.get(_CALLBACK_URL) or url), limits))
    if not put(_UPSTREAM, name, upstream, deps):
        raise Conflict(f"there is a connector {name} already")
    return connector_show(deps, name, secrets=True, callback_base=callback_base)


def connector_list(deps: Deps) -> list[dict[str, Any]]:
    """Every upstream, without secrets, and the routes that lead to it."""
    routes = every(_ROUTE, Route, deps)
    found = every(_UPSTREAM, Upstream, deps)
    return [_shown(upstream, routes, deps) for upstream in found]


def connector_show(
    deps: Deps, name: str, secrets: bool = False, callback_base: str | None = None
) -> dict[str, Any]:
    """One upstream with its settings; its callback URL whole where secrets are asked for."""
    upstream, routes = _upstream(name, deps), every(_ROUTE, Route, deps)
    return _shown(upstream, routes, deps, secrets=secrets, callback_base=callback_base)


def connector_update(
    deps: Deps,
    name: str,
    settings: Mapping[str, str] | None = None,
    callback_base: str | None = None,
    **limits: Any,
) -> dict[str, Any]:
    """Changes settings; an empty one goes. Where `callback_base` is given, an upstream that has to
    be told the callback URL is told the one under it."""
    old = _upstream(name, deps)
    merged = {**old.settings, **(settings or {})}
    changed = replace(old, settings={key: value for key, value in merged.items() if value})
    if callback_base is not None or not changed.settings.get(_CALLBACK_URL):
        url = _callback_url(changed, callback_base, deps)
        changed = changed if url is None else _told(changed, url)
    changed = _checked(_limited(changed, limits))
    if not put(_UPSTREAM, name, replace(changed, version=old.version + 1), deps):
        raise Conflict("somebody else has just changed this connector: look, and try again")
    secrets = callback_base is not None  # then it is one that nobody has seen yet
    return connector_show(deps, name, secrets, callback_base)


def connector_remove(deps: Deps, name: str) -> dict[str, Any]:
    """Forgets an upstream: whatever it still calls back about is refused from then on."""
    upstream = _upstream(name, deps)
    leading = [route.name for route in every(_ROUTE, Route, deps) if route.upstream == name]
    if leading:
        raise Conflict(f"{name} can't go while routes lead to it: {', '.join(leading)}")
    if not remove(_UPSTREAM, name, upstream.version, deps):
        raise Conflict("somebody else has just changed this connector: look, and try again")
    return {"removed": name}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid("name", "may have 64 letters, digits, - and _ at most, and no others")


def _upstream(name: str, deps: Deps) -> Upstream:
    found = named(_UPSTREAM, name, Upstream, deps) if name else None
    if found is None:
        raise NotFound(f"no connector is called {name}{_there_are(_UPSTREAM, Upstream, deps)}")
    return found


def _there_are(kind: str, record_type: type[Upstream] | type[Route], deps: Deps) -> str:
    names = [record.name for record in every(kind, record_type, deps)]
    return f": there are {', '.join(names)}" if names else ": there is none yet"


def _callback_url(upstream: Upstream, callback_base: str | None, deps: Deps) -> str | None:
    """Where this upstream's callbacks are to come; None where nobody says where we are reached."""
    base = (deps.settings.public_base_url if callback_base is None else callback_base).rstrip("/")
    if callback_base is None and not base:
        return None
    if not _BASE.fullmatch(base):
        raise Invalid("callback_base", "must be an http or https URL")
    return base + _callback_path(upstream)


def _callback_path(upstream: Upstream) -> str:
    return f"/callback/{upstream.name}/{upstream.callback_secret}"


def _told(upstream: Upstream, callback_url: str) -> Upstream:
    """The upstream, told where it is to call, if it is of a kind that has to be told."""
    if _CALLBACK_URL not in CONNECTORS[upstream.kind].SETTINGS:
        return upstream
    return replace(upstream, settings={**upstream.settings, _CALLBACK_URL: callback_url})


def _limited(upstream: Upstream, limits: Mapping[str, Any]) -> Upstream:
    unknown = sorted(set(limits) - _LIMITS)
    if unknown:
        raise Invalid(unknown[0], "is nothing that a connector has")
    try:
        changed = msgspec.convert({**asdict(upstream), **limits}, Upstream)
    except msgspec.ValidationError as error:
        raise Invalid("connector", str(error)) from error
    if not 1 <= changed.concurrency <= _MOST_IN_FLIGHT:
        raise Invalid("concurrency", f"must be between 1 and {_MOST_IN_FLIGHT}")
    if not 0 < changed.submit_timeout <= _LONGEST_SUBMIT:
        raise Invalid(
            "submit_timeout", f"must be above 0 and at most {_LONGEST_SUBMIT:.0f} seconds"
        )
    if changed.after_uncertain not in _AFTER_UNCERTAIN:
        raise Invalid("after_uncertain", f"must be {' or '.join(_AFTER_UNCERTAIN)}")
    return changed


def _checked(upstream: Upstream) -> Upstream:
    """The upstream itself. Raises Invalid, naming the setting, or what its connector raises."""
    connector = CONNECTORS[upstream.kind]
    for name in upstream.settings:
        if name not in connector.SETTINGS:
            there_are = ", ".join(connector.SETTINGS)
            raise Invalid(name, f"is no setting of the kind {upstream.kind}: there are {there_are}")
    for name, setting in connector.SETTINGS.items():
        _check_setting(name, setting, upstream.settings.get(name))
    connector.abilities(upstream)  # reads what a form can't say
    return upstream


def _check_setting(name: str, setting: Setting, value: str | None) -> None:
    if value is None:
        if setting.needed:
            raise Invalid(name, f"is missing: {setting.meaning}")
    elif not re.fullmatch(setting.form, value):
        raise Invalid(name, f"makes no sense: {setting.meaning}")


def _shown(
    upstream: Upstream,
    routes: Sequence[Route],
    deps: Deps,
    *,
    secrets: bool = False,
    callback_base: str | None = None,
) -> dict[str, Any]:
    """With the secret wherever it stands, or with stars instead of it."""
    secret = upstream.callback_secret

    def told(text: str) -> str:
        return text if secrets or not secret else text.replace(secret, _HIDDEN)

    # Where the upstream was told a URL, it is that one which it calls.
    url = upstream.settings.get(_CALLBACK_URL) or _callback_url(upstream, callback_base, deps)
    shown = asdict(upstream)
    del shown["callback_secret"]
    return {
        **shown,
        "settings": {name: told(value) for name, value in upstream.settings.items()},
        "callback_url": told(url or _callback_path(upstream)),
        "routes": [route.name for route in routes if route.upstream == upstream.name],
    }


# --- routes --------------------------------------------------------------------------------------


def route_add(
    deps: Deps, name: str, upstream: str, cost_centre: str = "", prefix: str = ""
) -> dict[str, Any]:
    """A new route: messages of a cost centre (none: of any) to numbers with a prefix (none: to all)
    go to that upstream. Routes are tried by name."""
    _check_name(name)
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


def _route(name: str, deps: Deps) -> Route:
    found = named(_ROUTE, name, Route, deps) if name else None
    if found is None:
        raise NotFound(f"no route is called {name}{_there_are(_ROUTE, Route, deps)}")
    return found


def _led(route: Route, changes: Mapping[str, str], deps: Deps) -> Route:
    """The route with what was given to it, each of which has to exist."""
    unknown = sorted(set(changes) - {"upstream", "cost_centre", "prefix"})
    if unknown:
        raise Invalid(unknown[0], "is nothing that a route has")
    fields = dict(changes)
    if "upstream" in fields:
        fields["upstream"] = _upstream(fields["upstream"], deps).name
    if fields.get("cost_centre"):
        fields["cost_centre"] = cost_centre_of(fields["cost_centre"], deps).id
    if not _PREFIX.fullmatch(fields.get("prefix", "")):
        raise Invalid("prefix", "must be the first digits of numbers, such as 5534")
    return replace(route, **fields)


def _described(route: Route, customers: Sequence[CostCentre]) -> dict[str, Any]:
    names = {cost_centre.id: cost_centre.name for cost_centre in customers}
    return {**asdict(route), "cost_centre_name": names.get(route.cost_centre, "")}
