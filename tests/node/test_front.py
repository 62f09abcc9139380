"""A node in two processes: that each may die at any time, and that it ends as one."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.up import GRACE
from recado.smpp import pdu as wire
from recado.smpp.receipt import read_receipt
from tests.faults.test_kill import check_nothing_is_lost, comes_to_rest
from tests.support.load import Load
from tests.support.processes import Process, Processes, processes_in, request, until
from tests.support.smpp_caller import bound


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Processes]:
    """A simulator, a sink and a cost centre that reports to it; no node yet."""
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        processes.cost_centre()
        yield processes


def fronts_of(node: Process) -> list[int]:
    """The process ids of its fronts."""
    asked = ["ps", "-o", "pid=,args=", "--ppid", str(node.popen.pid)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in said.splitlines() if "node.front" in line]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_message_goes_its_whole_way_through_both_processes(town: Processes) -> None:
    node = town.node("--fronts", "1")
    assert len(fronts_of(node)) == 1
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    assert [report["type"] for report in town.reports(identifier)] == [1, 2]
    assert request(town.http_port, "GET", "/ready") == (200, {"status": "ready"})
    assert node.end() == 0, node.said


def test_one_process_has_no_front(town: Processes) -> None:
    node = town.node("--fronts", "0")
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    assert fronts_of(node) == []


def test_a_customer_that_binds_gets_its_receipt_there(town: Processes) -> None:
    made = town.recado("costcentre", "create", "--name", "bia", "--json").json()
    town.node("--fronts", "1")
    with bound(town.smpp_port, made["smpp_system_id"], made["smpp_password"]) as caller:
        message_id = caller.submit()
        receipt = caller.until(wire.DELIVER_SM)
        caller.answer(receipt, b"\0")
    assert read_receipt(wire.read_message(receipt.body)).id == message_id


def test_what_an_operator_changes_holds_at_once_in_the_front(town: Processes) -> None:
    town.node("--fronts", "1")
    body = {"destination_addr": "5534998887755", "message": "oi"}
    for _ in range(3):
        assert request(town.http_port, "POST", "/message", body)[0] == 200
        assert town.recado("costcentre", "suspend", "ana").code == 0
        assert request(town.http_port, "POST", "/message", body)[0] != 200
        assert town.recado("costcentre", "resume", "ana").code == 0


def test_fronts_that_are_killed_under_load_are_replaced_and_lose_nothing(town: Processes) -> None:
    node = town.node("--fronts", "1")
    load = Load(town.http_port)
    try:
        for more in (40, 250, 120):
            load.wait_for_more(more)
            [front] = fronts_of(node)
            os.kill(front, signal.SIGKILL)
        load.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, town)
    check_nothing_is_lost(load, town)
    assert node.end() == 0


def test_a_worker_that_is_killed_under_load_takes_its_front_along_and_loses_nothing(
    town: Processes,
) -> None:
    node = town.node("--fronts", "1")
    load = Load(town.http_port)
    try:
        for more in (40, 250, 120):
            load.wait_for_more(more)
            [front] = fronts_of(node)
            node.kill()
            until(lambda front=front: not is_there(front), "the front's end")  # type: ignore[misc]
            node = town.node("--fronts", "1")
        load.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, town)
    check_nothing_is_lost(load, town)


def test_a_signal_to_both_ends_it_once_the_report_on_its_way_was_answered(
    town: Processes,
) -> None:
    node = town.node("--fronts", "1")
    town.sink_answers(hold=True)
    identifier = town.send()
    until(lambda: town.reports(identifier), "a report that waits for its answer")
    [front] = fronts_of(node)
    os.kill(front, signal.SIGTERM)  # as systemd does it
    node.popen.send_signal(signal.SIGTERM)
    until(lambda: "finishing what is in hand" in node.said, "the signal's arrival")
    assert is_there(front)
    town.sink_answers(status=200)
    assert node.popen.wait(GRACE) == 0
    assert not is_there(front)
    first = town.recado("message", "show", identifier, "--json").json()["reports"][0]
    assert [attempt["status"] for attempt in first["tries"]] == [200]
