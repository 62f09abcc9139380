"""Asking for messages and batches, and taking them back: routes of ours, not in the document."""

from typing import Any
from uuid import UUID

import pytest

from recado import operations
from recado.http import Reached
from recado.ids import new_id
from tests.support.world import World

GOOD, OTHER, BAD = "5534998887755", "5511987654321", "553488556644"
DAY = 86_400.0
LATER = "2026-05-28T18:26:40"  # an hour after the start of a world's time
GONE = {"error": True, "message": "Message has already gone!", "esme": "ESME_RCANCELFAIL"}


def send_batch(world: World, *numbers: str, **fields: Any) -> str:
    elements = [{"destination_addr": number, "message": "oi"} for number in numbers]
    return str(world.call("POST", "/message/batch", {"list": elements, **fields})[1]["batchId"])


def batch(world: World, identifier: str, login: str = "ana") -> tuple[int, dict[str, Any]]:
    return world.call("GET", f"/message/batch/{identifier}", login=login)


def cancel(world: World, identifier: str, login: str = "ana") -> tuple[int, dict[str, Any]]:
    return world.call("DELETE", f"/message/{identifier}", login=login)


def cancel_batch(world: World, identifier: str) -> tuple[int, dict[str, Any]]:
    return world.call("DELETE", f"/message/batch/{identifier}")


# --- GET /message/{id} ---------------------------------------------------------------------------


def test_a_message_without_a_record_is_said_to_have_none(world: World) -> None:
    identifier = world.send()
    expected = {"message_id": identifier, "state": "QUEUED", "recorded": False}
    assert world.call("GET", f"/message/{identifier}") == (200, expected)


def test_a_message_that_waits_for_its_hour_is_scheduled(world: World) -> None:
    identifier = world.send(send_at=LATER)
    expected = {"message_id": identifier, "state": "SCHEDULED", "recorded": False}
    assert world.call("GET", f"/message/{identifier}") == (200, expected)


def test_a_delivered_message_shows_its_history_and_its_reports(world: World) -> None:
    identifier = world.send(reference_id="pedido 7")
    world.drain(receipts=False)
    world.now += 2.5
    world.drain()
    assert world.call("GET", f"/message/{identifier}") == (
        200,
        {
            "message_id": identifier,
            "state": "DELIVERED",
            "recorded": True,
            "destination_addr": GOOD,
            "segments": 1,
            "due_at": "2026-05-28T20:26:40.000+00:00",
            "expires_at": "2026-05-29T20:26:40.000+00:00",
            "history": [
                {"at": "2026-05-28T20:26:40.000+00:00", "state": "QUEUED", "note": ""},
                {"at": "2026-05-28T20:26:40.000+00:00", "state": "SUBMITTING", "note": "simulator"},
                {"at": "2026-05-28T20:26:40.000+00:00", "state": "ENROUTE", "note": ""},
                {"at": "2026-05-28T20:26:42.500+00:00", "state": "DELIVERED", "note": "000"},
            ],
            "reports": [
                {
                    "type": 1,
                    "stat": "ESME_ROK",
                    "owed_at": "2026-05-28T20:26:40.000+00:00",
                    "given_at": "2026-05-28T20:26:40.000+00:00",
                    "attempts": 1,
                },
                {
                    "type": 2,
                    "stat": "DELIVRD",
                    "owed_at": "2026-05-28T20:26:42.500+00:00",
                    "given_at": "2026-05-28T20:26:42.500+00:00",
                    "attempts": 1,
                },
            ],
            "reference_id": "pedido 7",
        },
    )


def test_an_id_is_found_in_capitals_too(world: World) -> None:
    identifier = world.send()
    world.drain()
    assert world.message(identifier.upper()) == world.message(identifier)


def test_a_report_that_nobody_took_shows_its_attempts(world: World) -> None:
    world.customer = lambda _: Reached(500, b"")
    identifier = world.send()
    world.run(10)
    first = world.message(identifier)["reports"][0]
    assert first["given_at"] is None
    assert first["attempts"] > 1


def test_a_message_of_another_looks_like_an_id_that_was_never_given(world: World) -> None:
    world.cost_centre("bia")
    identifier, never = world.send(), new_id(world.now)
    world.drain()
    for wanted in (identifier, never):
        _, answer = world.call("GET", f"/message/{wanted}", login="bia")
        assert answer == {"message_id": wanted, "state": "QUEUED", "recorded": False}
    world.now += DAY + 1
    for wanted in (identifier, never):
        assert world.call("GET", f"/message/{wanted}", login="bia")[0] == 404
    assert world.message(identifier)["state"] == "DELIVERED"


def test_a_batch_is_no_message_and_a_message_no_batch(world: World) -> None:
    identifier, batch_id = world.send(), send_batch(world, GOOD)
    world.drain()
    assert world.call("GET", f"/message/{batch_id}")[0] == 404
    assert batch(world, identifier)[0] == 404
    assert cancel_batch(world, identifier)[0] == 404
    assert cancel(world, batch_id)[0] == 404


# --- GET /message/batch/{id} ---------------------------------------------------------------------


def test_a_batch_shows_how_many_are_in_which_state_and_every_id(world: World) -> None:
    batch_id = send_batch(world, GOOD, BAD, OTHER, "5521987654321")
    world.upstream = lambda submit: (
        Reached(200, b'{"esme":"ESME_RINVDSTADR"}') if submit["to"] == OTHER else world.take(submit)
    )
    world.drain()
    status, answer = batch(world, batch_id)
    told = next(told for told in world.told if "batchId" in told)
    assert (status, answer) == (
        200,
        {
            "batchId": batch_id,
            "recorded": True,
            "batchCount": "4",
            "announced_at": "2026-05-28T20:26:40.000+00:00",
            "counts": {"DELIVERED": 2, "REFUSED": 1, "REJECTED": 1},
            "list": [
                {
                    "message_id": line["message_id"],
                    "destination_addr": line["destination_addr"],
                    "state": state,
                }
                for line, state in zip(
                    told["list"], ["DELIVERED", "REFUSED", "REJECTED", "DELIVERED"], strict=True
                )
            ],
        },
    )
    shown = world.message(told["list"][0]["message_id"])
    assert (shown["batch_id"], shown["state"]) == (batch_id, "DELIVERED")


@pytest.mark.parametrize(("fields", "state"), [({}, "QUEUED"), ({"send_at": LATER}, "SCHEDULED")])
def test_a_batch_without_a_record_is_said_to_have_none(
    world: World, fields: dict[str, str], state: str
) -> None:
    batch_id = send_batch(world, GOOD, **fields)
    assert batch(world, batch_id) == (
        200,
        {"batchId": batch_id, "state": state, "recorded": False},
    )


def test_a_batch_whose_callback_was_not_taken_yet_is_not_announced(world: World) -> None:
    world.customer = lambda _: Reached(500, b"")
    batch_id = send_batch(world, GOOD)
    world.drain()
    assert batch(world, batch_id)[1]["announced_at"] is None


def test_a_batch_of_another_is_not_told_of(world: World) -> None:
    world.cost_centre("bia")
    batch_id = send_batch(world, GOOD)
    world.drain()
    world.now += DAY + 1
    assert batch(world, batch_id, "bia")[0] == 404
    assert batch(world, batch_id)[0] == 200


# --- DELETE /message/{id} ------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"send_at": LATER}])
def test_a_cancelled_message_is_never_sent_and_owes_no_report(
    world: World, fields: dict[str, str]
) -> None:
    identifier = world.send(**fields)
    expected = {"message_id": identifier, "state": "DELETED"}
    assert cancel(world, identifier) == (200, expected)
    assert cancel(world, identifier) == (200, expected)
    world.run(2 * 3600, step=600)
    assert (world.taken, world.told) == ([], [])
    shown = world.message(identifier)
    assert (shown["state"], shown["reports"]) == ("DELETED", [])
    assert cancel(world, identifier) == (200, expected)


def test_a_message_taken_back_early_has_neither_number_nor_segments(world: World) -> None:
    identifier = world.send()
    cancel(world, identifier)
    shown = world.message(identifier)
    assert (shown["destination_addr"], shown["segments"]) == ("", 0)


def test_a_message_that_waits_for_its_upstream_can_be_taken_back(world: World) -> None:
    world.upstream = lambda _: Reached(503, b"")
    identifier = world.send()
    world.run(3)
    assert world.message(identifier)["state"] == "SUBMITTING"
    assert cancel(world, identifier)[0] == 200
    world.upstream = world.take
    world.run(120)
    assert (world.taken, world.told) == ([], [])


@pytest.mark.parametrize("receipts", [False, True])
def test_a_message_that_has_gone_cannot_be_taken_back(world: World, receipts: bool) -> None:
    identifier = world.send()
    world.drain(receipts=receipts)
    before = world.message(identifier)
    status, answer = cancel(world, identifier)
    assert UUID(answer.pop("message_id"))
    assert (status, answer) == (409, GONE)
    assert world.message(identifier) == before


def test_a_message_that_was_perhaps_sent_cannot_be_taken_back(world: World) -> None:
    world.upstream = lambda _: Reached(500, b"")
    identifier = world.send()
    world.drain()
    assert cancel(world, identifier)[0] == 409


def test_nobody_takes_back_the_message_of_another(world: World) -> None:
    world.cost_centre("bia")
    identifier = world.send()
    cancel(world, identifier, "bia")
    world.drain()
    assert len(world.taken) == 1
    world.now += DAY + 1
    assert cancel(world, identifier, "bia")[0] in (200, 404)


def test_nobody_hurries_the_schedule_of_another_by_taking_it_back(world: World) -> None:
    world.cost_centre("bia")
    single, many = world.send(send_at=LATER), send_batch(world, GOOD, OTHER, send_at=LATER)
    for path in (f"/message/{single}", f"/message/batch/{many}", f"/message/{many}"):
        world.call("DELETE", path, login="bia")
    world.run(60, step=20)
    assert world.taken == []
    world.run(2 * 3600, step=600)
    assert len(world.taken) == 3


# --- DELETE /message/batch/{id} ------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"send_at": LATER}])
def test_a_batch_cancelled_before_its_list_was_looked_at_goes_nowhere(
    world: World, fields: dict[str, str]
) -> None:
    batch_id = send_batch(world, GOOD, OTHER, **fields)
    expected = {"batchId": batch_id, "state": "DELETED"}
    assert cancel_batch(world, batch_id) == (200, expected)
    assert cancel_batch(world, batch_id) == (200, expected)
    world.run(2 * 3600, step=600)
    assert (world.taken, world.told) == ([], [])
    assert cancel_batch(world, batch_id) == (200, expected)
    assert batch(world, batch_id) == (200, {**expected, "recorded": True})


def test_what_of_a_batch_has_not_gone_is_taken_back(world: World) -> None:
    world.upstream = lambda submit: (
        world.take(submit) if submit["to"] == GOOD else Reached(503, b"")
    )
    batch_id = send_batch(world, GOOD, BAD, OTHER)
    world.run(3)
    expected = {"batchId": batch_id, "cancelled": 1, "gone": 1}
    assert cancel_batch(world, batch_id) == (200, expected)
    assert cancel_batch(world, batch_id) == (200, expected)
    world.upstream = world.take
    world.run(120)
    assert [taken["to"] for taken in world.taken] == [GOOD]
    counts = batch(world, batch_id)[1]["counts"]
    assert counts == {"DELIVERED": 1, "REFUSED": 1, "DELETED": 1}
    assert [told.get("type", "batch") for told in world.told] == ["batch", 1, 2]


def test_a_batch_that_has_gone_cannot_be_taken_back(world: World) -> None:
    batch_id = send_batch(world, GOOD, OTHER)
    world.drain()
    status, answer = cancel_batch(world, batch_id)
    assert UUID(answer.pop("message_id"))
    assert (status, answer) == (409, {**GONE, "message": "Batch has already gone!"})


def test_one_message_of_a_batch_can_be_taken_back(world: World) -> None:
    world.upstream = lambda _: Reached(503, b"")
    send_batch(world, GOOD, OTHER)
    world.drain()
    identifier = world.told[0]["list"][1]["message_id"]
    assert cancel(world, identifier)[0] == 200
    world.upstream = world.take
    world.run(120)
    assert [taken["to"] for taken in world.taken] == [GOOD]


def test_a_suspended_cost_centre_can_neither_ask_nor_cancel(world: World) -> None:
    identifier = world.send()
    operations.costcentre_suspend(world.deps, "ana")
    assert world.call("GET", f"/message/{identifier}")[0] == 403
    assert cancel(world, identifier)[0] == 403


def test_a_batch_that_is_taken_back_by_the_path_of_a_message_is_not_sent(world: World) -> None:
    body = {"list": [{"destination_addr": "5534998887755", "message": "oi"}]}
    batch_id = world.call("POST", "/message/batch", body)[1]["batchId"]
    assert world.call("DELETE", f"/message/{batch_id}")[0] == 200
    world.drain()
    assert (world.taken, world.told) == ([], [])
