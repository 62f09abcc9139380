"""Recado beside Kannel: HTTP in, SMPP out, receipt in, callback out, on one machine in one sitting.

    make bench PEERS=<folder of the peers' benchmark> [BENCH_ARGS="--secs 12 --rounds 2"]

The peers' benchmark (bench.py with its load generator, SMSC and callback sink, in C) runs each peer
in turn, round by round: a saturation run with 32 connections in a closed loop, then an open loop at
60 % of what came out. "recado" is one process, "recado-front" has its sockets in a second one. Read
the ratios of one round: the machine's host takes CPU away at times. Binaries, state and results go
to BENCH_RUN (.bench). Quote the Python, too: one that was built without profile-guided optimisation
takes 20 % longer than Debian's own (`make setup PYTHON=/usr/bin/python3`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

_RUN = Path(os.environ.get("BENCH_RUN", ".bench")).resolve()
_SPEC = Path(__file__).parent / "recado.json"
_PEERS = ("kannel-file", "kannel-fast")
_OURS = {"recado": "", "recado-front": " --fronts 1"}


def _run(peers: Path, name: str, secs: int) -> dict[str, Any]:
    command = [sys.executable, str(peers / "bench.py"), name, "--secs", str(secs)]
    environment = {**os.environ, "BENCH_RUN": str(_RUN)}
    if name in _OURS:
        spec = json.loads(_SPEC.read_text())
        # Here, or it would count as time until it is ready.
        prepare = ["bash", "-c", spec.pop("prep")]
        subprocess.run(prepare, check=True, env=environment, stdout=subprocess.DEVNULL)
        spec["procs"][0]["cmd"] += _OURS[name]
        written = _RUN / f"{name}.spec.json"
        written.write_text(json.dumps(spec))
        command += ["--spec", str(written)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return dict(json.loads((_RUN / "results" / f"{name}.json").read_text()))


def _row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    full, steady = found["saturate"], found["steady"]
    return {
        "peer": name,
        "accepted_per_s": full["load"]["accepted_per_s"],
        "end_to_end_per_s": full["e2e_per_s"],
        "cpu_s_per_10k": full["cpu_s_per_10k"],
        "steady_rate": found["steady_rate"],
        "steady_p50_ms": steady["load"]["p50_ms"],
        "steady_p99_ms": steady["load"]["p99_ms"],
        "ready_s": found["ready_s"],  # a message has reached the SMSC by then
        "peak_mb": full["pss_peak_mb"].get("t"),
        "lost": full["load"]["accepted"] - min(full["uniq"], full["dlr_uniq"]),
        "doubled": full["dup"],
        "steal_s": full["box_steal_s"],
    }


def _ratios(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, float]:
    """Recado to each peer: the median of the rounds, each with its own."""
    found = {}
    for ours, name in product(_OURS, _PEERS):
        for key in ("accepted_per_s", "end_to_end_per_s", "cpu_s_per_10k"):
            each = [one[ours][key] / one[name][key] for one in rounds if {ours, name} <= set(one)]
            if each:
                found[f"{ours} to {name}, {key}"] = round(statistics.median(each), 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--secs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=(*_PEERS, *_OURS))
    told = parser.parse_args()
    if not (_RUN / "smscsim").exists():
        environment = {**os.environ, "BENCH_RUN": str(_RUN)}
        subprocess.run(["sh", str(told.peers / "build.sh")], check=True, env=environment)
    rounds = []
    for number in range(told.rounds):
        # There and back: whoever comes later must not have the warmer machine each time.
        order = list(told.only) if number % 2 == 0 else list(reversed(told.only))
        rows = {}
        for name in order:
            rows[name] = _row(name, _run(told.peers, name, told.secs))
            print(json.dumps(rows[name]), flush=True)
        rounds.append(rows)
    print(json.dumps(_ratios(rounds), indent=1))


if __name__ == "__main__":
    main()
