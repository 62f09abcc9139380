"""Every dialect and every connector, by the name under which records and settings know it."""

from types import MappingProxyType

from recado.connectors import Connector, simulator, smpp
from recado.dialects import Dialect, directcall, zoug

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


CONNECTORS: MappingProxyType[str, Connector] = MappingProxyType(
    {"simulator": simulator, "smpp": smpp}
)
