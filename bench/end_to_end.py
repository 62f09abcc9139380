"""The node with the simulator, end to end: accepted and told to the customer, a second.

    BENCH_RUN=<folder with `load` and `sink`> .venv/bin/python bench/end_to_end.py [--secs 12]

`load` is an HTTP load generator (closed loop over 32 connections, or open loop at a rate), `sink`
counts callbacks by reference_id. Both are C programs of the peers' benchmark. The floor, in the
same run, is the node's own HTTP server with a handler that answers a constant: nothing decided,
nothing kept. Every figure is printed as JSON; CPU is user and system time of the process named.
"""

import argparse
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

_TOOLS = Path(os.environ.get("BENCH_RUN", ".bench")).resolve()
_BIN = Path(sys.executable).parent
_TICKS = os.sysconf("SC_CLK_TCK")
_HTTP, _SIMULATOR, _SINK, _FLOOR = 18080, 18090, 17002, 18070
_AUTH = base64.b64encode(b"bench:benchbench").decode()
_BODY = (
    '{"destination_addr":"5511900%ID%","message":"#%ID% Seu codigo de verificacao chegou,'
    ' obrigado por usar","reference_id":"%ID%"}'
)
_FLOOR_SERVER = """
import asyncio, sys, uvloop
from node.http_server import serve
body = b'{"message_id":"01a20029-d169-7d05-a52a-a01db102b1d3"}'
async def main():
    await serve(lambda request, reply: reply(200, {"content-type": "application/json"}, body),
                lambda status, path: ({}, b""), "127.0.0.1", int(sys.argv[1]))
    await asyncio.get_running_loop().create_future()
uvloop.run(main())
"""


def _load(port: int, first: int, **flags: int) -> dict[str, Any]:
    command = [str(_TOOLS / "load"), "-a", str(port), "-P", "/message", "-m", "POST"]
    command += ["-H", "Content-Type: application/json", "-H", f"Authorization: Basic {_AUTH}"]
    command += ["-B", _BODY, "-s", str(first)]
    for flag, value in flags.items():
        command += [f"-{flag}", str(value)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout))


def _sink(path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{_SINK}{path}", timeout=10) as answer:
        return dict(json.loads(answer.read()))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


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


def _told(first: int, accepted: int) -> float:
    """Waits until the sink has seen everything: the seconds from the first request to the last
    callback, by the sink's clock."""
    seen, quiet = -1, time.monotonic()
    while time.monotonic() - quiet < 30:
        stats = _sink("/stats")
        if stats["uniq_ids"] >= accepted:
            return float(stats["last_us"] - first) / 1e6
        if stats["uniq_ids"] != seen:
            seen, quiet = stats["uniq_ids"], time.monotonic()
        time.sleep(0.05)
    raise SystemExit(f"only {seen} of {accepted} were told")


def _phase(node: int, first: int, **flags: int) -> dict[str, Any]:
    _sink("/reset")
    cpu, began = _cpu(node), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    loaded = _load(_HTTP, first, c=32, **flags)
    accepted = loaded["accepted"]
    seconds = _told(began, accepted)
    return {
        "accepted": accepted,
        "not_2xx": loaded["non2xx"] + loaded["errors"],
        "accepted_per_s": loaded["accepted_per_s"],
        "told_per_s": round(accepted / seconds, 1),
        "told_twice": _sink("/stats")["dup_ids"],
        "p50_ms": loaded["p50_ms"],
        "p99_ms": loaded["p99_ms"],
        "node_cpu_us_a_message": round((_cpu(node) - cpu) / accepted * 1e6),
        "next": loaded["next_id"],
    }


def _prepare(data: Path) -> None:
    create = ["costcentre", "create", "--name", "bench", "--login", "bench"]
    create += ["--password", "benchbench", "--callback-url", f"http://127.0.0.1:{_SINK}/"]
    create += ["--reports", "2", "--data", str(data), "--json"]
    subprocess.run([str(_BIN / "recado"), *create], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secs", type=int, default=12)
    secs = parser.parse_args().secs
    folder = Path(tempfile.mkdtemp(prefix="recado-bench-"))
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> subprocess.Popen[bytes]:
        running.append(
            subprocess.Popen(
                command, stderr=None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL
            )
        )
        return running[-1]

    try:
        run(str(_TOOLS / "sink"), "-p", str(_SINK), "-k", "reference_id", "-f", "DELIVRD")
        simulator = str(folder / "simulator.jsonl")
        recado = str(_BIN / "recado")
        run(recado, "simulator", "--port", str(_SIMULATOR), "--log", simulator)
        _wait_for(_SIMULATOR)
        _prepare(folder / "data")
        began = time.monotonic()
        up = ["up", "--data", str(folder / "data"), "--http-port", str(_HTTP), "--no-smpp"]
        node = run(recado, *up, "--simulator-url", f"http://127.0.0.1:{_SIMULATOR}").pid
        _wait_for(_HTTP)
        _load(_HTTP, 1, c=1, n=1)
        ready = time.monotonic() - began
        idle = _memory(node, "VmRSS")
        warm = _phase(node, 100_001, t=3)
        full = _phase(node, warm.pop("next"), t=secs)
        rate = int(min(full["told_per_s"], full["accepted_per_s"]) * 0.6)
        steady = _phase(node, full.pop("next"), t=secs, r=rate)
        peak = _memory(node, "VmHWM")
        run(sys.executable, "-c", _FLOOR_SERVER, str(_FLOOR))
        _wait_for(_FLOOR)
        floor = _load(_FLOOR, 1, c=32, t=max(secs // 3, 3))["accepted_per_s"]
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()
        shutil.rmtree(folder)
    figures = {
        "ready_s": round(ready, 2),
        "memory_idle_mb": idle,
        "memory_peak_mb": peak,
        "saturated": full,
        "at_60_percent": {"rate": rate, **steady},
        "floor_per_s": floor,
        "accepted_to_floor": round(full["accepted_per_s"] / floor, 2),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
