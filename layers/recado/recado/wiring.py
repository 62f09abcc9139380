"""The one place where the parts are put together; every handler takes its dependencies here."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from msgspec import Struct

from recado.connectors import Outcome, Submit, Submitting, Upstream
from recado.directory import Directory
from recado.engine import Engine
from recado.errors import Misconfigured
from recado.http import Exchange, Outgoing, Reached, Unreached
from recado.keyring import NO_KEYS, Keyring
from recado.message import Key
from recado.registry import CONNECTORS
from recado.routing import Routing
from recado.settings import Settings, read_settings

if TYPE_CHECKING:
    from recado.engine.aws.clients import Clients

_DAY = 86_400.0


class Turns(Struct, frozen=True):
    """How long work lets others have their turn, where one process does everything."""

    breathe: Callable[[], None]  # called again and again within long work
    pace: Callable[[], int]  # before each window of what is many: how many of it may go at once


ALONE = Turns(lambda: None, lambda: sys.maxsize)  # nobody else is there: a Lambda, or a test


class Bell:
    """Rung when mail has come for a cost centre; heard by whoever holds its binds, if that is this
    process."""

    def __init__(self) -> None:
        self.heard: Callable[[str], None] = _nobody

    def ring(self, cost_centre: str) -> None:
        self.heard(cost_centre)


def _nobody(_: str) -> None:
    """On Lambda nobody listens: the SMPP service looks into its customers' mailboxes by itself."""


class Deps(Struct, frozen=True):
    """What the line works with."""

    engine: Engine
    directory: Directory
    routing: Routing
    exchange: Exchange
    submits_elsewhere: Submitting | None  # where the sockets are another process's
    settings: Settings
    clock: Callable[[], float]
    read_pepper: Callable[[], bytes]
    turns: Turns
    holds_binds: bool  # this process speaks SMPP to upstreams; else what goes there is handed on
    keyring: Keyring
    bell: Bell
    telling: set[Key]  # records whose report is on its way from this environment
    resting: dict[str, float]  # what need not be done again before that time
    failing: dict[str, set[str]]  # by cost centre, the records that its endpoint failed at in a row

    def submit(self, submits: Sequence[Submit], upstream: Upstream) -> list[Outcome]:
        """Hands messages to an upstream: an outcome for each, in order."""
        if self.submits_elsewhere is not None:
            return self.submits_elsewhere(submits, upstream)
        return CONNECTORS[upstream.kind].submit(submits, upstream, self.exchange)

    def breathe(self) -> None:
        """Called within long work: lets others have their turn."""
        self.turns.breathe()

    @property
    def pepper(self) -> bytes:
        """The key of the passwords' hashes."""
        return self.read_pepper()


_deps: Deps | None = None


def assemble(  # noqa: PLR0913 - all that there is, put together in this one place
    engine: Engine,
    pepper: bytes | Callable[[], bytes],
    exchange: Exchange,
    settings: Settings,
    clock: Callable[[], float],
    turns: Turns = ALONE,
    *,
    holds_binds: bool = False,
    keyring: Keyring = NO_KEYS,
    submits_elsewhere: Submitting | None = None,
) -> Deps:
    """The dependencies over an engine. A pepper that has to be fetched is fetched once, when it is
    first needed."""
    read_pepper = (lambda: pepper) if isinstance(pepper, bytes) else cache(pepper)
    return Deps(
        engine=engine,
        directory=Directory(engine.store, read_pepper, clock),
        routing=Routing(engine.store, clock),
        exchange=exchange,
        submits_elsewhere=submits_elsewhere,
        settings=settings,
        clock=clock,
        read_pepper=read_pepper,
        turns=turns,
        holds_binds=holds_binds,
        keyring=keyring,
        bell=Bell(),
        telling=set(),
        resting={},
        failing={},
    )


def use(deps: Deps | None) -> None:
    """Gives the handlers of this environment their dependencies."""
    global _deps  # noqa: PLW0603 - Lambda calls a module's function: its environment is a module's
    _deps = deps


def deps() -> Deps:
    """This environment's dependencies: those that `use` gave it or, on Lambda, what its variables
    name. Raises Misconfigured where there are neither."""
    if _deps is not None:
        return _deps
    if os.environ.get("RECADO_ENGINE") != "aws":
        raise Misconfigured("no engine is set up: `recado up` does it on one machine")
    made = on_aws(os.environ)
    use(made)
    return made


def on_aws(
    environment: Mapping[str, str],
    clients: "Clients | None" = None,
    *,
    holds_binds: bool = False,
    shaped: Callable[[Engine], Engine] | None = None,
) -> Deps:
    """The dependencies over what a function's variables name, in this process: with the clients'
    region and credentials, or with those that botocore finds; over the engine as `shaped` gives it
    back. Raises Misconfigured, naming the variable that is missing."""
    from recado.engine.aws import named, open_engine  # noqa: PLC0415 - one machine has no botocore
    from recado.engine.aws.clients import Clients  # noqa: PLC0415 - the same

    settings = read_settings(environment)
    clients = clients or Clients()
    engine = open_engine(environment, clients, time.time, settings.retention_days * _DAY)
    return assemble(
        shaped(engine) if shaped else engine,
        partial(clients.secret, named(environment, "RECADO_PEPPER_SECRET")),
        _courier(),
        settings,
        time.time,
        holds_binds=holds_binds,
        keyring=_keyring(environment, clients),
    )


def _keyring(environment: Mapping[str, str], clients: "Clients") -> Keyring:
    """The one that the environment names; none without."""
    prefix = environment.get("RECADO_KEYRING_PREFIX")
    if not prefix:
        return NO_KEYS
    from recado.engine.aws.keyring import SecretsKeyring  # noqa: PLC0415 - the same

    return SecretsKeyring(clients, prefix)


def _courier() -> Exchange:
    """The courier, once there is something to carry: few functions speak to the world, and
    what it imports takes the others 200 ms of a cold start."""

    @cache
    def made() -> Exchange:
        from recado.courier import session_exchange  # noqa: PLC0415 - see above

        return session_exchange()

    def exchange(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        return made()(requests)

    return exchange
