"""The clients of AWS, each made when it is first wanted and kept: the first one takes 100 ms to
make, and most functions need two of the four."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import botocore
import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_CONFIG = Config(
    connect_timeout=2,
    # Above what any of these calls takes in good health: a shorter one would ask an ailing service
    # twice. Three attempts end before the front door gives up.
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    parameter_validation=False,  # a tenth of a call's CPU; the types are checked before it runs
    max_pool_connections=32,
    tcp_keepalive=True,
    # Without it botocore composes a long one anew, twice in each call: a quarter of its CPU.
    user_agent=f"Recado Botocore/{botocore.__version__}",
)


# For URLs that are signed for others to use. Else botocore signs in the old way for S3's older
# regions, and names the global host for all, which sends on whoever asks for another region.
_S3 = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


class Clients:
    """DynamoDB, SQS, S3 and Secrets Manager in the environment's region.

    botocore's own clients, since boto3 adds nothing to them but its import. A client may be used by
    many threads, but has to be made by one."""

    def __init__(
        self, session: botocore.session.Session | None = None, config: Config = _CONFIG
    ) -> None:
        self._session, self._config = session or botocore.session.get_session(), config

    def waiting(self, seconds: int) -> "Clients":
        """Others of the same session, for receives that wait so long for a message; each asks once,
        since the next one follows it anyway."""
        patient = Config(
            read_timeout=seconds + _CONFIG.read_timeout,  # type: ignore[attr-defined] # the stubs know none of a Config's own
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        return Clients(self._session, self._config.merge(patient))

    def _made(self, service: str, more: Config | None = None) -> Any:
        config = self._config.merge(more) if more else self._config
        return self._session.create_client(service, config=config)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self._made("dynamodb")
        return client

    @cached_property
    def sqs(self) -> "SQSClient":
        client: SQSClient = self._made("sqs")
        return client

    @cached_property
    def s3(self) -> "S3Client":
        client: S3Client = self._made("s3", _S3)
        return client

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        client: SecretsManagerClient = self._made("secretsmanager")
        return client

    def secret(self, identifier: str) -> bytes:
        """A secret's text, as bytes."""
        answer = self.secrets.get_secret_value(SecretId=identifier)
        return answer["SecretString"].encode()
