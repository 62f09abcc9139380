"""What an open unit of work does to the queue, kept for its end: written by then in few statements,
and what was sent and dealt with in the same unit not at all."""

from collections.abc import Sequence

from recado.engine import Received
from recado.engine.embedded.database import Rows, inserts

_INSERT = "INSERT INTO queue"
_DELETE = "DELETE FROM queue WHERE queue = ? AND grp = ? AND id BETWEEN ? AND ?"


class Unit:
    """What was sent, and what is gone."""

    __slots__ = ("early", "gone", "last_id", "late", "sent")

    def __init__(self) -> None:
        # Messages of one queue and group, as they will be received; from when on, 0: at once.
        self.sent: list[tuple[Sequence[Received], float]] = []
        self.early: dict[str, Received] = {}  # sent and handed on already, by id
        # Queues that have got something which is not handed on early: nor is what comes after it,
        # for what stays in the file, for want of room in memory, is all that comes after an id.
        self.late: set[str] = set()
        self.gone: list[Received] = []  # all of them in the file
        self.last_id = 0  # of what it writes

    def statements(self) -> list[tuple[str, Rows]]:
        """What makes the file say so."""
        new = [
            (row.queue, row.group, int(row.id), visible_at, row.receives - 1, row.body)
            for rows, visible_at in (*self.sent, (self.early.values(), 0.0))
            for row in rows
        ]
        made = inserts(_INSERT, new)
        if self.gone:
            made.append((_DELETE, _runs(self.gone)))
        return made


def _runs(rows: Sequence[Received]) -> list[list[str | int]]:
    """(queue, group, first id, last id) of what lies side by side: to remove that at once costs
    about as much as one row of it."""
    runs: list[list[str | int]] = []
    last: tuple[str, str, int] | None = None
    for row in rows:
        identifier = int(row.id)
        if (row.queue, row.group, identifier - 1) == last:
            runs[-1][3] = identifier
        else:
            runs.append([row.queue, row.group, identifier, identifier])
        last = (row.queue, row.group, identifier)
    return runs
