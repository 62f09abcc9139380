"""smpp/Dockerfile, and what its image would hold: read, since nothing here builds images."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from node.installation import TEMPLATE

ROOT = TEMPLATE.parent
FOLDER = ROOT / "smpp"

# Imports a module where nothing can be found but the standard library, the image's own packages
# and what its requirements bring.
IMPORT_ALONE = """
import importlib, sys
allowed, module = set(sys.argv[1].split()) | set(sys.stdlib_module_names), sys.argv[2]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata_"):
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.path[:0] = sys.argv[3].split()
sys.meta_path.insert(0, Refuse())
importlib.import_module(module)
"""


def _steps() -> list[tuple[str, str]]:
    """Each step's word and the rest of it."""
    whole = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in whole.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in kept]


def _rest(word: str) -> list[str]:
    return [rest for found, rest in _steps() if found == word]


def _copied() -> list[tuple[str, str]]:
    """What is copied, from the top of the checkout, and where to."""
    found = []
    for rest in _rest("COPY"):
        *sources, target = shlex.split(rest)
        found += [(source, target) for source in sources]
    return found


def _requirements() -> list[str]:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _pinned(line: str) -> tuple[str, str]:
    name, _, version = line.partition("==")
    return canonicalize_name(name), version


def _brought() -> set[str]:
    """The distributions that the requirements bring, with what those need."""
    found: dict[str, Distribution] = {}
    wanted = [Requirement(line) for line in _requirements()]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and (not requirement.marker or requirement.marker.evaluate()):
            found[name] = distribution(name)
            wanted += _needs(found[name])
    return set(found)


def _needs(package: Distribution) -> Iterable[Requirement]:
    for line in package.requires or []:
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _ignored(path: str) -> bool:
    """Whether smpp/Dockerfile.dockerignore keeps a file out of the build; the last line that fits
    decides (docs.docker.com/build/concepts/context)."""
    ignored = False
    for line in (FOLDER / "Dockerfile.dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        parts = Path(path).parts
        above = ["/".join(parts[: at + 1]) for at in range(len(parts))]
        if pattern.startswith("**/"):
            fits = any(fnmatch(part, pattern[3:]) for part in parts)
        else:
            fits = any(fnmatch(part, pattern) for part in above)
        if fits:
            ignored = not line.startswith("!")
    return ignored


def test_everything_that_is_copied_is_there_and_is_let_into_the_build() -> None:
    copied = [source for source, _ in _copied()]
    assert {"layers/recado/recado", "smpp", "constraints.txt"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not _ignored(source)
        assert ".." not in source


def test_nothing_else_of_the_checkout_gets_into_the_build() -> None:
    for path in (".git/config", "tests/conftest.py", "node/cli.py", "template.yaml", ".venv/x"):
        assert _ignored(path)
    assert _ignored("smpp/__pycache__/server.cpython-311.pyc")
    assert not _ignored("layers/recado/recado/wiring.py")


def test_what_is_installed_has_the_versions_that_the_tests_run_with() -> None:
    tested = {_pinned(line) for line in (ROOT / "constraints.txt").read_text().split()}
    assert set(map(_pinned, _requirements())) <= tested
    [install] = [rest for rest in _rest("RUN") if "pip install" in rest]
    for option in ("--requirement", "--constraint", "--only-binary=:all:"):
        assert option in install
    assert "://" not in (FOLDER / "requirements.txt").read_text() + install


def test_the_entry_point_and_the_probe_import_with_the_images_packages_alone(
    tmp_path: Path,
) -> None:
    """In an interpreter that finds no other: what someone forgot to require fails here."""
    for source, target in _copied():
        if (ROOT / source).is_dir():
            (tmp_path / target).symlink_to(ROOT / source)
    brought = _brought()
    modules = {
        module
        for module, owners in packages_distributions().items()
        if any(canonicalize_name(owner) in brought for owner in owners)
    }
    ours = {target for source, target in _copied() if (ROOT / source).is_dir()}
    later = ("recado.courier", "recado.engine.aws", "recado.engine.aws.keyring")  # when needed
    for module in ("smpp.container", "smpp.probe", *later):
        run = subprocess.run(
            [sys.executable, "-B", "-c", IMPORT_ALONE, " ".join(modules | ours), module, tmp_path],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert run.returncode == 0, run.stderr


def test_nothing_is_required_that_nothing_imports() -> None:
    sources = [*(ROOT / "layers/recado/recado").rglob("*.py"), *FOLDER.rglob("*.py")]
    whole = "\n".join(path.read_text() for path in sources)
    for line in _requirements():
        name = line.partition("==")[0].replace("-", "_")
        if name != "tzdata":  # it is data, which zoneinfo looks for
            assert re.search(rf"^\s*(import|from) {name}\b", whole, re.MULTILINE), name


def test_it_runs_as_nobody_in_particular_and_ends_at_sigterm() -> None:
    [user] = _rest("USER")
    assert user.isdecimal()
    assert int(user) >= 10_000
    assert _rest("STOPSIGNAL") == ["SIGTERM"]
    assert _rest("ENTRYPOINT") == ['["python", "-m", "smpp.container"]']  # no shell before it
    [base] = _rest("FROM")
    assert base.startswith("python:3.13-slim")


def test_no_secret_is_given_to_the_build() -> None:
    assert _rest("ARG") == []
    for _, rest in _steps():
        assert not re.search(r"secret|password|token|--mount", rest, re.IGNORECASE)


def test_it_asks_itself_for_its_health_as_the_template_does() -> None:
    [check] = _rest("HEALTHCHECK")
    assert check.endswith('CMD ["python", "-m", "smpp.probe"]')
