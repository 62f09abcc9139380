"""`recado bulk` on a node that runs: a file from the command line to the upstream's log."""

import http.client
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node.cli_bulk import put
from node.control import Command, ask
from recado.errors import Misconfigured
from tests.support.processes import (
    Processes,
    Ran,
    json_lines,
    processes_in,
    recado,
    request,
    until,
)

_COUNT = 3_000
_TEXT = "Olá {nome}"


def _number(n: int) -> str:
    return f"55349{n:08}"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes_in(tmp_path_factory.mktemp("bulk")) as started:
        started.simulator()
        started.sink()
        started.node()
        started.cost_centre()
        yield started


def _file(folder: Path, rows: int, first: int = 0) -> Path:
    file = folder / f"clientes-{first}.csv"
    lines = [f"Ana {n};{_number(first + n)}" for n in range(rows)]
    file.write_text("\n".join(["nome;telefone", *lines, ""]))
    return file


def _send(processes: Processes, file: Path, *options: str) -> Ran:
    words = ("bulk", "send", str(file), "--cost-centre", "ana", "--text", _TEXT)
    return processes.recado(*words, *options)


def _shown(processes: Processes, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = processes.recado("bulk", "show", identifier, "--json").json()
    return found


def _taken(processes: Processes) -> Counter[str]:
    lines = json_lines(processes.simulator_log)
    return Counter(line["to"] for line in lines if line["event"] == "taken")


def test_a_file_is_uploaded_checked_and_sent_with_its_progress_in_lines(
    processes: Processes, tmp_path: Path
) -> None:
    ran = _send(processes, _file(tmp_path, 300), "--yes")
    assert ran.code == 0, ran.err
    for line in ("uploading 100%", "checking 100%", "sending 100%"):
        assert line in ran.out
    assert re.search(r"^good +300$", ran.out, re.MULTILINE)
    assert re.search(r"^state +done$", ran.out, re.MULTILINE)
    # A message that was taken up is on its way: its upstream has it a moment later.
    wanted = {_number(n): 1 for n in range(300)}
    until(lambda: wanted.keys() <= _taken(processes).keys(), "every number in the log")
    taken = _taken(processes)
    assert {number: taken[number] for number in wanted} == wanted


def test_a_dry_run_lists_bad_rows_and_leaves_nothing_to_send(
    processes: Processes, tmp_path: Path
) -> None:
    file = tmp_path / "ruim.csv"
    file.write_text("telefone;nome\n34900009999;Ana\nabc;Bia\n")
    ran = _send(processes, file, "--dry-run")
    assert ran.code == 0, ran.err
    assert re.search(r"^3 +abc +the number is invalid$", ran.out, re.MULTILINE)
    found = _send(processes, file, "--dry-run", "--json").json()
    assert found["bad"] == [{"line": 3, "value": "abc", "reason": "the number is invalid"}]
    assert _shown(processes, found["bulk_id"])["state"] == "cancelled"
    assert not _taken(processes)["5534900009999"]


def test_without_anybody_to_ask_nothing_is_sent(processes: Processes, tmp_path: Path) -> None:
    ran = _send(processes, _file(tmp_path, 1, first=8_000))
    assert (ran.code, "nothing was sent" in ran.err) == (1, True)
    assert not _taken(processes)[_number(8_000)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("telefone\n34998887755\n", "names {nome}, which is no column: there are telefone"),
        ("", "is empty"),
    ],
)
def test_what_a_files_beginning_tells_is_told_before_the_upload(
    processes: Processes, tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "x.csv"
    file.write_text(content)
    ran = _send(processes, file, "--yes")
    assert ran.code == 1
    assert problem in ran.err
    assert "uploading" not in ran.out


def test_a_file_for_later_is_scheduled_listed_and_cancelled(
    processes: Processes, tmp_path: Path
) -> None:
    at = "2126-05-30T12:00"
    file = _file(tmp_path, 2, first=9_000)
    assert "at most 90 days ahead" in _send(processes, file, "--at", at, "--yes").err
    ran = _send(processes, file, "--at", _in_an_hour(), "--yes", "--json", "--name", "Campanha")
    sent = ran.json()
    assert sent["state"] == "scheduled"
    [listed] = [
        one
        for one in processes.recado("bulk", "list", "--json").json()
        if one["bulk_id"] == sent["bulk_id"]
    ]
    assert (listed["name"], listed["state"], listed["messages"]) == ("Campanha", "scheduled", 2)
    refused = processes.recado("bulk", "pause", sent["bulk_id"])
    assert "is scheduled" in refused.err
    assert processes.recado("bulk", "cancel", sent["bulk_id"]).code == 0
    assert _shown(processes, sent["bulk_id"])["state"] == "cancelled"


def _in_an_hour() -> str:
    return (datetime.now().astimezone() + timedelta(hours=1)).isoformat()


def test_a_file_is_put_to_the_url_that_a_stack_gives(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"telefone\n" + b"34998887755\n" * 300_000)
    status, made = request(processes.http_port, "POST", "/bulk", {"text": "oi"})
    assert status == 201
    url = f"http://127.0.0.1:{processes.http_port}{made['upload_url']}"
    told: list[int] = []
    put(file, url, told.append)
    assert told[-1] == file.stat().st_size
    assert told[0] < told[-1]
    [kept] = (processes.data / "blobs").rglob(f"upload-{made['bulk_id']}")
    assert kept.read_bytes() == file.read_bytes()
    with pytest.raises(Misconfigured, match="HTTP 409"):
        put(file, url, told.append)


def test_a_node_that_does_not_run_is_told(tmp_path: Path) -> None:
    words = ("--cost-centre", "ana", "--text", "oi", "--data", str(tmp_path / "none"))
    ran = recado("bulk", "send", _file(tmp_path, 1), *words)
    assert (ran.code, "no gateway runs on" in ran.err) == (1, True)


def test_a_node_that_is_killed_twice_sends_every_number_of_a_file_once(tmp_path: Path) -> None:
    """Killed while the file is checked, and while it is sent."""
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.sink()
        node = processes.node()
        processes.cost_centre(reports="none")
        made = _begun(processes, _file(tmp_path, _COUNT))
        node.kill()
        node = processes.node()
        until(lambda: _shown(processes, made)["state"] == "checked", "a check that ended")
        found = _shown(processes, made)
        assert (found["good"], found["duplicates"], found["bad_rows"]) == (_COUNT, 0, 0)
        _op(processes, "bulk_send", made)
        until(lambda: len(processes.taken()) > _COUNT // 10, "a file that is being sent")
        node.kill()
        processes.node()
        until(lambda: _shown(processes, made)["state"] == "done", "the rest", seconds=90.0)
        until(lambda: len(set(processes.taken())) == _COUNT, "all of them", seconds=60.0)
        taken = _taken(processes)
        assert set(taken) == {_number(n) for n in range(_COUNT)}
        assert max(taken.values()) == 1, taken.most_common(3)


def _op(processes: Processes, operation: str, identifier: str) -> None:
    answer = ask(processes.data, Command(operation, {"identifier": identifier}))
    assert answer is not None
    assert answer.problem is None, answer.problem


def _begun(processes: Processes, file: Path) -> str:
    """Uploads a file by HTTP and begins its check: its id."""
    status, made = request(processes.http_port, "POST", "/bulk", {"text": _TEXT})
    assert status == 201, made
    link = http.client.HTTPConnection("127.0.0.1", processes.http_port, timeout=30)
    link.request("PUT", made["upload_url"], file.read_bytes())
    assert link.getresponse().status == 200
    link.close()
    assert request(processes.http_port, "POST", f"/bulk/{made['bulk_id']}/check")[0] == 200
    return str(made["bulk_id"])
