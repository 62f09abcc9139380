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
from node.waiting import wait
from recado.connector_tests import connector_test, is_over_bind
from recado.engine.embedded.database import Database
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

_SCHEME = "smpp:"
_HOLDER = "node"  # of its leases: there is one process
_MODES = ("transmitter", "receiver", "transceiver")
_MOST_COUNTED = 100_000  # mails: to count more of them would hold up everything else
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

    def __init__(self, database: Database, ways: Ways) -> None:
        self._database, self._ways = database, ways
        self._service: Service | None = None
        self._host = ""

    async def start(self, deps: Deps, settings: ServerSettings | None) -> None:
        """Binds to the SMSCs, and listens; without settings, neither. Raises Misconfigured, naming
        the port, where it can't listen."""
        if settings is None:
            return
        told = ServiceSettings(server=settings, holder=_HOLDER)
        service = Service(deps, GreenHands(self._database), told)
        self._ways.binds = service.binds.exchange
        try:
            await service.start()
        except OSError as error:
            await service.close(0.0)
            raise Misconfigured(_not_free(settings, service, error)) from error
        self._service, self._host = service, settings.host

    def addresses(self) -> tuple[str, ...]:
        """Where customers bind, as host:port; the one without TLS first. Where there is none of
        that kind, the other says so."""
        if self._service is None:
            return ()
        plain, tls = self._service.server.port, self._service.server.tls_port
        if plain is None:
            return () if tls is None else (f"{address(self._host, tls)} (TLS only)",)
        return tuple(address(self._host, port) for port in (plain, tls) if port is not None)

    async def stop_serving(self, grace: float) -> None:
        """Takes nothing new from customers, answers what is in hand, and unbinds them."""
        if self._service is not None:
            await self._service.stop_serving(grace)

    async def close(self) -> None:
        """Unbinds from the SMSCs, once the workers have done with them."""
        if self._service is not None:
            await self._service.binds.close(_GOODBYE)

    def counts(self) -> SmppCounts | None:
        """For /metrics."""
        if self._service is None:
            return None
        rows = self._service.binds.states()
        modes = Counter(customer.mode for customer in self._service.server.customers)
        [(mails,)] = self._database.read(
            "SELECT count(*) FROM (SELECT 1 FROM mail LIMIT ?)", (_MOST_COUNTED,)
        )
        return SmppCounts(
            binds=Counter(row["connector"] for row in rows),
            binds_up=Counter(row["connector"] for row in rows if row["state"] == _BOUND),
            customers={mode: modes[mode] for mode in _MODES},
            mails=mails,
        )

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """The operators' operations, which here know of binds."""
        if self._service is None:
            return OPERATIONS
        service = self._service
        return {
            **OPERATIONS,
            "connector_show": partial(_shown, service),
            "connector_test": partial(_tested, service),
            "mailbox_list": partial(_mailboxes, service),
        }


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


def _shown(service: Service, deps: Deps, **arguments: Any) -> dict[str, Any]:
    return _with_binds(connector_show(deps, **arguments), service)


def _tested(service: Service, deps: Deps, name: str) -> dict[str, Any]:
    """As connector_test, once the binds stand, or it is known why they don't."""
    if is_over_bind(upstream_named(name, deps)):
        wait(_until_tried(service, name))
    return _with_binds(connector_test(deps, name), service)


async def _until_tried(service: Service, name: str) -> None:
    """Until what is configured now has been tried, as far as that goes without long patience."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    await asyncio.sleep(Timing().look + _GLANCE)  # then a change of a moment ago was seen
    while loop.time() < until:
        rows = _rows(service, name)
        if rows and all(row["state"] == _BOUND or row["problem"] for row in rows):
            break
        await asyncio.sleep(_GLANCE)


def _rows(service: Service, name: str) -> list[dict[str, Any]]:
    rows = [row for row in service.binds.states() if row["connector"] == name]
    return [{column: row.get(column) for column in _COLUMNS} for row in rows]


def _with_binds(found: dict[str, Any], service: Service) -> dict[str, Any]:
    rows = _rows(service, found["name"])
    return {**found, "binds": rows} if rows else found


def _mailboxes(service: Service, deps: Deps, **arguments: Any) -> list[dict[str, Any]]:
    """With the binds of each customer, and how many of them take what waits."""
    rows = mailbox_list(deps, **arguments)
    for row in rows:
        customers = service.server.customers_of(row["id"])
        row["binds"] = len(customers)
        row["receivers"] = sum(customer.receives for customer in customers)
    return rows
