"""What waits for its hour, filed by the minute at which it is due, and a list of those minutes.

The list is how the longest overdue is found, however long nobody looked. An entry is written before
its minute is listed, and a minute leaves the list only long after it was over, when it was found
empty, and under the condition that it was not listed anew meanwhile. So of an entry and its minute
on the list only the last-written may be missing, and whoever was writing it will try again.

Beside it each group has a listing of what it has waiting. A line of that is written before its
entry and removed after it: a line without an entry is passed over, and an entry has its line. (Not
where it is held anew in the very moment in which another releases it. It is due all the same.)
"""

from collections.abc import Callable, Sequence
from itertools import product

import msgspec

from recado.engine import Held
from recado.engine.aws.keys import (
    DUE_SHARDS,
    MINUTES,
    due_partition,
    group_partition,
    held_keys,
    held_sort,
    minute_sort,
)
from recado.engine.aws.table import Item, Page, Table, keyed, number, packed, text, unpacked

_GRACE = 600.0  # a minute stays on the list so long after its end
_AHEAD = 60.0  # a listed minute whose end is so far ahead is certainly still listed
_MINUTES_AT_ONCE = 4
_KNOWN_MINUTES = 10_000
_LAST = "~"  # sorts behind every digit

_decoder = msgspec.json.Decoder(Held)


def items_of(held: Held, now: float, retention: float) -> list[Item]:
    """What holding writes, in the order in which it has to be written, or all at once: the line in
    its group's listing, and the message itself. Its minute has to be put on the list as well
    (`HeldMessages.list_minute`): after them, or before where it is not over."""
    expires = _expires(held, now, retention)
    partition, sort_key = held_keys(held.due_at, held.id)
    body = packed(msgspec.json.encode(held).decode())
    line = keyed((group_partition(held.group), sort_key), due=text(partition), expires=expires)
    return [line, keyed((partition, sort_key), body=body, expires=expires)]


def _expires(held: Held, now: float, retention: float) -> Item:
    # From now on where it is overdue: what is left behind for so long must not vanish.
    return number(int(max(held.due_at, now) + retention))


class HeldMessages:
    """The part of the store that keeps held messages."""

    def __init__(self, table: Table, clock: Callable[[], float], retention: float) -> None:
        self._table, self._clock, self._retention = table, clock, retention
        self._listed: set[str] = set()  # minutes that this environment has put on the list

    def hold(self, held: Held) -> None:
        for item in items_of(held, self._clock(), self._retention):
            self._table.put(item)
        self.list_minute(held)

    def list_minute(self, held: Held) -> None:
        """Puts the minute of what was just held on the list, where it may not be on it yet."""
        now = self._clock()
        minute = minute_sort(held.due_at)
        if minute in self._listed and held.due_at > now + _AHEAD:
            return
        expires = _expires(held, now, self._retention)
        self._table.put(keyed((MINUTES, minute), expires=expires))
        if len(self._listed) >= _KNOWN_MINUTES:
            self._listed.clear()
        self._listed.add(minute)

    def due(self, now: float, limit: int) -> list[Held]:
        minutes = self._table.items(MINUTES, "0", minute_sort(now))
        found: list[Held] = []
        for start in range(0, len(minutes), _MINUTES_AT_ONCE):
            pages = self._pages(minutes[start : start + _MINUTES_AT_ONCE], now, limit)
            # Behind the end of a page that has more, another page's items may not be next.
            horizon = min((page[-1]["sk"]["S"] for page in pages if page.more), default=_LAST)
            items = [item for page in pages for item in page if item["sk"]["S"] <= horizon]
            held = [_decoder.decode(unpacked(item)) for item in items]
            held.sort(key=lambda one: (one.due_at, one.id))
            found += [one for one in held if one.due_at <= now]
            if len(found) >= limit or horizon != _LAST:
                break
        return found[:limit]

    def _pages(self, minutes: Sequence[Item], now: float, limit: int) -> list[Page]:
        """What each shard of these minutes holds. Minutes that are over and empty are forgotten."""

        def read(partition: str) -> Page:
            return self._table.page(partition, "0", _LAST, limit)

        shards = range(DUE_SHARDS)
        names = [minute["sk"]["S"] for minute in minutes]
        partitions = [due_partition(name, shard) for name, shard in product(names, shards)]
        pages = self._table.many(read, partitions)
        for place, minute in enumerate(minutes):
            own = pages[place * DUE_SHARDS : (place + 1) * DUE_SHARDS]
            if not any(own) and minute["sk"]["S"] < minute_sort(max(now - _GRACE, 0.0)):
                self._table.delete_as_read(minute)
        return pages

    def release(self, held: Sequence[Held]) -> None:
        # Side by side: tens of thousands may be due in one minute.
        entries = [held_keys(one.due_at, one.id) for one in held]
        lines = [(group_partition(one.group), held_sort(one.due_at, one.id)) for one in held]
        self._table.many(self._table.delete, entries)
        self._table.many(self._table.delete, lines)

    def held(self, due_at: float, identifier: str) -> Held | None:
        item = self._table.get(held_keys(due_at, identifier))
        return _decoder.decode(unpacked(item)) if item else None

    def held_of(self, group: str, after: Held | None, limit: int) -> list[Held]:
        partition = group_partition(group)
        last = held_sort(after.due_at, after.id) if after else ""
        found: list[Held] = []
        while len(found) < limit:
            # The one after which to go on is read, too.
            page = self._table.items(partition, last or "0", _LAST, limit - len(found) + 1)
            lines = [line for line in page if line["sk"]["S"] > last]
            if not lines:
                break
            last = lines[-1]["sk"]["S"]
            found += self._entries(lines)
        return found[:limit]

    def _entries(self, lines: Sequence[Item]) -> list[Held]:
        """What the lines of a listing lead to. One without an entry is just being written, or
        released, or what a process that died in the midst of it left."""
        wanted = [(line["due"]["S"], line["sk"]["S"]) for line in lines]
        entries = self._table.get_all(wanted)
        return [_decoder.decode(unpacked(entries[keys])) for keys in wanted if keys in entries]
