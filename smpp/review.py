"""Review: whether those who are bound still may be. Plain code over the Store, for the hands."""

from collections.abc import Sequence
from typing import TypeAlias

from recado.costcentre import CostCentre
from recado.wiring import Deps
from smpp.binding import hindrance
from smpp.customer import Customer

Finding: TypeAlias = tuple[Customer, CostCentre | None, str]
"""A customer, and its cost centre as it is now; or None, and why its bind has to end."""


def review(customers: Sequence[Customer], deps: Deps) -> list[Finding]:
    """One finding for each."""
    found: list[Finding] = []
    for customer in customers:
        cost_centre = deps.directory.smpp_standing(customer.system_id, customer.digest)
        why = hindrance(cost_centre, customer.session.peer) if cost_centre else "password rotated"
        found.append((customer, None if why else cost_centre, why))
        deps.breathe()
    return found
