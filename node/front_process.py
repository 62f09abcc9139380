"""The process of a front (node.front), as its worker has it."""

import asyncio
import socket
import subprocess
import sys

_GOODBYE = 10.0  # seconds for its end, once its link is closed, before it is killed


class FrontProcess:
    """Starts one. All that it is given is its end of a link; ours is `socket`."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "node.front", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the worker: it needs us until it has done
            )

    async def ended(self) -> int:
        """Its exit status, once it has come to its end. For one whose link is closed: it ends by
        itself, or is made to."""
        return await asyncio.get_running_loop().run_in_executor(None, self._reaped)

    def _reaped(self) -> int:
        try:
            return self._popen.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()
