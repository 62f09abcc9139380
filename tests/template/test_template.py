"""template.yaml: what cfn-lint can't know of it."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.cloudformation import Tree, load
from recado.settings import read_settings

ROOT = Path(__file__).parents[2]
TEMPLATE = load(ROOT / "template.yaml")
RESOURCES: dict[str, Tree] = TEMPLATE["Resources"]
SHARED: Tree = TEMPLATE["Globals"]["Function"]
DAY = 86_400


def _of(kind: str) -> dict[str, Tree]:
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


FUNCTIONS = _of("AWS::Serverless::Function")
ALL_QUEUES = _of("AWS::SQS::Queue")
QUEUES = {name: it for name, it in ALL_QUEUES.items() if not name.endswith("DeadQueue")}
TABLES = _of("AWS::DynamoDB::Table")
ROLES = _of("AWS::IAM::Role")
POLICIES = {
    **{name: it["PolicyDocument"] for name, it in _of("AWS::IAM::ManagedPolicy").items()},
    **{
        f"{name}.{policy['PolicyName']}": policy["PolicyDocument"]
        for name, it in ROLES.items()
        for policy in it["Policies"]
    },
}
ALARMS = _of("AWS::CloudWatch::Alarm")
CONTAINER_ROLES = ("SmppRole", "SmppExecutionRole")
# What the template doesn't make: of this account what is called so, or what has no name.
_OF_THIS_ACCOUNT = "${AWS::Region}:${AWS::AccountId}"
UNNAMED: dict[tuple[str, str], Any] = {
    ("SmppRole.own", "secretsmanager:GetSecretValue"): {
        "Fn::Sub": "arn:${AWS::Partition}:secretsmanager:"
        + _OF_THIS_ACCOUNT
        + ":secret:${AWS::StackName}/*"
    },
    ("SmppExecutionRole.own", "ecr:GetAuthorizationToken"): "*",
    ("SmppExecutionRole.own", "ecr:BatchGetImage"): {
        "Fn::Sub": "arn:${AWS::Partition}:ecr:" + _OF_THIS_ACCOUNT + ":repository/*"
    },
}
SQS_EVENTS = {
    f"{function}.{name}": (function, event["Properties"])
    for function, properties in FUNCTIONS.items()
    for name, event in properties["Events"].items()
    if event["Type"] == "SQS"
}

each_function = pytest.mark.parametrize("function", FUNCTIONS)
each_queue = pytest.mark.parametrize("queue", QUEUES)
each_table = pytest.mark.parametrize("table", TABLES)
each_sqs_event = pytest.mark.parametrize("event", SQS_EVENTS)


def _references(tree: Any) -> Iterator[str]:
    """The resources and parameters that a part of the template refers to."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            match key, value:
                case "Ref", str():
                    yield value
                case "Fn::GetAtt", [name, _]:
                    yield name
                case "Fn::Sub", str():
                    yield from re.findall(r"\$\{(\w+)[.}]", value)
                case _:
                    yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


def _listed(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


def _environment_name(queue: str) -> str:
    """SubmitBulkQueue: SUBMIT_BULK."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", queue.removesuffix("Queue")).upper()


def test_cfn_lint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    if not linter.exists():
        pytest.skip("cfn-lint is not installed beside this Python")
    run = subprocess.run(
        [linter, "template.yaml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


@each_function
def test_the_code_of_each_function_is_where_the_template_says(function: str) -> None:
    properties = {**SHARED, **FUNCTIONS[function]}
    module, _, attribute = properties["Handler"].rpartition(".")
    handler = ROOT / properties["CodeUri"] / f"{module}.py"
    assert handler.is_file()
    assert re.search(rf"^(def {attribute}\(|{attribute} =)", handler.read_text(), re.MULTILINE)


@each_function
def test_each_function_has_a_role_of_its_own(function: str) -> None:
    role = function.replace("Function", "Role")
    assert FUNCTIONS[function]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    assert "Policies" not in FUNCTIONS[function]  # SAM would take no notice of them


@each_function
def test_no_function_has_an_environment_of_its_own(function: str) -> None:
    """On one machine all of them live in one process."""
    assert "Environment" not in FUNCTIONS[function]


@each_function
def test_no_function_depends_on_the_api(function: str) -> None:
    """The API depends on the functions: CloudFormation refuses the cycle, and no linter sees it."""
    configuration = {**SHARED, **FUNCTIONS[function], "Events": None}
    assert "Api" not in set(_references(configuration))


def test_a_function_that_answers_requests_ends_before_the_http_api_gives_up() -> None:
    for properties in FUNCTIONS.values():
        if any(event["Type"] == "HttpApi" for event in properties["Events"].values()):
            assert {**SHARED, **properties}["Timeout"] < 30


@each_sqs_event
def test_one_bad_message_of_a_batch_does_not_bring_back_the_others(event: str) -> None:
    _, properties = SQS_EVENTS[event]
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@each_sqs_event
def test_a_message_in_hand_stays_hidden_for_six_timeouts_of_its_function(event: str) -> None:
    function, properties = SQS_EVENTS[event]
    queue = QUEUES[properties["Queue"]["Fn::GetAtt"][0]]
    timeout = {**SHARED, **FUNCTIONS[function]}["Timeout"]
    window = properties.get("MaximumBatchingWindowInSeconds", 0)
    assert queue["VisibilityTimeout"] >= 6 * timeout + window


@each_sqs_event
def test_a_batch_above_ten_has_the_window_that_lambda_asks_for(event: str) -> None:
    _, properties = SQS_EVENTS[event]
    assert properties["BatchSize"] <= 10 or properties["MaximumBatchingWindowInSeconds"] >= 1


def test_one_time_passwords_wait_for_no_batch_to_fill() -> None:
    _, properties = SQS_EVENTS["DispatchFunction.Submit"]
    assert "MaximumBatchingWindowInSeconds" not in properties


@each_queue
def test_each_queue_has_dead_letters_of_its_own_and_keeps_what_it_has_for_ten_days(
    queue: str,
) -> None:
    dead = queue.replace("Queue", "DeadQueue")
    policy = QUEUES[queue]["RedrivePolicy"]
    assert policy == {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}, "maxReceiveCount": 5}
    assert QUEUES[queue]["MessageRetentionPeriod"] == 10 * DAY
    assert ALL_QUEUES[dead]["MessageRetentionPeriod"] == 14 * DAY


@each_queue
def test_only_the_queue_itself_may_use_its_dead_letters(queue: str) -> None:
    allowed = ALL_QUEUES[queue.replace("Queue", "DeadQueue")]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    [arn] = allowed["sourceQueueArns"]
    assert arn["Fn::Sub"].endswith(":" + QUEUES[queue]["QueueName"]["Fn::Sub"])


def test_every_queue_is_encrypted() -> None:
    assert [name for name, it in ALL_QUEUES.items() if it["SqsManagedSseEnabled"] is not True] == []


@each_queue
def test_each_queue_is_watched_for_age_and_for_dead_letters(queue: str) -> None:
    watched = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0])
        for alarm in ALARMS.values()
        if alarm.get("Namespace") == "AWS/SQS"
    }
    assert ("ApproximateAgeOfOldestMessage", queue) in watched
    dead = queue.replace("Queue", "DeadQueue")
    assert ("ApproximateNumberOfMessagesVisible", dead) in watched


def test_alarms_go_to_somebody_only_where_an_address_is_given() -> None:
    somebody = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert RESOURCES["AlarmTopic"]["Condition"] == "HasAlarmEmail"
    assert [name for name, it in ALARMS.items() if it["AlarmActions"] != somebody] == []


def test_the_environment_names_every_queue_and_its_dead_letters() -> None:
    variables = SHARED["Environment"]["Variables"]
    named = {name: value for name, value in variables.items() if "_QUEUE_" in name}
    expected = {}
    for queue in QUEUES:
        expected[f"RECADO_QUEUE_{_environment_name(queue)}"] = {"Ref": queue}
        dead = queue.replace("Queue", "DeadQueue")
        expected[f"RECADO_DEAD_QUEUE_{_environment_name(queue)}"] = {"Ref": dead}
    assert named == expected


@each_table
def test_each_table_can_be_restored_and_is_not_deleted_by_mistake(table: str) -> None:
    properties = TABLES[table]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert TEMPLATE["Parameters"]["DeletionProtection"]["Default"] == "true"


@each_table
def test_each_table_is_encrypted_and_paid_by_the_request(table: str) -> None:
    # Always, and for nothing: an SSESpecification would mean a key in KMS, paid by the call.
    assert "SSESpecification" not in TABLES[table]
    assert TABLES[table]["BillingMode"] == "PAY_PER_REQUEST"


def test_what_is_over_leaves_the_messages_table_by_itself() -> None:
    expected = {"AttributeName": "expires", "Enabled": True}
    assert TABLES["MessagesTable"]["TimeToLiveSpecification"] == expected


@pytest.mark.parametrize("kept", [*TABLES, "BlobBucket", "PepperSecret"])
def test_what_is_kept_outlives_the_stack(kept: str) -> None:
    assert RESOURCES[kept]["DeletionPolicy"] == "Retain"
    assert RESOURCES[kept]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_private_and_encrypted_and_empties_itself() -> None:
    bucket = RESOURCES["BlobBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "BlobRetentionDays"})


def test_lists_are_kept_longer_than_messages() -> None:
    """A list is counted from its upload, a message from its due date."""
    parameters = TEMPLATE["Parameters"]
    assert parameters["BlobRetentionDays"]["Default"] > parameters["RetentionDays"]["Default"]


def test_the_bucket_refuses_what_comes_without_tls() -> None:
    [statement] = RESOURCES["BlobBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2  # the bucket, and what is in it


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_allows_more_than_named_actions_on_named_things(policy: str) -> None:
    for statement in POLICIES[policy]["Statement"]:
        actions = statement["Action"]
        for action in _listed(actions):
            assert "*" not in action
            assert not action.endswith((":Scan", ":DeleteTable", ":DeleteObject"))
        unnamed = UNNAMED.get((policy, _listed(actions)[0]))
        if unnamed is not None:
            assert statement["Resource"] == unnamed
            continue
        named = set(_references(statement["Resource"]))
        assert named
        assert named <= {*TABLES, *ALL_QUEUES, "BlobBucket", "PepperSecret", "LogGroup"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_for_lambda_or_for_the_container_and_for_nobody_else(role: str) -> None:
    [statement] = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    service = "ecs-tasks" if role in CONTAINER_ROLES else "lambda"
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRole"


def test_the_containers_roles_are_for_containers_of_this_account() -> None:
    """ECS takes them for whoever may pass them; its documentation asks for this condition."""
    for role in CONTAINER_ROLES:
        [statement] = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
        own = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert statement["Condition"] == {"StringEquals": own}


def test_passwords_can_be_checked_only_where_customers_come_in() -> None:
    able = {name for name, it in ROLES.items() if {"Ref": "CheckLogins"} in it["ManagedPolicyArns"]}
    assert able == {
        *("SendRole", "BatchSendRole", "DirectcallRole", "BulkRole", "QueryRole"),
        "SmppRole",
    }


def test_only_customers_who_set_their_callback_urls_write_the_configuration_and_no_login() -> None:
    """A function may write no more of it than the records of cost centres: never a login, a route
    or an upstream."""
    writing = {
        policy: statement.get("Condition")
        for policy, document in POLICIES.items()
        for statement in document["Statement"]
        if "ConfigTable" in set(_references(statement["Resource"]))
        and not set(_listed(statement["Action"])) <= {"dynamodb:GetItem", "dynamodb:Query"}
    }
    condition = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["cost-centre"]},
        "Null": {"dynamodb:LeadingKeys": "false"},  # "for all" holds of no key, too
    }
    assert writing == {"DirectcallRole.own": condition}


def test_whoever_signs_an_upload_may_put_it_where_it_goes() -> None:
    """S3 asks of a presigned URL what its signer may do."""
    granted = [
        (_listed(statement["Action"]), statement["Resource"])
        for statement in POLICIES["BulkRole.own"]["Statement"]
    ]
    [objects] = [resource for actions, resource in granted if "s3:PutObject" in actions]
    assert objects == {"Fn::Sub": "${BlobBucket.Arn}/*"}


def test_whoever_takes_callbacks_can_read_no_message() -> None:
    granted = set(_references(ROLES["CallbackRole"]))
    assert granted == {"WriteLogs", "ConfigTable", "InboundQueue"}


@pytest.mark.parametrize("level", TEMPLATE["Parameters"]["LogLevel"]["AllowedValues"])
def test_each_log_level_is_known_to_recado(level: str) -> None:
    assert read_settings({"RECADO_LOG_LEVEL": level}).log_level == level


@pytest.mark.parametrize(
    ("role", "queues"),
    [
        ("SendRole", {"SubmitQueue", "NotifyQueue"}),
        ("BatchSendRole", {"ExpandQueue", "NotifyQueue"}),
        ("DirectcallRole", {"SubmitQueue", "ExpandQueue", "NotifyQueue"}),
        ("BulkRole", {"ExpandQueue", "NotifyQueue"}),
        ("QueryRole", {"SubmitQueue", "ExpandQueue"}),
        ("CallbackRole", {"InboundQueue"}),
        ("ExpandRole", {"ExpandQueue", "SubmitBulkQueue", "NotifyQueue"}),
        (
            "DispatchRole",
            {"SubmitQueue", "SubmitBulkQueue", "SmppQueue", "SmppBulkQueue", "NotifyQueue"},
        ),
        ("TrackRole", {"InboundQueue", "InboundDeadQueue", "NotifyQueue"}),
        ("NotifyRole", {"NotifyQueue"}),
        ("ClockRole", {"SubmitQueue", "ExpandQueue"}),
        (
            "SmppRole",
            {"SubmitQueue", "SubmitBulkQueue", "ExpandQueue", "InboundQueue", "NotifyQueue"},
        ),
    ],
)
def test_each_part_of_the_line_sends_to_its_own_queues_and_to_no_other(
    role: str, queues: set[str]
) -> None:
    sends: set[str] = set()
    for policy in ROLES[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "sqs:SendMessage":
                sends |= set(_references(statement["Resource"]))
    assert sends == queues


def test_functions_get_the_versions_that_the_tests_run_with() -> None:
    lines = (ROOT / "layers/dependencies/requirements.txt").read_text().splitlines()
    wanted = {line.replace("-", "_") for line in lines if line and not line.startswith("#")}
    tested = (ROOT / "constraints.txt").read_text().replace("-", "_").splitlines()
    assert {line.partition("==")[0] for line in wanted} == {
        "aws_lambda_powertools",
        "msgspec",
        "multipart",
        "requests",
        "tzdata",
    }
    assert wanted - set(tested) == set()


def test_sam_is_told_what_it_needs_to_deploy() -> None:
    with (ROOT / "samconfig.toml").open("rb") as file:
        deploy = tomllib.load(file)["default"]["deploy"]["parameters"]
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert deploy["confirm_changeset"] is True
