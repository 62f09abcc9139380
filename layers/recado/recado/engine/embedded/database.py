"""The one writer of the one file: SQLite in WAL mode, every commit synced; and the unit of work.

All writes since the last commit are one transaction, whichever hop made them (group commit): the
sync is the window, nothing waits for company. What must not happen before the writes are durable
(an answer to a customer, the hand-over of a queue message) is given to `then`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from recado.errors import Misconfigured
from recado.observability import count, log, words_of

After: TypeAlias = Callable[[BaseException | None], None]
Rows: TypeAlias = Sequence[Sequence[Any]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    cost_centre TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    number TEXT, body TEXT NOT NULL,
    PRIMARY KEY (cost_centre, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_number ON records (number, id) WHERE number IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_kind
    ON records (cost_centre, json_extract(body, '$.type'), id) WHERE number IS NULL;
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
CREATE INDEX IF NOT EXISTS held_of ON held (grp, due_at, id);
CREATE TABLE IF NOT EXISTS config (
    kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    queue TEXT NOT NULL, grp TEXT NOT NULL, id INTEGER NOT NULL,
    visible_at REAL NOT NULL, receives INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (queue, grp, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS queue_delayed ON queue (visible_at) WHERE visible_at > 0;
CREATE TABLE IF NOT EXISTS counters (
    name TEXT NOT NULL, field TEXT NOT NULL, value INTEGER NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (name, field)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_expires ON counters (expires);
CREATE TABLE IF NOT EXISTS balances (
    cost_centre TEXT NOT NULL PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    cost_centre TEXT NOT NULL, entry TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (cost_centre, entry)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usages (
    cost_centre TEXT NOT NULL, day TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (cost_centre, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mail (
    cost_centre TEXT NOT NULL, place TEXT NOT NULL, body TEXT NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (cost_centre, place)) WITHOUT ROWID;
"""
SCHEMA_VERSION = 1


class Database:
    """One connection, one open transaction at most."""

    def __init__(self, path: Path) -> None:
        self.schedule: Callable[[Callable[[], None]], object] | None = None
        """How a commit is put off until all that is in hand has been written. None: never, each
        operation is a unit of its own and raises why it could not be made durable."""
        self.wait: Callable[[], None] = self.settle
        """How a hop waits until its writes are durable."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when a unit of work was lost, before anything is read again."""
        self.put_off: Callable[[], Iterable[tuple[str, Rows]]] = lambda: ()
        """Called right before a commit: what has been kept for it, statements and their rows."""
        self.on_end: After = lambda _: None
        """Called when a unit has ended, before all that waits for it."""
        self.commits = 0
        self.problem: BaseException | None = None
        """Why the last unit could not be made durable."""
        self.commit_seconds = 0.0  # spent in all of them
        self._then: list[After] = []
        self._dirty = False
        self._spoiled: BaseException | None = None
        self.connection = _connect(path)
        self._cursor = self.connection.cursor()  # one for all: a new one each time takes 1 us

    def write(self, sql: str, values: Sequence[Any]) -> int:
        """Runs one statement in the present unit of work: the number of rows it changed. A unit
        that misses a statement is lost as a whole."""
        self.begin()
        try:
            return self._cursor.execute(sql, values).rowcount
        except Exception as error:
            self._spoil(error)
            raise

    def write_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for many rows."""
        self.begin()
        try:
            self._cursor.executemany(sql, values)
        except Exception as error:
            self._spoil(error)
            raise

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows, the present unit's own writes included."""
        return self._cursor.execute(sql, values).fetchall()

    def begin(self) -> None:
        """Opens a unit of work unless one is open. Raises where that is lost already."""
        if not self._dirty:
            self._cursor.execute("BEGIN IMMEDIATE")
            self._dirty = True
            # Now, not after the operation: one that fails half way has a unit to end, too.
            if self.schedule is not None:
                self.schedule(self.commit)
        elif self._spoiled is not None:
            why = words_of(self._spoiled) or type(self._spoiled).__name__
            raise sqlite3.OperationalError(f"the unit of work is lost: {why}")

    def _spoil(self, error: Exception) -> None:
        # The half of an operation must not become durable (a queue message deleted, and not put
        # back), nor may later writes of the unit when SQLite has rolled all of it back by itself.
        self._spoiled = error
        self.on_lost()
        self._roll_back()
        if self.schedule is None:
            self.commit()

    def touched(self) -> None:
        """Every operation that wrote calls this last: it is durable now, unless commits are
        scheduled."""
        if self.schedule is None:
            self.settle()

    def then(self, after: After) -> None:
        """Calls `after` when the present unit of work is durable (None), or with why it is not.
        At once, where nothing is open."""
        if self._dirty:
            self._then.append(after)
        else:
            after(None)

    def prove(self) -> None:
        """Writes what stands there already: the present unit's commit then shows whether one can be
        made. Raises where the unit is lost."""
        self.write(f"PRAGMA user_version = {SCHEMA_VERSION}", ())

    def commit(self) -> None:
        """Makes the unit durable and calls what waits for it. Raises nothing: whoever depends on
        the unit is told through `then`."""
        self._end()

    def settle(self) -> None:
        """Makes the unit durable. Raises why it could not."""
        problem = self._end()
        if problem is not None:
            raise problem

    def _end(self) -> BaseException | None:
        if not self._dirty:
            return None
        self.problem = problem = self._committed()
        if problem is not None:
            self.on_lost()
            count("commits_failed")
        self.on_end(problem)
        waiting, self._then = self._then, []
        for after in waiting:
            try:
                after(problem)
            except Exception:  # one answer that can't be given must not keep the others
                log.exception("what waited for a commit failed")
        return problem

    def _committed(self) -> BaseException | None:
        statements = self._kept()
        self._dirty = False
        problem, self._spoiled = self._spoiled, None
        if problem is not None:
            return problem
        began = time.perf_counter()
        try:
            for sql, rows in statements:
                self._cursor.executemany(sql, rows)
            self._cursor.execute("COMMIT")
        except Exception as error:  # whatever it is, the unit must not stay open
            self._roll_back()
            return error
        self.commits += 1
        self.commit_seconds += time.perf_counter() - began
        return None

    def _kept(self) -> Iterable[tuple[str, Rows]]:
        """What was put off; nothing where the unit is lost, or is by that."""
        try:
            return self.put_off() if self._spoiled is None else ()
        except Exception as error:
            self._spoiled = error
            self._roll_back()
            return ()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Commits what is open, moves the log into the file, and closes it."""
        self.commit()
        self.connection.close()


_AT_ONCE = (16, 4)  # rows of one statement: by itself each of them costs half as much again


def inserts(into: str, rows: Rows) -> list[tuple[str, Rows]]:
    """Statements, and their rows, that insert these rows: as few of them as that takes. `into` is
    the statement up to its values."""
    made: list[tuple[str, Rows]] = []
    width, start = len(rows[0]) if rows else 0, 0
    for size in (*_AT_ONCE, 1):
        end = len(rows) - (len(rows) - start) % size
        if end > start:
            many = [
                [value for row in rows[at : at + size] for value in row]
                for at in range(start, end, size)
            ]
            made.append((_values(into, width, size), many))
            start = end
    return made


@cache
def _values(into: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * size)}"


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise Misconfigured(f"can't open {path}: {error}") from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        raise Misconfigured(f"{path} was written by another version of Recado (schema {found})")
    # For a new file: a row of 1,000 bytes and more (a long text, two reports) would have a page of
    # 4 KB of its own beside the others, and cost twice as much to write.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Checkpoints run on this connection alone: SQLite before 3.51.3 may corrupt the file when
    # two connections write or checkpoint at the same time (the "WAL-reset" bug).
    # Every 64 MB: a page that is written again and again is moved once for all of that. (With 16 MB
    # the node took 10 to 20 % fewer messages a second.)
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
