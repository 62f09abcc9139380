"""`recado up` as a process: how it starts, what it says, how it ends."""

import contextlib
import http.client
import json
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.up import GRACE
from tests.support.processes import (
    PASSWORD,
    Process,
    Processes,
    ask,
    free_port,
    processes_in,
    request,
    until,
)

NUMBER = "5534998887755"
SINGLE = {"destination_addr": NUMBER, "message": "oi"}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started


@pytest.fixture
def town(processes: Processes) -> Processes:
    """A simulator, a sink and a cost centre that reports to it; no node yet."""
    processes.simulator()
    processes.sink()
    processes.cost_centre()
    return processes


def curl_lines(node: Process) -> list[str]:
    """The lines that the first start prints for a newcomer to copy."""
    until(lambda: "Ctrl-C ends it" in node.said, "all that it says at its first start")
    return [line.strip() for line in node.said.splitlines() if line.startswith("  curl ")]


def simulator_port(node: Process) -> int:
    pattern = r"simulator \(http://127\.0\.0\.1:(\d+)\)"
    until(lambda: re.search(pattern, node.said), "where its simulator listens")
    return int(re.findall(pattern, node.said)[0])


def demo_callbacks(node: Process) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = request(simulator_port(node), "GET", "/demo-callbacks")[1]
    return bodies


def demo_types(node: Process, identifier: str) -> list[int]:
    bodies = demo_callbacks(node)
    return [body["type"] for body in bodies if body.get("message_id") == identifier]


def run_as_printed(line: str) -> dict[str, Any]:
    """What somebody gets who copies the line into a shell; without curl, what it asks for."""
    if shutil.which("curl"):
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, timeout=30, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert "error" not in answer, answer
        return answer
    words = shlex.split(line)
    url, credentials = words[3], words[words.index("-u") + 1]
    host, _, path = url.removeprefix("http://").partition("/")
    body = json.loads(words[words.index("-d") + 1])
    port = int(host.partition(":")[2])
    status, answer = request(port, "POST", f"/{path}", body, credentials)
    assert status == 200
    return answer


def test_the_line_that_the_first_start_prints_works_as_it_stands(processes: Processes) -> None:
    node = processes.node(own_simulator=True)
    single, batch = curl_lines(node)
    identifier = run_as_printed(single)["message_id"]
    until(lambda: demo_types(node, identifier) == [1, 2], "both reports at the demo callback")
    answer = run_as_printed(batch)
    assert answer["batchCount"] == "2"
    until(lambda: answer["batchId"] in str(demo_callbacks(node)), "the batch's callback")
    assert "report type 2" in node.said
    assert node.end(signal.SIGINT) == 0


def test_a_later_start_prints_no_password_and_everything_still_works(processes: Processes) -> None:
    first = processes.node(own_simulator=True)
    credentials = shlex.split(curl_lines(first)[0])[2]
    assert first.end() == 0
    node = processes.node(own_simulator=True)
    status, answer = request(processes.http_port, "POST", "/message", SINGLE, credentials)
    assert status == 200
    until(lambda: demo_types(node, answer["message_id"]) == [1, 2], "both reports")
    assert "curl" not in node.said
    assert credentials.partition(":")[2] not in node.said
    assert [shown["name"] for shown in processes.recado("costcentre", "list", "--json").json()] == [
        "demo"
    ]


def test_a_node_that_is_killed_takes_its_simulator_with_it(processes: Processes) -> None:
    node = processes.node(own_simulator=True)
    port = simulator_port(node)
    node.kill()

    def is_gone() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5.0):
            return False
        return True

    until(is_gone, "the simulator's end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_once_the_report_on_its_way_was_answered(
    town: Processes, number: int
) -> None:
    node = town.node()
    town.sink_answers(hold=True)
    identifier = town.send()
    until(lambda: town.reports(identifier), "a report that waits for its answer")
    node.popen.send_signal(number)
    until(lambda: "finishing what is in hand" in node.said, "the signal's arrival")
    assert not node.ended()
    town.sink_answers(status=200)
    assert node.popen.wait(GRACE) == 0
    first = town.recado("message", "show", identifier, "--json").json()["reports"][0]
    assert [attempt["status"] for attempt in first["tries"]] == [200]
    town.node()
    until(lambda: len(town.reports(identifier)) >= 2, "the second report")
    assert [report["type"] for report in town.reports(identifier)] == [1, 2]


def test_a_request_that_is_on_its_way_in_is_still_answered_and_its_message_kept(
    town: Processes,
) -> None:
    node = town.node()
    body = json.dumps(SINGLE).encode()
    with socket.create_connection(("127.0.0.1", town.http_port), 30.0) as link:
        head = (
            "POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"authorization: Basic YW5hOnNlZ3JlZG8=\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        link.sendall(head.encode() + body[:10])
        until(lambda: request(town.http_port, "GET", "/nowhere")[0] == 404, "a turn of its loop")
        node.popen.send_signal(signal.SIGTERM)
        until(lambda: "finishing what is in hand" in node.said, "the signal's arrival")
        link.sendall(body[10:])
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 200
        identifier = json.loads(answer.read())["message_id"]
    assert node.popen.wait(GRACE) == 0
    town.node()
    until(lambda: len(town.reports(identifier)) >= 2, "both reports after the next start")


def refusal(processes: Processes, *options: str | Path, **env: str) -> str:
    """The one line with which it refuses to start."""
    return one_line(processes.node(*options, env=env, waits=False))


def one_line(node: Process) -> str:
    assert node.popen.wait(30) == 1, node.said
    assert node.out.read_text() == ""
    [line] = node.said.splitlines()
    assert line.startswith("recado: ")
    return line


def test_a_port_in_use_is_told_in_one_line(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", processes.http_port)):
        line = refusal(processes)
    assert f"127.0.0.1:{processes.http_port}" in line
    assert "in use" in line


def test_a_host_that_is_not_ours_is_told_in_one_line(processes: Processes) -> None:
    assert "192.0.2.1" in refusal(processes, "--host", "192.0.2.1")


def test_a_directory_that_can_not_be_made_is_told_in_one_line(processes: Processes) -> None:
    (processes.folder / "file").write_text("")
    processes.data = processes.folder / "file" / "data"
    assert str(processes.data) in refusal(processes)


def test_a_database_that_is_none_is_told_in_one_line(processes: Processes) -> None:
    processes.data.mkdir()
    (processes.data / "recado.db").write_text("this is no database at all" * 100)
    assert "recado.db" in refusal(processes)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_disk_without_room_is_told_in_one_line(processes: Processes, is_new: bool) -> None:
    if not is_new:
        processes.cost_centre()
    up = [*processes.program, "up", "--data", str(processes.data)]
    up += ["--http-port", str(processes.http_port), "--simulator-url", processes.simulator_url]
    up += ["--smpp-port", str(processes.smpp_port)]
    # No file of its may be longer than 4 KB or, where that counts in 512 bytes, 2 KB.
    node = processes.start("node", ["/bin/sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *up])
    assert "recado.db" in one_line(node) or "data directory" in one_line(node)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECADO_RETENTION_DAYS", "x"),
        ("RECADO_RETENTION_DAYS", "0"),
        ("RECADO_CALLBACK_HOURS", "nan"),
        ("RECADO_LOG_LEVEL", "x"),
        ("RECADO_LOG_FORMAT", "x"),
        ("RECADO_PRIVATE_CALLBACKS", "perhaps"),
    ],
)
def test_a_broken_setting_is_named_in_one_line(processes: Processes, name: str, value: str) -> None:
    assert name in refusal(processes, **{name: value})


def test_half_a_tls_pair_is_told_in_one_line(processes: Processes, tls: tuple[Path, Path]) -> None:
    certificate, key = tls
    assert "both" in refusal(processes, "--tls-certificate", certificate)
    assert "both" in refusal(processes, "--tls-key", key)
    assert "certificate" in refusal(processes, "--tls-certificate", key, "--tls-key", certificate)
    nowhere = processes.folder / "nowhere.pem"
    assert "certificate" in refusal(processes, "--tls-certificate", nowhere, "--tls-key", key)


def test_a_second_node_on_a_directory_is_refused_in_one_line_and_the_first_goes_on(
    town: Processes,
) -> None:
    first = town.node()
    assert "another Recado" in refusal(town, "--http-port", str(free_port()))
    assert not first.ended()
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    assert town.recado("queue", "list", "--json").code == 0


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key, for a name that is not the loopback address."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command makes a certificate here")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=sms.example.com"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=DNS:sms.example.com"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_tls_with_a_self_signed_certificate_works_from_the_request_to_the_last_report(
    processes: Processes, tls: tuple[Path, Path]
) -> None:
    certificate, key = tls
    node = processes.node("--tls-certificate", certificate, "--tls-key", key, own_simulator=True)
    words = shlex.split(curl_lines(node)[0])
    credentials = words[words.index("-u") + 1]
    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.check_hostname = False
    port = processes.http_port
    with contextlib.closing(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trusting)
    ) as link:
        status, answer = ask(link, "POST", "/message", SINGLE, credentials)
    assert status == 200
    until(lambda: demo_types(node, answer["message_id"]) == [1, 2], "both reports", 15.0)
    assert f"https://127.0.0.1:{port}/message" in curl_lines(node)[0]
    assert f"--cacert {certificate}" in curl_lines(node)[0]
    assert node.end() == 0


def test_the_environment_says_where_its_data_is_and_where_it_listens(town: Processes) -> None:
    env = {
        "RECADO_DATA": str(town.data),
        "RECADO_HOST": "127.0.0.2",
        "RECADO_HTTP_PORT": str(town.http_port),
        "RECADO_SMPP_PORT": str(town.smpp_port),
    }
    command = [*town.program, "up", "--simulator-url", town.simulator_url]
    node = town.start("node", command, env)
    until(lambda: "Recado listens on" in node.said or node.ended(), "a node")
    assert f"http://127.0.0.2:{town.http_port}" in node.said
    with socket.create_connection(("127.0.0.2", town.http_port), 5.0):
        pass
    with pytest.raises(ConnectionRefusedError), contextlib.closing(socket.socket()) as link:
        link.connect(("127.0.0.1", town.http_port))
    assert (town.data / "control.sock").exists()


@pytest.mark.parametrize(
    ("host", "env"),
    [("0.0.0.0", {}), ("127.0.0.1", {"RECADO_PRIVATE_CALLBACKS": "false"})],
)
def test_a_private_callback_address_is_refused_and_the_attempt_says_so(
    town: Processes, host: str, env: dict[str, str]
) -> None:
    town.node("--host", host, env=env)
    identifier = town.send()

    def tries() -> list[dict[str, Any]]:
        shown = town.recado("message", "show", identifier, "--json")
        reports = shown.json().get("reports", []) if shown.code == 0 else []
        found: list[dict[str, Any]] = reports[0].get("tries", []) if reports else []
        return found

    until(tries, "a try at the callback")
    assert tries()[0] == {
        "at": pytest.approx(tries()[0]["at"]),
        "note": "the address is private: that is not allowed",
    }
    assert town.sink_lines() == []


def test_a_private_callback_address_is_reached_from_anywhere_if_the_setting_says_so(
    town: Processes,
) -> None:
    town.node("--host", "0.0.0.0", env={"RECADO_PRIVATE_CALLBACKS": "true"})
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")


def test_a_simulator_elsewhere_is_told_our_public_address(town: Processes) -> None:
    public = f"http://localhost:{town.http_port}"
    town.node(env={"RECADO_PUBLIC_BASE_URL": public + "/"})
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    assert f'"callback_url":"{public}/callback/simulator/' in town.simulator_log.read_text()


def log_lines(node: Process) -> list[dict[str, Any]]:
    """What it logged: JSON, each line of it, but for what it says to a person when it starts."""
    said = node.said.rpartition("\n")[0].splitlines()
    told = [line for line in said if not line.startswith("{")]
    assert all(line.startswith(("Recado listens on", "The upstream is a")) for line in told), told
    return [json.loads(line) for line in said if line.startswith("{")]


def way(node: Process, identifier: str) -> list[str]:
    """What was logged of one message, in its order; reports with their type."""
    mine = [line for line in log_lines(node) if line.get("correlation_id") == identifier]
    return [" ".join(filter(None, (line["message"], line.get("kind")))) for line in mine]


def test_a_message_is_followed_by_its_id_from_accept_to_its_last_report(town: Processes) -> None:
    node = town.node(env={"RECADO_LOG_LEVEL": "DEBUG"})
    identifier = town.send()
    until(lambda: "report given 2" in way(node, identifier), "the last report in the log")
    steps = way(node, identifier)
    # A receipt and the answer to the report before it come as they come.
    assert steps in (
        ["accepted", "submitted", "report given 1", "receipt", "report given 2"],
        ["accepted", "submitted", "receipt", "report given 1", "report given 2"],
        ["accepted", "receipt", "submitted", "report given 1", "report given 2"],
    )
    one = {"destination_addr": NUMBER, "message": "oi"}
    batch = request(town.http_port, "POST", "/message/batch", {"list": [one, one]})[1]
    until(lambda: "report given batch" in way(node, batch["batchId"]), "the batch's callback")
    assert way(node, batch["batchId"]) == ["batch accepted", "expanded", "report given batch"]
    ids = {
        line["correlation_id"]
        for line in log_lines(node)
        if line.get("batch_id") == batch["batchId"]
    }
    assert len(ids) == 2
    for each in ids:
        until(lambda each=each: "report given 2" in way(node, each), "its last report")  # type: ignore[misc] # mypy can't infer a lambda with a default


def test_at_the_usual_level_no_message_is_logged(town: Processes) -> None:
    node = town.node()
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    assert node.end() == 0
    assert [line["message"] for line in log_lines(node)] == ["stopping: finishing what is in hand"]


def test_it_logs_as_text_where_the_setting_says_so(processes: Processes) -> None:
    node = processes.node("--no-simulator", env={"RECADO_LOG_FORMAT": "text"})
    assert node.end() == 0
    assert node.said.endswith(" INFO stopping: finishing what is in hand\n")


def test_no_text_no_full_number_and_no_secret_is_ever_logged(town: Processes) -> None:
    text, written, token = "senha-de-ninguem", "+5534998887755", "token-de-ninguem"
    node = town.node(env={"RECADO_LOG_LEVEL": "DEBUG", "RECADO_METRICS_TOKEN": token})
    one = {"destination_addr": written, "message": text}
    identifier = town.send(written, text)
    query = f"/message?destination_addr={NUMBER}&message={text}"
    assert request(town.http_port, "GET", query)[0] == 200
    assert request(town.http_port, "POST", "/message/batch", {"list": [one, one]})[0] == 200
    assert request(town.http_port, "POST", "/message", {**one, "validity": text})[0] == 400
    assert request(town.http_port, "POST", f"/{text}/{NUMBER}", one)[0] == 404
    assert request(town.http_port, "GET", "/metrics", credentials=f"{token}:x")[0] == 401
    made = town.recado("costcentre", "create", "--name", "rui", "--sign", "--json").json()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")
    # What an upstream tells and we don't understand ends up in our log as a fault of ours.
    line = json.loads(town.simulator_log.read_text().splitlines()[0])
    callback = line["callback_url"].partition(str(town.http_port))[2]
    garbage = {"event": "reply", "id": 1, "from": NUMBER, "text": text}
    assert request(town.http_port, "POST", callback, garbage)[0] == 204
    assert request(town.http_port, "POST", callback, f"{text} {NUMBER}")[0] == 204
    stranger = {"event": "receipt", "id": text, "reference": f"{text}.{NUMBER}", "stat": "DELIVRD"}
    assert request(town.http_port, "POST", callback, {**stranger, "err": "000"})[0] == 204
    town.sink_answers(status=500, first=2)
    assert town.recado("send", "--cost-centre", "ana", "--to", NUMBER, text).code == 0
    until(lambda: node.said.count("a queue message can't be read") >= 2, "the faults in the log")
    assert node.end() == 0
    faults = [line for line in log_lines(node) if "exception" in line]
    assert {fault["exception_name"] for fault in faults} == {"ValueError"}
    number = NUMBER.removeprefix("55")
    ours = (PASSWORD, made["password"], made["signing_secret"], callback.rpartition("/")[2], token)
    for secret in (text, NUMBER, number, *ours):
        assert secret not in node.said
