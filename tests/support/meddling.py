"""An engine between whose calls somebody else acts: another process on the same store."""

from collections.abc import Callable
from typing import Any, cast

from recado.engine import Engine, Store


class Meddling:
    """After the first call of each named Store operation that follows, its act is called with that
    operation's arguments. What the act itself asks of the store is not meddled with."""

    def __init__(self, **acts: Callable[..., Any]) -> None:
        self._acts, self._acting = acts, False

    def wrap(self, engine: Engine) -> Engine:
        """The engine as a `World` takes it."""
        store = cast(Store, _Meddled(engine.store, self))
        return Engine(store=store, queue=engine.queue, blobs=engine.blobs)

    def after(self, name: str, arguments: tuple[Any, ...]) -> None:
        act = self._acts.get(name)
        if act is None or self._acting:
            return
        self._acting = True
        try:
            act(*arguments)
        finally:
            self._acting = False


class _Meddled:
    def __init__(self, store: Store, meddling: Meddling) -> None:
        self._store, self._meddling = store, meddling

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            self._meddling.after(name, arguments)
            return answer

        return call
