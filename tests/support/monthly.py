"""What the stack costs in a month in which nothing is sent, worked out from the template."""

from collections.abc import Mapping
from pathlib import Path

from node.cloudformation import Tree, load
from node.installation import TEMPLATE
from tests.support.aws_world import AwsWorld
from tests.support.billing import MILLION, PRICES, Units, billed, memory_of, usd
from tests.template.resolved import resolved

_MINUTES = PRICES["idle"]["seconds_of_a_month"] // 60


def minute(folder: Path) -> Units:
    """What the clock's minute is billed for while nothing is due."""
    with AwsWorld(folder) as aws:
        aws.world.tick()
        before = len(aws.invocations)
        aws.world.tick()
        return billed(aws.invocations[before:], [], messages=0, receipts=0)


def monthly(a_minute: Mapping[str, float], **parameters: str) -> dict[str, float]:
    """USD by what is paid for, with these parameters of the template and the defaults of others."""
    resources = resolved(load(TEMPLATE), **parameters)["Resources"]
    prices = PRICES["month"]
    alarms = _of(resources, "AWS::CloudWatch::Alarm")
    functions = _of(resources, "AWS::Serverless::Function")
    taken = functions if parameters.get("SnapStart") == "true" else []
    memory = sum(memory_of(function["CodeUri"].rpartition("/")[2]) for function in taken) / 1024
    bill = {
        "Lambda's polls of the queues": _receives(functions) * PRICES["million"]["sqs_requests"],
        "alarms": sum(map(watched, alarms)) * prices["alarm_metric"],
        "dashboard": len(_of(resources, "AWS::CloudWatch::Dashboard")) * prices["dashboard"],
        "secret": len(_of(resources, "AWS::SecretsManager::Secret")) * prices["secret"],
        "the clock, each minute": sum(usd(a_minute).values()) * _MINUTES / MILLION,
        "NAT gateway": len(_of(resources, "AWS::EC2::NatGateway")) * prices["nat_gateway"],
        "its address": len(_of(resources, "AWS::EC2::EIP")) * prices["public_address"],
        "snapshots of one version": memory * prices["snapstart_gb"],
    }
    return {what: amount for what, amount in bill.items() if amount}


def _of(resources: Tree, kind: str) -> list[Tree]:
    return [it["Properties"] for it in resources.values() if it["Type"] == kind]


def _receives(functions: list[Tree]) -> float:
    """Millions a month: each queue of a function is asked all the time."""
    idle = PRICES["idle"]
    a_queue = idle["pollers_of_a_queue"] * idle["seconds_of_a_month"] / idle["seconds_of_a_poll"]
    events = [event for function in functions for event in function["Events"].values()]
    polled = sum(event["Type"] == "SQS" for event in events)
    return float(polled * a_queue / MILLION)


def watched(alarm: Tree) -> int:
    """The metrics that an alarm looks at: each is paid for."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
