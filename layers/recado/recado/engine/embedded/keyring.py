"""The keyring in a folder: one file a secret, which nobody but its owner may read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

SECRETS_NAME = "secrets"
"""The folder, in the data directory."""

_DRAFT = ".draft"  # no secret's file: their names have no full stop
_DRAFT_BYTES = 6


class FolderKeyring:
    """recado.keyring.Keyring. A file is complete or absent, whatever dies meanwhile. Raises OSError
    where the disk does, or where a name is too long for a file's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        # Percent-encoded, the full stop, too: ".." is the name of another folder.
        return self._folder / (quote(name, safe="").replace(".", "%2E") or "%")

    def get(self, name: str) -> str | None:
        try:
            return self._path(name).read_bytes().decode()
        except FileNotFoundError:
            return None

    def put(self, name: str, secret: str) -> None:
        path = self._path(name)
        self._make_folder()
        draft = self._folder / f"{secrets.token_hex(_DRAFT_BYTES)}{_DRAFT}"
        try:
            handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secret.encode())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        _sync(self._folder)

    def _make_folder(self) -> None:
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
            _sync(self._folder.parent)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._path(name).unlink()
            _sync(self._folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
