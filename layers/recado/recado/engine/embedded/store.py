"""Store on SQLite: the only place that knows its SQL."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from recado.engine import Endpoint, Held, Remembered
from recado.engine.embedded.accounts import Accounts
from recado.engine.embedded.database import Database
from recado.engine.embedded.expiry import ExpiredRefs, expired_keys, expired_records
from recado.engine.embedded.mailboxes import Leases, Mailboxes
from recado.engine.embedded.recent import Recent
from recado.ids import first_id
from recado.message import Key, Message, Record, State, decode_record, encode

_INSERT = "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)"
_UPDATE = (
    "UPDATE records SET version = ?, body = ? WHERE cost_centre = ? AND id = ? AND version = ?"
)
_NUMBER = "UPDATE records SET number = ? WHERE cost_centre = ? AND id = ? AND version = ?"
_NUMBERLESS = (State.SCHEDULED,)
_SELECT = "SELECT body FROM records WHERE cost_centre = ? AND id = ?"
_REMEMBERED_SECONDS = 86_400.0
_RECENT = 2_000  # records, and refs: those of a second at full load


def _millisecond(at: float) -> int:
    """The one in which the time lies. (`int(at * 1000)` is one less for some, such as 1.001.)"""
    nearest = round(at * 1000)
    return nearest if nearest / 1000 <= at else nearest - 1


def _first_id(millisecond: int) -> str:
    """Sorts before every id of that millisecond and later, and after all of before."""
    return first_id((max(millisecond, 0) + 0.5) / 1000)


class EmbeddedStore:
    """recado.engine.Store over one Database."""

    def __init__(self, database: Database, clock: Callable[[], float], retention: float) -> None:
        self._db, self._clock, self._retention = database, clock, retention
        self._buckets: dict[str, tuple[int, int]] = {}
        self._expired_refs = ExpiredRefs(database)
        self._recent: Recent[tuple[str, str], Record] = Recent(_RECENT)
        self._recent_refs: Recent[tuple[str, str], Key] = Recent(_RECENT)
        database.on_lost = self._forget_recent
        self._accounts = accounts = Accounts(database, self.hold, retention)
        self.add, self.counts = accounts.add, accounts.counts
        self.charge, self.credit = accounts.charge, accounts.credit
        self.balance, self.ledger = accounts.balance, accounts.ledger
        self.put_usage, self.usages = accounts.put_usage, accounts.usages
        self._mailboxes = mailboxes = Mailboxes(database)
        self.post, self.mails, self.forget = mailboxes.post, mailboxes.mails, mailboxes.forget
        self.lease = Leases().lease

    def create(self, records: Sequence[Record]) -> list[Record | None]:
        stood: list[Record | None] = []
        for record in records:
            number = (record.to or None) if isinstance(record, Message) else None
            row = (record.cost_centre, record.id, record.version, number, encode(record))
            if self._db.write(_INSERT, row):
                self._recent.keep((record.cost_centre, record.id), record)
                stood.append(None)
            else:
                stood.append(self._record(record.cost_centre, record.id))
        self._db.touched()
        return stood

    def replace(self, records: Sequence[Record]) -> list[Record | None]:
        written: list[Record | None] = []
        for record in records:
            new: Record = replace(record, version=record.version + 1)
            row = (new.version, encode(new), new.cost_centre, new.id, record.version)
            if not self._db.write(_UPDATE, row):
                written.append(None)
                continue
            self._recent.keep((new.cost_centre, new.id), new)
            written.append(new)
            if isinstance(new, Message) and new.history and new.history[0].state in _NUMBERLESS:
                # It was moved to another hour, and had no number then: who answers it is looked for
                # by its number.
                self._db.write(_NUMBER, (new.to or None, new.cost_centre, new.id, new.version))
        self._db.touched()
        return written

    def _forget_recent(self) -> None:
        self._recent.clear()
        self._recent_refs.clear()

    def _record(self, cost_centre: str, identifier: str) -> Record | None:
        found = self._recent.find((cost_centre, identifier))
        if found is not None:
            return found
        rows = self._db.read(_SELECT, (cost_centre, identifier))
        return decode_record(rows[0][0]) if rows else None

    def records(self, keys: Sequence[Key]) -> list[Record | None]:
        return [self._record(key.cost_centre, key.id) for key in keys]

    def records_between(
        self, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        # One lower bound: SQLite would use the first of two, and read all pages before this one.
        lower = max(after, _first_id(_millisecond(since)))
        rows = self._db.read(
            "SELECT body FROM records WHERE cost_centre = ? AND id > ? AND id < ?"
            " ORDER BY id LIMIT ?",
            (cost_centre, lower, _first_id(_millisecond(until) + 1), limit),
        )
        return [decode_record(body) for (body,) in rows]

    def listed(
        self, kind: str, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        lower = max(after, _first_id(_millisecond(since)))
        # SQLite would walk the primary key, past all the messages in between. Number and type have
        # to be asked for as the index writes them.
        rows = self._db.read(
            "SELECT body FROM records INDEXED BY records_by_kind"
            " WHERE number IS NULL AND cost_centre = ? AND json_extract(body, '$.type') = ?"
            " AND id > ? AND id < ? ORDER BY id LIMIT ?",
            (cost_centre, kind, lower, _first_id(_millisecond(until) + 1), limit),
        )
        return [decode_record(body) for (body,) in rows]

    def newest_to(self, number: str, limit: int) -> list[Key]:
        rows = self._db.read(
            "SELECT cost_centre, id FROM records WHERE number = ? ORDER BY id DESC LIMIT ?",
            (number, limit),
        )
        return [Key(*row) for row in rows]

    def put_refs(self, refs: Sequence[tuple[str, str, Key]]) -> None:
        self._db.write_many(
            "INSERT OR REPLACE INTO refs VALUES (?, ?, ?, ?)",
            [(connector, upstream, key.cost_centre, key.id) for connector, upstream, key in refs],
        )
        for connector, upstream, key in refs:
            self._recent_refs.keep((connector, upstream), key)
        self._db.touched()

    def by_refs(self, refs: Sequence[tuple[str, str]]) -> list[Key | None]:
        return [self._by_ref(*ref) for ref in refs]

    def _by_ref(self, connector: str, upstream_id: str) -> Key | None:
        found = self._recent_refs.find((connector, upstream_id))
        if found is not None:
            return found
        rows = self._db.read(
            "SELECT cost_centre, id FROM refs WHERE connector = ? AND upstream_id = ?",
            (connector, upstream_id),
        )
        return Key(*rows[0]) if rows else None

    def recall(self, cost_centre: str, key: str, now: float) -> Remembered | None:
        rows = self._db.read(
            "SELECT body FROM remembered WHERE cost_centre = ? AND key = ? AND at > ?",
            (cost_centre, key, now - _REMEMBERED_SECONDS),
        )
        return msgspec.json.decode(rows[0][0], type=Remembered) if rows else None

    def remember(self, entry: Remembered) -> Remembered | None:
        old = self.recall(entry.cost_centre, entry.key, entry.at)
        if old is None:
            self._keep(entry)
        return old

    def mark_queued(self, entry: Remembered) -> None:
        self._keep(replace(entry, queued=True))

    def _keep(self, entry: Remembered) -> None:
        self._db.write(
            "INSERT OR REPLACE INTO remembered VALUES (?, ?, ?, ?)",
            (entry.cost_centre, entry.key, entry.at, msgspec.json.encode(entry).decode()),
        )
        self._db.touched()

    def hold(self, held: Held) -> None:
        row = (held.due_at, held.id, held.queue, held.group, held.body)
        self._db.write("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)", row)
        self._db.touched()

    def due(self, now: float, limit: int) -> list[Held]:
        rows = self._db.read(
            "SELECT id, due_at, queue, grp, body FROM held WHERE due_at <= ?"
            " ORDER BY due_at LIMIT ?",
            (now, limit),
        )
        return [Held(*row) for row in rows]

    def release(self, held: Sequence[Held]) -> None:
        keys = [(one.due_at, one.id) for one in held]
        self._db.write_many("DELETE FROM held WHERE due_at = ? AND id = ?", keys)
        self._db.touched()

    def held(self, due_at: float, identifier: str) -> Held | None:
        rows = self._db.read(
            "SELECT id, due_at, queue, grp, body FROM held WHERE due_at = ? AND id = ?",
            (due_at, identifier),
        )
        return Held(*rows[0]) if rows else None

    def held_of(self, group: str, after: Held | None, limit: int) -> list[Held]:
        rows = self._db.read(
            "SELECT id, due_at, queue, grp, body FROM held WHERE grp = ?"
            " AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT ?",
            (group, after.due_at if after else 0.0, after.id if after else "", limit),
        )
        return [Held(*row) for row in rows]

    def take(self, bucket: str, amount: int, limit: int, now: float) -> bool:
        # In memory: a count of the present second is worth nothing after a restart.
        second, count = self._buckets.get(bucket, (0, 0))
        if second != int(now):
            second, count = int(now), 0
        if count + amount > limit:
            return False
        self._buckets[bucket] = (second, count + amount)
        return True

    def config(self, kind: str, name: str) -> bytes | None:
        rows = self._db.read("SELECT body FROM config WHERE kind = ? AND name = ?", (kind, name))
        return bytes(rows[0][0]) if rows else None

    def configs(self, kind: str) -> list[bytes]:
        rows = self._db.read("SELECT body FROM config WHERE kind = ? ORDER BY name", (kind,))
        return [bytes(body) for (body,) in rows]

    def put_config(self, kind: str, name: str, body: bytes, version: int) -> bool:
        if version == 0:
            sql, row = "INSERT OR IGNORE INTO config VALUES (?, ?, 0, ?)", (kind, name, body)
            written = self._db.write(sql, row)
        else:
            written = self._db.write(
                "UPDATE config SET version = ?, body = ? WHERE kind = ? AND name = ?"
                " AND version = ?",
                (version, body, kind, name, version - 1),
            )
        self._db.touched()
        return bool(written)

    def remove_config(self, kind: str, name: str, version: int) -> bool:
        sql = "DELETE FROM config WHERE kind = ? AND name = ? AND version = ?"
        self._db.write(sql, (kind, name, version))
        self._db.touched()
        return self.config(kind, name) is None

    def endpoint(self, cost_centre: str) -> Endpoint:
        body = self.config("endpoint", cost_centre)
        return msgspec.json.decode(body, type=Endpoint) if body else Endpoint(cost_centre)

    def put_endpoint(self, endpoint: Endpoint) -> bool:
        # The first write makes version 1 of what stood at 0 without a row.
        version = endpoint.version
        if version == 1 and self.config("endpoint", endpoint.cost_centre) is None:
            self._db.write(
                "INSERT INTO config VALUES ('endpoint', ?, 1, ?)",
                (endpoint.cost_centre, msgspec.json.encode(endpoint)),
            )
            self._db.touched()
            return True
        body = msgspec.json.encode(endpoint)
        return version > 0 and self.put_config("endpoint", endpoint.cost_centre, body, version)

    def expire(self, now: float, limit: int) -> int:
        oldest = _first_id(_millisecond(now - self._retention))
        gone = expired_records(self._db, oldest, limit)
        gone += self._expired_refs.expire(oldest, limit)
        gone += expired_keys(self._db, now - _REMEMBERED_SECONDS, limit)
        gone += self._accounts.expire(now, limit) + self._mailboxes.expire(now, limit)
        if gone:
            self._forget_recent()
        self._db.touched()
        return gone

    def settle(self) -> None:
        self._db.wait()
