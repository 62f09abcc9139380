"""What was written last, in memory: a message's next hop comes within moments, and finds it here
instead of in the file.

Right because one process writes the file, and only through its store; whatever makes a write not
stand (a unit of work that is lost, what has expired) clears it.
"""

from typing import Generic, TypeVar

Name = TypeVar("Name")
Thing = TypeVar("Thing")


class Recent(Generic[Name, Thing]):
    """The newest things by name, `most` of them."""

    __slots__ = ("_most", "_things")

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Name, Thing] = {}

    def keep(self, name: Name, thing: Thing) -> None:
        things = self._things
        things[name] = thing
        if len(things) > self._most:
            del things[next(iter(things))]

    def find(self, name: Name) -> Thing | None:
        return self._things.get(name)

    def clear(self) -> None:
        self._things.clear()
