"""The node's wiring, read from template.yaml: AWS and one machine are told by the same file.

What is read: the functions with their events, and the queues with their dead letters, less those
whose condition the parameters' defaults rule out. Everything else in the template concerns AWS
alone. What the node can't do is refused, never passed over.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from msgspec import Struct

from node.cloudformation import Tree, arn_of, load, mapping, not_understood, number, of_type, text
from recado.errors import Misconfigured

DEFAULT = "$default"


class Route(Struct, frozen=True):
    """Requests with this method ("ANY": all) and path, such as /message/{id}, go to a function."""

    method: str
    path: str
    function: str


class Consumer(Struct, frozen=True):
    """A function takes a queue's messages, up to batch_size at once. `window`: for how many
    seconds it may wait for a batch to fill."""

    queue: str
    function: str
    batch_size: int
    window: float


class QueueSpec(Struct, frozen=True):
    """A queue. Visibility in seconds; a message received `max_receives` times goes to `dead`."""

    name: str
    visibility: float
    max_receives: int
    dead: str


class Timer(Struct, frozen=True):
    """A function is called every so many seconds."""

    function: str
    every: float


class Function(Struct, frozen=True):
    """Where a function's code lies: an attribute of a module in a folder. Timeout in seconds."""

    name: str
    folder: Path
    module: str
    attribute: str
    timeout: float


class Wiring(Struct, frozen=True):
    """Who gets what. Functions are named by their folder ("batch_send"), queues by their logical
    id without "Queue" ("SubmitBulk"). `default`: the function for what no route takes."""

    functions: dict[str, Function]
    routes: tuple[Route, ...]
    default: str
    consumers: tuple[Consumer, ...]
    queues: tuple[QueueSpec, ...]
    timers: tuple[Timer, ...]


class Match(Struct, frozen=True):
    """The function for a request, the route's key ("POST /message", "$default") as the event names
    it, and the path's parameters, decoded."""

    function: str
    route_key: str
    parameters: Mapping[str, str]


class Router:
    """Finds the function for a request in the order of API Gateway's HTTP API: a route with this
    very path, then one with parameters, each asked for the method before ANY, then $default."""

    def __init__(self, routes: tuple[Route, ...], default: str) -> None:
        self._exact: dict[str, Match] = {}
        self._patterns: list[tuple[str, re.Pattern[str], str, str]] = []
        self._default = Match(default, DEFAULT, {})
        for route in sorted(routes, key=lambda route: route.method == "ANY"):
            key = f"{route.method} {route.path}"
            if "{" in route.path:
                pattern = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(route.path)))
                self._patterns.append((route.method, pattern, route.function, key))
            else:
                self._exact[key] = Match(route.function, key, {})

    def find(self, method: str, path: str) -> Match:
        """The match of an upper-case method and a path as it was requested, still encoded and
        without its query. A parameter takes one segment that is not empty."""
        exact = self._exact.get(f"{method} {path}") or self._exact.get(f"ANY {path}")
        if exact is not None:
            return exact
        for wanted, pattern, function, key in self._patterns:
            found = pattern.fullmatch(path) if wanted in (method, "ANY") else None
            if found is not None:
                parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                return Match(function, key, parameters)
        return self._default


_PARAMETER = re.compile(r"\\\{(\w+)\\\}")  # as re.escape leaves {id}


def read_template(path: Path, given: Mapping[str, str] = MappingProxyType({})) -> Wiring:
    """The wiring that a SAM template describes with the given parameters and the defaults of
    all others.

    Raises Misconfigured, in one line that names the resource, on what is missing or not understood.
    """
    template = load(path)
    shared = mapping("Globals", mapping("the template", template, "Globals"), "Function")
    functions: dict[str, Function] = {}
    wires: list[Route | Consumer | Timer] = []
    for resource, properties in of_type(template, "AWS::Serverless::Function", given):
        function = _function(resource, {**shared, **properties}, path.parent)
        if function.name in functions:
            raise Misconfigured(f"{resource}: CodeUri ends in {function.name}, as another one does")
        functions[function.name] = function
        wires.extend(_events(resource, properties, function.name))
    routes, default = _default_apart([wire for wire in wires if isinstance(wire, Route)])
    queues = tuple(_queues(template, given))
    consumers = tuple(wire for wire in wires if isinstance(wire, Consumer))
    for consumer in consumers:
        if consumer.queue not in {queue.name for queue in queues}:
            raise Misconfigured(f"{consumer.queue}Queue: missing, or another queue's dead letters")
    timers = tuple(wire for wire in wires if isinstance(wire, Timer))
    return Wiring(functions, routes, default, consumers, queues, timers)


def _function(resource: str, properties: Tree, root: Path) -> Function:
    folder = Path(text(resource, properties, "CodeUri"))
    handler = text(resource, properties, "Handler")
    module, dot, attribute = handler.rpartition(".")
    if not dot:
        raise not_understood(resource, "Handler", handler)
    timeout = float(number(resource, properties, "Timeout"))
    return Function(folder.name, root / folder, module, attribute, timeout)


def _queues(template: Tree, given: Mapping[str, str]) -> Iterator[QueueSpec]:
    """The queues that have dead letters. Those that have none must be another's dead letters."""
    properties_of = dict(of_type(template, "AWS::SQS::Queue", given))
    dead = set()
    for name, properties in properties_of.items():
        if "RedrivePolicy" in properties:
            policy, where = mapping(name, properties, "RedrivePolicy"), f"{name}.RedrivePolicy"
            target = arn_of(where, policy, "deadLetterTargetArn")
            if target not in properties_of:
                raise Misconfigured(f"{where}: there is no {target}")
            dead.add(target)
            visibility = float(number(name, properties, "VisibilityTimeout"))
            receives = number(where, policy, "maxReceiveCount")
            yield QueueSpec(_queue_name(name), visibility, receives, _queue_name(target))
    for name, properties in properties_of.items():
        if "RedrivePolicy" not in properties and name not in dead:
            raise Misconfigured(f"{name}: RedrivePolicy is missing")


def _queue_name(resource: str) -> str:
    name = resource.removesuffix("Queue")
    if not name or name == resource:
        raise Misconfigured(f"{resource}: a queue's logical id has to end in Queue")
    return name


def _events(resource: str, properties: Tree, function: str) -> Iterator[Route | Consumer | Timer]:
    events = mapping(resource, properties, "Events")
    for name in events:
        where = f"{resource}.Events.{name}"
        event = mapping(f"{resource}.Events", events, name)
        kind = text(where, event, "Type")
        if kind not in _WIRES:
            raise not_understood(where, "Type", kind)
        yield _WIRES[kind](where, mapping(where, event, "Properties"), function)


_PATH = re.compile(r"/|(/([^{}/]+|\{\w+\}))+")  # no greedy {proxy+}: the Router knows none


def _route(where: str, properties: Tree, function: str) -> Route:
    if "Method" not in properties and "Path" not in properties:
        return Route(DEFAULT, "", function)
    path = text(where, properties, "Path")
    if not _PATH.fullmatch(path):
        raise not_understood(where, "Path", path)
    return Route(text(where, properties, "Method").upper(), path, function)


def _consumer(where: str, properties: Tree, function: str) -> Consumer:
    if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        raise Misconfigured(f"{where}: FunctionResponseTypes must be [ReportBatchItemFailures]")
    window = {"MaximumBatchingWindowInSeconds": 0, **properties}
    return Consumer(
        _queue_name(arn_of(where, properties, "Queue")),
        function,
        number(where, properties, "BatchSize"),
        float(number(where, window, "MaximumBatchingWindowInSeconds")),
    )


_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


def _timer(where: str, properties: Tree, function: str) -> Timer:
    schedule = text(where, properties, "Schedule")
    rate = _RATE.fullmatch(schedule)
    if rate is None:
        raise Misconfigured(f"{where}: Schedule {schedule!r} is not understood, a rate() would be")
    return Timer(function, int(rate[1]) * _SECONDS[rate[2]])


_WIRES: dict[str, Callable[[str, Tree, str], Route | Consumer | Timer]] = {
    "HttpApi": _route,
    "SQS": _consumer,
    "Schedule": _timer,
}


def _default_apart(found: list[Route]) -> tuple[tuple[Route, ...], str]:
    taken: dict[str, Route] = {}
    for route in found:
        key = f"{route.method} {route.path}".strip()
        if key in taken:
            owners = f"{taken[key].function} and {route.function}"
            raise Misconfigured(f"the route {key} is given to {owners}")
        taken[key] = route
    default = taken.pop(DEFAULT, None)
    if default is None:
        raise Misconfigured("no function has an HttpApi event without Method and Path")
    return tuple(taken.values()), default.function
