"""Who opens the door: Basic credentials and access tokens, and how long either is believed."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from recado import operations, tokens
from recado.directory import Directory
from tests.support.world import World

DAY = 86_400.0


def basic(login: str = "ana", password: str = "segredo") -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


def bearer(world: World, password: str = "segredo", seconds: float = 3600.0) -> str:
    client = world.deps.directory.client("ana", password)
    assert client is not None
    token = tokens.issue("ana", client.digest, world.deps.pepper, world.now, seconds)
    return f"Bearer {token}"


def test_a_login_and_its_password_are_a_client(world: World) -> None:
    client = world.deps.directory.client("ana", "segredo")
    assert client is not None
    assert (client.login.login, client.cost_centre.name) == ("ana", "ana")
    assert client.digest in [kept.digest for kept in client.login.passwords]


@pytest.mark.parametrize(
    ("login", "password"),
    [("ana", "outro"), ("bia", "segredo"), ("", ""), ("ana", ""), ("ana:", "segredo")],
)
def test_anything_else_is_none(world: World, login: str, password: str) -> None:
    assert world.deps.directory.client(login, password) is None


def test_a_token_opens_what_its_login_opens(world: World) -> None:
    directory = world.deps.directory
    opened = directory.authenticate(basic())
    assert opened is not None
    header = bearer(world)
    assert directory.authenticate(header) == opened
    assert directory.authenticate(header.replace("Bearer ", "bearer  ")) == opened


def test_the_cache_believes_no_token_longer_than_it_lives(world: World) -> None:
    header = bearer(world, seconds=10)
    directory = world.deps.directory
    assert directory.authenticate(header) is not None
    world.now += 9.9
    assert directory.authenticate(header) is not None
    world.now += 0.2
    assert directory.authenticate(header) is None


def test_the_cache_believes_no_token_longer_than_its_password_lives(world: World) -> None:
    header = bearer(world)
    operations.costcentre_rotate(world.deps, "ana", overlap=20)
    directory = world.deps.directory
    assert directory.authenticate(header) is not None
    world.now += 20
    assert directory.authenticate(header) is None


def test_a_token_ends_at_once_with_a_password_that_is_rotated_without_overlap(
    world: World,
) -> None:
    header = bearer(world)
    assert world.deps.directory.authenticate(header) is not None
    operations.costcentre_rotate(world.deps, "ana", overlap=0)
    assert world.deps.directory.authenticate(header) is None


def test_another_environment_sees_a_rotation_within_a_minute(world: World) -> None:
    other = Directory(world.bare.store, lambda: b"pepper", world.clock)
    header = bearer(world)
    assert other.authenticate(header) is not None
    operations.costcentre_rotate(world.deps, "ana", overlap=0)
    world.now += 60
    assert other.authenticate(header) is None


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "bearer é", "Digest a=b", ""])
def test_a_header_that_is_nothing_opens_nothing(world: World, header: str) -> None:
    assert world.deps.directory.authenticate(header) is None


def test_an_unknown_token_is_not_remembered_as_unknown(
    make_world: Callable[..., Any],
) -> None:
    world = make_world()
    digest = "0" * 64
    token = tokens.issue("nova", digest, world.deps.pepper, world.now, 60)
    assert world.deps.directory.authenticate(f"Bearer {token}") is None
    made = operations.costcentre_create(world.deps, name="Nova", login="nova", password="segredo")
    client = world.deps.directory.client("nova", "segredo")
    good = tokens.issue("nova", client.digest, world.deps.pepper, world.now, 60)
    found = world.deps.directory.authenticate(f"Bearer {good}")
    assert found is not None
    assert found.id == made["id"]


def test_tokens_without_end_fill_no_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recado.directory._CACHED_HEADERS", 10)
    headers = [bearer(world, seconds=60 + n) for n in range(25)]
    assert all(world.deps.directory.authenticate(header) for header in headers)
    kept = world.deps.directory._by_header
    assert 0 < len(kept) <= 10
    assert all(world.deps.directory.authenticate(header) for header in headers)
