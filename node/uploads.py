"""Uploads: the body of a PUT on a signed URL goes to a file of the blobs as it comes.

What is written and synced is so in a thread, one piece of work at a time, and never in the loop;
while that is behind, no more is read from the client. So memory stays flat whatever the file's
size, and nobody else waits for the disk.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from recado.engine.embedded.blobs import UPLOADS, BlobWriter, DirectoryBlobs
from recado.errors import Conflict, NotFound
from recado.observability import log

MOST_BYTES = 1024 * 1024 * 1024
_PENDING_BYTES = 1024 * 1024  # read from a client and not yet written
_one_at_a_time = threading.Lock()

Done = Callable[[BaseException | None], None]


class FileUpload:
    """node.http_request.Upload, into a blob."""

    limit = MOST_BYTES

    def __init__(self, name: str, blobs: DirectoryBlobs) -> None:
        self._name, self._blobs = name, blobs
        self._loop = asyncio.get_running_loop()
        self._writer: BlobWriter | None = None
        self._pending: list[bytes] = []
        self._size = 0  # of what is pending
        self._job: asyncio.Future[None] | None = None
        self._problem: BaseException | None = None
        self._room: Callable[[], None] | None = None
        self._done: Done | None = None
        self._aborted = False
        self._committed = False

    @property
    def full(self) -> bool:
        return self._size > _PENDING_BYTES

    @property
    def failed(self) -> bool:
        return self._problem is not None

    def when_room(self, tell: Callable[[], None]) -> None:
        self._room = tell

    def take(self, data: bytes) -> None:
        if self._problem is None and not self._aborted:
            self._pending.append(data)
            self._size += len(data)
            self._work()

    def finish(self, done: Done) -> None:
        self._done = done
        self._work()

    def abort(self) -> None:
        self._aborted = True
        self._pending.clear()
        self._work()

    def _work(self) -> None:
        """Begins the next piece of work, unless one is under way."""
        if self._job is not None:
            return
        if self._aborted or self._problem is not None:
            self._give_up()
        elif self._pending:
            pieces, self._pending = self._pending, []
            self._begin(lambda: self._write(pieces))
        elif self._done is not None:
            self._begin(self._commit)

    def _begin(self, work: Callable[[], None]) -> None:
        self._job = self._loop.run_in_executor(None, work)
        self._job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Future[None]) -> None:
        self._job = None
        self._problem = job.exception()
        if isinstance(self._problem, OSError):
            log.error("an upload could not be written: %s", self._problem)
        self._size = sum(map(len, self._pending))
        self._tell_of_room()
        if self._committed and self._done is not None:
            self._done(None)
        else:
            self._work()

    def _tell_of_room(self) -> None:
        if self._room is not None and not self.full:
            tell, self._room = self._room, None
            tell()

    def _give_up(self) -> None:
        """Leaves nothing behind, and tells why."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._loop.run_in_executor(None, writer.abort)
        self._pending.clear()
        self._size = 0
        if self._done is not None and not self._aborted:
            done, self._done = self._done, None
            done(self._problem)
        self._tell_of_room()  # whoever waits for it would wait for ever

    # In a thread.

    def _write(self, pieces: list[bytes]) -> None:
        writer = self._opened()
        for piece in pieces:
            writer.write(piece)

    def _opened(self) -> BlobWriter:
        if self._writer is None:
            self._writer = self._blobs.writer(self._name)
        return self._writer

    def _commit(self) -> None:
        writer = self._opened()
        with _one_at_a_time:
            if exists(self._blobs, self._name):  # of two uploads at once the first one counts
                raise Conflict("it has come already")
            writer.commit()
        self._committed = True


def exists(blobs: DirectoryBlobs, name: str) -> bool:
    try:
        blobs.size(name)
    except NotFound:
        return False
    return True


def begin(target: str, blobs: DirectoryBlobs) -> FileUpload | int | None:
    """What takes a PUT's body (see node.http_request.BeginUpload). A file comes once: what was
    checked must be what is sent."""
    path, _, query = target.partition("?")
    if not path.startswith(UPLOADS):
        return None
    name, fields = path.removeprefix(UPLOADS), parse_qs(query)
    until, signature = (fields.get(field, [""])[-1] for field in ("until", "signature"))
    if not blobs.may_upload(name, until, signature, time.time()):
        return HTTPStatus.FORBIDDEN.value
    try:
        if exists(blobs, name):
            return HTTPStatus.CONFLICT.value
    except OSError as error:
        log.error("an upload can't be kept: %s", error.strerror)
        return HTTPStatus.INTERNAL_SERVER_ERROR.value
    return FileUpload(name, blobs)
