"""Who is told to unbind: what it acknowledges counts, what it asks for depends, and it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from recado import operations
from recado.costcentre import KeptPassword, digest
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import BIND_RECEIVER, ENQUIRE_LINK, RESPONSE, SUBMIT_SM, UNBIND, framed
from smpp.customer import Customer
from smpp.session import Limits
from tests.support.smpp_office import NEVER, delivered, office, post, receipt, taken, waiting
from tests.support.smpp_place import SYSTEM_ID, put_login, serving, smpp_login
from tests.support.smpp_wire import MESSAGE, Wire
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]


def rotate(world: World, cost_centre: str) -> None:
    kept = KeptPassword(digest("another", b"pepper"))
    put_login(world, SYSTEM_ID, cost_centre, kept, version=1)


async def until_unbind(customer: Wire) -> wire.Pdu:
    """Reads on to our unbind."""
    pdu = await customer.read()
    while pdu.command != UNBIND:
        pdu = await customer.read()
    return pdu


async def told_until_closed(customer: Wire) -> set[int]:
    """Which command_status it still hears before its connection ends."""
    found = set()
    try:
        while True:
            found.add((await customer.read()).command_status)
    except (asyncio.IncompleteReadError, ConnectionError):
        return found


@pytest.mark.parametrize("why", ["rotated", "suspended"])
def test_who_may_not_be_bound_any_more_is_cut_off_however_it_floods(
    world: World, run: Run, why: str
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        limits = Limits(response=0.2)
        async with serving(world, review_seconds=0.05, limits=limits) as place:

            def order(customer: Customer, pdu: wire.Pdu) -> None:
                loop = asyncio.get_running_loop()
                loop.call_later(0.01, customer.session.respond, pdu, wire.id_body("id"))

            place.orders = order
            customer = await place.customer()
            orders = framed(SUBMIT_SM, 9, MESSAGE) * 200

            async def flood() -> None:
                while True:
                    customer.send(orders)
                    await customer.writer.drain()

            flooding = asyncio.create_task(flood())
            assert (await customer.read()).command_status == 0
            if why == "rotated":
                rotate(world, cost_centre)
            else:
                operations.costcentre_suspend(world.deps, cost_centre)
            await until_unbind(customer)  # and never answers it
            orders_taken = len(place.taken)
            assert status.ESME_RINVBNDSTS in await told_until_closed(customer)
            assert len(place.taken) == orders_taken
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
            await customer.close()

    run(work())


def test_what_it_asks_for_is_refused_who_may_not_be_bound_any_more(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with serving(world, review_seconds=0.05) as place:
            customer = await place.customer()
            rotate(world, cost_centre)
            unbind = await until_unbind(customer)
            told = await customer.call(SUBMIT_SM, MESSAGE)
            assert told.command_status == status.ESME_RINVBNDSTS
            assert (await customer.call(ENQUIRE_LINK)).command_status == 0
            customer.answer(unbind)
            assert await customer.until_closed() == b""
            assert place.taken == []
            await customer.close()

    run(work())


def test_who_unbinds_while_it_is_told_to_is_answered(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with serving(world, review_seconds=0.05) as place:
            customer = await place.customer()
            rotate(world, cost_centre)
            await until_unbind(customer)
            assert (await customer.call(UNBIND)).command == UNBIND | RESPONSE
            assert await customer.until_closed() == b""
            assert place.gone == place.bound
            await customer.close()

    run(work())


@pytest.mark.parametrize("how", ["the server closes", "its password was rotated"])
def test_it_may_acknowledge_what_it_is_being_told_before_it_hears_of_the_unbind(
    world: World, run: Run, how: str
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, *(receipt(n) for n in range(4)))
        async with office(world, NEVER, review_seconds=0.05) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdus = [(await delivered(customer))[0] for _ in range(4)]
            if how == "the server closes":
                closing = (place.server.close(30.0), place.delivery.close())
                ending = [asyncio.ensure_future(one) for one in closing]
            else:
                rotate(world, cost_centre)
                ending = []
            async with asyncio.timeout(10):
                while place.server.customers:
                    await asyncio.sleep(0.005)
            post(world, cost_centre, receipt(4), first=4)  # of which it is told no more
            place.delivery.wake(cost_centre)
            for pdu in pdus:
                sequence = customer.ask(ENQUIRE_LINK)
                answer = await customer.read()
                assert (answer.command, answer.sequence) == (ENQUIRE_LINK | RESPONSE, sequence)
                customer.answer(pdu, b"\0")
            unbind = await customer.read()
            assert unbind.command == UNBIND
            customer.answer(unbind)
            assert await customer.until_closed() == b""
            async with asyncio.timeout(10):
                await asyncio.gather(*ending)
            await customer.close()
        [left] = waiting(world, cost_centre)
        assert left.place.startswith(f"{4:013d}")

    run(work())


def test_it_may_acknowledge_after_it_has_answered_the_unbind_too(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0), receipt(1))
        async with office(world, NEVER, response=2.0) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdus = [(await delivered(customer))[0] for _ in range(2)]
            ending = asyncio.gather(place.server.close(0.4), place.delivery.close())
            unbind = await customer.read()  # half of that time later: it waits for it, it seems
            assert unbind.command == UNBIND
            customer.answer(unbind)
            sequence = customer.ask(ENQUIRE_LINK)
            assert (await customer.read()).sequence == sequence, "it is open still"
            for pdu in pdus:
                customer.answer(pdu, b"\0")
            assert await customer.until_closed() == b""
            async with asyncio.timeout(10):
                await ending
            assert waiting(world, cost_centre) == []
            await customer.close()

    run(work())


def test_who_acknowledges_nothing_keeps_no_server_from_closing(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        async with office(world, NEVER, response=0.1) as place:
            customer = await place.customer(BIND_RECEIVER)
            await delivered(customer)
            async with asyncio.timeout(10):
                await asyncio.gather(place.server.close(60.0), place.delivery.close())
            assert (await customer.read()).command == UNBIND
            assert await customer.until_closed() == b""
            await customer.close()
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 1) == ["t0"]
            await customer.close()

    run(work())
