"""What each hop costs on one machine: CPU and changed SQLite rows a message, the network left out;
and whether that is within its budget.

    .venv/bin/python bench/handlers.py [--upstream smpp] [--messages 4000] [--rounds 3]

The real handlers over the embedded engine, in the batches of the template, a commit every 20
messages; upstream and customer are played in memory and cost part of dispatch and notify. Beside it
as a floor, in the same round: one durable row a message, 20 a commit, and a JSON round trip of the
same body. Told is each hop's best round. With `--upstream smpp` messages leave as submit_sm and
receipts come as deliver_sm, and the customer wants final states alone (reports of type 2), as
beside the peers.

bench/budgets.toml says what a hop may cost: times the floor, and rows. What is above it is named,
and then this ends with 1. A budget is raised only together with its reason.
"""

import argparse
import json
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from node.gateway import event_of
from node.http_server import RawRequest
from node.installation import TEMPLATE
from node.template import read_template
from node.workers import load_functions, sqs_event
from recado.connectors.smpp import raw_of
from recado.message import encode
from recado.smpp import pdu
from recado.smpp.pdu import Address, ShortMessage
from recado.smpp.receipt import receipt_text
from tests.support.bound import BoundTo
from tests.support.world import World

_WIRING = read_template(TEMPLATE)
_HANDLERS = load_functions(_WIRING.functions)
_BUDGETS = Path(__file__).parent / "budgets.toml"
_AT_ONCE = 20
_AUTHORIZATION = "Basic YW5hOnNlZ3JlZG8="  # ana:segredo, of a cost centre made here
_NUMBER = Address(1, 1, "5541999990000")


class Cost(Struct, frozen=True):
    """Of one hop, a message."""

    hop: str
    cpu: float  # microseconds
    rows: float


def _event(path: str, route: str, parameters: dict[str, str], body: bytes) -> dict[str, Any]:
    headers = {"content-type": "application/json", "authorization": _AUTHORIZATION}
    request = RawRequest("POST", path, headers, body, "127.0.0.1")
    return event_of(request, path, "", f"POST {route}", parameters)


def _size(queue: str) -> int:
    return next(c.batch_size for c in _WIRING.consumers if c.queue == queue)


class Meter:
    """Measures pieces of work on a world."""

    def __init__(self, world: World, messages: int) -> None:
        self.world, self.messages = world, messages
        self.costs: list[Cost] = []

    def measure(self, hop: str, work: Callable[[], None]) -> None:
        changes = self.world.database.connection.total_changes
        began = time.process_time()
        work()
        self.world.database.commit()
        seconds = time.process_time() - began
        changes = self.world.database.connection.total_changes - changes
        self.costs.append(Cost(hop, seconds / self.messages * 1e6, changes / self.messages))

    def drain(self, queue: str, function: str) -> Callable[[], None]:
        size = _size(queue)

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

    def hand_on_early(self, queue: str, function: str) -> None:
        """As node.workers does: right before a commit."""
        size = _size(queue)

        def work() -> None:
            while rows := self.world.queue.receive(queue, size):
                assert not _HANDLERS[function](sqs_event(rows), None)["batchItemFailures"]
                self.world.queue.done(rows)

        self.world.queue.hand_on_early((queue,), work)

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


def _simulator(world: World, meter: Meter) -> None:
    """What follows accept where an upstream has an HTTP API."""
    meter.measure("dispatch", meter.drain("Submit", "dispatch"))
    meter.measure("notify, type 1", meter.drain("Notify", "notify"))
    where = {"connector": "simulator", "secret": "secret"}
    route = "/callback/{connector}/{secret}"
    receipts = [
        _event("/callback/simulator/secret", route, where, json.dumps(receipt).encode())
        for receipt in world.receipts
    ]
    meter.measure("ingest, track", meter.calls("callback", receipts))
    meter.measure("notify, type 2", meter.drain("Notify", "notify"))


def _bound(world: World, meter: Meter, smsc: BoundTo) -> None:
    """What follows accept where an upstream is an SMSC."""
    meter.measure("dispatch", meter.drain("Submit", "dispatch"))
    receipts = [_receipt(identifier, world.now) for identifier in smsc.taken]

    def ingest() -> None:
        for start in range(0, len(receipts), _AT_ONCE):
            some = receipts[start : start + _AT_ONCE]
            told = [encode(raw_of("smsc", pdu.DELIVER_SM, body, world.now)) for body in some]
            world.queue.send("Inbound", told, "")
            world.database.commit()

    meter.measure("ingest, track", ingest)
    meter.measure("notify, type 2", meter.drain("Notify", "notify"))


def _receipt(upstream_id: str, now: float) -> bytes:
    tlvs = {pdu.RECEIPTED_MESSAGE_ID: upstream_id.encode() + b"\0", pdu.MESSAGE_STATE: b"\2"}
    text = receipt_text(upstream_id, "DELIVRD", "000", now, now)
    return pdu.message_body(
        ShortMessage(source=_NUMBER, text=text, esm_class=pdu.RECEIPT, tlvs=tlvs)
    )


def _round(upstream: str, messages: int) -> list[Cost]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), echo=False)
        smsc = BoundTo(world) if upstream == "smpp" else None
        world.cost_centre(reports=["2"] if smsc else ["1", "2"])
        world.database.schedule = lambda _: None  # the bench commits
        meter = Meter(world, messages)
        meter.hand_on_early("Inbound", "track")
        meter.measure("floor", lambda: _floor(world, messages))
        sends = [_event("/message", "/message", {}, _body(n)) for n in range(messages)]
        meter.measure("accept", meter.calls("send", sends))
        if smsc:
            _bound(world, meter, smsc)
        else:
            _simulator(world, meter)
        assert len(world.told) == messages * (1 if smsc else 2)
        world.receipts.clear()
        world.close()
    return meter.costs


def _best(rounds: Sequence[Sequence[Cost]]) -> list[Cost]:
    return [min(same, key=lambda cost: cost.cpu) for same in zip(*rounds, strict=True)]


def _over_budget(costs: Sequence[Cost], budget: dict[str, dict[str, float]]) -> Iterator[str]:
    floor = costs[0].cpu
    for cost in costs[1:]:
        may = budget[cost.hop]
        if cost.cpu / floor > may["of_floor"]:
            yield f"{cost.hop}: {cost.cpu / floor:.1f} of the floor, and {may['of_floor']} allowed"
        if cost.rows > may["rows"]:
            yield f"{cost.hop}: {cost.rows:.1f} rows a message, and {may['rows']} allowed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", choices=("simulator", "smpp"), default="simulator")
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    costs = _best([_round(told.upstream, told.messages) for _ in range(told.rounds)])
    floor, hops = costs[0].cpu, costs[1:]
    total = Cost("together", sum(hop.cpu for hop in hops), sum(hop.rows for hop in hops))
    print(f"{'hop':16} {'CPU us':>8} {'of floor':>9} {'rows':>6}")
    for cost in (*costs, total):
        print(f"{cost.hop:16} {cost.cpu:8.1f} {cost.cpu / floor:9.1f} {cost.rows:6.1f}")
    over = list(_over_budget(costs, tomllib.loads(_BUDGETS.read_text())[told.upstream]))
    for line in over:
        print(f"over budget: {line}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
