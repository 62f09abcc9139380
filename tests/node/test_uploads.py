"""A large body goes to a file as it comes: signed, once, whole or not at all."""

import asyncio
import contextlib
import http.client
import re
import resource
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvloop

from node import uploads
from node.gateway import Gateway
from node.http_server import Limits, Server, serve
from node.template import Router
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.database import Database
from tests.support.processes import Processes, ask, processes_in, until

_NAME = "upload-0190"


class Door:
    """The gateway's own handling over a directory of blobs, and nothing else."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        blobs: DirectoryBlobs,
        begun: list[uploads.FileUpload],
    ) -> None:
        self.folder, self.server, self.blobs = folder, server, blobs
        self.begun = begun

    def files(self) -> list[str]:
        return [path.name for path in self.folder.rglob("*") if path.is_file()]

    @property
    def url(self) -> str:
        return self.blobs.upload_url(_NAME, 60)


@contextlib.asynccontextmanager
async def _door(
    folder: Path,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> AsyncIterator[Door]:
    blobs = DirectoryBlobs(folder / "blobs")
    database = Database(folder / "recado.db")
    gateway = Gateway(Router((), "query"), {}, database, lambda: 0.0)
    begun: list[uploads.FileUpload] = []

    def begin(target: str) -> uploads.FileUpload | int | None:
        upload = uploads.begin(target, blobs)
        if isinstance(upload, uploads.FileUpload):
            begun.append(upload)
        return upload

    server = await serve(gateway.handle, gateway.refuse, "127.0.0.1", 0, limits, None, begin)
    try:
        yield Door(folder / "blobs", server, blobs, begun)
    finally:
        await server.close(0)
        database.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as made:
        yield made


async def _spoken(door: Door, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Sends the pieces, each by itself; what comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _head(target: str, *fields: str) -> bytes:
    lines = (f"PUT {target} HTTP/1.1", "Host: h", "Connection: close", *fields, "", "")
    return "\r\n".join(lines).encode()


def test_a_body_larger_than_any_request_is_kept_as_it_came(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    content = b"0123456789abcdef" * (20 * 1024 * 64)

    async def scene() -> None:
        async with _door(tmp_path) as door:
            head = _head(door.url, f"Content-Length: {len(content)}")
            answer = await _spoken(door, head + content)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert door.blobs.get(_NAME) == content
            assert door.files() == [_NAME]

    runner.run(scene())


def test_chunks_are_taken_as_well(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            chunks = [b"5\r\nhello\r\n", b"6\r\n world\r\n", b"0\r\n\r\n"]
            answer = await _spoken(door, _head(door.url, "Transfer-Encoding: chunked"), *chunks)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert door.blobs.get(_NAME) == b"hello world"

    runner.run(scene())


@pytest.mark.parametrize("spoilt", ["signature", "name", "time"])
def test_what_is_not_signed_is_refused_before_its_body_is_read(
    tmp_path: Path, runner: asyncio.Runner, spoilt: str
) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            target = {
                "signature": door.url[:-1] + ("0" if door.url[-1] != "0" else "1"),
                "name": door.url.replace(_NAME, "upload-0191"),
                "time": door.blobs.upload_url(_NAME, -10),
            }[spoilt]
            head = _head(target, "Content-Length: 1000000", "Expect: 100-continue")
            answer = await _spoken(door, head)
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert not door.files()

    runner.run(scene())


def test_a_client_that_asks_is_told_to_go_on(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
            writer.write(_head(door.url, "Content-Length: 2", "Expect: 100-continue"))
            told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ab")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()

    runner.run(scene())


def test_a_file_comes_once(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            first = _head(door.url, "Content-Length: 2") + b"ab"
            assert (await _spoken(door, first)).startswith(b"HTTP/1.1 200 ")
            again = await _spoken(door, _head(door.url, "Content-Length: 2") + b"cd")
            assert again.startswith(b"HTTP/1.1 409 ")
            assert b"Upload has come already!" in again
            assert door.blobs.get(_NAME) == b"ab"

    runner.run(scene())


def test_of_two_uploads_at_once_one_is_kept_whole(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            head = _head(door.url, "Content-Length: 2")
            answers = await asyncio.gather(
                *(_spoken(door, head + byte, byte, pause=0.05) for byte in (b"a", b"b"))
            )
            assert sorted(answer.split()[1] for answer in answers) == [b"200", b"409"]
            assert door.blobs.get(_NAME) in (b"aa", b"bb")
            assert door.files() == [_NAME]

    runner.run(scene())


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            _, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
            writer.write(_head(door.url, "Content-Length: 1000000") + b"x" * 500_000)
            await writer.drain()
            await _seen(lambda: bool(door.files()))
            writer.transport.abort()
            await _seen(lambda: not door.files())

    runner.run(scene())


async def _seen(condition: Callable[[], bool]) -> None:
    """Waits until a thread has done what nobody tells of."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_an_upload_may_take_longer_than_a_request_but_not_stand_still(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        async with _door(tmp_path, Limits(body_seconds=0.4)) as door:
            slow = [b"x"] * 12
            head = _head(door.url, f"Content-Length: {len(slow)}")
            assert (await _spoken(door, head, *slow, pause=0.1)).startswith(b"HTTP/1.1 200 ")
            other = door.blobs.upload_url("upload-0192", 60)
            answer = await _spoken(door, _head(other, "Content-Length: 9"), b"x")
            assert answer.startswith(b"HTTP/1.1 408 ")
            await _seen(lambda: door.files() == [_NAME])

    runner.run(scene())


def test_more_than_the_limit_is_refused(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads.FileUpload, "limit", 1000)

    async def scene() -> None:
        async with _door(tmp_path) as door:
            told = await _spoken(door, _head(door.url, "Content-Length: 1001"))
            assert told.startswith(b"HTTP/1.1 413 ")
            chunk = b"3e9\r\n" + b"x" * 1001 + b"\r\n"
            counted = await _spoken(door, _head(door.url, "Transfer-Encoding: chunked") + chunk)
            assert counted.startswith(b"HTTP/1.1 413 ")
            await _seen(lambda: not door.files())

    runner.run(scene())


def test_a_file_that_can_not_be_written_is_our_fault_and_leaves_nothing(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            door.folder.write_text("where the directory should be")
            answer = await _spoken(door, _head(door.url, "Content-Length: 2") + b"ab")
            assert answer.startswith(b"HTTP/1.1 500 ")

    runner.run(scene())


def test_a_disk_that_fails_on_the_way_is_our_fault_and_leaves_nothing(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            content = bytes(4_000_000)
            head = _head(door.url, f"Content-Length: {len(content)}")
            answer = await _spoken(door, head + content)
            assert answer.startswith(b"HTTP/1.1 500 ")
            await _seen(lambda: not door.files())

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, old[1]))
    try:
        runner.run(scene())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@contextlib.asynccontextmanager
async def _no_disk() -> AsyncIterator[Callable[[], None]]:
    """Whatever is to be written waits until this is called."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    gate = threading.Event()
    waits = loop.run_in_executor(None, gate.wait)
    try:
        yield gate.set
    finally:
        gate.set()
        await waits
        for _ in range(2):  # what was to be written, and what then gives it up
            await loop.run_in_executor(None, bool)


def test_an_upload_that_fails_while_it_can_not_keep_up_is_refused_at_once(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door, _no_disk() as go_on:
            size = 8_000_000
            head = _head(door.url, f"Content-Length: {size + 1}")
            told = asyncio.ensure_future(_spoken(door, head + bytes(size)))
            await _seen(lambda: any(upload.full for upload in door.begun))
            door.folder.write_text("where the directory should be")
            go_on()
            assert (await told).startswith(b"HTTP/1.1 500 ")

    runner.run(scene())


def test_an_upload_that_failed_takes_no_more(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door, _no_disk() as go_on:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
            writer.write(_head(door.url, "Content-Length: 1000000") + b"x")
            await _seen(lambda: bool(door.begun))
            door.folder.write_text("where the directory should be")
            go_on()
            await _seen(lambda: any(upload.failed for upload in door.begun))
            writer.write(b"x")
            told = await asyncio.wait_for(reader.read(), 20)
            assert told.startswith(b"HTTP/1.1 500 ")
            writer.close()
            await writer.wait_closed()

    runner.run(scene())


def test_an_upload_for_which_the_disk_has_no_time_is_refused_in_the_end(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        limits = Limits(body_seconds=0.2)
        async with _door(tmp_path, limits) as door, _no_disk():
            size = 3_000_000
            head = _head(door.url, f"Content-Length: {size}")
            told = await _spoken(door, head + bytes(size))
            assert told.startswith(b"HTTP/1.1 503 ")

    runner.run(scene())


def test_a_request_behind_an_upload_is_answered_after_it(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def scene() -> None:
        async with _door(tmp_path) as door:
            first = _head(door.url, "Content-Length: 2").replace(b"Connection: close\r\n", b"")
            second = _head(door.url.replace("0190", "0191"), "Content-Length: 0")
            answer = await _spoken(door, first + b"ab" + second)
            assert [line.split()[1] for line in answer.split(b"\r\n") if b"HTTP/" in line] == [
                b"200",
                b"403",
            ]

    runner.run(scene())


# --- a node --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_node_takes_50_mb_with_its_memory_flat(
    tmp_path: Path, certificate: tuple[Path, Path], tls: bool
) -> None:
    with processes_in(tmp_path) as processes:
        options = ("--tls-certificate", certificate[0], "--tls-key", certificate[1]) if tls else ()
        node = processes.node("--no-simulator", *options, waits=False)
        until(lambda: node.listens_on(processes.http_port), "a node that listens")
        processes.cost_centre(**{"callback-url": "https://customer.example/"})
        link = _link(processes, certificate[0] if tls else None)
        url = _opened(link)
        before = _memory(node.popen.pid)
        size = 50 * 1024 * 1024
        link.request("PUT", url, _Zeros(size), {"Content-Length": str(size)})
        answer = link.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        link.close()
        assert _memory(node.popen.pid) - before < 20 * 1024
        [kept] = (processes.data / "blobs").rglob("upload-*")
        assert kept.stat().st_size == size


def _memory(process: int) -> int:
    """What a process holds in memory, at its most, in KB."""
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(line)


class _Zeros:
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = 65_536) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


def _link(processes: Processes, trusted: Path | None) -> http.client.HTTPConnection:
    if trusted is None:
        return http.client.HTTPConnection("127.0.0.1", processes.http_port, timeout=60)
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    return http.client.HTTPSConnection(
        "127.0.0.1", processes.http_port, timeout=60, context=context
    )


def _opened(link: http.client.HTTPConnection) -> str:
    status, made = ask(link, "POST", "/bulk", {"text": "oi"})
    assert status == 201, made
    return str(made["upload_url"])
