"""An engine at one of whose calls the process dies, to see what a kill at that point leaves behind.

Every call on Store, Queue and Blobs counts. A write of several things is a call for each of them:
on DynamoDB and SQS each is durable on its own, so a kill may fall between any two.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from recado.engine import Blobs, Engine, Queue, Store

# Which argument of a call holds the things that are durable one by one.
_MANY = {
    "create": 0,
    "replace": 0,
    "put_refs": 0,
    "release": 0,
    "post": 0,
    "forget": 0,
    "done": 0,
    "send": 1,
}


class Death(BaseException):
    """The process was killed. It is no Exception: nobody who mends a failure may catch it."""


class Dying:
    """Kills the process once, just before or just after call number `at` that follows `arm`."""

    def __init__(self, at: int, *, after: bool = False) -> None:
        self.at, self.after = at, after
        self.calls = 0
        self.armed = False
        self.died_in = ""

    def wrap(self, engine: Engine) -> Engine:
        """The engine with this kill in it; what a `World` takes as `wrap`."""
        return Engine(
            store=cast(Store, _Part(engine.store, self)),
            queue=cast(Queue, _Part(engine.queue, self)),
            blobs=cast(Blobs, _Part(engine.blobs, self)),
        )

    def arm(self) -> None:
        """Calls count from now on, unless it has died already."""
        self.armed = not self.died_in

    def disarm(self) -> None:
        """It will not die any more."""
        self.armed = False

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if not self.armed:
            return work()
        self.calls += 1
        if self.calls != self.at:
            return work()
        self.armed = False
        self.died_in = name
        if self.after:
            work()
        raise Death(f"{'after' if self.after else 'before'} call {self.at}, {name}")


class _Part:
    """Store, Queue or Blobs, whose every call is counted."""

    def __init__(self, part: object, dying: Dying) -> None:
        self._part, self._dying = part, dying

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name == "receive":  # writes nothing: a kill here is one after the call before it
            return method
        if name in _MANY:
            return lambda *args, **named: self._one_by_one(name, method, args, named)
        return lambda *args, **named: self._dying.call(name, partial(method, *args, **named))

    def _one_by_one(
        self, name: str, method: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]
    ) -> list[Any] | None:
        place = _MANY[name]
        answers: list[Any] = []
        for thing in args[place]:
            only = [*args[:place], [thing], *args[place + 1 :]]
            answers += self._dying.call(name, partial(method, *only, **named)) or []
        return answers if name in ("create", "replace") else None
