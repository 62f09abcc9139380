"""What a command is given without its standing on the command line, and so in the shell's history
and in the list of processes: the line of a file, or what is typed when it asks."""

import sys
from getpass import getpass
from pathlib import Path

import typer

from recado.errors import Invalid

ASKED = "-"
_FILE = "@"
_LONGEST = 4_096


def meant(name: str, given: str, *, secret: bool) -> str:
    """What a value on the command line stands for: @FILE for the one line of that file, @@ for a @
    at its beginning, and, of a secret, - for what is typed unseen, or the next line of a standard
    input that is no terminal. Raises Invalid."""
    if secret and given == ASKED:
        return _one_line(name, _asked(name))
    if given.startswith(_FILE * 2):
        return given.removeprefix(_FILE)
    if given.startswith(_FILE):
        return _one_line(name, _read(name, given.removeprefix(_FILE)))
    return given


def secret_option(parameter: typer.CallbackParam, value: str | None) -> str | None:
    """For the options that are secrets: what is meant by them."""
    return None if value is None else meant(str(parameter.name), value, secret=True)


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        return getpass(f"{name}: ")
    return sys.stdin.readline(_LONGEST + 1)


def _read(name: str, path: str) -> str:
    # The path is not told: it may be a secret, of somebody who did not know of @@.
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            return file.read(_LONGEST + 1)
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is no text"
    except RuntimeError:  # ~somebody, who is not known here
        reason = "nobody has that home directory"
    hint = "a value that begins with @ is written @@"
    raise Invalid(name, f"can't be read from its file: {reason} ({hint})")


def _one_line(name: str, text: str) -> str:
    line = text.removesuffix("\n")
    # What is empty would take a setting away, or be made up, as if nothing were meant.
    if not line or "\n" in line or len(line) > _LONGEST:
        raise Invalid(name, "must be one line, and not empty")
    return line
