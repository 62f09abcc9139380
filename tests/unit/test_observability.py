"""Logs and metrics, on Lambda as a process of its own, since they are set up at import."""

import json
import os
import subprocess
import sys

_INVOCATIONS = """
from recado.observability import count, log, observed

@observed
def handler(event, context):
    count("messages_accepted", event["amount"])
    log.info("taken", extra={"cost_centre": "cc-1"})
    if event["amount"] == 3:
        raise ValueError("a fault")

handler({"amount": 2}, None)
handler({"amount": 5}, None)
try:
    handler({"amount": 3}, None)
except ValueError:
    pass
"""


def _lines(environment: dict[str, str]) -> list[dict[str, object]]:
    ran = subprocess.run(
        [sys.executable, "-c", _INVOCATIONS],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_on_lambda_each_invocation_flushes_what_it_counted_once() -> None:
    lines = _lines({"AWS_LAMBDA_FUNCTION_NAME": "send"})
    metrics = [line for line in lines if "_aws" in line]
    assert [line["messages_accepted"] for line in metrics] == [[2.0], [5.0], [3.0]]
    assert [line.get("faults") for line in metrics] == [None, None, [1.0]]
    assert metrics[0]["service"] == "send"


def test_on_lambda_logs_are_json_and_a_fault_is_logged_with_its_function() -> None:
    lines = _lines({"AWS_LAMBDA_FUNCTION_NAME": "send"})
    logged = [line for line in lines if "_aws" not in line]
    assert [line["cost_centre"] for line in logged if line["message"] == "taken"] == ["cc-1"] * 3
    (fault,) = [line for line in logged if line["level"] == "ERROR"]
    assert (fault["function"], fault["exception_name"]) == ("__main__", "ValueError")


def test_on_a_machine_nothing_is_printed_for_what_is_counted() -> None:
    assert _lines({}) == []
