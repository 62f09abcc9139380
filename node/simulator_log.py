"""The simulator's log: what it took, what it refused, what was acknowledged, in JSON lines."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from recado.errors import Misconfigured
from recado.simulator_behaviours import Answering, Step, behaviour_of

_KEPT_TEXTS = 10_000


class Taken(Struct, frozen=True, omit_defaults=True, tag_field="event", tag="taken"):
    """A log line: this submit was taken."""

    id: str
    reference: str
    to: str
    segments: int
    at: float
    callback_url: str
    echo: bool = True
    lost: bool = False  # its submit got no answer, and nothing more will be heard of it
    source: str = ""
    voice: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        return () if self.lost else behaviour_of(self.to).steps


class Refused(Struct, frozen=True, tag_field="event", tag="refused"):
    """A log line: this submit was not taken."""

    reference: str
    to: str
    why: Answering
    at: float


class Told(Struct, frozen=True, tag_field="event", tag="told"):
    """A log line: the gateway acknowledged this receipt."""

    id: str
    stat: str
    at: float


class Replied(Struct, frozen=True, tag_field="event", tag="replied"):
    """A log line: the gateway acknowledged the message's reply."""

    id: str
    at: float


Line: TypeAlias = Taken | Refused | Told | Replied
_encoder = msgspec.json.Encoder()
_line_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def told_line(taken: Taken, step: Step, at: float) -> Told | Replied:
    """The log's line once a step was acknowledged."""
    return Told(taken.id, step.stat, at) if step.stat else Replied(taken.id, at)


class Log:
    """The append-only log, and what of it is kept in memory. All lines of one turn of the loop are
    one write, so that thousands of submits a second cost few of them."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: list[bytes] = []
        self._after: list[Callable[[], None]] = []
        self.references: set[str] = set()
        self.throttled: dict[str, int] = {}
        self.newest: deque[tuple[Taken, str | None]] = deque(maxlen=_KEPT_TEXTS)
        self.owing: dict[str, tuple[Taken, int]] = {}  # by id: the message, its steps acknowledged
        self.taken = self.refused = self.told = self.replied = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._recover(path)
        self._file = path.open("ab")

    def _recover(self, path: Path) -> None:
        path.touch(0o600)  # the callback URLs in it carry their secrets
        with path.open("rb+") as file:
            whole = 0
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    # The kill came in the middle of this write: its answer never left.
                    file.truncate(whole)
                    break
                whole += len(line)
                try:
                    self._note(_line_decoder.decode(line))
                except msgspec.DecodeError as error:
                    raise Misconfigured(f"line {number} of {path} is no log line") from error

    def _note(self, line: Line, text: str | None = None) -> None:
        if isinstance(line, Taken):
            self.taken += 1
            self.references.add(line.reference)
            self.newest.append((line, text))
            if line.steps:
                self.owing[line.id] = (line, 0)
        elif isinstance(line, Refused):
            self.refused += 1
            if line.why == "throttle":
                self.throttled[line.reference] = self.throttled.get(line.reference, 0) + 1
        else:
            self.told += isinstance(line, Told)
            self.replied += isinstance(line, Replied)
            taken, done = self.owing.pop(line.id)
            if done + 1 < len(taken.steps):
                self.owing[line.id] = (taken, done + 1)

    def write(
        self, line: Line, after: Callable[[], None] | None = None, text: str | None = None
    ) -> None:
        """Notes the line now; `after` runs once it is with the operating system."""
        self._note(line, text)
        if not self._lines:
            self._loop.call_soon(self._flush)
        self._lines.append(_encoder.encode(line) + b"\n")
        if after is not None:
            self._after.append(after)

    def once_written(self, call: Callable[[], None]) -> None:
        """Runs it when all that was noted so far is with the operating system."""
        if self._lines:
            self._after.append(call)
        else:
            call()

    def stats(self) -> dict[str, int]:
        """Counts. `doubled`: taken beyond one a reference; `pending`: receipts and replies owed."""
        distinct = len(self.references)
        return {
            "taken": self.taken,
            "distinct": distinct,
            "doubled": self.taken - distinct,
            "refused": self.refused,
            "told": self.told,
            "replied": self.replied,
            "pending": sum(len(taken.steps) - done for taken, done in self.owing.values()),
        }

    def _flush(self) -> None:
        lines, after = self._lines, self._after
        self._lines, self._after = [], []
        self._file.write(b"".join(lines))
        self._file.flush()
        for call in after:
            self._loop.call_soon(call)  # each on its own: one that fails takes no other with it

    def close(self) -> None:
        if self._lines:
            self._flush()
        self._file.close()
