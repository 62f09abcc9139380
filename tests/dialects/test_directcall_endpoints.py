"""Directcall's other endpoints: tokens, status, remove, replies, callbacks, balance.

What Directcall's pages say of them is quoted; the rest is not documented, and ours.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import msgspec
import pytest

from node.gateway import event_of
from node.http_server import RawRequest
from recado import accept, operations
from recado.costcentre import CostCentre, KeptPassword, Login, digest
from recado.dialects import directcall
from recado.engine import Entry
from recado.http import Answer, Reached
from recado.ids import new_id
from recado.message import Reply
from recado.sms_acts import ACTS
from recado.sms_token import ATTEMPTS, request_token
from tests.support.world import CALLBACK_URL, World

GOOD, OTHER, THIRD, BAD = "5534998887755", "5511987654321", "5521987654321", "553488556644"
LATER = "28-05-2026-18-26-40"  # an hour and more after the start of a world's time
DAY = 86_400.0


def ask(world: World, method: str, path: str, fields: dict[str, str], **headers: str) -> Answer:
    """A request as the front door makes it an event, answered by the act of its route."""
    content = urlencode(fields)
    sent = {"content-type": "application/x-www-form-urlencoded", **headers}
    query, body = (content, b"") if method == "GET" else ("", content.encode())
    target = f"{path}?{query}" if query else path
    request = RawRequest(method, target, sent, body, "192.0.2.1")
    route = f"{method} {path}"
    event = event_of(request, path, query, route, {})
    if route == "POST /request_token":
        return request_token(event, world.deps)
    act = {**ACTS, "POST /sms/send": accept.sms}[route]
    return accept.answer(event, directcall, act, world.deps)


def token(world: World, login: str = "ana", secret: str = "segredo") -> str:
    fields = {"client_id": login, "client_secret": secret}
    answer = ask(world, "POST", "/request_token", fields)
    return str(json.loads(answer["body"])["access_token"])


def call(world: World, route: str, login: str = "ana", **fields: str) -> dict[str, Any]:
    """The JSON of an answer with HTTP status 200."""
    method, path = route.split()
    world.now += 1  # five tokens a second are all that a client gets
    given = {"access_token": token(world, login), **fields}
    answer = ask(world, method, path, given)
    assert answer["statusCode"] == 200, answer
    told: dict[str, Any] = json.loads(answer["body"])
    return told


def send(world: World, *numbers: str, **fields: str) -> dict[str, Any]:
    given = {"origem": "554130600300", "destino": ";".join(numbers), "texto": "oi", **fields}
    told = call(world, "POST /sms/send", **given)
    assert told["codigo"] == "000", told
    return told


def status(world: World, code: object, login: str = "ana", **fields: str) -> dict[str, Any]:
    return call(world, "GET /sms/status", login, code=str(code), **fields)


def remove(world: World, code: object, login: str = "ana", **fields: str) -> dict[str, Any]:
    return call(world, "GET /sms/remove", login, code=str(code), **fields)


# --- tokens --------------------------------------------------------------------------------------


def test_a_login_and_its_password_get_a_token_that_opens(world: World) -> None:
    answer = ask(world, "POST", "/request_token", {"client_id": "ana", "client_secret": "segredo"})
    told = json.loads(answer["body"])
    assert list(told) == ["access_token"]
    saldo = ask(world, "POST", "/extrato/saldo", {"access_token": told["access_token"]})
    assert json.loads(saldo["body"])["codigo"] == "000"


def test_a_token_is_asked_for_in_json_and_in_the_query_string_too(world: World) -> None:
    given = {"client_id": "ana", "client_secret": "segredo"}
    header = {"content-type": "application/json"}
    requests = [
        RawRequest("POST", "/request_token", header, json.dumps(given).encode(), ""),
        RawRequest("POST", "/request_token", {}, b"", ""),
    ]
    for request, query in zip(requests, ("", urlencode(given)), strict=True):
        event = event_of(request, "/request_token", query, "POST /request_token", {})
        assert len(json.loads(request_token(event, world.deps)["body"])["access_token"]) > 70


def test_a_token_in_xml_stands_where_clients_look_for_it(world: World) -> None:
    fields = {"client_id": "ana", "client_secret": "segredo", "format": "xml"}
    body = ask(world, "POST", "/request_token", fields)["body"]
    root = ElementTree.fromstring(body)
    assert root.tag == "oauth"
    assert len(root.findtext("access_token") or "") > 70


def test_who_is_unknown_wrong_or_suspended_is_answered_alike(world: World) -> None:
    world.cost_centre("bia")
    operations.costcentre_suspend(world.deps, "bia")
    tries = [("ana", "errado"), ("ninguem", "segredo"), ("bia", "segredo"), ("bia", "errado")]
    answers = [
        ask(world, "POST", "/request_token", {"client_id": login, "client_secret": secret})
        for login, secret in tries
    ]
    assert all(answer == answers[0] for answer in answers)
    told = json.loads(answers[0]["body"])
    assert told["access_token"] is False
    assert told["msg"] == "006 - client_id ou client_secret: inválido ou expirado"


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_what_is_missing_from_a_request_for_a_token_is_named(world: World, missing: str) -> None:
    fields = {"client_id": "ana", "client_secret": "segredo"}
    del fields[missing]
    told = json.loads(ask(world, "POST", "/request_token", fields)["body"])
    assert told["access_token"] is False
    assert missing in told["msg"]


def test_guessing_is_slow_even_for_who_guesses_right(world: World) -> None:
    wrong = {"client_id": "ana", "client_secret": "errado"}
    right = {"client_id": "ana", "client_secret": "segredo"}
    for _ in range(ATTEMPTS):
        assert "006" in ask(world, "POST", "/request_token", wrong)["body"]
    told = json.loads(ask(world, "POST", "/request_token", right)["body"])
    assert (told["access_token"], told["codigo"]) == (False, "008")
    world.cost_centre("bia")
    assert token(world, "bia") != "False"
    world.now += 1
    assert json.loads(ask(world, "POST", "/request_token", right)["body"])["access_token"]


def test_a_token_opens_for_as_long_as_its_cost_centre_has_it(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", token_seconds=60)
    given = {"access_token": token(world)}
    told = [json.loads(ask(world, "POST", "/extrato/saldo", given)["body"])]
    world.now += 60
    told.append(json.loads(ask(world, "POST", "/extrato/saldo", given)["body"]))
    assert [each["codigo"] for each in told] == ["000", "006"]
    assert told[1]["status"] == "erro"


def test_a_token_opens_no_more_once_its_cost_centre_is_suspended(world: World) -> None:
    given = {"access_token": token(world)}
    operations.costcentre_suspend(world.deps, "ana")
    assert json.loads(ask(world, "POST", "/extrato/saldo", given)["body"])["codigo"] == "006"


def test_a_token_opens_zougs_routes_too(world: World) -> None:
    opens = {"authorization": f"Bearer {token(world)}"}
    body = {"destination_addr": GOOD, "message": "oi"}
    assert world.call("POST", "/message", body, login=None, headers=opens)[0] == 200
    opens = {"authorization": "Bearer x"}
    assert world.call("POST", "/message", body, login=None, headers=opens)[0] == 401


def test_a_fault_of_ours_is_no_token_and_a_5xx(world: World) -> None:
    world.bare.store.put_config("login", "torto", b"{", 0)
    fields = {"client_id": "torto", "client_secret": "segredo"}
    answer = ask(world, "POST", "/request_token", fields)
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["access_token"] is False


# --- GET /sms/status -----------------------------------------------------------------------------


def test_the_status_of_a_message_is_a_string_by_its_callerid(world: World) -> None:
    """ "GET /sms/status: code (= callerid), access_token, format: msg is a STRING"."""
    sent = send(world, GOOD)
    assert status(world, sent["callerid"])["msg"] == "NA FILA"
    world.drain()
    told = status(world, sent["callerid"])
    assert list(told)[:5] == ["api", "modulo", "status", "codigo", "msg"]
    assert (told["api"], told["modulo"], told["codigo"]) == ("sms", "status", "000")
    assert (told["msg"], told["callerid"]) == ("ENTREGUE", sent["callerid"])
    assert (told["destino"], told["sms"], told["segmentos"]) == (GOOD, 1, 1)
    assert len(told["data"]) == len("2026-05-28 17:26:40")


def test_a_status_is_told_in_xml_too(world: World) -> None:
    sent = send(world, GOOD)
    fields = {"access_token": token(world), "code": sent["callerid"], "format": "XML"}
    body = ask(world, "GET", "/sms/status", fields)["body"]
    assert ElementTree.fromstring(body).findtext("msg") == "NA FILA"


def test_a_message_that_costs_two_sms_may_have_gone_in_one_segment(world: World) -> None:
    """ "Um SMS pode ter até 140 caracteres"; GSM takes 160."""
    sent = send(world, GOOD, texto="a" * 141)
    world.drain()
    told = status(world, sent["callerid"])
    assert (told["sms"], told["segmentos"]) == (2, 1)


def test_where_accents_stay_a_text_costs_the_same_and_goes_in_more_segments(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", replace_accents=False)
    sent = send(world, GOOD, texto="ã" * 140)
    world.drain()
    told = status(world, sent["callerid"])
    assert (told["sms"], told["segmentos"]) == (1, 3)


def test_the_status_of_one_of_many_is_found_by_its_own_number(world: World) -> None:
    world.upstream = lambda submit: (
        world.take(submit) if submit["to"] == GOOD else Reached(503, b"")
    )
    sent = send(world, GOOD, OTHER)
    numbers = [one["id_mensagem"] for one in sent["detalhe"]]
    assert [status(world, number)["msg"] for number in numbers] == ["NA FILA", "NA FILA"]
    world.drain()
    told = [status(world, number) for number in numbers]
    assert [(one["destino"], one["msg"]) for one in told] == [
        (GOOD, "ENTREGUE"),
        (OTHER, "ENVIANDO"),
    ]


def test_the_status_of_one_of_many_is_found_by_its_destination(world: World) -> None:
    sent = send(world, GOOD, BAD, OTHER)
    world.drain()
    code = sent["callerid"]
    assert status(world, code, destino="34 99888-7755")["codigo"] == "001"
    for written in (GOOD, GOOD[2:], "+" + GOOD, "0" + GOOD[2:]):
        told = status(world, code, destino=written)
        assert (told["msg"], told["destino"]) == ("ENTREGUE", GOOD)
    assert status(world, code, destino=THIRD)["codigo"] == "010"


def test_the_number_of_a_single_message_is_its_callerid_and_place_0(world: World) -> None:
    code = send(world, GOOD)["callerid"]
    assert status(world, f"{code}00")["msg"] == "NA FILA"
    world.drain()
    assert status(world, f"{code}00")["msg"] == "ENTREGUE"
    assert status(world, f"{code}01")["codigo"] == "010"
    assert status(world, code, destino=GOOD)["msg"] == "ENTREGUE"
    assert status(world, code, destino=OTHER)["codigo"] == "010"


def test_of_many_it_is_counted_how_many_are_in_which_state(world: World) -> None:
    world.upstream = lambda submit: (
        world.take(submit) if submit["to"] == GOOD else Reached(503, b"")
    )
    sent = send(world, GOOD, BAD, OTHER, THIRD)
    world.drain()
    told = status(world, sent["callerid"])
    assert told["contagem"] == {"ENTREGUE": 1, "REJEITADO": 1, "ENVIANDO": 2}
    assert told["msg"] == "4 mensagens: 1 ENTREGUE, 1 REJEITADO, 2 ENVIANDO"


def test_a_number_of_a_list_that_was_none_is_told_as_refused(world: World) -> None:
    sent = send(world, GOOD, BAD)
    world.drain()
    assert status(world, f"{sent['callerid']}01")["msg"] == "REJEITADO"
    assert status(world, f"{sent['callerid']}02")["codigo"] == "010"


def test_a_schedule_is_told_as_such(world: World) -> None:
    for numbers in ((GOOD,), (GOOD, OTHER)):
        sent = send(world, *numbers, cron=LATER)
        assert status(world, sent["callerid"])["msg"] == "AGENDADO"
        assert status(world, f"{sent['callerid']}00")["msg"] == "AGENDADO"


def test_of_a_long_list_it_is_counted_how_far_it_has_come(world: World) -> None:
    numbers = [f"55119{n:08}" for n in range(1000)]
    sent = send(world, *numbers)
    assert status(world, sent["callerid"])["msg"] == "NA FILA"
    world.drain()
    told = status(world, sent["callerid"])
    assert told["contagem"] == {"ENVIADO": 1000}
    assert status(world, sent["callerid"], destino=numbers[7])["msg"] == "ENTREGUE"
    assert status(world, sent["callerid"], destino=GOOD)["codigo"] == "010"


@pytest.mark.parametrize(
    "code", ["62925845049598", "6292584504959800", "1", "x", "٦" * 14, "6" * 15, "6" * 5000]
)
@pytest.mark.parametrize("act", [status, remove])
def test_an_unknown_code_is_an_identifier_that_does_not_exist(
    world: World, act: Callable[..., dict[str, Any]], code: str
) -> None:
    """Code 010: "Identificador inexistente ou previamente cancelado"."""
    told = act(world, code)
    assert (told["status"], told["codigo"]) == ("erro", "010")
    assert act(world, "")["codigo"] == "001"


@pytest.mark.parametrize("act", [status, remove])
def test_nobody_asks_about_the_message_of_another(
    world: World, act: Callable[..., dict[str, Any]]
) -> None:
    world.cost_centre("bia")
    sent = send(world, GOOD)
    assert act(world, sent["callerid"], "bia")["codigo"] == "010"
    world.drain()
    assert len(world.taken) == 1


# --- GET /sms/remove -----------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(GOOD,), (GOOD, OTHER)])
def test_a_schedule_that_is_removed_is_never_sent(world: World, numbers: tuple[str, ...]) -> None:
    code = send(world, *numbers, cron=LATER)["callerid"]
    told = remove(world, code)
    assert (told["status"], told["codigo"], told["modulo"]) == ("ok", "000", "remove")
    assert status(world, code)["msg"] == "CANCELADO"
    assert world.bare.store.due(world.now + DAY, 10) == []
    world.run(2 * 3600, step=600)
    assert world.taken == []
    assert remove(world, code)["codigo"] == "010"


@pytest.mark.parametrize("numbers", [(GOOD,), (GOOD, OTHER)])
def test_what_is_removed_before_anybody_took_it_up_is_never_sent(
    world: World, numbers: tuple[str, ...]
) -> None:
    code = send(world, *numbers)["callerid"]
    assert remove(world, code)["codigo"] == "000"
    world.drain()
    assert world.taken == []
    assert status(world, code)["msg"] == "CANCELADO"


def test_what_has_gone_can_not_be_removed(world: World) -> None:
    codes = [send(world, *numbers)["callerid"] for numbers in ((GOOD,), (GOOD, OTHER))]
    world.drain()
    for code in codes:
        told = remove(world, code)
        assert (told["codigo"], told["status"]) == ("010", "erro")
        assert "previamente cancelado" in told["msg"]
    assert len(world.taken) == 3


def test_what_of_many_has_not_gone_is_removed_and_counted(world: World) -> None:
    world.upstream = lambda submit: (
        world.take(submit) if submit["to"] == GOOD else Reached(503, b"")
    )
    code = send(world, GOOD, BAD, OTHER)["callerid"]
    world.run(3)
    told = remove(world, code)
    assert (told["canceladas"], told["enviadas"]) == (1, 1)
    world.upstream = world.take
    world.run(120)
    assert [taken["to"] for taken in world.taken] == [GOOD]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("worked", [False, True])
def test_one_of_many_is_removed_alone(world: World, place: int, worked: bool) -> None:
    world.upstream = lambda _: Reached(503, b"")
    sent = send(world, GOOD, OTHER, cron=LATER)
    if worked:
        world.run(2 * 3600, step=600)
    number = sent["detalhe"][place]["id_mensagem"]
    assert remove(world, number)["codigo"] == "000"
    world.upstream = world.take
    world.run(3 * 3600, step=600)
    assert [taken["to"] for taken in world.taken] == [(GOOD, OTHER)[1 - place]]


@pytest.mark.parametrize("numbers", [(GOOD,), (GOOD, OTHER)])
def test_the_first_of_what_nobody_has_taken_up_is_never_taken_for_the_whole(
    world: World, numbers: tuple[str, ...]
) -> None:
    """Until it has a record nothing tells a message from a list: what may be wrong is not done."""
    code = send(world, *numbers)["callerid"]
    assert remove(world, f"{code}00")["codigo"] == "010"
    world.drain()
    assert len(world.taken) == len(numbers)


def test_one_of_a_long_list_is_removed_by_its_destination(world: World) -> None:
    world.upstream = lambda _: Reached(503, b"")
    numbers = [f"55119{n:08}" for n in range(500)]
    code = send(world, *numbers)["callerid"]
    world.drain()
    assert remove(world, code, destino=GOOD)["codigo"] == "010"
    assert remove(world, code, destino=numbers[3])["codigo"] == "000"
    world.upstream = world.take
    world.run(600, step=20)
    assert sorted(taken["to"] for taken in world.taken) == sorted({*numbers} - {numbers[3]})


def test_a_long_list_is_removed_before_it_is_read(world: World) -> None:
    code = send(world, *[f"55119{n:08}" for n in range(500)], cron=LATER)["callerid"]
    assert remove(world, code)["codigo"] == "000"
    world.run(2 * 3600, step=600)
    assert world.taken == []
    assert status(world, code)["msg"] == "CANCELADO"


def test_the_rest_of_a_long_list_that_is_on_its_way_is_removed(world: World) -> None:
    code = send(world, *[f"55119{n:08}" for n in range(5000)])["callerid"]
    for _ in range(3):
        world.step()
    told = remove(world, code)
    assert told["canceladas"] + told["enviadas"] == 5000
    assert told["canceladas"] > 0
    world.run(60, step=10)
    assert len(world.taken) <= told["enviadas"]
    assert remove(world, code)["codigo"] == "010"


def test_a_long_list_that_has_gone_can_not_be_removed(world: World) -> None:
    code = send(world, *[f"55119{n:08}" for n in range(500)])["callerid"]
    world.drain()
    assert remove(world, code)["codigo"] == "010"


@pytest.mark.parametrize("cron", ["", LATER])
@pytest.mark.parametrize("amount", [1, 2, 500])
def test_what_is_removed_is_given_back_at_once(world: World, amount: int, cron: str) -> None:
    which = operations.costcentre_update(world.deps, "ana", prepaid=True, price=850)["id"]
    start = 1000 * 850
    world.bare.store.credit([Entry(which, new_id(world.now), "credit", start, world.now)])
    code = send(world, *[f"55119{n:08}" for n in range(amount)], cron=cron)["callerid"]
    assert world.bare.store.balance(which) == start - amount * 850
    assert remove(world, code)["codigo"] == "000"
    world.drain()
    assert world.taken == []
    assert world.bare.store.balance(which) == start
    world.run(2 * 3600, step=600)
    assert remove(world, code)["codigo"] == "010"
    assert world.bare.store.balance(which) == start


# --- replies -------------------------------------------------------------------------------------


def replied(world: World, text: str, source: str = GOOD, login: str = "ana") -> Reply:
    """A reply of this moment, as tracking keeps it."""
    which = json.loads(world.bare.store.config("login", login) or b"")["cost_centre"]
    reply = Reply(
        cost_centre=which,
        id=new_id(world.now),
        dialect="directcall",
        message_id=new_id(world.now),
        source=source,
        text=text,
        received_at=world.now,
        destination="28908",
    )
    assert world.bare.store.create([reply]) == [None]
    return reply


def texts(told: dict[str, Any]) -> list[str]:
    return [reply["texto"] for reply in told["msg"]]


@pytest.mark.parametrize("path", ["recebimento", "received"])
def test_the_replies_of_the_last_day_are_an_array(world: World, path: str) -> None:
    world.now = 1_780_000_000.0
    replied(world, "velha")
    world.now += DAY
    replied(world, "sim")
    told = call(world, f"POST /sms/{path}")
    assert (told["modulo"], told["codigo"]) == ("recebimento", "000")
    assert told["msg"] == [
        {
            "origem": GOOD,
            "texto": "sim",
            "destino": "28908",
            "dataHora": "2026-05-29 17:26:40",
        }
    ]


def test_a_reply_to_a_message_is_among_them(world: World) -> None:
    send(world, GOOD)
    world.drain()
    world.tell({"event": "reply", "id": "mo-1", "from": GOOD, "text": "Sim, às 9h"})
    world.drain()
    assert texts(call(world, "POST /sms/recebimento")) == ["Sim, às 9h"]


def test_the_dates_are_the_cost_centres_own_and_both_are_included(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", time_zone="America/Manaus")
    for n in range(4):
        world.now = 1_780_000_000.0 + n
        replied(world, str(n))
    both = {"data_inicio": "2026-05-28 16:26:41", "data_fim": "2026-05-28 16:26:42"}
    told = call(world, "POST /sms/recebimento", **both)
    assert texts(told) == ["1", "2"]
    assert told["msg"][0]["dataHora"] == "2026-05-28 16:26:41"
    older = {"data_inicio": "28-05-2026-16-26-41", "data_fim": "28-05-2026-16-26-42"}
    assert texts(call(world, "POST /sms/received", **older)) == ["1", "2"]


def test_replies_come_page_by_page(world: World) -> None:
    for n in range(1234):
        world.now += 0.01  # within a millisecond they come in any order
        replied(world, str(n))
    assert texts(call(world, "POST /sms/recebimento")) == [str(n) for n in range(50)]
    pages = [
        texts(call(world, "POST /sms/recebimento", pagina=str(n), itens_por_pagina="500"))
        for n in (1, 2, 3, 4)
    ]
    assert [len(page) for page in pages] == [500, 500, 234, 0]
    assert [text for page in pages for text in page] == [str(n) for n in range(1234)]


def test_replies_are_asked_for_by_who_wrote_or_where_they_came(world: World) -> None:
    replied(world, "a")
    world.now += 1
    replied(world, "b", source=OTHER)
    assert texts(call(world, "POST /sms/received", destino=GOOD[2:])) == ["a"]
    assert texts(call(world, "POST /sms/received", destino="28908")) == ["a", "b"]
    assert texts(call(world, "POST /sms/received", destino=THIRD)) == []


def test_nobody_reads_the_replies_of_another(world: World) -> None:
    world.cost_centre("bia")
    replied(world, "segredo", login="bia")
    assert call(world, "POST /sms/recebimento")["msg"] == []
    assert texts(call(world, "POST /sms/recebimento", "bia")) == ["segredo"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data_inicio", "ontem"),
        ("data_inicio", "2026-13-01 00:00:00"),
        ("data_fim", "28-05-2026"),
        ("data_fim", "0001-01-01 00:00:00"),
        ("pagina", "0"),
        ("pagina", "-1"),
        ("pagina", "²"),
        ("pagina", "9" * 5000),
        ("itens_por_pagina", "501"),
        ("itens_por_pagina", "x"),
    ],
)
def test_what_makes_no_sense_in_a_question_is_named(world: World, field: str, value: str) -> None:
    begin = {"data_inicio": "2026-05-28 00:00:00"}
    told = call(world, "POST /sms/recebimento", **{**begin, field: value})
    assert (told["status"], told["codigo"]) == ("erro", "001")
    assert field in told["msg"]


def test_more_than_a_month_is_not_asked_for_at_once(world: World) -> None:
    month = {"data_inicio": "2026-05-01 00:00:00", "data_fim": "2026-06-01 00:00:00"}
    assert call(world, "POST /sms/recebimento", **month)["codigo"] == "000"
    month["data_fim"] = "2026-06-01 00:00:02"
    assert "31 dias" in call(world, "POST /sms/recebimento", **month)["msg"]


def test_a_question_that_would_read_without_end_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.sms_replies._MOST_READ", 10)
    monkeypatch.setattr("recado.sms_replies._READ", 4)
    for n in range(11):
        world.now += 0.01
        replied(world, str(n))
    assert len(call(world, "POST /sms/recebimento", itens_por_pagina="8")["msg"]) == 8
    told = call(world, "POST /sms/recebimento", itens_por_pagina="20")
    assert (told["codigo"], "período menor" in told["msg"]) == ("001", True)


# --- balance -------------------------------------------------------------------------------------


def test_the_balance_stands_where_clients_look_for_it(world: World) -> None:
    """Clients read //directcall/result, its moeda and its saldo."""
    which = operations.costcentre_show(world.deps, "ana")["id"]
    world.bare.store.credit([Entry(which, new_id(world.now), "credit", 123_450, world.now)])
    told = call(world, "POST /extrato/saldo")
    assert (told["api"], told["modulo"], told["codigo"]) == ("extrato", "saldo", "000")
    assert told["result"] == {"moeda": "BRL", "saldo": "12.345"}
    fields = {"access_token": token(world), "format": "xml"}
    root = ElementTree.fromstring(ask(world, "POST", "/extrato/saldo", fields)["body"])
    assert root.tag == "directcall"
    assert (root.findtext("result/moeda"), root.findtext("result/saldo")) == ("BRL", "12.345")


def test_a_cost_centre_may_have_another_currency(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", currency="EUR")
    result = call(world, "POST /extrato/saldo")["result"]
    assert result == {"moeda": "EUR", "saldo": "0.00"}


# --- callbacks -----------------------------------------------------------------------------------


def test_a_callback_that_is_added_is_answered_with_the_pages_own_code(world: World) -> None:
    """ "status":"ok","codigo":"001" on success, and a code of 40 hexadecimal digits."""
    which = operations.costcentre_show(world.deps, "ana")["id"]
    url = "https://cliente.example/retorno?a=1"
    told = call(world, "POST /sms/add-callback-status", url=url)
    code = hashlib.sha1(f"{which}\n{url}".encode()).hexdigest()
    assert told == {
        "api": "sms",
        "modulo": "add-callback",
        "status": "ok",
        "codigo": "001",
        "msg": "Callback adicionado",
        "code": code,
    }
    assert operations.costcentre_show(world.deps, "ana")["callback_url"] == url
    send(world, GOOD)
    world.drain()
    assert {request.url for request in world.requests if "upstream" not in request.url} == {url}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_callback_is_listed_replaced_and_removed(world: World, method: str) -> None:
    route = f"{method} /sms/list-callback"
    [first] = call(world, route)["msg"]
    assert first["url"] == CALLBACK_URL
    code = call(world, "POST /sms/add-callback-status", url="http://a.example/")["code"]
    assert call(world, route)["msg"] == [{"code": code, "url": "http://a.example/"}]
    assert call(world, "POST /sms/remove-callback", code=first["code"])["codigo"] == "010"
    assert call(world, "POST /sms/remove-callback", code=code.upper())["status"] == "ok"
    assert call(world, route)["msg"] == []
    assert call(world, "POST /sms/remove-callback", code=code)["codigo"] == "010"
    assert operations.costcentre_show(world.deps, "ana")["callback_url"] == ""


@pytest.mark.parametrize("url", ["", "ftp://a.example", "a.example", "javascript:1", "http://"])
def test_a_callback_that_is_no_web_address_is_refused(world: World, url: str) -> None:
    told = call(world, "POST /sms/add-callback-status", url=url)
    assert (told["status"], told["codigo"]) == ("erro", "001")
    assert "url" in told["msg"]
    assert operations.costcentre_show(world.deps, "ana")["callback_url"] == CALLBACK_URL


def test_adding_a_callback_opens_an_endpoint_that_was_parked(world: World) -> None:
    world.customer = lambda _: Reached(410, b"")
    send(world, GOOD)
    world.drain()
    assert operations.costcentre_show(world.deps, "ana")["callbacks"] == "parked"
    world.customer = lambda _: Reached(200, b"")
    call(world, "POST /sms/add-callback-status", url=CALLBACK_URL)
    world.drain()
    assert operations.costcentre_show(world.deps, "ana")["callbacks"] == "open"
    assert [told["tipo"] for told in world.told] == [1, 2]


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("route", sorted(ACTS))
def test_without_a_token_nothing_is_answered(world: World, route: str) -> None:
    method, path = route.split()
    wrong = {"access_token": "x"}
    for access_token, code in (({}, "001"), ({"access_token": ""}, "001"), (wrong, "006")):
        answer = ask(world, method, path, dict(access_token))
        told = json.loads(answer["body"])
        assert (answer["statusCode"], told["status"]) == (200, "erro")
        assert told["codigo"] == code


@pytest.mark.parametrize("route", sorted(ACTS))
def test_a_body_that_can_not_be_read_is_refused_with_a_word_on_it(world: World, route: str) -> None:
    method, path = route.split()
    headers = {"content-type": "application/json", "authorization": f"Bearer {token(world)}"}
    request = RawRequest(method, path, headers, b'{"code":', "192.0.2.1")
    event = event_of(request, path, "", route, {})
    answer = accept.answer(event, directcall, ACTS[route], world.deps)
    told = json.loads(answer["body"])
    assert (answer["statusCode"], told["status"], told["codigo"]) == (200, "erro", "001")


def test_a_login_that_leads_nowhere_gets_no_token(world: World) -> None:
    kept = KeptPassword(digest("segredo", world.deps.pepper))
    login = Login(login="solta", cost_centre="ninguem", passwords=(kept,))
    world.bare.store.put_config("login", "solta", msgspec.json.encode(login), 0)
    assert token(world, "solta") == "False"


# --- who has set a callback URL ------------------------------------------------------------------


def cost_centre(world: World) -> CostCentre:
    which = json.loads(world.bare.store.config("login", "ana") or b"")["cost_centre"]
    body = world.bare.store.config("cost-centre", which)
    assert body is not None
    return msgspec.json.decode(body, type=CostCentre)


def test_it_is_known_whether_the_customer_has_set_its_callback_url_by_itself(world: World) -> None:
    call(world, "POST /sms/add-callback-status", url="http://10.0.0.1/")
    assert cost_centre(world).callback_by_customer
    operations.costcentre_update(world.deps, "ana", callback_url="http://10.0.0.1/reports")
    assert not cost_centre(world).callback_by_customer


def test_to_set_the_same_callback_url_again_replays_nothing(world: World) -> None:
    call(world, "POST /sms/add-callback-status", url="https://a.example/")
    before = cost_centre(world).version
    assert call(world, "POST /sms/add-callback-status", url="https://a.example/")["codigo"] == "001"
    assert cost_centre(world).version == before


@pytest.mark.parametrize(
    "url", ["http://a b/", "http://" + "a" * 300 + ".com/", "https://x.br/" + "a" * 3000]
)
def test_a_callback_url_that_no_courier_can_read_is_refused(world: World, url: str) -> None:
    told = call(world, "POST /sms/add-callback-status", url=url)
    assert (told["status"], told["codigo"]) == ("erro", "001")


def test_who_guesses_elsewhere_keeps_no_customer_out(world: World) -> None:
    wrong = urlencode({"client_id": "ana", "client_secret": "errado"}).encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    for _ in range(ATTEMPTS + 1):
        guess = RawRequest("POST", "/request_token", form, wrong, "198.51.100.7")
        event = event_of(guess, "/request_token", "", "POST /request_token", {})
        refused = json.loads(request_token(event, world.deps)["body"])
    assert refused["codigo"] == "008"
    assert token(world)
