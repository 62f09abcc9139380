"""A queue in memory: what waits in it by group (cost centre), and what is in hand."""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from recado.engine import Received

_GROUP_ROWS = 5_000
_GROUP_BYTES = 8_000_000


class Policy(Struct, frozen=True):
    """A queue's redelivery, as the template sets it. Visibility in seconds."""

    visibility: float
    max_receives: int


class Group:
    """What waits in memory for one cost centre in one queue, as it will be received."""

    __slots__ = ("behind", "rows", "size")

    def __init__(self) -> None:
        self.rows: deque[Received] = deque()
        self.size = 0
        self.behind: int | None = None  # the last id in memory, where the file holds more

    def add(self, rows: Sequence[Received]) -> None:
        self.rows.extend(rows)
        self.size += sum([len(row.body) for row in rows])

    def offer(self, rows: Sequence[Received]) -> bool:
        """Takes them into memory, unless the file holds what comes before them or they would be too
        many: whether it did."""
        size = self.size + sum([len(row.body) for row in rows])
        many = len(self.rows) + len(rows)
        if self.behind is not None or many > _GROUP_ROWS or size > _GROUP_BYTES:
            return False
        self.rows.extend(rows)
        self.size = size
        return True

    def take(self, limit: int) -> list[Received]:
        rows = [self.rows.popleft() for _ in range(min(limit, len(self.rows)))]
        self.size -= sum([len(row.body) for row in rows])
        return rows

    def cut(self, last: int) -> None:
        """Forgets what comes after that id."""
        left = [row for row in self.rows if int(row.id) <= last]
        self.rows, self.size = deque(), 0
        self.add(left)

    @property
    def full(self) -> bool:
        return len(self.rows) >= _GROUP_ROWS or self.size >= _GROUP_BYTES


class Lane:
    """One queue: its groups, served in turn; and what is in hand, the longest in hand first."""

    __slots__ = ("groups", "in_hand", "policy", "turns")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.groups: dict[str, Group] = {}
        self.turns: deque[str] = deque()
        self.in_hand: dict[str, tuple[float, Received]] = {}  # by id; until when

    def group(self, name: str) -> Group:
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Group()
            self.turns.append(name)
        return found

    def oldest(self) -> list[int]:
        """Ids, among them the oldest one: of what is in hand, and the first of each group."""
        groups = self.groups.values()
        first = [int(group.rows[0].id) for group in groups if group.rows]
        behind = [group.behind + 1 for group in groups if group.behind is not None]
        return [*map(int, self.in_hand), *first, *behind]
