"""template.yaml: the SMPP service, which is there where an image is named."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from node.cloudformation import Tree, load
from node.installation import TEMPLATE as PATH
from recado import dispatch, upstreams
from recado.settings import read_settings
from smpp import container, probe
from tests.template.resolved import resolved

TEMPLATE = load(PATH)
PARAMETERS: dict[str, Tree] = TEMPLATE["Parameters"]
SMPP = {
    "SmppImage": "123456789012.dkr.ecr.sa-east-1.amazonaws.com/recado-smpp:1",
    "SmppVpcId": "vpc-0123456789abcdef0",
    "SmppSubnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
}
TLS = {"SmppCertificateArn": "arn:aws:acm:sa-east-1:123456789012:certificate/x"}
APART = {"SmppTaskSubnets": "subnet-0123456789abcdef2"}


def _made(**given: str) -> dict[str, Tree]:
    resources: dict[str, Tree] = resolved(TEMPLATE, **{**SMPP, **given})["Resources"]
    return resources


def _of(name: str, **given: str) -> Any:
    return _made(**given)[name]["Properties"]


def _container(**given: str) -> Any:
    [only] = _of("SmppTaskDefinition", **given)["ContainerDefinitions"]
    return only


def _environment(**given: str) -> dict[str, Any]:
    return {it["Name"]: it["Value"] for it in _container(**given)["Environment"]}


def _allows(parameter: str, value: str) -> bool:
    return re.search(PARAMETERS[parameter]["AllowedPattern"], value) is not None


# --- whether it is there -------------------------------------------------------------------------


def test_nothing_that_stays_and_is_paid_by_the_hour_is_made_unless_an_image_is_named() -> None:
    by_default = resolved(TEMPLATE)
    kinds = {it["Type"].split("::")[1] for it in by_default["Resources"].values()}
    assert kinds & {"ECS", "ElasticLoadBalancingV2", "ApplicationAutoScaling", "EC2"} == set()
    assert {"SmppRole", "SmppExecutionRole"} & set(by_default["Resources"]) == set()
    assert {"SmppEndpoint", "SmppTlsEndpoint"} & set(by_default["Outputs"]) == set()


def test_what_goes_by_smpp_has_its_queue_whether_the_service_is_there_or_not() -> None:
    """A packet that no queue takes would be a dead letter; so it waits, and an alarm tells."""
    waiting = {"Queue", "DeadQueue", "AgeAlarm", "DeadAlarm"}
    named = {f"{queue}{what}" for queue in ("Smpp", "SmppBulk") for what in waiting}
    assert named <= set(resolved(TEMPLATE)["Resources"])


@pytest.mark.parametrize("queue", ["SmppQueue", "SmppBulkQueue"])
def test_what_a_task_has_in_hand_comes_again_only_when_its_dispatch_is_over(queue: str) -> None:
    """A claim would keep it from going twice; but it would be dispatched in vain."""
    longest = dispatch.BUDGET + upstreams._LONGEST_SUBMIT
    assert longest < container._DISPATCHING
    assert TEMPLATE["Resources"][queue]["Properties"]["VisibilityTimeout"] >= 2 * longest


def test_an_image_without_its_network_is_refused_before_anything_is_made() -> None:
    rule = TEMPLATE["Rules"]["SmppHasNetwork"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "SmppImage"}, ""]}]}
    needed = [it["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for it in rule["Assertions"]]
    assert needed == ["SmppVpcId", "SmppSubnets"]


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("SmppVpcId", "vpc-0123456789abcdef0", "10.0.0.0/16"),
        ("SmppSubnets", "subnet-0123,subnet-4567", "subnet-0123, subnet-4567"),
        ("SmppTaskSubnets", "subnet-0123", "vpc-0123"),
        ("SmppAllowedCidr", "203.0.113.0/24", "anywhere"),
        ("SmppCertificateArn", TLS["SmppCertificateArn"], "smsc.example.com"),
        ("SmppImage", SMPP["SmppImage"], "recado smpp"),
    ],
)
def test_a_slip_in_a_parameter_is_refused(parameter: str, good: str, bad: str) -> None:
    assert _allows(parameter, good)
    assert not _allows(parameter, bad)


@pytest.mark.parametrize("more", [{}, TLS, {**TLS, **APART}], ids=["plain", "tls", "apart"])
def test_cfn_lint_has_nothing_to_say_where_the_service_is_there(more: dict[str, str]) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    if not linter.exists():
        pytest.skip("cfn-lint is not installed beside this Python")
    given = [f"{name}={value}" for name, value in {**SMPP, **more}.items()]
    run = subprocess.run(
        [linter, "template.yaml", "--parameters", *given],
        cwd=PATH.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


# --- the container -------------------------------------------------------------------------------


def test_the_container_has_the_functions_variables_and_a_few_of_its_own() -> None:
    whole = {**TEMPLATE, "Resources": {"Globals": {"Properties": TEMPLATE["Globals"]["Function"]}}}
    functions = resolved(whole)["Resources"]["Globals"]["Properties"]["Environment"]["Variables"]
    assert functions.pop("RECADO_RELEASE")  # for versions, which a container has none of
    own = {
        "RECADO_SMPP_SERVICE": {"Fn::Sub": "${AWS::StackName}-smpp"},
        "RECADO_SMPP_PROXY_PROTOCOL": "2",
        "AWS_DEFAULT_REGION": {"Ref": "AWS::Region"},
    }
    assert _environment() == {**functions, **own}


def test_the_container_understands_its_variables() -> None:
    texts = {name: value for name, value in _environment().items() if isinstance(value, str)}
    assert read_settings(texts).retention_days == PARAMETERS["RetentionDays"]["Default"]
    settings = container.read_container_settings(texts)
    assert settings.server.proxy_protocol
    assert settings.server.port == 1910


def test_no_secret_is_in_the_containers_definition() -> None:
    """Who may describe a task reads its variables: they are names."""
    assert "Secrets" not in _container()
    assert _environment()["RECADO_PEPPER_SECRET"] == {"Ref": "PepperSecret"}


def test_the_task_has_what_it_needs_to_end_without_losing_anything() -> None:
    needed = container._DISPATCHING + container._UNBINDING
    # Fargate gives no more than 120.
    assert needed + 10 <= _container()["StopTimeout"] <= 120
    # The last receive began before what is many was over; it is waited for within those times.
    assert needed > dispatch.BUDGET + container._WAIT


def test_the_container_can_write_nothing_but_its_log() -> None:
    only = _container()
    assert only["ReadonlyRootFilesystem"] is True
    log = only["LogConfiguration"]
    assert log["LogDriver"] == "awslogs"
    # The functions' own log, so that one search follows a message.
    assert log["Options"]["awslogs-group"] == {"Ref": "LogGroup"}
    assert log["Options"]["mode"] == "non-blocking"


@pytest.mark.parametrize("cpu", PARAMETERS["SmppCpu"]["AllowedValues"])
def test_each_power_of_a_task_has_the_memory_that_fargate_takes_with_it(cpu: int) -> None:
    """docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""
    task = _of("SmppTaskDefinition", SmppCpu=str(cpu))
    assert task["Cpu"] == str(cpu)
    assert task["Memory"] == {"Fn::FindInMap": ["SmppMemory", str(cpu), "MB"]}
    memory = int(TEMPLATE["Mappings"]["SmppMemory"][str(cpu)]["MB"])
    least, most = {256: (512, 2048), 512: (1024, 4096), 1024: (2048, 8192), 2048: (4096, 16384)}[
        cpu
    ]
    assert least <= memory <= most


@pytest.mark.parametrize("kind", PARAMETERS["SmppArchitecture"]["AllowedValues"])
def test_the_task_is_of_the_architecture_that_the_image_was_built_for(kind: str) -> None:
    platform = _of("SmppTaskDefinition", SmppArchitecture=kind)["RuntimePlatform"]
    assert platform == {"CpuArchitecture": kind, "OperatingSystemFamily": "LINUX"}


# --- the balancer --------------------------------------------------------------------------------


def test_the_balancer_asks_for_health_where_the_container_gives_it() -> None:
    group, only = _of("SmppTargetGroup"), _container()
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"]) == ("HTTP", "/health")
    assert int(group["HealthCheckPort"]) == probe.PORT
    assert {it["ContainerPort"] for it in only["PortMappings"]} == {1910, probe.PORT}
    assert only["HealthCheck"]["Command"] == ["CMD", "python", "-m", "smpp.probe"]


def test_the_balancer_says_whose_connection_it_hands_on() -> None:
    attributes = {it["Key"]: it["Value"] for it in _of("SmppTargetGroup")["TargetGroupAttributes"]}
    assert attributes["proxy_protocol_v2.enabled"] == "true"
    assert _environment()["RECADO_SMPP_PROXY_PROTOCOL"] == "2"


def test_who_is_bound_to_a_task_that_goes_is_unbound_by_the_task_and_not_cut_off() -> None:
    attributes = {it["Key"]: it["Value"] for it in _of("SmppTargetGroup")["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.connection_termination.enabled"] == "false"
    assert int(attributes["deregistration_delay.timeout_seconds"]) <= 60


def test_sessions_are_never_silent_for_as_long_as_the_balancer_lets_them() -> None:
    """350 s, unless the listener says otherwise; a listener of TLS can't."""
    limits = container.read_container_settings({}).server.limits
    assert limits.enquire < 350 / 2
    for listener in ("SmppListener", "SmppTlsListener"):
        assert "ListenerAttributes" not in _of(listener, **TLS)


def test_tls_is_spoken_where_there_is_a_certificate() -> None:
    assert set(_made(**TLS)) - set(_made()) == {"SmppTlsListener"}
    listener = _of("SmppTlsListener", **TLS)
    assert (listener["Protocol"], listener["Port"]) == ("TLS", 2775)
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    assert listener["Certificates"] == [{"CertificateArn": TLS["SmppCertificateArn"]}]
    assert "SmppTlsListener" not in resolved(TEMPLATE, **TLS)["Resources"]  # nor without an image
    assert resolved(TEMPLATE, **SMPP, **TLS)["Outputs"]["SmppTlsEndpoint"]["Value"] == {
        "Fn::Sub": "${SmppBalancer.DNSName}:2775"
    }


@pytest.mark.parametrize(("asked", "scheme"), [("true", "internet-facing"), ("false", "internal")])
def test_the_internet_reaches_it_where_that_is_asked_and_not_by_default(
    asked: str, scheme: str
) -> None:
    assert _of("SmppBalancer", SmppPublic=asked)["Scheme"] == scheme
    assert PARAMETERS["SmppPublic"]["Default"] == "false"


def test_only_the_listeners_ports_are_open_and_only_to_whom_is_let_in() -> None:
    def ingress(**more: str) -> list[tuple[int, int, str]]:
        group = _of("SmppBalancerSecurityGroup", SmppAllowedCidr="203.0.113.0/24", **more)
        return [(i["FromPort"], i["ToPort"], i["CidrIp"]) for i in group["SecurityGroupIngress"]]

    assert ingress() == [(1910, 1910, "203.0.113.0/24")]
    assert ingress(**TLS) == [(1910, 1910, "203.0.113.0/24"), (2775, 2775, "203.0.113.0/24")]


def test_nobody_but_the_balancer_reaches_a_task() -> None:
    for rule in _of("SmppSecurityGroup")["SecurityGroupIngress"]:
        assert rule["SourceSecurityGroupId"] == {"Ref": "SmppBalancerSecurityGroup"}
        assert rule["FromPort"] == rule["ToPort"]
        assert "CidrIp" not in rule


# --- the service ---------------------------------------------------------------------------------


def test_tasks_run_beside_the_balancer_with_an_address_or_apart_without_one() -> None:
    def network(**more: str) -> Any:
        return _of("SmppService", **more)["NetworkConfiguration"]["AwsvpcConfiguration"]

    beside = {"Fn::Split": [",", SMPP["SmppSubnets"]]}
    assert (network()["AssignPublicIp"], network()["Subnets"]) == ("ENABLED", beside)
    apart = {"Fn::Split": [",", APART["SmppTaskSubnets"]]}
    assert network(**APART)["AssignPublicIp"] == "DISABLED"
    assert network(**APART)["Subnets"] == apart
    assert _of("SmppBalancer", **APART)["Subnets"] == beside


def test_a_deployment_takes_no_task_away_before_another_is_well_and_goes_back_by_itself() -> None:
    service = _made()["SmppService"]
    told = service["Properties"]["DeploymentConfiguration"]
    assert told["MinimumHealthyPercent"] == 100
    assert told["MaximumPercent"] == 200
    assert told["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    # ECS refuses a target group that no listener leads to.
    assert service["DependsOn"] == "SmppListener"


def test_there_are_two_tasks_unless_something_else_is_said_and_more_while_they_are_busy() -> None:
    assert PARAMETERS["SmppDesiredCount"]["Default"] == 2
    assert PARAMETERS["SmppMaxCount"]["Default"] >= PARAMETERS["SmppDesiredCount"]["Default"]
    given = {"SmppDesiredCount": "3", "SmppMaxCount": "9"}
    scaling = _of("SmppScaling", **given)
    assert (scaling["MinCapacity"], scaling["MaxCapacity"]) == ("3", "9")
    assert _of("SmppService", **given)["DesiredCount"] == "3"
    assert scaling["ResourceId"] == {"Fn::Sub": "service/${SmppCluster}/${SmppService.Name}"}


def test_no_task_and_an_ill_task_are_told() -> None:
    made = _made()
    metrics = {
        name: it["Properties"]["MetricName"]
        for name, it in made.items()
        if it["Type"] == "AWS::CloudWatch::Alarm"
        and it["Properties"].get("Namespace") == "AWS/NetworkELB"
    }
    assert metrics == {
        "SmppTasksAlarm": "HealthyHostCount",
        "SmppUnhealthyAlarm": "UnHealthyHostCount",
    }
    # Maximum: each zone counts by itself, and one that sees nobody is no alarm yet.
    assert made["SmppTasksAlarm"]["Properties"]["Statistic"] == "Maximum"


# --- what it may do ------------------------------------------------------------------------------


def _statements(role: str) -> list[Any]:
    [policy] = _of(role)["Policies"]
    statements: list[Any] = policy["PolicyDocument"]["Statement"]
    return statements


def test_the_task_reads_its_own_queues_and_upstreams_passwords_and_writes_no_configuration() -> (
    None
):
    allowed: dict[str, list[Any]] = {}
    for statement in _statements("SmppRole"):
        actions = statement["Action"]
        for action in actions if isinstance(actions, list) else [actions]:
            allowed.setdefault(action, []).append(statement["Resource"])
    own = [{"Fn::GetAtt": [queue, "Arn"]} for queue in ("SmppQueue", "SmppBulkQueue")]
    for act in ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage"):
        assert allowed[f"sqs:{act}"] == [own]
    assert [it for it in allowed if it.startswith("secretsmanager:")] == [
        "secretsmanager:GetSecretValue"
    ]
    config = {"Fn::GetAtt": ["ConfigTable", "Arn"]}
    on_config = {action for action, resources in allowed.items() if config in resources}
    assert on_config == {"dynamodb:GetItem", "dynamodb:Query"}


def test_passwords_are_where_the_containers_role_may_read_them() -> None:
    """By the names that begin as its variable says."""
    [statement] = [
        it for it in _statements("SmppRole") if it["Action"] == "secretsmanager:GetSecretValue"
    ]
    prefix = _environment()["RECADO_KEYRING_PREFIX"]["Ref"]
    assert statement["Resource"]["Fn::Sub"].endswith(f":secret:${{{prefix}}}/*")


def test_who_starts_the_task_reads_images_writes_logs_and_reads_no_message() -> None:
    role = _of("SmppExecutionRole")
    assert role["ManagedPolicyArns"] == [{"Ref": "WriteLogs"}]
    actions = [action for it in _statements("SmppExecutionRole") for action in [it["Action"]]]
    assert actions == [
        "ecr:GetAuthorizationToken",
        ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    ]
