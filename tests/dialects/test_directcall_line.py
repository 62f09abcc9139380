"""Directcall's /sms/send from the request to the upstream and the customer: what its document
leaves open."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from recado import operations
from recado.http import Reached
from tests.dialects.directcall_world import BASE, client_of, sending, the_record
from tests.support.directcall_clients import JsonClient, prepared
from tests.support.world import World

GOOD, OTHER, FIXED = "5534998887755", "5541999792010", "554130600300"
SHOWN = ("to", "text", "source")


def post(world: World, **how: Any) -> tuple[int, dict[str, Any]]:
    """A request to /sms/send, however it is written: status and JSON."""
    status, body = sending(world)(prepared("POST", f"{BASE}/sms/send", **how))
    answer = json.loads(body)
    assert isinstance(answer, dict)
    return status, answer


def given(client: JsonClient, **more: Any) -> dict[str, Any]:
    fields = {"access_token": client.access_token, "origem": "Loja", "destino": GOOD}
    return {**fields, "texto": "Olá às 9h", **more}


def taken(world: World) -> list[tuple[str, ...]]:
    world.drain()
    return [tuple(one[name] for name in SHOWN) for one in world.taken]


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["urlencoded", "raw", "multipart", "json", "query"])
def test_a_message_goes_the_same_way_in_whatever_form_it_comes(world: World, form: str) -> None:
    fields = given(client_of(world))
    raw = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    written: dict[str, dict[str, Any]] = {
        "urlencoded": {"data": fields},
        "raw": {"data": raw, "headers": typed},
        "multipart": {"files": {name: (None, value) for name, value in fields.items()}},
        "json": {"json": fields},
        "query": {"params": fields},
    }
    assert post(world, **written[form])[1]["codigo"] == "000"
    assert taken(world) == [(GOOD, "Ola às 9h", "Loja")]


def test_the_header_serves_in_place_of_the_token(world: World) -> None:
    client = client_of(world)
    fields = given(client)
    del fields["access_token"]
    opens = {"Authorization": f"Bearer {client.access_token}"}
    assert post(world, data=fields, headers=opens)[1]["codigo"] == "000"


def test_what_nobody_knows_comes_back_as_campos(world: World) -> None:
    client = client_of(world)
    client.send(GOOD, "oi", **{"campos[pedido]": "17", "loja": "Centro", "client_secret": "x"})
    world.drain()
    assert [told["campos"] for told in world.told] == [{"pedido": "17", "loja": "Centro"}] * 2


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", [GOOD, GOOD[2:], f"0{GOOD[2:]}", f"+{GOOD}", f"00{GOOD}", f" {GOOD} "]
)
def test_a_number_is_found_however_it_is_dialled(world: World, written: str) -> None:
    assert client_of(world).send(written, "oi")["codigo"] == "000"
    world.drain()
    assert [one["to"] for one in world.taken] == [GOOD]


def test_numbers_abroad_are_taken_where_the_switch_says_so(world: World) -> None:
    client = client_of(world)
    assert client.send("0044207123456", "oi")["codigo"] == "001"
    operations.costcentre_update(world.deps, "ana", international=True)
    assert client.send("0044207123456", "oi")["codigo"] == "000"
    world.drain()
    assert [one["to"] for one in world.taken] == ["44207123456"]


def test_a_text_to_a_fixed_line_is_tried_unless_the_switch_says_no(world: World) -> None:
    client = client_of(world)
    assert client.send(FIXED, "oi")["codigo"] == "000"
    operations.costcentre_update(world.deps, "ana", fixed_lines=False)
    refused = client.send(FIXED, "oi")
    assert refused["msg"] == "001 - destino: telefone fixo não recebe SMS"
    assert client.send(FIXED, "oi", tipo="voz")["codigo"] == "000"
    world.drain()
    assert [one.get("voice", False) for one in world.taken] == [False, True]


# --- voice ---------------------------------------------------------------------------------------


def test_a_voice_message_costs_one_whatever_its_length_and_is_not_cut(world: World) -> None:
    text = "é já " * 140  # 700 characters
    client = client_of(world)
    assert client.send(FIXED, text, tipo="voz", id_origem="s")["codigo"] == "000"
    world.drain()
    (one,) = world.taken
    assert (one["text"], one["voice"]) == (text, True)
    assert (the_record(world).units, the_record(world).segments) == (1, 1)
    assert client.send(FIXED, f"{text}x", tipo="voz")["codigo"] == "001"


def test_where_no_route_speaks_voice_is_refused_and_texts_go(world: World) -> None:
    client = client_of(world)
    old = msgspec.json.decode(world.bare.store.config("upstream", "simulator") or b"")
    world.upstream_is(settings={**old["settings"], "voice": "no"})
    refused = client.send(FIXED, "oi", tipo="voz")
    assert (refused["codigo"], refused["msg"]) == (
        "002",
        "002 - tipo: não há rota para torpedo de voz",
    )
    assert client.send(GOOD, "oi")["codigo"] == "000"
    world.drain()
    assert [one["to"] for one in world.taken] == [GOOD]


# --- schedules -----------------------------------------------------------------------------------


def test_a_schedule_is_in_brasilias_time_whatever_the_cost_centres_own(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", time_zone="Asia/Tokyo")
    client = client_of(world)
    client.send(GOOD, "oi", cron="28-05-2026-17-31-40")
    world.run(300)
    assert len(world.taken) == 1


def test_the_past_is_refused_and_a_moment_ago_means_now(world: World) -> None:
    client = client_of(world)
    assert client.send(GOOD, "oi", cron="28-05-2026-17-25-39")["msg"] == (
        "001 - cron: data no passado"
    )
    assert client.send(GOOD, "oi", cron="28-05-2026-17-25-41")["codigo"] == "000"
    assert len(taken_numbers(world)) == 1
    assert client.send(GOOD, "oi", cron="01-09-2026-00-00-00")["codigo"] == "001"


def taken_numbers(world: World) -> list[str]:
    world.drain()
    return [one["to"] for one in world.taken]


def test_a_list_of_hundreds_is_one_schedule(world: World) -> None:
    numbers = [f"55419{n:08}" for n in range(500)]
    client = client_of(world)
    code = client.send(";".join(numbers), "oi", cron="28-05-2026-17-31-40")["callerid"]
    assert client.status(code) == "AGENDADO"
    assert world.database.read("SELECT count(*) FROM held") == [(1,)]
    world.run(300, step=100)
    assert Counter(one["to"] for one in world.taken) == Counter(numbers)


# --- long lists ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["destino", "destino[]", "json", "csv", "both"])
def test_each_of_thousands_is_sent_once_wherever_they_stand(world: World, where: str) -> None:
    numbers = [f"55419{n:08}" for n in range(3_000)]
    client = client_of(world)
    fields = given(client, destino="", texto="oi")
    written: dict[str, dict[str, Any]] = {
        "destino": {"data": {**fields, "destino": ";".join(numbers)}},
        "destino[]": {"data": {**fields, "destino[]": numbers}},
        "json": {"json": {**fields, "destino": numbers}},
        "csv": {"data": fields, "files": {"destino_csv": ("n.csv", "\n".join(numbers))}},
        "both": {
            "data": {**fields, "destino": ";".join(numbers[:1_600])},
            "files": {"destino_csv": ("n.csv", "\n".join(numbers[1_500:]))},
        },
    }
    _, answer = post(world, **written[where])
    again = 100 if where == "both" else 0
    lot = {"total": 3_000 + again, "aceitos": 3_000, "duplicados": again, "invalidos": 0}
    assert answer["lote"] == {**lot, "recusados": []}
    assert Counter(taken_numbers(world)) == Counter(numbers)
    # Told one by one, by the list's callerid and their numbers.
    assert Counter((one["callerid"], one["tipo"]) for one in world.told) == {
        (answer["callerid"], 1): 3_000,
        (answer["callerid"], 2): 3_000,
    }


# --- limits --------------------------------------------------------------------------------------


def test_too_many_requests_a_second_and_too_much_a_day_are_008(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", per_second=2, daily_quota=3)
    client = client_of(world)
    assert [client.send(GOOD, "oi")["codigo"] for _ in range(3)] == ["000", "000", "008"]
    world.now += 1
    refused = client.send(f"{GOOD};{OTHER}", "oi")
    assert (refused["codigo"], refused["msg"]) == ("008", "008 - cota: limite diário esgotado")
    assert client.send(GOOD, "oi")["codigo"] == "000"
    assert len(taken_numbers(world)) == 3


def test_what_can_go_nowhere_is_a_503_and_nothing_was_taken(world: World) -> None:
    world.route_is(prefix="5541")
    status, answer = post(world, data=given(client_of(world)))
    assert (status, answer["codigo"]) == (503, "007")
    assert taken_numbers(world) == []


def test_a_text_of_too_many_segments_is_refused(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", max_segments=2)
    client = client_of(world)
    assert client.send(GOOD, "a" * 306)["codigo"] == "000"
    assert client.send(GOOD, "a" * 307)["msg"] == "001 - texto: é longo demais"


# --- Idempotency-Key -----------------------------------------------------------------------------


def test_the_same_key_is_answered_alike_and_sent_once_in_whatever_form(world: World) -> None:
    key = {"Idempotency-Key": "pedido-7"}
    answers = []
    for _ in range(2):
        world.now += 1
        fields = given(client_of(world))  # another token each time
        answers.append(post(world, data=fields, headers=key))
    # Another boundary each time, and no urlencoded form.
    parts = {name: (None, value) for name, value in given(client_of(world)).items()}
    answers.append(post(world, files=parts, headers=key))
    assert answers[0] == answers[1] == answers[2]
    assert len(taken_numbers(world)) == 1
    status, refused = post(world, data=given(client_of(world), texto="outro"), headers=key)
    assert (status, refused["codigo"]) == (200, "001")
    assert refused["msg"] == "001 - chave de idempotência: já foi usada em outra requisição"


# --- callbacks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [[GOOD], [GOOD, OTHER]])
def test_reports_come_at_once_and_there_is_no_callback_of_a_batch(
    world: World, numbers: list[str]
) -> None:
    code = client_of(world).send(";".join(numbers), "oi")["callerid"]
    world.drain()
    assert {told["callerid"] for told in world.told} == {code}
    assert Counter(told["tipo"] for told in world.told) == {1: len(numbers), 2: len(numbers)}
    assert {told["modulo"] for told in world.told} == {"status"}


def test_what_an_upstream_refuses_is_told_twice_with_its_code(world: World) -> None:
    world.upstream = lambda _: Reached(200, json.dumps({"esme": "ESME_RINVDSTADR"}).encode())
    client = client_of(world)
    code = client.send(GOOD, "oi")["callerid"]
    world.drain()
    told = [(one["tipo"], one["status"], one["erro"]) for one in world.told]
    assert told == [(1, "REJEITADO", "ESME_RINVDSTADR"), (2, "REJEITADO", "000")]
    assert client.status(code) == "REJEITADO"
