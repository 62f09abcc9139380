"""What has had its time is removed, a bounded stretch at a time."""

from recado.engine.embedded.database import Database


def expired_records(database: Database, oldest: str, limit: int) -> int:
    """Removes records whose ids sort before `oldest`: how many."""
    gone, cost_centre = 0, ""
    while gone < limit:
        rows = database.read(
            "SELECT min(cost_centre) FROM records WHERE cost_centre > ?", (cost_centre,)
        )
        if rows[0][0] is None:
            break
        cost_centre = rows[0][0]
        # An id's time is the hour at which its message was due: the key is the expiry.
        gone += database.write(
            "DELETE FROM records WHERE cost_centre = ?1 AND id IN (SELECT id FROM records"
            " WHERE cost_centre = ?1 AND id < ?2 ORDER BY id LIMIT ?3)",
            (cost_centre, oldest, limit - gone),
        )
    return gone


def expired_keys(database: Database, before: float, limit: int) -> int:
    """Removes idempotency keys that were kept until then: how many."""
    return database.write(
        "DELETE FROM remembered WHERE (cost_centre, key) IN (SELECT cost_centre, key"
        " FROM remembered WHERE at <= ? ORDER BY at LIMIT ?)",
        (before, limit),
    )


class ExpiredRefs:
    """Upstream ids have no order of age, so the table is walked, a stretch at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = ("", "")

    def expire(self, oldest: str, limit: int) -> int:
        """Of the next `limit` refs removes those to records before `oldest`: how many."""
        rows = self._database.read(
            "SELECT connector, upstream_id, id FROM refs WHERE (connector, upstream_id) > (?, ?)"
            " ORDER BY connector, upstream_id LIMIT ?",
            (*self._last, limit),
        )
        self._last = (rows[-1][0], rows[-1][1]) if len(rows) == limit else ("", "")
        stale = [(connector, upstream) for connector, upstream, key in rows if key < oldest]
        self._database.write_many("DELETE FROM refs WHERE connector = ? AND upstream_id = ?", stale)
        return len(stale)
