"""Looks: which SMSCs are configured, and which binds are ours. Plain code over the Store, for the
hands.

The two are apart: what is wrong with one connector, or slow to be read, must not keep the leases of
all others from being renewed.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from recado.connectors import Upstream
from recado.connectors.smpp_settings import measure_of
from recado.errors import Misconfigured
from recado.observability import words_of
from recado.wiring import Deps
from smpp.bind import Timing
from smpp.carrier import lease_name, login_of

ALL_BINDS = "binds"  # the lease of whoever carries them
_KIND = "smpp"

Lease: TypeAlias = tuple[str, int]
"""Of a bind: its connector, and its number."""


class Known(Struct, frozen=True):
    """What the last look has shown of a connector."""

    upstream: Upstream
    password: str


class Seen(Struct, frozen=True):
    """What a look shows: connectors by name, and what is wrong with those that could not be read.
    These are as they were, or not there yet."""

    known: Mapping[str, Known]
    problems: Mapping[str, str]


class Held(Struct, frozen=True):
    """Whether the binds are ours to carry, and of the lease of each bind that was asked for whether
    we have it."""

    ours: bool
    leases: Mapping[Lease, bool]


class _Named(Struct):
    """As much of a record as says whose it is."""

    name: str


def hold(deps: Deps, holder: str, asks: bool, wanted: Sequence[Lease], timing: Timing) -> Held:
    """Takes the lease of all, or keeps it, where it `asks` for that; where it is ours, those of the
    binds that are `wanted`, too."""
    now, store = deps.clock(), deps.engine.store
    until = now + timing.lease
    if asks and not store.lease(ALL_BINDS, holder, until, now):
        return Held(ours=False, leases={})
    taken = {lease: store.lease(lease_name(*lease), holder, until, now) for lease in wanted}
    return Held(ours=True, leases=taken)


def look(deps: Deps, known: Mapping[str, Known], again: frozenset[str]) -> Seen:
    """Reads the configuration. What was `known` is not asked for again, but the passwords of those
    of `again`: they may have been put right."""
    found: dict[str, Known] = {}
    problems: dict[str, str] = {}
    for body in deps.engine.store.configs("upstream"):
        try:
            upstream = msgspec.json.decode(body, type=Upstream)
        except msgspec.DecodeError:
            problems[_name_in(body)] = "its record can't be read"
            continue
        if upstream.kind == _KIND:
            name = upstream.name
            try:
                found[name] = _known(upstream, known.get(name), again=name in again, deps=deps)
            except Exception as error:  # whatever the keyring raises: it is this connector's alone
                problems[name] = _told(error)
    # A record that does not even say whose it is may be that of any that is missing.
    kept = known if "" in problems else problems
    before = {name: known[name] for name in kept if name in known}
    return Seen({**before, **found}, problems)


def _name_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Named).name
    except msgspec.DecodeError:
        return ""


def _known(upstream: Upstream, before: Known | None, *, again: bool, deps: Deps) -> Known:
    """With its password, which is looked up only where something has changed: it costs money.
    Raises Misconfigured on settings that make no sense, and what the keyring raises."""
    login_of(upstream, "")
    measure_of(upstream)
    if before is not None and before.upstream == upstream and not again:
        return before
    return Known(upstream, deps.keyring.get(f"connector/{upstream.name}/password") or "")


def _told(error: Exception) -> str:
    if isinstance(error, Misconfigured):
        return str(error)
    return f"its password can't be read: {words_of(error) or type(error).__name__}"


def give_back(deps: Deps, holder: str, leases: Sequence[str]) -> None:
    """By their names; what is not ours stays whose it is."""
    now = deps.clock()
    for lease in leases:
        deps.engine.store.lease(lease, holder, now, now)
