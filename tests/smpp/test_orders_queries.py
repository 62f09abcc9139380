"""query_sm and cancel_sm."""

import pytest

from recado.costcentre import zone
from recado.ids import derived_id
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.times import absolute
from tests.support.smpp_asking import (
    TO,
    ask,
    cancel_sm,
    query_sm,
    read_multi,
    read_query,
    submit_multi,
    submitted,
)
from tests.support.world import START, World

ENROUTE, DELIVERED, DELETED, UNDELIVERABLE, UNKNOWN = 1, 2, 4, 5, 7
IN_AN_HOUR = "000000010000000R"
OTHER = "5511998887755"


@pytest.fixture
def cost_centre(world: World) -> str:
    return world.cost_centre(login="smpp")


def found(world: World, cost_centre: str, identifier: str) -> tuple[str, int, int]:
    """final_date, message_state and error_code."""
    told = ask(world, cost_centre, wire.QUERY_SM, query_sm(identifier))
    assert told.command_status == 0
    told_id, final_date, state, error = read_query(told.body)
    assert told_id == identifier
    return final_date, state, error


def not_found(world: World, cost_centre: str, identifier: str) -> int:
    return ask(world, cost_centre, wire.QUERY_SM, query_sm(identifier)).command_status


def cancelled(world: World, cost_centre: str, identifier: str) -> int:
    told = ask(world, cost_centre, wire.CANCEL_SM, cancel_sm(identifier))
    assert told.body == b""
    return told.command_status


def local(at: float) -> str:
    return absolute(at, zone("America/Sao_Paulo"))


# --- query_sm ------------------------------------------------------------------------------------


def test_a_message_is_on_its_way_until_it_is_delivered(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre)
    assert found(world, cost_centre, identifier) == ("", ENROUTE, 0)
    world.drain(receipts=False)
    assert found(world, cost_centre, identifier) == ("", ENROUTE, 0)
    world.now += 30
    world.drain()
    assert found(world, cost_centre, identifier) == (local(START + 30), DELIVERED, 0)


def test_the_error_of_the_network_is_told(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre)
    world.drain(receipts=False)
    told = world.receipts[0]
    world.receipts[:] = [world.receipt(told["id"], told["reference"], "UNDELIV", "034")]
    world.drain()
    assert found(world, cost_centre, identifier)[1:] == (UNDELIVERABLE, 34)


def test_an_id_is_found_in_capitals_too(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre).upper()
    assert found(world, cost_centre, identifier) == ("", ENROUTE, 0)


@pytest.mark.parametrize(
    "identifier", ["", "12345", derived_id(START - 5 * 86_400, "old"), "x" * 64]
)
def test_what_nobody_sent_is_not_found(world: World, cost_centre: str, identifier: str) -> None:
    assert not_found(world, cost_centre, identifier) == status.ESME_RQUERYFAIL


def test_what_somebody_else_sent_is_not_found(world: World, cost_centre: str) -> None:
    identifier = world.send(send_at="2026-05-28T21:00:00Z")
    world.run(3_000, step=100)
    assert world.record(identifier).state == "DELIVERED"
    world.now += 2 * 86_400
    assert not_found(world, cost_centre, identifier) == status.ESME_RQUERYFAIL


def test_many_are_on_their_way_as_long_as_one_is(world: World, cost_centre: str) -> None:
    body = submit_multi("5534998887755", OTHER, "1")
    identifier, _ = read_multi(ask(world, cost_centre, wire.SUBMIT_MULTI, body).body)
    assert found(world, cost_centre, identifier) == ("", ENROUTE, 0)
    world.drain(receipts=False)
    late = world.receipts.pop()
    world.drain()
    assert found(world, cost_centre, identifier) == ("", ENROUTE, 0)
    world.now += 60
    world.receipts.append(late)
    world.drain()
    assert found(world, cost_centre, identifier) == (local(START + 60), DELIVERED, 0)


def test_of_many_the_first_that_was_not_delivered_is_told(world: World, cost_centre: str) -> None:
    body = submit_multi("5534998887755", OTHER)
    identifier, _ = read_multi(ask(world, cost_centre, wire.SUBMIT_MULTI, body).body)
    world.drain(receipts=False)
    last = world.receipts[1]
    world.receipts[1] = world.receipt(last["id"], last["reference"], "UNKNOWN", "012")
    world.drain()
    assert found(world, cost_centre, identifier)[1:] == (UNKNOWN, 12)


# --- cancel_sm -----------------------------------------------------------------------------------


def test_what_waits_for_its_hour_is_cancelled(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre, schedule_delivery_time=IN_AN_HOUR)
    assert cancelled(world, cost_centre, identifier) == 0
    assert found(world, cost_centre, identifier)[1] == DELETED
    assert cancelled(world, cost_centre, identifier) == 0, "again"
    world.run(4_000, step=200)
    assert world.taken == []


def test_what_is_queued_is_cancelled(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre)
    assert cancelled(world, cost_centre, identifier) == 0
    world.drain()
    assert world.taken == []


def test_a_submit_multi_is_cancelled_as_a_whole(world: World, cost_centre: str) -> None:
    body = submit_multi("5534998887755", OTHER, schedule_delivery_time=IN_AN_HOUR)
    identifier, _ = read_multi(ask(world, cost_centre, wire.SUBMIT_MULTI, body).body)
    assert cancelled(world, cost_centre, identifier) == 0
    assert found(world, cost_centre, identifier)[1] == DELETED
    world.run(4_000, step=200)
    assert world.taken == []


def test_what_has_gone_is_not_cancelled(world: World, cost_centre: str) -> None:
    identifier = submitted(world, cost_centre)
    world.drain()
    assert cancelled(world, cost_centre, identifier) == status.ESME_RCANCELFAIL
    assert found(world, cost_centre, identifier)[1] == DELIVERED


@pytest.mark.parametrize("identifier", ["12345", derived_id(START - 5 * 86_400, "old")])
def test_what_nobody_sent_is_not_cancelled(world: World, cost_centre: str, identifier: str) -> None:
    assert cancelled(world, cost_centre, identifier) == status.ESME_RCANCELFAIL


def test_without_an_id_nothing_is_cancelled(world: World, cost_centre: str) -> None:
    submitted(world, cost_centre)
    told = ask(world, cost_centre, wire.CANCEL_SM, cancel_sm("", TO))
    assert told.command_status == status.ESME_RCANCELFAIL
    world.drain()
    assert len(world.taken) == 1
