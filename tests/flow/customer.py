"""A customer of a gateway: asks over HTTP, and is told at the sink."""

import base64
import contextlib
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.flow.installations import Installation
from tests.support.processes import json_lines, until

PASSWORD = "senha-de-ninguem"
NUMBER = "5534981000000"  # and those after it, up to 5534981009999
WORD = "jabuticaba"  # in every text
TEXT = f"Quero {WORD}"

Answer = tuple[int, dict[str, Any]]


def magic(last: int) -> str:
    """One of the simulator's magic numbers."""
    return f"55119000000{last:02}"


class Customer:
    """A cost centre, made by the command line. Its callbacks go to the sink."""

    def __init__(self, installation: Installation, login: str, **switches: str) -> None:
        self.login, self._installation = login, installation
        switches = {"callback-url": installation.others.callback_url, **switches}
        made = installation.recado(
            *("costcentre", "create", "--name", login, "--login", login, "--password", PASSWORD),
            *(f"--{name}={value}" for name, value in switches.items()),
            "--json",
        )
        self.id = str(made.json()["id"])

    # --- asking ----------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        password: str | None = PASSWORD,
    ) -> Answer:
        """One request: status and JSON. A body that is bytes goes as it is."""
        status, content = self._asked(method, target, body, headers, password)
        return status, json.loads(content)

    def ask_quietly(self, method: str, target: str, body: Any) -> int:
        """One request without credentials, as an upstream makes them: the status."""
        return self._asked(method, target, body, None, None)[0]

    def _asked(
        self,
        method: str,
        target: str,
        body: Any,
        headers: Mapping[str, str] | None,
        password: str | None,
    ) -> tuple[int, bytes]:
        place = urlsplit(self._installation.url)
        sent = {"content-type": "application/json", **(headers or {})}
        if password is not None:
            credentials = base64.b64encode(f"{self.login}:{password}".encode()).decode()
            sent["authorization"] = f"Basic {credentials}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        link = http.client.HTTPConnection(place.netloc, timeout=60)
        with contextlib.closing(link):
            link.request(method, place.path + target, content, sent)
            answer = link.getresponse()
            return answer.status, answer.read()

    def send(self, to: str = NUMBER, text: str = TEXT, **fields: Any) -> str:
        """Sends one message: its id."""
        body = {"destination_addr": to, "message": text, **fields}
        return self.sent(self.ask("POST", "/message", body))

    def sent(self, answer: Answer) -> str:
        """The id in the answer to a message that was taken."""
        assert answer[0] == 200, answer
        return str(answer[1]["message_id"])

    def send_batch(self, texts: list[tuple[str, str]], **fields: Any) -> str:
        """Sends texts to numbers: the batch's id."""
        listed = [{"destination_addr": to, "message": text} for to, text in texts]
        status, answer = self.ask("POST", "/message/batch", {"list": listed, **fields})
        assert status == 200, answer
        assert answer["batchCount"] == str(len(texts))
        return str(answer["batchId"])

    def state(self, identifier: str) -> str:
        """What GET /message/{id} calls its state."""
        status, answer = self.ask("GET", f"/message/{identifier}")
        assert status == 200, answer
        return str(answer["state"])

    # --- what the others' logs say ---------------------------------------------------------------

    def callbacks(self) -> list[dict[str, Any]]:
        """The sink's log: every callback, of whatever customer, in the order they came. One that
        came again is left out where that has to be expected."""
        lines = self._installation.others.sink_lines()
        if self._installation.once:
            return lines
        first: dict[tuple[str, int], dict[str, Any]] = {}
        for line in lines:
            first.setdefault((line["headers"]["webhook-id"], line["answered"]), line)
        return list(first.values())

    def told(self) -> list[dict[str, Any]]:
        """The bodies of the callbacks."""
        return [line["body"] for line in self.callbacks() if line["body"]]

    def reports(self, identifier: str) -> list[dict[str, Any]]:
        """The reports and replies that came for a message, in order."""
        return [body for body in self.told() if body.get("message_id") == identifier]

    def stats(self, identifier: str) -> list[str]:
        """What they say: ["ESME_ROK", "DELIVRD"]."""
        return [
            report["stat"] if report["type"] == 1 else report["report_stat"]
            for report in self.reports(identifier)
            if "type" in report
        ]

    def batch_callback(self, batch: str) -> dict[str, Any] | None:
        """The callback that tells the ids of a batch, where it has come; it comes once."""
        found = [body for body in self.told() if body.get("batchId") == batch]
        assert len(found) < 2
        return found[0] if found else None

    def submits(self, identifier: str) -> list[dict[str, Any]]:
        """Each time that the simulator took a message, by its log."""
        lines = json_lines(self._installation.others.simulator_log)
        reference = f"{self.id}.{identifier}"
        return [x for x in lines if x["event"] == "taken" and x["reference"] == reference]

    def until_told(self, identifier: str, *stats: str, seconds: float = 60.0) -> None:
        """Waits until the sink has got as many reports of a message; they have to say this."""
        until(
            lambda: len(self.stats(identifier)) >= len(stats),
            lambda: f"{stats} of {identifier}, but {self.stats(identifier)}",
            seconds,
            pause=0.1,
        )
        assert self.stats(identifier) == list(stats), self.stats(identifier)
