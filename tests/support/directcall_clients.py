"""Three clients of Directcall's API, written as public ones are: they use nothing of ours.

What each reads of an answer is what clients in the wild read: an XPath, a field that may be false,
or a place in the text of a one-line JSON.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import requests

Form = Mapping[str, Any]
Sending = Callable[[requests.PreparedRequest], tuple[int, bytes]]
Answered = dict[str, Any]


class Denied(Exception):
    """No token was given; why."""


def prepared(method: str, url: str, **how: Any) -> requests.PreparedRequest:
    """A request as `requests` writes it."""
    return requests.Request(method, url, **how).prepare()


class JsonClient:
    """Urlencoded forms and multipart ones out, JSON in. Looks whether access_token is false."""

    def __init__(self, base: str, sending: Sending) -> None:
        self.base, self._sending = base, sending
        self.access_token = ""

    def ask(self, method: str, path: str, fields: Form, files: Form | None = None) -> Answered:
        where = "params" if method == "GET" else "data"
        how = {where: fields, "files": files}
        status, body = self._sending(prepared(method, self.base + path, **how))
        assert status == 200, (status, body)
        answer = json.loads(body)
        assert isinstance(answer, dict)
        return answer

    def enter(self, client_id: str, client_secret: str) -> None:
        """Raises Denied."""
        fields = {"client_id": client_id, "client_secret": client_secret}
        answer = self.ask("POST", "/request_token", fields)
        if answer["access_token"] is False:
            raise Denied(answer["msg"])
        self.access_token = answer["access_token"]

    def post(self, path: str, files: Form | None = None, **fields: Any) -> Answered:
        return self.ask("POST", path, {"access_token": self.access_token, **fields}, files)

    def get(self, path: str, **fields: Any) -> Answered:
        return self.ask("GET", path, {"access_token": self.access_token, **fields})

    def send(self, destino: str, texto: str, **fields: Any) -> Answered:
        given = {"origem": "554130600300", "destino": destino, "texto": texto, **fields}
        return self.post("/sms/send", **given)

    def status(self, code: object) -> str:
        return str(self.get("/sms/status", code=code)["msg"])


class XmlClient:
    """XML in, by the XPaths //oauth/access_token and //directcall/... ."""

    def __init__(self, base: str, sending: Sending) -> None:
        self.base, self._sending = base, sending
        self.access_token = ""

    def ask(self, path: str, fields: Form, files: Form | None = None) -> ElementTree.Element:
        given = {**fields, "format": "xml"}
        request = prepared("POST", self.base + path, data=given, files=files)
        _, body = self._sending(request)
        document = ElementTree.Element("document")  # an absolute path begins above the root
        document.append(ElementTree.fromstring(body))
        return document

    def enter(self, client_id: str, client_secret: str) -> None:
        """Raises Denied."""
        fields = {"client_id": client_id, "client_secret": client_secret}
        answer = self.ask("/request_token", fields)
        self.access_token = answer.findtext(".//oauth/access_token") or ""
        if not self.access_token:
            raise Denied(answer.findtext(".//oauth/error_description"))

    def send(self, destino: str, texto: str, **fields: Any) -> tuple[str, str]:
        """`msg` and the callerid."""
        given = {"access_token": self.access_token, "origem": "554130600300"}
        answer = self.ask("/sms/send", {**given, "destino": destino, "texto": texto, **fields})
        found = [answer.findtext(f".//directcall/{name}") for name in ("msg", "callerid")]
        return str(found[0]), str(found[1])

    def replies(self, **fields: str) -> list[dict[str, str | None]]:
        given = {"access_token": self.access_token, **fields}
        found = self.ask("/sms/recebimento", given).findall(".//directcall/msg/*")
        return [{element.tag: element.text for element in one} for one in found]

    def balance(self) -> tuple[str | None, str | None]:
        """Currency and amount."""
        answer = self.ask("/extrato/saldo", {"access_token": self.access_token})
        result = answer.find(".//directcall/result")
        assert result is not None
        return result.findtext("moeda"), result.findtext("saldo")


class CrudeClient:
    """Puts forms together by hand, with raw spaces and UTF-8, and cuts answers by their places."""

    def __init__(self, base: str, sending: Sending) -> None:
        self.base, self._sending = base, sending
        self.access_token = ""

    def _post(self, path: str, body: str) -> str:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = prepared("POST", self.base + path, data=body.encode(), headers=headers)
        return self._sending(request)[1].decode()

    def enter(self, client_id: str, client_secret: str) -> None:
        """Raises Denied."""
        body = f"client_id={client_id}&client_secret={quote(client_secret)}&format=json"
        answer = self._post("/request_token", body)
        if not answer.startswith('{"access_token":"'):
            raise Denied(answer)
        self.access_token = answer.split('"')[-2]  # the token is alone, or at least the last

    def send(self, destino: str, texto: str) -> str:
        """The callerid, off the end of msg."""
        token = self.access_token
        body = f"origem=554130600300&destino={destino}&texto={texto}&access_token={token}"
        answer = self._post("/sms/send", body)
        head = '{"api":"sms","modulo":"enviar","status":"ok","codigo":"000","msg":"'
        assert answer.startswith(head), answer
        found = re.search(r"CALLER-ID: (\d{14})\"", answer)
        assert found
        return found[1]
