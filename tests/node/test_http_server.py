import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

import node.http_connection
from node.http_server import Limits, RawRequest, Reply, Server, serve

_TINY = Limits(
    header_bytes=400, body_bytes=100, header_seconds=0.2, body_seconds=0.2, idle_seconds=0.2
)
_HOST = b"Host: h\r\n"
_GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_on(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return run_on


class House:
    """Takes requests: a path that starts with /wait is answered when the test says so."""

    def __init__(self) -> None:
        self.requests: list[RawRequest] = []
        self.waiting: asyncio.Queue[Reply] = asyncio.Queue()
        self.server: Server

    def handle(self, request: RawRequest, reply: Reply) -> None:
        self.requests.append(request)
        if request.target == "/raise":
            raise RuntimeError("secret of ours")
        if request.target.startswith("/split"):
            reply(200, {"a": f"b{unquote(request.target[6:])}c: d"}, b"")
        elif request.target.startswith("/wait"):
            self.waiting.put_nowait(reply)
        elif request.target == "/nothing":
            reply(204, {}, b"")
        elif request.target == "/large":
            reply(200, {}, b"x" * 8_000_000)
        else:
            reply(
                200, {"content-type": "text/plain"}, request.target.encode() + b"|" + request.body
            )

    @staticmethod
    def refuse(status: int, path: str) -> tuple[Mapping[str, str], bytes]:
        return {"x-dialect": "yes", "x-path": path}, b"refused %d" % status


@contextlib.asynccontextmanager
async def _house(
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[House]:
    house = House()
    house.server = await serve(house.handle, house.refuse, "127.0.0.1", 0, limits, ssl_context)
    try:
        yield house
    finally:
        await house.server.close(0)


class Client:
    """A socket with a parser as plain as can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", 0)) if body else 0
            return int(first.split()[1]), headers, await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def _client(house: House, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.server.port, ssl=ssl_context, limit=1 << 24
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def test_a_request_comes_as_it_was_sent_and_its_answer_goes_back(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(
                b"POST /a%20b?c=d&c=e HTTP/1.1\r\nHost: h\r\nX-Many: 1\r\nx-many: \xe9\r\n"
                b"X-MANY:\r\n"
                b"Content-Length: 5\r\n\r\nh\x00llo"
            )
            status, headers, body = await client.answer()
            assert (status, body) == (200, b"/a%20b?c=d&c=e|h\x00llo")
            assert headers["content-type"] == "text/plain"
            assert headers["date"].endswith("GMT")
            assert "connection" not in headers
            assert house.requests == [
                RawRequest(
                    method="POST",
                    target="/a%20b?c=d&c=e",
                    headers={"host": "h", "x-many": "1,é,", "content-length": "5"},
                    body=b"h\x00llo",
                    peer="127.0.0.1",
                )
            ]

    run(scene())


def test_a_connection_carries_many_requests(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            for number in range(5):
                client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
                assert (await client.answer())[2] == b"/%d|" % number

    run(scene())


def test_a_request_may_come_byte_by_byte(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"PUT /abc HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz":
                client.send(bytes((byte,)))
                await asyncio.sleep(0)
            assert (await client.answer())[2] == b"/abc|xyz"

    run(scene())


def test_a_get_may_have_a_body(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" + _GET)
            assert (await client.answer())[2] == b"/|hi"
            assert (await client.answer())[2] == b"/|"

    run(scene())


def test_the_absolute_form_is_cut_to_path_and_query(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            for target in (b"http://h/a?b", b"HTTP://h:80", b"http://h?b=c"):
                client.send(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
                await client.answer()
            assert [each.target for each in house.requests] == ["/a?b", "/", "/?b=c"]

    run(scene())


def test_pipelined_requests_are_handed_over_one_at_a_time_and_answered_in_order(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            for target in (b"/wait1", b"/2", b"/wait3", b"/4"):
                client.send(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
            first = await house.waiting.get()
            assert [each.target for each in house.requests] == ["/wait1"]
            first(200, {}, b"one")
            third = await house.waiting.get()
            assert [each.target for each in house.requests] == ["/wait1", "/2", "/wait3"]
            third(200, {}, b"three")
            bodies = [(await client.answer())[2] for _ in range(4)]
            assert bodies == [b"one", b"/2|", b"three", b"/4|"]

    run(scene())


def test_only_the_first_answer_to_a_request_counts(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
            first = await house.waiting.get()
            first(200, {}, b"one")
            first(200, {}, b"again")
            second = await house.waiting.get()
            first(200, {}, b"much too late")
            second(200, {}, b"two")
            assert [(await client.answer())[2] for _ in range(2)] == [b"one", b"two"]
            client.send(_GET)
            assert (await client.answer())[2] == b"/|"

    run(scene())


def test_an_answer_after_the_client_has_gone_does_nothing(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house:
            async with _client(house) as client:
                client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
                reply = await house.waiting.get()
                client.writer.transport.abort()
            async with _client(house) as client:
                client.send(_GET)
                await client.answer()
            reply(200, {}, b"nobody hears it")
            async with _client(house) as client:
                client.send(_GET)
                assert (await client.answer())[0] == 200

    run(scene())


def test_a_client_that_closes_its_sending_half_still_gets_its_answers(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            client.writer.write_eof()
            reply = await house.waiting.get()
            async with _client(house) as other:  # by its answer the server has seen the end
                other.send(_GET)
                await other.answer()
            reply(200, {}, b"here")
            assert (await client.answer())[2] == b"here"
            assert (await client.answer())[2] == b"/|"
            assert await client.rest() == b""

    run(scene())


@pytest.mark.parametrize(
    ("head", "connection"),
    [
        (b"GET / HTTP/1.0\r\n", "close"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", "keep-alive"),
    ],
)
def test_a_connection_is_kept_as_long_as_the_client_says(
    run: Run, head: bytes, connection: str
) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(head + b"\r\n")
            _, headers, _ = await client.answer()
            assert headers["connection"] == connection
            if connection == "close":
                assert await client.rest() == b""
            else:
                client.send(_GET)
                assert (await client.answer())[0] == 200

    run(scene())


def test_what_follows_the_last_request_is_not_read(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + _GET)
            assert (await client.answer())[2] == b"/1|"
            assert await client.rest() == b""
            assert len(house.requests) == 1

    run(scene())


def test_an_answer_to_head_has_a_length_and_no_body(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            assert (await client.answer(body=False))[1]["content-length"] == "5"
            assert (await client.answer())[2] == b"/|"

    run(scene())


def test_an_answer_without_content_has_neither_length_nor_body(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            status, headers, _ = await client.answer()
            assert (status, "content-length" in headers) == (204, False)
            assert (await client.answer())[2] == b"/|"

    run(scene())


def test_a_chunked_body_is_put_together(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(
                b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;note=x\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n" + _GET
            )
            assert (await client.answer())[2] == b"/|abcde"
            assert (await client.answer())[2] == b"/|"
            assert "x-trailer" not in house.requests[0].headers

    run(scene())


def test_a_client_that_expects_a_100_gets_it_before_it_sends_the_body(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(
                b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            assert (await client.answer())[0] == 100
            client.send(b"abc")
            assert (await client.answer())[2] == b"/|abc"

    run(scene())


def test_a_100_waits_for_its_turn(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(
                b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
                b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            (await house.waiting.get())(200, {}, b"first")
            assert (await client.answer())[2] == b"first"
            assert (await client.answer())[0] == 100
            client.send(b"abc")
            assert (await client.answer())[2] == b"/|abc"

    run(scene())


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
)
def test_a_request_to_upgrade_is_a_request_with_its_body(run: Run, framing: bytes) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            upgrade = b"Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            client.send(b"PUT /1 HTTP/1.1\r\n" + upgrade + framing)
            client.send(b"GET /2 HTTP/1.1\r\n" + upgrade + b"\r\n" + _GET)
            bodies = [(await client.answer())[2] for _ in range(3)]
            assert bodies == [b"/1|abc", b"/2|", b"/|"]
            assert [each.method for each in house.requests] == ["PUT", "GET", "GET"]

    run(scene())


def test_the_body_of_a_request_to_upgrade_may_come_later(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(
                b"POST /1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            assert (await client.answer())[0] == 100
            client.send(b"abc" + _GET)
            assert [(await client.answer())[2] for _ in range(2)] == [b"/1|abc", b"/|"]

    run(scene())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"HELO mail.example.com\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + _HOST + b"\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\n" + _HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Content-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\n"
            + _HOST
            + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Content-Length: 101\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\n"
            + _HOST
            + b"Transfer-Encoding: chunked\r\n\r\n65\r\n"
            + b"x" * 101,
            413,
        ),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"A: " + b"x" * 400, 431),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"A: " + b"x" * 400 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"A: b\r\n" * 80 + b"\r\n", 431),
        (b"GET /" + b"x" * 400, 431),
    ],
)
def test_what_cannot_be_taken_is_refused_in_the_caller_s_words_after_what_could(
    run: Run, sent: bytes, status: int
) -> None:
    async def scene() -> None:
        limits = Limits(header_bytes=400, body_bytes=100)
        async with _house(limits) as house, _client(house) as client:
            client.send(_GET)
            assert (await client.answer())[0] == 200
            client.send(sent)
            found, headers, body = await client.answer()
            assert (found, body) == (status, b"refused %d" % status)
            assert (headers["x-dialect"], headers["connection"]) == ("yes", "close")
            assert await client.rest() == b""
            assert len(house.requests) == 1

    run(scene())


def test_a_refusal_knows_the_path_that_was_asked_for(run: Run) -> None:
    async def scene() -> None:
        async with _house(Limits(body_bytes=100)) as house, _client(house) as client:
            client.send(b"POST /sms/send?a=b HTTP/1.1\r\n" + _HOST + b"Content-Length: 101\r\n\r\n")
            status, headers, _ = await client.answer()
            assert (status, headers["x-path"]) == (413, "/sms/send")

    run(scene())


def test_headers_up_to_the_limit_are_taken(run: Run) -> None:
    async def scene() -> None:
        async with _house(Limits(header_bytes=100)) as house, _client(house) as client:
            start = b"GET / HTTP/1.1\r\nHost: h\r\nA: "
            fill = b"x" * (100 - len(start) - 4)
            client.send(start + fill + b"\r\n\r\n")
            assert (await client.answer())[0] == 200
            client.send(start + fill + b"x\r\n\r\n")
            assert (await client.answer())[0] == 431

    run(scene())


def test_many_pipelined_requests_are_no_long_header(run: Run) -> None:
    async def scene() -> None:
        async with _house(Limits(header_bytes=100)) as house, _client(house) as client:
            client.send(_GET * 50 + _GET[:10])
            for _ in range(50):
                assert (await client.answer())[0] == 200
            client.send(_GET[10:])
            assert (await client.answer())[0] == 200

    run(scene())


def test_a_trailer_without_end_is_cut_off(run: Run) -> None:
    async def scene() -> None:
        async with _house(Limits(body_bytes=100)) as house, _client(house) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ")
            client.send(b"x" * 100_000)
            assert (await client.answer())[0] == 413

    run(scene())


def test_a_refusal_waits_for_the_answers_before_it(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n\x00\x01")
            (await house.waiting.get())(200, {}, b"first")
            assert (await client.answer())[2] == b"first"
            assert (await client.answer())[0] == 400

    run(scene())


def test_a_client_that_sends_a_too_large_body_to_its_end_can_still_read_the_refusal(
    run: Run,
) -> None:
    async def scene() -> None:
        async with _house(Limits(body_bytes=1000)) as house, _client(house) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n")
            for _ in range(20):
                client.send(b"x" * 1_000_000)
                await client.writer.drain()
            assert (await client.answer())[0] == 413

    run(scene())


def test_a_refused_client_that_still_sends_is_not_cut_off_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.http_connection, "_LINGER_SECONDS", 0.2)

    async def scene() -> None:
        limits = Limits(body_bytes=10, idle_seconds=0.1)
        async with _house(limits) as house, _client(house) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(15):
                client.send(b"x")
                await asyncio.sleep(0.05)  # a slow client is what this is about
            assert (await client.answer())[0] == 413
            assert await client.rest() == b""

    run(scene())


def test_no_100_is_given_for_a_body_that_is_too_large(run: Run) -> None:
    async def scene() -> None:
        async with _house(_TINY) as house, _client(house) as client:
            client.send(
                b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n"
            )
            assert (await client.answer())[0] == 413

    run(scene())


@pytest.mark.parametrize(
    "start",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_cut_off(run: Run, start: bytes) -> None:
    async def scene() -> None:
        async with _house(_TINY) as house, _client(house) as client:
            client.send(start)
            status, headers, body = await client.answer()
            assert (status, body) == (408, b"refused 408")
            assert headers["connection"] == "close"
            assert await client.rest() == b""

    run(scene())


def test_a_header_that_drips_is_cut_off_too(run: Run) -> None:
    async def scene() -> None:
        async with _house(_TINY) as house, _client(house) as client:
            client.send(b"GET / HTTP/1.1\r\n")

            async def drip() -> None:
                while True:
                    client.send(b"A: b\r\n")
                    await asyncio.sleep(0.05)

            dripping = asyncio.create_task(drip())
            assert (await client.answer())[0] == 408
            dripping.cancel()

    run(scene())


def test_an_idle_connection_is_closed_without_a_word(run: Run) -> None:
    async def scene() -> None:
        async with _house(_TINY) as house, _client(house) as client, _client(house) as silent:
            client.send(_GET)
            assert (await client.answer())[0] == 200
            assert await client.rest() == b""
            assert await silent.rest() == b""

    run(scene())


def test_time_does_not_run_while_a_request_is_with_us(run: Run) -> None:
    async def scene() -> None:
        async with _house(_TINY) as house, _client(house) as client, _client(house) as idle:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /2")
            reply = await house.waiting.get()
            assert await idle.rest() == b""  # time is over for those who wait for nothing
            reply(200, {}, b"late")
            assert (await client.answer())[2] == b"late"

    run(scene())


@pytest.mark.parametrize("more", [b"", b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_client_that_does_not_take_its_answer_off_is_cut_off(run: Run, more: bytes) -> None:
    async def scene() -> None:
        async with _house(Limits(body_seconds=0.2)) as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + more)
            reply = await house.waiting.get()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed as written to
            reply(200, {}, b"x" * 30_000_000)
            async with asyncio.timeout(20):
                await house.server.close(60)  # waits for the connection no longer than the limit

    run(scene())


def test_an_answer_larger_than_any_buffer_comes_whole(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            assert len((await client.answer())[2]) == 8_000_000
            assert (await client.answer())[2] == b"/|"

    run(scene())


def test_reading_stops_while_a_request_is_unanswered(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
            reply = await house.waiting.get()
            body = b"x" * 4_000_000
            for _ in range(5):
                client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" + body)
            client.writer.transport.set_write_buffer_limits(high=0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.writer.drain(), 0.3)
            reply(200, {}, b"go on")
            assert (await client.answer())[2] == b"go on"
            for _ in range(5):
                assert (await client.answer())[2] == b"/|" + body

    run(scene())


def test_connections_above_the_limit_get_a_503(run: Run) -> None:
    async def scene() -> None:
        async with (
            _house(Limits(connections=2)) as house,
            _client(house) as first,
            _client(house) as second,
        ):
            for client in (first, second):
                client.send(_GET)
                assert (await client.answer())[0] == 200
            async with _client(house) as third:
                third.send(_GET)
                assert (await third.answer())[::2] == (503, b"refused 503")
                assert await third.rest() == b""
            first.send(_GET)
            assert (await first.answer())[0] == 200

    run(scene())


def test_a_handler_that_raises_gives_a_500_that_tells_nothing(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /raise HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            assert (await client.answer())[::2] == (500, b"refused 500")
            assert (await client.answer())[0] == 200

    run(scene())
    assert "a request was not handled" in caplog.text


@pytest.mark.parametrize("line_break", [b"%0D%0A", b"%0A", b"%0D"])
def test_a_header_that_would_break_out_of_its_line_gives_a_500(
    run: Run, caplog: pytest.LogCaptureFixture, line_break: bytes
) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /split" + line_break + b" HTTP/1.1\r\nHost: h\r\n\r\n")
            status, headers, body = await client.answer()
            assert (status, body, "c" in headers) == (500, b"refused 500", False)

    run(scene())
    assert "an answer can't be written" in caplog.text


def test_closing_lets_what_is_in_hand_be_answered_and_closes_the_idle(run: Run) -> None:
    async def scene() -> None:
        async with (
            _house() as house,
            _client(house) as busy,
            _client(house) as idle,
            _client(house) as late,
        ):
            idle.send(_GET)
            await idle.answer()
            late.send(b"POST /late HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n")
            late.send(b"Content-Length: 3\r\n\r\n")
            assert (await late.answer())[0] == 100
            busy.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + _GET)
            reply = await house.waiting.get()
            closing = asyncio.create_task(house.server.close(20))
            assert await idle.rest() == b""
            with pytest.raises(OSError, match=r"refused|reset|Connect call failed"):
                await asyncio.open_connection("127.0.0.1", house.server.port)
            late.send(b"abc")
            assert (await late.answer())[2] == b"/late|abc"
            reply(200, {}, b"done")
            _, headers, body = await busy.answer()
            assert (headers["connection"], body) == ("close", b"done")
            assert await busy.rest() == b""
            busy.writer.close()
            await closing
            assert len(house.requests) == 3

    run(scene())


def test_closing_cuts_off_what_is_not_answered_within_the_grace(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house, _client(house) as client:
            client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
            reply = await house.waiting.get()
            await house.server.close(0.05)
            with contextlib.suppress(ConnectionResetError):
                assert await client.rest() == b""
            reply(200, {}, b"too late")

    run(scene())


def test_a_port_that_is_taken_is_an_os_error(run: Run) -> None:
    async def scene() -> None:
        async with _house() as house:
            with pytest.raises(OSError, match="in use"):
                await serve(house.handle, house.refuse, "127.0.0.1", house.server.port)

    run(scene())


_PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            _GET,
            b"POST / HTTP/1.1\r\n",
            _HOST,
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: Upgrade\r\nUpgrade: x\r\n",
            b"Expect: 100-continue\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"CONNECT h:1 HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_PIECES, max_size=6).map(b"".join), min_size=1, max_size=4))
def test_no_bytes_bring_it_down(pieces: list[bytes]) -> None:
    async def scene() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with _house() as house:
            async with _client(house) as client:
                for piece in pieces:
                    client.send(piece)
                    await asyncio.sleep(0)
                client.writer.write_eof()
                with contextlib.suppress(ConnectionResetError):
                    said = await client.rest()
                    assert not said or said.startswith(b"HTTP/1.1 ")
                    assert b" 500 " not in said
            async with _client(house) as client:
                client.send(_GET)
                assert (await client.answer())[0] == 200
        assert not faults

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += f" -subj /CN=localhost -addext {names} -keyout {path} -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    with path.open("a") as both:
        both.write(Path(f"{path}.crt").read_text())
    return path


def test_it_speaks_tls(run: Run, certificate: Path) -> None:
    async def scene() -> None:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(certificate)
        theirs = ssl.create_default_context(cafile=str(certificate))
        async with _house(Limits(body_bytes=10), ours) as house, _client(house, theirs) as client:
            client.send(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" + _GET)
            assert [(await client.answer())[2] for _ in range(2)] == [b"/a|hi", b"/|"]
            client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n")
            assert (await client.answer())[0] == 413
        async with _house(ssl_context=ours) as house, _client(house, theirs) as client:
            client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert (await client.answer())[2] == b"/a|"
            assert await client.rest() == b""

    run(scene())
