"""Every dialect and every connector, by the name under which records and settings know it."""

from types import MappingProxyType

from recado.connectors import Connector, simulator
from recado.dialects import Dialect, zoug

DIALECTS: MappingProxyType[str, Dialect] = MappingProxyType({"zoug": zoug})
CONNECTORS: MappingProxyType[str, Connector] = MappingProxyType({"simulator": simulator})
