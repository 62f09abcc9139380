"""What Zoug's customers are told: the very bytes, how they travel, how they prove it was us."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from recado import operations
from recado.http import Outgoing, Reached, Unreached
from tests.support.world import CALLBACK_URL, START, World

GOOD, OTHER, BAD = "5534998887755", "5511987654321", "553488556644"


def callbacks(world: World) -> list[Outgoing]:
    return [request for request in world.requests if request.url.startswith(CALLBACK_URL)]


def reply(world: World, text: str = "Sim") -> None:
    world.tell({"event": "reply", "id": "mo-1", "from": GOOD, "text": text})
    world.drain()


def configured(world: World, **switches: Any) -> str:
    """The cost centre with these switches; its id."""
    return str(operations.costcentre_update(world.deps, "ana", **switches)["id"])


def id_of(request: Outgoing) -> str:
    return request.headers["webhook-id"]


# --- golden bodies -------------------------------------------------------------------------------


def test_type_1_to_the_byte(world: World) -> None:
    identifier = world.send()
    world.drain()
    assert callbacks(world)[0].body.decode() == (
        '{"stat":"ESME_ROK","type":1,"report_date":"2026-05-28 17:26:40",'
        f'"message_id":"{identifier}"}}'
    )


def test_type_2_to_the_byte(world: World) -> None:
    identifier = world.send()
    world.drain(receipts=False)
    world.now += 83
    world.drain()
    assert callbacks(world)[1].body.decode() == (
        '{"err":"000","report_stat":"DELIVRD","type":2,"report_date":"2026-05-28 17:28:03",'
        f'"message_id":"{identifier}"}}'
    )


def test_a_reply_to_the_byte(world: World) -> None:
    cost_centre = configured(world, reports=[])
    identifier = world.send()
    world.drain()
    world.now += 3600
    reply(world, 'Não, "obrigada" 😀')
    assert callbacks(world)[0].body.decode() == (
        '{"short_message":"Não, \\"obrigada\\" 😀","report_date":"2026-05-28 18:26:40",'
        f'"esme_class":0,"message_id":"{identifier}","cost_center_id":"{cost_centre}",'
        f'"source_addr":"{GOOD}"}}'
    )


def test_a_batch_callback_to_the_byte(world: World) -> None:
    elements = [
        {"destination_addr": BAD, "message": "oi"},
        {"destination_addr": GOOD, "message": "oi", "reference_id": "pedido 7"},
    ]
    _, answer = world.call("POST", "/message/batch", {"list": elements})
    world.drain()
    body = callbacks(world)[0].body.decode()
    first, second = (line["message_id"] for line in json.loads(body)["list"])
    assert body == (
        f'{{"batchId":"{answer["batchId"]}","list":['
        f'{{"destination_addr":"553488556644","message_id":"{first}",'
        '"message":"Error: Destination_addr is invalid!","error":true,"esme":"ESME_RINVDSTADR"},'
        f'{{"destination_addr":"5534998887755","message_id":"{second}","error":false,'
        '"reference_id":"pedido 7"}]}'
    )


def test_a_reference_stands_last(world: World) -> None:
    world.send(reference_id="pedido 7")
    world.drain()
    reply(world)
    for request in callbacks(world):
        assert request.body.endswith(b',"reference_id":"pedido 7"}')


def test_a_message_that_an_upstream_refuses_has_both_reports(world: World) -> None:
    world.upstream = lambda _: Reached(200, b'{"esme":"ESME_RINVSRCADR"}')
    identifier = world.send()
    world.drain()
    first, second = callbacks(world)
    assert json.loads(first.body)["stat"] == "ESME_RINVSRCADR"
    assert second.body.decode() == (
        '{"err":"000","report_stat":"REJECTD","type":2,"report_date":"2026-05-28 17:26:40",'
        f'"message_id":"{identifier}"}}'
    )


def test_a_message_that_never_left_has_both_reports(world: World) -> None:
    world.upstream = lambda _: Unreached("refused", sent=False)
    identifier = world.send(validity=60)
    world.run(61)
    first, second = (json.loads(request.body) for request in callbacks(world))
    assert (first["stat"], first["type"]) == ("ESME_RSUBMITFAIL", 1)
    assert (second["report_stat"], second["err"], second["type"]) == ("EXPIRED", "000", 2)
    assert first["message_id"] == second["message_id"] == identifier


@pytest.mark.parametrize(
    ("zone", "date"),
    [
        ("America/Sao_Paulo", "2026-05-28 17:26:40"),
        ("America/Rio_Branco", "2026-05-28 15:26:40"),
        ("America/Noronha", "2026-05-28 18:26:40"),
        ("UTC", "2026-05-28 20:26:40"),
        ("Asia/Tokyo", "2026-05-29 05:26:40"),
    ],
)
def test_dates_are_in_the_cost_centres_zone(world: World, zone: str, date: str) -> None:
    configured(world, time_zone=zone)
    world.send()
    world.drain()
    reply(world)
    assert {json.loads(request.body)["report_date"] for request in callbacks(world)} == {date}


# --- which, and how ------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [("1", "2"), ("1",), ("2",), ()])
def test_only_the_wanted_reports_come_and_replies_always(
    world: World, wanted: tuple[str, ...]
) -> None:
    configured(world, reports=list(wanted))
    identifier = world.send()
    world.drain()
    reply(world)
    kinds = [id_of(request).rpartition(".")[2] for request in callbacks(world)]
    assert kinds == [*wanted, "reply"]
    assert [r["type"] for r in world.message(identifier)["reports"]] == [int(w) for w in wanted]


def test_without_a_callback_url_nobody_is_told(world: World) -> None:
    configured(world, callback_url="")
    identifier = world.send()
    world.drain()
    assert callbacks(world) == []
    assert world.message(identifier)["state"] == "DELIVERED"


def test_post_carries_a_json_body_and_no_query_string(world: World) -> None:
    world.send()
    world.drain()
    request = callbacks(world)[0]
    assert (request.method, request.url) == ("POST", CALLBACK_URL)
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("form", ["both", "body", "query"])
@pytest.mark.parametrize(
    "url",
    [CALLBACK_URL, CALLBACK_URL + "?loja=1", CALLBACK_URL + "#aqui", CALLBACK_URL + "?loja=1#x"],
)
def test_get_carries_a_body_or_a_query_string_or_both(world: World, form: str, url: str) -> None:
    configured(world, callback_method="GET", callback_get_form=form, callback_url=url)
    identifier = world.send(reference_id="a b&c")
    world.drain()
    told = {
        "stat": "ESME_ROK",
        "type": "1",
        "report_date": "2026-05-28 17:26:40",
        "message_id": identifier,
        "reference_id": "a b&c",
    }
    request = callbacks(world)[0]
    own = [("loja", "1")] if "?" in url else []
    asked = parse_qsl(urlsplit(request.url).query, strict_parsing=form == "query")
    assert request.method == "GET"
    assert asked == own + ([] if form == "body" else list(told.items()))
    body = json.loads(request.body) if request.body else None
    assert body == (None if form == "query" else {**told, "type": 1})
    assert ("content-type" in request.headers) is (form != "query")


def test_the_list_of_a_batch_is_json_in_a_query_string(world: World) -> None:
    configured(world, callback_method="GET", callback_get_form="query")
    elements = [{"destination_addr": GOOD, "message": "oi"}]
    _, answer = world.call("POST", "/message/batch", {"list": elements})
    world.drain()
    fields = parse_qs(urlsplit(callbacks(world)[0].url).query)
    assert fields["batchId"] == [answer["batchId"]]
    (line,) = json.loads(fields["list"][0])
    assert (line["destination_addr"], line["error"]) == (GOOD, False)


# --- again and again -----------------------------------------------------------------------------


def test_the_webhook_id_is_the_same_at_every_try(world: World) -> None:
    world.customer = lambda _: Reached(500, b"")
    identifier = world.send()
    world.run(20)
    ids = [id_of(request) for request in callbacks(world)]
    assert len(ids) > 2
    assert set(ids) == {f"{identifier}.1"}


def test_the_second_report_waits_for_the_first_to_be_taken(world: World) -> None:
    world.customer = lambda _: Unreached("refused", sent=False)
    identifier = world.send()
    world.run(10)
    world.customer = lambda _: Reached(200, b"")
    world.run(20)
    taken = [id_of(request) for request in callbacks(world)][-2:]
    assert taken == [f"{identifier}.1", f"{identifier}.2"]


def test_every_callback_has_an_id_of_its_own(world: World) -> None:
    elements = [{"destination_addr": to, "message": "oi"} for to in (GOOD, OTHER)]
    world.call("POST", "/message/batch", {"list": elements})
    world.drain()
    reply(world)
    ids = [id_of(request) for request in callbacks(world)]
    assert len(ids) == len(set(ids)) == 6


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 503])
def test_anything_but_2xx_is_no_yes(world: World, status: int) -> None:
    world.customer = lambda _: Reached(status, b"", {"location": "https://elsewhere.example/"})
    world.send()
    world.run(10)
    assert len(callbacks(world)) > 2
    assert {request.url for request in callbacks(world)} == {CALLBACK_URL}
    assert world.told == []


def test_410_parks_the_url_until_its_owner_says_so(world: World) -> None:
    world.customer = lambda _: Reached(410, b"")
    identifier = world.send()
    world.run(3600, step=60)
    assert len(callbacks(world)) == 1
    world.customer = lambda _: Reached(200, b"")
    configured(world, callback_url=CALLBACK_URL)
    world.drain()
    assert [told["type"] for told in world.reports(identifier)] == [1, 2]


def test_what_was_owed_to_a_url_that_was_down_is_told_once_it_is_back(world: World) -> None:
    world.customer = lambda _: Unreached("refused", sent=False)
    identifiers = [world.send() for _ in range(20)]
    world.run(120)
    tried = len(callbacks(world))
    assert tried < 60
    world.customer = lambda _: Reached(200, b"")
    world.run(600, step=10)
    for identifier in identifiers:
        assert [told["type"] for told in world.reports(identifier)] == [1, 2]


def test_what_was_given_can_be_given_once_more(world: World) -> None:
    identifier = world.send()
    world.drain()
    first = [(id_of(request), request.body) for request in callbacks(world)]
    operations.replay(world.deps, "ana", since=START - 1, until=START + 1)
    world.drain()
    assert [(id_of(request), request.body) for request in callbacks(world)] == first * 2
    assert [told["type"] for told in world.reports(identifier)] == [1, 2, 1, 2]


# --- signatures ----------------------------------------------------------------------------------


def verify(secret: str, request: Outgoing, now: float) -> None:
    """Standard Webhooks 1.0, as a receiver does it: the key is the base64 behind `whsec_`; signed
    is "id.timestamp.body" with HMAC-SHA-256; one of the `v1,` signatures has to match; and the
    timestamp may be five minutes off."""
    identifier = request.headers["webhook-id"]
    timestamp = request.headers["webhook-timestamp"]
    assert abs(now - int(timestamp)) <= 300
    key = base64.b64decode(secret.split("_", 1)[1], validate=True)
    assert 24 <= len(key) <= 64
    content = identifier.encode() + b"." + timestamp.encode() + b"." + request.body
    mine = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    offered = request.headers["webhook-signature"].split(" ")
    assert any(hmac.compare_digest(one, f"v1,{mine}") for one in offered)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"callback_method": "GET", "callback_get_form": "both"},
        {"callback_method": "GET", "callback_get_form": "query"},
    ],
)
def test_a_signed_callback_verifies_by_standard_webhooks(world: World, how: dict[str, str]) -> None:
    made = operations.costcentre_create(
        world.deps,
        name="bia",
        login="bia",
        password="segredo",
        sign=True,
        callback_url=CALLBACK_URL,
        **how,
    )
    body = {"destination_addr": GOOD, "message": "Olá 😀"}
    world.call("POST", "/message", body, login="bia")
    world.call("POST", "/message/batch", {"list": [body]}, login="bia")
    world.drain()
    reply(world, "Até já")
    assert len(callbacks(world)) == 6
    for request in callbacks(world):
        verify(made["signing_secret"], request, world.now)


def test_each_try_is_signed_with_its_own_time(world: World) -> None:
    made = operations.costcentre_create(
        world.deps,
        name="bia",
        login="bia",
        password="segredo",
        sign=True,
        callback_url=CALLBACK_URL,
    )
    world.customer = lambda _: Reached(500, b"")
    body = {"destination_addr": GOOD, "message": "oi"}
    world.call("POST", "/message", body, login="bia")
    world.run(10)
    first, *_, last = callbacks(world)
    verify(made["signing_secret"], first, START)
    verify(made["signing_secret"], last, world.now)
    assert first.headers["webhook-timestamp"] < last.headers["webhook-timestamp"]


def test_without_a_secret_there_is_no_signature(world: World) -> None:
    world.send()
    world.drain()
    headers = callbacks(world)[0].headers
    assert set(headers) == {"content-type", "webhook-id"}


def test_callbacks_may_reach_public_addresses_alone(world: World) -> None:
    world.send()
    world.drain()
    assert {request.private_allowed for request in callbacks(world)} == {False}
