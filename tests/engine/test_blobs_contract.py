"""What every Blobs has to do, sentence by sentence of recado.engine.Blobs."""

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from recado.bulk import UPLOAD_HEADERS
from recado.engine import Blobs
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.errors import NotFound
from recado.ids import new_id
from tests.engine.conftest import Harness


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\r\n", "çã 👍🏽".encode(), bytes(range(256)) * 20_000],
    ids=["empty", "bytes", "unicode", "5 MB"],
)
def test_a_blob_comes_out_as_it_went_in(engine: Harness, content: bytes) -> None:
    name = new_id(engine.now)
    engine.blobs.put(name, content)
    assert engine.blobs.get(name) == content


def test_a_blob_is_there_after_a_restart(engine: Harness) -> None:
    engine.blobs.put("list-1", b"content")
    engine.reopen()
    assert engine.blobs.get("list-1") == b"content"


def test_putting_a_blob_again_changes_nothing(engine: Harness) -> None:
    engine.blobs.put("list-1", b"content")
    engine.blobs.put("list-1", b"content")
    assert engine.blobs.get("list-1") == b"content"


def test_an_unknown_blob_is_not_found(engine: Harness) -> None:
    engine.blobs.put("list-1", b"content")
    with pytest.raises(NotFound, match="list-2"):
        engine.blobs.get("list-2")


def test_names_that_are_alike_hold_their_own_contents(engine: Harness) -> None:
    names = ["a", "aa", "list.draft", "list.raft", "list", "0-list", new_id(1.0)]
    for name in names:
        engine.blobs.put(name, name.encode())
    assert {name: engine.blobs.get(name) for name in names} == {n: n.encode() for n in names}


# --- stretches, sizes ----------------------------------------------------------------------------

_CONTENT = bytes(range(256)) * 4_000


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 10), (0, 1), (5, 1_000_000), (1_023_999, 1), (1_023_990, 500), (7, 0), (0, 1_024_000)],
)
def test_a_stretch_of_a_blob_is_read(engine: Harness, offset: int, length: int) -> None:
    engine.blobs.put("list-1", _CONTENT)
    assert engine.blobs.read("list-1", offset, length) == _CONTENT[offset : offset + length]


@pytest.mark.parametrize("beyond", [0, 1, 1_000_000])
@pytest.mark.parametrize("content", [b"", b"0123456789"])
def test_at_a_blobs_end_and_beyond_there_is_nothing(
    engine: Harness, content: bytes, beyond: int
) -> None:
    engine.blobs.put("list-1", content)
    assert engine.blobs.read("list-1", len(content) + beyond, 100) == b""


def test_a_blob_is_read_stretch_by_stretch_until_an_empty_one(engine: Harness) -> None:
    engine.blobs.put("list-1", _CONTENT)
    found = b""
    while stretch := engine.blobs.read("list-1", len(found), 100_000):
        found += stretch
    assert found == _CONTENT


@pytest.mark.parametrize("content", [b"", b"x", _CONTENT])
def test_a_blobs_size_is_its_bytes(engine: Harness, content: bytes) -> None:
    engine.blobs.put("list-1", content)
    assert engine.blobs.size("list-1") == len(content)


@pytest.mark.parametrize(
    "ask",
    [
        lambda blobs: blobs.size("list-2"),
        lambda blobs: blobs.read("list-2", 0, 10),
        lambda blobs: blobs.read("list-2", 10, 0),
    ],
    ids=["size", "read", "read nothing"],
)
def test_of_an_unknown_blob_nothing_is_told(engine: Harness, ask: Callable[[Blobs], int]) -> None:
    engine.blobs.put("list-1", b"content")
    with pytest.raises(NotFound, match="list-2"):
        ask(engine.blobs)


# --- uploads -------------------------------------------------------------------------------------


def _uploaded(engine: Harness, url: str, content: bytes) -> None:
    """What whoever was given the URL does: asks AWS, or the node, which does this."""
    if not url.startswith("/"):
        put = partial(requests.put, url, data=content, headers=dict(UPLOAD_HEADERS), timeout=30)
        assert put().status_code == 200
        assert put().status_code == 412, "a file comes once"
        return
    assert isinstance(engine.blobs, DirectoryBlobs)
    name, asked = urlsplit(url).path.removeprefix("/upload/"), parse_qs(urlsplit(url).query)
    [until], [signature] = asked["until"], asked["signature"]
    assert engine.blobs.may_upload(name, until, signature, engine.now)
    writer = engine.blobs.writer(name)
    writer.write(content[:7])
    writer.write(content[7:])
    writer.commit()


@pytest.mark.parametrize("content", [b"", b"short", _CONTENT], ids=["empty", "short", "1 MB"])
def test_what_is_put_at_an_upload_url_is_the_blob(engine: Harness, content: bytes) -> None:
    name = new_id(engine.now)
    url = engine.blobs.upload_url(name, 900)
    with pytest.raises(NotFound):
        engine.blobs.size(name)
    _uploaded(engine, url, content)
    assert engine.blobs.size(name) == len(content)
    assert engine.blobs.get(name) == content
    engine.reopen()
    assert engine.blobs.get(name) == content


def test_each_blob_has_its_own_upload_url_which_names_it(engine: Harness) -> None:
    one, two = new_id(engine.now), new_id(engine.now)
    urls = [engine.blobs.upload_url(name, 900) for name in (one, two)]
    assert [urlsplit(url).path.rpartition("/")[2] for url in urls] == [one, two]
    assert len({urlsplit(url).query for url in urls}) == 2
