"""What the node counted, as Prometheus reads it (text format 0.0.4).

The names on Lambda, where metrics come in embedded metric format, are those that the package counts
by: `receipts_delivered` there is `recado_receipts_total{state="delivered"}` here.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from recado.engine import Depth

Sample: TypeAlias = tuple[str, float]  # labels as they are written, value

_COUNTERS = {
    "messages_accepted": "Recipients that were answered with yes.",
    "batches_expanded": "Large submissions that were cut into packets.",
    "held_released": "Scheduled submissions that were handed over.",
    "schedules_moved": "Scheduled submissions that were given another hour.",
    "progress_not_counted": "Times that what was taken up of a list could not be counted.",
    "moved_away": "Messages whose packet came after they had been given another hour.",
    "messages_deleted": "Messages of cancelled lists that went nowhere.",
    "bulks_opened": "Files that room was made for.",
    "bulk_files_failed": "Files whose check ended with a problem of the file as a whole.",
    "tokens_issued": "Access tokens given.",
    "submits": "Messages handed to an upstream, tries included.",
    "uncertain": "Claims whose submitter did not come back: perhaps sent.",
    "no_route": "Recipients that no route takes.",
    "put_back": "Recipients that have to wait.",
    "callbacks_received": "Calls of upstreams.",
    "callbacks_unmatched": "Calls of upstreams that matched no message in a day.",
    "receipts_of_a_stranger": "Receipts for a message that went through another upstream.",
    "replies": "Replies kept.",
    "reports_given": "Reports and replies that a callback URL answered with 2xx.",
    "reports_failed": "Tries at a callback URL that it did not answer with 2xx.",
    "reports_abandoned": "Reports given up after a day.",
    "refunds": "Messages, and rests of lists, that were given back.",
    "balances_low": "Notices of a low balance.",
    "endpoints_stalled": "Callback URLs that went down.",
    "endpoints_parked": "Callback URLs that answered 410.",
    "faults": "Faults of ours.",
    "queue_failures": "Queue messages that come again after a fault.",
    "commits_failed": "Commits that could not be made durable.",
}
# What is counted under a name for each reason, state or outcome: beginning, name, label, help.
_FAMILIES = (
    ("refused_", "refused", "reason", "Requests refused."),
    ("outcome_", "outcomes", "outcome", "What upstreams made of the submits."),
    ("receipts_", "receipts", "state", "Receipts that changed a message."),
    ("messages_", "given_up", "state", "Messages that were not submitted (again) in their time."),
    ("http_", "http_responses", "class", "Answers to HTTP requests, the node's own pages aside."),
)


def exposition(
    counts: Mapping[str, int],
    depths: Sequence[Depth],
    ages: Mapping[str, float],
    commits: tuple[int, float],
    started_at: float,
) -> str:
    """All metrics: the counts, each queue's depth and the age of its oldest message, the number of
    commits and the seconds that they took, and when the process started."""
    lines: list[str] = []
    for name, text, samples in _counted(counts):
        lines += _metric(f"recado_{name}_total", "counter", text, samples)
    number, seconds = commits
    lines += _metric("recado_commits_total", "counter", "Commits.", [("", number)])
    lines += _metric("recado_commit_seconds_total", "counter", "Spent in commits.", [("", seconds)])
    lines += _metric(
        "recado_queue_messages",
        "gauge",
        "Messages in a queue: ready or in hand, delayed, dead.",
        [
            (f'{{queue="{depth.queue}",state="{state}"}}', getattr(depth, state))
            for depth in depths
            for state in ("ready", "delayed", "dead")
        ],
    )
    lines += _metric(
        "recado_queue_oldest_seconds",
        "gauge",
        "For how long the oldest message that is ready or in hand has been there.",
        [(f'{{queue="{queue}"}}', round(age, 1)) for queue, age in sorted(ages.items())],
    )
    lines += _process(started_at)
    return "\n".join(lines) + "\n"


def _counted(counts: Mapping[str, int]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Name, help and samples of all that is counted. What has no help yet is shown all the same."""
    left = dict(counts)
    for name, text in _COUNTERS.items():
        yield name, text, [("", left.pop(name, 0))]
    for beginning, name, label, text in _FAMILIES:
        mine = sorted(each for each in left if each.startswith(beginning))
        samples = [
            (f'{{{label}="{each.removeprefix(beginning)}"}}', left.pop(each)) for each in mine
        ]
        yield name, text, [(labels, float(value)) for labels, value in samples]
    for name, value in sorted(left.items()):
        yield name, name, [("", value)]


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return head + [f"{name}{labels} {value:.15g}" for labels, value in samples]


def _process(started_at: float) -> list[str]:
    python = ".".join(map(str, sys.version_info[:3]))
    build = f'{{version="{_version()}",python="{python}"}}'
    return [
        *_metric("recado_build_info", "gauge", "Always 1.", [(build, 1)]),
        *_metric("process_start_time_seconds", "gauge", "Since 1970, in UTC.", [("", started_at)]),
        *_metric("process_cpu_seconds_total", "counter", "CPU time.", [("", time.process_time())]),
    ]


@cache
def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - 10 ms that a start need not wait for

    try:
        return metadata.version("recado")
    except metadata.PackageNotFoundError:
        return "unknown"
