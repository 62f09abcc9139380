"""Client libraries that we did not write, and what a session is but requests: who asks whether the
other is there, and who takes its leave. The server runs here, so that it may be told to hurry."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiosmpplib as aio  # type: ignore[import-untyped]  # ships no type information
import pytest
import smpp34

from tests.support.smpp_clients import (
    LIBRARIES,
    Aiosmpplib,
    Place,
    Smpplib,
    Wish,
    bound,
    by_aiosmpplib,
    by_smpplib,
)
from tests.support.smpp_node import sent
from tests.support.smpp_office import Office, office, post, receipt, until_empty, waiting
from tests.support.smpp_place import PASSWORD, SYSTEM_ID, Counted, smpp_login
from tests.support.world import World

every_library = pytest.mark.parametrize("library", LIBRARIES)


def place_of(house: Office) -> Place:
    assert house.server.port is not None
    return Place(house.server.port, SYSTEM_ID, PASSWORD)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@every_library
def test_it_answers_when_it_is_asked_whether_it_is_there(world: World, library: str) -> None:
    smpp_login(world)

    async def work() -> None:
        async with (
            office(world, enquire=0.1, response=5.0) as house,
            bound(library, place_of(house)) as client,
        ):
            counted = Counted()
            if isinstance(client, Smpplib):  # it does nothing by itself
                for _ in range(3):
                    await asyncio.to_thread(client.read)
            await until(lambda: counted["smpp_pdus_in"] >= 3)
            assert counted["smpp_enquires_unanswered"] == 0
            [customer] = house.server.customers
            assert not customer.session.closed
            await client.leave()

    asyncio.run(work())


def test_smpplib_is_answered_when_it_asks(world: World) -> None:
    smpp_login(world)

    async def work() -> None:
        async with office(world) as house, by_smpplib(place_of(house), "receiver") as client:
            client.client._socket.settimeout(0.1)
            # Nothing comes: so it asks, and reads the answer.
            await asyncio.to_thread(client.client.read_once)
            answer = await asyncio.to_thread(client.client.read_pdu)
            assert (answer.command, answer.status) == ("enquire_link_resp", 0)

    asyncio.run(work())


def test_aiosmpplib_is_answered_when_it_asks(world: World) -> None:
    smpp_login(world)

    async def work() -> None:
        async with (
            office(world) as house,
            by_aiosmpplib(place_of(house), "receiver", enquire=0.1) as client,
        ):
            for _ in range(3):
                await client.read()
            assert all(isinstance(one, aio.EnquireLinkResp) for one in client.others)

    asyncio.run(work())


@every_library
def test_it_is_told_when_the_server_closes(world: World, library: str) -> None:
    smpp_login(world)

    async def work() -> None:
        async with office(world) as house:
            async with bound(library, place_of(house)) as client:
                await sent(client, Wish(to="5534998887755", registered=0))
                closing = asyncio.create_task(house.server.close(5.0))
                await goodbye(client)
                await closing
            assert not house.server.customers

    asyncio.run(work())


async def goodbye(client: Any) -> None:
    """What each does when it is told so."""
    if isinstance(client, Smpplib):
        request = await asyncio.to_thread(client.client.read_pdu)
        assert request.command == "unbind"
        client.client.disconnect()
    elif isinstance(client, Aiosmpplib):
        await client.read()
        assert isinstance(client.others[-1], aio.Unbind)
    else:
        assert isinstance(await client.smsc.next(), smpp34.Disconnected)


def test_a_receipt_that_aiosmpplib_can_not_read_keeps_no_other_from_it(world: World) -> None:
    """It reads network_error_code as ASCII: one that is none it answers with generic_nack."""
    cost_centre = smpp_login(world)

    async def work() -> None:
        async with office(world) as house:
            unreadable = receipt(0, err="200", stat="UNDELIV")
            post(world, cost_centre, unreadable, *[receipt(n) for n in range(1, 4)])
            async with by_aiosmpplib(place_of(house), "receiver") as client:
                read: set[str] = set()
                while len(read) < 3:
                    message, _ = await asyncio.wait_for(client.hook.came.get(), 30)
                    read |= {message.parse_receipt()["id"]} if message is not None else set()
                assert read == {"id-1", "id-2", "id-3"}
                await until(lambda: len(waiting(world, cost_centre)) == 1)
            # Another library reads it.
            async with by_smpplib(place_of(house), "receiver") as other:
                heard = await other.hear()
                assert (heard.id, heard.network_error_code) == ("id-0", b"\x03\x00\xc8")
                await until_empty(world, cost_centre)

    asyncio.run(work())
