"""Store on DynamoDB: the only place that knows what is in its items.

A record is its JSON in one attribute, beside the few that keys, the index and conditions need. Each
step of a message is one write of one unit.
"""

from collections.abc import Callable, Sequence
from itertools import product

import msgspec
from msgspec.structs import replace

from recado.engine import Endpoint, Held, Remembered
from recado.engine.aws import keys, listings
from recado.engine.aws.accounts import Accounts
from recado.engine.aws.held import HeldMessages
from recado.engine.aws.mailboxes import Mailboxes
from recado.engine.aws.table import FREE, Item, Table, keyed, number, packed, text, unpacked
from recado.ids import is_id
from recado.message import Key, Message, Record, decode_record, encode, key_of

_REMEMBERED_SECONDS = 86_400
_BUCKET_SECONDS = 3_600  # more than clocks differ by
_HOURS_AT_ONCE = 24
_KNOWN_DAYS = 10_000
_LONGEST_SORT_KEY = 1_024


class DynamoDBStore:
    """recado.engine.Store over the messages table and the configuration table."""

    def __init__(
        self, messages: Table, config: Table, clock: Callable[[], float], retention: float
    ) -> None:
        self._table, self._config, self._retention = messages, config, retention
        self._held = HeldMessages(messages, clock, retention)
        accounts = Accounts(messages, self._held, clock, retention)
        self.add, self.counts = accounts.add, accounts.counts
        self.charge, self.credit = accounts.charge, accounts.credit
        self.balance, self.ledger = accounts.balance, accounts.ledger
        self.put_usage, self.usages = accounts.put_usage, accounts.usages
        mailboxes = Mailboxes(messages)
        self.post, self.mails, self.forget = mailboxes.post, mailboxes.mails, mailboxes.forget
        self.lease = mailboxes.lease
        self._days: set[keys.Keys] = set()  # days whose records this environment has announced

    # --- records ---------------------------------------------------------------------------------

    def create(self, records: Sequence[Record]) -> list[Record | None]:
        self._announce_days(records)
        if len({key_of(record) for record in records}) < len(records):
            return [self._create(record) for record in records]  # the first of two has to stand
        return self._table.many(self._create, records)

    def _create(self, record: Record) -> Record | None:
        line = listings.line_of(record, self._expires(record.id))
        if line is not None:
            self._table.put(line)
        stood = self._table.put_if(self._item(record), FREE)
        return None if stood is None else decode_record(unpacked(stood))

    def _announce_days(self, records: Sequence[Record]) -> None:
        """Before a day's first record of a cost centre the day is listed, so that a range is read
        where there is something and nowhere else."""
        for cost_centre, millisecond in {
            (record.cost_centre, keys.millisecond_of(record.id) // keys.DAY * keys.DAY)
            for record in records
        }:
            day = keys.days_partition(cost_centre), keys.day_sort(millisecond)
            if day in self._days:
                continue
            # Kept a day longer than the last record of its day.
            expires = (millisecond + 2 * keys.DAY) // 1000 + int(self._retention)
            self._table.put(keyed(day, expires=number(expires)))
            if len(self._days) >= _KNOWN_DAYS:
                self._days.clear()
            self._days.add(day)

    def replace(self, records: Sequence[Record]) -> list[Record | None]:
        if len({key_of(record) for record in records}) < len(records):
            return [self._replace(record) for record in records]
        return self._table.many(self._replace, records)

    def _replace(self, record: Record) -> Record | None:
        new: Record = replace(record, version=record.version + 1)
        stood = self._table.put_if(self._item(new), "v = :v", {":v": number(record.version)})
        return new if stood is None else None

    def _item(self, record: Record) -> Item:
        item = keyed(
            keys.record_keys(key_of(record)),
            v=number(record.version),
            body=packed(encode(record)),
            expires=self._expires(record.id),
        )
        if isinstance(record, Message) and record.to:
            item["to_number"] = text(record.to)
        return item

    def _expires(self, identifier: str) -> Item:
        """An id's time is when its message was due."""
        return number(keys.millisecond_of(identifier) // 1000 + int(self._retention))

    def records(self, keys_: Sequence[Key]) -> list[Record | None]:
        # What is not an id of ours, as an upstream may tell it, is the key of nothing.
        wanted = {key: keys.record_keys(key) for key in keys_ if is_id(key.id)}
        found = self._table.get_all(wanted.values())
        items = [found.get(wanted[key]) if key in wanted else None for key in keys_]
        return [decode_record(unpacked(item)) if item else None for item in items]

    def records_between(
        self, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        lower, upper = keys.id_bounds(since, until, after)
        if lower >= upper:
            return []

        def read(partition: str) -> list[Item]:
            return self._table.items(partition, lower, upper, limit + 1)

        hours = self._hours(cost_centre, lower, upper)
        found: list[Item] = []
        place, width = 0, 1
        while place < len(hours) and len(found) < limit:
            these = product(hours[place : place + width], range(keys.RECORD_SHARDS))
            partitions = [keys.record_partition(cost_centre, *one) for one in these]
            items = [item for page in self._table.many(read, partitions) for item in page]
            items.sort(key=_sort_key)
            # The bounds are no record's ids, but the one after which to go on is one.
            found += [item for item in items if _sort_key(item) > lower]
            # Where one hour was too little, the ones after it are read several at once.
            place, width = place + width, min(width * 2, _HOURS_AT_ONCE)
        return [decode_record(unpacked(item)) for item in found[:limit]]

    def _hours(self, cost_centre: str, lower: str, upper: str) -> list[int]:
        """The hours between two ids in which there may be records."""
        first, last = keys.millisecond_of(lower), keys.millisecond_of(upper)
        days = self._table.items(
            keys.days_partition(cost_centre), keys.day_sort(first), keys.day_sort(last)
        )
        hours = [int(day["sk"]["S"]) * 24 + hour for day in days for hour in range(24)]
        return [hour for hour in hours if first // keys.HOUR <= hour <= last // keys.HOUR]

    def listed(
        self, kind: str, cost_centre: str, since: float, until: float, after: str, limit: int
    ) -> list[Record]:
        its_type = listings.KINDS[kind]
        lower, upper = keys.id_bounds(since, until, after)
        while lower < upper:
            ids = listings.ids_in(self._table, kind, cost_centre, (lower, upper), limit)
            if not ids:
                break
            stood = self.records([Key(cost_centre, identifier) for identifier in ids])
            found = [record for record in stood if isinstance(record, its_type)]
            if found:
                return list(found)
            lower = ids[-1]  # none of these lines leads to anything
        return []

    def newest_to(self, number: str, limit: int) -> list[Key]:
        if not number:
            return []
        # A few dozen keys are one unit of reading, as one is.
        found = self._table.last_of_index("by-number", "to_number", number, limit)
        return [Key(keys.cost_centre_in(item["pk"]["S"]), item["sk"]["S"]) for item in found]

    # --- refs, remembered keys -------------------------------------------------------------------

    def put_refs(self, refs: Sequence[tuple[str, str, Key]]) -> None:
        self._table.put_all(
            keyed(
                keys.ref_keys(connector, upstream_id),
                cost_centre=text(key.cost_centre),
                id=text(key.id),
                expires=self._expires(key.id),
            )
            for connector, upstream_id, key in refs
        )

    def by_refs(self, refs: Sequence[tuple[str, str]]) -> list[Key | None]:
        wanted = [keys.ref_keys(connector, upstream_id) for connector, upstream_id in refs]
        found = self._table.get_all(wanted)
        items = [found.get(key) for key in wanted]
        return [Key(item["cost_centre"]["S"], item["id"]["S"]) if item else None for item in items]

    def recall(self, cost_centre: str, key: str, now: float) -> Remembered | None:
        item = self._table.get(keys.remembered_keys(cost_centre, key))
        entry = msgspec.json.decode(unpacked(item), type=Remembered) if item else None
        return entry if entry and entry.at > now - _REMEMBERED_SECONDS else None

    def remember(self, entry: Remembered) -> Remembered | None:
        # The time to live may be days late, and a key is free again after one.
        stood = self._table.put_if(
            _remembered(entry),
            f"{FREE} OR asked_at <= :yesterday",
            {":yesterday": number(entry.at - _REMEMBERED_SECONDS)},
        )
        return None if stood is None else msgspec.json.decode(unpacked(stood), type=Remembered)

    def mark_queued(self, entry: Remembered) -> None:
        self._table.put(_remembered(replace(entry, queued=True)))

    # --- what waits for its hour, buckets --------------------------------------------------------

    def hold(self, held: Held) -> None:
        self._held.hold(held)

    def due(self, now: float, limit: int) -> list[Held]:
        return self._held.due(now, limit)

    def release(self, held: Sequence[Held]) -> None:
        self._held.release(held)

    def held(self, due_at: float, identifier: str) -> Held | None:
        return self._held.held(due_at, identifier)

    def held_of(self, group: str, after: Held | None, limit: int) -> list[Held]:
        return self._held.held_of(group, after, limit)

    def take(self, bucket: str, amount: int, limit: int, now: float) -> bool:
        if amount > limit:
            return False
        # Where an answer is lost it is counted twice: a limit may be met early, never passed.
        expires = int(now) + _BUCKET_SECONDS
        where = keys.bucket_keys(bucket, int(now))
        return self._table.add(where, {"taken": amount}, limit, expires)

    # --- configuration ---------------------------------------------------------------------------

    def config(self, kind: str, name: str) -> bytes | None:
        if not 0 < len(name.encode()) <= _LONGEST_SORT_KEY:  # a login as somebody may write it
            return None
        item = self._config.get((kind, name))
        return _bytes(item) if item else None

    def configs(self, kind: str) -> list[bytes]:
        return [_bytes(item) for item in self._config.items(kind)]

    def put_config(self, kind: str, name: str, body: bytes, version: int) -> bool:
        return _put_version(self._config, (kind, name), body, version, first=0)

    def remove_config(self, kind: str, name: str, version: int) -> bool:
        # Nothing there is as good: a second try must not take its first for somebody else's.
        condition, values = f"{FREE} OR v = :v", {":v": number(version)}
        return self._config.delete_if((kind, name), condition, values)

    def endpoint(self, cost_centre: str) -> Endpoint:
        item = self._table.get(keys.endpoint_keys(cost_centre))
        return msgspec.json.decode(_bytes(item), type=Endpoint) if item else Endpoint(cost_centre)

    def put_endpoint(self, endpoint: Endpoint) -> bool:
        # Among the messages: who gives reports may write there, but not into the configuration.
        # The first write makes version 1 of what stood at 0 without an item.
        if endpoint.version < 1:
            return False
        body = msgspec.json.encode(endpoint)
        where = keys.endpoint_keys(endpoint.cost_centre)
        return _put_version(self._table, where, body, endpoint.version, first=1)

    # --- what this engine has no need of ---------------------------------------------------------

    def expire(self, now: float, limit: int) -> int:  # noqa: ARG002 - the tables do it by themselves
        return 0

    def settle(self) -> None:
        """Writes are durable when their calls return."""


def _sort_key(item: Item) -> str:
    sort_key: str = item["sk"]["S"]
    return sort_key


def _remembered(entry: Remembered) -> Item:
    return keyed(
        keys.remembered_keys(entry.cost_centre, entry.key),
        asked_at=number(entry.at),
        body=text(msgspec.json.encode(entry).decode()),
        expires=number(int(entry.at) + _REMEMBERED_SECONDS),
    )


def _put_version(table: Table, where: keys.Keys, body: bytes, version: int, *, first: int) -> bool:
    """Writes version `version` over the one before it; the first where nothing stands."""
    item = keyed(where, v=number(version), body={"B": body})
    if version == first:
        return table.put_if(item, FREE) is None
    return table.put_if(item, "v = :v", {":v": number(version - 1)}) is None


def _bytes(item: Item) -> bytes:
    return bytes(item["body"]["B"])
