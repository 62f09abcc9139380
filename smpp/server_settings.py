"""What the server is told."""

import ssl

from msgspec import Struct

from smpp.session import Limits


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where it listens, and how much it lets anybody have."""

    host: str = "127.0.0.1"  # empty: every address of the machine
    port: int | None = 1910  # None: not without TLS
    tls_port: int | None = None
    ssl_context: ssl.SSLContext | None = None
    system_id: str = "Recado"  # what we call ourselves
    limits: Limits = Limits()
    bind_seconds: float = 5.0  # from the connection to its bind
    refusal_seconds: float = 1.0  # from a bind to its refusal, whatever the reason
    connections: int = 2_000
    unbound_per_peer: int = 50  # connections of one address that are not bound
    review_seconds: float = 30.0  # how often it is looked whether those who are bound still may
    proxy_protocol: bool = False  # a balancer before us says whose connection it is
