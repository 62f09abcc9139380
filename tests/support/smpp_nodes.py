"""Nodes that speak SMPP with each other, or with what is not ours: who may bind to one, and to what
one binds."""

import re
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from msgspec import Struct

from tests.support.processes import Processes, until


class Login(Struct, frozen=True):
    """Of a cost centre, by SMPP."""

    cost_centre: str
    system_id: str
    password: str


def smpp_customer(processes: Processes, name: str, *options: str) -> Login:
    """A cost centre that may bind."""
    command = ("costcentre", "create", "--name", name, *options, "--json")
    made: dict[str, Any] = processes.recado(*command).json()
    return Login(made["id"], made["smpp_system_id"], made["smpp_password"])


def goes_to_port(
    processes: Processes,
    port: int,
    login: Login,
    *options: str,
    name: str = "smsc",
    prefix: str = "",
    **settings: str,
) -> None:
    """Everything, or what begins so, goes to the SMSC that listens there, by a connector."""
    told = {
        "host": "127.0.0.1",
        "port": str(port),
        "system_id": login.system_id,
        "password": login.password,
        **settings,
    }
    words = [f"--setting={setting}={value}" for setting, value in told.items()]
    added = processes.recado("connector", "add", name, "--kind", "smpp", *words, *options)
    assert added.code == 0, added.err
    route = ["route", "add", f"00-{name}" if prefix else "01-rest", "--upstream", name]
    route += ["--prefix", prefix] if prefix else []
    assert processes.recado(*route).code == 0


def bind_states(processes: Processes, name: str = "smsc") -> list[str]:
    """Those of a connector's binds."""
    shown = processes.recado("connector", "show", name, "--json").json()
    return [row["state"] for row in shown.get("binds", [])]


def until_bound(processes: Processes, amount: int = 1, name: str = "smsc") -> None:
    """Waits until a connector has that many binds, all bound."""
    wanted = ["bound"] * amount
    until(
        lambda: bind_states(processes, name) == wanted,
        lambda: f"{wanted}, but {bind_states(processes, name)}",
    )


def mails_waiting(processes: Processes) -> int:
    """How much lies in the mailboxes of its node."""
    with closing(HTTPConnection("127.0.0.1", processes.http_port, timeout=20)) as link:
        link.request("GET", "/metrics")
        text = link.getresponse().read().decode()
    found = re.search(r"^recado_mailbox_messages (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])
