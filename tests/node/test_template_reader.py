"""The node's wiring, from template.yaml and from templates that are broken."""

import inspect
from pathlib import Path

import pytest

from node.template import (
    Consumer,
    Function,
    Match,
    QueueSpec,
    Route,
    Router,
    Timer,
    Wiring,
    read_template,
)
from node.workers import load_functions
from recado.errors import Misconfigured

ROOT = Path(__file__).parents[2]

SMALL = """
Globals: {Function: {Handler: handler.handler, Timeout: 29}}
Resources:
  SendFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/send
      Timeout: 20
      Policies: [!Ref Anything, !If [Some, !Sub "${Other}/*", !Ref AWS::NoValue]]
      Events:
        Post: {Type: HttpApi, Properties: {Method: post, Path: /message}}
        Rest: {Type: HttpApi, Properties: {ApiId: !Ref Api}}
  DispatchFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/dispatch
      Handler: inner.main.run
      Events:
        Submit:
          Type: SQS
          Properties:
            Queue: !GetAtt [SubmitQueue, Arn]
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
        Clock: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}
  SubmitQueue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 180
      RedrivePolicy: {deadLetterTargetArn: !GetAtt SubmitDeadQueue.Arn, maxReceiveCount: 5}
  SubmitDeadQueue: {Type: AWS::SQS::Queue}
"""


def _read(folder: Path, text: str) -> Wiring:
    path = folder / "template.yaml"
    path.write_text(text)
    return read_template(path)


def _refusal(folder: Path, text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        _read(folder, text)
    return str(caught.value)


@pytest.fixture(scope="module")
def wiring() -> Wiring:
    return read_template(ROOT / "template.yaml")


@pytest.fixture
def router(wiring: Wiring) -> Router:
    return Router(wiring.routes, wiring.default)


ROUTES = {
    "send": "GET /message, POST /message",
    "batch_send": "POST /message/batch",
    "directcall": (
        "POST /request_token, POST /sms/send, GET /sms/status, POST /sms/status, GET /sms/remove, "
        "POST /sms/remove, POST /sms/recebimento, POST /sms/received, "
        "POST /sms/add-callback-status, GET /sms/list-callback, POST /sms/list-callback, "
        "POST /sms/remove-callback, POST /extrato/saldo"
    ),
    "bulk": (
        "POST /bulk, GET /bulk, GET /bulk/{id}, DELETE /bulk/{id}, POST /bulk/{id}/check, "
        "POST /bulk/{id}/send, POST /bulk/{id}/pause, POST /bulk/{id}/resume"
    ),
    "query": (
        "GET /message/{id}, DELETE /message/{id}, GET /message/batch/{id}, "
        "DELETE /message/batch/{id}, GET /schedules, PATCH /schedules/{id}, "
        "DELETE /schedules/{id}, GET /balance, GET /usage, GET /openapi.json, GET /docs"
    ),
    "callback": "GET /callback/{connector}/{secret}, POST /callback/{connector}/{secret}",
}


def test_the_real_template_gives_every_route(wiring: Wiring) -> None:
    assert set(wiring.routes) == {
        Route(route.partition(" ")[0], route.partition(" ")[2], function)
        for function, routes in ROUTES.items()
        for route in routes.split(", ")
    }
    assert wiring.default == "query"


@pytest.mark.parametrize("function", ["directcall", "bulk", "query"])
def test_a_function_of_many_routes_has_an_act_for_each(wiring: Wiring, function: str) -> None:
    handler = load_functions({function: wiring.functions[function]})[function]
    module = inspect.unwrap(handler).__globals__
    acts = {*module["ACTS"], *module.get("OPEN_TO_ALL", ())}
    if function == "directcall":
        acts.add("POST /request_token")  # which asks for no token
    assert acts == set(ROUTES[function].split(", "))


def test_the_real_template_gives_every_queue_with_its_function(wiring: Wiring) -> None:
    assert {consumer.queue: consumer for consumer in wiring.consumers} == {
        "Expand": Consumer("Expand", "expand", 1, 0.0),
        "Submit": Consumer("Submit", "dispatch", 10, 0.0),
        "SubmitBulk": Consumer("SubmitBulk", "dispatch", 5, 0.0),
        "Inbound": Consumer("Inbound", "track", 100, 1.0),
        "Notify": Consumer("Notify", "notify", 100, 1.0),
    }
    assert {queue.name: (queue.max_receives, queue.dead) for queue in wiring.queues} == {
        "Submit": (5, "SubmitDead"),
        "SubmitBulk": (5, "SubmitBulkDead"),
        "Expand": (5, "ExpandDead"),
        "Inbound": (5, "InboundDead"),
        "Notify": (5, "NotifyDead"),
        "Smpp": (5, "SmppDead"),
        "SmppBulk": (5, "SmppBulkDead"),
    }


def test_the_real_template_gives_the_clock_and_every_function(wiring: Wiring) -> None:
    assert wiring.timers == (Timer("clock", 60.0),)
    others = {"expand", "dispatch", "track", "notify", "clock"}
    assert set(wiring.functions) == {*ROUTES, *others}
    for name, function in wiring.functions.items():
        assert function.name == name
        assert function.folder == ROOT / "functions" / name
        assert (function.module, function.attribute) == ("handler", "handler")


def test_the_simulators_function_is_there_only_where_the_stack_is_asked_for_one(
    wiring: Wiring,
) -> None:
    asked = read_template(ROOT / "template.yaml", {"Simulator": "true"})
    route = Route("POST", "/simulator/submit", "simulator")
    assert set(asked.routes) - set(wiring.routes) == {route}
    assert set(asked.functions) - set(wiring.functions) == {"simulator"}
    assert (asked.consumers, asked.queues) == (wiring.consumers, wiring.queues)


def test_a_function_takes_from_globals_what_it_does_not_say_itself(tmp_path: Path) -> None:
    wiring = _read(tmp_path, SMALL)
    functions = tmp_path / "functions"
    assert wiring.functions == {
        "send": Function("send", functions / "send", "handler", "handler", 20.0),
        "dispatch": Function("dispatch", functions / "dispatch", "inner.main", "run", 29.0),
    }


def test_a_small_template_gives_all_that_it_says(tmp_path: Path) -> None:
    wiring = _read(tmp_path, SMALL)
    assert wiring.routes == (Route("POST", "/message", "send"),)
    assert wiring.default == "send"
    assert wiring.queues == (QueueSpec("Submit", 180.0, 5, "SubmitDead"),)
    assert wiring.consumers == (Consumer("Submit", "dispatch", 10, 0.0),)
    assert wiring.timers == (Timer("dispatch", 300.0),)


CONDITIONAL = """
Parameters:
  Extra: {Type: String, Default: "no"}
  Size: {Type: Number, Default: 2}
  Asked: {Type: String}
Conditions:
  HasExtra: !Equals [!Ref Extra, "yes"]
  Wanted: %s
  Strange: !Equals [!FindInMap [A, B, C], !Ref Asked]
"""


def _conditional(condition: str) -> str:
    """SMALL with a function of its own queue, under the condition `Wanted`."""
    more = """
  ExtraFunction:
    Type: AWS::Serverless::Function
    Condition: Wanted
    Properties:
      CodeUri: functions/extra
      Events:
        Get: {Type: HttpApi, Properties: {Method: get, Path: /extra}}
        Extra:
          Type: SQS
          Properties:
            Queue: !GetAtt ExtraQueue.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
  ExtraQueue:
    Type: AWS::SQS::Queue
    Condition: Wanted
    Properties:
      VisibilityTimeout: 180
      RedrivePolicy: {deadLetterTargetArn: !GetAtt ExtraDeadQueue.Arn, maxReceiveCount: 5}
  ExtraDeadQueue: {Type: AWS::SQS::Queue, Condition: Wanted}
  ExtraTable: {Type: AWS::DynamoDB::Table, Condition: Strange}
"""
    return CONDITIONAL % condition + SMALL + more.lstrip("\n")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("!Equals [!Ref Extra, 'yes']", False),
        ("!Equals ['no', !Ref Extra]", True),
        ("!Equals [!Ref Size, '2']", True),
        ("!Not [!Equals [!Ref Extra, 'yes']]", True),
        ("!Not [Condition: HasExtra]", True),
        ("!Condition HasExtra", False),
        ("!Or [!Condition HasExtra, !Equals [!Ref Size, '2']]", True),
        ("!Or [!Condition HasExtra, !Equals [!Ref Size, '3']]", False),
        ("!And [!Not [!Condition HasExtra], !Equals [!Ref Size, '2']]", True),
        ("!And [!Condition HasExtra, !Equals [!Ref Size, '2']]", False),
    ],
)
def test_what_a_condition_rules_out_is_not_there(
    tmp_path: Path, condition: str, holds: bool
) -> None:
    wiring = _read(tmp_path, _conditional(condition))
    without = _read(tmp_path, SMALL)
    assert ("extra" in wiring.functions) is holds
    assert (Route("GET", "/extra", "extra") in wiring.routes) is holds
    assert (QueueSpec("Extra", 180.0, 5, "ExtraDead") in wiring.queues) is holds
    assert (Consumer("Extra", "extra", 10, 0.0) in wiring.consumers) is holds
    assert (wiring == without) is not holds


def test_a_condition_goes_by_what_is_given_before_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(_conditional("!Condition HasExtra"))
    assert "extra" not in read_template(path).functions
    assert "extra" in read_template(path, {"Extra": "yes"}).functions
    with pytest.raises(Misconfigured, match=r"^Parameters: Extras is missing$"):
        read_template(path, {"Extras": "yes"})


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (
            "!Equals [!Ref Asked, 'yes']",
            "Conditions: Wanted {'Ref': 'Asked'} is not understood",  # it has no default
        ),
        (
            "!Equals [!Ref AWS::Region, 'sa-east-1']",
            "Conditions: Wanted {'Ref': 'AWS::Region'} is not understood",
        ),
        ("!Equals [!Ref Size, 2]", "Conditions: Wanted 2 is not understood"),
        (
            "!Not [!Condition Strange]",
            "Conditions: Strange {'Fn::FindInMap': ['A', 'B', 'C']} is not understood",
        ),
        ("!Not [!Condition Gone]", "Conditions: Gone is missing"),
        (
            "!If [HasExtra, a, b]",
            "Conditions: Wanted {'Fn::If': ['HasExtra', 'a', 'b']} is not understood",
        ),
        ("~", "Conditions: Wanted is missing"),
    ],
)
def test_a_condition_that_is_not_understood_is_refused_where_it_decides(
    tmp_path: Path, condition: str, line: str
) -> None:
    assert _refusal(tmp_path, _conditional(condition)) == line


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [("rate(1 minute)", 60.0), ("rate(2 hours)", 7_200.0), ("rate(1 day)", 86_400.0)],
)
def test_a_rate_is_read_in_seconds(tmp_path: Path, schedule: str, seconds: float) -> None:
    wiring = _read(tmp_path, SMALL.replace("rate(5 minutes)", schedule))
    assert wiring.timers == (Timer("dispatch", seconds),)


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        ("CodeUri: functions/send", "", "SendFunction: CodeUri is missing"),
        (
            "CodeUri: functions/send",
            "CodeUri: !Sub functions/send",
            "SendFunction: CodeUri {'Fn::Sub': 'functions/send'} is not understood",
        ),
        (
            "CodeUri: functions/send",
            "CodeUri: other/dispatch",
            "DispatchFunction: CodeUri ends in dispatch, as another one does",
        ),
        ("inner.main.run", "run", "DispatchFunction: Handler 'run' is not understood"),
        (", Timeout: 29", "", "DispatchFunction: Timeout is missing"),
        ("Timeout: 20", "Timeout: true", "SendFunction: Timeout True is not understood"),
        ("Timeout: 20", "Timeout: -1", "SendFunction: Timeout -1 is not understood"),
        (
            "Type: Schedule",
            "Type: Kinesis",
            "DispatchFunction.Events.Clock: Type 'Kinesis' is not understood",
        ),
        ("Type: Schedule, ", "", "DispatchFunction.Events.Clock: Type is missing"),
        (
            "{Type: Schedule, Properties: {Schedule: rate(5 minutes)}}",
            "[1]",
            "DispatchFunction.Events: Clock [1] is not understood",
        ),
        (
            "rate(5 minutes)",
            "cron(0 8)",
            "DispatchFunction.Events.Clock: Schedule 'cron(0 8)' is not understood, "
            "a rate() would be",
        ),
        ("Method: post, ", "", "SendFunction.Events.Post: Method is missing"),
        (", Path: /message", "", "SendFunction.Events.Post: Path is missing"),
        (
            "Path: /message",
            'Path: "/{proxy+}"',
            "SendFunction.Events.Post: Path '/{proxy+}' is not understood",
        ),
        (
            "Path: /message",
            "Path: message",
            "SendFunction.Events.Post: Path 'message' is not understood",
        ),
        (
            "{Method: post, Path: /message}",
            "{}",
            "the route $default is given to send and send",
        ),
        (
            "{ApiId: !Ref Api}",
            "{Method: ANY, Path: /rest}",
            "no function has an HttpApi event without Method and Path",
        ),
        (
            "FunctionResponseTypes: [ReportBatchItemFailures]",
            "",
            "DispatchFunction.Events.Submit: FunctionResponseTypes must be "
            "[ReportBatchItemFailures]",
        ),
        ("BatchSize: 10", "", "DispatchFunction.Events.Submit: BatchSize is missing"),
        (
            "!GetAtt [SubmitQueue, Arn]",
            "!Ref SubmitQueue",
            "DispatchFunction.Events.Submit: Queue {'Ref': 'SubmitQueue'} is not understood",
        ),
        (
            "!GetAtt [SubmitQueue, Arn]",
            "!GetAtt OtherQueue.Arn",
            "OtherQueue: missing, or another queue's dead letters",
        ),
        (
            "!GetAtt [SubmitQueue, Arn]",
            "!GetAtt SubmitDeadQueue.Arn",
            "SubmitDeadQueue: missing, or another queue's dead letters",
        ),
        (
            "!GetAtt [SubmitQueue, Arn]",
            "!GetAtt Submit.Arn",
            "Submit: a queue's logical id has to end in Queue",
        ),
        ("VisibilityTimeout: 180", "", "SubmitQueue: VisibilityTimeout is missing"),
        (", maxReceiveCount: 5", "", "SubmitQueue.RedrivePolicy: maxReceiveCount is missing"),
        (
            "!GetAtt SubmitDeadQueue.Arn",
            "!GetAtt GoneQueue.Arn",
            "SubmitQueue.RedrivePolicy: there is no GoneQueue",
        ),
        (
            "  SubmitDeadQueue:",
            "  OtherQueue: {Type: AWS::SQS::Queue}\n  SubmitDeadQueue:",
            "OtherQueue: RedrivePolicy is missing",
        ),
        ("Resources:", "Others:", "template.yaml: Resources is missing"),
    ],
)
def test_what_a_template_lacks_is_said_in_one_line(
    tmp_path: Path, written: str, instead: str, line: str
) -> None:
    assert SMALL.count(written) == 1
    assert _refusal(tmp_path, SMALL.replace(written, instead)) == line


def test_a_file_that_is_no_yaml_is_named_with_the_place_of_its_fault(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, "Resources: [")
    assert refusal.startswith("template.yaml: ")
    assert "line 1" in refusal
    assert "\n" not in refusal


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"template\.yaml: No such file"):
        read_template(tmp_path / "template.yaml")


@pytest.mark.parametrize(
    ("method", "path", "function", "key"),
    [
        ("GET", "/message", "send", "GET /message"),
        ("POST", "/message", "send", "POST /message"),
        ("POST", "/message/batch", "batch_send", "POST /message/batch"),
    ],
)
def test_an_exact_path_finds_its_route(
    router: Router, method: str, path: str, function: str, key: str
) -> None:
    assert router.find(method, path) == Match(function, key, {})


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/message/1234", "GET /message/{id}", {"id": "1234"}),
        ("GET", "/message/batch/12", "GET /message/batch/{id}", {"id": "12"}),
        ("GET", "/message/batch", "GET /message/{id}", {"id": "batch"}),
        ("DELETE", "/message/a%20b%2Fc%C3%A7", "DELETE /message/{id}", {"id": "a b/cç"}),
        (
            "POST",
            "/callback/upstream-1/s3cr.et",
            "POST /callback/{connector}/{secret}",
            {"connector": "upstream-1", "secret": "s3cr.et"},
        ),
    ],
)
def test_a_parameter_takes_one_segment_and_is_decoded(
    router: Router, method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    found = router.find(method, path)
    assert (found.route_key, found.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/message"),
        ("POST", "/message/1234"),
        ("GET", "/message/"),
        ("GET", "/message//"),
        ("GET", "/message/1/2"),
        ("GET", "/callback/upstream-1"),
        ("POST", "/simulator/submit"),  # the node has a simulator of its own
        ("POST", "/callback//secret"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/Message"),
        ("GET", "/nothing/like/it/here"),
    ],
)
def test_whatever_no_route_takes_goes_to_the_default_function(
    router: Router, method: str, path: str
) -> None:
    assert router.find(method, path) == Match("query", "$default", {})


def test_an_exact_path_goes_before_a_parameter_and_a_method_before_any() -> None:
    routes = (
        Route("ANY", "/things/{id}", "any_thing"),
        Route("GET", "/things/{id}", "one_thing"),
        Route("ANY", "/things/all", "all_things"),
        Route("POST", "/things/all", "new_things"),
    )
    router = Router(routes, "rest")
    assert router.find("POST", "/things/all").function == "new_things"
    assert router.find("GET", "/things/all").function == "all_things"
    assert router.find("GET", "/things/1").function == "one_thing"
    assert router.find("DELETE", "/things/1") == Match("any_thing", "ANY /things/{id}", {"id": "1"})
    assert router.find("GET", "/else").function == "rest"


def test_a_path_is_taken_by_its_letters_and_not_as_a_pattern() -> None:
    router = Router((Route("GET", "/v1.0/{id}", "versioned"),), "rest")
    assert router.find("GET", "/v1.0/7").function == "versioned"
    assert router.find("GET", "/v1x0/7").function == "rest"
