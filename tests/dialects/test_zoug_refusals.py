"""Every failure that a caller of Zoug's routes can meet is told in one form."""

import json
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest
from msgspec.structs import replace

from recado import operations
from recado.engine import Engine
from tests.dialects.zoug_failures import BODY, FAILURES, UNKNOWN_ID, Failure, spend
from tests.support.world import World

EVERY_CODE = list({(failure.status, failure.esme): failure for failure in FAILURES}.values())


def answered(world: World, failure: Failure) -> tuple[int, dict[str, str], dict[str, Any]]:
    if failure.before is not None:
        failure.before(world)
    world.drain()
    world.taken.clear()
    how: dict[str, Any] = {"login": failure.login, "headers": dict(failure.headers)}
    status, headers, body = world.call_raw(failure.method, failure.target, failure.body, **how)
    return status, headers, json.loads(body)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.what)
def test_a_failure_is_told_in_the_one_form_and_nothing_is_sent(
    world: World, failure: Failure
) -> None:
    status, headers, answer = answered(world, failure)
    assert str(UUID(answer.pop("message_id")))
    expected = {"error": True, "message": failure.message, "esme": failure.esme}
    assert (status, answer, list(answer)) == (failure.status, expected, list(expected))
    assert headers["content-type"] == "application/json"
    world.drain()
    assert world.taken == []


@pytest.mark.parametrize("failure", EVERY_CODE, ids=lambda failure: failure.what)
def test_impediments_are_answered_with_200_where_the_cost_centre_wants_it(
    world: World, failure: Failure
) -> None:
    operations.costcentre_update(world.deps, "ana", impediments_ok=True)
    status, _, answer = answered(world, failure)
    assert status == (failure.status if failure.stranger else 200)
    assert (answer["error"], answer["message"]) == (True, failure.message)
    assert answer["esme"] == failure.esme


def test_who_has_no_credentials_is_asked_for_basic_ones(world: World) -> None:
    _, headers, _ = world.call_raw("POST", "/message", BODY, login=None)
    assert headers["www-authenticate"] == 'Basic realm="Recado", charset="UTF-8"'


def test_who_is_too_fast_is_told_when_to_come_back(world: World) -> None:
    spend(world)
    status, headers, _ = world.call_raw("POST", "/message", BODY)
    assert (status, headers["retry-after"]) == (429, "1")
    world.now += int(headers["retry-after"])
    assert world.call("POST", "/message", BODY)[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("PATCH", "/message", "GET, POST"),
        ("GET", "/message/batch", "POST"),
        ("DELETE", "/message/batch", "POST"),
        ("PATCH", "/message/batch", "POST"),
        ("POST", f"/message/{UNKNOWN_ID}", "GET, DELETE"),
        ("POST", f"/message/batch/{UNKNOWN_ID}", "GET, DELETE"),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_ones(
    world: World, method: str, target: str, allowed: str
) -> None:
    status, headers, _ = world.call_raw(method, target)
    assert (status, headers["allow"]) == (405, allowed)


# --- our own fault -------------------------------------------------------------------------------


class Broken:
    """A part of the engine whose disk is full: what is named raises."""

    def __init__(self, part: Any, *broken: str) -> None:
        self._part, self._broken = part, broken

    def __getattr__(self, name: str) -> Any:
        if name in self._broken:
            raise OSError("the disk is full")
        return getattr(self._part, name)


def without_queue(engine: Engine) -> Engine:
    return replace(engine, queue=cast(Any, Broken(engine.queue, "send")))


def without_store(engine: Engine) -> Engine:
    return replace(engine, store=cast(Any, Broken(engine.store, "records", "remember")))


@pytest.mark.parametrize("impediments_ok", [False, True])
@pytest.mark.parametrize(
    ("wrap", "method", "target", "body"),
    [
        (without_queue, "POST", "/message", BODY),
        (without_queue, "POST", "/message/batch", {"list": [BODY]}),
        (without_store, "POST", "/message", BODY),
        (without_store, "GET", f"/message/{UNKNOWN_ID}", None),
        (without_store, "DELETE", f"/message/batch/{UNKNOWN_ID}", None),
    ],
)
def test_our_own_fault_is_a_500_that_tells_nothing_of_it(
    make_world: Callable[..., World],
    caplog: pytest.LogCaptureFixture,
    wrap: Callable[[Engine], Engine],
    method: str,
    target: str,
    body: Any,
    impediments_ok: bool,
) -> None:
    world = make_world(wrap=wrap)
    world.cost_centre(impediments_ok=impediments_ok)
    headers = {"idempotency-key": "chave"} if wrap is without_store else {}
    status, answer = world.call(method, target, body, headers=headers)
    identifier = answer.pop("message_id")
    expected = {"error": True, "message": "Request failed, try again!", "esme": "ESME_RSYSERR"}
    assert (status, answer) == (500, expected)
    logged = [getattr(record, "correlation_id", None) for record in caplog.records]
    assert identifier in logged, "the id of the answer leads to the line in the log"
