"""What a node's front shows to the world: the same as a node of one process does."""

import http.client
import json
import os
import re
import resource
import signal
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recado.smpp import pdu as wire
from recado.smpp import status as command_status
from recado.smpp.receipt import read_receipt
from tests.support.fronts import fronts_of, kill_front
from tests.support.processes import (
    LOGIN,
    PASSWORD,
    RECADO,
    Process,
    Processes,
    processes_in,
    request,
    until,
)
from tests.support.smpp_caller import Caller, bound
from tests.support.smpp_node import certificates
from tests.support.smpp_nodes import bind_states, goes_to_port, smpp_customer, until_bound

_LISTENS = re.compile(
    r"listens on https://127\.0\.0\.1:(\d+), by SMPP on 127\.0\.0\.1:(\d+),"
    r" by SMPP with TLS on 127\.0\.0\.1:(\d+);"
)
_ANSWERS = "5511900000010"  # a number that the simulator has write back
_BASIC = b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Processes]:
    """A simulator, a sink and a cost centre that reports to it; no node yet."""
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        processes.cost_centre()
        yield processes


# --- HTTP ----------------------------------------------------------------------------------------


def asked(method: str, target: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nhost: a\r\nauthorization: Basic {_BASIC}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def test_requests_that_come_in_one_piece_are_answered_in_their_order(town: Processes) -> None:
    town.node("--fronts", "1")
    numbers = [str(number) for number in range(5534998887000, 5534998887040)]
    pieces = []
    for number in numbers:
        pieces.append(asked("POST", "/message", {"destination_addr": number, "message": "oi"}))
        pieces.append(asked("GET", "/message/00000000-0000-0000-0000-000000000000"))
        pieces.append(asked("GET", "/ready"))
    with socket.create_connection(("127.0.0.1", town.http_port), 30.0) as link:
        link.sendall(b"".join(pieces))
        statuses, identifiers = [], []
        # A response reads ahead from a file of its own: all of them have to share one.
        with link.makefile("rb") as stream:
            for turn in range(len(pieces)):
                status, content = answer_from(stream)
                statuses.append(status)
                if turn % 3 == 0:
                    identifiers.append(content["message_id"])
    assert statuses == [200, 404, 200] * len(numbers)
    until(lambda: set(town.taken()) == set(identifiers), "all submitted")
    shown = [town.recado("message", "show", one, "--json").json() for one in identifiers[::13]]
    assert [one["to"] for one in shown] == numbers[::13]


def answer_from(stream: Any) -> tuple[int, Any]:
    """The next answer on a connection."""
    status = int(stream.readline().split()[1])
    headers = http.client.parse_headers(stream)
    return status, json.loads(stream.read(int(headers["content-length"])))


def test_what_can_not_be_made_durable_gets_the_dialects_error_and_is_not_sent(
    town: Processes,
) -> None:
    login = smpp_customer(town, "bia")
    node = town.node("--fronts", "1")
    body = {"destination_addr": "5534998887755", "message": "oi"}
    with bound(town.smpp_port, login.system_id, login.password) as caller:
        caller.submit("first")
        until(lambda: len(town.taken()) == 1, "what was sent before")
        caller.answer(caller.until(wire.DELIVER_SM), b"\0")
        resource.prlimit(node.popen.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for _ in range(3):
            status, answer = request(town.http_port, "POST", "/message", body)
            assert (status, answer["error"]) == (500, True)
            assert refusal(caller) == command_status.ESME_RSYSERR
        assert request(town.http_port, "GET", "/ready")[0] == 503
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(node.popen.pid, resource.RLIMIT_FSIZE, unlimited)
        message_id = caller.submit("last")
        receipt = caller.until(wire.DELIVER_SM)
        assert read_receipt(wire.read_message(receipt.body)).id == message_id
        caller.answer(receipt, b"\0")
    assert len(town.taken()) == 2
    assert node.end() == 0


def refusal(caller: Caller) -> int:
    """The command_status that a submit gets."""
    message = wire.ShortMessage(
        source=wire.Address(5, 0, "Bia"),
        destination=wire.Address(1, 1, "5534998887755"),
        text=b"oi",
    )
    return caller.ask(wire.SUBMIT_SM, wire.message_body(message)).command_status


# --- SMPP ----------------------------------------------------------------------------------------


def test_by_smpp_a_message_leaves_over_a_bind_and_its_receipt_and_a_reply_come_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "smsc").mkdir()
    with processes_in(tmp_path / "smsc") as smsc, processes_in(tmp_path) as town:
        smsc.simulator()
        account = smpp_customer(smsc, "us")
        smsc.node("--fronts", "1")
        login = smpp_customer(town, "bia")
        town.node("--no-simulator", "--fronts", "1")
        goes_to_port(town, smsc.smpp_port, account)
        until_bound(town)
        tested = town.recado("connector", "test", "smsc", "--json").json()
        assert (tested["reached"], tested["status"]) == (True, 0)
        with bound(town.smpp_port, login.system_id, login.password) as caller:
            message_id = caller.submit(to=_ANSWERS)
            heard = [caller.until(wire.DELIVER_SM)]
            [row] = town.recado("mailbox", "list", "--json").json()
            assert (row["name"], row["binds"], row["receivers"]) == ("bia", 1, 1)
            caller.answer(heard[0], b"\0")
            heard.append(caller.until(wire.DELIVER_SM))
            caller.answer(heard[1], b"\0")
            until(lambda: not town.recado("mailbox", "list", "--json").json(), "an empty mailbox")
    messages = [wire.read_message(pdu.body) for pdu in heard]
    [receipt] = [one for one in messages if one.esm_class == 4]
    [reply] = [one for one in messages if one.esm_class != 4]
    assert read_receipt(receipt).id == message_id
    assert b"stat:DELIVRD" in receipt.text
    assert reply.source.digits == _ANSWERS


def test_a_new_front_binds_again_and_has_the_same_ports_with_tls_and_without(
    tmp_path: Path,
) -> None:
    certified = certificates(tmp_path)
    context = ssl.create_default_context(cafile=str(certified.authority))
    with processes_in(tmp_path) as town:
        login = smpp_customer(town, "bia")
        node, (https, plain, tls) = with_tls(town, certified.certificate, certified.key)
        for _ in range(2):
            with closing(http.client.HTTPSConnection("localhost", https, context=context)) as link:
                link.request("GET", "/ready")
                assert link.getresponse().status == 200
            for port, how in ((plain, None), (tls, context)):
                with bound(port, login.system_id, login.password, how) as caller:
                    assert isinstance(caller.link, ssl.SSLSocket) is (how is not None)
                    message_id = caller.submit()
                    receipt = caller.until(wire.DELIVER_SM)
                    assert read_receipt(wire.read_message(receipt.body)).id == message_id
                    caller.answer(receipt, b"\0")
            kill_front(node, https, plain, tls)
        assert len(fronts_of(node)) == 1
        assert node.end() == 0


def test_a_front_that_can_not_be_started_is_tried_again_until_it_can(tmp_path: Path) -> None:
    certified = certificates(tmp_path)
    with processes_in(tmp_path) as town:
        smpp_customer(town, "bia")
        node, ports = with_tls(town, certified.certificate, certified.key)
        certificate = certified.certificate.read_bytes()
        certified.certificate.write_text("no certificate")
        [front] = fronts_of(node)
        os.kill(front, signal.SIGKILL)
        until(lambda: node.said.count("the front could not be started") >= 2, "two tries")
        assert "can't use the TLS certificate" in node.said
        assert town.recado("queue", "list").code == 0
        certified.certificate.write_bytes(certificate)
        until(lambda: all(map(node.listens_on, ports)), "a front")
        assert node.end() == 0
        assert "Traceback" not in node.said


def test_a_node_whose_front_dies_at_its_start_says_so_in_one_line(tmp_path: Path) -> None:
    with processes_in(tmp_path) as town:
        node = town.node("--no-simulator", "--fronts", "1", waits=False)
        until(lambda: fronts_of(node), "a front that starts")
        [front] = fronts_of(node)
        os.kill(front, signal.SIGKILL)
        assert node.popen.wait(30) == 1
        assert node.said == "recado: the front did not start: see above\n"


def with_tls(town: Processes, certificate: Path, key: Path) -> tuple[Process, list[int]]:
    """A node with its own simulator, and its ports, which it chose: HTTPS, SMPP without TLS and
    with it."""
    options = ["--data", str(town.data), "--http-port", "0", "--smpp-port", "0", "--fronts", "1"]
    options += ["--smpp-tls-port", "0", "--tls-certificate", str(certificate)]
    node = town.start("node", [*RECADO, "up", *options, "--tls-key", str(key)])
    until(lambda: "listens on" in node.said or node.ended(), "a node")
    ports = _LISTENS.search(node.said)
    assert ports is not None, node.said
    return node, [int(port) for port in ports.groups()]


# --- what is told of it --------------------------------------------------------------------------


def counters(town: Processes) -> dict[str, float]:
    """The samples of all counters."""
    with closing(http.client.HTTPConnection("127.0.0.1", town.http_port, timeout=30)) as link:
        link.request("GET", "/metrics")
        text = link.getresponse().read().decode()
    names = set(re.findall(r"^# TYPE (\S+) counter$", text, re.MULTILINE))
    samples = re.findall(r"^([a-z_]+)(\S*) (\S+)$", text, re.MULTILINE)
    return {name + labels: float(value) for name, labels, value in samples if name in names}


def _are_told(town: Processes, reports: int) -> bool:
    return len(town.sink_lines()) == reports


def test_no_counter_goes_back_when_a_front_is_replaced(town: Processes) -> None:
    node = town.node("--fronts", "1")
    for _ in range(2):
        told = len(town.sink_lines()) + 10
        for _ in range(5):
            town.send()
        until(partial(_are_told, town, told), "all reports")
        before = counters(town)
        kill_front(node, town.http_port)
        after = counters(town)
        assert {name for name in before if after.get(name, -1.0) < before[name]} == set()
    assert after["recado_messages_accepted_total"] == 10
    assert after['recado_http_responses_total{class="2xx"}'] == 20  # with the receipts' calls
    assert after["recado_reports_given_total"] == 20


def test_while_a_front_is_replaced_operators_go_on_and_messages_wait_for_the_new_one(
    town: Processes,
) -> None:
    node = town.node("--fronts", "1")
    for round_ in range(1, 4):
        identifier = town.send(text=f"{round_}")
        kill_front(node, town.http_port)
        assert town.recado("queue", "list", "--json").code == 0
        until(lambda one=identifier: len(town.reports(one)) >= 2, "both reports")  # type: ignore[misc]  # a loop's own
    assert bind_states(town, "simulator") == []
