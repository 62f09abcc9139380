"""Delivery over real connections: what waits in a mailbox goes to whoever is bound, in order, and
is forgotten only once it was acknowledged."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from recado.engine import Engine, Mail
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSMITTER,
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    RESPONSE,
    SUBMIT_MULTI,
    SUBMIT_SM,
    Address,
    framed,
)
from recado.smpp.receipt import is_receipt, read_receipt
from recado.smpp_mail import lease_of
from tests.support.meddling import Meddling
from tests.support.smpp_asking import read_multi, submit_multi, submit_sm
from tests.support.smpp_office import (
    NEVER,
    QUICK,
    delivered,
    name_of,
    office,
    post,
    receipt,
    reply,
    taken,
    until_empty,
    waiting,
)
from tests.support.smpp_place import Counted, smpp_login
from tests.support.smpp_wire import Wire
from tests.support.world import START, World

Run = Callable[[Coroutine[Any, Any, None]], None]
PHONE = "5534998887755"


async def nothing_comes(customer: Wire) -> None:
    """Nothing was delivered before this question was answered."""
    sequence = customer.ask(ENQUIRE_LINK)
    answer = await customer.read()
    assert (answer.command, answer.sequence) == (ENQUIRE_LINK | RESPONSE, sequence)


# --- what it looks like --------------------------------------------------------------------------


def test_a_receipt_comes_to_the_bind_that_submitted(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            customer = await place.customer()
            tlvs = {wire.USER_MESSAGE_REFERENCE: b"\x01\x00"}
            source = Address(1, 1, "5511999990000")
            body = submit_sm(b"bom dia", registered_delivery=1, tlvs=tlvs, source=source)
            told = await customer.call(SUBMIT_SM, body)
            world.drain(receipts=False)
            world.now += 90
            up = world.receipts[0]
            world.receipts[:] = [world.receipt(up["id"], up["reference"], "UNDELIV", "034")]
            world.drain()
            pdu, message = await delivered(customer)
            assert (message.esm_class, message.data_coding) == (0x04, 0)
            assert message.source == Address(1, 1, PHONE)
            assert message.destination == source
            assert message.tlvs == {
                wire.RECEIPTED_MESSAGE_ID: told.body,
                wire.MESSAGE_STATE: b"\x05",
                wire.NETWORK_ERROR_CODE: b"\x03\x00\x22",
                wire.USER_MESSAGE_REFERENCE: b"\x01\x00",
            }
            # 2026-05-28 20:26:40 UTC is 17:26 in São Paulo.
            assert message.text.decode() == (
                f"id:{wire.read_id(told.body)} sub:001 dlvrd:000 submit date:2605281726 "
                "done date:2605281728 stat:UNDELIV err:034 text:bom dia"
            )
            customer.answer(pdu, b"\0")
            await until_empty(world, cost_centre)
            await customer.close()

    run(work())


def test_no_receipt_comes_of_what_was_to_have_none(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            customer = await place.customer()
            await customer.call(SUBMIT_SM, submit_sm(registered_delivery=0))
            world.drain()
            assert world.taken
            assert waiting(world, cost_centre) == []
            await nothing_comes(customer)
            await customer.close()

    run(work())


def test_receipts_of_a_submit_multi_have_its_id(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        async with office(world, NEVER) as place:
            customer = await place.customer()
            body = submit_multi(PHONE, "5511998887755", registered_delivery=1)
            identifier, _ = read_multi((await customer.call(SUBMIT_MULTI, body)).body)
            world.drain()
            sources = set()
            for _ in range(2):
                pdu, message = await delivered(customer)
                assert is_receipt(message)
                assert read_receipt(message).id == identifier
                sources.add(message.source.digits)
                customer.answer(pdu)
            assert sources == {PHONE, "5511998887755"}
            await customer.close()

    run(work())


def test_a_reply_comes_with_esm_class_0(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        async with office(world, NEVER) as place:
            customer = await place.customer()
            await customer.call(SUBMIT_SM, submit_sm())
            world.drain()
            event = {"event": "reply", "id": "mo-1", "from": PHONE, "text": "não", "to": "27000"}
            in_reply_to = {"in_reply_to": world.taken[0]["id"]}
            assert world.tell({**event, **in_reply_to}) in (200, 204)
            world.drain()
            _, message = await delivered(customer)
            assert (message.esm_class, message.data_coding) == (0, 8)
            assert message.text.decode("utf-16-be") == "não"
            assert message.source == Address(1, 1, PHONE)
            assert message.destination == Address(0, 1, "27000")
            assert message.tlvs == {}
            await customer.close()

    run(work())


@pytest.mark.parametrize(
    ("text", "data_coding", "octets"),
    [
        ("olà €", 0, b"ol\x7f \x1b\x65"),
        ("a" * 254, 0, b"a" * 254),
        ("a" * 255, 0, b"a" * 255),
        ("д" * 200, 8, ("д" * 200).encode("utf-16-be")),
    ],
    ids=["gsm", "fits", "does not fit", "ucs-2"],
)
def test_a_reply_that_is_long_comes_in_message_payload(
    world: World, run: Run, text: str, data_coding: int, octets: bytes
) -> None:
    async def work() -> None:
        post(world, smpp_login(world), reply(text))
        async with office(world) as place:
            customer = await place.customer()
            _, message = await delivered(customer)
            assert (message.data_coding, message.payload) == (data_coding, octets)
            assert (wire.MESSAGE_PAYLOAD in message.tlvs) == (len(octets) > 254)
            await customer.close()

    run(work())


def test_a_source_that_no_address_can_hold_is_shown_as_far_as_it_can_be(
    world: World, run: Run
) -> None:
    async def work() -> None:
        post(world, smpp_login(world), receipt(source="Œ ação"), receipt(source=""))
        async with office(world) as place:
            customer = await place.customer()
            assert (await delivered(customer))[1].destination == Address(5, 0, "? ação")
            assert (await delivered(customer))[1].destination == Address(0, 0, "")
            await customer.close()

    run(work())


# --- in order, once ------------------------------------------------------------------------------


def test_what_waits_comes_in_order_to_whoever_binds(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, *(receipt(n) for n in range(300)))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 300) == [f"t{n}" for n in range(300)]
            await until_empty(world, cost_centre)
            await nothing_comes(customer)
            await customer.close()

    run(work())


def test_who_rings_is_heard_and_what_lies_before_is_found(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            post(world, cost_centre, receipt(5), first=5)
            place.delivery.wake(cost_centre)
            assert await taken(customer, 1) == ["t5"]
            post(world, cost_centre, receipt(4), first=4)
            ring = threading.Thread(target=place.delivery.wake, args=(cost_centre,))
            ring.start()
            assert await taken(customer, 1) == ["t4"]
            ring.join()
            await customer.close()

    run(work())


def test_it_is_looked_without_anybody_ringing(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            await nothing_comes(customer)
            post(world, cost_centre, receipt(1))
            assert await taken(customer, 1) == ["t1"]
            await customer.close()

    run(work())


def test_no_more_than_a_window_is_on_its_way(world: World, run: Run) -> None:
    async def work() -> None:
        post(world, smpp_login(world, smpp_window=3), *(receipt(n) for n in range(5)))
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            first = [await delivered(customer) for _ in range(3)]
            await nothing_comes(customer)
            customer.answer(first[1][0])
            assert name_of((await delivered(customer))[1]) == "t3"
            await customer.close()

    run(work())


def test_receivers_take_turns_and_transmitters_get_nothing(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            sender = await place.customer(BIND_TRANSMITTER)
            one, other = await place.customer(BIND_RECEIVER), await place.customer()
            post(world, cost_centre, *(receipt(n) for n in range(10)))
            place.delivery.wake(cost_centre)
            mine, yours = await taken(one, 5), await taken(other, 5)
            assert sorted(mine + yours) == [f"t{n}" for n in range(10)]
            assert (mine, yours) == (sorted(mine), sorted(yours))
            await nothing_comes(sender)
            for customer in (sender, one, other):
                await customer.close()

    run(work())


def test_another_customers_mail_is_not_ones_own(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        post(world, world.cost_centre(login="other"), receipt(1))
        async with office(world) as place:
            customer = await place.customer()
            await nothing_comes(customer)
            await customer.close()

    run(work())


# --- not acknowledged ----------------------------------------------------------------------------


def test_what_was_not_acknowledged_comes_again_at_the_next_bind(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, *(receipt(n) for n in range(4)))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            got = [await delivered(customer) for _ in range(4)]
            for n in (0, 2):
                customer.answer(got[n][0])
            await nothing_comes(customer)
            await customer.close()
            again = await place.customer(BIND_RECEIVER)
            assert await taken(again, 2) == ["t1", "t3"]
            await until_empty(world, cost_centre)
            await again.close()

    run(work())


def test_what_a_lost_bind_had_goes_over_another_at_once(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with office(world, NEVER) as place:
            one, other = await place.customer(BIND_RECEIVER), await place.customer(BIND_RECEIVER)
            post(world, cost_centre, *(receipt(n) for n in range(6)))
            place.delivery.wake(cost_centre)
            lost = [name_of((await delivered(one))[1]) for _ in range(3)]
            kept = await taken(other, 3)
            await one.close()
            assert await taken(other, 3) == lost
            assert sorted(lost + kept) == [f"t{n}" for n in range(6)]
            await until_empty(world, cost_centre)
            await other.close()

    run(work())


def test_who_unbinds_may_still_acknowledge(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        mails = post(world, cost_centre, receipt(0))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            customer.answer(pdu)
            customer.ask(wire.UNBIND)
            assert (await customer.read()).command == wire.UNBIND | RESPONSE
            await until_empty(world, cost_centre)
            assert mails
            await customer.close()

    run(work())


def test_what_is_not_answered_in_time_comes_again(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0), receipt(1))
        async with office(world, QUICK, response=0.1) as place:
            customer = await place.customer(BIND_RECEIVER)
            first, _ = await delivered(customer)
            second, _ = await delivered(customer)
            customer.answer(second)
            assert await taken(customer, 1) == ["t0"]
            await until_empty(world, cost_centre)
            customer.answer(first)  # late, and known already
            await nothing_comes(customer)
            await customer.close()

    run(work())


@pytest.mark.parametrize("killed", ["before it was acknowledged", "after"])
def test_killed_what_was_acknowledged_is_gone_and_the_rest_comes_again(
    world: World, run: Run, killed: str
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0), receipt(1))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            first, _ = await delivered(customer)
            await delivered(customer)
            if killed == "after":
                customer.answer(first)
                async with asyncio.timeout(10):
                    while len(waiting(world, cost_centre)) == 2:
                        await asyncio.sleep(0.005)
            world.reopen()  # what was not written by now is never written
            await customer.close()
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            left = ["t1"] if killed == "after" else ["t0", "t1"]
            assert await taken(customer, len(left)) == left
            await until_empty(world, cost_centre)
            await customer.close()

    run(work())


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command_status", [status.ESME_RX_P_APPN, status.ESME_RX_R_APPN])
def test_what_is_refused_for_good_is_forgotten_and_counted(
    world: World, run: Run, command_status: int
) -> None:
    async def work() -> None:
        counted = Counted()
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0), receipt(1))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 1, command_status) == ["t0"]
            assert await taken(customer, 1) == ["t1"]
            await until_empty(world, cost_centre)
            assert (counted["mails_refused"], counted["mails_delivered"]) == (1, 1)
            await customer.close()

    run(work())


@pytest.mark.parametrize(
    "command_status",
    [status.ESME_RTHROTTLED, status.ESME_RMSGQFUL, status.ESME_RX_T_APPN, status.ESME_RSYSERR],
)
def test_what_is_refused_for_now_comes_again_before_all_others(
    world: World, run: Run, command_status: int
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world, smpp_window=2)
        post(world, cost_centre, *(receipt(n) for n in range(6)))
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 2, command_status) == ["t0", "t1"]
            assert await taken(customer, 2, command_status) == ["t0", "t1"]
            assert await taken(customer, 6) == [f"t{n}" for n in range(6)]
            await until_empty(world, cost_centre)
            await customer.close()

    run(work())


def test_a_generic_nack_is_no_acknowledgement(world: World, run: Run) -> None:
    async def work() -> None:
        post(world, smpp_login(world), receipt(0))
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            customer.send(framed(GENERIC_NACK, pdu.sequence, b"", 0))
            assert await taken(customer, 1) == ["t0"]
            await customer.close()

    run(work())


def test_one_that_is_never_taken_does_not_keep_the_others(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world, smpp_window=2)
        post(world, cost_centre, *(receipt(n) for n in range(20)))
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            good: list[str] = []
            tries = 0
            while len(good) < 19 or tries < 8:
                pdu, message = await delivered(customer)
                bad = name_of(message) == "t0"
                tries += bad
                good += [] if bad else [name_of(message)]
                customer.answer(pdu, b"", status.ESME_RX_T_APPN if bad else 0)
            assert good == [f"t{n}" for n in range(1, 20)]
            await customer.close()
        assert len(waiting(world, cost_centre)) == 1

    run(work())


def test_what_is_over_is_not_delivered(world: World, run: Run) -> None:
    async def work() -> None:
        counted = Counted()
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0), expires=START)
        post(world, cost_centre, receipt(1), first=1)
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 1) == ["t1"]
            await until_empty(world, cost_centre)
            assert counted["mails_expired"] == 1
            await customer.close()

    run(work())


def test_what_can_not_be_read_does_not_keep_the_others(world: World, run: Run) -> None:
    async def work() -> None:
        counted = Counted()
        cost_centre = smpp_login(world)
        bad = [Mail(cost_centre, "0", "{}", START + 1e6), Mail(cost_centre, "1", "", START + 1e6)]
        world.bare.store.post(bad)
        post(world, cost_centre, receipt(2), first=2)
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 1) == ["t2"]
            post(world, cost_centre, receipt(3), first=3)
            assert await taken(customer, 1) == ["t3"]
            assert counted["faults"] == 2, "once for each, however often it is looked"
            await customer.close()
        assert len(waiting(world, cost_centre)) == 2

    run(work())


# --- who has it ----------------------------------------------------------------------------------


def test_what_another_task_empties_is_left_alone_until_it_is_given_back(
    world: World, run: Run
) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        lease = partial(world.bare.store.lease, lease_of(cost_centre))
        assert lease("they", START + 30, START)
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            await nothing_comes(customer)
            lease("they", START, START)
            assert await taken(customer, 1) == ["t0"]
            assert not lease("they", START + 30, START)
            await customer.close()

    run(work())


@pytest.mark.parametrize("how", ["the customer goes", "the service ends"])
def test_the_lease_is_given_back(world: World, run: Run, how: str) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        lease = partial(world.bare.store.lease, lease_of(cost_centre), "they", START + 30, START)
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            await taken(customer, 1)
            await until_empty(world, cost_centre)
            assert not lease()
            if how == "the customer goes":
                await customer.close()
                async with asyncio.timeout(10):
                    while not lease():
                        await asyncio.sleep(0.005)
        assert lease()
        await customer.close()

    run(work())


def test_two_tasks_deliver_each_mail_once(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        async with (
            office(world, QUICK, holder="one") as one,
            office(world, QUICK, holder="two") as two,
        ):
            first = await one.customer(BIND_RECEIVER)
            second = await two.customer(BIND_RECEIVER)
            post(world, cost_centre, *(receipt(n) for n in range(20)))
            assert await taken(first, 20) == [f"t{n}" for n in range(20)]
            await until_empty(world, cost_centre)
            await nothing_comes(second)
            await first.close()
            post(world, cost_centre, receipt(20))
            assert await taken(second, 1) == ["t20"], "it has taken over"
            await second.close()

    run(work())


def test_closing_waits_for_what_is_being_acknowledged(world: World, run: Run) -> None:
    async def work() -> None:
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        async with office(world, NEVER) as place:
            customer = await place.customer(BIND_RECEIVER)
            pdu, _ = await delivered(customer)
            closing = asyncio.ensure_future(place.delivery.close())
            post(world, cost_centre, receipt(1), first=1)
            place.delivery.wake(cost_centre)
            await nothing_comes(customer)
            assert not closing.done()
            customer.answer(pdu)
            async with asyncio.timeout(10):
                await closing
            assert len(waiting(world, cost_centre)) == 1
            await customer.close()

    run(work())


def test_a_store_that_fails_is_asked_again(make_world: Callable[..., World], run: Run) -> None:
    def fails(name: str, left: list[int]) -> None:
        if left:
            left.pop()
            raise OSError(name)

    async def work(name: str) -> None:
        left = [1]
        wrap: Callable[[Engine], Engine] = Meddling(**{name: lambda *_: fails(name, left)}).wrap
        world = make_world(wrap=wrap)
        cost_centre = smpp_login(world)
        post(world, cost_centre, receipt(0))
        async with office(world, QUICK) as place:
            customer = await place.customer(BIND_RECEIVER)
            assert await taken(customer, 1) == ["t0"]
            await until_empty(world, cost_centre)
            await nothing_comes(customer)
            await customer.close()
        assert left == []

    for name in ("lease", "mails", "forget"):
        run(work(name))


def test_deliver_sm_resp_is_all_that_is_expected_of_a_receiver(world: World, run: Run) -> None:
    async def work() -> None:
        smpp_login(world)
        async with office(world) as place:
            customer = await place.customer(BIND_RECEIVER)
            told = await customer.call(DELIVER_SM, wire.message_body(wire.ShortMessage()))
            assert told.command_status == status.ESME_RINVCMDID
            await customer.close()

    run(work())
