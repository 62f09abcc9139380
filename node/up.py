"""`recado up`: the gateway on one machine. Front door, SMPP, workers and one durable directory in
one process; the simulator, if it is wanted, in another."""

import asyncio
import contextlib
import gc
import ipaddress
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from node import uploads
from node.control import listen
from node.courier import Courier
from node.demo import demo_cost_centre, point_at_simulator
from node.gateway import Gateway
from node.health import pages
from node.http_server import Server, serve
from node.installation import TEMPLATE, make_durable, open_installation
from node.smpp import Ports, Smpp, Ways, address, server_settings
from node.template import Router, Wiring, read_template
from node.turns import Taking
from node.waiting import can_wait, wait
from node.workers import Workers, load_functions
from recado import wiring as recado_wiring
from recado.engine.embedded import claim_directory
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue
from recado.errors import Misconfigured
from recado.observability import log
from recado.settings import Settings
from recado.wiring import Deps

_YOUNG = 50_000  # objects until the garbage collector looks: what a message leaves has no cycles
GRACE = 30.0  # seconds for what is in hand when the node is told to stop
_BLOB_DAYS = 125  # how much longer than a message: it is there 90 days ahead, 30 more if moved
_HOUR = 3600.0
_COUNTING = 0.2


class UpSettings(Struct, frozen=True, kw_only=True):
    """What `recado up` was told on its command line."""

    data: Path
    host: str = "127.0.0.1"
    http_port: int = 8080
    smpp: Ports | None = Ports()  # None: no SMPP at all
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    simulator: bool = True  # start one
    simulator_url: str | None = None  # use this one instead


class Started(Struct, frozen=True):
    """What to tell whoever started the node."""

    url: str
    smpp: tuple[str, ...]  # where it listens, as Smpp.addresses has it
    data: Path
    simulator_url: str | None
    demo: dict[str, Any] | None  # the demo cost centre, on the first start alone
    demo_told: bool  # its callbacks may go to the simulator's address, which is private
    certificate: Path | None


def up(told: UpSettings, settings: Settings, started: Callable[[Started], None]) -> None:
    """Runs the gateway until SIGTERM or SIGINT; what is in hand then is finished first. Raises
    Misconfigured, in one line, where it can't start."""
    wiring = read_template(TEMPLATE)
    with claim_directory(told.data), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(told, _fitted(settings, told), wiring, started))


def _fitted(settings: Settings, told: UpSettings) -> Settings:
    # The clock ticks every second here, and what is due must not wait for what is counted.
    settings = replace(settings, counting_seconds=min(settings.counting_seconds, _COUNTING))
    return replace(settings, loopback=_is_loopback(told.host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _run(
    told: UpSettings, settings: Settings, wiring: Wiring, started: Callable[[Started], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = _told_to_stop(loop)
    async with AsyncExitStack() as stack:
        courier = Courier()
        stack.push_async_callback(courier.close)
        ways, turns = Ways(courier.exchange), Taking()
        deps, database, engine = open_installation(
            told.data, wiring, settings, ways.exchange, turns.as_turns(), holds_binds=True
        )
        queue, blobs = engine.queue, engine.blobs
        assert isinstance(queue, EmbeddedQueue)  # noqa: S101 - the embedded engine's
        assert isinstance(blobs, DirectoryBlobs)  # noqa: S101 - the embedded engine's
        stack.callback(database.close)
        _join_to_loop(database, loop)
        ways.settle = database.wait
        recado_wiring.use(deps)
        functions = load_functions(wiring.functions)
        workers = Workers(wiring.consumers, wiring.timers, functions, queue, turns)
        smpp = Smpp(database, ways)
        own = pages(database, queue, workers, settings.metrics_token, smpp.counts)
        routes = Router(wiring.routes, wiring.default)
        gateway = Gateway(routes, functions, database, deps.clock, own)
        context = _tls(told)
        server = await _listen(gateway, blobs, told, context)
        await smpp.start(deps, server_settings(told.smpp, told.host, context))
        url = _own_url(told, server.port)
        simulator_url = await _simulator(told, stack)
        demo = _set_up(deps, simulator_url, _callback_base(told, settings, url))
        make_durable(database)
        control = await listen(told.data, deps, database, smpp.operations())
        stack.callback(control.close)
        housekeeping = asyncio.ensure_future(_expire_blobs(blobs, settings))
        stack.callback(housekeeping.cancel)
        workers.start()
        _leave_alone_what_stays()
        certificate, bound_at = told.tls_certificate, smpp.addresses()
        shown = _are_callbacks_private(settings)
        started(Started(url, bound_at, told.data, simulator_url, demo, shown, certificate))
        await stop.wait()
        await _finish(server, workers, smpp)


def _leave_alone_what_stays() -> None:
    """The garbage collector took 5 % of the node's time at its usual pace."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def _are_callbacks_private(settings: Settings) -> bool:
    """Whether they may be: those that an operator has set, as the demo's is."""
    private = settings.private_callbacks
    return settings.loopback if private is None else private


async def _finish(server: Server, workers: Workers, smpp: Smpp) -> None:
    """Nothing new comes in; what is in hand comes to its end; then the binds that it needs go."""
    log.info("stopping: finishing what is in hand")
    _, _, in_time = await asyncio.gather(
        server.close(GRACE), smpp.stop_serving(GRACE), workers.stop(GRACE)
    )
    if not in_time:
        log.warning("not all came to its end in time; it goes on at the next start")
    await smpp.close()


def _told_to_stop(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Set by the signals that end the node."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _join_to_loop(database: Database, loop: asyncio.AbstractEventLoop) -> None:
    """Commits come once a turn of the loop, and a handler that has to wait for one steps aside."""

    def durable() -> None:
        if not can_wait():
            database.settle()
            return
        future: asyncio.Future[None] = loop.create_future()

        def committed(problem: BaseException | None) -> None:
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)

        database.then(committed)
        wait(future)

    database.schedule = loop.call_soon
    database.wait = durable


def _tls(told: UpSettings) -> ssl.SSLContext | None:
    """What HTTP and SMPP prove themselves by, if there is a certificate."""
    if not (told.tls_certificate or told.tls_key):
        return None
    if not (told.tls_certificate and told.tls_key):
        raise Misconfigured("TLS needs both a certificate and a key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(told.tls_certificate, told.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"can't use the TLS certificate or key: {error}") from error
    return context


async def _listen(
    gateway: Gateway, blobs: DirectoryBlobs, told: UpSettings, context: ssl.SSLContext | None
) -> Server:
    try:
        return await serve(
            gateway.handle,
            gateway.refuse,
            told.host,
            told.http_port,
            ssl_context=context,
            begin_upload=partial(uploads.begin, blobs=blobs),
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise Misconfigured(f"can't listen on {told.host}:{told.http_port}: {reason}") from error


def _own_url(told: UpSettings, port: int) -> str:
    scheme = "https" if told.tls_certificate else "http"
    return f"{scheme}://{address(told.host, port)}"


async def _simulator(told: UpSettings, stack: AsyncExitStack) -> str | None:
    if told.simulator_url:
        return told.simulator_url.rstrip("/")
    if not told.simulator:
        return None
    return await stack.enter_async_context(_simulator_process(told))


@asynccontextmanager
async def _simulator_process(told: UpSettings) -> AsyncIterator[str]:
    """A simulator that ends when we do, however we end: it watches its standard input."""
    log_path = told.data / "simulator.jsonl"
    # It calls nobody but us, at an address that our certificate need not name.
    trust = ("--trust", str(told.tls_certificate)) if told.tls_certificate else ()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "node.cli", "simulator", "--port", "0", "--log", str(log_path)),
        *("--parent-pipe", "--announce", *trust),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: it is needed until what is in hand is done
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    line = await process.stdout.readline()
    if not line:
        raise Misconfigured("the simulator did not start")
    port = msgspec.json.decode(line, type=dict[str, int])["listening"]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _callback_base(told: UpSettings, settings: Settings, own_url: str) -> str:
    """Where the simulator reaches us: one that somebody else runs may be on another machine."""
    public = settings.public_base_url.rstrip("/")
    return public if public and told.simulator_url else own_url


def _set_up(deps: Deps, simulator_url: str | None, own_url: str) -> dict[str, Any] | None:
    if simulator_url is None:
        return None
    point_at_simulator(deps, simulator_url, own_url)
    return demo_cost_centre(deps, simulator_url)


async def _expire_blobs(blobs: DirectoryBlobs, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    while True:
        before = (settings.retention_days + _BLOB_DAYS) * 24 * _HOUR
        await loop.run_in_executor(None, blobs.expire, time.time() - before)
        await asyncio.sleep(_HOUR)
