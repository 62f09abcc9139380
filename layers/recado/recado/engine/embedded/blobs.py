"""Blobs in a directory, one file each."""

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recado.errors import NotFound

UPLOADS = "/upload/"
"""Under this path the node takes what is uploaded: see `DirectoryBlobs.upload_url`."""

# So that a name is a file's name anywhere, and goes into a URL as it is.
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?")
_KEY_BYTES = 32
_DRAFT = ".draft"
_DRAFT_BYTES = 6
_DRAFT_SECONDS = 86_400.0  # whoever wrote it has died
_SYNCED_AT_ONCE = 8 * 1024 * 1024


class BlobWriter:
    """A blob under way. It is there from `commit` on; what is neither committed nor aborted goes
    with the blobs of its age. Raises OSError where the disk does: `abort` it then."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root
        path.parent.mkdir(parents=True, exist_ok=True)
        # No blob's name, and no other writer's: of two at once each writes its own.
        self._draft = path.with_name(f".{path.name}.{secrets.token_hex(_DRAFT_BYTES)}{_DRAFT}")
        self._file = self._draft.open("wb")
        self._unsynced = 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._unsynced += len(content)
        if self._unsynced >= _SYNCED_AT_ONCE:
            # Piece by piece: a gigabyte at the end would keep the disk from everybody else's syncs.
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced = 0

    def commit(self) -> None:
        """Durable on return, in place of what had the name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        for folder in (self._path.parent, self._root, self._root.parent):
            _sync_folder(folder)

    def abort(self) -> None:
        """Leaves nothing behind. Does nothing to what was committed."""
        with suppress(OSError):  # closing writes what was left to write
            self._file.close()
        self._draft.unlink(missing_ok=True)


class DirectoryBlobs:
    """recado.engine.Blobs. A file is complete or absent, whatever dies meanwhile. `key` signs the
    URLs for uploads; a random one makes them end with the process."""

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, key: bytes | None = None
    ) -> None:
        self._folder, self._clock = folder, clock
        self._key = key or secrets.token_bytes(_KEY_BYTES)

    def _path(self, name: str) -> Path:
        if not _PLAIN_WORD.fullmatch(name):
            raise ValueError("a blob's name is one plain word")
        # The last characters of our ids are random: they spread the files over 256 folders.
        return self._folder / name[-2:] / name

    def put(self, name: str, content: bytes) -> None:
        writer = self.writer(name)
        try:
            writer.write(content)
            writer.commit()
        except BaseException:
            writer.abort()
            raise

    def writer(self, name: str) -> BlobWriter:
        """For what comes in pieces."""
        return BlobWriter(self._path(name), self._folder)

    def get(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"blob {name}") from error

    def read(self, name: str, offset: int, length: int) -> bytes:
        try:
            with self._path(name).open("rb") as file:
                file.seek(offset)
                return file.read(max(length, 0))
        except FileNotFoundError as error:
            raise NotFound(f"blob {name}") from error

    def size(self, name: str) -> int:
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError as error:
            raise NotFound(f"blob {name}") from error

    # --- uploads ---------------------------------------------------------------------------------

    def upload_url(self, name: str, seconds: int) -> str:
        """A path of the node's own: /upload/<name>?until=<unix time>&signature=<hex>."""
        self._path(name)
        until = str(int(self._clock()) + seconds)
        return f"{UPLOADS}{name}?until={until}&signature={self._signature(name, until)}"

    def may_upload(self, name: str, until: str, signature: str, now: float) -> bool:
        """Whether these, as they stood in a request's URL, are of one that `upload_url` gave, and
        whose time is not over."""
        own = self._signature(name, until).encode()
        if not hmac.compare_digest(own, signature.encode(errors="replace")):
            return False
        return now <= int(until)  # it is as we wrote it: its signature is ours

    def _signature(self, name: str, until: str) -> str:
        # Of what is told to an uploader alone: the key may sign other things elsewhere. No name
        # has a line's end in it.
        told = f"{UPLOADS}\n{name}\n{until}".encode(errors="replace")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()

    # --- what is old -----------------------------------------------------------------------------

    def expire(self, before: float) -> int:
        """Removes the blobs written before that time, and drafts that nobody has written to for a
        day: how many. Never sooner: a backup that runs meanwhile copies the files after the rows
        that name them."""
        gone, forgotten = 0, self._clock() - _DRAFT_SECONDS
        for path in self._folder.glob("*/*"):
            end = max(before, forgotten) if path.suffix == _DRAFT else before
            with suppress(FileNotFoundError):  # a draft that has got its name meanwhile
                if path.stat().st_mtime < end:
                    path.unlink()
                    gone += 1
        return gone


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
