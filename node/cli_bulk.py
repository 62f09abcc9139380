"""`recado bulk`: files of millions, and other long lists on their way."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli_ask import DEFAULT_DATA, JsonOption, Target, TargetOption, ask, moment
from node.cli_print import shown, table
from node.cli_progress import Told, progress
from node.control import Command
from node.control import ask as ask_node
from recado.bulk import MOST_BYTES, UPLOAD_HEADERS
from recado.errors import Invalid, Misconfigured, RecadoError
from recado.rows import check_head

app = typer.Typer(help="Files of millions.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="ID", help="Its id.")]

_COLUMNS = ("bulk_id", "cost_centre", "name", "state", "messages", "submitted", "percent")
_PIECE = 1024 * 1024
_PAUSE = 0.5  # seconds between two looks
_LISTED = 20  # bad rows that are printed
_FOUND = ("rows", "good", "duplicates", "bad_rows", "units")


@app.command()
def send(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV.")],
    cost_centre: Annotated[str, typer.Option(help="Its id, login or name.")],
    text: Annotated[str, typer.Option(help="{nome} in it is the value of that column.")],
    column: Annotated[
        str, typer.Option(help="Where the numbers stand; looked for if not given.")
    ] = "",
    at: Annotated[
        str | None, typer.Option(help="When: ISO 8601, local where it names no zone.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call it.")] = "",
    source: Annotated[str, typer.Option(help="Who it is from: a number or a word.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking.")] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Upload a file, check it, and send what is good in it. Ctrl-C ends the looking on: what is
    being sent goes on, and `recado bulk pause` stops it."""
    _needs_a_node(target)
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise Invalid(str(file), f"is too large: {MOST_BYTES} bytes are allowed")
    with file.open("rb") as beginning:
        check_head(beginning.read(_PIECE), size <= _PIECE, text, column)
    made = ask(
        target,
        "bulk_create",
        which=cost_centre,
        text=text,
        column=column,
        send_at=None if at is None else moment(at),
        name=name or file.name[:100],
        source=source,
    )
    identifier: str = made["bulk_id"]
    with progress("uploading", size, quiet=as_json) as told:
        _upload(file, made, target, told)
    found = _checked(identifier, target, as_json)
    if dry_run or found["state"] == "failed":
        ask(target, "bulk_cancel", identifier=identifier)
        _print_found(found, as_json)
        if found["state"] == "failed":
            raise RecadoError(found["problem"])
        return
    if not as_json:
        _print_found(found, as_json)
    if not yes:
        _confirm(identifier, found, target)
    sent = ask(target, "bulk_send", identifier=identifier)
    if sent["state"] != "scheduled":
        sent = _watched(identifier, target, quiet=as_json)
    shown({name: value for name, value in sent.items() if name != "bad"}, as_json)


def _needs_a_node(target: Target) -> None:
    if target.on_aws is None and ask_node(target.data, Command("queue_list")) is None:
        raise Misconfigured(f"no gateway runs on {target.data} to send a file: `recado up` does")


def _confirm(identifier: str, found: dict[str, Any], target: Target) -> None:
    question = f"Send {found['good']} messages ({found['units']} SMS)?"
    agreed = sys.stdin.isatty() and typer.confirm(question)
    if not agreed:
        ask(target, "bulk_cancel", identifier=identifier)
        raise RecadoError("nothing was sent (--yes sends without asking)")


# --- upload --------------------------------------------------------------------------------------


def _upload(file: Path, made: dict[str, Any], target: Target, told: Told) -> None:
    """Puts the file into storage: by the URL that a stack gave, or, on this machine, where the
    node would."""
    if target.on_aws is not None:
        put(file, made["upload_url"], told)
        return
    from recado.engine.embedded import BLOBS_NAME
    from recado.engine.embedded.blobs import DirectoryBlobs

    folder = target.data / BLOBS_NAME
    writer = DirectoryBlobs(folder).writer(made["blob"])
    try:
        for piece in _pieces(file, told):
            writer.write(piece)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    _give_to_owner(folder, made["blob"])


def _give_to_owner(folder: Path, name: str) -> None:
    """The superuser may command a node that runs as somebody else, who has to read the file."""
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        for path in (folder, *folder.glob(name[-2:]), *folder.glob(f"*/{name}")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _pieces(file: Path, told: Told) -> Iterator[bytes]:
    done = 0
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            yield piece
            done += len(piece)
            told(done)


class _Body:
    """A file as `requests` streams one whose length it knows."""

    def __init__(self, file: Path, told: Told) -> None:
        self._size = file.stat().st_size
        self._file = file.open("rb")
        self._told, self._done = told, 0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = _PIECE) -> bytes:
        piece = self._file.read(max(size, _PIECE))
        self._done += len(piece)
        self._told(self._done)
        return piece

    def close(self) -> None:
        self._file.close()


def put(file: Path, url: str, told: Told) -> None:
    """Puts a file to a URL that was signed for it. Raises Misconfigured where that fails."""
    import requests

    body = _Body(file, told)
    try:
        answer = requests.put(
            url, data=body, headers=dict(UPLOAD_HEADERS), timeout=(10, 300), allow_redirects=False
        )
    except requests.RequestException as error:
        raise Misconfigured(f"the upload failed: {type(error).__name__}") from error
    finally:
        body.close()
    if answer.status_code != 200:
        raise Misconfigured(f"the upload was refused: HTTP {answer.status_code}")


# --- look on -------------------------------------------------------------------------------------


def _checked(identifier: str, target: Target, quiet: bool) -> dict[str, Any]:
    ask(target, "bulk_check", identifier=identifier)
    with progress("checking", 100, quiet=quiet) as told:
        return _looked_at(identifier, target, {"checking"}, told)


def _watched(identifier: str, target: Target, quiet: bool) -> dict[str, Any]:
    try:
        with progress("sending", 100, quiet=quiet) as told:
            return _looked_at(identifier, target, {"sending"}, told)
    except KeyboardInterrupt:
        told_how = f"it goes on being sent: `recado bulk show {identifier}`, `recado bulk pause`"
        raise RecadoError(told_how) from None


def _looked_at(identifier: str, target: Target, while_in: set[str], told: Told) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = ask(target, "bulk_show", identifier=identifier)
        told(found["percent"])
        if found["state"] not in while_in:
            return found
        time.sleep(_PAUSE)


def _print_found(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        shown(found, as_json)
        return
    shown({name: found[name] for name in _FOUND}, as_json)
    bad = found["bad"][:_LISTED]
    if bad:
        table(bad, as_json, ("line", "value", "reason"))
    if found["bad_rows"] > len(bad):
        typer.echo(f"and {found['bad_rows'] - len(bad)} more (--json lists the first 1,000)")


# --- what is under way ---------------------------------------------------------------------------


@app.command("list")
def list_all(
    cost_centre: Annotated[
        str | None, typer.Option(help="Its id, login or name; all if not given.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How far to look back.")] = 7,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Files and long lists, the newest first."""
    table(ask(target, "bulk_list", which=cost_centre, days=days), as_json, _COLUMNS)


@app.command()
def show(
    identifier: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """How far it is, and what its check has found."""
    found = ask(target, "bulk_show", identifier=identifier)
    if as_json:
        shown(found, as_json)
        return
    shown({name: value for name, value in found.items() if name != "bad"}, as_json)
    if found.get("bad"):
        table(found["bad"][:_LISTED], as_json, ("line", "value", "reason"))


@app.command()
def pause(
    identifier: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Send no more of it until it is resumed."""
    shown(ask(target, "bulk_pause", identifier=identifier), as_json)


@app.command()
def resume(
    identifier: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Go on with it."""
    shown(ask(target, "bulk_resume", identifier=identifier), as_json)


@app.command()
def cancel(
    identifier: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Send nothing more of it. What it cost and was not sent is given back."""
    shown(ask(target, "bulk_cancel", identifier=identifier), as_json)
