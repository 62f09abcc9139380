"""The two READMEs: what they show of the first start is what it prints, and their example binds."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.installation import TEMPLATE
from tests.support.processes import Process, Processes, processes_in, until

ROOT = TEMPLATE.parent
READMES = ("README.md", "README.pt-BR.md")
_BLOCK = re.compile(r"\n\n((?: {4}[^\n]*\n|\n)+)")
_BOUND = re.compile(r"host (\S+), port (\d+), system_id (\S+), password (\S+)")


def blocks(page: str) -> list[str]:
    """The indented blocks of a page, as they would be pasted."""
    found = _BLOCK.findall((ROOT / page).read_text())
    return ["\n".join(line[4:] for line in block.rstrip().split("\n")) for block in found]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Processes, Process]]:
    """A node at its first start, with its own simulator."""
    with processes_in(tmp_path_factory.mktemp("first")) as processes:
        node = processes.node(own_simulator=True)
        until(lambda: "Ctrl-C ends it" in node.said, "all that it says at its first start")
        yield processes, node


def plain(line: str) -> str:
    """A line without what is another each time: ports, passwords, where the data is."""
    line = re.sub(r"(127\.0\.0\.1:|port )\d+", r"\1…", line)
    line = re.sub(r"(-u demo:|password )\S+", r"\1…", line)
    return re.sub(r"(its data is in )\S+", r"\1…", line).strip()


def test_what_the_readme_shows_of_a_first_start_is_what_it_prints(
    first: tuple[Processes, Process],
) -> None:
    shown = next(block for block in blocks("README.md") if block.startswith("Recado listens"))
    said = [plain(line) for line in first[1].said.splitlines()]
    for line in filter(None, shown.split("\n")):
        assert plain(line) in said


@pytest.mark.parametrize("page", READMES)
def test_the_example_that_binds_gets_its_receipt(
    first: tuple[Processes, Process], page: str, tmp_path: Path
) -> None:
    told = _BOUND.search(first[1].said)
    assert told is not None
    [example] = [block for block in blocks(page) if block.startswith("import smpplib")]
    for old, new in (("1910", told[2]), ('"demo"', f'"{told[3]}"'), ("…", told[4])):
        assert example.count(old) == 1
        example = example.replace(old, new)
    script = tmp_path / "example.py"
    script.write_text(example)
    client = subprocess.Popen([sys.executable, "-u", str(script)], stdout=subprocess.PIPE)
    try:
        assert client.stdout is not None
        receipt = client.stdout.readline().decode()
    finally:
        client.kill()
        client.communicate()
    assert "stat:DELIVRD" in receipt


@pytest.mark.parametrize("page", READMES)
def test_its_smsc_takes_the_place_of_the_simulator(
    first: tuple[Processes, Process], page: str
) -> None:
    [told] = [block for block in blocks(page) if "connector add" in block]
    name = f"claro-{page.count('.')}"
    here = told.replace("claro", name).replace("smsc.example.com", "127.0.0.1")
    assert "password=-" in here  # it asks whoever sits there
    here = here.replace("password=-", "password=secret")
    lines = here.replace("\\\n", " ").split("\n")
    commands = [line.partition("#")[0].split()[1:] for line in lines]
    assert [command[:2] for command in commands] == [
        ["connector", "add"],
        ["connector", "test"],
        ["route", "update"],
    ]
    run = first[0].recado
    assert run(*commands[0], "--json").json()["name"] == name
    assert run(*commands[2], "--json").json()["upstream"] == name
    assert run("route", "update", "default", "--upstream", "simulator").code == 0
