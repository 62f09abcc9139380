"""A long text that we split for an SMSC: each part has its id and its receipt, and whatever goes
wrong among them, its customer is told of the message once."""

from collections.abc import Iterator
from itertools import count, permutations
from pathlib import Path

import pytest

from recado import operations
from recado.http import Reached, Unreached
from recado.message import Message, State
from recado.smpp import status
from recado.smpp.pdu import ShortMessage
from tests.support.bound import BoundTo, mailed, mails, order
from tests.support.dying import Death, Dying
from tests.support.meddling import Meddling
from tests.support.world import World

LONG = "Bom dia! " * 40  # 360 septets: three segments


@pytest.fixture
def ana(world: World) -> str:
    return str(operations.costcentre_show(world.deps, "ana")["id"])


@pytest.fixture
def smsc(world: World) -> BoundTo:
    return BoundTo(world)


def stats(world: World, which: str) -> list[str]:
    return [getattr(mail, "stat", "") for mail in mailed(world, which)]


def only(world: World) -> Message:
    [message] = world.messages()
    return message


@pytest.mark.parametrize("long", ["udh", "sar"])
def test_it_goes_in_parts_and_is_delivered_with_the_last(world: World, ana: str, long: str) -> None:
    smsc = BoundTo(world, long=long)
    order(world, ana, text=LONG)
    world.drain()
    assert len(smsc.taken) == 3
    first, second, third = smsc.taken
    for part in (third, first):
        smsc.tell_receipt(part)
        world.drain()
        assert only(world).state is State.ENROUTE
    assert mails(world, ana) == []
    smsc.tell_receipt(second)
    world.drain()
    assert only(world).state is State.DELIVERED
    assert stats(world, ana) == ["DELIVRD"]


def test_where_an_smsc_reads_octets_as_latin1_its_parts_are_counted_as_they_go(
    world: World, ana: str
) -> None:
    smsc = BoundTo(world, encoding="latin1")
    order(world, ana, text="a" * 153 * 2)  # two segments in septets, three in octets
    world.drain()
    assert [len(message.text) for message in smsc.taken.values()] == [140, 140, 6 + 306 - 2 * 134]
    assert (only(world).segments, only(world).parts) == (3, 3)
    smsc.tell_receipts()
    world.drain()
    assert only(world).state is State.DELIVERED
    assert stats(world, ana) == ["DELIVRD"]


def test_what_an_smsc_takes_without_an_id_is_not_sent_again(
    world: World, ana: str, smsc: BoundTo
) -> None:
    answers = [Reached(0, b"\0"), Reached(0, b"7" * 65 + b"\0")]
    sent: list[ShortMessage] = []

    def say_yes(message: ShortMessage) -> Reached:
        sent.append(message)
        return answers[len(sent) % 2]

    smsc.answer = say_yes
    for text in ("oi", LONG):
        order(world, ana, text=text)
    world.run(600.0, step=30.0)
    assert len(sent) == 1 + 3
    found = world.messages()
    assert [(message.state, message.upstream_ids) for message in found] == [(State.ENROUTE, ())] * 2
    assert world.dead_letters() == 0


def test_as_a_payload_it_is_whole_and_has_one_receipt(world: World, ana: str) -> None:
    smsc = BoundTo(world, long="payload")
    order(world, ana, text=LONG)
    world.drain()
    [sent] = smsc.taken.values()
    assert sent.payload == LONG.encode()
    smsc.tell_receipts()
    world.drain()
    assert (only(world).parts, only(world).state) == (0, State.DELIVERED)


@pytest.mark.parametrize("times", list(permutations(range(3))))
def test_all_receipts_in_one_batch_count(
    world: World, ana: str, smsc: BoundTo, times: tuple[int, ...]
) -> None:
    order(world, ana, text=LONG)
    world.drain()
    ids = list(smsc.taken)
    for n in times:
        smsc.tell_receipt(ids[n])
        smsc.tell_receipt(ids[n])
    world.drain()
    assert only(world).delivered == tuple(ids[n] for n in times)
    assert stats(world, ana) == ["DELIVRD"]


def test_one_receipt_that_comes_again_and_again_is_one_part(
    world: World, ana: str, smsc: BoundTo
) -> None:
    order(world, ana, text=LONG)
    world.drain()
    for _ in range(5):
        smsc.tell_receipt(next(iter(smsc.taken)))
        world.run(5.0)
    assert only(world).state is State.ENROUTE


def test_the_first_part_that_fails_is_told_and_nothing_after_it(
    world: World, ana: str, smsc: BoundTo
) -> None:
    order(world, ana, text=LONG)
    world.drain()
    first, second, third = smsc.taken
    smsc.tell_receipt(first)
    smsc.tell_receipt(second, "UNDELIV", "034")
    world.drain()
    assert stats(world, ana) == ["UNDELIV"]
    smsc.tell_receipt(third)
    world.drain()
    assert only(world).state is State.UNDELIVERABLE
    assert stats(world, ana) == ["UNDELIV"]


def test_one_whose_part_an_smsc_refuses_for_good_is_rejected(
    world: World, ana: str, smsc: BoundTo
) -> None:
    turn = count(1)

    def refuse_the_second(message: ShortMessage) -> Reached:
        return Reached(status.ESME_RINVMSGLEN, b"") if next(turn) == 2 else smsc.take(message)

    smsc.answer = refuse_the_second
    order(world, ana, text=LONG)
    world.drain()
    smsc.tell_receipts()
    world.drain()
    assert only(world).state is State.REJECTED
    assert stats(world, ana) == ["REJECTD"]


def test_one_of_whose_parts_nobody_knows_goes_once_more_and_each_part_counts_once(
    world: World, ana: str, smsc: BoundTo
) -> None:
    turn = count(1)

    def lose_the_third(message: ShortMessage) -> Reached | Unreached:
        lost = next(turn) == 3
        return Unreached("no answer", sent=True) if lost else smsc.take(message)

    smsc.answer = lose_the_third
    order(world, ana, text=LONG)
    world.run(60.0, step=5.0)
    assert len(smsc.taken) == 2 + 3
    smsc.tell_receipts()
    world.drain()
    message = only(world)
    assert (message.state, message.submits, message.maybe_sent) == (State.DELIVERED, 2, True)
    assert stats(world, ana) == ["DELIVRD"]


def test_receipts_that_are_faster_than_the_answer_are_not_lost(tmp_path: Path) -> None:
    """On AWS another function tracks them while this one has just written the refs."""
    told: list[str] = []

    def track_at_once(refs: list[tuple[str, str, object]]) -> None:
        for _, upstream_id, _ in refs:
            if upstream_id in smsc.taken:
                told.append(upstream_id)
                smsc.tell_receipt(upstream_id)
        world.work("Inbound")

    world = World(tmp_path, wrap=Meddling(put_refs=track_at_once).wrap)
    ana = world.cost_centre()
    smsc = BoundTo(world)
    order(world, ana, text=LONG)
    world.drain()
    assert told == list(smsc.taken)
    message = only(world)
    assert (message.state, message.upstream_ids) == (State.DELIVERED, tuple(smsc.taken))
    assert stats(world, ana) == ["DELIVRD"]
    world.close()


# --- killed anywhere -----------------------------------------------------------------------------


def _kills() -> Iterator[Dying]:
    """At every call, before and after it, until a life passes without."""
    for after in (False, True):
        for at in count(1):
            dying = Dying(at, after=after)
            yield dying
            if not dying.died_in:
                assert at > 20
                break


def test_killed_anywhere_it_is_told_once_in_the_mailbox(tmp_path: Path) -> None:
    for n, dying in enumerate(_kills()):
        folder = tmp_path / str(n)
        folder.mkdir()
        world = World(folder, wrap=dying.wrap)
        ana = world.cost_centre(callback_url="")
        smsc = BoundTo(world)
        order(world, ana, text=LONG)
        dying.arm()
        _live(world, smsc)
        in_flight = bool(dying.died_in) and len(smsc.taken) > 3
        smsc.tell_receipts()  # a receipt twice is nothing new
        _live(world, smsc)
        dying.disarm()
        world.run(200.0, step=10.0)
        note = f"killed {'after' if dying.after else 'before'} call {dying.at}, {dying.died_in}"
        message = only(world)
        assert message.state is State.DELIVERED, note
        assert stats(world, ana) == ["DELIVRD"], note
        assert not any(report.owed for report in message.reports), note
        assert len(smsc.taken) in (3, 6), note
        assert in_flight <= message.maybe_sent, note
        assert world.dead_letters() == 0, note
        world.close()


def _live(world: World, smsc: BoundTo) -> None:
    """Works, and tells of what was taken; whatever dies in it. Then lets claims run out."""
    told: set[str] = set()
    for _ in range(30):
        try:
            world.drain()
            for upstream_id in smsc.taken.keys() - told:
                told.add(upstream_id)
                smsc.tell_receipt(upstream_id)
            world.drain()
        except Death:
            world.reopen()
            smsc.hold_binds(True)
        world.now += 5.0
