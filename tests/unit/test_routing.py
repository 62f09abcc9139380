"""Which upstream a message goes through."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from recado.connectors import Upstream
from recado.engine import Store
from recado.engine.embedded import open_engine
from recado.routing import Route, Routing

NUMBER = "5511998887755"


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    engine, database = open_engine(tmp_path, {}, clock, 86_400.0)
    for name in ("one", "two", "three"):
        upstream = Upstream(name=name, kind="simulator")
        assert engine.store.put_config("upstream", name, msgspec.json.encode(upstream), 0)
    yield engine.store
    database.close()


def put(store: Store, *routes: Route) -> None:
    for route in routes:
        assert store.put_config("route", route.name, msgspec.json.encode(route), route.version)


def way(routing: Routing, number: str = NUMBER, cost_centre: str = "ana") -> str | None:
    upstream = routing.upstream_for(cost_centre, number)
    return upstream.name if upstream else None


def test_without_a_route_there_is_no_way_and_yet_a_message_may_be_taken(
    store: Store, clock: Clock
) -> None:
    routing = Routing(store, clock)
    assert way(routing) is None
    assert routing.reaches("ana", NUMBER)
    put(store, Route(name="narrow", upstream="one", prefix="5534"))
    routing.forget()
    assert not routing.reaches("ana", NUMBER)
    assert routing.reaches("ana", "5534998887755")


def test_an_upstream_that_was_just_added_is_found_within_seconds_and_not_looked_for_each_time(
    store: Store, clock: Clock
) -> None:
    routing = Routing(store, clock)
    assert routing.upstream("four") is None
    upstream = Upstream(name="four", kind="simulator")
    assert store.put_config("upstream", "four", msgspec.json.encode(upstream), 0)
    clock.now += 4.0
    assert routing.upstream("four") is None
    clock.now += 1.0
    assert routing.upstream("four") == upstream


def test_a_route_without_conditions_takes_everything(store: Store, clock: Clock) -> None:
    put(store, Route(name="default", upstream="one"))
    routing = Routing(store, clock)
    assert way(routing) == way(routing, "5534998887755", "bia") == "one"


def test_the_first_route_by_name_that_matches_is_taken(store: Store, clock: Clock) -> None:
    put(
        store,
        Route(name="30-rest", upstream="three"),
        Route(name="20-sao-paulo", upstream="two", prefix="5511"),
        Route(name="10-ana", upstream="one", cost_centre="ana", prefix="551199"),
    )
    routing = Routing(store, clock)
    assert way(routing) == "one"
    assert way(routing, cost_centre="bia") == "two"
    assert way(routing, "5511688887755") == "two"
    assert way(routing, "5534998887755") == "three"


def test_a_cost_centre_is_matched_whole_and_a_number_from_its_start(
    store: Store, clock: Clock
) -> None:
    put(store, Route(name="narrow", upstream="one", cost_centre="ana", prefix="5511"))
    routing = Routing(store, clock)
    assert way(routing) == "one"
    assert way(routing, cost_centre="anabel") is None
    assert way(routing, cost_centre="an") is None
    assert way(routing, "5551199887755") is None
    assert way(routing, "551") is None


def test_a_matching_route_to_an_upstream_that_is_not_there_is_no_way(
    store: Store, clock: Clock
) -> None:
    """It does not fall through: whoever wrote the route did not mean the next one."""
    put(store, Route(name="a", upstream="four"), Route(name="b", upstream="one"))
    assert way(Routing(store, clock)) is None


def test_upstreams_are_found_by_name(store: Store, clock: Clock) -> None:
    routing = Routing(store, clock)
    found = routing.upstream("two")
    assert found is not None
    assert found.name == "two"
    assert routing.upstream("four") is None


def test_a_change_is_seen_within_a_minute_and_at_once_where_it_was_made(
    store: Store, clock: Clock
) -> None:
    route = Route(name="default", upstream="one")
    put(store, route)
    here, elsewhere = Routing(store, clock), Routing(store, clock)
    assert way(here) == way(elsewhere) == "one"
    put(store, replace(route, upstream="two", version=1))
    here.forget()
    assert way(here) == "two"
    clock.now += 59.0
    assert way(elsewhere) == "one"
    clock.now += 1.0
    assert way(elsewhere) == "two"
