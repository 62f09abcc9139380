"""What AWS asks for messages: what a run of each shape of traffic is billed for, and what that
comes to.

Calls, invocations, bytes and units are counted; durations are worked out from them, by the
assumptions in prices.toml. The free tiers are left out of account.
"""

import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import Struct

from node.cloudformation import load
from node.installation import TEMPLATE
from tests.support.aws_world import POLLERS, AwsWorld, Invocation, logical
from tests.support.metering import Call, Item, item_size, read_units, write_units, writes_of
from tests.support.shapes import Shape, warm_up
from tests.template.resolved import resolved

Units: TypeAlias = dict[str, float]
"""How much of what is billed, by the names in prices.toml."""

ROOT = Path(__file__).parents[2]
PRICES: Final[dict[str, Any]] = tomllib.loads((ROOT / "tests/support/prices.toml").read_text())
MILLION = 1_000_000

_CHUNK = 64 * 1024  # SQS bills by it
_EVENT_OVERHEAD = 26  # bytes that CloudWatch Logs adds to each event
_ITEM_OVERHEAD = 100  # bytes that DynamoDB adds to each item and to each index entry, stored
_RESPONSE_HEADERS = 250  # bytes of an answer of the API besides its body, about
_REQUEST_HEADERS = 150  # bytes of a request of ours besides what is counted, about
_PASSES = {"notify": 2}
_FIRST = frozenset({"directcall", "expand"})  # what is done with a list before its packets go
_EXPAND = "-expand"
_BY_URL = "callback"  # upstreams call its Function URL, as `recado connector add` tells them

# --- what is billed ------------------------------------------------------------------------------


class Counted(Struct, frozen=True):
    """What one message of a shape is billed for, once the environments are warm; and the custom
    metrics that it counts, each with its function."""

    units: Units
    metrics: frozenset[tuple[str, str]]


def counted(shape: Shape, folder: Path) -> Counted:
    """Plays a shape and counts."""
    with AwsWorld(folder, echo=shape.echo) as aws:
        warm_up(aws, shape)
        calls, invocations, told = len(aws.meter.calls), len(aws.invocations), len(aws.world.told)
        shape.play(aws, shape)
        reports = [told for told in aws.world.told[told:] if _is_report(told)]
        assert len(reports) == 2 * shape.messages
        pollers = [call for call in aws.meter.calls[calls:] if call.by == POLLERS]
        played = aws.invocations[invocations:]
        units = _of_one_message(shape, played, pollers)
        metrics = {name for invocation in played for name in _metrics(invocation)}
    return Counted(units, frozenset(metrics))


def _is_report(told: Mapping[str, Any]) -> bool:
    """Of either dialect."""
    return "message_id" in told or told.get("modulo") == "status"


def _of_one_message(shape: Shape, played: Sequence[Invocation], pollers: Sequence[Call]) -> Units:
    if not shape.accepted:
        whole = billed(played, pollers, shape.messages, shape.receipts)
        return {name: amount / shape.messages for name, amount in whole.items()}
    first = [it for it in played if it.function in _FIRST]
    rest = [it for it in played if it.function not in _FIRST]
    brought = [call for call in pollers if _EXPAND in call.params["QueueUrl"]]
    others = [call for call in pollers if _EXPAND not in call.params["QueueUrl"]]
    of_all = billed(first, brought, shape.accepted, shape.receipts)
    of_some = billed(rest, others, shape.messages, shape.receipts)
    return {n: of_all[n] / shape.accepted + of_some[n] / shape.messages for n in of_all}


def _metrics(invocation: Invocation) -> Iterator[tuple[str, str]]:
    for line in invocation.logged.splitlines():
        for directive in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in directive["Metrics"]:
                yield invocation.function, metric["Name"]


def billed(
    invocations: Sequence[Invocation], pollers: Sequence[Call], messages: int, receipts: int
) -> Units:
    """What all of this is billed for."""
    own = [call for invocation in invocations for call in invocation.calls]
    requests = [it for it in invocations if "statusCode" in (it.answer or {})]
    sqs = [
        call for call in (*own, *pollers) if call.action.startswith("sqs:") and not _is_empty(call)
    ]
    fair = [call for call in sqs if "Send" in call.action and _names_a_group(call)]
    lines = "".join(invocation.logged for invocation in invocations)
    exchanged = [out for it in invocations for window in it.exchanged for out in window]
    return {
        "http_api_requests": sum(it.function != _BY_URL for it in requests),
        "function_url_requests": sum(it.function == _BY_URL for it in requests),
        "lambda_requests": len(invocations),
        "lambda_gb_seconds": gb_seconds(invocations, messages, receipts),
        "sqs_requests": sum(map(_chunks, sqs)),
        "sqs_fair_sends": sum(map(_chunks, fair)),
        "dynamodb_write_units": write_units(own),
        "dynamodb_read_units": read_units(own),
        "s3_puts": sum(call.action == "s3:PutObject" for call in own),
        "s3_gets": sum(call.action == "s3:GetObject" for call in own),
        "secrets_reads": sum(call.action.startswith("secretsmanager:") for call in own),
        "log_gb": (len(lines.encode()) + _EVENT_OVERHEAD * lines.count("\n")) / 1e9,
        "gb_out": (
            sum(len(it.answer["body"]) + _RESPONSE_HEADERS for it in requests)
            + sum(len(out.url) + len(out.body) + _REQUEST_HEADERS for out in exchanged)
        )
        / 1e9,
        "kept_gb": kept_gb(own),
    }


def _is_empty(call: Call) -> bool:
    """A receive that brought nothing is not a message's, but the idle queue's."""
    return call.action == "sqs:ReceiveMessage" and not call.answer.get("Messages")


def _names_a_group(call: Call) -> bool:
    return any("MessageGroupId" in entry for entry in call.params["Entries"])


def _chunks(call: Call) -> int:
    entries = call.params.get("Entries", call.answer.get("Messages", []))
    size = sum(len(it.get("MessageBody", it.get("Body", ""))) for it in entries)
    return max(math.ceil(size / _CHUNK), 1)


def kept_gb(calls: Sequence[Call]) -> float:
    """What these writes leave in the table, with its index and what DynamoDB adds."""
    items: dict[tuple[str, str], Item] = {}
    for call in calls:
        for item in _written(call):
            items[item["pk"]["S"], item["sk"]["S"]] = item
        if call.action == "dynamodb:DeleteItem":
            gone = call.params["Key"]
            items.pop((gone["pk"]["S"], gone["sk"]["S"]), None)
    kept = 0
    for item in items.values():
        kept += item_size(item) + _ITEM_OVERHEAD
        if "to_number" in item:
            entry = {name: item[name] for name in ("pk", "sk", "to_number")}
            kept += item_size(entry) + _ITEM_OVERHEAD
    return kept / 1e9


def _written(call: Call) -> list[Item]:
    if call.action == "dynamodb:PutItem":
        return [call.params["Item"]]
    if call.action == "dynamodb:BatchWriteItem":
        [requests] = call.params["RequestItems"].values()
        return [request["PutRequest"]["Item"] for request in requests]
    if call.action == "dynamodb:TransactWriteItems":
        return [write["Item"] for verb, write in writes_of(call) if verb == "Put"]
    return []


# --- durations -----------------------------------------------------------------------------------


def memory_of(function: str) -> int:
    """MB that the template gives a function."""
    template = load(TEMPLATE)
    shared = {"Resources": {"Shared": {"Properties": template["Globals"]["Function"]}}}
    filled = resolved({**template, **shared})["Resources"]["Shared"]["Properties"]
    own = resolved(template)["Resources"][logical(function)]["Properties"]
    return int(own.get("MemorySize", filled["MemorySize"]))


def gb_seconds(invocations: Sequence[Invocation], messages: int, receipts: int) -> float:
    """Of all these invocations together."""
    assumed = PRICES["duration"]
    total = 0.0
    functions = {invocation.function for invocation in invocations}
    for function in sorted(functions):
        own = [invocation for invocation in invocations if invocation.function == function]
        memory = memory_of(function)
        passes = receipts if function in ("callback", "track") else _PASSES.get(function, 1)
        cpu = messages * passes * assumed["cpu_ms_of_message"]
        cpu += sum(len(it.calls) for it in own) * assumed["cpu_ms_of_aws_call"]
        cpu += sum(len(w) for it in own for w in it.exchanged) * assumed["cpu_ms_of_http_call"]
        waits = sum(map(_waits, own)) + len(own) * assumed["invocation_ms"]
        share = min(memory / assumed["full_core_mb"], 1.0)
        total += (cpu / share + waits) / 1000 * memory / 1024
    return total


def _waits(invocation: Invocation) -> float:
    """Milliseconds that an invocation waits for others; side by side as the engine does it."""
    assumed = PRICES["duration"]
    wait = 0.0
    turns = Counter((call.turn, call.action.partition(":")[0]) for call in invocation.calls)
    for (_, service), calls in turns.items():
        wait += math.ceil(calls / assumed["aws_calls_at_once"]) * assumed[f"{service}_ms"]
    for window in invocation.exchanged:
        wait += math.ceil(len(window) / assumed["http_calls_at_once"]) * assumed["http_ms"]
    return wait


# --- what it comes to ----------------------------------------------------------------------------


def usd(units: Mapping[str, float]) -> dict[str, float]:
    """USD for a million messages of so many units each, by what is billed. What the table keeps is
    no part of it."""
    bill = {}
    for name, amount in units.items():
        if name in PRICES["million"]:
            bill[name] = amount * PRICES["million"][name]
        elif name in PRICES["unit"]:
            bill[name] = amount * PRICES["unit"][name] * MILLION
    return bill
