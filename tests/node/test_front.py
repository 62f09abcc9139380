"""A node in two processes: that each may die at any time, and that it ends as one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.up import GRACE
from tests.faults.test_kill import check_nothing_is_lost, comes_to_rest
from tests.support.fronts import fronts_of, is_there, kill_front
from tests.support.load import Load
from tests.support.processes import Processes, processes_in, request, until
from tests.support.smpp_load import Esme, HttpLoad, SmscProcess, delivered, goes_to


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Processes]:
    """A simulator, a sink and a cost centre that reports to it; no node yet."""
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        processes.cost_centre()
        yield processes


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
            kill_front(node, town.http_port)
        load.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, town)
    check_nothing_is_lost(load, town)
    assert node.end() == 0


def test_a_front_that_is_killed_under_load_by_smpp_loses_no_message_and_no_receipt(
    tmp_path: Path,
) -> None:
    with processes_in(tmp_path) as processes:
        smsc = SmscProcess(processes)
        processes.sink()
        processes.cost_centre()
        made = processes.recado("costcentre", "create", "--name", "bia", "--json").json()
        goes_to(processes, smsc, "--submit-timeout=2", window="10")
        node = processes.node("--no-simulator", "--fronts", "1")
        load = HttpLoad(processes.http_port)
        esme = Esme(processes.smpp_port, made["smpp_system_id"], made["smpp_password"], 20)
        try:
            for more in (60, 200):
                load.wait_for_more(more)
                esme.wait_for_more(more)
                kill_front(node, processes.http_port, processes.smpp_port)
            esme.wait_for_more(100)
            load.wait_for_more(100)
            load.stop()
            esme.stop()
            until(lambda: not load.yes.keys() - delivered(processes), "all told by HTTP", 60.0)
            until(lambda: not esme.yes - esme.told.keys(), esme.state, 60.0)
        finally:
            load.stop()
            esme.end()
        assert (load.refused, esme.refused) == ([], [])
        assert esme.cut_off >= 2
        assert not load.yes.keys() - set(smsc.texts())
        assert node.end() == 0
        assert "Traceback" not in node.said


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
