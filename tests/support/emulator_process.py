"""ministack's own process: started by tests/support/emulator.py with the interpreter of
.venv-emulator, which knows none of our packages.

Two things are put around ministack here. It ends when the test that started it is gone, however
that ended. And where a file with a clock is given, ministack takes its time from there: eight bytes
with the seconds since the epoch, which stand still until the test moves them.
"""

import asyncio
import datetime
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsIndex

# On a clock that stands still a long poll would never end, so it is timed by the real one; and the
# suites that move the clock wait hundreds of times for what is not going to come.
_REAL_SECONDS_OF_A_LONG_POLL_SECOND = 0.03
_POLL = 0.005
# ministack's threads that do something every so often (DynamoDB's time to live: every minute) sleep
# by the moved clock; shorter sleeps wait for something real.
_LONG_SLEEP = 30.0
_LOOK = 0.05


def moved(clock: Path) -> Callable[[], float]:
    """Reads the clock."""
    with clock.open("rb") as file:
        content = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def now() -> float:
        seconds: float = struct.unpack("d", content)[0]
        return seconds

    return now


def move_time(now: Callable[[], float]) -> None:
    """Puts this process on another clock. Before anything else is imported, as a module may keep
    the functions that it finds."""
    sleep = time.sleep

    def sleep_by_it(seconds: float | SupportsIndex) -> None:
        if float(seconds) < _LONG_SLEEP:
            sleep(seconds)
            return
        begun = now()
        while 0 <= now() - begun < float(seconds):  # a clock that is put back ends it too
            sleep(_LOOK)

    time.time = now
    time.time_ns = lambda: round(now() * 1e9)
    time.sleep = sleep_by_it
    datetime.datetime = _moved_datetime(now)  # type: ignore[misc] # the one way to move it


def _moved_datetime(now: Callable[[], float]) -> type[datetime.datetime]:
    real = datetime.datetime

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    class Moved(datetime.datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return cls.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(now(), datetime.UTC).replace(tzinfo=None)

    return Moved


def time_long_polls_by_the_real_clock() -> None:
    from ministack.services import sqs  # type: ignore[import-not-found] # noqa: PLC0415 - ours has it not; and only now is time moved

    receive = sqs._act_receive_message

    async def receive_within_real_time(data: dict[str, Any], url: str) -> dict[str, Any]:
        wait = int(data.get("WaitTimeSeconds") or 0)
        end = time.monotonic() + wait * _REAL_SECONDS_OF_A_LONG_POLL_SECOND
        while True:
            answer: dict[str, Any] = await receive({**data, "WaitTimeSeconds": 0}, url)
            if answer or time.monotonic() >= end:
                return answer
            await asyncio.sleep(_POLL)

    sqs._HANDLERS["ReceiveMessage"] = receive_within_real_time


def end_with_whoever_started_this() -> None:
    """Standard input is a pipe whose other end the test holds."""

    def wait() -> None:
        os.read(0, 1)  # nothing is ever written to it
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-the-test", daemon=True).start()


if __name__ == "__main__":
    end_with_whoever_started_this()
    if len(sys.argv) > 1:
        move_time(moved(Path(sys.argv.pop())))
        time_long_polls_by_the_real_clock()
    from ministack.app import main  # type: ignore[import-not-found] # our environment has it not

    main()
