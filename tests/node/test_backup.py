"""Backup while the node runs under load, and what a restored directory is worth."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import BATCH_OF, Load
from tests.support.processes import Process, Processes, Ran, processes_in, recado, request, until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Processes]:
    """A data directory with a cost centre; nothing runs yet."""
    with processes_in(tmp_path) as processes:
        processes.cost_centre()
        yield processes


@pytest.fixture
def town(place: Processes) -> Processes:
    """The same, with a simulator and a sink."""
    place.simulator()
    place.sink()
    return place


def problem(ran: Ran) -> str:
    """The one line of a command that refused."""
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line.startswith("recado: ")
    return line


def restored(town: Processes, backup: Path) -> Process:
    """A node on a directory that was made of a backup, in the place of the old one."""
    town.data = town.folder / "elsewhere" / "data"
    assert town.recado("restore", backup, "--json").json() == {"data": str(town.data)}
    return town.node()


def backed_up_by_a_process(town: Processes, backup: Path) -> None:
    command = [*town.program, "backup", str(backup), "--data", str(town.data)]
    process = town.start("backup", command)
    assert process.popen.wait(60) == 0, process.said


def test_everything_that_got_a_yes_before_the_backup_began_is_delivered_by_the_restored_node(
    town: Processes,
) -> None:
    node, backup = town.node(), town.folder / "backup"
    load = Load(town.http_port)
    try:
        load.wait_for_more(150)
        # What is accepted from here on waits in the queues, so that the backup has them to keep.
        town.simulator_process.kill()
        load.wait_for_more(150)
        singles, batches, silent = list(load.singles), list(load.batches), set(load.no_receipt)
        backed_up_by_a_process(town, backup)
        load.wait_for_more(50)
    finally:
        load.stop()
    node.kill()
    told_before = len(town.sink_lines())
    town.simulator()
    restored(town, backup)

    def ended(identifier: str) -> bool:
        state = town.message(identifier)["state"]
        return bool(state == ("ENROUTE" if identifier in silent else "DELIVERED"))

    for identifier in singles:
        until(lambda: ended(identifier), f"the end of {identifier}", 60.0)  # noqa: B023 - at once
    for batch in batches:
        whole = {"ENROUTE": 0, "DELIVERED": BATCH_OF}
        until(lambda: counts(town, batch) == whole, f"the end of {batch}", 60.0)  # noqa: B023 - at once
    assert load.refused == []
    assert len(town.sink_lines()) > told_before + 100


def counts(town: Processes, batch: str) -> dict[str, int]:
    answer = request(town.http_port, "GET", f"/message/batch/{batch}")[1]
    found: dict[str, int] = answer.get("counts", {})
    return {state: found.get(state, 0) for state in ("ENROUTE", "DELIVERED")}


def test_a_backup_is_private_and_holds_all_that_a_gateway_needs(town: Processes) -> None:
    node, backup = town.node(), town.folder / "a" / "backup"
    listed = {"list": [{"destination_addr": "5534998887755", "message": "oi"}] * 3}
    batch = request(town.http_port, "POST", "/message/batch", listed)[1]["batchId"]
    until(lambda: counts(town, batch)["DELIVERED"] == 3, "the batch's end")
    assert town.recado("backup", backup, "--json").json() == {"backup": str(backup)}
    assert sorted(path.name for path in backup.iterdir()) == ["blobs", "pepper", "recado.db"]
    assert not [path for path in (backup, *backup.rglob("*")) if path.stat().st_mode & 0o077]
    assert [path.name for path in backup.parent.iterdir()] == ["backup"]
    assert node.end() == 0
    restored(town, backup)
    # The password opens, and the list of the batch is there: pepper, rows and blobs.
    assert counts(town, batch)["DELIVERED"] == 3
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "the reports of a new message")


def test_a_backup_may_be_taken_after_a_kill_and_without_a_node(town: Processes) -> None:
    node = town.node()
    town.simulator_process.kill()
    identifier = town.send()
    node.kill()
    backup = town.folder / "backup"
    assert town.recado("backup", backup).code == 0
    town.simulator()
    restored(town, backup)
    until(lambda: len(town.reports(identifier)) == 2, "both reports", 60.0)


def test_a_backup_that_was_broken_off_is_no_obstacle(place: Processes) -> None:
    draft = place.folder / "backup.draft"
    (draft / "blobs").mkdir(parents=True)
    (draft / "recado.db").write_text("half of it")
    assert place.recado("backup", place.folder / "backup").code == 0
    assert not draft.exists()
    place.data = place.folder / "elsewhere"
    assert place.recado("restore", place.folder / "backup").code == 0
    assert [shown["name"] for shown in place.recado("costcentre", "list", "--json").json()] == [
        "ana"
    ]


def test_a_backup_never_overwrites(place: Processes) -> None:
    target = place.folder / "backup"
    target.mkdir()
    assert str(target) in problem(place.recado("backup", target))
    assert list(target.iterdir()) == []
    target.rmdir()
    assert place.recado("backup", target).code == 0
    before = (target / "recado.db").stat()
    assert "never overwrites" in problem(place.recado("backup", target))
    assert (target / "recado.db").stat() == before


def test_a_backup_of_nothing_and_to_nowhere_is_refused(place: Processes) -> None:
    nowhere = place.folder / "nowhere"
    assert str(nowhere) in problem(recado("backup", place.folder / "b", "--data", nowhere))
    assert not nowhere.exists()
    (place.folder / "file").write_text("")
    assert "file" in problem(place.recado("backup", place.folder / "file" / "backup"))


@pytest.fixture
def backup(place: Processes) -> Path:
    target = place.folder / "backup"
    assert place.recado("backup", target).code == 0
    return target


def test_a_restore_is_refused_where_a_node_runs_and_the_node_goes_on(
    town: Processes, backup: Path
) -> None:
    node = town.node()
    assert "running" in problem(town.recado("restore", backup))
    assert not node.ended()
    identifier = town.send()
    until(lambda: len(town.reports(identifier)) == 2, "both reports")


@pytest.mark.parametrize("name", ["recado.db", "pepper", "blobs", "notes.txt"])
def test_a_restore_is_refused_where_anything_lies(
    place: Processes, backup: Path, name: str
) -> None:
    full = place.folder / "full"
    full.mkdir()
    (full / name).write_text("mine")
    assert str(full) in problem(recado("restore", backup, "--data", full))
    assert (full / name).read_text() == "mine"
    assert {path.name for path in full.iterdir()} <= {name, "lock"}


def test_a_restore_into_an_empty_directory_is_fine(place: Processes, backup: Path) -> None:
    place.data = place.folder / "empty"
    place.data.mkdir()
    assert place.recado("restore", backup).code == 0
    assert len(place.recado("costcentre", "list", "--json").json()) == 1


def test_what_is_no_backup_is_not_restored(place: Processes, backup: Path) -> None:
    target = place.folder / "target"
    nothing = place.folder / "nothing"
    assert str(nothing) in problem(recado("restore", nothing, "--data", target))
    assert not target.exists()
    # A directory in use: what its database's log holds would be missing.
    assert "no backup" in problem(recado("restore", place.data, "--data", target))
    assert not target.exists()


def test_a_restore_that_fails_leaves_no_directory_that_looks_whole(
    place: Processes, backup: Path
) -> None:
    (backup / "pepper").unlink()
    target = place.folder / "target"
    problem(recado("restore", backup, "--data", target))
    assert not (target / "recado.db").exists()
    shutil.rmtree(target)
