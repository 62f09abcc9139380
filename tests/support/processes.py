"""`recado up`, `recado simulator` and a callback sink, each a process of its own with its own log.

What a test claims of a gateway that dies, it counts in the logs of those that went on living.
"""

import base64
import contextlib
import http.client
import io
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from node.cli import main

SINK = Path(__file__).with_name("sink.py")
RECADO = (sys.executable, "-m", "node.cli")
LOGIN, PASSWORD = "ana", "segredo"

Answer = tuple[int, Any]


class Ran(Struct, frozen=True):
    """A command that came to its end."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without the settings that whoever runs the tests may have for a gateway of theirs."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RECADO_") or name == "RECADO_FRONTS"
    }
    return {**ours, **(given or {})}


def recado(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Ran:
    """Runs one command to its end: the real entry point, in this process, because starting Python
    costs more than most commands. What it raises instead of telling is raised here too."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    words = ["recado", *map(str, arguments)]
    mask = os.umask(0o022)
    try:
        with (
            patch.object(sys, "argv", words),
            patch.dict(os.environ, environment(env), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _logs_as_they_were(),
        ):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.umask(mask)
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _logs_as_they_were() -> Iterator[None]:
    """A command sends our process's log lines elsewhere: not those of the tests to come."""
    loggers = [logging.getLogger(name) for name in (None, "recado", "node", "smpp")]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    with patch.object(sys, "excepthook", sys.excepthook):
        try:
            yield
        finally:
            for logger, handlers, level in before:
                logger.handlers = handlers
                logger.setLevel(level)


def free_port() -> int:
    """Below those that the system gives to connections: one of them may have taken it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


def until(
    condition: Callable[[], object],
    what: str | Callable[[], str],
    seconds: float = 30.0,
    pause: float = 0.02,
) -> None:
    """Looks again and again: what is waited for happens in another process, which tells nobody."""
    end = time.monotonic() + seconds
    never = threading.Event()
    while not condition():
        if time.monotonic() >= end:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"after {seconds:.0f} s still not: {told}")
        never.wait(pause)


def request(
    port: int,
    method: str,
    target: str,
    body: Any = None,
    credentials: str | None = f"{LOGIN}:{PASSWORD}",
) -> Answer:
    """One request on a connection of its own: status and JSON."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as link:
        return ask(link, method, target, body, credentials)


def ask(
    link: http.client.HTTPConnection,
    method: str,
    target: str,
    body: Any = None,
    credentials: str | None = f"{LOGIN}:{PASSWORD}",
) -> Answer:
    """One request on a connection that is kept."""
    headers = {"content-type": "application/json"}
    if credentials is not None:
        headers["authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    link.request(method, target, None if body is None else json.dumps(body), headers)
    answer = link.getresponse()
    content = answer.read()
    return answer.status, json.loads(content) if content else None


class Process:
    """One of them. What it says goes into files, so that it can neither block nor be lost."""

    def __init__(
        self, name: str, command: list[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.popen = subprocess.Popen(
                command, env=environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def said(self) -> str:
        """Its standard error so far."""
        return self.err.read_text()

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def end(self, number: int = signal.SIGTERM, within: float = 40.0) -> int:
        """Sends a signal and waits for its end: the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(within)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def listens_on(self, port: int) -> bool:
        assert not self.ended(), f"{self.name} has ended: {self.said}"
        try:
            socket.create_connection(("127.0.0.1", port), 5.0).close()
        except OSError:
            return False
        return True


class Processes:
    """Starts them, each with its log in `folder`, and ends those that are left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = RECADO
        self.data = folder / "data"
        self.sink_log, self.simulator_log = folder / "sink.jsonl", folder / "simulator.jsonl"
        self.http_port, self.simulator_port = free_port(), free_port()
        self.sink_port, self.smpp_port = free_port(), free_port()
        self.simulator_process: Process  # the one that `simulator` started last
        self._started: list[Process] = []

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def callback_url(self) -> str:
        return f"http://127.0.0.1:{self.sink_port}/reports"

    def start(self, name: str, command: list[str], env: Mapping[str, str] | None = None) -> Process:
        process = Process(f"{len(self._started):02}-{name}", command, self.folder, env)
        self._started.append(process)
        return process

    def node(
        self,
        *options: str | Path,
        env: Mapping[str, str] | None = None,
        waits: bool = True,
        own_simulator: bool = False,
    ) -> Process:
        """`recado up` on the data directory; it listens when this returns, unless told not to
        wait. It uses our simulator, unless it is to start its own."""
        arguments = ["--data", str(self.data), "--http-port", str(self.http_port)]
        arguments += ["--smpp-port", str(self.smpp_port)]
        if not own_simulator:
            arguments += ["--simulator-url", self.simulator_url]
        process = self.start("node", [*RECADO, "up", *arguments, *map(str, options)], env)
        if waits:
            until(lambda: "Recado listens on" in process.said or process.ended(), "a node")
            assert process.listens_on(self.http_port)
        return process

    def simulator(self, *options: str) -> Process:
        arguments = ["--port", str(self.simulator_port), "--log", str(self.simulator_log)]
        process = self.start("simulator", [*RECADO, "simulator", *arguments, *options])
        self.simulator_process = process
        until(lambda: process.listens_on(self.simulator_port), "a simulator that listens")
        return process

    def sink(self) -> Process:
        """Started again it has the same port and log."""
        arguments = ["--port", str(self.sink_port), "--log", str(self.sink_log)]
        process = self.start("sink", [sys.executable, str(SINK), *arguments])
        until(lambda: process.listens_on(self.sink_port), "a sink that listens")
        return process

    def sink_answers(self, **how: Any) -> None:
        """{"status": 503}; with "first" for so many reports alone; {"hold": True}: not at all."""
        assert request(self.sink_port, "PUT", "/answer", how)[0] == 200

    def cost_centre(self, **switches: str) -> str:
        """A cost centre "ana" with the password "segredo" that reports to the sink: its id."""
        switches = {"callback-url": self.callback_url, **switches}
        options = [f"--{name}={value}" for name, value in switches.items()]
        made = self.recado(
            *("costcentre", "create", "--name", LOGIN, "--login", LOGIN, "--password", PASSWORD),
            *options,
            "--json",
        )
        return str(made.json()["id"])

    def recado(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """A command on the data directory."""
        return recado(*arguments, "--data", self.data, env=env)

    def send(self, to: str = "5534998887755", text: str = "oi") -> str:
        """Sends one message by HTTP: its id."""
        body = {"destination_addr": to, "message": text}
        status, answer = request(self.http_port, "POST", "/message", body)
        assert status == 200, answer
        return str(answer["message_id"])

    def message(self, identifier: str) -> dict[str, Any]:
        """What GET /message/{id} says."""
        answer: dict[str, Any] = request(self.http_port, "GET", f"/message/{identifier}")[1]
        return answer

    def sink_lines(self) -> list[dict[str, Any]]:
        return json_lines(self.sink_log)

    def reports(self, identifier: str) -> list[dict[str, Any]]:
        """The bodies that the sink got for one message, in order."""
        bodies = [line["body"] for line in self.sink_lines()]
        return [body for body in bodies if body and body.get("message_id") == identifier]

    def taken(self) -> list[str]:
        """The ids of the messages that the simulator took, as often as it took them."""
        lines = json_lines(self.simulator_log)
        taken = [line["reference"] for line in lines if line["event"] == "taken"]
        return [reference.partition(".")[2] for reference in taken]

    def close(self) -> None:
        # The last one started goes first: the node before what it leans on.
        for process in reversed(self._started):
            if not process.ended():
                process.kill()


def json_lines(path: Path) -> list[dict[str, Any]]:
    """A log's lines so far; the last may still be on its way."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.split(b"\n") if line]


@contextlib.contextmanager
def processes_in(folder: Path) -> Iterator[Processes]:
    """For a fixture: whatever is left of them ends with the test."""
    started = Processes(folder)
    try:
        yield started
    finally:
        started.close()
