"""The promise "yes means durable": processes are killed under load, and counted is what those
that went on living have in their logs.
"""

import http.client
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.control import Command
from node.control import ask as ask_node
from node.up import GRACE
from tests.support.processes import Processes, ask, processes_in, request, until

THREADS = 6
BATCH_OF = 10
SINGLE, NO_RECEIPT = "5534998887755", "5511900000014"
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


class Load:
    """Threads that send, each on its kept connection, and note what got a yes. What got no answer
    is never sent again: it may have been taken or not."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.singles: list[str] = []
        self.no_receipt: list[str] = []  # those of the singles whose receipt never comes
        self.batches: list[str] = []
        self.refused: list[Any] = []
        self._stop = threading.Event()
        kinds = [self._single] * THREADS + [self._batch]
        self._threads = [
            threading.Thread(target=self._run, args=(kind, number))
            for number, kind in enumerate(kinds)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self, singles: int) -> None:
        enough = len(self.singles) + singles
        until(lambda: len(self.singles) >= enough, f"{enough} messages that got a yes")

    def _run(self, kind: Any, number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for turn in range(100_000):
            if self._stop.wait(0.005):
                break
            try:
                kind(link, number, turn)
            except (OSError, http.client.HTTPException):
                link.close()  # the next request connects anew
        link.close()

    def _single(self, link: http.client.HTTPConnection, number: int, turn: int) -> None:
        silent = turn % 5 == 0
        body = {
            "destination_addr": NO_RECEIPT if silent else SINGLE,
            "message": f"{number} {turn}",
        }
        status, answer = ask(link, "POST", "/message", body)
        if status != 200:
            self.refused.append((status, answer))
            return
        self.singles.append(answer["message_id"])
        if silent:
            self.no_receipt.append(answer["message_id"])

    def _batch(self, link: http.client.HTTPConnection, number: int, turn: int) -> None:
        self._stop.wait(0.05)
        listed = [
            {"destination_addr": SINGLE, "message": f"{number} {turn} {position}"}
            for position in range(BATCH_OF)
        ]
        status, answer = ask(link, "POST", "/message/batch", {"list": listed})
        if status != 200:
            self.refused.append((status, answer))
            return
        self.batches.append(answer["batchId"])


class Told:
    """What the sink got, in the order in which it got it."""

    def __init__(self, processes: Processes) -> None:
        self.types: dict[str, list[int]] = {}  # by message id
        self.stats: dict[str, set[str]] = {}
        self.batches: dict[str, list[str]] = {}  # by batch id: its messages' ids
        self.batches_told: Counter[str] = Counter()
        self.before_batch: dict[str, set[str]] = {}  # what had been reported by then
        for body in (line["body"] for line in processes.sink_lines()):
            if "batchId" in body:
                self.batches_told[body["batchId"]] += 1
                if body["batchId"] not in self.batches:
                    self.batches[body["batchId"]] = [x["message_id"] for x in body["list"]]
                    self.before_batch[body["batchId"]] = set(self.types)
                continue
            self.types.setdefault(body["message_id"], []).append(body["type"])
            stat = body["stat"] if body["type"] == 1 else body["report_stat"]
            self.stats.setdefault(body["message_id"], set()).add(stat)


def has_everything(load: Load, processes: Processes) -> bool:
    told = Told(processes)
    if not set(load.batches) <= set(told.batches):
        return False
    silent = set(load.no_receipt)
    owed = [(identifier, {1} if identifier in silent else {1, 2}) for identifier in load.singles]
    owed += [(message, {1, 2}) for batch in load.batches for message in told.batches[batch]]
    return all(types <= set(told.types.get(identifier, ())) for identifier, types in owed)


def comes_to_rest(load: Load, processes: Processes) -> None:
    """Until the sink has everything that is owed, and neither queue nor simulator has anything
    left (a copy of a message that is still to be submitted is still to be counted)."""
    until(lambda: has_everything(load, processes), "every report at the sink", 60.0, pause=0.2)
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
