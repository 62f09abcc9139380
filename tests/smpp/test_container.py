"""The container's parts: health, the pump, the crossing into the loop, what it says of itself."""

import asyncio
import json
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from recado.engine import Received
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached, Unreached
from recado.observability import count, log
from smpp import crossing, precedence, pump, telling
from smpp.aws_hands import bind_queues
from smpp.container import main, read_container_settings
from smpp.crossing import Crossing
from smpp.health import Health
from smpp.precedence import Precedence
from smpp.probe import is_well
from smpp.pump import Pump
from smpp.telling import Tally, log_as_functions_do
from tests.support.aws import Account
from tests.support.world import START

DAY = 86_400.0
PATIENCE = 10.0


# --- health --------------------------------------------------------------------------------------


class Patient:
    """Whose health is asked for."""

    def __init__(self) -> None:
        self.problem: str | None = None

    async def asked(self, test: Callable[[Health], Awaitable[None]]) -> None:
        health = Health(lambda: self.problem, "127.0.0.1", 0)
        await health.start()
        try:
            await test(health)
        finally:
            await health.close()


async def _said(port: int, octets: bytes) -> bytes:
    """All that a port answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()
        await writer.wait_closed()


def test_the_probe_ends_well_while_the_container_is_and_ill_when_it_says_why() -> None:
    patient = Patient()

    async def test(health: Health) -> None:
        assert await asyncio.to_thread(is_well, health.port)
        patient.problem = "AWS has not answered for 91 s"
        assert not await asyncio.to_thread(is_well, health.port)
        told = await _said(health.port, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 503 ")
        assert told.endswith(b"\r\n\r\nAWS has not answered for 91 s\n")

    asyncio.run(patient.asked(test))


def test_the_probe_is_ill_where_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not is_well(port)


def test_a_balancer_that_announces_its_own_connections_is_answered_too() -> None:
    """A Network Load Balancer does so for health checks, where its targets get the header."""
    local = b"\r\n\r\n\0\r\nQUIT\n" + bytes((0x20, 0, 0, 0))
    more = b"\r\n\r\n\0\r\nQUIT\n" + bytes((0x20, 0, 0, 5)) + b"extra"

    async def test(health: Health) -> None:
        for head in (local, more):
            told = await _said(health.port, head + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert told.startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(Patient().asked(test))


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (b"POST /health HTTP/1.1\r\nhost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (b"\r\n\r\n\0\r\nQUIT\n" + bytes((0x20, 0, 0xFF, 0xFF)), b""),
        (b"\0\0\0\x2f\0\0\0\x09" + bytes(12_000), b""),
    ],
    ids=["another path", "another method", "a header without end", "no HTTP"],
)
def test_what_asks_for_something_else_gets_nothing(octets: bytes, answer: bytes) -> None:
    async def test(health: Health) -> None:
        try:
            told = await _said(health.port, octets)
        except ConnectionError:
            told = b""
        assert told[:13] == answer
        assert await asyncio.to_thread(is_well, health.port)

    if not answer and octets.startswith(b"\r"):
        octets += bytes(70_000)
    asyncio.run(Patient().asked(test))


# --- the pump ------------------------------------------------------------------------------------


class OneAtATime:
    """The container's queues for several threads: moto knows one. They can be told to fail."""

    def __init__(self, account: Account) -> None:
        self._account, self._now = account, START
        self._queue = bind_queues(account.environment(), account.clients(), 0)
        self._lock = threading.Lock()
        self.failing = threading.Event()
        self.failed = threading.Event()
        self.receives = 0

    def put(self, *bodies: str) -> None:
        with self._lock:
            self._queue.send("Smpp", bodies, "ana")

    def receive(self, queue: str, limit: int) -> list[Received]:
        self.receives += 1
        if self.failing.is_set():
            self.failed.set()
            raise ConnectionError
        with self._lock:
            return self._queue.receive(queue, limit)

    def done(self, received: Sequence[Received]) -> None:
        with self._lock:
            self._queue.done(received)

    def give_back(self, received: Sequence[Received]) -> None:
        with self._lock:
            self._queue.give_back(received)

    def left(self) -> int:
        """What lies on the queue of single messages, in hand or not."""
        with self._lock:
            depths = self._account.engine(lambda: START, 90 * DAY).queue.depths()
            return next(depth.ready for depth in depths if depth.queue == "Smpp")

    def taken(self) -> int:
        """How many of them somebody else receives a moment later."""
        self._now += 0.01
        self._account.at(self._now)
        with self._lock:
            return len(self._queue.receive("Smpp", 10))


@pytest.fixture
def queue() -> Iterator[OneAtATime]:
    account = Account(START, ["Smpp", "SmppBulk"])
    yield OneAtATime(account)
    account.close()


def _bodies(event: dict[str, Any]) -> list[str]:
    return [record["body"] for record in event["Records"]]


@contextmanager
def _pumping(queue: Any, work: pump.Work, **options: Any) -> Iterator[Pump]:
    made = Pump(queue, "Smpp", work, idle=0.01, **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        assert made.wait(PATIENCE)
        assert made.ended(PATIENCE)


def test_what_is_dealt_with_is_deleted_and_what_failed_comes_again(queue: OneAtATime) -> None:
    dealt = threading.Event()

    def work(event: dict[str, Any]) -> dict[str, Any]:
        dealt.set()
        bad = [it["messageId"] for it in event["Records"] if it["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in bad]}

    queue.put("one", "bad", "two")
    with _pumping(queue, work):
        assert dealt.wait(PATIENCE)
    assert queue.left() == 1


def test_a_batch_at_which_the_work_raised_comes_again(queue: OneAtATime) -> None:
    dealt = threading.Event()

    def work(_: dict[str, Any]) -> dict[str, Any]:
        dealt.set()
        raise RuntimeError

    queue.put("one", "two")
    with _pumping(queue, work):
        assert dealt.wait(PATIENCE)
    assert queue.left() == 2


def test_several_batches_are_dealt_with_at_once(queue: OneAtATime) -> None:
    meeting = threading.Barrier(2)

    def work(_: dict[str, Any]) -> dict[str, Any]:
        meeting.wait(PATIENCE)  # raises where nobody else comes
        return {"batchItemFailures": []}

    queue.put(*(str(n) for n in range(20)))
    with _pumping(queue, work, at_once=2) as made:
        while queue.left():
            assert not meeting.broken
        assert made.heard_at > 0
    assert not meeting.broken


def test_who_stops_finishes_what_is_in_hand_and_receives_nothing_more(queue: OneAtATime) -> None:
    began, may_end = threading.Event(), threading.Event()
    taken: list[str] = []

    def work(event: dict[str, Any]) -> dict[str, Any]:
        taken.extend(_bodies(event))
        began.set()
        assert may_end.wait(PATIENCE)
        return {"batchItemFailures": []}

    queue.put("in hand")
    with _pumping(queue, work) as made:
        assert began.wait(PATIENCE)
        made.stop()
        assert not made.wait(0.05)
        queue.put("later")
        may_end.set()
        assert made.wait(PATIENCE)
    assert taken == ["in hand"]
    assert queue.left() == 1


def test_a_queue_that_fails_is_asked_again(
    queue: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "_PAUSE", 0.01)
    dealt = threading.Event()

    def work(_: dict[str, Any]) -> dict[str, Any]:
        dealt.set()
        return {"batchItemFailures": []}

    queue.failing.set()
    queue.put("one")
    with _pumping(queue, work) as made:
        assert queue.failed.wait(PATIENCE)
        heard_at = made.heard_at
        assert not dealt.is_set()
        queue.failing.clear()
        assert dealt.wait(PATIENCE)
        assert made.heard_at > heard_at


def test_whose_turn_it_is_not_receives_nothing(
    queue: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "_PAUSE", 0.01)
    turn, asked, dealt = threading.Event(), threading.Semaphore(0), threading.Event()

    def is_turn() -> bool:
        asked.release()
        return turn.is_set()

    def work(_: dict[str, Any]) -> dict[str, Any]:
        dealt.set()
        return {"batchItemFailures": []}

    queue.put("one")
    with _pumping(queue, work, is_turn=is_turn):
        for _ in range(3):
            assert asked.acquire(timeout=PATIENCE)
        assert queue.receives == 0
        turn.set()
        assert dealt.wait(PATIENCE)


class Held:
    """A source whose receive waits, as SQS lets it, until a test lets it end."""

    def __init__(self, *bodies: str) -> None:
        self.asked, self.may_end, self.back = (threading.Event() for _ in range(3))
        self.rows = [Received(str(n), "Smpp", "", body, 1) for n, body in enumerate(bodies)]
        self.given_back: list[Received] = []

    def receive(self, _: str, limit: int) -> list[Received]:
        self.asked.set()
        assert self.may_end.wait(PATIENCE)
        return self.rows[:limit]

    def done(self, _: Sequence[Received]) -> None:
        raise AssertionError

    def give_back(self, received: Sequence[Received]) -> None:
        self.given_back += received
        self.back.set()


def _nothing(_: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError


def test_who_stops_waits_for_no_receive_and_gives_back_what_it_brings() -> None:
    source = Held("one", "two")
    made = Pump(source, "Smpp", _nothing)
    made.start()
    assert source.asked.wait(PATIENCE)
    made.stop()
    assert made.wait(0.0)  # nothing is in hand
    assert not made.ended(0.0)
    source.may_end.set()
    assert made.ended(PATIENCE)
    assert source.given_back == source.rows


def test_what_a_receive_brings_when_it_is_no_turn_of_ours_any_more_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pump, "_PAUSE", 0.01)
    source, turn = Held("one"), threading.Event()
    turn.set()
    with _pumping(source, _nothing, is_turn=turn.is_set):
        assert source.asked.wait(PATIENCE)
        turn.clear()
        source.may_end.set()
        assert source.back.wait(PATIENCE)
    assert source.given_back == source.rows


def test_what_is_given_back_is_there_for_others_at_once(queue: OneAtATime) -> None:
    queue.put("one", "two")
    rows = queue.receive("Smpp", 10)
    assert queue.taken() == 0
    queue.give_back(rows)
    assert queue.taken() == 2


def test_no_more_batches_are_in_hand_than_are_dealt_with_at_once(queue: OneAtATime) -> None:
    began, may_end = threading.Semaphore(0), threading.Event()

    def work(_: dict[str, Any]) -> dict[str, Any]:
        began.release()
        assert may_end.wait(PATIENCE)
        return {"batchItemFailures": []}

    queue.put(*(str(n) for n in range(9)))
    with _pumping(queue, work, batch=2, at_once=3):
        for _ in range(3):
            assert began.acquire(timeout=PATIENCE)
        assert not began.acquire(timeout=0.05)
        assert queue.taken() == 3
        may_end.set()


# --- what goes before what -----------------------------------------------------------------------


def test_what_is_many_goes_at_full_speed_while_no_single_message_comes() -> None:
    assert Precedence().as_turns().pace() == sys.maxsize


def test_what_is_many_waits_for_single_messages_in_hand_and_then_goes_by_the_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precedence, "_PATIENCE", PATIENCE)
    turns, began, may_end = Precedence(), threading.Event(), threading.Event()
    ended: list[str] = []

    def work(_: dict[str, Any]) -> dict[str, Any]:
        began.set()
        assert may_end.wait(PATIENCE)
        ended.append("single")
        return {"batchItemFailures": []}

    def many() -> None:
        few.append(turns.pace())
        ended.append("many")

    few: list[int] = []
    threads = [threading.Thread(target=turns.given(work), args=({},))]
    threads.append(threading.Thread(target=many))
    threads[0].start()
    assert began.wait(PATIENCE)
    threads[1].start()
    may_end.set()
    for thread in threads:
        thread.join()
    assert ended == ["single", "many"]
    assert few == [precedence._WINDOW]
    monkeypatch.setattr(precedence, "_RECENT", 0.0)  # none has come for a while
    assert turns.pace() == sys.maxsize


def test_what_is_many_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "_PATIENCE", 0.01)
    turns = Precedence()

    def work(_: dict[str, Any]) -> dict[str, Any]:
        return {"few": turns.pace()}  # while this one is in hand

    assert turns.given(work)({}) == {"few": precedence._WINDOW}


# --- the crossing --------------------------------------------------------------------------------


def _request(url: str, timeout: float = 5.0) -> Outgoing:
    return Outgoing("SMPP", url, {}, url.encode(), timeout)


def _courier(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
    return [Reached(200, b"by HTTP: " + request.body) for request in requests]


async def _binds(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
    return [Reached(0, b"by bind: " + request.body) for request in requests]


def _bodies_of(answers: Sequence[Reached | Unreached]) -> list[bytes]:
    assert all(isinstance(answer, Reached) for answer in answers)
    return [answer.body for answer in answers if isinstance(answer, Reached)]


def test_pdus_go_to_the_binds_in_the_loop_and_all_else_to_the_courier_in_order() -> None:
    async def test() -> None:
        exchange = Crossing(_courier)
        exchange.open(asyncio.get_running_loop(), _binds)
        urls = ["smpp:claro", "https://a.example", "smpp:vivo"]
        answers = await asyncio.to_thread(exchange, [_request(url) for url in urls])
        assert _bodies_of(answers) == [
            b"by bind: smpp:claro",
            b"by HTTP: https://a.example",
            b"by bind: smpp:vivo",
        ]
        alone = await asyncio.to_thread(exchange, [_request("https://a.example")])
        assert _bodies_of(alone) == [b"by HTTP: https://a.example"]

    asyncio.run(test())


def test_before_there_is_a_loop_and_after_it_nothing_was_sent() -> None:
    exchange = Crossing(_courier)
    nothing = [Unreached("no bind", sent=False)]
    assert exchange([_request("smpp:claro")]) == nothing

    async def opened() -> None:
        exchange.open(asyncio.get_running_loop(), _binds)

    asyncio.run(opened())
    assert exchange([_request("smpp:claro")]) == nothing


def test_a_loop_that_gives_no_answer_may_have_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "_MARGIN", 0.05)

    async def test() -> None:
        asked = asyncio.Event()

        async def silent(_: Sequence[Outgoing]) -> list[Reached | Unreached]:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        exchange = Crossing(_courier)
        exchange.open(asyncio.get_running_loop(), silent)
        answers = await asyncio.to_thread(exchange, [_request("smpp:claro", timeout=0.05)])
        assert answers == [Unreached("the binds gave no answer", sent=True)]
        assert asked.is_set()

    asyncio.run(test())


# --- what it says of itself ----------------------------------------------------------------------


@pytest.fixture
def _logging() -> Iterator[None]:
    loggers = [log, logging.getLogger(), logging.getLogger("smpp")]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers = handlers
        logger.setLevel(level)


@pytest.mark.usefixtures("_logging")
def test_lines_are_json_with_the_services_name_where_functions_have_theirs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_as_functions_do("recado-smpp", "INFO")
    log.info("bound", extra={"connector": "claro"})
    logging.getLogger("smpp.session").info("closed")
    logging.getLogger("botocore").info("a whole request")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["message"], first["level"]) == ("bound", "INFO")
    assert (first["function_name"], first["connector"]) == ("recado-smpp", "claro")
    assert second["message"] == "closed"


def test_metrics_are_what_was_counted_since_they_were_last_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tally = Tally("recado-smpp")
    tally.tell()
    capsys.readouterr()
    count("submits", 3)
    tally.tell()
    told = json.loads(capsys.readouterr().out)
    assert (told["submits"], told["service"]) == ([3.0], "recado-smpp")
    [directive] = told["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Recado"
    assert directive["Dimensions"] == [["service"]]
    tally.tell()
    assert capsys.readouterr().out == ""
    count("submits")
    tally.tell()
    assert json.loads(capsys.readouterr().out)["submits"] == [1.0]


def test_metrics_are_in_the_functions_namespace() -> None:
    from recado import observability  # noqa: PLC0415 - its name alone is looked at

    assert telling._NAMESPACE == observability._NAMESPACE


# --- its environment -----------------------------------------------------------------------------


def test_ports_are_those_of_the_template_unless_something_else_is_said() -> None:
    settings = read_container_settings({})
    assert (settings.server.port, settings.health_port) == (1910, 8081)
    assert not settings.server.proxy_protocol
    other = {"RECADO_SMPP_PORT": "2775", "RECADO_SMPP_HEALTH_PORT": "9000"}
    settings = read_container_settings({**other, "RECADO_SMPP_PROXY_PROTOCOL": "2"})
    assert (settings.server.port, settings.health_port) == (2775, 9000)
    assert settings.server.proxy_protocol


@pytest.mark.parametrize("value", ["65536", "-1", "smpp"])
def test_a_port_that_is_none_is_refused_by_its_name(value: str) -> None:
    with pytest.raises(Misconfigured, match="RECADO_SMPP_PORT"):
        read_container_settings({"RECADO_SMPP_PORT": value})


@pytest.mark.usefixtures("_logging")
def test_an_environment_that_lacks_something_ends_it_with_a_line_that_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"RECADO_ENGINE": "aws", "AWS_DEFAULT_REGION": "sa-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
        assert main(given) == 2
    assert "RECADO_MESSAGES_TABLE" in capsys.readouterr().err
