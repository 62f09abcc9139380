"""The SMPP server: submit_sm accepted a second, durable, from a customer with a window of 64.

    .venv/bin/python bench/smpp_server.py [--secs 8] [--window 64] [--binds 1 4]

The node (`recado up`) has a cost centre and a route to an SMSC that is paused: what is accepted is
taken up once and waits. The customer is bench/smpp_client.py, in a process of its own. For each
number of binds: closed loop, then an open loop at 60 % of what it brought. The floor, in the same
run and by the same customer, is a bare session that answers each submit_sm with a constant: nothing
read, nothing kept. Told as JSON; CPU is user and system time of the process named, a submit.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_BIN = Path(sys.executable).parent
_CLIENT = Path(__file__).with_name("smpp_client.py")
_TICKS = os.sysconf("SC_CLK_TCK")
_SMPP, _HTTP, _FLOOR = 18275, 18280, 18276
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


def _recado(data: Path, *words: str) -> None:
    command = [str(_BIN / "recado"), *words, "--data", str(data), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _prepare(data: Path) -> None:
    login = ("--smpp-system-id", _SYSTEM_ID, "--smpp-password", _PASSWORD)
    _recado(data, "costcentre", "create", "--name", "bench", *login)
    settings = ("--setting", "host=127.0.0.1", "--setting", "system_id=us")
    _recado(data, "connector", "add", "smsc", "--kind", "smpp", *settings)
    _recado(data, "connector", "pause", "smsc")
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


def _phase(pid: int, port: int, first: int = 1, **options: float) -> dict[str, Any]:
    command = [sys.executable, str(_CLIENT), "--port", str(port), "--first", str(first)]
    command += ["--system-id", _SYSTEM_ID, "--password", _PASSWORD]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    before = _cpu(pid)
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    each = 1e6 / max(found["accepted"], 1)
    return {
        "accepted_per_s": found["accepted_per_s"],
        "accepted": found["accepted"],
        "not_taken": found["refused"] + found["lost"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "server_cpu_us": round((_cpu(pid) - before) * each, 1),
        "client_cpu_us": round(found["cpu_s"] * each, 1),
        "server_cores": round((_cpu(pid) - before) / max(found["seconds"], 1e-9), 2),
        "next": found["next_id"],
    }


def _measure(node: int, floor: int, binds: int, window: int, secs: float) -> dict[str, Any]:
    options = {"binds": binds, "window": window}
    bare = _phase(floor, _FLOOR, secs=secs / 2, **options)
    _phase(node, _SMPP, secs=1.0, **options)  # warm
    full = _phase(node, _SMPP, secs=secs, **options)
    rate = int(full["accepted_per_s"] * 0.6)
    steady = _phase(node, _SMPP, secs=secs, rate=rate, **options)
    for phase in (bare, full, steady):
        del phase["next"]
    return {
        **options,
        "saturated": full,
        "at_60_percent": {"rate": rate, **steady},
        "floor": bare,
        "part_of_the_floor": round(full["accepted_per_s"] / bare["accepted_per_s"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secs", type=float, default=8.0)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--binds", type=int, nargs="*", default=[1, 2, 4])
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="recado-bench-"))
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> int:
        quiet = None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL
        running.append(subprocess.Popen(command, stderr=quiet))
        return running[-1].pid

    try:
        rounds = []
        floor = run(sys.executable, "-c", _FLOOR_SERVER, str(_FLOOR))
        _wait_for(_FLOOR)
        for binds in told.binds:
            data = folder / f"data-{binds}"  # what waits in one would be in the next one's way
            _prepare(data)
            ports = ("--http-port", str(_HTTP), "--smpp-port", str(_SMPP))
            node = run(str(_BIN / "recado"), "up", "--data", str(data), *ports, "--no-simulator")
            _wait_for(_SMPP)
            rounds.append(_measure(node, floor, binds, told.window, told.secs))
            running[-1].kill()
            running.pop().wait()
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
        shutil.rmtree(folder)
    print(json.dumps({"load_average": round(os.getloadavg()[0], 2), "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
