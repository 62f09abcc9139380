"""`python -m smpp.probe`: asks the container's health endpoint, and ends with 0 where all is well.

For HEALTHCHECK and Fargate's health check. It imports next to nothing, because it runs on the same
fraction of a processor as the sessions, every few seconds.
"""

import os
import socket
import sys

PORT = 8081
VARIABLE = "RECADO_SMPP_HEALTH_PORT"
_SECONDS = 5.0


def is_well(port: int) -> bool:
    """Whether the process on this machine that has that port says it is."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return connection.recv(64).startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 "))
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_well(int(os.environ.get(VARIABLE) or PORT)) else 1)
