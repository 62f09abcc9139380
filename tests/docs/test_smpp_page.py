"""docs/smpp.md: its programs run, its tables and figures are the code's, what it says is met."""

import ast
import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest
from msgspec import Struct, to_builtins

from recado import connectors, costcentre, operations
from recado.connectors import smpp as connector
from recado.connectors.smpp_settings import SETTINGS, dialling_of, measure_of, terms_of
from recado.costcentre import CostCentre
from recado.dialects import smpp as dialect
from recado.dialects.smpp_deliveries import deliver_body
from recado.esme import RECEIPT_STAT
from recado.ids import MAX_AHEAD
from recado.mailbox import MailedReceipt
from recado.message import State, is_final
from recado.replies import GATHERING
from recado.report import FAILURE, FINAL_STATE, wanted
from recado.settings import Settings
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Address
from recado.smpp.receipt import state_number
from recado.smpp.text import is_text
from recado.smpp_orders import COMMANDS
from smpp import inbox, mailbox, pace, requests, throttle
from smpp.bind import Timing
from smpp.mailbox import Rhythm
from smpp.server_settings import ServerSettings
from smpp.session import Limits
from tests.docs.pages import ROOT, Page
from tests.support.processes import Processes, processes_in
from tests.support.smpp_asking import (
    cancel_sm,
    query_sm,
    replace_sm,
    submit_multi,
    submit_sm,
)
from tests.support.smpp_office import Office, office
from tests.support.smpp_place import PASSWORD, SYSTEM_ID, smpp_login
from tests.support.smpp_wire import Wire
from tests.support.world import World

PAGE = Page("smpp.md", {})
TEXT = re.sub(r"\s+", " ", PAGE.text)
PROGRAMS = re.findall(r"#### (\w+)\n(?:(?!\n#).)*?```python\n(.*?)```", PAGE.text, re.DOTALL)


# --- the programs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes_in(tmp_path_factory.mktemp("smpp")) as started:
        started.node(own_simulator=True)
        yield started


def test_there_is_a_program_for_each_library() -> None:
    assert [name for name, _ in PROGRAMS] == ["smpplib", "aiosmpplib", "smpp34"]
    assert PAGE.text.count("```python") == 3


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_a_program_sends_and_has_its_receipt(
    processes: Processes, tmp_path: Path, name: str, program: str
) -> None:
    (tmp_path / "send.py").write_text(program)
    made = processes.recado("costcentre", "create", "--name", name, "--json").json()
    login = (made["smpp_system_id"], made["smpp_password"])
    ran = subprocess.run(
        [sys.executable, "-u", "send.py", "127.0.0.1", str(processes.smpp_port), *login],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # smpp34's own threads crash the interpreter now and then when all is done and it ends.
    ends = (0, -signal.SIGSEGV) if name == "smpp34" else (0,)
    assert ran.returncode in ends, ran.stderr
    assert ran.stderr == ""
    receipt = {"smpplib": "stat:DELIVRD", "aiosmpplib": "'stat': 'DELIVRD'", "smpp34": "state 2"}
    assert receipt[name] in ran.stdout


# --- what is supported ---------------------------------------------------------------------------


def named(number: int) -> str:
    """A command, as the page calls it."""
    return next(
        name.lower() for name, value in vars(wire).items() if value == number and name.isupper()
    )


def test_the_table_of_pdus_has_all_that_are_answered() -> None:
    listed = {name for row in PAGE.rows("PDUs", "###") for name in row[0].split(", ")}
    others = {"unbind", "enquire_link", "deliver_sm", "generic_nack", "outbind"}
    commands = {named(number) for number in COMMANDS | wire.BINDS}
    assert listed == commands | others | {"alert_notification"}


def test_the_table_of_settings_is_the_cost_centres() -> None:
    usual = to_builtins(CostCentre(id="", name="", created_at=0.0))
    empty = {"smpp_addresses": "any"}
    ranges: dict[str, tuple[int, int]] = costcentre._RANGES
    listed = {row[0].strip("`-").replace("-", "_"): row for row in PAGE.rows("To bind", "###")}
    found = {name: row for name, row in listed.items() if name in usual}
    assert found.keys() == {"sends_by", "reports_by"} | {n for n in usual if n.startswith("smpp_")}
    for name, (_, default, meaning) in found.items():
        value = usual[name]
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        assert default.strip("`") == (shown or empty[name]), name
        if name in ranges:
            assert "{} to {}".format(*ranges[name]) in meaning


def numbers_of(cell: str) -> set[int]:
    found: set[int] = set()
    for part in cell.split(", "):
        first, _, last = part.partition(" to ")
        found |= set(range(int(first, 0), int(last or first, 0) + 1))
    return found


def test_the_table_of_data_codings_has_all_that_are_texts() -> None:
    listed = set().union(*(numbers_of(row[0]) for row in PAGE.rows("Texts", "###")))
    assert listed == {number for number in range(256) if is_text(number)}


def test_the_table_of_numbers_has_the_types_and_plans_that_are_taken() -> None:
    rows = dict(PAGE.rows("Numbers", "###"))
    types = [numbers_of(row.removeprefix("TON ")) for row in rows if row.startswith("TON ")]
    assert set().union(*types) == dialect._TONS
    assert numbers_of(rows["NPI"].partition(";")[0]) == dialect._NPIS


def test_the_table_of_optional_parameters_has_all_that_are_known() -> None:
    known = vars(wire)
    listed = {(row[0], int(row[1], 16)) for row in PAGE.rows("Optional parameters", "###")}
    assert listed == {(name, known[name.upper()]) for name, _ in listed}
    tags = {
        value
        for name, value in known.items()
        if name.startswith(("SAR_", "USER_", "QOS_", "SC_", "RECEIPTED", "NETWORK", "MESSAGE_"))
    }
    assert {tag for _, tag in listed} == tags


# --- receipts ------------------------------------------------------------------------------------


def test_the_receipt_of_the_page_is_one_of_ours() -> None:
    [shown] = re.findall(r"```text receipt\n(.*)\n```", PAGE.text)
    identifier = shown[3:39]
    mailed = MailedReceipt(
        message_id=identifier,
        to="5534998887755",
        source="27000",
        stat="DELIVRD",
        err="000",
        submitted_at=1_780_000_000.0,
        done_at=1_780_000_060.0,
        text="Olá, sua consulta será amanhã",
    )
    customer = CostCentre(id="", name="", created_at=0.0)
    assert ZoneInfo(customer.time_zone).key == "America/Sao_Paulo"
    assert wire.read_message(deliver_body(mailed, customer)).text.decode() == shown


def test_the_table_of_states_has_all_in_which_a_message_may_end() -> None:
    listed = {row[0]: int(row[1]) for row in PAGE.rows("Receipts", "###") if row[0].isupper()}
    final = {state for state in State if is_final(state)}
    assert listed == {RECEIPT_STAT[state]: state_number(state) for state in final}


def test_the_table_of_registered_delivery_says_which_receipts_are_owed() -> None:
    told = {"never": (), "with the final state": (FINAL_STATE,)}
    told["with the final state, where that is not DELIVRD"] = (FAILURE,)
    told["as with 1 (reserved in the specification)"] = (FINAL_STATE,)
    rows = [row for row in PAGE.rows("Receipts", "###") if row[0].isdigit()]
    customer = CostCentre(id="", name="", created_at=0.0)
    assert [wanted(customer, int(bits)) for bits, _ in rows] == [told[when] for _, when in rows]
    assert len(rows) == 4


def test_the_table_of_deliver_sm_resp_has_what_ends_a_delivery_and_what_halts_all() -> None:
    rows = dict(PAGE.rows("The mailbox", "###"))
    assert rows["ESME_RX_P_APPN, ESME_RX_R_APPN"] == "forgotten, refused for good"
    assert {status.ESME_RX_P_APPN, status.ESME_RX_R_APPN} == mailbox._FOR_GOOD
    assert rows["ESME_RTHROTTLED, ESME_RMSGQFUL"].endswith("all others wait for it")
    assert {status.ESME_RTHROTTLED, status.ESME_RMSGQFUL} == mailbox._TOO_FAST


# --- figures -------------------------------------------------------------------------------------

SERVER, LIMITS, RHYTHM, TIMING = ServerSettings(), Limits(), Rhythm(), Timing()
UPSTREAM = connectors.Upstream(
    name="a", kind="smpp", settings={"host": "a", "system_id": "b"}, callback_secret=""
)


@pytest.mark.parametrize(
    "said",
    [
        f"| host, port | that of the node, {SERVER.port} (",
        f"| from the connection to the bind | {SERVER.bind_seconds:.0f} s |",
        f"| a bind that is refused is answered after | {SERVER.refusal_seconds:.0f} s |",
        f"| {throttle.FROM_ONE} a minute for a system_id from one address,"
        f" {throttle.FROM_ALL} in ten minutes from everywhere;"
        f" {throttle.BY_ONE} a minute from one address, whatever the system_id |",
        f"after {LIMITS.response / 2:.0f} s at most. Without an answer the session ends"
        f" {LIMITS.response:.0f} s later",
        f"later, within {requests._REMEMBERED / 60:.0f} minutes on the same session",
        f"too long for short_message its first {wire.MOST_TEXT} octets",
        f"| {SERVER.connections:,}; of one address that are not bound {SERVER.unbound_per_peer} |",
        f"| after {LIMITS.enquire:.0f} s of silence; without an answer within"
        f" {LIMITS.response:.0f} s the session ends |",
        f"| a response to us | within {LIMITS.response:.0f} s |",
        f"| a PDU | up to {LIMITS.most_octets:,} octets;",
        f"when {inbox._MOST_AHEAD:,} octets wait, we read nothing more",
        f"| up to {LIMITS.most_unsent:,} octets; then the session ends |",
        f"| is looked at every {SERVER.review_seconds:.0f} s: suspended",
        f"(`RECADO_RETENTION_DAYS`, {Settings().retention_days})",
        f"between tries is {RHYTHM.pause:.0f} s, doubling to {RHYTHM.longest_pause:.0f} s.",
        f"wait for it for {('no', 'one', 'two', 'three')[RHYTHM.in_order]} tries",
        f"lies more than {MAX_AHEAD / 86_400:.0f} days ahead",
        f"and is at most {('no', 'one', 'two', 'three')[dialect.LONGEST_VALIDITY // 86_400]} days",
        f"has more than {wire.MOST_TEXT} octets",
        "not come in ten minutes",
        f"Up to `--max-segments` ({CostCentre(id='', name='', created_at=0.0).max_segments})",
        f"lease of {TIMING.lease:.0f} s, renewed every {TIMING.renew:.0f} s",
        f"closes the bind {TIMING.lapse:.0f} s before it would run out",
        f"| {TIMING.connect:.0f} s each |",
        f"| {TIMING.first_pause:.0f} s, doubling to {TIMING.longest_pause:.0f} s,",
        f"| {TIMING.no_entry:.0f} s, doubling to {TIMING.longest_no_entry:.0f} s;",
        f"`--submit-timeout` of the connector, {UPSTREAM.submit_timeout:.0f} s;"
        f" after {TIMING.silences} in a row",
        f"| is seen within {TIMING.look:.0f} s |",
        f"at most {TIMING.grace:.0f} s |",
        f"rests for {pace._FIRST_PAUSE} s, doubling to {pace._LONGEST_PAUSE:.0f} s",
    ],
)
def test_a_figure_of_the_page_is_the_codes(said: str) -> None:
    assert said in TEXT


def test_ten_minutes_are_what_parts_of_a_reply_are_waited_for() -> None:
    assert GATHERING == 600
    assert LIMITS.inactivity == 0


# --- the upstream side ---------------------------------------------------------------------------


def test_the_table_of_settings_is_the_connectors() -> None:
    rows = {row[0].strip("`"): row[1] for row in PAGE.rows("Settings", "###")}
    assert list(rows) == list(SETTINGS)
    assert {name for name, usual in rows.items() if usual == "has to be set"} == {
        name for name, setting in SETTINGS.items() if setting.needed
    }
    usual: dict[str, Any] = {
        **to_builtins(dialling_of(UPSTREAM)),
        **to_builtins(measure_of(UPSTREAM)),
        **to_builtins(terms_of(UPSTREAM)),
    }
    words: dict[str, Any] = {
        "empty": "",
        "the customer's": "",
        "by its look": None,
        "the system's": "",
    }
    words |= {"`no`": False, "`transceiver`": False, "`yes`": 1, "30": 30.0}
    calls = {"bind_mode": "separate", "receipts": "registered"}
    for name, shown in rows.items():
        if name not in ("host", "system_id", "password"):
            value = usual[calls.get(name, name)]
            assert words.get(shown, shown.strip("`")) in (value, str(value)), name


def test_the_table_of_answers_has_all_that_are_not_for_good() -> None:
    rows = PAGE.rows("What an SMSC answers", "###")
    again = {name.strip("`"): said for name, said in rows if said.startswith("again after")}
    waits = {status.name_of(number): seconds for number, seconds in connector._NOT_NOW.items()}
    assert again == {name: f"again after {seconds:.0f} s" for name, seconds in waits.items()}


# --- command_status ------------------------------------------------------------------------------

Asked: TypeAlias = tuple[int, bytes]
Prepare: TypeAlias = Callable[[World, str], Any]


class Case(Struct, frozen=True):
    """A request that is answered with it, by a cost centre with these settings, after what is done
    once it is bound. `first`: so many of the same before."""

    command: int = wire.SUBMIT_SM
    body: bytes = b""
    switches: dict[str, Any] = {}
    after: Prepare = lambda world, cost_centre: None
    first: int = 0
    bound_as: int = wire.BIND_TRANSCEIVER


def submitting(switches: dict[str, Any] | None = None, **fields: Any) -> Case:
    return Case(body=submit_sm(**fields), switches=switches or {})


SUBMIT = submit_sm()
MULTI = submit_multi("5534998887755")
CASES = [
    ("ROK", submitting()),
    ("RINVMSGLEN", submitting(text=b" ")),
    ("RINVMSGLEN", submitting({"max_segments": 1}, text=b"a" * 161)),
    ("RINVMSGLEN", submitting(text=b"abc", data_coding=8)),
    ("RINVMSGLEN", submitting(text=b"\5\0\3\1\2\1" + b"a" * 160, esm_class=0x40)),
    ("RINVMSGLEN", Case(wire.REPLACE_SM, replace_sm("x", b""))),
    ("RINVCMDLEN", Case(body=SUBMIT[:-9])),
    ("RINVCMDID", Case(wire.DELIVER_SM, SUBMIT)),
    ("RINVCMDID", Case(0x0A, b"")),
    ("RINVCMDID", Case(wire.OUTBIND, b"")),
    ("RINVBNDSTS", Case(body=SUBMIT, bound_as=wire.BIND_RECEIVER)),
    ("RSYSERR", Case(body=SUBMIT, after=lambda world, _: world.route_is(prefix="5511"))),
    (
        "RSYSERR",
        Case(
            body=SUBMIT,
            after=lambda world, _: world.database.connection.execute(
                "ALTER TABLE queue RENAME TO lost"
            ),
        ),
    ),
    ("RINVSRCADR", submitting(source=Address(5, 0, "a" * 21))),
    ("RINVDSTADR", submitting(to="123")),
    ("RINVMSGID", Case(wire.QUERY_SM, query_sm("a" * 65))),
    (
        "RBINDFAIL",
        Case(
            body=SUBMIT,
            after=lambda world, name: operations.OPERATIONS["costcentre_suspend"](world.deps, name),
        ),
    ),
    ("RCANCELFAIL", Case(wire.CANCEL_SM, cancel_sm("x"))),
    ("RCANCELFAIL", Case(wire.CANCEL_SM, cancel_sm(""))),
    ("RREPLACEFAIL", Case(wire.REPLACE_SM, replace_sm("x"))),
    ("RINVSERTYP", submitting(service_type="ABCDEF")),
    ("RINVNUMDESTS", Case(wire.SUBMIT_MULTI, MULTI[:4] + b"Recado\0\0" + MULTI[12:])),
    ("RINVDLNAME", Case(wire.SUBMIT_MULTI, submit_multi(lists=("amigos",)))),
    ("RINVDESTFLAG", Case(wire.SUBMIT_MULTI, MULTI.replace(b"\1\1\0015534", b"\3\1\0015534"))),
    ("RINVESMCLASS", submitting(esm_class=0x01)),
    ("RINVESMCLASS", submitting(esm_class=0x08)),
    ("RINVESMCLASS", submitting(text=b"\6\5\4\1\2\3\4oi", esm_class=0x40)),
    ("RSUBMITFAIL", submitting(data_coding=4)),
    ("RSUBMITFAIL", submitting({"prepaid": True, "price": 500})),
    ("RSUBMITFAIL", Case(wire.SUBMIT_MULTI, submit_multi("123", Address(3, 1, "5534998887755")))),
    ("RINVDSTTON", submitting(to=Address(3, 1, "5534998887755"))),
    ("RINVDSTNPI", submitting(to=Address(1, 3, "5534998887755"))),
    ("RTHROTTLED", Case(body=SUBMIT, switches={"per_second": 1}, first=1)),
    ("RTHROTTLED", Case(body=SUBMIT, switches={"daily_quota": 1}, first=1)),
    ("RINVSCHED", submitting(schedule_delivery_time="amanha")),
    ("RINVSCHED", submitting(schedule_delivery_time="260527172600000+")),
    ("RINVSCHED", submitting(schedule_delivery_time="000600000000000R")),
    ("RINVEXPIRY", submitting(validity_period="amanha")),
    (
        "RINVEXPIRY",
        submitting(schedule_delivery_time="000000010000000R", validity_period="000000003000000R"),
    ),
    ("RINVDFTMSGID", submitting(default_message=1)),
    ("RQUERYFAIL", Case(wire.QUERY_SM, query_sm("x"))),
    ("RINVOPTPARSTREAM", Case(body=SUBMIT + b"\0")),
    ("ROPTPARNOTALLWD", submitting(tlvs={wire.MESSAGE_PAYLOAD: b"oi"})),
    ("RINVPARLEN", submitting(tlvs={wire.USER_MESSAGE_REFERENCE: b""})),
    (
        "RINVOPTPARAMVAL",
        submitting(
            tlvs={
                wire.SAR_MSG_REF_NUM: b"\0\1",
                wire.SAR_TOTAL_SEGMENTS: b"\1",
                wire.SAR_SEGMENT_SEQNUM: b"\2",
            }
        ),
    ),
]


async def answered(house: Office, cost_centre: str, case: Case) -> int:
    customer = await house.customer(case.bound_as)
    case.after(house.world, cost_centre)
    for _ in range(case.first):
        assert (await customer.call(case.command, case.body)).command_status == 0
    found = (await customer.call(case.command, case.body)).command_status
    await customer.close()
    return found


@pytest.mark.parametrize(
    ("name", "case"), CASES, ids=[f"{n}-{name}" for n, (name, _) in enumerate(CASES)]
)
def test_a_command_status_of_the_page_is_met(world: World, name: str, case: Case) -> None:
    cost_centre = smpp_login(world, **case.switches)

    async def work() -> int:
        async with office(world) as house:
            return await answered(house, cost_centre, case)

    assert status.name_of(asyncio.run(work())) == f"ESME_{name}"


def test_the_table_of_requests_has_all_that_are_met() -> None:
    rows = PAGE.rows("Of a request", "####")
    listed = [row[0].strip("`") for row in rows]
    assert set(listed) == {f"ESME_{name}" for name, _ in CASES}
    assert len(listed) == len(set(listed))
    assert [int(row[1], 16) for row in rows] == [status.NUMBERS[name] for name in listed]


class Doors:
    """The connections of a test, which close at its end."""

    def __init__(self, house: Office) -> None:
        self.house = house
        self._open: list[Wire] = []

    async def open(self) -> Wire:
        self._open.append(await Wire.to(self.house.server.port))
        return self._open[-1]

    async def bind(self, system_id: str = SYSTEM_ID, password: str = PASSWORD) -> int:
        return (await (await self.open()).bind(system_id, password)).command_status

    async def close(self) -> None:
        for one in self._open:
            await one.close()


async def cut_off(doors: Doors) -> int:
    return (await (await doors.open()).call(wire.BIND_RECEIVER, b"ana\0segredo")).command_status


async def long_type(doors: Doors) -> int:
    body = b"ana\0segredo\0" + b"a" * 13 + b"\0\x34\0\0\0"
    return (await (await doors.open()).call(wire.BIND_RECEIVER, body)).command_status


async def twice(doors: Doors) -> int:
    door = await doors.open()
    assert (await door.bind()).command_status == 0
    return (await door.bind()).command_status


async def beyond_its_number(doors: Doors) -> int:
    assert await doors.bind() == 0
    return await doors.bind()


async def too_often(doors: Doors) -> int:
    for _ in range(throttle.FROM_ONE):
        assert await doors.bind(SYSTEM_ID, "errado") == status.ESME_RINVPASWD
    return await doors.bind()


async def at_fault(doors: Doors) -> int:
    doors.house.world.database.connection.execute("ALTER TABLE config RENAME TO lost")
    return await doors.bind()


Bound: TypeAlias = tuple[str, Callable[[Doors], Any], dict[str, Any]]
BINDS: list[Bound] = [
    ("ROK", Doors.bind, {}),
    ("RINVCMDLEN", cut_off, {}),
    ("RALYBND", twice, {}),
    ("RALYBND", beyond_its_number, {"smpp_binds": 1}),
    ("RSYSERR", at_fault, {}),
    ("RBINDFAIL", Doors.bind, {"sends_by": ("http",)}),
    ("RINVPASWD", Doors.bind, {"smpp_addresses": ("192.0.2.7",)}),
    ("RINVPASWD", lambda doors: doors.bind(SYSTEM_ID, "errado"), {}),
    ("RINVPASWD", lambda doors: doors.bind("ninguem"), {}),
    ("RINVSYSID", lambda doors: doors.bind("a" * 16), {}),
    ("RINVSYSTYP", long_type, {}),
    ("RTHROTTLED", too_often, {}),
]


@pytest.mark.parametrize(
    ("name", "act", "switches"), BINDS, ids=[f"{n}-{one[0]}" for n, one in enumerate(BINDS)]
)
def test_a_command_status_of_a_bind_is_met(
    world: World, name: str, act: Callable[[Doors], Any], switches: dict[str, Any]
) -> None:
    smpp_login(world, **switches)

    async def work() -> int:
        async with office(world) as house:
            doors = Doors(house)
            found = int(await act(doors))
            await doors.close()
            return found

    assert status.name_of(asyncio.run(work())) == f"ESME_{name}"


def test_the_table_of_binds_has_all_that_are_met() -> None:
    rows = PAGE.rows("Of a bind", "####")
    listed = [row[0].strip("`") for row in rows]
    assert set(listed) == {f"ESME_{name}" for name, _, _ in BINDS}
    assert len(listed) == len(set(listed))
    assert [int(row[1], 16) for row in rows] == [status.NUMBERS[name] for name in listed]


# What reads and answers a customer's PDUs.
ANSWERING = (
    *("smpp/link.py", "smpp/binding.py", "smpp/orders.py", "smpp/inbox.py"),
    *("recado/smpp_orders.py", "recado/smpp_changes.py", "recado/dialects/smpp.py"),
    *("recado/smpp/reading.py", "recado/smpp/udh.py"),
    *("recado/limits.py", "recado/recipients.py"),
)


def test_the_tables_have_every_command_status_that_the_code_names() -> None:
    found: set[str] = set()
    for name in ANSWERING:
        folder = ROOT / "layers/recado" if name.startswith("recado/") else ROOT
        for node in ast.walk(ast.parse((folder / name).read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "status" and node.attr.startswith("ESME_"):
                    found.add(node.attr)
                elif node.value.id == "esme" and node.attr.startswith("R"):
                    found.add(f"ESME_{node.attr}")
    headings = ("Of a bind", "Of a request")
    listed = {row[0].strip("`") for heading in headings for row in PAGE.rows(heading, "####")}
    assert listed == found | {"ESME_ROK"}


# --- the page itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("link", PAGE.links())
def test_every_link_within_the_page_leads_to_a_heading(link: str) -> None:
    assert link in PAGE.headings()


def test_every_test_file_that_the_page_names_exists() -> None:
    named_files = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE.text))
    assert named_files
    for name in named_files:
        assert (ROOT / name).exists()
