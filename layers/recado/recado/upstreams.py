"""What operators do with upstreams ("connectors", where they name them).

Operations as those of recado.operations, which has the list of all. A callback URL has a secret in
it: it is told when it is made, and later to whoever asks for secrets. A setting that is a secret
itself (Setting.secret) is in the keyring, and never told again.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from recado.configuration import every, named, put, remove
from recado.connector_secrets import apart, forget, keep, kept
from recado.connectors import Abilities, Setting, Upstream
from recado.costcentre import new_password
from recado.errors import Conflict, Invalid, NotFound
from recado.registry import CONNECTORS
from recado.routing import Route
from recado.wiring import Deps

_UPSTREAM, _ROUTE = "upstream", "route"  # kinds of configuration records
_CALLBACK_URL = "callback_url"  # the setting of upstreams that have to be told where we are
_HIDDEN = "***"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # part of a URL's path, and of keys
_BASE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]+)*")
_AFTER_UNCERTAIN = ("resend", "report")
_MOST_IN_FLIGHT = 1_000
_LONGEST_SUBMIT = 15.0  # dispatch has 40 s for its last submits to end; it begins none after 20
_LIMITS = frozenset({"concurrency", "submit_timeout", "after_uncertain"})


def connector_kinds() -> list[dict[str, Any]]:
    """Every setting of every kind of upstream."""
    return [
        {
            "kind": kind,
            "setting": name,
            "needed": setting.needed,
            "secret": setting.secret,
            "meaning": setting.meaning,
        }
        for kind, connector in CONNECTORS.items()
        for name, setting in connector.SETTINGS.items()
    ]


def connector_add(
    deps: Deps,
    name: str,
    kind: str,
    settings: Mapping[str, str] | None = None,
    callback_base: str | None = None,
    **limits: Any,
) -> dict[str, Any]:
    """A new upstream. No route leads to it yet. One that calls us back has a callback URL of its
    own, under `callback_base` or where the installation says that it is reached."""
    check_name(name)
    if kind not in CONNECTORS:
        raise Invalid("kind", f"must be one of {', '.join(CONNECTORS)}")
    if named(_UPSTREAM, name, Upstream, deps):  # whose secrets must stay as they are
        raise Conflict(f"there is a connector {name} already")
    plain, hidden = apart(kind, settings or {})
    base = Upstream(name=name, kind=kind, settings=plain)
    if _CALLBACK_URL in CONNECTORS[kind].SETTINGS or not _able(base, hidden).over_bind:
        base = replace(base, callback_secret=new_password())
        url = _callback_url(base, callback_base, deps)
        if url is None:
            raise Invalid(
                "callback_base", "is not known: it is the URL at which this gateway is reached"
            )
        base = _told(base, plain.get(_CALLBACK_URL) or url)
    upstream = _limited(base, limits)
    _able(upstream, hidden)
    keep(name, hidden, deps)
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
    upstream, routes = upstream_named(name, deps), every(_ROUTE, Route, deps)
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
    old = upstream_named(name, deps)
    plain, hidden = apart(old.kind, settings or {})
    merged = {**old.settings, **plain}
    changed = replace(old, settings={key: value for key, value in merged.items() if value})
    if callback_base is not None or not changed.settings.get(_CALLBACK_URL):
        url = _callback_url(changed, callback_base, deps)
        changed = changed if url is None else _told(changed, url)
    changed = _limited(changed, limits)
    _able(changed, {**kept(old, deps), **hidden})
    # The new version is what a bind goes by: it has to find the new password then.
    keep(name, hidden, deps)
    _replace(old, changed, deps)
    told = callback_base is not None  # then it is one that nobody has seen yet
    return connector_show(deps, name, told, callback_base)


def connector_pause(deps: Deps, name: str) -> dict[str, Any]:
    """Hands nothing more to an upstream: what is routed to it waits. It stays bound, so that
    receipts and replies come."""
    return _paused(deps, name, paused=True)


def connector_resume(deps: Deps, name: str) -> dict[str, Any]:
    return _paused(deps, name, paused=False)


def _paused(deps: Deps, name: str, *, paused: bool) -> dict[str, Any]:
    old = upstream_named(name, deps)
    _replace(old, replace(old, paused=paused), deps)
    return connector_show(deps, name)


def _replace(old: Upstream, new: Upstream, deps: Deps) -> None:
    if not put(_UPSTREAM, old.name, replace(new, version=old.version + 1), deps):
        raise Conflict("somebody else has just changed this connector: look, and try again")


def connector_remove(deps: Deps, name: str) -> dict[str, Any]:
    """Forgets an upstream: whatever it still calls back about is refused from then on."""
    upstream = upstream_named(name, deps)
    leading = [route.name for route in every(_ROUTE, Route, deps) if route.upstream == name]
    if leading:
        raise Conflict(f"{name} can't go while routes lead to it: {', '.join(leading)}")
    if not remove(_UPSTREAM, name, upstream.version, deps):
        raise Conflict("somebody else has just changed this connector: look, and try again")
    forget(upstream, deps)
    return {"removed": name}


def check_name(name: str) -> None:
    """Raises Invalid where nothing may be called so."""
    if not _NAME.fullmatch(name):
        raise Invalid("name", "may have 64 letters, digits, - and _ at most, and no others")


def upstream_named(name: str, deps: Deps) -> Upstream:
    """Raises NotFound, which says which there are."""
    found = named(_UPSTREAM, name, Upstream, deps) if name else None
    if found is None:
        known = [upstream.name for upstream in every(_UPSTREAM, Upstream, deps)]
        raise NotFound(f"no connector is called {name}{there_are(known)}")
    return found


def there_are(names: Sequence[str]) -> str:
    """What follows where none has the name that was asked for."""
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


def _able(upstream: Upstream, hidden: Mapping[str, str]) -> Abilities:
    """What an upstream with these settings is able to do. Raises Invalid, naming the setting, or
    what its connector raises."""
    connector = CONNECTORS[upstream.kind]
    given = {**upstream.settings, **hidden}
    for name in given:
        if name not in connector.SETTINGS:
            known = ", ".join(connector.SETTINGS)
            raise Invalid(name, f"is no setting of the kind {upstream.kind}: there are {known}")
    for name, setting in connector.SETTINGS.items():
        _check_setting(name, setting, given.get(name))
    return connector.abilities(upstream)  # reads what a form can't say


def _check_setting(name: str, setting: Setting, value: str | None) -> None:
    if value is None or (setting.secret and not value):
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

    shown = asdict(upstream)
    del shown["callback_secret"]
    shown["settings"] = {name: told(value) for name, value in upstream.settings.items()}
    shown["settings"] |= dict.fromkeys(kept(upstream, deps), _HIDDEN)
    if secret:  # else it calls nobody
        # Where the upstream was told a URL, it is that one which it calls.
        url = upstream.settings.get(_CALLBACK_URL) or _callback_url(upstream, callback_base, deps)
        shown["callback_url"] = told(url or _callback_path(upstream))
    return {
        **shown,
        "routes": [route.name for route in routes if route.upstream == upstream.name],
    }
