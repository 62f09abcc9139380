"""What the store keeps about accounts: counters, balances with their ledger, and usage by day.

One cost centre's usage of a day is a small row, so usage is never removed.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from recado.engine import ACCOUNTS_KEPT, Entry, Held, Usage, place_of
from recado.engine.embedded.database import Database
from recado.ids import first_id

_decoder = msgspec.json.Decoder(Entry)


class Accounts:
    """The part of the store that keeps accounts. `hold` is the store's own."""

    def __init__(self, database: Database, hold: Callable[[Held], None], retention: float) -> None:
        self._db, self._hold = database, hold
        self._kept = max(retention, ACCOUNTS_KEPT)

    # --- counters --------------------------------------------------------------------------------

    def add(
        self, counter: str, amounts: Mapping[str, int], *, limit: int | None, expires: float
    ) -> bool:
        if limit is not None:
            counts = self.counts(counter)
            if any(n > 0 and counts.get(field, 0) + n > limit for field, n in amounts.items()):
                return False
        self._db.write_many(
            "INSERT INTO counters VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name, field) DO UPDATE SET value = value + excluded.value",
            [(counter, field, amount, expires) for field, amount in amounts.items()],
        )
        # A counter goes as a whole.
        self._db.write("UPDATE counters SET expires = ? WHERE name = ?", (expires, counter))
        self._db.touched()
        return True

    def counts(self, counter: str) -> dict[str, int]:
        return dict(self._db.read("SELECT field, value FROM counters WHERE name = ?", (counter,)))

    # --- money -----------------------------------------------------------------------------------

    def charge(self, entry: Entry, held: Held) -> int | None:
        left = self.balance(entry.cost_centre)
        if not self._stands(entry):
            left += entry.amount
            if left < 0:
                return None
            self._write(entry)
        self._hold(held)  # last, since it ends the operation
        return left

    def credit(self, entries: Sequence[Entry]) -> list[bool]:
        new = []
        for entry in entries:
            new.append(not self._stands(entry))
            if new[-1]:
                self._write(entry)
        self._db.touched()
        return new

    def _stands(self, entry: Entry) -> bool:
        sql = "SELECT 1 FROM ledger WHERE cost_centre = ? AND entry = ?"
        return bool(self._db.read(sql, (entry.cost_centre, place_of(entry))))

    def _write(self, entry: Entry) -> None:
        """The entry, and what it makes of the balance."""
        body = msgspec.json.encode(entry).decode()
        row = (entry.cost_centre, place_of(entry), body)
        self._db.write("INSERT INTO ledger VALUES (?, ?, ?)", row)
        self._db.write(
            "INSERT INTO balances VALUES (?, ?)"
            " ON CONFLICT (cost_centre) DO UPDATE SET amount = amount + excluded.amount",
            (entry.cost_centre, entry.amount),
        )

    def balance(self, cost_centre: str) -> int:
        rows = self._db.read("SELECT amount FROM balances WHERE cost_centre = ?", (cost_centre,))
        return int(rows[0][0]) if rows else 0

    def ledger(self, cost_centre: str, after: str, limit: int) -> list[Entry]:
        rows = self._db.read(
            "SELECT body FROM ledger WHERE cost_centre = ? AND entry > ? ORDER BY entry LIMIT ?",
            (cost_centre, after, limit),
        )
        return [_decoder.decode(body) for (body,) in rows]

    # --- usage -----------------------------------------------------------------------------------

    def put_usage(self, usage: Usage) -> None:
        row = (usage.cost_centre, usage.day, msgspec.json.encode(usage).decode())
        self._db.write("INSERT OR REPLACE INTO usages VALUES (?, ?, ?)", row)
        self._db.touched()

    def usages(self, cost_centre: str, first_day: str, last_day: str) -> list[Usage]:
        rows = self._db.read(
            "SELECT body FROM usages WHERE cost_centre = ? AND day >= ? AND day <= ? ORDER BY day",
            (cost_centre, first_day, last_day),
        )
        return [msgspec.json.decode(body, type=Usage) for (body,) in rows]

    # --- time to live ----------------------------------------------------------------------------

    def expire(self, now: float, limit: int) -> int:
        """Removes up to about `limit` counters and entries of the ledger whose time is over, each:
        how many. The store calls it, and ends the operation."""
        gone = self._db.write(
            "DELETE FROM counters WHERE (name, field) IN (SELECT name, field FROM counters"
            " WHERE expires <= ? ORDER BY expires LIMIT ?)",
            (now, limit),
        )
        return gone + self._expire_ledger(first_id(max(now - self._kept, 0.0)), limit)

    def _expire_ledger(self, oldest: str, limit: int) -> int:
        gone, cost_centre = 0, ""
        while gone < limit:
            rows = self._db.read(
                "SELECT min(cost_centre) FROM ledger WHERE cost_centre > ?", (cost_centre,)
            )
            if rows[0][0] is None:
                break
            cost_centre = rows[0][0]
            gone += self._db.write(
                "DELETE FROM ledger WHERE cost_centre = ?1 AND entry IN (SELECT entry FROM ledger"
                " WHERE cost_centre = ?1 AND entry < ?2 ORDER BY entry LIMIT ?3)",
                (cost_centre, oldest, limit - gone),
            )
        return gone
