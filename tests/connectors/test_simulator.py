"""The simulator's connector, against the simulator's process over real sockets."""

import asyncio
import contextlib
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from node.courier import Courier
from recado.connectors import (
    Connector,
    Incoming,
    Outcome,
    RawCallback,
    Receipt,
    Rejected,
    Submit,
    Submitted,
    Unavailable,
    Uncertain,
    Upstream,
    simulator,
)
from recado.errors import Misconfigured
from recado.http import Exchange, Outgoing, Reached, Unreached
from recado.message import State

STARTER = """
import pathlib, sys
from node.simulator import SimulatorSettings, run
settings = SimulatorSettings(port=0, log=pathlib.Path(sys.argv[1]), receipt_delay=0.0)
run(settings, parent_pipe=True, announce=True)
"""


def exchange(asked: Sequence[Outgoing]) -> list[Reached | Unreached]:
    async def with_courier() -> list[Reached | Unreached]:
        courier = Courier()
        try:
            return await courier.exchange(asked)
        finally:
            await courier.close()

    return asyncio.run(with_courier())


def answering(answer: Reached | Unreached) -> Exchange:
    return lambda asked: [answer for _ in asked]


def raw(body: str) -> RawCallback:
    return RawCallback("sim", "POST", "", {}, body, 0.0)


class Receiver:
    """Where the callbacks come to: each as our callback endpoint would keep it."""

    def __init__(self) -> None:
        self.came: queue.Queue[RawCallback] = queue.Queue()
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                came.put(raw(body.decode()))
                answer = simulator.acknowledgement()
                self.send_response(answer["statusCode"])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback/sim/secret"
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with contextlib.closing(Receiver()) as running:
        yield running


@pytest.fixture
def upstream(receiver: Receiver, tmp_path: Path) -> Iterator[Upstream]:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "simulator.jsonl")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["listening"]
    yield configured(f"http://127.0.0.1:{port}", callback_url=receiver.url)
    process.kill()
    process.communicate()


def configured(url: str, **settings: str) -> Upstream:
    usual = {"url": url, "callback_url": "http://127.0.0.1:8080/callback/sim/secret"}
    return Upstream(name="sim", kind="simulator", settings=usual | settings, submit_timeout=0.5)


def silent(upstream: Upstream) -> Upstream:
    return configured(**{**upstream.settings, "echo": "no"})


def message(ending: str, reference: str = "ours") -> Submit:
    return Submit(reference, "55119000000" + ending, "Olá", 1)


def outcome_of(ending: str, upstream: Upstream) -> Outcome:
    [outcome] = simulator.submit([message(ending)], upstream, exchange)
    return outcome


def next_event(receiver: Receiver, upstream: Upstream) -> Receipt | Incoming:
    came = receiver.came.get(timeout=20)
    assert simulator.verify_callback(came, upstream)
    [event] = simulator.parse_callback(came, upstream)
    return event


def test_the_module_is_a_connector() -> None:
    connector: Connector = simulator
    assert connector.abilities(configured("http://127.0.0.1:1")).carries_our_id


def test_it_carries_our_id_unless_echo_is_no() -> None:
    assert simulator.abilities(configured("x", echo="yes")).carries_our_id
    assert not simulator.abilities(configured("x", echo="no")).carries_our_id


def test_it_speaks_unless_voice_is_no() -> None:
    assert simulator.abilities(configured("x")).speaks
    assert simulator.abilities(configured("x", voice="yes")).speaks
    assert not simulator.abilities(configured("x", voice="no")).speaks


def question_of(submit: Submit) -> dict[str, Any]:
    asked: list[Outgoing] = []

    def kept(outgoing: Sequence[Outgoing]) -> list[Reached | Unreached]:
        asked.extend(outgoing)
        return [Reached(200, b'{"id": "u1"}')]

    assert simulator.submit([submit], configured("http://x"), kept) == [Submitted("u1")]
    question: dict[str, Any] = json.loads(asked[0].body)
    return question


def test_source_and_voice_travel_only_where_there_are_any() -> None:
    plain = question_of(message("00"))
    assert set(plain) == {"reference", "to", "text", "segments", "callback_url", "echo"}
    from_them = replace(message("00"), source="554130600300")
    assert question_of(from_them) == plain | {"source": "554130600300"}
    spoken = replace(from_them, source="LOJA", voice=True)
    assert question_of(spoken) == plain | {"source": "LOJA", "voice": True}


@pytest.mark.parametrize(
    ("to", "state", "err"),
    [
        ("5511900000020", State.DELIVERED, "000"),
        ("5511900000021", State.UNDELIVERABLE, "021"),
        ("5511900000022", State.UNDELIVERABLE, "022"),
        ("5511900000023", State.DELIVERED, "023"),
        ("5511987654321", State.DELIVERED, "000"),
        ("554130600300", State.DELIVERED, "000"),
    ],
)
def test_a_call_ends_as_its_number_says_and_so_does_a_text(
    upstream: Upstream, receiver: Receiver, to: str, state: State, err: str
) -> None:
    for voice in (True, False):
        submit = Submit("ours", to, "Olá", 1, voice=voice)
        [outcome] = simulator.submit([submit], upstream, exchange)
        assert isinstance(outcome, Submitted)
        expected = Receipt(state, err, "ours", outcome.upstream_id)
        assert next_event(receiver, upstream) == expected


def test_a_list_is_submitted_at_once_and_has_its_outcomes_in_order(
    upstream: Upstream, receiver: Receiver
) -> None:
    messages = [message(ending, f"ours-{ending}") for ending in ("03", "00", "05", "00", "04")]
    asked: list[Sequence[Outgoing]] = []

    def counted(outgoing: Sequence[Outgoing]) -> list[Reached | Unreached]:
        asked.append(outgoing)
        return exchange(outgoing)

    rejected, first, down, second, throttled = simulator.submit(messages, upstream, counted)
    assert rejected == Rejected("ESME_RINVDSTADR")
    assert isinstance(first, Submitted)
    assert isinstance(second, Submitted)
    assert first.upstream_id != second.upstream_id
    assert down == Unavailable(1.0, "HTTP 503")
    assert throttled == Unavailable(1.0, "HTTP 429")
    assert [len(outgoing) for outgoing in asked] == [5]
    assert all(one.private_allowed and one.timeout == 0.5 for one in asked[0])


def test_a_receipt_leads_back_by_our_reference_and_by_the_upstreams_id(
    upstream: Upstream, receiver: Receiver
) -> None:
    outcome = outcome_of("01", upstream)
    assert isinstance(outcome, Submitted)
    expected = Receipt(State.UNDELIVERABLE, "001", "ours", outcome.upstream_id)
    assert next_event(receiver, upstream) == expected


def test_without_echo_a_receipt_leads_back_by_the_upstreams_id_alone(
    upstream: Upstream, receiver: Receiver
) -> None:
    outcome = outcome_of("00", silent(upstream))
    assert isinstance(outcome, Submitted)
    expected = Receipt(State.DELIVERED, "000", None, outcome.upstream_id)
    assert next_event(receiver, silent(upstream)) == expected


def test_without_echo_a_reference_that_comes_all_the_same_is_not_used() -> None:
    body = '{"event": "receipt", "id": "u1", "reference": "ours", "stat": "DELIVRD"}'
    [receipt] = simulator.parse_callback(raw(body), configured("x", echo="no"))
    assert receipt.reference is None


def test_a_reply_names_the_message_that_it_answers(upstream: Upstream, receiver: Receiver) -> None:
    outcome = outcome_of("10", upstream)
    assert isinstance(outcome, Submitted)
    assert isinstance(next_event(receiver, upstream), Receipt)
    reply = next_event(receiver, upstream)
    assert isinstance(reply, Incoming)
    assert (reply.source, reply.reference) == ("5511900000010", "ours")
    assert reply.upstream_id == outcome.upstream_id
    assert reply.text.startswith("Resposta: ")
    assert reply.upstream_event


@pytest.mark.parametrize("source", ["554130600300", ""])
def test_a_reply_says_what_it_was_sent_to_where_the_message_said_who_it_is_from(
    upstream: Upstream, receiver: Receiver, source: str
) -> None:
    simulator.submit([replace(message("10"), source=source)], upstream, exchange)
    assert isinstance(next_event(receiver, upstream), Receipt)
    reply = next_event(receiver, upstream)
    assert isinstance(reply, Incoming)
    assert reply.destination == source


def test_a_reply_may_name_no_message(upstream: Upstream, receiver: Receiver) -> None:
    outcome_of("12", upstream)
    assert isinstance(next_event(receiver, upstream), Receipt)
    reply = next_event(receiver, upstream)
    assert isinstance(reply, Incoming)
    assert (reply.reference, reply.upstream_id) == (None, None)


@pytest.mark.parametrize("ending", ["06", "15", "16"])
def test_no_answer_garbage_and_a_closed_connection_are_uncertain(
    upstream: Upstream, ending: str
) -> None:
    assert isinstance(outcome_of(ending, upstream), Uncertain)


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        outcome = outcome_of("00", configured(url))
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after == 1.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reached(500, b""), Uncertain("HTTP 500")),
        (Reached(302, b""), Uncertain("HTTP 302")),
        (Reached(400, b"{}"), Uncertain("HTTP 400")),
        (Reached(200, b"{}"), Uncertain("an answer without id and esme")),
        (Reached(200, b'{"id": 7}'), Uncertain("an answer that is not understood")),
        (Reached(200, b"\xff"), Uncertain("an answer that is not understood")),
        (Reached(503, b"", {"Retry-After": "30"}), Unavailable(30.0, "HTTP 503")),
        (Reached(429, b"", {"retry-after": "soon"}), Unavailable(1.0, "HTTP 429")),
        (Reached(429, b"", {"retry-after": "-5"}), Unavailable(1.0, "HTTP 429")),
        (Unreached("refused", sent=False), Unavailable(1.0, "refused")),
        (Unreached("timeout", sent=True), Uncertain("timeout")),
    ],
)
def test_each_answer_is_an_outcome(answer: Reached | Unreached, expected: Outcome) -> None:
    assert simulator.submit([message("00")], configured("http://x"), answering(answer)) == [
        expected
    ]


@pytest.mark.parametrize("missing", ["url", "callback_url"])
def test_a_missing_setting_is_named(missing: str) -> None:
    settings = {"url": "http://x", "callback_url": "http://y", missing: ""}
    with pytest.raises(Misconfigured, match=f" {missing} "):
        simulator.submit(
            [message("00")],
            configured(**settings),
            answering(Unreached("never asked", sent=False)),
        )


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("ENROUTE", State.ENROUTE),
        ("ACCEPTD", State.ACCEPTED),
        ("DELIVRD", State.DELIVERED),
        ("UNDELIV", State.UNDELIVERABLE),
        ("EXPIRED", State.EXPIRED),
        ("DELETED", State.DELETED),
        ("UNKNOWN", State.UNKNOWN),
        ("REJECTD", State.REJECTED),
    ],
)
def test_each_stat_is_a_state(stat: str, state: State) -> None:
    body = json.dumps({"event": "receipt", "id": "u1", "stat": stat, "err": "013"})
    [receipt] = simulator.parse_callback(raw(body), configured("x"))
    assert receipt == Receipt(state, "013", None, "u1")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"event": "visit", "id": "u1"}',
        '{"event": "receipt", "id": "u1"}',
        '{"event": "receipt", "id": "u1", "stat": "DELIVERED"}',
        '{"event": "receipt", "id": 1, "stat": "DELIVRD"}',
        '{"event": "receipt", "id": "%s", "stat": "DELIVRD"}' % ("7" * 65),
        '{"event": "reply", "id": "u1", "text": "from whom?"}',
        '{"event": "reply", "id": "u1", "from": "5511987654321", "text": "oi", "to": 27182}',
    ],
)
def test_what_it_cannot_read_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match=r"not a simulator's callback|unknown stat"):
        simulator.parse_callback(raw(body), configured("x"))


def test_its_segment_sizes_are_the_usual_ones_unless_set() -> None:
    usual = Upstream(name="simulator", kind="simulator")
    assert simulator.abilities(usual).gsm7_sizes == (160, 153)
    own = Upstream(name="simulator", kind="simulator", settings={"ucs2_sizes": "66,63"})
    assert simulator.abilities(own).ucs2_sizes == (66, 63)


@pytest.mark.parametrize("sizes", ["", "160", "153,160", "1,1", "a,b", "-5,-6", "160,153,1"])
def test_segment_sizes_that_are_none_are_named(sizes: str) -> None:
    upstream = Upstream(name="simulator", kind="simulator", settings={"gsm7_sizes": sizes})
    with pytest.raises(Misconfigured, match="gsm7_sizes"):
        simulator.abilities(upstream)
