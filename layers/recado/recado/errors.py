"""The errors that cross a boundary.

    RecadoError        its text is meant for the person who caused it
      Refused          a customer's request can't be taken; its dialect puts the Refusal into words
      Invalid          an operator's value makes no sense; names the field
      NotFound         nothing has that name or id
      Conflict         it exists already, or has changed or gone meanwhile
      Misconfigured    the installation can't start or can't send as it stands

Whatever else is raised is our own fault.
"""

from recado.submission import Refusal


class RecadoError(Exception):
    """The root of the errors whose text is meant for the person who caused them."""


class Refused(RecadoError):
    """A customer's request can't be taken."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.field} {refusal.reason}")
        self.refusal = refusal


class Invalid(RecadoError):
    """A value makes no sense."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


class NotFound(RecadoError):
    """Nothing has that name or id."""


class Conflict(RecadoError):
    """It exists already, or has changed or gone meanwhile."""


class Misconfigured(RecadoError):
    """The installation can't start or can't send as it stands."""
