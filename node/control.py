"""The control socket: commands reach a running node through a Unix socket in its data directory.

One JSON line in, one out. Whoever may open the directory (its owner alone) may command.
"""

import asyncio
import hashlib
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from recado.errors import Misconfigured, RecadoError
from recado.observability import log
from recado.operations import OPERATIONS
from recado.wiring import Deps

_LONGEST_PATH = 100  # a Unix socket's path may have 108 bytes on Linux, 104 elsewhere
_LONGEST_LINE = 16 * 1024 * 1024
_PATIENCE = 30.0


class Command(Struct, frozen=True):
    """An operation by its name, and its arguments."""

    operation: str
    arguments: dict[str, Any] = {}


class Answer(Struct, frozen=True):
    """What came of it. `problem` is a text for the person who asked."""

    result: Any = None
    problem: str | None = None


def socket_path(folder: Path) -> Path:
    """Where the socket lies: in the data directory, if its path is short enough for a socket."""
    path = folder.resolve() / "control.sock"
    if len(str(path)) <= _LONGEST_PATH:
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"recado-{name}.sock"


def run(command: Command, deps: Deps) -> Answer:
    """Carries out one command."""
    operation = OPERATIONS.get(command.operation)
    if operation is None:
        return Answer(problem=f"there is no operation {command.operation}")
    try:
        return Answer(operation(deps, **command.arguments))
    except RecadoError as error:
        return Answer(problem=str(error))
    except TypeError as error:
        return Answer(problem=f"{command.operation}: {error}")


async def listen(folder: Path, deps: Deps, durable: Callable[[], None]) -> asyncio.Server:
    """Serves commands until the server is closed. `durable` commits before the answer goes."""
    path = socket_path(folder)
    path.unlink(missing_ok=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            answer = run(msgspec.json.decode(line, type=Command), deps)
            durable()
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (ValueError, OSError) as error:
            log.warning("a command could not be read: %s", type(error).__name__)
        except Exception:
            log.exception("a command failed by our fault")
            writer.write(msgspec.json.encode(Answer(problem="it failed: see the log")) + b"\n")
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=_LONGEST_LINE)
    path.chmod(0o600)
    return server


def ask(folder: Path, command: Command) -> Answer | None:
    """The running node's answer, or None where no node runs on that directory. Raises Misconfigured
    where it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(socket_path(folder)))
        except OSError:
            return None
        try:
            connection.sendall(msgspec.json.encode(command) + b"\n")
            with connection.makefile("rb") as lines:
                return msgspec.json.decode(lines.readline(), type=Answer)
        except (OSError, msgspec.DecodeError) as error:
            raise Misconfigured(f"the node on {folder} did not answer: {error}") from error
