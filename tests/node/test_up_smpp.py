"""SMPP within `recado up`: how it listens, what goes over it, how it ends."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from node.smpp import Ways
from node.waiting import start
from recado.http import Outgoing, Reached, Unreached
from recado.smpp import pdu as wire
from recado.smpp.receipt import read_receipt
from tests.support.processes import Processes, free_port, processes_in, request, until
from tests.support.smpp_caller import bound

_SAMPLE = re.compile(r"^(recado_(?:connector|customer|mailbox)_\S+) (\d+)$", re.MULTILINE)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Processes]:
    """Another gateway, which is an SMSC to the first one."""
    (tmp_path / "smsc").mkdir()
    with processes_in(tmp_path / "smsc") as started:
        started.simulator()
        yield started


def smpp_customer(processes: Processes, *options: str) -> dict[str, Any]:
    made: dict[str, Any] = processes.recado(
        "costcentre", "create", "--name", "bia", *options, "--json"
    ).json()
    return made


def metrics(processes: Processes) -> dict[str, int]:
    with closing(socket.create_connection(("127.0.0.1", processes.http_port), 20.0)) as link:
        link.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        with link.makefile("rb") as answer:
            text = answer.read().decode()
    return {name: int(value) for name, value in _SAMPLE.findall(text)}


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command makes a certificate here")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


# --- listening -----------------------------------------------------------------------------------


def test_a_newcomer_binds_with_what_the_first_start_prints_and_gets_the_receipt_there(
    processes: Processes,
) -> None:
    node = processes.node(own_simulator=True)
    until(lambda: "Ctrl-C ends it" in node.said, "all that it says at its first start")
    told = re.search(r"host (\S+), port (\d+), system_id (\S+), password (\S+)", node.said)
    assert told is not None
    assert (told[1], told[2]) == ("127.0.0.1", str(processes.smpp_port))
    with bound(int(told[2]), told[3], told[4]) as caller:
        message_id = caller.submit()
        receipt = caller.until(wire.DELIVER_SM)
        caller.answer(receipt, b"\0")
    message = wire.read_message(receipt.body)
    assert message.esm_class == 4
    assert read_receipt(message).id == message_id
    assert b"stat:DELIVRD" in message.text


def test_port_0_picks_one_and_says_which(processes: Processes) -> None:
    made = smpp_customer(processes)
    node = processes.node("--no-simulator", "--smpp-port", "0")
    told = re.search(r"by SMPP on 127\.0\.0\.1:(\d+); its data", node.said)
    assert told is not None
    with bound(int(told[1]), made["smpp_system_id"], made["smpp_password"]):
        pass


def test_a_port_in_use_is_named_in_one_line(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", processes.smpp_port)):
        line = refusal(processes)
    assert f"127.0.0.1:{processes.smpp_port}" in line
    assert "in use" in line
    assert "--smpp-port chooses another" in line
    assert "--no-smpp" in line


def refusal(processes: Processes, *options: str | Path) -> str:
    """The one line with which it refuses to start."""
    node = processes.node(*options, waits=False)
    assert node.popen.wait(30) == 1, node.said
    [line] = node.said.splitlines()
    assert line.startswith("recado: ")
    return line


def test_without_smpp_nothing_listens_and_what_would_go_over_a_bind_waits(
    processes: Processes,
) -> None:
    smsc_connector(processes, free_port())
    node = processes.node("--no-simulator", "--no-smpp")
    assert "SMPP" not in node.said
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", processes.smpp_port), 5.0).close()
    tested = processes.recado("connector", "test", "smsc", "--json").json()
    assert (tested["reached"], tested["problem"]) == (False, "this node runs without SMPP")


def test_tls_has_a_port_of_its_own(processes: Processes, tls: tuple[Path, Path]) -> None:
    certificate, key = tls
    made, port = smpp_customer(processes), free_port()
    pair = ("--tls-certificate", certificate, "--tls-key", key)
    node = processes.node("--no-simulator", "--smpp-tls-port", str(port), *pair)
    assert f"by SMPP with TLS on 127.0.0.1:{port}" in node.said
    context = ssl.create_default_context(cafile=str(certificate))
    with bound(port, made["smpp_system_id"], made["smpp_password"], context) as caller:
        assert isinstance(caller.link, ssl.SSLSocket)
    with bound(processes.smpp_port, made["smpp_system_id"], made["smpp_password"]):
        pass


def test_a_port_with_tls_needs_a_certificate(processes: Processes) -> None:
    assert "--tls-certificate" in refusal(processes, "--smpp-tls-port", str(free_port()))


def test_with_tls_only_there_is_no_other_port(processes: Processes, tls: tuple[Path, Path]) -> None:
    certificate, key = tls
    made, port = smpp_customer(processes), free_port()
    pair = ("--tls-certificate", certificate, "--tls-key", key)
    options = ("--no-simulator", "--smpp-tls-port", str(port), *pair)
    node = processes.node(*options, env={"RECADO_SMPP_TLS_ONLY": "true"})
    assert f"by SMPP on 127.0.0.1:{port} (TLS only); its data" in node.said
    context = ssl.create_default_context(cafile=str(certificate))
    with bound(port, made["smpp_system_id"], made["smpp_password"], context) as caller:
        assert isinstance(caller.link, ssl.SSLSocket)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", processes.smpp_port), 5.0).close()


def test_tls_only_needs_a_port_with_tls(processes: Processes) -> None:
    assert "--smpp-tls-port" in refusal(processes, "--smpp-tls-only")


@pytest.mark.parametrize("alone", [("--smpp-tls-only",), ()])
def test_a_port_with_tls_in_use_is_named_in_one_line(
    processes: Processes, tls: tuple[Path, Path], alone: tuple[str, ...]
) -> None:
    pair = ("--tls-certificate", tls[0], "--tls-key", tls[1])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(processes, "--smpp-tls-port", str(port), *pair, *alone)
    assert f"127.0.0.1:{port}: address already in use" in line.lower()
    assert "--smpp-tls-port chooses another" in line


def test_what_leaves_by_http_and_over_binds_at_once_is_answered_in_its_order() -> None:
    def way(name: str) -> Any:
        async def answers(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
            await asyncio.sleep(0)
            return [Reached(200, f"{name} {one.url}".encode()) for one in requests]

        return answers

    async def test() -> None:
        ways = Ways(way("http"))
        ways.binds = way("smpp")
        urls = ["smpp:a", "http://b", "smpp:c", "smpp:d", "http://e"]
        for asked in (urls, urls[:1], urls[1:2], []):
            end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            start(partial(exchanged, ways, asked, end))
            answered = [one.body.decode() for one in await end if isinstance(one, Reached)]
            assert answered == [f"{url[:4]} {url}" for url in asked]

    def exchanged(ways: Ways, urls: Sequence[str], end: "asyncio.Future[Any]") -> None:
        end.set_result(ways.exchange([Outgoing("POST", url, {}) for url in urls]))

    asyncio.run(test())


# --- binds to an SMSC ----------------------------------------------------------------------------


def smsc_connector(
    processes: Processes, port: int, login: dict[str, Any] | None = None, **settings: str
) -> None:
    """A connector that binds to a port, and a route by which everything goes there."""
    login = login or {"smpp_system_id": "nobody", "smpp_password": "nothing"}
    told = {
        "host": "127.0.0.1",
        "port": str(port),
        "system_id": login["smpp_system_id"],
        "password": login["smpp_password"],
        **settings,
    }
    options = [f"--setting={name}={value}" for name, value in told.items()]
    assert processes.recado("connector", "add", "smsc", "--kind", "smpp", *options).code == 0
    assert processes.recado("route", "add", "00-smsc", "--upstream", "smsc").code == 0


def states(processes: Processes) -> list[str]:
    shown = processes.recado("connector", "show", "smsc", "--json").json()
    return [row["state"] for row in shown.get("binds", [])]


def test_a_message_by_http_goes_over_a_bind_and_its_receipt_comes_back_to_the_callback_url(
    processes: Processes, smsc: Processes
) -> None:
    login = smpp_customer(smsc)
    smsc.node()
    processes.sink()
    processes.cost_centre()
    smsc_connector(processes, smsc.smpp_port, login)
    processes.node("--no-simulator")
    until(lambda: states(processes) == ["bound"], "a bind")
    identifier = processes.send(text="olá " * 60)  # two segments
    until(lambda: len(processes.reports(identifier)) == 2, "both reports")
    assert [report["type"] for report in processes.reports(identifier)] == [1, 2]
    shown = processes.recado("message", "show", identifier, "--json").json()
    assert (shown["state"], shown["connector"]) == ("DELIVERED", "smsc")
    assert len(shown["upstream_ids"]) == 2


def test_what_waits_for_an_smsc_goes_when_that_comes_and_the_node_is_ready_all_the_while(
    processes: Processes, smsc: Processes
) -> None:
    login = smpp_customer(smsc)
    processes.sink()
    processes.cost_centre()
    smsc_connector(processes, smsc.smpp_port, login)
    processes.node("--no-simulator")
    identifier = processes.send()
    until(lambda: states(processes) == ["waiting"], "a bind that could not be made")
    assert request(processes.http_port, "GET", "/ready")[0] == 200
    counted = metrics(processes)
    assert counted['recado_connector_binds{connector="smsc"}'] == 1
    assert counted['recado_connector_binds_up{connector="smsc"}'] == 0
    smsc.node()
    until(lambda: len(processes.reports(identifier)) == 2, "both reports", 60.0)
    assert metrics(processes)['recado_connector_binds_up{connector="smsc"}'] == 1
    assert metrics(smsc)['recado_customer_binds{mode="transceiver"}'] == 1


def test_a_new_password_is_taken_up_without_a_restart(
    processes: Processes, smsc: Processes
) -> None:
    login = smpp_customer(smsc)
    smsc.node()
    smsc_connector(processes, smsc.smpp_port, {**login, "smpp_password": "wrong"})
    processes.node("--no-simulator")
    tested = processes.recado("connector", "test", "smsc", "--json").json()
    assert tested["reached"] is False
    assert "ESME_RINVPASWD" in tested["binds"][0]["problem"]
    right = f"--setting=password={login['smpp_password']}"
    assert processes.recado("connector", "update", "smsc", right).code == 0
    tested = processes.recado("connector", "test", "smsc", "--json").json()
    assert (tested["reached"], tested["status"]) == (True, 0)
    assert [row["state"] for row in tested["binds"]] == ["bound"]


def test_a_backup_holds_the_passwords_at_smscs(processes: Processes, smsc: Processes) -> None:
    login = smpp_customer(smsc)
    smsc.node()
    smsc_connector(processes, smsc.smpp_port, login)
    backup = processes.folder / "backup"
    assert processes.recado("backup", str(backup)).code == 0
    processes.data = processes.folder / "restored"
    assert processes.recado("restore", str(backup)).code == 0
    [secret] = (processes.data / "secrets").iterdir()
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (processes.data / "secrets").stat().st_mode & 0o777 == 0o700
    assert processes.recado("connector", "test", "smsc", "--json").json()["bound"] is True


# --- the mailbox, and the end --------------------------------------------------------------------


def test_receipts_wait_for_a_bind_across_a_restart(processes: Processes) -> None:
    processes.simulator()
    made = smpp_customer(processes)
    login = (made["smpp_system_id"], made["smpp_password"])
    node = processes.node()
    with bound(processes.smpp_port, *login, command=wire.BIND_TRANSMITTER) as caller:
        message_id = caller.submit()
    until(lambda: metrics(processes)["recado_mailbox_messages"] == 1, "a receipt that waits")
    assert node.end() == 0
    processes.node()
    assert metrics(processes)["recado_mailbox_messages"] == 1
    with bound(processes.smpp_port, *login) as caller:
        receipt = caller.until(wire.DELIVER_SM)
        assert read_receipt(wire.read_message(receipt.body)).id == message_id
        caller.answer(receipt, b"\0")
        until(lambda: metrics(processes)["recado_mailbox_messages"] == 0, "an empty mailbox")


def waiting(processes: Processes) -> list[tuple[str, int, int, int]]:
    """Of each mailbox whose it is, its mails, its customer's binds, and those that receive."""
    rows = processes.recado("mailbox", "list", "--json").json()
    columns = ("name", "waiting", "binds", "receivers")
    return [tuple(row[column] for column in columns) for row in rows]


def test_what_is_dropped_from_a_mailbox_is_given_to_nobody_until_it_is_replayed(
    processes: Processes,
) -> None:
    processes.simulator()
    made = smpp_customer(processes)
    login = (made["smpp_system_id"], made["smpp_password"])
    processes.node()
    with bound(processes.smpp_port, *login, command=wire.BIND_TRANSMITTER) as caller:
        message_id = caller.submit()
        until(lambda: waiting(processes) == [("bia", 1, 1, 0)], "a receipt that waits")
    dropped = processes.recado("mailbox", "drop", "bia", "--all", "--yes", "--json").json()
    assert dropped == {"id": made["id"], "name": "bia", "dropped": 1}
    assert waiting(processes) == []
    assert metrics(processes)["recado_mailbox_messages"] == 0
    assert processes.recado("replay", "--cost-centre", "bia", "--since", "1h").code == 0
    until(lambda: waiting(processes) == [("bia", 1, 0, 0)], "a receipt that was replayed")
    with bound(processes.smpp_port, *login) as caller:
        receipt = caller.until(wire.DELIVER_SM)
        assert read_receipt(wire.read_message(receipt.body)).id == message_id
        assert waiting(processes) == [("bia", 1, 1, 1)]
        caller.answer(receipt, b"\0")
        until(lambda: waiting(processes) == [], "an empty mailbox")


def test_at_its_end_it_unbinds_customers_and_from_smscs(
    processes: Processes, smsc: Processes
) -> None:
    login, made = smpp_customer(smsc), smpp_customer(processes)
    other = smsc.node()
    smsc_connector(processes, smsc.smpp_port, login)
    node = processes.node("--no-simulator")
    until(lambda: states(processes) == ["bound"], "a bind")
    with bound(processes.smpp_port, made["smpp_system_id"], made["smpp_password"]) as caller:
        node.popen.terminate()
        caller.answer(caller.until(wire.UNBIND))
        with pytest.raises(EOFError):
            caller.read()
    assert node.popen.wait(30) == 0, node.said
    assert '"the customer unbound"' in other.said
