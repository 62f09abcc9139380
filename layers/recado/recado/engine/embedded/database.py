"""The one writer of the one file: SQLite in WAL mode, every commit synced; and the unit of work.

All writes since the last commit are one transaction, whichever hop made them (group commit): the
sync is the window, nothing waits for company. What must not happen before the writes are durable
(an answer to a customer, the hand-over of a queue message) is given to `then`.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from recado.errors import Misconfigured

After: TypeAlias = Callable[[BaseException | None], None]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    cost_centre TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    number TEXT, body TEXT NOT NULL,
    PRIMARY KEY (cost_centre, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_number ON records (number, id) WHERE number IS NOT NULL;
CREATE TABLE IF NOT EXISTS refs (
    connector TEXT NOT NULL, upstream_id TEXT NOT NULL,
    cost_centre TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (connector, upstream_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remembered (
    cost_centre TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (cost_centre, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS remembered_at ON remembered (at);
CREATE TABLE IF NOT EXISTS held (
    due_at REAL NOT NULL, id TEXT NOT NULL, queue TEXT NOT NULL, grp TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (due_at, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS config (
    kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    queue TEXT NOT NULL, grp TEXT NOT NULL, id INTEGER NOT NULL,
    visible_at REAL NOT NULL, receives INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (queue, grp, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS queue_delayed ON queue (visible_at) WHERE visible_at > 0;
"""
SCHEMA_VERSION = 1


class Database:
    """One connection, one open transaction at most."""

    def __init__(self, path: Path) -> None:
        self.schedule: Callable[[Callable[[], None]], object] | None = None
        """How a commit is put off until all that is in hand has been written; None: never."""
        self.wait: Callable[[], None] = self.commit
        """How a hop waits until its writes are durable."""
        self.commits = 0
        self._then: list[After] = []
        self._dirty = False
        self._scheduled = False
        self.connection = _connect(path)

    def write(self, sql: str, values: Sequence[Any]) -> int:
        """Runs one statement in the present unit of work: the number of rows it changed."""
        self._begin()
        return self.connection.execute(sql, values).rowcount

    def write_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for many rows."""
        self._begin()
        self.connection.executemany(sql, values)

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows, the present unit's own writes included."""
        return self.connection.execute(sql, values).fetchall()

    def _begin(self) -> None:
        if not self._dirty:
            self.connection.execute("BEGIN IMMEDIATE")
            self._dirty = True

    def touched(self) -> None:
        """Every operation that wrote calls this last: sees to it that a commit comes."""
        if self.schedule is None:
            self.commit()
        elif self._dirty and not self._scheduled:
            self._scheduled = True
            self.schedule(self.commit)

    def then(self, after: After) -> None:
        """Calls `after` when the present unit of work is durable (None), or with why it is not.
        At once, where nothing is open."""
        if self._dirty:
            self._then.append(after)
        else:
            after(None)

    def commit(self) -> None:
        """Makes the unit durable and calls what waits for it. Raises nothing: whoever depends on
        the unit is told through `then`."""
        self._scheduled = False
        if not self._dirty:
            return
        problem = self._end()
        waiting, self._then = self._then, []
        for after in waiting:
            after(problem)

    def _end(self) -> BaseException | None:
        self._dirty = False
        try:
            # A statement that meets a full disk may have rolled all of the unit back.
            if not self.connection.in_transaction:
                raise sqlite3.OperationalError("the transaction was rolled back")
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            return error
        self.commits += 1
        return None

    def close(self) -> None:
        """Commits what is open, moves the log into the file, and closes it."""
        self.commit()
        self.connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Checkpoints run on this connection alone: SQLite before 3.51.3 may corrupt the file when
        # two connections write or checkpoint at the same time (the "WAL-reset" bug).
        connection.execute("PRAGMA wal_autocheckpoint = 2000")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, SCHEMA_VERSION):
            raise Misconfigured(f"{path} was written by another version of Recado (schema {found})")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except sqlite3.Error as error:
        raise Misconfigured(f"can't open {path}: {error}") from error
    return connection
