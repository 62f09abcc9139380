"""What the two processes of a node ask of each other, beside the engine: see node.front."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from node.rpc_operations import Operations
from node.smpp import Bound, Ports
from recado.connectors import Outcome, Submit
from recado.engine import Depth, Queue, Store
from recado.http import Outgoing, Reached, Unreached
from recado.settings import Settings


class Doors(Struct, frozen=True, kw_only=True):
    """Where the node is reached from outside."""

    data: str
    host: str
    http_port: int  # 0: any free one
    smpp: Ports | None  # None: no SMPP at all
    tls_certificate: str | None
    tls_key: str | None


class Standing(Struct, frozen=True):
    """The ports that it listens on."""

    http_port: int
    smpp: Ports | None


class Answered(Struct, frozen=True, array_like=True):
    """Reached, or Unreached where there is a problem."""

    problem: str | None
    sent: bool = True
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Page(Struct, frozen=True, array_like=True):
    """An answer to a request for one of the node's own pages."""

    status: int
    headers: dict[str, str]
    body: bytes


class Figures(Struct, frozen=True, array_like=True):
    """What the node has counted, for /metrics: the worker, and every front that it has had."""

    counts: dict[str, int]
    depths: list[Depth]
    ages: dict[str, float]
    commits: int
    commit_seconds: float
    started_at: float
    cpu_seconds: float
    mails: int


class Front(Protocol):
    """What the worker asks of the front."""

    def begin(self, doors: Doors, settings: Settings) -> Standing:
        """Listens, and binds. Raises Misconfigured."""

    def ring(self, cost_centre: str) -> None:
        """Mail has come for it."""

    def forget(self) -> None:
        """The configuration has changed."""

    def binds(self, connector: str, tried: bool) -> list[dict[str, Any]]:
        """The state of a connector's binds; `tried`: once it is known whether they can be made."""

    def customers(self, cost_centres: Sequence[str]) -> list[Bound]:
        """The binds of each of these cost centres in its turn."""

    def stop_serving(self, grace: float) -> None:
        """Takes nothing new, and finishes what is in hand."""

    def close(self) -> None:
        """Ends the binds, and all else."""


class Outward(Protocol):
    """What the worker has the front carry out into the world."""

    def exchange(self, requests: Sequence[Outgoing]) -> list[Answered]:
        """recado.http.Exchange."""

    def submit(self, submits: Sequence[Submit], upstream: str) -> list[Outcome]:
        """recado.connectors.Submitting, to the upstream of that name."""


class Worker(Protocol):
    """What the front asks of the worker, beside the engine."""

    def figures(self, counts: dict[str, int], cpu_seconds: float) -> Figures:
        """For /metrics, together with what the front that asks has counted and used so far."""

    def ready(self) -> Page:
        """/ready."""


OPERATIONS = Operations(Store, Queue, Worker, Front, Outward)


def answered(found: Reached | Unreached) -> Answered:
    if isinstance(found, Reached):
        return Answered(None, True, found.status, found.body, found.headers)
    return Answered(found.problem, found.sent)


def found(told: Answered) -> Reached | Unreached:
    if told.problem is None:
        return Reached(told.status, told.body, told.headers)
    return Unreached(told.problem, told.sent)
