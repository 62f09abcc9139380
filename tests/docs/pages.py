"""A page of the documentation as a test sees it: its examples, its tables, the tests it names."""

import ast
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

import requests
from msgspec import Struct

from node.installation import TEMPLATE
from tests.support.world import World

ROOT = TEMPLATE.parent
HOST = "https://sms.example.com"
_EXAMPLE = re.compile(
    r"```sh\n((?:(?!```).)*)```\n\nHTTP (\d+)[^\n]*\n(?:\n```(?:json|xml)\n(.*?)```)?", re.DOTALL
)
_CALLBACK = re.compile(r"```json callback\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"```csv (\S+)\n(.*?)```", re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPTIONS = ("url", "-u", "-X", "-H", "-d", "-F", "-G", "--data-urlencode", "-T")


Asked: TypeAlias = tuple[str, str, bytes, dict[str, str]]
"""A request: its method, target, body and headers."""
Answered: TypeAlias = tuple[int, str]


class Ran(Struct, frozen=True):
    """An example: its command, and status and answer as the page has them and as they are."""

    command: str
    status: int
    answer: str
    came: int
    content: str


class Page:
    """A page that stands in docs. `marks`: what is another at each run, beside ids, and what stands
    for it in a comparison. `names`: the fields of answers that later examples call $NAME."""

    def __init__(
        self, name: str, names: Mapping[str, str], marks: Mapping[str, str] | None = None
    ) -> None:
        self.text = (ROOT / "docs" / name).read_text()
        self._names = names
        self._marks = [(re.compile(what), mark) for what, mark in (marks or {}).items()]
        self._files: dict[str, bytes] = {
            name: content.encode() for name, content in _FILE.findall(self.text)
        }

    def alike(self, thing: Any) -> str:
        """JSON (or XML, without the spaces between its elements) with each id as any other, to the
        order of the fields. Nothing stays nothing."""
        if not thing:
            return ""
        if isinstance(thing, str) and thing.lstrip().startswith("<"):
            told = re.sub(r">\s+<", "><", thing.strip())
        else:
            content = json.loads(thing) if isinstance(thing, str) else thing
            told = json.dumps(content, ensure_ascii=False)
        return self.masked(told)

    def masked(self, told: str) -> str:
        """A text with each id as any other, and what is another at each run."""
        told = _UUID.sub("<uuid>", told)
        for what, mark in self._marks:
            told = what.sub(mark, told)
        return told

    def file(self, name: str) -> bytes:
        """A file that the page shows."""
        return self._files[name]

    def run(
        self,
        world: World,
        before: Callable[[str], None] = lambda _: None,
        after: Callable[[str], None] | None = None,
        ask: Callable[[Asked], Answered | None] = lambda _: None,
    ) -> list[Ran]:
        """Every example in its order. `before` and `after` are called with each command; unless it
        is told otherwise, all that it brings about is done then. `ask` answers what the functions
        do not."""
        known: dict[str, str] = {}
        found = []
        for command, status, answer in _EXAMPLE.findall(self.text):
            before(command)
            request = self._request(command, known)
            body = request.body or b""
            content = body.encode() if isinstance(body, str) else body
            headers = {name.lower(): value for name, value in request.headers.items()}
            asked = (str(request.method), request.path_url, content, headers)
            came, told = ask(asked) or _of_the_functions(world, asked)
            if after is None:
                world.drain()
            else:
                after(command)
            if came in (200, 201) and told.startswith("{"):
                fields = json.loads(told)
                known |= {n: str(fields[f]) for f, n in self._names.items() if fields.get(f)}
            found.append(Ran(command, int(status), self.alike(answer), came, self.alike(told)))
        return found

    def _request(self, command: str, known: Mapping[str, str]) -> requests.PreparedRequest:
        """What a curl command asks. Raises KeyError on an option that is not understood here."""
        for name, value in known.items():
            command = command.replace(f"${name}", value)
        program, *words = shlex.split(command.replace("\\\n", " "))
        assert program == "curl"
        options: dict[str, list[str]] = {name: [] for name in _OPTIONS}
        while words:
            word = words.pop(0)
            if not word.startswith("-"):
                options["url"].append(word)
            else:
                options[word].append("" if word == "-G" else words.pop(0))
        (url,) = options["url"]
        assert url.startswith(HOST)
        headers = dict(header.split(": ") for header in options["-H"])
        for user in options["-u"]:
            headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        return self._prepared(url, headers, options)

    def _prepared(
        self, url: str, headers: dict[str, str], options: dict[str, list[str]]
    ) -> requests.PreparedRequest:
        fields = [field.partition("=")[::2] for field in options["--data-urlencode"]]
        if options["-F"]:
            return requests.Request(
                "POST", url, headers, **self._multipart(options["-F"])
            ).prepare()
        data = "&".join([*options["-d"], *([urlencode(fields)] if fields else [])])
        for name in options["-T"]:
            return requests.Request("PUT", url, headers, data=self._files[name]).prepare()
        if options["-G"]:
            return requests.Request("GET", f"{url}?{data}", headers).prepare()
        method = (options["-X"] or ["POST" if data else "GET"])[0]
        if data and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return requests.Request(method, url, headers, data=data.encode()).prepare()

    def _multipart(self, parts: list[str]) -> dict[str, Any]:
        fields, files = {}, {}
        for name, _, value in (part.partition("=") for part in parts):
            if value.startswith("@"):
                files[name] = (value[1:], self._files[value[1:]], "text/csv")
            else:
                fields[name] = value
        return {"data": fields, "files": files}

    def callbacks(self) -> list[str]:
        """The callbacks that it shows."""
        return [self.alike(callback) for callback in _CALLBACK.findall(self.text)]

    def rows(self, heading: str, level: str = "##") -> list[list[str]]:
        """The cells of the tables below a heading."""
        section = self.text.split(f"\n{level} {heading}\n")[1]
        section = re.split(rf"\n#{{2,{len(level)}}} ", section)[0]
        lines = [line for line in section.splitlines() if line.startswith("| ")]
        cells = [re.split(r"(?<!\\) \| ", line.strip("|")) for line in lines[1:]]
        return [[cell.strip().replace("\\|", "|") for cell in row] for row in cells]

    def links(self) -> list[str]:
        """The headings that it leads to within itself."""
        return re.findall(r"\]\(#([^)]+)\)", self.text)

    def headings(self) -> list[str]:
        """As links call them."""
        found = re.findall(r"^#+ (.+)$", self.text, re.MULTILINE)
        return [re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in found]

    def tests_named(self) -> set[str]:
        return set(re.findall(r"`(test_\w+)`", self.text))


def _of_the_functions(world: World, asked: Asked) -> Answered:
    method, target, body, headers = asked
    status, _, told = world.call_raw(method, target, body, login=None, headers=headers)
    return status, told


def quoted_in(name: str) -> set[tuple[str, str]]:
    """The tests of a module of tests/dialects by their docstrings, each in one line."""
    tree = ast.parse((ROOT / "tests" / "dialects" / name).read_text())
    return {(quote, test) for test, quote in _tests(tree)}


def every_test() -> set[str]:
    """The names of all tests that there are."""
    paths = (ROOT / "tests").glob("**/test_*.py")
    return {name for path in paths for name, _ in _tests(ast.parse(path.read_text()))}


def _tests(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, " ".join((ast.get_docstring(node) or "").split())
