"""Fixtures that every kind of test may want."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.world import World

_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 2_000_000_000  # bytes; the tests take a tenth of it


def pytest_configure() -> None:
    """The tests' folders are in memory, where there is room: each commit of a database waits for a
    disk otherwise, and no test needs it to last longer than its process."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds with a data directory each, and closes them."""
    worlds: list[World] = []

    def make(**how: Any) -> World:
        folder = tmp_path / f"world-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(folder, **how))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world with a cost centre "ana"."""
    made = make_world()
    made.cost_centre()
    return made
