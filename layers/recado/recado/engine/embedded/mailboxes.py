"""What the store keeps for customers that bind to us: their mailboxes; and who holds a lease."""

from collections.abc import Sequence

from recado.engine import Mail
from recado.engine.embedded.database import Database


class Mailboxes:
    """The part of the store that keeps receipts and replies until their customer has them."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._looked_at = ("", "")

    def post(self, mails: Sequence[Mail]) -> None:
        self._db.write_many(
            "INSERT OR REPLACE INTO mail VALUES (?, ?, ?, ?)",
            [(mail.cost_centre, mail.place, mail.body, mail.expires) for mail in mails],
        )
        self._db.touched()

    def mails(self, cost_centre: str, after: str, limit: int) -> list[Mail]:
        rows = self._db.read(
            "SELECT cost_centre, place, body, expires FROM mail WHERE cost_centre = ?"
            " AND place > ? ORDER BY place LIMIT ?",
            (cost_centre, after, limit),
        )
        return [Mail(*row) for row in rows]

    def forget(self, mails: Sequence[Mail]) -> None:
        self._db.write_many(
            "DELETE FROM mail WHERE cost_centre = ? AND place = ?",
            [(mail.cost_centre, mail.place) for mail in mails],
        )
        self._db.touched()

    def expire(self, now: float, limit: int) -> int:
        """Removes the expired ones among the next `limit` mails: how many. The store calls it, and
        ends the operation."""
        # The table is walked, a stretch at a time: an index would cost each mail two more rows, and
        # nearly all of them are forgotten within the second.
        rows = self._db.read(
            "SELECT cost_centre, place, expires FROM mail WHERE (cost_centre, place) > (?, ?)"
            " ORDER BY cost_centre, place LIMIT ?",
            (*self._looked_at, limit),
        )
        self._looked_at = (rows[-1][0], rows[-1][1]) if len(rows) == limit else ("", "")
        over = [(cost_centre, place) for cost_centre, place, expires in rows if expires <= now]
        self._db.write_many("DELETE FROM mail WHERE cost_centre = ? AND place = ?", over)
        return len(over)


class Leases:
    """Who holds what, in memory: there is one process, and what an earlier one held is over."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, float]] = {}  # by name: the holder, until when

    def lease(self, name: str, holder: str, until: float, now: float) -> bool:
        other, its_end = self._held.get(name, (holder, until))
        if other != holder and its_end > now:
            return False
        if until > now:
            self._held[name] = (holder, until)
            return True
        self._held.pop(name, None)
        return False
