"""Every function is called with the events in events/, and its whole answer is compared.

A case is a JSON file in the folder of its function:

    about             what it shows
    settings          of the cost centre, where they are not the usual ones
    setup             cases that come before it, in the same installation
    blobs             what else lies in storage, by its name
    at                seconds after the start of the world's time
    upstream_answers  what the upstream answers: an HTTP status and a JSON body
    customer_answers  what the customer's callback URL answers: an HTTP status
    event             as Lambda gets it
    body              the body of a form; in the event it is in Base64, as API Gateway has it
    answer            as Lambda gives it
    asked             what the upstream was asked, or the simulator told, in this case alone
    told              what the customer was told, in this case alone
    queued            what it put on the queues, ready to be received
    delayed           how many it put on the queues for later

In it <cost_centre> is the id of the cost centre (login "ana", password "segredo"), and in what is
expected <uuid> is any UUID. What is made anew each time goes by a name: in an answer <token>,
<caller_id>, <bulk_id> and <code> are any that is well-formed, and in an event or in the name of a
blob the one of the last answer before it. A <signature> is any.
"""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.installation import TEMPLATE
from node.template import read_template
from node.workers import load_functions
from recado.http import Outgoing, Reached
from tests.support.world import CALLBACK_URL, START, World

EVENTS = TEMPLATE.parent / "events"
FUNCTIONS = TEMPLATE.parent / "functions"
CASES = sorted(EVENTS.glob("*/*.json"))
WIRING = read_template(TEMPLATE, {"Simulator": "true"})  # with every function that there may be
HANDLERS = load_functions(WIRING.functions)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PATTERNS = {
    "<uuid>": UUID,
    "<bulk_id>": UUID,
    "<caller_id>": r"\d{14}",
    "<token>": r"[\w-]{70,}",
    "<code>": r"[0-9a-f]{40}",
    "<signature>": r"[\w-]{20,}",
}
TOLD = {
    "access_token": "<token>",
    "callerid": "<caller_id>",
    "bulk_id": "<bulk_id>",
    "code": "<code>",
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def same(expected: Any, found: Any) -> bool:
    """Whether it is what was expected, to the order of the fields."""
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs = zip(expected.values(), found.values(), strict=False)
        return list(expected) == list(found) and all(same(mine, its) for mine, its in pairs)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, str) and isinstance(found, str):
        pattern = re.escape(expected)
        for name, anything in PATTERNS.items():
            pattern = pattern.replace(name, anything)
        return re.fullmatch(pattern, found) is not None
    return type(expected) is type(found) and bool(expected == found)


def run(world: World, names: dict[str, str], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The case, and what came of it. What its answer tells anew joins the names."""
    content = path.read_text()
    for before in json.loads(content).get("setup", []):
        run(world, names, EVENTS / before)
        queued(world)
    case: dict[str, Any] = json.loads(content.replace("<cost_centre>", names["<cost_centre>"]))
    world.now = START + case.get("at", 0)
    world.upstream, world.customer = world.take, lambda _: Reached(200, b"")
    if "upstream_answers" in case:
        said = Reached(*parts(case["upstream_answers"]))
        world.upstream = lambda _: said
    if "customer_answers" in case:
        status = case["customer_answers"]
        world.customer = lambda _: Reached(status, b"")
    for name, lying in case.get("blobs", {}).items():
        world.bare.blobs.put(filled(name, names), lying.encode())
    before_it = len(world.requests)
    answer = HANDLERS[path.parent.name](event_of(case, names), None)
    names |= {TOLD[name]: value for name, value in told_anew(answer).items()}
    left = world.requests[before_it:]
    asked = [json.loads(r.body) for r in left if not r.url.startswith(CALLBACK_URL)]
    told = [shown(r) for r in left if r.url.startswith(CALLBACK_URL)]
    return case, {"answer": answer, "asked": asked, "told": told}


def event_of(case: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The case's event, with what the names stand for, and its body in Base64."""
    event: dict[str, Any] = json.loads(filled(json.dumps(case["event"]), names))
    if "body" in case:
        event["body"] = base64.b64encode(filled(case["body"], names).encode()).decode()
        event["isBase64Encoded"] = True
    return event


def filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def told_anew(answer: Any) -> dict[str, str]:
    """Of an answer in JSON, what the cases after it go on with."""
    try:
        fields = json.loads((answer or {}).get("body", "{}") or "{}")
    except ValueError:  # XML
        return {}
    return {name: fields[name] for name in TOLD if isinstance(fields.get(name), str)}


def parts(answer: dict[str, Any]) -> tuple[int, bytes]:
    return answer["status"], json.dumps(answer["body"]).encode()


def shown(request: Outgoing) -> dict[str, Any]:
    """A callback as a case shows it; the body as JSON, for its bytes are tested elsewhere."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "body": json.loads(request.body),
    }


def queued(world: World) -> dict[str, list[Any]]:
    """Takes what lies ready in each queue, and forgets it there."""
    lying = {}
    for queue in WIRING.queues:
        rows = world.queue.receive(queue.name, 100)
        world.queue.done(rows)
        if rows:
            lying[queue.name] = [json.loads(row.body) for row in rows]
    return lying


def delayed(world: World) -> dict[str, int]:
    return {depth.queue: depth.delayed for depth in world.queue.depths() if depth.delayed}


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_a_function_answers_its_event_as_the_case_says(
    make_world: Callable[..., World], path: Path
) -> None:
    world = make_world()
    cost_centre = world.cost_centre(**json.loads(path.read_text()).get("settings", {}))
    case, came = run(world, {"<cost_centre>": cost_centre}, path)
    came |= {"queued": queued(world), "delayed": delayed(world)}
    nothing: dict[str, Any] = {"asked": [], "told": [], "queued": {}, "delayed": {}}
    expected = {name: case.get(name, nothing.get(name)) for name in came}
    assert same(expected, came), json.dumps(came, indent=2, ensure_ascii=False)


def test_every_function_has_a_case() -> None:
    functions = {path.parent.name for path in FUNCTIONS.glob("*/handler.py")}
    assert functions == {path.parent.name for path in CASES} == set(HANDLERS)


def test_every_case_says_what_it_shows_and_has_no_field_that_is_not_looked_at() -> None:
    known = {"about", "settings", "setup", "blobs", "at", "upstream_answers", "customer_answers"}
    known |= {"event", "body", "answer", "asked", "told", "queued", "delayed"}
    for path in CASES:
        case = json.loads(path.read_text())
        assert {"about", "event", "answer"} <= set(case) <= known, name_of(path)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("<uuid>", "76f13548-aa2f-4489-bf5c"),
        ("<caller_id>", "1234567890123"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": True}),
        ([1], [1, 2]),
        (None, {}),
        (".", "x"),
    ],
)
def test_what_differs_is_seen(expected: Any, found: Any) -> None:
    assert not same(expected, found)
    assert same(found, found)
