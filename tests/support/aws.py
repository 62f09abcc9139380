"""What template.yaml describes, made in an account that is none: moto's in this process, or
ministack's in one of its own.

Tables, queues, bucket and secret are made from the template's own definitions, and the environment
of the functions is worked out from its own variables: it is the template that is tested.
"""

import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import botocore.session
import time_machine
from moto import mock_aws

from node.cloudformation import Tree, load, of_type
from node.installation import TEMPLATE
from recado.engine import Engine
from recado.engine.aws import open_engine
from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import one_by_one
from tests.support.emulator import REGION, Emulator
from tests.support.quick_moto import quicker

_TEMPLATE = load(TEMPLATE)
_STACK = "recado"


@cache  # a session holds the service models, which take long to read
def _session(endpoint: str | None = None) -> botocore.session.Session:
    """One whose clients ask an endpoint, or AWS itself."""
    made = botocore.session.Session()
    made.set_config_variable("config_file", os.devnull)  # nothing of whoever runs the tests
    made.set_config_variable("region", REGION)
    made.set_credentials("test", "test")
    if endpoint is not None:
        # A profile is the one place from which a session takes an endpoint for all its clients.
        made.full_config["profiles"]["default"] = {"endpoint_url": endpoint}
    return made


def clients_at(emulator: Emulator) -> Clients:
    """New clients of an emulator."""
    return Clients(_session(emulator.endpoint))


class Stack:
    """The resources of the template, made when this is. `queues`: which of the template's; all
    where none are named."""

    def __init__(self, clients: Clients, queues: Sequence[str] = ()) -> None:
        self._clients = clients
        self._physical: dict[str, str] = {}
        self._make_queues([f"{queue}Queue" for queue in queues])
        for table, properties in of_type(_TEMPLATE, "AWS::DynamoDB::Table"):
            self._make_table(table, properties)
        for bucket, _ in of_type(_TEMPLATE, "AWS::S3::Bucket"):
            self._make_bucket(bucket)
        for secret, _ in of_type(_TEMPLATE, "AWS::SecretsManager::Secret"):
            made = clients.secrets.create_secret(Name=secret, SecretString="pepper")
            self._physical[secret] = made["ARN"]

    def environment(self) -> dict[str, str]:
        """The functions' variables, as CloudFormation would fill them in."""
        variables = _TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
        filled = {name: self._filled(value) for name, value in variables.items()}
        return {name: value for name, value in filled.items() if value is not None}

    def _filled(self, value: Any) -> str | None:
        """None: a queue that this account does not have."""
        if not isinstance(value, dict):
            return str(value)
        name = value["Ref"]
        if name in _TEMPLATE["Parameters"]:
            return str(_TEMPLATE["Parameters"][name]["Default"])
        return self._physical.get(name)

    # --- what the template describes -------------------------------------------------------------

    def _make_queues(self, wanted: Sequence[str]) -> None:
        queues = dict(of_type(_TEMPLATE, "AWS::SQS::Queue"))
        for name in wanted or [name for name in queues if not name.endswith("DeadQueue")]:
            policy = queues[name]["RedrivePolicy"]
            dead = policy["deadLetterTargetArn"]["Fn::GetAtt"][0]
            arn = self._make_queue(dead, queues[dead], {})
            redrive = {**policy, "deadLetterTargetArn": arn}
            self._make_queue(name, queues[name], {"RedrivePolicy": json.dumps(redrive)})

    def _make_queue(self, name: str, properties: Tree, more: dict[str, str]) -> str:
        """Its ARN."""
        plain = ("MessageRetentionPeriod", "VisibilityTimeout")
        attributes = {key: str(properties[key]) for key in plain if key in properties}
        own_name = properties["QueueName"]["Fn::Sub"].replace("${AWS::StackName}", _STACK)
        sqs = self._clients.sqs
        made = sqs.create_queue(QueueName=own_name, Attributes={**attributes, **more})  # type: ignore[dict-item] # its names are the template's
        self._physical[name] = made["QueueUrl"]  # what !Ref gives for a queue
        told = sqs.get_queue_attributes(QueueUrl=made["QueueUrl"], AttributeNames=["QueueArn"])
        return told["Attributes"]["QueueArn"]

    def _make_table(self, name: str, properties: Tree) -> None:
        wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        described = {key: properties[key] for key in wanted if key in properties}
        self._clients.dynamodb.create_table(TableName=name, **described)
        self._physical[name] = name
        if "TimeToLiveSpecification" in properties:
            self._clients.dynamodb.update_time_to_live(
                TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"]
            )

    def _make_bucket(self, name: str) -> None:
        self._physical[name] = f"{_STACK}-{name.lower()}"
        self._clients.s3.create_bucket(
            Bucket=self._physical[name],
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )


class Account:
    """moto, from `Account(...)` to `close()`. It knows no threads: calls have to come one by one.
    Its clock is this process's, which `at` sets."""

    def __init__(self, now: float, queues: Sequence[str] = ()) -> None:
        self._mock = mock_aws()
        self._mock.start()
        self._clock = time_machine.travel(now, tick=False)
        self._traveller = self._clock.start()
        self._now = now
        self._quicker = quicker(self._milliseconds)
        self._quicker.__enter__()
        self._stack = Stack(self.clients(), queues)

    def at(self, now: float) -> None:
        """Sets the account's clock."""
        self._now = now
        self._traveller.move_to(now)

    def _milliseconds(self) -> float:
        return round(self._now * 1000)

    def close(self) -> None:
        self._quicker.__exit__(None, None, None)
        self._clock.stop()
        self._mock.stop()

    def clients(self) -> Clients:
        """New clients, as another process has them."""
        return Clients(_session())

    def engine(
        self, clock: Callable[[], float], retention: float, clients: Clients | None = None
    ) -> Engine:
        """The engine as a new process opens it, with its calls one by one."""
        return open_engine(
            self.environment(),
            clients or self.clients(),
            clock,
            retention,
            many=one_by_one,
            wait=0,  # moto would wait by a clock that stands still
        )

    def environment(self) -> dict[str, str]:
        """The functions' variables, as CloudFormation would fill them in."""
        return self._stack.environment()


class EmulatedAccount:
    """An emulator with a clock that stands, from here to `close()`, which empties it. The engine on
    it is the product's own: its threads, its waiting."""

    def __init__(self, emulator: Emulator, now: float, queues: Sequence[str] = ()) -> None:
        self._emulator = emulator
        self.at(now)
        self._stack = Stack(self.clients(), queues)

    def at(self, now: float) -> None:
        """Sets the account's clock."""
        self._emulator.set_time(now)

    def close(self) -> None:
        self._emulator.reset()

    def clients(self) -> Clients:
        """New clients, as another process has them."""
        return clients_at(self._emulator)

    def engine(
        self, clock: Callable[[], float], retention: float, clients: Clients | None = None
    ) -> Engine:
        """The engine as a new process opens it."""
        return open_engine(self.environment(), clients or self.clients(), clock, retention)

    def environment(self) -> dict[str, str]:
        """The functions' variables, as CloudFormation would fill them in."""
        return self._stack.environment()


def queue_policy(queue: str) -> tuple[float, int]:
    """Visibility timeout and receives of a queue, as the template sets them."""
    properties = dict(of_type(_TEMPLATE, "AWS::SQS::Queue"))[f"{queue}Queue"]
    return properties["VisibilityTimeout"], properties["RedrivePolicy"]["maxReceiveCount"]
