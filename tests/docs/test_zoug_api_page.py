"""docs/zoug-api.md: its examples run, its tables are complete, and the tests it names exist."""

import ast
import json
import re
import shlex
from typing import Any
from urllib.parse import quote_plus

import pytest

from node.installation import TEMPLATE
from tests.dialects.zoug_failures import FAILURES
from tests.support.world import World

ROOT = TEMPLATE.parent
PAGE = (ROOT / "docs" / "zoug-api.md").read_text()
HOST = "https://sms.example.com"
EXAMPLE = re.compile(r"```sh\n(.*?)```\n\nHTTP (\d+)\n\n```json\n(.*?)```", re.DOTALL)
CALLBACK = re.compile(r"```json callback\n(.*?)```", re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Told where the state is made that leads to them: tests/dialects.
FAILED_ELSEWHERE = {
    (409, "ESME_RCANCELFAIL", "Message has already gone!"),
    (409, "ESME_RCANCELFAIL", "Batch has already gone!"),
    (409, "ESME_RCANCELFAIL", "Schedule has already gone!"),
    (400, "ESME_RINVOPTPARAMVAL", "After is invalid!"),
    (400, "ESME_RINVOPTPARAMVAL", "Limit must be a number from N to N!"),
    (400, "ESME_RINVSCHED", "Send_at is missing!"),
    (400, "ESME_RINVSCHED", "Send_at must be at most N days after its first date!"),
    (500, "ESME_RSYSERR", "Request failed, try again!"),
    (503, "ESME_RSYSERR", "Message has no route!"),
}


def alike(thing: Any) -> str:
    """JSON with each id as any other, to the order of the fields."""
    content = json.loads(thing) if isinstance(thing, str) else thing
    return UUID.sub("<uuid>", json.dumps(content, ensure_ascii=False))


def curl(line: str, known: dict[str, str]) -> tuple[str, str, str, dict[str, str]]:
    """What a curl command asks: method, target, body, headers. Raises KeyError on an option that
    is not understood here."""
    for name, value in known.items():
        line = line.replace(f"${name}", value)
    program, *words = shlex.split(line.replace("\\\n", " "))
    assert program == "curl"
    names = ("url", "-u", "-X", "-H", "-d", "-G", "--data-urlencode")
    options: dict[str, list[str]] = {name: [] for name in names}
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            options["url"].append(word)
        else:
            options[word].append("" if word == "-G" else words.pop(0))
    (url,), (user,) = options["url"], options["-u"]
    assert user == "ana:segredo"
    assert url.startswith(HOST)
    fields = [field.partition("=") for field in options["--data-urlencode"]]
    query = "&".join(f"{name}={quote_plus(value)}" for name, _, value in fields)
    body = "".join(options["-d"])
    method = (options["-X"] or ["POST" if body and not options["-G"] else "GET"])[0]
    headers = dict(header.split(": ") for header in options["-H"])
    return method, url.removeprefix(HOST) + (f"?{query}" if query else ""), body, headers


def run(world: World) -> list[tuple[str, int, str, int, str]]:
    """Every example of the page in its order: the command, and status and answer as the page has
    them and as they are."""
    known: dict[str, str] = {}
    found = []
    for command, status, answer in EXAMPLE.findall(PAGE):
        method, target, body, headers = curl(command, known)
        headers = {name.lower(): value for name, value in headers.items()}
        came, content = world.call(method, target, body.encode() or None, headers=headers)
        world.drain()
        if came == 200:
            names = {"message_id": "MESSAGE_ID", "batchId": "BATCH_ID"}
            known |= {names[name]: content[name] for name in names if name in content}
        found.append((command, int(status), alike(answer), came, alike(content)))
    return found


def test_every_example_is_answered_as_the_page_says(world: World) -> None:
    examples = run(world)
    assert len(examples) == PAGE.count("curl -u") == PAGE.count("```sh") > 8
    for command, status, answer, came, content in examples:
        assert (came, content) == (status, answer), command


def test_every_callback_of_the_page_is_one_that_the_examples_bring_about(world: World) -> None:
    run(world)
    reply = {"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "Sim, quero"}
    world.tell(reply)
    world.drain()
    told = {alike({k: v for k, v in t.items() if k != "webhook-id"}) for t in world.told}
    # The newest message to the number, which the reply answers, has a reference_id.
    told |= {t.replace(', "reference_id": "pedido-8"', "") for t in told}
    shown = [alike(callback) for callback in CALLBACK.findall(PAGE)]
    assert len(shown) == 4
    assert set(shown) <= told


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def digitless(status: int, code: str, message: str) -> tuple[int, str, str]:
    return status, code, re.sub(r"\d+", "N", message)


def test_the_table_of_errors_is_what_callers_meet() -> None:
    listed = [digitless(int(row[0]), row[1], row[2]) for row in rows("Errors")]
    met = {digitless(failure.status, failure.esme, failure.message) for failure in FAILURES}
    assert set(listed) == met | FAILED_ELSEWHERE
    assert len(listed) == len(set(listed))


def found_in(tree: ast.Module) -> dict[str, str]:
    """The tests of a module, with their docstrings in one line."""
    return {
        node.name: " ".join((ast.get_docstring(node) or "").split())
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_sentence_of_the_document_stands_with_the_test_that_quotes_it() -> None:
    path = ROOT / "tests" / "dialects" / "test_zoug_seed.py"
    quoted = {(quote, name) for name, quote in found_in(ast.parse(path.read_text())).items()}
    listed = rows("The document, sentence by sentence")
    assert {(quote.strip("`"), name.strip("`")) for quote, name in listed} == quoted


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there: set[str] = set()
    for path in (ROOT / "tests").glob("**/test_*.py"):
        there |= set(found_in(ast.parse(path.read_text())))
    assert len(named) > 80
    assert named - there == set()


@pytest.mark.parametrize("link", re.findall(r"\]\(#([^)]+)\)", PAGE))
def test_every_link_within_the_page_leads_to_a_heading(link: str) -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    assert link in [
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    ]
