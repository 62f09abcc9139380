"""Every socket to the world: the front door, SMPP at both ends, and the courier."""

import ssl
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from node import uploads
from node.courier import Courier
from node.front_words import Doors, Standing
from node.gateway import Function, Gateway, Page
from node.http_server import Server, serve
from node.smpp import Smpp, Ways, server_settings
from node.template import Router, Wiring
from node.waiting import Durably
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.errors import Misconfigured
from recado.wiring import Deps


class Inside(Struct, frozen=True):
    """What is behind the sockets."""

    deps: Deps
    durable: Durably
    blobs: DirectoryBlobs
    wiring: Wiring
    functions: Mapping[str, Function]
    pages: Mapping[str, Page]


class World:
    """Made and used within one running loop."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._courier = Courier()
        self.ways = Ways(self._courier.exchange)
        self.smpp = Smpp(self.ways)
        self._server: Server | None = None

    async def start(self, inside: Inside) -> Standing:
        """Listens, and binds to the SMSCs. Raises Misconfigured, naming what can't be had."""
        routes = Router(inside.wiring.routes, inside.wiring.default)
        clock, durable = inside.deps.clock, inside.durable
        gateway = Gateway(routes, inside.functions, durable, clock, inside.pages)
        context = _tls(self._doors)
        settings = server_settings(self._doors.smpp, self._doors.host, context)
        self._server = await _listen(gateway, inside.blobs, self._doors, context)
        await self.smpp.start(inside.deps, durable, settings)
        return Standing(self._server.port, self.smpp.ports())

    async def stop_front_door(self, grace: float) -> None:
        """Takes no more requests, and answers those in hand."""
        if self._server is not None:
            await self._server.close(grace)

    async def close(self) -> None:
        """Cuts off what is on its way out."""
        await self._courier.close()


def _tls(doors: Doors) -> ssl.SSLContext | None:
    """What HTTP and SMPP prove themselves by, if there is a certificate."""
    if not (doors.tls_certificate or doors.tls_key):
        return None
    if not (doors.tls_certificate and doors.tls_key):
        raise Misconfigured("TLS needs both a certificate and a key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(doors.tls_certificate, doors.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"can't use the TLS certificate or key: {error}") from error
    return context


async def _listen(
    gateway: Gateway, blobs: DirectoryBlobs, doors: Doors, context: ssl.SSLContext | None
) -> Server:
    try:
        return await serve(
            gateway.handle,
            gateway.refuse,
            doors.host,
            doors.http_port,
            ssl_context=context,
            begin_upload=partial(uploads.begin, blobs=blobs),
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise Misconfigured(f"can't listen on {doors.host}:{doors.http_port}: {reason}") from error
