"""What the template allows each function, held against what each function does: nothing may lack,
and nothing may be left over."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from node.cloudformation import load
from node.gateway import event_of
from node.http_server import RawRequest
from node.installation import TEMPLATE
from recado.http import Reached, Unreached
from tests.support import aws_acts
from tests.support.aws_world import WIRING, AwsWorld
from tests.support.metering import Call, writes_of
from tests.support.world import START
from tests.template.resolved import resolved

Permission: TypeAlias = tuple[str, str]
"""An action, and the resource of the template that it is done to."""

DAY = 86_400.0
_TEMPLATE = load(TEMPLATE)
_RESOURCES = _TEMPLATE["Resources"]
_ONE = {"destination_addr": "5534998887755", "message": "oi"}
_TOMORROW = "2026-05-29 12:00:00"

pytestmark = pytest.mark.timeout(300)  # everything that can happen takes moto a minute

each_function = pytest.mark.parametrize("function", WIRING.functions)


# --- one of each thing that a customer and an upstream do ----------------------------------------


def everything(aws: AwsWorld) -> None:
    _in_good_order(aws)
    _in_advance(aws)
    _upstreams_in_trouble(aws)
    _unheard_of(aws)
    _customer_in_trouble(aws)
    _by_smpp(aws)
    aws_acts.all_of_them(aws)
    for days in (1, 2):
        aws.at(START + days * DAY + 60)
        aws.world.tick()
        aws.drain()


def _in_good_order(aws: AwsWorld) -> None:
    world = aws.world
    world.cost_centre("rui", per_second=100)
    for method, path, body, status in [
        ("POST", "/message", _ONE, 200),
        ("POST", "/message/batch", {"list": [_ONE]}, 200),
        ("GET", "/message/nothing", None, 404),
    ]:
        assert world.call(method, path, body, login="rui")[0] == status
    assert aws.invoke("simulator", _submit())["statusCode"] == 400
    for path, body in (("/message", _ONE), ("/message/batch", {"list": [_ONE]})):
        key = {"idempotency-key": path}
        first = world.call("POST", path, body, headers=key)
        assert first[0] == 200
        assert world.call("POST", path, body, headers=key) == first
    batch = send_batch(aws, 140, "Prezada cliente, " * 88)  # too large for a queue message
    aws.drain()
    assert world.call("GET", f"/message/batch/{batch}")[1]["counts"] == {"DELIVERED": 140}


def _submit() -> dict[str, Any]:
    """A submit to the stack's own simulator, for an upstream that is not there."""
    asked = {"reference": "r", "to": "5534998887755", "text": "oi", "segments": 1}
    body = json.dumps({**asked, "callback_url": "https://a/callback/b/c", "echo": True}).encode()
    request = RawRequest("POST", "/simulator/submit", {}, body, "192.0.2.1")
    return event_of(request, "/simulator/submit", "", "POST /simulator/submit", {})


def _in_advance(aws: AwsWorld) -> None:
    world = aws.world
    later = world.send(send_at=_TOMORROW)
    assert world.call("DELETE", f"/message/{later}")[0] == 200
    world.send(send_at=_TOMORROW)
    send_batch(aws, 2, "oi", send_at=_TOMORROW)


def _upstreams_in_trouble(aws: AwsWorld) -> None:
    world = aws.world
    world.upstream = lambda _: Reached(503, b"")
    world.send()
    send_batch(aws, 2, "oi")
    for queue in ("Submit", "Expand", "SubmitBulk"):
        assert aws.work(queue)
    world.upstream = world.take
    aws.at(world.now + 61)
    aws.drain()

    def receipt_before_the_answer(submit: dict[str, Any]) -> Reached:
        answer = world.take(submit)
        world.tell_receipts()
        assert aws.work("Inbound")
        return answer

    upstream = {"url": "http://upstream.example", "callback_url": "http://gateway.example/c"}
    world.upstream_is(settings={**upstream, "echo": "yes"})
    aws.forget()
    world.echo = True
    world.upstream = receipt_before_the_answer
    world.send()
    aws.drain()
    world.upstream_is(settings={**upstream, "echo": "no"})
    aws.forget()
    world.echo = False
    world.upstream = world.take


def _unheard_of(aws: AwsWorld) -> None:
    world = aws.world
    reply = {"event": "reply", "id": "mo-1", "from": _ONE["destination_addr"], "text": "sim"}
    assert world.tell(reply) == 204
    assert world.tell(world.receipt("nobody-knows", None)) == 204
    aws.drain()


def _customer_in_trouble(aws: AwsWorld) -> None:
    world = aws.world
    world.customer = lambda _: Unreached("connection refused", sent=False)
    for _ in range(11):
        world.send()
    aws.drain()
    world.customer = lambda _: Reached(200, b"")
    aws.at(world.now + 120)
    aws.drain()


def _by_smpp(aws: AwsWorld) -> None:
    """What goes to an SMSC is handed on to the service that holds the binds; a customer's mail is
    put where that finds it."""
    world = aws.world
    bound = world.cost_centre("fio")
    world.upstream_is("claro", kind="smpp", settings={"host": "smsc.example", "system_id": "a"})
    world.route_is("claro", upstream="claro", cost_centre=bound)
    world.cost_centre("caixa", reports_by="smpp", callback_url="")
    aws.forget()
    one = {**_ONE, "destination_addr": "5534998887766"}  # replies are the other customers'
    for login in ("fio", "caixa"):
        assert world.call("POST", "/message", one, login=login)[0] == 200
    batch = {"list": [one, {**_ONE, "destination_addr": "5534998887767"}]}
    assert world.call("POST", "/message/batch", batch, login="fio")[0] == 200
    aws.drain()
    for queue in ("Smpp", "SmppBulk"):
        assert len(world.bare.queue.receive(queue, 10)) == 1
    assert world.bare.store.mails(world._which("caixa"), "", 10)


def send_batch(aws: AwsWorld, size: int, text: str, **fields: Any) -> str:
    """A batch's id."""
    elements = [{"destination_addr": f"553499888{n:04}", "message": text} for n in range(size)]
    status, answer = aws.world.call("POST", "/message/batch", {"list": elements, **fields})
    assert status == 200, answer
    return str(answer["batchId"])


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsWorld]:
    """A world in which everything has happened."""
    with AwsWorld(tmp_path_factory.mktemp("world"), echo=False) as made:
        everything(made)
        yield made


# --- what they asked for -------------------------------------------------------------------------


def _needs(call: Call) -> set[Permission]:
    service, _, operation = call.action.partition(":")
    if service == "sqs":
        return {(f"sqs:{operation.removesuffix('Batch')}", _queue(call.params["QueueUrl"]))}
    if service == "s3":
        # AWS has no action for HeadObject: who may read may look.
        return {(call.action.replace("HeadObject", "GetObject"), "BlobBucket/*")}
    if service == "secretsmanager":
        return {(call.action, "PepperSecret")}
    if operation == "TransactWriteItems":
        # Nor for a transaction: who makes it needs leave for each of its writes.
        return {(f"dynamodb:{verb}Item", asked["TableName"]) for verb, asked in writes_of(call)}
    if call.action == "dynamodb:PutItem" and call.params["TableName"] == "ConfigTable":
        return {(call.action, f"ConfigTable of {call.params['Item']['pk']['S']}")}
    tables = call.params.get("RequestItems") or [call.params["TableName"]]
    index = call.params.get("IndexName")
    return {(call.action, f"{table}/index/{index}" if index else table) for table in tables}


def _queue(url: str) -> str:
    names: dict[str, str] = {
        it["Properties"]["QueueName"]["Fn::Sub"].replace("${AWS::StackName}", "recado"): name
        for name, it in _RESOURCES.items()
        if it["Type"] == "AWS::SQS::Queue"
    }
    return names[url.rpartition("/")[2]]


def _unseen(function: str, granted: set[Permission]) -> set[Permission]:
    """What is asked for in a function's name, but not by its code."""
    # Lambda writes its lines.
    unseen = {("logs:CreateLogStream", "LogGroup"), ("logs:PutLogEvents", "LogGroup")}
    # Lambda's pollers bring it what is on its queues.
    polled = [f"{it.queue}Queue" for it in WIRING.consumers if it.function == function]
    unseen |= {
        (f"sqs:{action}", queue)
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        for queue in polled
    }
    # S3 itself asks for it where an object isn't there, before it says so.
    if ("s3:GetObject", "BlobBucket/*") in granted:
        unseen.add(("s3:ListBucket", "BlobBucket"))
    return unseen


# --- what they are allowed -----------------------------------------------------------------------


def _granted(function: str, **parameters: str) -> tuple[set[Permission], list[Any]]:
    """By the policies of the function's role; and those of AWS's own that it has."""
    resources = resolved(_TEMPLATE, Simulator="true", **parameters)["Resources"]
    logical = function.title().replace("_", "") + "Function"
    role = resources[resources[logical]["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    foreign = []
    for managed in role["ManagedPolicyArns"]:
        if "Ref" in managed:
            documents.append(resources[managed["Ref"]]["Properties"]["PolicyDocument"])
        else:
            foreign.append(managed)
    granted = {
        (action, f"{_named(resource)}{_only(statement)}")
        for document in documents
        for statement in document["Statement"]
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }
    return granted, foreign


def _only(statement: dict[str, Any]) -> str:
    """What a statement's condition leaves of its resource: the items of one partition."""
    if "Condition" not in statement:
        return ""
    [leading] = statement["Condition"].pop("ForAllValues:StringEquals")["dynamodb:LeadingKeys"]
    # "For all" holds of nothing, too.
    assert statement["Condition"] == {"Null": {"dynamodb:LeadingKeys": "false"}}
    return f" of {leading}"


def _listed(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


def _named(resource: dict[str, Any]) -> str:
    match resource:
        case {"Fn::GetAtt": [str(name), "Arn"]} | {"Ref": str(name)}:
            return name
        case {"Fn::Sub": str(pattern)}:
            return pattern.replace("${", "").replace(".Arn}", "")
    raise AssertionError(resource)


# --- the two compared ----------------------------------------------------------------------------


@each_function
def test_a_function_asks_aws_for_nothing_that_its_role_does_not_allow(
    aws: AwsWorld, function: str
) -> None:
    asked = set[Permission]().union(*map(_needs, aws.calls(of=function)))
    granted, _ = _granted(function)
    assert asked
    assert asked - granted == set()
    assert _unseen(function, granted) - granted == set()


@each_function
def test_a_role_allows_nothing_that_its_function_does_not_do(aws: AwsWorld, function: str) -> None:
    asked = set[Permission]().union(*map(_needs, aws.calls(of=function)))
    granted, foreign = _granted(function)
    assert granted - asked - _unseen(function, granted) == set()
    assert foreign == []


@each_function
def test_only_what_runs_in_the_network_may_use_network_interfaces(function: str) -> None:
    """Which Lambda wants allowed on everything: it is AWS's own policy for that, and no other."""
    _, foreign = _granted(function, StaticEgress="true")
    policy = "policy/service-role/AWSLambdaENIManagementAccess"
    own = [{"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:{policy}"}]
    assert foreign == (own if function in ("dispatch", "notify") else [])
