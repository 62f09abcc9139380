"""Logs and metrics, on Lambda as a process of its own, since they are set up at import."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from botocore.exceptions import ClientError

from recado.errors import Misconfigured
from recado.message import Key
from recado.observability import follow, words_of
from tests.support.on_lambda import NUMBER, TEXT

ROOT = Path(__file__).parent.parent.parent

_INVOCATIONS = """
import logging
from recado.observability import count, log, observed

class Context:
    aws_request_id = "request-1"

@observed
def handler(event, context):
    count("messages_accepted", event["amount"])
    log.info("taken", extra={"cost_centre": "cc-1"})
    logging.getLogger("botocore.endpoint").debug("all that is sent: a-text")
    logging.getLogger("botocore.retryhandler").warning("a warning of another's")
    if event["amount"] == 3:
        raise ValueError("a-text")

handler({"amount": 2}, Context())
handler({"amount": 5}, None)
handler({"amount": 3}, Context())
"""


def _run(environment: dict[str, str], *command: str, code: int = 0) -> tuple[list[Any], str]:
    """The lines that a process printed, each of them JSON, and what it said to standard error."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RECADO_")}
    ran = subprocess.run(
        [sys.executable, *command],
        env={**ours, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr


def _on_lambda(level: str = "INFO") -> tuple[list[Any], str]:
    environment = {"AWS_LAMBDA_FUNCTION_NAME": "send", "RECADO_LOG_LEVEL": level}
    return _run(environment, "-c", _INVOCATIONS, code=1)


def test_on_lambda_each_invocation_flushes_what_it_counted_once() -> None:
    metrics = [line for line in _on_lambda()[0] if "_aws" in line]
    assert [line["messages_accepted"] for line in metrics] == [[2.0], [5.0], [3.0]]
    assert [line.get("faults") for line in metrics] == [None, None, [1.0]]
    assert metrics[0]["service"] == "send"


def test_on_lambda_logs_are_json_with_the_function_and_its_request() -> None:
    logged = [line for line in _on_lambda()[0] if "_aws" not in line]
    taken = [line for line in logged if line["message"] == "taken"]
    assert [line["cost_centre"] for line in taken] == ["cc-1"] * 3
    assert [line.get("function_request_id") for line in taken] == ["request-1", None, "request-1"]
    (fault,) = [line for line in logged if line["level"] == "ERROR"]
    assert (fault["function_name"], fault["exception_name"]) == ("send", "ValueError")
    assert fault["exception"].splitlines()[-1] == "ValueError"
    assert "line 15, in handler" in fault["exception"]


def test_on_lambda_a_lines_time_is_as_rfc_3339_has_it_so_that_its_level_counts() -> None:
    [first, *_] = [line for line in _on_lambda()[0] if "_aws" not in line]
    assert first["timestamp"][10] == "T"
    assert first["timestamp"].endswith("+00:00")


def test_what_a_handler_raises_on_lambda_has_lost_its_words() -> None:
    lines, said = _on_lambda()
    assert said.splitlines()[-1] == "recado.observability.FunctionFailed: ValueError"
    # The traceback that Python prints shows the source; what was raised is not in it.
    assert "ValueError: a-text" not in said
    assert "a-text" not in json.dumps(lines)


def test_of_others_only_warnings_are_logged_on_lambda_at_debug_too() -> None:
    lines, _ = _on_lambda("DEBUG")
    assert "all that is sent" not in json.dumps(lines)
    assert sum(line.get("message") == "a warning of another's" for line in lines) == 3


def test_on_a_machine_nothing_is_printed_for_what_is_counted() -> None:
    assert _run({}, "-c", _INVOCATIONS, code=1)[0] == []


# --- what an exception may say -------------------------------------------------------------------


def _caught(work: str) -> Exception:
    try:
        eval(work, {"msgspec": msgspec, "sqlite3": sqlite3, "requests": requests, "open": open})
    except Exception as error:
        return error
    raise AssertionError(work)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Misconfigured("no upstream is called x"), "no upstream is called x"),
        (_caught("sqlite3.connect(':memory:').execute('SELECT * FROM x')"), "no such table: x"),
        (_caught(f"open('/{NUMBER}')"), "No such file or directory"),
        (
            ClientError({"Error": {"Code": "Throttled", "Message": TEXT}}, "PutItem"),
            "PutItem: Throttled",
        ),
        (_caught(f"int({TEXT!r})"), ""),
        (_caught(f"msgspec.json.decode(b'{{}}', type=dict[int, int])[{NUMBER}]"), ""),
        (_caught(f"requests.get('http://127.0.0.1:1/?to={NUMBER}')"), ""),
        (UnicodeDecodeError("utf-8", TEXT.encode(), 0, 1, "invalid"), ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_is_quoted_only_where_it_can_hold_nothing_of_a_customers(
    error: Exception, words: str
) -> None:
    assert words_of(error) == words


def test_nothing_is_looked_at_while_single_messages_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    things = iter([Key("cc-1", "m-1")])
    caplog.set_level(logging.INFO, "recado")
    follow("accepted", things)
    assert caplog.records == []
    assert next(things)


# --- the whole line ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], str, dict[str, Any]]:
    """The lines of a full run on the AWS engine at DEBUG, what was said besides, and the ids."""
    folder = tmp_path_factory.mktemp("run")
    command = ("-m", "tests.support.on_lambda", str(folder))
    environment = {"AWS_LAMBDA_FUNCTION_NAME": "recado", "RECADO_LOG_LEVEL": "DEBUG"}
    (*lines, ids), said = _run(environment, *command)
    return [line for line in lines if "_aws" not in line], said, ids


Run = tuple[list[Any], str, dict[str, Any]]


def _way(run: Run, identifier: str) -> list[tuple[str, ...]]:
    """What the lines with an id say, in their order."""
    told = ("message", "connector", "kind", "status", "state")
    mine = [line for line in run[0] if line.get("correlation_id") == identifier]
    return [tuple(str(line[key]) for key in told if key in line) for line in mine]


def test_a_message_can_be_followed_by_its_id_from_accept_to_its_last_report(run: Run) -> None:
    assert _way(run, run[2]["message"]) == [
        ("accepted",),
        ("submitted", "simulator"),
        ("receipt", "simulator", "DELIVERED"),
        ("report given", "1", "200"),
        ("report given", "2", "200"),
    ]


def test_a_batch_has_its_own_way_and_each_of_its_messages_too(run: Run) -> None:
    lines, _, ids = run
    assert _way(run, ids["batch"]) == [
        ("batch accepted",),
        ("expanded",),
        ("report given", "batch", "200"),
    ]
    first, refused, _ = ids["of_batch"]
    assert [step for step, *_ in _way(run, first)] == [
        "accepted",
        "put into a packet",
        "submitted",
        "receipt",
        "report given",
        "report given",
    ]
    assert _way(run, refused) == [("refused",)]
    batches = {line.get("batch_id") for line in lines if line.get("correlation_id") == first}
    assert batches == {ids["batch"]}


def test_what_is_refused_or_cancelled_can_be_found_by_the_id_that_was_answered(run: Run) -> None:
    assert _way(run, run[2]["refused"]) == [("refused",)]
    assert _way(run, run[2]["cancelled"])[:2] == [("accepted",), ("cancelled",)]


def test_no_text_and_no_number_is_in_a_line_whatever_is_raised(run: Run) -> None:
    lines, said, _ = run
    faults = {line["message"] for line in lines if "exception_name" in line}
    assert faults == {
        "a queue message can't be read",
        "a handful of queue messages failed: now one by one",
        "a queue message failed by itself",
        "a fault of ours",
        "a request failed by our fault",
    }
    everything = json.dumps(lines) + said
    for secret in (TEXT, NUMBER, NUMBER.removeprefix("55"), "segredo"):
        assert secret not in everything


def test_a_fault_names_the_message_that_it_befell(run: Run) -> None:
    befallen = [line for line in run[0] if line["message"].startswith("a queue message comes")]
    assert any("correlation_id" in line for line in befallen)
    assert all("queue_message" in line for line in befallen)
