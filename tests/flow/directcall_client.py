"""A customer of Directcall's API over real HTTP: clients that use nothing of ours, and what the
others' logs say of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests

from tests.flow.customer import PASSWORD, TEXT, Customer
from tests.flow.installations import Installation
from tests.support.directcall_clients import JsonClient
from tests.support.processes import json_lines, until

SOURCE = "554130600300"


def over_http(request: requests.PreparedRequest) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    with requests.Session() as session:
        answer = session.send(request, timeout=60)
        return answer.status_code, answer.content


def cron(seconds: float) -> str:
    """A time so far from now as `cron` has it: in Brasília's time."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.astimezone(ZoneInfo("America/Sao_Paulo")).strftime("%d-%m-%Y-%H-%M-%S")


class Shop(Customer):
    """A cost centre that speaks Directcall's API. `client` has a token."""

    def __init__(
        self, installation: Installation, login: str, *arguments: str, **switches: str
    ) -> None:
        super().__init__(installation, login, **switches)
        if arguments:
            assert installation.recado("costcentre", "update", login, *arguments).code == 0
        self._others = installation.others
        self.client = JsonClient(installation.url, over_http)
        self.client.enter(login, PASSWORD)

    def sent_to(self, destino: str, texto: str = TEXT, **fields: Any) -> str:
        """Sends: the callerid."""
        answer = self.client.send(destino, texto, **fields)
        assert answer["codigo"] == "000", answer
        return str(answer["callerid"])

    def until_status(self, code: object, *wanted: str, seconds: float = 60.0) -> None:
        """Waits until /sms/status has the last of these words; only those may come before it."""
        told: list[str] = []

        def done() -> bool:
            told.append(self.client.status(code))
            return told[-1] == wanted[-1]

        until(done, lambda: f"{wanted} of {code}, but {told[-1]}", seconds, pause=0.3)
        assert set(told) <= {*wanted, "NA FILA", "ENVIANDO", "ENVIADO"}, told

    def reports_of(self, callerid: str) -> list[dict[str, Any]]:
        """The bodies of the callbacks that name it, in order."""
        return [body for body in self.told() if body.get("callerid") == callerid]

    def taken(self) -> list[dict[str, Any]]:
        """Each time that the simulator took something of this customer's."""
        lines = json_lines(self._others.simulator_log)
        return [
            line
            for line in lines
            if line["event"] == "taken" and line["reference"].startswith(f"{self.id}.")
        ]

    def taken_by(self, number: str) -> list[dict[str, Any]]:
        return [line for line in self.taken() if line["to"] == number]
