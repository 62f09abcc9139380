"""replace_sm: what waits for its hour is changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recado.connectors import Part
from recado.engine import Entry
from recado.message import Key
from recado.schedules import move
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.times import absolute
from recado.smpp.udh import concatenation
from tests.support.dying import Death, Dying
from tests.support.meddling import Meddling
from tests.support.smpp_asking import (
    ask,
    cancel_sm,
    read_multi,
    replace_sm,
    submit_multi,
    submitted,
)
from tests.support.world import START, World

IN_AN_HOUR = "000000010000000R"


@pytest.fixture
def cost_centre(world: World) -> str:
    return world.cost_centre(login="smpp")


def scheduled(world: World, cost_centre: str, **fields: Any) -> str:
    return submitted(world, cost_centre, schedule_delivery_time=IN_AN_HOUR, **fields)


def replaced(world: World, cost_centre: str, identifier: str, **changes: Any) -> int:
    told = ask(world, cost_centre, wire.REPLACE_SM, replace_sm(identifier, **changes))
    assert told.body == b""
    return told.command_status


def gone(world: World, until: float) -> list[str]:
    """The texts that the upstream has taken by that many seconds after the start."""
    world.run(START + until - world.now, step=50)
    return [one["text"] for one in world.taken]


def held(world: World) -> int:
    return int(world.database.read("SELECT count(*) FROM held")[0][0])


def test_a_text_is_replaced_and_goes_at_the_same_hour(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre, registered_delivery=1)
    assert replaced(world, cost_centre, identifier, text=b"outro", registered_delivery=2) == 0
    assert gone(world, 3_590) == []
    assert gone(world, 3_660) == ["outro"]
    record = world.record(identifier, "smpp")
    assert (record.to, record.registered, record.expires_at - record.due_at) == (
        "5534998887755",
        2,
        86_400,
    )
    assert held(world) == 0


def test_a_text_is_replaced_again_and_again(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    for text in (b"um", b"dois", b"a" * 200, b"fim"):
        assert replaced(world, cost_centre, identifier, text=text) == 0
        assert held(world) == 1
    assert gone(world, 3_700) == ["fim"]


def test_an_hour_is_replaced_with_the_text(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    schedule, validity = absolute(START + 1_800), absolute(START + 2_400)
    told = replaced(world, cost_centre, identifier, schedule=schedule, validity=validity)
    assert told == 0
    assert gone(world, 1_750) == []
    assert gone(world, 1_860) == ["outro"]
    record = world.record(identifier, "smpp")
    assert round(record.expires_at - record.due_at) == 600


def test_a_validity_counts_from_the_hour_that_stays(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    assert replaced(world, cost_centre, identifier, validity=absolute(START + 5_400)) == 0
    gone(world, 3_700)
    record = world.record(identifier, "smpp")
    assert round(record.expires_at - record.due_at) == 1_800


def test_what_was_moved_by_http_is_replaced_at_its_new_hour(world: World) -> None:
    cost_centre = world.cost_centre(login="smpp")
    identifier = scheduled(world, cost_centre)
    move(Key(cost_centre, identifier), START + 1_800, world.deps)
    assert replaced(world, cost_centre, identifier) == 0
    assert gone(world, 1_860) == ["outro"]


def test_what_was_replaced_is_cancelled(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    assert replaced(world, cost_centre, identifier) == 0
    told = ask(world, cost_centre, wire.CANCEL_SM, cancel_sm(identifier))
    assert told.command_status == 0
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL
    assert gone(world, 3_700) == []
    assert held(world) == 0


def test_what_has_gone_is_not_replaced(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre)
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL, "queued"
    world.drain()
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL, "delivered"


def test_what_is_about_to_go_is_not_replaced(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    world.now += 3_550
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL
    assert gone(world, 3_700) == ["oi"]


def test_what_somebody_else_sent_is_not_replaced(world: World, cost_centre: str) -> None:
    identifier = scheduled(world, cost_centre)
    other = world.cost_centre(login="other")
    assert replaced(world, other, identifier) == status.ESME_RREPLACEFAIL
    assert replaced(world, cost_centre, "12345") == status.ESME_RREPLACEFAIL
    assert gone(world, 3_700) == ["oi"]


def test_a_submit_multi_is_not_replaced(world: World, cost_centre: str) -> None:
    body = submit_multi("5534998887755", schedule_delivery_time=IN_AN_HOUR)
    identifier, _ = read_multi(ask(world, cost_centre, wire.SUBMIT_MULTI, body).body)
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL


def test_one_part_of_a_long_text_is_not_replaced(world: World, cost_centre: str) -> None:
    octets = concatenation(Part(7, 2, 1)) + b"um"
    identifier = scheduled(world, cost_centre, text=octets, esm_class=0x40)
    assert replaced(world, cost_centre, identifier) == status.ESME_RREPLACEFAIL


@pytest.mark.parametrize(
    ("changes", "command_status"),
    [
        ({"text": b""}, status.ESME_RINVMSGLEN),
        ({"default_message": 1}, status.ESME_RINVDFTMSGID),
        ({"schedule": "soon"}, status.ESME_RINVSCHED),
        ({"schedule": absolute(START - 120)}, status.ESME_RINVSCHED),
        ({"schedule": absolute(START + 60 * 86_400)}, status.ESME_RINVSCHED),
        ({"validity": absolute(START + 1_800)}, status.ESME_RINVEXPIRY),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    world: World, cost_centre: str, changes: dict[str, Any], command_status: int
) -> None:
    identifier = scheduled(world, cost_centre)
    assert replaced(world, cost_centre, identifier, **changes) == command_status
    assert gone(world, 3_700) == ["oi"]


@pytest.mark.parametrize("switches", [{"prepaid": True, "price": 500}, {"daily_quota": 10}])
def test_no_text_grows_beyond_what_was_paid_or_counted(
    world: World, switches: dict[str, Any]
) -> None:
    cost_centre = world.cost_centre(login="smpp", **switches)
    store = world.bare.store
    store.credit([Entry(cost_centre, "gift", "credit", 1_000, START)])
    identifier = scheduled(world, cost_centre)
    told = replaced(world, cost_centre, identifier, text=b"a" * 161)
    assert told == status.ESME_RREPLACEFAIL
    assert replaced(world, cost_centre, identifier, text=b"a" * 160) == 0
    told = ask(world, cost_centre, wire.CANCEL_SM, cancel_sm(identifier)).command_status
    gone(world, 3_700)
    assert (told, store.balance(cost_centre)) == (0, 1_000), "given back"


# --- several at once, and kills ------------------------------------------------------------------


@pytest.mark.parametrize("call", ["records", "held", "hold"])
def test_whoever_replaces_at_the_same_time_loses_nothing(
    make_world: Callable[..., World], call: str
) -> None:
    def act(*_: Any) -> None:
        if ids:
            assert replaced(world, cost_centre, ids.pop(), text=b"deles") == 0

    ids: list[str] = []
    world = make_world(wrap=Meddling(**{call: act}).wrap)
    cost_centre = world.cost_centre(login="smpp")
    identifier = scheduled(world, cost_centre)
    ids.append(identifier)
    assert replaced(world, cost_centre, identifier, text=b"nosso") == 0
    assert ids == []
    assert gone(world, 3_700) == ["nosso"]
    assert held(world) == 0


def test_who_is_cancelled_at_the_same_time_does_not_go(make_world: Callable[..., World]) -> None:
    def act(*_: Any) -> None:
        assert ask(world, cost_centre, wire.CANCEL_SM, cancel_sm(ids[0])).command_status == 0

    ids: list[str] = []
    meddling = Meddling(hold=lambda *_: act() if ids else None)
    world = make_world(wrap=meddling.wrap)
    cost_centre = world.cost_centre(login="smpp")
    ids.append(scheduled(world, cost_centre))
    assert replaced(world, cost_centre, ids[0]) == status.ESME_RREPLACEFAIL
    assert gone(world, 3_700) == []
    assert held(world) == 0


def test_killed_in_replacing_a_message_goes_once_as_it_was_or_as_it_is(tmp_path: Path) -> None:
    at, died = 0, True
    while died:
        at += 1
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}"
            folder.mkdir()
            dying = Dying(at, after=after)
            world = World(folder, wrap=dying.wrap)
            try:
                died = dies_once(world, dying)
            finally:
                world.close()
    assert at > 4, "it died at each call"


def dies_once(world: World, dying: Dying) -> bool:
    """Replaces, dies over it, and sees what goes: whether it died."""
    cost_centre = world.cost_centre(login="smpp")
    identifier = scheduled(world, cost_centre)
    schedule = absolute(START + 1_800)
    dying.arm()
    told = None
    try:
        told = replaced(world, cost_centre, identifier, schedule=schedule)
    except Death:
        world.reopen()
    dying.disarm()
    early, late = gone(world, 1_900), gone(world, 3_700)
    assert (early, late) in [(["outro"], ["outro"]), ([], ["oi"])]
    assert told is None or early == ["outro"]
    assert held(world) == 0
    return bool(dying.died_in)
