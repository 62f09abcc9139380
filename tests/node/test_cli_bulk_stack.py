"""`recado --stack NAME bulk`: a file from the command line to a bucket, and through the queues of
an account that an emulator plays. What the functions do there is done in a thread here."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from recado.bulk import UPLOAD_HEADERS
from recado.dispatch import decode_packet, dispatch
from recado.engine import Received
from recado.expand import expand
from recado.wiring import Deps
from tests.node.test_cli_stack import (
    SERVICES,
    Account,
    fresh,
    needs_emulator,
    nobodys_profile,  # noqa: F401 - a fixture, which every test here uses
)
from tests.support.emulator import Emulator
from tests.support.processes import Processes, json_lines, processes_in, until

pytestmark = needs_emulator
_TEXT = "Olá {nome}"


def _expand(rows: list[Received], deps: Deps) -> None:
    for row in rows:
        expand(row.body, deps)


def _dispatch(rows: list[Received], deps: Deps) -> None:
    dispatch([decode_packet(row.body) for row in rows], deps)


def _work(account: Account, stopping: threading.Event) -> None:
    """Gives what lies on the two queues to what consumes it."""
    deps = account.deps()
    while not stopping.is_set():
        for queue, consume in (("Expand", _expand), ("SubmitBulk", _dispatch)):
            rows = deps.engine.queue.receive(queue, 10)
            consume(rows, deps)
            deps.engine.queue.done(rows)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes_in(tmp_path_factory.mktemp("others")) as started:
        started.simulator()
        started.sink()  # the upstream's receipts go there
        yield started


@pytest.fixture(scope="module")
def account(
    tmp_path_factory: pytest.TempPathFactory, others: Processes
) -> Iterator[tuple[Account, str]]:
    """A stack that routes to the simulator, with what its functions do; a cost centre's login."""
    with contextlib.closing(Emulator(tmp_path_factory.mktemp("aws"), SERVICES)) as emulator:
        made, login = Account(emulator.endpoint), fresh()
        url = ("--setting", f"url={others.simulator_url}")
        base = ("--callback-base", f"http://127.0.0.1:{others.sink_port}")
        upstream = made.connector(*url, *base)["name"]
        made.json("route", "add", "default", "--upstream", upstream)
        made.create("--login", login, "--reports", "none")
        stopping = threading.Event()
        functions = threading.Thread(target=_work, args=(made, stopping))
        functions.start()
        yield made, login
        stopping.set()
        functions.join()


def _number(n: int) -> str:
    return f"55349{98_000_000 + n}"


def _file(folder: Path, first: int, rows: int) -> Path:
    file = folder / "clientes.csv"
    lines = [f"Ana {n};{_number(n)}" for n in range(first, first + rows)]
    file.write_text("\n".join(["nome;telefone", *lines, "Bia;123", ""]))
    return file


def _taken(others: Processes) -> Counter[str]:
    lines = json_lines(others.simulator_log)
    return Counter(line["to"] for line in lines if line["event"] == "taken")


def test_a_file_goes_to_the_bucket_and_every_number_to_the_upstream_once(
    account: tuple[Account, str], others: Processes, tmp_path: Path
) -> None:
    stack, login = account
    file = _file(tmp_path, 0, 120)
    send = ("bulk", "send", str(file), "--cost-centre", login, "--text", _TEXT)
    ran = stack.recado(*send, "--yes")
    assert ran.code == 0, ran.err
    for line in ("uploading 100%", "checking 100%", "sending 100%"):
        assert line in ran.out
    assert re.search(r"^122 +123 +the number is invalid$", ran.out, re.MULTILINE)
    assert re.search(r"^state +done$", ran.out, re.MULTILINE)
    wanted = {_number(n): 1 for n in range(120)}
    until(lambda: wanted.keys() <= _taken(others).keys(), "every number at the upstream")
    assert {number: _taken(others)[number] for number in wanted} == wanted


def test_a_dry_run_and_a_cancelled_schedule_send_nothing(
    account: tuple[Account, str], others: Processes, tmp_path: Path
) -> None:
    stack, login = account
    file = _file(tmp_path, 500, 3)
    send = ("bulk", "send", str(file), "--cost-centre", login, "--text", _TEXT)
    found = stack.json(*send, "--dry-run")
    assert found["bad"] == [{"line": 5, "value": "123", "reason": "the number is invalid"}]
    assert stack.json("bulk", "show", found["bulk_id"])["state"] == "cancelled"
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    sent = stack.json(*send, "--yes", "--at", at)
    assert sent["state"] == "scheduled"
    assert stack.json("bulk", "cancel", sent["bulk_id"])["state"] == "cancelled"
    listed = {one["bulk_id"]: one["state"] for one in stack.json("bulk", "list")}
    assert listed[found["bulk_id"]] == listed[sent["bulk_id"]] == "cancelled"
    assert not any(_taken(others)[_number(n)] for n in range(500, 503))


def test_the_bucket_takes_a_file_once_and_with_the_headers_that_were_signed(
    account: tuple[Account, str],
) -> None:
    stack, _ = account
    blobs = stack.deps().engine.blobs
    url = blobs.upload_url("upload-once", 60)
    for content, status in ((b"first", 200), (b"second", 412)):
        answer = requests.put(url, content, headers=dict(UPLOAD_HEADERS), timeout=30)
        assert answer.status_code == status
    assert blobs.get("upload-once") == b"first"
