"""A node as customers meet it by SMPP: a process with its own simulator, and TLS beside."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from msgspec import Struct

from tests.support.processes import RECADO, Processes, processes_in, until
from tests.support.smpp_clients import Answer, Client, Heard, Place, Wish

_LISTENS = re.compile(r"by SMPP on 127\.0\.0\.1:(\d+), by SMPP with TLS on 127\.0\.0\.1:(\d+);")
_SIMULATOR = re.compile(r"a simulator \((http://[^)]+)\)")


class Certificates(Struct, frozen=True):
    """Files: an authority's certificate, and a certificate of localhost's with its key."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """By an authority of our own: a client that is strict takes none that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificates")
    made = Certificates(*(folder / name for name in ("ca.pem", "node.pem", "node.key")))
    (folder / "node.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    for command in (
        f"{new} -x509 -subj /CN=Authority -keyout {folder}/ca.key -out {made.authority}",
        f"{new} -subj /CN=localhost -keyout {made.key} -out {folder}/node.csr",
        f"openssl x509 -req -in {folder}/node.csr -CA {made.authority} -CAkey {folder}/ca.key"
        f" -set_serial 1 -days 2 -extfile {folder}/node.ext -out {made.certificate}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
    return made


class Node:
    """The node, and what its operator does."""

    def __init__(self, processes: Processes, certified: Certificates) -> None:
        self._processes, self._certified = processes, certified
        self._phones = count(5511_91000_0000)
        options = ["--data", str(processes.data), "--http-port", "0", "--smpp-port", "0"]
        options += ["--smpp-tls-port", "0", "--tls-certificate", str(certified.certificate)]
        options += ["--tls-key", str(certified.key)]
        process = processes.start("node", [*RECADO, "up", *options])
        until(lambda: "Ctrl-C ends it" in process.said or process.ended(), "a node")
        listens, simulator = _LISTENS.search(process.said), _SIMULATOR.search(process.said)
        assert listens is not None, process.said
        assert simulator is not None
        self.port, self.tls_port = int(listens[1]), int(listens[2])
        self._simulator = simulator[1]

    def customer(self, *options: str) -> Place:
        """A new cost centre: the pair that `costcentre create --json` gives."""
        made = self.recado("costcentre", "create", "--name", "Clínica", *options)
        return Place(self.port, made["smpp_system_id"], made["smpp_password"])

    def by_tls(self, place: Place) -> Place:
        return Place(
            self.tls_port,
            place.system_id,
            place.password,
            host="localhost",
            ca=str(self._certified.authority),
        )

    def recado(self, *arguments: str) -> Any:
        """What a command says."""
        return self._processes.recado(*arguments, "--json").json()

    def phone(self) -> str:
        """A number that nobody has sent to."""
        return str(next(self._phones))

    def shown(self, message_id: str) -> dict[str, Any]:
        """What `recado message show` says."""
        shown: dict[str, Any] = self.recado("message", "show", message_id)
        return shown

    def taken(self, answers: list[Answer]) -> list[str]:
        """The texts of these messages, as the simulator took them."""
        names = [answer.message_id for answer in answers]
        found: dict[str, str] = {}

        def complete() -> bool:
            taken = requests.get(f"{self._simulator}/taken?limit=10000", timeout=10).json()
            found.update({one["reference"].partition(".")[2]: one["text"] for one in taken})
            return found.keys() >= set(names)

        until(complete, "that the simulator has taken them")
        return [found[name] for name in names]

    def reply(self, source: str, text: str) -> None:
        """Somebody writes back."""
        body = {"to": "27000", "from": source, "text": text}
        requests.post(f"{self._simulator}/reply", json=body, timeout=10).raise_for_status()

    def in_mailbox(self, *answers: Answer) -> None:
        """Waits until their receipts lie there, or have gone on from there."""
        until(lambda: all(map(self._told, answers)), "receipts in the mailbox")

    def _told(self, answer: Answer) -> bool:
        reports = self.shown(answer.message_id).get("reports", [])
        return bool(reports) and not any(report["owed"] for report in reports)


@contextmanager
def node_in(folder: Path, certified: Certificates) -> Iterator[Node]:
    with processes_in(folder) as processes:
        yield Node(processes, certified)


async def sent(client: Client, *wishes: Wish) -> list[Answer]:
    """Submits what has to be taken."""
    answers = await client.submit(wishes)
    assert [answer.command_status for answer in answers] == [0] * len(wishes)
    assert all(len(answer.message_id) == 36 for answer in answers)
    return answers


async def heard(client: Client, amount: int) -> list[Heard]:
    return [await client.hear() for _ in range(amount)]
