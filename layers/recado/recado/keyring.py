"""The keyring: secrets that have to be read back, such as the password at an SMSC.

On one machine a folder whose files nobody else may read; on AWS Secrets Manager. (What only has to
be compared, our customers' passwords, is stored hashed and is not here.)
"""

from typing import Protocol

from recado.errors import Misconfigured


class Keyring(Protocol):
    """Secrets by name, such as "connector/claro/password"."""

    def get(self, name: str) -> str | None:
        """The secret, or None where there is none of that name."""

    def put(self, name: str, secret: str) -> None:
        """Keeps a secret; over the one that had the name. Durable on return."""

    def remove(self, name: str) -> None:
        """Forgets a secret. Repeatable."""


class NoKeyring:
    """Where there is no place for secrets: a test, a function that needs none."""

    def get(self, name: str) -> str | None:  # noqa: ARG002 - the Protocol's
        return None

    def put(self, name: str, secret: str) -> None:  # noqa: ARG002 - the Protocol's
        raise Misconfigured("there is no place for secrets here")

    def remove(self, name: str) -> None:
        pass


NO_KEYS = NoKeyring()
