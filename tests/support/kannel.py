"""Kannel as a customer: bearerbox, which binds to a port of ours, and smsbox, which takes messages
by HTTP and tells receipts (dlr-url) and replies (get-url) to a sink.

It is Debian's package, configured here from nothing, in a folder and on ports of its own.
"""

import http.client
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

import pytest
from msgspec import Struct

from tests.support.processes import Process, Processes, free_port, until

# What a dlr-url is told as its type: of the message, and of submit_sm.
DELIVERED, FAILED, EXPIRED = "1", "2", "34"
ACKNOWLEDGED, REFUSED = "8", "16"

_HERE = "127.0.0.1"
_ALL = "31"  # dlr-mask
_PATIENCE = 20.0
_UCS2 = "2"  # its own number for it


def program(name: str) -> str:
    """Where one of its programs is; skips the test where it is not installed."""
    # Not everybody has the system's programs in the path.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/kannel/test"
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"Kannel's {name} is not installed: apt-get install kannel kannel-extras")
    return found


class Smsc(Struct, frozen=True, kw_only=True):
    """One that it binds to; with `separate` as transmitter and receiver."""

    name: str
    port: int
    system_id: str
    password: str
    separate: bool = False
    more: Mapping[str, str] = {}


class Receipt(Struct, frozen=True):
    """What its dlr-url is told: type, the SMSC's id, and what the SMSC said."""

    type: str
    id: str
    answer: str


class Reply(Struct, frozen=True):
    """An MO, as its get-url is told of it."""

    smsc: str
    source: str
    destination: str
    text: str


class Kannel:
    """Its two processes, among those of `beside`: what it tells goes to the sink there."""

    def __init__(self, folder: Path, beside: Processes, *smscs: Smsc) -> None:
        """Skips the test where Kannel is not installed."""
        self._folder, self._beside = folder, beside
        self._admin_port, self._box_port, self._http_port = free_port(), free_port(), free_port()
        self._smscs = smscs
        self._boxes = program("bearerbox"), program("smsbox")
        self.bearerbox: Process
        self.smsbox: Process

    @property
    def sink_url(self) -> str:
        return f"http://{_HERE}:{self._beside.sink_port}"

    def start(self) -> None:
        """It takes messages when this returns; it may not be bound yet."""
        self._folder.mkdir(exist_ok=True)
        configuration = self._folder / "kannel.conf"
        smscs = [group for smsc in self._smscs for group in _binds(smsc)]
        groups = [self._core(), *smscs, *self._smsbox()]
        configuration.write_text("\n".join(map(_written, groups)))
        start = self._beside.start
        self.bearerbox = start("bearerbox", [self._boxes[0], "-v", "1", str(configuration)])
        until(lambda: self.bearerbox.listens_on(self._box_port), "a bearerbox that listens")
        self.smsbox = start("smsbox", [self._boxes[1], "-v", "1", str(configuration)])
        until(lambda: self.smsbox.listens_on(self._http_port), "an smsbox that listens")

    def _core(self) -> dict[str, str]:
        return {
            "group": "core",
            "admin-port": str(self._admin_port),
            "admin-password": "admin",
            "admin-interface": _HERE,
            "smsbox-port": str(self._box_port),
            "smsbox-interface": _HERE,
            "box-allow-ip": _HERE,
            "dlr-storage": "internal",
            "sms-resend-freq": "1",
        }

    def _smsbox(self) -> list[dict[str, str]]:
        return [
            {
                "group": "smsbox",
                "bearerbox-host": _HERE,
                "bearerbox-port": str(self._box_port),
                "sendsms-port": str(self._http_port),
                "sendsms-interface": _HERE,
                "http-request-retry": "20",
                "http-queue-delay": "1",
            },
            {
                "group": "sendsms-user",
                "username": "ana",
                "password": "segredo",
                "max-messages": "10",
                "concatenation": "true",
            },
            {
                "group": "sms-service",
                "keyword": "default",
                "catch-all": "true",
                "get-url": f"{self.sink_url}/mo?from=%p&to=%P&text=%b&coding=%c&smsc=%i",
                "max-messages": "0",
            },
        ]

    def send(self, smsc: str, to: str, text: str, **words: str) -> str:
        """By sendsms, with receipts of every kind to the sink at /dlr/<to>: what it answers."""
        told = {"type": "%d", "id": "%F", "answer": "%A"}
        query = {
            "username": "ana",
            "password": "segredo",
            "smsc": smsc,
            "from": "Recado",
            "to": to,
            "charset": "UTF-8",
            "text": text,
            "dlr-mask": _ALL,
            "dlr-url": f"{self.sink_url}/dlr/{to}?{urlencode(told, safe='%')}",
            **words,
        }
        return self._get(self._http_port, f"/cgi-bin/sendsms?{urlencode(query)}")

    def states_of(self, smsc: str) -> list[str]:
        """What its status page says of an SMSC's binds: "online 5s", "re-connecting", "dead"."""
        root = ElementTree.fromstring(self._get(self._admin_port, "/status.xml?password=admin"))
        states = [one for one in root.iter("smsc") if one.findtext("id") == smsc]
        return [one.findtext("status") or "" for one in states]

    def is_bound(self, smsc: str) -> bool:
        return all(state.startswith("online") for state in self.states_of(smsc))

    def bound(self, *smscs: str) -> None:
        """Waits until these are."""
        for smsc in smscs:
            until(partial(self.is_bound, smsc), f"Kannel bound to {smsc}", _PATIENCE)

    def unbind(self, smsc: str) -> None:
        """It unbinds, and stays away."""
        self._get(self._admin_port, f"/stop-smsc?password=admin&smsc={smsc}")

    def bind(self, smsc: str) -> None:
        """It comes back."""
        self._get(self._admin_port, f"/start-smsc?password=admin&smsc={smsc}")

    def _get(self, port: int, target: str) -> str:
        with closing(http.client.HTTPConnection(_HERE, port, timeout=_PATIENCE)) as link:
            link.request("GET", target)
            return link.getresponse().read().decode()

    def receipts(self, to: str) -> list[Receipt]:
        """What its dlr-url was called with for messages to this number, by type."""
        words = [_words(line["query"]) for line in self._calls(f"/dlr/{to}")]
        # It calls from many threads at once: which of two comes first says nothing.
        return sorted((Receipt(**one) for one in words), key=lambda one: int(one.type))

    def types(self, to: str) -> list[str]:
        """The types alone."""
        return [receipt.type for receipt in self.receipts(to)]

    def replies(self) -> list[Reply]:
        """What its get-url was called with, in the order in which it came there."""
        return [_reply(line["query"]) for line in self._calls("/mo")]

    def _calls(self, path: str) -> list[dict[str, Any]]:
        return [line for line in self._beside.sink_lines() if line["path"] == path]


def _words(query: str) -> dict[str, str]:
    # Octet by octet: in which alphabet a text is, one of the words says.
    asked = parse_qs(query, keep_blank_values=True, encoding="latin-1")
    return {name: values[0] for name, values in asked.items()}


def _reply(query: str) -> Reply:
    words = _words(query)
    alphabet = "utf-16-be" if words["coding"] == _UCS2 else "utf-8"
    text = words["text"].encode("latin-1").decode(alphabet)
    return Reply(words["smsc"], words["from"], words["to"], text)


def _written(group: Mapping[str, str]) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in group.items())


def _binds(smsc: Smsc) -> list[dict[str, str]]:
    """The groups of one SMSC: a bind each."""
    port = str(smsc.port)
    ports = [{"port": port, "transceiver-mode": "true"}]
    if smsc.separate:
        ports = [{"port": port}, {"receive-port": port}]
    common = {
        "group": "smsc",
        "smsc": "smpp",
        "smsc-id": smsc.name,
        "allowed-smsc-id": smsc.name,
        "host": _HERE,
        "smsc-username": smsc.system_id,
        "smsc-password": smsc.password,
        "system-type": "",
        "reconnect-delay": "1",
        "enquire-link-interval": "5",
        **smsc.more,
    }
    return [{**common, **one} for one in ports]
