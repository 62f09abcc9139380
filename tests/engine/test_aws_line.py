"""The whole line on the AWS engine, with the functions' own handlers: that it works, that the
template allows each function what it does and nothing is missing, and what AWS bills for it."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from node.cloudformation import load
from node.installation import TEMPLATE
from tests.support import world as world_module
from tests.support.aws import Account
from tests.support.metering import Call, Meter, read_units, write_units
from tests.support.world import START, World

DAY = 86_400.0
_RESOURCES = load(TEMPLATE)["Resources"]
CODE = "Seu codigo de acesso: 123456. Nao o compartilhe com ninguem."
_OURSELVES = "the test"  # configures, and lets time pass


class AwsWorld:
    """A world over an account of AWS, and a meter on everything that it asks there."""

    def __init__(
        self,
        make_world: Callable[..., World],
        monkeypatch: pytest.MonkeyPatch,
        *,
        echo: bool = True,
    ) -> None:
        self.account = Account(START)
        clients = self.account.clients()
        self.meter = Meter(clients)
        engine = self.account.engine(self._clock, 90 * DAY, clients)
        self.meter.by = _OURSELVES
        for name, handler in world_module._HANDLERS.items():
            monkeypatch.setitem(world_module._HANDLERS, name, self._metered(name, handler))
        self.world = make_world(wrap=lambda _: engine, echo=echo)
        self.world.bare = engine
        self.world._configure()
        self.world.cost_centre()

    def _clock(self) -> float:
        return self.world.now

    def _metered(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        def metered(event: Any, context: Any) -> Any:
            self.meter.by = name
            try:
                return handler(event, context)
            finally:
                self.meter.by = _OURSELVES

        return metered

    def at(self, now: float) -> None:
        self.world.now = now
        self.account.at(now)

    def calls(self, *, of: str | None = None) -> list[Call]:
        """The calls of all functions, or of one."""
        calls = [call for call in self.meter.calls if call.by != _OURSELVES]
        return [call for call in calls if call.by == of] if of else calls


@pytest.fixture
def make_aws(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., AwsWorld]]:
    made: list[AwsWorld] = []

    def make(**how: Any) -> AwsWorld:
        made.append(AwsWorld(make_world, monkeypatch, **how))
        return made[-1]

    yield make
    for aws in made:
        aws.account.close()


def everything(aws: AwsWorld) -> None:
    """One of each thing that a customer and an upstream do."""
    world = aws.world
    world.cost_centre("rui", per_second=100)
    assert world.call("GET", "/message/x", login="rui")[0] == 404
    world.send(text="Olá", reference_id="pedido-7")
    world.drain()
    key = {"idempotency-key": "k"}
    request = {"destination_addr": "5534998887755", "message": "oi"}
    first = world.call("POST", "/message", request, headers=key)
    assert world.call("POST", "/message", request, headers=key) == first
    batch_id = send_batch(world, 120, "oi")
    send_batch(world, 250, "Prezada cliente, " * 60)  # too large for a queue message
    world.drain()
    assert world.call("GET", f"/message/batch/{batch_id}")[0] == 200
    later = world.send(send_at="2026-05-29 12:00:00")
    assert world.call("DELETE", f"/message/{later}")[0] == 200
    world.send(send_at="2026-05-29 12:00:01")
    reply = {"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "sim"}
    assert world.tell(reply) in (200, 204)
    unknown = world.receipt("nobody-knows", None)
    assert world.tell(unknown) in (200, 204)
    world.drain()
    aws.at(START + DAY)
    world.tick()
    world.drain()


def send_batch(world: World, size: int, text: str) -> str:
    """A batch's id."""
    elements = [{"destination_addr": f"553499888{n:04}", "message": text} for n in range(size)]
    status, answer = world.call("POST", "/message/batch", {"list": elements})
    assert status == 200, answer
    return str(answer["batchId"])


# --- it works ------------------------------------------------------------------------------------


@pytest.mark.parametrize("echo", [True, False], ids=["our id comes back", "by its ref"])
def test_a_message_is_sent_once_and_both_reports_come_in_order(
    make_aws: Callable[..., AwsWorld], echo: bool
) -> None:
    world = make_aws(echo=echo).world
    identifier = world.send(text="Olá", reference_id="pedido-7")
    world.drain()
    assert [taken["text"] for taken in world.taken] == ["Ola"]
    assert [report["type"] for report in world.reports(identifier)] == [1, 2]
    assert world.message(identifier)["state"] == "DELIVERED"
    assert world.dead_letters() == 0


def test_all_that_is_scheduled_goes_although_the_clock_stood_still_for_a_day(
    make_aws: Callable[..., AwsWorld],
) -> None:
    aws = make_aws()
    ids = [aws.world.send(send_at=f"2026-05-29 {hour:02}:00:00") for hour in range(10)]
    aws.world.drain()
    assert aws.world.taken == []
    aws.at(START + DAY)
    aws.world.tick()
    aws.world.drain()
    assert len(aws.world.taken) == len(ids)
    assert [len(aws.world.reports(identifier)) for identifier in ids] == [2] * len(ids)


# --- what each function may do -------------------------------------------------------------------


def _asked(call: Call) -> set[tuple[str, str]]:
    """The permissions that a call needs: action and resource."""
    service, _, operation = call.action.partition(":")
    if service == "sqs":
        queue = next(name for name, url in _urls(call).items() if url == call.params["QueueUrl"])
        return {(f"sqs:{operation.removesuffix('Batch')}", queue)}
    if service == "s3":
        return {(call.action, "BlobBucket")}
    tables = call.params.get("RequestItems") or [call.params["TableName"]]
    index = call.params.get("IndexName")
    return {(call.action, f"{table}/index/{index}" if index else table) for table in tables}


def _urls(call: Call) -> dict[str, str]:
    stem = call.params["QueueUrl"].rpartition("/")[0]
    queues = {
        n: it["Properties"] for n, it in _RESOURCES.items() if it["Type"] == "AWS::SQS::Queue"
    }
    names = {name: it["QueueName"]["Fn::Sub"] for name, it in queues.items()}
    return {n: f"{stem}/{name.replace('${AWS::StackName}', 'recado')}" for n, name in names.items()}


def _allowed(function: str) -> set[tuple[str, str]]:
    """What the template allows a function: action and resource."""
    logical = function.title().replace("_", "") + "Function"
    allowed: set[tuple[str, str]] = set()
    for policy in _RESOURCES[logical]["Properties"]["Policies"]:
        if "Ref" in policy:
            document = _RESOURCES[policy["Ref"]]["Properties"]["PolicyDocument"]
            for statement in document["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    allowed.add((action, _resource(statement["Resource"])))
        else:
            queue = policy["SQSSendMessagePolicy"]["QueueName"]["Fn::GetAtt"][0]
            allowed.add(("sqs:SendMessage", queue))
    return allowed


def _resource(named: dict[str, Any]) -> str:
    match named:
        case {"Fn::GetAtt": [str(name), "Arn"]} | {"Ref": str(name)}:
            return name
        case {"Fn::Sub": str(pattern)}:
            return pattern.replace("${", "").replace(".Arn}", "").removesuffix("/*")
    raise AssertionError(named)


def test_each_function_asks_aws_for_nothing_that_the_template_does_not_allow_it(
    make_aws: Callable[..., AwsWorld],
) -> None:
    aws = make_aws(echo=False)
    everything(aws)
    asked: dict[str, set[tuple[str, str]]] = {}
    for call in aws.calls():
        asked.setdefault(call.by, set()).update(_asked(call))
    assert len(asked) == len(world_module._HANDLERS)
    assert {name: needs - _allowed(name) for name, needs in asked.items()} == {
        name: set() for name in asked
    }


def test_the_template_allows_nothing_that_no_function_needs(
    make_aws: Callable[..., AwsWorld],
) -> None:
    aws = make_aws(echo=False)
    everything(aws)
    asked = set[tuple[str, str]]().union(*map(_asked, aws.calls()))
    allowed = set[tuple[str, str]]().union(*map(_allowed, world_module._HANDLERS))
    assert allowed - asked == {
        ("s3:ListBucket", "BlobBucket"),  # is asked for by S3 itself, when a blob is not there
        ("secretsmanager:GetSecretValue", "PepperSecret"),  # this world has a pepper of its own
        ("sqs:SendMessage", "InboundDeadQueue"),  # after a day of trying
    }


# --- what it costs -------------------------------------------------------------------------------


@pytest.mark.parametrize(("echo", "writes", "reads"), [(True, 6, 4), (False, 7, 5)])
def test_a_message_with_its_two_reports_takes_so_many_units(
    make_aws: Callable[..., AwsWorld], echo: bool, writes: int, reads: int
) -> None:
    """A claim with its index entry, an outcome, a receipt, two reports; and a ref, where the
    upstream does not carry our id. Read are the ref, the message by track and once by notify, and
    the state of the customer's endpoint for each report."""
    aws = make_aws(echo=echo)
    aws.world.send(text="the day's first")
    aws.world.drain()
    before = len(aws.calls())
    aws.world.send(text=CODE)
    aws.world.drain()
    calls = aws.calls()[before:]
    assert len(aws.world.reports()) == 4
    assert (write_units(calls), read_units(calls)) == (writes, reads)


def test_a_batch_of_400_takes_no_more_for_each_of_its_messages(
    make_aws: Callable[..., AwsWorld],
) -> None:
    aws = make_aws(echo=False)
    send_batch(aws.world, 400, CODE)
    aws.world.drain()
    calls = aws.calls()
    assert len(aws.world.reports()) == 1 + 2 * 400
    assert write_units(calls) / 400 <= 7.05
    assert read_units(calls) / 400 <= 5.5
    by_function = Counter((call.by, call.action) for call in calls)
    assert by_function["batch_send", "sqs:SendMessageBatch"] == 1
    assert by_function["dispatch", "dynamodb:BatchWriteItem"] == 400 / 25
