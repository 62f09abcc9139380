"""The dialect socket: an API that customers speak already. One module a dialect, no I/O in it.

A dialect turns requests into asks, and answers, errors, reports and replies into its own words.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from recado.costcentre import CostCentre
from recado.http import Answer
from recado.message import Batch, Message, Refusal, Reply, Report


class Wish(Struct, frozen=True):
    """One recipient as the customer wrote it."""

    destination: str
    text: str
    reference: str | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """A request to send, understood but not yet checked against a cost centre's rules."""

    wishes: tuple[Wish, ...]
    batch: bool = False
    validity: int | None = None  # seconds
    send_at: float | None = None  # seconds since the epoch
    idempotency_key: str | None = None


class Listed(Struct, frozen=True, omit_defaults=True):
    """One line of a batch's list, as its callback tells it."""

    as_written: str
    id: str
    refusal: Refusal | None = None
    reference: str | None = None


class Dialect(Protocol):
    """What every dialect's module can do, whatever its routes."""

    def refused(self, refusal: Refusal, identifier: str, cost_centre: CostCentre | None) -> Answer:
        """The answer to a request that is refused, or at which we failed."""

    def report(self, message: Message, report: Report, cost_centre: CostCentre) -> dict[str, Any]:
        """A report's body."""

    def reply(self, reply: Reply, cost_centre: CostCentre) -> dict[str, Any]:
        """A reply's body."""

    def batch_callback(self, batch: Batch, listed: Sequence[Listed]) -> dict[str, Any]:
        """A batch callback's body."""
