"""Load on a gateway that may die: by HTTP on what goes to an SMSC, and by SMPP; and an SMSC in a
process of its own, with what its log tells.
"""

import asyncio
import http.client
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from recado.smpp import pdu as wire
from recado.smpp.pdu import Address, Pdu, ShortMessage
from tests.support.processes import Process, Processes, ask, free_port, json_lines, until
from tests.support.smpp_wire import Wire

_SMSC = Path(__file__).with_name("smsc_process.py")
_THREADS = 8
_PAUSE = 0.02  # seconds until a customer that was cut off tries again
_PATIENCE = 60.0
NUMBER = "5534998887755"


class SmscProcess:
    """Started again it has the same port and log."""

    def __init__(self, processes: Processes, *options: str, port: int = 0, name: str = "smsc"):
        self.port = port or free_port()
        self.log = processes.folder / f"{name}.jsonl"
        self._processes, self._options, self._name = processes, options, name
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--log", str(self.log), *self._options]
        command = [sys.executable, str(_SMSC), *arguments]
        self.process: Process = self._processes.start(self._name, command)
        until(self.process.out.read_bytes, "an SMSC that listens")

    def kill(self) -> None:
        self.process.kill()

    def cut(self) -> None:
        """Breaks its connections."""
        self.process.popen.send_signal(signal.SIGUSR1)

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in json_lines(self.log) if line["event"] == event]

    def texts(self) -> list[str]:
        """Those that were taken, as often as they were."""
        return [line["text"] for line in self.lines("taken")]

    def acknowledged(self) -> set[str]:
        """The texts of those whose receipts were: ESME_ROK."""
        lines = json_lines(self.log)
        texts = {line["id"]: line["text"] for line in lines if line["event"] == "taken"}
        heard = [line for line in lines if line["event"] == "heard"]
        return {texts[line["id"]] for line in heard if line["status"] == 0}

    def wait_for_more(self, taken: int) -> None:
        enough = len(self.texts()) + taken
        until(lambda: len(self.texts()) >= enough, f"{enough} messages that it took", pause=0.05)


def goes_to(processes: Processes, smsc: SmscProcess, *options: str, **settings: str) -> None:
    """A connector "smsc" to it, and a route by which everything goes there."""
    told = {"host": "127.0.0.1", "port": str(smsc.port), "system_id": "us", "password": "secret"}
    given = [f"--setting={name}={value}" for name, value in {**told, **settings}.items()]
    made = processes.recado("connector", "add", "smsc", "--kind", "smpp", *given, *options)
    assert made.code == 0, made.err
    assert processes.recado("route", "add", "00-smsc", "--upstream", "smsc").code == 0


def bound(processes: Processes) -> int:
    """How many binds of the connector stand."""
    shown = processes.recado("connector", "show", "smsc", "--json").json()
    return sum(row["state"] == "bound" for row in shown.get("binds", ()))


def more_than_once(taken: Iterable[str]) -> int:
    """How many copies too many there are."""
    return sum(times - 1 for times in Counter(taken).values())


class HttpLoad:
    """Threads that send, each on its kept connection, and note the texts of what got a yes; the
    text is the reference, too. What got no answer is never sent again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.yes: dict[str, str] = {}  # our id by its text
        self.refused: list[Any] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def wait_for_more(self, amount: int) -> None:
        enough = len(self.yes) + amount
        until(lambda: len(self.yes) >= enough, f"{enough} messages that got a yes")

    def _run(self, number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for turn in count():
            if self._stop.wait(0.005):
                break
            text = f"{number}-{turn}"
            body = {"destination_addr": NUMBER, "message": text, "reference_id": text}
            try:
                status, answer = ask(link, "POST", "/message", body)
            except (OSError, http.client.HTTPException):
                link.close()  # the next request connects anew
                continue
            if status == 200:
                self.yes[text] = answer["message_id"]
            else:
                self.refused.append((status, answer))
        link.close()


def delivered(processes: Processes) -> set[str]:
    """The references of the messages that the sink was told are DELIVRD."""
    bodies = [line["body"] for line in processes.sink_lines()]
    return {body["reference_id"] for body in bodies if body.get("report_stat") == "DELIVRD"}


class Esme:
    """A customer's program, in a thread: it binds, keeps `window` submits without an answer on
    their way, acknowledges what is delivered, and binds again when it is cut off."""

    def __init__(self, port: int, system_id: str, password: str, window: int) -> None:
        self.window = window
        self.yes: set[str] = set()  # the ids of what got ESME_ROK
        self.refused: list[int] = []
        self.told: Counter[str] = Counter()  # receipts by message id
        self.cut_off = 0
        self.lost = 0  # submits without an answer
        self._login = (port, system_id, password)
        self._sending, self._ended = True, False
        self._wire: Wire | None = None
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for_more(self, amount: int) -> None:
        enough = len(self.yes) + amount
        until(lambda: len(self.yes) >= enough, lambda: f"{enough} that got a yes; {self.state()}")

    def state(self) -> str:
        return f"{len(self.yes)} yes, {len(self.told)} told, cut off {self.cut_off} times"

    def stop(self) -> None:
        """Sends nothing more; what is delivered is still acknowledged."""
        self._sending = False

    def end(self) -> None:
        self._ended = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._hang_up)
            self._thread.join(_PATIENCE)

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.writer.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        port, system_id, password = self._login
        while not self._ended:
            try:
                self._wire = await Wire.to(port)
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            try:
                answer = await self._wire.bind(system_id, password)
                assert answer.command_status == 0, answer
                await self._serve(self._wire)
            except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
                self.cut_off += 1
            finally:
                await self._wire.close()

    async def _serve(self, bound: Wire) -> None:
        """One session: until it breaks."""
        unanswered: deque[int] = deque()
        try:
            while True:
                while self._sending and len(unanswered) < self.window:
                    unanswered.append(bound.ask(wire.SUBMIT_SM, self._message()))
                pdu = await bound.read()
                if pdu.command == wire.SUBMIT_SM | wire.RESPONSE:
                    unanswered.remove(pdu.sequence)
                    self._answered(pdu)
                elif not pdu.command & wire.RESPONSE:
                    self._asked(bound, pdu)
        finally:
            self.lost += len(unanswered)

    def _message(self) -> bytes:
        message = ShortMessage(
            source=Address(5, 0, "Recado"),
            destination=Address(1, 1, NUMBER),
            text=f"{next(self._numbers)}".encode(),
            registered_delivery=1,
        )
        return wire.message_body(message)

    def _answered(self, pdu: Pdu) -> None:
        if pdu.command_status == 0:
            self.yes.add(wire.read_id(pdu.body))
        else:
            self.refused.append(pdu.command_status)

    def _asked(self, bound: Wire, pdu: Pdu) -> None:
        if pdu.command == wire.DELIVER_SM:
            tlvs = wire.read_message(pdu.body).tlvs
            self.told[wire.read_id(tlvs[wire.RECEIPTED_MESSAGE_ID])] += 1
        bound.answer(pdu, b"\0" if pdu.command == wire.DELIVER_SM else b"")
