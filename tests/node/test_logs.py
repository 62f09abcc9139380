"""The node's log lines, as a process prints them."""

import subprocess
import sys

_LINES = """
from node.logs import log_to_stderr
from recado.observability import log

log_to_stderr("INFO")
log.info("taken", extra={"message_id": "m-1", "cost_centre": "cc-1"})
try:
    raise ValueError("a fault")
except ValueError:
    log.exception("failed", extra={"message_id": "m-2"})
log.debug("not shown")
"""


def test_a_line_ends_with_the_ids_that_it_is_about() -> None:
    ran = subprocess.run([sys.executable, "-c", _LINES], capture_output=True, text=True, check=True)
    first, second, *trace = ran.stderr.splitlines()
    assert first.endswith("INFO taken  cost_centre=cc-1  message_id=m-1")
    assert second.endswith("ERROR failed  message_id=m-2")
    assert trace[-1] == "ValueError: a fault"
