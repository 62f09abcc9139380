"""`recado connector` and `recado route`, on a node that runs and on a directory alone."""

import re
import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from recado.connectors import Setting
from recado.registry import CONNECTORS
from tests.support.processes import Processes, free_port, processes_in, recado, request, until

NUMBER = "5534998887755"
BASE = "https://sms.example"
URL = "https://simulator.example"
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
        assert line.startswith("recado: ")
        return line

    def add(self, *options: str, url: str = URL, base: str = BASE) -> Any:
        """A new connector of the kind simulator."""
        usual = ("--kind", "simulator", "--setting", f"url={url}", "--callback-base", base)
        return self.json("connector", "add", fresh(), *usual, *options)

    def show(self, name: str, *options: str) -> Any:
        return self.json("connector", "show", name, *options)

    def customer(self) -> Any:
        return self.json("costcentre", "create", "--name", fresh())

    def send(self, customer: Any, to: str = NUMBER) -> str:
        sent = self.json("send", "--cost-centre", customer["id"], "--to", to, "oi")
        return str(sent["message_id"])

    def message(self, identifier: str) -> Any:
        ran = self.processes.recado("message", "show", identifier, "--json")
        return ran.json() if ran.code == 0 else {}

    def ends_as(self, state: str, identifier: str) -> Any:
        until(lambda: self.message(identifier).get("state") == state, state)
        return self.message(identifier)


def fresh() -> str:
    return f"name-{next(_numbers)}"


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


# --- connectors ----------------------------------------------------------------------------------


def test_a_new_connector_has_a_callback_url_that_nobody_guesses(place: Place) -> None:
    made = place.add()
    pattern = f"{BASE}/callback/{made['name']}/[A-Za-z0-9_-]{{22,}}"  # 6 bits each: 132 at least
    assert re.fullmatch(pattern, made["callback_url"])
    assert made["settings"] == {"url": URL, "callback_url": made["callback_url"]}
    usual = {"concurrency": 50, "submit_timeout": 10.0, "after_uncertain": "resend", "version": 0}
    assert {name: made[name] for name in usual} == usual
    assert made["routes"] == []
    assert place.add()["callback_url"].rpartition("/")[2] not in made["callback_url"]


def test_what_is_given_at_birth_is_kept(place: Place) -> None:
    options = ("--concurrency", "7", "--submit-timeout", "2.5", "--after-uncertain", "report")
    settings = ("--setting", "echo=no", "--setting", "callback_url=https://proxy.example/in?a=b")
    made = place.add(*options, *settings)
    assert (made["concurrency"], made["submit_timeout"]) == (7, 2.5)
    assert made["after_uncertain"] == "report"
    assert made["settings"]["echo"] == "no"
    assert made["settings"]["callback_url"] == "https://proxy.example/in?a=b"
    assert place.show(made["name"], "--secrets") == made


def test_the_secret_is_shown_to_whoever_asks_for_it_and_listed_to_nobody(place: Place) -> None:
    made = place.add()
    secret = made["callback_url"].rpartition("/")[2]
    hidden = made["callback_url"].replace(secret, "***")
    shown = place.show(made["name"])
    assert shown["callback_url"] == shown["settings"]["callback_url"] == hidden
    assert place.show(made["name"], "--secrets")["callback_url"] == made["callback_url"]
    assert shown in place.json("connector", "list")
    for command in (("list",), ("show", made["name"]), ("update", made["name"])):
        assert secret not in place.said("connector", *command)
        assert secret not in place.said("connector", *command, "--json")


def test_a_connector_is_changed_and_its_secret_stays(place: Place) -> None:
    made = place.add("--setting", "gsm7_sizes=160,150", "--setting", "echo=no")
    name, secret = made["name"], made["callback_url"].rpartition("/")[2]
    changes = ("--setting", "url=https://new.example", "--setting", "echo=", "--concurrency", "3")
    changed = place.json("connector", "update", name, *changes)
    assert changed["settings"].keys() == {"url", "callback_url", "gsm7_sizes"}
    assert changed["settings"]["url"] == "https://new.example"
    assert (changed["concurrency"], changed["version"]) == (3, 1)
    moved = place.json("connector", "update", name, "--callback-base", "https://new.example/sms")
    assert moved["callback_url"] == f"https://new.example/sms/callback/{name}/{secret}"
    assert place.show(name, "--secrets") == moved


def test_a_connector_goes_when_no_route_leads_to_it(place: Place) -> None:
    made, route = place.add(), fresh()
    place.json("route", "add", route, "--upstream", made["name"], "--prefix", "999")
    assert route in place.problem("connector", "remove", made["name"])
    assert place.show(made["name"])["routes"] == [route]
    assert place.json("route", "remove", route) == {"removed": route}
    assert place.json("connector", "remove", made["name"]) == {"removed": made["name"]}
    assert made["name"] in place.problem("connector", "show", made["name"])
    assert made["name"] not in place.said("connector", "list")


def test_the_name_of_one_that_went_is_free_again(place: Place) -> None:
    made = place.add()
    again = ("connector", "add", made["name"], "--kind", "simulator", "--setting", f"url={URL}")
    assert made["name"] in place.problem(*again, "--callback-base", BASE)
    place.json("connector", "remove", made["name"])
    anew = place.json(*again, "--callback-base", BASE)
    assert anew["callback_url"] != made["callback_url"]


def test_a_person_reads_each_setting_on_a_line(place: Place) -> None:
    made = place.add("--setting", "echo=no")
    lines = place.said("connector", "show", made["name"]).splitlines()
    shown = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert shown["setting url"] == URL
    assert shown["setting echo"] == "no"
    assert shown["routes"] == "none"


def test_the_installation_may_say_where_it_is_reached(alone: Place) -> None:
    command = ("connector", "add", "sim", "--kind", "simulator", "--setting", f"url={URL}")
    assert "callback_base" in alone.problem(*command)
    env = {"RECADO_PUBLIC_BASE_URL": "https://public.example/"}
    ran = alone.processes.recado(*command, "--json", env=env)
    assert ran.json()["callback_url"].startswith("https://public.example/callback/sim/")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("a/b", (), "name"),
        ("a b", (), "name"),
        ("ação", (), "name"),
        ("", (), "name"),
        ("x" * 65, (), "name"),
        ("ok", ("--kind", "nothing"), "kind must be one of simulator"),
        ("ok", ("--setting", "colour=red"), "colour is no setting"),
        ("ok", ("--setting", "url="), "url"),
        ("ok", ("--setting", "url=ftp://x.example"), "url"),
        ("ok", ("--setting", "url=https://x.example/a b"), "url"),
        ("ok", ("--setting", "echo=perhaps"), "echo"),
        ("ok", ("--setting", "gsm7_sizes=160"), "gsm7_sizes"),
        ("ok", ("--setting", "ucs2_sizes=67,70"), "ucs2_sizes"),
        ("ok", ("--setting", "nothing"), "NAME=VALUE"),
        ("ok", ("--setting", "=x"), "NAME=VALUE"),
        ("ok", ("--concurrency", "0"), "concurrency"),
        ("ok", ("--concurrency", "1001"), "concurrency"),
        ("ok", ("--submit-timeout", "0"), "submit_timeout"),
        ("ok", ("--submit-timeout", "nan"), "submit_timeout"),
        ("ok", ("--submit-timeout", "16"), "submit_timeout"),
        ("ok", ("--after-uncertain", "forget"), "after_uncertain"),
        ("ok", ("--callback-base", "sms.example"), "callback_base"),
        ("ok", ("--callback-base", "https://sms.example/?a=b"), "callback_base"),
        ("ok", ("--callback-base", ""), "callback_base"),
    ],
)
def test_what_makes_no_sense_is_named_and_leaves_nothing_behind(
    town: Place, name: str, options: tuple[str, ...], told: str
) -> None:
    before = town.json("connector", "list")
    usual = ("--kind", "simulator", "--setting", f"url={URL}", "--callback-base", BASE)
    assert told in town.problem("connector", "add", name, *usual, *options)
    assert town.json("connector", "list") == before


def test_a_setting_that_is_needed_is_missed(place: Place) -> None:
    options = ("--kind", "simulator", "--callback-base", BASE)
    assert "url is missing" in place.problem("connector", "add", fresh(), *options)
    made = place.add()
    line = place.problem("connector", "update", made["name"], "--setting", "url=")
    assert "url is missing" in line
    assert place.show(made["name"])["version"] == 0


def test_the_kinds_and_their_settings_are_listed_without_an_installation(tmp_path: Path) -> None:
    env = {"RECADO_DATA": str(tmp_path / "nowhere")}
    rows = recado("connector", "kinds", "--json", env=env).json()
    listed = {(row["kind"], row["setting"]) for row in rows}
    assert listed == {(k, name) for k, module in CONNECTORS.items() for name in module.SETTINGS}
    assert not [row for row in rows if not row["meaning"]]
    assert "simulator  url" in recado("connector", "kinds", env=env).out
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", CONNECTORS)
def test_a_connectors_settings_have_forms_that_can_be_matched(kind: str) -> None:
    for name, setting in CONNECTORS[kind].SETTINGS.items():
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert isinstance(setting, Setting)
        assert not re.fullmatch(setting.form, "")  # an empty one is one that goes


# --- connectors to an SMSC -----------------------------------------------------------------------

SECRET = "s3gred0!"


def smsc(place: Place, *options: str, password: str = SECRET) -> Any:
    """A new connector of the kind smpp, to a port where nobody listens unless told otherwise."""
    told = {"host": "127.0.0.1", "port": str(free_port()), "system_id": "nos"}
    usual = [f"--setting={name}={value}" for name, value in told.items()]
    secret = f"--setting=password={password}"
    return place.json("connector", "add", fresh(), "--kind", "smpp", *usual, secret, *options)


def test_an_smsc_calls_nobody_and_needs_no_callback_url(place: Place) -> None:
    made = smsc(place)
    assert "callback_url" not in made
    assert "callback_secret" not in made
    listed = place.json("connector", "list")
    assert [row for row in listed if row["name"] == made["name"] and "callback_url" not in row]
    changed = place.json("connector", "update", made["name"], "--setting", "window=10")
    assert changed["settings"]["window"] == "10"
    assert "callback_url" not in changed


def test_a_setting_that_is_a_secret_is_shown_to_nobody(place: Place) -> None:
    made = smsc(place)
    name, data = made["name"], place.processes.data
    assert made["settings"]["password"] == "***"
    for command in (
        ("list",),
        ("show", name),
        ("show", name, "--secrets"),
        ("update", name, "--setting", "binds=2"),
        ("pause", name),
    ):
        assert SECRET not in place.said("connector", *command)
        assert SECRET not in place.said("connector", *command, "--json")
    assert place.show(name)["settings"]["password"] == "***"
    kept = [
        path for path in data.iterdir() if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert kept == [], "it stands in no record"


def secrets_kept(place: Place, name: str) -> list[str]:
    return [
        path.read_text()
        for path in (place.processes.data / "secrets").iterdir()
        if name in path.name
    ]


def test_a_secret_is_replaced_taken_away_and_goes_with_its_connector(place: Place) -> None:
    name = smsc(place)["name"]
    assert secrets_kept(place, name) == [SECRET]
    changed = place.json("connector", "update", name, "--setting", "password=another")
    assert (changed["version"], changed["settings"]["password"]) == (1, "***")
    assert secrets_kept(place, name) == ["another"]
    changed = place.json("connector", "update", name, "--setting", "password=")
    assert "password" not in changed["settings"]
    assert secrets_kept(place, name) == []
    place.json("connector", "update", name, "--setting", "password=third")
    place.json("connector", "remove", name)
    assert secrets_kept(place, name) == []


def test_nobody_replaces_a_secret_by_adding_the_connector_again(place: Place) -> None:
    name = smsc(place)["name"]
    again = ("connector", "add", name, "--kind", "smpp", "--setting", "host=h")
    line = place.problem(*again, "--setting", "system_id=x", "--setting", "password=theirs")
    assert "already" in line
    assert secrets_kept(place, name) == [SECRET]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("password=", None),  # it may be without one
        ("password=" + "x" * 65, "password makes no sense"),
        ("host=", "host is missing"),
        ("system_id=" + "x" * 16, "system_id makes no sense"),
        ("port=65536", "port"),
        ("colour=red", "colour is no setting"),
    ],
)
def test_an_smscs_settings_are_looked_at(town: Place, setting: str, told: str | None) -> None:
    name = smsc(town)["name"]
    update = ("connector", "update", name, "--setting", setting)
    if told is None:
        assert town.processes.recado(*update).code == 0
    else:
        assert told in town.problem(*update)
        assert town.show(name)["version"] == 0


def test_a_connector_is_paused_and_resumed(place: Place) -> None:
    name = place.add()["name"]
    assert place.show(name)["paused"] is False
    assert place.json("connector", "pause", name)["paused"] is True
    assert place.show(name)["paused"] is True
    assert place.json("connector", "resume", name)["paused"] is False
    assert "nothing" in place.problem("connector", "pause", "nothing")


def test_what_goes_to_a_paused_connector_waits_until_it_is_resumed(town: Place) -> None:
    customer, processes = town.customer(), town.processes
    base = f"http://127.0.0.1:{processes.http_port}"
    name = town.add(url=processes.simulator_url, base=base)["name"]
    route = f"00-{fresh()}"
    town.json("route", "add", route, "--upstream", name, "--cost-centre", customer["id"])
    town.json("connector", "pause", name)
    identifier = town.send(customer)
    until(lambda: depth(town, "Submit") > 0, "a message that waits")
    assert identifier not in processes.taken()
    town.json("connector", "resume", name)
    assert town.ends_as("DELIVERED", identifier)["connector"] == name
    town.json("route", "remove", route)


def depth(place: Place, queue: str) -> int:
    [row] = [row for row in place.json("queue", "list") if row["queue"] == queue]
    return int(row["delayed"])


# --- whether an upstream is there ----------------------------------------------------------------


def test_an_upstream_that_speaks_http_is_there_or_is_not(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        name = place.add(url=f"http://127.0.0.1:{port}/sms")["name"]
        answers = threading.Thread(target=answer_once, args=(listener,))
        answers.start()
        tested = place.json("connector", "test", name)
        answers.join()
    assert (tested["reached"], tested["status"]) == (True, 405)
    assert tested["url"] == f"http://127.0.0.1:{port}/sms"
    tested = place.json("connector", "test", name)
    assert tested["reached"] is False
    assert tested["problem"]
    assert "reached" in place.said("connector", "test", name)


def answer_once(listener: socket.socket) -> None:
    """As an upstream that takes a POST alone."""
    link, _ = listener.accept()
    with link:
        assert link.recv(65_536).startswith(b"HEAD /sms ")
        link.sendall(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def test_an_smsc_is_there_or_is_not(place: Place, town: Place) -> None:
    customer, port = town.customer(), town.processes.smpp_port
    name = smsc(place, password=customer["smpp_password"])["name"]
    tested = place.json("connector", "test", name)
    assert tested["reached"] is False
    to = ("--setting", f"port={port}", "--setting", f"system_id={customer['smpp_system_id']}")
    place.json("connector", "update", name, *to)
    tested = place.json("connector", "test", name)
    assert tested["reached"] is True
    assert tested["milliseconds"] > 0
    if place is town:
        assert [row["state"] for row in tested["binds"]] == ["bound"]
        assert [row["state"] for row in place.show(name)["binds"]] == ["bound"]
        lines = place.said("connector", "show", name).splitlines()
        assert lines[-1].split()[:3] == ["1", "transceiver", "bound"]
    else:
        assert (tested["bound"], tested["version"]) == (True, "3.4")
    place.json("connector", "update", name, "--setting", "password=wrong")
    said = place.said("connector", "test", name)
    assert "ESME_RINVPASWD" in said
    place.json("connector", "remove", name)


# --- routes --------------------------------------------------------------------------------------


def test_a_route_takes_a_cost_centre_by_id_login_or_name(place: Place) -> None:
    upstream, customer = place.add()["name"], place.customer()
    for by in ("id", "login", "name"):
        options = ("--upstream", upstream, "--cost-centre", customer[by], "--prefix", "5534")
        made = place.json("route", "add", fresh(), *options)
        assert made["cost_centre"] == customer["id"]
        assert made["cost_centre_name"] == customer["name"]
        assert (made["prefix"], made["upstream"], made["version"]) == ("5534", upstream, 0)
        place.json("route", "remove", made["name"])


def test_routes_are_listed_in_the_order_in_which_they_are_tried(alone: Place) -> None:
    upstream = alone.add()["name"]
    for name in ("default", "10-ana", "2-bia", "Z"):
        alone.json("route", "add", name, "--upstream", upstream)
    listed = [route["name"] for route in alone.json("route", "list")]
    assert listed == ["10-ana", "2-bia", "Z", "default"]
    assert alone.said("route", "list").splitlines()[1].split() == ["10-ana", "any", "all", upstream]


def test_a_route_is_changed_and_goes(place: Place) -> None:
    first, second, customer, name = (
        place.add()["name"],
        place.add()["name"],
        place.customer(),
        fresh(),
    )
    options = ("--upstream", first, "--cost-centre", customer["id"], "--prefix", "999")
    place.json("route", "add", name, *options)
    changed = place.json("route", "update", name, "--upstream", second)
    assert (changed["upstream"], changed["prefix"]) == (second, "999")
    assert changed["cost_centre"] == customer["id"]
    changed = place.json("route", "update", name, "--cost-centre", "", "--prefix", "998")
    assert (changed["cost_centre"], changed["prefix"], changed["version"]) == ("", "998", 2)
    place.json("route", "remove", name)
    assert name not in place.said("route", "list")
    assert name in place.problem("route", "remove", name)


def test_a_route_is_tested_and_nothing_is_sent(alone: Place) -> None:
    upstream, other, customer = alone.add()["name"], alone.add()["name"], alone.customer()
    alone.json("route", "add", "10-ana", "--upstream", other, "--cost-centre", customer["id"])
    alone.json("route", "add", "20-brazil", "--upstream", upstream, "--prefix", "55")
    alone.json("connector", "pause", upstream)
    found = alone.json("route", "test", "(34) 99888-7755".translate({ord(c): None for c in "()- "}))
    assert found == {
        "number": NUMBER,
        "route": "20-brazil",
        "upstream": upstream,
        "kind": "simulator",
        "paused": True,
    }
    found = alone.json("route", "test", "+5534998887755", "--cost-centre", customer["login"])
    assert (found["route"], found["upstream"], found["paused"]) == ("10-ana", other, False)
    found = alone.json("route", "test", "+351912345678")
    assert (found["number"], found["route"], found["upstream"]) == ("351912345678", None, None)
    assert alone.said("route", "test", "351912345678") == "no route takes 351912345678\n"
    assert "number" in alone.problem("route", "test", "ninguém")
    mute = alone.add("--setting", "voice=no")["name"]
    alone.json("route", "update", "20-brazil", "--upstream", mute)
    assert alone.json("route", "test", NUMBER, "--voice")["route"] is None
    assert alone.json("route", "test", NUMBER)["route"] == "20-brazil"


def test_a_route_to_nowhere_or_of_nobody_is_refused(place: Place) -> None:
    upstream, name = place.add()["name"], fresh()
    add = ("route", "add", name, "--upstream")
    assert "nothing" in place.problem(*add, "nothing")
    assert upstream in place.problem(*add, "nothing")  # it says which there are
    assert "nobody" in place.problem(*add, upstream, "--cost-centre", "nobody")
    for prefix in ("+55", "55x", "5" * 16):
        assert "prefix" in place.problem(*add, upstream, "--prefix", prefix)
    assert "name" in place.problem("route", "add", "a/b", "--upstream", upstream)
    assert name not in place.said("route", "list")
    place.json(*add, upstream, "--prefix", "999")
    assert name in place.problem(*add, upstream)
    assert "nothing" in place.problem("route", "update", name, "--upstream", "nothing")
    assert name in place.problem("connector", "remove", upstream)
    place.json("route", "remove", name)


# --- what messages make of it --------------------------------------------------------------------


def test_a_message_goes_by_the_connector_that_its_route_names_and_comes_back(town: Place) -> None:
    customer, processes = town.customer(), town.processes
    base = f"http://127.0.0.1:{processes.http_port}"
    made = town.add("--setting", "echo=no", url=processes.simulator_url, base=base)
    route = fresh()
    options = ("--upstream", made["name"], "--cost-centre", customer["id"])
    town.json("route", "add", f"00-{route}", *options)
    message = town.ends_as("DELIVERED", town.send(customer))
    assert message["connector"] == made["name"]
    town.json("route", "remove", f"00-{route}")
    message = town.ends_as("DELIVERED", town.send(customer))
    assert message["connector"] == "simulator"


def test_callbacks_for_a_connector_that_went_are_refused(town: Place) -> None:
    made = town.add()
    path = made["callback_url"].removeprefix(BASE)
    event = {"event": "receipt", "id": "x", "stat": "DELIVRD"}
    assert request(town.processes.http_port, "POST", path, event)[0] == 204
    town.json("connector", "remove", made["name"])
    assert request(town.processes.http_port, "POST", path, event)[0] == 404


def test_what_was_set_for_the_simulator_outlives_the_next_start(tmp_path: Path) -> None:
    with processes_in(tmp_path) as processes:
        place = Place(processes)
        processes.simulator()
        node = processes.node()
        options = ("--concurrency", "3", "--setting", "echo=no")
        before = place.json("connector", "update", "simulator", *options)
        place.json("connector", "update", "simulator", "--setting", "url=https://wrong.example")
        node.kill()
        processes.node()
        after = place.show("simulator")
        assert after == {**before, "version": after["version"]}
        assert after["settings"]["url"] == processes.simulator_url
