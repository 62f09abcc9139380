"""Clients of Directcall, as they are written, against the real routes and handlers."""

import pytest

from tests.dialects.directcall_world import BASE, sending
from tests.support.directcall_clients import CrudeClient, Denied, JsonClient, XmlClient
from tests.support.world import World

GOOD, OTHER = "5534998887755", "5511987654321"
CLIENTS = (JsonClient, XmlClient, CrudeClient)


@pytest.mark.parametrize("kind", CLIENTS)
def test_each_kind_of_client_enters_and_sends(
    world: World, kind: type[JsonClient | XmlClient | CrudeClient]
) -> None:
    client = kind(BASE, sending(world))
    client.enter("ana", "segredo")
    client.send(GOOD, "Olá, é hoje às 9h e amanhã")
    world.drain()
    assert [(t["to"], t["text"]) for t in world.taken] == [(GOOD, "Ola, é hoje às 9h e amanha")]


@pytest.mark.parametrize("kind", CLIENTS)
def test_each_kind_of_client_sees_that_it_may_not_enter(
    world: World, kind: type[JsonClient | XmlClient | CrudeClient]
) -> None:
    client = kind(BASE, sending(world))
    with pytest.raises(Denied, match="inválido ou expirado"):
        client.enter("ana", "errado")
    assert client.access_token == ""


def test_all_kinds_of_clients_read_the_same_callerid(world: World) -> None:
    """By its field, by its XPath, and off the end of msg."""
    by_field, by_xpath = JsonClient(BASE, sending(world)), XmlClient(BASE, sending(world))
    by_field.enter("ana", "segredo")
    by_xpath.enter("ana", "segredo")
    answer = by_field.send(GOOD, "oi")
    assert answer["msg"].endswith(f"CALLER-ID: {answer['callerid']}")
    msg, callerid = by_xpath.send(GOOD, "oi")
    assert msg.endswith(f"CALLER-ID: {callerid}")
    crude = CrudeClient(BASE, sending(world))
    crude.enter("ana", "segredo")
    assert by_field.status(crude.send(GOOD, "oi")) == "NA FILA"


def test_an_xml_client_finds_replies_and_balance_by_its_paths(world: World) -> None:
    client = XmlClient(BASE, sending(world))
    client.enter("ana", "segredo")
    client.send(GOOD, "Quer?")
    world.drain()
    world.tell({"event": "reply", "id": "mo-1", "from": GOOD, "text": "Sim & não <3"})
    world.drain()
    (reply,) = client.replies()
    assert list(reply) == ["origem", "texto", "destino", "dataHora"]
    assert (reply["origem"], reply["texto"]) == (GOOD, "Sim & não <3")
    assert client.balance() == ("BRL", "0.00")


def test_an_xml_client_sees_why_nothing_was_sent(world: World) -> None:
    client = XmlClient(BASE, sending(world))
    client.enter("ana", "segredo")
    msg, callerid = client.send("123", "oi")
    assert (msg, callerid) == ("001 - destino: valor inválido", "None")
