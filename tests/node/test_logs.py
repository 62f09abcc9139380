"""The node's log lines, as a process prints them: to a pipe, a file or a real terminal."""

import json
import os
import pty
import subprocess
import sys
from datetime import datetime

import pytest

_LINES = """
import asyncio, logging, sys
from node.logs import log_to_stderr
from recado.errors import Misconfigured
from recado.observability import log

log_to_stderr("INFO", sys.argv[1])
log.info("taken", extra={"correlation_id": "m-1", "cost_centre": "cc-1"})
try:
    raise ValueError("a-text")
except ValueError as error:
    try:
        raise Misconfigured("there is no upstream") from error
    except Misconfigured:
        log.exception("failed", extra={"correlation_id": "m-2"})
log.debug("not shown")
logging.getLogger("node.http_connection").info("shown")
logging.getLogger("another").info("not shown")

def broken(what):
    raise ValueError(what)

async def main():
    asyncio.get_running_loop().call_soon(broken, "a-text")
    await asyncio.sleep(0)

asyncio.run(main())
raise KeyError("a-text")
"""


def _said(form: str) -> str:
    """What it prints to a pipe."""
    ran = subprocess.run(
        [sys.executable, "-c", _LINES, form], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    return ran.stderr


def _said_to_a_terminal() -> str:
    master, terminal = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", _LINES, ""], stderr=terminal) as process:
        process.wait(60)
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(master, 65536):
            said += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(master)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("where", ["text, as asked for", "a terminal"])
def test_a_line_of_text_ends_with_its_fields_and_a_trace_follows(where: str) -> None:
    said = _said_to_a_terminal() if where == "a terminal" else _said("text")
    first, second, *rest = said.splitlines()
    assert first.endswith("INFO taken  correlation_id=m-1  cost_centre=cc-1")
    assert second.endswith("ERROR failed  correlation_id=m-2")
    assert rest[:4] == [
        '  File "<string>", line 10, in <module>',
        "ValueError",
        '  File "<string>", line 13, in <module>',
        "recado.errors.Misconfigured: there is no upstream",
    ]


@pytest.mark.parametrize("form", ["json", ""])
def test_a_line_is_json_with_the_keys_of_lambda_where_no_terminal_shows_it(form: str) -> None:
    taken, failed, *_ = [json.loads(line) for line in _said(form).splitlines()]
    assert datetime.fromisoformat(taken.pop("timestamp")).tzinfo is not None
    assert taken == {
        "level": "INFO",
        "location": "<module>:8",
        "message": "taken",
        "correlation_id": "m-1",
        "cost_centre": "cc-1",
    }
    assert (failed["correlation_id"], failed["exception_name"]) == ("m-2", "Misconfigured")
    assert failed["exception"].splitlines()[-1].endswith("there is no upstream")


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_of_others_is_logged_without_its_words_wherever_it_comes_up(
    form: str,
) -> None:
    said = _said(form)
    assert "a fault in the event loop" in said
    assert "a fault ended the process" in said
    assert "KeyError" in said
    assert "a-text" not in said


def test_what_is_below_the_level_is_not_shown_and_of_others_only_warnings() -> None:
    messages = [json.loads(line)["message"] for line in _said("json").splitlines()]
    assert messages == [
        "taken",
        "failed",
        "shown",
        "a fault in the event loop",
        "a fault ended the process",
    ]
