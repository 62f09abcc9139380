"""How things are found in the messages table: partition and sort key of each.

    cc#<cost centre>#<hour>#<shard>   <id>              a record; the hour is that of its id
    days#<cost centre>                <day>             says that the day has records
    list#<kind>#<cost centre>#<day>   <id>              says that the record is a batch, a reply
    ref#<connector>#<upstream id>     ref#<connector>   leads a receipt to its message
    idem#<cost centre>#<key>          idem#<cost c.>    an idempotency key
    due#<minute>#<shard>              <due at>#<id>     a queue message that waits for its hour
    due                               <minute>          says that the minute has some
    held#<group>                      <due at>#<id>     says whose queue message waits, and where
    take#<bucket>                     <second>          what a bucket took in that second
    endpoint#<cost centre>            endpoint          the state of a callback URL
    count#<counter>                   count             a counter's fields
    balance#<cost centre>             balance           what a cost centre has paid in advance
    ledger#<cost centre>              <id>#<kind>       an entry of its ledger
    usage#<cost centre>               <day>             what it sent in that day
    mail#<cost centre>                <place>           what waits for its bind
    lease#<name>                      lease             who holds it, and until when

A name that is part of both keys tells apart what a "#" inside a name would run together.
"""

import hashlib
import zlib
from typing import TypeAlias

from recado.ids import first_id
from recado.message import Key

Keys: TypeAlias = tuple[str, str]

RECORD_SHARDS = 8
"""Never to be changed: where a record lies follows from its id alone. A partition takes 1,000
writes a second and a message causes six, so a cost centre gets 1,300 messages a second."""

DUE_SHARDS = 4
HOUR = 3_600_000
DAY = 24 * HOUR
MINUTES = "due"

_LONGEST_NAME = 512  # DynamoDB takes keys of 2,048 and 1,024 bytes
_LAST_MILLISECOND = (1 << 48) - 2


def _short(name: str) -> str:
    """A name from outside, which may have any length."""
    encoded = name.encode()
    return name if len(encoded) <= _LONGEST_NAME else hashlib.sha256(encoded).hexdigest()


def millisecond_of(identifier: str) -> int:
    """The time in an id, exactly."""
    return int(identifier[:8] + identifier[9:13], 16)


def record_partition(cost_centre: str, hour: int, shard: int) -> str:
    return f"cc#{_short(cost_centre)}#{hour}#{shard}"


def record_keys(key: Key) -> Keys:
    """Raises ValueError where the id is none of ours."""
    shard = int(key.id[-1], 16) % RECORD_SHARDS  # an id's last digits are random
    hour = millisecond_of(key.id) // HOUR
    return record_partition(key.cost_centre, hour, shard), key.id


def cost_centre_in(partition: str) -> str:
    """Whose records lie in a partition."""
    return partition.removeprefix("cc#").rsplit("#", 2)[0]


def days_partition(cost_centre: str) -> str:
    return f"days#{_short(cost_centre)}"


def day_sort(millisecond: int) -> str:
    return f"{millisecond // DAY:07}"


def listing_partition(kind: str, cost_centre: str, day: str) -> str:
    """Where the ids of a day's records of one kind lie; the day as `day_sort` writes it."""
    return f"list#{kind}#{_short(cost_centre)}#{day}"


def id_bounds(since: float, until: float, after: str) -> Keys:
    """Ids of these times, both milliseconds included, that sort after the id `after` lie strictly
    between the two."""
    lower = max(after, _before_millisecond(_millisecond(since)))
    return lower, _before_millisecond(_millisecond(until) + 1)


def _millisecond(at: float) -> int:
    """The one in which the time lies. (`int(at * 1000)` is one less for some, such as 1.001.)"""
    nearest = round(min(max(at * 1000, 0), _LAST_MILLISECOND))
    return nearest if nearest / 1000 <= max(at, 0) else nearest - 1


def _before_millisecond(millisecond: int) -> str:
    return first_id((millisecond + 0.5) / 1000)


def ref_keys(connector: str, upstream_id: str) -> Keys:
    return f"ref#{_short(connector)}#{_short(upstream_id)}", f"ref#{_short(connector)}"


def remembered_keys(cost_centre: str, key: str) -> Keys:
    return f"idem#{_short(cost_centre)}#{_short(key)}", f"idem#{_short(cost_centre)}"


def bucket_keys(bucket: str, second: int) -> Keys:
    return f"take#{_short(bucket)}", str(second)


def endpoint_keys(cost_centre: str) -> Keys:
    return f"endpoint#{_short(cost_centre)}", "endpoint"


def counter_keys(counter: str) -> Keys:
    return f"count#{_short(counter)}", "count"


def balance_keys(cost_centre: str) -> Keys:
    return f"balance#{_short(cost_centre)}", "balance"


def ledger_partition(cost_centre: str) -> str:
    return f"ledger#{_short(cost_centre)}"


def usage_partition(cost_centre: str) -> str:
    return f"usage#{_short(cost_centre)}"


def mail_keys(cost_centre: str, place: str) -> Keys:
    """A mailbox is one partition, so that it is read in order: a cost centre gets 500 receipts a
    second, each of which is posted and forgotten."""
    return mail_partition(cost_centre), place


def mail_partition(cost_centre: str) -> str:
    return f"mail#{_short(cost_centre)}"


def lease_keys(name: str) -> Keys:
    return f"lease#{_short(name)}", "lease"


def minute_sort(at: float) -> str:
    return f"{int(at // 60):010}"


def due_partition(minute: str, shard: int) -> str:
    return f"due#{minute}#{shard}"


def held_keys(due_at: float, identifier: str) -> Keys:
    """Sorts by due date within the minute."""
    shard = zlib.crc32(identifier.encode()) % DUE_SHARDS
    return due_partition(minute_sort(due_at), shard), held_sort(due_at, identifier)


def held_sort(due_at: float, identifier: str) -> str:
    return f"{due_at:020.6f}#{_short(identifier)}"


def group_partition(group: str) -> str:
    """Lists what is held of a group, by due date and id."""
    return f"held#{_short(group)}"
