"""One cold start, in a fresh interpreter: python bench/lambda_cold.py boto3|<function> [SCENE]

Prints a line of JSON: CPU (ms) and memory (MB) until the function is ready, which is its handler
imported and its dependencies made; and then of its first answer, to the event in SCENE, with the
network stubbed. What the stub itself imports is not counted. "boto3" is what a function pays that
has nothing but boto3 and one client. bench/lambda_starts.py runs it.
"""

import os
import sys
import time

_BEGAN = time.process_time()


def _ready(function: str, root: str) -> None:
    if function == "boto3":
        import boto3  # noqa: PLC0415 - what is measured

        boto3.client("sqs")
        return
    sys.path.insert(0, os.path.join(root, "functions", function))
    import handler  # type: ignore[import-not-found] # noqa: F401, PLC0415 - found as Lambda finds it

    from recado import wiring  # noqa: PLC0415 - what is measured

    wiring.deps()


def _memory() -> float:
    """The most that this process had so far. (What getrusage says begins with its parent's.)"""
    with open("/proc/self/status", encoding="ascii") as status:
        [line] = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _first_answer(path: str) -> float:
    """Milliseconds of CPU."""
    import pickle  # noqa: PLC0415 - not what is measured
    from pathlib import Path  # noqa: PLC0415 - the same

    from bench.lambda_stub import Aws, connected_socket  # noqa: PLC0415 - the same
    from recado import addresses  # noqa: PLC0415 - the same

    items, blobs, event = pickle.loads(Path(path).read_bytes())
    Aws(items, blobs).install()
    setattr(addresses, "connected_socket", connected_socket)  # noqa: B010 - mypy takes no assignment
    handler = sys.modules["handler"].handler
    began = time.process_time()
    answer = handler(event, None)
    milliseconds = (time.process_time() - began) * 1e3
    assert answer.get("statusCode") in (200, 204) or answer == {"batchItemFailures": []}, answer
    return milliseconds


def main() -> None:
    """What the arguments say."""
    function, *scene = sys.argv[1:]
    _ready(function, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    measured = {"ready": (time.process_time() - _BEGAN) * 1e3, "memory": _memory()}
    if scene:
        measured["first"] = _first_answer(scene[0])
    import json  # noqa: PLC0415 - not what is measured

    print(json.dumps(measured), file=sys.stderr)  # a function may log to the other one


if __name__ == "__main__":
    main()
