"""The SMPP server: submit_sm accepted a second, durable, from a customer with a window of 64.

    [BENCH_RUN=<folder>] .venv/bin/python bench/smpp_server.py [--secs 8] [--binds 1 4]

One customer (bench/smpp_client.py, in a process of its own), and for each number of binds:

floor   a bare session that answers each submit_sm with a constant: nothing read, nothing kept
server  the SMPP server over the durable engine, whose messages nobody takes from the queue: the way
        from submit_sm to submit_sm_resp alone
node    the whole of `recado up`, with BENCH_RUN=<folder with `smscsim`>, the SMSC of the peers'
        benchmark: each message is submitted there too, and its receipt delivered

Closed loop, then an open loop at 60 % of what that brought. Told as JSON; CPU is user and system
time of the process named, a submit.
"""

import argparse
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

_BIN = Path(sys.executable).parent
_CLIENT = Path(__file__).with_name("smpp_client.py")
_TOOLS = Path(os.environ.get("BENCH_RUN", ".bench")).resolve()
_TICKS = os.sysconf("SC_CLK_TCK")
_SMPP, _HTTP, _SMSC, _SMSC_STATS = 18275, 18280, 18276, 18277
_SYSTEM_ID, _PASSWORD = "bench", "benchben"
_FLOOR_SERVER = """
import asyncio, sys, uvloop
from recado.smpp import pdu
from smpp.session import Limits, Session
BODY = pdu.id_body("01a20029-d169-7d05-a52a-a01db102b1d3")
async def main():
    await asyncio.get_running_loop().create_server(
        lambda: Session(lambda session, request: session.respond(request, BODY),
                        lambda session, why: None, Limits()), "127.0.0.1", int(sys.argv[1]))
    await asyncio.get_running_loop().create_future()
uvloop.run(main())
"""
_ALONE_SERVER = """
import asyncio, sys, uvloop
from pathlib import Path
from node.hands import GreenHands
from node.installation import TEMPLATE, open_installation
from node.template import read_template
from node.up import _join_to_loop
from recado.settings import Settings
from smpp.orders import Orders
from smpp.server import Server, ServerSettings
async def main():
    loop = asyncio.get_running_loop()
    deps, database, _ = open_installation(
        Path(sys.argv[2]), read_template(TEMPLATE), Settings(), lambda requests: [])
    _join_to_loop(database, loop)
    hands = GreenHands(database)
    settings = ServerSettings(port=int(sys.argv[1]))
    await Server(deps, hands, settings, Orders(deps, hands)).start()
    await loop.create_future()
uvloop.run(main())
"""


def _recado(data: Path, *words: str) -> None:
    command = [str(_BIN / "recado"), *words, "--data", str(data), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _prepare(data: Path) -> None:
    login = ("--smpp-system-id", _SYSTEM_ID, "--smpp-password", _PASSWORD)
    _recado(data, "costcentre", "create", "--name", "bench", *login)
    smsc = {"host": "127.0.0.1", "port": _SMSC, "system_id": "us"}
    settings = [f"--setting={name}={value}" for name, value in smsc.items()]
    _recado(data, "connector", "add", "smsc", "--kind", "smpp", *settings)
    _recado(data, "route", "add", "all", "--upstream", "smsc")


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _phase(pid: int, port: int, **options: float) -> dict[str, Any]:
    command = [sys.executable, str(_CLIENT), "--port", str(port)]
    command += ["--system-id", _SYSTEM_ID, "--password", _PASSWORD]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    before = _cpu(pid)
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    each = 1e6 / max(found["accepted"], 1)
    told = {name: found[name] for name in ("receipts_per_s", "without_receipt")}
    return {
        "accepted_per_s": found["accepted_per_s"],
        "accepted": found["accepted"],
        "not_taken": found["refused"] + found["lost"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "server_cpu_us": round((_cpu(pid) - before) * each, 1),
        "client_cpu_us": round(found["cpu_s"] * each, 1),
        **(told if found["receipts"] else {}),
    }


def _measure(pid: int, port: int, secs: float, **options: float) -> dict[str, Any]:
    _phase(pid, port, secs=1.0, **options)  # warm
    full = _phase(pid, port, secs=secs, **options)
    brought = min(full["accepted_per_s"], full.get("receipts_per_s", math.inf))
    rate = int(brought * 0.6)
    return {
        "saturated": full,
        "at_60_percent": {"rate": rate, **_phase(pid, port, secs=secs, rate=rate, **options)},
    }


class Servers:
    """What is measured, one at a time, each with data of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def _data(self) -> str:
        data = self._folder / f"data-{next(self._numbers)}"
        _prepare(data)
        return str(data)

    def command(self, name: str) -> list[str]:
        if name == "floor":
            return [sys.executable, "-c", _FLOOR_SERVER, str(_SMPP)]
        if name == "server":
            return [sys.executable, "-c", _ALONE_SERVER, str(_SMPP), self._data()]
        ports = ("--http-port", str(_HTTP), "--smpp-port", str(_SMPP))
        return [str(_BIN / "recado"), "up", "--data", self._data(), *ports, "--no-simulator"]

    def measured(self, name: str, secs: float, **options: float) -> dict[str, Any]:
        quiet = None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL
        commands = [self.command(name)]
        if name == "node":
            smsc = [str(_TOOLS / "smscsim"), "-p", str(_SMSC), "-s", str(_SMSC_STATS)]
            commands.insert(0, smsc)
            options["linger"] = 120.0
        processes = [subprocess.Popen(command, stderr=quiet) for command in commands]
        try:
            _wait_for(_SMPP)
            return _measure(processes[-1].pid, _SMPP, secs, **options)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secs", type=float, default=8.0)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--binds", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--only", nargs="*", default=["floor", "server", "node"])
    told = parser.parse_args()
    if "node" in told.only and not (_TOOLS / "smscsim").exists():
        told.only.remove("node")
    folder = Path(tempfile.mkdtemp(prefix="recado-bench-"))
    try:
        servers = Servers(folder)
        for binds in told.binds:
            options = {"binds": binds, "window": told.window}
            for name in told.only:
                found = servers.measured(name, told.secs, **options)
                load = round(os.getloadavg()[0], 2)
                print(json.dumps({"what": name, **options, "load_average": load, **found}))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
