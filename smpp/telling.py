"""What the container says of itself: log lines and metrics in the functions' form, on its standard
output, from where Fargate takes them to the functions' own log.

CloudWatch makes metrics of lines in its embedded format, whoever writes them: no permission and no
call is needed for it.
"""

import logging
import sys

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

from recado.observability import counts, log_through

_NAMESPACE = "Recado"  # the functions' own


def log_as_functions_do(service: str, level: str) -> None:
    """One line of JSON each, with `service` in place of a function's name."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        LambdaPowertoolsFormatter(use_rfc3339=True, utc=True, function_name=service)
    )
    log_through(handler, level, "recado", "smpp")
    # Threads use more connections at once than are kept: each one too many would be a line.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class Tally:
    """What was counted since it was last told."""

    def __init__(self, service: str) -> None:
        self._metrics = Metrics(namespace=_NAMESPACE, service=service)
        self._told: dict[str, int] = {}

    def tell(self) -> None:
        """Writes it as metrics; nothing where nothing was counted."""
        now = counts()
        grown = {name: amount - self._told.get(name, 0) for name, amount in now.items()}
        self._told = now
        new = {name: amount for name, amount in grown.items() if amount > 0}
        for name, amount in new.items():
            self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)
        if new:
            self._metrics.flush_metrics()
