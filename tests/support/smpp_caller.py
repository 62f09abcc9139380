"""A customer that binds to a process of ours: one PDU after another, without a loop."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from recado.smpp import pdu as wire
from recado.smpp.pdu import HEADER, HEADER_SIZE, Address, Bind, Pdu, ShortMessage, framed

_PATIENCE = 30.0
_NUMBER = "5534998887755"


class Refused(Exception):
    """A bind was; with its command_status."""


class Caller:
    """One connection."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._sequence = 0

    def ask(self, command: int, body: bytes = b"") -> Pdu:
        """The response to a request; what comes before it is left without an answer."""
        self._sequence += 1
        self.link.sendall(framed(command, self._sequence, body))
        while True:
            pdu = self.read()
            if (pdu.command, pdu.sequence) == (command | wire.RESPONSE, self._sequence):
                return pdu

    def submit(self, text: str = "oi", to: str = _NUMBER) -> str:
        """Sends a message and asks for its receipt: its id."""
        message = ShortMessage(
            source=Address(5, 0, "Bia"),
            destination=Address(1, 1, to),
            text=text.encode(),
            registered_delivery=1,
        )
        answer = self.ask(wire.SUBMIT_SM, wire.message_body(message))
        assert answer.command_status == 0
        return wire.read_id(answer.body)

    def read(self) -> Pdu:
        """The next PDU. Raises EOFError where none comes any more."""
        length, command, command_status, sequence = HEADER.unpack(self._exactly(HEADER_SIZE))
        return Pdu(command, command_status, sequence, self._exactly(length - HEADER_SIZE))

    def until(self, command: int) -> Pdu:
        """The next of that command."""
        while (pdu := self.read()).command != command:
            pass
        return pdu

    def answer(self, to: Pdu, body: bytes = b"") -> None:
        self.link.sendall(framed(to.command | wire.RESPONSE, to.sequence, body))

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.link.recv(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found


@contextmanager
def bound(
    port: int,
    system_id: str,
    password: str,
    context: ssl.SSLContext | None = None,
    command: int = wire.BIND_TRANSCEIVER,
) -> Iterator[Caller]:
    """A bind, which ends without a word. Raises Refused."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as plain:
        link = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        with link:
            caller = Caller(link)
            answer = caller.ask(command, wire.bind_body(Bind(system_id, password)))
            if answer.command_status:
                raise Refused(answer.command_status)
            yield caller
