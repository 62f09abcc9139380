"""template.yaml as AWS expands it: what its AWS::Serverless resources become.

It takes aws-sam-translator (a part of the SAM CLI), and is skipped where that is not installed.
"""

import copy
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import pytest

from node.cloudformation import Tree, load
from node.installation import TEMPLATE as PATH
from tests.template.resolved import resolved

translator = pytest.importorskip(
    "samtranslator.translator.transform", reason="aws-sam-translator is not installed"
)

# Each function, and whether it is there by default.
_ALWAYS = {
    name: "Condition" not in it
    for name, it in load(PATH)["Resources"].items()
    if it["Type"] == "AWS::Serverless::Function"
}
FUNCTIONS = [name for name, always in _ALWAYS.items() if always]
OPTIONAL = [name for name, always in _ALWAYS.items() if not always]
EVERYTHING = {
    "AlarmEmail": "ops@example.com",
    "DomainName": "sms.example.com",
    "CertificateArn": "arn:aws:acm:sa-east-1:1:certificate/x",
    "StaticEgress": "true",
    "Simulator": "true",
    "SmppImage": "123456789012.dkr.ecr.sa-east-1.amazonaws.com/recado-smpp:1",
    "SmppVpcId": "vpc-0123456789abcdef0",
    "SmppSubnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "SmppCertificateArn": "arn:aws:acm:sa-east-1:1:certificate/y",
    "SnapStart": "true",
    "SubmitConcurrency": "50",
    "DeploymentType": "Linear10PercentEvery1Minute",
}


class _NoManagedPolicies:
    """The translator would ask IAM for the names of AWS's own policies; the template names none."""

    def load(self) -> dict[str, str]:
        return {}


def _expanded(given: dict[str, str], recado_layer: str = "RecadoLayer", release: str = "1") -> Tree:
    template = copy.deepcopy(load(PATH))
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert "RECADO_RELEASE" in variables
    variables["RECADO_RELEASE"] = release
    for name, resource in template["Resources"].items():
        for code in ("CodeUri", "ContentUri"):
            if code in resource.get("Properties", {}):  # where `sam build` and `deploy` put it
                place = recado_layer if name == "RecadoLayer" else name
                resource["Properties"][code] = f"s3://bucket/{place}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
        expanded: Tree = translator.transform(template, dict(given), _NoManagedPolicies())
    return expanded


@cache
def _with_everything() -> Tree:
    return resolved(_expanded(EVERYTHING), **EVERYTHING)["Resources"]  # type: ignore[no-any-return] # a Tree's parts are Any


@cache
def _by_default() -> Tree:
    return resolved(_expanded({}))["Resources"]  # type: ignore[no-any-return] # a Tree's parts are Any


def _of(kind: str, resources: Tree) -> dict[str, Any]:
    return {name: it["Properties"] for name, it in resources.items() if it["Type"] == kind}


def _needed(part: Any) -> Iterator[str]:
    """What has to be there before this part: resources, and parameters."""
    match part:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]} | {"DependsOn": str(name)}:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from re.findall(r"\$\{(\w+)", text)
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from _needed(inner)


@pytest.mark.parametrize("resources", [_by_default, _with_everything])
def test_nothing_waits_for_itself_to_be_made(resources: Any) -> None:
    """CloudFormation refuses a cycle, and no linter sees it."""
    made = resources()
    graph = {name: set(_needed(it)) & set(made) for name, it in made.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(made)


def test_requests_queues_and_the_clock_all_call_the_alias() -> None:
    made = _with_everything()
    mappings = _of("AWS::Lambda::EventSourceMapping", made).values()
    aliases = {f"{name}Aliaslive" for name in [*FUNCTIONS, *OPTIONAL]}
    assert len(mappings) == 5
    assert {it["FunctionName"]["Ref"] for it in mappings} <= aliases
    permissions = _of("AWS::Lambda::Permission", made).values()
    assert {it["FunctionName"]["Ref"] for it in permissions} <= aliases
    assert set(_of("AWS::Lambda::Alias", made)) == aliases


def test_a_new_layer_alone_is_a_new_version_of_every_function() -> None:
    def versions(resources: Tree) -> set[str]:
        return set(_of("AWS::Lambda::Version", resources))

    before, after = _by_default(), _expanded({}, recado_layer="changed")["Resources"]
    assert len(versions(before)) == len(FUNCTIONS)
    assert versions(before) & versions(after) == set()


def test_changed_parameters_reach_the_functions_with_another_release() -> None:
    def versions(given: dict[str, str], release: str) -> set[str]:
        expanded = _expanded(given, release=release)["Resources"]
        return set(_of("AWS::Lambda::Version", expanded))

    before = versions({}, "1")
    assert versions({"IoMemory": "1024"}, "1") == before  # why there is a release
    assert versions({"IoMemory": "1024"}, "2") & before == set()


def test_the_limits_of_the_queues_reach_the_event_source_mappings() -> None:
    def limits(resources: Tree) -> dict[str, str | None]:
        return {
            it["EventSourceArn"]["Fn::GetAtt"][0]: it.get("ScalingConfig", {}).get(
                "MaximumConcurrency"
            )
            for it in _of("AWS::Lambda::EventSourceMapping", resources).values()
        }

    bounded = {"SubmitBulkQueue": "100", "ExpandQueue": "20", "InboundQueue": "100"}
    bounded["NotifyQueue"] = "100"
    assert limits(_by_default()) == {**bounded, "SubmitQueue": None}
    assert limits(_with_everything()) == {**bounded, "SubmitQueue": "50"}


def test_only_dispatch_and_notify_are_in_the_network_and_only_where_it_is_asked_for() -> None:
    def inside(resources: Tree) -> set[str]:
        functions = _of("AWS::Lambda::Function", resources)
        return {name for name, it in functions.items() if "VpcConfig" in it}

    assert inside(_by_default()) == set()
    assert inside(_with_everything()) == {"DispatchFunction", "NotifyFunction"}


def test_snapstart_memory_and_no_reserved_concurrency_reach_every_function() -> None:
    for resources, applied, more in (
        (_by_default(), "None", []),
        (_with_everything(), "PublishedVersions", OPTIONAL),
    ):
        functions = _of("AWS::Lambda::Function", resources)
        assert set(functions) == {*FUNCTIONS, *more}
        for properties in functions.values():
            assert properties["SnapStart"] == {"ApplyOn": applied}
            assert int(properties["MemorySize"]) in (256, 512, 1769)
            assert "ReservedConcurrentExecutions" not in properties


@pytest.mark.parametrize("kind", load(PATH)["Parameters"]["DeploymentType"]["AllowedValues"])
def test_codedeploy_knows_each_kind_of_deployment_and_goes_back_at_an_alarm(kind: str) -> None:
    groups = _of(
        "AWS::CodeDeploy::DeploymentGroup", _expanded({"DeploymentType": kind})["Resources"]
    )
    assert set(groups) == {f"{name}DeploymentGroup" for name in FUNCTIONS}
    for name, group in groups.items():
        configuration = group["DeploymentConfigName"]["Fn::Sub"]
        assert configuration == ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": kind}]
        alarms = group["AlarmConfiguration"]
        assert alarms["Enabled"] is True
        errors = name.replace("FunctionDeploymentGroup", "ErrorsAlarm")
        assert {"Name": {"Ref": errors}} in alarms["Alarms"]
        rollback = group["AutoRollbackConfiguration"]
        assert rollback["Enabled"] is True
        assert "DEPLOYMENT_STOP_ON_ALARM" in rollback["Events"]


def test_upstreams_reach_the_alias_of_callback_by_a_url_and_nobody_else_is_let_in() -> None:
    """Lambda wants both permissions for a URL that takes requests without a signature
    (docs.aws.amazon.com/lambda/latest/dg/urls-auth.html, since October 2025)."""
    made, alias = _by_default(), {"Ref": "CallbackFunctionAliaslive"}
    everybody = [
        it for it in _of("AWS::Lambda::Permission", made).values() if it["Principal"] == "*"
    ]
    assert sorted(everybody, key=lambda it: it["Action"]) == [
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": alias,
            "InvokedViaFunctionUrl": True,
            "Principal": "*",
        },
        {
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionName": alias,
            "FunctionUrlAuthType": "NONE",
            "Principal": "*",
        },
    ]
    url = {"TargetFunctionArn": alias, "AuthType": "NONE"}
    assert _of("AWS::Lambda::Url", made) == {"CallbackFunctionUrl": url}
    output = load(PATH)["Outputs"]["CallbackUrl"]["Value"]
    assert set(_needed(output)) & set(made) == {"CallbackFunctionUrl"}


def test_of_a_function_that_nobody_asked_for_there_is_no_trace_and_no_route() -> None:
    def named(resources: Tree) -> set[str]:
        return {name for name in resources if name.startswith(tuple(OPTIONAL))}

    def paths(resources: Tree) -> set[str]:
        return set(resources["Api"]["Properties"]["Body"]["paths"])

    assert named(_by_default()) == set()
    assert len(named(_with_everything())) >= 3 * len(OPTIONAL)  # with version and alias
    assert paths(_with_everything()) - paths(_by_default()) == {"/simulator/submit"}


@pytest.mark.parametrize("resources", [_by_default, _with_everything])
def test_nothing_refers_to_what_is_not_there(resources: Any) -> None:
    made = resources()
    known = {*made, *load(PATH)["Parameters"], "AWS"}
    wanted = {
        name.partition(".")[0].partition(":")[0] for it in made.values() for name in _needed(it)
    }
    assert wanted - known == set()


@pytest.mark.parametrize("resources", [_by_default, _with_everything])
def test_sam_makes_no_role_but_codedeploys_and_no_policy(resources: Any) -> None:
    """Those that it makes for functions may use every queue and write into every log."""
    made = resources()
    functions = _of("AWS::Lambda::Function", made)
    own = {name: {"Fn::GetAtt": [name.replace("Function", "Role"), "Arn"]} for name in functions}
    assert {name: it["Role"] for name, it in functions.items()} == own
    roles = {role["Fn::GetAtt"][0] for role in own.values()}
    container = {"SmppRole", "SmppExecutionRole"} & set(made)
    assert set(_of("AWS::IAM::Role", made)) == roles | container | {"CodeDeployServiceRole"}
    assert set(_of("AWS::IAM::Policy", made)) == set()


def test_the_domain_is_mapped_to_the_stage_that_sam_makes() -> None:
    made = _with_everything()
    stage = made["ApiMapping"]["Properties"]["Stage"]["Ref"]
    assert made[stage]["Type"] == "AWS::ApiGatewayV2::Stage"
