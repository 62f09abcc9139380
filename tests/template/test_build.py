"""The packages that `make build` makes, for Lambda and for the emulator: built for real."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from node.cloudformation import Tree, load
from node.installation import TEMPLATE

ROOT = TEMPLATE.parent
SAM = ROOT / ".venv-sam/bin/sam"
EMULATOR_PYTHON = ROOT / ".venv-emulator/bin/python"
RESOURCES: dict[str, Tree] = load(TEMPLATE)["Resources"]
FUNCTIONS = [name for name, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::Function"]
LAYERS = [name for name, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::LayerVersion"]

# Lambda takes 250 MB of layers and function together; a cold start reads what it imports of them.
# Ours are 8.0 MB in November 2026, without what was compiled: 7.1 of others, 0.9 of our own since
# SMPP came. What takes them above this is looked at first.
LARGEST_LAYERS = 8_500_000

# Amazon Linux 2023, under Lambda's python3.13.
LAMBDA_GLIBC = 34
AARCH64 = 183
LAMBDA_MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}

# Imports each handler as the runtime does: the layers on the path, the function's own file.
IMPORT_HANDLERS = """
import importlib.util, pathlib, sys
build, layers = pathlib.Path(sys.argv[1]), sys.argv[2].split()
sys.path[:0] = [str(build / layer / "python") for layer in layers]
for function in sys.argv[3].split():
    spec = importlib.util.spec_from_file_location(function, build / function / "handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.handler)
import msgspec, recado
print(recado.__file__, msgspec.__file__, sep="\\n")
"""

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv-sam/.ready").exists(), reason="no .venv-sam: `make setup-cloud` makes it"
)
needs_emulator = pytest.mark.skipif(
    not (ROOT / ".venv-emulator/.ready").exists(),
    reason="no .venv-emulator: `make setup-cloud` makes it",
)


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs it in the checkout, as from a shell that knows nothing of a `make test` around it."""
    ours = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "TARGET", "PYTHON"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, "SAM_CLI_TELEMETRY": "0", **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def _built(folder: Path, *arguments: str) -> tuple[Path, str]:
    """The build directory, and what make printed."""
    done = _run("make", "build", f"BUILD_DIR={folder / 'build'}", *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "build", done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return _built(tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="module")
def for_lambda(made: tuple[Path, str]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def for_emulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(tmp_path_factory.mktemp("emulator"), "TARGET=emulator")[0]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _files(folder)
    }


def _shared_objects(build: Path) -> list[Path]:
    found = [path for path in _files(build) if path.name.endswith(".so")]
    assert found, "msgspec alone has one"
    return found


def _machine(shared_object: Path) -> int:
    """`e_machine` of a 64-bit little-endian ELF file (elf.h)."""
    header = shared_object.read_bytes()[:20]
    assert header[:6] == b"\x7fELF\x02\x01"
    return int(struct.unpack_from("<H", header, 18)[0])


def _packages(build: Path) -> dict[str, Distribution]:
    path = str(build / "DependenciesLayer/python")
    return {canonicalize_name(it.metadata["Name"]): it for it in distributions(path=[path])}


def _needs(package: Distribution) -> Iterable[Requirement]:
    """What it needs on Lambda, without extras."""
    for line in package.requires or []:
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({**LAMBDA_MARKERS, "extra": ""}):
            yield requirement


def test_every_shared_object_is_of_arm64_and_of_python_3_13(for_lambda: Path) -> None:
    for shared_object in _shared_objects(for_lambda):
        assert _machine(shared_object) == AARCH64
        assert shared_object.name.endswith((".cpython-313-aarch64-linux-gnu.so", ".abi3.so"))


def test_no_shared_object_wants_a_newer_glibc_than_lambda_has(for_lambda: Path) -> None:
    for shared_object in _shared_objects(for_lambda):
        wanted = re.findall(rb"GLIBC_2\.(\d+)", shared_object.read_bytes())
        assert wanted
        assert max(map(int, wanted)) <= LAMBDA_GLIBC


def test_the_runtimes_own_boto3_is_not_in_a_package(for_lambda: Path) -> None:
    names = {path.name.partition("-")[0] for path in for_lambda.rglob("*")}
    assert names & {"boto3", "botocore", "s3transfer"} == set()


def test_no_package_holds_tests_or_commands(for_lambda: Path) -> None:
    assert [path for path in for_lambda.rglob("*") if path.name in ("tests", "bin")] == []


@pytest.mark.parametrize("has_lambdas_python", [True, False])
def test_a_layer_is_compiled_by_lambdas_own_python_or_not_at_all(
    for_lambda: Path, tmp_path: Path, has_lambdas_python: bool
) -> None:
    # A stand-in for python3.13, that says what it was told: the machine may have none.
    stand_in = tmp_path / "python3.13"
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "$@" >> "{tmp_path}/told"\n')
    stand_in.chmod(0o755 if has_lambdas_python else 0o644)
    layer = tmp_path / "layer"
    done = _run(
        *("make", "-C", "layers/recado", "build-RecadoLayer"),
        *(f"ARTIFACTS_DIR={layer}", f"LAMBDA_PYTHON={stand_in}"),
    )
    assert done.returncode == 0, done.stderr
    assert _sums(layer) == _without_compiled(_sums(for_lambda / "RecadoLayer"))
    assert (tmp_path / "told").exists() == has_lambdas_python
    if has_lambdas_python:
        told = (tmp_path / "told").read_text().split()
        assert told[:2] == ["-m", "compileall"]
        assert told[-5:] == ["-s", str(layer), "-p", "/opt", str(layer / "python")]


def test_what_is_compiled_is_for_python_3_13_and_never_checked_against_its_source(
    for_lambda: Path,
) -> None:
    compiled = [path for path in _files(for_lambda) if path.suffix == ".pyc"]
    if _has_lambdas_python():
        assert len(compiled) > len(_files(ROOT / "layers/recado/recado")) / 2
    for path in compiled:
        head = path.read_bytes()[:8]
        # importlib/_bootstrap_external.py: 3.13's magic number, and the flag word of PEP 552.
        assert (int.from_bytes(head[:2], "little"), int.from_bytes(head[4:], "little")) == (3571, 1)
        assert path.name.endswith(".cpython-313.pyc")


def _has_lambdas_python() -> bool:
    python = shutil.which("python3.13")
    return python is not None and _run(python, "-c", "").returncode == 0


def _without_compiled(sums: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in sums.items() if not name.endswith(".pyc")}


def test_the_layer_holds_what_its_packages_need_on_lambda_in_the_versions_of_the_tests(
    for_lambda: Path,
) -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    tested = {canonicalize_name(line.partition("==")[0]): line.split("==")[1] for line in lines}
    packages = _packages(for_lambda)
    assert {"aws-lambda-powertools", "msgspec", "requests", "tzdata", "urllib3"} <= packages.keys()
    assert {name: it.version for name, it in packages.items()}.items() <= tested.items()
    for package in packages.values():
        for requirement in _needs(package):
            there = packages[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(there.version)


def test_the_layer_of_recado_is_its_package_and_nothing_else(for_lambda: Path) -> None:
    source = ROOT / "layers/recado/recado"
    wanted = {
        f"python/recado/{name}": value
        for name, value in _sums(source).items()
        if "__pycache__" not in name
    }
    assert "python/recado/wiring.py" in wanted
    assert _without_compiled(_sums(for_lambda / "RecadoLayer")) == wanted


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_package_is_its_handler_alone(for_lambda: Path, function: str) -> None:
    source = ROOT / RESOURCES[function]["Properties"]["CodeUri"]
    assert [path.name for path in _files(for_lambda / function)] == ["handler.py"]
    assert (for_lambda / function / "handler.py").read_bytes() == (
        source / "handler.py"
    ).read_bytes()


def test_the_built_template_points_at_every_package(for_lambda: Path) -> None:
    built: dict[str, Tree] = load(for_lambda / "template.yaml")["Resources"]
    assert {name: built[name]["Properties"]["CodeUri"] for name in FUNCTIONS} == {
        name: name for name in FUNCTIONS
    }
    assert {name: built[name]["Properties"]["ContentUri"] for name in LAYERS} == {
        name: name for name in LAYERS
    }


def test_the_layers_stay_small(for_lambda: Path) -> None:
    files = [path for layer in LAYERS for path in _files(for_lambda / layer)]
    total = sum(path.stat().st_size for path in files if path.suffix != ".pyc")
    assert total < LARGEST_LAYERS


def test_the_build_ends_with_the_size_of_each_package(made: tuple[Path, str]) -> None:
    build, printed = made
    lines = [line for line in printed.splitlines() if not line.startswith("Without compiled")]
    assert (len(lines) < len(printed.splitlines())) == (not _has_lambdas_python())
    heading, *rows = lines[-1 - len(FUNCTIONS + LAYERS) :]
    assert heading.split() == ["package", "zipped", "unzipped"]
    sizes = {name: (zipped, unzipped) for name, zipped, unzipped in map(str.split, rows)}
    assert sizes.keys() == {*FUNCTIONS, *LAYERS}
    for name, (zipped, unzipped) in sizes.items():
        total = sum(path.stat().st_size for path in _files(build / name))
        assert int(unzipped.replace(",", "")) == total
        assert 0 < int(zipped.replace(",", "")) <= total + 200  # a zip's own headers


def test_plain_sam_build_with_an_interpreter_elsewhere_makes_the_same_layer(
    for_lambda: Path, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    done = _run(SAM, "build", "DependenciesLayer", "--build-dir", build, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert _sums(build / "DependenciesLayer") == _sums(for_lambda / "DependenciesLayer")


@needs_emulator
def test_the_emulators_shared_objects_are_of_its_interpreter(for_emulator: Path) -> None:
    tell = "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"
    suffix = _run(EMULATOR_PYTHON, "-c", tell).stdout.strip()
    here = _machine(EMULATOR_PYTHON.resolve())
    for shared_object in _shared_objects(for_emulator):
        assert _machine(shared_object) == here
        assert shared_object.name.endswith((suffix, ".abi3.so"))


@needs_emulator
def test_the_emulators_interpreter_imports_every_handler_of_its_build(for_emulator: Path) -> None:
    done = _run(
        EMULATOR_PYTHON, "-B", "-c", IMPORT_HANDLERS, for_emulator,
        " ".join(LAYERS), " ".join(FUNCTIONS),
    )  # fmt: skip # three arguments of the script on one line
    assert done.returncode == 0, done.stderr
    assert [for_emulator in Path(line).parents for line in done.stdout.split()] == [True, True]


def test_a_target_that_there_is_none_of_is_refused() -> None:
    done = _run("make", "build", "TARGET=emulater")
    assert done.returncode != 0
    assert "TARGET is lambda or emulator, not emulater." in done.stdout
