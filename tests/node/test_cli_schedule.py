"""`recado schedule`, on a node that runs and on its directory alone; and what a restart catches up
with."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Processes, processes_in, request, until

UNKNOWN = "019aa8a6-5c00-7000-8000-000000000000"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Processes]:
    """A simulator, a sink, and the cost centre "ana": all but the node."""
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        processes.cost_centre()
        yield processes


def in_days(days: float) -> str:
    at = datetime.now(UTC) + timedelta(days=days)
    return at.isoformat(timespec="milliseconds")


def schedule(town: Processes, send_at: str, numbers: int = 1) -> str:
    """A message or a batch that waits until then: its id."""
    wishes = [{"destination_addr": f"553499{n:07}", "message": "oi"} for n in range(numbers)]
    if numbers == 1:
        answer = request(town.http_port, "POST", "/message", {**wishes[0], "send_at": send_at})[1]
        return str(answer["message_id"])
    body = {"list": wishes, "send_at": send_at}
    return str(request(town.http_port, "POST", "/message/batch", body)[1]["batchId"])


def listed(town: Processes, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = town.recado("schedule", "list", *options, "--json").json()
    return found


def problem(town: Processes, *arguments: str) -> str:
    """The one line that a command ends with that could not do what it was asked."""
    ran = town.recado(*arguments)
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    return line


def test_schedules_are_listed_moved_and_cancelled_whether_the_node_runs_or_not(
    town: Processes,
) -> None:
    node = town.node()
    single, many = schedule(town, in_days(2)), schedule(town, in_days(3), numbers=3)
    assert [(one["id"], one["kind"], one["count"]) for one in listed(town)] == [
        (single, "message", 1),
        (many, "batch", 3),
    ]
    moved = town.recado("schedule", "move", single, in_days(4), "--json").json()
    assert moved["id"] == single
    assert [one["id"] for one in listed(town, "--cost-centre", "ana")] == [many, single]
    table = town.recado("schedule", "list").out.splitlines()
    assert [line.split()[0] for line in table] == ["id", many, single]
    town.recado("costcentre", "create", "--name", "bia")
    assert listed(town, "--cost-centre", "bia") == []
    sent = town.send()
    until(lambda: len(town.reports(sent)) == 2, "its reports")
    assert "has already gone" in problem(town, "schedule", "move", sent, in_days(1))
    for unknown in (UNKNOWN, "x"):
        assert unknown in problem(town, "schedule", "move", unknown, in_days(1))
        assert unknown in problem(town, "schedule", "cancel", unknown)
    assert "is in the past" in problem(town, "schedule", "move", single, "2h")
    assert "is no time" in problem(town, "schedule", "move", single, "tomorrow")
    assert town.recado("schedule", "cancel", single, "--json").json()["state"] == "DELETED"
    node.end()
    assert [one["id"] for one in listed(town)] == [many]
    assert town.recado("schedule", "move", many, in_days(2)).code == 0
    town.recado("schedule", "cancel", many, "--json").json()
    assert listed(town) == []


def test_what_fell_due_while_no_node_ran_goes_once_when_one_does(town: Processes) -> None:
    node = town.node()
    due = time.time() + 6.0
    send_at = datetime.fromtimestamp(due, UTC).isoformat()
    many = {schedule(town, send_at) for _ in range(200)}
    node.kill()
    assert town.taken() == []
    until(lambda: time.time() > due, "the hour")
    town.node()
    until(lambda: set(town.taken()) >= many, "all messages")
    until(lambda: all(len(town.reports(one)) == 2 for one in many), "all reports")
    assert set(Counter(town.taken()).values()) == {1}
