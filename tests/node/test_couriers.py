"""One contract for both couriers, and what the node's own promises beyond it."""

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
import uvloop

from node.courier import Courier
from recado.addresses import KEPT_BYTES, PRIVATE
from recado.courier import session_exchange
from recado.http import Exchange, Outgoing, Reached, Unreached

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: a\r\nx-kind: b\r\n\r\nok"
_FIXED = {
    "/ok": _OK,
    "/garbage": b"\x00\x01\x02 what is this\r\n\r\n",
    "/redirect": b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
    "/nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: z\r\n\r\n",
    "/interim": b"HTTP/1.1 100 Continue\r\n\r\n" + _OK,
    "/upgrade": b"HTTP/1.1 200 OK\r\nConnection: Upgrade, Keep-Alive\r\nUpgrade: h2\r\n"
    b"Content-Length: 2\r\n\r\nok",
    "/gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw",
    "/kept": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
    "/error": b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
    "/twice": _OK + b"HTTP/1.1 500 Not Asked\r\nContent-Length: 0\r\n\r\n",
    "/early": b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
    "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
}
_FIXED_THEN_CLOSED = {
    "/close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/until-close": b"HTTP/1.1 200 OK\r\n\r\nall of it",
    "/silent": b"",
    "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "/half-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "/half-head": b"HTTP/1.1 200 OK\r\nContent-Le",
}
_ENDLESS = {
    "/drip": (b"HTTP/1.1 200 OK\r\nA: ", b"x", 0.05),
    "/drip-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"x", 0.05),
    "/flood": (b"HTTP/1.1 302 Found\r\nLocation: /ok\r\n\r\n", b"x" * 100_000, 0),
    "/long-header": (b"HTTP/1.1 200 OK\r\nA: ", b"x" * 100_000, 0),
}


class OtherSide:
    """A server of the rudest kind, a thread for each connection. Closing it ends them all."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = threading.Semaphore(0)  # up by one for each connection that has ended
        self.go = threading.Semaphore(0)
        self._context = context
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            if self._over.is_set():
                plain.close()
                return
            self.connections += 1
            self._open.add(plain)
            self._start(lambda plain=plain: self._serve(plain))  # type: ignore[misc]  # a default binds it

    def _serve(self, plain: socket.socket) -> None:
        spoken = plain
        try:
            if self._context is not None:
                spoken = self._context.wrap_socket(plain, server_side=True)
            while (request := self._read(spoken)) is not None:
                self.requests.append(request)
                if not self._answer(spoken, request):
                    break
        except OSError:
            pass  # the client left, or the test is over
        finally:
            self._open.discard(plain)
            spoken.close()
            plain.close()
            self.left.release()

    @staticmethod
    def _read(spoken: socket.socket) -> bytes | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = spoken.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        if b" /early " in head:
            return head  # and whatever there is of a body stays where it is
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(body) < int(line.partition(b":")[2]):
                    body += spoken.recv(65536)
        return head + b"\r\n\r\n" + body

    def _answer(self, spoken: socket.socket, request: bytes) -> bool:
        path = request.split()[1].decode().partition("?")[0]
        if path in _FIXED:
            spoken.sendall(_FIXED[path])
        elif path in _FIXED_THEN_CLOSED:
            spoken.sendall(_FIXED_THEN_CLOSED[path])
            return False
        elif path == "/leave-when-told":
            spoken.sendall(_OK)
            self.go.acquire(timeout=60)
            return False
        elif path == "/never":
            self._over.wait(60)
        elif path in _ENDLESS:
            start, more, pause = _ENDLESS[path]
            spoken.sendall(start)
            while not self._over.wait(pause):
                spoken.sendall(more)
        else:
            spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request))
            spoken.sendall(request)
        return True

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


@pytest.fixture
def other_side() -> Iterator[OtherSide]:
    server = OtherSide()
    yield server
    server.close()


Make = Callable[[ssl.SSLContext | None], Exchange]


@pytest.fixture(params=["session", "node", "node on uvloop"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes the courier; closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def make_session(context: ssl.SSLContext | None) -> Exchange:
            return stack.enter_context(contextlib.closing(session_exchange(32, context)))

        def make_node(context: ssl.SSLContext | None) -> Exchange:
            uv = request.param == "node on uvloop"
            factory = uvloop.new_event_loop if uv else asyncio.new_event_loop
            runner = stack.enter_context(asyncio.Runner(loop_factory=factory))

            async def new() -> Courier:
                return Courier(context)

            courier = runner.run(new())
            stack.callback(lambda: runner.run(courier.close()))

            def exchange(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
                return runner.run(courier.exchange(requests))

            return exchange

        yield make_session if request.param == "session" else make_node


@pytest.fixture
def exchange(make: Make) -> Exchange:
    return make(None)


def _get(server: OtherSide, path: str, timeout: float = 15.0) -> Outgoing:
    url = f"http://127.0.0.1:{server.port}{path}"
    return Outgoing("GET", url, {}, timeout=timeout, private_allowed=True)


def _told(outcome: Reached | Unreached) -> tuple[int, bytes] | str:
    return (outcome.status, outcome.body) if isinstance(outcome, Reached) else outcome.problem


def test_nothing_asked_gives_nothing(exchange: Exchange) -> None:
    assert exchange([]) == []


def test_outcomes_come_in_the_order_of_the_requests(
    exchange: Exchange, other_side: OtherSide
) -> None:
    paths = ["/ok", "/error", "/silent", "/redirect", "/chunked", "/nothing", "/until-close"]
    outcomes = exchange([_get(other_side, path) for path in paths])
    assert [_told(each) for each in outcomes] == [
        (200, b"ok"),
        (503, b"busy"),
        "the connection was closed before the answer was complete",
        (302, b""),
        (200, b"abcde"),
        (204, b""),
        (200, b"all of it"),
    ]


@pytest.mark.parametrize("path", ["/ok", "/interim", "/upgrade", "/close", "/old"])
def test_an_answer_is_read_however_it_is_framed(
    exchange: Exchange, other_side: OtherSide, path: str
) -> None:
    for _ in range(3):
        assert _told(exchange([_get(other_side, path)])[0]) == (200, b"ok")


def test_header_names_of_an_answer_are_lower_case_and_repeated_ones_joined(
    exchange: Exchange, other_side: OtherSide
) -> None:
    outcome = exchange([_get(other_side, "/ok")])[0]
    assert isinstance(outcome, Reached)
    assert outcome.headers == {"content-length": "2", "x-kind": "a, b"}


def test_a_body_is_left_in_its_content_coding(exchange: Exchange, other_side: OtherSide) -> None:
    assert _told(exchange([_get(other_side, "/gzip")])[0]) == (200, b"raw")


def test_an_answer_to_head_has_no_body(exchange: Exchange, other_side: OtherSide) -> None:
    request = Outgoing("HEAD", f"http://127.0.0.1:{other_side.port}/head", {}, private_allowed=True)
    assert [_told(each) for each in exchange([request] * 2)] == [(200, b"")] * 2


def test_a_redirect_is_not_followed(exchange: Exchange, other_side: OtherSide) -> None:
    outcome = exchange([_get(other_side, "/redirect")])[0]
    assert isinstance(outcome, Reached)
    assert (outcome.status, outcome.headers["location"]) == (302, "/ok")
    assert len(other_side.requests) == 1


@pytest.mark.parametrize("path", ["/silent", "/half", "/half-chunk", "/half-head"])
def test_a_connection_closed_before_the_answer_s_end_may_have_been_read(
    exchange: Exchange, other_side: OtherSide, path: str
) -> None:
    assert exchange([_get(other_side, path)]) == [
        Unreached("the connection was closed before the answer was complete", sent=True)
    ]
    assert len(other_side.requests) == 1


@pytest.mark.parametrize("path", ["/garbage", "/long-header"])
def test_an_answer_that_is_no_http_may_have_been_read(
    exchange: Exchange, other_side: OtherSide, path: str
) -> None:
    assert exchange([_get(other_side, path)]) == [Unreached("the answer is not HTTP", sent=True)]


@pytest.mark.parametrize("path", ["/never", "/drip", "/drip-body"])
def test_the_timeout_is_for_the_whole_exchange(
    exchange: Exchange, other_side: OtherSide, path: str
) -> None:
    outcomes = exchange([_get(other_side, path, timeout=0.4), _get(other_side, "/ok")])
    assert outcomes[0] == Unreached("timed out", sent=True)
    assert _told(outcomes[1]) == (200, b"ok")
    if path in _ENDLESS:  # the other side notices, for it still writes
        assert other_side.left.acquire(timeout=10)


def test_a_connection_is_kept_for_the_next_request(
    exchange: Exchange, other_side: OtherSide
) -> None:
    for path in ("/ok", "/chunked", "/nothing", "/kept", "/error", "/redirect", "/interim"):
        assert isinstance(exchange([_get(other_side, path)])[0], Reached)
    assert (len(other_side.requests), other_side.connections) == (7, 1)


def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(
    exchange: Exchange, other_side: OtherSide
) -> None:
    for _ in range(3):
        assert _told(exchange([_get(other_side, "/leave-when-told")])[0]) == (200, b"ok")
        other_side.go.release()  # while no loop of ours runs that could take note of it
        assert other_side.left.acquire(timeout=10)
    assert other_side.connections == 3


def test_an_answer_that_nobody_asked_for_is_no_answer(
    exchange: Exchange, other_side: OtherSide
) -> None:
    assert _told(exchange([_get(other_side, "/twice")])[0]) == (200, b"ok")
    assert _told(exchange([_get(other_side, "/error")])[0]) == (503, b"busy")


def test_of_a_body_the_first_64_kb_are_kept(exchange: Exchange, other_side: OtherSide) -> None:
    assert _told(exchange([_get(other_side, "/kept")])[0]) == (200, b"x" * KEPT_BYTES)


def test_a_body_without_end_is_given_up(exchange: Exchange, other_side: OtherSide) -> None:
    assert _told(exchange([_get(other_side, "/flood")])[0]) == (302, b"x" * KEPT_BYTES)
    assert other_side.left.acquire(timeout=10)


def test_many_requests_share_few_connections(exchange: Exchange, other_side: OtherSide) -> None:
    outcomes = exchange([_get(other_side, f"/echo/{number}") for number in range(300)])
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, Reached)
        assert outcome.body.startswith(b"GET /echo/%d HTTP/1.1\r\n" % number)
    assert other_side.connections <= 64


def test_who_waits_in_line_for_too_long_was_not_sent(
    exchange: Exchange, other_side: OtherSide
) -> None:
    outcomes = exchange([_get(other_side, "/never", timeout=0.5) for _ in range(70)])
    sent = [each for each in outcomes if isinstance(each, Unreached) and each.sent]
    waited = [each for each in outcomes if isinstance(each, Unreached) and not each.sent]
    assert set(sent) == {Unreached("timed out", sent=True)}
    assert set(waited) == {Unreached("timed out while it waited for a connection", sent=False)}
    assert len(sent) + len(waited) == 70
    assert len(sent) in {32, 64}


def test_a_refused_connection_was_not_sent(exchange: Exchange) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    request = Outgoing("GET", f"http://127.0.0.1:{port}/", {}, private_allowed=True)
    refused = Unreached("the connection was refused", sent=False)
    assert exchange([request] * 100) == [refused] * 100


def test_an_unknown_host_was_not_sent(exchange: Exchange) -> None:
    request = Outgoing("GET", "http://nobody.invalid/", {})
    assert exchange([request]) == [Unreached("the host name is not known", sent=False)]


def test_a_connection_that_does_not_come_about_was_not_sent(exchange: Exchange) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        address = full.getsockname()
        for _ in range(4):  # Linux drops whoever comes to a full queue
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}/"
        outcomes = exchange([Outgoing("GET", url, {}, timeout=0.3, private_allowed=True)])
    assert isinstance(outcomes[0], Unreached)
    assert not outcomes[0].sent


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"],
)
def test_a_private_address_is_not_reached_and_not_told(
    exchange: Exchange, other_side: OtherSide, host: str
) -> None:
    request = Outgoing("GET", f"http://{host}:{other_side.port}/ok", {})
    assert exchange([request]) == [Unreached(PRIVATE, sent=False)]
    assert "127" not in PRIVATE
    assert other_side.connections == 0


def test_a_connection_of_who_may_is_not_used_for_who_may_not(
    exchange: Exchange, other_side: OtherSide
) -> None:
    allowed = _get(other_side, "/ok")
    forbidden = Outgoing("GET", allowed.url, {})
    outcomes = [_told(exchange([each])[0]) for each in (allowed, forbidden, allowed)]
    assert outcomes == [(200, b"ok"), PRIVATE, (200, b"ok")]
    assert (len(other_side.requests), other_side.connections) == (2, 1)


def test_a_request_goes_as_it_is_told(exchange: Exchange, other_side: OtherSide) -> None:
    url = f"http://us%40er:p@127.0.0.1:{other_side.port}/a b/%c3%a9?x[]=é&y=%zz#part"
    headers = {"Content-Type": "text/plain", "X-Name": "é"}
    exchange([Outgoing("GET", url, headers, b"body\x00", private_allowed=True)])
    head, _, body = other_side.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"GET /a%20b/%C3%A9?x%5B%5D=%C3%A9&y=%25zz HTTP/1.1"
    assert sorted(lines) == sorted(
        [
            b"host: 127.0.0.1:%d" % other_side.port,
            b"user-agent: Recado",
            b"accept-encoding: identity",
            b"authorization: Basic dXNAZXI6cA==",
            b"content-type: text/plain",
            b"x-name: \xe9",
            b"content-length: 5",
        ]
    )
    assert body == b"body\x00"


def test_a_post_without_a_body_says_so(exchange: Exchange, other_side: OtherSide) -> None:
    url = f"http://127.0.0.1:{other_side.port}/ok"
    exchange([Outgoing("POST", url, {"User-Agent": "mine"}, private_allowed=True)])
    lines = other_side.requests[0].split(b"\r\n")
    assert b"content-length: 0" in lines
    assert [line for line in lines if line.startswith(b"user-agent")] == [b"user-agent: mine"]


def test_a_large_body_goes_whole(exchange: Exchange, other_side: OtherSide) -> None:
    body = b"0123456789" * 400_000
    url = f"http://127.0.0.1:{other_side.port}/ok"
    outcomes = exchange([Outgoing("POST", url, {}, body, private_allowed=True)])
    assert _told(outcomes[0]) == (200, b"ok")
    assert other_side.requests[0].endswith(b"\r\n\r\n" + body)


def test_what_cannot_be_sent_was_not_sent(exchange: Exchange, other_side: OtherSide) -> None:
    good = _get(other_side, "/ok")
    outcomes = exchange(
        [
            Outgoing("GET", "nonsense", {}),
            good,
            Outgoing("GET", good.url, {"a": "b\r\nc: d"}, private_allowed=True),
            Outgoing("G T", good.url, {}, private_allowed=True),
        ]
    )
    assert [_told(each) for each in outcomes] == [
        "the URL is invalid",
        (200, b"ok"),
        "a header is invalid",
        "the method is invalid",
    ]
    assert not any(each.sent for each in outcomes if isinstance(each, Unreached))


def test_nothing_of_a_url_is_logged(
    exchange: Exchange, other_side: OtherSide, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in ("/ok", "/close", "/silent", "/ok"):
        exchange([_get(other_side, f"{path}?to=5511987654321&text=secret")])
    assert len(other_side.requests) == 4
    assert "secret" not in caplog.text
    assert "5511987654321" not in caplog.text


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command += f" -keyout {path} -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    with path.open("a") as both:
        both.write(Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def secure_side(certificate: Path) -> Iterator[OtherSide]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = OtherSide(context)
    yield server
    server.close()


def _secure(server: OtherSide, path: str, host: str = "localhost") -> Outgoing:
    url = f"https://{host}:{server.port}{path}"
    return Outgoing("POST", url, {}, b"x", private_allowed=True)


def test_tls_is_spoken_and_its_connection_kept(
    make: Make, secure_side: OtherSide, certificate: Path
) -> None:
    exchange = make(ssl.create_default_context(cafile=str(certificate)))
    for path in ("/ok", "/kept", "/chunked", "/ok"):
        assert isinstance(exchange([_secure(secure_side, path)])[0], Reached)
    assert secure_side.connections == 1
    outcomes = exchange([_secure(secure_side, path) for path in ("/until-close", "/half")])
    assert [_told(each) for each in outcomes] == [
        (200, b"all of it"),
        "the connection was closed before the answer was complete",
    ]


def test_a_kept_tls_connection_that_was_closed_meanwhile_is_not_used(
    make: Make, secure_side: OtherSide, certificate: Path
) -> None:
    exchange = make(ssl.create_default_context(cafile=str(certificate)))
    for _ in range(3):
        assert _told(exchange([_secure(secure_side, "/leave-when-told")])[0]) == (200, b"ok")
        secure_side.go.release()
        assert secure_side.left.acquire(timeout=10)


def test_a_certificate_for_another_host_is_not_accepted(
    make: Make, secure_side: OtherSide, certificate: Path
) -> None:
    exchange = make(ssl.create_default_context(cafile=str(certificate)))
    outcome = exchange([_secure(secure_side, "/ok", host="127.0.0.1")])[0]
    assert isinstance(outcome, Unreached)
    assert outcome.problem.startswith("the TLS certificate is not accepted: ")
    assert not outcome.sent
    assert not secure_side.requests


def test_a_certificate_of_nobody_s_is_not_accepted(
    exchange: Exchange, secure_side: OtherSide
) -> None:
    outcome = exchange([_secure(secure_side, "/ok")])[0]
    assert isinstance(outcome, Unreached)
    assert outcome.problem.startswith("the TLS certificate is not accepted: ")
    assert not outcome.sent


def test_a_side_that_speaks_no_tls_was_not_sent_to(exchange: Exchange) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        outcomes = exchange([Outgoing("GET", url, {}, private_allowed=True)])
        thread.join()
    assert outcomes == [Unreached("the TLS handshake failed", sent=False)]


def test_a_session_exchange_may_be_used_by_several_threads(other_side: OtherSide) -> None:
    found: list[list[Reached | Unreached]] = []
    with contextlib.closing(session_exchange(8)) as exchange:

        def ask(number: int) -> None:
            found.append(exchange([_get(other_side, f"/echo/{number}")] * 20))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for outcomes in found:
        assert len({_told(each) for each in outcomes}) == 1
    assert len({_told(outcomes[0]) for outcomes in found}) == 5


def test_a_session_exchange_uses_no_connection_that_was_idle_for_long(
    other_side: OtherSide,
) -> None:
    with contextlib.closing(session_exchange(1)) as exchange:
        for seconds, connections in ((0, 1), (20, 1), (51, 2)):
            with time_machine.travel(_NOW + timedelta(seconds=seconds)):
                assert _told(exchange([_get(other_side, "/ok")])[0]) == (200, b"ok")
            assert other_side.connections == connections


def test_the_node_s_courier_does_without_requests() -> None:
    code = "import sys, node.courier; sys.exit('requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_idle_connection_is_closed_by_the_node(other_side: OtherSide) -> None:
    async def scene() -> None:
        courier = Courier(idle_seconds=0.1)
        await courier.exchange([_get(other_side, "/ok")])
        assert await asyncio.to_thread(other_side.left.acquire, timeout=10)
        assert _told((await courier.exchange([_get(other_side, "/ok")]))[0]) == (200, b"ok")
        await courier.close()

    asyncio.run(scene())


def test_closing_the_node_s_courier_ends_what_is_on_its_way(other_side: OtherSide) -> None:
    async def scene() -> None:
        courier = Courier()
        batch = [_get(other_side, "/never") for _ in range(70)]
        waiting = asyncio.create_task(courier.exchange(batch))
        while not other_side.requests:
            await asyncio.sleep(0)
        await courier.close()
        outcomes = await waiting
        assert all(isinstance(each, Unreached) for each in outcomes)
        assert {each.sent for each in outcomes if isinstance(each, Unreached)} == {True, False}
        assert await courier.exchange(batch[:1]) == [Unreached("the courier is closed", sent=False)]

    asyncio.run(scene())


def test_a_caller_that_is_cancelled_leaves_no_connection_behind(other_side: OtherSide) -> None:
    async def scene() -> None:
        courier = Courier()
        waiting = asyncio.create_task(courier.exchange([_get(other_side, "/drip")]))
        while not other_side.requests:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.to_thread(other_side.left.acquire, timeout=10)
        await courier.close()

    asyncio.run(scene())


def test_a_node_s_connection_with_half_a_request_in_it_is_not_used_again(
    other_side: OtherSide,
) -> None:
    async def scene() -> None:
        courier = Courier()
        url = f"http://127.0.0.1:{other_side.port}/early"
        large = Outgoing("POST", url, {}, b"x" * 30_000_000, private_allowed=True)
        assert _told((await courier.exchange([large]))[0]) == (413, b"")
        assert _told((await courier.exchange([_get(other_side, "/ok")]))[0]) == (200, b"ok")
        assert other_side.connections == 2
        await courier.close()

    asyncio.run(scene())


def test_batches_at_the_same_time_share_the_node_s_connections(other_side: OtherSide) -> None:
    async def scene() -> None:
        courier = Courier()
        batches = [[_get(other_side, f"/echo/{n}/{m}") for m in range(20)] for n in range(20)]
        found = await asyncio.gather(*(courier.exchange(batch) for batch in batches))
        for batch, outcomes in zip(batches, found, strict=True):
            for request, outcome in zip(batch, outcomes, strict=True):
                assert isinstance(outcome, Reached)
                assert request.url.partition(str(other_side.port))[2].encode() in outcome.body
        assert other_side.connections <= 64
        await courier.close()

    asyncio.run(scene())
