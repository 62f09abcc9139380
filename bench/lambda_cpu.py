"""What the functions cost on Lambda, in CPU, with the network stubbed: make bench-lambda

    .venv/bin/python bench/lambda_cpu.py [--rounds 15] [--only calls|starts] [--json FILE]

A round is one cold start of each function, and two turns of each call: about three minutes for 15.

Calls: the real handlers over the AWS engine (bench/lambda_scene.py), each in turn with the floor, a
bare `send_message` of botocore's with a body of ours, and the ratio of the two taken turn by turn.
Two floors: a client with the engine's settings ("floor"), and one as boto3 makes it ("boto3").
Threads count: the CPU is the process's. AWS is stubbed below botocore, upstream and customer below
their sockets, without TLS. The stub's own work is in all the figures.

Cold starts: bench/lambda_starts.py.

How to read it: where others use the machine too, the microseconds say little and the ratios hold.
"us" is the median, by message where a call has many; "25-75 %" are the quartiles of the ratio. "AWS
calls" is how many of them a message takes: the rest of its ratio is HTTP, or our own. What the
ratio of the floor to itself is off one, in the first row, is noise.
"""

import argparse
import contextlib
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import boto3
from msgspec import Struct, to_builtins

from bench.lambda_scene import BATCH, PACKET, Scene, made_scene
from bench.lambda_starts import Start, cold_starts
from recado.engine.aws.clients import Clients

Hop: TypeAlias = tuple[str, str, str, int, int, str]
"""What, its function, its event, messages in that, calls of it in a turn, its target."""

_HOPS: tuple[Hop, ...] = (
    ("accept, 1", "send", "send", 1, 10, "1.4 of boto3"),
    ("accept, 400", "batch_send", "batch_send", BATCH, 4, "60 us"),
    ("expand, 400", "expand", "expand", BATCH, 4, ""),
    ("dispatch, 1", "dispatch", "dispatch 1", 1, 6, ""),
    ("dispatch, 100", "dispatch", "dispatch 100", PACKET, 1, ""),
    ("ingest, 1", "callback", "callback", 1, 10, ""),
    ("track, 10", "track", "track 10", 10, 1, ""),
    ("track, 100", "track", "track 100", 100, 1, ""),
    ("notify, 10", "notify", "notify 10", 10, 2, ""),
    ("notify, 100", "notify", "notify 100", 100, 1, ""),
    ("query, 1", "query", "query", 1, 10, ""),
)
_FLOOR_CALLS = 10


class Call(Struct, frozen=True):
    """What was measured of one hop: microseconds a message, and its ratios to the two floors."""

    name: str
    cost: float
    of_floor: float
    quartiles: tuple[float, float]
    of_boto3: float
    aws_calls: float  # by message
    target: str


def calls(scene: Scene, rounds: int) -> list[Call]:
    """Each hop beside the floors."""
    floors = [_floor(scene, Clients().sqs), _floor(scene, boto3.client("sqs"))]
    turns = _in_turn([floors[0], *floors], [_FLOOR_CALLS] * 3, rounds)
    rows = [_call("send_message", turns, 1, 1.0, "")]
    return rows + [_hop(scene, hop, floors, rounds) for hop in _HOPS]


def _floor(scene: Scene, sqs: Any) -> Callable[[], Any]:
    url = os.environ["RECADO_QUEUE_SUBMIT"]
    message = {"MessageBody": scene.floor_body, "MessageGroupId": "group"}
    return partial(sqs.send_message, QueueUrl=url, **message)


def _hop(scene: Scene, hop: Hop, floors: Sequence[Callable[[], Any]], rounds: int) -> Call:
    name, function, event, messages, times, target = hop
    work = partial(scene.call, function, scene.events[event])
    work()  # reads the configuration, starts the threads
    scene.aws.calls.clear()
    work()
    aws_calls = scene.aws.calls.total() / messages
    turns = _in_turn([work, *floors], [times, _FLOOR_CALLS, _FLOOR_CALLS], rounds)
    return _call(name, turns, messages, aws_calls, target)


def _in_turn(
    works: Sequence[Callable[[], Any]], times: Sequence[int], rounds: int
) -> list[list[float]]:
    """Seconds of CPU for one call of each, round by round; each round begins with another."""
    turns: list[list[float]] = []
    gc.collect()
    for turn in range(rounds):
        taken = [0.0] * len(works)
        for place in range(len(works)):
            which = (turn + place) % len(works)
            began = time.process_time()
            for _ in range(times[which]):
                works[which]()
            taken[which] = (time.process_time() - began) / times[which]
        turns.append(taken)
    return turns


def _call(
    name: str, turns: Sequence[Sequence[float]], messages: int, aws_calls: float, target: str
) -> Call:
    of_floor = [work / messages / floor for work, floor, _ in turns]
    of_boto3 = [work / messages / plain for work, _, plain in turns]
    low, _, high = statistics.quantiles(of_floor, n=4)
    return Call(
        name=name,
        cost=statistics.median(work for work, _, _ in turns) / messages * 1e6,
        of_floor=statistics.median(of_floor),
        quartiles=(low, high),
        of_boto3=statistics.median(of_boto3),
        aws_calls=aws_calls,
        target=target,
    )


# --- telling -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _nowhere() -> Iterator[None]:
    """The lines that functions print are written, and lost."""
    with (
        Path(os.devnull).open("w", buffering=1, encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        yield


def _tell_calls(rows: Sequence[Call]) -> None:
    print("| CPU of | us a message | of floor | 25-75 % | of boto3 | AWS calls | target |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row.quartiles
        print(
            f"| {row.name} | {row.cost:,.0f} | {row.of_floor:.2f} | {low:.2f}-{high:.2f}"
            f" | {row.of_boto3:.2f} | {row.aws_calls:.2f} | {row.target} |"
        )


def _tell_starts(rows: Sequence[Start]) -> None:
    print("\n| cold start | CPU ms | of boto3 | 25-75 % | MB | first answer, CPU ms | target |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row.quartiles
        print(
            f"| {row.name} | {row.ready:.0f} | {row.of_boto3:.2f} | {low:.2f}-{high:.2f}"
            f" | {row.memory:.0f} | {row.first:.0f} | {row.target} |"
        )


def main() -> None:
    """Measures and tells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=["calls", "starts"])
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    measured: dict[str, list[Call] | list[Start]] = {}
    with _nowhere():
        scene = made_scene()
    if asked.only != "starts":
        with _nowhere():
            measured_calls = calls(scene, 2 * asked.rounds)
        _tell_calls(measured_calls)
        measured["calls"] = measured_calls
    if asked.only != "calls":
        measured_starts = cold_starts(scene, asked.rounds)
        _tell_starts(measured_starts)
        measured["starts"] = measured_starts
    if asked.json:
        asked.json.write_text(json.dumps(to_builtins(measured), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
