"""SMPP when processes die: killed under load are the gateway and the SMSC, and counted is what the
SMSC, the customer and its callback endpoint have in their own logs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Processes, processes_in, until
from tests.support.smpp_load import (
    Esme,
    HttpLoad,
    SmscProcess,
    bound,
    delivered,
    goes_to,
    more_than_once,
)

KILLS = (60, 200, 250, 120)  # after so many more
WINDOW = 10
# That of the bind, and as many again whose answers have come but are not written down yet: those of
# one handful are written together.
IN_FLIGHT = 2 * WINDOW
ESME_WINDOW = 50


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started


def comes_to_rest(load: HttpLoad, smscs: list[SmscProcess], processes: Processes) -> None:
    """Until the sink knows of everything that got a yes, and nothing is left to be submitted."""
    until(
        lambda: not load.yes.keys() - delivered(processes),
        lambda: f"all told; there lack {list(load.yes.keys() - delivered(processes))[:20]}",
        40.0,
        pause=0.2,
    )
    until(lambda: all_submitted(processes), "nothing left to be submitted", pause=0.2)
    until(lambda: not owed(smscs), "every receipt acknowledged", pause=0.2)


def all_submitted(processes: Processes) -> bool:
    """Whatever is to be submitted once more has been; what is only to be looked at may wait."""
    queues = processes.recado("queue", "list", "--json").json()
    assert not any(queue["dead"] for queue in queues)
    return not any(q["ready"] + q["delayed"] for q in queues if q["queue"].startswith("Submit"))


def owed(smscs: list[SmscProcess]) -> set[str]:
    return {text for smsc in smscs for text in set(smsc.texts()) - smsc.acknowledged()}


def check_nothing_is_lost(load: HttpLoad, smscs: list[SmscProcess], processes: Processes) -> int:
    """How many copies too many the SMSCs have."""
    taken = [text for smsc in smscs for text in smsc.texts()]
    told = delivered(processes)
    assert load.refused == []
    assert not load.yes.keys() - set(taken)
    for smsc in smscs:
        assert not smsc.acknowledged() - told
    return more_than_once(taken)


# --- the gateway dies ----------------------------------------------------------------------------


def test_a_gateway_that_is_killed_again_and_again_loses_neither_a_message_nor_a_receipt(
    processes: Processes,
) -> None:
    smsc = SmscProcess(processes)
    processes.sink()
    processes.cost_centre()
    goes_to(processes, smsc, "--submit-timeout=2", window=str(WINDOW))
    node = processes.node("--no-simulator")
    load = HttpLoad(processes.http_port)
    try:
        for more in KILLS:
            load.wait_for_more(more)
            smsc.wait_for_more(more // 4)
            node.kill()
            node = processes.node("--no-simulator")
        load.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, [smsc], processes)
    assert check_nothing_is_lost(load, [smsc], processes) <= len(KILLS) * IN_FLIGHT
    assert len(load.yes) > 700
    assert "Traceback" not in node.said


def test_what_a_bound_customer_got_a_yes_for_is_submitted_and_its_receipt_delivered(
    processes: Processes,
) -> None:
    processes.simulator("--receipt-delay", "0.2")
    made = processes.recado("costcentre", "create", "--name", "bia", "--json").json()
    node = processes.node()
    quick = ("connector", "update", "simulator", "--submit-timeout", "2")
    assert processes.recado(*quick).code == 0
    esme = Esme(processes.smpp_port, made["smpp_system_id"], made["smpp_password"], ESME_WINDOW)
    try:
        for more in KILLS:
            esme.wait_for_more(more)
            node.kill()
            node = processes.node()
        esme.wait_for_more(100)
        esme.stop()
        until(
            lambda: not esme.yes - esme.told.keys(),
            lambda: f"a receipt of each; {esme.state()}",
            40.0,
        )
    finally:
        esme.end()
    assert esme.refused == []
    assert esme.cut_off >= len(KILLS)
    assert esme.lost <= len(KILLS) * ESME_WINDOW
    assert not esme.yes - set(processes.taken())
    assert len(esme.yes) > 700
    assert "Traceback" not in node.said


# --- the SMSC dies -------------------------------------------------------------------------------


def test_an_smsc_that_dies_or_cuts_us_off_under_load_costs_nothing(processes: Processes) -> None:
    smsc = SmscProcess(processes)
    processes.sink()
    processes.cost_centre()
    goes_to(processes, smsc, "--submit-timeout=2", window=str(WINDOW))
    node = processes.node("--no-simulator")
    load = HttpLoad(processes.http_port)
    try:
        smsc.wait_for_more(100)
        smsc.kill()
        load.wait_for_more(150)
        smsc.start()
        smsc.wait_for_more(150)
        smsc.cut()
        smsc.wait_for_more(150)
    finally:
        load.stop()
    comes_to_rest(load, [smsc], processes)
    assert check_nothing_is_lost(load, [smsc], processes) <= 2 * IN_FLIGHT
    assert "Traceback" not in node.said


def test_of_two_binds_to_two_listeners_one_goes_on_where_the_other_dies(
    processes: Processes,
) -> None:
    first = SmscProcess(processes, "--alone", name="first")
    second = SmscProcess(processes, "--alone", name="second", port=first.port)
    processes.sink()
    processes.cost_centre()
    goes_to(processes, first, "--submit-timeout=2", window=str(WINDOW), binds="2")
    node = processes.node("--no-simulator")
    until(lambda: bound(processes) == 2, "two binds", pause=0.1)
    load = HttpLoad(processes.http_port)
    try:
        first.wait_for_more(100)
        second.wait_for_more(100)
        first.kill()
        second.wait_for_more(200)
        assert bound(processes) == 1
        first.start()
        first.wait_for_more(100)
    finally:
        load.stop()
    comes_to_rest(load, [first, second], processes)
    assert check_nothing_is_lost(load, [first, second], processes) <= IN_FLIGHT
    assert "Traceback" not in node.said
