"""What the store keeps for customers that bind to us: their mailboxes; and who holds a lease."""

import math
from collections.abc import Sequence

from recado.engine import Mail
from recado.engine.aws import keys
from recado.engine.aws.table import FREE, Item, Table, keyed, number, packed, text, unpacked

_LAST = "\U0010ffff"  # sorts behind every other character
_LEASE_KEPT = 86_400  # seconds after its end; more than clocks differ by


class Mailboxes:
    """The part of the store that keeps receipts and replies until their customer has them, and
    leases. A mail's expiry is kept in whole seconds, as a time to live has to be."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def post(self, mails: Sequence[Mail]) -> None:
        self._table.put_all(map(_item, mails))

    def mails(self, cost_centre: str, after: str, limit: int) -> list[Mail]:
        partition = keys.mail_partition(cost_centre)
        # The one after which to go on is read, too.
        bounds = (after, _LAST) if after else ("", "")
        items = self._table.items(partition, *bounds, limit + bool(after)) if limit > 0 else []
        found = [item for item in items if item["sk"]["S"] > after]
        return [_mail(cost_centre, item) for item in found[:limit]]

    def forget(self, mails: Sequence[Mail]) -> None:
        self._table.delete_all(keys.mail_keys(mail.cost_centre, mail.place) for mail in mails)

    def lease(self, name: str, holder: str, until: float, now: float) -> bool:
        where, mine = keys.lease_keys(name), {":holder": text(holder)}
        if until <= now:
            self._table.delete_if(where, "holder = :holder", mine)
            return False
        lease = keyed(
            where,
            holder=text(holder),
            over_at=number(until),
            expires=number(math.ceil(until) + _LEASE_KEPT),
        )
        condition = f"{FREE} OR holder = :holder OR over_at <= :now"
        return self._table.put_if(lease, condition, {**mine, ":now": number(now)}) is None


def _item(mail: Mail) -> Item:
    return keyed(
        keys.mail_keys(mail.cost_centre, mail.place),
        body=packed(mail.body),
        expires=number(math.ceil(mail.expires)),
    )


def _mail(cost_centre: str, item: Item) -> Mail:
    body = unpacked(item).decode()
    return Mail(cost_centre, item["sk"]["S"], body, float(item["expires"]["N"]))
