"""template.yaml as it is built, deployed to the emulator by SAM, and deleted again.

The template is not bent for the emulator: what that lacks is made up for by tests/cloud/bridges.py.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import boto3

from node.cloudformation import Tree, load
from node.installation import TEMPLATE
from tests.cloud.bridges import bridge, deployable, of_kind
from tests.support.emulator import REGION, Emulator

ROOT = TEMPLATE.parent
_SAM = ROOT / ".venv-sam" / "bin" / "sam"
# What whoever deploys may choose as well. The limits are the least there are: each environment of a
# function is a process here.
PARAMETERS = {
    "DeletionProtection": "false",
    "LogLevel": "DEBUG",
    "Simulator": "true",
    "SubmitConcurrency": "2",
    "SubmitBulkConcurrency": "2",
    "ExpandConcurrency": "2",
    "InboundConcurrency": "2",
    "NotifyConcurrency": "2",
}


class Stack:
    """The stack `name` on the emulator, from `deploy()` to `delete()`."""

    parameters: Mapping[str, str] = MappingProxyType(PARAMETERS)
    region: str = REGION

    def __init__(self, name: str, folder: Path, emulator: Emulator) -> None:
        self.name, self.folder, self.emulator = name, folder, emulator
        self.built = folder / "built"
        self.environment = {
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._session = boto3.Session("test", "test", region_name=REGION)

    def client(self, service: Any) -> Any:
        return self._session.client(service, endpoint_url=self.emulator.endpoint)

    # --- SAM -------------------------------------------------------------------------------------

    def validate(self) -> str:
        """What `sam validate --lint` says. Raises AssertionError where it finds anything."""
        return self._sam("validate", "--lint", "--template-file", str(TEMPLATE))

    def build(self) -> None:
        """`make build` for the emulator, which runs functions with an interpreter of its own."""
        told = {"TARGET": "emulator", "BUILD_DIR": str(self.built)}
        self._run(["make", "--silent", "build", *(f"{k}={v}" for k, v in told.items())], ROOT)

    def deploy(self) -> None:
        """`sam deploy` of what was built, and the bridges."""
        template = self.built / "emulator.json"  # beside the code that it names
        template.write_text(json.dumps(deployable(load(self.built / "template.yaml"))))
        overrides = [f"{name}={value}" for name, value in self.parameters.items()]
        self._sam(
            *("deploy", "--template-file", str(template), "--stack-name", self.name),
            *("--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
            *("--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"),
            *("--parameter-overrides", *overrides),
        )
        bridge(self)

    def delete(self) -> None:
        """`sam delete`."""
        self._sam("delete", "--stack-name", self.name, "--no-prompts")

    def is_there(self) -> bool:
        """Whether it exists, in whatever state."""
        stacks = self.client("cloudformation").list_stacks()["StackSummaries"]
        states = [told["StackStatus"] for told in stacks if told["StackName"] == self.name]
        return any(state != "DELETE_COMPLETE" for state in states)

    def _sam(self, *arguments: str) -> str:
        return self._run([str(_SAM), *arguments], self.folder)

    def _run(self, command: list[str], folder: Path) -> str:
        # Whoever runs the tests may have an account, a profile or a configuration of SAM.
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "SAM_", "RECADO_", "MAKE"))
        }
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**ours, **self.environment, "SAM_CLI_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout[-4000:]}{ended.stderr[-4000:]}"
        return ended.stdout

    # --- what there is ---------------------------------------------------------------------------

    def resources(self) -> dict[str, str]:
        """The physical id of each resource, by its logical one."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
            if "PhysicalResourceId" in resource
        }

    def processed(self) -> Tree:
        """The template as the SAM transform left it, on the emulator as on AWS."""
        told = self.client("cloudformation").get_template(
            StackName=self.name, TemplateStage="Processed"
        )
        body = told["TemplateBody"]
        found: Tree = json.loads(body) if isinstance(body, str) else body
        return found

    @property
    def url(self) -> str:
        """Where the API answers: by a path, as no name server knows the emulator's own names."""
        (api,) = self.physical("AWS::ApiGatewayV2::Api")
        return f"{self.emulator.endpoint}/_aws/execute-api/{api}"

    @property
    def callback_url(self) -> str:
        """Where upstreams call: by a path as well, which holds the first part of the URL's host."""
        (told,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in told["Outputs"]}
        host = urlsplit(outputs["CallbackUrl"]).hostname or ""
        return f"{self.emulator.endpoint}/_aws/lambda-url/{host.partition('.')[0]}"

    def physical(self, kind: str) -> list[str]:
        """The physical ids of the resources of a type."""
        made = self.resources()
        return [made[name] for name, _ in of_kind(kind, self.processed()) if name in made]

    def logged(self) -> str:
        """All that the functions wrote so far."""
        logs, found = self.client("logs"), []
        for group in self.physical("AWS::Logs::LogGroup"):
            pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
            names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
            # A few at once: the emulator says nothing of what is left beyond 10,000 lines.
            for some in (names[at : at + 50] for at in range(0, len(names), 50)):
                told = logs.filter_log_events(logGroupName=group, logStreamNames=some)["events"]
                assert len(told) < 10_000
                found += [event["message"] for event in told]
        return "\n".join(found)
