"""An SMSC that behaves as it is told: a thread of its own, real sockets, and a log of what came.

It knows nothing of our sessions: it stands on the codec and on asyncio alone.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any, Self, TypeAlias, cast

from msgspec import Struct

from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Pdu, ShortMessage

_PATIENCE = 10.0
_MOST = 100_000


class Said(Struct, frozen=True):
    """What becomes of a submit: this answer, `after` so many seconds; or none."""

    command_status: int = 0
    id: str | None = None  # None: the next number
    after: float = 0.0
    silent: bool = False
    drop: bool = False  # the connection breaks instead
    nack: bool = False  # a generic_nack instead
    then: tuple[bytes, ...] = ()  # bodies of deliver_sm that follow the answer


class Taken(Struct, frozen=True):
    """A submit_sm that came. `session` counts connections from 1."""

    session: int
    at: float
    message: ShortMessage
    id: str


class Asked(Struct, frozen=True):
    """A bind that came, and its answer."""

    session: int
    at: float
    command: int
    bind: wire.Bind
    command_status: int


Answering: TypeAlias = Callable[[Taken], Said]
Letting: TypeAlias = Callable[[wire.Bind], int]

TAKE = Said()
SILENT = Said(silent=True)
DROP = Said(drop=True)
THROTTLE = Said(status.ESME_RTHROTTLED)


class Smsc:
    """`answering` and `letting` are called in its thread, and may be changed at any time."""

    def __init__(
        self,
        answering: Answering = lambda _: TAKE,
        letting: Letting = lambda _: 0,
        *,
        port: int = 0,
        secure: ssl.SSLContext | None = None,
    ) -> None:
        self.answering, self.letting = answering, letting
        self.taken: list[Taken] = []
        self.asked: list[Asked] = []
        self.answers: list[Pdu] = []  # to what it told, in order, enquire_links among them
        self.unbound: list[int] = []  # sessions that said unbind
        self.enquired: list[int] = []  # sessions that said enquire_link
        self.most_in_flight = 0  # submits without an answer in one session, at worst
        self.answers_unbind = True
        self.answers_enquiries = True
        self._ids, self._sessions = count(1), count(1)
        self._lines: list[_Line] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(port, secure, ready))
        self._thread.start()
        self.port = ready.result(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- for tests -------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], patience: float = _PATIENCE) -> None:
        """Returns once that is so. Fails where it is not in time."""
        with self._changed:
            assert self._changed.wait_for(until, patience), self._told()

    async def until(self, so: Callable[[], bool], patience: float = _PATIENCE) -> None:
        """The same from a loop, which goes on meanwhile."""
        await asyncio.to_thread(self.wait, so, patience)

    async def bound(self, amount: int = 1) -> None:
        """Waits for so many sessions that are bound at once."""
        await self.until(lambda: len(self.lines()) == amount)

    def has_been_asked(self, times: int) -> bool:
        """Whether so many binds came."""
        return len(self.asked) == times

    def lines(self) -> list[int]:
        """The sessions that are bound now."""
        return [line.number for line in self._lines if line.command]

    def tell(self, body: bytes, command: int = wire.DELIVER_SM, session: int | None = None) -> None:
        """Sends a request over a session, or over the first that hears; its answer is in
        `answers`."""
        self._loop.call_soon_threadsafe(self._tell, command, body, session)

    def drop(self) -> None:
        """Breaks every connection."""
        self._loop.call_soon_threadsafe(self._drop)

    def say_unbind(self) -> None:
        """Unbinds every session."""
        self._loop.call_soon_threadsafe(self._say_unbind)

    def close(self) -> None:
        """Breaks what is connected, and ends."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_PATIENCE)

    # --- its thread ------------------------------------------------------------------------------

    def _run(self, port: int, secure: ssl.SSLContext | None, ready: "Future[int]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(port, secure, ready))

    async def _serve(self, port: int, secure: ssl.SSLContext | None, ready: "Future[int]") -> None:
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: _Line(self), "127.0.0.1", port, ssl=secure)
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._drop()
        while self._lines:
            await asyncio.sleep(0.001)

    def _drop(self) -> None:
        for line in list(self._lines):
            line.abort()

    def _say_unbind(self) -> None:
        for line in list(self._lines):
            line.ask(wire.UNBIND, b"")

    def _tell(self, command: int, body: bytes, session: int | None) -> None:
        for line in self._lines:
            wanted = line.number == session if session else line.command & wire.BIND_RECEIVER
            if wanted:
                line.ask(command, body)
                return
        raise AssertionError("nobody is bound who hears")

    def note(self, change: Callable[[], Any]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def came(self, line: "_Line") -> int:
        self.note(lambda: self._lines.append(line))
        return next(self._sessions)

    def gone(self, line: "_Line") -> None:
        self.note(lambda: self._lines.remove(line))

    def next_id(self) -> str:
        return f"{next(self._ids):08d}"

    def _told(self) -> str:
        return (
            f"{len(self.taken)} taken, {len(self.asked)} binds asked, {len(self.answers)} answers,"
            f" {self.lines()} bound, {self.unbound} unbound"
        )


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, smsc: Smsc) -> None:
        self.smsc = smsc
        self.number = 0
        self.command = 0  # of its bind
        self._buffer = bytearray()
        self._sequences = count(1)
        self._in_flight = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.number = self.smsc.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.command = 0
        self.smsc.gone(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        pdus, used = wire.split(self._buffer, _MOST)
        del self._buffer[:used]
        for pdu in pdus:
            self._handle(pdu)

    def abort(self) -> None:
        self._transport.abort()

    def ask(self, command: int, body: bytes) -> None:
        self._transport.write(wire.framed(command, next(self._sequences), body))

    def _respond(self, to: Pdu, body: bytes = b"", command_status: int = 0) -> None:
        answer = wire.framed(to.command | wire.RESPONSE, to.sequence, body, command_status)
        self._transport.write(answer)

    def _handle(self, pdu: Pdu) -> None:
        smsc = self.smsc
        if pdu.command & wire.RESPONSE:
            smsc.note(lambda: smsc.answers.append(pdu))
        elif pdu.command in wire.BINDS:
            self._bind(pdu)
        elif pdu.command == wire.SUBMIT_SM:
            self._submit(pdu)
        elif pdu.command == wire.ENQUIRE_LINK:
            smsc.note(lambda: smsc.enquired.append(self.number))
            if smsc.answers_enquiries:
                self._respond(pdu)
        elif pdu.command == wire.UNBIND:
            smsc.note(lambda: smsc.unbound.append(self.number))
            if smsc.answers_unbind:
                self._respond(pdu)

    def _bind(self, pdu: Pdu) -> None:
        bind = wire.read_bind(pdu.body)
        command_status = self.smsc.letting(bind)
        asked = Asked(self.number, time.monotonic(), pdu.command, bind, command_status)
        self._respond(pdu, wire.id_body("SMSC"), command_status)
        if not command_status:
            self.command = pdu.command
        self.smsc.note(lambda: self.smsc.asked.append(asked))

    def _submit(self, pdu: Pdu) -> None:
        smsc = self.smsc
        message = wire.read_message(pdu.body)
        taken = Taken(self.number, time.monotonic(), message, smsc.next_id())
        self._in_flight += 1
        smsc.most_in_flight = max(smsc.most_in_flight, self._in_flight)
        said = smsc.answering(taken)
        smsc.note(lambda: smsc.taken.append(taken))
        if said.drop:
            self.abort()
        elif not said.silent and said.after:
            asyncio.get_running_loop().call_later(said.after, self._answer, pdu, taken, said)
        elif not said.silent:
            self._answer(pdu, taken, said)

    def _answer(self, pdu: Pdu, taken: Taken, said: Said) -> None:
        self._in_flight -= 1
        if self._transport.is_closing():
            return
        if said.nack:
            nack = wire.framed(wire.GENERIC_NACK, pdu.sequence, b"", said.command_status)
            self._transport.write(nack)
            return
        ok = said.command_status == status.ESME_ROK
        given = taken.id if said.id is None else said.id
        self._respond(pdu, wire.id_body(given) if ok else b"", said.command_status)
        for body in said.then:
            self.ask(wire.DELIVER_SM, body)
