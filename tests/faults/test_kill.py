"""The promise "yes means durable": processes are killed under load, and counted is what those
that went on living have in their logs.
"""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.control import Command
from node.control import ask as ask_node
from node.up import GRACE
from tests.support.load import BATCH_OF, Load, Told, missing
from tests.support.processes import Processes, processes_in, request, until

RECEIPT_DELAY = "0.3"


class Town(Struct, frozen=True):
    """What a run is made of, and the cost centre in it."""

    processes: Processes
    cost_centre: str


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A simulator and a sink that run, and a directory with a cost centre; no node yet."""
    with processes_in(tmp_path) as processes:
        processes.simulator("--receipt-delay", RECEIPT_DELAY)
        processes.sink()
        yield Town(processes, processes.cost_centre())


def comes_to_rest(load: Load, processes: Processes) -> None:
    """Until the sink has everything that is owed, and neither queue nor simulator has anything
    left (a copy of a message that is still to be submitted is still to be counted)."""
    until(
        lambda: not missing(load, processes),
        lambda: f"every report at the sink; there lack {missing(load, processes)[:20]}",
        60.0,
        pause=0.2,
    )
    until(lambda: nothing_left(processes), "empty queues, and no receipt pending", 30.0)


def nothing_left(processes: Processes) -> bool:
    _, stats = request(processes.simulator_port, "GET", "/stats", credentials=None)
    queues = processes.recado("queue", "list", "--json").json()
    assert [queue["dead"] for queue in queues] == [0] * len(queues)
    return stats["pending"] == 0 and not any(q["ready"] + q["delayed"] for q in queues)


def record(processes: Processes, identifier: str) -> dict[str, Any]:
    """What `recado message show ID --json` prints, over the same socket."""
    answer = ask_node(processes.data, Command("message_show", {"identifier": identifier}))
    assert answer is not None
    assert answer.problem is None, answer.problem
    found: dict[str, Any] = answer.result
    return found


def check_nothing_is_lost(load: Load, processes: Processes) -> None:
    told, taken = Told(processes), Counter(processes.taken())
    silent = set(load.no_receipt)
    batched = [message for batch in load.batches for message in told.batches[batch]]
    assert load.refused == []
    assert len(set(load.singles)) == len(load.singles)
    assert len(batched) == BATCH_OF * len(load.batches)
    assert not [message for message in load.singles + batched if not taken[message]]
    for message in load.singles + batched:
        # A report that was on its way at a kill comes again: never one before its turn.
        types = told.types[message]
        assert types == sorted(types), (message, types)
        assert set(types) == ({1} if message in silent else {1, 2})
        assert told.stats[message] == (
            {"ESME_ROK"} if message in silent else {"ESME_ROK", "DELIVRD"}
        )
    for batch in load.batches:
        early = told.before_batch[batch] & set(told.batches[batch])
        assert not early, f"{early} were reported before their batch {batch} was"


def check_doubles_were_in_flight(processes: Processes) -> int:
    """Taken twice is only what our record says may have been: how many."""
    doubled = [message for message, times in Counter(processes.taken()).items() if times > 1]
    for message in doubled:
        found = record(processes, message)
        assert found["submits"] > 1 or found.get("maybe_sent"), found
    return len(doubled)


def test_a_node_that_is_killed_under_load_again_and_again_loses_nothing_it_said_yes_to(
    town: Town,
) -> None:
    processes = town.processes
    node = processes.node()
    load = Load(processes.http_port)
    try:
        for more in (40, 250, 400, 120):
            load.wait_for_more(more)
            node.kill()
            node = processes.node()
        load.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, processes)
    check_nothing_is_lost(load, processes)
    check_doubles_were_in_flight(processes)
    assert len(load.singles) > 900
    assert len(load.batches) > 5
    assert "Traceback" not in node.said


def test_a_simulator_that_is_killed_under_load_costs_nothing(town: Town) -> None:
    processes = town.processes
    node = processes.node()
    simulator = processes.simulator_process
    load = Load(processes.http_port)
    try:
        for more in (100, 200):
            load.wait_for_more(more)
            simulator.kill()
            load.wait_for_more(100)
            simulator = processes.simulator("--receipt-delay", RECEIPT_DELAY)
        load.wait_for_more(50)
    finally:
        load.stop()
    comes_to_rest(load, processes)
    check_nothing_is_lost(load, processes)
    check_doubles_were_in_flight(processes)
    assert "Traceback" not in node.said


def test_a_node_that_is_told_to_stop_under_load_doubles_nothing(town: Town) -> None:
    processes = town.processes
    node = processes.node()
    load = Load(processes.http_port)
    try:
        for more in (150, 250):
            load.wait_for_more(more)
            assert node.end(signal.SIGTERM, within=GRACE + 10) == 0
            assert "Traceback" not in node.said
            node = processes.node()
        load.wait_for_more(50)
    finally:
        load.stop()
    comes_to_rest(load, processes)
    check_nothing_is_lost(load, processes)
    told = Told(processes)
    assert set(Counter(processes.taken()).values()) == {1}
    assert set(told.batches_told.values()) == {1}
    assert not [message for message, types in told.types.items() if len(types) > len(set(types))]
    assert "Traceback" not in node.said
