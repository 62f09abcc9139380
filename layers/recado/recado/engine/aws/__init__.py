"""The AWS engine: DynamoDB, SQS and S3, named by the environment as template.yaml gives it.

Every write is durable when its call returns, so there is nothing to settle; what has lived its time
goes by itself (a time to live on the tables, a rule on the bucket), so there is nothing to expire.
What a call was refused for is handled where it is an answer (a condition that did not hold);
everything else is raised and is our own fault: the hop is done again.
"""

from collections.abc import Callable, Mapping

from recado.engine import Engine
from recado.engine.aws.blobs import S3Blobs
from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import Many, in_threads
from recado.engine.aws.queue import SQSQueue
from recado.engine.aws.store import DynamoDBStore
from recado.engine.aws.table import Table
from recado.errors import Misconfigured

WORKERS = 16  # calls to AWS that one environment has on their way at once
_QUEUE = "RECADO_QUEUE_"
_DEAD_QUEUE = "RECADO_DEAD_QUEUE_"
_WAIT = 1  # seconds; a receive that waits asks all of a queue's servers, one that doesn't only some


def open_engine(
    environment: Mapping[str, str],
    clients: Clients,
    clock: Callable[[], float],
    retention: float,
    *,
    many: Many | None = None,
    wait: int = _WAIT,
) -> Engine:
    """The engine over the tables, queues and bucket that the environment names. Retention in
    seconds; `many` runs calls side by side, `wait` is for how many seconds a receive waits for a
    message. Raises Misconfigured, naming the variable that is missing."""
    many = many or in_threads(WORKERS)
    messages = Table(clients.dynamodb, named(environment, "RECADO_MESSAGES_TABLE"), many)
    config = Table(clients.dynamodb, named(environment, "RECADO_CONFIG_TABLE"), many)
    urls, dead = _queues(environment, _QUEUE), _queues(environment, _DEAD_QUEUE)
    if urls.keys() != dead.keys():
        raise Misconfigured(f"each {_QUEUE} variable needs a {_DEAD_QUEUE} one, and the reverse")
    return Engine(
        store=DynamoDBStore(messages, config, clock, retention),
        queue=SQSQueue(clients, urls, dead, many, wait),
        blobs=S3Blobs(clients, named(environment, "RECADO_BLOB_BUCKET")),
    )


def named(environment: Mapping[str, str], variable: str) -> str:
    """What a variable holds. Raises Misconfigured where it is missing or empty."""
    if not environment.get(variable):
        raise Misconfigured(f"{variable} is not set")
    return environment[variable]


def _queues(environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    """URLs by our names of the queues: SUBMIT_BULK is SubmitBulk."""
    return {
        name.removeprefix(prefix).title().replace("_", ""): url
        for name, url in environment.items()
        if name.startswith(prefix)
    }
