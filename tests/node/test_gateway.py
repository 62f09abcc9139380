"""The front door: requests become API Gateway's events, and answers wait for the commit. Over real
sockets, on a real database that is made to fail for real.
"""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from node.gateway import Function, Gateway, event_of
from node.http_server import Limits, RawRequest, Server, serve
from node.installation import TEMPLATE, open_installation
from node.template import Router, read_template
from node.workers import load_functions
from recado import operations, wiring
from recado.engine.embedded import DATABASE_NAME
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue
from recado.http import request_of
from recado.settings import Settings

WIRING = read_template(TEMPLATE)
FUNCTIONS = load_functions(WIRING.functions)
MESSAGE = {"destination_addr": "5534998887755", "message": "oi"}
JSON = "application/json"
BATCH = "/message/batch"


# --- events --------------------------------------------------------------------------------------


def event(
    body: bytes = b"",
    *headers: tuple[str, str],
    method: str = "POST",
    target: str = "/message",
    **parameters: str,
) -> dict[str, Any]:
    request = RawRequest(method, target, dict(headers), body, "192.0.2.7")
    path, _, query = target.partition("?")
    return event_of(request, path, query, f"{method} {path}", parameters)


def test_an_event_is_what_api_gateway_makes_of_a_request() -> None:
    made = event(
        b'{"a": 1}',
        ("content-type", JSON),
        ("host", "sms.example"),
        target="/message/a%20b?x=1&y=%C3%A1",
        id="a b",
    )
    assert made == {
        "version": "2.0",
        "routeKey": "POST /message/a%20b",
        "rawPath": "/message/a%20b",
        "rawQueryString": "x=1&y=%C3%A1",
        "headers": {"content-type": JSON, "host": "sms.example"},
        "requestContext": {
            "http": {"method": "POST", "path": "/message/a%20b", "sourceIp": "192.0.2.7"},
            "routeKey": "POST /message/a%20b",
            "stage": "$default",
        },
        "isBase64Encoded": False,
        "pathParameters": {"id": "a b"},
        "body": '{"a": 1}',
    }


def test_without_body_and_parameters_the_event_has_neither() -> None:
    made = event(method="GET", target="/")
    assert "body" not in made
    assert "pathParameters" not in made
    assert made["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        (JSON, "olá".encode(), True),
        ("application/json; charset=utf-8", b"{}", True),
        ("text/plain", b"oi", True),
        (JSON, "olá".encode("latin-1"), False),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("multipart/form-data; boundary=x", b"--x", False),
        ("application/octet-stream", b"\x00\xff", False),
        ("", b"{}", False),
    ],
)
def test_what_is_no_text_travels_in_base64(content_type: str, body: bytes, is_text: bool) -> None:
    made = event(body, ("content-type", content_type))
    assert made["isBase64Encoded"] is not is_text
    assert made["body"] == (body.decode() if is_text else base64.b64encode(body).decode())


def test_a_get_keeps_its_body() -> None:
    made = event(b"{}", ("content-type", JSON), method="GET")
    assert made["body"] == "{}"
    assert request_of(made).method == "GET"


@given(st.binary(max_size=200), st.sampled_from([JSON, "text/csv; charset=latin-1", "a/b", ""]))
def test_every_body_arrives_as_it_was_sent(body: bytes, content_type: str) -> None:
    made = event(body, ("content-type", content_type))
    assert request_of(json.loads(json.dumps(made))).body == body


# --- over real sockets ---------------------------------------------------------------------------


class Door(Struct, frozen=True):
    """A front door that listens, and what lies behind it."""

    server: Server
    database: Database
    queue: EmbeddedQueue
    folder: Path
    commits: list[Callable[[], None]]  # those that were put off, where they are held back

    async def send(self, body: Any = None, target: str = "/message") -> tuple[int, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(post(target, MESSAGE if body is None else body))
            return await answer_of(reader)
        finally:
            writer.close()
            await writer.wait_closed()

    def queued(self) -> set[str]:
        """The ids that are in the file, as another process sees it."""
        with closing(sqlite3.connect(self.folder / DATABASE_NAME)) as other:
            rows = other.execute("SELECT body FROM queue WHERE queue = 'Submit'").fetchall()
        return {json.loads(body)["recipients"][0]["id"] for (body,) in rows}

    def received(self) -> set[str]:
        """The ids that a worker would be given."""
        bodies: list[str] = []
        while rows := self.queue.receive("Submit", 10):
            bodies += [row.body for row in rows]
        return {json.loads(body)["recipients"][0]["id"] for body in bodies}

    def room_for(self, pages: int | None) -> None:
        """How much the database may still grow: what a full disk is to it."""
        used = self.database.connection.execute("PRAGMA page_count").fetchone()[0]
        most = 1_000_000 if pages is None else used + pages
        self.database.connection.execute(f"PRAGMA max_page_count = {most}")


def post(target: str, body: Any) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    credentials = base64.b64encode(b"ana:segredo").decode()
    head = (
        f"POST {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {credentials}\r\n"
        f"content-type: {JSON}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
    content = await reader.readexactly(int(fields["content-length"]))
    return int(head.split()[1]), json.loads(content)


@asynccontextmanager
async def door(
    folder: Path,
    *,
    held_back: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    **instead: Function,
) -> AsyncIterator[Door]:
    """A front door with the real functions, or with others `instead`, and a cost centre "ana"."""
    deps, database, engine = open_installation(folder, WIRING, Settings(), lambda _: [])
    operations.costcentre_create(deps, name="ana", login="ana", password="segredo")
    commits: list[Callable[[], None]] = []
    database.schedule = commits.append if held_back else asyncio.get_running_loop().call_soon
    wiring.use(deps)
    gateway = Gateway(
        Router(WIRING.routes, WIRING.default), FUNCTIONS | instead, database, deps.clock
    )
    server = await serve(gateway.handle, gateway.refuse, "127.0.0.1", 0, limits)
    assert isinstance(engine.queue, EmbeddedQueue)
    try:
        yield Door(server, database, engine.queue, folder, commits)
    finally:
        await server.close(5.0)
        database.close()
        wiring.use(None)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), 60.0)

    asyncio.run(whole())


def check_fault(status: int, answer: Any) -> None:
    """An answer of type "we failed", as the Zoug dialect gives it."""
    assert status == 500
    assert sorted(answer) == ["error", "esme", "message", "message_id"]
    assert (answer["error"], answer["esme"]) == (True, "ESME_RSYSERR")
    assert "Traceback" not in answer["message"]


def test_a_yes_leaves_only_when_the_message_is_in_the_file(tmp_path: Path) -> None:
    async def test() -> None:
        async with door(tmp_path, held_back=True) as front:
            asking = asyncio.ensure_future(front.send())
            while not front.commits:
                await asyncio.sleep(0)
            done, _ = await asyncio.wait([asking], timeout=0.2)
            assert not done
            assert front.queued() == set()
            front.commits.pop()()
            status, answer = await asking
            assert status == 200
            assert front.queued() == front.received() == {answer["message_id"]}

    run(test)


def test_an_answer_that_promises_nothing_does_not_wait(tmp_path: Path) -> None:
    async def test() -> None:
        async with door(tmp_path, held_back=True) as front:
            assert (await front.send({"message": "oi"}))[0] == 400
            assert (await front.send(target="/nowhere"))[0] == 404
            assert front.commits == []

    run(test)


def test_when_the_disk_is_full_the_answer_is_a_500_and_nothing_is_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with door(tmp_path) as front:
            _, before = await front.send()
            front.room_for(0)
            text = "x" * 5_000  # more than a page: it can't fit into one that is begun
            batch = {"list": [MESSAGE | {"message": text}] * 10}
            check_fault(*await front.send(batch, "/message/batch"))
            yes = {before["message_id"]}
            for _ in range(40):  # they fill the page that is begun, and then find no other
                status, answer = await front.send()
                if status == 200:
                    yes.add(answer["message_id"])
                else:
                    check_fault(status, answer)
            assert status == 500
            front.room_for(None)
            status, after = await front.send()
            assert status == 200
            assert front.queued() == front.received() == yes | {after["message_id"]}

    run(test)


def test_of_requests_that_share_a_commit_those_with_a_yes_are_kept_and_no_others(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with door(tmp_path) as front:
            yes, faults = set(), 0
            for room in (0, 1, 2, 0, 1, 3, 0, 2):
                front.room_for(room)
                for status, answer in await asyncio.gather(*[front.send() for _ in range(30)]):
                    if status == 200:
                        yes.add(answer["message_id"])
                    else:
                        check_fault(status, answer)
                        faults += 1
            assert yes
            assert faults
            assert front.queued() == front.received() == yes

    run(test)


def test_a_handler_that_raises_is_answered_with_a_500_that_discloses_nothing(
    tmp_path: Path,
) -> None:
    def broken(event: Any, _context: Any) -> Any:
        raise RuntimeError(f"a secret: {event['body']}")

    async def test() -> None:
        async with door(tmp_path, send=broken) as front:
            status, answer = await front.send()
            check_fault(status, answer)
            assert "secret" not in str(answer)
            assert (await front.send({"list": [MESSAGE]}, "/message/batch"))[0] == 200

    run(test)


def test_the_id_of_a_500_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_event: Any, _context: Any) -> Any:
        raise RuntimeError

    async def test() -> None:
        async with door(tmp_path, send=broken) as front:
            _, fault = await front.send()
            front.room_for(0)
            text = "x" * 5_000  # needs a page
            status, lost = await front.send({"list": [MESSAGE | {"message": text}] * 10}, BATCH)
            assert status == 500
            front.room_for(None)
        logged = {getattr(record, "correlation_id", None) for record in caplog.records}
        assert {fault["message_id"], lost["message_id"]} <= logged

    run(test)


def test_a_handler_that_raises_after_it_wrote_still_gets_its_500(tmp_path: Path) -> None:
    def broken(event: Any, context: Any) -> Any:
        FUNCTIONS["send"](event, context)
        raise RuntimeError

    async def test() -> None:
        async with door(tmp_path, send=broken) as front:
            check_fault(*await front.send())

    run(test)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (post("/message", MESSAGE).replace(b"content-length", b"x-length"), 400),
        (b"POST /message HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n", 413),
        (b"GET /message HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_the_server_answers_by_itself_is_in_the_dialects_form(
    tmp_path: Path, sent: bytes, status: int
) -> None:
    async def test() -> None:
        async with door(tmp_path, limits=Limits()) as front:
            reader, writer = await asyncio.open_connection("127.0.0.1", front.server.port)
            writer.write(sent)
            got, answer = await answer_of(reader)
            assert got == status
            assert sorted(answer) == ["error", "esme", "message", "message_id"]
            assert answer["error"] is True
            writer.close()
            await writer.wait_closed()

    run(test)


def test_an_unknown_path_and_an_impossible_method_are_answered_in_the_dialects_form(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with door(tmp_path) as front:
            status, answer = await front.send(target="/nowhere")
            assert (status, answer["error"]) == (404, True)
            status, answer = await front.send(target="/message/batch/%ff")
            assert (status, answer["error"]) == (405, True)

    run(test)
