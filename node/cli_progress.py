"""How far a long command is: a bar on a terminal, and a line each tenth elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Told: TypeAlias = Callable[[int], None]
"""Takes how much of the whole is done."""


@contextmanager
def progress(what: str, total: int, *, quiet: bool) -> Iterator[Told]:
    """Shows how far something is, as it is told; nothing where it is to be quiet."""
    if quiet:
        yield lambda _: None
        return
    bar = Progress(
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    if not bar.console.is_terminal:
        yield _Lines(what, total).told
        return
    with bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)


class _Lines:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._tenths = what, max(total, 1), -1

    def told(self, done: int) -> None:
        tenths = 10 * done // self._total
        if tenths > self._tenths:
            self._tenths = tenths
            typer.echo(f"{self._what} {10 * tenths}%")
