"""Queue on SQLite: rows are the truth, and are handed on in memory after their commit.

Nothing is written when a message is taken in hand: a kill forgets that it was, and it comes again.
A group (a cost centre) that has more waiting than memory should hold stays in the file beyond that
and is read from there in its turn.
"""

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from recado.engine import Depth, Received
from recado.engine.embedded.census import Census
from recado.engine.embedded.database import Database
from recado.engine.embedded.lanes import Group, Lane, Policy

__all__ = ["DEAD", "EmbeddedQueue", "Policy"]

DEAD = "Dead"
_REFILL_ROWS = 1_000
_READ_ROWS = 100  # a refill reads so many at a time: they may be large
_MATURE_ROWS = 1_000
_DELETE = "DELETE FROM queue WHERE queue = ? AND grp = ? AND id = ?"
_REDRIVE = "UPDATE queue SET queue = ?, id = ?, receives = 0 WHERE queue = ? AND grp = ? AND id = ?"
_EARLIEST = "SELECT min(visible_at) FROM queue WHERE visible_at > 0"


class EmbeddedQueue:
    """recado.engine.Queue over one Database."""

    def __init__(
        self, database: Database, policies: Mapping[str, Policy], clock: Callable[[], float]
    ) -> None:
        self._db, self._clock = database, clock
        self._lanes = {name: Lane(policy) for name, policy in policies.items()}
        self._next_delayed: float = database.read(_EARLIEST)[0][0] or 0.0
        self.on_ready: Callable[[], None] = lambda: None
        """Called after a commit that left something to receive."""
        self._last_id: int = database.read("SELECT coalesce(max(id), 0) FROM queue")[0][0]
        self._durable_id = self._last_id  # rows above it belong to an open unit of work
        self._census = Census(database, clock)
        self._recover()

    def _recover(self) -> None:
        first = "SELECT min(grp) FROM queue WHERE queue = ?"
        for queue, lane in self._lanes.items():
            found = self._db.read(first, (queue,))[0][0]
            while found is not None:
                lane.group(found).behind = 0
                found = self._db.read(first + " AND grp > ?", (queue, found))[0][0]

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        visible_at = self._clock() + delay if delay > 0 else 0.0
        rows = [self._new_row(queue, group, body) for body in bodies]
        self._insert(rows, visible_at)
        self._db.touched()

    def _new_row(self, queue: str, group: str, body: str, receives: int = 0) -> Received:
        self._last_id += 1
        return Received(str(self._last_id), queue, group, body, receives)

    def _insert(self, rows: Sequence[Received], visible_at: float) -> None:
        self._db.write_many(
            "INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?)",
            [(r.queue, r.group, int(r.id), visible_at, r.receives, r.body) for r in rows],
        )
        if visible_at:
            self._next_delayed = min(self._next_delayed or visible_at, visible_at)
            delayed = [row.queue for row in rows]
            self._db.then(lambda problem: None if problem else self._census.delayed.update(delayed))
        elif rows:
            self._db.then(lambda problem: None if problem else self._hand_on(rows))

    def _delete(self, rows: Sequence[Received]) -> None:
        self._db.write_many(_DELETE, [(row.queue, row.group, int(row.id)) for row in rows])

    def _hand_on(self, rows: Sequence[Received]) -> None:
        self._durable_id = max(self._durable_id, int(rows[-1].id))
        ready = self._census.ready
        for row in rows:
            ready[row.queue] += 1
            lane = self._lanes.get(row.queue)
            if lane is None:  # dead letters are not received
                continue
            group = lane.group(row.group)
            if group.behind is None and group.full:
                group.behind = int(row.id) - 1
            if group.behind is None:
                group.add(row)
        self.on_ready()

    def bury(self, queue: str, body: str, group: str) -> None:
        self._insert([self._new_row(queue + DEAD, group, body)], 0.0)
        self._db.touched()

    def receive(self, queue: str, limit: int, skip: Container[str] = ()) -> list[Received]:
        """Up to `limit` messages of one group, the groups in turn; `skip` names groups that have
        enough in hand."""
        lane = self._lanes[queue]
        now = self._clock()
        self._census.mark(now, self._last_id)
        self._take_back(lane, now)
        if self._next_delayed and now >= self._next_delayed:
            self._mature(now)
        for _ in range(len(lane.turns)):
            name = lane.turns[0]
            lane.turns.rotate(-1)
            group = lane.groups[name]
            if name in skip:
                continue
            if group.behind is not None and len(group.rows) < limit:
                self._refill(queue, name, group)
            if group.rows:
                return self._take(lane, group, limit)
            lane.turns.pop()
            del lane.groups[name]
        return []

    def _take(self, lane: Lane, group: Group, limit: int) -> list[Received]:
        until = self._clock() + lane.policy.visibility
        taken: list[Received] = []
        while group.rows and len(taken) < limit:
            row = group.pop()
            row = Received(row.id, row.queue, row.group, row.body, row.receives + 1)
            lane.in_hand[row.id] = (until, row)
            taken.append(row)
        return taken

    def _refill(self, queue: str, name: str, group: Group) -> None:
        wanted = _REFILL_ROWS
        while group.behind is not None and wanted > 0 and not group.full:
            rows = self._db.read(
                "SELECT id, receives, body FROM queue WHERE queue = ? AND grp = ? AND id > ?"
                " AND id <= ? AND visible_at = 0 ORDER BY id LIMIT ?",
                (queue, name, group.behind, self._durable_id, _READ_ROWS),
            )
            for identifier, receives, body in rows:
                group.add(Received(str(identifier), queue, name, body, receives))
                group.behind = identifier
            if len(rows) < _READ_ROWS:
                group.behind = None
            wanted -= len(rows)

    def _mature(self, now: float) -> None:
        """Delayed messages whose time has come go to the end of their queue."""
        found = self._db.read(
            "SELECT id, queue, grp, body, receives FROM queue WHERE visible_at > 0"
            " AND visible_at <= ? ORDER BY visible_at LIMIT ?",
            (now, _MATURE_ROWS),
        )
        self._delete([Received(*row) for row in found])
        self._insert([self._new_row(*row[1:]) for row in found], 0.0)
        self._look_for_delayed()
        self._db.then(lambda problem: self._matured([row[1] for row in found], problem))
        self._db.touched()

    def _matured(self, queues: Sequence[str], problem: BaseException | None) -> None:
        if problem is None:
            self._census.delayed.subtract(queues)
        self._look_for_delayed()

    def _look_for_delayed(self) -> None:
        self._next_delayed = self._db.read(_EARLIEST)[0][0] or 0.0

    def _take_back(self, lane: Lane, now: float) -> None:
        """What was in hand for too long is delivered again."""
        overdue = []
        for until, row in lane.in_hand.values():
            if until > now:
                break
            overdue.append(row)
        if overdue:
            self.failed(overdue, wait=0.0)

    def done(self, received: Sequence[Received]) -> None:
        self._delete(received)
        self._put_away(received)

    def failed(self, received: Sequence[Received], wait: float | None = None) -> None:
        """Messages in hand could not be dealt with: they come again, after `wait` seconds or, by
        default, ever later; after the queue's last receive they are dead letters. Does nothing for
        what is not in hand any more: it comes again already."""
        received = [row for row in received if row.id in self._lanes[row.queue].in_hand]
        self._delete(received)
        for row in received:
            policy = self._lanes[row.queue].policy
            dead = row.receives >= policy.max_receives
            queue = row.queue + DEAD if dead else row.queue
            pause = min(2.0 ** (row.receives - 1), policy.visibility) if wait is None else wait
            visible_at = 0.0 if dead or not pause else self._clock() + pause
            self._insert([self._new_row(queue, row.group, row.body, row.receives)], visible_at)
        self._put_away(received)

    def _put_away(self, received: Sequence[Received]) -> None:
        """In hand until the commit, but never overdue: the commit forgets them or, where it fails,
        gives them back."""
        for row in received:
            in_hand = self._lanes[row.queue].in_hand
            if row.id in in_hand:
                in_hand[row.id] = (math.inf, row)
        self._db.then(
            lambda problem: self.give_back(received) if problem else self._forget(received)
        )
        self._db.touched()

    def _forget(self, received: Sequence[Received]) -> None:
        for row in received:
            if self._lanes[row.queue].in_hand.pop(row.id, None) is not None:
                self._census.ready[row.queue] -= 1

    def give_back(self, received: Sequence[Received]) -> None:
        """Messages in hand are as if never taken: the unit that dealt with them was lost. Does
        nothing for what is not in hand any more."""
        for row in received:
            lane = self._lanes[row.queue]
            if lane.in_hand.pop(row.id, None) is None:
                continue
            again = Received(row.id, row.queue, row.group, row.body, row.receives - 1)
            lane.group(row.group).add(again)  # never behind: it was in memory before

    def depths(self) -> list[Depth]:
        ready, delayed = self._census.ready, self._census.delayed
        names = sorted(self._lanes)
        return [Depth(name, ready[name], delayed[name], ready[name + DEAD]) for name in names]

    def ages(self) -> dict[str, float]:
        """By queue, for how many seconds its oldest message that is ready or in hand has been
        there. A message that was delayed, or is delivered again, counts anew."""
        now = self._clock()
        return {
            queue: self._census.age(min(ids), now) if (ids := lane.oldest()) else 0.0
            for queue, lane in self._lanes.items()
        }

    def redrive(self, queue: str) -> int:
        before = self._last_id
        sql = "SELECT grp, id FROM queue WHERE queue = ? ORDER BY id"
        dead = self._db.read(sql, (queue + DEAD,))
        self._last_id += len(dead)
        self._db.write_many(
            _REDRIVE,
            [(queue, new, queue + DEAD, *old) for new, old in enumerate(dead, before + 1)],
        )
        groups, last = {group for group, _ in dead}, self._last_id
        self._db.then(lambda problem: None if problem else self._point(queue, groups, before, last))
        self._db.touched()
        return len(dead)

    def _point(self, queue: str, groups: Iterable[str], before: int, last: int) -> None:
        """Rows after `before`, up to `last`, stay in the file until their groups' turns."""
        self._durable_id = max(self._durable_id, last)
        self._census.ready[queue] += last - before
        self._census.ready[queue + DEAD] -= last - before
        for name in groups:
            group = self._lanes[queue].group(name)
            if group.behind is None:
                group.behind = before
        self.on_ready()
