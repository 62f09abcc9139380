"""The node's own pages: /health, /ready and /metrics."""

import ast
import asyncio
import base64
import http.client
import json
import re
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.gateway import Gateway, Page
from node.health import pages
from node.http_server import RawRequest, Server, serve
from node.installation import TEMPLATE, open_installation
from node.metrics import _COUNTERS, _FAMILIES, exposition
from node.template import Router, read_template
from node.turns import Taking
from node.up import GRACE
from node.workers import Workers, load_functions
from recado import wiring
from recado.engine import Depth
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue
from recado.settings import Settings
from tests.support.processes import Process, Processes, processes_in, until

ROOT = Path(__file__).parent.parent.parent
WIRING = read_template(TEMPLATE)
FUNCTIONS = load_functions(WIRING.functions)
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*",?)+)\})? ([0-9.]+(?:e[+-]?[0-9]+)?)')


class Answered(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


# --- in one process ------------------------------------------------------------------------------


class House(Struct, frozen=True):
    """A front door with the node's own pages, and what lies behind it."""

    server: Server
    database: Database
    workers: Workers
    pages: dict[str, Page]

    async def get(self, target: str, method: str = "GET") -> Answered:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(
                f"{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode()
            )
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
        line, *fields = head.splitlines()
        headers = dict(field.lower().split(": ", 1) for field in fields)
        return Answered(int(line.split()[1]), headers, body)

    def asked(self, path: str, peer: str, *headers: tuple[str, str]) -> int:
        """The status for a request from an address that can't be had here."""
        statuses: list[int] = []
        request = RawRequest("GET", path, dict(headers), b"", peer)
        self.pages[path](request, lambda status, _headers, _body: statuses.append(status))
        return statuses[0]


@asynccontextmanager
async def house(folder: Path, *, works: bool = True, token: str = "") -> AsyncIterator[House]:
    deps, database, engine = open_installation(folder, WIRING, Settings(), lambda _: [])
    loop = asyncio.get_running_loop()
    database.schedule = loop.call_soon
    wiring.use(deps)
    assert isinstance(engine.queue, EmbeddedQueue)
    workers = Workers(WIRING.consumers, (), FUNCTIONS, engine.queue, Taking())
    own = pages(database, engine.queue, workers, token)
    router = Router(WIRING.routes, WIRING.default)
    gateway = Gateway(router, FUNCTIONS, database, deps.clock, own)
    server = await serve(gateway.handle, gateway.refuse, "127.0.0.1", 0)
    if works:
        workers.start()
    try:
        yield House(server, database, workers, own)
    finally:
        await server.close(5.0)
        await workers.stop(5.0)
        database.close()
        wiring.use(None)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), 60.0)

    asyncio.run(whole())


@contextmanager
def failing_writes() -> Iterator[None]:
    """No file of this process may grow: what a full disk is to a commit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_process_is_healthy_before_it_is_ready(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path, works=False) as own:
            health = await own.get("/health")
            assert (health.status, health.json()) == (200, {"status": "ok"})
            ready = await own.get("/ready")
            assert (ready.status, ready.json()["workers"]) == (503, "not started")
            own.workers.start()
            assert (await own.get("/ready")).json() == {"status": "ready"}

    run(test)


def test_it_is_ready_once_a_commit_has_shown_so_and_that_counts_for_a_second(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            before = own.database.commits
            began = time.monotonic()
            answers = [await own.get("/ready?probe=1") for _ in range(10)]
            assert time.monotonic() - began < 1.0, "too slow to tell"
            assert {answer.status for answer in answers} == {200}
            assert own.database.commits == before + 1

    run(test)


def test_with_a_full_disk_it_is_not_ready_until_there_is_room_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            with failing_writes():
                for _ in range(3):
                    answer = await own.get("/ready")
                    assert (answer.status, answer.json()["status"]) == (503, "not ready")
                    assert "store" in answer.json()
                assert (await own.get("/health")).status == 200
            assert (await own.get("/ready")).status == 200

    run(test)


def test_a_commit_that_fails_shows_at_once_although_the_last_probe_was_well(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            assert (await own.get("/ready")).status == 200
            with failing_writes():
                own.database.write("DELETE FROM held", ())
                own.database.prove()
                own.database.commit()
                assert (await own.get("/ready")).status == 503

    run(test)


def test_while_it_stops_it_is_not_ready(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            assert await own.workers.stop(5.0)
            answer = await own.get("/ready")
            assert (answer.status, answer.json()["workers"]) == (503, "stopping")

    run(test)


def test_only_get_and_head_are_ours_the_rest_goes_the_templates_way(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            for path in ("/health", "/ready", "/metrics"):
                head = await own.get(path, "HEAD")
                assert (head.status, head.body) == (200, "")
                assert int(head.headers["content-length"]) > 0
                posted = await own.get(path, "POST")
                assert (posted.status, posted.json()["error"]) == (404, True)
            assert (await own.get("/health/more")).status == 404

    run(test)


def test_the_metrics_are_for_this_machine_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as own:
            for peer in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"):
                assert own.asked("/metrics", peer) == 200, peer
            for peer in ("192.0.2.7", "10.0.0.1", "fe80::1%eth0", "::ffff:192.0.2.7", ""):
                assert own.asked("/metrics", peer) == 403, peer
            for header in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
                assert own.asked("/metrics", "127.0.0.1", (header, "192.0.2.7")) == 403, header
            assert own.asked("/health", "192.0.2.7") == 200

    run(test)


def test_with_a_token_the_metrics_are_for_whoever_has_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path, token="tokén") as own:
            right = "Bearer tokén".encode().decode("latin-1")  # as the server reads a header
            assert own.asked("/metrics", "192.0.2.7", ("authorization", right)) == 200
            assert own.asked("/metrics", "192.0.2.7", ("authorization", "b" + right[1:])) == 200
            assert own.asked("/metrics", "127.0.0.1") == 401
            basic = "Basic " + base64.b64encode("tokén".encode()).decode()
            for wrong in ("", "Bearer", "Bearer x", right + "x", right[7:], basic):
                assert own.asked("/metrics", "127.0.0.1", ("authorization", wrong)) == 401, wrong
            answer = await own.get("/metrics")
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "bearer")

    run(test)


# --- what the metrics say ------------------------------------------------------------------------


def parsed(text: str) -> dict[str, float]:
    """The samples of an exposition, each held to the format and to its HELP and TYPE."""
    assert text.endswith("\n")
    known: dict[str, str] = {}
    samples: dict[str, float] = {}
    helped = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert helped not in known, "a metric stands in one piece"
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == helped
            assert name.endswith("_total") == (kind == "counter")
            known[name] = kind
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == helped
            labels = f"{{{match[2]}}}" if match[2] else ""
            assert match[1] + labels not in samples
            samples[match[1] + labels] = float(match[3])
    return samples


def test_what_is_counted_by_kind_becomes_a_label() -> None:
    counts = {
        "refused_no_route": 1,
        "receipts_delivered": 2,
        "receipts_of_a_stranger": 3,
        "outcome_submitted": 4,
        "messages_accepted": 5,
        "messages_expired": 6,
        "http_2xx": 7,
        "something_new": 8,
    }
    depths = [Depth("Submit", 3, 2, 1)]
    text = exposition(counts, depths, {"Submit": 61.04}, (9, 0.0123), 1_780_000_000.0)
    samples = parsed(text)
    assert {name: value for name, value in samples.items() if value and "process" not in name} == {
        'recado_refused_total{reason="no_route"}': 1,
        'recado_receipts_total{state="delivered"}': 2,
        "recado_receipts_of_a_stranger_total": 3,
        'recado_outcomes_total{outcome="submitted"}': 4,
        "recado_messages_accepted_total": 5,
        'recado_given_up_total{state="expired"}': 6,
        'recado_http_responses_total{class="2xx"}': 7,
        "recado_something_new_total": 8,
        "recado_commits_total": 9,
        "recado_commit_seconds_total": 0.0123,
        'recado_queue_messages{queue="Submit",state="ready"}': 3,
        'recado_queue_messages{queue="Submit",state="delayed"}': 2,
        'recado_queue_messages{queue="Submit",state="dead"}': 1,
        'recado_queue_oldest_seconds{queue="Submit"}': 61.0,
        next(name for name in samples if name.startswith("recado_build_info")): 1,
    }
    assert samples["process_start_time_seconds"] == 1_780_000_000
    assert samples["recado_faults_total"] == 0, "what has not happened yet is 0, not absent"


def counted_names() -> set[str]:
    """Every first argument of `count` in the product, what varies left out."""
    names: set[str] = set()
    for folder in ("layers/recado/recado", "node", "functions", "smpp"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(call, ast.Call)
                    and getattr(call.func, "id", "") == "count"
                    and call.args
                ):
                    match call.args[0]:
                        case ast.Constant(value=str(name)):
                            names.add(name)
                        case ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]):
                            names.add(name)
    return names


def test_every_metric_is_explained_on_the_page_and_in_the_operators_guide() -> None:
    explained = {*_COUNTERS, *(beginning for beginning, *_ in _FAMILIES)}
    beginnings = {"endpoints_"}  # of two that are told by their own names
    assert counted_names() - explained == beginnings
    guide = (ROOT / "docs" / "operating.md").read_text()
    for name in explained:
        assert f"`{name}" in guide or f"`recado_{name}" in guide, name


# --- as a process --------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Processes]:
    """A simulator, a sink and a cost centre that reports to it; no node yet."""
    with processes_in(tmp_path) as started:
        started.simulator()
        started.sink()
        started.cost_centre()
        yield started


def scraped(town: Processes) -> dict[str, float]:
    link = http.client.HTTPConnection("127.0.0.1", town.http_port, timeout=30)
    with closing(link):
        link.request("GET", "/metrics")
        answer = link.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return parsed(answer.read().decode())


def test_a_message_shows_in_the_metrics_from_accept_to_its_last_report(town: Processes) -> None:
    began = time.time()
    town.node()
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    until(lambda: scraped(town)["recado_reports_given_total"] == 2, "the count of the reports")
    samples = scraped(town)
    assert samples["recado_messages_accepted_total"] == 1
    assert samples["recado_submits_total"] == 1
    assert samples['recado_outcomes_total{outcome="submitted"}'] == 1
    assert samples['recado_receipts_total{state="delivered"}'] == 1
    # The message and the simulator's callback; the pages are not counted.
    assert samples['recado_http_responses_total{class="2xx"}'] == 2
    assert samples["recado_commits_total"] > 0
    assert 0 < samples["recado_commit_seconds_total"] < 30
    assert samples["recado_commits_failed_total"] == 0
    assert began - 60 < samples["process_start_time_seconds"] < time.time()
    queues = {name: value for name, value in samples.items() if "recado_queue_messages" in name}
    assert set(queues.values()) == {0}
    assert len(queues) == 3 * len(WIRING.queues)


def test_dead_letters_and_what_waits_show_after_a_restart_too(town: Processes) -> None:
    town.simulator_process.end()
    node = town.node()
    town.send()
    waiting = 'recado_queue_messages{queue="Submit",state="delayed"}'
    until(lambda: scraped(town)[waiting] == 1, "a message that waits")
    node.kill()
    town.node()
    until(lambda: scraped(town)[waiting] == 1, "the message, found again")


def half_asked(town: Processes, node: Process) -> socket.socket:
    """A connection on which /ready was asked for, but for the last byte, when it began to stop."""
    link = socket.create_connection(("127.0.0.1", town.http_port), 30.0)
    link.sendall(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r")
    until(lambda: scraped(town), "a turn of its loop")
    node.popen.send_signal(signal.SIGTERM)
    until(lambda: "finishing what is in hand" in node.said, "the signal's arrival")
    return link


def test_a_node_that_was_told_to_stop_says_that_it_is_not_ready(town: Processes) -> None:
    node = town.node()
    with half_asked(town, node) as link:
        link.sendall(b"\n")
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 503
        assert json.loads(answer.read())["workers"] == "stopping"
    assert node.popen.wait(GRACE) == 0
