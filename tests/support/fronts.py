"""The front of a node in two processes, as its operating system sees it."""

import os
import signal
import subprocess

from tests.support.processes import Process, until


def fronts_of(node: Process) -> list[int]:
    """The process ids of its fronts."""
    asked = ["ps", "-o", "pid=,stat=,args=", "--ppid", str(node.popen.pid)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    rows = [line.split(maxsplit=2) for line in said.splitlines()]
    return [int(pid) for pid, state, args in rows if "node.front" in args and state[0] != "Z"]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_front(node: Process, *ports: int) -> None:
    """With SIGKILL; another one listens on these ports when this returns."""
    [front] = fronts_of(node)
    os.kill(front, signal.SIGKILL)
    until(lambda: fronts_of(node) not in ([], [front]), "another front")
    for port in ports:
        until(lambda port=port: node.listens_on(port), f"what listens on {port}")  # type: ignore[misc]  # a loop's own
