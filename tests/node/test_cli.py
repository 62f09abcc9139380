"""Every command of `recado`, on a node that runs and on a directory alone."""

import json
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import typer
from msgspec import Struct

from node.cli import app
from node.control import SOCKET_NAME
from node.installation import TEMPLATE, make_durable, open_installation
from node.template import read_template
from recado.engine.embedded import claim_directory
from recado.engine.embedded.database import Database
from recado.errors import Misconfigured
from recado.settings import Settings
from tests.support.processes import (
    Process,
    Processes,
    Ran,
    environment,
    free_port,
    processes_in,
    recado,
    request,
    until,
)

NUMBER = "5534998887755"
_numbers = count(1)


class Place(Struct, frozen=True):
    """A data directory, and whether a node runs on it."""

    processes: Processes
    runs: bool

    def recado(self, *arguments: str) -> Ran:
        return self.processes.recado(*arguments)

    def json(self, *arguments: str) -> Any:
        return self.recado(*arguments, "--json").json()

    def create(self, *options: str) -> dict[str, Any]:
        made: dict[str, Any] = self.json("costcentre", "create", "--name", fresh(), *options)
        return made

    def problem(self, *arguments: str) -> str:
        """The one line that a command ends with that could not do what it was asked."""
        for form in ((), ("--json",)):
            ran = self.recado(*arguments, *form)
            assert ran.code == 1
            assert ran.out == ""
            [line] = ran.err.splitlines()
            assert line.startswith("recado: ")
        return line


def fresh() -> str:
    """A name that no other test has."""
    return f"name-{next(_numbers)}"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A node that runs, with a simulator and a sink."""
    with processes_in(tmp_path_factory.mktemp("town")) as processes:
        processes.simulator()
        processes.sink()
        processes.node()
        yield Place(processes, runs=True)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Place]:
    """A data directory with nothing in it, and no node."""
    with processes_in(tmp_path) as processes:
        place = Place(processes, runs=False)
        place.create()
        yield place


@pytest.fixture(params=["town", "alone"])
def place(request: pytest.FixtureRequest) -> Place:
    """The one and the other."""
    found: Place = request.getfixturevalue(request.param)
    return found


def credentials(made: dict[str, Any]) -> str:
    return f"{made['login']}:{made['password']}"


def status(place: Place, who: str) -> int:
    """The status of a request with these credentials."""
    body = {"destination_addr": NUMBER, "message": "oi"}
    answered, _ = request(place.processes.http_port, "POST", "/message", body, who)
    return answered


def send(place: Place, made: dict[str, Any], to: str = NUMBER) -> str:
    answer = place.json("send", "--cost-centre", made["id"], "--to", to, "oi")
    return str(answer["message_id"])


def reports(place: Place, identifier: str) -> list[int]:
    return [report["type"] for report in place.processes.reports(identifier)]


def state(place: Place, identifier: str) -> str | None:
    shown = place.recado("message", "show", identifier, "--json")
    return str(shown.json()["state"]) if shown.code == 0 else None


# --- the command line itself ---------------------------------------------------------------------


def commands(
    command: Any = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))
    yield path, command


def test_every_command_and_every_option_says_what_it_is_for() -> None:
    found = dict(commands())
    assert not [path for path, command in found.items() if not command.help]
    silent = [
        (*path, parameter.name)
        for path, command in found.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert not silent


def test_every_command_that_tells_something_tells_it_as_json_too() -> None:
    leaves = {path: command for path, command in commands() if not hasattr(command, "commands")}
    without = {
        path
        for path, command in leaves.items()
        if "--json" not in [name for parameter in command.params for name in parameter.opts]
    }
    assert without == {("up",), ("simulator",)}


def test_the_program_runs_and_says_which_commands_it_has() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("recado"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        timeout=30,
    )
    words = ("up", "costcentre", "connector", "route", "message", "queue", "backup", "--stack")
    assert all(word in done.stdout for word in words)


# --- cost centres --------------------------------------------------------------------------------


def test_a_new_cost_centre_is_one_json_object_with_its_login_and_password(place: Place) -> None:
    made = place.create()
    assert len(made["id"]) == 36
    assert made["login"].startswith("cc-")
    assert len(made["password"]) >= 22
    shown = place.json("costcentre", "show", made["id"])
    told_once = ("password", "client_id", "client_secret", "smpp_password")
    assert shown == {name: value for name, value in made.items() if name not in told_once}


def test_its_client_id_and_secret_are_its_login_and_password(place: Place) -> None:
    made = place.create()
    assert (made["client_id"], made["client_secret"]) == (made["login"], made["password"])
    rotated = place.json("costcentre", "rotate", made["id"])
    assert rotated["client_id"] == made["client_id"]
    assert rotated["client_secret"] == rotated["password"] != made["client_secret"]


def test_the_password_that_was_made_up_opens_the_door(town: Place) -> None:
    made = town.create()
    assert status(town, credentials(made)) == 200
    assert status(town, f"{made['login']}:{made['password']}x") == 401


def test_a_login_and_password_that_are_brought_along_open_the_door(town: Place) -> None:
    login, password = f"cliente {fresh()}", "çedilha: e dois pontos"
    made = town.create("--login", login, "--password", password)
    assert (made["login"], made["password"]) == (login, password)
    assert status(town, f"{login}:{password}") == 200


@pytest.mark.parametrize(
    ("written", "kept"),
    [("1,2", ["1", "2"]), ("2, 1", ["2", "1"]), ("1", ["1"]), ("2", ["2"]), ("none", [])],
)
def test_the_reports_that_it_wants_are_written_as_a_list(
    alone: Place, written: str, kept: list[str]
) -> None:
    assert alone.create("--reports", written)["reports"] == kept


@pytest.mark.parametrize(("wanted", "types"), [("1", [1]), ("2", [2]), ("2,1", [1, 2])])
def test_only_the_reports_that_it_wants_are_given(
    town: Place, wanted: str, types: list[int]
) -> None:
    made = town.create("--reports", wanted, "--callback-url", town.processes.callback_url)
    identifier = send(town, made)
    until(lambda: len(reports(town, identifier)) >= len(types), "the reports")
    until(lambda: state(town, identifier) == "DELIVERED", "its end")
    assert reports(town, identifier) == types


def test_a_cost_centre_that_wants_no_reports_gets_none(town: Place) -> None:
    made = town.create("--reports", "none", "--callback-url", town.processes.callback_url)
    identifier = send(town, made)
    until(lambda: state(town, identifier) == "DELIVERED", "its end")
    assert town.json("message", "show", identifier).get("reports", []) == []
    assert reports(town, identifier) == []


def test_a_cost_centre_may_take_its_reports_by_get(town: Place) -> None:
    made = town.create("--callback-method", "get", "--callback-url", town.processes.callback_url)
    identifier = send(town, made)
    until(lambda: len(reports(town, identifier)) == 2, "both reports")
    lines = [line for line in town.processes.sink_lines() if identifier in line["query"]]
    assert [line["method"] for line in lines] == ["GET", "GET"]


def test_every_setting_can_be_given_at_birth_and_changed_later(place: Place) -> None:
    first = {
        "callback-url": "https://customer.example/a",
        "callback-method": "GET",
        "callback-get-form": "query",
        "time-zone": "America/Manaus",
        "validity": "600",
        "max-segments": "3",
        "per-second": "50",
        "daily-quota": "1000",
        "price": "0.085",
        "voice-price": "0.30",
        "low-balance": "10.00",
        "currency": "EUR",
        "token-seconds": "600",
    }
    switches = ["--strict-numbers", "--fixed-lines", "--no-replace-accents", "--impediments-ok"]
    switches += ["--international", "--prepaid"]
    made = place.create(*[f"--{name}={value}" for name, value in first.items()], *switches)
    shown = place.json("costcentre", "show", made["login"])
    assert {name: str(shown[name.replace("-", "_")]) for name in first} == first
    flags = ("strict_numbers", "fixed_lines", "replace_accents", "impediments_ok")
    assert [shown[flag] for flag in flags] == [True, True, False, True]
    assert (shown["international"], shown["prepaid"]) == (True, True)

    name = fresh()
    changes = ["--name", name, "--per-second", "0", "--no-strict-numbers", "--reports", "none"]
    changes += ["--no-prepaid", "--price", "1,5"]
    updated = place.json("costcentre", "update", made["id"], *changes)
    changed = {"name": name, "per_second": 0, "strict_numbers": False, "reports": []}
    changed |= {"prepaid": False, "price": "1.50"}
    assert updated == {**shown, **changed, "version": shown["version"] + 1}
    assert place.json("costcentre", "show", name) == updated


def test_a_cost_centre_is_found_by_its_id_its_login_and_its_name(place: Place) -> None:
    made = place.create("--login", fresh())
    found = [place.json("costcentre", "show", made[by]) for by in ("id", "login", "name")]
    assert found[0] == found[1] == found[2]
    listed = place.json("costcentre", "list")
    assert found[0] in listed
    assert len({shown["id"] for shown in listed}) == len(listed)


def test_secrets_are_told_once_and_never_again(place: Place) -> None:
    made = place.create("--sign")
    assert made["signing_secret"].startswith("whsec_")
    later = [
        place.recado("costcentre", command, *which, *form).out
        for command, *which in (("list",), ("show", made["id"]))
        for form in ((), ("--json",))
    ]
    assert place.json("costcentre", "show", made["id"])["signed"] is True
    for secret in (made["signing_secret"], made["password"]):
        assert not [text for text in later if secret in text]


def test_what_a_person_reads_is_never_cut_short_nor_taken_for_markup(place: Place) -> None:
    name, url = f"[teste] {fresh()} [/x] :smile: \x1b[31m", "https://customer.example/" + "a" * 90
    ran = place.recado("costcentre", "create", "--name", name, "--callback-url", url)
    made = dict(line.partition("  ")[::2] for line in ran.out.splitlines())
    assert len(made["password"].strip()) >= 22
    table = place.recado("costcentre", "list").out
    [row] = [line for line in table.splitlines() if made["id"].strip() in line]
    shown = name.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert shown in row
    assert url in row
    assert shown in place.recado("costcentre", "show", name).out


def test_while_two_passwords_overlap_both_open_the_door(town: Place) -> None:
    made = town.create()
    rotated = town.json("costcentre", "rotate", made["id"])
    assert rotated["login"] == made["login"]
    assert rotated["password"] != made["password"]
    assert status(town, credentials(made)) == 200
    assert status(town, credentials(rotated)) == 200


def test_after_the_overlap_the_old_password_opens_no_more(town: Place) -> None:
    made = town.create()
    assert status(town, credentials(made)) == 200
    rotated = town.json("costcentre", "rotate", made["id"], "--overlap-hours", "0.0002")
    until(lambda: status(town, credentials(made)) == 401, "the end of the old password")
    assert status(town, credentials(rotated)) == 200


def test_without_an_overlap_the_old_passwords_end_at_once(town: Place) -> None:
    made = town.create()
    second = town.json("costcentre", "rotate", made["id"])
    assert [status(town, credentials(old)) for old in (made, second)] == [200, 200]
    third = town.json("costcentre", "rotate", made["id"], "--overlap-hours", "0")
    answers = [status(town, credentials(each)) for each in (made, second, third)]
    assert answers == [401, 401, 200]


def test_a_cost_centre_says_nothing_on_fixed_lines_until_somebody_does(alone: Place) -> None:
    made = alone.create()
    assert made["fixed_lines"] is None
    assert alone.create("--no-fixed-lines")["fixed_lines"] is False


def test_suspending_and_resuming_take_effect_at_once(town: Place) -> None:
    made = town.create("--callback-url", town.processes.callback_url)
    assert status(town, credentials(made)) == 200
    identifier = send(town, made)
    assert town.json("costcentre", "suspend", made["id"])["suspended"] is True
    assert status(town, credentials(made)) == 403
    until(lambda: reports(town, identifier) == [1, 2], "the reports of what was sent before")
    assert town.json("costcentre", "resume", made["login"])["suspended"] is False
    assert status(town, credentials(made)) == 200


def test_suspending_without_a_node_is_kept(alone: Place) -> None:
    made = alone.create()
    alone.json("costcentre", "suspend", made["name"])
    assert alone.json("costcentre", "show", made["id"])["suspended"] is True
    assert "yes" in alone.recado("costcentre", "resume", made["id"]).out  # wants its accents
    assert alone.json("costcentre", "show", made["id"])["suspended"] is False


# --- messages ------------------------------------------------------------------------------------


def test_a_message_is_shown_with_its_state_its_history_and_each_try_at_a_callback(
    town: Place,
) -> None:
    made = town.create("--callback-url", town.processes.callback_url)
    town.processes.sink_answers(status=503, first=1)
    identifier = send(town, made)
    until(lambda: reports(town, identifier) == [1, 1, 2], "the second try")
    until(lambda: is_told(town, identifier), "that the second report was given")
    shown = town.json("message", "show", identifier.upper())
    assert shown["state"] == "DELIVERED"
    assert [event["state"] for event in shown["history"]] == [
        *("QUEUED", "SUBMITTING", "ENROUTE", "DELIVERED")
    ]
    tries = [[attempt["status"] for attempt in report["tries"]] for report in shown["reports"]]
    assert tries == [[503, 200], [200]]
    lines = town.recado("message", "show", identifier).out.splitlines()
    for wanted in ("DELIVERED", "ESME_ROK", "DELIVRD", "  503"):
        assert [line for line in lines if wanted in line], wanted
    assert len([line for line in lines if "given" in line]) == 2


def is_told(place: Place, identifier: str) -> bool:
    found = place.json("message", "show", identifier).get("reports", [])
    return len(found) == 2 and not any(report["owed"] for report in found)


def test_a_batch_is_shown_by_its_id(town: Place) -> None:
    made = town.create("--callback-url", town.processes.callback_url)
    body = {"list": [{"destination_addr": NUMBER, "message": "oi"}] * 2}
    port = town.processes.http_port
    _, answer = request(port, "POST", "/message/batch", body, credentials(made))
    batch = answer["batchId"]
    until(lambda: town.recado("message", "show", batch).code == 0, "its record")
    assert town.json("message", "show", batch)["count"] == 2


def test_what_is_sent_without_a_node_goes_out_when_one_starts(alone: Place) -> None:
    processes = alone.processes
    processes.simulator()
    processes.sink()
    made = alone.create("--callback-url", processes.callback_url)
    identifier = send(alone, made)
    depths = {depth["queue"]: depth["ready"] for depth in alone.json("queue", "list")}
    assert depths["Submit"] == 1
    node = processes.node()
    until(lambda: reports(alone, identifier) == [1, 2], "both reports")
    assert node.end() == 0
    assert alone.json("message", "show", identifier)["state"] == "DELIVERED"


def test_a_replay_gives_every_report_of_the_range_once_more(town: Place) -> None:
    made = town.create("--callback-url", town.processes.callback_url)
    identifier = send(town, made)
    until(lambda: is_told(town, identifier), "both reports")
    answer = town.json("replay", "--cost-centre", made["id"], "--since", "1h")
    assert answer["until"] - answer["since"] == pytest.approx(3600, abs=60)
    until(lambda: reports(town, identifier) == [1, 2, 1, 2], "both again")
    lines = [x for x in town.processes.sink_lines() if x["body"].get("message_id") == identifier]
    names = [line["headers"]["webhook-id"] for line in lines]
    assert names[:2] == names[2:]
    until(lambda: is_told(town, identifier), "an answer to the last")
    town.json("replay", "--cost-centre", made["id"], "--since", "2h", "--until", "1h")
    marker = send(town, made)
    until(lambda: reports(town, marker) == [1, 2], "what comes after the replay of nothing")
    assert len(reports(town, identifier)) == 4


@pytest.mark.parametrize(
    "since", ["2020-01-01", "2020-01-01T10:00", "2020-01-01T10:00:00-03:00", "90s", "1.5h", "3d"]
)
def test_a_time_may_be_written_as_a_date_or_as_a_while_ago(alone: Place, since: str) -> None:
    made = alone.create("--callback-url", "https://customer.example/")
    assert alone.json("replay", "--cost-centre", made["id"], "--since", since)["since"] > 0


# --- queues --------------------------------------------------------------------------------------


def bury(folder: Path, queue: str, body: str) -> None:
    """Puts a dead letter where no node runs."""
    with claim_directory(folder):
        wiring = read_template(TEMPLATE)
        deps, database, _ = open_installation(folder, wiring, Settings(), lambda _: [])
        deps.engine.queue.bury(queue, body, "somebody")
        database.close()


def test_dead_letters_are_counted_and_go_back_on_their_queue(alone: Place) -> None:
    bury(alone.processes.data, "Inbound", "{}")
    bury(alone.processes.data, "Inbound", "{}")

    def inbound() -> tuple[int, int]:
        found = [depth for depth in alone.json("queue", "list") if depth["queue"] == "Inbound"]
        return found[0]["ready"], found[0]["dead"]

    assert inbound() == (0, 2)
    assert alone.json("queue", "redrive", "inbound") == {"queue": "Inbound", "redriven": 2}
    assert inbound() == (2, 0)
    assert "redriven  0" in alone.recado("queue", "redrive", "Inbound").out


def test_the_queues_of_a_running_node_are_listed(town: Place) -> None:
    queues = town.json("queue", "list")
    assert {tuple(sorted(depth)) for depth in queues} == {("dead", "delayed", "queue", "ready")}
    names = {consumer.queue for consumer in read_template(TEMPLATE).consumers}
    assert {depth["queue"] for depth in queues} == names | {"Smpp", "SmppBulk"}
    assert town.json("queue", "redrive", "Submit")["redriven"] == 0
    head, *rows = town.recado("queue", "list").out.splitlines()
    assert head.split() == ["queue", "ready", "delayed", "dead"]
    assert len(rows) == len(queues)


# --- what goes wrong -----------------------------------------------------------------------------

NO_COST_CENTRE: Sequence[tuple[str, ...]] = (
    ("costcentre", "show", "nobody"),
    ("costcentre", "update", "nobody", "--name", "x"),
    ("costcentre", "rotate", "nobody"),
    ("costcentre", "suspend", "nobody"),
    ("costcentre", "resume", "nobody"),
    ("send", "--cost-centre", "nobody", "--to", NUMBER, "oi"),
    ("replay", "--cost-centre", "nobody", "--since", "1h"),
)


def test_an_unknown_cost_centre_is_named_in_one_line(place: Place) -> None:
    for command in NO_COST_CENTRE:
        assert "nobody" in place.problem(*command)


def test_a_login_that_is_taken_is_refused_and_leaves_the_first_as_it_was(place: Place) -> None:
    login = fresh()
    made = place.create("--login", login)
    before = place.json("costcentre", "list")
    line = place.problem("costcentre", "create", "--name", fresh(), "--login", login)
    assert f"the login {login} is taken" in line
    assert place.json("costcentre", "list") == before
    assert place.json("costcentre", "show", login)["id"] == made["id"]


def test_a_name_that_two_have_asks_for_the_id(place: Place) -> None:
    name = fresh()
    for _ in range(2):
        place.json("costcentre", "create", "--name", name)
    assert "by its id" in place.problem("costcentre", "show", name)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--name", " "),
        ("--login", "with:colon"),
        ("--login", "with\nbreak"),
        ("--password", "short"),
        ("--callback-url", "ftp://customer.example"),
        ("--callback-method", "PUT"),
        ("--callback-get-form", "cookie"),
        ("--reports", "1,3"),
        ("--reports", ""),
        ("--time-zone", "America/Uberlandia"),
        ("--time-zone", "../../etc/passwd"),
        ("--validity", "1"),
        ("--max-segments", "0"),
        ("--per-second", "-1"),
        ("--login", "a" * 256),
        ("--daily-quota", "-1"),
        ("--price", "cheap"),
        ("--price", "0.00001"),
        ("--voice-price", "-1"),
        ("--low-balance", "NaN"),
        ("--currency", "real"),
        ("--token-seconds", "59"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_in_one_line(
    alone: Place, option: str, value: str
) -> None:
    before = alone.json("costcentre", "list")
    line = alone.problem("costcentre", "create", "--name", fresh(), option, value)
    assert option.removeprefix("--").replace("-", "_") in line
    assert alone.json("costcentre", "list") == before


@pytest.mark.parametrize(("to", "text"), [("34", "oi"), ("", "oi"), (NUMBER, " "), (NUMBER, "")])
def test_a_bad_number_and_an_empty_text_are_told_in_one_line(
    place: Place, to: str, text: str
) -> None:
    made = place.create()
    line = place.problem("send", "--cost-centre", made["id"], "--to", to, text)
    assert ("Destination_addr" if text == "oi" else "Message") in line


@pytest.mark.parametrize(
    "since",
    ["yesterday", "", "1", "1w", "-1h", "99999d", "0001-01-01", "9999-13-01", "9" * 400 + "d"],
)
def test_a_time_that_is_none_is_told_in_one_line(alone: Place, since: str) -> None:
    made = alone.create("--callback-url", "https://customer.example/")
    line = alone.problem("replay", "--cost-centre", made["id"], f"--since={since}")
    assert "is no time" in line


def test_a_replay_of_nothing_or_to_nobody_is_refused(place: Place) -> None:
    made = place.create()
    replay = ("replay", "--cost-centre", made["id"])
    assert "callback_url" in place.problem(*replay, "--since", "1h")
    place.json("costcentre", "update", made["id"], "--callback-url", "https://customer.example/")
    assert "since" in place.problem(*replay, "--since", "2999-01-01")
    assert "since" in place.problem(*replay, "--since", "1h", "--until", "2h")


def test_an_unknown_message_and_an_unknown_queue_are_told_in_one_line(place: Place) -> None:
    unknown = "019aa8a6-5c00-7000-8000-000000000000"
    assert unknown in place.problem("message", "show", unknown)
    assert "nothing like it" in place.problem("message", "show", "nothing like it")
    assert "Submit" in place.problem("queue", "redrive", "nothing")


def test_a_directory_without_an_installation_is_told_in_one_line_and_stays_as_it_was(
    tmp_path: Path,
) -> None:
    nowhere = tmp_path / "nowhere"
    for command in (*NO_COST_CENTRE, ("costcentre", "list"), ("queue", "list")):
        ran = recado(*command, "--data", nowhere)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert str(nowhere) in ran.err
    assert not nowhere.exists()


def test_an_unknown_option_ends_with_status_2(alone: Place) -> None:
    assert alone.recado("costcentre", "list", "--no-such-option").code == 2


# --- how commands reach the directory ------------------------------------------------------------


def test_the_environment_says_where_the_data_is(alone: Place) -> None:
    env = {"RECADO_DATA": str(alone.processes.data)}
    assert len(recado("costcentre", "list", "--json", env=env).json()) == 1


def test_what_it_writes_is_for_the_eyes_of_its_owner(tmp_path: Path) -> None:
    with processes_in(tmp_path) as processes:
        processes.data.mkdir(mode=0o755)
        processes.cost_centre()
        found = {path.name: path.stat().st_mode & 0o077 for path in processes.data.iterdir()}
    assert set(found) >= {"recado.db", "pepper"}
    assert set(found.values()) == {0}


def test_commands_find_their_way_after_a_node_was_killed_and_in_a_deep_directory(
    tmp_path: Path,
) -> None:
    with processes_in(tmp_path) as processes:
        # Longer than the path of a Unix socket may be.
        processes.data = tmp_path / ("deep" * 30) / "data"
        processes.simulator()
        node = processes.node()
        created = processes.recado("costcentre", "create", "--name", "first", "--json")
        made = created.json()
        assert request(processes.http_port, "GET", "/message/x", None, credentials(made))[0] == 404
        assert ((processes.data / SOCKET_NAME).stat().st_mode & 0o777) == 0o600
        node.kill()
        assert processes.recado("costcentre", "show", "first").code == 0
        processes.node()
        assert processes.recado("costcentre", "show", "first").code == 0


def test_nonsense_on_the_control_socket_hurts_nobody(town: Place) -> None:
    for nonsense in (b"", b"\n", b"no json\n", b'{"operation":"__import__"}\n', b"x" * 100_000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(10.0)
            link.connect(str(town.processes.data / SOCKET_NAME))
            link.sendall(nonsense)
            link.shutdown(socket.SHUT_WR)
            answer = link.recv(1000)
        assert b'"result":null' in answer or not answer
    assert town.json("queue", "list")


def test_a_command_that_can_not_be_written_says_so_and_leaves_nothing_behind(alone: Place) -> None:
    processes = alone.processes
    command = [*processes.program, "costcentre", "create", "--name", "too much"]
    done = subprocess.run(
        [*command, "--data", str(processes.data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert [shown["name"] for shown in alone.json("costcentre", "list")] != ["too much"]
    assert len(alone.json("costcentre", "list")) == 1


def test_what_can_not_be_made_durable_is_told_and_none_of_it_is_kept(tmp_path: Path) -> None:
    database = Database(tmp_path / "recado.db")
    database.schedule = lambda _commit: None
    used = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {used}")
    sql = "INSERT INTO config VALUES ('kind', ?, 0, ?)"
    database.write(sql, ("small", b"x"))
    with pytest.raises(sqlite3.OperationalError):
        database.write(sql, ("large", b"x" * 100_000))
    with pytest.raises(Misconfigured, match="full"):
        make_durable(database)
    assert database.read("SELECT name FROM config") == []
    make_durable(database)
    database.close()


def limit(node: Process, size: int) -> None:
    """How large a file the node may write: what a full disk is to it."""
    resource.prlimit(node.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process: Linux alone")
def test_a_node_that_can_not_write_says_so_and_goes_on_when_it_can_again(tmp_path: Path) -> None:
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        processes.cost_centre()
        node = processes.node()
        town = Place(processes, runs=True)
        limit(node, 4096)
        assert "written" in town.problem("costcentre", "create", "--name", "too much")
        body = {"destination_addr": NUMBER, "message": "oi"}
        for _ in range(3):
            status, answer = request(processes.http_port, "POST", "/message", body)
            assert (status, answer["error"]) == (500, True)
        limit(node, resource.RLIM_INFINITY)
        identifier = processes.send()
        until(lambda: reports(town, identifier) == [1, 2], "both reports of what was taken")
        assert [shown["name"] for shown in town.json("costcentre", "list")] == ["ana"]
        assert processes.taken() == [identifier]
        assert node.end(signal.SIGTERM) == 0


def test_a_simulator_on_a_port_in_use_says_so_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ran = recado("simulator", "--port", port, "--log", tmp_path / "log")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert port in ran.err


def test_a_log_that_is_none_is_told_by_the_simulator_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no log line\n")
    ran = recado("simulator", "--port", str(free_port()), "--log", tmp_path / "log")
    assert (ran.code, ran.err.count("\n")) == (1, 1)


def test_what_is_printed_as_json_is_one_line_of_utf_8(alone: Place) -> None:
    alone.json("costcentre", "create", "--name", "São João")
    out = alone.recado("costcentre", "show", "São João", "--json").out
    assert out.count("\n") == 1
    assert "São João" in out
    assert json.loads(out)["name"] == "São João"
