"""Ids carry a time, sort by it, and are the same for the same origin."""

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recado.ids import derived_id, first_id, id_time, is_id, new_id

times = st.floats(0, 2**32, allow_nan=False)
origins = st.tuples(st.uuids().map(str), st.integers(0, 1_000_000))


@given(times)
@example(1.001)  # in binary it is less than a millisecond above 1
def test_an_id_carries_its_time_to_the_millisecond(at: float) -> None:
    for identifier in (new_id(at), derived_id(at, "origin"), first_id(at)):
        assert at - 0.001_001 < id_time(identifier) <= at


@given(times)
def test_every_id_is_a_uuid_of_version_7(at: float) -> None:
    for identifier in (new_id(at), derived_id(at, "origin")):
        assert is_id(identifier)
        read = uuid.UUID(identifier)
        assert (read.version, read.variant) == (7, uuid.RFC_4122)
        assert str(read) == identifier


@given(times, st.floats(0.002, 1e9))
def test_ids_sort_by_their_times(at: float, later: float) -> None:
    assert new_id(at) < new_id(at + later)
    assert derived_id(at, "z") < derived_id(at + later, "a")


@given(times, st.floats(0, 1e9) | st.just(0.0))
def test_the_first_id_of_a_time_sorts_before_all_ids_of_then_and_later(
    at: float, later: float
) -> None:
    assert first_id(at) <= new_id(at + later)
    assert first_id(at) <= derived_id(at + later, "origin")
    assert first_id(at) <= first_id(at + later)


@given(times, st.floats(0.002, 1e9))
def test_the_first_id_of_a_time_sorts_after_all_ids_of_before(at: float, later: float) -> None:
    assert new_id(at) < first_id(at + later)
    assert derived_id(at, "origin") < first_id(at + later)


@given(times)
def test_the_time_of_an_id_bounds_that_id(at: float) -> None:
    identifier = new_id(at)
    assert first_id(id_time(identifier)) <= identifier


def test_fresh_ids_of_one_time_are_distinct() -> None:
    assert len({new_id(1_700_000_000.0) for _ in range(10_000)}) == 10_000


@given(times, origins)
def test_the_same_origin_has_the_same_id(at: float, origin: tuple[str, int]) -> None:
    assert derived_id(at, *origin) == derived_id(at, *origin)


def test_a_derived_id_does_not_change_between_versions() -> None:
    # A redelivery may outlive a deploy: another id would be another message.
    assert derived_id(1_700_000_000.0, "batch", 7) == "018bcfe5-6800-7e8a-a53b-f7fef554fb8d"


@given(times, st.lists(origins, unique=True, min_size=2, max_size=50))
def test_other_origins_have_other_ids(at: float, many: list[tuple[str, int]]) -> None:
    assert len({derived_id(at, *origin) for origin in many}) == len(many)


@given(times, st.floats(0.002, 1e9), origins)
def test_another_time_makes_another_id(at: float, later: float, origin: tuple[str, int]) -> None:
    assert derived_id(at, *origin) != derived_id(at + later, *origin)


def test_an_id_in_capitals_is_an_id() -> None:
    assert is_id("018BCFE5-6800-7D54-9A03-8FE19F2A3BCB")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "018bcfe568007d549a038fe19f2a3bcb",
        "{018bcfe5-6800-7d54-9a03-8fe19f2a3bcb}",
        "urn:uuid:018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        "018bcfe5-6800-7d54-9a03-8fe19f2a3bcb\n",
        " 018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        "018bcfe5-6800-7d54-9a03-8fe19f2a3bc",
        "018bcfe5-6800-7d54-9a03-8fe19f2a3bcg",
        "018bcfe5-6800-4d54-9a03-8fe19f2a3bcb",  # version 4
        "018bcfe5-6800-7d54-1a03-8fe19f2a3bcb",  # another variant
        "018bcfe56800-7d54-9a03-8fe19f2a3bcb-",
        "٠18bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
    ],
)
def test_what_is_no_uuid_of_version_7_in_its_usual_form_is_no_id(text: str) -> None:
    assert not is_id(text)


@given(st.uuids(version=4).map(str) | st.text())
def test_ids_of_other_makers_are_no_ids(text: str) -> None:
    assert not is_id(text)


@given(st.text(st.sampled_from("0123456789abcdefABCDEF-{} \n"), max_size=45))
def test_whatever_passes_for_an_id_has_a_time(text: str) -> None:
    if is_id(text):
        assert id_time(text) >= 0
