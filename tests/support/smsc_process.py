"""An SMSC as a process of its own, which lives and dies apart from who binds to it.

It takes every submit_sm, answers a little later, and sends a receipt for it; a receipt that was not
acknowledged is sent again over the next bind. Everything is in its log, one JSON object a line,
before it is said: what it owed when it was killed it owes when it is started again. SIGUSR1 breaks
its connections.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import deque
from itertools import count
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address, Pdu, ShortMessage
from recado.smpp.receipt import receipt_text

_MOST = 100_000
_WINDOW = 50  # receipts without an answer


class Told(Struct, frozen=True):
    """What it was told on its command line."""

    port: int
    log: Path
    answer_after: float
    receipt_after: float
    alone: bool


class Owed(Struct, frozen=True):
    """A receipt."""

    id: str
    text: str
    to: str


class Smsc:
    """The process: all its lines, and what it owes."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.lines: set[Line] = set()
        self.sessions = count(1)
        self._before = _remembered(told.log)
        self.owed = deque(one for one in self._before.values() if one)
        self._ids = count(len(self._before) + 1)
        self._log = told.log.open("a", encoding="utf-8")
        self._server: asyncio.Server | None = None

    def note(self, event: str, **what: Any) -> None:
        self._log.write(json.dumps({"event": event, **what}) + "\n")
        self._log.flush()

    def next_id(self) -> str:
        return f"{self.told.log.stem}-{next(self._ids)}"

    def drop(self) -> None:
        for line in tuple(self.lines):
            line.drop()

    async def listen(self) -> None:
        # Two that are alone have one port: whoever is free takes the next connection.
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Line(self), "127.0.0.1", self.told.port, reuse_port=self.told.alone
        )

    def came(self, line: "Line") -> None:
        self.lines.add(line)
        if self.told.alone and self._server is not None:
            self._server.close()
            self._server = None

    def gone(self, line: "Line") -> None:
        self.lines.discard(line)
        if self.told.alone and self._server is None:
            self._listening = asyncio.ensure_future(self.listen())

    def owe(self, owed: Owed) -> None:
        self.owed.append(owed)
        self.tell()

    def tell(self) -> None:
        """Sends what it owes, as far as there is room."""
        while self.owed:
            free = [line for line in self.lines if line.hears and len(line.told) < _WINDOW]
            if not free:
                return
            min(free, key=lambda line: len(line.told)).tell(self.owed.popleft())


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, smsc: Smsc) -> None:
        self.smsc = smsc
        self.hears = False
        self.told: dict[int, Owed] = {}  # by sequence number
        self._number = next(smsc.sessions)
        self._sequences = count(1)
        self._unanswered = 0
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.smsc.told.alone and self.smsc.lines:
            self._transport.abort()
        else:
            self.smsc.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self not in self.smsc.lines:
            return
        self.hears = False
        self.smsc.note("gone", session=self._number, unanswered=self._unanswered)
        self.smsc.owed.extendleft(reversed(self.told.values()))
        self.smsc.gone(self)
        self.smsc.tell()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        pdus, used = wire.split(self._buffer, _MOST)
        del self._buffer[:used]
        for pdu in pdus:
            self._handle(pdu)
        self.smsc.tell()

    def drop(self) -> None:
        self._transport.abort()

    def tell(self, owed: Owed) -> None:
        sequence = next(self._sequences)
        self.told[sequence] = owed
        self.smsc.note("told", session=self._number, id=owed.id)
        self._transport.write(wire.framed(wire.DELIVER_SM, sequence, _receipt(owed)))

    def _handle(self, pdu: Pdu) -> None:
        if pdu.command == wire.DELIVER_SM | wire.RESPONSE:
            self._heard(pdu)
        elif pdu.command == wire.SUBMIT_SM:
            self._take(pdu)
        elif pdu.command in wire.BINDS:
            self.hears = pdu.command != wire.BIND_TRANSMITTER
            self.smsc.note("bound", session=self._number)
            self._respond(pdu, wire.id_body("SMSC"))
        elif not pdu.command & wire.RESPONSE:
            self._respond(pdu)

    def _heard(self, pdu: Pdu) -> None:
        owed = self.told.pop(pdu.sequence)
        self.smsc.note("heard", session=self._number, id=owed.id, status=pdu.command_status)
        if pdu.command_status != status.ESME_ROK:
            self._loop.call_later(self.smsc.told.receipt_after, self.smsc.owe, owed)

    def _take(self, pdu: Pdu) -> None:
        message = wire.read_message(pdu.body)
        owed = Owed(self.smsc.next_id(), message.payload.decode(), message.destination.digits)
        self._unanswered += 1
        self.smsc.note("taken", session=self._number, id=owed.id, text=owed.text, to=owed.to)
        self._loop.call_later(self.smsc.told.answer_after, self._answer, pdu, owed)

    def _answer(self, pdu: Pdu, owed: Owed) -> None:
        self._unanswered -= 1
        self._respond(pdu, wire.id_body(owed.id))
        self._loop.call_later(self.smsc.told.receipt_after, self.smsc.owe, owed)

    def _respond(self, to: Pdu, body: bytes = b"") -> None:
        if not self._transport.is_closing():
            self._transport.write(wire.framed(to.command | wire.RESPONSE, to.sequence, body))


def _receipt(owed: Owed) -> bytes:
    tlvs = {wire.RECEIPTED_MESSAGE_ID: owed.id.encode() + b"\0", wire.MESSAGE_STATE: b"\2"}
    text = receipt_text(owed.id, "DELIVRD", "000", 0.0, 0.0, owed.text)
    message = ShortMessage(
        source=Address(1, 1, owed.to), text=text, esm_class=wire.RECEIPT, tlvs=tlvs
    )
    return wire.message_body(message)


def _remembered(log: Path) -> dict[str, Owed | None]:
    """What an earlier life has taken, by id; None where its receipt was acknowledged."""
    found: dict[str, Owed | None] = {}
    lines = log.read_bytes().rpartition(b"\n")[0].split(b"\n") if log.exists() else []
    for line in map(json.loads, filter(None, lines)):
        if line["event"] == "taken":
            found[line["id"]] = Owed(line["id"], line["text"], line["to"])
        elif line["event"] == "heard" and not line["status"]:
            found[line["id"]] = None
    return found


async def _serve(told: Told) -> None:
    end, smsc = asyncio.Event(), Smsc(told)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    loop.add_signal_handler(signal.SIGUSR1, smsc.drop)
    await smsc.listen()
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await end.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--answer-after", type=float, default=0.02)
    parser.add_argument("--receipt-after", type=float, default=0.1)
    parser.add_argument(
        "--alone", action="store_true", help="one session at a time; meanwhile nobody listens"
    )
    asyncio.run(_serve(Told(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
