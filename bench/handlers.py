"""What each hop costs on one machine: CPU and changed SQLite rows a message, the network left out.

    .venv/bin/python bench/handlers.py [--messages 4000]

The real handlers over the embedded engine, in the batches of the template, a commit every 20
messages; upstream and customer are played in memory and cost part of dispatch and notify. Beside it
as a floor, in the same run: one durable row a message, 20 a commit, and a JSON round trip of the
same body.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from node.gateway import event_of
from node.http_server import RawRequest
from node.installation import TEMPLATE
from node.template import read_template
from node.workers import load_functions, sqs_event
from tests.support.world import World

_WIRING = read_template(TEMPLATE)
_HANDLERS = load_functions(_WIRING.functions)
_AT_ONCE = 20
_AUTHORIZATION = "Basic YW5hOnNlZ3JlZG8="  # ana:segredo, of a cost centre made here


def _event(path: str, route: str, parameters: dict[str, str], body: bytes) -> dict[str, Any]:
    headers = {"content-type": "application/json", "authorization": _AUTHORIZATION}
    request = RawRequest("POST", path, headers, body, "127.0.0.1")
    return event_of(request, path, "", f"POST {route}", parameters)


class Meter:
    """Measures pieces of work on a world."""

    def __init__(self, world: World, messages: int) -> None:
        self.world, self.messages = world, messages
        self.rows: list[tuple[str, float, float]] = []

    def measure(self, name: str, work: Callable[[], None]) -> None:
        changes = self.world.database.connection.total_changes
        began = time.process_time()
        work()
        self.world.database.commit()
        seconds = time.process_time() - began
        changes = self.world.database.connection.total_changes - changes
        self.rows.append((name, seconds / self.messages * 1e6, changes / self.messages))

    def drain(self, queue: str, function: str) -> Callable[[], None]:
        size = next(c.batch_size for c in _WIRING.consumers if c.queue == queue)

        def work() -> None:
            dealt_with = 0
            while rows := self.world.queue.receive(queue, size):
                answer = _HANDLERS[function](sqs_event(rows), None)
                assert not answer["batchItemFailures"]
                self.world.queue.done(rows)
                dealt_with += len(rows)
                if dealt_with >= _AT_ONCE:
                    self.world.database.commit()
                    dealt_with = 0

        return work

    def calls(self, function: str, events: list[dict[str, Any]]) -> Callable[[], None]:
        def work() -> None:
            for n, event in enumerate(events, 1):
                assert _HANDLERS[function](event, None)["statusCode"] in (200, 204)
                if n % _AT_ONCE == 0:
                    self.world.database.commit()

        return work


def _body(n: int) -> bytes:
    text = "Seu codigo de verificacao chegou, obrigado por usar"
    fields = {"destination_addr": f"551199{n:07d}", "message": text, "reference_id": str(n)}
    return json.dumps(fields).encode()


def _floor(world: World, messages: int) -> None:
    world.database.write("CREATE TABLE floor (id INTEGER PRIMARY KEY, body TEXT)", ())
    for n in range(1, messages + 1):
        body = msgspec.json.encode(msgspec.json.decode(_body(n))).decode()
        world.database.write("INSERT INTO floor VALUES (?, ?)", (n, body))
        if n % _AT_ONCE == 0:
            world.database.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    messages = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), echo=False)
        world.cost_centre()
        world.database.schedule = lambda _: None  # the bench commits
        meter = Meter(world, messages)
        meter.measure("floor", lambda: _floor(world, messages))
        sends = [_event("/message", "/message", {}, _body(n)) for n in range(messages)]
        meter.measure("accept", meter.calls("send", sends))
        meter.measure("dispatch", meter.drain("Submit", "dispatch"))
        meter.measure("notify, type 1", meter.drain("Notify", "notify"))
        where = {"connector": "simulator", "secret": "secret"}
        route = "/callback/{connector}/{secret}"
        receipts = [
            _event("/callback/simulator/secret", route, where, json.dumps(receipt).encode())
            for receipt in world.receipts
        ]
        meter.measure("ingest", meter.calls("callback", receipts))
        meter.measure("track", meter.drain("Inbound", "track"))
        meter.measure("notify, type 2", meter.drain("Notify", "notify"))
        assert len(world.told) == 2 * messages
        world.receipts.clear()
        world.close()
    print(f"{'hop':16} {'CPU us':>8} {'of floor':>9} {'rows':>6}")
    floor = meter.rows[0][1]
    hops = meter.rows[1:]
    total = ("together", sum(row[1] for row in hops), sum(row[2] for row in hops))
    for name, cpu, rows in [*meter.rows, total]:
        print(f"{name:16} {cpu:8.1f} {cpu / floor:9.1f} {rows:6.1f}")


if __name__ == "__main__":
    main()
