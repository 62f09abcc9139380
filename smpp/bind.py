"""A bind: one session to an SMSC, made again whenever it breaks, until it is closed.

What it is to say and how it was told to say it comes from its connector's settings; what it hears
goes to who made it.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from recado.connectors.smpp_settings import Dialling
from recado.observability import count, log, words_of
from recado.retry import backoff
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Pdu
from smpp.pace import Brake
from smpp.session import Answered, Limits, Session

_NO_ENTRY = frozenset({status.ESME_RINVPASWD, status.ESME_RINVSYSID})
_SLOWER = frozenset({status.ESME_RTHROTTLED, status.ESME_RMSGQFUL})
_IGNORED = frozenset({wire.ALERT_NOTIFICATION, wire.OUTBIND})
_MODES = {
    wire.BIND_TRANSCEIVER: "transceiver",
    wire.BIND_TRANSMITTER: "transmitter",
    wire.BIND_RECEIVER: "receiver",
}


class Timing(Struct, frozen=True, kw_only=True):
    """How long things take, in seconds."""

    connect: float = 10.0  # until a connection stands, and until it is bound
    first_pause: float = 1.0  # before it is tried again: doubling, less by chance
    longest_pause: float = 60.0
    no_entry: float = 60.0  # after a password that was refused: SMSCs lock out who insists
    longest_no_entry: float = 900.0
    settled: float = 10.0  # a bind that held so long begins again with the first pause
    goodbye: float = 2.0  # until unbind is answered
    silences: int = 5  # submits in a row without an answer until a bind is taken for dead
    look: float = 2.0  # between looks at the configuration
    lease: float = 30.0
    renew: float = 10.0
    lapse: float = 6.0  # a bind is closed so long before its lease runs out
    grace: float = 5.0  # for what is in flight when a bind is made anew, or goes


class Login(Struct, frozen=True):
    """What a bind has to know to be made."""

    dialling: Dialling
    password: str


class NoEntry(Exception):
    """The SMSC does not let us in."""

    def __init__(self, command_status: int) -> None:
        super().__init__(f"the SMSC refused the bind: {status.name_of(command_status)}")
        self.for_our_name = command_status in _NO_ENTRY


class Ears(Struct, frozen=True):
    """Who is told: of each deliver_sm and data_sm, of a session that is no more, and of a bind that
    stands or has gone."""

    heard: Callable[[Session, Pdu], None]
    lost: Callable[[Session], None]
    changed: Callable[[], None]


class Bind:
    """One bind, trying from the moment that it is made."""

    def __init__(
        self, name: str, command: int, login: Login, limits: Limits, timing: Timing, ears: Ears
    ) -> None:
        self.name, self.mode = name, _MODES[command]
        self.sends = command != wire.BIND_RECEIVER
        self.state = "connecting"  # "bound", "waiting": for the next try, "closed"
        self.problem = ""
        self.refused = False  # for our name or password
        self.tries = 0  # without one that held
        self.in_flight = 0
        self.brake = Brake()
        self._command, self._login, self._limits, self._timing = command, login, limits, timing
        self._ears = ears
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._silent = 0
        self._gone = asyncio.Event()
        self._idle = asyncio.Event()
        self._task = self._loop.create_task(self._run())

    # --- what goes over it -----------------------------------------------------------------------

    def room(self, window: int, now: float) -> int:
        """How many more may go now."""
        if self.state != "bound" or not self.sends or now < self.brake.until:
            return 0
        if self._session is None or self._session.closed:
            return 0  # the loop has yet to say so
        return window - self.in_flight

    def carry(self, command: int, body: bytes, answered: Answered, timeout: float) -> None:
        """Sends a request; only where there is room. Who made it calls `settled` with what came."""
        assert self._session is not None  # noqa: S101 - it is bound
        self.in_flight += 1
        self._session.request(command, body, answered, timeout)

    def settled(self, answer: Pdu | None, *, sent: bool) -> None:
        """A request has its answer, or will have none."""
        self.in_flight -= 1
        if answer is not None:
            self._silent = 0
            if answer.command_status in _SLOWER:
                count("smpp_throttled")
                self.brake.throttled(self._loop.time())
            elif self.brake.until and answer.command_status == status.ESME_ROK:
                self.brake.taken(self._loop.time())
        elif sent and self._session is not None and not self._session.closed:
            self._silent += 1
            if self._silent >= self._timing.silences:
                self._session.abort("submits are not answered")
        if not self.in_flight:
            self._idle.set()

    # --- its life --------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            began = self._loop.time()
            try:
                await self._make()
                began = self._loop.time()
                await self._gone.wait()
            except NoEntry as refusal:
                self.refused, self.problem = refusal.for_our_name, str(refusal)
            except (OSError, TimeoutError) as error:
                self.problem = _words(error)
            except Exception as error:
                log.exception("a bind failed", extra={"bind": self.name})
                self.problem = type(error).__name__
            if self.state == "closed":
                return
            self._drop()
            held = self.state == "bound" and self._loop.time() - began >= self._timing.settled
            self.tries = 1 if held else self.tries + 1
            self.state = "waiting"
            log.warning("not bound", extra={"bind": self.name, "problem": self.problem})
            self._ears.changed()
            await asyncio.sleep(self._pause())
            self.state = "connecting"

    def _pause(self) -> float:
        timing = self._timing
        if self.refused:
            return backoff(self.tries, base=timing.no_entry, cap=timing.longest_no_entry)
        return backoff(self.tries, base=timing.first_pause, cap=timing.longest_pause)

    async def _make(self) -> None:
        """Returns when it is bound. Raises NoEntry, OSError, TimeoutError."""
        dialling, timing = self._login.dialling, self._timing
        self._gone.clear()
        self.refused = False
        secure = _context(dialling) if dialling.tls else None
        async with asyncio.timeout(timing.connect):
            _, session = await self._loop.create_connection(
                lambda: Session(self._on_request, self._on_closed, self._limits),
                dialling.host,
                dialling.port,
                ssl=secure,
                server_hostname=dialling.host if secure else None,
                ssl_shutdown_timeout=timing.goodbye if secure else None,
            )
        self._session = session
        body = wire.bind_body(
            wire.Bind(dialling.system_id, self._login.password, dialling.system_type)
        )
        answer, why = await _ask(session, self._command, body, timing.connect)
        if answer is None:
            raise ConnectionError(why)
        if answer.command_status != status.ESME_ROK:
            raise NoEntry(answer.command_status)
        self.state, self.problem, self._silent, self.brake = "bound", "", 0, Brake()
        log.info("bound", extra={"bind": self.name, "mode": self.mode})
        self._ears.changed()

    def _drop(self) -> None:
        """Lets go of its session, whatever is left of it."""
        session, self._session = self._session, None
        if session is not None and not session.closed:
            session.abort("given up")

    async def close(self, grace: float) -> None:
        """Takes nothing more, waits for what is in flight as long as `grace`, unbinds. What has no
        answer by then has none."""
        bound, session = self.state == "bound", self._session
        self.state = "closed"
        if bound and session is not None and not session.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._drained(session)
            await _ask(session, wire.UNBIND, b"", self._timing.goodbye)
            session.close("unbound")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.goodbye):
                    await self._gone.wait()
        self.cut()
        with suppress(asyncio.CancelledError):
            await self._task

    def cut(self) -> None:
        """Ends it at once."""
        self.state = "closed"
        self._task.cancel()
        self._drop()
        self._gone.set()
        self._idle.set()

    async def _drained(self, session: Session) -> None:
        """All is answered, on both sides; or the session is no more."""
        while self.in_flight and not session.closed:
            self._idle.clear()
            await self._idle.wait()
        self._idle.clear()
        if not session.closed:
            session.when_drained(self._idle.set)
            await self._idle.wait()

    # --- what its session tells ------------------------------------------------------------------

    def _on_request(self, session: Session, request: Pdu) -> None:
        if request.command in (wire.DELIVER_SM, wire.DATA_SM):
            self._ears.heard(session, request)
        elif request.command == wire.UNBIND:
            session.respond(request)
            session.close("the SMSC unbound")
        elif request.command not in _IGNORED:
            session.respond(request, b"", status.ESME_RINVCMDID)

    def _on_closed(self, session: Session, why: str) -> None:
        self._ears.lost(session)
        if session is self._session:
            self.problem = why
            self._gone.set()
            self._idle.set()


async def _ask(
    session: Session, command: int, body: bytes, timeout: float
) -> tuple[Pdu | None, str]:
    """The answer to a request, or None and why there is none."""
    future: asyncio.Future[tuple[Pdu | None, str]] = asyncio.get_running_loop().create_future()

    def answered(answer: Pdu | None, why: str, sent: bool) -> None:  # noqa: ARG001 - Answered
        if not future.done():
            future.set_result((answer, why))

    session.request(command, body, answered, timeout)
    return await future


def _context(dialling: Dialling) -> ssl.SSLContext:
    """Trusts what the system trusts, or the connector's own file alone; the name is checked."""
    return ssl.create_default_context(cafile=dialling.ca or None)


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return words_of(error) or str(error)
