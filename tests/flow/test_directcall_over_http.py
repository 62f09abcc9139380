"""Directcall's API over real HTTP, by clients that use nothing of ours.

What is claimed here is counted in the logs of the simulator and of the customers' callback URL.
tests/cloud runs the same tests on the template, deployed to an emulator of AWS.
"""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec
import pytest
import requests

from tests.flow.customer import NUMBER, PASSWORD, TEXT, WORD, magic
from tests.flow.directcall_client import SOURCE, Shop, cron, over_http
from tests.flow.installations import Installation
from tests.support.directcall_clients import CrudeClient, Denied, JsonClient, XmlClient
from tests.support.processes import until

_shops = (f"loja-{number}" for number in count())
_AHEAD = 8.0
_LISTED, _AGAIN, _RUBBISH = 420, 60, 20


def listed(place: int) -> str:
    return str(int(NUMBER) + 1_000 + place)


class Opened(msgspec.Struct, frozen=True):
    """A shop, and what it scheduled before everything else."""

    shop: Shop
    number: str
    due_at: float
    code: str


@pytest.fixture(scope="module")
def opened(installation: Installation) -> Opened:
    """It has told its callback URL by the API itself."""
    shop = Shop(installation, next(_shops), **{"callback-url": ""})
    url = installation.others.callback_url
    added = shop.client.post("/sms/add-callback-status", url=url)
    assert (added["status"], added["modulo"], len(added["code"])) == ("ok", "add-callback", 40)
    number = str(int(NUMBER) + 999)
    due_at, code = time.time() + _AHEAD - 1, shop.sent_to(number, cron=cron(_AHEAD))
    return Opened(shop, number, due_at, code)


@pytest.fixture
def shop(opened: Opened) -> Shop:
    return opened.shop


@pytest.fixture
def open_shop(installation: Installation) -> Callable[..., Shop]:
    def make(*arguments: str, **switches: str) -> Shop:
        return Shop(installation, next(_shops), *arguments, **switches)

    return make


def asked(shop: Shop, path: str) -> dict[str, Any]:
    """What one of our own routes answers to the same token."""
    opens = {"Authorization": f"Bearer {shop.client.access_token}"}
    answer = requests.get(shop.client.base + path, headers=opens, timeout=60)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


# --- one, and several ----------------------------------------------------------------------------


def test_one_message_is_sent_once_and_told_at_the_callback_url_and_by_status(shop: Shop) -> None:
    number = str(int(NUMBER) + 900)
    answer = shop.client.send(number, f"{TEXT}, às 9h", origem="Loja", pedido="17")
    code = answer["callerid"]
    (one,) = answer["detalhe"]
    assert (answer["destino"], one["destino"]) == ([number], number)
    until(lambda: len(shop.reports_of(code)) == 2, "both reports", 60.0, pause=0.1)
    first, second = shop.reports_of(code)
    assert [(it["tipo"], it["status"]) for it in (first, second)] == [
        (1, "ENVIADO"),
        (2, "ENTREGUE"),
    ]
    assert all(it["id_mensagem"] == one["id_mensagem"] for it in (first, second))
    assert (second["origem"], second["campos"]) == ("Loja", {"pedido": "17"})
    shop.until_status(code, "ENTREGUE")
    (taken,) = shop.taken_by(number)
    assert (taken["source"], taken["segments"]) == ("Loja", 1)


def test_each_of_several_is_found_by_its_own_number(shop: Shop) -> None:
    answer = shop.client.send(f"{magic(0)};nada;{magic(1)};{magic(0)}", TEXT)
    lot = {"total": 4, "aceitos": 2, "duplicados": 1, "invalidos": 1}
    assert {**answer["lote"], "recusados": None} == {**lot, "recusados": None}
    good, bad, undeliverable = answer["detalhe"]
    assert bad == {"destino": "nada", "erro": "001 - destino: valor inválido"}
    shop.until_status(good["id_mensagem"], "ENTREGUE")
    shop.until_status(undeliverable["id_mensagem"], "NAO ENTREGUE")
    assert len(shop.taken_by(magic(0))) == 1
    told = shop.client.get("/sms/status", code=answer["callerid"])
    assert told["contagem"] == {"ENTREGUE": 1, "REJEITADO": 1, "NAO ENTREGUE": 1}


def test_clients_that_read_xml_or_cut_texts_send_too(
    installation: Installation, shop: Shop
) -> None:
    xml = XmlClient(installation.url, over_http)
    crude = CrudeClient(installation.url, over_http)
    for client in (xml, crude):
        with pytest.raises(Denied):
            client.enter(shop.login, WORD)
        client.enter(shop.login, PASSWORD)
    numbers = [str(int(NUMBER) + 901), str(int(NUMBER) + 902)]
    msg, callerid = xml.send(numbers[0], f"{TEXT} & <já>")
    assert msg == f"001 - Mensagem enviada com sucessso - CALLER-ID: {callerid}"
    codes = [callerid, crude.send(numbers[1], f"{TEXT} às 9h, com açúcar")]
    for code, number in zip(codes, numbers, strict=True):
        shop.until_status(code, "ENTREGUE")
        assert len(shop.taken_by(number)) == 1


@pytest.mark.timeout(300)  # the emulator takes a while for hundreds of messages
def test_of_a_file_each_number_is_sent_once(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(reports="none")
    numbers = [listed(place) for place in range(_LISTED)]
    rubbish = [f"{place:05}" for place in range(_RUBBISH)]
    lines = ["nome;telefone"]
    lines += [f"Cliente;{number}" for number in [*numbers, *numbers[:_AGAIN], *rubbish]]
    files = {"destino_csv": ("números.csv", "\r\n".join(lines).encode(), "text/csv")}
    answer = shop.client.post("/sms/send", files, origem=SOURCE, texto=f"{TEXT}: é já")
    assert (answer["codigo"], "detalhe" in answer) == ("000", False)
    lot = answer["lote"]
    assert (lot["aceitos"], lot["duplicados"], lot["invalidos"]) == (_LISTED, _AGAIN, _RUBBISH)
    assert lot["recusados"][0] == {"linha": _LISTED + _AGAIN + 2, "valor": "00000"}
    until(lambda: len(shop.taken()) >= _LISTED, "every number", 240.0, pause=0.3)
    shop.until_status(answer["callerid"], f"{_LISTED} mensagens: {_LISTED} ENVIADO")
    assert Counter(line["to"] for line in shop.taken()) == Counter(numbers)
    assert shop.client.get("/sms/status", code=answer["callerid"], destino=numbers[7])["msg"] in (
        *("ENVIADO", "ENTREGUE"),
    )


# --- voice, replies ------------------------------------------------------------------------------


def test_a_voice_message_is_answered_or_busy_or_not_picked_up(shop: Shop) -> None:
    endings = {20: "ENTREGUE", 21: "NAO ENTREGUE", 22: "NAO ENTREGUE", 23: "ENTREGUE"}
    numbers = [magic(last) for last in endings]
    code = shop.sent_to(";".join(numbers), f"{TEXT} " * 20, tipo="voz")

    def told() -> dict[str, str]:
        return {it["destino"]: it["status"] for it in shop.reports_of(code) if it["tipo"] == 2}

    until(lambda: len(told()) == len(endings), "their endings", 60.0, pause=0.1)
    assert told() == dict(zip(numbers, endings.values(), strict=True))
    assert [shop.taken_by(number)[0]["voice"] for number in numbers] == [True] * 4


def test_a_reply_is_told_and_is_found_when_it_is_asked_for(shop: Shop) -> None:
    code = shop.sent_to(magic(10))

    def told() -> list[dict[str, Any]]:
        return [it for it in shop.reports_of(code) if it["modulo"] == "recebimento"]

    until(told, "the reply", 60.0, pause=0.1)
    (reply,) = told()
    assert (reply["origem"], reply["destino"]) == (magic(10), SOURCE)
    xml = XmlClient(shop.client.base, over_http)
    xml.access_token = shop.client.access_token
    (found,) = xml.replies()
    assert found == {name: reply[name] for name in ("origem", "texto", "destino", "dataHora")}
    assert shop.client.post("/sms/received", destino=NUMBER)["msg"] == []


# --- schedules -----------------------------------------------------------------------------------


def test_a_schedule_is_moved_and_removed_and_never_sent(
    installation: Installation, shop: Shop
) -> None:
    number = str(int(NUMBER) + 903)
    code = shop.sent_to(number, cron=cron(3600))
    assert shop.client.status(code) == "AGENDADO"
    to = datetime.fromtimestamp(time.time() + 7200, UTC).isoformat(timespec="seconds")
    assert installation.recado("schedule", "move", code, to).code == 0
    (moved,) = (it for it in asked(shop, "/schedules")["schedules"] if it.get("callerid") == code)
    assert moved["due_at"][:19] == to[:19]
    assert shop.client.get("/sms/remove", code=code)["codigo"] == "000"
    assert shop.client.status(code) == "CANCELADO"
    assert shop.client.get("/sms/remove", code="12345678901234")["codigo"] == "010"
    assert shop.taken_by(number) == []


# --- what is refused, and what it costs ----------------------------------------------------------


def test_who_pays_in_advance_is_refused_once_it_does_not_suffice(
    installation: Installation, open_shop: Callable[..., Shop]
) -> None:
    shop = open_shop("--prepaid", "--price=0.075")
    assert installation.recado("credit", "add", shop.login, "0.15").code == 0
    number = str(int(NUMBER) + 904)
    code = shop.sent_to(number)
    assert shop.client.post("/extrato/saldo")["result"] == {"moeda": "BRL", "saldo": "0.075"}
    refused = shop.client.send(f"{number};{magic(0)}", TEXT)
    assert (refused["status"], refused["codigo"]) == ("erro", "201")
    assert refused["msg"] == "201 - saldo: insuficiente"
    shop.until_status(code, "ENTREGUE")
    assert len(shop.taken()) == 1


def test_what_is_wrong_is_told_with_a_code_and_nothing_is_sent(
    installation: Installation, shop: Shop
) -> None:
    number = str(int(NUMBER) + 905)
    wrong = {"texto": "", "tipo": "fax", "cron": "01-01-2020-00-00-00", "destino": "553481000099"}
    for name, value in wrong.items():
        given = {"destino": number, "texto": TEXT, name: value}
        refused = shop.client.send(**given)
        assert (refused["status"], refused["codigo"]) == ("erro", "001")
        assert f"{name}: " in refused["msg"]
    stranger = JsonClient(installation.url, over_http)
    stranger.access_token = WORD
    assert stranger.send(number, TEXT)["codigo"] == "006"
    assert shop.taken_by(number) == []


# --- what takes its time -------------------------------------------------------------------------


def test_a_schedule_goes_at_its_hour(opened: Opened) -> None:
    opened.shop.until_status(opened.code, "AGENDADO", "ENTREGUE", seconds=130.0)
    (taken,) = opened.shop.taken_by(opened.number)
    assert taken["at"] >= opened.due_at


def test_usage_counts_what_was_delivered(shop: Shop) -> None:
    rows = asked(shop, "/usage")["usage"]
    delivered = [row for row in rows if row["state"] == "DELIVERED"]
    assert delivered
    assert {row["connector"] for row in delivered} == {"simulator"}
