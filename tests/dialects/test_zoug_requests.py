"""Zoug's /message: what is read from a request, and what is ours beside the document."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from recado import operations
from tests.support.world import World

GOOD = "5534998887755"
BODY = {"destination_addr": GOOD, "message": "oi"}
HOUR = 3600.0


def post(world: World, **fields: Any) -> tuple[int, dict[str, Any]]:
    return world.call("POST", "/message", {**BODY, **fields})


def went_to(world: World) -> list[str]:
    world.drain()
    return [taken["to"] for taken in world.taken]


# --- forms of a request --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_json_body_serves_on_either_verb(world: World, method: str) -> None:
    status, answer = world.call(method, "/message", BODY)
    assert (status, list(answer)) == (200, ["message_id"])
    assert went_to(world) == [GOOD]


def test_a_query_string_serves_on_get_without_a_body(world: World) -> None:
    fields = {**BODY, "message": "Olá & até já", "reference_id": "a 1"}
    status, _ = world.call("GET", f"/message?{urlencode(fields)}")
    assert status == 200
    world.drain()
    assert [taken["text"] for taken in world.taken] == ["Ola & até ja"]
    assert {told["reference_id"] for told in world.told} == {"a 1"}


def test_the_body_counts_where_there_is_a_query_string_too(world: World) -> None:
    query = urlencode({**BODY, "destination_addr": "5511987654321"})
    assert world.call("GET", f"/message?{query}", BODY)[0] == 200
    assert went_to(world) == [GOOD]


def test_a_query_string_alone_does_not_serve_on_post(world: World) -> None:
    status, answer = world.call("POST", f"/message?{urlencode(BODY)}")
    assert (status, answer["message"]) == (400, "Body is not valid JSON!")


def test_every_field_of_ours_can_stand_in_a_query_string(world: World) -> None:
    fields = {**BODY, "send_at": "2026-05-28T18:26:40-03:00", "validity": "600"}
    _, answer = world.call("GET", f"/message?{urlencode(fields)}")
    world.run(HOUR + 60, step=60)
    shown = world.message(answer["message_id"])
    assert shown["due_at"] == "2026-05-28T21:26:40.000+00:00"
    assert shown["expires_at"] == "2026-05-28T21:36:40.000+00:00"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "x/y"])
def test_the_content_type_is_not_looked_at(world: World, content_type: str) -> None:
    headers = {"content-type": content_type}
    assert world.call("POST", "/message", BODY, headers=headers)[0] == 200


def test_unknown_fields_are_ignored(world: World) -> None:
    assert post(world, priority="high", nested={"a": [1, None]}, from_="x")[0] == 200


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [GOOD, GOOD[2:], f"+{GOOD}"])
def test_a_number_may_have_the_country_code_and_a_plus(world: World, written: str) -> None:
    assert post(world, destination_addr=written)[0] == 200
    assert went_to(world) == [GOOD]


def test_a_leading_plus_is_refused_when_the_cost_centre_is_strict(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", strict_numbers=True)
    status, answer = post(world, destination_addr=f"+{GOOD}")
    assert (status, answer["message"]) == (400, "Destination_addr is invalid!")
    assert post(world)[0] == post(world, destination_addr=GOOD[2:])[0] == 200


def test_the_documents_invalid_number_is_refused_in_the_documents_words(world: World) -> None:
    status, answer = post(world, destination_addr="553488556644")
    assert status == 400
    assert str(UUID(answer.pop("message_id")))
    assert answer == {
        "error": True,
        "message": "Destination_addr is invalid!",
        "esme": "ESME_RINVDSTADR",
    }
    assert went_to(world) == []


def test_a_fixed_line_is_tried_where_the_cost_centre_wants_it(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", fixed_lines=True)
    assert post(world, destination_addr="554130600300")[0] == 200
    assert went_to(world) == ["554130600300"]


# --- reference_id --------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "kept"), [("pedido 7", "pedido 7"), (7, "7"), ("", "")])
def test_a_reference_is_kept_and_echoed(world: World, given: str | int, kept: str) -> None:
    identifier = world.send(reference_id=given)
    world.drain()
    world.tell({"event": "reply", "id": "mo-1", "from": GOOD, "text": "Sim"})
    world.drain()
    assert world.message(identifier)["reference_id"] == kept
    assert [told["reference_id"] for told in world.told] == [kept] * 3


def test_without_a_reference_nothing_is_echoed(world: World) -> None:
    identifier = world.send(reference_id=None)
    world.drain()
    assert "reference_id" not in world.message(identifier)
    assert not any("reference_id" in told for told in world.told)


# --- send_at and validity ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "send_at"),
    [
        ("America/Sao_Paulo", "2026-05-28T18:26:40"),
        ("America/Sao_Paulo", "2026-05-28 18:26:40"),
        ("America/Manaus", "2026-05-28T17:26:40"),
        ("America/Manaus", "2026-05-28T18:26:40-03:00"),
        ("America/Manaus", "2026-05-28T21:26:40Z"),
    ],
)
def test_send_at_without_a_zone_is_in_the_cost_centres_zone(
    world: World, zone: str, send_at: str
) -> None:
    operations.costcentre_update(world.deps, "ana", time_zone=zone)
    identifier = world.send(send_at=send_at)
    world.run(HOUR - 1, step=HOUR)
    assert world.message(identifier) == {
        "message_id": identifier,
        "state": "SCHEDULED",
        "recorded": False,
    }
    assert world.taken == []
    world.run(2)
    assert world.message(identifier)["state"] == "DELIVERED"


def test_send_at_a_moment_ago_means_now(world: World) -> None:
    identifier = world.send(send_at="2026-05-28T17:26:00-03:00")
    assert went_to(world) == [GOOD]
    assert world.message(identifier)["due_at"] == "2026-05-28T20:26:40.000+00:00"


def test_validity_counts_from_send_at(world: World) -> None:
    identifier = world.send(send_at="2026-05-28T18:26:40", validity=60)
    world.now += HOUR + 59
    world.tick()
    assert went_to(world) == [GOOD]
    assert world.message(identifier)["state"] == "DELIVERED"


@pytest.mark.parametrize("validity", [60, "60"])
def test_past_its_validity_a_message_is_not_sent(world: World, validity: int | str) -> None:
    identifier = world.send(validity=validity)
    world.now += 60
    assert went_to(world) == []
    assert world.message(identifier)["state"] == "EXPIRED"


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_validity_or_send_at_is_none(world: World, empty: str | None) -> None:
    identifier = world.send(validity=empty, send_at=empty)
    world.drain()
    assert world.message(identifier)["expires_at"] == "2026-05-29T20:26:40.000+00:00"


# --- Idempotency-Key -----------------------------------------------------------------------------

ROUTES: dict[str, dict[str, Any]] = {"/message": BODY, "/message/batch": {"list": [BODY, BODY]}}


def keyed(
    world: World, route: str, body: Any = None, key: str = "chave-1", login: str = "ana"
) -> tuple[int, dict[str, Any]]:
    headers = {"idempotency-key": key}
    return world.call("POST", route, body or ROUTES[route], headers=headers, login=login)


@pytest.mark.parametrize("route", ROUTES)
def test_the_same_key_gives_the_same_answer_and_one_sending(world: World, route: str) -> None:
    first = keyed(world, route)
    world.drain()
    assert keyed(world, route) == first
    world.now += 23 * HOUR
    assert keyed(world, route) == first
    world.drain()
    assert len(world.taken) == (2 if "batch" in route else 1)


def assert_reused(answered: tuple[int, dict[str, Any]]) -> None:
    status, answer = answered
    assert (status, answer["esme"]) == (409, "ESME_RINVOPTPARAMVAL")
    assert answer["message"] == "Idempotency-Key was used for another request!"


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_is_refused_where_something_else_is_asked(world: World, route: str) -> None:
    first = keyed(world, route)
    assert_reused(keyed(world, route, {**ROUTES[route], "validity": 600}))
    assert keyed(world, route) == first


def test_a_key_is_refused_on_another_route(world: World) -> None:
    keyed(world, "/message")
    assert_reused(keyed(world, "/message/batch"))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fault", [{"validity": 1}, {"send_at": "2026-05-28"}])
def test_a_refused_request_uses_up_no_key(world: World, route: str, fault: dict[str, Any]) -> None:
    assert keyed(world, route, {**ROUTES[route], **fault})[0] == 400
    assert keyed(world, route)[0] == 200


def test_a_refused_number_uses_up_no_key(world: World) -> None:
    assert keyed(world, "/message", {**BODY, "destination_addr": "1"})[0] == 400
    assert keyed(world, "/message")[0] == 200


def test_a_repeat_after_its_hour_gets_the_same_answer(world: World) -> None:
    body = {
        "destination_addr": "5534998887755",
        "message": "oi",
        "send_at": "2026-05-28T20:30:00+00:00",
    }
    headers = {"idempotency-key": "k"}
    first = world.call("POST", "/message", body, headers=headers)
    world.run(3600, step=60)
    assert world.call("POST", "/message", body, headers=headers) == first
    world.drain()
    assert len(world.taken) == 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_is_forgotten_after_a_day(world: World, route: str) -> None:
    first = keyed(world, route)
    world.now += 24 * HOUR
    second = keyed(world, route, {**ROUTES[route], "x": 1})
    assert second[0] == 200
    assert second != first


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_belongs_to_its_cost_centre(world: World, route: str) -> None:
    world.cost_centre("bia")
    first = keyed(world, route)
    second = keyed(world, route, {**ROUTES[route], "x": 1}, login="bia")
    assert (first[0], second[0]) == (200, 200)
    assert first != second


def test_a_key_holds_for_a_scheduled_message(world: World) -> None:
    body = {**BODY, "send_at": "2026-05-28T18:26:40"}
    first = keyed(world, "/message", body)
    world.now += 60
    assert keyed(world, "/message", body) == first
    world.run(HOUR, step=60)
    assert len(world.taken) == 1
