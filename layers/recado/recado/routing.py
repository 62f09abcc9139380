"""Which upstream a message goes through: the first route that matches."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from recado.connectors import Upstream
from recado.engine import Store
from recado.registry import CONNECTORS

_CACHED_SECONDS = 60.0
_NEW = 5.0  # after so many seconds an unknown name is worth another look


class Route(Struct, frozen=True, kw_only=True):
    """Messages of a cost centre (empty: any) to numbers with a prefix (empty: all) go to an
    upstream. Routes are tried by name."""

    name: str
    upstream: str
    cost_centre: str = ""
    prefix: str = ""
    version: int = 0


class Routing:
    """Routes and upstreams as the hot path reads them: cached for 60 s in each environment."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._routes: list[Route] = []
        self._upstreams: dict[str, Upstream] = {}
        self._ways: dict[tuple[str, bool], list[Route]] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Read everything anew: the configuration has changed."""
        self._until = 0.0

    def _read(self, now: float) -> None:
        routes = [msgspec.json.decode(b, type=Route) for b in self._store.configs("route")]
        upstreams = [msgspec.json.decode(b, type=Upstream) for b in self._store.configs("upstream")]
        # Together: others may look while the store is asked for the second.
        self._routes = routes
        self._upstreams = {upstream.name: upstream for upstream in upstreams}
        self._ways = {}
        self._until = now + _CACHED_SECONDS

    def upstream(self, name: str) -> Upstream | None:
        """The upstream of that name. Of one that is not known it is looked again before long: it
        may be new, and what it calls back about must not wait for a minute."""
        now = self._clock()
        unknown = name not in self._upstreams and now >= self._until - _CACHED_SECONDS + _NEW
        if unknown or now >= self._until:
            self._read(now)
        return self._upstreams.get(name)

    def reaches(self, cost_centre: str, number: str, *, voice: bool = False) -> bool:
        """Whether a message may be taken: a route matches, or there is none at all yet."""
        return self.upstream_for(cost_centre, number, voice=voice) is not None or not self._routes

    def upstream_for(
        self, cost_centre: str, number: str, *, voice: bool = False
    ) -> Upstream | None:
        """Where a message of this cost centre to this number goes, or None: no route matches. What
        is to be spoken passes by routes to upstreams that can't."""
        route = self.route_for(cost_centre, number, voice=voice)
        return None if route is None else self._upstreams.get(route.upstream)

    def route_for(self, cost_centre: str, number: str, *, voice: bool = False) -> Route | None:
        """The route by which it goes there."""
        now = self._clock()
        if now >= self._until:
            self._read(now)
        ways = self._ways.get((cost_centre, voice))
        if ways is None:
            ways = self._ways[cost_centre, voice] = self._ways_of(cost_centre, voice=voice)
        for route in ways:
            if number.startswith(route.prefix):
                return route
        return None

    def _ways_of(self, cost_centre: str, *, voice: bool) -> list[Route]:
        """The routes that a cost centre's messages may take: worked out once, not for each."""
        return [
            route
            for route in self._routes
            if route.cost_centre in ("", cost_centre)
            and (not voice or self._speaks(self._upstreams.get(route.upstream)))
        ]

    @staticmethod
    def _speaks(upstream: Upstream | None) -> bool:
        return upstream is not None and CONNECTORS[upstream.kind].abilities(upstream).speaks
