"""What the command line says and does about customers that bind, on a node that runs and on a
directory alone."""

import contextlib
import os
import pty
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from node.installation import TEMPLATE, open_installation
from node.template import read_template
from recado.engine import Mail
from recado.engine.embedded import claim_directory
from recado.engine.embedded.keyring import SECRETS_NAME, FolderKeyring
from recado.settings import read_settings
from recado.smpp.status import ESME_RINVPASWD
from tests.node.test_cli_stack import (
    Account,
    account,  # noqa: F401 - a fixture, which one test here uses
    needs_emulator,
    nobodys_profile,  # noqa: F401 - the same
)
from tests.support.processes import RECADO, Processes, Ran, environment, processes_in, request
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


# --- secrets that do not stand on the command line -----------------------------------------------

ADD = ("connector", "add", "--kind", "smpp", "--setting=host=smsc.example", "--setting=system_id=a")


def kept_password(place: Place, connector: str) -> str | None:
    return FolderKeyring(place.processes.data / SECRETS_NAME).get(f"connector/{connector}/password")


def apart(place: Place, *arguments: str, typed: str) -> Ran:
    """A command as a process of its own, with something on its standard input."""
    done = subprocess.run(
        [*RECADO, *arguments, "--data", str(place.processes.data)],
        input=typed,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def at_a_terminal(place: Place, *arguments: str, asks: str, typed: str) -> Ran:
    """The same at a terminal, where somebody types once it has asked. In place of standard error:
    all that the terminal shows."""
    ours, theirs = pty.openpty()
    command = [*RECADO, *arguments, "--data", str(place.processes.data)]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(),
        start_new_session=True,
    )
    os.close(theirs)
    screen = b""
    with contextlib.suppress(OSError), open(ours, "r+b", buffering=0) as terminal:
        while asks.encode() not in screen:
            screen += terminal.read(1_000)
        terminal.write(typed.encode() + b"\n")
        while more := terminal.read(1_000):  # raises where nobody has the other end any more
            screen += more
    out = process.communicate(timeout=60)[0].decode()
    return Ran(process.returncode, out, screen.decode())


@pytest.mark.parametrize("content", [b"s3gr=d0!", b"s3gr=d0!\n", b"s3gr=d0!\r\n"])
def test_a_setting_is_read_from_a_file(place: Place, tmp_path: Path, content: bytes) -> None:
    secret, name = tmp_path / "secret", fresh()
    secret.write_bytes(content)
    made = place.json(*ADD, name, f"--setting=password=@{secret}")
    assert made["settings"]["password"] == "***"
    assert kept_password(place, name) == "s3gr=d0!"
    secret.write_text("another\n")
    place.json("connector", "update", name, f"--setting=password=@{secret}")
    assert kept_password(place, name) == "another"


def test_what_begins_with_an_at_sign_is_written_with_two(place: Place, tmp_path: Path) -> None:
    secret, name = tmp_path / "secret", fresh()
    secret.write_text("@@is\n")
    made = place.json(*ADD, name, "--setting=password=@@it", "--setting=system_type=@@x@")
    assert (kept_password(place, name), made["settings"]["system_type"]) == ("@it", "@x@")
    place.json("connector", "update", name, f"--setting=password=@{secret}")
    assert kept_password(place, name) == "@@is"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"", "one line"),
        (b"\n", "one line"),
        (b"two\nlines\n", "one line"),
        (b"x" * 5_000, "one line"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_a_file_that_holds_no_value_is_told_and_nothing_is_made(
    alone: Place, tmp_path: Path, content: bytes | None, told: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    alone.create()
    line = alone.problem(*ADD, fresh(), f"--setting=password=@{secret}")
    assert "password" in line
    assert told in line
    assert ("@@" in line) == (content is None or told == "no text")
    assert alone.json("connector", "list") == []


def test_who_forgot_the_second_at_sign_does_not_read_his_password(alone: Place) -> None:
    alone.create()
    assert "s3gredo" not in alone.problem(*ADD, fresh(), "--setting=password=@s3gredo")


def test_a_secret_is_asked_for_and_not_shown_while_it_is_typed(alone: Place) -> None:
    name = fresh()
    ran = at_a_terminal(
        alone, *ADD, name, "--setting=password=-", asks="password: ", typed="s3gr=d0!"
    )
    assert ran.code == 0, ran.err
    assert "s3gr" not in ran.out + ran.err
    assert kept_password(alone, name) == "s3gr=d0!"


def test_a_secret_may_come_through_a_pipe(place: Place) -> None:
    name = fresh()
    ran = apart(place, *ADD, name, "--setting=password=-", typed="s3gr=d0!\n")
    assert (ran.code, ran.err) == (0, "")
    assert kept_password(place, name) == "s3gr=d0!"
    update = ("connector", "update", name, "--setting=password=-")
    assert apart(place, *update, typed="another").code == 0
    assert kept_password(place, name) == "another"
    ran = apart(place, *update, typed="")
    assert ran.code == 1
    assert "password must be one line" in ran.err
    assert kept_password(place, name) == "another"


def test_a_hyphen_is_a_value_like_any_other_where_it_is_no_secret(place: Place) -> None:
    name = fresh()
    assert place.json(*ADD, name, "--setting=system_type=-")["settings"]["system_type"] == "-"
    changed = place.json("connector", "update", name, "--setting=service_type=-")
    assert changed["settings"]["service_type"] == "-"


def test_a_customers_passwords_are_read_from_files_or_asked_for(
    town: Place, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("segredo1\n")
    made = town.create("--smpp-password", f"@{secret}", "--password", f"@{secret}")
    assert (made["password"], made["smpp_password"]) == ("segredo1", "segredo1")
    assert town.opens(made["smpp_system_id"], "segredo1")
    create = ("costcentre", "create", "--name", fresh(), "--json")
    ran = apart(town, *create, "--smpp-password", "-", "--password", "-", typed="outro1\noutro2\n")
    assert sorted(ran.json()[name] for name in ("password", "smpp_password")) == [
        "outro1",
        "outro2",
    ]
    line = town.problem("costcentre", "create", "--name", fresh(), "--smpp-password", "@nothing")
    assert "smpp_password can't be read" in line
    assert town.create("--smpp-password", "@@it")["smpp_password"] == "@it"


# --- mailboxes -----------------------------------------------------------------------------------

DAY = 86_400.0


def mail(cost_centre: str, owed_at: float, expires: float | None = None) -> Mail:
    place = f"{int(owed_at * 1000):013d}#{next(_numbers):036}#2"
    return Mail(cost_centre, place, "{}", time.time() + DAY if expires is None else expires)


def post(place: Place, mails: list[Mail]) -> None:
    """Into a directory that no node has."""
    data = place.processes.data
    with claim_directory(data):
        wiring, settings = read_template(TEMPLATE), read_settings({})
        deps, database, _ = open_installation(data, wiring, settings, lambda _: [])
        deps.engine.store.post(mails)
        database.close()


def day(ago: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=ago)


def at(ago: int) -> float:
    return day(ago).timestamp()


def test_mailboxes_are_listed_with_what_waits_and_since_when(alone: Place) -> None:
    first, second, nobodys, over = (alone.create() for _ in range(4))
    old, recent = day(3), day(1)
    post(
        alone,
        [
            *(mail(first["id"], recent.timestamp() + n) for n in range(3)),
            *(mail(second["id"], old.timestamp() + n) for n in range(2)),
            mail(over["id"], at(40), expires=at(10)),
            mail(second["id"], at(40), expires=at(10)),
        ],
    )
    rows = alone.json("mailbox", "list")
    listed = [(row["id"], row["waiting"], datetime.fromisoformat(row["oldest"])) for row in rows]
    assert listed == [(second["id"], 2, old), (first["id"], 3, recent)]
    assert {(row["binds"], row["receivers"], row["more"]) for row in rows} == {(None, None, False)}
    [row] = alone.json("mailbox", "list", "--cost-centre", nobodys["smpp_system_id"])
    assert (row["id"], row["name"]) == (nobodys["id"], nobodys["name"])
    assert (row["waiting"], row["oldest"]) == (0, None)
    alone.processes.node("--no-simulator")
    counted = {"binds": 0, "receivers": 0}
    [row] = alone.json("mailbox", "list", "--cost-centre", first["id"])
    assert row == {**next(row for row in rows if row["id"] == first["id"]), **counted}


def test_what_was_owed_before_a_day_is_dropped_and_the_rest_stays(alone: Place) -> None:
    made, other = alone.create(), alone.create()
    old, recent = at(9), at(1)
    post(alone, [mail(who["id"], when) for who in (made, other) for when in (old, old + 1, recent)])
    drop = ("mailbox", "drop", made["name"], "--yes")
    before = day(8).isoformat()
    assert alone.json(*drop, "--before", before) == {
        "id": made["id"],
        "name": made["name"],
        "dropped": 2,
    }
    assert alone.json(*drop, "--before", "8d")["dropped"] == 0
    waiting = {row["id"]: row["waiting"] for row in alone.json("mailbox", "list")}
    assert waiting == {made["id"]: 1, other["id"]: 3}
    assert alone.json(*drop, "--all")["dropped"] == 1
    waiting = {row["id"]: row["waiting"] for row in alone.json("mailbox", "list")}
    assert waiting == {other["id"]: 3}


def test_a_mailbox_of_many_thousands_is_counted_up_to_a_point_and_dropped_whole(
    alone: Place,
) -> None:
    made, since = alone.create(), at(2)
    post(alone, [mail(made["id"], since + n / 1000) for n in range(10_000)])
    [row] = alone.json("mailbox", "list")
    assert (row["waiting"], row["more"]) == (10_000, False)
    post(alone, [mail(made["id"], since - n / 1000) for n in range(12_001)])
    [row] = alone.json("mailbox", "list")
    assert (row["waiting"], row["more"]) == (10_000, True)
    lines = alone.processes.recado("mailbox", "list").out.splitlines()
    assert lines[1].split()[2] == "10000+"
    alone.processes.node("--no-simulator")
    dropped = alone.json("mailbox", "drop", made["id"], "--all", "--yes")
    assert dropped["dropped"] == 22_001
    assert alone.json("mailbox", "list") == []


def test_nothing_is_dropped_unless_somebody_says_yes(alone: Place) -> None:
    made = alone.create()
    post(alone, [mail(made["id"], at(2)), mail(made["id"], at(1))])
    drop = ("mailbox", "drop", made["id"], "--all")
    assert "--yes" in apart(alone, *drop, typed="y\n").err
    ran = at_a_terminal(alone, *drop, "--json", asks="[y/N]", typed="n")
    assert ran.code == 1
    assert "nothing was dropped" in ran.err
    assert alone.json("mailbox", "list")[0]["waiting"] == 2
    ran = at_a_terminal(alone, *drop, "--json", asks="[y/N]", typed="y")
    assert f"Drop 2 receipts and replies for {made['name']}" in ran.err
    assert ran.json()["dropped"] == 2
    assert alone.json("mailbox", "list") == []


def test_what_to_drop_has_to_be_said(town: Place) -> None:
    made = town.create()
    drop = ("mailbox", "drop", made["id"], "--yes")
    for options in ((), ("--all", "--before", "2d")):
        assert "--before TIME or --all" in town.problem(*drop, *options)
    assert "no time" in town.problem(*drop, "--before", "yesterday")
    assert "nobody" in town.problem("mailbox", "drop", "nobody", "--all", "--yes")


@needs_emulator
def test_mailboxes_of_a_stack_are_listed_and_dropped_from_here(account: Account) -> None:  # noqa: F811 - the fixture
    made, old = account.create(), day(9)
    store = account.deps().engine.store
    store.post([mail(made["id"], old.timestamp() + n) for n in range(30)])
    store.post([mail(made["id"], at(1))])
    which = ("--cost-centre", made["id"])
    [row] = account.json("mailbox", "list", *which)
    assert (row["waiting"], datetime.fromisoformat(row["oldest"])) == (31, old)
    assert (row["binds"], row["receivers"]) == (None, None)
    drop = ("mailbox", "drop", made["id"], "--yes")
    assert account.json(*drop, "--before", "8d")["dropped"] == 30
    assert account.json(*drop, "--all")["dropped"] == 1
    assert account.json("mailbox", "list", *which)[0]["waiting"] == 0
