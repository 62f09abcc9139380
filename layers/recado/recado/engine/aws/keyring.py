"""The keyring in Secrets Manager: one secret each, all under one prefix, so that a role can be
allowed these alone."""

import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import rounds

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# What a secret's name may have (AWS Secrets Manager API reference, CreateSecret), less the sign
# with which all else is written.
_STRANGE = re.compile(rb"[^A-Za-z0-9/_+.@-]")
_MISSING = "ResourceNotFoundException"
# It is being deleted, which takes a moment; or it was made a moment ago by somebody else.
_PASSING = ("InvalidRequestException", "ResourceExistsException")


class SecretsKeyring:
    """recado.keyring.Keyring. What the service refuses is raised as botocore raises it."""

    def __init__(self, clients: Clients, prefix: str) -> None:
        self._clients, self._prefix = clients, prefix.rstrip("/")

    @property
    def _client(self) -> "SecretsManagerClient":
        return self._clients.secrets

    def _identifier(self, name: str) -> str:
        encoded = _STRANGE.sub(lambda found: b"=%02X" % ord(found[0]), name.encode())
        return f"{self._prefix}/{encoded.decode()}"

    def get(self, name: str) -> str | None:
        try:
            return self._client.get_secret_value(SecretId=self._identifier(name))["SecretString"]
        except ClientError as error:
            # What is being deleted can't be read, and is there for a moment more.
            if _code(error) in (_MISSING, *_PASSING):
                return None
            raise

    def put(self, name: str, secret: str) -> None:
        identifier = self._identifier(name)
        for _ in rounds():
            if self._put(identifier, secret):
                break

    def _put(self, identifier: str, secret: str) -> bool:
        """False: it is worth another try."""
        client = self._client
        try:
            client.put_secret_value(SecretId=identifier, SecretString=secret)
        except ClientError as error:
            if _code(error) != _MISSING:
                return _passes(error)
            return self._create(identifier, secret)
        return True

    def _create(self, identifier: str, secret: str) -> bool:
        try:
            self._client.create_secret(Name=identifier, SecretString=secret)
        except ClientError as error:
            return _passes(error)
        return True

    def remove(self, name: str) -> None:
        # Without a recovery window: the name must be free for a secret of tomorrow.
        try:
            self._client.delete_secret(
                SecretId=self._identifier(name), ForceDeleteWithoutRecovery=True
            )
        except ClientError as error:
            if _code(error) not in (_MISSING, *_PASSING):
                raise


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _passes(error: ClientError) -> bool:
    """False, where it does; raises what does not."""
    if _code(error) not in _PASSING:
        raise error
    return False
