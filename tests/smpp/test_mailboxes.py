"""Mailboxes: answers that come late, leases that go, and clients older than 3.4."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    ENQUIRE_LINK,
    GENERIC_NACK,
    RESPONSE,
    framed,
)
from recado.smpp_mail import lease_of
from smpp.limits import Limits
from smpp.mailbox import Mailbox, Rhythm
from tests.support.smpp_hands import Hands
from tests.support.smpp_office import (
    NEVER,
    QUICK,
    Office,
    delivered,
    name_of,
    office,
    post,
    receipt,
    reply,
    taken,
    until_empty,
)
from tests.support.smpp_place import Counted, smpp_login
from tests.support.smpp_wire import Wire
from tests.support.world import START, World

Run = Callable[[Coroutine[Any, Any, None]], None]


async def nothing_comes(customer: Wire) -> None:
    """Nothing was delivered before this question was answered."""
    sequence = customer.ask(ENQUIRE_LINK)
    answer = await customer.read()
    assert (answer.command, answer.sequence) == (ENQUIRE_LINK | RESPONSE, sequence)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def mailbox_of(place: Office, cost_centre: str) -> Mailbox:
    return place.delivery._mailboxes[cost_centre]


# --- answers that come late ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_order", "command_status", "counts"),
    [
        (3, status.ESME_ROK, (1, 0)),
        (0, status.ESME_ROK, (1, 0)),
        (3, status.ESME_RX_P_APPN, (0, 1)),
    ],
    ids=["ready again", "set aside", "refused for good"],
)
def test_what_is_acknowledged_late_does_not_come_again(
    world: World, run: Run, in_order: int, command_status: int, counts: tuple[int, int]
) -> None:
    async def work() -> None:
        counted = Counted()
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        long = Rhythm(look=0.05, pause=3_600.0, longest_pause=3_600.0, in_order=in_order)
        async with office(world, long, response=0.05) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            await until(lambda: counted["mails_put_off"])
            customer.answer(pdu, b"\0", command_status)
            await until_empty(world, cost_centre)
            assert not mailbox_of(place, cost_centre)._letters.places(), "it waits nowhere"
            assert (counted["mails_delivered"], counted["mails_refused"]) == counts
            await customer.close()

    run(work())


@pytest.mark.parametrize("command_status", [status.ESME_RX_T_APPN, status.ESME_ROK])
def test_what_is_acknowledged_late_while_it_is_on_its_way_again_is_known(
    world: World, run: Run, command_status: int
) -> None:
    async def work() -> None:
        counted = Counted()
        cost_centre = smpp_login(world, smpp_window=1)
        post(world, cost_centre, receipt(0))
        async with office(world, QUICK, response=0.2) as place:
            customer = await place.customer(BIND_RECEIVER)
            first, _ = await delivered(customer)
            second, message = await delivered(customer)
            assert name_of(message) == "t0"
            customer.answer(first)
            await until_empty(world, cost_centre)
            customer.answer(second, b"", command_status)
            post(world, cost_centre, receipt(1), first=1)
            assert await taken(customer, 1) == ["t1"]
            await until_empty(world, cost_centre)
            assert counted["mails_delivered"] == 2
            await customer.close()

    run(work())


@pytest.mark.parametrize("nack", [True, False])
def test_a_late_answer_that_is_no_yes_changes_nothing(world: World, run: Run, nack: bool) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        async with office(world, QUICK, response=0.1) as place:
            customer = await place.customer(BIND_RECEIVER)
            first, _ = await delivered(customer)
            second, _ = await delivered(customer)
            if nack:
                customer.send(framed(GENERIC_NACK, first.sequence))
            else:
                customer.answer(first, b"", status.ESME_RX_T_APPN)
            await nothing_comes(customer)
            customer.answer(second)
            await until_empty(world, cost_centre)
            await customer.close()

    run(work())


def test_a_customer_that_always_answers_late_has_each_receipt_taken_from_its_mailbox(
    world: World, run: Run
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, *(receipt(n) for n in range(3)))
        async with office(world, QUICK, response=0.1) as place:
            customer = await place.customer(BIND_RECEIVER)
            loop = asyncio.get_running_loop()

            async def answers() -> None:
                while True:
                    pdu, _ = await delivered(customer)
                    loop.call_later(0.2, customer.answer, pdu)

            answering = asyncio.create_task(answers())
            await until_empty(world, cost_centre)
            answering.cancel()
            await customer.close()

    run(work())


# --- leases --------------------------------------------------------------------------------------


def test_the_time_before_a_leases_end_is_enough_for_every_answer() -> None:
    assert Rhythm().lapse == Limits().response
    assert Rhythm().lease - Rhythm().renew > Rhythm().lapse


def test_nothing_is_sent_that_may_be_unanswered_when_the_lease_ends(world: World, run: Run) -> None:
    async def work() -> None:
        hands = Hands()
        cost_centre = smpp_login(world, smpp_window=1)
        post(world, cost_centre, receipt(0), receipt(1))
        short = Rhythm(lease=0.8, renew=0.1, lapse=0.5, look=3_600.0)
        async with office(world, short, hands=hands, response=0.6) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            hands.held = []  # from here on the Store does not answer
            # It is its time that is tested; and a bit, for a loop's clock goes by milliseconds.
            await asyncio.sleep(short.lease - short.lapse + 0.1)
            customer.answer(pdu)
            for _ in range(3):
                await nothing_comes(customer)
            works, hands.held = hands.held, None
            for one in works:
                one()
            assert await taken(customer, 1) == ["t1"], "the lease is renewed"
            await until_empty(world, cost_centre)
            await customer.close()

    run(work())


def test_nothing_is_sent_while_the_lease_is_being_given_back(world: World, run: Run) -> None:
    async def work() -> None:
        hands = Hands()
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        lease = partial(world.bare.store.lease, lease_of(cost_centre))
        async with office(world, QUICK, hands=hands) as place:
            customer = await place.customer(BIND_RECEIVER)
            await delivered(customer)
            hands.held = []
            await customer.close()
            await until(lambda: not place.server.customers)
            await until(lambda: hands.held)
            giving, hands.held = hands.held, None
            customer = await place.customer(BIND_RECEIVER)  # its connection had only blinked
            for _ in range(3):
                await nothing_comes(customer)
            for one in giving:
                one()
            assert lease("they", START + 30, START), "it is given back by now"
            await nothing_comes(customer)
            lease("they", START, START)
            assert await taken(customer, 1) == ["t0"]
            await customer.close()

    run(work())


@pytest.mark.parametrize("gone", [True, False], ids=["taken by them", "left there"])
def test_what_was_on_its_way_when_somebody_else_had_the_mailbox_is_read_again(
    world: World, run: Run, gone: bool
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world, smpp_window=1)
        mails = post(world, cost_centre, receipt(0))
        lease = partial(world.bare.store.lease, lease_of(cost_centre))
        async with office(world, replace(QUICK, renew=0.02)) as place:
            first = await place.customer(BIND_RECEIVER)
            await delivered(first)
            second = await place.customer(BIND_RECEIVER)
            world.now += 100
            assert lease("they", world.now + 30, world.now)
            letters = mailbox_of(place, cost_centre)._letters
            reading = letters.reading
            await until(lambda: letters.reading > reading)
            if gone:
                world.bare.store.forget(mails)
            lease("they", world.now, world.now)
            await until(lambda: not lease("they", world.now, world.now) and _is_ours(lease, world))
            await first.close()
            await until(lambda: len(place.server.customers) == 1)
            if gone:
                post(world, cost_centre, receipt(1), first=1)
            assert await taken(second, 1) == ["t1" if gone else "t0"]
            await until_empty(world, cost_centre)
            await second.close()

    run(work())


def test_what_is_acknowledged_while_it_is_read_again_does_not_come_again(
    world: World, run: Run
) -> None:
    async def work() -> None:
        hands = Hands()
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        lease = partial(world.bare.store.lease, lease_of(cost_centre))
        async with office(world, replace(QUICK, renew=0.02), hands=hands, response=0.2) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            world.now += 100
            assert lease("they", world.now + 30, world.now)
            letters = mailbox_of(place, cost_centre)._letters
            await until(lambda: letters.reading > 1 and not letters.in_flight)
            hands.held = []
            await until(lambda: hands.held)
            lease("they", world.now, world.now)
            customer.answer(pdu)
            await nothing_comes(customer)
            reading, hands.held = hands.held, None
            for one in reading:
                one()
            await until_empty(world, cost_centre)
            await nothing_comes(customer)
            await customer.close()

    run(work())


def _is_ours(lease: Callable[[str, float, float], bool], world: World) -> bool:
    """Whether the mailbox is the office's again."""
    if lease("they", world.now + 30, world.now):
        lease("they", world.now, world.now)
        return False
    return True


# --- clients older than 3.4 ----------------------------------------------------------------------


async def bound_with(place: Office, version: int) -> Wire:
    customer = await Wire.to(place.server.port)
    answer = await customer.bind(command=BIND_TRANSCEIVER, version=version)
    assert answer.command_status == 0
    return customer


def test_a_client_older_than_3_4_has_receipts_without_optional_parameters(
    world: World, run: Run
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            old, new = await bound_with(place, 0x33), await bound_with(place, 0x34)
            post(world, cost_centre, receipt(0), receipt(1))
            place.delivery.wake(cost_centre)
            (told, plain), (_, full) = await delivered(old), await delivered(new)
            assert plain.tlvs == {}
            assert told.body.endswith(plain.text), "nothing follows"
            assert set(full.tlvs) == {wire.RECEIPTED_MESSAGE_ID, wire.MESSAGE_STATE}
            assert (plain.source, plain.esm_class) == (full.source, full.esm_class)
            assert {name_of(plain), name_of(full)} == {"t0", "t1"}
            await old.close()
            await new.close()

    run(work())


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("a" * 254, b"a" * 254),
        ("a" * 255, b"a" * 254),
        ("a" * 253 + "€", b"a" * 253),
        ("д" * 127, ("д" * 127).encode("utf-16-be")),
        ("д" * 128, ("д" * 127).encode("utf-16-be")),
        ("д" * 126 + "😀", ("д" * 126).encode("utf-16-be")),
        ("sim", b"sim"),
    ],
)
def test_a_client_older_than_3_4_has_the_beginning_of_a_long_reply(
    world: World, run: Run, text: str, octets: bytes
) -> None:
    async def work() -> None:
        post(world, smpp_login(world), reply(text))
        async with office(world, NEVER) as place:
            customer = await bound_with(place, 0x33)
            _, message = await delivered(customer)
            assert (message.text, message.tlvs) == (octets, {})
            await customer.close()

    run(work())
