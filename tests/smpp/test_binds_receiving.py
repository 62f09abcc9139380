"""Binds: what an SMSC tells is acknowledged once it is durable, and not before."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from recado.connectors import Incoming, RawCallback, Receipt, Upstream, smpp
from recado.message import State
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address, Pdu, ShortMessage
from recado.smpp.receipt import receipt_text
from tests.support.smsc import Smsc
from tests.support.smsc_binds import Bound, binding, plain
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]
_DELIVER_RESP = wire.DELIVER_SM | wire.RESPONSE


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with Smsc() as made:
        yield made


def receipt(identifier: str, stat: str = "DELIVRD") -> bytes:
    text = receipt_text(identifier, stat, "000", 0.0, 0.0)
    return wire.message_body(ShortMessage(esm_class=wire.RECEIPT, text=text))


def reply(text: str, source: str = "5534998887755") -> bytes:
    return wire.message_body(
        ShortMessage(
            source=Address(1, 1, source), destination=Address(3, 0, "27400"), text=text.encode()
        )
    )


def parsed(raw: RawCallback) -> Receipt | Incoming:
    [told] = smpp.parse_callback(raw, Upstream(name="smsc", kind="smpp"))
    return told


def answers(smsc: Smsc) -> list[Pdu]:
    return [answer for answer in smsc.answers if answer.command == _DELIVER_RESP]


def test_a_receipt_is_queued_as_it_came_and_acknowledged(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            smsc.tell(receipt("abc"))
            await smsc.until(lambda: bool(smsc.answers))
            [answer] = smsc.answers
            assert answer == Pdu(_DELIVER_RESP, 0, 1, b"\0")
            [raw] = bound.kept()
            assert (raw.upstream, raw.received_at) == ("smsc", world.now)
            assert parsed(raw) == Receipt(State.DELIVERED, "000", upstream_id="abc")

    run(scene())


def test_a_data_sm_is_heard_too(run: Run, world: World, smsc: Smsc) -> None:
    tlvs = {wire.RECEIPTED_MESSAGE_ID: b"abc\0", wire.MESSAGE_STATE: b"\5"}
    # service_type, two addresses, esm_class, registered_delivery, data_coding (4.7.1)
    body = b"\0" + b"\0\0\0" * 2 + bytes((wire.RECEIPT, 0, 0)) + wire.tlv_octets(tlvs.items())

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            smsc.tell(body, wire.DATA_SM)
            await smsc.until(lambda: bool(smsc.answers))
            [answer] = smsc.answers
            assert (answer.command, answer.command_status) == (wire.DATA_SM | wire.RESPONSE, 0)
            told = parsed(bound.kept()[0])
            assert told == Receipt(State.UNDELIVERABLE, "000", upstream_id="abc")

    run(scene())


def test_nothing_is_acknowledged_before_it_is_durable(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            bound.hands.held = []
            smsc.tell(receipt("abc"))
            while not bound.hands.held:
                await asyncio.sleep(0.001)
            smsc.tell(b"", wire.ENQUIRE_LINK)  # its answer overtakes what is not answered yet
            await smsc.until(lambda: bool(smsc.answers))
            assert not answers(smsc)
            held, bound.hands.held = bound.hands.held, None
            for work in held:
                work()
            await smsc.until(lambda: len(answers(smsc)) == 1)
            assert len(bound.kept()) == 1

    run(scene())


def test_what_could_not_be_made_durable_is_asked_for_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            world.database.connection.execute("PRAGMA query_only = ON")
            smsc.tell(receipt("abc"))
            await smsc.until(lambda: len(answers(smsc)) == 1)
            world.database.connection.execute("PRAGMA query_only = OFF")
            assert answers(smsc)[0].command_status == status.ESME_RX_T_APPN
            assert not bound.kept()
            smsc.tell(receipt("abc"))
            await smsc.until(lambda: len(answers(smsc)) == 2)
            assert answers(smsc)[1].command_status == 0
            assert len(bound.kept()) == 1

    run(scene())


def test_what_comes_in_one_turn_is_kept_by_few_works_and_each_is_answered(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            before = len(bound.hands.lanes)
            for number in range(300):
                smsc.tell(receipt(f"id-{number}"))
            await smsc.until(lambda: len(answers(smsc)) == 300)
            works = bound.hands.lanes[before:].count("smsc:smsc")
            assert 3 <= works < 300
            heard = [parsed(raw) for raw in bound.kept()]
            assert {told.upstream_id for told in heard} == {f"id-{n}" for n in range(300)}

    run(scene())


def test_what_makes_no_sense_from_an_smsc_is_refused_and_what_needs_no_answer_ignored(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            smsc.tell(b"\0\0\0\0\0\0", wire.ALERT_NOTIFICATION)
            smsc.tell(b"\0\0", wire.OUTBIND)
            smsc.tell(reply("oi"), wire.SUBMIT_SM)
            await smsc.until(lambda: bool(smsc.answers))
            [answer] = smsc.answers
            assert answer.command_status == status.ESME_RINVCMDID
            assert bound.states() == ["bound"]
            assert not bound.kept()

    run(scene())


def test_a_separate_receiver_hears_and_a_separate_transmitter_sends(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc, bind_mode="separate") as bound:
            await smsc.bound(2)
            commands = {asked.session: asked.command for asked in smsc.asked}
            assert sorted(commands.values()) == [wire.BIND_RECEIVER, wire.BIND_TRANSMITTER]
            smsc.tell(receipt("abc"))
            await smsc.until(lambda: bool(smsc.answers))
            assert len(bound.kept()) == 1
            modes = sorted(row["mode"] for row in bound.binds.states())
            assert modes == ["receiver", "transmitter"]

            await bound.exchange(plain(3))
            assert {commands[taken.session] for taken in smsc.taken} == {wire.BIND_TRANSMITTER}

    run(scene())


# --- replies that may come again -----------------------------------------------------------------


async def told(bound: Bound, smsc: Smsc, body: bytes) -> str:
    """The reply's event, once it is acknowledged."""
    before = len(bound.kept())
    smsc.tell(body)
    async with asyncio.timeout(10.0):
        while len(bound.kept()) == before or len(answers(smsc)) < before + 1:
            await asyncio.sleep(0.002)
    bound.world.now += 1.0
    heard = parsed(bound.kept()[-1])
    assert isinstance(heard, Incoming)
    return heard.upstream_event


def test_the_same_text_twice_is_two_replies(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            first = await told(bound, smsc, reply("Sim"))
            assert await told(bound, smsc, reply("Sim")) != first

    run(scene())


def test_a_reply_whose_answer_may_be_lost_is_the_same_when_it_comes_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            first = await told(bound, smsc, reply("Sim"))
            smsc.drop()
            await smsc.until(lambda: len(smsc.asked) == 2)
            await smsc.bound()
            assert await told(bound, smsc, reply("Sim")) == first
            assert await told(bound, smsc, reply("Sim")) != first
            assert await told(bound, smsc, reply("Não")) != first

    run(scene())


def test_a_reply_that_was_not_answered_when_its_bind_died_is_the_same_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            held: list[Callable[[], None]] = []
            bound.hands.held = held
            smsc.tell(reply("Sim"))
            while not held:
                await asyncio.sleep(0.001)
            smsc.drop()
            await bound.are("waiting")
            bound.hands.held = None
            for work in held:
                work()
            await bound.are("bound")
            await smsc.bound()
            world.now += 30.0
            smsc.tell(reply("Sim"))
            await smsc.until(lambda: len(answers(smsc)) == 1)
            first, second = [parsed(raw) for raw in bound.kept()]
            assert first == second

    run(scene())


def test_a_reply_that_was_refused_is_the_same_when_it_comes_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            began = world.now
            world.database.connection.execute("PRAGMA query_only = ON")
            smsc.tell(reply("Sim"))
            await smsc.until(lambda: len(answers(smsc)) == 1)
            world.database.connection.execute("PRAGMA query_only = OFF")
            world.now += 30.0
            smsc.tell(reply("Sim"))
            await smsc.until(lambda: len(answers(smsc)) == 2)
            [raw] = bound.kept()
            assert raw.received_at == began

    run(scene())
