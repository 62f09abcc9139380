"""Queue on SQLite: rows are the truth, and are handed on in memory after their commit.

Nothing is written when a message is taken in hand: a kill forgets that it was, and it comes again.
A group (a cost centre) that has more waiting than memory should hold stays in the file beyond that
and is read from there in its turn.
"""

import math
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

from recado.engine import Depth, Received
from recado.engine.embedded.census import Census
from recado.engine.embedded.database import Database, Rows
from recado.engine.embedded.lanes import Group, Lane, Policy
from recado.engine.embedded.unit import Unit

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
        self._early: frozenset[str] = frozenset()
        self._work_early: Callable[[], None] = lambda: None
        self._unit = Unit()
        database.put_off, database.on_end = self._write, self._ended
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

    def hand_on_early(self, queues: Collection[str], work: Callable[[], None]) -> None:
        """From now on what is sent to these queues may be received at once, and `work` is called
        right before its commit: of what it has dealt with by then only the effects are written.
        For consumers alone that do nothing outside the engine unless they have settled: where the
        commit fails, neither the message nor what they did is there."""
        self._early, self._work_early = frozenset(queues), work

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        self._db.begin()
        visible_at = self._clock() + delay if delay > 0 else 0.0
        self._send(self._new_rows(queue, group, bodies), visible_at)
        self._db.touched()

    def _new_rows(
        self, queue: str, group: str, bodies: Sequence[str], receives: int = 1
    ) -> list[Received]:
        """As they will be received. Raises UnicodeEncodeError for what can't be written: only found
        at the commit, it would take the whole unit with it."""
        for body in bodies:
            if not body.isascii():
                body.encode()
        first = self._last_id + 1
        self._last_id += len(bodies)
        return [Received(str(n), queue, group, b, receives) for n, b in enumerate(bodies, first)]

    def _send(self, rows: Sequence[Received], visible_at: float) -> None:
        """Rows of one queue and group, to be written with the unit."""
        if not rows:
            return
        unit, queue = self._unit, rows[0].queue
        if queue in self._early and not visible_at and queue not in unit.late:
            if self._lanes[queue].group(rows[0].group).offer(rows):
                unit.early.update({row.id: row for row in rows})
                return
            unit.late.add(queue)
        unit.sent.append((rows, visible_at))

    def _write(self) -> list[tuple[str, Rows]]:
        """Called right before a commit: what it has to write."""
        if self._unit.early:
            self._work_early()
        self._unit.last_id = self._last_id
        return self._unit.statements()

    def _ended(self, problem: BaseException | None) -> None:
        unit, self._unit = self._unit, Unit()
        (self._durable if problem is None else self._lost)(unit)

    def _durable(self, unit: Unit) -> None:
        self._durable_id = unit.last_id
        ready, delayed = self._census.ready, self._census.delayed
        for rows, visible_at in unit.sent:
            if visible_at:
                self._next_delayed = min(self._next_delayed or visible_at, visible_at)
                delayed[rows[0].queue] += len(rows)
            else:
                ready[rows[0].queue] += len(rows)
                self._hand_on(rows)
        for row in unit.early.values():
            ready[row.queue] += 1
        for row in unit.gone:
            if self._lanes[row.queue].in_hand.pop(row.id, None) is not None:
                ready[row.queue] -= 1
        if unit.early or any(not visible_at for _, visible_at in unit.sent):
            self.on_ready()

    def _hand_on(self, rows: Sequence[Received]) -> None:
        lane = self._lanes.get(rows[0].queue)
        if lane is None:  # dead letters are not received
            return
        group = lane.group(rows[0].group)
        if not group.offer(rows) and group.behind is None:
            group.behind = int(rows[0].id) - 1

    def _lost(self, unit: Unit) -> None:
        for row in unit.early.values():
            self._lanes[row.queue].in_hand.pop(row.id, None)
        for queue, group in {(row.queue, row.group) for row in unit.early.values()}:
            self._lanes[queue].group(group).cut(self._durable_id)
        self.give_back(unit.gone)

    def bury(self, queue: str, body: str, group: str) -> None:
        self.send(queue + DEAD, [body], group)

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
        taken = group.take(limit)
        for row in taken:
            lane.in_hand[row.id] = (until, row)
        return taken

    def _refill(self, queue: str, name: str, group: Group) -> None:
        wanted = _REFILL_ROWS
        while group.behind is not None and wanted > 0 and not group.full:
            rows = self._db.read(
                "SELECT id, receives, body FROM queue WHERE queue = ? AND grp = ? AND id > ?"
                " AND id <= ? AND visible_at = 0 ORDER BY id LIMIT ?",
                (queue, name, group.behind, self._durable_id, _READ_ROWS),
            )
            group.add([Received(str(n), queue, name, body, taken + 1) for n, taken, body in rows])
            group.behind = rows[-1][0] if len(rows) == _READ_ROWS else None
            wanted -= len(rows)

    def _mature(self, now: float) -> None:
        """Delayed messages whose time has come go to the end of their queue."""
        found = self._db.read(
            "SELECT queue, grp, id, body, receives FROM queue WHERE visible_at > 0"
            " AND visible_at <= ? ORDER BY visible_at LIMIT ?",
            (now, _MATURE_ROWS),
        )
        self._db.write_many(_DELETE, [row[:3] for row in found])  # now, lest they are found again
        for queue, group, _, body, receives in found:
            self._send(self._new_rows(queue, group, [body], receives + 1), 0.0)
        self._look_for_delayed()
        self._db.then(lambda problem: self._matured([row[0] for row in found], problem))
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
        self._db.begin()
        self._put_away(received)
        self._db.touched()

    def failed(self, received: Sequence[Received], wait: float | None = None) -> None:
        """Messages in hand could not be dealt with: they come again, after `wait` seconds or, by
        default, ever later; after the queue's last receive they are dead letters. Does nothing for
        what is not in hand any more: it comes again already."""
        self._db.begin()
        received = [row for row in received if row.id in self._lanes[row.queue].in_hand]
        for row in received:
            policy = self._lanes[row.queue].policy
            dead = row.receives >= policy.max_receives
            queue = row.queue + DEAD if dead else row.queue
            pause = min(2.0 ** (row.receives - 1), policy.visibility) if wait is None else wait
            visible_at = 0.0 if dead or not pause else self._clock() + pause
            again = self._new_rows(queue, row.group, [row.body], row.receives + 1)
            self._unit.late.add(queue)
            self._unit.sent.append((again, visible_at))
        self._put_away(received)
        self._db.touched()

    def _put_away(self, received: Sequence[Received]) -> None:
        """In hand until the commit, but never overdue: the commit forgets them or, where it fails,
        gives them back. What was sent in the same unit is forgotten now."""
        unit = self._unit
        for row in received:
            in_hand = self._lanes[row.queue].in_hand
            if unit.early.pop(row.id, None) is not None:
                in_hand.pop(row.id, None)
                continue
            if row.id in in_hand:
                in_hand[row.id] = (math.inf, row)
            unit.gone.append(row)

    def give_back(self, received: Sequence[Received]) -> None:
        """Messages in hand are as if never taken: the unit that dealt with them was lost. Does
        nothing for what is not in hand any more."""
        for row in received:
            lane = self._lanes[row.queue]
            if lane.in_hand.pop(row.id, None) is not None:
                lane.group(row.group).add([row])  # never behind: it was in memory before

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
        self._unit.late.add(queue)
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
        """Rows after `before` stay in the file until their groups' turns."""
        self._census.ready[queue] += last - before
        self._census.ready[queue + DEAD] -= last - before
        for name in groups:
            group = self._lanes[queue].group(name)
            if group.behind is None:
                group.cut(before)
                group.behind = before
        self.on_ready()
