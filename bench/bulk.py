"""A list of 300,000 numbers in one request, and single messages while it drains.

    .venv/bin/python bench/bulk.py [--numbers 300000] [--secs 30] [--whole]

Told as JSON: the seconds until the list is answered and the most memory that the node had by then;
the milliseconds from a single message's request to its submit (by the simulator's log), idle and
while the list drains, and their ratio; how many of the list are submitted a second meanwhile. With
--whole it waits for the list's end, and counts that each number came once. Requests go one after
the other, ten a second; the list's customer is told its final states (BENCH_RUN names the folder
with the peers' `sink`; without it nobody is told).
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.processes import Process, Processes, ask, json_lines, request, until

_SINK = 17002
_EVERY = 0.1
_FIRST = 5_534_990_000_000


def _memory(process: Process, name: str) -> float:
    lines = Path(f"/proc/{process.popen.pid}/status").read_text().splitlines()
    return next(round(int(x.split()[1]) / 1024, 1) for x in lines if x.startswith(name))


def _cost_centre(place: Processes, login: str, *switches: str) -> None:
    words = ("costcentre", "create", "--name", login, "--login", login, "--password", "segredo")
    made = place.recado(*words, *switches)
    assert made.code == 0, made.err


def _token(place: Processes) -> str:
    asked = {"client_id": "lista", "client_secret": "segredo"}
    status, answer = request(place.http_port, "POST", "/request_token", asked, None)
    assert status == 200, answer
    return str(answer["access_token"])


def _list(place: Processes, numbers: int) -> tuple[float, Any]:
    """Sends the list: the seconds until it is answered, and the answer."""
    boundary = "recado-bench"
    fields = {"origem": "554130600300", "texto": "Sua consulta e amanha", "access_token": ""}
    fields["access_token"] = _token(place)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    lines = "\n".join(str(_FIRST + n) for n in range(numbers))
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="destino_csv";'
        f' filename="numeros.csv"\r\nContent-Type: text/csv\r\n\r\n{lines}\r\n--{boundary}--\r\n'
    )
    body = "".join(parts).encode()
    link = http.client.HTTPConnection("127.0.0.1", place.http_port, timeout=60)
    with contextlib.closing(link):
        began = time.perf_counter()
        kind = f"multipart/form-data; boundary={boundary}"
        link.request("POST", "/sms/send", body, {"content-type": kind})
        answer = json.loads(link.getresponse().read())
        return time.perf_counter() - began, answer


class Singles:
    """Single messages, and when each was asked for."""

    def __init__(self, place: Processes) -> None:
        self._place = place
        self._sent: dict[str, float] = {}
        self._next = 0

    def send(self, seconds: float) -> dict[str, float]:
        """Sends for so long: milliseconds from the request to the submit."""
        asked: dict[str, float] = {}
        link = http.client.HTTPConnection("127.0.0.1", self._place.http_port, timeout=30)
        with contextlib.closing(link):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                number = f"55219{self._next:08}"
                self._next += 1
                asked[number] = time.time()
                body = {"destination_addr": number, "message": "Seu codigo e 1234"}
                status, answer = ask(link, "POST", "/message", body, "avulso:segredo")
                assert status == 200, answer
                time.sleep(max(0.0, _EVERY - (time.time() - asked[number])))
        until(lambda: asked.keys() <= self._taken().keys(), "all are submitted", 60, pause=0.5)
        taken = self._taken()
        took = sorted((taken[number] - at) * 1000 for number, at in asked.items())
        return {
            "messages": len(took),
            "p50_ms": round(statistics.median(took), 2),
            "p95_ms": round(took[int(len(took) * 0.95)], 2),
            "worst_ms": round(took[-1], 2),
        }

    def _taken(self) -> dict[str, float]:
        lines = json_lines(self._place.simulator_log)
        singles = (line for line in lines if line.get("to", "").startswith("55219"))
        return {line["to"]: line["at"] for line in singles if line["event"] == "taken"}


def _of_list(place: Processes) -> Counter[str]:
    lines = json_lines(place.simulator_log)
    return Counter(
        line["to"]
        for line in lines
        if line["event"] == "taken" and not line["to"].startswith("55219")
    )


def _amount(place: Processes) -> int:
    """How many submits the simulator has taken: counted without reading them, for that would take
    more of the machine than the gateway does."""
    return place.simulator_log.read_bytes().count(b'"event":"taken"')


def _sink() -> tuple[str, ...]:
    """Starts the peers' sink, where there is one: the option that has the customer told."""
    tools = os.environ.get("BENCH_RUN")
    if not tools:
        return ()
    command = [str(Path(tools) / "sink"), "-p", str(_SINK)]
    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ("--callback-url", f"http://127.0.0.1:{_SINK}/", "--reports", "2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=300_000)
    parser.add_argument("--secs", type=float, default=30.0)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--kills", type=int, default=0, help="kill -9 so often on the way")
    told = parser.parse_args()
    place = Processes(Path(tempfile.mkdtemp(prefix="recado-bench-")))
    try:
        told_to = _sink()
        _cost_centre(place, "avulso")
        _cost_centre(place, "lista", *told_to)
        place.simulator()
        node = place.node()
        singles = Singles(place)
        singles.send(2.0)
        idle = singles.send(told.secs / 3)
        before = _memory(node, "VmRSS")
        seconds, answer = _list(place, told.numbers)
        figures: dict[str, Any] = {
            "list": {
                "numbers": told.numbers,
                "answered_s": round(seconds, 2),
                "codigo": answer["codigo"],
                "rss_before_mb": before,
                "rss_most_mb": _memory(node, "VmHWM"),
            },
            "idle": idle,
        }
        first, began = _amount(place), time.monotonic()
        draining = singles.send(told.secs)
        rate = (_amount(place) - first - draining["messages"]) / (time.monotonic() - began)
        figures["draining"] = {**draining, "of_the_list_a_s": round(rate)}
        figures["ratio"] = {
            name: round(draining[name] / idle[name], 2) for name in ("p50_ms", "p95_ms", "worst_ms")
        }
        for _ in range(told.kills):
            time.sleep(told.secs / 3)
            node.kill()
            node = place.node()
        if told.whole:
            figures["whole"] = _whole(place, told.numbers) | {"kills": told.kills}
        figures["rss_most_mb"] = _memory(node, "VmHWM")
        print(json.dumps(figures, indent=2))
    finally:
        place.close()
        subprocess.run(["pkill", "-f", f"sink -p {_SINK}"], check=False)


def _whole(place: Processes, numbers: int) -> dict[str, Any]:
    began, first = time.monotonic(), _amount(place)
    until(lambda: _amount(place) >= numbers, "as many submits as numbers", 3600, pause=0.5)
    seconds = time.monotonic() - began
    rate = (_amount(place) - first) / seconds
    until(lambda: len(_of_list(place)) >= numbers, "the whole list is submitted", 600, pause=5.0)
    counts = _of_list(place)
    return {
        "then_s": round(seconds, 1),
        "a_s": round(rate),
        "submitted": len(counts),
        "more_than_once": sum(1 for count in counts.values() if count > 1),
    }


if __name__ == "__main__":
    main()
