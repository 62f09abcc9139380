"""docs/bulk.md: its examples and commands run, its tables are complete, its tests exist."""

import asyncio
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace

from node import uploads
from recado import operations, tables, wiring
from recado.bulk import MOST_BYTES
from recado.engine.embedded.blobs import UPLOADS, DirectoryBlobs
from recado.openapi.bulk import _STATES
from tests.docs.pages import HOST, Answered, Asked, Page, every_test
from tests.support.processes import Processes, processes_in
from tests.support.world import World

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"
PAGE = Page(
    "bulk.md",
    {"bulk_id": "BULK_ID", "upload_url": "UPLOAD_URL"},
    {MOMENT: "<moment>", r"until=\d+&signature=[0-9a-f]+…?": "<signed>"},
)
FILE = "nome;telefone\nAna;34998887755\n"
LONG = "a" * 1531
_SESSION = re.compile(r"```console\n\$ (.*)\n((?:(?!```).*\n)*)```")
_TENTHS = re.compile(r"^(?:uploading|checking|sending) \d{1,2}%\n", re.MULTILINE)


@pytest.fixture
def house(world: World) -> World:
    """A world that knows its own address."""
    settings = replace(world.deps.settings, public_base_url=HOST)
    world.deps = replace(world.deps, settings=settings)
    wiring.use(world.deps)
    return world


# --- examples ------------------------------------------------------------------------------------


def upload(world: World, asked: Asked) -> Answered | None:
    """What a node's front door does with the body of a PUT."""
    method, target, body, _ = asked
    blobs = world.bare.blobs
    if method != "PUT" or not target.startswith(UPLOADS) or not isinstance(blobs, DirectoryBlobs):
        return None

    async def put() -> BaseException | None:
        begun = uploads.begin(target, blobs)
        assert isinstance(begun, uploads.FileUpload), begun
        done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        begun.take(body)
        begun.finish(done.set_result)
        return await done

    with time_machine.travel(world.now, tick=False):
        assert asyncio.run(put()) is None
    return 200, ""


def meanwhile(world: World, command: str) -> None:
    """What is being sent stands still until it was paused; what was paused looks again later."""
    if command.endswith("/resume\n"):
        world.run(120.0)
    elif not command.endswith(("/send\n", "/pause\n")):
        world.drain()


def test_every_example_is_answered_as_the_page_says(house: World) -> None:
    examples = PAGE.run(
        house,
        after=lambda command: meanwhile(house, command),
        ask=lambda asked: upload(house, asked),
    )
    assert len(examples) == PAGE.text.count("```sh") == PAGE.text.count("curl ") > 8
    for example in examples:
        assert (example.came, example.content) == (example.status, example.answer), example.command
    sent = {taken["to"]: taken["text"] for taken in house.taken}
    assert sent == {
        "5534998887755": "Ola Ana, a fatura de 12,90 vence hoje.",
        "5534998887744": "Ola Bia, a fatura de 7,00 vence hoje.",
    }


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes_in(tmp_path_factory.mktemp("bulk")) as started:
        started.simulator()
        started.sink()
        started.node()
        started.cost_centre()
        yield started


def test_every_command_of_the_page_says_what_it_says_there(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clientes.csv").write_bytes(PAGE.file("clientes.csv"))
    monkeypatch.chdir(tmp_path)
    sessions = _SESSION.findall(PAGE.text)
    assert len(sessions) == PAGE.text.count("```console") == 3
    for command, told in sessions:
        program, *words = shlex.split(command)
        assert program == "recado"
        ran = processes.recado(*words)
        assert (ran.code, PAGE.masked(_TENTHS.sub("", ran.out))) == (0, PAGE.masked(told)), ran.err


# --- tables --------------------------------------------------------------------------------------


def shown(world: World, content: bytes, text: str, **fields: Any) -> dict[str, Any]:
    """What the check finds."""
    return told(world, checked(world, content, text, **fields), "", "GET")


def opened(world: World, text: str = "Olá {nome}", **fields: Any) -> str:
    status, made = world.call("POST", "/bulk", {"text": text, **fields})
    assert status == 201, made
    return str(made["bulk_id"])


def checked(world: World, content: bytes, text: str = "Olá {nome}", **fields: Any) -> str:
    identifier = opened(world, text, **fields)
    world.bare.blobs.put(f"upload-{identifier}", content)
    assert told(world, identifier, "/check")["state"] == "checking"
    world.drain()
    return identifier


def told(world: World, identifier: str, act: str, method: str = "POST") -> dict[str, Any]:
    status, answer = world.call(method, f"/bulk/{identifier}{act}")
    assert status == 200, answer
    return answer


def test_the_table_of_bad_rows_says_what_the_check_says(world: World) -> None:
    listed = PAGE.rows("Rows that can't be sent", "###")
    assert len(listed) == 6
    for row, reason in listed:
        line = row.strip("`") if row.startswith("`") else f"{LONG};34998887722"
        found = shown(world, f"nome;telefone\n{line}\n".encode(), "{nome}")
        assert [one["reason"] for one in found["bad"]] == [reason], row


WHOLE: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "nothing in it": (b"", "oi", {}),
    "UTF-16": (FILE.encode("utf-16"), "oi", {}),
    "`.xlsx`, `.zip`": (b"PK\x03\x04...", "oi", {}),
    "a line of more than 64 KB": (b"x" * (tables.LONGEST_ROW + 1), "oi", {}),
    "its first line has a number, but not in its first cell": (b"Ana;34998887755\n", "oi", {}),
    "a column that it does not have": (FILE.encode(), "oi", {"column": "zap"}),
    "a variable without a column": (FILE.encode(), "Deve {valor}", {}),
}


def test_the_table_of_files_that_fail_says_what_the_check_says(world: World) -> None:
    listed = dict(PAGE.rows("Files that can't be sent", "###"))
    assert listed.keys() == WHOLE.keys()
    for file, (content, text, fields) in WHOLE.items():
        found = shown(world, content, text, **fields)
        assert (found["state"], found["problem"]) == ("failed", listed[file])


def test_the_table_of_states_is_complete() -> None:
    assert [row[0] for row in PAGE.rows("States")] == list(_STATES)


Act = Callable[[World], tuple[int, dict[str, Any]]]


def act(world: World, identifier: str, name: str, method: str = "POST") -> tuple[int, Any]:
    return world.call(method, f"/bulk/{identifier}{name}")


def changed_file(world: World) -> tuple[int, Any]:
    identifier = checked(world, FILE.encode())
    world.bare.blobs.put(f"upload-{identifier}", b"another")
    return act(world, identifier, "/send")


def cancelled(world: World) -> tuple[int, Any]:
    identifier = checked(world, FILE.encode())
    told(world, identifier, "", "DELETE")
    return act(world, identifier, "/send")


def gone(name: str, method: str = "POST") -> Act:
    def late(world: World) -> tuple[int, Any]:
        identifier = checked(world, FILE.encode())
        told(world, identifier, "/send")
        world.drain()
        return act(world, identifier, name, method)

    return late


def scheduled(world: World) -> tuple[int, Any]:
    identifier = checked(world, FILE.encode(), send_at="2026-05-29T12:00:00")
    told(world, identifier, "/send")
    return act(world, identifier, "/pause")


def too_large(world: World) -> tuple[int, Any]:
    identifier = opened(world)
    with (world.folder / "huge").open("wb") as huge:
        huge.truncate(MOST_BYTES + 1)  # a hole: it takes no room
    path = world.folder / "blobs" / identifier[-2:] / f"upload-{identifier}"
    path.parent.mkdir(parents=True, exist_ok=True)
    (world.folder / "huge").rename(path)
    return act(world, identifier, "/check")


def sent_with(**switches: Any) -> Act:
    def send(world: World) -> tuple[int, Any]:
        operations.costcentre_update(world.deps, "ana", **switches)
        text = "{nome}" + "a" * 160
        return act(world, checked(world, FILE.encode(), text), "/send")

    return send


def without_a_route(world: World) -> tuple[int, Any]:
    world.route_is(prefix="5511")
    return act(world, checked(world, FILE.encode()), "/send")


REFUSED: list[Act] = [
    lambda world: world.call("POST", "/bulk", {}),
    lambda world: act(world, checked(world, b"telefone\nabc\n", "oi"), "/send"),
    sent_with(prepaid=True, price=1_000),
    lambda world: act(world, "01900000-0000-7000-8000-000000000000", "", "GET"),
    lambda world: act(world, opened(world), "/check"),
    changed_file,
    lambda world: act(world, opened(world), "/send"),
    cancelled,
    gone("/pause"),
    gone("", "DELETE"),
    scheduled,
    too_large,
    sent_with(daily_quota=1),
    without_a_route,
]


def test_the_table_of_refusals_is_what_callers_meet(make_world: Callable[..., World]) -> None:
    met = []
    for refused in REFUSED:
        world = make_world()
        world.cost_centre()
        status, answer = refused(world)
        met.append((str(status), answer["message"]))
    assert [tuple(row[:2]) for row in PAGE.rows("Refusals", "###")] == met


def test_every_test_that_the_page_names_exists() -> None:
    named = PAGE.tests_named()
    assert len(named) > 8
    assert named - every_test() == set()


@pytest.mark.parametrize(("page", "link"), re.findall(r"\]\(([\w-]+\.md)#([^)]+)\)", PAGE.text))
def test_every_link_into_another_page_leads_to_a_heading(page: str, link: str) -> None:
    assert link in Page(page, {}).headings()


@pytest.mark.parametrize("link", PAGE.links())
def test_every_link_within_the_page_leads_to_a_heading(link: str) -> None:
    assert link in PAGE.headings()
