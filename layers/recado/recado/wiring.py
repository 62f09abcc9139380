"""The one place where the parts are put together; every handler takes its dependencies here."""

from collections.abc import Callable

from msgspec import Struct

from recado.costcentre import Directory
from recado.engine import Engine
from recado.errors import Misconfigured
from recado.http import Exchange
from recado.message import Key
from recado.routing import Routing
from recado.settings import Settings


class Deps(Struct, frozen=True):
    """What the line works with."""

    engine: Engine
    directory: Directory
    routing: Routing
    exchange: Exchange
    settings: Settings
    clock: Callable[[], float]
    pepper: bytes  # the key of the passwords' hashes
    telling: set[Key]  # records whose report is on its way from this environment


_deps: Deps | None = None


def assemble(
    engine: Engine,
    pepper: bytes,
    exchange: Exchange,
    settings: Settings,
    clock: Callable[[], float],
) -> Deps:
    """The dependencies over an engine."""
    return Deps(
        engine=engine,
        directory=Directory(engine.store, pepper, clock),
        routing=Routing(engine.store, clock),
        exchange=exchange,
        settings=settings,
        clock=clock,
        pepper=pepper,
        telling=set(),
    )


def use(deps: Deps | None) -> None:
    """Gives the handlers of this environment their dependencies."""
    global _deps  # noqa: PLW0603 - Lambda calls a module's function: its environment is a module's
    _deps = deps


def deps() -> Deps:
    """This environment's dependencies. Raises Misconfigured before `use`."""
    if _deps is None:
        raise Misconfigured("no engine is set up: `recado up` does it on one machine")
    return _deps
