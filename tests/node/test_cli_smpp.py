"""What the command line says and does about customers that bind, on a node that runs and on a
directory alone."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from recado.smpp.status import ESME_RINVPASWD
from tests.support.processes import Processes, processes_in, request
from tests.support.smpp_caller import Refused, bound

_numbers = count(1)


class Place(Struct, frozen=True):
    """A data directory; a node may run on it."""

    processes: Processes

    def json(self, *arguments: str) -> Any:
        return self.processes.recado(*arguments, "--json").json()

    def problem(self, *arguments: str) -> str:
        """The one line of a command that could not do what it was asked."""
        ran = self.processes.recado(*arguments)
        assert (ran.code, ran.out) == (1, "")
        [line] = ran.err.splitlines()
        return line

    def create(self, *options: str) -> Any:
        return self.json("costcentre", "create", "--name", fresh(), *options)

    def opens(self, system_id: str, password: str) -> bool:
        """Whether somebody binds with these."""
        try:
            with bound(self.processes.smpp_port, system_id, password):
                return True
        except Refused as refused:
            if refused.args != (ESME_RINVPASWD,):
                raise
            return False


def fresh() -> str:
    return f"name-{next(_numbers)}"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A node that runs."""
    with processes_in(tmp_path_factory.mktemp("town")) as processes:
        processes.node("--no-simulator")
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


# --- logins --------------------------------------------------------------------------------------


def test_a_new_cost_centre_has_a_login_that_fits_smpps_fields(place: Place) -> None:
    made = place.create()
    assert re.fullmatch("[!-~]{1,15}", made["smpp_system_id"])
    assert re.fullmatch("[!-~]{8}", made["smpp_password"])
    shown = place.json("costcentre", "show", made["id"])
    assert shown["smpp_system_id"] == made["smpp_system_id"]
    assert "smpp_password" not in shown
    other = place.create()
    assert other["smpp_system_id"] != made["smpp_system_id"]
    assert other["smpp_password"] != made["smpp_password"]


def test_it_binds_with_what_was_printed_and_with_nothing_else(town: Place) -> None:
    made = town.create()
    assert town.opens(made["smpp_system_id"], made["smpp_password"])
    assert not town.opens(made["smpp_system_id"], made["smpp_password"][:-1])
    assert not town.opens(made["login"], made["password"][:8])


def test_a_customer_that_moves_brings_its_own(town: Place) -> None:
    own = ("--smpp-system-id", "Ana_do_Correio!", "--smpp-password", "x")
    made = town.create(*own)
    assert (made["smpp_system_id"], made["smpp_password"]) == ("Ana_do_Correio!", "x")
    assert town.opens("Ana_do_Correio!", "x")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("system-id", ""),
        ("system-id", "x" * 16),
        ("system-id", "a b"),
        ("system-id", "ação"),
        ("password", ""),
        ("password", "x" * 9),
        ("password", "senhã"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing_behind(
    town: Place, option: str, value: str
) -> None:
    before = town.json("costcentre", "list")
    line = town.problem("costcentre", "create", "--name", fresh(), f"--smpp-{option}", value)
    assert f"smpp_{option.replace('-', '_')} must have" in line
    assert town.json("costcentre", "list") == before


def test_what_is_taken_is_refused_and_leaves_nothing_behind(place: Place) -> None:
    made = place.create("--login", fresh())
    before = place.json("costcentre", "list")
    create = ("costcentre", "create", "--name", fresh())
    line = place.problem(*create, "--smpp-system-id", made["smpp_system_id"])
    assert "is taken" in line
    line = place.problem(*create, "--login", made["login"], "--smpp-system-id", "free-again")
    assert "is taken" in line
    assert place.json("costcentre", "list") == before
    assert place.create("--smpp-system-id", "free-again")["smpp_system_id"] == "free-again"
    place.json("costcentre", "rotate", "free-again")  # it is found by it


def test_a_cost_centre_is_found_by_its_system_id_unless_that_is_anothers_login(
    place: Place,
) -> None:
    first = place.create()
    assert place.json("costcentre", "show", first["smpp_system_id"])["id"] == first["id"]
    second = place.create("--login", first["smpp_system_id"])
    assert place.json("costcentre", "show", first["smpp_system_id"])["id"] == second["id"]


def test_a_new_password_leaves_the_old_one_open_for_a_while(town: Place) -> None:
    made = town.create()
    rotate = ("costcentre", "rotate", made["id"], "--smpp")
    first = town.json(*rotate)
    assert first.keys() == {"id", "smpp_system_id", "smpp_password"}
    assert first["smpp_system_id"] == made["smpp_system_id"]
    for password in (made["smpp_password"], first["smpp_password"]):
        assert town.opens(made["smpp_system_id"], password)
    second = town.json(*rotate, "--overlap-hours", "0")
    assert [
        town.opens(made["smpp_system_id"], each["smpp_password"]) for each in (made, first, second)
    ] == [False, False, True]
    body = {"destination_addr": "5534998887755", "message": "oi"}
    credentials = f"{made['login']}:{made['password']}"
    answer = request(town.processes.http_port, "POST", "/message", body, credentials)
    assert answer[0] == 200, "the password of HTTP is another one"


def test_a_cost_centre_of_before_gets_its_login_by_a_rotation(alone: Place) -> None:
    made = alone.create()
    with contextlib.closing(sqlite3.connect(alone.processes.data / "recado.db")) as database:
        database.execute("DELETE FROM config WHERE kind = 'smpp-login'")
        database.commit()
    assert alone.json("costcentre", "show", made["id"])["smpp_system_id"] is None
    rotated = alone.json("costcentre", "rotate", made["id"], "--smpp")
    shown = alone.json("costcentre", "show", made["id"])
    assert shown["smpp_system_id"] == rotated["smpp_system_id"]
    alone.processes.node("--no-simulator")
    assert alone.opens(rotated["smpp_system_id"], rotated["smpp_password"])


# --- settings ------------------------------------------------------------------------------------

SETTINGS = {
    "sends_by": ["smpp"],
    "reports_by": "smpp",
    "smpp_binds": 2,
    "smpp_window": 10,
    "smpp_alphabet": "latin1",
    "smpp_addresses": ["192.0.2.7", "198.51.100.0/24"],
}
OPTIONS = (
    *("--sends-by", "SMPP", "--reports-by", "smpp", "--smpp-binds", "2", "--smpp-window", "10"),
    *("--smpp-alphabet", "latin1", "--smpp-addresses", "192.0.2.7, 198.51.100.0/24"),
)


def test_its_smpp_settings_are_set_at_birth_or_later(place: Place) -> None:
    made, other = place.create(*OPTIONS), place.create()
    assert {name: made[name] for name in SETTINGS} == SETTINGS
    usual = {name: other[name] for name in SETTINGS}
    assert usual == {
        "sends_by": ["http", "smpp"],
        "reports_by": "origin",
        "smpp_binds": 4,
        "smpp_window": 64,
        "smpp_alphabet": "gsm",
        "smpp_addresses": [],
    }
    changed = place.json("costcentre", "update", other["id"], *OPTIONS)
    assert {name: changed[name] for name in SETTINGS} == SETTINGS
    back = ("--sends-by", "http,smpp", "--smpp-addresses", "any")
    changed = place.json("costcentre", "update", other["id"], *back)
    assert (changed["sends_by"], changed["smpp_addresses"]) == (["http", "smpp"], [])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sends-by", "mail"),
        ("sends-by", "none"),
        ("reports-by", "mail"),
        ("smpp-binds", "0"),
        ("smpp-window", "1001"),
        ("smpp-alphabet", "klingon"),
        ("smpp-addresses", "example.com"),
        ("smpp-addresses", "192.0.2.0/33"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(town: Place, option: str, value: str) -> None:
    made = town.create()
    line = town.problem("costcentre", "update", made["id"], f"--{option}", value)
    assert option.replace("-", "_") in line
    shown = town.json("costcentre", "show", made["id"])
    assert shown["version"] == 0
