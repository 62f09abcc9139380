"""What was written last, in memory: a message's next hop comes within moments, and finds it here
instead of in the file.

Right because one process writes the file, and only through its store; whatever makes a write not
stand (a unit of work that is lost, what has expired) clears it.
"""

from typing import Generic, TypeVar

Name = TypeVar("Name")
Thing = TypeVar("Thing")


class Recent(Generic[Name, Thing]):
    """The newest things by name: `most` of them at least, and twice as many at most."""

    __slots__ = ("_before", "_most", "_things")

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Name, Thing] = {}
        self._before: dict[Name, Thing] = {}

    def keep(self, name: Name, thing: Thing) -> None:
        # Forgotten in two halves: to look for a dict's oldest key takes ever longer.
        if len(self._things) >= self._most:
            self._before, self._things = self._things, {}
        self._things[name] = thing

    def find(self, name: Name) -> Thing | None:
        return self._things.get(name) or self._before.get(name)

    def clear(self) -> None:
        self._things.clear()
        self._before.clear()
