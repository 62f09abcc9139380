"""Files of millions on the AWS engine, with the functions' own handlers: uploaded by a signed URL,
checked and sent in steps, paused, resumed, cancelled, and brought again by the queue."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from msgspec.structs import replace

from node.installation import policies_of
from node.workers import sqs_event
from recado import bulk, doubles, expand, longlists, operations, rows
from tests.support.aws_world import WIRING, AwsWorld
from tests.support.dying import Death, Dying

STRETCH, FEW = 10, 2
SILENT = "muda"  # a cost centre without reports
TEXT = "Olá {nome}"
CONSUMERS = {consumer.queue: consumer.function for consumer in WIRING.consumers}
VISIBILITY = policies_of(WIRING)["Expand"].visibility
PUT_BACK = 61.0  # what was paused waits no longer than that, and a check's step that comes again


def number(n: int) -> str:
    return f"55349{98_000_000 + n}"


def file_of(amount: int, name: str = "Ana") -> bytes:
    lines = [f"{name} {n};{number(n)}" for n in range(amount)]
    return "\n".join(["nome;telefone", *lines, ""]).encode()


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWorld]:
    """Files of a few rows go in many steps: moto takes long for each message."""
    monkeypatch.setattr(bulk, "_BLOCK", 400)
    monkeypatch.setattr(rows, "BLOCK", 400)
    monkeypatch.setattr(doubles, "_A_PASS", 20)
    monkeypatch.setattr(longlists, "STRETCH", STRETCH)
    monkeypatch.setattr(expand, "STRETCH", STRETCH)
    with AwsWorld(tmp_path) as made:
        yield made


def opened(aws: AwsWorld, login: str = "ana", **fields: Any) -> dict[str, Any]:
    status, made = aws.world.call("POST", "/bulk", {"text": TEXT, **fields}, login=login)
    assert status == 201, made
    return made


def put(made: dict[str, Any], content: bytes) -> int:
    """As a customer does it, who has no credentials of AWS."""
    headers = made["upload_headers"]
    return requests.put(made["upload_url"], content, headers=headers, timeout=10).status_code


def act(aws: AwsWorld, identifier: str, what: str, method: str = "POST", login: str = "ana") -> Any:
    status, told = aws.world.call(method, f"/bulk/{identifier}{what}", login=login)
    assert status == 200, told
    return told


def checked(aws: AwsWorld, content: bytes, login: str = "ana", **fields: Any) -> str:
    made = opened(aws, login, **fields)
    assert put(made, content) == 200
    identifier = str(made["bulk_id"])
    assert act(aws, identifier, "/check", login=login)["state"] == "checking"
    aws.work("Expand")
    return identifier


def shown(aws: AwsWorld, identifier: str, login: str = "ana") -> dict[str, Any]:
    told: dict[str, Any] = act(aws, identifier, "", "GET", login)
    return told


def taken(aws: AwsWorld) -> Counter[tuple[str, str]]:
    return Counter((one["to"], one["text"]) for one in aws.world.taken)


def wanted(amount: int, name: str = "Ana") -> Counter[tuple[str, str]]:
    return Counter((number(n), f"Ola {name} {n}") for n in range(amount))


def one(aws: AwsWorld, queue: str) -> None:
    """Gives one message of a queue to its function."""
    rows = aws.world.bare.queue.receive(queue, 1)
    assert rows
    assert aws.invoke(CONSUMERS[queue], sqs_event(rows)) == {"batchItemFailures": []}
    aws.world.bare.queue.done(rows)


def at_rest(aws: AwsWorld) -> bool:
    depths = aws.world.deps.engine.queue.depths()
    return not any(depth.ready or depth.delayed or depth.dead for depth in depths)


def steps(aws: AwsWorld) -> int:
    return sum(done.function == "expand" for done in aws.invocations)


def test_a_file_is_uploaded_by_its_url_checked_in_steps_and_sent_each_number_its_own_text(
    aws: AwsWorld,
) -> None:
    content = file_of(45) + f"Bia;{number(3)}\nCaio;123\n".encode()
    identifier = checked(aws, content)
    found = shown(aws, identifier)
    counted = [found[name] for name in ("state", "rows", "good", "duplicates", "bad_rows")]
    assert counted == ["checked", 47, 45, 1, 1]
    assert found["bad"] == [{"line": 48, "value": "123", "reason": "the number is invalid"}]
    assert steps(aws) >= len(content) // 400 + 3  # passes over the numbers, and their joining
    assert aws.world.taken == []
    assert act(aws, identifier, "/send")["state"] == "sending"
    aws.drain()
    assert taken(aws) == wanted(45)
    done = shown(aws, identifier)
    assert (done["state"], done["submitted"], done["percent"]) == ("done", 45, 100)
    assert Counter(report["type"] for report in aws.world.reports()) == {1: 45, 2: 45}
    assert at_rest(aws)


def test_a_file_comes_once_with_the_headers_that_were_signed(aws: AwsWorld) -> None:
    made = opened(aws)
    assert put(made, file_of(2)) == 200
    assert put(made, file_of(3)) == 412
    act(aws, made["bulk_id"], "/check")
    aws.work("Expand")
    assert shown(aws, made["bulk_id"])["good"] == 2


def test_a_paused_file_stands_still_and_a_resumed_one_goes_on(aws: AwsWorld) -> None:
    identifier = checked(aws, file_of(45))
    act(aws, identifier, "/send")
    _a_stretch_sent_and_one_in_its_packet(aws)
    assert act(aws, identifier, "/pause")["state"] == "paused"
    aws.drain()
    stood = len(aws.world.taken)
    assert stood == STRETCH
    aws.at(aws.world.now + PUT_BACK)
    aws.drain()
    assert len(aws.world.taken) == stood
    assert act(aws, identifier, "/resume")["state"] == "sending"
    aws.at(aws.world.now + PUT_BACK)
    aws.drain()
    assert taken(aws) == wanted(45)
    assert shown(aws, identifier)["state"] == "done"
    assert at_rest(aws)


def _a_stretch_sent_and_one_in_its_packet(aws: AwsWorld) -> None:
    one(aws, "Expand")
    one(aws, "SubmitBulk")
    one(aws, "Expand")


@pytest.mark.parametrize("paused", [False, True], ids=["on its way", "paused"])
def test_what_was_cancelled_on_its_way_is_given_back_and_never_sent(
    aws: AwsWorld, paused: bool
) -> None:
    key = aws.world.cost_centre("paga", prepaid=True, price=1_000)
    operations.credit_add(aws.world.deps, "paga", "10")
    identifier = checked(aws, file_of(45), "paga")
    act(aws, identifier, "/send", login="paga")
    assert aws.world.bare.store.balance(key) == 100_000 - 45 * 1_000
    _a_stretch_sent_and_one_in_its_packet(aws)
    if paused:
        act(aws, identifier, "/pause", login="paga")
    assert act(aws, identifier, "", "DELETE", "paga")["state"] == "cancelled"
    aws.at(aws.world.now + PUT_BACK)
    aws.drain()
    assert taken(aws) == wanted(STRETCH)
    assert aws.world.bare.store.balance(key) == 100_000 - STRETCH * 1_000
    assert shown(aws, identifier, "paga")["submitted"] == STRETCH
    assert at_rest(aws)


def test_a_message_that_the_queue_brings_twice_changes_nothing(aws: AwsWorld) -> None:
    """SQS may deliver again what was dealt with. So each step of the check and of the sending comes
    twice, and a copy that was late comes when the file is further by a step."""
    aws.world.cost_centre(SILENT, reports=())
    identifier = opened(aws, SILENT)["bulk_id"]
    aws.world.bare.blobs.put(f"upload-{identifier}", file_of(15))
    act(aws, identifier, "/check", login=SILENT)
    _each_twice(aws)
    found = shown(aws, identifier, SILENT)
    assert (found["state"], found["good"], found["duplicates"]) == ("checked", 15, 0)
    act(aws, identifier, "/send", login=SILENT)
    _each_twice(aws)
    aws.drain()
    assert taken(aws) == wanted(15)
    assert shown(aws, identifier, SILENT)["expanded"] == 15
    assert at_rest(aws)


def _each_twice(aws: AwsWorld) -> None:
    queue, late = aws.world.bare.queue, list[Any]()
    while in_hand := queue.receive("Expand", 1):
        for brought in (late, in_hand, in_hand):
            if brought:
                assert aws.invoke("expand", sqs_event(brought)) == {"batchItemFailures": []}
        queue.done(in_hand)
        late = in_hand
        aws.at(aws.world.now + 21)  # a step that finds itself done emits the next one after a while


def test_whatever_expand_dies_in_every_number_is_sent_once(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its function is killed after each single call on AWS, from the first step of the check to the
    last of the sending; the queue brings the message again when its time in hand is over."""
    for module in (longlists, expand):
        monkeypatch.setattr(module, "STRETCH", 1)
    aws.world.cost_centre(SILENT, reports=())
    whole, at, died_in = aws._environments["expand"], 0, "nothing yet"
    while died_in:
        at += 1
        aws.world.taken.clear()
        dying = Dying(at, after=True)
        aws._environments["expand"] = replace(whole, engine=dying.wrap(whole.engine))
        identifier, name = _one_life(aws, dying), f"Ana-{at}"
        died_in = dying.died_in
        assert taken(aws) == wanted(FEW, name), f"killed after call {at}, {died_in}"
        found = shown(aws, identifier, SILENT)
        counted = (found["state"], found["good"], found["expanded"], found["submitted"])
        assert counted == ("done", FEW, FEW, FEW)
        assert at_rest(aws)
    assert at > 20, f"only {at - 1} calls were there to die in"


def _one_life(aws: AwsWorld, dying: Dying) -> str:
    """A file from its upload to its end, in which expand dies once at most."""
    identifier = str(opened(aws, SILENT)["bulk_id"])
    content = file_of(FEW, f"Ana-{dying.at}")
    aws.world.bare.blobs.put(f"upload-{identifier}", content)
    dying.arm()
    for what, until in (("/check", "checked"), ("/send", "sending")):
        act(aws, identifier, what, login=SILENT)
        try:
            aws.drain()
        except Death:
            for later in (VISIBILITY + 1, PUT_BACK):
                aws.at(aws.world.now + later)
                aws.drain()
        assert shown(aws, identifier, SILENT)["state"] in (until, "done")
    dying.disarm()
    return identifier
