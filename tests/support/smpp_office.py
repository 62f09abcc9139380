"""The customers' half of the service over a world: server, orders and delivery."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from recado.engine import Mail
from recado.mailbox import Mailed, MailedReceipt, MailedReply
from recado.message import encode
from recado.smpp import pdu as wire
from recado.smpp.pdu import DELIVER_SM, Pdu, ShortMessage
from smpp.delivery import Delivery
from smpp.hands import Hands as AnyHands
from smpp.mailbox import Rhythm
from smpp.orders import Orders
from smpp.server import Server, ServerSettings
from smpp.session import Limits
from tests.support.smpp_hands import Hands
from tests.support.smpp_place import PASSWORD, SYSTEM_ID
from tests.support.smpp_wire import Wire
from tests.support.world import START, World

QUICK = Rhythm(pause=0.02, longest_pause=0.1, retry=0.05, look=0.05)
NEVER = Rhythm(look=3_600.0)  # only who rings is heard


class Office:
    """A running server with its orders and its delivery."""

    def __init__(
        self, world: World, hands: AnyHands, rhythm: Rhythm, holder: str, **settings: Any
    ) -> None:
        self.world = world
        told = ServerSettings(port=0, refusal_seconds=0.05, **settings)
        self.server = Server(world.deps, hands, told, Orders(world.deps, hands))
        self.delivery = Delivery(world.deps, hands, self.server, holder, rhythm)
        self.server.on_bound = self.delivery.bound
        self.server.on_gone = self.delivery.gone
        world.deps.bell.heard = self.delivery.wake

    async def customer(self, command: int = wire.BIND_TRANSCEIVER) -> Wire:
        """A connection that is bound."""
        connected = await Wire.to(self.server.port)
        answer = await connected.bind(SYSTEM_ID, PASSWORD, command)
        assert answer.command_status == 0, answer
        return connected

    async def close(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(self.server.close(0.2), self.delivery.close())


@asynccontextmanager
async def office(
    world: World,
    rhythm: Rhythm = QUICK,
    *,
    hands: AnyHands | None = None,
    holder: str = "we",
    review_seconds: float = 30.0,
    **limits: Any,
) -> AsyncIterator[Office]:
    """An office that closes at the end."""
    settings = {"limits": Limits(**limits), "review_seconds": review_seconds}
    made = Office(world, hands or Hands(), rhythm, holder, **settings)
    await made.server.start()
    try:
        yield made
    finally:
        await made.close()


def receipt(n: int = 0, **fields: Any) -> MailedReceipt:
    """A receipt; its id and its text say which."""
    told = {"to": "5534998887755", "source": "27000", "stat": "DELIVRD", "err": "000"}
    times = {"submitted_at": START, "done_at": START + 60}
    return MailedReceipt(**{"message_id": f"id-{n}", "text": f"t{n}", **told, **times, **fields})


def reply(text: str = "sim", **fields: Any) -> MailedReply:
    told = {"source": "5534998887755", "destination": "27000", "message_id": "id"}
    return MailedReply(**{"text": text, "received_at": START, **told, **fields})


def post(
    world: World, cost_centre: str, *mailed: Mailed, first: int = 0, expires: float = START + 1e6
) -> list[Mail]:
    """Puts these into the mailbox, in their order, and rings nobody."""
    mails = [
        Mail(cost_centre, f"{first + n:013d}#id#2", encode(one), expires)
        for n, one in enumerate(mailed)
    ]
    world.bare.store.post(mails)
    return mails


def waiting(world: World, cost_centre: str) -> Sequence[Mail]:
    """What lies in the mailbox."""
    return world.bare.store.mails(cost_centre, "", 10_000)


async def until_empty(world: World, cost_centre: str) -> None:
    """Until all that was acknowledged is forgotten."""
    async with asyncio.timeout(10):
        while waiting(world, cost_centre):
            await asyncio.sleep(0.005)


async def delivered(customer: Wire) -> tuple[Pdu, ShortMessage]:
    """The next that is delivered: nothing else may come."""
    pdu = await customer.read()
    assert pdu.command == DELIVER_SM
    return pdu, wire.read_message(pdu.body)


async def taken(customer: Wire, amount: int, command_status: int = 0) -> list[str]:
    """So many receipts are delivered and answered: which, in their order."""
    found = []
    for _ in range(amount):
        pdu, message = await delivered(customer)
        found.append(name_of(message))
        customer.answer(pdu, b"\0", command_status)
    return found


def name_of(message: ShortMessage) -> str:
    """The text that a receipt of `receipt` quotes."""
    return message.payload.partition(b"text:")[2].decode()
