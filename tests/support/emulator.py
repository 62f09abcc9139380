"""An AWS account on this machine: ministack, a server in a process and an environment of its own.

Unlike moto it takes calls from many threads and processes at once, and deploys templates.
"""

import contextlib
import mmap
import os
import signal
import struct
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from node.installation import TEMPLATE
from tests.support.processes import environment, free_port, until

REGION: Final = "sa-east-1"
NO_EMULATOR = "no emulator: `make setup-cloud` installs it"
"""Why a test is skipped where `available()` is False."""

_ENVIRONMENT = TEMPLATE.parent / ".venv-emulator"
_PROCESS = Path(__file__).with_name("emulator_process.py")
_STARTS_WITHIN = 60.0
_STOPS_WITHIN = 20.0
_TOLD = 4_000  # characters of its log, where it does not start


def available() -> bool:
    """Whether it is installed."""
    return (_ENVIRONMENT / ".ready").exists()


class Emulator:
    """ministack from here to `close()`, ready for calls at `endpoint`.

    `services`: those that it offers, by its names ("dynamodb", "sqs"); all of them where none is
    named. `clock`: the time at which its clock stands, in seconds since the epoch, until `set_time`
    moves it; without it, it goes by the real one. On a standing clock the wait of a long poll lasts
    a thirtieth of its time. `log` holds what it said. Raises AssertionError, with the end of that,
    where it does not start."""

    def __init__(
        self,
        folder: Path,
        services: Sequence[str] = (),
        clock: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        port = free_port()
        self.endpoint: Final = f"http://127.0.0.1:{port}"
        self.log: Final = folder / f"emulator-{port}.log"
        self._clock: mmap.mmap | None = None
        # -I: with nothing of ours on its path.
        command = [str(_ENVIRONMENT / "bin" / "python"), "-I", str(_PROCESS)]
        if clock is not None:
            command.append(str(self._make_clock(folder / f"emulator-{port}.clock", clock)))
        with self.log.open("wb") as log:
            self.process: Final = subprocess.Popen(
                command,
                env=_environment(port, folder, services, env),
                stdin=subprocess.PIPE,  # its end is what tells it that we are gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it starts processes of its own for functions
            )
        try:
            until(self._ready, self._why_not, _STARTS_WITHIN)
        except BaseException:
            self.close()
            raise

    def _make_clock(self, path: Path, now: float) -> Path:
        path.write_bytes(struct.pack("d", now))
        with path.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        return path

    def _ready(self) -> bool:
        assert self.process.poll() is None, self._why_not()
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:  # 503: not yet
            error.close()
            return False
        except OSError:
            return False

    def _why_not(self) -> str:
        said = self.log.read_text(errors="replace")[-_TOLD:]
        return f"an emulator at {self.endpoint}; it has said: {said}"

    def set_time(self, now: float) -> None:
        """Moves its clock, which has to be one that stands."""
        assert self._clock is not None, "this emulator goes by the real clock"
        self._clock[:] = struct.pack("d", now)

    def reset(self) -> None:
        """Empties the account."""
        request = urllib.request.Request(f"{self.endpoint}/_ministack/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200

    def close(self) -> None:
        """It stops; repeatable."""
        assert self.process.stdin is not None
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Whatever of its processes is left goes too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self._clock is not None:
            self._clock.close()
            self._clock = None


def _environment(
    port: int, folder: Path, services: Sequence[str], more: Mapping[str, str] | None
) -> dict[str, str]:
    # Whoever runs the tests may have settings for an account or an emulator of theirs.
    ours = {name: value for name, value in environment().items() if not name.startswith("AWS_")}
    return {
        **ours,
        "BIND_HOST": "127.0.0.1",  # it would listen on all interfaces
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",  # it would open 8883 on all interfaces, whatever BIND_HOST says
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "0",
        "SERVICES": ",".join(services),
        "TMPDIR": str(folder),
        **(more or {}),
    }
