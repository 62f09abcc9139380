"""Directcall's document on /sms/send, sentence by sentence.

A test's docstring is the sentence that it holds, word for word; docs/directcall-api.md lists them
all. The rest of the document is its page's furniture: its headings, "Versões comparadas", "Esta
linha foi adicionada" and the like.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recado import account_operations, operations
from recado.amounts import shown_amount
from recado.dialects.directcall_words import CODES
from tests.dialects.directcall_world import BASE, client_of, sending, the_record
from tests.support.aws_world import AwsWorld
from tests.support.directcall_clients import JsonClient, prepared
from tests.support.world import World

GOOD, OTHER, THIRD = "5534998887755", "5541999792010", "5541999792030"
FIXED = "554130600300"
ORDER = ["api", "modulo", "status", "codigo", "msg"]


@pytest.fixture(params=["one machine", "AWS"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world with a cost centre "ana", on each engine."""
    if request.param == "AWS":
        with AwsWorld(tmp_path) as aws:
            yield aws.as_world()
        return
    made = World(tmp_path)
    made.cost_centre()
    yield made
    made.close()


def csv(content: str) -> dict[str, Any]:
    """A file as `requests` sends it, in multipart/form-data."""
    return {"destino_csv": ("numeros.csv", content.encode(), "text/csv")}


def send_csv(client: JsonClient, content: str, texto: str = "oi", **fields: str) -> dict[str, Any]:
    return client.post("/sms/send", csv(content), origem=FIXED, texto=texto, **fields)


def numbers_of(world: World) -> list[str]:
    world.drain()
    return [taken["to"] for taken in world.taken]


def schedule(world: World, cron: str, **fields: str) -> dict[str, Any]:
    return client_of(world).send(GOOD, "oi", cron=cron, **fields)


# --- the method ----------------------------------------------------------------------------------


def test_a_list_and_a_single_message_go_by_the_same_method(world: World) -> None:
    """Método que faz o envio o de SMS em lote pela API. Este método é o mesmo de envio padrão o que
    muda aqui é o parâmetro "destino_csv" que deve ser enviado"""
    client = client_of(world)
    alone, many = client.send(GOOD, "oi"), send_csv(client, f"{OTHER}\n{THIRD}")
    assert [answer["modulo"] for answer in (alone, many)] == ["enviar", "enviar"]
    assert numbers_of(world) == [GOOD, OTHER, THIRD]


def test_texts_go_to_mobiles_and_voice_to_fixed_lines(world: World) -> None:
    """DESCRIÇÃOCom este método podemos enviar um lote em massa de SMS para telefones móveis ou
    Torpedo de Voz para telefonia fixa."""
    client = client_of(world)
    send_csv(client, f"{OTHER};{THIRD}")
    send_csv(client, f"{FIXED};554130600301", tipo="voz")
    assert numbers_of(world) == [OTHER, THIRD, FIXED, "554130600301"]
    assert [taken.get("voice", False) for taken in world.taken] == [False, False, True, True]


def test_a_client_changes_its_host_and_nothing_of_the_path(world: World) -> None:
    """ESTRUTURA DA URLhttps://api.directcallsoft.com/sms/send"""
    theirs = JsonClient("https://api.directcallsoft.com", sending(world))
    theirs.enter("ana", "segredo")
    assert theirs.send(GOOD, "oi")["codigo"] == "000"
    assert sending(world)(prepared("POST", f"{BASE}/sms/sends", data={}))[0] == 404


def test_the_only_version_stands_nowhere_in_a_request(world: World) -> None:
    """VERSÃO1"""
    assert client_of(world).send(GOOD, "oi")["codigo"] == "000"
    assert sending(world)(prepared("POST", f"{BASE}/v1/sms/send", data={}))[0] == 404


def test_the_method_is_post_alone(world: World) -> None:
    """MÉTODOPOST"""
    client = client_of(world)
    assert client.send(GOOD, "oi")["codigo"] == "000"
    for method in ("GET", "PUT", "DELETE"):
        request = prepared(method, f"{BASE}/sms/send?access_token={client.access_token}")
        status, body = sending(world)(request)
        assert (status, json.loads(body)["codigo"]) == (405, "001")
    assert numbers_of(world) == [GOOD]


# --- the parameters ------------------------------------------------------------------------------


def test_the_origin_is_required_and_is_who_sends(world: World) -> None:
    """origem obrigatório Número de quem esta enviando o SMS, formato exemplo: 554130600300 (DDI DDD
    NUMERO)"""
    client = client_of(world)
    client.send(GOOD, "oi", origem="554130600300")
    world.drain()
    assert [taken["source"] for taken in world.taken] == ["554130600300"]
    refused = client.post("/sms/send", destino=GOOD, texto="oi")
    assert (refused["codigo"], refused["msg"].split(" - ")[1].split(":")[0]) == ("001", "origem")


def test_the_file_has_the_numbers_and_is_required_where_there_is_no_other(world: World) -> None:
    """destino_csv obrigatório. Deve conter o Arquivo CSV com os números de destino."""
    client = client_of(world)
    assert send_csv(client, f"{OTHER}\r\n{THIRD}\r\n")["codigo"] == "000"
    assert numbers_of(world) == [OTHER, THIRD]
    refused = client.post("/sms/send", origem=FIXED, texto="oi")
    assert refused["msg"] == "001 - destino: parâmetro obrigatório não informado"
    empty = send_csv(client, "nome;telefone\n")
    assert empty["codigo"] == "001"
    assert numbers_of(world) == [OTHER, THIRD]


def test_the_file_comes_by_multipart(world: World) -> None:
    """Este arquivo deve ser enviado por multipart/form-data."""
    client = client_of(world)
    fields = {"access_token": client.access_token, "origem": FIXED, "texto": "Olá"}
    request = prepared("POST", f"{BASE}/sms/send", data=fields, files=csv(f"{OTHER}\n{THIRD}"))
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    status, body = sending(world)(request)
    assert (status, json.loads(body)["codigo"]) == (200, "000")
    assert numbers_of(world) == [OTHER, THIRD]


@pytest.mark.parametrize("between", [";", ",", "\n", "\r\n", "\t", " ", "|", "x", "; ", "é", '","'])
def test_whatever_is_no_digit_parts_the_numbers(world: World, between: str) -> None:
    """Os telefones podem ser separados por qualquer caracter não numérico, por exemplo:
    5541xx99792010;554199xx2030."""
    send_csv(client_of(world), f"{OTHER}{between}{THIRD}")
    assert numbers_of(world) == [OTHER, THIRD]


@pytest.mark.parametrize("count", [1, 2, 10, 11])
def test_a_few_numbers_stand_in_destino_with_a_semicolon_between_them(
    world: World, count: int
) -> None:
    """Quando você precisar enviar SMS para lotes pequenos de destinatários (até 10), você pode
    utilizar o parâmetro destino e incluir um "ponto e virgula" no meio de cada número, por exemplo:
    554199xx2010;554199xx2030 +Inf."""
    numbers = [f"55419997920{n:02}" for n in range(count)]
    answer = client_of(world).send(";".join(numbers), "oi")
    assert answer["destino"] == numbers
    assert numbers_of(world) == numbers


def test_the_text_is_required_and_is_what_is_sent(world: World) -> None:
    """texto obrigatório Texto a ser enviado na mensagem"""
    client = client_of(world)
    client.send(GOOD, "Sua consulta: 9h. 50% & mais; até já?")
    world.drain()
    assert [taken["text"] for taken in world.taken] == ["Sua consulta: 9h. 50% & mais; até ja?"]
    for texto in (None, "", "  "):
        refused = client.post("/sms/send", origem=FIXED, destino=GOOD, texto=texto)
        assert (refused["codigo"], "texto" in refused["msg"]) == ("001", True)


# The text, whether its origin (12 digits) is shown, what it costs (SMS of 140 characters), and the
# segments that it is sent in (GSM 03.38: 160 septets alone, 153 each of several; UCS-2: 70 and 67).
EDGES = {
    "1": ("a", False, 1, 1),
    "140": ("a" * 140, False, 1, 1),
    "141": ("a" * 141, False, 2, 1),
    "160 septets": ("a" * 160, False, 2, 1),
    "161 septets": ("a" * 161, False, 2, 2),
    "280": ("a" * 280, False, 2, 2),
    "281": ("a" * 281, False, 3, 2),
    "306 septets": ("a" * 306, False, 3, 2),
    "307 septets": ("a" * 307, False, 3, 3),
    "700": ("a" * 700, False, 5, 5),
    "128 and the origin": ("a" * 128, True, 1, 1),
    "129 and the origin": ("a" * 129, True, 2, 1),
    "147, the origin and a space": ("a" * 147, True, 2, 1),
    "148, the origin and a space": ("a" * 148, True, 2, 2),
    "268 and the origin": ("a" * 268, True, 2, 2),
    "269 and the origin": ("a" * 269, True, 3, 2),
    "140 accents that GSM has": ("é" * 140, False, 1, 1),
    "141 accents that GSM has": ("é" * 141, False, 2, 1),
    "161 accents that GSM has": ("é" * 161, False, 2, 2),
    "140 accents that GSM lacks": ("ã" * 140, False, 1, 1),
    "161 accents that GSM lacks": ("ã" * 161, False, 2, 2),
    "80 of GSM's extension": ("€" * 80, False, 1, 1),
    "81 of GSM's extension": ("[" * 81, False, 1, 2),
    "140 of GSM's extension": ("{" * 140, False, 1, 2),
    "141 of GSM's extension": ("}" * 141, False, 2, 2),
    "70 of another script": ("я" * 70, False, 1, 1),
    "71 of another script": ("я" * 71, False, 1, 2),
    "140 of another script": ("я" * 140, False, 1, 3),
    "141 of another script": ("я" * 141, False, 2, 3),
    "35 emoji": ("😀" * 35, False, 1, 1),
    "36 emoji": ("😀" * 36, False, 1, 2),
}


@pytest.mark.parametrize(("text", "shown", "units", "segments"), EDGES.values(), ids=EDGES)
def test_an_sms_has_140_characters_and_both_counts_are_kept_and_shown(
    world: World, text: str, shown: bool, units: int, segments: int
) -> None:
    """Um SMS pode ter até 140 caracteres;"""
    client = client_of(world)
    answer = client.send(GOOD, text, id_origem="s" if shown else "n")
    assert answer["codigo"] == "000"
    world.drain()
    record = the_record(world)
    assert (record.units, record.segments) == (units, segments)
    told = client.get("/sms/status", code=answer["callerid"])
    assert (told["sms"], told["segmentos"]) == (units, segments)
    kept = operations.message_show(world.deps, record.id)
    assert (kept["units"], kept["segments"]) == (units, segments)


@pytest.mark.parametrize(("length", "segments"), [(160, 1), (161, 2), (306, 2), (307, 3)])
def test_a_longer_message_is_one_that_is_cut_into_several(
    world: World, length: int, segments: int
) -> None:
    """Mensagens maiores serão divididas em "multiplos SMS", antes de serem entregues;"""
    client_of(world).send(GOOD, "a" * length)
    world.drain()
    assert [(t["text"], t["segments"]) for t in world.taken] == [("a" * length, segments)]


@pytest.mark.parametrize(("length", "costs"), [(140, 1), (141, 2), (280, 2), (281, 3), (700, 5)])
@pytest.mark.parametrize("recipients", [1, 3, 500])
def test_what_is_charged_is_as_many_sms_as_the_text_takes_for_each_recipient(
    world: World, length: int, costs: int, recipients: int
) -> None:
    """A cobrança será proporcional ao número de SMS utilizado em cada envio."""
    operations.costcentre_update(world.deps, "ana", prepaid=True, price=750)
    account_operations.credit_add(world.deps, "ana", "1000.00")
    numbers = "\n".join(f"55419{n:08}" for n in range(recipients))
    answer = send_csv(client_of(world), numbers, "a" * length)
    assert answer["codigo"] == "000"
    left = account_operations.credit_show(world.deps, "ana")["balance"]
    assert left == shown_amount(10_000_000 - recipients * costs * 750)


@pytest.mark.parametrize("tipo", [None, "", "texto", "TEXTO", "voz", "Voz"])
def test_a_message_is_a_text_unless_it_is_to_be_spoken(world: World, tipo: str | None) -> None:
    """tipo opcional Opção para enviar como texto ou voz podendo ser ("voz" para torpedo de voz |
    "texto" para sms), por padrão é texto."""
    client = client_of(world)
    fields = {} if tipo is None else {"tipo": tipo}
    assert client.send(GOOD, "oi", **fields)["codigo"] == "000"
    assert client.send(GOOD, "oi", tipo="fax")["codigo"] == "001"
    world.drain()
    (taken,) = world.taken
    assert taken.get("voice", False) == bool(tipo and tipo.lower() == "voz")


def test_a_schedule_waits_for_its_hour_in_the_documents_form(world: World) -> None:
    """cron opcional Em caso de envio agendado esta variável deve ser enviada no formato
    <dia-mes-ano-hora-minuto-segundo> "d-m-Y-H-i-s\""""
    client = client_of(world)  # it is 17:26:40 in Brasília
    code = schedule(world, "28-05-2026-17-31-40")["callerid"]
    world.run(299)
    assert (client.status(code), world.taken) == ("AGENDADO", [])
    world.run(1)
    assert numbers_of(world) == [GOOD]
    assert schedule(world, "2026-05-28 17:31:40")["codigo"] == "001"
    assert schedule(world, "")["codigo"] == "000"
    assert numbers_of(world) == [GOOD, GOOD]


def test_nothing_is_done_without_a_token(world: World) -> None:
    """access_token obrigatório Chave de acesso ao método, para saber como obter clique aqui"""
    client = client_of(world)
    good = client.access_token
    for access_token, codigo in ((good, "000"), ("", "001"), ("x", "006"), (good + "x", "006")):
        client.access_token = access_token
        assert client.send(GOOD, "oi")["codigo"] == codigo
    assert numbers_of(world) == [GOOD]


@pytest.mark.parametrize("wanted", [None, "", "JSON", "json", "XML", "xml"])
def test_the_answer_is_json_or_xml_and_json_by_default(world: World, wanted: str | None) -> None:
    """format opcional Opção de retorno da API podendo ser JSON ou XML, se não informado JSON será o
    padrão"""
    fields = {"access_token": client_of(world).access_token, "origem": FIXED, "texto": "oi"}
    given = fields | {"destino": GOOD} | ({} if wanted is None else {"format": wanted})
    _, body = sending(world)(prepared("POST", f"{BASE}/sms/send", data=given))
    if wanted and wanted.lower() == "xml":
        assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?><directcall><api>sms</api>')
    else:
        assert list(json.loads(body))[:5] == ORDER


def test_with_a_short_number_the_upstreams_own_number_sends(world: World) -> None:
    """short_number opcional Opção para envio com ou sem short number podendo ser s para envio com
    short number e n para envio sem short number."""
    client = client_of(world)
    for value in ("s", "n", ""):
        assert client.send(GOOD, "oi", short_number=value)["codigo"] == "000"
    assert client.send(GOOD, "oi", short_number="sim")["codigo"] == "001"
    world.drain()
    assert [taken.get("source") for taken in world.taken] == [None, FIXED, FIXED]


def test_the_origin_is_put_at_the_beginning_of_the_text(world: World) -> None:
    """id_origem opcional Opção para envio do número de origem no início do SMS podendo ser s para
    enviar e n para não enviar."""
    client = client_of(world)
    for value in ("s", "n", ""):
        assert client.send(GOOD, "oi", id_origem=value)["codigo"] == "000"
    assert client.send(GOOD, "oi", id_origem="1")["codigo"] == "001"
    world.drain()
    assert [taken["text"] for taken in world.taken] == [f"{FIXED} oi", "oi", "oi"]


# --- the answer ----------------------------------------------------------------------------------


def told(world: World) -> list[dict[str, Any]]:
    """What is answered to what was taken and to what was refused."""
    client = client_of(world)
    return [client.send(GOOD, "oi"), client.send("123", "oi")]


def test_api_is_the_api_that_is_used(world: World) -> None:
    """api Origem API que esta sendo usada"""
    assert [answer["api"] for answer in told(world)] == ["sms", "sms"]
    assert client_of(world).post("/extrato/saldo")["api"] == "extrato"


def test_modulo_is_the_module_that_is_called(world: World) -> None:
    """modulo Módulo que está sendo chamado"""
    assert [answer["modulo"] for answer in told(world)] == ["enviar", "enviar"]
    assert client_of(world).post("/sms/recebimento")["modulo"] == "recebimento"


def test_status_says_in_a_word_how_it_went(world: World) -> None:
    """status Mensagem de status"""
    assert [answer["status"] for answer in told(world)] == ["ok", "erro"]


def test_codigo_is_one_of_the_published_codes(world: World) -> None:
    """codigo Código de retorno - Clique aqui para listar os códigos e suas descrições"""
    assert [answer["codigo"] for answer in told(world)] == ["000", "001"]
    published = [f"{n:03}" for n in (*range(12), 100, 101, 102, 200, 201)]
    assert {"000", *CODES.values()} <= {*published}


def test_msg_is_a_text_for_people(world: World) -> None:
    """msg Texto de resposta da API"""
    taken, refused = told(world)
    assert re.fullmatch(r"001 - Mensagem enviada com sucessso - CALLER-ID: \d{14}", taken["msg"])
    assert refused["msg"] == "001 - destino: valor inválido"


def test_the_answer_looks_like_the_documents_example(world: World) -> None:
    """{ "api":"sms", "modulo":"enviar", "status":"ok", "codigo":"000", "msg":"001 - Mensagem
    enviada com sucessso - CALLER-ID: 62925845049598", "callerid":"62925845049598" }"""
    answer = client_of(world).send(GOOD, "oi")
    code = answer["callerid"]
    # Two fields are Directcall's own, but not the document's: later answers have them.
    assert (answer.pop("destino"), answer.pop("detalhe")[0]["destino"]) == ([GOOD], GOOD)
    example = (
        '{ "api":"sms", "modulo":"enviar", "status":"ok", "codigo":"000", "msg":"001 - Mensagem'
        ' enviada com sucessso - CALLER-ID: 62925845049598", "callerid":"62925845049598" }'
    )
    assert re.fullmatch("[0-9]{14}", code)
    assert json.dumps(answer) == json.dumps(json.loads(example.replace("62925845049598", code)))


def test_a_token_ends_and_a_new_one_opens(world: World) -> None:
    """Validade dos tokens: Os tokens de acesso têm uma validade limitada, por isso convém que o
    sistema criado tenha em conta estes timings para que possa desenvolver rotinas de requisação de
    novos tokens."""
    client = client_of(world)
    world.now += 3599
    assert client.send(GOOD, "oi")["codigo"] == "000"
    world.now += 1
    assert client.send(GOOD, "oi")["codigo"] == "006"
    client.enter("ana", "segredo")
    assert client.send(GOOD, "oi")["codigo"] == "000"
    assert numbers_of(world) == [GOOD, GOOD]
