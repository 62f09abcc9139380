"""The settings of upstreams that are secrets (Setting.secret): they are in the keyring, as
"connector/<name>/<setting>", never in the upstream's record, and are never told again."""

from collections.abc import Mapping

from recado.connectors import Upstream
from recado.errors import Misconfigured
from recado.registry import CONNECTORS
from recado.wiring import Deps


def secrets_of(kind: str) -> list[str]:
    """The names of such settings."""
    return [name for name, setting in CONNECTORS[kind].SETTINGS.items() if setting.secret]


def apart(kind: str, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Of settings those that stand in the record, and the secrets."""
    names = secrets_of(kind)
    plain = {name: value for name, value in given.items() if name not in names}
    return plain, {name: value for name, value in given.items() if name in names}


def kept(upstream: Upstream, deps: Deps) -> dict[str, str]:
    """The secrets that an upstream has. Raises Misconfigured where they can't be read."""
    try:
        found = {
            name: deps.keyring.get(_key(upstream.name, name)) for name in secrets_of(upstream.kind)
        }
    except OSError as error:
        raise Misconfigured(f"a secret can't be read: {error.strerror}") from error
    return {name: value for name, value in found.items() if value}


def keep(connector: str, secrets: Mapping[str, str], deps: Deps) -> None:
    """Puts secrets into the keyring; an empty one goes. Raises Misconfigured where they can't be
    kept."""
    try:
        for name, value in secrets.items():
            if value:
                deps.keyring.put(_key(connector, name), value)
            else:
                deps.keyring.remove(_key(connector, name))
    except OSError as error:
        raise Misconfigured(f"a secret can't be kept: {error.strerror}") from error


def forget(upstream: Upstream, deps: Deps) -> None:
    """Removes all that an upstream has."""
    keep(upstream.name, dict.fromkeys(secrets_of(upstream.kind), ""), deps)


def _key(connector: str, name: str) -> str:
    return f"connector/{connector}/{name}"
