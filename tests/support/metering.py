"""Counts what AWS would bill for the calls of a client, by its own rules: moto's figures are wrong.

A write takes a unit for each KB of the whole item, and one for each index entry that it makes or
moves; in a transaction it takes two, also in one that was cancelled. A consistent read takes one
for each 4 KB, of a query all of its items together. (Amazon DynamoDB developer guide, "Read and
write operations", "Item sizes and formats" and "Amazon DynamoDB Transactions: How it works".)
"""

import math
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from msgspec import Struct

from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import Result, Thing

Item = dict[str, dict[str, Any]]


class Call(Struct, frozen=True):
    """One call: who made it, "dynamodb:PutItem", what it asked, what was answered. Calls of the
    same `turn` are made side by side."""

    by: str
    action: str
    params: dict[str, Any]
    answer: dict[str, Any]
    turn: int


class Meter:
    """Notes every call of some clients. `by`: on whose account the next calls go."""

    def __init__(self, clients: Clients) -> None:
        self.calls: list[Call] = []
        self.by = ""
        self._params: dict[str, Any] = {}
        self._turns = count()
        self._turn: int | None = None
        for client in (clients.dynamodb, clients.sqs, clients.s3, clients.secrets):
            client.meta.events.register("before-parameter-build", self._asked)
            client.meta.events.register("after-call", self._answered)

    def _asked(self, params: dict[str, Any], **_: Any) -> None:
        self._params = params

    def _answered(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        action = f"{model.service_model.service_name}:{model.name}"
        turn = next(self._turns) if self._turn is None else self._turn
        self.calls.append(Call(self.by, action, self._params, parsed, turn))

    def side_by_side(
        self, work: Callable[[Thing], Result], things: Sequence[Thing], /
    ) -> list[Result]:
        """A Many for an engine: one by one, but noted as one turn."""
        self._turn = next(self._turns)
        try:
            return [work(thing) for thing in things]
        finally:
            self._turn = None

    def during(self, work: Callable[[], Any]) -> list[Call]:
        """The calls that some work makes."""
        before = len(self.calls)
        work()
        return self.calls[before:]


def item_size(item: Item) -> int:
    """Bytes, as DynamoDB counts them."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return (len(content.strip("-").replace(".", "")) + 1) // 2 + 1
    if kind == "B":
        return len(content)
    raise ValueError(kind)


def write_units(calls: Sequence[Call]) -> int:
    """What the writes among these calls take."""
    return sum(_write_units(call) for call in calls)


def _write_units(call: Call) -> int:
    match call.action:
        case "dynamodb:PutItem":
            item = call.params["Item"]
            new = call.params.get("ConditionExpression", "").startswith("attribute_not_exists")
            # Replacing a record leaves its index entry, which holds keys alone, as it is.
            return _kilobytes(item, 1) + (1 if new and "to_number" in item else 0)
        case "dynamodb:BatchWriteItem":
            [requests] = call.params["RequestItems"].values()
            return sum(_kilobytes(request["PutRequest"]["Item"], 1) for request in requests)
        case "dynamodb:TransactWriteItems":
            # An update is one of a small item, as below.
            items = [write.get("Item", {}) for _, write in writes_of(call)]
            return 2 * sum(_kilobytes(item, 1) for item in items)
        case "dynamodb:UpdateItem" | "dynamodb:DeleteItem":
            return 1  # of small items, in these tests
    return 0


def writes_of(call: Call) -> list[tuple[str, dict[str, Any]]]:
    """The writes of a transaction: each its verb ("Put", "Update", ...) and what it asks."""
    return [pair for one in call.params["TransactItems"] for pair in one.items()]


def read_units(calls: Sequence[Call]) -> float:
    """What the reads among these calls take."""
    return sum(_read_units(call) for call in calls)


def _read_units(call: Call) -> float:
    match call.action:
        case "dynamodb:GetItem":
            return _kilobytes(call.answer.get("Item", {}), 4)
        case "dynamodb:BatchGetItem":
            [items] = call.answer["Responses"].values()
            [wanted] = call.params["RequestItems"].values()
            return sum(_kilobytes(item, 4) for item in items) + len(wanted["Keys"]) - len(items)
        case "dynamodb:Query":
            size = sum(item_size(item) for item in call.answer["Items"])
            whole = max(math.ceil(size / 4096), 1)
            return whole if call.params.get("ConsistentRead") else whole / 2
    return 0


def _kilobytes(item: Item, each: int) -> int:
    return max(math.ceil(item_size(item) / (each * 1024)), 1)
