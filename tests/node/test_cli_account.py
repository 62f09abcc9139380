"""`recado credit` and `recado usage`, on a node that runs and on a directory alone."""

import csv
import io
import json
import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.control import SOCKET_NAME
from recado.ids import is_id
from tests.support.processes import Processes, processes_in, recado, request, until

NUMBER = "5534998887755"
_numbers = count(1)


class Place(Struct, frozen=True):
    """A data directory; a node may run on it."""

    processes: Processes

    def json(self, *arguments: str) -> Any:
        return self.processes.recado(*arguments, "--json").json()

    def said(self, *arguments: str) -> str:
        ran = self.processes.recado(*arguments)
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    def problem(self, *arguments: str) -> str:
        """The one line that a command ends with that could not do what it was asked."""
        ran = self.processes.recado(*arguments)
        assert (ran.code, ran.out) == (1, "")
        [line] = ran.err.splitlines()
        return line.removeprefix("recado: ")

    def customer(self, *options: str) -> str:
        """A cost centre that pays in advance; its name."""
        name = f"name-{next(_numbers)}"
        prices = ("--prepaid", "--price", "0,10", "--voice-price", "0.305", "--low-balance", "5")
        self.json("costcentre", "create", "--name", name, *prices, *options)
        return name

    def ledger(self, name: str) -> list[tuple[str, str, str]]:
        lines = self.json("credit", "ledger", name)
        return sorted((line["kind"], line["amount"], line["note"]) for line in lines)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A node that runs, with a simulator."""
    with processes_in(tmp_path_factory.mktemp("town")) as processes:
        processes.simulator()
        processes.node()
        yield Place(processes)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Place]:
    """A directory that is not there yet, and no node."""
    with processes_in(tmp_path) as processes:
        yield Place(processes)


@pytest.fixture(params=["town", "alone"])
def place(request: pytest.FixtureRequest) -> Place:
    """The one and the other."""
    found: Place = request.getfixturevalue(request.param)
    return found


# --- credit --------------------------------------------------------------------------------------


def test_what_is_paid_is_added_and_stands_in_the_ledger(place: Place) -> None:
    name = place.customer()
    added = place.json("credit", "add", name, "100.00", "--note", "invoice 7")
    assert is_id(added["reference"])
    shown = place.json("credit", "show", name)
    assert added == {"reference": added["reference"], **shown}
    del shown["id"]
    assert shown == {
        "name": name,
        "prepaid": True,
        "balance": "100.00",
        "currency": "BRL",
        "price": "0.10",
        "voice_price": "0.305",
        "low_balance": "5.00",
    }
    place.said("credit", "add", name, "0,005")
    assert place.ledger(name) == [("credit", "0.005", ""), ("credit", "100.00", "invoice 7")]
    assert "100.005" in place.said("credit", "show", name)
    assert "invoice 7" in place.said("credit", "ledger", name)


def test_a_payment_with_the_reference_of_an_earlier_try_is_added_once(place: Place) -> None:
    name = place.customer()
    added = place.json("credit", "add", name, "5.00")
    again = ("credit", "add", name, "5.00", "--reference", added["reference"])
    assert place.problem(*again) == f"{added['reference']} was added before"
    assert place.json("credit", "show", name)["balance"] == "5.00"
    taken = place.json("credit", "add", name, "-5.00")
    back = ("credit", "add", name, "-5.00", "--reference", taken["reference"])
    assert place.problem(*back) == f"{taken['reference']} was added before"


def test_what_was_paid_too_much_is_taken_back_down_to_zero(place: Place) -> None:
    name = place.customer()
    place.json("credit", "add", name, "5.00")
    assert place.json("credit", "add", name, "-4.99")["balance"] == "0.01"
    assert place.problem("credit", "add", name, "-0.02") == "amount is more than the balance"
    assert place.ledger(name) == [("credit", "-4.99", ""), ("credit", "5.00", "")]


@pytest.mark.parametrize("amount", ["0", "much", "1.000,00", "1e3", "0.00001"])
def test_an_amount_that_makes_no_sense_is_refused(place: Place, amount: str) -> None:
    name = place.customer()
    assert place.problem("credit", "add", name, amount).startswith("amount ")
    assert place.ledger(name) == []


def test_a_reference_that_is_none_of_ours_is_refused(place: Place) -> None:
    name = place.customer()
    problem = place.problem("credit", "add", name, "5", "--reference", "pix-7")
    assert problem == "reference must be one that an earlier try gave"


def test_nobodys_account_is_not_found(place: Place) -> None:
    place.customer()
    for command in (("add", "nobody", "5"), ("show", "nobody"), ("ledger", "nobody")):
        assert place.problem("credit", *command).startswith("no cost centre has the id")


def test_a_ledger_of_several_pages_is_shown_whole(alone: Place) -> None:
    name = alone.customer()
    alone.json("credit", "add", name, "11.00")
    for _ in range(105):
        alone.json("send", "--cost-centre", name, "--to", NUMBER, "oi")
    assert alone.ledger(name) == [("charge", "-0.10", "")] * 105 + [("credit", "11.00", "")]
    assert alone.json("credit", "show", name)["balance"] == "0.50"


def test_who_gets_no_answer_is_told_how_to_ask_again(tmp_path: Path) -> None:
    """A node that takes the command and dies."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as node:
        node.bind(str(tmp_path / SOCKET_NAME))
        node.listen()
        heard: list[bytes] = []

        def die() -> None:
            connection, _ = node.accept()
            with connection:
                heard.append(connection.recv(65_536))

        thread = threading.Thread(target=die)
        thread.start()
        ran = recado("credit", "add", "ana", "5.00", "--data", tmp_path)
        thread.join()
    reference = json.loads(heard[0])["arguments"]["reference"]
    assert is_id(reference)
    assert ran.code == 1
    assert f"with --reference {reference} it is added once" in " ".join(ran.err.split())


# --- usage ---------------------------------------------------------------------------------------


def test_what_was_sent_is_charged_and_counted(town: Place) -> None:
    name = town.customer("--login", "bia", "--password", "segredo12345678")
    town.json("credit", "add", name, "0.25")
    port, credentials = town.processes.http_port, "bia:segredo12345678"
    asked = {"destination_addr": NUMBER, "message": "oi"}
    answers = [request(port, "POST", "/message", asked, credentials)[0] for _ in range(3)]
    assert answers == [200, 200, 402]
    until(
        lambda: [r["state"] for r in town.json("usage", "--cost-centre", name)] == ["DELIVERED"],
        "both delivered",
    )
    [row] = town.json("usage", "--cost-centre", name)
    identifier = town.json("credit", "show", name)["id"]
    assert row["cost_centre"] == identifier
    assert (row["messages"], row["segments"], row["units"]) == (2, 2, 2)
    assert request(port, "GET", "/usage", None, credentials) == (200, {"usage": [row]})
    assert request(port, "GET", "/balance", None, credentials)[1]["balance"] == "0.05"
    assert row in town.json("usage"), "of all"
    assert town.ledger(name) == [
        ("charge", "-0.10", ""),
        ("charge", "-0.10", ""),
        ("credit", "0.25", ""),
    ]
    told = list(csv.DictReader(io.StringIO(town.said("usage", "--cost-centre", name, "--csv"))))
    assert told == [{key: str(value) for key, value in row.items()}]
    assert "DELIVERED" in town.said("usage", "--cost-centre", name)


def test_days_without_messages_are_no_rows_and_csv_has_its_header_all_the_same(
    place: Place,
) -> None:
    name = place.customer()
    days = ("--since", "2001-01-01", "--until", "2001-12-31")
    assert place.json("usage", "--cost-centre", name, *days) == []
    header = "day,cost_centre,connector,state,messages,segments,units\r\n"
    assert place.said("usage", "--cost-centre", name, *days, "--csv") == header


def test_a_question_for_usage_that_makes_no_sense_is_refused(place: Place) -> None:
    name = place.customer()
    of = ("usage", "--cost-centre", name)
    assert place.problem(*of, "--since", "May").startswith("since is no day")
    backwards = ("--since", "2026-05-29", "--until", "2026-05-28")
    assert place.problem(*of, *backwards) == "since must not lie after until"
    assert place.problem("usage", "--cost-centre", "nobody").startswith("no cost centre")
