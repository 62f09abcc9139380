"""What our sessions look like on the wire, read by software that is not ours: tshark (Wireshark's)
captures them and takes them apart, and finds nothing wrong.
"""

import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from recado.connectors import Part
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Bind, Pdu, framed
from recado.smpp.times import relative
from recado.smpp.udh import concatenation, sar
from tests.support.processes import Processes, processes_in, until
from tests.support.smpp_asking import (
    PHONE,
    cancel_sm,
    data_sm,
    query_sm,
    replace_sm,
    submit_multi,
    submit_sm,
)
from tests.support.smpp_nodes import Login, goes_to_port, smpp_customer, until_bound
from tests.support.tshark import Capture, Header, Seen, check, of

HERE = "127.0.0.1"
PATIENCE = 30.0
RESPONSE = wire.RESPONSE
RECEIPT = "0x01"  # as tshark has the type of a deliver_sm
UNKNOWN = 0x7E  # no command of SMPP's
LONG = "".join(f"{number:03} " for number in range(100))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started


# --- a customer's sessions -----------------------------------------------------------------------


class Talk:
    """A customer's connection: it answers what it is told, and knows all that went over it."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.sent: list[Header] = []
        self.heard: list[Pdu] = []

    def ask(self, command: int, body: bytes = b"") -> Pdu:
        """The answer to a request, or the generic_nack."""
        sequence = len(self.sent) + 1_000
        self._send(command, sequence, body)
        while True:
            pdu = self.read()
            if pdu.sequence == sequence and pdu.command & RESPONSE:
                return pdu

    def submit(self, text: bytes = b"oi", **fields: Any) -> str:
        """A message that is taken: its id."""
        answer = self.ask(wire.SUBMIT_SM, submit_sm(text, **fields))
        assert answer.command_status == 0
        return wire.read_id(answer.body)

    def read(self) -> Pdu:
        """The next that comes, answered where it is delivered."""
        head = wire.HEADER.unpack(self._octets(wire.HEADER_SIZE))
        length, command, command_status, sequence = head
        body = self._octets(length - wire.HEADER_SIZE)
        pdu = Pdu(command, command_status, sequence, body)
        self.heard.append(pdu)
        if pdu.command == wire.DELIVER_SM:
            self._send(pdu.command | RESPONSE, pdu.sequence, b"\0")
        return pdu

    def hear(self, deliveries: int) -> None:
        """Reads until so many were delivered."""
        while self._delivered() < deliveries:
            self.read()

    def close(self) -> None:
        self._link.close()

    def _delivered(self) -> int:
        return sum(pdu.command == wire.DELIVER_SM for pdu in self.heard)

    def _send(self, command: int, sequence: int, body: bytes) -> None:
        self.sent.append((command, 0, sequence))
        self._link.sendall(framed(command, sequence, body))

    def _octets(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._link.recv(size - len(found))
            assert more, "the server has closed"
            found += more
        return found


class Scene:
    """A node that is captured, and the connections to it in their order."""

    def __init__(self, processes: Processes, login: Login) -> None:
        self._port, self._login = processes.smpp_port, login
        self._capture = Capture(processes, processes.smpp_port)
        self.talks: list[Talk] = []

    def bound(self, command: int, password: str = "") -> Talk:
        """A new connection, on which a bind was answered."""
        talk = Talk(socket.create_connection((HERE, self._port), PATIENCE))
        self.talks.append(talk)
        bind = Bind(self._login.system_id, password or self._login.password, "VMA")
        talk.ask(command, wire.bind_body(bind))
        return talk

    def end(self) -> list[Seen]:
        for talk in self.talks:
            talk.close()
        return self._capture.end()


def test_all_that_a_customer_and_we_say_to_each_other_is_what_it_should_be_to_tshark(
    processes: Processes,
) -> None:
    processes.simulator()
    login = smpp_customer(processes, "bia")
    processes.node()
    scene = Scene(processes, login)
    talk = scene.bound(wire.BIND_TRANSCEIVER)
    ids = submits(talk)
    asks(talk, ids["later"])
    talk.hear(5)
    talk.ask(wire.ENQUIRE_LINK)
    talk.ask(wire.UNBIND)
    scene.bound(wire.BIND_TRANSMITTER, "nonsense")
    scene.bound(wire.BIND_TRANSMITTER).ask(wire.UNBIND)
    receiver = scene.bound(wire.BIND_RECEIVER)
    receiver.ask(wire.SUBMIT_SM, submit_sm())
    receiver.ask(wire.UNBIND)
    seen = scene.end()
    check(seen)
    for number, one in enumerate(scene.talks):
        here = [pdu for pdu in seen if pdu.connection == str(number)]
        # A request that is none of SMPP's is no PDU to tshark.
        known = [header for header in one.sent if header[0] != UNKNOWN]
        assert [pdu.header for pdu in here if not pdu.by_server] == known
        heard = [(pdu.command, pdu.command_status, pdu.sequence) for pdu in one.heard]
        assert [pdu.header for pdu in here if pdu.by_server] == heard
    check_answers(seen, ids)
    check_deliveries(of(seen, wire.DELIVER_SM), ids)


def check_answers(seen: Sequence[Seen], ids: dict[str, str]) -> None:
    """What tshark reads in our answers is what they were to say."""
    bound = of(seen, wire.BIND_TRANSCEIVER | RESPONSE)[0]
    assert (bound["system_id"], bound.octets["smpp.SC_interface_version"]) == ("Recado", b"\x34")
    taken = [pdu for pdu in of(seen, wire.SUBMIT_SM | RESPONSE) if pdu.header[1] == 0]
    assert [pdu["message_id"] for pdu in taken] == list(ids.values())[: len(taken)]
    [data] = of(seen, wire.DATA_SM | RESPONSE)
    assert data["message_id"] == ids["data"]
    [many] = of(seen, wire.SUBMIT_MULTI | RESPONSE)
    assert (many["message_id"], many["destination_addr"]) == (ids["many"], "12345")
    assert many["error_status_code"] == f"0x{status.ESME_RINVDSTADR:08x}"
    first, second, failed = of(seen, wire.QUERY_SM | RESPONSE)
    assert (first["message_id"], first["message_state"]) == (ids["later"], "1")
    assert (second["message_id"], second["message_state"]) == (ids["later"], "4")
    assert "smpp.final_date" in second.fields
    refused = [(pdu.command & ~RESPONSE, pdu.result) for pdu in seen if pdu.header[1]]
    assert (failed.command & ~RESPONSE, failed.result) in refused
    assert refused == [
        (wire.QUERY_SM, "query_sm request failed"),
        (wire.SUBMIT_SM, "Invalid destination address"),
        (wire.DELIVER_SM, "Invalid command ID"),
        (wire.BIND_RECEIVER, "ESME already in bound state"),
        (0, "Invalid command ID"),  # two of generic_nack
        (0, "Invalid command ID"),
        (wire.BIND_TRANSMITTER, "Invalid password"),
        (wire.SUBMIT_SM, "Incorrect BIND status for given command"),
    ]


def check_deliveries(seen: Sequence[Seen], ids: dict[str, str]) -> None:
    """And so it is with what we deliver: receipts, and a reply."""
    ours = [pdu for pdu in seen if pdu.by_server]
    told_of = [pdu for pdu in ours if pdu["esm.submit.msg_type"] == RECEIPT]
    receipts = {pdu["receipted_message_id"]: pdu for pdu in told_of}
    told = {
        name: (receipts[ids[name]]["source_addr"], receipts[ids[name]]["message_state"])
        for name in ids
        if ids[name] in receipts
    }
    assert told == {
        "plain": (PHONE, "2"),
        "ucs2": (PHONE, "2"),
        "failing": ("5511900000001", "5"),
        "answered": ("5511900000010", "2"),
    }
    assert {pdu["destination_addr"] for pdu in ours} == {"Recado"}
    assert {pdu["source_addr_ton"] + pdu["dest_addr_ton"] for pdu in ours} == {"0x010x05"}
    assert receipts[ids["plain"]]["user_message_reference"] == "0x0007"
    failing = receipts[ids["failing"]]
    assert failing["network_error.code"] == "0x0001"
    assert b" stat:UNDELIV err:001 text:" in failing.octets["smpp.message"]
    [reply] = [pdu for pdu in ours if pdu not in told_of]
    assert reply["source_addr"] == "5511900000010"
    assert reply.octets["smpp.message"] == b"Resposta: recebi a sua mensagem."


def submits(talk: Talk) -> dict[str, str]:
    """Messages in every coding and form: their ids."""
    part, ucs2 = Part(7, 2, 1), "Ж 😀".encode("utf-16-be")
    return {
        "plain": talk.submit(
            b"oi", tlvs={wire.USER_MESSAGE_REFERENCE: b"\0\7"}, registered_delivery=1
        ),
        "gsm": talk.submit(b"\x05 \x1b(1\x1b)", validity_period=relative(3_600)),
        "ia5": talk.submit(b"oi @", data_coding=1),
        "latin1": talk.submit("ação".encode("latin-1"), data_coding=3),
        "ucs2": talk.submit(ucs2, data_coding=8, registered_delivery=1),
        "udh": talk.submit(concatenation(part) + ucs2, data_coding=8, esm_class=wire.UDHI),
        "sar": talk.submit(b"oi", tlvs=sar(part)),
        "payload": talk.submit(b"", tlvs={wire.MESSAGE_PAYLOAD: LONG.encode()}),
        "failing": talk.submit(to="5511900000001", registered_delivery=1),
        "answered": talk.submit(to="5511900000010", registered_delivery=1),
        "later": talk.submit(schedule_delivery_time=relative(7_200)),
        "data": wire.read_id(talk.ask(wire.DATA_SM, data_sm({wire.MESSAGE_PAYLOAD: b"oi"})).body),
        "many": wire.read_id(talk.ask(wire.SUBMIT_MULTI, submit_multi(PHONE, "12345")).body),
    }


def asks(talk: Talk, later: str) -> None:
    """What is asked of messages, and what is refused."""
    talk.ask(wire.QUERY_SM, query_sm(later))
    talk.ask(wire.REPLACE_SM, replace_sm(later))
    talk.ask(wire.CANCEL_SM, cancel_sm(later))
    talk.ask(wire.QUERY_SM, query_sm(later))
    talk.ask(wire.QUERY_SM, query_sm("nonsense"))
    talk.ask(wire.CANCEL_SM, cancel_sm(later))
    talk.ask(wire.SUBMIT_SM, submit_sm(to="12345"))
    talk.ask(wire.DELIVER_SM, submit_sm())
    talk.ask(wire.BIND_RECEIVER, wire.bind_body(Bind("anybody", "at all")))
    talk.ask(wire.OUTBIND, b"\0\0")
    talk.ask(UNKNOWN)


# --- our sessions as a customer ------------------------------------------------------------------


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Processes]:
    """Another gateway, to which ours is a customer."""
    (tmp_path / "second").mkdir()
    with processes_in(tmp_path / "second") as started:
        started.simulator()
        yield started


def upstream_ids(processes: Processes, identifier: str) -> list[str]:
    shown = processes.recado("message", "show", identifier, "--json").json()
    return list(shown.get("upstream_ids", ()))


def test_all_that_we_say_to_an_smsc_is_what_it_should_be_to_tshark(
    processes: Processes, second: Processes
) -> None:
    # A receipt comes to any bind of its customer's: so each of our connectors is one.
    udh, apart, whole = (smpp_customer(second, name) for name in ("udh", "apart", "whole"))
    port = second.smpp_port
    second.node()
    capture = Capture(processes, port)
    goes_to_port(processes, port, udh, enquire="1")
    by_sar = {"bind_mode": "separate", "long": "sar"}
    goes_to_port(processes, port, apart, name="sar", prefix="5521", **by_sar)
    goes_to_port(processes, port, whole, name="payload", prefix="5531", long="payload")
    processes.sink()
    processes.cost_centre()
    node = processes.node("--no-simulator")
    until_bound(processes)
    until_bound(processes, 2, "sar")
    until_bound(processes, 1, "payload")
    texts = {
        "5534998887755": "Ç e {€}",
        "5534998887756": "Жду 😀",
        "5534998887757": LONG,
        "5521998887755": LONG,
        "5531998887755": LONG,
        "5511900000001": "oi",
        "5511900000010": "quem?",
    }
    sent = {to: processes.send(to, text) for to, text in texts.items()}
    until(lambda: all(len(processes.reports(one)) >= 2 for one in sent.values()), "all reports")
    until(lambda: len(processes.reports(sent["5511900000010"])) == 3, "a reply")
    until(lambda: capture.has(framed(wire.ENQUIRE_LINK, 0)[:12]), "an enquire_link")
    assert node.end() == 0
    seen = capture.end()
    check(seen)
    check_pairs(seen)
    binds = Counter(pdu.name for pdu in seen if pdu.command in wire.BINDS)
    assert binds == {"Bind_transceiver": 2, "Bind_transmitter": 1, "Bind_receiver": 1}
    assert len([pdu for pdu in of(seen, wire.UNBIND) if not pdu.by_server]) == 4
    check_submits(seen, {to: upstream_ids(processes, one) for to, one in sent.items()})
    check_submitted_texts(of(seen, wire.SUBMIT_SM))


def check_pairs(seen: Sequence[Seen]) -> None:
    """Each request has its response, which says that all is well."""
    asked = Counter(
        (pdu.connection, pdu.by_server, pdu.command, pdu.header[2])
        for pdu in seen
        if not pdu.command & RESPONSE
    )
    answered = Counter(
        (pdu.connection, not pdu.by_server, pdu.command & ~RESPONSE, pdu.header[2])
        for pdu in seen
        if pdu.command & RESPONSE
    )
    assert asked == answered
    assert max(asked.values()) == 1
    assert {pdu.result for pdu in seen if pdu.command & RESPONSE} == {"Ok"}


def check_submits(seen: Sequence[Seen], ids: dict[str, list[str]]) -> None:
    """Ids are those that we keep, and each of them has its receipt."""
    submits = of(seen, wire.SUBMIT_SM)
    answers = {
        (pdu.connection, pdu.header[2]): pdu["message_id"]
        for pdu in of(seen, wire.SUBMIT_SM | RESPONSE)
    }
    found: dict[str, list[str]] = {}
    for pdu in submits:
        told = answers[pdu.connection, pdu.header[2]]
        found.setdefault(pdu["destination_addr"], []).append(told)
    assert found == ids
    deliveries = of(seen, wire.DELIVER_SM)
    receipts = [pdu for pdu in deliveries if pdu["esm.submit.msg_type"] == RECEIPT]
    told_of = sorted(pdu["receipted_message_id"] for pdu in receipts)
    assert told_of == sorted(answers.values())
    assert len(deliveries) == len(receipts) + 1  # a reply


def check_submitted_texts(submits: Sequence[Seen]) -> None:
    by_number: dict[str, list[Seen]] = {}
    for pdu in submits:
        by_number.setdefault(pdu["destination_addr"], []).append(pdu)
    assert {pdu["dest_addr_ton"] + pdu["dest_addr_npi"] for pdu in submits} == {"0x010x01"}
    assert {pdu["regdel.receipt"] for pdu in submits} == {"0x01"}
    [short] = by_number["5534998887755"]
    assert (short["data_coding"], short.octets["smpp.message"]) == (
        "0x00",
        b"\x09 e \x1b(\x1be\x1b)",
    )
    [ucs2] = by_number["5534998887756"]
    assert ucs2["data_coding"] == "0x08"
    assert ucs2.octets["smpp.message"].decode("utf-16-be") == "Жду 😀"
    parts = by_number["5534998887757"]
    assert {pdu["esm.submit.features"] for pdu in parts} == {"0x01"}
    headers = [pdu.octets["smpp.message"][:6] for pdu in parts]
    assert [(header[:3], *header[4:]) for header in headers] == [
        (b"\5\0\3", 3, number) for number in (1, 2, 3)
    ]
    assert b"".join(pdu.octets["smpp.message"][6:] for pdu in parts) == LONG.encode()
    parts = by_number["5521998887755"]
    assert [(pdu["sar_total_segments"], pdu["sar_segment_seqnum"]) for pdu in parts] == [
        ("3", "1"),
        ("3", "2"),
        ("3", "3"),
    ]
    assert b"".join(pdu.octets["smpp.message"] for pdu in parts) == LONG.encode()
    [whole] = by_number["5531998887755"]
    assert whole.octets["smpp.message_payload"] == LONG.encode()


# --- the dissector itself ------------------------------------------------------------------------


def test_tshark_would_see_what_is_malformed(processes: Processes) -> None:
    with socket.create_server((HERE, 0)) as listening:
        capture = Capture(processes, listening.getsockname()[1])
        address = listening.getsockname()
        with socket.create_connection(address) as good, socket.create_connection(address) as bad:
            good.sendall(framed(wire.SUBMIT_SM, 1, submit_sm()))
            bad.sendall(framed(wire.SUBMIT_SM, 1, submit_sm()[:9]))
            seen = capture.end()
    assert [bool(pdu.problems) for pdu in seen] == [False, True]
