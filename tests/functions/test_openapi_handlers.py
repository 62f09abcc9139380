"""The OpenAPI document held against the handlers: they take its examples, and whatever they answer
is what it says."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest

from recado.openapi.page import resolved
from tests.dialects.zoug_failures import FAILURES, Failure
from tests.functions.described import (
    DOCUMENT,
    OPERATIONS,
    answered,
    holds,
    operation_named,
    schema_of,
)
from tests.support.world import World

BOUNDARY = "a-boundary"
AHEAD = "2026-06-01T12:00:00Z"  # of the world's clock


def encoded(body: Any, media: str) -> bytes:
    """A body in a media type, as the document's examples mean it."""
    if media == "application/x-www-form-urlencoded":
        return urlencode(body).encode()
    if media == "multipart/form-data":
        return b"".join(part(name, value) for name, value in body.items()) + (
            f"--{BOUNDARY}--\r\n".encode()
        )
    return json.dumps(body).encode()


def part(name: str, value: str) -> bytes:
    file = f'; filename="{name}.csv"' if name == "destino_csv" else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return f"{head}{value}\r\n".encode()


def ask(
    world: World, name: str, target: str, body: Any = None, media: str = "application/json"
) -> tuple[int, Any]:
    """Asks an operation, and holds what comes to what is said: the status, and the body."""
    sent = b"" if body is None else encoded(body, media)
    kind = f"{media}; boundary={BOUNDARY}" if media.startswith("multipart/") else media
    status, headers, text = world.call_raw(
        OPERATIONS[name][0], target, sent, headers={"content-type": kind}
    )
    is_json = headers["content-type"].startswith("application/json")
    told = json.loads(text) if is_json else text
    answered(operation_named(name), status, headers, told)
    return status, told


def follow(world: World, name: str, told: Any) -> list[int]:
    """Goes where the links of an answer lead: the statuses there."""
    links = operation_named(name)["responses"]["200"]["links"]
    return [ask(world, link["operationId"], linked(link, told))[0] for link in links.values()]


def linked(link: dict[str, Any], told: Any) -> str:
    """The target of a link: its parameters in the path, else in the query."""
    path, query = OPERATIONS[link["operationId"]][1], {}
    for name, expression in link["parameters"].items():
        value = told[expression.removeprefix("$response.body#/")]
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", value)
        else:
            query[name] = value
    return f"{path}?{urlencode(query)}" if query else path


def examples_of(name: str) -> list[tuple[str, Any]]:
    """The examples of an operation's body, by their media types."""
    content = operation_named(name).get("requestBody", {}).get("content", {})
    return [
        (media, example["value"])
        for media, told in content.items()
        for example in told.get("examples", {}).values()
    ]


def query_of(name: str) -> str:
    """The examples of its parameters in the query."""
    told = [resolved(parameter, DOCUMENT) for parameter in operation_named(name)["parameters"]]
    given = {p["name"]: p["example"] for p in told if p["in"] == "query" and "example" in p}
    return urlencode(given)


# --- Zoug's form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "target", "body"),
    [
        ("sendMessageByGet", f"/message?{query_of('sendMessageByGet')}", None),
        *(("sendMessage", "/message", body) for _, body in examples_of("sendMessage")),
        *(("sendBatch", "/message/batch", body) for _, body in examples_of("sendBatch")),
    ],
)
def test_an_example_of_sending_is_taken_and_its_links_lead_on(
    world: World, name: str, target: str, body: Any
) -> None:
    status, told = ask(world, name, target, body)
    assert status == 200
    world.drain()
    assert follow(world, name, told) == [200, 409]  # shown; and too late to be taken back
    status, told = ask(world, name, target, body)
    assert follow(world, name, told) == [200, 200]
    assert follow(world, name, told) == [200, 200]
    world.drain()
    assert follow(world, name, told) == [200, 200]


REFUSED = [
    (failure, name)
    for failure in FAILURES
    for name, (method, path) in OPERATIONS.items()
    if method == failure.method
    and failure.status != 405
    and path in (failure.target, failure.target.rpartition("/")[0] + "/{id}")
]


@pytest.mark.parametrize(("failure", "name"), REFUSED, ids=lambda case: getattr(case, "what", ""))
def test_a_refusal_is_answered_as_it_is_described(
    world: World, failure: Failure, name: str
) -> None:
    if failure.before:
        failure.before(world)
    status, headers, text = world.call_raw(
        failure.method,
        failure.target,
        failure.body,
        login=failure.login,
        headers=dict(failure.headers),
    )
    assert status == failure.status
    answered(operation_named(name), status, headers, json.loads(text))


def test_enough_refusals_are_looked_at() -> None:
    assert len(REFUSED) > 80


def test_what_is_told_without_asking_is_as_it_is_described(world: World) -> None:
    world.send(reference_id="pedido-7")
    world.call("POST", "/message/batch", examples_of("sendBatch")[0][1])
    world.drain()
    world.tell({"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "Sim"})
    world.drain()
    kinds = {
        "Report1": [told for told in world.told if told.get("type") == 1],
        "Report2": [told for told in world.told if told.get("type") == 2],
        "BatchCallback": [told for told in world.told if "list" in told],
        "Reply": [told for told in world.told if told.get("esme_class") == 0],
    }
    for schema, bodies in kinds.items():
        assert bodies, schema
        for body in bodies:
            holds(schema_of(schema), body)


# --- Directcall's --------------------------------------------------------------------------------


@pytest.mark.parametrize(("media", "body"), examples_of("sendSms"))
def test_an_example_of_sms_send_is_taken_and_its_links_lead_on(
    world: World, media: str, body: Any
) -> None:
    _, told = ask(world, "sendSms", "/sms/send", body, media)
    assert told["status"] == "ok"
    world.drain()
    follow(world, "sendSms", told)


@pytest.mark.parametrize(
    "name", [name for name, (_, path) in OPERATIONS.items() if path.startswith(("/sms/", "/ext"))]
)
def test_an_example_of_directcalls_is_answered_as_it_is_described(world: World, name: str) -> None:
    _, sent = ask(world, "sendSms", "/sms/send", examples_of("sendSms")[0][1])
    _, added = ask(world, "addSmsCallback", "/sms/add-callback-status", {"url": "http://a.example"})
    known = {"code": added["code"] if name == "removeSmsCallback" else sent["callerid"]}
    method, path = OPERATIONS[name]
    if method == "GET":
        given = dict(item.split("=") for item in query_of(name).split("&") if item)
        _, told = ask(world, name, f"{path}?{urlencode(given | known)}")
        assert told["status"] == "ok"
    for media, body in examples_of(name):
        if name == "removeSmsByPost":  # what was removed once can't be removed again
            _, again = ask(world, "sendSms", "/sms/send", examples_of("sendSms")[0][1])
            known = {"code": again["callerid"]}
        present = body | known if "code" in body else body
        told = ask(world, name, path, present, media)[1]
        assert told["status"] == "ok", told
        if name == "removeSmsCallback":
            ask(world, "addSmsCallback", "/sms/add-callback-status", {"url": "http://a.example"})


@pytest.mark.parametrize("name", [n for n, (_, p) in OPERATIONS.items() if p.startswith("/sms/")])
def test_directcalls_refusals_are_as_they_are_described(world: World, name: str) -> None:
    method, path = OPERATIONS[name]
    for target in (f"{path}?format=csv", f"{path}?code=1&data_fim=x&url=x&tipo=x"):
        _, told = ask(world, name, target, None if method == "GET" else {})
        assert told["status"] == "erro" or path == "/sms/list-callback"
    target = f"{path}?format=xml&access_token=x"
    status, headers, text = world.call_raw(method, target, login=None)
    answered(operation_named(name), status, headers, text)
    assert ElementTree.fromstring(text).findtext("codigo") == "006"


def test_what_directcalls_customers_are_told_is_as_it_is_described(world: World) -> None:
    for media, body in examples_of("sendSms"):
        ask(world, "sendSms", "/sms/send", body, media)
    world.drain()
    number = world.taken[0]["to"]
    world.tell({"event": "reply", "id": "mo-1", "from": number, "text": "Sim"})
    world.drain()
    for schema, module in {"SmsReport": "status", "SmsReply": "recebimento"}.items():
        bodies = [told for told in world.told if told["modulo"] == module]
        assert bodies, schema
        for body in bodies:
            holds(schema_of(schema), body)


def test_a_token_is_given_and_opens(world: World) -> None:
    (media, body), *_ = examples_of("requestToken")
    _, told = ask(world, "requestToken", "/request_token", body, media)
    query = urlencode({"access_token": told["access_token"], "code": "1"})
    status, _, text = world.call_raw("GET", f"/sms/status?{query}", login=None)
    assert (status, json.loads(text)["codigo"]) == (200, "010")
    wrong = body | {"client_secret": "errado"}
    assert ask(world, "requestToken", "/request_token", wrong)[1]["access_token"] is False


# --- what is ours --------------------------------------------------------------------------------


def test_schedules_are_listed_moved_and_taken_back_as_it_is_described(world: World) -> None:
    world.send(send_at="2026-06-01T11:00:00Z")
    world.call("POST", "/message/batch", examples_of("sendBatch")[0][1] | {"send_at": AHEAD})
    cron = {**examples_of("sendSms")[0][1], "cron": "01-06-2026-09-00-01"}
    _, sms = ask(world, "sendSms", "/sms/send", cron)
    _, told = ask(world, "listSchedules", f"/schedules?{query_of('listSchedules')}")
    assert [one["kind"] for one in told["schedules"]] == ["message", "batch", "message"]
    _, short = ask(world, "listSchedules", "/schedules?limit=1")
    _, rest = ask(world, "listSchedules", f"/schedules?after={quote(short['after'])}")
    assert len(short["schedules"] + rest["schedules"]) == 3
    names = [one["id"] for one in told["schedules"]] + [sms["callerid"]]
    for identifier in names:
        path = f"/schedules/{identifier}"
        for _, to in examples_of("moveSchedule"):
            assert ask(world, "moveSchedule", path, to)[0] == 200
        assert ask(world, "moveSchedule", path, {})[0] == 400
    for name in ("showMessage", "cancelMessage"):
        ask(world, name, f"/message/{names[0]}")
    for name in ("showBatch", "cancelBatch"):
        ask(world, name, f"/message/batch/{names[1]}")
    for identifier in names:
        assert ask(world, "cancelSchedule", f"/schedules/{identifier}")[0] == 200
    for name in ("moveSchedule", "cancelSchedule"):
        assert ask(world, name, "/schedules/7", {"send_at": AHEAD})[0] == 404
    assert ask(world, "listSchedules", "/schedules?limit=x")[0] == 400


def test_the_account_is_told_as_it_is_described(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.cost_centre(daily_quota=100)
    world.send()
    world.drain()
    assert ask(world, "showBalance", "/balance")[1]["used_today"] == 1
    _, told = ask(world, "showUsage", f"/usage?{query_of('showUsage')}")
    assert told["usage"][0]["messages"] == 1
    table = ask(world, "showUsage", "/usage?format=csv")[1]
    (example,) = operation_named("showUsage")["responses"]["200"]["content"]["text/csv"][
        "examples"
    ].values()
    assert table.splitlines()[0] == example["value"].splitlines()[0]
    assert ask(world, "showUsage", "/usage?since=x")[0] == 400


def test_a_bulk_goes_its_way_as_it_is_described(world: World) -> None:
    for _, body in examples_of("openBulk"):
        status, opened = ask(world, "openBulk", "/bulk", body)
        assert status == 201
        path = f"/bulk/{opened['bulk_id']}"
        assert ask(world, "checkBulk", f"{path}/check")[0] == 409
        rows = b"fone;nome\n5541999792010;Ana\n5541999792020;Bia\n123;Eva\n"
        world.deps.engine.blobs.put(f"upload-{opened['bulk_id']}", rows)
        assert ask(world, "showBulk", path)[1]["state"] == "awaiting_upload"
        assert ask(world, "checkBulk", f"{path}/check")[0] == 200
        assert ask(world, "sendBulk", f"{path}/send")[0] == 409
        world.drain()
        _, told = ask(world, "showBulk", path)
        assert (told["state"], told["good"], told["bad_rows"]) == ("checked", 2, 1)
        assert ask(world, "pauseBulk", f"{path}/pause")[0] == 409
        assert ask(world, "sendBulk", f"{path}/send")[0] == 200
        assert ask(world, "pauseBulk", f"{path}/pause")[1]["state"] == "paused"
        assert ask(world, "showBatch", f"/message/batch/{opened['bulk_id']}")[0] == 200
        assert ask(world, "resumeBulk", f"{path}/resume")[1]["state"] == "sending"
        world.drain()
        assert ask(world, "showBulk", path)[1]["state"] == "done"
        assert ask(world, "cancelBulk", path)[0] == 409
        world.now += 1
    _, unsent = ask(world, "openBulk", "/bulk", {"text": "oi"})
    assert ask(world, "cancelBulk", f"/bulk/{unsent['bulk_id']}")[1]["state"] == "cancelled"
    _, listed = ask(world, "listBulks", f"/bulk?{query_of('listBulks')}")
    assert [one["state"] for one in listed["list"]] == ["cancelled", "done", "done"]
    assert ask(world, "listBulks", "/bulk?days=x")[0] == 400
    assert ask(world, "openBulk", "/bulk", {"text": 7})[0] == 400
    assert ask(world, "showBulk", "/bulk/7")[0] == 404


def test_the_document_and_its_page_are_described_by_themselves(world: World) -> None:
    assert ask(world, "showDocument", "/openapi.json")[0] == 200
    assert ask(world, "showPage", "/docs")[0] == 200
