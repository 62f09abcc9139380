"""Commands on a stack in an AWS account: carried out in this process, with your own credentials.

What the stack consists of is asked of its functions, which know it from their variables. So nothing
has to be set up on this side but botocore's own: a profile, a region.
"""

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
)
from msgspec.structs import replace

from node.control import Answer, Command, run
from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import NotAllTaken
from recado.errors import Misconfigured, NotFound
from recado.wiring import Deps, on_aws

# Every function has the same variables: one that every stack has.
_FUNCTION = "SendFunction"
# Outputs: where upstreams call, and the simulator's own URL, if the stack has one.
_CALLBACK_URL, _SIMULATOR_URL = "CallbackUrl", "SimulatorUrl"
_PUBLIC_BASE_URL = "RECADO_PUBLIC_BASE_URL"
_CONFIG = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard"})
_TELLS_A_CALLBACK_URL = frozenset(
    {
        "connector_add",
        "connector_pause",
        "connector_resume",
        "connector_show",
        "connector_update",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class Stack:
    """A stack by its name, where a session's profile and region look for it."""

    def __init__(self, name: str, session: botocore.session.Session) -> None:
        self.name, self.session = name, session
        self._formation: Any = session.create_client("cloudformation", config=_CONFIG)

    def physical(self, logical: str) -> str | None:
        """What CloudFormation called a resource of the template; None where the stack has none of
        that name. Raises NotFound where there is no such stack."""
        try:
            answer = self._formation.describe_stack_resource(
                StackName=self.name, LogicalResourceId=logical
            )
        except ClientError as error:
            told = error.response["Error"]
            if told["Code"] != "ValidationError":
                raise
            if told["Message"].startswith("Resource "):
                return None
            raise NotFound(f"{_one_line(told['Message'])} (in {self.region})") from error
        found: str | None = answer["StackResourceDetail"].get("PhysicalResourceId")
        return found or None

    @property
    def region(self) -> str:
        return str(self._formation.meta.region_name)

    def variables(self) -> dict[str, str]:
        """The variables of the stack's functions. Raises NotFound where it has none."""
        function = self.physical(_FUNCTION)
        if function is None:
            raise NotFound(
                f"the stack {self.name} has no {_FUNCTION}: it is no Recado, or half made"
            )
        client: Any = self.session.create_client("lambda", config=_CONFIG)
        answer = client.get_function_configuration(FunctionName=function)
        found: dict[str, str] = answer.get("Environment", {}).get("Variables", {})
        return found

    def outputs(self) -> dict[str, str]:
        """What the stack tells of itself, by name."""
        [stack] = self._formation.describe_stacks(StackName=self.name)["Stacks"]
        told = stack.get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in told}


def ask_stack(
    name: str,
    region: str | None,
    command: Command,
    session: botocore.session.Session | None = None,
) -> Answer:
    """Carries out a command on a stack. Without a session, the one that the environment makes.
    Raises RecadoError: NotFound where there is no such stack, Misconfigured with whatever AWS or
    the way to it refuses."""
    try:
        session = session or botocore.session.Session()
        if region is not None:
            session.set_config_variable("region", region)
        stack = _found(name, session)
        deps = on_aws(stack.variables(), Clients(session))
        return run(*_filled_in(command, deps, stack))
    except (BotoCoreError, ClientError, NotAllTaken) as error:
        raise Misconfigured(_explained(error)) from error


def _found(name: str, session: botocore.session.Session) -> Stack:
    try:
        return Stack(name, session)
    except ValueError as error:  # an endpoint or a region that can be none
        raise Misconfigured(f"AWS: {_one_line(str(error))}") from error


def _filled_in(command: Command, deps: Deps, stack: Stack) -> tuple[Command, Deps]:
    """What a stack knows of itself, where neither the operator nor a parameter says otherwise: its
    URL for upstreams alone, at which no call is paid for, and its own simulator's."""
    if command.operation not in _TELLS_A_CALLBACK_URL:
        return command, deps
    outputs, arguments = stack.outputs(), command.arguments
    if not deps.settings.public_base_url:
        settings = replace(deps.settings, public_base_url=outputs.get(_CALLBACK_URL, ""))
        deps = replace(deps, settings=settings)
    if command.operation == "connector_add" and arguments.get("kind") == "simulator":
        own = {"url": outputs[_SIMULATOR_URL]} if _SIMULATOR_URL in outputs else {}
        settled = {**own, **(arguments.get("settings") or {})}
        command = Command(command.operation, {**arguments, "settings": settled})
    return command, deps


def _explained(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, NoRegionError):
        return "AWS: no region is known: --region, AWS_REGION or the profile says it"
    if isinstance(error, NoCredentialsError):
        return "AWS: no credentials were found: `aws configure` makes some, AWS_PROFILE chooses"
    if not isinstance(error, ClientError):
        return f"AWS: {_one_line(str(error))}"
    told = error.response.get("Error", {})
    code, text = told.get("Code", ""), _one_line(told.get("Message", ""))
    if code in _DENIED:
        return f"AWS denies {error.operation_name}: {text} (docs/operating.md has what is needed)"
    if code in _THROTTLED:
        return f"AWS asks to go slower ({error.operation_name}: {code}): try again in a minute"
    return f"AWS refused {error.operation_name} ({code}): {text}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
