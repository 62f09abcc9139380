"""What is the embedded engine's own: its syncs, its units of work, its memory, its directory."""

import logging
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from recado.engine import Depth, Held, Received, Remembered
from recado.engine.embedded import DATABASE_NAME, claim_directory, lanes, open_engine
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.engine.embedded.census import Census
from recado.engine.embedded.database import Database
from recado.engine.embedded.queue import EmbeddedQueue, Policy
from recado.errors import Misconfigured, NotFound
from recado.message import Record, encode, key_of
from tests.engine.conftest import RETENTION, START, batch, message, reply

_LARGE = "x" * 100_000  # needs pages of its own


class Node:
    """An embedded engine whose commits come when the test says so, or at once."""

    def __init__(self, folder: Path, *, scheduled: bool) -> None:
        self.now = START
        self.folder, self.scheduled = folder, scheduled
        self.pending: list[Callable[[], None]] = []
        self.told: list[BaseException | None] = []
        self.open()

    def open(self) -> None:
        policies = {name: Policy(240.0, 3) for name in ("Notify", "Submit")}
        engine, self.database = open_engine(self.folder, policies, lambda: self.now, RETENTION)
        self.store = engine.store
        assert isinstance(engine.queue, EmbeddedQueue)
        self.queue = engine.queue
        if self.scheduled:
            self.database.schedule = self.pending.append

    def reopen(self) -> None:
        self.database.connection.close()
        self.open()

    def turn(self) -> None:
        """The loop's next turn: runs the commits that were put off."""
        pending, self.pending[:] = list(self.pending), []
        for commit in pending:
            commit()

    def watch(self) -> None:
        """Notes in `told` how the present unit ends."""
        self.database.then(self.told.append)

    def drain(self, limit: int = 10) -> list[str]:
        bodies: list[str] = []
        while rows := self.queue.receive("Submit", limit):
            bodies += [row.body for row in rows]
            self.queue.done(rows)
            self.turn()
        return bodies

    def rows_in_memory(self, group: str) -> int:
        return len(self.queue._lanes["Submit"].groups[group].rows)

    def seen_by_others(self) -> int:
        """How many records another connection sees."""
        with closing(sqlite3.connect(self.folder / DATABASE_NAME)) as other:
            return int(other.execute("SELECT count(*) FROM records").fetchone()[0])


def _node(folder: Path, *, scheduled: bool) -> Iterator[Node]:
    made = Node(folder, scheduled=scheduled)
    yield made
    made.database.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Its commits wait for `turn`."""
    yield from _node(tmp_path, scheduled=True)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Node]:
    """Each operation is a unit of its own."""
    yield from _node(tmp_path, scheduled=False)


def _too_large() -> Record:
    large: Record = message(START, "too large", text=_LARGE)
    return large


@contextmanager
def _full_file(database: Database) -> Iterator[None]:
    """The database file may not grow: a statement that needs a page meets a full disk."""
    [[pages]] = database.read("PRAGMA page_count")
    database.read(f"PRAGMA max_page_count = {pages}")
    yield
    database.read("PRAGMA max_page_count = 1073741823")


@contextmanager
def _failing_writes() -> Iterator[None]:
    """No file of this process may be written: statements pass, and their COMMIT fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- syncs ---------------------------------------------------------------------------------------


def test_the_writing_connection_has_large_pages_and_a_write_ahead_log_and_syncs_in_full(
    node: Node,
) -> None:
    assert node.database.read("PRAGMA page_size") == [(8192,)]
    assert node.database.read("PRAGMA journal_mode") == [("wal",)]
    assert node.database.read("PRAGMA synchronous") == [(2,)]


_SYNCING = """
import sys, time
from pathlib import Path
from recado.engine.embedded import open_engine
from recado.engine.embedded.queue import Policy

engine, database = open_engine(Path(sys.argv[1]), {"Submit": Policy(240.0, 3)}, time.time, 1e6)
kind, times = sys.argv[2], int(sys.argv[3])
if kind == "unit":
    database.schedule = lambda commit: None
for n in range(times):
    if kind == "blob":
        engine.blobs.put(f"blob-{n}", b"content")
    else:
        engine.queue.send("Submit", ["body"], "ana")
database.commit()
database.connection.close()
"""


def _syncs(folder: Path, kind: str, times: int) -> int:
    """How often the kernel is asked to sync a file by a process that writes so many times."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed, and nothing else here can count syncs")
    folder.mkdir()
    told = folder / "strace"
    command = [strace, "-f", "-o", str(told), "-e", "trace=fsync,fdatasync", sys.executable]
    command += ["-c", _SYNCING, str(folder), kind, str(times)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    if "PTRACE" in ended.stderr:
        pytest.skip("this system does not let strace trace a process")
    assert ended.returncode == 0, ended.stderr
    return sum("sync(" in line and "= 0" in line for line in told.read_text().splitlines())


def test_each_commit_is_synced(tmp_path: Path) -> None:
    assert _syncs(tmp_path / "40", "commit", 40) - _syncs(tmp_path / "0", "commit", 0) == 40


def test_a_unit_of_many_operations_is_synced_once(tmp_path: Path) -> None:
    assert _syncs(tmp_path / "40", "unit", 40) - _syncs(tmp_path / "0", "unit", 0) == 1


def test_a_blob_is_synced_and_so_is_its_name(tmp_path: Path) -> None:
    # The file itself, and the three folders of which one may be new.
    assert _syncs(tmp_path / "5", "blob", 5) - _syncs(tmp_path / "0", "blob", 0) == 5 * 4


# --- units of work -------------------------------------------------------------------------------


def test_the_writes_of_several_operations_are_one_commit(node: Node) -> None:
    before = node.database.commits
    node.store.create([message(START, 1)])
    node.store.create([message(START, 2)])
    node.store.put_config("route", "r", b"{}", 0)
    node.queue.send("Submit", ["body"], "ana")
    assert node.store.records([key_of(message(START, 1))]) == [message(START, 1)]
    assert node.database.commits == before
    assert node.seen_by_others() == 0
    assert len(node.pending) == 1
    node.turn()
    assert node.database.commits == before + 1
    assert node.seen_by_others() == 2


def test_what_was_not_committed_is_gone_with_the_process(node: Node) -> None:
    node.store.create([message(START, 1)])
    node.turn()
    node.store.create([message(START, 2)])
    node.queue.send("Submit", ["body"], "ana")
    node.reopen()
    assert node.seen_by_others() == 1
    assert node.drain() == []


def test_what_waits_for_the_commit_is_called_after_it_and_in_order(node: Node) -> None:
    called: list[str] = []
    for name in ("first", "second", "third"):
        node.store.create([message(START, name)])
        node.database.then(lambda problem, name=name: called.append(f"{name} {problem}"))  # type: ignore[misc] # mypy can't infer a lambda with a default
        node.database.then(lambda _: called.append(f"seen {node.seen_by_others()}"))
    assert called == []
    node.turn()
    assert called == ["first None", "seen 3", "second None", "seen 3", "third None", "seen 3"]


def test_where_nothing_is_open_nothing_waits(node: Node) -> None:
    node.watch()
    assert node.told == [None]


def test_a_queue_message_is_handed_on_after_its_commit_and_not_before(node: Node) -> None:
    ready: list[int] = []
    node.queue.on_ready = lambda: ready.append(node.database.commits)
    node.queue.send("Submit", ["body"], "ana")
    assert node.queue.receive("Submit", 10) == []
    assert ready == []
    node.turn()
    assert ready == [node.database.commits]
    assert node.drain() == ["body"]


def test_settling_makes_the_unit_durable_at_once(node: Node) -> None:
    node.store.create([message()])
    node.watch()
    node.store.settle()
    assert node.told == [None]
    assert node.seen_by_others() == 1


def test_without_a_schedule_each_operation_is_a_unit_of_its_own(plain: Node) -> None:
    before = plain.database.commits
    plain.store.create([message(START, 1), message(START, 2)])
    assert (plain.seen_by_others(), plain.database.commits) == (2, before + 1)
    plain.queue.send("Submit", ["one", "two"], "ana")
    assert plain.database.commits == before + 2
    assert plain.drain() == ["one", "two"]


def test_one_answer_that_fails_does_not_keep_the_others(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_problem: BaseException | None) -> None:
        raise RuntimeError("the connection is gone")

    node.store.create([message()])
    node.database.then(broken)
    node.queue.send("Submit", ["body"], "ana")
    node.watch()
    with caplog.at_level(logging.ERROR):
        node.turn()
    assert node.told == [None]
    assert node.drain() == ["body"]
    assert "what waited for a commit failed" in caplog.text


def test_closing_commits_what_is_open(node: Node) -> None:
    node.store.create([message()])
    node.database.close()
    node.open()
    assert node.store.records([key_of(message())]) == [message()]


# --- a full disk ---------------------------------------------------------------------------------


def test_when_a_commit_fails_whoever_waits_is_told_and_nothing_of_the_unit_is_there(
    node: Node,
) -> None:
    node.store.create([message(START, 1)])
    node.watch()
    node.queue.send("Submit", ["body"], "ana")
    node.watch()
    with _failing_writes():
        node.turn()
    first, second = node.told
    assert isinstance(first, sqlite3.OperationalError)
    assert second is first
    assert node.store.records([key_of(message(START, 1))]) == [None]
    assert node.queue.receive("Submit", 10) == []
    node.reopen()
    assert (node.seen_by_others(), node.drain()) == (0, [])


def test_after_a_failed_commit_the_next_unit_is_a_new_one(node: Node) -> None:
    node.queue.send("Submit", ["lost"], "ana")
    with _failing_writes():
        node.turn()
    node.queue.send("Submit", ["kept"], "ana")
    node.watch()
    node.turn()
    assert node.told == [None]
    assert node.drain() == ["kept"]


def test_when_a_commit_fails_what_was_in_hand_comes_again_as_if_never_taken(node: Node) -> None:
    node.queue.send("Submit", ["one", "two"], "ana")
    node.turn()
    rows = node.queue.receive("Submit", 10)
    node.queue.done(rows[:1])
    node.queue.failed(rows[1:], wait=0.0)
    node.queue.send("Notify", ["emitted"], "ana")
    with _failing_writes():
        node.turn()
    node.queue.give_back(rows)  # whoever dealt with them may say so, too
    assert node.queue.receive("Notify", 10) == []
    again = node.queue.receive("Submit", 10)
    assert sorted((row.body, row.receives) for row in again) == [("one", 1), ("two", 1)]
    node.queue.done(again)
    node.turn()
    assert node.queue.depths()[1].ready == 0


def test_a_hop_whose_statement_met_the_full_disk_takes_its_unit_with_it(node: Node) -> None:
    node.store.create([message(START, "another hop's")])
    node.watch()
    with (
        _full_file(node.database),
        pytest.raises(sqlite3.OperationalError, match="disk is full"),
    ):
        node.store.create([message(START, "small"), _too_large()])
    node.watch()
    node.turn()
    assert [type(problem) for problem in node.told] == [sqlite3.OperationalError] * 2
    assert node.seen_by_others() == 0
    node.reopen()
    assert node.drain() == []


def test_a_later_hop_of_a_lost_unit_writes_nothing_either(node: Node) -> None:
    node.store.create([message(START, "an earlier hop's")])
    with _full_file(node.database), pytest.raises(sqlite3.OperationalError):
        node.store.create([_too_large()])
    # There is space again, and SQLite has left the transaction: this must not stand alone.
    for late in (
        lambda: node.store.create([message(START, "late")]),
        lambda: node.queue.send("Submit", ["late"], "ana"),
    ):
        with pytest.raises(sqlite3.OperationalError, match="the unit of work is lost"):
            late()
    assert node.seen_by_others() == 0
    node.turn()
    node.store.create([message(START, "new")])
    node.turn()
    assert node.seen_by_others() == 1


def test_what_a_lost_unit_wrote_is_not_remembered_either(node: Node) -> None:
    kept = message(START, "kept")
    node.store.create([kept])
    node.turn()
    [changed] = node.store.replace([kept])
    assert changed is not None
    node.store.put_refs([("smsc", "77", key_of(kept))])
    with _full_file(node.database), pytest.raises(sqlite3.OperationalError):
        node.store.create([_too_large()])
    assert node.store.records([key_of(kept)]) == [kept]
    assert node.store.by_refs([("smsc", "77")]) == [None]
    node.turn()
    assert node.store.replace([kept]) == [changed]


def test_what_was_written_long_ago_is_read_from_the_file(node: Node) -> None:
    many = [message(START, str(number)) for number in range(5_000)]
    node.store.create(many)
    node.turn()
    assert node.store.records([key_of(one) for one in many]) == many


def test_whoever_waits_is_told_although_the_very_first_statement_failed(node: Node) -> None:
    with _full_file(node.database), pytest.raises(sqlite3.OperationalError):
        node.store.create([_too_large()])
    node.watch()
    node.turn()
    assert isinstance(node.told[0], sqlite3.OperationalError)


def test_a_queue_message_that_meets_the_full_disk_takes_its_unit_with_it(node: Node) -> None:
    """It is written at the unit's end: everybody is told then."""
    node.queue.send("Submit", ["kept"], "ana")
    node.turn()
    rows = node.queue.receive("Submit", 10)
    node.store.create([message(START, "another hop's")])
    node.watch()
    node.queue.done(rows)
    node.queue.send("Submit", ["small", _LARGE], "ana")
    node.watch()
    with _full_file(node.database):
        node.turn()
    assert [type(problem) for problem in node.told] == [sqlite3.OperationalError] * 2
    assert node.seen_by_others() == 0
    node.queue.send("Submit", ["next"], "ana")
    node.turn()
    assert node.drain() == ["kept", "next"]


def test_an_operation_that_breaks_half_way_leaves_nothing(node: Node) -> None:
    with pytest.raises(UnicodeEncodeError):
        node.queue.send("Submit", ["fine", "half a pair: \ud83d"], "ana")
    node.turn()
    node.queue.send("Submit", ["next"], "ana")
    node.turn()
    node.reopen()
    assert node.drain() == ["next"]


def test_without_a_schedule_an_operation_raises_why_it_is_not_durable(plain: Node) -> None:
    plain.queue.send("Submit", ["before"], "ana")
    rows = plain.queue.receive("Submit", 10)
    for operation in (
        lambda: plain.store.create([message()]),
        lambda: plain.queue.send("Submit", ["lost"], "ana"),
        lambda: plain.queue.done(rows),
    ):
        with _failing_writes(), pytest.raises(sqlite3.OperationalError):
            operation()
    with _full_file(plain.database), pytest.raises(sqlite3.OperationalError):
        plain.queue.send("Submit", ["lost", _LARGE], "ana")
    assert plain.seen_by_others() == 0
    assert plain.drain() == ["before"]
    plain.store.create([message()])
    assert plain.seen_by_others() == 1


def test_a_delayed_message_that_falls_due_on_a_full_disk_comes_once_there_is_space(
    node: Node,
) -> None:
    node.queue.send("Submit", ["later"], "ana", delay=60)
    node.turn()
    node.now += 60
    for _ in range(3):
        assert node.queue.receive("Submit", 10) == []
        with _failing_writes():
            node.turn()
    assert node.queue.receive("Submit", 10) == []
    node.turn()
    assert node.drain() == ["later"]


def test_an_overdue_message_that_comes_back_on_a_full_disk_comes_once_there_is_space(
    node: Node,
) -> None:
    node.queue.send("Submit", ["slow"], "ana")
    node.turn()
    node.queue.receive("Submit", 10)
    node.now += 241
    assert node.queue.receive("Submit", 10) == []
    with _failing_writes():
        node.turn()
    assert [row.body for row in node.queue.receive("Submit", 10)] == ["slow"]
    node.now += 241
    assert node.drain() == []
    node.turn()
    assert node.drain() == ["slow"]


# --- what is dealt with in the unit that sends it -------------------------------------------------


def _early(node: Node, work: Callable[[], None] = lambda: None) -> None:
    node.queue.hand_on_early(["Submit"], work)


def _at_work(node: Node, limit: int = 100) -> Callable[[], None]:
    """A consumer that writes a record for each message, and is done with it."""

    def work() -> None:
        rows = node.queue.receive("Submit", limit)
        node.store.create([message(START, row.body) for row in rows])
        node.queue.done(rows)

    return work


def test_what_is_sent_and_done_in_one_unit_is_never_written_and_its_effects_stand(
    node: Node,
) -> None:
    _early(node, _at_work(node))
    statements: list[str] = []
    node.database.connection.set_trace_callback(statements.append)
    node.queue.send("Submit", ["one", "two"], "ana")
    node.watch()
    node.turn()
    assert (node.told, node.database.commits, node.seen_by_others()) == ([None], 1, 2)
    assert not [one for one in statements if " queue " in one]
    assert node.queue.depths()[1] == Depth("Submit", 0, 0, 0)
    node.reopen()
    assert node.drain() == []


def test_what_is_sent_and_not_done_is_there_after_a_restart(node: Node) -> None:
    _early(node, _at_work(node, limit=2))
    node.queue.send("Submit", ["one", "two", "three", "four"], "ana")
    node.turn()
    assert [row.body for row in node.queue.receive("Submit", 1)] == ["three"]
    assert node.queue.depths()[1] == Depth("Submit", 2, 0, 0)
    node.reopen()
    assert node.seen_by_others() == 2
    assert node.drain() == ["three", "four"]


def test_until_its_commit_neither_a_message_nor_its_effects_outlive_the_process(
    node: Node,
) -> None:
    _early(node)
    node.queue.send("Submit", ["one"], "ana")
    _at_work(node)()
    node.watch()
    node.reopen()
    assert (node.told, node.seen_by_others(), node.drain()) == ([], 0, [])


def test_a_commit_that_fails_takes_what_it_would_have_written_out_of_memory(node: Node) -> None:
    _early(node, _at_work(node, limit=1))
    node.queue.send("Submit", ["done", "in hand", "waiting"], "ana")
    node.watch()
    with _failing_writes():
        node.turn()
        assert node.queue.receive("Submit", 10) == []
    assert isinstance(node.told[0], sqlite3.OperationalError)
    assert node.queue.depths()[1] == Depth("Submit", 0, 0, 0)
    assert node.seen_by_others() == 0
    node.queue.send("Submit", ["told again"], "ana")
    node.turn()
    assert node.seen_by_others() == 1
    node.reopen()
    assert node.drain() == []


def test_who_is_not_done_at_a_commit_that_fails_ends_nothing_later(node: Node) -> None:
    _early(node)
    node.queue.send("Submit", ["lost"], "ana")
    lost = node.queue.receive("Submit", 10)
    with _failing_writes():
        node.turn()
    node.queue.send("Submit", ["next"], "ana")
    node.queue.done(lost)
    node.queue.failed(lost)
    node.queue.give_back(lost)
    node.turn()
    assert node.drain() == ["next"]
    assert node.queue.depths()[1] == Depth("Submit", 0, 0, 0)


def test_who_is_done_after_the_commit_removes_what_that_has_written(node: Node) -> None:
    _early(node)
    node.queue.send("Submit", ["one", "two"], "ana")
    rows = node.queue.receive("Submit", 10)
    node.turn()
    assert node.queue.depths()[1].ready == 2
    node.queue.done(rows)
    node.turn()
    assert node.queue.depths()[1].ready == 0
    node.reopen()
    assert node.drain() == []


def test_what_fails_in_the_unit_that_sent_it_comes_again_later(node: Node) -> None:
    _early(node)
    node.queue.send("Submit", ["bad"], "ana")
    node.queue.failed(node.queue.receive("Submit", 10))
    node.turn()
    assert node.queue.depths()[1] == Depth("Submit", 0, 1, 0)
    node.reopen()
    node.now += 1
    assert node.queue.receive("Submit", 10) == []
    node.turn()
    assert [(row.body, row.receives) for row in node.queue.receive("Submit", 10)] == [("bad", 2)]


def test_work_that_meets_a_full_disk_before_a_commit_loses_the_whole_unit(node: Node) -> None:
    def work() -> None:
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            node.store.create([_too_large()])

    _early(node, work)
    node.queue.send("Submit", ["one"], "ana")
    node.watch()
    with _full_file(node.database):
        node.turn()
    assert isinstance(node.told[0], sqlite3.OperationalError)
    node.reopen()
    assert node.drain() == []


def test_work_that_breaks_before_a_commit_loses_the_unit_and_not_the_next(node: Node) -> None:
    breaks = [True, False]

    def work() -> None:
        if breaks.pop(0):
            raise RuntimeError("so it goes")

    _early(node, work)
    node.queue.send("Submit", ["one"], "ana")
    node.watch()
    node.turn()
    assert isinstance(node.told[0], RuntimeError)
    node.queue.send("Submit", ["two"], "ana")
    node.turn()
    assert node.drain() == ["two"]


class Books:
    """What the present unit sent, ended and has in hand; and what is owed, by the commits."""

    def __init__(self) -> None:
        self.names = (str(number) for number in range(1_000_000))
        self.sent: set[str] = set()
        self.done: set[str] = set()
        self.in_hand: list[Received] = []
        self.owed: set[str] = set()

    def close(self, *, durable: bool) -> None:
        if durable:
            self.owed = (self.owed | self.sent) - self.done
        self.sent, self.done, self.in_hand = set(), set(), []


def _one_of_many_things(node: Node, books: Books, chance: random.Random) -> None:
    rows = node.queue.receive("Submit", chance.randint(1, 4))
    what = chance.choice(["send", "send", "end", "fail", "redrive", "keep"])
    if what == "send":
        bodies = [next(books.names) for _ in range(chance.choice([1, 2, 9]))]
        delay, group = chance.choice([0.0, 0.0, 5.0]), chance.choice(["ana", ""])
        node.queue.send("Submit", bodies, group, delay=delay)
        books.sent.update(bodies)
    elif what == "redrive":
        node.queue.redrive("Submit")
    if what == "end":
        node.queue.done(rows)
        books.done.update(row.body for row in rows)
    elif what == "fail":
        node.queue.failed(rows, wait=chance.choice([0.0, None]))
    else:
        books.in_hand += rows


@pytest.mark.parametrize("seed", range(6))
def test_each_message_that_is_durable_comes_until_it_is_done_and_no_other_does(
    node: Node, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is sent early or in its turn, redriven, delayed, or behind a backlog."""
    monkeypatch.setattr(lanes, "_GROUP_ROWS", 6)
    chance, books = random.Random(seed), Books()
    _early(node)
    for _ in range(300):
        for _ in range(chance.randint(1, 6)):
            _one_of_many_things(node, books, chance)
        with _failing_writes() if chance.random() < 0.2 else nullcontext():
            node.turn()
        node.queue.give_back(books.in_hand)
        books.close(durable=node.database.problem is None)
        node.now += chance.choice([0.0, 10.0])
    node.now += 1_000
    node.queue.redrive("Submit")
    node.turn()
    first = node.queue.receive("Submit", 1)  # what was delayed is no more
    node.turn()
    node.queue.give_back(first)
    assert books.owed
    assert Counter(node.drain()) == Counter(books.owed)


# --- redelivery ----------------------------------------------------------------------------------


def test_a_message_that_failed_waits_longer_each_time_and_is_a_dead_letter_at_last(
    plain: Node,
) -> None:
    plain.queue.send("Submit", ["bad"], "ana")
    for pause in (1.0, 2.0):
        plain.queue.failed(plain.queue.receive("Submit", 10))
        plain.now += pause - 0.1
        assert plain.queue.receive("Submit", 10) == []
        plain.now += 0.1
    [row] = plain.queue.receive("Submit", 10)
    assert row.receives == 3
    plain.queue.failed([row])
    assert [(d.ready, d.delayed, d.dead) for d in plain.queue.depths()] == [(0, 0, 0), (0, 0, 1)]


def test_what_was_given_back_was_never_received(plain: Node) -> None:
    plain.queue.send("Submit", ["one"], "ana")
    for _ in range(5):
        [row] = plain.queue.receive("Submit", 10)
        assert row.receives == 1
        plain.queue.give_back([row])
        plain.queue.give_back([row])
    assert plain.drain() == ["one"]


def test_whoever_is_too_late_with_a_message_neither_ends_nor_doubles_it(plain: Node) -> None:
    plain.queue.send("Submit", ["slow"], "ana")
    late = plain.queue.receive("Submit", 10)
    plain.now += 241
    again = plain.queue.receive("Submit", 10)
    assert [row.receives for row in again] == [2]
    plain.queue.failed(late, wait=0.0)
    plain.queue.give_back(late)
    plain.queue.done(late)
    assert plain.queue.receive("Submit", 10) == []
    plain.queue.give_back(again)
    assert plain.drain() == ["slow"]


def test_a_message_that_is_done_in_an_open_unit_is_not_overdue(node: Node) -> None:
    node.queue.send("Submit", ["one"], "ana")
    node.turn()
    rows = node.queue.receive("Submit", 10)
    node.now += 241
    node.queue.done(rows)
    assert node.queue.receive("Submit", 10) == []
    node.turn()
    assert node.drain() == []


# --- fairness and memory -------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
def test_a_message_behind_5000_of_another_group_is_received_within_two(
    node: Node, restarted: bool
) -> None:
    node.queue.send("Submit", [str(n) for n in range(5_000)], "big")
    node.turn()
    node.queue.send("Submit", ["small"], "zoe")
    node.turn()
    if restarted:
        node.reopen()
    received = [node.queue.receive("Submit", 10) for _ in range(2)]
    assert "small" in [row.body for rows in received for row in rows]


def test_groups_take_turns(node: Node) -> None:
    for group in ("a", "b", "c"):
        node.queue.send("Submit", [group] * 100, group)
    node.turn()
    turns = [node.queue.receive("Submit", 10)[0].group for _ in range(9)]
    assert turns == ["a", "b", "c"] * 3


def test_a_group_that_has_enough_in_hand_is_passed_over(node: Node) -> None:
    for group in ("a", "b"):
        node.queue.send("Submit", [group], group)
    node.turn()
    assert [row.group for row in node.queue.receive("Submit", 10, skip={"a"})] == ["b"]
    assert node.queue.receive("Submit", 10, skip={"a"}) == []
    assert [row.group for row in node.queue.receive("Submit", 10)] == ["a"]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_backlog_stays_in_the_file_and_comes_once_and_in_order(
    node: Node, restarted: bool
) -> None:
    for hundred in range(200):
        node.queue.send("Submit", [str(hundred * 100 + n) for n in range(100)], "big")
        node.turn()
    if restarted:
        node.reopen()
    received: list[str] = []
    most = 0
    while rows := node.queue.receive("Submit", 100):
        most = max(most, node.rows_in_memory("big"))
        received += [row.body for row in rows]
        if len(received) == 10_000:  # joins the end of the queue, in the file
            node.queue.send("Submit", [str(20_000)], "big")
        node.queue.done(rows)
        node.turn()
    assert received == [str(n) for n in range(20_001)]
    assert most <= 5_000


def test_a_backlog_of_large_messages_does_not_fill_the_memory(node: Node) -> None:
    body = "y" * 200_000
    for n in range(300):
        node.queue.send("Submit", [f"{n} {body}"], "big")
    node.turn()
    assert node.rows_in_memory("big") <= 41
    node.reopen()
    received: list[int] = []
    while rows := node.queue.receive("Submit", 10):
        assert node.rows_in_memory("big") <= 41 + 100
        received += [int(row.body.split()[0]) for row in rows]
        node.queue.done(rows)
        node.turn()
    assert received == list(range(300))


def test_units_that_fail_beside_a_backlog_lose_and_double_nothing(node: Node) -> None:
    bodies = [str(n) for n in range(7_000)]
    node.queue.send("Submit", bodies, "big")
    node.turn()
    received: Counter[str] = Counter()
    for turn in range(1, 1_000):
        rows = node.queue.receive("Submit", 100)
        if not rows:
            break
        node.queue.done(rows)
        if turn % 3 == 0:
            with _failing_writes():
                node.turn()
        else:
            node.turn()
            received.update(row.body for row in rows)
    assert received == Counter(bodies)


def test_a_backlog_read_from_the_file_gives_nothing_that_is_not_committed(node: Node) -> None:
    node.queue.send("Submit", [str(n) for n in range(6_000)], "big")
    node.turn()
    node.queue.send("Submit", ["not yet"], "big")
    received = []
    while rows := node.queue.receive("Submit", 100):
        received += [row.body for row in rows]
    assert received == [str(n) for n in range(6_000)]
    node.turn()
    assert node.drain() == ["not yet"]


def test_redriving_beside_a_backlog_skips_nothing(node: Node) -> None:
    bodies = [str(n) for n in range(6_000)]
    node.queue.send("Submit", bodies, "big")
    node.queue.bury("Submit", "bad", "big")
    node.turn()
    node.queue.redrive("Submit")
    node.turn()
    assert Counter(node.drain(100)) == Counter([*bodies, "bad"])


def test_redriving_many_dead_letters_brings_all_of_them_once(node: Node) -> None:
    bodies = [f"{n}" for n in range(12_000)]
    for n, body in enumerate(bodies):
        node.queue.bury("Submit", body, f"group-{n % 3}")
    node.queue.send("Submit", ["waits already"], "group-0")
    node.turn()
    assert node.queue.redrive("Submit") == 12_000
    node.queue.send("Submit", ["after"], "group-0")
    node.turn()
    assert node.queue.depths()[1].dead == 0
    assert Counter(node.drain(100)) == Counter([*bodies, "waits already", "after"])


def test_what_is_sent_in_the_unit_of_a_redrive_comes_once(node: Node) -> None:
    _early(node)
    node.queue.bury("Submit", "dead", "ana")
    node.turn()
    for when in ("before", "after"):
        node.queue.send("Submit", [when], "ana")
        if when == "before":
            node.queue.redrive("Submit")
    node.turn()
    bodies = [row.body for row in node.queue.receive("Submit", 10)]
    assert bodies == ["before", "dead", "after"]


def test_what_lies_between_those_that_are_done_stays(node: Node) -> None:
    for body in ("a", "b", "c", "d", "e"):
        node.queue.send("Submit", [body], "ana")
        node.queue.send("Submit", [body.upper()], "rui")
        node.queue.send("Notify", [body], "ana")
    node.turn()
    ana, rui = (node.queue.receive("Submit", 10) for _ in range(2))
    node.queue.done([*ana[:2], *rui[1:3], *ana[3:]])
    node.turn()
    left = node.database.read("SELECT body FROM queue WHERE queue = 'Submit' ORDER BY grp, id")
    assert [body for (body,) in left] == ["c", "A", "D", "E"]
    assert node.queue.depths()[0].ready == 5


def test_a_redrive_whose_commit_fails_leaves_the_dead_letters(node: Node) -> None:
    node.queue.bury("Submit", "bad", "ana")
    node.turn()
    assert node.queue.redrive("Submit") == 1
    with _failing_writes():
        node.turn()
    assert node.drain() == []
    assert node.queue.depths()[1].dead == 1


# --- how much lies there -------------------------------------------------------------------------


def _recount(node: Node) -> list[Depth]:
    """What `depths` has to say, row by row."""
    lying = Counter(node.database.read("SELECT queue, visible_at > 0 FROM queue"))
    return [
        Depth(name, lying[name, 0], lying[name, 1], lying[f"{name}Dead", 0])
        for name in ("Notify", "Submit")
    ]


def _something_happens(node: Node, chance: random.Random) -> None:
    queue, group = chance.choice(["Notify", "Submit"]), chance.choice(["ana", "rui"])
    bodies = ["body"] * chance.randint(1, 3)
    rows = node.queue.receive(queue, chance.randint(1, 5)) if chance.random() < 0.5 else []
    delay, wait = chance.choice([5.0, 100.0]), chance.choice([1.0, 60.0, 241.0])
    things: list[Callable[[], object]] = [
        lambda: node.queue.send(queue, bodies, group),
        lambda: node.queue.send(queue, bodies, group, delay=delay),
        lambda: node.queue.bury(queue, "bad", group),
        lambda: node.queue.redrive(queue),
        lambda: node.queue.failed(rows),
        lambda: node.queue.done([*rows, *rows]),
        lambda: node.queue.give_back(rows),
        lambda: setattr(node, "now", node.now + wait),
    ]
    chance.choice(things)()


@pytest.mark.parametrize("seed", range(4))
def test_the_depths_are_what_a_recount_says_whatever_happens(node: Node, seed: int) -> None:
    chance = random.Random(seed)
    largest = 0
    for _ in range(200):
        for _ in range(chance.randint(1, 4)):
            _something_happens(node, chance)
        with _failing_writes() if chance.random() < 0.2 else nullcontext():
            node.turn()
        if chance.random() < 0.05:
            node.reopen()
            node.pending.clear()
        assert node.queue.depths() == _recount(node)
        largest = max(largest, *(min(d.ready, d.dead) for d in node.queue.depths()))
    assert largest


def test_to_ask_for_the_depths_reads_no_row(node: Node) -> None:
    node.queue.send("Submit", ["one", "two"], "ana")
    node.turn()
    asked: list[str] = []
    node.database.connection.set_trace_callback(asked.append)
    assert [depth.ready for depth in node.queue.depths()] == [0, 2]
    assert node.queue.ages()["Submit"] == 0.0
    assert asked == []


def test_the_age_is_that_of_the_oldest_message_also_while_it_is_in_hand(node: Node) -> None:
    node.queue.receive("Submit", 10)
    for _ in range(3):
        node.queue.send("Submit", ["body"], "ana")
        node.turn()
        node.now += 60
        node.queue.receive("Notify", 10)  # as the workers do all the time
    assert node.queue.ages() == {"Notify": 0.0, "Submit": pytest.approx(180, abs=1.0)}
    first = node.queue.receive("Submit", 1)
    assert node.queue.ages()["Submit"] == pytest.approx(180, abs=1.0)
    node.queue.done(first)
    node.turn()
    assert node.queue.ages()["Submit"] == pytest.approx(120, abs=1.0)
    node.drain()
    assert node.queue.ages()["Submit"] == 0.0


def test_what_lies_there_from_an_earlier_life_is_as_old_as_this_one(node: Node) -> None:
    node.queue.send("Submit", ["body"], "ana")
    node.turn()
    node.now += 600
    node.reopen()
    node.now += 60
    node.queue.receive("Notify", 10)
    assert node.queue.ages()["Submit"] == pytest.approx(60, abs=1.0)


def test_ages_of_more_than_a_day_ago_are_still_told_in_their_order(node: Node) -> None:
    census = Census(node.database, lambda: START)
    for second in range(150_000):
        census.mark(START + second, second)
    assert census.age(149_000, START + 150_000) == pytest.approx(1_000, abs=2.0)
    assert census.age(1, START + 150_000) >= 86_400


def test_a_group_without_a_name_is_found_again(node: Node) -> None:
    node.queue.send("Submit", ["body"], "")
    node.turn()
    node.reopen()
    assert node.drain() == ["body"]


def test_messages_in_hand_cost_no_write_and_come_again_after_a_restart(node: Node) -> None:
    node.queue.send("Submit", ["one", "two"], "ana")
    node.turn()
    commits = node.database.commits
    rows: list[Received] = node.queue.receive("Submit", 10)
    node.turn()
    assert (len(rows), node.database.commits) == (2, commits)
    node.reopen()
    assert node.drain() == ["one", "two"]


# --- reading pages -------------------------------------------------------------------------------


def test_a_late_page_of_a_range_does_not_read_the_pages_before_it(plain: Node) -> None:
    records = [message(START, n) for n in range(3_000)]
    plain.store.create(records)
    last = sorted(record.id for record in records)[-11]
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    plain.database.connection.set_progress_handler(step, 1)
    assert len(plain.store.records_between("ana", START, START, last, 10)) == 10
    plain.database.connection.set_progress_handler(None, 0)
    assert steps < 1_000  # of SQLite's virtual machine: several a row


def _steps(node: Node, work: Callable[[], object]) -> int:
    """Of SQLite's virtual machine: several a row."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    node.database.connection.set_progress_handler(step, 1)
    work()
    node.database.connection.set_progress_handler(None, 0)
    return steps


def test_a_batch_among_thousands_of_others_is_listed_without_reading_those(plain: Node) -> None:
    first, last = batch(START), batch(START + 9)
    others = [message(START + 1, n) for n in range(2_000)]
    others += [message(START + 2, n, to="") for n in range(1_000)]
    plain.store.create([first, *others, *(reply(START + 3, n) for n in range(1_000)), last])
    found: list[Record] = []

    def read() -> None:
        found.extend(plain.store.listed("batch", "ana", START, START + 9, "", 10))

    assert _steps(plain, read) < 200
    assert found == [first, last]


def test_a_late_page_of_what_is_held_of_a_group_does_not_read_what_is_before_it(
    plain: Node,
) -> None:
    held = [
        Held(f"h-{n}", START + n, "Submit", "ana" if n % 2 else "rui", "{}") for n in range(2_000)
    ]
    for one in held:
        plain.store.hold(one)
    found: list[Held] = []

    def read() -> None:
        found.extend(plain.store.held_of("ana", held[1_801], 10))

    assert _steps(plain, read) < 500
    assert found == held[1_803:1_823:2]


def test_a_database_from_before_lists_what_lies_in_it(tmp_path: Path) -> None:
    """Schema 1 has gained indexes since it was first written."""
    node = Node(tmp_path, scheduled=False)
    one, two = batch(START, 1), batch(START, 2)
    held = Held("h-1", START, "Submit", "ana", "{}")
    node.database.connection.executescript("DROP INDEX records_by_kind; DROP INDEX held_of")
    node.database.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as older, older:
        older.execute("INSERT INTO records VALUES ('ana', ?, 0, NULL, ?)", (one.id, encode(one)))
        older.execute("INSERT INTO held VALUES (?, 'h-1', 'Submit', 'ana', '{}')", (START,))
    node.open()
    node.store.create([two])
    listed = node.store.listed("batch", "ana", START, START, "", 10)
    assert listed == sorted([one, two], key=lambda record: record.id)
    assert node.store.held_of("ana", None, 10) == [held]
    node.database.close()


def test_expiring_a_day_of_keys_goes_in_steps(plain: Node) -> None:
    for n in range(50):
        plain.store.remember(Remembered("ana", f"k-{n}", "hash", "id", START - 86_401 - n))
    assert [plain.store.expire(START, 20) for _ in range(4)] == [20, 20, 10, 0]


# --- the directory -------------------------------------------------------------------------------


_CLAIMING = """
import sys
import time
from pathlib import Path
from recado.engine.embedded import claim_directory
lock = claim_directory(Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_kept_out_with_a_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", _CLAIMING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "claimed\n"
        with pytest.raises(Misconfigured, match=f"another Recado is running .* {folder}"):
            claim_directory(folder)
        assert (folder / "lock").read_text() == f"{first.pid}\n"
        first.kill()  # nothing of its own doing lets the directory go
        first.wait()
        claim_directory(folder).close()


def test_a_directory_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    claim_directory(tmp_path / "some" / "data").close()
    assert (tmp_path / "some" / "data").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_written_to_is_refused_with_a_clear_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "data", tmp_path / "file", Path("/proc/data")):
        with pytest.raises(Misconfigured, match=f"can't write to the data directory {folder}: "):
            claim_directory(folder)


def test_a_database_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as other:
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
    before = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(Misconfigured, match=r"recado\.db .*another version of Recado .schema 99"):
        Database(tmp_path / DATABASE_NAME)
    assert (tmp_path / DATABASE_NAME).read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(Misconfigured, match=r"can't open .*recado\.db"):
        Database(tmp_path / DATABASE_NAME)


def test_a_database_in_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="can't open"):
        Database(tmp_path / "nowhere" / DATABASE_NAME)


# --- blobs ---------------------------------------------------------------------------------------


_NO_PLAIN_WORDS = ["", ".", "..", "../recado.db", "a/b", "/etc/passwd", "a..", ".a", "a b", "a\n"]
_NO_PLAIN_WORDS += ["a\0", "a?b", "a%2Fb", "a\\b", "a#b", "ç", "\ud800", "x" * 201]


@pytest.mark.parametrize("name", _NO_PLAIN_WORDS)
def test_a_blobs_name_that_is_no_plain_word_is_refused(tmp_path: Path, name: str) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    for ask in (
        lambda: blobs.put(name, b"content"),
        lambda: blobs.get(name),
        lambda: blobs.read(name, 0, 1),
        lambda: blobs.size(name),
        lambda: blobs.upload_url(name, 60),
        lambda: blobs.writer(name),
    ):
        with pytest.raises(ValueError, match="plain word"):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_a_blob_has_a_name_of_up_to_two_hundred_letters(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    blobs.put("x" * 200, b"content")
    assert blobs.get("x" * 200) == b"content"


def test_a_blob_whose_writing_fails_is_not_there_and_may_be_put_again(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    with _failing_writes(), pytest.raises(OSError, match="File too large"):
        blobs.put("list", b"content")
    with pytest.raises(NotFound):
        blobs.get("list")
    assert list((tmp_path / "blobs" / "st").iterdir()) == []
    blobs.put("list", b"content")
    assert blobs.get("list") == b"content"


def test_what_is_written_in_pieces_is_there_from_its_commit_on(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    writer = blobs.writer("list")
    for piece in (b"a" * 100_000, b"", b"b"):
        writer.write(piece)
    with pytest.raises(NotFound):
        blobs.size("list")
    writer.commit()
    assert blobs.get("list") == b"a" * 100_000 + b"b"
    writer.abort()
    assert blobs.size("list") == 100_001
    assert len(list((tmp_path / "blobs" / "st").iterdir())) == 1


def test_what_was_aborted_leaves_nothing_and_what_stood_there_as_it_was(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    blobs.put("list", b"content")
    writer = blobs.writer("list")
    writer.write(b"other")
    writer.abort()
    writer.abort()
    assert blobs.get("list") == b"content"
    assert len(list((tmp_path / "blobs" / "st").iterdir())) == 1


def test_two_who_write_one_blob_at_once_do_not_mix_their_contents(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    one, two = blobs.writer("list"), blobs.writer("list")
    one.write(b"1" * 100_000)
    two.write(b"2")
    two.commit()
    assert blobs.get("list") == b"2"
    one.commit()
    assert blobs.get("list") == b"1" * 100_000


def test_a_writer_whose_disk_is_full_raises_and_its_abort_cleans_up(tmp_path: Path) -> None:
    writer = DirectoryBlobs(tmp_path / "blobs").writer("list")
    writer.write(b"content")
    with _failing_writes(), pytest.raises(OSError, match="File too large"):
        writer.commit()
    with _failing_writes():
        writer.abort()
    assert list((tmp_path / "blobs" / "st").iterdir()) == []


# --- uploads -------------------------------------------------------------------------------------


def _signed(url: str) -> tuple[str, str, str]:
    """Name, until, signature."""
    split = urlsplit(url)
    asked = parse_qs(split.query, strict_parsing=True)
    assert sorted(asked) == ["signature", "until"]
    assert split.path.startswith("/upload/")
    return split.path.removeprefix("/upload/"), asked["until"][0], asked["signature"][0]


def test_an_upload_url_may_be_used_until_its_time_is_over(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs", lambda: START + 0.9)
    name, until, signature = _signed(blobs.upload_url("list-1", 60))
    assert (name, until) == ("list-1", str(int(START) + 60))
    assert re.fullmatch("[0-9a-f]{64}", signature)
    assert blobs.may_upload(name, until, signature, START + 60)
    assert not blobs.may_upload(name, until, signature, START + 60.1)


def test_an_upload_url_is_good_for_what_it_says_alone(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs", lambda: START)
    name, until, signature = _signed(blobs.upload_url("list-1", 60))
    other = _signed(blobs.upload_url("list-2", 60))[2]
    for asked in [
        ("list-2", until, signature),
        (name, str(int(until) + 1), signature),
        (name, f"{until}0", signature),
        (name, f"0{until}", signature),
        (name, "9" * 10_000, signature),
        (name, "", signature),
        (name, "never", signature),
        (name, until, other),
        (name, until, ""),
        (name, until, signature.upper()),
        (name, until, signature[:-1]),
        (name, until, "ç"),
        ("\ud800", "\ud800", "\ud800"),
    ]:
        assert not blobs.may_upload(*asked, START)


def test_the_key_decides_whose_upload_urls_are_good(tmp_path: Path) -> None:
    def opened(key: bytes | None) -> DirectoryBlobs:
        return DirectoryBlobs(tmp_path / "blobs", lambda: START, key)

    given = _signed(opened(b"k" * 32).upload_url("list-1", 60))
    assert opened(b"k" * 32).may_upload(*given, START)
    assert not opened(b"K" * 32).may_upload(*given, START)
    assert not opened(None).may_upload(*given, START)
    by_chance = _signed(opened(None).upload_url("list-1", 60))
    assert not opened(None).may_upload(*by_chance, START)


def test_a_draft_that_nobody_has_written_to_for_a_day_is_removed(tmp_path: Path) -> None:
    now = [time.time()]
    blobs = DirectoryBlobs(tmp_path / "blobs", lambda: now[0])
    blobs.put("kept", b"content")
    writer = blobs.writer("upload")
    writer.write(b"half of a file")
    writer._file.close()  # its writer dies
    assert blobs.expire(0.0) == 0
    now[0] += 90_000.0
    assert blobs.expire(0.0) == 1
    assert [path.name for path in (tmp_path / "blobs").glob("*/*")] == ["kept"]


def test_blobs_written_before_a_time_are_removed_and_only_those(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    for name in ("one", "two"):
        blobs.put(name, b"content")
    [written] = [path.stat().st_mtime for path in (tmp_path / "blobs").glob("*/two")]
    assert blobs.expire(written - 3600) == 0
    assert blobs.expire(written + 3600) == 2
    with pytest.raises(NotFound):
        blobs.get("one")
    assert blobs.expire(written + 3600) == 0
