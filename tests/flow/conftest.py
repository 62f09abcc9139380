"""The flow suite's gateway here: `recado up` on this machine."""

from collections.abc import Iterator

import pytest

from tests.flow.installations import Installation, Node
from tests.support.processes import processes_in


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A node with a simulator and a sink beside it. Each test makes its own customers."""
    with processes_in(tmp_path_factory.mktemp("node")) as others:
        others.simulator()
        others.sink()
        yield Node(others)
