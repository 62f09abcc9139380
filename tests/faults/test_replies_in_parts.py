"""A long MO comes in parts: in any order, twice, not all of them, or beside another by the same
reference; and whatever dies over it, its customer reads each part once."""

from collections.abc import Iterator
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest

from recado import operations
from recado.connectors import Incoming, Part
from recado.mailbox import MailedReply
from recado.message import Reply
from recado.replies import Told, keep
from tests.support.bound import NUMBER, BoundTo, mailed, order
from tests.support.dying import Death, Dying
from tests.support.meddling import Meddling
from tests.support.world import World

TEXTS = {1: "Bom dia! Eu ", 2: "queria saber ", 3: "do meu pedido."}
WHOLE = "".join(TEXTS.values())


def part(number: int, reference: int = 7, total: int = 3) -> Part:
    return Part(reference, total, number)


@pytest.fixture
def ana(world: World) -> str:
    return str(operations.costcentre_show(world.deps, "ana")["id"])


@pytest.fixture
def smsc(world: World, ana: str) -> BoundTo:
    """With a message of ana's under way, to be answered."""
    bound = BoundTo(world)
    order(world, ana, registered=0)
    world.drain()
    return bound


def replies(world: World, which: str) -> list[str]:
    return [mail.text for mail in mailed(world, which) if isinstance(mail, MailedReply)]


@pytest.mark.parametrize("order_of_parts", list(permutations(TEXTS)))
@pytest.mark.parametrize("at_once", [True, False])
def test_in_any_order_it_becomes_one_reply(
    world: World, ana: str, smsc: BoundTo, order_of_parts: tuple[int, ...], at_once: bool
) -> None:
    for n, number in enumerate(order_of_parts):
        assert replies(world, ana) == []
        smsc.tell_reply(TEXTS[number], part(number))
        if not at_once or n == 2:
            world.run(1.0)
    assert replies(world, ana) == [WHOLE]


def test_to_a_callback_url_it_comes_whole_as_well(world: World, ana: str) -> None:
    smsc = BoundTo(world)
    world.send()
    for number, text in TEXTS.items():
        world.drain()
        smsc.tell_reply(text, part(number))
    world.drain()
    assert [told["short_message"] for told in world.told if "short_message" in told] == [WHOLE]
    world.run(700.0, step=50.0)
    assert len([told for told in world.told if "short_message" in told]) == 1


def test_parts_that_come_again_are_read_once(world: World, ana: str, smsc: BoundTo) -> None:
    for number in (1, 1, 2, 1, 3, 2, 3):
        smsc.tell_reply(TEXTS[number], part(number))
        world.drain()
    world.run(700.0, step=50.0)
    assert replies(world, ana) == [WHOLE]
    assert len([r for r in world.every_record() if isinstance(r, Reply)]) == 1


def test_without_one_of_its_parts_it_goes_after_ten_minutes(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.tell_reply(TEXTS[1], part(1))
    world.run(30.0)
    smsc.tell_reply(TEXTS[3], part(3))
    world.run(560.0, step=10.0)
    assert replies(world, ana) == []
    world.run(20.0)
    assert replies(world, ana) == ["Bom dia! Eu ...do meu pedido."]
    world.run(900.0, step=50.0)
    assert len(replies(world, ana)) == 1


def test_a_part_that_comes_after_that_is_not_lost(world: World, ana: str, smsc: BoundTo) -> None:
    smsc.tell_reply(TEXTS[1], part(1, total=2))
    world.run(620.0, step=10.0)
    smsc.tell_reply(TEXTS[2], part(2, total=2))
    world.run(620.0, step=10.0)
    assert replies(world, ana) == ["Bom dia! Eu ...", "...queria saber "]


def test_two_texts_by_the_same_reference_one_after_the_other_are_two_replies(
    world: World, ana: str, smsc: BoundTo
) -> None:
    for text in ("a", "b", "c"):
        for number in (2, 1):
            smsc.tell_reply(f"{text}{number}", part(number, total=2))
            world.run(1.0)
    assert replies(world, ana) == ["a1a2", "b1b2", "c1c2"]
    world.run(700.0, step=50.0)
    assert len(replies(world, ana)) == 3


def test_a_second_text_does_not_wait_for_the_first_whose_part_was_lost(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.tell_reply("a1", part(1, total=2))
    world.run(5.0)
    for number in (1, 2):
        smsc.tell_reply(f"b{number}", part(number, total=2))
    world.run(5.0)
    assert replies(world, ana) == ["b1b2"]
    world.run(600.0, step=10.0)
    assert replies(world, ana) == ["b1b2", "a1..."]


def test_the_same_words_written_twice_are_two_replies(
    world: World, ana: str, smsc: BoundTo
) -> None:
    for _ in range(2):
        for number in (1, 2):
            smsc.tell_reply("oi", part(number, total=2))
        world.run(2.0)
    assert replies(world, ana) == ["oioi", "oioi"]


def test_phones_do_not_mix(world: World, ana: str, smsc: BoundTo) -> None:
    other = "5511988887777"
    order(world, ana, other, registered=0)
    world.drain()
    smsc.tell_reply("a1", part(1, total=2))
    smsc.tell_reply("b1", part(1, total=2), source=other)
    smsc.tell_reply("b2", part(2, total=2), source=other)
    smsc.tell_reply("a2", part(2, total=2))
    world.drain()
    told = {m.source: m.text for m in mailed(world, ana) if isinstance(m, MailedReply)}
    assert told == {NUMBER: "a1a2", other: "b1b2"}


def test_a_part_before_any_message_that_it_could_answer_waits_for_one(
    world: World, ana: str
) -> None:
    smsc = BoundTo(world)
    for number, text in TEXTS.items():
        smsc.tell_reply(text, part(number))
    world.run(10.0)
    order(world, ana, registered=0)
    world.run(60.0)
    assert replies(world, ana) == [WHOLE]


@pytest.mark.parametrize("odd", [Part(7, 1, 1), Part(7, 2, 3), Part(7, 3, 0), Part(7, 0, 0)])
def test_what_is_no_part_of_anything_is_a_reply_by_itself(
    world: World, ana: str, smsc: BoundTo, odd: Part
) -> None:
    told = Told("smsc", Incoming(NUMBER, "sim", "e1", part=odd), world.now, None, "body")
    kept = keep(told, world.deps)
    assert isinstance(kept.record, Reply)
    assert (kept.record.text, len(kept.record.reports)) == ("sim", 1)


def test_a_gathering_is_shown_to_nobody(world: World, ana: str, smsc: BoundTo) -> None:
    smsc.tell_reply(TEXTS[1], part(1))
    world.drain()
    [reply] = [r for r in world.every_record() if isinstance(r, Reply)]
    assert (reply.text, reply.reports) == ("", ())
    status, answer = world.call("POST", "/sms/recebimento", {})
    assert (status, answer["msg"]) == (200, [])


@pytest.mark.parametrize("before", [(), (3,)])
@pytest.mark.parametrize("call", ["by_refs", "records", "newest_to", "put_refs", "create"])
def test_two_parts_at_the_same_moment_in_two_processes_become_one_reply(
    tmp_path: Path, call: str, before: tuple[int, ...]
) -> None:
    """The second comes, and is dealt with, while the first is between its reads and its writes."""
    waiting: list[int] = []

    def meanwhile(*_: Any) -> None:
        if waiting:
            smsc.tell_reply(TEXTS[2], part(waiting.pop()))
            world.work("Inbound")

    world: World = World(tmp_path, wrap=Meddling(**{call: meanwhile}).wrap)
    ana = world.cost_centre()
    smsc: BoundTo = BoundTo(world)
    order(world, ana, registered=0)
    world.drain()
    for number in before:
        smsc.tell_reply(TEXTS[number], part(number))
        world.drain()
    waiting.append(2)
    smsc.tell_reply(TEXTS[1], part(1))
    world.run(5.0)
    for number in {3} - {*before}:
        smsc.tell_reply(TEXTS[number], part(number))
        world.drain()
    # What a part of a text that is begun already never asks for gives nobody an occasion.
    assert waiting == ([2] if before and call in ("newest_to", "create") else [])
    assert replies(world, ana) == ([] if waiting else [WHOLE])
    world.close()


# --- killed anywhere -----------------------------------------------------------------------------


def _kills() -> Iterator[Dying]:
    """At every call, before and after it, until a life passes without."""
    for after in (False, True):
        for at in count(1):
            dying = Dying(at, after=after)
            yield dying
            if not dying.died_in:
                assert at > 15
                break


@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 1)])
def test_killed_anywhere_it_is_told_once(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    for n, dying in enumerate(_kills()):
        folder = tmp_path / str(n)
        folder.mkdir()
        world = World(folder, wrap=dying.wrap)
        ana = world.cost_centre(callback_url="")
        smsc = BoundTo(world)
        order(world, ana, registered=0)
        world.drain()
        dying.arm()
        for number in numbers:
            smsc.tell_reply(TEXTS[number], part(number))
            _live(world)
        for _ in range(70):
            _live(world)
            world.now += 10.0
        note = f"killed {'after' if dying.after else 'before'} call {dying.at}, {dying.died_in}"
        expected = "".join(TEXTS[n] if n in numbers else "..." for n in TEXTS)
        assert replies(world, ana) == [expected], note
        assert world.dead_letters() == 0, note
        world.close()


def _live(world: World) -> None:
    try:
        world.drain()
    except Death:
        world.reopen()
        world.drain()
