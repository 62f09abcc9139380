"""Whether an SMSC lets us in, tried by a command where no gateway runs: by one bind, that ends at
once.

It takes nothing that the SMSC delivers meanwhile: unanswered, that comes again later.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeAlias

from msgspec.structs import replace

from recado.connector_secrets import kept
from recado.connector_tests import connector_test, is_over_bind
from recado.connectors import Upstream
from recado.connectors.smpp_settings import dialling_of
from recado.courier import session_exchange
from recado.observability import words_of
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Pdu
from recado.upstreams import upstream_named
from recado.wiring import Deps
from smpp.session import Limits, Session

_PATIENCE = 10.0
_VERSION = 0x0210  # the TLV sc_interface_version (3.4, section 5.3.2.25)

Answer: TypeAlias = tuple[Pdu | None, str]


def tested_alone(deps: Deps, name: str) -> dict[str, Any]:
    """The operation connector_test of a process that holds no binds and has no courier."""
    upstream = upstream_named(name, deps)
    if not is_over_bind(upstream):
        with closing(session_exchange(1)) as exchange:
            return connector_test(replace(deps, exchange=exchange), name)
    password = kept(upstream, deps).get("password", "")
    about = {"name": name, "kind": upstream.kind, "paused": upstream.paused}
    return {**about, **asyncio.run(bound_once(upstream, password))}


async def bound_once(upstream: Upstream, password: str) -> dict[str, Any]:
    """Binds, asks whether it is there, unbinds: what came of it."""
    dialling = dialling_of(upstream)
    command = wire.BIND_TRANSMITTER if dialling.separate else wire.BIND_TRANSCEIVER
    body = wire.bind_body(wire.Bind(dialling.system_id, password, dialling.system_type))
    ended = asyncio.Event()
    try:
        session = await _connected(upstream, lambda _session, _why: ended.set())
    except TimeoutError:
        return {"reached": False, "problem": "it does not answer"}
    except OSError as error:
        return {"reached": False, "problem": words_of(error) or str(error)}
    try:
        return await _asked(session, command, body)
    finally:
        session.close("tried")
        await ended.wait()


async def _connected(upstream: Upstream, on_closed: Callable[[Session, str], None]) -> Session:
    """Raises OSError, TimeoutError."""
    dialling = dialling_of(upstream)
    secure = ssl.create_default_context(cafile=dialling.ca or None) if dialling.tls else None
    limits = Limits(enquire=0.0)
    async with asyncio.timeout(_PATIENCE):
        _, session = await asyncio.get_running_loop().create_connection(
            lambda: Session(_leave, on_closed, limits),
            dialling.host,
            dialling.port,
            ssl=secure,
            server_hostname=dialling.host if secure else None,
        )
    return session


def _leave(_session: Session, _request: Pdu) -> None:
    """What is delivered stays the SMSC's."""


async def _asked(session: Session, command: int, body: bytes) -> dict[str, Any]:
    answer, why = await _answer(session, command, body)
    if answer is None:
        return {"reached": True, "bound": False, "problem": why}
    if answer.command_status != status.ESME_ROK:
        why = f"the SMSC refused the bind: {status.name_of(answer.command_status)}"
        return {"reached": True, "bound": False, "problem": why}
    began = asyncio.get_running_loop().time()
    there, why = await _answer(session, wire.ENQUIRE_LINK, b"")
    took = round((asyncio.get_running_loop().time() - began) * 1000, 1)
    await _answer(session, wire.UNBIND, b"")
    found = {"reached": True, "bound": True, "version": _version(answer.body)}
    return {**found, "milliseconds": took} if there else {**found, "problem": why}


async def _answer(session: Session, command: int, body: bytes) -> Answer:
    """The answer to a request, or None and why there is none."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answered(answer: Pdu | None, why: str, _sent: bool) -> None:
        if not future.done():
            future.set_result((answer, why))

    session.request(command, body, answered, _PATIENCE)
    return await future


def _version(body: bytes) -> str:
    """What it speaks, as it says: 3.4; it need not say so, and what does not is 3.3 or older."""
    tlvs = body.partition(b"\0")[2]
    while len(tlvs) >= 4:
        tag, length = int.from_bytes(tlvs[:2]), int.from_bytes(tlvs[2:4])
        if tag == _VERSION and length == 1 and len(tlvs) > 4:
            return f"{tlvs[4] >> 4}.{tlvs[4] & 0xF}"
        tlvs = tlvs[4 + length :]
    return ""
