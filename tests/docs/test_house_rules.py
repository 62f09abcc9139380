"""The rules of the house that no linter holds."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCT = sorted(
    path
    for folder in ("layers/recado/recado", "node", "smpp", "functions")
    for path in (ROOT / folder).rglob("*.py")
)
PAGES = [ROOT / "README.md", ROOT / "README.pt-BR.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_module_has_at_most_300_lines_and_says_what_it_is(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(source)) or path == ROOT / "node" / "__init__.py"


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_function_has_at_most_40_lines_of_code(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_command(node):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno is not None
            assert node.end_lineno - first.lineno < 40, node.name


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A command of the CLI is as long as its options are many."""
    return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_suppression_gives_its_reason(path: Path) -> None:
    for line in path.read_text().splitlines():
        if match := re.search(r"# (?:noqa|type: ignore)\S*(.*)", line):
            assert re.search(r" [-#] \S+", match[1]), line


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_links_to_what_exists(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_of_the_makefile_says_what_it_does() -> None:
    printed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^([a-z-]+):", makefile, re.MULTILINE):
        assert re.search(rf"^  {target} +\S", printed, re.MULTILINE), target
