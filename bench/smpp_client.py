"""A customer that binds and submits as fast as its windows let it, as frugal as Python can be:
PDUs are made from a template, what comes is only counted. Run as a process of its own by the
benchmarks; prints JSON.

    .venv/bin/python bench/smpp_client.py --port 2775 --system-id us --password secret

Closed loop, or open loop with --rate: then a response's time counts from when its submit was due.
Every message has a number, in its text ("#000000123 ..."), and a receipt is known by it, since 20
characters of the text stand in it. --accepted and --receipts name files with one octet a number,
as the peers' load generator and sink write them. Whoever is cut off binds again.
"""

import argparse
import contextlib
import json
import resource
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from recado.smpp import pdu as wire
from recado.smpp.pdu import Address, Bind, ShortMessage

_HEADER = struct.Struct(">IIII")
_RETRY, _PATIENCE, _TICK = 0.02, 20.0, 0.001  # seconds
_MARK = b"000000000"
_BODY = wire.message_body(
    ShortMessage(
        source=Address(5, 0, "Bench"),
        destination=Address(1, 1, "5511900000000"),
        text=b"#" + _MARK + b" Seu codigo de verificacao chegou, obrigado por usar",
        registered_delivery=1,
    )
)
_HEAD = _HEADER.pack(len(_BODY) + 16, wire.SUBMIT_SM, 0, 0)[:12]
_MID, _TAIL = _BODY.split(_MARK)
_RESPONSE = wire.SUBMIT_SM | wire.RESPONSE


def submit_pdu(number: int) -> bytes:
    """The submit_sm of one message; its sequence number is the message's own."""
    return b"%b%b%b%09d%b" % (_HEAD, number.to_bytes(4), _MID, number, _TAIL)


@dataclass
class Told:  # on its command line
    port: int
    system_id: str
    password: str
    binds: int
    window: int
    secs: float
    rate: float
    first: int
    most: int
    linger: float
    accepted: Path | None
    receipts: Path | None


@dataclass
class Tally:
    """What came of it."""

    most: int
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    lost: int = 0  # submits without an answer
    cut_off: int = 0
    receipts: int = 0
    owed: int = 0  # receipts of what was accepted
    last_receipt: float = 0.0  # when it came
    times: list[float] = field(default_factory=list)  # seconds until the response

    def __post_init__(self) -> None:
        self.accepted_ids, self.receipt_ids = bytearray(self.most), bytearray(self.most)

    def told(self, number: int) -> None:
        """A receipt has come."""
        self.receipts += 1
        self.last_receipt = time.monotonic()
        before = self.receipt_ids[number]
        self.receipt_ids[number] = min(before + 1, 255)
        self.owed -= bool(self.accepted_ids[number]) and not before


class Line:
    """One bind."""

    def __init__(self, told: Told, tally: Tally) -> None:
        self.told, self.tally = told, tally
        self.link: socket.socket | None = None
        self.due: dict[int, float] = {}  # by number: when it was due to leave
        self.retry_at = 0.0
        self._in, self._out = b"", b""

    def bind(self) -> bool:
        """Whether it is bound now."""
        told = self.told
        try:
            link = socket.create_connection(("127.0.0.1", told.port), _PATIENCE)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            body = wire.bind_body(Bind(told.system_id, told.password))
            link.sendall(_HEADER.pack(len(body) + 16, wire.BIND_TRANSCEIVER, 0, 1) + body)
            answer = link.recv(4096)
        except OSError:
            answer = b""
        if len(answer) < 16:
            self.retry_at = time.monotonic() + _RETRY
            return False
        length, _, status, _ = _HEADER.unpack_from(answer)
        if status:
            raise SystemExit(f"the bind was refused: {status:#x}")
        link.setblocking(False)
        self.link, self._in, self._out = link, answer[length:], b""
        return True

    def break_off(self) -> None:
        if self.link is not None:
            self.link.close()
        self.link = None
        self.tally.cut_off += 1
        self.tally.lost += len(self.due)
        self.due.clear()
        self.retry_at = time.monotonic() + _RETRY

    def send(self, numbers: range, due: float, apart: float = 0.0) -> None:
        """Submits them; each is due so much later than the one before."""
        for at, number in enumerate(numbers):
            self.due[number] = due + at * apart
        self.tally.sent += len(numbers)
        self.write(b"".join(map(submit_pdu, numbers)))

    def write(self, octets: bytes) -> None:
        self._out += octets
        if self.link is not None and self._out:
            # What is broken shows when it is read.
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self._out = self._out[self.link.send(self._out) :]

    def read(self) -> None:
        """Counts what has come. Raises OSError where the line is broken."""
        assert self.link is not None
        more = self.link.recv(262_144)
        if not more:
            raise ConnectionError
        data = self._in + more
        at, end, now = 0, len(data), time.monotonic()
        tally, due, unpack = self.tally, self.due, _HEADER.unpack_from
        while end - at >= 16:
            length, command, status, sequence = unpack(data, at)
            if end - at < length:
                break
            if command == _RESPONSE:
                tally.times.append(now - due.pop(sequence))
                if status:
                    tally.refused += 1
                else:
                    tally.accepted += 1
                    tally.accepted_ids[sequence] = 1
                    tally.owed += not tally.receipt_ids[sequence]
            elif not command & wire.RESPONSE:
                self._asked(command, sequence, data[at + 16 : at + length])
            at += length
        self._in = data[at:]
        self.write(b"")

    def _asked(self, command: int, sequence: int, body: bytes) -> None:
        if command == wire.DELIVER_SM:
            at = body.index(b"text:#") + 6
            number = int(body[at : at + len(_MARK)])
            self.tally.told(number)
        answer = b"\0" if command == wire.DELIVER_SM else b""
        self.write(_HEADER.pack(16 + len(answer), command | wire.RESPONSE, 0, sequence) + answer)


class Client:
    """All binds, and what is to be sent next."""

    def __init__(self, told: Told) -> None:
        self.told, self.tally = told, Tally(told.most)
        self.lines = deque(Line(told, self.tally) for _ in range(told.binds))
        self.next, self.began = told.first, 0.0
        self._poll = select.epoll()
        self._by_number: dict[int, Line] = {}

    def run(self) -> float:
        """The seconds that it took until the last response."""
        for line in self.lines:
            self._join(line)
        self.began = began = time.monotonic()
        stop = began + self.told.secs
        last = began
        while True:
            now = time.monotonic()
            waiting = any(line.due for line in self.lines)
            patience = self.told.linger if self.tally.owed else 0.0
            if now >= stop + (_PATIENCE if waiting else patience):
                return last - began
            if now < stop:
                self._submit(began, now)
            if now < stop or waiting:
                last = now
            self._listen()
            for line in self.lines:
                if line.link is None and now >= line.retry_at:
                    self._join(line)

    def _join(self, line: Line) -> None:
        if line.bind() and line.link is not None:
            self._by_number[line.link.fileno()] = line
            self._poll.register(line.link, select.EPOLLIN)

    def _submit(self, began: float, now: float) -> None:
        told = self.told
        left = told.most - self.next
        if told.rate:
            left = min(left, int((now - began) * told.rate) - (self.next - told.first))
        self.lines.rotate()
        for line in self.lines:
            amount = min(told.window - len(line.due), left) if line.link is not None else 0
            if amount <= 0:
                continue
            numbers = range(self.next, self.next + amount)
            apart = 1 / told.rate if told.rate else 0.0
            due = began + (self.next - told.first) * apart if told.rate else now
            self.next += amount
            left -= amount
            line.send(numbers, due, apart)

    def _listen(self) -> None:
        for number, _ in self._poll.poll(_TICK if self.told.rate else 0.01):
            line = self._by_number[number]
            try:
                line.read()
            except BlockingIOError:
                continue
            except OSError:
                self._poll.unregister(number)
                line.break_off()


def _figures(client: Client, seconds: float) -> dict[str, float]:
    tally, times = client.tally, sorted(client.tally.times)
    usage = resource.getrusage(resource.RUSAGE_SELF)

    def centile(part: float) -> float:
        return round(times[int((len(times) - 1) * part)] * 1e3, 2) if times else 0.0

    return {
        "sent": tally.sent,
        "accepted": tally.accepted,
        "refused": tally.refused,
        "lost": tally.lost,
        "cut_off": tally.cut_off,
        "receipts": tally.receipts,
        "without_receipt": tally.owed,
        "receipts_per_s": round(tally.receipts / max(tally.last_receipt - client.began, 1e-9), 1),
        "seconds": round(seconds, 3),
        "accepted_per_s": round(tally.accepted / max(seconds, 1e-9), 1),
        "p50_ms": centile(0.5),
        "p99_ms": centile(0.99),
        "max_ms": centile(1.0),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "next_id": client.next,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--system-id", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--binds", type=int, default=1)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--secs", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--most", type=int, default=4_000_000, help="numbers there are")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds for receipts, at most")
    parser.add_argument("--accepted", type=Path)
    parser.add_argument("--receipts", type=Path)
    told = Told(**vars(parser.parse_args()))
    client = Client(told)
    seconds = client.run()
    if told.accepted:
        told.accepted.write_bytes(client.tally.accepted_ids)
    if told.receipts:
        told.receipts.write_bytes(client.tally.receipt_ids)
    print(json.dumps(_figures(client, seconds)))


if __name__ == "__main__":
    main()
