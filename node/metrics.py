"""What the node counted, as Prometheus reads it (text format 0.0.4).

The names on Lambda, where metrics come in embedded metric format, are those that the package counts
by: `receipts_delivered` there is `recado_receipts_total{state="delivered"}` here.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from msgspec import Struct

from recado.engine import Depth

Sample: TypeAlias = tuple[str, float]  # labels as they are written, value


class SmppCounts(Struct, frozen=True):
    """What is bound, and what waits for a bind."""

    binds: Mapping[str, int]  # by connector: those that there should be
    binds_up: Mapping[str, int]  # those that stand; where none does, it may be missing here
    customers: Mapping[str, int]  # their binds, by mode
    mails: int


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
    "handed_on": "Recipients that went on to the process that holds the binds.",
    "callbacks_received": "Calls of upstreams.",
    "callbacks_unmatched": "Calls of upstreams that matched no message in a day.",
    "receipts_of_a_stranger": "Receipts for a message that went through another upstream.",
    "replies_of_a_stranger": "Replies, unmatched, from numbers messaged by other upstreams alone.",
    "replies": "Replies kept.",
    "replies_in_part": "Long replies that went on without the parts that never came.",
    "reports_given": "Reports and replies that a callback URL answered with 2xx.",
    "reports_mailed": "Reports and replies that were put into mailboxes, for SMPP binds.",
    "reports_failed": "Tries at a callback URL that it did not answer with 2xx.",
    "reports_abandoned": "Reports given up after a day.",
    "refunds": "Messages, and rests of lists, that were given back.",
    "balances_low": "Notices of a low balance.",
    "endpoints_stalled": "Callback URLs that went down.",
    "endpoints_parked": "Callback URLs that answered 410.",
    "faults": "Faults of ours.",
    "queue_failures": "Queue messages that come again after a fault.",
    "messages_replaced": "Messages whose text their customer replaced before they went.",
    "mails_delivered": "Receipts and replies that a bind acknowledged.",
    "mails_refused": "Receipts and replies that a customer's bind refused for good.",
    "mails_expired": "Receipts and replies that no bind took in their time.",
    "mails_put_off": "Tries at a bind that did not take a receipt or a reply.",
    "callbacks_not_kept": "Receipts and replies of SMSCs that could not be kept: they come again.",
    "smpp_binds": "Binds of customers.",
    "smpp_unbinds": "Binds of customers that ended.",
    "smpp_binds_refused": "Binds of customers that were refused.",
    "smpp_connections": "Connections to the SMPP port.",
    "smpp_connections_failed": "Connections to the SMPP port that never came to stand.",
    "smpp_connections_refused": "Connections to the SMPP port above what is allowed.",
    "smpp_throttled": "Messages that an SMSC did not take because there were too many.",
    "smpp_pdus_in": "PDUs received.",
    "smpp_pdus_malformed": "PDUs that could not be read.",
    "smpp_commands_unknown": "PDUs of a command that there is not.",
    "smpp_responses_ignored": "Responses that no request waited for.",
    "smpp_streams_refused": "Sessions that ended because what came was no SMPP.",
    "smpp_peers_not_reading": "Sessions that ended because the other side did not read.",
    "smpp_enquires_unanswered": "Sessions that ended because enquire_link was not answered.",
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
    smpp: SmppCounts | None = None,
    cpu_seconds: float | None = None,
) -> str:
    """All metrics: the counts, each queue's depth and the age of its oldest message, the number of
    commits and the seconds that they took, when the process started, and what is bound. CPU time is
    this process's, where none is given."""
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
    if smpp is not None:
        lines += _bound(smpp)
    lines += _process(started_at, time.process_time() if cpu_seconds is None else cpu_seconds)
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


def _bound(smpp: SmppCounts) -> Iterator[str]:
    of = [(f'{{connector="{name}"}}', name) for name in sorted(smpp.binds)]
    yield from _metric(
        "recado_connector_binds",
        "gauge",
        "Binds to upstreams that there should be.",
        [(labels, smpp.binds[name]) for labels, name in of],
    )
    yield from _metric(
        "recado_connector_binds_up",
        "gauge",
        "Binds to upstreams that stand.",
        [(labels, smpp.binds_up.get(name, 0)) for labels, name in of],
    )
    yield from _metric(
        "recado_customer_binds",
        "gauge",
        "Binds of customers.",
        [(f'{{mode="{mode}"}}', amount) for mode, amount in smpp.customers.items()],
    )
    text = "Receipts and replies that wait for a customer's bind."
    yield from _metric("recado_mailbox_messages", "gauge", text, [("", smpp.mails)])


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return head + [f"{name}{labels} {value:.15g}" for labels, value in samples]


def _process(started_at: float, cpu: float) -> list[str]:
    python = ".".join(map(str, sys.version_info[:3]))
    build = f'{{version="{_version()}",python="{python}"}}'
    return [
        *_metric("recado_build_info", "gauge", "Always 1.", [(build, 1)]),
        *_metric("process_start_time_seconds", "gauge", "Since 1970, in UTC.", [("", started_at)]),
        *_metric("process_cpu_seconds_total", "counter", "CPU time.", [("", cpu)]),
    ]


@cache
def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - 10 ms that a start need not wait for

    try:
        return metadata.version("recado")
    except metadata.PackageNotFoundError:
        return "unknown"
