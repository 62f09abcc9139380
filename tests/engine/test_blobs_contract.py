"""What every Blobs has to do, sentence by sentence of recado.engine.Blobs."""

import pytest

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
