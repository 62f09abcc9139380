"""A whole line in one process, over the embedded engine and the real handlers, with a clock that
the test moves.

The two things that can't be had here are played in this one place: an upstream (in the simulator's
own protocol) and customers' callback URLs. Both keep a log of what reached them; tests count there.
"""

import base64
import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from node.gateway import event_of
from node.http_server import RawRequest
from node.installation import TEMPLATE, policies_of
from node.template import Router, read_template
from node.workers import load_functions, sqs_event
from recado import operations, wiring
from recado.connectors import Upstream
from recado.engine import Engine
from recado.engine.embedded import open_engine
from recado.engine.embedded.queue import EmbeddedQueue
from recado.http import Outgoing, Reached, Unreached
from recado.message import Key, Message
from recado.routing import Route
from recado.settings import Settings
from recado.wiring import Deps, assemble

START = 1_780_000_000.0  # 2026-05-28
CALLBACK_URL = "https://customer.example/reports"
_UPSTREAM = "http://upstream.example"
_WIRING = read_template(TEMPLATE)
_ROUTER = Router(_WIRING.routes, _WIRING.default)
_HANDLERS = load_functions(_WIRING.functions)
_CONSUMERS = sorted(_WIRING.consumers, key=lambda consumer: consumer.queue)
_DAY = 86_400.0

Wrap = Callable[[Engine], Engine]


class World:
    """One installation, one upstream, one customer. The upstream takes everything and the customer
    answers 200, until a test puts something else into `upstream` or `customer`."""

    def __init__(self, folder: Path, *, echo: bool = True, wrap: Wrap | None = None) -> None:
        self.now = START
        self.folder, self.echo, self.wrap = folder, echo, wrap
        self.taken: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.requests: list[Outgoing] = []
        self.receipts: list[dict[str, Any]] = []
        self.upstream: Callable[[dict[str, Any]], Reached | Unreached] = self.take
        self.customer: Callable[[Outgoing], Reached | Unreached] = lambda _: Reached(200, b"")
        self._ids = count(1)
        self.deps = self.open()
        self._configure()

    def clock(self) -> float:
        return self.now

    def open(self) -> Deps:
        """Opens the directory, as a process does that starts (again)."""
        engine, self.database = open_engine(
            self.folder, policies_of(_WIRING), self.clock, 90 * _DAY
        )
        # What dies here is a process, never the machine: nothing has to reach a disk.
        self.database.connection.execute("PRAGMA synchronous = OFF")
        self.bare = engine
        assert isinstance(engine.queue, EmbeddedQueue)
        self.queue = engine.queue
        self.deps = assemble(
            self.wrap(engine) if self.wrap else engine,
            b"pepper",
            self.exchange,
            Settings(private_callbacks=False),
            self.clock,
        )
        wiring.use(self.deps)
        return self.deps

    def reopen(self) -> None:
        """The process died; what it had not committed is gone, and another one starts."""
        self.database.connection.close()
        self.open()

    def close(self) -> None:
        self.database.close()
        wiring.use(None)

    def _configure(self) -> None:
        upstream = Upstream(
            name="simulator",
            kind="simulator",
            settings={
                "url": _UPSTREAM,
                "callback_url": "http://gateway.example/callback/simulator/secret",
                "echo": "yes" if self.echo else "no",
            },
            callback_secret="secret",
        )
        store = self.bare.store
        if store.config("upstream", "simulator") is None:
            store.put_config("upstream", "simulator", msgspec.json.encode(upstream), 0)
            route = Route(name="default", upstream="simulator")
            store.put_config("route", "default", msgspec.json.encode(route), 0)

    def cost_centre(self, login: str = "ana", **switches: Any) -> str:
        """A cost centre with a callback URL and the password "segredo"; its id."""
        switches = {"callback_url": CALLBACK_URL, **switches}
        made = operations.costcentre_create(
            self.deps, name=login, login=login, password="segredo", **switches
        )
        return str(made["id"])

    def upstream_is(self, name: str = "simulator", **changes: Any) -> None:
        """Changes the configuration of an upstream; of one that is not there yet, makes it like
        the first."""
        store = self.bare.store
        body = store.config("upstream", name)
        like = body or store.config("upstream", "simulator") or b""
        old = msgspec.json.decode(like, type=Upstream)
        version = old.version + 1 if body else 0
        upstream = replace(old, name=name, version=version, **changes)
        encoded = msgspec.json.encode(upstream)
        assert store.put_config("upstream", name, encoded, upstream.version)
        self.deps.routing.forget()

    def route_is(self, name: str = "default", **changes: Any) -> None:
        """Changes a route, or makes one to the first upstream."""
        body = self.bare.store.config("route", name)
        new = Route(name=name, upstream="simulator")
        old = msgspec.json.decode(body, type=Route) if body else new
        version = old.version + 1 if body else 0
        route = replace(old, version=version, **changes)
        assert self.bare.store.put_config("route", name, msgspec.json.encode(route), version)
        self.deps.routing.forget()

    # --- requests --------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        login: str | None = "ana",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """A request through the real routes and handlers: status and JSON."""
        status, _, content = self.call_raw(method, target, body, login=login, headers=headers)
        return status, json.loads(content)

    def call_raw(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        login: str | None = "ana",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:
        content = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        sent = {"content-type": "application/json", **(headers or {})}
        if login is not None:
            sent["authorization"] = _basic(login, "segredo")
        path, _, query = target.partition("?")
        match = _ROUTER.find(method, path)
        request = RawRequest(method, target, sent, content, "192.0.2.1")
        event = event_of(request, path, query, match.route_key, match.parameters)
        answer = _HANDLERS[match.function](event, None)
        return answer["statusCode"], answer["headers"], answer["body"]

    def send(self, to: str = "5534998887755", text: str = "oi", **fields: Any) -> str:
        """Sends one message; its id."""
        status, answer = self.call(
            "POST", "/message", {"destination_addr": to, "message": text, **fields}
        )
        assert status == 200, answer
        return str(answer["message_id"])

    # --- the outside -----------------------------------------------------------------------------

    def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        """What `deps.exchange` is here."""
        self.requests += requests
        return [self._reach(request) for request in requests]

    def _reach(self, request: Outgoing) -> Reached | Unreached:
        if request.url.startswith(_UPSTREAM):
            return self.upstream(json.loads(request.body))
        answer = self.customer(request)
        if isinstance(answer, Reached) and 200 <= answer.status < 300:
            told = json.loads(request.body) if request.body else {}
            self.told.append({**told, "webhook-id": request.headers.get("webhook-id")})
        return answer

    def take(self, submit: dict[str, Any]) -> Reached:
        """The upstream takes a submit, and will tell that it was delivered."""
        upstream_id = f"up-{next(self._ids)}"
        self.taken.append({**submit, "id": upstream_id})
        self.receipts.append(self.receipt(upstream_id, submit.get("reference")))
        return Reached(200, _json({"id": upstream_id}))

    def receipt(
        self, upstream_id: str, reference: str | None, stat: str = "DELIVRD", err: str = "000"
    ) -> dict[str, Any]:
        """A receipt in the upstream's protocol."""
        told = {"event": "receipt", "id": upstream_id, "stat": stat, "err": err}
        return {**told, "reference": reference} if self.echo else told

    def tell(self, event: Any, upstream: str = "simulator") -> int:
        """The upstream calls our callback path: the status of our answer."""
        return self.call_raw("POST", f"/callback/{upstream}/secret", event, login=None)[0]

    def tell_receipts(self) -> None:
        """The upstream tells what it has to tell, again and again until we acknowledge it."""
        while self.receipts:
            assert self.tell(self.receipts[0]) in (200, 204)
            self.receipts.pop(0)

    # --- time ------------------------------------------------------------------------------------

    def work(self, queue: str, times: int = 1_000) -> None:
        """Deals with messages of one queue alone, until there is none, or so often."""
        consumer = next(consumer for consumer in _CONSUMERS if consumer.queue == queue)
        for _ in range(times):
            rows = self.deps.engine.queue.receive(queue, consumer.batch_size)
            if not rows:
                break
            _HANDLERS[consumer.function](sqs_event(rows), None)
            self.deps.engine.queue.done(rows)

    def step(self) -> bool:
        """Deals with one batch of every queue that has one: whether there was any."""
        worked = False
        queue = self.deps.engine.queue  # as wrapped: a kill may fall here too
        for consumer in _CONSUMERS:
            rows = queue.receive(consumer.queue, consumer.batch_size)
            if rows:
                worked = True
                answer = _HANDLERS[consumer.function](sqs_event(rows), None)
                failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                self.queue.failed([row for row in rows if row.id in failed])
                queue.done([row for row in rows if row.id not in failed])
        return worked

    def drain(self, *, receipts: bool = True) -> None:
        """Works until nothing is ready; the clock stands still."""
        for _ in range(10_000):
            if receipts:
                self.tell_receipts()
            if not self.step() and not (receipts and self.receipts):
                return
        raise AssertionError("the queues never come to rest")

    def tick(self) -> None:
        """The clock function, as a timer calls it."""
        _HANDLERS["clock"]({}, None)

    def run(self, seconds: float, *, step: float = 1.0, receipts: bool = True) -> None:
        """Lets time pass, in steps, and works at each."""
        end = self.now + seconds
        self.drain(receipts=receipts)
        while self.now < end:
            self.now = min(self.now + step, end)
            self.tick()
            self.drain(receipts=receipts)

    # --- looking ---------------------------------------------------------------------------------

    def message(self, identifier: str) -> dict[str, Any]:
        """What GET /message/{id} says."""
        return self.call("GET", f"/message/{identifier}")[1]

    def reports(self, identifier: str | None = None) -> list[dict[str, Any]]:
        """What the customer was told, of one message or of all."""
        return [t for t in self.told if identifier is None or t.get("message_id") == identifier]

    def _which(self, login: str) -> str:
        return str(json.loads(self.bare.store.config("login", login) or b"")["cost_centre"])

    def record(self, identifier: str, login: str = "ana") -> Any:
        """What is kept under an id, or None."""
        return self.bare.store.records([Key(self._which(login), identifier)])[0]

    def every_record(self, login: str = "ana") -> list[Any]:
        """All that is kept of a cost centre, by id."""
        until = self.now + 90 * _DAY
        return self.bare.store.records_between(self._which(login), 0.0, until, "", 100_000)

    def messages(self, login: str = "ana") -> list[Message]:
        """Those of a cost centre that have a record."""
        return [record for record in self.every_record(login) if isinstance(record, Message)]

    def submits(self, identifier: str) -> list[dict[str, Any]]:
        """What the upstream took of one message."""
        return [taken for taken in self.taken if taken["reference"].endswith(identifier)]

    def dead_letters(self) -> int:
        return sum(depth.dead for depth in self.queue.depths())


def _json(thing: Any) -> bytes:
    return json.dumps(thing).encode()


def _basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
