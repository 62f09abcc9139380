"""submit_multi: a batch, answered destination by destination."""

import pytest

from recado.message import Batch
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address
from tests.support.smpp_asking import PHONE, ask, read_multi, submit_multi, submit_sm
from tests.support.world import World

OTHER = "5511998887755"


@pytest.fixture
def cost_centre(world: World) -> str:
    return world.cost_centre(login="smpp")


def taken(world: World, cost_centre: str, body: bytes) -> tuple[str, list[tuple[str, int]]]:
    """What was answered to a submit_multi that was taken."""
    told = ask(world, cost_centre, wire.SUBMIT_MULTI, body)
    assert told.command_status == 0
    return read_multi(told.body)


def test_each_destination_gets_the_text(world: World, cost_centre: str) -> None:
    identifier, refused = taken(world, cost_centre, submit_multi(PHONE, OTHER, text=b"todos"))
    world.drain()
    assert refused == []
    assert sorted((one["to"], one["text"]) for one in world.taken) == [
        (OTHER, "todos"),
        (PHONE, "todos"),
    ]
    assert {message.batch_id for message in world.messages("smpp")} == {identifier}
    assert isinstance(world.record(identifier, "smpp"), Batch)


def test_what_is_no_number_is_told_and_the_others_go(world: World, cost_centre: str) -> None:
    word = Address(5, 0, "Recado")
    body = submit_multi(word, PHONE, "551133334444", lists=("friends",))
    _, refused = taken(world, cost_centre, body)
    world.drain()
    assert sorted(refused) == [
        ("551133334444", status.ESME_RINVDSTADR),
        ("Recado", status.ESME_RINVDSTTON),
        ("friends", status.ESME_RINVDLNAME),
    ]
    assert [one["to"] for one in world.taken] == [PHONE]


def test_what_no_route_leads_to_is_told(world: World, cost_centre: str) -> None:
    world.route_is(prefix="5534")
    _, refused = taken(world, cost_centre, submit_multi(PHONE, OTHER))
    assert refused == [(OTHER, status.ESME_RSYSERR)]


@pytest.mark.parametrize(
    ("body", "command_status"),
    [
        (submit_multi("1", "2"), status.ESME_RINVDSTADR),
        (submit_multi(lists=("friends",)), status.ESME_RINVDLNAME),
        (submit_multi("1", lists=("friends",)), status.ESME_RSUBMITFAIL),
        (submit_multi(PHONE, text=b""), status.ESME_RINVMSGLEN),
        (submit_multi(PHONE, data_coding=4), status.ESME_RSUBMITFAIL),
        (submit_multi(PHONE, esm_class=1), status.ESME_RINVESMCLASS),
        (submit_multi(), status.ESME_RINVNUMDESTS),
    ],
    ids=["numbers", "lists", "both", "no text", "binary", "mode", "nobody"],
)
def test_of_a_request_that_is_refused_nothing_is_kept(
    world: World, cost_centre: str, body: bytes, command_status: int
) -> None:
    told = ask(world, cost_centre, wire.SUBMIT_MULTI, body)
    assert (told.command_status, told.body) == (command_status, b"")
    world.drain()
    assert world.every_record("smpp") == []


def test_it_is_charged_for_what_was_taken(world: World) -> None:
    cost_centre = world.cost_centre(login="smpp", daily_quota=2)
    taken(world, cost_centre, submit_multi(PHONE, "1", OTHER))
    told = ask(world, cost_centre, wire.SUBMIT_MULTI, submit_multi(PHONE))
    assert told.command_status == status.ESME_RTHROTTLED


def test_a_submit_multi_counts_as_many_requests_a_second_as_it_has_numbers(world: World) -> None:
    cost_centre = world.cost_centre(login="smpp", per_second=4)
    three = submit_multi(PHONE, "5511998887755", "5511998887756", "123")
    assert ask(world, cost_centre, wire.SUBMIT_MULTI, three).command_status == 0
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == 0
    throttled = status.ESME_RTHROTTLED
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == throttled
    world.now += 1
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == 0
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == 0
    assert ask(world, cost_centre, wire.SUBMIT_MULTI, three).command_status == throttled


def test_a_submit_multi_for_more_than_may_go_in_a_second_has_one_for_itself(world: World) -> None:
    cost_centre = world.cost_centre(login="smpp", per_second=2)
    many = submit_multi(*(f"55119988877{n:02d}" for n in range(50)))
    assert ask(world, cost_centre, wire.SUBMIT_MULTI, many).command_status == 0
    throttled = status.ESME_RTHROTTLED
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == throttled
    world.now += 1
    assert ask(world, cost_centre, wire.SUBMIT_SM, submit_sm()).command_status == 0
    assert ask(world, cost_centre, wire.SUBMIT_MULTI, many).command_status == throttled
