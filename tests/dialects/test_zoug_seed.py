"""The document "Documentação – Envio de mensagens via API", sentence by sentence.

A test's docstring is the sentence that it holds, word for word; docs/zoug-api.md lists them all.
"""

import base64
import inspect
import json
import re
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from node.cli import up
from recado import operations
from recado.http import Outgoing, Reached
from recado.smpp.pdu import Bind
from recado.smpp.status import ESME_RBINDFAIL, ESME_ROK
from smpp.binding import decide
from smpp.container import read_container_settings
from tests.support.world import CALLBACK_URL, World

GOOD, BAD = "5534998887755", "553488556644"


def reply(world: World, text: str = "Sim, quero") -> None:
    """The upstream tells of a reply (MO) from GOOD."""
    world.tell({"event": "reply", "id": "mo-1", "from": GOOD, "text": text})
    world.drain()


def callbacks(world: World) -> list[Outgoing]:
    return [request for request in world.requests if request.url.startswith(CALLBACK_URL)]


def body_of(request: Outgoing) -> dict[str, Any]:
    content = json.loads(request.body)
    assert isinstance(content, dict)
    return content


def element(to: str = GOOD, text: str = "Olá") -> dict[str, str]:
    return {"destination_addr": to, "message": text}


# --- the way in ----------------------------------------------------------------------------------


def test_a_new_cost_centre_comes_with_the_credentials_that_open_it(world: World) -> None:
    """Os dados de autenticação são adquiridos ao criar um centro de custo no painel web."""
    made = operations.costcentre_create(world.deps, name="Loja")
    pair = base64.b64encode(f"{made['login']}:{made['password']}".encode()).decode()
    header = {"authorization": f"Basic {pair}"}
    assert world.call("POST", "/message", element(), login=None, headers=header)[0] == 200


@pytest.mark.parametrize(
    ("method", "by_http", "by_smpp"),
    [("http", 200, ESME_RBINDFAIL), ("smpp", 403, ESME_ROK), ("http,smpp", 200, ESME_ROK)],
)
def test_the_method_of_sending_is_a_setting_of_the_cost_centre(
    world: World, method: str, by_http: int, by_smpp: int
) -> None:
    """Defina o método de envio e utilize as informações abaixo para integração."""
    methods = method.split(",")
    made = operations.costcentre_create(
        world.deps, name="Loja", login="loja", password="segredo", sends_by=methods
    )
    assert world.call("POST", "/message", element(), login="loja")[0] == by_http
    bind = Bind(made["smpp_system_id"], made["smpp_password"])
    assert decide(bind, "192.0.2.1", world.deps).command_status == by_smpp


def test_smpp_is_taken_on_the_port_of_the_document() -> None:
    """SMPP / Servidor: smpp1.zoug.net.br / Porta: 1910"""
    assert inspect.signature(up).parameters["smpp_port"].default == 1910
    assert read_container_settings({}).server.port == 1910


@pytest.mark.parametrize("route", ["/message", "/message/batch"])
def test_requests_are_opened_by_basic_auth_and_by_nothing_else(world: World, route: str) -> None:
    """Autenticação/Autorização: Basic Auth"""
    body = {**element(), "list": [element()]}
    assert world.call("POST", route, body)[0] == 200
    assert world.call("POST", route, body, login=None)[0] == 401
    token = {"authorization": "Bearer YW5hOnNlZ3JlZG8="}
    assert world.call("POST", route, body, login=None, headers=token)[0] == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_message_is_sent_by_either_verb(world: World, method: str) -> None:
    """Verbo HTTP: GET ou POST"""
    assert world.call(method, "/message", element())[0] == 200
    world.drain()
    assert [taken["to"] for taken in world.taken] == [GOOD]


def test_the_route_is_message(world: World) -> None:
    """Rota: /message"""
    assert world.call("POST", "/message", element())[0] == 200
    assert world.call("POST", "/messages", element())[0] == 404


@pytest.mark.parametrize("route", ["/message", "/message/batch"])
def test_the_body_is_json(world: World, route: str) -> None:
    """Content-Type: application/json"""
    body = {**element(), "list": [element()]}
    assert world.call("POST", route, json.dumps(body).encode())[0] == 200
    form = f"destination_addr={GOOD}&message=oi&list=".encode()
    assert world.call("POST", route, form)[0] == 400


def test_the_two_fields_of_the_body_are_what_is_sent(world: World) -> None:
    """{ "destination_addr": "Número de destino*", "message": "Conteúdo do SMS" }"""
    body = {"destination_addr": GOOD, "message": "Conteudo do SMS"}
    assert world.call("POST", "/message", body)[0] == 200
    world.drain()
    assert [(taken["to"], taken["text"]) for taken in world.taken] == [(GOOD, "Conteudo do SMS")]


@pytest.mark.parametrize("route", ["/message", "/message/batch"])
def test_a_number_is_digits_with_or_without_the_country_code(world: World, route: str) -> None:
    """Deve conter somente números, pode ou não conter o código do país (55);"""
    for number in (GOOD, GOOD.removeprefix("55"), "(34) 99888-7755", "34 998887755"):
        body = element(number) if route == "/message" else {"list": [element(number)]}
        world.call("POST", route, body)
    world.drain()
    assert [taken["to"] for taken in world.taken] == [GOOD, GOOD]


# --- the answer ----------------------------------------------------------------------------------


def test_the_answer_is_json(world: World) -> None:
    """Como resposta para requisição o servidor enviará um JSON com os seguintes campos"""
    status, headers, body = world.call_raw("POST", "/message", element())
    assert (status, headers["content-type"]) == (200, "application/json")
    assert list(json.loads(body)) == ["message_id"]


def test_an_impediment_adds_fields_to_the_answer(world: World) -> None:
    """Em caso de erro ou caso haja algum impedimento as respostas possuem campos adicionais"""
    _, answer = world.call("POST", "/message", element(BAD))
    assert list(answer) == ["message_id", "error", "message", "esme"]


def test_the_message_id_is_a_uuid_and_the_same_wherever_it_comes_back(world: World) -> None:
    """ID da mensagem para identificação, na plataforma ou para devolução de reports ou respostas,
    no padrão UUID"""
    identifier = world.send(GOOD)
    world.drain()
    reply(world)
    assert str(UUID(identifier)) == identifier
    assert world.message(identifier)["message_id"] == identifier
    assert [told["message_id"] for told in world.told] == [identifier] * 3


def test_error_is_a_boolean(world: World) -> None:
    """Campo que identifica a presença de algum erro ou impedimento, através de um boolean"""
    assert world.call("POST", "/message", element(BAD))[1]["error"] is True


def test_message_describes_the_impediment_in_the_documents_words(world: World) -> None:
    """Pequena descrição sobre o erro ou impedimento encontrado"""
    _, answer = world.call("POST", "/message", element(BAD))
    assert answer["message"] == "Destination_addr is invalid!"


def test_esme_is_the_code_of_smpp_for_the_impediment(world: World) -> None:
    """Código no padrão SMPP que identifica o erro ou impedimento"""
    assert world.call("POST", "/message", element(BAD))[1]["esme"] == "ESME_RINVDSTADR"


def test_no_error_stands_in_the_answer_to_what_was_taken(world: World) -> None:
    """Campo pode não existir em caso de sucesso com envio"""
    assert "error" not in world.call("POST", "/message", element())[1]


def test_message_and_esme_stand_only_where_there_is_an_impediment(world: World) -> None:
    """Campos presentes somente em caso de haver algum impedimento para o envio ou ocorra algum
    erro."""
    taken = world.call("POST", "/message", element())[1]
    refused = world.call("POST", "/message", element(BAD))[1]
    assert {"message", "esme"} & set(taken) == set()
    assert {"message", "esme"} <= set(refused)


# --- reports and replies -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_callbacks_come_by_the_verb_that_was_chosen_before(world: World, method: str) -> None:
    """A devolução pode ser feita através de requisições http GET ou POST, definido com
    antecedência."""
    operations.costcentre_update(world.deps, "ana", callback_method=method)
    world.send(GOOD)
    world.drain()
    assert [request.method for request in callbacks(world)] == [method, method]


def test_there_are_three_kinds_of_callback_and_each_is_json(world: World) -> None:
    """Existem 3 tipos de requisições enviadas, todas utilizam JSON"""
    world.send(GOOD)
    world.drain()
    reply(world)
    first, second, third = callbacks(world)
    assert {r.headers["content-type"] for r in (first, second, third)} == {"application/json"}
    assert (body_of(first)["type"], body_of(second)["type"]) == (1, 2)
    assert (body_of(third)["esme_class"], "type" in body_of(third)) == (0, False)


@pytest.mark.parametrize("stat", ["ESME_ROK", "ESME_RINVDSTADR"])
def test_type_1_tells_whether_it_was_sent(world: World, stat: str) -> None:
    """Resposta de envio ou falha da mensagem"""
    if stat != "ESME_ROK":
        world.upstream = lambda _: Reached(200, json.dumps({"esme": stat}).encode())
    identifier = world.send(GOOD)
    world.drain()
    assert world.reports(identifier)[0]["stat"] == stat


def test_stat_is_one_of_smpps_own(world: World) -> None:
    """Mesmos status usados no smpp."""
    world.send(GOOD)
    world.drain()
    assert re.fullmatch("ESME_[A-Z]+", body_of(callbacks(world)[0])["stat"])


def test_type_tells_the_two_reports_apart(world: World) -> None:
    """Identificador do tipo de report"""
    identifier = world.send(GOOD)
    world.drain()
    assert [told["type"] for told in world.reports(identifier)] == [1, 2]


def test_report_date_is_written_as_the_document_writes_it(world: World) -> None:
    """Data no formato: "ano-mês-dia hora:minuto:segundo\""""
    world.send(GOOD)
    world.drain()
    for told in world.told:
        written = told["report_date"]
        parsed = datetime.strptime(written, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - it names no zone
        assert parsed.isoformat(sep=" ") == written


def test_report_date_is_when_the_report_came_in_not_when_it_was_given(world: World) -> None:
    """Data de recebimento do report"""
    identifier = world.send(GOOD)
    world.drain(receipts=False)
    world.now += 3600
    world.drain()
    first, second = (told["report_date"] for told in world.reports(identifier))
    assert (first[11:], second[11:]) == ("17:26:40", "18:26:40")


def test_a_report_names_the_message_by_the_id_of_the_answer(world: World) -> None:
    """ID da mensagem a qual pertence o report. Recebido no momento do envio."""
    identifiers = [world.send(GOOD), world.send(GOOD)]
    world.drain()
    for identifier in identifiers:
        assert [told["type"] for told in world.reports(identifier)] == [1, 2]


@pytest.mark.parametrize(("stat", "err"), [("DELIVRD", "000"), ("UNDELIV", "001")])
def test_type_2_tells_whether_it_reached_the_device(world: World, stat: str, err: str) -> None:
    """Resposta de mensagem entregue ou não no dispositivo"""
    identifier = world.send(GOOD)
    world.drain(receipts=False)
    told = world.receipts.pop()
    world.tell({**told, "stat": stat, "err": err})
    world.drain()
    assert world.reports(identifier)[1]["report_stat"] == stat


def test_report_stat_is_a_receipts_stat_of_smpp(world: World) -> None:
    """Status de entrega do smpp"""
    stats = ["DELIVRD", "UNDELIV", "EXPIRED", "DELETED", "UNKNOWN", "REJECTD"]
    for _ in stats:
        world.send(GOOD)
    world.drain(receipts=False)
    for told, stat in zip(list(world.receipts), stats, strict=True):
        world.tell({**told, "stat": stat})
    world.drain(receipts=False)
    assert [told["report_stat"] for told in world.told if told["type"] == 2] == stats


def test_err_specifies_the_report_in_digits(world: World) -> None:
    """Especificação do report / Identificação numérica"""
    identifier = world.send(GOOD)
    world.drain(receipts=False)
    world.tell({**world.receipts.pop(), "stat": "UNDELIV", "err": "017"})
    world.drain()
    assert world.reports(identifier)[1]["err"] == "017"


def test_a_reply_comes_with_what_was_answered(world: World) -> None:
    """Resposta recebida das mensagens enviadas (MO) / Conteúdo da mensagem recebida"""
    identifier = world.send(GOOD)
    world.drain()
    reply(world, "Não, obrigado 😀")
    (told,) = (told for told in world.told if "short_message" in told)
    assert (told["short_message"], told["message_id"]) == ("Não, obrigado 😀", identifier)


def test_esme_class_marks_a_reply_and_is_always_0(world: World) -> None:
    """Identificador da requisição como sendo resposta (MO): o valor será sempre 0"""
    world.send(GOOD)
    world.drain()
    reply(world)
    assert [told.get("esme_class", "none") for told in world.told] == ["none", "none", 0]


def test_a_reply_names_the_cost_centre_that_sent_the_message(world: World) -> None:
    """ID do centro de custo utilizado no envio da mensagem para o servidor"""
    other = world.cost_centre("bia")
    world.call("POST", "/message", element(), login="bia")
    world.drain()
    reply(world)
    assert UUID(world.told[-1]["cost_center_id"]) == UUID(other)


def test_a_reply_names_the_number_that_it_came_from(world: World) -> None:
    """Número de telefone que enviou a resposta"""
    world.send(GOOD)
    world.drain()
    reply(world)
    assert world.told[-1]["source_addr"] == GOOD


def test_the_callback_url_is_a_setting_of_the_cost_centre(world: World) -> None:
    """O caminho para o qual serão retornados os reports (DLRs) e MOs deve ser configurado na
    edição do centro de custo no painel web."""
    moved = CALLBACK_URL + "/novo"
    operations.costcentre_update(world.deps, "ana", callback_url=moved)
    world.send(GOOD)
    world.drain()
    reply(world)
    assert [request.url for request in callbacks(world)] == [moved] * 3


@pytest.mark.parametrize("wanted", [[], ["1"], ["2"], ["1", "2"]])
def test_a_cost_centre_takes_no_reports_or_one_type_or_both(
    world: World, wanted: list[str]
) -> None:
    """Importante: é possível configurar no portal se deseja receber DLR, mantendo apenas MO como
    devolução, e, se desejar receber, se deseja receber somente Tipo 1, somente Tipo 2, ou os dois
    tipos."""
    operations.costcentre_update(world.deps, "ana", reports=wanted)
    world.send(GOOD)
    world.drain()
    reply(world)
    given = [str(told.get("type", "MO")) for told in world.told]
    assert given == [*wanted, "MO"]


# --- batches -------------------------------------------------------------------------------------


def test_the_route_of_batches_takes_post_alone(world: World) -> None:
    """Verbo HTTP: POST / Rota: /message/batch"""
    assert world.call("POST", "/message/batch", {"list": [element()]})[0] == 200
    assert world.call("PUT", "/message/batch", {"list": [element()]})[0] == 405


def test_each_element_of_the_list_is_a_message(world: World) -> None:
    """{ "list": [{ "destination_addr": "Número de destino*", "message": "Conteúdo do SMS" } {
    "destination_addr": "Número de destino*", "message": "Conteúdo do SMS" }] }"""
    other = "5511987654321"
    world.call("POST", "/message/batch", {"list": [element(text="a"), element(other, "b")]})
    world.drain()
    assert [(t["to"], t["text"]) for t in world.taken] == [(GOOD, "a"), (other, "b")]


def test_batch_count_is_how_many_records_were_read_as_a_string(world: World) -> None:
    """Quantidade de registros identificados na requisição"""
    body = {"list": [element(), element(BAD)]}
    assert world.call("POST", "/message/batch", body)[1]["batchCount"] == "2"


def test_batch_id_is_the_batchs_uuid(world: World) -> None:
    """ID do lote"""
    _, answer = world.call("POST", "/message/batch", {"list": [element()]})
    assert list(answer) == ["batchCount", "batchId"]
    assert str(UUID(answer["batchId"])) == answer["batchId"]


def test_a_batch_holds_400_records_at_most(world: World) -> None:
    """limite de 400 registros por requisição"""
    assert world.call("POST", "/message/batch", {"list": [element()] * 400})[0] == 200
    assert world.call("POST", "/message/batch", {"list": [element()] * 401})[0] == 400


def test_one_callback_tells_every_id_in_the_order_of_the_request(world: World) -> None:
    """Após o processamento dos registros de mensagens o sistema retornará um call-back com os
    message ids de cada mensagem, no mesmo formato do envio simples, e na mesma ordem que foram
    enviadas as mensagens na requisição do lote."""
    numbers = [f"55119876{n:05}" for n in range(150)]
    body = {"list": [element(number) for number in numbers]}
    batch_id = world.call("POST", "/message/batch", body)[1]["batchId"]
    world.drain()
    (told,) = (told for told in world.told if "batchId" in told)
    assert told["batchId"] == batch_id
    assert [line["destination_addr"] for line in told["list"]] == numbers
    sent = {taken["to"]: taken["reference"].split(".")[1] for taken in world.taken}
    assert [line["message_id"] for line in told["list"]] == [sent[number] for number in numbers]


def test_the_batch_callback_looks_like_the_documents_example(world: World) -> None:
    """destination_addr: '553488556644', message: 'Error: Destination_addr is invalid!', error:
    true, esme: 'ESME_RINVDSTADR'"""
    body = {"list": [element(BAD), element(GOOD)]}
    batch_id = world.call("POST", "/message/batch", body)[1]["batchId"]
    world.drain(receipts=False)
    told = body_of(callbacks(world)[0])
    first, second = told["list"]
    expected = {
        "batchId": batch_id,
        "list": [
            {
                "destination_addr": "553488556644",
                "message_id": first["message_id"],
                "message": "Error: Destination_addr is invalid!",
                "error": True,
                "esme": "ESME_RINVDSTADR",
            },
            {
                "destination_addr": "5534998887755",
                "message_id": second["message_id"],
                "error": False,
            },
        ],
    }
    assert json.dumps(told) == json.dumps(expected)  # the order of the fields is the document's
    assert UUID(first["message_id"]) != UUID(second["message_id"])


def test_a_batchs_reports_come_one_by_one(world: World) -> None:
    """A devolução de reports se mantém avulsa por message ID."""
    world.call("POST", "/message/batch", {"list": [element(), element("5511987654321")]})
    world.drain()
    callback, *reports = world.told
    for line in callback["list"]:
        mine = [told["type"] for told in reports if told["message_id"] == line["message_id"]]
        assert mine == [1, 2]
    assert len(reports) == 4
