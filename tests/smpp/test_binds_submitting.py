"""Binds: what goes out by them, and what comes of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from itertools import count, pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from recado.connectors import Rejected, Submit, Submitted, Unavailable, Uncertain
from recado.connectors.smpp import TEXT, TEXT_BEGUN
from recado.http import Outgoing, Reached, Unreached
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import ShortMessage
from tests.support.smsc import DROP, SILENT, TAKE, THROTTLE, Said, Smsc, Taken
from tests.support.smsc_binds import QUICK, binding, configure, plain
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with Smsc() as made:
        yield made


def to(number: str, text: str = "oi", reference: str = "cc.1") -> Submit:
    return Submit(reference, number, text, 1, source="Recado")


def test_a_message_is_submitted_and_has_the_smscs_id(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            assert await bound.submit(to("5534998887755")) == [Submitted("00000001")]
        [taken] = smsc.taken
        assert taken.message.destination == wire.Address(1, 1, "5534998887755")
        assert taken.message.source == wire.Address(5, 0, "Recado")
        assert (taken.message.text, taken.message.registered_delivery) == (b"oi", 1)
        [asked] = smsc.asked
        assert asked.bind.system_id == "recado"
        assert asked.bind.password == "segredo"
        assert (asked.command, asked.bind.interface_version) == (wire.BIND_TRANSCEIVER, 0x34)
        assert smsc.unbound == [1]

    run(scene())


def test_answers_come_back_in_the_order_of_the_requests(run: Run, world: World, smsc: Smsc) -> None:
    numbers = [f"55349988877{n:02d}" for n in range(40)]
    smsc.answering = lambda taken: Said(
        id=taken.message.destination.digits, after=int(taken.message.destination.digits[-1]) / 100
    )

    async def scene() -> None:
        async with binding(world, smsc, binds=3, window=5) as bound:
            await smsc.bound(3)
            assert await bound.submit(*[to(number) for number in numbers]) == [
                Submitted(number) for number in numbers
            ]
        assert len({taken.session for taken in smsc.taken}) == 3

    run(scene())


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Said(status.ESME_RINVDSTADR), Rejected("ESME_RINVDSTADR")),
        (Said(0x0400), Rejected("0x00000400")),
        (Said(status.ESME_RTHROTTLED), Unavailable(1.0, "ESME_RTHROTTLED")),
        (Said(status.ESME_RMSGQFUL), Unavailable(2.0, "ESME_RMSGQFUL")),
        (Said(status.ESME_RSYSERR), Unavailable(5.0, "ESME_RSYSERR")),
        (Said(status.ESME_RX_T_APPN), Unavailable(5.0, "ESME_RX_T_APPN")),
        (Said(status.ESME_RINVCMDID, nack=True), Rejected("ESME_RINVCMDID")),
        (Said(0, nack=True), Rejected("ESME_RUNKNOWNERR")),
        (Said(id=""), Submitted("")),
        (Said(id="7" * 65), Submitted("")),
        (DROP, Uncertain("the other side closed")),
        (SILENT, Uncertain("no response in time")),
    ],
)
def test_what_the_smsc_says_becomes_an_outcome(
    run: Run, world: World, smsc: Smsc, said: Said, outcome: object
) -> None:
    smsc.answering = lambda _: said

    async def scene() -> None:
        configure(world, smsc, upstream={"submit_timeout": 0.4})
        async with binding(world, smsc) as bound:
            [found] = await bound.submit(to("5534998887755"))
            if said is DROP and isinstance(found, Uncertain):
                assert found.problem in ("the other side closed", "the connection broke")
            else:
                assert found == outcome

    run(scene())


def test_a_window_is_never_passed(run: Run, world: World, smsc: Smsc) -> None:
    smsc.answering = lambda _: Said(after=0.01)

    async def scene() -> None:
        async with binding(world, smsc, window=7, binds=2) as bound:
            await smsc.bound(2)
            calls = [bound.exchange(plain(30)) for _ in range(4)]
            found = [one for call in await asyncio.gather(*calls) for one in call]
        assert Counter(type(one) for one in found) == {Reached: 120}
        assert smsc.most_in_flight == 7

    run(scene())


def test_what_finds_no_room_in_half_of_its_time_is_not_sent(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.answering = lambda _: Said(after=0.6)

    async def scene() -> None:
        async with binding(world, smsc, window=3) as bound:
            found = await bound.exchange(plain(5, timeout=1.0))
        full = Unreached("the window is full", sent=False)
        assert found[3:] == [full, full]
        assert all(isinstance(one, Reached) for one in found[:3])
        assert len(smsc.taken) == 3

    run(scene())


def test_messages_a_second_are_held_over_all_binds(run: Run, world: World, smsc: Smsc) -> None:
    async def scene() -> None:
        async with binding(world, smsc, per_second=100, binds=2) as bound:
            await smsc.bound(2)
            found = await bound.exchange(plain(60))
        assert Counter(type(one) for one in found) == {Reached: 60}
        # 60 at 100 a second, of which 5 may go at once.
        times = [taken.at for taken in smsc.taken]
        assert times[-1] - times[0] > 0.45
        for start in range(len(times) - 20):
            assert times[start + 20] - times[start] > 0.1

    run(scene())


def test_throttling_slows_a_bind_down_and_loses_nothing(run: Run, world: World, smsc: Smsc) -> None:
    numbers = count(1)
    smsc.answering = lambda _: THROTTLE if next(numbers) <= 4 else TAKE

    async def scene() -> None:
        async with binding(world, smsc, window=1) as bound:
            found = await bound.exchange(plain(8, timeout=30.0))
        said = [one.status for one in found if isinstance(one, Reached)]
        assert said == [status.ESME_RTHROTTLED] * 4 + [0] * 4
        times = [taken.at for taken in smsc.taken]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        # 0.1 s, doubling.
        for pause, least in zip(pauses, (0.09, 0.19, 0.39, 0.79), strict=False):
            assert pause >= least

    run(scene())


def test_a_throttled_bind_lets_another_one_take_over(run: Run, world: World, smsc: Smsc) -> None:
    smsc.answering = lambda taken: THROTTLE if taken.session == 1 else TAKE

    async def scene() -> None:
        async with binding(world, smsc, window=1, binds=2) as bound:
            await smsc.bound(2)
            found = await bound.exchange(plain(40))
        said = Counter(one.status for one in found if isinstance(one, Reached))
        assert said[0] >= 30
        assert said[0] + said[status.ESME_RTHROTTLED] == 40

    run(scene())


def test_without_a_bind_nothing_is_sent_and_nobody_waits(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.letting = lambda _: status.ESME_RBINDFAIL
    no_bind = Unreached("no bind", sent=False)

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await bound.are("waiting")
            assert await bound.exchange(plain(2, timeout=60.0)) == [no_bind, no_bind]
            assert await bound.exchange(plain(1, "nobody")) == [no_bind]
            assert await bound.exchange([]) == []
            [row] = bound.binds.states()
            assert row["problem"] == "the SMSC refused the bind: ESME_RBINDFAIL"

    run(scene())


def test_what_is_asked_while_the_first_bind_is_made_waits_for_it(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            assert bound.states() == ["connecting"]
            [found] = await bound.exchange(plain())
            assert isinstance(found, Reached)

    run(scene())


def test_a_bind_that_dies_makes_what_was_written_uncertain_and_another_takes_the_rest(
    run: Run, world: World, smsc: Smsc
) -> None:
    victims = count(1)

    def answering(taken: Any) -> Said:
        if taken.session == 1:
            return DROP if next(victims) == 3 else SILENT
        return TAKE

    smsc.answering = answering

    async def scene() -> None:
        async with binding(world, smsc, window=3, binds=2) as bound:
            await smsc.bound(2)
            found = await bound.exchange(plain(30))
            lost = [one for one in found if isinstance(one, Unreached)]
            assert len(lost) == 3
            assert all(one.sent for one in lost)
            assert len(smsc.taken) == 30  # none twice
            await smsc.bound(2)  # and it comes back

    run(scene())


def test_what_had_not_left_when_its_bind_died_goes_by_another(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc, window=10, binds=2) as bound:
            await smsc.bound(2)
            work = asyncio.ensure_future(bound.exchange(plain(10)))
            await asyncio.sleep(0)  # given to the sessions, and not written yet
            dying = bound.binds._carriers["smsc"].slots[1].binds[0]
            assert dying._session is not None
            dying._session.abort("it died")
            found = await work
        assert [type(one) for one in found] == [Reached] * 10
        assert {taken.session for taken in smsc.taken} == {2}

    run(scene())


def test_a_bind_that_answers_nothing_is_dropped_and_made_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.answering = lambda taken: SILENT if taken.session == 1 else TAKE

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            found = await bound.exchange(plain(5, timeout=0.3))
            assert all(isinstance(one, Unreached) and one.sent for one in found)
            await smsc.until(lambda: len(smsc.asked) == 2)
            await smsc.bound()
            await bound.are("bound")
            [again] = await bound.exchange(plain())
            assert isinstance(again, Reached)

    run(scene())


def test_who_stops_waiting_does_not_send_what_still_waits(
    run: Run, world: World, smsc: Smsc
) -> None:
    smsc.answering = lambda _: Said(after=0.2)

    async def scene() -> None:
        async with binding(world, smsc, window=1) as bound:
            work = asyncio.ensure_future(bound.exchange(plain(5)))
            await smsc.until(lambda: len(smsc.taken) == 1)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            [found] = await bound.exchange(plain())
            assert isinstance(found, Reached)
        assert len(smsc.taken) == 2

    run(scene())


def test_a_long_text_is_sent_in_parts_and_has_all_their_ids(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc, window=2) as bound:
            [found] = await bound.submit(to("5534998887755", "a" * 400))
        assert found == Submitted("00000001", ("00000002", "00000003"))
        headers = [taken.message.text[:6] for taken in smsc.taken]
        assert [header[4:] for header in headers] == [b"\3\1", b"\3\2", b"\3\3"]
        assert {header[:3] for header in headers} == {b"\5\0\3"}

    run(scene())


def test_a_part_that_was_throttled_has_one_more_go_after_the_pause(
    run: Run, world: World, smsc: Smsc
) -> None:
    numbers = count(1)
    smsc.answering = lambda _: THROTTLE if next(numbers) == 2 else TAKE

    async def scene() -> None:
        async with binding(world, smsc) as bound:
            [found] = await bound.submit(to("5534998887755", "a" * 400))
        assert found == Submitted("00000001", ("00000004", "00000003"))
        assert smsc.taken[1].message.text == smsc.taken[3].message.text

    run(scene())


def parts(text: str, amount: int, timeout: float, **more: str) -> list[Outgoing]:
    """Those of one text, by its name."""
    request = replace(plain(timeout=timeout)[0], headers={TEXT: text, **more})
    return [request] * amount


def test_where_a_text_has_begun_it_is_sent_to_its_end_and_else_not_at_all(
    run: Run, world: World, smsc: Smsc
) -> None:
    # 50 a second: within half a second 25 go, and a text of ten is cut in its middle.
    async def scene() -> None:
        async with binding(world, smsc, per_second=50) as bound:
            await smsc.bound()
            texts = [parts(str(number), 10, timeout=1.0) for number in range(5)]
            found = await bound.exchange([request for text in texts for request in text])
        kinds = [{type(one) for one in found[at : at + 10]} for at in range(0, 50, 10)]
        assert kinds == [{Reached}] * 3 + [{Unreached}] * 2
        assert len(smsc.taken) == 30

    run(scene())


def test_texts_by_the_connector_are_never_cut_for_want_of_room(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        configure(world, smsc, per_second=60, upstream={"submit_timeout": 1.0})
        async with binding(world, smsc) as bound:
            await smsc.bound()
            asked = [
                bound.submit(*[to("5534998887755", "a" * 1500, f"cc.{call}.{n}") for n in range(3)])
                for call in range(4)
            ]
            found = [one for call in await asyncio.gather(*asked) for one in call]
        kinds = Counter(type(one) for one in found)
        assert kinds[Submitted] + kinds[Unavailable] == 12
        assert kinds[Unavailable] > 0
        assert len(smsc.taken) == 10 * kinds[Submitted]

    run(scene())


def test_the_rest_of_a_text_that_has_begun_goes_before_what_waits(
    run: Run, world: World, smsc: Smsc
) -> None:
    def number(taken: Taken) -> str:
        return taken.message.destination.digits

    async def scene() -> None:
        async with binding(world, smsc, per_second=20) as bound:
            await smsc.bound()
            waiting = asyncio.ensure_future(bound.exchange(plain(20)))
            await asyncio.sleep(0)
            body = wire.message_body(ShortMessage(destination=wire.Address(1, 1, "5511988880000")))
            [rest] = parts("begun", 1, 3.0, **{TEXT_BEGUN: "yes"})
            rest = replace(rest, body=wire.framed(wire.SUBMIT_SM, 0, body))
            [found] = await bound.exchange([rest])
            assert isinstance(found, Reached)
            assert not waiting.done()
            await waiting
        assert "5511988880000" in [number(taken) for taken in smsc.taken[:4]]

    run(scene())


def test_the_rest_of_a_text_that_has_begun_waits_for_a_bind_that_is_made_again(
    run: Run, world: World, smsc: Smsc
) -> None:
    async def scene() -> None:
        async with binding(world, smsc) as bound:
            await smsc.bound()
            smsc.letting = lambda _: status.ESME_RSYSERR
            smsc.drop()
            await bound.are("waiting")
            asked = asyncio.ensure_future(
                bound.exchange(parts("begun", 2, 5.0, **{TEXT_BEGUN: "yes"}))
            )
            assert await bound.exchange(parts("new", 2, 5.0)) == [
                Unreached("no bind", sent=False),
                Unreached("no bind", sent=False),
            ]
            smsc.letting = lambda _: 0
            assert [type(one) for one in await asked] == [Reached, Reached]

    run(scene())


def test_a_request_for_another_connector_does_not_stop_those_for_this_one(
    run: Run, world: World, smsc: Smsc
) -> None:
    requests: list[Outgoing] = plain() + plain(1, "nobody") + plain()

    async def scene() -> None:
        async with binding(world, smsc, timing=QUICK) as bound:
            first, second, third = await bound.exchange(requests)
        assert isinstance(first, Reached)
        assert second == Unreached("no bind", sent=False)
        assert isinstance(third, Reached)

    run(scene())
