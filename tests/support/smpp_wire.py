"""A small SMPP client that hides nothing: octets out, PDUs in."""

import asyncio
import ssl
from typing import Self

from recado.smpp import pdu as wire
from recado.smpp.pdu import HEADER, HEADER_SIZE, Bind, Pdu, ShortMessage, framed

_PATIENCE = 10.0
MESSAGE = wire.message_body(
    ShortMessage(
        source=wire.Address(5, 0, "Recado"),
        destination=wire.Address(1, 1, "5534998887755"),
        text=b"oi",
    )
)
"""The body of a submit_sm that every customer may send."""


class Wire:
    """One connection. Sequence numbers count from 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.sequence = 0

    @classmethod
    async def to(
        cls,
        port: int | None,
        *,
        secure: ssl.SSLContext | None = None,
        source: str | None = None,
        limit: int = 1 << 20,
    ) -> Self:
        """Connects to a port of this machine, from one of its addresses."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=secure,
            server_hostname="localhost" if secure else None,
            local_addr=(source, 0) if source else None,
            limit=limit,
        )
        return cls(reader, writer)

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    def ask(self, command: int, body: bytes = b"") -> int:
        """Sends a request: its sequence number."""
        self.sequence += 1
        self.send(framed(command, self.sequence, body))
        return self.sequence

    def answer(self, to: Pdu, body: bytes = b"", command_status: int = 0) -> None:
        self.send(framed(to.command | wire.RESPONSE, to.sequence, body, command_status))

    async def read(self) -> Pdu:
        """The next PDU, whatever it is. Raises IncompleteReadError where none comes any more."""
        async with asyncio.timeout(_PATIENCE):
            head = await self.reader.readexactly(HEADER_SIZE)
            length, command, command_status, sequence = HEADER.unpack(head)
            body = await self.reader.readexactly(length - HEADER_SIZE)
        return Pdu(command, command_status, sequence, body)

    async def call(self, command: int, body: bytes = b"") -> Pdu:
        """The answer to a request; it must be the next that comes."""
        sequence = self.ask(command, body)
        answer = await self.read()
        assert answer.sequence == sequence
        return answer

    async def bind(
        self,
        system_id: str = "ana",
        password: str = "segredo",
        command: int = wire.BIND_TRANSCEIVER,
        version: int = 0x34,
    ) -> Pdu:
        body = wire.bind_body(Bind(system_id, password, interface_version=version))
        return await self.call(command, body)

    async def until_closed(self) -> bytes:
        """Waits until the other side has closed: what it still said."""
        async with asyncio.timeout(_PATIENCE):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return
