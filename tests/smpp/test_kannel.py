"""Kannel as a customer of a real node: it binds, its users send by its HTTP, and its callbacks are
told what we tell it."""

import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.kannel import (
    ACKNOWLEDGED,
    DELIVERED,
    EXPIRED,
    FAILED,
    REFUSED,
    Kannel,
    Reply,
    Smsc,
    program,
)
from tests.support.processes import Processes, processes_in, request, until
from tests.support.smpp_nodes import Login, mails_waiting, smpp_customer

LONG = "".join(f"{number:03} " for number in range(100))


def smsc(name: str, processes: Processes, login: Login, **how: Any) -> Smsc:
    """How Kannel binds to our node."""
    return Smsc(
        name=name,
        port=processes.smpp_port,
        system_id=login.system_id,
        password=login.password,
        **how,
    )


class Place:
    """A node with a simulator for its upstream, and Kannel bound to it in several ways."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        processes.simulator()
        processes.sink()
        customer = partial(smpp_customer, processes)
        both, apart = customer("both"), customer("apart")
        latin, slow = (
            customer("latin", "--smpp-alphabet=latin1"),
            customer("slow", "--per-second=3"),
        )
        processes.node()
        self.kannel = Kannel(
            processes.folder / "kannel",
            processes,
            smsc("transceiver", processes, both),
            smsc("separate", processes, apart, separate=True),
            smsc("latin", processes, latin, more={"alt-charset": "ISO-8859-1"}),
            smsc("slow", processes, slow),
            smsc("stranger", processes, Login("", both.system_id, "nonsense")),
        )
        self.kannel.start()
        self.kannel.bound("transceiver", "separate", "latin", "slow")
        self._numbers = iter(range(5534998880000, 5534998890000))

    def number(self) -> str:
        """One that nobody has sent to."""
        return str(next(self._numbers))

    def taken(self, to: str) -> list[dict[str, Any]]:
        """What the simulator took for a number, the oldest first."""
        listed = request(self.processes.simulator_port, "GET", "/taken?limit=1000")[1]
        return [one for one in reversed(listed) if one["to"] == to]

    def texts(self, to: str) -> list[str]:
        return [one["text"] for one in self.taken(to)]

    def told(self, to: str, *types: str) -> None:
        """Waits until Kannel's dlr-url was told exactly these for the number."""
        wanted = list(types)
        until(lambda: self.kannel.types(to) == wanted, lambda: f"{wanted}: {self.kannel.types(to)}")

    def reply(self, to: str, source: str, text: str) -> None:
        """Somebody answers."""
        body = {"to": to, "from": source, "text": text}
        assert request(self.processes.simulator_port, "POST", "/reply", body)[0] == 202


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    program("bearerbox")
    with processes_in(tmp_path_factory.mktemp("kannel")) as processes:
        yield Place(processes)


both_ways = pytest.mark.parametrize("way", ["transceiver", "separate"])


# --- to send -------------------------------------------------------------------------------------


@both_ways
def test_a_short_text_arrives_whole_and_its_receipts_reach_kannels_user(
    place: Place, way: str
) -> None:
    to, text = place.number(), "Ç, é, {ñ} e €: 2 @"
    place.kannel.send(way, to, text)
    place.told(to, DELIVERED, ACKNOWLEDGED)
    [taken] = place.taken(to)
    assert (taken["text"], taken["source"], taken["segments"]) == (
        "Ç, é, {ñ} e €: 2 @",
        "Recado",
        1,
    )
    delivered, acknowledged = place.kannel.receipts(to)
    assert delivered.id == acknowledged.id
    assert taken["reference"].endswith(delivered.id)
    assert delivered.answer.startswith(f"id:{delivered.id} sub:001 dlvrd:001 submit date:")
    assert "stat:DELIVRD err:000 text:C, e, {n} e ?: 2 @" in delivered.answer


@both_ways
def test_a_text_in_ucs2_arrives_whole(place: Place, way: str) -> None:
    to, text = place.number(), "Ação às três: Жду 😀"
    place.kannel.send(way, to, text, coding="2")
    place.told(to, DELIVERED, ACKNOWLEDGED)
    assert place.texts(to) == [text]


@pytest.mark.parametrize(("text", "coding", "parts"), [(LONG, "0", 3), (f"Ж{LONG}", "2", 6)])
def test_a_long_text_in_parts_of_kannels_own_arrives_whole(
    place: Place, text: str, coding: str, parts: int
) -> None:
    to = place.number()
    place.kannel.send("transceiver", to, text, coding=coding)
    # It asks for the receipt of one part alone.
    place.told(to, DELIVERED, ACKNOWLEDGED)
    until(lambda: len(place.taken(to)) == parts, f"{parts} parts")
    assert "".join(sorted(place.texts(to), key=text.index)) == text


def test_the_default_alphabet_is_latin1_where_both_are_set_to_it(place: Place) -> None:
    to = place.number()
    place.kannel.send("latin", to, "É à é ü £")
    place.told(to, DELIVERED, ACKNOWLEDGED)
    assert place.texts(to) == ["É à é ü £"]


@pytest.mark.parametrize(
    ("to", "stat", "told"),
    [
        ("5511900000001", "UNDELIV err:001", FAILED),
        ("5511900000002", "EXPIRED err:002", EXPIRED),
        ("5511900000003", "REJECTD err:000", FAILED),
        ("5511900000013", "UNKNOWN err:013", FAILED),
    ],
)
def test_what_fails_later_is_told_to_kannels_user_as_failed(
    place: Place, to: str, stat: str, told: str
) -> None:
    place.kannel.send("separate", to, "oi")
    place.told(to, *sorted((told, ACKNOWLEDGED), key=int))
    [failed] = [one for one in place.kannel.receipts(to) if one.type == told]
    assert "dlvrd:000" in failed.answer
    assert f"stat:{stat}" in failed.answer


def test_a_number_that_is_refused_is_told_to_kannels_user_as_refused(place: Place) -> None:
    place.kannel.send("transceiver", "12345", "oi")
    place.told("12345", REFUSED)
    [refused] = place.kannel.receipts("12345")
    assert refused.answer == "NACK/0x0000000b/Invalid Destination Address"
    assert place.taken("12345") == []


def test_kannel_slows_down_where_it_is_told_to_and_loses_nothing(place: Place) -> None:
    numbers = [place.number() for _ in range(8)]
    for to in numbers:
        place.kannel.send("slow", to, "devagar")
    for to in numbers:
        place.told(to, DELIVERED, ACKNOWLEDGED)
        assert place.texts(to) == ["devagar"]
    assert "0x00000058" in place.kannel.bearerbox.said


# --- to receive ----------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    "text",
    ["SAIR", "Não, Ação", "Ж 😀", LONG, f"Ж{LONG}"],
    ids=["gsm", "accents", "ucs2", "long", "long-ucs2"],
)
def test_a_reply_reaches_kannels_service(place: Place, way: str, text: str) -> None:
    person = place.number()
    place.kannel.send(way, person, "quem?", **{"from": "27000"})
    place.told(person, DELIVERED, ACKNOWLEDGED)
    place.reply("27000", person, text)
    reply = Reply(way, f"+{person}", "27000", text)
    until(lambda: reply in place.kannel.replies(), lambda: f"it, but {place.kannel.replies()}")
    assert place.kannel.replies().count(reply) == 1


# --- to be let in --------------------------------------------------------------------------------


def test_kannel_understands_that_its_password_is_wrong(place: Place) -> None:
    until(lambda: place.kannel.states_of("stranger") == ["dead"], "a bind that was given up")
    said = place.kannel.bearerbox.said
    assert "SMPP[stranger]: SMSC rejected login to transmit, code 0x0000000e" in said


# --- restarts ------------------------------------------------------------------------------------


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started


def test_kannel_binds_again_after_each_end_of_the_node_and_nothing_is_lost(
    processes: Processes,
) -> None:
    processes.simulator()
    processes.sink()
    # What a killed node had in hand is taken up again the sooner.
    quick = ("--submit-timeout=1", f"--setting=url={processes.simulator_url}")
    base = f"--callback-base=http://127.0.0.1:{processes.http_port}"
    added = processes.recado("connector", "add", "simulator", "--kind", "simulator", base, *quick)
    assert added.code == 0, added.err
    assert processes.recado("route", "add", "all", "--upstream", "simulator").code == 0
    kannel = Kannel(
        processes.folder / "kannel",
        processes,
        smsc("node", processes, smpp_customer(processes, "kannel")),
    )
    node = processes.node()
    kannel.start()
    kannel.bound("node")
    numbers = iter(range(5534998880000, 5534998890000))
    sent: list[str] = []

    def send(amount: int) -> None:
        for _ in range(amount):
            sent.append(str(next(numbers)))
            assert kannel.send("node", sent[-1], "oi").startswith(("0:", "3:"))

    for number in (signal.SIGKILL, signal.SIGTERM):
        send(20)
        node.end(number)
        send(20)
        node = processes.node()
        kannel.bound("node")
    until(
        lambda: all(kannel.types(to) == [DELIVERED, ACKNOWLEDGED] for to in sent),
        lambda: f"all told, but {[(to, kannel.types(to)) for to in sent]}",
    )
    listed = request(processes.simulator_port, "GET", "/taken?limit=1000")[1]
    taken = Counter(one["to"] for one in listed)
    assert set(taken) == set(sent)
    # Only what was in flight at the kill can be doubled: ten between Kannel and us, and what we
    # had on its way to the simulator.
    assert sum(taken.values()) - len(sent) <= 20


def test_a_reply_waits_until_kannel_comes_back(processes: Processes) -> None:
    processes.simulator()
    processes.sink()
    place = smsc("node", processes, smpp_customer(processes, "kannel"))
    kannel = Kannel(processes.folder / "kannel", processes, place)
    node = processes.node()
    kannel.start()
    kannel.bound("node")
    kannel.send("node", "5534998887755", "quem?", **{"from": "27000"})
    until(lambda: kannel.types("5534998887755") == [DELIVERED, ACKNOWLEDGED], "both receipts")
    kannel.unbind("node")
    until(lambda: '"reason":"the customer unbound"' in node.said, "an unbind")
    body = {"to": "27000", "from": "5534998887755", "text": "Sou eu"}
    assert request(processes.simulator_port, "POST", "/reply", body)[0] == 202
    until(lambda: mails_waiting(processes) == 1, "a reply that waits")
    kannel.bind("node")
    reply = Reply("node", "+5534998887755", "27000", "Sou eu")
    until(lambda: kannel.replies() == [reply], "the reply")
    until(lambda: mails_waiting(processes) == 0, "an empty mailbox")
