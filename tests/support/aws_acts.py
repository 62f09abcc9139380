"""What customers of Directcall's API, of files, of schedules and of prepaid accounts do on AWS,
once each: so that every function asks AWS for all that it ever asks for.

Each act has a customer of its own, and leaves nothing that is ready. Lists are long, and are read
in stretches, from a few numbers on: moto takes long for each message.
"""

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from recado import expand, longlists, operations
from recado.dialects import directcall_orders
from recado.http import Reached
from tests.support.aws_world import AwsWorld

_NUMBER = "5534998887755"
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_FEW, _STRETCH = 4, 10
_LONG = _FEW + 1
_ROWS = 2 * _STRETCH + 1
_TOMORROW = "29-05-2026-12-00-00"


class Client:
    """A customer of Directcall's API with a token of its own."""

    def __init__(self, aws: AwsWorld, login: str, **switches: Any) -> None:
        self._world, self.login = aws.world, login
        self.cost_centre = aws.world.cost_centre(login, **switches)
        asked = {"client_id": login, "client_secret": "segredo"}
        self.token = str(self._ask("POST", "/request_token", asked)["access_token"])

    def ask(self, method: str, path: str, **fields: str) -> dict[str, Any]:
        """The JSON of an answer, whatever it says."""
        return self._ask(method, path, {"access_token": self.token, **fields})

    def send(self, *numbers: str, **fields: str) -> str:
        """A request's callerid."""
        given = {"origem": "554130600300", "texto": "oi", "destino": ";".join(numbers), **fields}
        told = self.ask("POST", "/sms/send", **given)
        assert told["codigo"] == "000", told
        return str(told["callerid"])

    def _ask(self, method: str, path: str, fields: dict[str, str]) -> dict[str, Any]:
        content = urlencode(fields)
        target, body = (f"{path}?{content}", b"") if method == "GET" else (path, content.encode())
        answered = self._world.call_raw(method, target, body, login=None, headers=_FORM)
        assert answered[0] == 200, answered
        told: dict[str, Any] = json.loads(answered[2])
        return told


def numbers(amount: int, first: int = 0) -> list[str]:
    return [f"55349{98_000_000 + n}" for n in range(first, first + amount)]


def all_of_them(aws: AwsWorld) -> None:
    with (
        patch.object(directcall_orders, "MAX_WISHES", _FEW),
        patch.object(longlists, "STRETCH", _STRETCH),
        patch.object(expand, "STRETCH", _STRETCH),
    ):
        for act in (_messages_and_lists, _its_account, _schedules, _files, _money, _limits):
            act(aws)
            aws.drain()


# --- Directcall's API ----------------------------------------------------------------------------


def _messages_and_lists(aws: AwsWorld) -> None:
    client = Client(aws, "direta", per_second=1000)
    one, few = client.send(_NUMBER), client.send(*numbers(3))
    many = client.send(*numbers(_LONG))
    for code in (one, few, many):
        client.ask("GET", "/sms/status", code=code)
    aws.drain()
    for code in (one, few, many):
        assert client.ask("GET", "/sms/status", code=code)["codigo"] == "000"
    listed = client.ask("POST", "/sms/status", code=many, destino=numbers(1)[0])
    assert listed["codigo"] == "000"
    reply = {"event": "reply", "id": "mo-direta", "from": _NUMBER, "text": "sim"}
    assert aws.world.tell(reply) == 204
    aws.drain()
    aws.at(aws.world.now + 1)
    assert len(client.ask("POST", "/sms/recebimento")["msg"]) == 1


def _its_account(aws: AwsWorld) -> None:
    client = Client(aws, "conta")
    url = "https://customer.example/other"
    code = client.ask("POST", "/sms/add-callback-status", url=url)["code"]
    assert client.ask("GET", "/sms/list-callback")["msg"] == [{"code": code, "url": url}]
    assert client.ask("POST", "/sms/remove-callback", code=code)["codigo"] == "000"
    assert client.ask("POST", "/extrato/saldo")["codigo"] == "000"


# --- schedules -----------------------------------------------------------------------------------


def _schedules(aws: AwsWorld) -> None:
    client = Client(aws, "agenda")
    world = aws.world

    def due() -> list[dict[str, Any]]:
        return list(world.call("GET", "/schedules", login="agenda")[1]["schedules"])

    codes = [client.send(_NUMBER, cron=_TOMORROW), client.send(*numbers(_LONG), cron=_TOMORROW)]
    assert {kept["kind"] for kept in due()} == {"message", "list"}
    for code in codes:
        assert client.ask("GET", "/sms/remove", code=code)["codigo"] == "000"
    assert client.ask("GET", "/sms/remove", code=codes[0])["codigo"] == "010"
    text = "Prezado cliente, " * 80  # too large for a queue message
    aws.drain()
    batch = {"destination_addr": _NUMBER, "message": text}
    asked = {"list": [batch] * 180, "send_at": "2026-05-29 12:00:00"}
    assert world.call("POST", "/message/batch", asked, login="agenda")[0] == 200
    client.send(_NUMBER, cron=_TOMORROW)
    for kept in due():
        to = {"send_at": "2026-05-29 13:00:00"}
        assert world.call("PATCH", f"/schedules/{kept['id']}", to, login="agenda")[0] == 200
    for kept in due():
        assert world.call("DELETE", f"/schedules/{kept['id']}", login="agenda")[0] == 200
    assert due() == []


# --- files ---------------------------------------------------------------------------------------


def _files(aws: AwsWorld) -> None:
    world = aws.world
    world.cost_centre("lista", prepaid=True, price=1, low_balance=10_000)
    operations.credit_add(world.deps, "lista", "1")

    def act(identifier: str, what: str, method: str = "POST") -> dict[str, Any]:
        status, told = world.call(method, f"/bulk/{identifier}{what}", login="lista")
        assert status == 200, told
        return told

    def checked(**fields: Any) -> str:
        asked = {"text": "Olá {nome}", **fields}
        identifier = str(world.call("POST", "/bulk", asked, login="lista")[1]["bulk_id"])
        no_file_yet = world.call("POST", f"/bulk/{identifier}/check", login="lista")
        assert no_file_yet[0] == 409
        rows = "".join(f"Ana {n};{n}\n" for n in numbers(_ROWS))
        world.bare.blobs.put(f"upload-{identifier}", f"nome;telefone\n{rows}Bia;1\n".encode())
        act(identifier, "/check")
        aws.work("Expand")
        assert act(identifier, "", "GET")["state"] == "checked"
        return identifier

    first = checked()
    assert act(first, "/send")["state"] == "sending"
    aws.work("Expand", most=1)
    assert act(first, "/pause")["state"] == "paused"
    aws.drain()
    assert act(first, "/resume")["state"] == "sending"
    aws.at(world.now + 61)  # what was paused waits as it would for an upstream
    aws.drain()
    assert act(first, "", "GET")["state"] == "done"
    later = checked(send_at="2026-05-29T12:00:00-03:00")
    assert act(later, "/send")["state"] == "scheduled"
    assert act(later, "", "DELETE")["state"] == "cancelled"
    paused = checked()
    act(paused, "/send")
    act(paused, "/pause")
    assert act(paused, "", "DELETE")["state"] == "cancelled"
    assert len(world.call("GET", "/bulk", login="lista")[1]["list"]) == 3


# --- money, limits, usage ------------------------------------------------------------------------


def _money(aws: AwsWorld) -> None:
    world = aws.world
    client = Client(aws, "paga", prepaid=True, price=1_000, low_balance=10_000)
    operations.credit_add(world.deps, "paga", "1000")

    def sent(body: Any, path: str = "/message", status: int = 200) -> str:
        answered = world.call("POST", path, body, login="paga")
        assert answered[0] == status, answered
        return str(answered[1].get("message_id") or answered[1].get("batchId"))

    one = {"destination_addr": _NUMBER, "message": "oi"}
    # Each function that is paid finds the balance low once, and gives notice of it.
    batch = {"list": [one]}
    pays: list[Callable[[], object]] = [
        lambda: sent(one),
        lambda: sent(batch, "/message/batch"),
        lambda: client.send(_NUMBER),
        lambda: client.send(*numbers(_LONG)),
    ]
    for pay in pays:
        _spend_down_to(aws, "paga", 10_000)
        pay()
        operations.credit_add(world.deps, "paga", "100")
    aws.drain()
    for reject in (_rejected_at_once, _rejected_by_a_receipt):
        reject(aws, lambda: sent(one))
    _cancelled(aws, client, lambda **more: sent({**one, **more}))
    _spend_down_to(aws, "paga", 0)
    assert world.call("POST", "/message", one, login="paga")[0] != 200
    assert (
        client.ask("POST", "/sms/send", origem="1", destino=_NUMBER, texto="a")["codigo"] == "201"
    )
    assert world.call("GET", "/balance", login="paga")[1]["balance"] == "0.00"


def _spend_down_to(aws: AwsWorld, login: str, left: int) -> None:
    """By hand, so that the balance is what an act wants it to be."""
    store = aws.world.bare.store
    shown = operations.credit_show(aws.world.deps, login)
    taken = left - store.balance(shown["id"])
    if taken:
        operations.credit_add(aws.world.deps, login, f"{taken / 10_000:.4f}")


def _rejected_at_once(aws: AwsWorld, send: Callable[[], Any]) -> None:
    aws.world.upstream = lambda _: Reached(200, b'{"esme": "ESME_RINVDSTADR"}')
    send()
    aws.work("Submit")
    aws.world.upstream = aws.world.take


def _rejected_by_a_receipt(aws: AwsWorld, send: Callable[[], Any]) -> None:
    send()
    aws.work("Submit")
    [receipt], aws.world.receipts = aws.world.receipts, []
    assert aws.world.tell({**receipt, "stat": "REJECTD"}) == 204
    aws.work("Inbound")


def _cancelled(aws: AwsWorld, client: Client, send: Callable[..., str]) -> None:
    """Before its hour, which whoever takes it up gives back; and while it waits for an upstream."""
    world = aws.world
    later = send(send_at="2026-05-29 12:00:00")
    assert world.call("DELETE", f"/message/{later}", login=client.login)[0] == 200
    code = client.send(*numbers(_LONG), cron=_TOMORROW)
    assert client.ask("GET", "/sms/remove", code=code)["codigo"] == "000"
    aws.drain()
    world.upstream = lambda _: Reached(503, b"")
    waiting, code = send(), client.send(_NUMBER)
    aws.work("Submit")
    assert world.call("DELETE", f"/message/{waiting}", login=client.login)[0] == 200
    assert client.ask("GET", "/sms/remove", code=code)["codigo"] == "000"
    world.upstream = world.take


def _limits(aws: AwsWorld) -> None:
    world = aws.world
    world.cost_centre("pouco", daily_quota=1)
    one = {"destination_addr": _NUMBER, "message": "oi"}
    assert world.call("POST", "/message", one, login="pouco")[0] == 200
    assert world.call("POST", "/message", one, login="pouco")[0] != 200
    assert world.call("GET", "/balance", login="pouco")[1]["used_today"] == 1
    aws.drain()
    assert world.call("GET", "/usage", login="pouco")[1]["usage"][0]["messages"] == 1
    for page in ("/openapi.json", "/docs"):
        assert world.call_raw("GET", page, login=None)[0] == 200
