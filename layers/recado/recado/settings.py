"""The installation's settings, from the environment: RECADO_ and the name in capitals."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from recado.costcentre import CostCentre
from recado.errors import Misconfigured


class Settings(Struct, frozen=True, kw_only=True):
    """What holds for the whole installation; what varies by customer is in its cost centre."""

    retention_days: int = 90  # how long messages are kept, from their due date
    callback_hours: float = 24.0  # how long an unanswered report is tried
    private_callbacks: bool | None = None  # may callback URLs reach private addresses; None: no,
    # but those that an operator has set may, where the gateway itself listens on loopback alone
    loopback: bool = False  # it does so: what runs it knows, no variable says it
    counting_seconds: float = 15.0  # how long a tick of the clock counts usage at most
    public_base_url: str = ""  # where upstreams reach us; on AWS empty means the output CallbackUrl
    log_level: str = "INFO"
    log_format: str = ""  # on a machine: json or text; empty: text where a terminal shows it
    metrics_token: str = ""  # on a machine: who may read /metrics; empty: the machine itself


def reaches_private(settings: Settings, cost_centre: CostCentre) -> bool:
    """Whether this customer's callback URL may lead to a private address."""
    if settings.private_callbacks is not None:
        return settings.private_callbacks
    return settings.loopback and not cost_centre.callback_by_customer


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment. Raises Misconfigured, naming the variable."""
    given = {
        field: environment[f"RECADO_{field.upper()}"]
        for field in Settings.__struct_fields__
        if field != "loopback" and f"RECADO_{field.upper()}" in environment
    }
    for name, value in given.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            raise Misconfigured(f"RECADO_{name.upper()}={value}: {error}") from error
    settings = msgspec.convert(given, Settings, strict=False)
    if settings.retention_days < 1 or not settings.callback_hours > 0:  # NaN is not
        raise Misconfigured("RECADO_RETENTION_DAYS and RECADO_CALLBACK_HOURS must be above zero")
    if settings.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise Misconfigured("RECADO_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    if settings.log_format not in {"", "json", "text"}:
        raise Misconfigured("RECADO_LOG_FORMAT must be json or text")
    return settings
