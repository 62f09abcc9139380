"""Directcall's answers, errors, tokens and callbacks as a pure translation."""

import ast
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

import recado
from recado import esme
from recado.costcentre import CostCentre
from recado.dialects import Listed, directcall, zoug
from recado.dialects.directcall import Form
from recado.dialects.directcall_words import CODES, NAMES, PROBLEMS, code_of, told
from recado.errors import Refused
from recado.http import Answer, Request
from recado.ids import new_id
from recado.message import Alert, Batch, Message, Reply, Report, State
from recado.numbers import NumberProblem
from recado.report import FINAL_STATE, SUBMIT_OUTCOME
from recado.submission import Recipient, Refusal

GOOD, OTHER, FIXED = "5534998887755", "5541997999999", "554130600300"
BASE = {"origem": FIXED, "destino": GOOD, "texto": "oi", "access_token": "t0"}
ANA = CostCentre(id="ana", name="Ana", created_at=0.0)
ID = new_id(1_780_000_000.0)
NUMBER = directcall.callerid(ID)
AT = 1_780_000_000.0  # 2026-05-28 20:26:40 UTC


def form(path: str = "/sms/send", **fields: str) -> Form:
    body = urlencode({**BASE, **fields}).encode()
    return directcall.read(Request("POST", path, {}, "", {}, body))


def content(answer: Answer) -> dict[str, Any]:
    read = json.loads(answer["body"])
    assert isinstance(read, dict)
    return read


def xml(answer: Answer) -> ElementTree.Element:
    assert answer["headers"]["content-type"] == "application/xml; charset=utf-8"
    return ElementTree.fromstring(answer["body"])


def sent(*refusals: Refusal | None, **fields: str) -> Answer:
    """The answer to a request whose recipients fared so; of none: as at a repeat."""
    asked = form(**fields)
    order = directcall.send_order(asked, ANA, lambda: None)
    recipients = [
        Recipient(id=str(n), as_written=wish.destination, refusal=refusal)
        for n, (wish, refusal) in enumerate(zip(order.ask.wishes, refusals, strict=False))
    ]
    return directcall.sent(asked, order, ID, recipients)


# --- identifiers ---------------------------------------------------------------------------------


def test_a_callerid_has_14_digits_and_is_always_the_same() -> None:
    identifiers = [new_id(AT) for _ in range(2_000)]
    numbers = [directcall.callerid(identifier) for identifier in identifiers]
    assert all(len(number) == 14 and number.isdigit() for number in numbers)
    assert {number[0] for number in numbers} == set("12345678")
    assert len(set(numbers)) == len(numbers)
    assert numbers == [directcall.callerid(identifier) for identifier in identifiers]


def test_a_messages_number_is_the_callerid_and_its_place() -> None:
    assert directcall.message_number("62925845049598", 0) == 6292584504959800
    assert directcall.message_number("62925845049598", 42) == 6292584504959842
    assert directcall.message_number("89999999999999", 99) < 2**53


def test_a_reference_leads_from_the_callerid_to_what_it_names() -> None:
    connector, number, key = directcall.reference("ana", ID)
    assert (connector, number, key.cost_centre, key.id) == ("callerid#ana", NUMBER, "ana", ID)


# --- what was taken ------------------------------------------------------------------------------


def test_the_answer_has_the_fields_the_order_and_the_words_of_directcall() -> None:
    answer = sent(None)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["headers"]["content-type"] == "application/json; charset=utf-8"
    assert answer["body"] == (
        '{"api":"sms","modulo":"enviar","status":"ok","codigo":"000",'
        f'"msg":"001 - Mensagem enviada com sucessso - CALLER-ID: {NUMBER}",'
        f'"destino":["{GOOD}"],"callerid":"{NUMBER}",'
        f'"detalhe":[{{"destino":"{GOOD}","id_mensagem":{NUMBER}00}}]}}'
    )


def test_of_several_each_has_its_number_and_a_refused_one_its_reason() -> None:
    bad = Refusal("destination", "invalid", esme.RINVDSTADR)
    body = content(sent(None, bad, None, destino=f"{GOOD};nada;{OTHER};{GOOD}"))
    assert list(body)[-4:] == ["destino", "callerid", "detalhe", "lote"]
    assert body["destino"] == [GOOD, "nada", OTHER]
    assert body["detalhe"] == [
        {"destino": GOOD, "id_mensagem": int(NUMBER + "00")},
        {"destino": "nada", "erro": "001 - destino: valor inválido"},
        {"destino": OTHER, "id_mensagem": int(NUMBER + "02")},
    ]
    assert body["lote"] == {
        "total": 4,
        "aceitos": 2,
        "duplicados": 1,
        "invalidos": 1,
        "recusados": [{"linha": 2, "valor": "nada"}],
    }


def test_a_repeat_is_answered_as_the_first_time() -> None:
    fields = {"destino": f"{GOOD};nada;{OTHER};{GOOD}"}
    bad = Refusal("destination", "invalid", esme.RINVDSTADR)
    assert sent(**fields) == sent(None, bad, None, **fields)
    assert sent() == sent(None)


def test_a_number_without_a_route_is_counted_and_named() -> None:
    nowhere = Refusal("message", "no_route", esme.RSYSERR)
    body = content(sent(None, nowhere, destino=f"{GOOD};{OTHER};nada"))
    assert body["detalhe"][1] == {
        "destino": OTHER,
        "erro": "007 - destino: não há rota para este número",
    }
    assert body["lote"]["recusados"] == [
        {"linha": 3, "valor": "nada"},
        {"linha": 2, "valor": OTHER},
    ]
    assert (body["lote"]["total"], body["lote"]["invalidos"]) == (3, 2)


@pytest.mark.parametrize(("count", "told_each"), [(100, True), (101, False), (400, False)])
def test_up_to_a_hundred_are_named(count: int, told_each: bool) -> None:
    numbers = [f"55419{n:08}" for n in range(count)]
    body = content(sent(*[None] * count, destino=";".join(numbers)))
    assert ("destino" in body, "detalhe" in body) == (told_each, told_each)
    assert (body["lote"]["total"], body["lote"]["aceitos"]) == (count, count)


def test_a_long_list_is_told_in_figures() -> None:
    numbers = [f"55419{n:08}" for n in range(500)]
    noise = ["7" * 60] * 150
    body = content(sent(destino=";".join([*numbers, numbers[0], *noise])))
    assert list(body)[-3:] == ["msg", "callerid", "lote"]
    refused = body["lote"].pop("recusados")
    assert body["lote"] == {"total": 651, "aceitos": 500, "duplicados": 1, "invalidos": 150}
    assert (len(refused), refused[0]) == (100, {"linha": 502, "valor": "7" * 40})


# --- XML -----------------------------------------------------------------------------------------


def test_xml_has_the_same_fields_under_directcall() -> None:
    bad = Refusal("destination", "invalid", esme.RINVDSTADR)
    fields = {"destino": f"{GOOD};nada;{OTHER}", "format": "XML"}
    answer = sent(None, bad, None, **fields)
    root = xml(answer)
    assert root.tag == "directcall"
    names = ["api", "modulo", "status", "codigo", "msg", "destino", "callerid", "detalhe", "lote"]
    assert [element.tag for element in root] == names
    assert root.findtext("msg") == f"001 - Mensagem enviada com sucessso - CALLER-ID: {NUMBER}"
    assert [item.text for item in root.findall("destino/item")] == [GOOD, "nada", OTHER]
    assert root.findtext("detalhe/item/id_mensagem") == NUMBER + "00"
    assert root.findtext("detalhe/item[2]/erro") == "001 - destino: valor inválido"
    assert root.findtext("lote/recusados/item/linha") == "2"
    assert ElementTree.ElementTree(root).find(".//msg") is not None


def test_what_xml_cant_hold_is_left_out() -> None:
    asked = form("/sms/recebimento", format="xml")
    texts = [{"texto": "a\0b\x1b<&>\ufffe€😀"}, {"": "1", "1 a": True, "vazio": None}]
    root = xml(directcall.answered(asked, "recebimento", texts))
    assert root.findtext("msg/item/texto") == "ab<&>€😀"
    odd = root.findall("msg/item[2]/campo")
    assert [(one.get("nome"), one.text) for one in odd] == [("", "1"), ("1 a", "true")]
    assert root.findtext("msg/item[2]/vazio") == ""


def test_an_error_in_xml_is_read_by_the_same_path() -> None:
    asked = form(format="Xml", texto="")
    refusal = Refusal("texto", "empty", esme.RINVMSGLEN)
    root = xml(directcall.refused(refusal, ID, ANA, asked))
    assert (root.findtext("codigo"), root.findtext("msg")) == ("001", "001 - texto: está vazio")


# --- what was refused ----------------------------------------------------------------------------


def raised(*modules: str) -> set[tuple[str, str]]:
    """The field and the reason of each Refusal that these modules make, where they are written."""
    found = set()
    for module in modules:
        source = Path(recado.__file__).with_name(f"{module}.py").read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal":
                field, reason = node.args[:2]
                if isinstance(field, ast.Constant) and isinstance(reason, ast.Constant):
                    found.add((str(field.value), str(reason.value)))
    return found


CORE = sorted(
    raised("accept", "limits", "recipients", "query")
    | {("destination", problem.value) for problem in NumberProblem}
    | {("destination", "empty"), ("method", "method"), ("path", "unknown")}
)


def test_the_walk_finds_what_the_core_raises() -> None:
    assert {
        ("login or password", "credentials"),
        ("cost centre", "suspended"),
        ("rate", "rate"),
        ("send_at", "past"),
        ("balance", "balance"),
        ("daily quota", "quota"),
        ("voice", "no_voice"),
        ("message", "no_route"),
        ("text", "long"),
    } <= set(CORE)


@pytest.mark.parametrize(("field", "reason"), CORE)
def test_all_that_the_core_refuses_has_a_code_and_portuguese_words(field: str, reason: str) -> None:
    assert field in NAMES
    assert reason in CODES
    refusal = Refusal(field, reason, esme.RSYSERR, "is in English!")
    line = told(refusal)
    assert line.startswith(code_of(refusal) + " - ")
    assert "English" not in line
    assert line.endswith(PROBLEMS[reason]) or reason == "gone"


def test_every_reason_that_any_module_gives_has_a_code() -> None:
    modules = [path.stem for path in Path(recado.__file__).parent.glob("*.py")]
    assert {reason for _, reason in raised(*modules)} <= set(CODES)


def test_every_reason_that_zoug_knows_is_known_here() -> None:
    assert set(zoug._PROBLEMS) <= set(CODES)
    assert set(CODES) == set(PROBLEMS)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal("texto", "missing", ""), 200, "001"),
        (Refusal("send_at", "past", ""), 200, "001"),
        (Refusal("login or password", "credentials", ""), 200, "006"),
        (Refusal("cost centre", "suspended", ""), 200, "006"),
        (Refusal("id", "unknown", ""), 200, "010"),
        (Refusal("message", "gone", ""), 200, "010"),
        (Refusal("balance", "balance", ""), 200, "201"),
        (Refusal("voice", "no_voice", ""), 200, "002"),
        (Refusal("rate", "rate", ""), 200, "008"),
        (Refusal("daily quota", "quota", ""), 200, "008"),
        (Refusal("path", "unknown", ""), 404, "001"),
        (Refusal("method", "method", ""), 405, "001"),
        (Refusal("body", "large", ""), 413, "001"),
        (Refusal("request", "fault", ""), 500, "007"),
        (Refusal("gateway", "busy", ""), 503, "007"),
        (Refusal("message", "no_route", ""), 503, "007"),
        (Refusal("x", "nobody knows it", ""), 200, "001"),
    ],
)
def test_an_error_has_its_code_and_only_ours_an_http_status(
    refusal: Refusal, status: int, code: str
) -> None:
    answer = directcall.refused(refusal, ID, ANA, form())
    body = content(answer)
    assert list(body) == ["api", "modulo", "status", "codigo", "msg"]
    assert (body["api"], body["modulo"], body["status"]) == ("sms", "enviar", "erro")
    assert (answer["statusCode"], body["codigo"]) == (status, code)
    assert body["msg"].startswith(f"{code} - ")
    assert answer["headers"]["x-request-id"] == ID
    assert ("retry-after" in answer["headers"]) == (status == 503)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texto": ""}, "001 - texto: está vazio"),
        ({"texto": "a" * 701}, "001 - texto: passa de 700 caracteres"),
        ({"origem": "x" * 21}, "001 - origem: passa de 20 caracteres"),
        ({"destino": "1"}, "001 - destino: valor inválido"),
        ({"destino": "1;2"}, "001 - destino: nenhum número válido"),
        ({"tipo": "fax"}, "001 - tipo: deve ser texto ou voz"),
        ({"id_origem": "x"}, "001 - id_origem: deve ser n ou s"),
        (
            {"cron": "amanhã"},
            "001 - cron: deve ser uma data no formato dia-mes-ano-hora-minuto-segundo",
        ),
        ({"format": "yaml"}, "001 - format: deve ser JSON ou XML"),
    ],
)
def test_an_error_names_the_field_as_directcall_does(fields: dict[str, str], message: str) -> None:
    asked = form(**fields)
    with pytest.raises(Refused) as caught:
        directcall.send_order(asked, ANA, lambda: None)
    assert content(directcall.refused(caught.value.refusal, ID, ANA, asked))["msg"] == message


@pytest.mark.parametrize(
    ("path", "api", "module"),
    [
        ("/sms/send", "sms", "enviar"),
        ("/sms/status", "sms", "status"),
        ("/sms/received", "sms", "recebimento"),
        ("/sms/add-callback-status", "sms", "add-callback"),
        ("/extrato/saldo", "extrato", "saldo"),
    ],
)
def test_an_error_names_the_module(path: str, api: str, module: str) -> None:
    body = content(directcall.refused(Refusal("id", "unknown", ""), ID, ANA, form(path)))
    assert (body["api"], body["modulo"]) == (api, module)


def test_what_came_to_no_function_is_told_in_json() -> None:
    answer = directcall.turned_away(Refusal("body", "large", ""), ID, "/sms/send")
    assert answer["statusCode"] == 413
    assert content(answer)["msg"] == "001 - corpo da requisição: é grande demais"


def test_other_modules_answer_in_the_same_form() -> None:
    asked = form("/sms/status")
    answer = directcall.answered(asked, "status", "ENTREGUE", callerid="1")
    assert answer["body"] == (
        '{"api":"sms","modulo":"status","status":"ok","codigo":"000","msg":"ENTREGUE",'
        '"callerid":"1"}'
    )
    body = content(directcall.answered(form("/extrato/saldo"), "saldo", "", codigo="001"))
    assert (body["api"], body["codigo"]) == ("extrato", "001")


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_stands_alone() -> None:
    answer = directcall.token(form("/request_token"), "t0k3n", 3600)
    assert (answer["statusCode"], answer["body"]) == (200, '{"access_token":"t0k3n"}')
    assert answer["headers"]["cache-control"] == "no-store"
    assert answer["headers"]["x-expires-in"] == "3600"
    root = xml(directcall.token(form("/request_token", format="xml"), "t0k3n", 3600))
    assert (root.tag, root.findtext("access_token")) == ("oauth", "t0k3n")


def test_a_refused_token_is_false() -> None:
    refusal = Refusal("client_secret", "credentials", esme.RINVPASWD)
    answer = directcall.token_refused(form("/request_token"), refusal)
    body = content(answer)
    assert (answer["statusCode"], body["access_token"], body["codigo"]) == (200, False, "006")
    assert body["msg"] == body["error_description"] == "006 - client_secret: inválido ou expirado"
    root = xml(directcall.token_refused(form("/request_token", format="xml"), refusal))
    assert (root.tag, root.findtext("access_token")) == ("oauth", "")


def test_whatever_fails_on_the_way_to_a_token_says_that_there_is_none() -> None:
    fault = Refusal("request", "fault", esme.RSYSERR)
    answer = directcall.refused(fault, ID, None, form("/request_token"))
    assert (answer["statusCode"], content(answer)["access_token"]) == (500, False)


# --- callbacks -----------------------------------------------------------------------------------

MESSAGE = Message(
    cost_centre="ana",
    id=ID,
    dialect="directcall",
    state=State.ENROUTE,
    due_at=AT,
    expires_at=AT + 60,
    accepted_at=AT,
    to=GOOD,
    source=FIXED,
    reference="0",
    fields={"pedido": "17"},
)


def test_a_report_of_a_submit_says_that_it_was_sent() -> None:
    told_of = Report(SUBMIT_OUTCOME, AT, esme.ROK)
    assert directcall.report(MESSAGE, told_of, ANA) == {
        "api": "sms",
        "modulo": "status",
        "callerid": NUMBER,
        "id_mensagem": int(NUMBER + "00"),
        "destino": GOOD,
        "origem": FIXED,
        "tipo": 1,
        "status": "ENVIADO",
        "erro": "ESME_ROK",
        "data": "2026-05-28 17:26:40",
        "campos": {"pedido": "17"},
    }
    rejected = replace(MESSAGE, state=State.REJECTED)
    body = directcall.report(rejected, Report(SUBMIT_OUTCOME, AT, esme.RSUBMITFAIL), ANA)
    assert (body["status"], body["erro"]) == ("REJEITADO", "ESME_RSUBMITFAIL")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.DELIVERED, "ENTREGUE"),
        (State.UNDELIVERABLE, "NAO ENTREGUE"),
        (State.EXPIRED, "EXPIRADO"),
        (State.DELETED, "CANCELADO"),
        (State.REJECTED, "REJEITADO"),
        (State.UNKNOWN, "DESCONHECIDO"),
        (State.FAILED, "FALHOU"),
    ],
)
def test_a_report_of_a_final_state_says_what_became_of_it(state: State, status: str) -> None:
    final = Report(FINAL_STATE, AT, esme.RECEIPT_STAT[state], "027")
    body = directcall.report(replace(MESSAGE, state=state), final, ANA)
    assert (body["tipo"], body["status"], body["erro"]) == (2, status, "027")
    older = directcall.report(replace(MESSAGE, state=State.ENROUTE), final, ANA)
    assert older["status"] == ("NAO ENTREGUE" if state is State.FAILED else status)


def test_a_report_of_one_of_a_batch_has_the_batchs_callerid_and_its_own_number() -> None:
    one = replace(MESSAGE, id=new_id(AT), batch_id=ID, reference="7")
    body = directcall.report(one, Report(FINAL_STATE, AT, "DELIVRD"), ANA)
    assert (body["callerid"], body["destino"], body["erro"]) == (NUMBER, GOOD, "000")
    assert body["id_mensagem"] == int(NUMBER + "07")


def test_a_report_of_one_of_a_long_list_has_no_number_of_its_own() -> None:
    one = replace(MESSAGE, id=new_id(AT), batch_id=ID, reference=None)
    assert "id_mensagem" not in directcall.report(one, Report(FINAL_STATE, AT, "DELIVRD"), ANA)


def test_a_reply_has_the_names_that_clients_read() -> None:
    reply = Reply(
        cost_centre="ana",
        id=new_id(AT),
        dialect="directcall",
        message_id=ID,
        source=GOOD,
        text="Sim, quero",
        received_at=AT,
        destination="29188",
    )
    row = {
        "origem": GOOD,
        "texto": "Sim, quero",
        "destino": "29188",
        "dataHora": "2026-05-28 17:26:40",
    }
    assert directcall.received(reply, ANA) == row
    body = directcall.reply(reply, ANA)
    assert body == {"api": "sms", "modulo": "recebimento", "callerid": NUMBER, **row}


def test_a_batch_is_told_with_the_numbers_of_its_first_hundred() -> None:
    batch = Batch(
        cost_centre="ana", id=ID, dialect="directcall", due_at=AT, accepted_at=AT, count=102
    )
    bad = Refusal("destination", "invalid", esme.RINVDSTADR)
    listed = [Listed(f"55419{n:08}", str(n)) for n in range(101)] + [Listed("x", "101", bad)]
    body = directcall.batch_callback(batch, listed)
    assert (body["callerid"], body["total"], len(body["detalhe"])) == (NUMBER, 102, 102)
    assert body["detalhe"][99]["id_mensagem"] == int(NUMBER + "99")
    assert body["detalhe"][100] == {"destino": "5541900000100"}
    assert body["detalhe"][101] == {"destino": "x", "erro": "001 - destino: valor inválido"}


def test_a_low_balance_is_told() -> None:
    alert = Alert(
        cost_centre="ana", id=ID, dialect="directcall", kind="low_balance", at=AT, balance=123_400
    )
    body = directcall.alert(alert, ANA)
    assert (body["modulo"], body["alerta"], body["saldo"]) == ("saldo", "saldo baixo", "12.34")


def test_every_state_has_a_name() -> None:
    names = [directcall.status_name(state) for state in State]
    assert all(name.isascii() and name == name.upper() for name in names)
