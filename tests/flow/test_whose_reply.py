"""Whose a reply is: the customer's whose message went through the upstream that tells of it."""

import msgspec
import pytest

from recado.accept import accept
from recado.connectors import Incoming, Upstream
from recado.connectors.smpp import raw_of
from recado.dialects import Ask, Wish, zoug
from recado.mailbox import MailedReply
from recado.message import Key, Reply, encode
from recado.observability import counts
from recado.replies import Told, keep
from recado.smpp import pdu
from recado.smpp.pdu import Address, ShortMessage
from tests.support.bound import NUMBER, BoundTo, cost_centre_of, mailed
from tests.support.smpp_place import smpp_login
from tests.support.world import World

DAY = 86_400.0


@pytest.fixture
def bank(world: World) -> str:
    return smpp_login(world, "bank", callback_url="")


@pytest.fixture
def shop(world: World) -> str:
    return smpp_login(world, "shop", callback_url="")


@pytest.fixture
def smsc(world: World) -> BoundTo:
    settings = {"host": "other.example", "system_id": "us"}
    other = Upstream(name="other", kind="smpp", settings=settings)
    assert world.bare.store.put_config("upstream", "other", msgspec.json.encode(other), 0)
    return BoundTo(world)


def sent(world: World, which: str, source: str = "") -> str:
    """A message of this customer went to the number: its id."""
    cost_centre = cost_centre_of(world, which)
    ask = Ask(
        wishes=(Wish(NUMBER, "oi"),),
        numbering=zoug.numbering(cost_centre),
        registered=0,
        source=source,
    )
    identifier = accept(ask, cost_centre, zoug.NAME, world.deps).id
    world.drain(receipts=False)
    world.now += 60.0
    return identifier


def tell(world: World, connector: str, destination: str = "28001") -> None:
    """A reply comes over a bind of this connector."""
    body = pdu.message_body(
        ShortMessage(source=Address(1, 1, NUMBER), destination=Address(3, 0, destination))
    )
    raw = raw_of(connector, pdu.DELIVER_SM, body, world.now)
    world.bare.queue.send("Inbound", [encode(raw)], "")
    world.drain(receipts=False)


def answered(world: World, *which: str) -> list[list[str]]:
    """Of these customers: the messages that the replies in their mailboxes answer."""
    return [
        [mail.message_id for mail in mailed(world, one) if isinstance(mail, MailedReply)]
        for one in which
    ]


def test_what_an_upstream_tells_of_that_carried_none_of_the_messages_reaches_nobody(
    world: World, smsc: BoundTo, bank: str, shop: str
) -> None:
    before = counts().get("replies_of_a_stranger", 0)
    sent(world, bank, source="28001")
    sent(world, shop)
    tell(world, "other")
    assert answered(world, bank, shop) == [[], []]
    world.run(DAY + 3_600.0, step=300.0, receipts=False)
    assert answered(world, bank, shop) == [[], []]
    assert world.dead_letters() == 1
    assert counts()["replies_of_a_stranger"] == before + 1


def test_what_comes_from_a_number_that_nobody_wrote_to_is_no_strangers(
    world: World, smsc: BoundTo
) -> None:
    before = counts()
    tell(world, "smsc")
    world.run(DAY + 3_600.0, step=300.0, receipts=False)
    assert world.dead_letters() == 1
    assert counts()["callbacks_unmatched"] == before.get("callbacks_unmatched", 0) + 1
    assert counts().get("replies_of_a_stranger") == before.get("replies_of_a_stranger")


def test_a_newer_message_through_another_upstream_does_not_take_the_reply(
    world: World, smsc: BoundTo, bank: str, shop: str
) -> None:
    mine = sent(world, bank)
    world.route_is(upstream="simulator")
    sent(world, shop)
    tell(world, "smsc")
    assert answered(world, bank, shop) == [[mine], []]


def test_of_two_customers_it_is_that_ones_whose_source_was_answered(
    world: World, smsc: BoundTo, bank: str, shop: str
) -> None:
    mine, other = sent(world, bank, source="+28001"), sent(world, shop, source="28002")
    tell(world, "smsc", "28001")
    tell(world, "smsc", "28002")
    tell(world, "smsc", "29999")  # neither: the newest
    assert answered(world, bank, shop) == [[mine], [other, other]]


def test_an_upstream_can_name_no_message_that_went_through_another(
    world: World, smsc: BoundTo, bank: str
) -> None:
    mine = Key(bank, sent(world, bank))
    incoming = Incoming(NUMBER, "sim", "e1", destination="28001")
    assert keep(Told("other", incoming, world.now, mine, "body"), world.deps).record is None
    kept = keep(Told("smsc", incoming, world.now, mine, "body"), world.deps).record
    assert isinstance(kept, Reply)
    assert kept.message_id == mine.id
