"""The template, deployed to an emulator of AWS: collected where this folder is asked for by name
alone (`make test-cloud`), for it needs what `make setup-cloud` installs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.gate import Gate
from tests.flow.installations import Installation
from tests.support.emulator import Emulator
from tests.support.processes import Processes, Ran, processes_in, recado
from tests.support.stack import Stack

_STACK = "recado-test"
_SHORT_VISIBILITY = 5  # seconds
OWN_NUMBER = "5534981009999"


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    here = Path(__file__).parent
    return None if any(path.is_relative_to(here) for path in asked) else True


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """With AUTH it holds everybody to their policies, the functions too."""
    folder = tmp_path_factory.mktemp("emulator")
    with contextlib.closing(Emulator(folder, env={"AUTH": "true"})) as started:
        yield started


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Stack]:
    """Validated, built and deployed; deleted in the end."""
    deployed = Stack(_STACK, tmp_path_factory.mktemp("stack"), emulator)
    deployed.validate()
    deployed.build()
    deployed.deploy()
    yield deployed
    deployed.delete()
    assert not deployed.is_there()


class OnAWS:
    """The stack as the flow suite wants a gateway."""

    once = False

    def __init__(self, stack: Stack, url: str, others: Processes) -> None:
        self._stack, self.url, self.others = stack, url, others

    def recado(self, *arguments: str) -> Ran:
        return recado("--stack", self._stack.name, *arguments, env=self._stack.environment)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No queue calls its function."""
        calls = self._stack.client("lambda")
        mappings = calls.list_event_source_mappings()["EventSourceMappings"]
        for mapping in mappings:
            calls.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        yield
        for mapping in mappings:
            calls.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def double(self, queue: str) -> int:
        sqs, url = self._stack.client("sqs"), self._stack.resources()[f"{queue}Queue"]
        found = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
        )["Messages"]
        for message in found:
            group = message["Attributes"]["MessageGroupId"]
            sqs.send_message(QueueUrl=url, MessageBody=message["Body"], MessageGroupId=group)
            sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return len(found)

    def blobs(self) -> list[str]:
        s3 = self._stack.client("s3")
        (bucket,) = self._stack.physical("AWS::S3::Bucket")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def logged(self) -> str:
        return self._stack.logged()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Installation]:
    """The stack with a simulator and a sink beside it, set up as an operator sets it up."""
    with (
        contextlib.closing(Gate(stack.url)) as api,
        contextlib.closing(Gate(stack.callback_url)) as callbacks,
        processes_in(tmp_path_factory.mktemp("others")) as others,
    ):
        others.simulator()
        others.sink()
        made = OnAWS(stack, api.url, others)
        _fail_faster(stack)
        told = made.recado(
            *("connector", "add", "simulator", "--kind", "simulator"),
            *(
                "--setting",
                f"url={others.simulator_url}",
                "--callback-base",
                callbacks.url,
                "--json",
            ),
        )
        assert told.code == 0, told.err
        told = made.recado("route", "add", "default", "--upstream", "simulator", "--json")
        assert told.code == 0, told.err
        # The stack's own simulator, for one number, and before any function has seen the routes.
        told = made.recado(
            *("connector", "add", "own", "--kind", "simulator"),
            *("--setting", f"url={api.url}/simulator", "--callback-base", callbacks.url, "--json"),
        )
        assert told.code == 0, told.err
        route = ("--upstream", "own", "--prefix", OWN_NUMBER)
        assert made.recado("route", "add", "0-own", *route, "--json").code == 0
        yield made


def _fail_faster(stack: Stack) -> None:
    """What track could not read comes again after minutes, and is a dead letter after half an hour:
    nobody waits for that here."""
    stack.client("sqs").set_queue_attributes(
        QueueUrl=stack.resources()["InboundQueue"],
        Attributes={"VisibilityTimeout": str(_SHORT_VISIBILITY)},
    )
