"""The embedded engine: one directory on one machine, SQLite inside, no other server.

`open_engine` gives the three sockets over one database file and one directory of blobs. There is
one writer, this process; `claim_directory` keeps a second one out.
"""

import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from recado.engine import Engine
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue, Policy
from recado.engine.embedded.store import EmbeddedStore
from recado.errors import Misconfigured

DATABASE_NAME = "recado.db"
BLOBS_NAME = "blobs"


def claim_directory(folder: Path) -> IO[str]:
    """Makes the directory if need be and takes it for this process. Raises Misconfigured where it
    can't be written to or another process has it. Keep the file open as long as you use it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise Misconfigured(
            f"can't write to the data directory {folder}: {error.strerror}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Misconfigured(f"another Recado is running on the data directory {folder}") from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def open_engine(
    folder: Path,
    policies: Mapping[str, Policy],
    clock: Callable[[], float],
    retention: float,
    key: bytes | None = None,
) -> tuple[Engine, Database]:
    """The engine on a directory, and its database, whose commits the caller may schedule. `key`
    signs the URLs for uploads."""
    database = Database(folder / DATABASE_NAME)
    engine = Engine(
        store=EmbeddedStore(database, clock, retention),
        queue=EmbeddedQueue(database, policies, clock),
        blobs=DirectoryBlobs(folder / BLOBS_NAME, clock, key),
    )
    return engine, database
