"""What leaves for the world outside is durable first: read by a second connection to the file,
which sees nothing of an open unit of work."""

import contextlib
import sqlite3
from typing import Any

from recado.engine.embedded import DATABASE_NAME
from recado.http import Reached
from tests.support.world import World


def _group_commits(world: World) -> None:
    """As on a running node: nothing is committed until somebody asks for it."""
    world.database.schedule = lambda _commit: None
    world.database.wait = world.database.settle


def _durable(world: World, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(world.folder / DATABASE_NAME)) as other:
        return [row[0] for row in other.execute(sql)]


def test_a_claim_is_durable_before_its_submit_leaves(world: World) -> None:
    seen: list[list[Any]] = []

    def upstream(submit: dict[str, Any]) -> Reached:
        seen.append(_durable(world, "SELECT body FROM records"))
        return world.take(submit)

    world.upstream = upstream
    _group_commits(world)
    identifier = world.send()
    world.database.settle()
    world.step()
    ((claim,),) = seen
    assert identifier in claim
    assert '"SUBMITTING"' in claim


def test_a_message_put_back_is_claimed_durably_again(world: World) -> None:
    identifier = world.send()
    world.upstream = lambda _: Reached(503, b"", {"retry-after": "1"})
    world.drain()
    seen: list[list[Any]] = []

    def upstream(submit: dict[str, Any]) -> Reached:
        seen.append(_durable(world, "SELECT body FROM records WHERE body LIKE '%claimed_until%'"))
        return world.take(submit)

    world.upstream = upstream
    _group_commits(world)
    world.now += 120.0
    world.queue.receive("Inbound", 1)  # what is due by now is made ready
    world.database.settle()
    world.step()
    ((claim,),) = seen
    assert identifier in claim
    assert '"submits":1' in claim
