"""Blobs in a directory, one file each."""

import os
from contextlib import suppress
from pathlib import Path

from recado.errors import NotFound


class DirectoryBlobs:
    """recado.engine.Blobs. A file is complete or absent, whatever dies meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        if not name or "/" in name or "." in (name[0], name[-1]):
            raise ValueError("a blob's name is one plain word")
        # The last characters of our ids are random: they spread the files over 256 folders.
        return self._folder / name[-2:] / name

    def put(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.draft")  # no blob's name
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        for folder in (path.parent, self._folder, self._folder.parent):
            _sync_folder(folder)

    def get(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"blob {name}") from error

    def expire(self, before: float) -> int:
        """Removes the blobs written before that time: how many. Never sooner: a backup that runs
        meanwhile copies the files after the rows that name them."""
        gone = 0
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):  # a draft that has got its name meanwhile
                if path.stat().st_mtime < before:
                    path.unlink()
                    gone += 1
        return gone


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
