"""The control socket: commands reach a running node through a Unix socket in its data directory.

One JSON line in, one out. Whoever may open the directory (its owner alone) may command. Its path is
the short relative one, taken from within the directory: a socket's path may have 108 bytes on Linux
and 104 elsewhere, a directory's many more.
"""

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from node.waiting import start
from recado.engine.embedded.database import Database
from recado.errors import Misconfigured, RecadoError
from recado.observability import log
from recado.operations import OPERATIONS
from recado.wiring import Deps

SOCKET_NAME = "control.sock"
_LONGEST_LINE = 16 * 1024 * 1024
_PATIENCE = 30.0


Operations: TypeAlias = Mapping[str, Callable[..., Any]]


class Command(Struct, frozen=True):
    """An operation by its name, and its arguments."""

    operation: str
    arguments: dict[str, Any] = {}


class Answer(Struct, frozen=True):
    """What came of it. `problem` is a text for the person who asked."""

    result: Any = None
    problem: str | None = None


def run(command: Command, deps: Deps, operations: Operations = OPERATIONS) -> Answer:
    """Carries out one command."""
    operation = operations.get(command.operation)
    if operation is None:
        return Answer(problem=f"there is no operation {command.operation}")
    try:
        return Answer(operation(deps, **command.arguments))
    except RecadoError as error:
        return Answer(problem=str(error))
    except TypeError as error:
        return Answer(problem=f"{command.operation}: {error}")
    except sqlite3.Error as error:
        return Answer(problem=f"it could not be written: {error}")


async def listen(
    folder: Path, deps: Deps, database: Database, operations: Operations = OPERATIONS
) -> asyncio.Server:
    """Serves commands until the server is closed. An operation may wait, as a handler may. An
    answer goes when its writes are durable."""
    bound = _bound(folder)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            command = msgspec.json.decode(line, type=Command)
            answer = await _in_greenlet(lambda: run(command, deps, operations))
            problem = await _durable(database)
            if problem is not None:
                answer = Answer(problem=f"it could not be written: {problem}")
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (ValueError, OSError) as error:
            log.warning("a command could not be read: %s", type(error).__name__)
        except Exception:
            log.exception("a command failed by our fault")
            writer.write(msgspec.json.encode(Answer(problem="it failed: see the log")) + b"\n")
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, sock=bound, limit=_LONGEST_LINE)


async def _in_greenlet(work: Callable[[], Answer]) -> Answer:
    """What the work gives, or raises."""
    end: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def told() -> None:
        try:
            answer = work()
        except Exception as error:
            if not end.done():
                end.set_exception(error)
        else:
            if not end.done():  # whoever waited may have been cancelled
                end.set_result(answer)

    start(told)
    return await end


def _bound(folder: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.chdir(folder):
        Path(SOCKET_NAME).unlink(missing_ok=True)  # of a node that was killed
        bound.bind(SOCKET_NAME)
        Path(SOCKET_NAME).chmod(0o600)
    return bound


async def _durable(database: Database) -> BaseException | None:
    """Waits until all that was written so far is durable: None, or why it is not."""
    end: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def ended(problem: BaseException | None) -> None:
        if not end.done():  # whoever waited may have been cancelled
            end.set_result(problem)

    database.then(ended)
    return await end


def ask(folder: Path, command: Command) -> Answer | None:
    """The running node's answer, or None where no node runs on that directory. Raises Misconfigured
    where it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        try:
            with contextlib.chdir(folder):
                connection.connect(SOCKET_NAME)
        except OSError:
            return None
        try:
            connection.sendall(msgspec.json.encode(command) + b"\n")
            with connection.makefile("rb") as lines:
                return msgspec.json.decode(lines.readline(), type=Answer)
        except (OSError, msgspec.DecodeError) as error:
            raise Misconfigured(f"the node on {folder} did not answer: {error}") from error
