"""SMPP on one machine: the service runs in the node's own loop, beside the front door."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from msgspec import Struct

from node.hands import GreenHands
from node.metrics import SmppCounts
from node.waiting import Durably, wait
from recado.connector_tests import connector_test, is_over_bind
from recado.errors import Misconfigured
from recado.http import Outgoing, Reached, Unreached
from recado.mailbox_operations import mailbox_list
from recado.operations import OPERATIONS
from recado.upstreams import connector_show, upstream_named
from recado.wiring import Deps
from smpp.bind import Timing
from smpp.server_settings import ServerSettings
from smpp.service import Service, ServiceSettings

Answers: TypeAlias = list[Reached | Unreached]
Way: TypeAlias = Callable[[Sequence[Outgoing]], Awaitable[Answers]]

Rows: TypeAlias = list[dict[str, Any]]
Look: TypeAlias = Callable[[str, bool], Rows]
"""The state of a connector's binds; if asked to, once it is known whether they can be made."""
Bound: TypeAlias = tuple[int, int]
"""A customer's binds, and how many of them take what waits."""
Count: TypeAlias = Callable[[Sequence[str]], list[Bound]]
"""Of each of some cost centres in its turn."""

_SCHEME = "smpp:"
_HOLDER = "node"  # of its leases: there is one process
_MODES = ("transmitter", "receiver", "transceiver")
_GLANCE = 0.1  # seconds between looks at a bind that is being made
_PATIENCE = 15.0
_GOODBYE = 5.0  # seconds for what is in flight when the node ends
_BOUND = "bound"
_COLUMNS = ("bind", "mode", "state", "in_flight", "window", "problem")  # of a bind's state


class Ports(Struct, frozen=True):
    """Where customers bind; None: nobody does in that way. 0: any free one."""

    plain: int | None = 1910
    tls: int | None = None


def server_settings(
    ports: Ports | None, host: str, context: ssl.SSLContext | None
) -> ServerSettings | None:
    """What the server is told; None without ports. Raises Misconfigured where what was said on the
    command line does not go together."""
    if ports is None:
        return None
    if ports.tls is None and ports.plain is None:
        raise Misconfigured("--smpp-tls-only needs --smpp-tls-port")
    if ports.tls is not None and context is None:
        raise Misconfigured("--smpp-tls-port needs --tls-certificate and --tls-key")
    return ServerSettings(host=host, port=ports.plain, tls_port=ports.tls, ssl_context=context)


class Ways:
    """How requests of ours leave: over binds what is for SMSCs, all else by the courier."""

    def __init__(self, courier: Way) -> None:
        self.courier = courier
        self.binds: Way = _no_binds
        self.settle: Callable[[], None] = lambda: None  # waits until a hop's writes are durable

    def exchange(self, requests: Sequence[Outgoing]) -> Answers:
        """recado.http.Exchange. Only for greenlets of node.waiting."""
        if all(request.url.startswith(_SCHEME) for request in requests):
            # Dispatch, which sends these, has waited until its claims were durable.
            return wait(self.binds(requests))
        # A hop's writes so far must not be lost once it has spoken to the world outside.
        self.settle()
        return wait(self._exchanged(requests))

    async def _exchanged(self, requests: Sequence[Outgoing]) -> Answers:
        by_bind = [request for request in requests if request.url.startswith(_SCHEME)]
        if not by_bind:
            return await self.courier(requests)
        by_http = [request for request in requests if not request.url.startswith(_SCHEME)]
        over, through = await asyncio.gather(self.binds(by_bind), self.courier(by_http))
        answers = {True: iter(over), False: iter(through)}
        return [next(answers[request.url.startswith(_SCHEME)]) for request in requests]


async def _no_binds(requests: Sequence[Outgoing]) -> Answers:
    return [Unreached("this node runs without SMPP", sent=False) for _ in requests]


class Smpp:
    """The service, if it runs at all, and what the rest of the node asks of it."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._service: Service | None = None

    async def start(self, deps: Deps, durable: Durably, settings: ServerSettings | None) -> None:
        """Binds to the SMSCs, and listens; without settings, neither. Raises Misconfigured, naming
        the port, where it can't listen."""
        if settings is None:
            return
        told = ServiceSettings(server=settings, holder=_HOLDER)
        service = Service(deps, GreenHands(durable), told)
        self._ways.binds = service.binds.exchange
        try:
            await service.start()
        except OSError as error:
            await service.close(0.0)
            raise Misconfigured(_not_free(settings, service, error)) from error
        self._service = service

    def ports(self) -> Ports | None:
        """Where customers bind."""
        if self._service is None:
            return None
        return Ports(self._service.server.port, self._service.server.tls_port)

    async def stop_serving(self, grace: float) -> None:
        """Takes nothing new from customers, answers what is in hand, and unbinds them."""
        if self._service is not None:
            await self._service.stop_serving(grace)

    async def close(self) -> None:
        """Unbinds from the SMSCs, once the workers have done with them."""
        if self._service is not None:
            await self._service.binds.close(_GOODBYE)

    def counts(self, mails: Callable[[], int]) -> SmppCounts | None:
        """For /metrics."""
        if self._service is None:
            return None
        rows = self._service.binds.states()
        modes = Counter(customer.mode for customer in self._service.server.customers)
        return SmppCounts(
            binds=Counter(row["connector"] for row in rows),
            binds_up=Counter(row["connector"] for row in rows if row["state"] == _BOUND),
            customers={mode: modes[mode] for mode in _MODES},
            mails=mails(),
        )

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """The operators' operations, which here know of binds."""
        if self._service is None:
            return OPERATIONS
        return knowing(lambda connector, tried: wait(self.binds(connector, tried)), self.customers)

    def customers(self, cost_centres: Sequence[str]) -> list[Bound]:
        """Of each cost centre in its turn."""
        server = self._service.server if self._service is not None else None
        found = [server.customers_of(one) if server else [] for one in cost_centres]
        return [(len(bound), sum(customer.receives for customer in bound)) for bound in found]

    async def binds(self, connector: str, tried: bool) -> Rows:
        """The state of a connector's binds; `tried`: once what is configured now has been tried, as
        far as that goes without long patience."""
        if self._service is None:
            return []
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE
        if tried:
            await asyncio.sleep(Timing().look + _GLANCE)  # then a change of a moment ago was seen
        rows = _rows(self._service, connector)
        while tried and loop.time() < until and not _are_tried(rows):
            await asyncio.sleep(_GLANCE)
            rows = _rows(self._service, connector)
        return rows


def addresses(host: str, ports: Ports | None) -> tuple[str, ...]:
    """Where customers bind, as host:port; the one without TLS first. Where there is none of that
    kind, the other says so."""
    plain, tls = (None, None) if ports is None else (ports.plain, ports.tls)
    if plain is None:
        return () if tls is None else (f"{address(host, tls)} (TLS only)",)
    return tuple(address(host, port) for port in (plain, tls) if port is not None)


def address(host: str, port: int) -> str:
    """As somebody on this machine writes it."""
    host = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _not_free(settings: ServerSettings, service: Service, error: OSError) -> str:
    reason = (error.strerror or str(error)).partition(" (while")[0]
    port, option = settings.tls_port, "--smpp-tls-port"
    if settings.port is not None and service.server.port is None:  # it is the first
        port, option = settings.port, "--smpp-port"
    hint = f"{option} chooses another port for SMPP, --no-smpp does without it"
    return f"can't listen on {settings.host}:{port}: {reason} ({hint})"


# --- what operators see of binds -----------------------------------------------------------------


def knowing(look: Look, count: Count) -> Mapping[str, Callable[..., Any]]:
    """The operators' operations, where there are binds to look at."""
    return {
        **OPERATIONS,
        "connector_show": partial(_shown, look),
        "connector_test": partial(_tested, look),
        "mailbox_list": partial(_mailboxes, count),
    }


def _shown(look: Look, deps: Deps, **arguments: Any) -> dict[str, Any]:
    found = connector_show(deps, **arguments)
    return _with_binds(found, look(found["name"], False))


def _tested(look: Look, deps: Deps, name: str) -> dict[str, Any]:
    """As connector_test, once the binds stand, or it is known why they don't."""
    if is_over_bind(upstream_named(name, deps)):
        look(name, True)
    found = connector_test(deps, name)
    return _with_binds(found, look(found["name"], False))


def _are_tried(rows: Rows) -> bool:
    return bool(rows) and all(row["state"] == _BOUND or row["problem"] for row in rows)


def _rows(service: Service, name: str) -> Rows:
    rows = [row for row in service.binds.states() if row["connector"] == name]
    return [{column: row.get(column) for column in _COLUMNS} for row in rows]


def _with_binds(found: dict[str, Any], rows: Rows) -> dict[str, Any]:
    return {**found, "binds": rows} if rows else found


def _mailboxes(count: Count, deps: Deps, **arguments: Any) -> Rows:
    """With the binds of each customer, and how many of them take what waits."""
    rows = mailbox_list(deps, **arguments)
    for row, (binds, receivers) in zip(rows, count([row["id"] for row in rows]), strict=True):
        row |= {"binds": binds, "receivers": receivers}
    return rows
