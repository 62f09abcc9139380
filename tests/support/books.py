"""A customer who pays in advance, and its books, in a world."""

from typing import Any

from recado.account_operations import credit_add
from recado.engine import Entry
from recado.message import Message
from tests.support.world import World

PRICE = 1_000  # of a unit: 0.10
LOGIN = "bia"


def payer(world: World, paid: str = "", login: str = LOGIN, **switches: Any) -> str:
    """A cost centre that pays in advance, and what it has paid; its id."""
    prices = {"prepaid": True, "price": PRICE, "voice_price": 3 * PRICE}
    identifier = world.cost_centre(login, **{**prices, **switches})
    if paid:
        credit_add(world.deps, login, paid)
    return identifier


def ledger(world: World, login: str = LOGIN) -> list[Entry]:
    return world.bare.store.ledger(world._which(login), "", 100_000)


def entries(world: World, kind: str, login: str = LOGIN) -> list[int]:
    return [entry.amount for entry in ledger(world, login) if entry.kind == kind]


def balance(world: World, login: str = LOGIN) -> int:
    """The balance, which is never below zero and is always the sum of the ledger."""
    left = world.bare.store.balance(world._which(login))
    assert left == sum(entry.amount for entry in ledger(world, login))
    assert left >= 0
    return left


def sent_by(world: World, login: str = LOGIN) -> list[Message]:
    """The messages of a customer that an upstream has, or perhaps has."""
    records = world.every_record(login)
    found = [record for record in records if isinstance(record, Message)]
    return [message for message in found if message.upstream_ids or message.maybe_sent]


def post(world: World, to: str = "5534998887755", text: str = "oi", **fields: Any) -> Any:
    """One message by Zoug's API: status and JSON."""
    asked = {"destination_addr": to, "message": text, **fields}
    return world.call("POST", "/message", asked, login=LOGIN)


def posted(world: World, **fields: Any) -> str:
    """One message that is taken: its id."""
    status, answer = post(world, **fields)
    assert status == 200, answer
    return str(answer["message_id"])


def post_batch(world: World, numbers: list[str], text: str = "oi", **fields: Any) -> Any:
    listed = [{"destination_addr": number, "message": text} for number in numbers]
    return world.call("POST", "/message/batch", {"list": listed, **fields}, login=LOGIN)


def post_sms(world: World, **fields: Any) -> Any:
    """One request by Directcall's API, its credentials in a header: status and JSON."""
    asked = {"origem": "5534988887777", "destino": "5534998887755", "texto": "oi", **fields}
    return world.call("POST", "/sms/send", asked, login=LOGIN)
