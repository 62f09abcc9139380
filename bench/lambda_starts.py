"""Cold starts of the functions on Lambda: each in a fresh interpreter, over layers as `make build`
makes them, in turn with one that imports boto3 and makes one client.

The layers are copied out of this environment, for the built ones hold another machine's code. Their
directories can't be written to on Lambda, so what is not compiled there is compiled again in each
cold start; boto3 comes with the runtime, compiled.
"""

import compileall
import importlib.metadata
import json
import os
import pickle
import py_compile
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from bench.lambda_scene import FUNCTIONS, ROOT, Scene, environment

HOT = ("send", "batch_send", "callback", "dispatch", "track", "notify")
_BARE = "boto3"
_NOT_COMPILED = ("send, not compiled", "notify, not compiled")
_EVENTS = {"dispatch": "dispatch 1", "track": "track 10", "notify": "notify 10"}


class Started(Struct, frozen=True):
    """What bench/lambda_cold.py says of one start: milliseconds of CPU, MB."""

    ready: float
    memory: float
    first: float = 0.0


class Start(Struct, frozen=True):
    """What was measured of the starts of one function; `of_boto3` with its quartiles."""

    name: str
    ready: float
    of_boto3: float
    quartiles: tuple[float, float]
    memory: float
    first: float
    target: str


def cold_starts(scene: Scene, rounds: int) -> list[Start]:
    """Each function beside boto3 with one client."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_scene(scene, folder)
        _make_layers(folder)
        # The first round is not counted: it fills the system's caches.
        turns = [_in_turn(folder, turn) for turn in range(rounds + 1)][1:]
    return [_start(name, turns) for name in (_BARE, *FUNCTIONS, *_NOT_COMPILED)]


def _write_scene(scene: Scene, folder: Path) -> None:
    """A file a function: what AWS holds, and its first event."""
    for function in FUNCTIONS:
        event = scene.events[_EVENTS.get(function, function)]
        if function in ("track", "notify"):
            event = {"Records": event["Records"][:1]}
        content = pickle.dumps((scene.aws.items, scene.aws.blobs, event))
        (folder / function).write_bytes(content)


# --- layers --------------------------------------------------------------------------------------


def _make_layers(folder: Path) -> None:
    plain, compiled = folder / "plain", folder / "compiled"
    for file in _needed_files():
        target = plain / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), target)
    package = ROOT / "layers" / "recado" / "recado"
    shutil.copytree(package, plain / "recado", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(plain, compiled)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(compiled, quiet=2, invalidation_mode=unchecked)


def _needed_files() -> Iterator[importlib.metadata.PackagePath]:
    requirements = ROOT / "layers" / "dependencies" / "requirements.txt"
    lines = requirements.read_text(encoding="utf-8").splitlines()
    waiting = [_name(line) for line in lines if line and not line.startswith("#")]
    for name in waiting:  # grows meanwhile
        needs = importlib.metadata.requires(name) or []
        more = [_name(need) for need in needs if "extra ==" not in need]
        waiting += [each for each in more if each not in waiting]
        for file in importlib.metadata.files(name) or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                yield file


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


# --- starts --------------------------------------------------------------------------------------


def _in_turn(folder: Path, turn: int) -> dict[str, tuple[Started, Started]]:
    """A start of each, and of boto3 next to it: one between two functions. Who stands beside whom,
    and before or after boto3, changes from round to round."""
    names = (*FUNCTIONS, *_NOT_COMPILED)
    start = turn % len(names)
    order = names[start:] + names[:start]
    found: dict[str, tuple[Started, Started]] = {}
    for before, after in zip(order[::2], order[1::2], strict=True):
        first = _started(before, folder)
        bare = _started(_BARE, folder)
        found[before] = first, bare
        found[after] = _started(after, folder), bare
        found[_BARE] = bare, bare
    return found


def _started(name: str, folder: Path) -> Started:
    function, _, how = name.partition(", ")
    layer = folder / ("plain" if how else "compiled")
    command = [sys.executable, str(ROOT / "bench" / "lambda_cold.py"), function]
    own = {"PYTHONPATH": f"{layer}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    if name == _BARE:
        own = {}
    else:
        command.append(str(folder / function))
    run = subprocess.run(
        command,
        env={**os.environ, **environment(function), **own},
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return Started(**json.loads(run.stderr))


def _start(name: str, turns: Sequence[dict[str, tuple[Started, Started]]]) -> Start:
    pairs = [turn[name] for turn in turns]
    ratios = [own.ready / bare.ready for own, bare in pairs]
    low, _, high = statistics.quantiles(ratios, n=4)
    return Start(
        name=name,
        ready=statistics.median(own.ready for own, _ in pairs),
        of_boto3=statistics.median(ratios),
        quartiles=(low, high),
        memory=statistics.median(own.memory for own, _ in pairs),
        first=statistics.median(own.first for own, _ in pairs),
        target="1.3 of boto3" if name in HOT else "",
    )
