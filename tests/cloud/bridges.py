"""What the emulator lacks of AWS, made up for.

Each function here says what that is. None names a path, a function or a queue of its own: what they
need they read from the built template, or from what CloudFormation made of it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from node.cloudformation import Tree, holds

_DEFAULT = "$default"
_PLACE = re.compile(r"\$\{([\w:]+)\}")


class Deployed(Protocol):
    """A stack, as far as the bridges go over it (tests/support/stack.py)."""

    parameters: Mapping[str, str]
    region: str

    def client(self, service: Any) -> Any: ...

    def resources(self) -> dict[str, str]: ...

    def processed(self) -> Tree: ...


def of_kind(kind: str, template: Tree) -> list[tuple[str, Tree]]:
    """Logical id and properties of the resources of a type, whatever their conditions."""
    resources = template["Resources"].items()
    return [(name, it.get("Properties", {})) for name, it in resources if it["Type"] == kind]


def deployable(template: Tree) -> Tree:
    """What has to be made up for before: the built template as the emulator takes it."""
    _bridge_deployment_preference(template)
    _bridge_metric_math(template)
    _bridge_private_callbacks(template)
    _bridge_secrets(template)
    _bridge_batches(template)
    _bridge_leading_keys(template)
    _bridge_transport(template)
    return template


def bridge(stack: Deployed) -> None:
    """What can be made up for once it is deployed."""
    _bridge_routes(stack)
    _bridge_time_to_live(stack)
    _bridge_limits(stack)


def _bridge_deployment_preference(template: Tree) -> None:
    """The emulator has no CodeDeploy and refuses a template that has: every version gets all of the
    traffic at once, as with the template's own default."""
    template["Globals"]["Function"].pop("DeploymentPreference", None)
    for _, properties in of_kind("AWS::Serverless::Function", template):
        properties.pop("DeploymentPreference", None)


def _bridge_metric_math(template: Tree) -> None:
    """The emulator knows no alarm on an expression over several metrics."""
    for name, properties in of_kind("AWS::CloudWatch::Alarm", template):
        if "Metrics" in properties:
            del template["Resources"][name]


def _bridge_private_callbacks(template: Tree) -> None:
    """The customer of these tests is on this machine, so at a private address. The template has no
    switch for that, on purpose: in an account a callback URL must not reach into its networks."""
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    variables["RECADO_PRIVATE_CALLBACKS"] = "true"


def _bridge_secrets(template: Tree) -> None:
    """A Ref to a secret is its ARN on AWS, and its name here: no policy that says it would allow
    anything. Its attribute Id is the ARN on both."""
    secrets = {name for name, _ in of_kind("AWS::SecretsManager::Secret", template)}
    for name in secrets:
        _replace(template, {"Ref": name}, {"Fn::GetAtt": [name, "Id"]})


def _bridge_batches(template: Tree) -> None:
    """AWS has no actions for SQS's calls in batches, which need leave for the single ones. The
    emulator asks for leave by the call's name."""
    for single in ("sqs:SendMessage", "sqs:DeleteMessage"):
        _replace(template, single, [single, f"{single}Batch"])


def _replace(part: Any, old: Any, new: Any) -> None:
    """Puts `new` in the place of `old`, wherever that stands; in a list, its elements if it has
    several."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, inner in list(items):
        if inner == old:
            part[key] = new
        elif isinstance(inner, dict | list):
            _replace(inner, old, new)
    if isinstance(part, list):
        flat = [one for it in part for one in (it if it == new and isinstance(new, list) else [it])]
        part[:] = flat


def _bridge_leading_keys(template: Tree) -> None:
    """The emulator does not tell a condition which items a call is about: whoever may write some of
    a table may write all of it here. (tests/engine/test_privileges.py holds which those are.)"""
    for _, properties in of_kind("AWS::IAM::Role", template):
        for policy in properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if "dynamodb:LeadingKeys" in str(statement.get("Condition")):
                    del statement["Condition"]


def _bridge_transport(template: Tree) -> None:
    """The emulator is called without TLS, and a bucket that refuses that would take nothing."""
    without_tls = {"Bool": {"aws:SecureTransport": "false"}}
    for name, properties in of_kind("AWS::S3::BucketPolicy", template):
        document = properties["PolicyDocument"]
        rest = [it for it in document["Statement"] if it.get("Condition") != without_tls]
        document["Statement"] = rest
        if not rest:
            del template["Resources"][name]


def _bridge_routes(stack: Deployed) -> None:
    """The emulator passes over an API's `Body`, in which SAM writes all routes: they are made one
    by one, as that Body has them."""
    gateway, made, processed = stack.client("apigatewayv2"), stack.resources(), stack.processed()
    for name, properties in of_kind("AWS::ApiGatewayV2::Api", processed):
        for key, told in _integrations(properties["Body"], processed, stack.parameters):
            integration = gateway.create_integration(
                ApiId=made[name],
                IntegrationType=told["type"].upper(),
                IntegrationMethod=told["httpMethod"],
                IntegrationUri=_filled(told["uri"]["Fn::Sub"], made, stack.region),
                PayloadFormatVersion=told["payloadFormatVersion"],
            )
            target = f"integrations/{integration['IntegrationId']}"
            gateway.create_route(ApiId=made[name], RouteKey=key, Target=target)


def _integrations(
    body: Tree, template: Tree, parameters: Mapping[str, str]
) -> Iterator[tuple[str, Tree]]:
    """Route key and integration of each route, less those whose condition does not hold."""

    def chosen(part: Any) -> Tree:
        """What an Fn::If stands for; nothing where that is no value."""
        if "Fn::If" in part:
            condition, if_so, if_not = part["Fn::If"]
            return chosen(if_so if holds(template, condition, parameters) else if_not)
        found: Tree = {} if part == {"Ref": "AWS::NoValue"} else part
        return found

    for path, methods in chosen(body["paths"]).items():
        for method, operation in chosen(methods).items():
            told = chosen(operation).get("x-amazon-apigateway-integration")
            if told is not None:
                name = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = _DEFAULT if path == f"/{_DEFAULT}" else f"{name} {path}"
                yield key, {**told, "uri": chosen(told["uri"])}


def _filled(text: str, made: Mapping[str, str], region: str) -> str:
    known = {"AWS::Partition": "aws", "AWS::Region": region, **made}
    return _PLACE.sub(lambda place: known[place[1]], text)


def _bridge_time_to_live(stack: Deployed) -> None:
    """The emulator's CloudFormation passes over a table's TimeToLiveSpecification; its DynamoDB
    does not."""
    made = stack.resources()
    for name, properties in of_kind("AWS::DynamoDB::Table", stack.processed()):
        if "TimeToLiveSpecification" in properties:
            stack.client("dynamodb").update_time_to_live(
                TableName=made[name], TimeToLiveSpecification=properties["TimeToLiveSpecification"]
            )


def _bridge_limits(stack: Deployed) -> None:
    """The emulator's CloudFormation leaves a parameter of type String the text that it is, where a
    number is asked for, and its poller then compares that text with numbers: no queue of the
    account would be read."""
    calls = stack.client("lambda")
    for mapping in calls.list_event_source_mappings()["EventSourceMappings"]:
        limit = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if limit is not None:
            calls.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(limit)}
            )
