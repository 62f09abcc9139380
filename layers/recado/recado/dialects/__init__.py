"""The dialect socket: an API that customers speak already. One module a dialect, no I/O in it.

A dialect turns requests into asks, and answers, errors, reports and replies into its own words.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from recado.costcentre import CostCentre
from recado.http import Answer, Request
from recado.message import Alert, Batch, Message, Reply, Report
from recado.numbers import Numbering
from recado.submission import Refusal

Asked = TypeVar("Asked")


class Wish(Struct, frozen=True):
    """One recipient as the customer wrote it."""

    destination: str
    text: str
    reference: str | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """A request to send, understood but not yet checked against a cost centre's rules."""

    wishes: tuple[Wish, ...]
    batch: bool = False
    numbering: Numbering  # which numbers this dialect takes from this cost centre
    numbers: Sequence[str] = ()  # in place of wishes: a long list, checked and without doubles
    text: str = ""  # that text
    units: int = 0  # what each message costs, in SMS; 0: as many as it has segments
    voice: bool = False
    source: str = ""
    udh: str = ""  # in hexadecimal: the text is one part of a long one, and goes as it is
    registered: int | None = None  # registered_delivery, where it came by SMPP
    fields: dict[str, str] = {}
    validity: int | None = None  # seconds
    send_at: float | None = None  # seconds since the epoch
    idempotency_key: str | None = None


class Listed(Struct, frozen=True, omit_defaults=True):
    """One line of a batch's list, as its callback tells it."""

    as_written: str
    id: str
    refusal: Refusal | None = None
    reference: str | None = None


class Door(Protocol[Asked]):
    """What a dialect's module does for requests by HTTP. `Asked` is a request as it reads one."""

    def read(self, request: Request) -> Asked:
        """The request, opened as far as it takes to answer at all. Raises nothing: what is wrong
        with it is told by `credential` or by what reads further."""

    def credential(self, asked: Asked) -> str:
        """What says who asks, as an Authorization header has it ("Basic ...", "Bearer ..."). Raises
        Refused where nothing does."""

    def refused(
        self,
        refusal: Refusal,
        identifier: str,
        cost_centre: CostCentre | None,
        asked: Asked | None,
    ) -> Answer:
        """The answer to a request that is refused, or at which we failed."""


class Dialect(Protocol):
    """What every dialect's module can do, whatever its routes."""

    PATHS: tuple[str, ...]
    """What the paths begin with that are its own; "/" takes all that is nobody's."""

    TELLS_BATCHES: bool
    """Whether a batch owes a callback with its messages' ids, for which their reports wait."""

    def turned_away(self, refusal: Refusal, identifier: str, path: str) -> Answer:
        """The answer to a request for that path which came to no function: too large, at no path,
        or at which the machine failed."""

    def report(self, message: Message, report: Report, cost_centre: CostCentre) -> dict[str, Any]:
        """A report's body."""

    def reply(self, reply: Reply, cost_centre: CostCentre) -> dict[str, Any]:
        """A reply's body."""

    def batch_callback(self, batch: Batch, listed: Sequence[Listed]) -> dict[str, Any]:
        """A batch callback's body."""

    def alert(self, alert: Alert, cost_centre: CostCentre) -> dict[str, Any]:
        """An alert's body."""
