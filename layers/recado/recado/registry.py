"""Every dialect and every connector, by the name under which records and settings know it."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from recado.connectors import Connector
from recado.dialects import Dialect, directcall, zoug

if TYPE_CHECKING:  # mypy holds each to the Protocol; at run time none is imported before its use
    from recado.connectors import simulator, smpp

    _HELD: tuple[Connector, ...] = (simulator, smpp)

DIALECTS: MappingProxyType[str, Dialect] = MappingProxyType(
    {"directcall": directcall, "zoug": zoug}
)


def dialect_of(path: str) -> Dialect:
    """The dialect that a path belongs to: its own words are what is answered there."""
    found = max(
        (
            (len(beginning), name)
            for name, dialect in DIALECTS.items()
            for beginning in dialect.PATHS
            if path.startswith(beginning)
        ),
        default=(0, "zoug"),
    )
    return DIALECTS[found[1]]


class _Connectors(Mapping[str, Connector]):
    """A connector's module is imported when it is first asked for: most functions need none, and
    each would pay for all in its cold start. Their names are known without."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._connector = cache(_imported)

    def __getitem__(self, kind: str) -> Connector:
        if kind not in self._kinds:
            raise KeyError(kind)
        return self._connector(kind)

    def __contains__(self, kind: object) -> bool:
        return kind in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _imported(kind: str) -> Connector:
    return cast(Connector, import_module(f"recado.connectors.{kind}"))


CONNECTORS: Mapping[str, Connector] = _Connectors("simulator", "smpp")
