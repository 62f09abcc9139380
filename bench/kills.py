"""kill -9 under load, again and again, and what it costs: lost, doubled, and until it is ready.

    BENCH_RUN=<folder> .venv/bin/python bench/kills.py [--kills 10] [--by http smpp] [--fronts 1]

BENCH_RUN has the C programs of the peers' benchmark: `smscsim` (the SMSC), `load` (HTTP, closed
loop over 32 connections) and `sink` (callbacks). By SMPP the load is bench/smpp_client.py, which
gets its receipts by deliver_sm. `recado up` is killed at random moments under that load and started
again at once; with `--fronts 1` it is two processes, and front and worker are killed in turn (the
worker puts another front in the place of one that was). Then everything drains, and each of them
tells by message number what it has seen:

lost       got a yes and was never submitted, or its receipt reached nobody
unreported was submitted, got no yes (the answer died with the gateway), and has no receipt either
in flight  what the gateway that was killed had kept that it submits, and not yet what came of it:
           of these some had left (a window without an answer, and those whose answers were not
           written down yet), others had not
doubled    submitted more than once, by the kill that did it: the one that came next after it was
           first submitted
"""

import argparse
import base64
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

_TOOLS = Path(os.environ.get("BENCH_RUN", ".bench")).resolve()
_BIN = Path(sys.executable).parent
_CLIENT = Path(__file__).with_name("smpp_client.py")
_HTTP, _SMPP, _SMSC, _SMSC_STATS, _SINK = 18080, 18275, 12775, 12780, 17002
_WINDOW = 50
_FIRST = 100_001  # so that each makes a whole telephone number
_NUMBERS = 4_000_000
_QUIET = 20.0  # seconds: longer than a claim holds
_AUTH = base64.b64encode(b"bench:benchbench").decode()
_BODY = (
    '{"destination_addr":"5511900%ID%","message":"#%ID% Seu codigo de verificacao chegou,'
    ' obrigado por usar","reference_id":"%ID%"}'
)


_CLAIMED = (
    "SELECT body FROM records WHERE json_extract(body, '$.state') = 'SUBMITTING'"
    " AND json_extract(body, '$.claim') <> ''"
)
_number: Any = re.compile(r"#(\d+) Seu").search


def _get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def _until_answered(port: int, path: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            _get(port, path)
            return
        time.sleep(0.005)
    raise SystemExit(f"nothing answers on {port}")


def _numbers(dump: bytes) -> list[int]:
    return [number for number, times in enumerate(dump) if times]


@dataclass
class Killed:
    """One kill: when the gateway was ready again; what had been submitted by then; and of which
    messages the gateway that died had kept that it submits them, and not yet what came of it."""

    ready_s: float
    taken: bytes
    in_flight: frozenset[int]


class Town:
    """All that runs."""

    def __init__(self, folder: Path, fronts: int) -> None:
        self.folder, self.data, self._fronts = folder, folder / "data", fronts
        self._running: list[subprocess.Popen[bytes]] = []
        stats = ("-s", str(_SMSC_STATS), "-o", str(folder / "smsc.bin"))
        self._run(str(_TOOLS / "smscsim"), "-p", str(_SMSC), *stats, "-d", "50")
        counts = ("-k", "reference_id", "-f", "DELIVRD", "-o", str(folder / "sink.bin"))
        self._run(str(_TOOLS / "sink"), "-p", str(_SINK), *counts)
        self._prepare()
        self._node: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        quiet = None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL
        self._running.append(subprocess.Popen(command, stderr=quiet))
        return self._running[-1]

    def _prepare(self) -> None:
        create = ["--name", "bench", "--login", "bench", "--password", "benchbench"]
        create += ["--smpp-system-id", "bench", "--smpp-password", "benchben"]
        create += ["--callback-url", f"http://127.0.0.1:{_SINK}/", "--reports", "2"]
        smsc = {"host": "127.0.0.1", "port": _SMSC, "system_id": "bench", "window": _WINDOW}
        settings = [f"--setting={name}={value}" for name, value in smsc.items()]
        for words in (
            ["costcentre", "create", *create],
            ["connector", "add", "smsc", "--kind", "smpp", *settings],
            ["route", "add", "all", "--upstream", "smsc"],
        ):
            command = [str(_BIN / "recado"), *words, "--data", str(self.data), "--json"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> float:
        """Starts the gateway: the seconds until it is ready."""
        began = time.monotonic()
        ports = (
            "--http-port",
            str(_HTTP),
            "--smpp-port",
            str(_SMPP),
            "--fronts",
            str(self._fronts),
        )
        up = ("up", "--data", str(self.data), *ports, "--no-simulator")
        self._node = self._run(str(_BIN / "recado"), *up)
        _until_answered(_HTTP, "/ready")
        return time.monotonic() - began

    def kill_front(self) -> Killed:
        """Kills the front alone: the worker is to put another one in its place."""
        assert self._node is not None
        found = ["pgrep", "-P", str(self._node.pid), "-f", "node.front"]
        front = int(subprocess.run(found, check=True, capture_output=True).stdout)
        # Held still, or it would have written down what it does not know of, before that is read.
        self._node.send_signal(signal.SIGSTOP)
        in_flight = self._in_flight()
        os.kill(front, signal.SIGKILL)
        taken = self.taken()
        self._node.send_signal(signal.SIGCONT)
        began = time.monotonic()
        _until_answered(_HTTP, "/ready")
        return Killed(time.monotonic() - began, taken, in_flight)

    def kill(self) -> Killed:
        """Kills the gateway (where it is two processes, the worker) and starts it again at once."""
        assert self._node is not None
        self._node.kill()
        self._node.wait()
        taken, in_flight = self.taken(), self._in_flight()
        return Killed(self.start(), taken, in_flight)

    def _in_flight(self) -> frozenset[int]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.data}/recado.db?mode=ro", uri=True)
        ) as database:
            rows = database.execute(_CLAIMED).fetchall()
        return frozenset(int(_number(body)[1]) for (body,) in rows)

    def taken(self) -> bytes:
        """How often the SMSC took each number."""
        _get(_SMSC_STATS, "/dump")
        return (self.folder / "smsc.bin").read_bytes()

    def told(self) -> bytes:
        """How often the sink was told of each."""
        _get(_SINK, "/dump")
        return (self.folder / "sink.bin").read_bytes()

    def drain(self) -> None:
        """Until nothing has moved for longer than a claim holds."""
        before: Any = None
        since = time.monotonic()
        while time.monotonic() - since < _QUIET:
            assert not any(p.poll() for p in self._running[:2]), [p.poll() for p in self._running]
            smsc, sink = _get(_SMSC_STATS, "/stats"), _get(_SINK, "/stats")
            now = (smsc["submits"], smsc["dlr_acked"], smsc["dlr_queued"], sink["hits"])
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.25)

    def close(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()


def _load(way: str, seconds: float, town: Town) -> subprocess.Popen[str]:
    if way == "smpp":
        command = [sys.executable, str(_CLIENT), "--port", str(_SMPP), "--system-id", "bench"]
        command += ["--password", "benchben", "--binds", "2", "--window", "64"]
        command += ["--secs", str(seconds), "--linger", "900", "--most", str(_NUMBERS)]
        command += ["--accepted", str(town.folder / "accepted.bin")]
        command += ["--receipts", str(town.folder / "receipts.bin")]
    else:
        command = [str(_TOOLS / "load"), "-a", str(_HTTP), "-P", "/message", "-m", "POST", "-c"]
        command += ["32", "-H", "Content-Type: application/json", "-B", _BODY, "-s", str(_FIRST)]
        command += ["-H", f"Authorization: Basic {_AUTH}", "-t", str(round(seconds))]
        command += ["-A", str(town.folder / "accepted.bin")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _killed(town: Town, pauses: list[float], until: float, which: Sequence[str]) -> list[Killed]:
    """Kills it after each of these pauses, as long as the load lasts."""
    killed = []
    for pause, process in zip(pauses, cycle(which), strict=False):
        time.sleep(pause)
        if time.monotonic() >= until:
            break
        killed.append(town.kill_front() if process == "front" else town.kill())
        print(json.dumps({"kill": process, "ready_s": round(killed[-1].ready_s, 2)}), flush=True)
    return killed


def _doubled_by(killed: list[Killed], taken: bytes) -> list[dict[int, int]]:
    """For each kill, and last of all for none, how many copies too many of which are due to it."""
    found: list[dict[int, int]] = [{} for _ in range(len(killed) + 1)]
    for number, times in enumerate(taken):
        if times > 1:
            by = (at for at, kill in enumerate(killed) if kill.taken[number])
            found[next(by, len(killed))][number] = times - 1
    return found


def _measured(
    way: str, kills: int, chance: random.Random, town: Town, which: Sequence[str]
) -> dict[str, Any]:
    pauses = [chance.uniform(1.0, 4.0) for _ in range(kills)]
    seconds = sum(pauses) + 2.0 * kills + 3.0
    load, began = _load(way, seconds, town), time.monotonic()
    killed = _killed(town, pauses, began + seconds, which)
    loaded = json.loads(load.communicate()[0])
    under_load = time.monotonic() - began
    town.drain()
    accepted, taken = (town.folder / "accepted.bin").read_bytes(), town.taken()
    told = (town.folder / "receipts.bin").read_bytes() if way == "smpp" else town.told()
    doubled = _doubled_by(killed, taken)
    stats = _get(_SMSC_STATS, "/stats")
    earlier = [frozenset(), *(kill.in_flight for kill in killed[:-1])]
    yes = _numbers(accepted)
    return {
        "way": way,
        "kills": len(killed),
        "killed": [process for process, _ in zip(cycle(which), killed, strict=False)],
        "accepted": len(yes),
        "accepted_per_s": round(len(yes) / min(seconds, under_load), 1),
        "without_answer": loaded["lost"] if way == "smpp" else loaded["errors"],
        "refused": loaded["refused"] if way == "smpp" else loaded["non2xx"],
        "submitted": len(_numbers(taken)),
        "accepted_not_submitted": sum(not taken[number] for number in yes),
        "accepted_not_reported": sum(not told[number] for number in yes),
        "submitted_not_reported": sum(not told[number] for number in _numbers(taken)),
        "receipts_not_acknowledged": stats["dlr_queued"],
        "window": _WINDOW,
        # What a kill before it had left so is that one's: it waits until its claim runs out.
        "in_flight": [
            len(kill.in_flight - before) for before, kill in zip(earlier, killed, strict=True)
        ],
        "doubled": [sum(copies.values()) for copies in doubled[:-1]],
        "doubled_not_in_flight": sum(
            len(copies.keys() - kill.in_flight)
            for kill, copies in zip(killed, doubled, strict=False)
        ),
        "doubled_by_no_kill": len(doubled[-1]),
        "reported_twice": sum(times > 1 for times in told),
        "ready_s": [round(kill.ready_s, 2) for kill in killed],
        "seconds": round(time.monotonic() - began - _QUIET, 1),
    }


def _table(found: dict[str, Any]) -> None:
    print(f"\nby {found['way']}; the window is {found['window']}")
    print("killed   ready s  in flight  submitted twice")
    columns = (found[name] for name in ("killed", "ready_s", "in_flight", "doubled"))
    for process, ready, in_flight, doubled in zip(*columns, strict=True):
        print(f"{process:7}  {ready:>7.2f}  {in_flight:>9}  {doubled:>15}")
    for name in ("accepted", "accepted_not_submitted", "accepted_not_reported"):
        print(f"{name.replace('_', ' ')}: {found[name]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--by", nargs="*", choices=("http", "smpp"), default=["http", "smpp"])
    parser.add_argument("--fronts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    told = parser.parse_args()
    for way in told.by:
        folder = Path(tempfile.mkdtemp(prefix="recado-kills-"))
        town = Town(folder, told.fronts)
        which = ("front", "worker") if told.fronts else ("node",)
        try:
            found = _measured(way, told.kills, random.Random(told.seed), town, which)
        finally:
            town.close()
            shutil.rmtree(folder)
        _table(found)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
