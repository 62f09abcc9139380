"""Load on a gateway that may die, and what the sink was told of it."""

import http.client
import threading
from collections import Counter
from typing import Any

from tests.support.processes import Processes, ask, until

THREADS = 6
BATCH_OF = 10
SINGLE, NO_RECEIPT = "5534998887755", "5511900000014"


class Load:
    """Threads that send, each on its kept connection, and note what got a yes. What got no answer
    is never sent again: it may have been taken or not."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.singles: list[str] = []
        self.no_receipt: list[str] = []  # those of the singles whose receipt never comes
        self.batches: list[str] = []
        self.refused: list[Any] = []
        self._stop = threading.Event()
        kinds = [self._single] * THREADS + [self._batch]
        self._threads = [
            threading.Thread(target=self._run, args=(kind, number))
            for number, kind in enumerate(kinds)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self, singles: int) -> None:
        enough = len(self.singles) + singles
        until(lambda: len(self.singles) >= enough, f"{enough} messages that got a yes")

    def _run(self, kind: Any, number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for turn in range(100_000):
            if self._stop.wait(0.005):
                break
            try:
                kind(link, number, turn)
            except (OSError, http.client.HTTPException):
                link.close()  # the next request connects anew
        link.close()

    def _single(self, link: http.client.HTTPConnection, number: int, turn: int) -> None:
        silent = turn % 5 == 0
        body = {
            "destination_addr": NO_RECEIPT if silent else SINGLE,
            "message": f"{number} {turn}",
        }
        status, answer = ask(link, "POST", "/message", body)
        if status != 200:
            self.refused.append((status, answer))
            return
        self.singles.append(answer["message_id"])
        if silent:
            self.no_receipt.append(answer["message_id"])

    def _batch(self, link: http.client.HTTPConnection, number: int, turn: int) -> None:
        self._stop.wait(0.05)
        listed = [
            {"destination_addr": SINGLE, "message": f"{number} {turn} {position}"}
            for position in range(BATCH_OF)
        ]
        status, answer = ask(link, "POST", "/message/batch", {"list": listed})
        if status != 200:
            self.refused.append((status, answer))
            return
        self.batches.append(answer["batchId"])


class Told:
    """What the sink got, in the order in which it got it."""

    def __init__(self, processes: Processes) -> None:
        self.types: dict[str, list[int]] = {}  # by message id
        self.stats: dict[str, set[str]] = {}
        self.batches: dict[str, list[str]] = {}  # by batch id: its messages' ids
        self.batches_told: Counter[str] = Counter()
        self.before_batch: dict[str, set[str]] = {}  # what had been reported by then
        for body in (line["body"] for line in processes.sink_lines()):
            if "batchId" in body:
                self.batches_told[body["batchId"]] += 1
                if body["batchId"] not in self.batches:
                    self.batches[body["batchId"]] = [x["message_id"] for x in body["list"]]
                    self.before_batch[body["batchId"]] = set(self.types)
                continue
            self.types.setdefault(body["message_id"], []).append(body["type"])
            stat = body["stat"] if body["type"] == 1 else body["report_stat"]
            self.stats.setdefault(body["message_id"], set()).add(stat)


def missing(load: Load, processes: Processes) -> list[str]:
    """What got a yes, and of which the sink has not been told all that is owed."""
    told, silent = Told(processes), set(load.no_receipt)
    owed = [(identifier, {1} if identifier in silent else {1, 2}) for identifier in load.singles]
    for batch in load.batches:
        owed += [(message, {1, 2}) for message in told.batches.get(batch, ())]
    unheard = [f"batch {batch}" for batch in load.batches if batch not in told.batches]
    return unheard + [
        message for message, types in owed if types - set(told.types.get(message, ()))
    ]
