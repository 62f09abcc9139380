"""schemathesis reads /openapi.json of a real node and asks what it can think of: nothing fails with
a 5xx, and every answer is what the document says. How it asks is told in schemathesis.toml."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import LOGIN, PASSWORD, Process, Processes, environment, processes_in

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# Whoever sets a callback URL that was made up must send nothing: some of them lead to somebody.
SETS_CALLBACKS = "/sms/add-callback-status"
SENDS_NOTHING = "eva"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes_in(tmp_path_factory.mktemp("schemathesis")) as started:
        yield started


@pytest.fixture(scope="module")
def node(processes: Processes) -> Process:
    """A node with its simulator and two cost centres."""
    node = processes.node(own_simulator=True)
    for login in (LOGIN, SENDS_NOTHING):
        words = ("--name", login, "--login", login, "--password", PASSWORD, "--json")
        processes.recado("costcentre", "create", *words).json()
    return node


def schemathesis(processes: Processes, login: str, *options: str) -> None:
    """One run of it, against the node, as a customer."""
    url = f"http://127.0.0.1:{processes.http_port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
    ran = subprocess.run(
        [*command, "run", url, "--auth", f"{login}:{PASSWORD}", *options],
        cwd=processes.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(300)
def test_schemathesis_finds_no_failure(processes: Processes, node: Process) -> None:
    schemathesis(processes, LOGIN, "--exclude-path", SETS_CALLBACKS)
    alone = ("--include-path", SETS_CALLBACKS, "--phases", "examples,coverage,fuzzing")
    schemathesis(processes, SENDS_NOTHING, *alone)
    assert not node.ended()
    assert "by our fault" not in node.said
    assert "a fault of ours" not in node.said
