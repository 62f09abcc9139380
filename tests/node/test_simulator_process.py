"""The simulator as a process of its own, over real sockets, against a small callback receiver."""

import contextlib
import http.client
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recado.simulator_behaviours import BEHAVIOURS, MAGIC_BLOCK

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"
STARTER = """
import json, pathlib, sys
from node.simulator import SimulatorSettings, run
options = json.loads(sys.argv[1])
settings = SimulatorSettings(port=0, log=pathlib.Path(options.pop("log")), **options)
run(settings, parent_pipe=True, announce=True)
"""
Answer = tuple[int, dict[str, str], bytes]


class Simulator:
    """One running process and its log."""

    def __init__(self, log: Path, **options: float) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, json.dumps({"log": str(log), **options})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port: int = json.loads(self.process.stdout.readline())["listening"]

    def request(self, method: str, target: str, body: Any = None) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, 30)) as link:
            link.request(method, target, content if body is not None else None)
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def json(self, target: str) -> Any:
        return json.loads(self.request("GET", target)[2])

    def submit(
        self, to: str, callback_url: str, reference: str = "", echo: bool = True, **more: Any
    ) -> Answer:
        body = submit_body(to, callback_url, reference, echo)
        return self.request("POST", "/submit", body | more)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait_for(self, **counts: int) -> None:
        """Until /stats says so. There is no event to await: the process is not ours."""
        pause = threading.Event()
        while not counts.items() <= self.json("/stats").items():
            pause.wait(0.01)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.close()

    def close(self) -> int:
        self.process.communicate(timeout=20)
        return self.process.returncode


class Gateway:
    """Who receives the callbacks: keeps what came, answers with `statuses` in turn, then 204."""

    def __init__(self, port: int = 0) -> None:
        self.came: queue.Queue[dict[str, Any]] = queue.Queue()
        self.statuses: deque[int] = deque()
        self.usual_status = 204
        self.may_answer = threading.Event()
        self.may_answer.set()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                gateway.came.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                gateway.may_answer.wait(20)
                with contextlib.suppress(ConnectionError):
                    statuses = gateway.statuses
                    self.send_response(statuses.popleft() if statuses else gateway.usual_status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False
            request_queue_size = 256

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback/simulator/secret"
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def take(self, count: int) -> list[dict[str, Any]]:
        return [self.came.get(timeout=20) for _ in range(count)]

    def close(self) -> None:
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


Start = Callable[..., Simulator]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with contextlib.closing(Gateway()) as running:
        yield running


@pytest.fixture
def start(gateway: Gateway, tmp_path: Path) -> Iterator[Start]:
    # It depends on the gateway so that the simulators, who hold connections to it, end first.
    started: list[Simulator] = []

    def start_one(**options: float) -> Simulator:
        started.append(Simulator(tmp_path / "data" / "simulator.jsonl", **options))
        return started[-1]

    yield start_one
    for one in started:
        one.process.kill()
        one.process.communicate()


def magic(digits: str) -> str:
    return MAGIC_BLOCK + digits


def submit_body(to: str, url: str, reference: str = "", echo: bool = True) -> dict[str, Any]:
    return {
        "reference": reference or str(uuid.uuid4()),
        "to": to,
        "text": "Olá, segredo",
        "segments": 1,
        "callback_url": url,
        "echo": echo,
    }


def id_of(answer: Answer) -> str:
    assert answer[0] == 200
    found: str = json.loads(answer[2])["id"]
    return found


def open_submit(simulator: Simulator, to: str, url: str, reference: str = "") -> socket.socket:
    """A submit whose answer is not awaited."""
    body = json.dumps(submit_body(to, url, reference)).encode()
    link = socket.create_connection(("127.0.0.1", simulator.port), timeout=20)
    link.sendall(b"POST /submit HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
    link.sendall(body)
    return link


def has_no_answer(link: socket.socket) -> bool:
    link.setblocking(False)
    try:
        link.recv(1)
    except BlockingIOError:
        return True
    finally:
        link.settimeout(20)
    return False


@pytest.mark.parametrize(
    ("to", "stat", "err"),
    [
        ("5511987654321", "DELIVRD", "000"),
        (magic("00"), "DELIVRD", "000"),
        (magic("42"), "DELIVRD", "000"),
        (magic("01"), "UNDELIV", "001"),
        (magic("02"), "EXPIRED", "002"),
        (magic("13"), "UNKNOWN", "013"),
        (magic("17"), "REJECTD", "017"),
        (magic("20"), "DELIVRD", "000"),
        (magic("21"), "UNDELIV", "021"),
        (magic("22"), "UNDELIV", "022"),
        (magic("23"), "DELIVRD", "023"),
        ("554130600300", "DELIVRD", "000"),
    ],
)
def test_a_number_gets_its_receipt_for_a_text_and_for_a_call(
    start: Start, gateway: Gateway, to: str, stat: str, err: str
) -> None:
    simulator = start()
    for number, kind in enumerate([{}, {"voice": True}], 1):
        upstream_id = id_of(simulator.submit(to, gateway.url, "ours", **kind))
        receipt = {"event": "receipt", "id": upstream_id, "stat": stat, "err": err}
        assert gateway.take(1) == [{**receipt, "reference": "ours"}]
        simulator.wait_for(told=number, pending=0)
    assert gateway.came.empty()


def test_a_receipt_names_the_reference_only_where_it_may_echo_it(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    simulator.submit(magic("10"), gateway.url, "ours", echo=False)
    receipt, reply = gateway.take(2)
    assert "reference" not in receipt
    assert "reference" not in reply
    assert reply["in_reply_to"] == receipt["id"]


def test_03_is_rejected_and_logged_as_refused(start: Start, gateway: Gateway) -> None:
    simulator = start()
    status, _, body = simulator.submit(magic("03"), gateway.url, "ours")
    assert (status, json.loads(body)) == (200, {"esme": "ESME_RINVDSTADR"})
    [line] = simulator.lines()
    assert line.pop("at") > 0
    assert line == {"event": "refused", "reference": "ours", "to": magic("03"), "why": "reject"}


def test_04_is_throttled_twice_then_taken_also_over_a_restart(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    status, headers, _ = simulator.submit(magic("04"), gateway.url, "ours")
    assert (status, headers["retry-after"]) == (429, "1")
    simulator.end(signal.SIGKILL)
    simulator = start()
    assert simulator.submit(magic("04"), gateway.url, "ours")[0] == 429
    assert simulator.submit(magic("04"), gateway.url, "another")[0] == 429
    upstream_id = id_of(simulator.submit(magic("04"), gateway.url, "ours"))
    assert gateway.take(1)[0]["id"] == upstream_id


def test_05_is_unavailable_each_time(start: Start, gateway: Gateway) -> None:
    simulator = start()
    for _ in range(4):
        status, headers, _ = simulator.submit(magic("05"), gateway.url, "ours")
        assert (status, headers["retry-after"]) == (503, "1")
    assert simulator.json("/stats")["refused"] == 4
    assert simulator.json("/stats")["taken"] == 0


def test_06_is_taken_and_not_answered_and_taken_again_when_it_comes_again(
    start: Start, gateway: Gateway
) -> None:
    simulator = start(silence=0.3)
    with open_submit(simulator, magic("06"), gateway.url, "ours") as link:
        simulator.wait_for(taken=1)
        assert has_no_answer(link)
        upstream_id = id_of(simulator.submit(magic("06"), gateway.url, "ours"))
        assert [event["id"] for event in gateway.take(1)] == [upstream_id]
        assert link.recv(1) == b""
    simulator.wait_for(taken=2, distinct=1, doubled=1, pending=0)
    assert gateway.came.empty()
    assert [line.get("lost") for line in simulator.lines()[:2]] == [True, None]


def test_07_has_its_receipt_before_the_answer(start: Start, gateway: Gateway) -> None:
    simulator = start()
    gateway.may_answer.clear()
    with open_submit(simulator, magic("07"), gateway.url) as link:
        [receipt] = gateway.take(1)
        assert has_no_answer(link)
        gateway.may_answer.set()
        assert receipt["id"].encode() in link.recv(4096)


def test_07_is_answered_also_when_the_receipt_is_not_acknowledged(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    gateway.usual_status = 500
    assert id_of(simulator.submit(magic("07"), gateway.url)) == gateway.take(1)[0]["id"]


def test_08_has_its_receipt_twice(start: Start, gateway: Gateway) -> None:
    simulator = start()
    simulator.submit(magic("08"), gateway.url)
    first, second = gateway.take(2)
    assert first == second
    simulator.wait_for(told=2, pending=0)


def test_09_has_its_receipts_in_the_wrong_order(start: Start, gateway: Gateway) -> None:
    simulator = start()
    simulator.submit(magic("09"), gateway.url)
    assert [event["stat"] for event in gateway.take(3)] == ["DELIVRD", "ENROUTE", "ACCEPTD"]


def test_10_is_answered_by_a_reply_that_names_it(start: Start, gateway: Gateway) -> None:
    simulator = start()
    upstream_id = id_of(simulator.submit(magic("10"), gateway.url, "ours"))
    receipt, reply = gateway.take(2)
    assert receipt["stat"] == "DELIVRD"
    assert reply.pop("id") != upstream_id
    assert reply.pop("text").startswith("Resposta: ")
    assert reply == {
        "event": "reply",
        "from": magic("10"),
        "in_reply_to": upstream_id,
        "reference": "ours",
    }
    simulator.wait_for(told=1, replied=1, pending=0)


def test_a_reply_goes_to_who_the_message_was_from_also_over_a_restart(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    gateway.statuses.extend([204])
    gateway.usual_status = 500
    simulator.submit(magic("10"), gateway.url, "ours", source="554130600300")
    simulator.wait_for(told=1)
    simulator.end(signal.SIGKILL)
    gateway.usual_status = 204
    simulator = start()
    simulator.wait_for(replied=1, pending=0)
    receipt, *replies = gateway.take(gateway.came.qsize())
    assert "to" not in receipt
    assert {reply["to"] for reply in replies} == {"554130600300"}


def test_11_is_slow_and_holds_up_nobody(start: Start, gateway: Gateway) -> None:
    simulator = start()
    with open_submit(simulator, magic("11"), gateway.url, "slow") as link:
        simulator.wait_for(taken=1)
        simulator.submit(magic("00"), gateway.url, "fast")
        assert gateway.take(1)[0]["reference"] == "fast"
        assert has_no_answer(link)
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
        assert gateway.came.empty()
        assert gateway.take(1)[0]["reference"] == "slow"


def test_12_is_answered_by_a_reply_that_names_no_message(start: Start, gateway: Gateway) -> None:
    simulator = start()
    simulator.submit(magic("12"), gateway.url)
    reply = gateway.take(2)[1]
    assert sorted(reply) == ["event", "from", "id", "text"]


def test_14_never_has_a_receipt(start: Start, gateway: Gateway) -> None:
    simulator = start()
    id_of(simulator.submit(magic("14"), gateway.url))
    assert simulator.json("/stats")["pending"] == 0
    later = id_of(simulator.submit(magic("00"), gateway.url))
    assert gateway.take(1)[0]["id"] == later


def test_15_is_answered_with_garbage_then_with_an_id(start: Start, gateway: Gateway) -> None:
    simulator = start()
    status, _, body = simulator.submit(magic("15"), gateway.url, "ours")
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    upstream_id = id_of(simulator.submit(magic("15"), gateway.url, "ours"))
    assert gateway.take(1)[0]["id"] == upstream_id
    assert simulator.json("/stats")["doubled"] == 1


def test_16_is_closed_without_an_answer_and_not_taken(start: Start, gateway: Gateway) -> None:
    simulator = start()
    for _ in range(2):
        with open_submit(simulator, magic("16"), gateway.url, "ours") as link:
            assert link.recv(1) == b""
    assert [line["why"] for line in simulator.lines()] == ["close", "close"]
    assert simulator.json("/stats")["taken"] == 0


def test_every_magic_number_of_the_table_has_its_row_in_the_documentation() -> None:
    rows = re.findall(r"^\| (5511\d+) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(magic(digits), one.says) for digits, one in BEHAVIOURS.items()]


def test_a_line_is_in_the_log_when_the_answer_comes_and_holds_no_text(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    for number in range(20):
        upstream_id = id_of(simulator.submit(magic("14"), gateway.url, f"ours-{number}"))
        line = simulator.lines()[-1]
        assert line.pop("at") > 0
        assert line == {
            "event": "taken",
            "id": upstream_id,
            "reference": f"ours-{number}",
            "to": magic("14"),
            "segments": 1,
            "callback_url": gateway.url,
        }
    assert "segredo" not in simulator.log.read_text()


def test_the_log_and_the_list_say_what_was_spoken_and_who_it_was_from(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    simulator.submit(magic("14"), gateway.url, source="LOJA", voice=True)
    simulator.submit(magic("14"), gateway.url, source="", voice=False)
    spoken, written = simulator.lines()
    assert (spoken["source"], spoken["voice"]) == ("LOJA", True)
    assert not {"source", "voice"} & set(written)
    written_there, spoken_there = simulator.json("/taken")
    assert (spoken_there["source"], spoken_there["voice"]) == ("LOJA", True)
    assert not {"source", "voice"} & set(written_there)


def test_a_receipt_is_posted_until_it_is_acknowledged_and_in_its_order(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    gateway.statuses.extend([500, 302, 204, 503])
    simulator.submit(magic("09"), gateway.url)
    stats = [event["stat"] for event in gateway.take(6)]
    assert stats == ["DELIVRD", "DELIVRD", "DELIVRD", "ENROUTE", "ENROUTE", "ACCEPTD"]
    simulator.wait_for(told=3, pending=0)
    assert [line["stat"] for line in simulator.lines()[1:]] == ["DELIVRD", "ENROUTE", "ACCEPTD"]


def test_many_receipts_are_posted_at_once(start: Start, gateway: Gateway) -> None:
    simulator = start()
    gateway.may_answer.clear()
    for _ in range(70):
        simulator.submit(magic("00"), gateway.url)
    first = gateway.take(64)
    assert gateway.came.empty()
    gateway.may_answer.set()
    assert len({event["id"] for event in first + gateway.take(6)}) == 70


@pytest.mark.parametrize("delay", [0.0, 0.0004, 0.05])
def test_a_burst_on_one_connection_is_answered_in_order_and_told_in_full(
    start: Start, gateway: Gateway, delay: float
) -> None:
    simulator = start(receipt_delay=delay)
    bodies = [
        json.dumps(submit_body(magic("00"), gateway.url, f"ours-{n}")).encode() for n in range(200)
    ]
    head = b"POST /submit HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=20) as link:
        link.sendall(b"".join(head % len(body) + body for body in bodies))
        answers = b""
        while answers.count(b'{"id":') < 200:
            answers += link.recv(65_536)
    ids = [found.decode() for found in re.findall(rb'{"id":"(\w+)"}', answers)]
    assert [(line["id"], line["reference"]) for line in simulator.lines() if "to" in line] == [
        (found, f"ours-{n}") for n, found in enumerate(ids)
    ]
    assert {event["id"] for event in gateway.take(200)} == set(ids)
    simulator.wait_for(taken=200, doubled=0, told=200, pending=0)


def test_receipts_that_wait_for_a_gateway_probe_it_one_at_a_time(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    gateway.may_answer.clear()
    gateway.usual_status = 503
    for _ in range(300):
        simulator.submit(magic("00"), gateway.url)
    gateway.take(64)
    gateway.may_answer.set()
    # Two probes; a few more where this machine is slow. Who does not wait has posted all 300.
    gateway.take(2)
    assert gateway.came.qsize() < 20
    gateway.usual_status = 204
    simulator.wait_for(told=300, pending=0)


def test_a_killed_simulator_goes_on_with_what_was_not_acknowledged(
    start: Start, gateway: Gateway
) -> None:
    simulator = start()
    gateway.statuses.extend([204])
    gateway.usual_status = 500
    half_told = id_of(simulator.submit(magic("09"), gateway.url))
    simulator.wait_for(told=1)
    untold = {id_of(simulator.submit(magic("00"), gateway.url)) for _ in range(50)}
    simulator.end(signal.SIGKILL)
    while not gateway.came.empty():
        gateway.came.get()
    gateway.usual_status = 204
    simulator = start()
    came = gateway.take(52)
    assert {event["id"] for event in came} == untold | {half_told}
    rest = [event["stat"] for event in came if event["id"] == half_told]
    assert rest == ["ENROUTE", "ACCEPTD"]
    simulator.wait_for(taken=51, distinct=51, doubled=0, told=53, pending=0)


def test_a_line_that_a_kill_cut_short_is_forgotten(start: Start, gateway: Gateway) -> None:
    simulator = start()
    id_of(simulator.submit(magic("14"), gateway.url))
    simulator.end(signal.SIGKILL)
    with simulator.log.open("a") as log:
        log.write('{"event":"taken","id":"cut')
    simulator = start()
    id_of(simulator.submit(magic("14"), gateway.url))
    assert [line["event"] for line in simulator.lines()] == ["taken", "taken"]
    assert simulator.json("/stats")["taken"] == 2


def test_taken_lists_the_newest_first_with_their_texts(start: Start, gateway: Gateway) -> None:
    simulator = start()
    for reference in ("one", "two", "three"):
        simulator.submit(magic("14"), gateway.url, reference)
    found = simulator.json("/taken?limit=2")
    assert [(taken["reference"], taken["text"]) for taken in found] == [
        ("three", "Olá, segredo"),
        ("two", "Olá, segredo"),
    ]
    assert len(simulator.json("/taken")) == 3
    assert simulator.json("/taken?limit=0") == []
    assert simulator.request("GET", "/taken?limit=many")[0] == 400


def test_a_reply_is_played_by_hand(start: Start, gateway: Gateway) -> None:
    simulator = start()
    played = {"to": "27182", "from": "5511987654321", "text": "SAIR"}
    assert simulator.request("POST", "/reply", played)[0] == 409
    simulator.submit("5511987654321", gateway.url)
    simulator.submit(magic("14"), "http://127.0.0.1:1/another")
    gateway.take(1)
    status, _, body = simulator.request("POST", "/reply", played)
    assert status == 202
    assert gateway.take(1) == [{"event": "reply", "id": json.loads(body)["id"], **played}]


def test_what_is_no_submit_is_refused_with_400(start: Start, gateway: Gateway) -> None:
    simulator = start()
    assert simulator.request("POST", "/submit", b"no JSON")[0] == 400
    assert simulator.request("POST", "/submit", {"to": "5511987654321"})[0] == 400
    assert simulator.submit(magic("00"), "ftp://127.0.0.1/")[0] == 400
    assert simulator.request("GET", "/nowhere")[0] == 404
    assert simulator.lines() == []


def test_the_demo_callback_shows_each_report_in_the_terminal(start: Start) -> None:
    simulator = start()
    reports: list[dict[str, Any]] = [
        {"batchId": "b1", "list": [{"error": True}, {"error": False}]},
        {"type": 1, "stat": "ESME_ROK", "message_id": "m1"},
        {"type": 2, "report_stat": "UNDELIV", "err": "001", "message_id": "m1"},
        {"short_message": "segredo", "source_addr": "5511987654321", "message_id": "m1"},
    ]
    for report in reports:
        assert simulator.request("POST", "/demo-callback", report)[0] == 204
    query = "/demo-callback?type=1&stat=ESME_ROK&message_id=m2%1B[31m"
    assert simulator.request("GET", query)[0] == 204
    assert simulator.request("PUT", "/demo-callback", b"neither")[0] == 204
    in_query = {"type": "1", "stat": "ESME_ROK", "message_id": "m2\x1b[31m"}
    assert simulator.json("/demo-callbacks") == [*reports, in_query, "neither"]
    simulator.process.terminate()
    shown = simulator.process.communicate(timeout=20)[1]
    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "<- batch 2 messages, 1 refused batch b1",
        "<- report type 1 stat ESME_ROK message m1",
        "<- report type 2 stat UNDELIV err 001 message m1",
        "<- reply from ...4321 message m1",
        "<- report type 1 stat ESME_ROK message m2[31m",
        "<- something that is no report",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_receipts_still_pending(
    start: Start, gateway: Gateway, number: int
) -> None:
    simulator = start()
    gateway.usual_status = 500
    with open_submit(simulator, magic("06"), gateway.url):
        simulator.submit(magic("00"), gateway.url)
        gateway.take(1)
        assert simulator.end(number) == 0


def test_it_ends_when_the_pipe_from_its_parent_does(start: Start) -> None:
    simulator = start()
    assert simulator.process.stdin is not None
    simulator.process.stdin.close()
    simulator.process.stdin = None
    assert simulator.close() == 0
