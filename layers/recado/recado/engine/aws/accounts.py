"""What the store keeps about accounts: counters, balances with their ledger, and usage by day.

A balance and the ledger's entry that changed it are written in one transaction, the entry on the
condition that there is none: so whatever is done again changes nothing again. One item takes the
transactions of a cost centre one after another, some fifty a second: who meets another tries again.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from recado.engine import ACCOUNTS_KEPT, Entry, Held, Usage, place_of
from recado.engine.aws import keys
from recado.engine.aws.held import HeldMessages, items_of
from recado.engine.aws.parallel import rounds
from recado.engine.aws.table import (
    FREE,
    REFUSED,
    Item,
    Table,
    keyed,
    number,
    packed,
    unpacked,
)

_FIELD = "n#"  # tells a counter's fields from the item's other attributes
_ENTRIES_AT_ONCE = 25  # the more, the longer a transaction bars others from the balance
_EXACT_TURNS = 4
_BEFORE_ALL = "0"  # a lower bound may not be empty, and ids and days begin with a digit or a letter
_AFTER_ALL = "~"

_decoder = msgspec.json.Decoder(Entry)


class Accounts:
    """The part of the store that keeps accounts."""

    def __init__(
        self, table: Table, held: HeldMessages, clock: Callable[[], float], retention: float
    ) -> None:
        self._table, self._held, self._clock, self._retention = table, held, clock, retention
        self._kept = int(max(retention, ACCOUNTS_KEPT))

    # --- counters --------------------------------------------------------------------------------

    def add(
        self, counter: str, amounts: Mapping[str, int], *, limit: int | None, expires: float
    ) -> bool:
        if not amounts:
            return True
        fields = {f"{_FIELD}{field}": amount for field, amount in amounts.items()}
        return self._table.add(keys.counter_keys(counter), fields, limit, math.ceil(expires))

    def counts(self, counter: str) -> dict[str, int]:
        item = self._table.get(keys.counter_keys(counter)) or {}
        return {
            name.removeprefix(_FIELD): int(value["N"])
            for name, value in item.items()
            if name.startswith(_FIELD)
        }

    # --- charge ----------------------------------------------------------------------------------

    def charge(self, entry: Entry, held: Held) -> int | None:
        turns = rounds()
        while True:
            turn = next(turns)
            before = self.balance(entry.cost_centre)
            if before + entry.amount < 0:
                return self._again(entry, held) if self._stands(entry) else None
            if turn == 0:
                # Before, since nobody would come back to do it for what is charged already. A
                # minute that is not over stays on the list.
                self._held.list_minute(held)
            why_not = self._table.transact(self._writes(entry, held, before, turn))
            if not why_not:
                if held.due_at <= self._clock():
                    self._held.list_minute(held)  # a minute that is over may have left it
                exact = turn < _EXACT_TURNS
                return before + entry.amount if exact else self.balance(entry.cost_centre)
            if why_not[1] == REFUSED:
                return self._again(entry, held)

    def _writes(self, entry: Entry, held: Held, before: int, turn: int) -> list[Item]:
        # A transaction tells no values. So its first turns are taken only from the balance that was
        # read, and the one after it is known; where many charge at once, from any that suffices.
        exact = turn < _EXACT_TURNS
        condition = "amount = :bound" if exact else "amount >= :bound"
        absent = "attribute_not_exists(amount) OR " if before == 0 else ""
        balance = _balance_update(entry.cost_centre, entry.amount)
        balance["Update"]["ConditionExpression"] = f"{absent}{condition}"
        bound = number(before if exact else -entry.amount)
        balance["Update"]["ExpressionAttributeValues"][":bound"] = bound
        holding = items_of(held, self._clock(), self._retention)
        return [balance, self._entry_put(entry), *({"Put": {"Item": item}} for item in holding)]

    def _again(self, entry: Entry, held: Held) -> int:
        self._held.hold(held)
        return self.balance(entry.cost_centre)

    def _stands(self, entry: Entry) -> bool:
        return self._table.get(_entry_keys(entry)) is not None

    def _entry_put(self, entry: Entry) -> Item:
        """The write of an entry that does not stand yet."""
        item = keyed(
            _entry_keys(entry),
            body=packed(msgspec.json.encode(entry).decode()),
            expires=number(keys.millisecond_of(entry.id) // 1000 + self._kept),
        )
        return {"Put": {"Item": item, "ConditionExpression": FREE}}

    # --- credit, balance, ledger -----------------------------------------------------------------

    def credit(self, entries: Sequence[Entry]) -> list[bool]:
        accounts: dict[str, dict[keys.Keys, Entry]] = {}
        for entry in entries:
            accounts.setdefault(entry.cost_centre, {}).setdefault(_entry_keys(entry), entry)
        # Side by side those of one account would only meet each other.
        written = self._table.many(
            self._credit_account, [list(account.values()) for account in accounts.values()]
        )
        new = {_entry_keys(entry) for of_one in written for entry in of_one}
        told = []
        for entry in entries:
            told.append(_entry_keys(entry) in new)
            new.discard(_entry_keys(entry))
        return told

    def _credit_account(self, entries: Sequence[Entry]) -> list[Entry]:
        new: list[Entry] = []
        for start in range(0, len(entries), _ENTRIES_AT_ONCE):
            new += self._credit_some(entries[start : start + _ENTRIES_AT_ONCE])
        return new

    def _credit_some(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Credits one account with those of the entries that do not stand: these."""
        for _ in rounds():
            why_not = self._credit_all(entries)
            if REFUSED in why_not:
                told = zip(entries, why_not[1:], strict=True)
                entries = [entry for entry, why in told if why != REFUSED]
                why_not = self._credit_all(entries)
            if not why_not:
                break
        return entries

    def _credit_all(self, entries: Sequence[Entry]) -> list[str]:
        """In one transaction; why not, as `transact` tells it."""
        if not entries:
            return []
        balance = _balance_update(entries[0].cost_centre, sum(entry.amount for entry in entries))
        return self._table.transact([balance, *map(self._entry_put, entries)])

    def balance(self, cost_centre: str) -> int:
        item = self._table.get(keys.balance_keys(cost_centre))
        return int(item["amount"]["N"]) if item else 0

    def ledger(self, cost_centre: str, after: str, limit: int) -> list[Entry]:
        # The one after which to go on is read, too.
        items = self._table.items(
            keys.ledger_partition(cost_centre), after or _BEFORE_ALL, _AFTER_ALL, limit + 1
        )
        found = [item for item in items if item["sk"]["S"] > after]
        return [_decoder.decode(unpacked(item)) for item in found[:limit]]

    # --- usage -----------------------------------------------------------------------------------

    def put_usage(self, usage: Usage) -> None:
        day = datetime.fromisoformat(usage.day).replace(tzinfo=UTC)
        # Two days more: the day ends after it began, and somewhere late in UTC.
        expires = int(day.timestamp()) + 2 * keys.DAY // 1000 + self._kept
        body = packed(msgspec.json.encode(usage).decode())
        where = keys.usage_partition(usage.cost_centre), usage.day
        self._table.put(keyed(where, body=body, expires=number(expires)))

    def usages(self, cost_centre: str, first_day: str, last_day: str) -> list[Usage]:
        if first_day > last_day:  # bounds that DynamoDB would refuse
            return []
        items = self._table.items(keys.usage_partition(cost_centre), first_day, last_day)
        return [msgspec.json.decode(unpacked(item), type=Usage) for item in items]


def _entry_keys(entry: Entry) -> keys.Keys:
    return keys.ledger_partition(entry.cost_centre), place_of(entry)


def _balance_update(cost_centre: str, amount: int) -> Item:
    """The write that adds an amount to a balance. It has no time to live."""
    return {
        "Update": {
            "Key": keyed(keys.balance_keys(cost_centre)),
            "UpdateExpression": "ADD amount :amount",
            "ExpressionAttributeValues": {":amount": number(amount)},
        }
    }
