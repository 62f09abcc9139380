"""The stack itself: that it is what the template says, and that the bridges reach what they are
meant to."""

import json

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from node.installation import TEMPLATE
from node.template import read_template
from tests.cloud.conftest import OWN_NUMBER
from tests.flow.customer import NUMBER, WORD, Customer
from tests.flow.installations import Installation
from tests.support.processes import json_lines, until
from tests.support.stack import PARAMETERS, Stack

_WIRING = read_template(TEMPLATE, PARAMETERS)


def test_every_route_of_the_template_leads_to_the_alias_of_its_function(stack: Stack) -> None:
    gateway, made = stack.client("apigatewayv2"), stack.resources()
    (api,) = stack.physical("AWS::ApiGatewayV2::Api")
    integrations = {
        f"integrations/{it['IntegrationId']}": it["IntegrationUri"]
        for it in gateway.get_integrations(ApiId=api)["Items"]
    }
    found = {
        route["RouteKey"]: integrations[route["Target"]]
        for route in gateway.get_routes(ApiId=api)["Items"]
    }
    written = {f"{route.method} {route.path}": route.function for route in _WIRING.routes}
    written["$default"] = _WIRING.default
    assert found.keys() == written.keys()
    for key, function in written.items():
        logical = function.title().replace("_", "") + "Function"
        assert found[key].endswith(f":function:{made[logical]}:live/invocations")


def test_every_queue_calls_its_function_and_has_its_dead_letters(stack: Stack) -> None:
    sqs, made = stack.client("sqs"), stack.resources()
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    found = {
        (
            it["EventSourceArn"].rpartition(":")[2],
            it["FunctionArn"].split(":", 6)[6],
            it["BatchSize"],
        )
        for it in mappings
    }
    queues = {spec.name: f"{made[f'{spec.name}Queue']}" for spec in _WIRING.queues}
    names = {queue: url.rpartition("/")[2] for queue, url in queues.items()}
    assert found == {
        (
            names[consumer.queue],
            f"{made[consumer.function.title().replace('_', '') + 'Function']}:live",
            consumer.batch_size,
        )
        for consumer in _WIRING.consumers
    }
    for spec in _WIRING.queues:
        told = sqs.get_queue_attributes(QueueUrl=queues[spec.name], AttributeNames=["All"])
        policy = json.loads(told["Attributes"]["RedrivePolicy"])
        dead = made[f"{spec.dead}Queue"].rpartition("/")[2]
        assert policy["deadLetterTargetArn"].rpartition(":")[2] == dead
        assert policy["maxReceiveCount"] == spec.max_receives


def test_what_has_lived_its_time_goes_by_itself(stack: Stack) -> None:
    dynamodb, made = stack.client("dynamodb"), stack.resources()
    told = dynamodb.describe_time_to_live(TableName=made["MessagesTable"])
    assert told["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires",
    }


def test_the_clock_is_called_every_minute(stack: Stack) -> None:
    events, made = stack.client("events"), stack.resources()
    (rule,) = events.list_rules()["Rules"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"].endswith(f":{made['ClockFunction']}:live")


def test_the_stacks_own_simulator_delivers_a_message_without_anything_outside_of_it(
    installation: Installation,
) -> None:
    ana = Customer(installation, "own-simulator")
    identifier = ana.send(OWN_NUMBER)
    ana.until_told(identifier, "ESME_ROK", "DELIVRD")
    assert ana.submits(identifier) == []


def test_a_file_goes_to_the_bucket_by_its_url_and_is_checked_and_sent(
    installation: Installation,
) -> None:
    """S3 takes it in the name of the function that signed the URL, by that one's policy."""
    ana = Customer(installation, "arquivo")
    asked = {"text": f"Olá {{nome}}, {WORD}"}
    status, made = ana.ask("POST", "/bulk", asked)
    assert status == 201, made
    numbers = [str(int(NUMBER) + 700 + n) for n in range(3)]
    rows = "".join(f"Ana {n};{number}\n" for n, number in enumerate(numbers))
    content = f"nome;telefone\n{rows}Bia;12\n".encode()

    def put() -> int:
        headers = made["upload_headers"]
        return requests.put(made["upload_url"], content, headers=headers, timeout=60).status_code

    assert put() == 200
    path = f"/bulk/{made['bulk_id']}"
    assert ana.ask("POST", f"{path}/check")[0] == 200
    until(lambda: ana.ask("GET", path)[1]["state"] == "checked", "checked", seconds=60)
    found = ana.ask("GET", path)[1]
    assert (found["good"], [bad["line"] for bad in found["bad"]]) == (3, [5])
    assert ana.ask("POST", f"{path}/send")[0] == 200
    until(lambda: ana.ask("GET", path)[1]["state"] == "done", "sent", seconds=60)
    lines = json_lines(installation.others.simulator_log)
    assert sorted(line["to"] for line in lines if line.get("to") in numbers) == numbers


def test_a_customer_sets_its_own_callback_url(installation: Installation) -> None:
    """The one thing of the configuration that a function writes."""
    ana = Customer(installation, "endereco")
    url = "https://customer.example/other"
    assert ana.ask("POST", "/sms/add-callback-status", {"url": url})[1]["codigo"] == "001"
    assert ana.ask("POST", "/sms/list-callback", {})[1]["msg"][0]["url"] == url


def test_the_emulator_refuses_what_no_policy_allows(stack: Stack) -> None:
    """So the functions did all that the flow suite asks of them under their own policies."""
    users = stack.client("iam")
    users.create_user(UserName="nobody")
    key = users.create_access_key(UserName="nobody")["AccessKey"]
    nobody = boto3.client(
        "dynamodb",
        endpoint_url=stack.emulator.endpoint,
        region_name=stack.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.get_item(
            TableName=stack.resources()["ConfigTable"], Key={"pk": {"S": "x"}, "sk": {"S": "x"}}
        )
