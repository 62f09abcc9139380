"""Queue on SQLite: rows are the truth, and are handed on in memory after their commit.

Nothing is written when a message is taken in hand: a kill forgets that it was, and it comes again.
A group (a cost centre) that has more waiting than memory should hold stays in the file beyond that
and is read from there in its turn.
"""

from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence

from msgspec import Struct

from recado.engine import Depth, Received
from recado.engine.embedded.database import Database

DEAD = "Dead"
_GROUP_ROWS = 5_000
_GROUP_BYTES = 8_000_000
_REFILL_ROWS = 1_000
_EARLIEST = "SELECT min(visible_at) FROM queue WHERE visible_at > 0"


class Policy(Struct, frozen=True):
    """A queue's redelivery, as the template sets it. Visibility in seconds."""

    visibility: float
    max_receives: int


class _Group:
    """What waits in memory for one cost centre in one queue."""

    __slots__ = ("behind", "rows", "size")

    def __init__(self) -> None:
        self.rows: deque[Received] = deque()
        self.size = 0
        self.behind: int | None = None  # the last id in memory, where the file holds more

    def add(self, row: Received) -> None:
        self.rows.append(row)
        self.size += len(row.body)

    def pop(self) -> Received:
        row = self.rows.popleft()
        self.size -= len(row.body)
        return row

    @property
    def full(self) -> bool:
        return len(self.rows) >= _GROUP_ROWS or self.size >= _GROUP_BYTES


class _Lane:
    """One queue: its groups, served in turn."""

    __slots__ = ("groups", "turns")

    def __init__(self) -> None:
        self.groups: dict[str, _Group] = {}
        self.turns: deque[str] = deque()

    def group(self, name: str) -> _Group:
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = _Group()
            self.turns.append(name)
        return found


class EmbeddedQueue:
    """recado.engine.Queue over one Database."""

    def __init__(
        self, database: Database, policies: Mapping[str, Policy], clock: Callable[[], float]
    ) -> None:
        self._db, self._policies, self._clock = database, policies, clock
        self._lanes = {name: _Lane() for name in policies}
        self._in_hand: dict[tuple[str, str, int], tuple[float, Received]] = {}
        self._next_delayed: float = database.read(_EARLIEST)[0][0] or 0.0
        self._next_look = 0.0
        self.on_ready: Callable[[], None] = lambda: None
        """Called after a commit that left something to receive."""
        self._last_id: int = database.read("SELECT coalesce(max(id), 0) FROM queue")[0][0]
        self._durable_id = self._last_id  # rows above it belong to an open unit of work
        self._recover()

    def _recover(self) -> None:
        for queue, lane in self._lanes.items():
            group = ""
            while True:
                sql = "SELECT min(grp) FROM queue WHERE queue = ? AND grp > ?"
                found = self._db.read(sql, (queue, group))[0][0]
                if found is None:
                    break
                group = found
                lane.group(group).behind = 0

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        visible_at = self._clock() + delay if delay > 0 else 0.0
        rows = [self._new_row(queue, group, body) for body in bodies]
        self._insert(rows, visible_at)

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
        elif rows:
            self._db.then(lambda problem: None if problem else self._hand_on(rows))
        self._db.touched()

    def _hand_on(self, rows: Sequence[Received]) -> None:
        self._durable_id = max(self._durable_id, int(rows[-1].id))
        for row in rows:
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

    def receive(self, queue: str, limit: int, skip: Container[str] = ()) -> list[Received]:
        """Up to `limit` messages of one group, the groups in turn; `skip` names groups that have
        enough in hand."""
        self._mature()
        lane = self._lanes[queue]
        for _ in range(len(lane.turns)):
            name = lane.turns[0]
            lane.turns.rotate(-1)
            group = lane.groups[name]
            if name in skip:
                continue
            if group.behind is not None and len(group.rows) < limit:
                self._refill(queue, name, group)
            if group.rows:
                return self._take(group, limit)
            lane.turns.pop()
            del lane.groups[name]
        return []

    def _take(self, group: _Group, limit: int) -> list[Received]:
        until = self._clock()
        taken: list[Received] = []
        while group.rows and len(taken) < limit:
            row = group.pop()
            row = Received(row.id, row.queue, row.group, row.body, row.receives + 1)
            visibility = self._policies[row.queue].visibility
            self._in_hand[row.queue, row.group, int(row.id)] = (until + visibility, row)
            taken.append(row)
        return taken

    def _refill(self, queue: str, name: str, group: _Group) -> None:
        rows = self._db.read(
            "SELECT id, receives, body FROM queue WHERE queue = ? AND grp = ? AND id > ?"
            " AND id <= ? AND visible_at = 0 ORDER BY id LIMIT ?",
            (queue, name, group.behind, self._durable_id, _REFILL_ROWS),
        )
        for identifier, receives, body in rows:
            if (queue, name, identifier) not in self._in_hand:
                group.add(Received(str(identifier), queue, name, body, receives))
            group.behind = identifier
        if len(rows) < _REFILL_ROWS:
            group.behind = None

    def _mature(self) -> None:
        """Delayed messages whose time has come go to the end of their queue."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + 1.0
            self._take_back(now)
        if not self._next_delayed or now < self._next_delayed:
            return
        rows = self._db.read(
            "SELECT queue, grp, id, receives, body FROM queue WHERE visible_at > 0"
            " AND visible_at <= ? ORDER BY visible_at LIMIT ?",
            (now, _REFILL_ROWS),
        )
        for queue, group, identifier, receives, body in rows:
            self._delete([(queue, group, identifier)])
            self._insert([self._new_row(queue, group, body, receives)], 0.0)
        self._look_for_delayed(None)
        self._db.then(self._look_for_delayed)

    def _look_for_delayed(self, _problem: BaseException | None) -> None:
        self._next_delayed = self._db.read(_EARLIEST)[0][0] or 0.0

    def _take_back(self, now: float) -> None:
        """What was in hand for too long is delivered again."""
        overdue = [row for until, row in self._in_hand.values() if until <= now]
        if overdue:
            self.failed(overdue, wait=0.0)

    def done(self, received: Sequence[Received]) -> None:
        self._delete([(row.queue, row.group, int(row.id)) for row in received])
        self._db.touched()

    def _delete(self, keys: Sequence[tuple[str, str, int]]) -> None:
        for key in keys:
            self._in_hand.pop(key, None)
        self._db.write_many("DELETE FROM queue WHERE queue = ? AND grp = ? AND id = ?", keys)

    def failed(self, received: Sequence[Received], wait: float | None = None) -> None:
        """Messages in hand could not be dealt with: they come again, after `wait` seconds or, by
        default, ever later; after the queue's last receive they are dead letters."""
        for row in received:
            self._delete([(row.queue, row.group, int(row.id))])
            policy = self._policies[row.queue]
            dead = row.receives >= policy.max_receives
            queue = row.queue + DEAD if dead else row.queue
            pause = min(2.0 ** (row.receives - 1), policy.visibility) if wait is None else wait
            visible_at = 0.0 if dead or not pause else self._clock() + pause
            self._insert([self._new_row(queue, row.group, row.body, row.receives)], visible_at)
        self._db.touched()

    def give_back(self, received: Sequence[Received]) -> None:
        """Messages in hand are as if never taken: the unit that dealt with them was lost."""
        for row in received:
            self._in_hand.pop((row.queue, row.group, int(row.id)), None)
            group = self._lanes[row.queue].group(row.group)
            if group.behind is None or int(row.id) <= group.behind:
                group.add(Received(row.id, row.queue, row.group, row.body, row.receives - 1))

    def waiting(self, queue: str) -> bool:
        """Whether a receive may find something."""
        self._mature()
        return bool(self._lanes[queue].turns)

    def depths(self) -> list[Depth]:
        return [self._depth(queue) for queue in sorted(self._policies)]

    def _depth(self, queue: str) -> Depth:
        counted = self._db.read(
            "SELECT count(*), coalesce(sum(visible_at > 0), 0) FROM queue WHERE queue = ?",
            (queue,),
        )[0]
        dead = self._db.read("SELECT count(*) FROM queue WHERE queue = ?", (queue + DEAD,))[0][0]
        return Depth(queue, counted[0] - counted[1], counted[1], dead)

    def redrive(self, queue: str) -> int:
        rows = self._db.read(
            "SELECT grp, id, body FROM queue WHERE queue = ? ORDER BY id LIMIT 10000",
            (queue + DEAD,),
        )
        self._delete([(queue + DEAD, group, identifier) for group, identifier, _ in rows])
        self._insert([self._new_row(queue, group, body) for group, _, body in rows], 0.0)
        return len(rows)
