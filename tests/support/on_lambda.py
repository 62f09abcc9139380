"""The whole line as Lambda logs it, as a process of its own, since logs are set up at import:

    AWS_LAMBDA_FUNCTION_NAME=x RECADO_LOG_LEVEL=DEBUG python -m tests.support.on_lambda FOLDER

The functions' handlers over the AWS engine on moto: a message and a batch from accept to the last
report, a scheduled message, a refusal, a reply; then an upstream, a customer and a store at which
exceptions come up that hold a number and a text. The last line names the ids.
"""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from recado.observability import FunctionFailed
from tests.support import world as world_module
from tests.support.aws import Account
from tests.support.world import START, World

NUMBER, TEXT = "5534998887755", "senha-de-ninguem"


class Context:
    """What Lambda tells a handler about its invocation."""

    aws_request_id = "request-1"


def broken(*_arguments: Any, **_named: Any) -> NoReturn:
    raise RuntimeError(f"no number: {NUMBER} {TEXT}") from ValueError(TEXT)


def invoke_with_context() -> None:
    """The world calls handlers without a context; here they get one."""
    for name, handler in world_module._HANDLERS.items():
        world_module._HANDLERS[name] = lambda event, _, handler=handler: handler(event, Context())


def run(world: World, account: Account) -> dict[str, Any]:
    """Everything that may happen; the ids of what went well."""
    identifier = world.send(NUMBER, TEXT, reference_id=TEXT)
    world.drain()
    reply = {"event": "reply", "id": "mo-1", "from": NUMBER, "text": TEXT}
    assert world.tell(reply) == 204
    one = {"destination_addr": NUMBER, "message": TEXT}
    refused = {"destination_addr": TEXT, "message": TEXT}
    answer = world.call("POST", "/message/batch", {"list": [one, refused, one]})[1]
    world.drain()
    later = world.send(NUMBER, TEXT, send_at="2026-05-29 12:00:00")
    assert world.call("DELETE", f"/message/{later}")[0] == 200
    status, refusal = world.call("POST", "/message", {**one, "validity": TEXT})
    assert status == 400
    faults(world, account)
    listed = world.call("GET", f"/message/batch/{answer['batchId']}")[1]["list"]
    return {
        "message": identifier,
        "batch": answer["batchId"],
        "of_batch": [line["message_id"] for line in listed],
        "cancelled": later,
        "refused": refusal["message_id"],
    }


def faults(world: World, account: Account) -> None:
    """Exceptions with a number and a text in them, at every kind of place."""
    take, customer = world.upstream, world.customer
    world.upstream = broken
    world.send(NUMBER, TEXT)
    world.drain()
    world.upstream, world.customer = take, broken
    world.now += 300
    account.at(world.now)
    world.drain()
    world.customer = customer
    assert world.tell(f"{TEXT} {NUMBER}".encode()) == 204
    world.drain()
    store: Any = world.bare.store
    due, store.due = store.due, broken
    try:
        world.tick()
    except FunctionFailed as failed:
        assert (str(failed), failed.__cause__) == ("RuntimeError", None)  # noqa: PT017 - no test
    store.due = due
    queue: Any = world.bare.queue
    send, queue.send = queue.send, broken
    assert world.call("POST", "/message", {"destination_addr": NUMBER, "message": TEXT})[0] == 500
    queue.send = send


def main() -> None:
    invoke_with_context()
    account = Account(START)
    world: World

    def clock() -> float:
        return world.now

    engine = account.engine(clock, 90 * 86_400.0)
    world = World(Path(sys.argv[1]), wrap=lambda _: engine)
    world.bare = engine
    world._configure()
    world.cost_centre()
    ids = run(world, account)
    world.close()
    account.close()
    print(json.dumps(ids))  # noqa: T201 - told to whoever started it


if __name__ == "__main__":
    main()
