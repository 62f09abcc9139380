"""`recado up`: the gateway on one machine. Front door, SMPP, workers and one durable directory in
one process, or the sockets of the first two in a process of their own (node.fronts); the simulator,
if it is wanted, in another."""

import asyncio
import contextlib
import ipaddress
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from node.control import listen
from node.demo import demo_cost_centre, point_at_simulator
from node.faces import Behind, Face, OwnFace
from node.front_words import Doors
from node.fronts import FrontFace
from node.installation import TEMPLATE, make_durable, open_installation
from node.memory import leave_alone_what_stays
from node.smpp import Ports, address, addresses
from node.template import Wiring, read_template
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
    fronts: int = 0  # processes for the sockets to the world; 0: one process does everything
    simulator: bool = True  # start one
    simulator_url: str | None = None  # use this one instead


class Started(Struct, frozen=True):
    """What to tell whoever started the node."""

    url: str
    smpp: tuple[str, ...]  # where it listens, as node.smpp.addresses has it
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
        doors = _doors(told)
        face: Face = FrontFace(doors, settings) if told.fronts else OwnFace(doors)
        stack.push_async_callback(face.close)
        turns = Taking()
        deps, database, engine = open_installation(
            told.data,
            wiring,
            settings,
            face.exchange,
            turns.as_turns(),
            holds_binds=True,
            submits_elsewhere=face.submits_elsewhere,
        )
        queue, blobs = engine.queue, engine.blobs
        assert isinstance(queue, EmbeddedQueue)  # noqa: S101 - the embedded engine's
        assert isinstance(blobs, DirectoryBlobs)  # noqa: S101 - the embedded engine's
        stack.callback(database.close)
        _join_to_loop(database, loop)
        recado_wiring.use(deps)
        functions = load_functions(wiring.functions)
        workers = Workers(wiring.consumers, wiring.timers, functions, queue, turns)
        standing = await face.start(Behind(deps, database, queue, workers, wiring, functions))
        url = _own_url(told, standing.http_port)
        simulator_url = await _simulator(told, stack)
        demo = _set_up(deps, simulator_url, _callback_base(told, settings, url))
        make_durable(database)
        control = await listen(told.data, deps, database, face.operations())
        stack.callback(control.close)
        housekeeping = asyncio.ensure_future(_expire_blobs(blobs, settings))
        stack.callback(housekeeping.cancel)
        workers.start()
        leave_alone_what_stays()
        bound_at = addresses(told.host, standing.smpp)
        certificate, shown = told.tls_certificate, _are_callbacks_private(settings)
        started(Started(url, bound_at, told.data, simulator_url, demo, shown, certificate))
        await stop.wait()
        await _finish(face, workers)


def _doors(told: UpSettings) -> Doors:
    certificate, key = told.tls_certificate, told.tls_key
    return Doors(
        data=str(told.data.absolute()),
        host=told.host,
        http_port=told.http_port,
        smpp=told.smpp,
        tls_certificate=str(certificate.absolute()) if certificate else None,
        tls_key=str(key.absolute()) if key else None,
    )


def _are_callbacks_private(settings: Settings) -> bool:
    """Whether they may be: those that an operator has set, as the demo's is."""
    private = settings.private_callbacks
    return settings.loopback if private is None else private


async def _finish(face: Face, workers: Workers) -> None:
    """Nothing new comes in; what is in hand comes to its end; then the binds that it needs go."""
    log.info("stopping: finishing what is in hand")
    _, in_time = await asyncio.gather(face.stop_serving(GRACE), workers.stop(GRACE))
    if not in_time:
        log.warning("not all came to its end in time; it goes on at the next start")
    await face.unbind()


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
