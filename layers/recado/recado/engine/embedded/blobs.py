"""Blobs in a directory, one file each."""

import os
from pathlib import Path

from recado.errors import NotFound


class DirectoryBlobs:
    """recado.engine.Blobs. A file is complete or absent, whatever dies meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        if "/" in name or name.startswith("."):
            raise ValueError("a blob's name is one plain word")
        # The last characters of our ids are random: they spread the files over 256 folders.
        return self._folder / name[-2:] / name

    def put(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        for folder in (path.parent, self._folder):
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

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
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
                gone += 1
        return gone
