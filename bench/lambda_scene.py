"""What the functions on Lambda find in `make bench-lambda`: their environment, and their events.

A batch of 400 walks the line once, each hop through its own handler, and what the hops hand on
becomes the events that are measured; the requests are those of events/.
"""

import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from bench.lambda_stub import UPSTREAM_HOST, Aws, Items, connected_socket
from node.cloudformation import load, of_type
from recado import addresses, operations, wiring
from recado.connectors import Upstream
from recado.routing import Route

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ("send", "batch_send", "callback", "expand", "dispatch", "track", "notify", "query")
BATCH = 400
PACKET = 100

Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Event, Any], Any]

_REGION = "sa-east-1"
_ACCOUNT = "123456789012"
_TEXT = "Ola Ana, o seu pedido saiu para entrega e chega hoje ate as 18h."


class Scene(Struct, frozen=True):
    """Handlers by function, events by a name of ours, and what AWS holds by then."""

    aws: Aws
    handlers: dict[str, Handler]
    events: dict[str, Event]
    floor_body: str  # what accept puts on its queue for one message

    def call(self, function: str, event: Event) -> Any:
        """A handler's answer. Raises AssertionError where it is not the good one."""
        return _well(self.handlers[function](event, None))


def environment(function: str) -> dict[str, str]:
    """The variables of one of the template's functions, and those that Lambda adds."""
    template = load(ROOT / "template.yaml")
    kinds = {name: resource["Type"] for name, resource in template["Resources"].items()}
    queues = dict(of_type(template, "AWS::SQS::Queue"))

    def filled(value: Any) -> str:
        if not isinstance(value, dict):
            return str(value)
        name = value["Ref"]
        if name == "AWS::StackName":
            return "recado"
        if name in template["Parameters"]:
            return str(template["Parameters"][name]["Default"])
        if name in queues:
            queue = queues[name]["QueueName"]["Fn::Sub"].replace("${AWS::StackName}", "recado")
            return f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/{queue}"
        if kinds[name] == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{name}-a1b2c3"
        return f"recado-{name.lower()}-1a2b3c4d5e6f"

    own = template["Globals"]["Function"]["Environment"]["Variables"]
    return {
        **{name: filled(value) for name, value in own.items()},
        "AWS_LAMBDA_FUNCTION_NAME": f"recado-{function}",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_REGION": _REGION,
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjE" + "x" * 800,
        "_X_AMZN_TRACE_ID": "Root=1-68375f80-0123456789abcdef01234567;Parent=0123456789abcdef",
    }


def made_scene() -> Scene:
    """The scene, in this process and with this process's environment changed."""
    handlers = {}
    for function in FUNCTIONS:
        os.environ |= environment(function)  # a handler reads its function's name as it is loaded
        handlers[function] = _loaded(function)
    aws = Aws()
    aws.install()
    setattr(addresses, "connected_socket", connected_socket)  # noqa: B010 - mypy; before the courier takes it from there
    aws.keeping = True
    _configure()
    scene = Scene(aws, handlers, {}, "")
    floor_body = _walked(scene)
    aws.keeping = False
    return msgspec.structs.replace(scene, floor_body=floor_body)


def _loaded(function: str) -> Handler:
    path = ROOT / "functions" / function / "handler.py"
    spec = importlib.util.spec_from_file_location(f"function_{function}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


def _configure() -> None:
    """A customer with a callback URL; an upstream that does not echo our reference, as most."""
    deps = wiring.deps()
    url = "http://customer.example/reports"
    operations.costcentre_create(deps, "Ana", login="ana", password="segredo", callback_url=url)
    upstream = Upstream(
        name="simulator",
        kind="simulator",
        settings={
            "url": f"http://{UPSTREAM_HOST}",
            "callback_url": "http://gateway.example/callback/simulator/secret",
            "echo": "no",
        },
        callback_secret="secret",
    )
    route = Route(name="default", upstream="simulator")
    deps.engine.store.put_config("upstream", "simulator", msgspec.json.encode(upstream), 0)
    deps.engine.store.put_config("route", "default", msgspec.json.encode(route), 0)


def _walked(scene: Scene) -> str:
    """Makes the events, in the order of the line; the body of one message's packet."""
    events, queued = scene.events, scene.aws.queued
    events["send"] = _request("send/post.json", {"destination_addr": "5511987654321", **_fields(0)})
    scene.call("send", events["send"])
    one = queued.pop("recado-submit")
    events["dispatch 1"] = _from_queue(one)

    wishes = [{"destination_addr": f"55119{n:08d}", **_fields(n)} for n in range(BATCH)]
    events["batch_send"] = _request("batch_send/post.json", {"list": wishes})
    scene.call("batch_send", events["batch_send"])
    events["expand"] = _from_queue(queued.pop("recado-expand"))
    scene.call("expand", events["expand"])
    # The batch's own callback goes first: until it is taken, its messages' reports wait.
    scene.call("notify", _from_queue(queued.pop("recado-notify")))
    packet = queued.pop("recado-submit-bulk")[0]
    events["dispatch 100"] = _from_queue([packet])
    scene.call("dispatch", events["dispatch 100"])
    looks = queued.pop("recado-notify")
    assert len(looks) == PACKET
    events["notify 10"], events["notify 100"] = _from_queue(looks[:10]), _from_queue(looks)

    for upstream_id in _upstream_ids(scene.aws.items):
        told = {"event": "receipt", "id": upstream_id, "stat": "DELIVRD", "err": "000"}
        events["callback"] = _request("callback/post.json", told)
        scene.call("callback", events["callback"])
    receipts = queued.pop("recado-inbound")
    assert len(receipts) == PACKET
    events["track 10"], events["track 100"] = _from_queue(receipts[:10]), _from_queue(receipts)
    identifier = json.loads(looks[0])["id"]
    asked = _event("query/message_delivered.json")
    path = f"/message/{identifier}"
    events["query"] = {**asked, "rawPath": path, "pathParameters": {"id": identifier}}
    assert json.loads(scene.call("query", events["query"])["body"])["recorded"]
    return one[0]


def _fields(n: int) -> dict[str, str]:
    return {"message": _TEXT, "reference_id": f"pedido-{n}"}


def _upstream_ids(items: Items) -> list[str]:
    prefix = "ref#simulator#"
    return [pk.removeprefix(prefix) for _, pk in items if pk.startswith(prefix)]


def _event(name: str) -> Event:
    event: Event = json.loads((ROOT / "events" / name).read_text(encoding="utf-8"))["event"]
    return event


def _request(name: str, body: Any) -> Event:
    return {**_event(name), "body": json.dumps(body)}


_numbers = count(1)


def _from_queue(bodies: Sequence[str]) -> Event:
    [like] = _event("track/receipt.json")["Records"]
    return {"Records": [{**like, "messageId": f"m-{next(_numbers)}", "body": b} for b in bodies]}


def _well(answer: Any) -> Any:
    if "statusCode" in answer:
        assert answer["statusCode"] in (200, 204), answer
    else:
        assert answer == {"batchItemFailures": []}, answer
    return answer
