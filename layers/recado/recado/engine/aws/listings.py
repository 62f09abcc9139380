"""Which of a cost centre's records are batches, and which are replies: a line for each, by its day.

Messages have none: they are nearly all that there is, and each line costs a write. A record's line
is written before the record, so a line may lead to nothing (a process died in between, or another
kind of record had taken the id), but no record is without its line.
"""

from collections.abc import Sequence

from recado.engine.aws import keys
from recado.engine.aws.table import Item, Table, keyed
from recado.message import Batch, Record, Reply

KINDS: dict[str, type[Batch | Reply]] = {"batch": Batch, "reply": Reply}
_DAYS_AT_ONCE = 16


def line_of(record: Record, expires: Item) -> Item | None:
    """The line of a record of a listed kind."""
    for kind, its_type in KINDS.items():
        if isinstance(record, its_type):
            day = keys.day_sort(keys.millisecond_of(record.id))
            where = keys.listing_partition(kind, record.cost_centre, day), record.id
            return keyed(where, expires=expires)
    return None


def ids_in(
    table: Table, kind: str, cost_centre: str, between: keys.Keys, limit: int
) -> Sequence[str]:
    """Up to `limit` ids that have a line and lie strictly between the two."""
    lower, upper = between

    def read(partition: str) -> list[Item]:
        return table.items(partition, lower, upper, limit + 1)

    days = _days(table, cost_centre, lower, upper)
    found: list[str] = []
    place, width = 0, 1
    while place < len(days) and len(found) < limit:
        partitions = [
            keys.listing_partition(kind, cost_centre, day) for day in days[place : place + width]
        ]
        lines = [line for lines in table.many(read, partitions) for line in lines]
        # The lower bound may be an id, after which to go on; the upper one is none.
        found += [line["sk"]["S"] for line in lines if line["sk"]["S"] > lower]
        # Where one day was too little, the ones after it are read several at once.
        place, width = place + width, min(width * 2, _DAYS_AT_ONCE)
    return found[:limit]


def _days(table: Table, cost_centre: str, lower: str, upper: str) -> list[str]:
    """The days between two ids in which there are records, whatever their kind."""
    first, last = (keys.day_sort(keys.millisecond_of(bound)) for bound in (lower, upper))
    days = table.items(keys.days_partition(cost_centre), first, last)
    return [day["sk"]["S"] for day in days]
