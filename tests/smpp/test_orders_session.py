"""Orders over real connections: what is answered, when, and what is not."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from node.hands import GreenHands
from recado.message import Message
from recado.observability import counts
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSMITTER,
    ENQUIRE_LINK,
    QUERY_SM,
    RESPONSE,
    SUBMIT_SM,
)
from tests.support.smpp_asking import query_sm, read_query, submit_sm
from tests.support.smpp_hands import Hands
from tests.support.smpp_office import office
from tests.support.smpp_place import smpp_login
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_what_is_submitted_goes_and_is_found(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        async with office(world) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            told = await customer.call(SUBMIT_SM, submit_sm(b"ol\x7f"))
            identifier = wire.read_id(told.body)
            assert told.command == SUBMIT_SM | RESPONSE
            world.drain()
            record = world.record(identifier, "http-ana")
            assert isinstance(record, Message)
            assert (record.text, record.state) == ("olà", "DELIVERED")
            found = await customer.call(QUERY_SM, query_sm(identifier))
            assert read_query(found.body)[2] == 2
            await customer.close()

    run(work())


def test_nothing_is_answered_before_it_is_durable(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        hands = Hands()
        async with office(world, hands=hands) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            hands.held = []
            for _ in range(3):
                customer.ask(SUBMIT_SM, submit_sm())
            customer.ask(ENQUIRE_LINK)
            assert (await customer.read()).command == ENQUIRE_LINK | RESPONSE
            works, hands.held = hands.held, None
            assert len(works) == 3
            for one in works:
                one()
            answers = [await customer.read() for _ in range(3)]
            assert [(one.sequence, one.command_status) for one in answers] == [
                (2, 0),
                (3, 0),
                (4, 0),
            ]
            await customer.close()

    run(work())


def test_many_share_a_commit(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        world.database.schedule = asyncio.get_running_loop().call_soon
        async with office(world, hands=GreenHands(world.database)) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            before = world.database.commits
            for _ in range(50):
                customer.ask(SUBMIT_SM, submit_sm())
            answers = [await customer.read() for _ in range(50)]
            assert {one.command_status for one in answers} == {0}
            assert world.database.commits - before < 10
            await customer.close()
        world.database.commit()
        world.database.schedule = None
        world.drain()
        assert len(world.taken) == 50

    run(work())


def test_what_could_not_be_made_durable_is_our_fault(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        world.database.schedule = asyncio.get_running_loop().call_soon
        connection = world.database.connection
        async with office(world, hands=GreenHands(world.database)) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            world.database.commit()
            [[pages]] = connection.execute("PRAGMA page_count").fetchall()
            connection.execute(f"PRAGMA max_page_count = {pages}")  # the disk is full
            tlvs = {wire.MESSAGE_PAYLOAD: b"a" * 1_500}
            for _ in range(20):
                customer.ask(SUBMIT_SM, submit_sm(b"", tlvs=tlvs))
            answers = [await customer.read() for _ in range(20)]
            assert status.ESME_RSYSERR in {one.command_status for one in answers}
            good = [wire.read_id(one.body) for one in answers if not one.command_status]
            assert all(one.body == b"" for one in answers if one.command_status)
            connection.execute("PRAGMA max_page_count = 1000000")
            told = await customer.call(SUBMIT_SM, submit_sm())
            assert told.command_status == 0
            await customer.close()
        world.database.commit()
        world.database.schedule = None
        world.drain()
        gone = {one["reference"].split("#")[-1][-36:] for one in world.taken}
        assert gone == {*good, wire.read_id(told.body)}, "what had a yes, and nothing else"

    run(work())


def test_a_fault_of_ours_is_counted_and_the_next_is_answered(
    make_world: Callable[..., World], run: Run
) -> None:
    async def work() -> None:
        world = make_world()
        cost_centre = smpp_login(world)
        async with office(world) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            before = counts().get("faults", 0)
            world.database.connection.execute("ALTER TABLE queue RENAME TO lost")
            told = await customer.call(SUBMIT_SM, submit_sm())
            assert (told.command_status, told.body) == (status.ESME_RSYSERR, b"")
            assert counts()["faults"] == before + 1
            world.database.connection.execute("ALTER TABLE lost RENAME TO queue")
            told = await customer.call(SUBMIT_SM, submit_sm())
            assert told.command_status == 0
            await customer.close()
        assert world.deps.directory.cost_centre(cost_centre) is not None

    run(work())


def test_a_receiver_may_not_submit(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        async with office(world) as place:
            customer = await place.customer(BIND_RECEIVER)
            told = await customer.call(SUBMIT_SM, submit_sm())
            assert told.command_status == status.ESME_RINVBNDSTS
            await customer.close()
        world.drain()
        assert world.taken == []

    run(work())


def test_what_comes_beyond_the_window_waits_and_is_answered(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world, smpp_window=3)
        hands = Hands()
        async with office(world, hands=hands) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            hands.held = []
            for _ in range(10):
                customer.ask(SUBMIT_SM, submit_sm())
            customer.ask(ENQUIRE_LINK)
            assert (await customer.read()).command == ENQUIRE_LINK | RESPONSE
            assert len(hands.held) == 3
            works, hands.held = hands.held, None
            for one in works:
                one()
            answers = [await customer.read() for _ in range(10)]
            assert [one.sequence for one in answers] == list(range(2, 12))
            assert {one.command_status for one in answers} == {0}
            await customer.close()

    run(work())


def test_what_was_asked_before_the_connection_broke_is_done(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        hands = Hands()
        async with office(world, hands=hands) as place:
            customer = await place.customer(BIND_TRANSMITTER)
            hands.held = []
            customer.ask(SUBMIT_SM, submit_sm())
            customer.ask(ENQUIRE_LINK)
            await customer.read()
            await customer.close()
            async with asyncio.timeout(10):
                while place.server.customers:
                    await asyncio.sleep(0.005)
            works, hands.held = hands.held, None
            works[0]()
        world.drain()
        assert len(world.taken) == 1

    run(work())
