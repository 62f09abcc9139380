"""The simulator's process: an upstream over HTTP that behaves by magic numbers.

It takes submits, keeps a log of what it took and what it was acknowledged, and posts receipts and
replies to the callback URL that came with the submit. A line is in the log before the answer that
it speaks of leaves: so tests count in the log, and a killed simulator goes on where it was.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import uvloop
from msgspec import Struct

from node.courier import Courier
from node.http_request import HANG_UP
from node.http_server import RawRequest, Reply, serve
from node.simulator_demo import described, report_of
from node.simulator_log import Log, Refused, Taken, told_line
from node.simulator_teller import Post, Teller
from recado.simulator_behaviours import (
    GARBAGE,
    REFUSALS,
    Answering,
    Asked,
    Behaviour,
    behaviour_of,
    event_of,
)

_JSON = {"content-type": "application/json"}
_TOLD_FIRST_PATIENCE = 2.0  # seconds that a submit's answer waits for its receipt, at most
_KEPT_BODIES = 1_000
_encoder = msgspec.json.Encoder()
_asked_decoder: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """Where it listens (port 0: any free one), its log, and its times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8090
    log: Path
    receipt_delay: float = 0.05  # from a submit's answer to its receipt, as a rule
    silence: float = 60.0  # until a connection that gets no answer is closed
    trust: Path | None = None  # the one certificate (PEM) of the gateway that it tells


class _PlayedReply(Struct, frozen=True, rename={"source": "from"}):
    """POST /reply: an MO by hand."""

    to: str
    source: str
    text: str


class _Simulator:
    """The routes. Each answers through `reply`, at once or later."""

    def __init__(
        self,
        settings: SimulatorSettings,
        log: Log,
        post: Post,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings, self._log, self._post, self._loop = settings, log, post, loop
        self._tellers: dict[str, Teller] = {}
        self._answers: dict[str, Callable[[], None]] = {}  # by id: submits answered after a receipt
        self._demo: deque[object] = deque(maxlen=_KEPT_BODIES)
        self._routes: dict[tuple[str, str], Callable[[RawRequest, Reply], None]] = {
            ("POST", "/submit"): self._submit,
            ("POST", "/reply"): self._reply,
            ("GET", "/taken"): self._taken,
            ("GET", "/stats"): self._stats,
            ("GET", "/demo-callbacks"): self._demo_callbacks,
        }
        for taken, done in log.owing.values():
            self._tell(taken, done, settings.receipt_delay)

    def handle(self, request: RawRequest, reply: Reply) -> None:
        path = request.target.partition("?")[0]
        if path == "/demo-callback":
            self._demo_callback(request, reply)
            return
        route = self._routes.get((request.method, path))
        if route is None:
            _say(reply, 404, {"problem": "no such route"})
            return
        try:
            route(request, reply)
        except (msgspec.DecodeError, ValueError) as error:
            _say(reply, 400, {"problem": str(error)})

    def _submit(self, request: RawRequest, reply: Reply) -> None:
        asked = _asked_decoder.decode(request.body)
        if not asked.callback_url.startswith(("http://", "https://")):
            raise ValueError("callback_url must begin with http:// or https://")
        behaviour = behaviour_of(asked.to)
        if self._refuses(behaviour.answering, asked.reference):
            refused = Refused(asked.reference, asked.to, behaviour.answering, time.time())
            self._log.write(refused, partial(_refuse, behaviour.answering, reply))
            return
        first = asked.reference not in self._log.references
        taken = Taken(
            id=secrets.token_hex(10),
            reference=asked.reference,
            to=asked.to,
            segments=asked.segments,
            at=time.time(),
            callback_url=asked.callback_url,
            echo=asked.echo,
            lost=first and behaviour.answering in ("silence", "garbage"),
            source=asked.source,
            voice=asked.voice,
        )
        self._log.write(taken, partial(self._accept, taken, behaviour, reply), asked.text)

    def _refuses(self, answering: Answering, reference: str) -> bool:
        if answering == "throttle":
            return self._log.throttled.get(reference, 0) < 2
        return answering in ("reject", "unavailable", "close")

    def _accept(self, taken: Taken, behaviour: Behaviour, reply: Reply) -> None:
        answer = partial(_say, reply, 200, {"id": taken.id})
        if taken.lost:
            if behaviour.answering == "garbage":
                reply(GARBAGE.status, GARBAGE.headers, GARBAGE.body)
            else:
                self._loop.call_later(self._settings.silence, _hang_up, reply)
        elif behaviour.told_first:
            self._answers[taken.id] = answer
            self._loop.call_later(_TOLD_FIRST_PATIENCE, self._answer_waiting, taken.id)
        elif behaviour.answer_after:
            self._loop.call_later(behaviour.answer_after, answer)
        else:
            answer()
        usual = 0.0 if behaviour.told_first else self._settings.receipt_delay
        self._tell(taken, 0, behaviour.answer_after + behaviour.told_after + usual)

    def _tell(self, taken: Taken, done: int, delay: float) -> None:
        steps = taken.steps[done:]
        if not steps:
            return

        def acknowledged(index: int) -> None:
            line = told_line(taken, steps[index], time.time())
            self._log.write(line, partial(self._answer_waiting, taken.id))

        reference = taken.reference if taken.echo else None
        bodies = [event_of(step, taken.id, taken.to, taken.source, reference) for step in steps]
        self._teller(taken.callback_url).tell(bodies, acknowledged, delay)

    def _teller(self, url: str) -> Teller:
        if url not in self._tellers:
            self._tellers[url] = Teller(url, self._post, self._loop)
        return self._tellers[url]

    def _answer_waiting(self, upstream_id: str) -> None:
        answer = self._answers.pop(upstream_id, None)
        if answer is not None:
            answer()

    def _reply(self, request: RawRequest, reply: Reply) -> None:
        """Posted where the newest submit asked for, after the newest to that person. It is not
        logged (a log holds no text), so it does not outlive the process."""
        played = msgspec.json.decode(request.body, type=_PlayedReply)
        newest = [taken for taken, _ in reversed(self._log.newest)]
        to_them = [taken for taken in newest if taken.to == played.source]
        if not newest:
            _say(reply, 409, {"problem": "nothing was taken yet: no callback URL is known"})
            return
        event = {"event": "reply", "id": secrets.token_hex(10), **msgspec.to_builtins(played)}
        url = (to_them or newest)[0].callback_url
        self._teller(url).tell([_encoder.encode(event)], lambda _: None, 0.0)
        _say(reply, 202, {"id": event["id"]})

    def _taken(self, request: RawRequest, reply: Reply) -> None:
        query = dict(parse_qsl(request.target.partition("?")[2]))
        limit = max(0, int(query.get("limit", "100")))
        newest = list(self._log.newest)[-limit:] if limit else []
        listed = [msgspec.to_builtins(taken) | {"text": text} for taken, text in reversed(newest)]
        self._log.once_written(partial(_say, reply, 200, listed))

    def _stats(self, request: RawRequest, reply: Reply) -> None:  # noqa: ARG002 - as every route
        # Who counts here and then in the log finds the same.
        self._log.once_written(partial(_say, reply, 200, self._log.stats()))

    def _demo_callback(self, request: RawRequest, reply: Reply) -> None:
        report = report_of(request.target.partition("?")[2], request.body)
        self._demo.append(report)
        with contextlib.suppress(OSError):  # a terminal that was closed takes nothing away from it
            sys.stderr.write(described(report) + "\n")
        reply(204, {}, b"")

    def _demo_callbacks(self, request: RawRequest, reply: Reply) -> None:  # noqa: ARG002 - as every route
        _say(reply, 200, list(self._demo))

    async def close(self) -> None:
        for teller in self._tellers.values():
            await teller.close()


def _say(reply: Reply, status: int, thing: object) -> None:
    reply(status, _JSON, _encoder.encode(thing))


def _refuse(answering: Answering, reply: Reply) -> None:
    if answering == "close":
        _hang_up(reply)
    else:
        refusal = REFUSALS[answering]
        reply(refusal.status, refusal.headers, refusal.body)


def _hang_up(reply: Reply) -> None:
    reply(HANG_UP, {}, b"")


def _refused_by_server(status: int, _path: str) -> tuple[Mapping[str, str], bytes]:
    return _JSON, _encoder.encode({"problem": f"HTTP {status}"})


def _trusting(certificate: Path) -> ssl.SSLContext:
    """Trusts this certificate alone, whatever host it names: the gateway's, next door."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context


async def simulate(settings: SimulatorSettings, ready: Callable[[int], None]) -> None:
    """Runs until it is cancelled; calls `ready` with its port once it listens. Raises Misconfigured
    where the log can't be read, OSError where the port is taken."""
    loop = asyncio.get_running_loop()
    log = Log(settings.log, loop)
    courier = Courier(_trusting(settings.trust) if settings.trust else None)
    simulator = _Simulator(settings, log, courier.exchange, loop)
    try:
        server = await serve(simulator.handle, _refused_by_server, settings.host, settings.port)
        try:
            ready(server.port)
            await loop.create_future()
        finally:
            await server.close(0.0)
    finally:
        await simulator.close()
        await courier.close()
        log.close()


def run(settings: SimulatorSettings, *, parent_pipe: bool = False, announce: bool = False) -> None:
    """The process: until SIGTERM, SIGINT, or with `parent_pipe` the end of standard input (so it
    dies with who started it). With `announce` one line {"listening": port} goes to standard output.
    """

    def ready(port: int) -> None:
        if announce:
            sys.stdout.write(_encoder.encode({"listening": port}).decode() + "\n")
            sys.stdout.flush()

    async def until_told() -> None:
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(simulate(settings, ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, work.cancel)
        if parent_pipe:
            end = partial(loop.call_soon_threadsafe, work.cancel)
            threading.Thread(target=_await_end_of_input, args=(end,), daemon=True).start()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


def _await_end_of_input(end: Callable[[], object]) -> None:
    # In a thread, since standard input may be a thing that the loop can't watch.
    while os.read(0, 4096):
        pass
    end()
