"""One DynamoDB table in the verbs that the store needs, and nothing of what is in it.

A conditional write carries a token of its own, and its condition also holds over an item with that
token: botocore asks again after a lost answer, and its second try must not take its first for
somebody else's.
"""

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from recado.engine.aws.keys import Keys
from recado.engine.aws.parallel import Many, rounds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item: TypeAlias = dict[str, Any]
"""Attributes as DynamoDB writes them: {"S": text}, {"N": number as text}, {"B": bytes}."""

_READ_AT_ONCE = 100
_WRITTEN_AT_ONCE = 25
_TOKEN_BYTES = 6
# With its keys an item of so much text stays under the 1,024 bytes that a unit pays for.
_PLAIN_BYTES = 850

FREE = "attribute_not_exists(pk)"

REFUSED, BUSY = "refused", "busy"
_REASONS = {
    "None": "None",
    "ConditionalCheckFailed": REFUSED,
    "TransactionConflict": BUSY,
    "ThrottlingError": BUSY,
    "ProvisionedThroughputExceeded": BUSY,
}


class Page(list[Item]):
    """Items of one partition by their sort key. `more`: others follow."""

    more = False


class Table:
    """A table with keys pk and sk. What the service refuses is raised as botocore raises it, what
    it left over again and again as NotAllTaken."""

    def __init__(self, client: "DynamoDBClient", name: str, many: Many) -> None:
        self._client, self._name, self.many = client, name, many

    def put(self, item: Item) -> None:
        """Writes over whatever stands there."""
        self._client.put_item(TableName=self._name, Item={**item, "w": _token()})

    def put_if(self, item: Item, condition: str, values: Item | None = None) -> Item | None:
        """Writes where the condition holds. None: written; else what stood there, which may be
        nothing (an empty item)."""
        token = _token()
        try:
            self._client.put_item(
                TableName=self._name,
                Item={**item, "w": token},
                ConditionExpression=f"{condition} OR w = :w",
                ExpressionAttributeValues={**(values or {}), ":w": token},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            stood: Item = dict(refused.response).get("Item", {})  # type: ignore[assignment] # beside the Error that all have
            return stood
        return None

    def put_all(self, items: Iterable[Item]) -> None:
        """Writes over whatever stands there; of two items with the same keys, the last."""
        distinct = {(item["pk"]["S"], item["sk"]["S"]): item for item in items}
        self._write_all([{"PutRequest": {"Item": item}} for item in distinct.values()])

    def delete_all(self, keys: Iterable[Keys]) -> None:
        """Deletes those that are there."""
        self._write_all([{"DeleteRequest": {"Key": _key(key)}} for key in dict.fromkeys(keys)])

    def _write_all(self, requests: Sequence[Item]) -> None:
        self.many(self._write_chunk, _chunks(requests, _WRITTEN_AT_ONCE))

    def _write_chunk(self, requests: Sequence[Item]) -> None:
        left: Mapping[str, Any] = {self._name: requests}
        for _ in rounds():
            left = self._client.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
            if not left:
                return

    def add(self, keys: Keys, amounts: Mapping[str, int], most: int | None, expires: int) -> bool:
        """Adds to the item's numbers, all or none; not where one that grows would pass `most`."""
        names = {f"#n{place}": name for place, name in enumerate(amounts)}
        values = {f":n{place}": number(amount) for place, amount in enumerate(amounts.values())}
        conditions = []
        for place, amount in enumerate(amounts.values()):
            if most is not None and amount > 0:
                absent = f"attribute_not_exists(#n{place}) OR " if amount <= most else ""
                conditions.append(f"({absent}#n{place} <= :m{place})")
                values[f":m{place}"] = number(most - amount)
        options: Any = {"ConditionExpression": " AND ".join(conditions)} if conditions else {}
        added = ", ".join(f"#n{place} :n{place}" for place in range(len(amounts)))
        try:
            self._client.update_item(
                TableName=self._name,
                Key=_key(keys),
                UpdateExpression=f"ADD {added} SET expires = :expires",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**values, ":expires": number(expires)},
                **options,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def transact(self, writes: Sequence[Mapping[str, Any]]) -> list[str]:
        """Makes all of these writes, or none; each is a Put or an Update as DynamoDB writes it,
        without its table. Nothing where they were made; else for each why it was not, REFUSED
        (by its condition) or BUSY, or "None" where it would have been. Asked again by botocore it
        is the same transaction, by its token."""
        asked: Any = [
            {verb: {**write, "TableName": self._name} for verb, write in one.items()}
            for one in writes
        ]
        token = secrets.token_hex(16)
        try:
            self._client.transact_write_items(TransactItems=asked, ClientRequestToken=token)
        except self._client.exceptions.TransactionCanceledException as cancelled:
            reasons: Any = dict(cancelled.response).get("CancellationReasons", ())
            told = [_REASONS.get(reason["Code"], "") for reason in reasons]
            if "" in told or len(told) < len(writes):
                raise  # it can't be made, however often it is asked for
            return told
        return []

    def delete(self, keys: Keys) -> None:
        self._client.delete_item(TableName=self._name, Key=_key(keys))

    def delete_as_read(self, item: Item) -> None:
        """Deletes an item unless it was written again since it was read."""
        self.delete_if((item["pk"]["S"], item["sk"]["S"]), "w = :w", {":w": item["w"]})

    def delete_if(self, keys: Keys, condition: str, values: Item) -> bool:
        """Deletes where the condition holds: whether it did."""
        try:
            self._client.delete_item(
                TableName=self._name,
                Key=_key(keys),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def get(self, keys: Keys) -> Item | None:
        """One item, read consistently."""
        answer = self._client.get_item(TableName=self._name, Key=_key(keys), ConsistentRead=True)
        return answer.get("Item")

    def get_all(self, keys: Iterable[Keys]) -> dict[Keys, Item]:
        """Those of the items that are there, read consistently."""
        chunks = _chunks(list(dict.fromkeys(keys)), _READ_AT_ONCE)
        found = [item for items in self.many(self._get_chunk, chunks) for item in items]
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}

    def _get_chunk(self, keys: Sequence[Keys]) -> list[Item]:
        wanted = {"Keys": [_key(key) for key in keys], "ConsistentRead": True}
        left: Mapping[str, Any] = {self._name: wanted}
        found: list[Item] = []
        for _ in rounds():
            answer = self._client.batch_get_item(RequestItems=left)
            found += answer["Responses"].get(self._name, [])
            left = answer.get("UnprocessedKeys", {})
            if not left:
                break
        return found

    def page(self, partition: str, low: str, high: str, limit: int) -> Page:
        """The first items with sort keys from `low` to `high`, read consistently: at most `limit`,
        and at most 1 MB of them."""
        answer = self._query(partition, low, high, limit, None)
        page = Page(answer["Items"])
        page.more = "LastEvaluatedKey" in answer
        return page

    def items(
        self, partition: str, low: str = "", high: str = "", limit: int | None = None
    ) -> list[Item]:
        """The first `limit` items with sort keys from `low` to `high`, or with any where there is
        no `high`, by their sort keys; read consistently."""
        found: list[Item] = []
        start = None
        while limit is None or len(found) < limit:
            left = None if limit is None else limit - len(found)
            answer = self._query(partition, low, high, left, start)
            found += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                break
        return found

    def _query(
        self, partition: str, low: str, high: str, limit: int | None, start: Any
    ) -> dict[str, Any]:
        condition, values = "pk = :pk", {":pk": text(partition)}
        if high:
            condition += " AND sk BETWEEN :low AND :high"
            values |= {":low": text(low), ":high": text(high)}
        options: dict[str, Any] = {}
        if limit is not None:
            options["Limit"] = limit
        if start is not None:
            options["ExclusiveStartKey"] = start
        return dict(
            self._client.query(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                **options,
            )
        )

    def last_of_index(self, index: str, attribute: str, value: str, limit: int) -> list[Item]:
        """The keys of the items with the highest sort keys among those whose attribute has this
        value, the highest first. An index follows its table within the second or so."""
        answer = self._client.query(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=f"{attribute} = :value",
            ExpressionAttributeValues={":value": text(value)},
            ScanIndexForward=False,
            Limit=limit,
        )
        return answer["Items"]


def _token() -> dict[str, str]:
    return {"S": secrets.token_urlsafe(_TOKEN_BYTES)}


def _key(keys: Keys) -> dict[str, dict[str, str]]:
    return {"pk": text(keys[0]), "sk": text(keys[1])}


def _chunks(things: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [things[start : start + size] for start in range(0, len(things), size)]


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: float) -> dict[str, str]:
    return {"N": str(value)}


def packed(body: str) -> dict[str, Any]:
    """A body as it is, for whoever looks into the table; compressed where that saves units."""
    encoded = body.encode()
    return text(body) if len(encoded) <= _PLAIN_BYTES else {"B": zlib.compress(encoded)}


def unpacked(item: Item) -> bytes:
    """An item's body."""
    body = item["body"]
    return body["S"].encode() if "S" in body else zlib.decompress(bytes(body["B"]))


def keyed(keys: Keys, **attributes: Any) -> Item:
    """An item."""
    return {**_key(keys), **attributes}
