"""template.yaml: what each parameter changes, worked out from its conditions."""

import re
from typing import Any

import pytest

from node.cloudformation import Tree, load
from node.installation import TEMPLATE as PATH
from tests.template.resolved import resolved

TEMPLATE = load(PATH)
PARAMETERS: dict[str, Tree] = TEMPLATE["Parameters"]
FRONT = ["Send", "BatchSend", "Directcall", "Bulk", "Query"]  # where customers come in
NAMES = [*FRONT, "Callback", "Expand", "Dispatch", "Track", "Notify", "Clock"]
CONSUMERS = {
    "Submit": "Dispatch",
    "SubmitBulk": "Dispatch",
    "Expand": "Expand",
    "Inbound": "Track",
    "Notify": "Notify",
}
each_queue = pytest.mark.parametrize("queue", CONSUMERS)


def _resources(**given: str) -> dict[str, Tree]:
    resources: dict[str, Tree] = resolved(TEMPLATE, **given)["Resources"]
    return resources


def _shared(**given: str) -> Tree:
    """What all functions share, with these parameters."""
    part = {"Globals": {"Properties": TEMPLATE["Globals"]["Function"]}}
    whole = {**TEMPLATE, "Resources": part}
    shared: Tree = resolved(whole, **given)["Resources"]["Globals"]["Properties"]
    return shared


def _of(kind: str, resources: dict[str, Tree]) -> dict[str, Tree]:
    return {name: it["Properties"] for name, it in resources.items() if it["Type"] == kind}


def _only_with(**given: str) -> set[str]:
    """The resources that are there with these parameters and not by default."""
    return set(_resources(**given)) - set(_resources())


def _allows(parameter: str, value: str) -> bool:
    return re.search(PARAMETERS[parameter]["AllowedPattern"], value) is not None


def test_the_console_asks_for_every_parameter_once() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = [name for group in groups for name in group["Parameters"]]
    assert sorted(asked) == sorted(PARAMETERS)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_each_parameter_has_a_default_that_it_allows_and_says_what_it_is(parameter: str) -> None:
    told = PARAMETERS[parameter]
    default = told["Default"]
    assert told["Description"]
    assert default in told.get("AllowedValues", [default])
    if told["Type"] == "Number":
        assert told.get("MinValue", default) <= default <= told.get("MaxValue", default)
    elif "AllowedPattern" in told:
        assert _allows(parameter, default)


def test_nobody_is_told_of_alarms_without_an_address() -> None:
    for properties in _of("AWS::CloudWatch::Alarm", _resources()).values():
        assert "AlarmActions" not in properties
        assert "OKActions" not in properties


def test_alarms_that_come_and_go_are_told_to_the_address() -> None:
    resources = _resources(AlarmEmail="ops@example.com")
    topic = resources["AlarmTopic"]["Properties"]
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "ops@example.com"}]
    alarms = _of("AWS::CloudWatch::Alarm", resources)
    assert len(alarms) > 20
    for properties in alarms.values():
        assert properties["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert properties["OKActions"] == [{"Ref": "AlarmTopic"}]


@pytest.mark.parametrize("address", ["nobody", "a b@example.com", "@example.com"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert not _allows("AlarmEmail", address)


def test_messages_logs_and_lists_are_kept_for_as_long_as_is_asked() -> None:
    assert _shared(RetentionDays="7")["Environment"]["Variables"]["RECADO_RETENTION_DAYS"] == "7"
    resources = _resources(LogDays="3", BlobRetentionDays="40")
    assert resources["LogGroup"]["Properties"]["RetentionInDays"] == "3"
    [rule] = resources["BlobBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == "40"


def test_tables_can_be_deleted_where_that_is_asked() -> None:
    for properties in _of("AWS::DynamoDB::Table", _resources(DeletionProtection="false")).values():
        assert properties["DeletionProtectionEnabled"] == "false"


@pytest.mark.parametrize("level", PARAMETERS["LogLevel"]["AllowedValues"])
def test_recado_logs_from_its_level_and_lambda_never_drops_the_lines_that_are_metrics(
    level: str,
) -> None:
    """Lambda takes a line of JSON without a level, such as a metric's, for INFO."""
    shared = _shared(LogLevel=level)
    assert shared["Environment"]["Variables"]["RECADO_LOG_LEVEL"] == level
    expected = "DEBUG" if level == "DEBUG" else "INFO"
    assert shared["LoggingConfig"]["ApplicationLogLevel"] == expected


def test_the_functions_that_compute_have_a_memory_of_their_own_and_so_has_callback() -> None:
    given = {"HotMemory": "3008", "IoMemory": "1024"}
    shared = _shared(**given)
    functions = _of("AWS::Serverless::Function", _resources(**given))
    memory = {name: {**shared, **it}["MemorySize"] for name, it in functions.items()}
    hot = dict.fromkeys(("BatchSendFunction", "DirectcallFunction", "ExpandFunction"), "3008")
    own = {"CallbackFunction": 256}
    assert memory == {f"{name}Function": "1024" for name in NAMES} | hot | own


@each_queue
@pytest.mark.parametrize("none", ["", "0"])
def test_zero_or_nothing_is_no_limit_to_a_queues_consumers(queue: str, none: str) -> None:
    assert "ScalingConfig" not in _event(queue, **{f"{queue}Concurrency": none})


@each_queue
def test_the_consumers_of_a_queue_are_limited_to_what_its_own_parameter_says(queue: str) -> None:
    event = _event(queue, **{f"{queue}Concurrency": "7"})
    assert event["ScalingConfig"] == {"MaximumConcurrency": "7"}


def _event(queue: str, **given: str) -> Tree:
    function = _resources(**given)[f"{CONSUMERS[queue]}Function"]["Properties"]
    event: Tree = function["Events"][queue]["Properties"]
    assert event["Queue"] == {"Fn::GetAtt": [f"{queue}Queue", "Arn"]}
    return event


def test_only_one_time_passwords_have_no_limit_by_default() -> None:
    limited = {queue for queue in CONSUMERS if "ScalingConfig" in _event(queue)}
    assert limited == set(CONSUMERS) - {"Submit"}


@each_queue
def test_a_limit_is_one_that_lambda_takes(queue: str) -> None:
    for number in (2, 9, 10, 99, 100, 999, 1000):
        assert _allows(f"{queue}Concurrency", str(number))
    for text in ("1", "1001", "2000", "-2", "02", "2.5", "ten"):
        assert not _allows(f"{queue}Concurrency", text)


def test_no_function_takes_concurrency_away_from_the_others() -> None:
    for properties in [TEMPLATE["Globals"]["Function"], *_of(*_functions()).values()]:
        assert "ReservedConcurrentExecutions" not in properties
        assert "ProvisionedConcurrencyConfig" not in properties


def _functions() -> tuple[str, dict[str, Tree]]:
    return "AWS::Serverless::Function", TEMPLATE["Resources"]


def test_a_domain_leads_to_the_api() -> None:
    given = {"DomainName": "sms.example.com", "CertificateArn": "arn:aws:acm:sa-east-1:1:x"}
    assert _only_with(**given) == {"ApiDomain", "ApiMapping"}
    resources = _resources(**given)
    domain = resources["ApiDomain"]["Properties"]
    assert domain["DomainName"] == "sms.example.com"
    [configuration] = domain["DomainNameConfigurations"]
    assert configuration["CertificateArn"] == given["CertificateArn"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    assert resources["ApiMapping"]["Properties"] == {
        "ApiId": {"Ref": "Api"},
        "DomainName": {"Ref": "ApiDomain"},
        "Stage": {"Ref": "Api.Stage"},
    }
    assert "ApiDomainTarget" in resolved(TEMPLATE, **given)["Outputs"]
    assert "ApiDomainTarget" not in resolved(TEMPLATE)["Outputs"]


def test_a_domain_without_its_certificate_is_refused_before_anything_is_made() -> None:
    rule = TEMPLATE["Rules"]["DomainHasCertificate"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}


EGRESS = {"StaticEgress": "true"}


def test_nothing_of_a_network_is_made_unless_it_is_asked_for() -> None:
    assert [it["Type"] for it in _resources().values() if "::EC2::" in it["Type"]] == []
    made = _resources(**EGRESS)
    assert {made[name]["Type"].split("::")[1] for name in _only_with(**EGRESS)} == {"EC2"}
    assert "EgressIp" not in resolved(TEMPLATE)["Outputs"]
    assert resolved(TEMPLATE, **EGRESS)["Outputs"]["EgressIp"]["Value"] == {"Ref": "EgressAddress"}
    assert "36.50 USD a month" in PARAMETERS["StaticEgress"]["Description"]


def test_with_static_egress_dispatch_and_notify_alone_leave_by_the_one_address() -> None:
    functions = _of("AWS::Serverless::Function", _resources(**EGRESS))
    inside = {name for name, properties in functions.items() if "VpcConfig" in properties}
    assert inside == {"DispatchFunction", "NotifyFunction"}
    for name in inside:
        expected = {
            "SecurityGroupIds": [{"Ref": "EgressSecurityGroup"}],
            "SubnetIds": [{"Ref": "PrivateSubnet"}],
        }
        assert functions[name]["VpcConfig"] == expected
    outside = _of("AWS::Serverless::Function", _resources()).values()
    assert [it for it in outside if "VpcConfig" in it] == []


def test_the_private_subnet_leads_to_the_nat_gateway_and_that_to_the_internet() -> None:
    made = _resources(**EGRESS)

    def of(name: str) -> Any:
        return made[name]["Properties"]

    everywhere = {"DestinationCidrBlock": "0.0.0.0/0"}
    out = {"RouteTableId": {"Ref": "PrivateRoutes"}, "NatGatewayId": {"Ref": "NatGateway"}}
    assert of("PrivateRoute") == everywhere | out
    assert of("PrivateSubnetRoutes") == {
        "SubnetId": {"Ref": "PrivateSubnet"},
        "RouteTableId": {"Ref": "PrivateRoutes"},
    }
    assert of("NatGateway")["SubnetId"] == {"Ref": "PublicSubnet"}
    assert of("NatGateway")["AllocationId"] == {"Fn::GetAtt": ["EgressAddress", "AllocationId"]}
    out = {"RouteTableId": {"Ref": "PublicRoutes"}, "GatewayId": {"Ref": "InternetGateway"}}
    assert of("PublicRoute") == everywhere | out
    assert of("PublicSubnetRoutes") == {
        "SubnetId": {"Ref": "PublicSubnet"},
        "RouteTableId": {"Ref": "PublicRoutes"},
    }
    assert of("InternetGatewayAttachment")["InternetGatewayId"] == {"Ref": "InternetGateway"}
    # Without it they fail now and then: CloudFormation can't know of it.
    for name in ("EgressAddress", "PublicRoute"):
        assert made[name]["DependsOn"] == "InternetGatewayAttachment"


def test_tables_and_lists_are_reached_past_the_nat_gateway_which_is_paid_by_the_gigabyte() -> None:
    endpoints = _of("AWS::EC2::VPCEndpoint", _resources(**EGRESS))
    names = {it["ServiceName"]["Fn::Sub"].rpartition(".")[2] for it in endpoints.values()}
    assert names == {"dynamodb", "s3"}
    for properties in endpoints.values():
        assert properties["RouteTableIds"] == [{"Ref": "PrivateRoutes"}]
        assert "VpcEndpointType" not in properties  # a gateway, which is free


def test_nobody_gets_in_where_dispatch_and_notify_go_out() -> None:
    group = _resources(**EGRESS)["EgressSecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert group["SecurityGroupEgress"][0]["CidrIp"] == "0.0.0.0/0"


SIMULATOR = {"Simulator": "true"}


def test_there_is_a_simulator_only_where_it_is_asked_for() -> None:
    assert _only_with(**SIMULATOR) == {"SimulatorFunction", "SimulatorRole"}
    assert "SimulatorUrl" not in resolved(TEMPLATE)["Outputs"]
    url = resolved(TEMPLATE, **SIMULATOR)["Outputs"]["SimulatorUrl"]["Value"]["Fn::Sub"]
    api = resolved(TEMPLATE)["Outputs"]["ApiUrl"]["Value"]["Fn::Sub"]
    [event] = _resources(**SIMULATOR)["SimulatorFunction"]["Properties"]["Events"].values()
    assert api + event["Properties"]["Path"] == url + "/submit"


def test_the_simulator_may_read_the_configuration_and_write_its_log_and_nothing_else() -> None:
    made = _resources(**SIMULATOR)
    assert made["SimulatorFunction"]["Properties"]["Role"] == {
        "Fn::GetAtt": ["SimulatorRole", "Arn"]
    }
    role = made["SimulatorRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "WriteLogs"}]
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    table = {"Fn::GetAtt": ["ConfigTable", "Arn"]}
    assert statement == {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": table}


@pytest.mark.parametrize(("asked", "applied"), [("true", "PublishedVersions"), ("false", "None")])
def test_snapshots_are_taken_where_that_is_asked(asked: str, applied: str) -> None:
    assert _shared(SnapStart=asked)["SnapStart"] == {"ApplyOn": applied}
    assert PARAMETERS["SnapStart"]["Default"] == "false"


def test_a_version_is_published_with_each_change_and_with_each_new_layer() -> None:
    """Our code is in a layer. Unless both say so, the alias stays at the old one."""
    assert TEMPLATE["Globals"]["Function"]["AutoPublishAlias"] == "live"
    functions = _of(*_functions())
    assert {f"{name}Function" for name in NAMES} <= set(functions)
    for properties in functions.values():
        assert properties["AutoPublishAliasAllProperties"] is True
    for properties in _of("AWS::Serverless::LayerVersion", TEMPLATE["Resources"]).values():
        assert properties["PublishLambdaVersion"] is True


@pytest.mark.parametrize("name", NAMES)
def test_a_deployment_is_as_gradual_as_is_asked_and_ends_at_the_functions_alarms(name: str) -> None:
    shared = _shared(DeploymentType="Canary10Percent5Minutes")
    assert shared["DeploymentPreference"] == {"Type": "Canary10Percent5Minutes"}
    alarms = TEMPLATE["Resources"][f"{name}Function"]["Properties"]["DeploymentPreference"]
    expected = [{"Ref": f"{name}ErrorsAlarm"}]
    if name in FRONT:
        expected.append({"Ref": "FaultsAlarm"})
    assert alarms == {"Alarms": expected}


def test_what_nobody_watches_is_deployed_at_once() -> None:
    """Without an alarm there is nothing that a gradual deployment could end at."""
    for name, properties in _of(*_functions()).items():
        preference = properties["DeploymentPreference"]
        if "Condition" in TEMPLATE["Resources"][name]:
            assert preference == {"Enabled": False}
        else:
            assert preference["Alarms"]


def test_by_default_a_deployment_is_done_at_once() -> None:
    assert PARAMETERS["DeploymentType"]["Default"] == "AllAtOnce"
