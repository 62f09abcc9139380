import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado import operations
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, Malformed, Pdu, framed
from smpp import throttle
from smpp.session import Limits
from tests.support.smpp_place import PASSWORD, SYSTEM_ID, Counted, Place, serving, smpp_login
from tests.support.smpp_wire import MESSAGE, Wire
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world whose customer may bind."""
    made = make_world()
    smpp_login(made)
    return made


async def _bind(
    place: Place,
    password: str = PASSWORD,
    source: str = "127.0.0.1",
    system_id: str = SYSTEM_ID,
) -> int:
    """The command_status of a bind."""
    other = await place.connect(source=source)
    answer = await other.bind(system_id, password)
    await other.close()
    return answer.command_status


def _guess(world: World, times: int, source: str, system_id: str = SYSTEM_ID) -> int:
    """Guesses from an address, and how many of them were looked at."""
    tries = [throttle.take(system_id, source, world.deps) for _ in range(times)]
    return sum(one is not None for one in tries)


# --- tries --------------------------------------------------------------------------------------


def test_who_guesses_from_one_address_has_to_wait_even_with_the_right_password(
    run: Run, world: World
) -> None:
    async def body() -> None:
        async with serving(world, refusal_seconds=0.0) as place:
            codes = [await _bind(place, "wrong") for _ in range(throttle.FROM_ONE)]
            assert set(codes) == {status.ESME_RINVPASWD}
            assert await _bind(place) == status.ESME_RTHROTTLED
            assert await _bind(place, source="127.0.0.2") == 0
            world.now += 60
            assert await _bind(place) == 0

    run(body())


def test_who_tries_many_names_from_one_address_has_to_wait(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, refusal_seconds=0.0) as place:
            tried = [_guess(world, 3, "127.0.0.1", f"name-{n}") for n in range(throttle.BY_ONE)]
            assert sum(tried) == throttle.BY_ONE
            assert await _bind(place) == status.ESME_RTHROTTLED
            assert await _bind(place, source="127.0.0.2") == 0
            world.now += 60
            assert await _bind(place) == 0

    run(body())


def test_who_tries_many_names_keeps_out_no_neighbour_that_has_bound(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, refusal_seconds=0.0) as place:
            assert await _bind(place) == 0
            for n in range(throttle.BY_ONE):
                _guess(world, 1, "127.0.0.1", f"name-{n}")
            assert await _bind(place) == 0
            tries = [await _bind(place, "wrong") for _ in range(throttle.FROM_ONE)]
            assert set(tries) == {status.ESME_RINVPASWD}
            assert await _bind(place) == status.ESME_RTHROTTLED

    run(body())


def test_the_right_password_from_a_wrong_address_is_answered_and_counted_as_a_wrong_one(
    run: Run, world: World
) -> None:
    async def body() -> None:
        smpp_login(world, "far", smpp_addresses=("127.0.0.2",))
        suspended = smpp_login(world, "gone", smpp_addresses=("127.0.0.2",))
        operations.costcentre_suspend(world.deps, suspended)
        async with serving(world, refusal_seconds=0.0) as place:
            assert await _bind(place, system_id="gone") == status.ESME_RINVPASWD
            tries = [await _bind(place, system_id="far") for _ in range(throttle.FROM_ONE)]
            assert set(tries) == {status.ESME_RINVPASWD}
            assert await _bind(place, system_id="far") == status.ESME_RTHROTTLED
            assert await _bind(place, system_id="far", source="127.0.0.2") == 0
            told = await _bind(place, system_id="gone", source="127.0.0.2")
            assert told == status.ESME_RBINDFAIL

    run(body())


def test_made_up_names_are_throttled_as_real_ones_are(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, refusal_seconds=0.0) as place:
            _guess(world, throttle.FROM_ONE, "127.0.0.1", "nobody")
            other = await place.connect()
            answer = await other.bind("nobody", PASSWORD)
            assert answer.command_status == status.ESME_RTHROTTLED
            await other.close()

    run(body())


def test_binds_that_are_right_are_no_guesses(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            for _ in range(2 * throttle.FROM_ONE):
                assert await _bind(place) == 0

    run(body())


def test_guessing_from_everywhere_is_stopped_and_keeps_the_customer_in(
    run: Run, world: World
) -> None:
    async def body() -> None:
        async with serving(world, refusal_seconds=0.0) as place:
            assert await _bind(place) == 0  # from 127.0.0.1
            looked_at = sum(_guess(world, 3, f"192.0.2.{n}") for n in range(200))
            assert looked_at == throttle.FROM_ALL
            assert await _bind(place, source="127.0.0.2") == status.ESME_RTHROTTLED
            assert await _bind(place) == 0
            # Whoever guesses from there, too, is one of its own neighbours.
            assert await _bind(place, "wrong") == status.ESME_RINVPASWD
            world.now += 600
            assert await _bind(place, source="127.0.0.2") == 0

    run(body())


def test_what_was_tried_outlives_the_process(run: Run, world: World) -> None:
    async def body() -> None:
        _guess(world, throttle.FROM_ONE, "127.0.0.1")
        world.reopen()
        async with serving(world, refusal_seconds=0.0) as place:
            assert await _bind(place) == status.ESME_RTHROTTLED

    run(body())


# --- connections --------------------------------------------------------------------------------


def test_connections_of_one_address_that_are_not_bound_are_limited(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, unbound_per_peer=2) as place:
            bound = [await place.customer() for _ in range(3)]
            idle = [await place.connect() for _ in range(2)]
            for other in idle:
                await other.call(ENQUIRE_LINK)
            third = await place.connect()
            assert await third.until_closed() == b""
            elsewhere = await place.connect(source="127.0.0.2")
            assert (await elsewhere.call(ENQUIRE_LINK)).command_status == 0
            for other in (*bound, *idle, third, elsewhere):
                await other.close()

    run(body())


def test_connections_are_limited_and_one_that_ends_makes_room(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, connections=2) as place:
            first, second = await place.customer(), await place.customer()
            third = await place.connect()
            assert await third.until_closed() == b""
            await third.close()
            await first.close()
            await place.somebody_gone.wait()
            fourth = await place.customer()
            for other in (second, fourth):
                await other.close()

    run(body())


# --- what somebody may send ---------------------------------------------------------------------


def test_a_pdu_that_is_too_long_ends_its_session_alone(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, limits=Limits(most_octets=1_000)) as place:
            good, bad = await place.customer(), await place.customer()
            bad.send(framed(SUBMIT_SM, 2, MESSAGE) + framed(SUBMIT_SM, 3, bytes(1_000)))
            assert (await bad.read()).command_status == 0
            assert await bad.read() == Pdu(GENERIC_NACK, status.ESME_RINVCMDLEN, 3)
            assert await bad.until_closed() == b""
            assert (await good.call(SUBMIT_SM, MESSAGE)).command_status == 0
            await bad.close()
            await good.close()

    run(body())


def test_orders_that_can_not_be_read_are_answered_so(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:

            def read(customer: Any, pdu: Pdu) -> None:
                wire.read_message(pdu.body)
                raise RuntimeError("ours")

            place.orders = read
            other = await place.customer()
            cases = [
                (b"", status.ESME_RINVCMDLEN),
                (b"toolong\0" + MESSAGE, status.ESME_RINVSERTYP),
                (MESSAGE[:-1], status.ESME_RINVMSGLEN),
                (MESSAGE + b"\x02", status.ESME_RINVOPTPARSTREAM),
                (MESSAGE + b"\x02\x0c\0\x05\0", status.ESME_RINVPARLEN),
                (MESSAGE, status.ESME_RSYSERR),
            ]
            for octets, code in cases:
                with pytest.raises((Malformed, RuntimeError)):
                    read(None, Pdu(SUBMIT_SM, 0, 0, octets))
                answer = await other.call(SUBMIT_SM, octets)
                assert (answer.command, answer.command_status) == (SUBMIT_SM | RESPONSE, code)
            await other.close()

    run(body())


_PIECES = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.builds(
        framed,
        st.sampled_from([*range(0x16), 0x21, 0x102, 0x103, GENERIC_NACK, SUBMIT_SM | RESPONSE]),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=80),
        st.integers(0, 2**32 - 1),
    ),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces=st.lists(_PIECES, max_size=12), binds=st.booleans())
def test_rubbish_harms_nobody_else(world: World, pieces: list[bytes], binds: bool) -> None:
    async def body() -> None:
        counted = Counted()
        async with serving(world, refusal_seconds=0.0, bind_seconds=5.0) as place:
            good = await place.customer()
            bad = await (place.customer() if binds else place.connect())
            for piece in pieces:
                bad.send(piece)
                await asyncio.sleep(0)
            assert (await good.call(SUBMIT_SM, MESSAGE)).command_status == 0
            bad.writer.transport.abort()
            await bad.close()
            assert (await good.call(ENQUIRE_LINK)).command_status == 0
            await good.close()
        assert counted["faults"] == 0
        world.now += 1_000  # binds among it were guesses

    asyncio.run(body())


def test_a_customer_that_sends_slowly_is_served_and_holds_up_nobody(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            slow, quick = await place.customer(), await place.customer()
            for octet in framed(SUBMIT_SM, 9, MESSAGE):
                slow.send(bytes((octet,)))
                assert (await quick.call(SUBMIT_SM, MESSAGE)).command_status == 0
            assert (await slow.read()).sequence == 9
            await slow.close()
            await quick.close()

    run(body())


def test_a_bind_and_thousands_of_orders_in_one_write(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            other.send(b"".join(framed(SUBMIT_SM, n, MESSAGE) for n in range(5_000)))
            answers = [await other.read() for _ in range(5_000)]
            assert [pdu.sequence for pdu in answers] == list(range(5_000))
            assert [pdu.body for pdu in answers] == [b"id-%d\0" % n for n in range(1, 5_001)]
            await other.close()

    run(body())


def test_beyond_its_window_a_customers_orders_wait_and_none_is_refused(
    run: Run, make_world: Callable[..., World]
) -> None:
    async def body() -> None:
        world = make_world()
        smpp_login(world, smpp_window=10)
        async with serving(world) as place:
            place.keeps = True
            other = await place.customer()
            most = 0
            order = random.Random(1)
            for _ in range(200):
                other.ask(SUBMIT_SM, MESSAGE)
            other.ask(ENQUIRE_LINK)
            assert (await other.read()).command == ENQUIRE_LINK | RESPONSE
            answered: set[int] = set()
            while len(answered) < 200:
                most = max(most, len(place.taken))
                customer, pdu = place.taken.pop(order.randrange(len(place.taken)))
                customer.session.respond(pdu, b"id\0")
                answered.add((await other.read()).sequence)
            assert most == 10
            assert answered == set(range(2, 202))
            await other.close()

    run(body())


def test_a_customer_that_reads_nothing_is_cut_off_and_the_others_are_not(
    run: Run, world: World
) -> None:
    async def body() -> None:
        async with serving(world, limits=Limits(most_unsent=100_000)) as place:
            deaf, good = await place.customer(limit=1), await place.customer()
            flood = framed(SUBMIT_SM, 9, MESSAGE) * 1_000
            async with asyncio.timeout(30):
                while not place.gone:
                    deaf.send(flood)
                    assert (await good.call(SUBMIT_SM, MESSAGE)).command_status == 0
            assert place.gone == [place.bound[0]]
            await good.close()
            deaf.writer.transport.abort()
            await deaf.close()

    run(body())


def test_a_quiet_receiver_stays_bound_as_long_as_it_answers(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, limits=Limits(enquire=0.05, response=0.2)) as place:
            other = await place.customer(wire.BIND_RECEIVER)
            for _ in range(5):
                asked = await other.read()
                assert asked.command == ENQUIRE_LINK
                other.answer(asked)
            assert place.gone == []
            await place.somebody_gone.wait()  # it answers no more
            await other.close()

    run(body())


def test_what_goes_on_is_counted(run: Run, world: World) -> None:
    async def body() -> None:
        counted = Counted()
        async with serving(world, refusal_seconds=0.0) as place:
            other: Wire = await place.customer()
            await other.call(SUBMIT_SM, MESSAGE)
            await other.call(0x7777)
            await other.call(wire.UNBIND)
            await other.close()
            await _bind(place, "wrong")
        assert counted["smpp_connections"] == 2
        assert counted["smpp_binds"] == counted["smpp_unbinds"] == 1
        assert counted["smpp_binds_refused"] == 1
        assert counted["smpp_commands_unknown"] == 1
        assert counted["smpp_pdus_in"] == 5

    run(body())
