"""tshark (Wireshark's), which knows SMPP from others than us: it captures a port, and takes apart
what went over it."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from typing import TypeAlias
from xml.etree import ElementTree

import pytest
from msgspec import Struct

from recado.smpp import pdu as wire
from recado.smpp.pdu import framed
from tests.support.processes import Processes, until

_HERE = "127.0.0.1"
_PATIENCE = 30.0
_MARK = 0x7ACED0DE  # a sequence number: the capture has come so far
_WARNING = 0x600000  # severity of an expert's findings; what is less is chat

_unfit = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")

Header: TypeAlias = tuple[int, int, int]
"""Command, command_status, sequence."""


class Seen(Struct, frozen=True):
    """A PDU as tshark shows it: by whom, on which connection, and its fields."""

    by_server: bool
    connection: str
    name: str  # of its command; "Unknown" where it is none
    result: str  # of its command_status, where it is a response
    fields: dict[str, str]
    octets: dict[str, bytes]
    problems: list[str]

    def __getitem__(self, name: str) -> str:
        return self.fields[f"smpp.{name}"]

    @property
    def command(self) -> int:
        return int(self["command_id"], 16)

    @property
    def header(self) -> Header:
        command_status = self.fields.get("smpp.command_status", "0")
        return self.command, int(command_status, 16), int(self["sequence_number"])


class Capture:
    """What goes over a port, from when this is made until `end`."""

    def __init__(self, processes: Processes, port: int) -> None:
        """Skips the test where nothing can be captured."""
        if shutil.which("tshark") is None:
            pytest.skip("tshark is not installed: apt-get install tshark")
        if os.geteuid():
            pytest.skip("only root may capture: run the tests as root")
        self._port, self._file = port, processes.folder / "capture.pcapng"
        options = ("-q", "-i", "lo", "-f", f"tcp port {port}", "-w", str(self._file))
        self._process = processes.start("tshark", ["tshark", *options])
        until(lambda: "Capture started" in self._process.said, lambda: self._process.said)

    def has(self, octets: bytes) -> bool:
        """Whether they have gone over the wire."""
        return octets in self._file.read_bytes()

    def end(self) -> list[Seen]:
        """All PDUs so far."""
        # It writes in pieces, and late: what comes last shows that all before it is there.
        mark = framed(wire.ENQUIRE_LINK | wire.RESPONSE, _MARK)
        with socket.create_connection((_HERE, self._port), _PATIENCE) as link:
            link.sendall(mark)
            until(lambda: self.has(mark), "a capture that has come so far")
        self._process.end()
        seen = self._seen()
        [last] = {one.connection for one in seen if one.header[2] == _MARK}
        return [one for one in seen if one.connection != last]

    def _seen(self) -> list[Seen]:
        read = ("-r", str(self._file), "-d", f"tcp.port=={self._port},smpp", "-T", "pdml")
        told = subprocess.run(["tshark", *read], check=True, capture_output=True)
        # It shows texts as they are, and XML has no place for all of their characters.
        shown = _unfit.sub("?", told.stdout.decode("utf-8", "replace"))
        packets = ElementTree.fromstring(shown).iter("packet")
        return [seen for packet in packets for seen in self._of(packet)]

    def _of(self, packet: ElementTree.Element) -> Iterator[Seen]:
        tcp = {field.get("name"): field.get("show", "") for field in packet.iter("field")}
        malformed = [proto.get("showname", "") for proto in packet.iterfind(".//proto")]
        malformed = [name for name in malformed if name.startswith("Malformed")]
        for proto in packet.iterfind("proto[@name='smpp']"):
            fields = list(proto.iter("field"))
            shown = {_name(field): field.get("showname", "") for field in fields}
            yield Seen(
                by_server=tcp["tcp.srcport"] == str(self._port),
                connection=tcp["tcp.stream"],
                name=_meaning(shown["smpp.command_id"]),
                result=_meaning(shown.get("smpp.command_status", "")),
                fields={_name(field): field.get("show", "") for field in fields},
                octets={_name(field): _octets(field) for field in fields},
                problems=malformed + [found for found in map(_problem, fields) if found],
            )


def _name(field: ElementTree.Element) -> str:
    return field.get("name", "")


def _octets(field: ElementTree.Element) -> bytes:
    # Of a few bits the whole octet.
    return bytes.fromhex(field.get("unmaskedvalue", "") or field.get("value", ""))


def _meaning(shown: str) -> str:
    """Of "Operation: Submit_sm (0x00000004)" what stands in the middle."""
    return shown.partition(": ")[2].rpartition(" (")[0]


def _problem(field: ElementTree.Element) -> str:
    """What an expert has found, if it is worth a warning."""
    if field.get("name") != "_ws.expert":
        return ""
    levels = [int(one.get("show", "0")) for one in field if _name(one) == "_ws.expert.severity"]
    return field.get("showname", "?") if max(levels, default=0) >= _WARNING else ""


def check(seen: Sequence[Seen]) -> None:
    """Whatever they are about: tshark finds nothing wrong with them, and knows what they are."""
    assert seen
    assert [one for one in seen if one.problems] == []
    assert [one for one in seen if one.name.startswith("Unknown")] == []
    assert [one for one in seen if one.result.startswith(("Unknown", "Reserved"))] == []


def of(seen: Sequence[Seen], command: int) -> list[Seen]:
    """Those of one command."""
    return [one for one in seen if one.command == command]
