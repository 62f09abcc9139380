"""Schedules on the AWS engine: listed, moved, cancelled, with the functions' own handlers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_world import AwsWorld
from tests.support.world import START

DAY = 86_400.0
FIRST, EARLIER, LATER = "2026-05-30T12:00:00Z", "2026-05-29T12:00:00Z", "2026-06-10T12:00:00Z"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[AwsWorld]:
    with AwsWorld(tmp_path) as made:
        yield made


def batch(aws: AwsWorld) -> str:
    listed = [{"destination_addr": f"553499888775{n}", "message": "oi"} for n in range(2)]
    answer = aws.world.call("POST", "/message/batch", {"list": listed, "send_at": FIRST})[1]
    return str(answer["batchId"])


def pass_days(aws: AwsWorld, days: float) -> None:
    """Lets time pass until so many days after the start."""
    aws.at(START + days * DAY)
    aws.world.tick()
    aws.drain()


def listed(aws: AwsWorld) -> list[dict[str, Any]]:
    """All schedules, one page after the other."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = aws.world.call("GET", f"/schedules?limit=2&after={after}")[1]
        found += page["schedules"]
        after = page["after"]
    return found


def test_schedules_are_listed_by_due_date(aws: AwsWorld) -> None:
    dates = (LATER, FIRST, EARLIER)
    ids = {at: aws.world.send(send_at=at) for at in dates}
    aws.world.send()
    many = batch(aws)
    found = [(one["id"], one["kind"]) for one in listed(aws)]
    assert found[0] == (ids[EARLIER], "message")
    assert set(found[1:3]) == {(ids[FIRST], "message"), (many, "batch")}
    assert found[3:] == [(ids[LATER], "message")]


@pytest.mark.parametrize("to", [EARLIER, LATER])
def test_moved_it_goes_at_its_new_hour_and_once(aws: AwsWorld, to: str) -> None:
    identifier, many = aws.world.send(send_at=FIRST), batch(aws)
    for name in (identifier, many):
        assert aws.world.call("PATCH", f"/schedules/{name}", {"send_at": to})[0] == 200
    assert len(listed(aws)) == 2
    pass_days(aws, 1 if to == EARLIER else 12)
    assert len(aws.world.taken) == (3 if to == EARLIER else 0)
    pass_days(aws, 13)
    assert len(aws.world.taken) == 3
    assert [report["type"] for report in aws.world.reports(identifier)] == [1, 2]
    assert listed(aws) == []


def test_moved_again_it_can_not_be_moved_once_it_has_gone(aws: AwsWorld) -> None:
    identifier = aws.world.send(send_at=FIRST)
    for to in (LATER, EARLIER):
        assert aws.world.call("PATCH", f"/schedules/{identifier}", {"send_at": to})[0] == 200
    pass_days(aws, 1)
    assert len(aws.world.taken) == 1
    assert aws.world.call("PATCH", f"/schedules/{identifier}", {"send_at": LATER})[0] == 409
    pass_days(aws, 13)
    assert len(aws.world.taken) == 1


@pytest.mark.parametrize("moved", [False, True])
def test_cancelled_between_its_hour_and_its_sending_it_never_goes(
    aws: AwsWorld, moved: bool
) -> None:
    identifier, many = aws.world.send(send_at=FIRST), batch(aws)
    for name in (identifier, many) if moved else ():
        assert aws.world.call("PATCH", f"/schedules/{name}", {"send_at": EARLIER})[0] == 200
    aws.at(START + 2 * DAY)
    aws.world.tick()
    for name in (identifier, many):
        assert aws.world.call("DELETE", f"/schedules/{name}")[0] == 200
    aws.drain()
    assert (aws.world.taken, aws.world.told) == ([], [])


def test_a_cancelled_schedule_is_forgotten_at_once(aws: AwsWorld) -> None:
    identifier = aws.world.send(send_at=FIRST)
    assert aws.world.call("DELETE", f"/schedules/{identifier}")[0] == 200
    aws.drain()
    assert listed(aws) == []
    pass_days(aws, 3)
    assert aws.world.taken == []


def test_what_is_due_in_one_minute_is_forgotten_side_by_side_after_it_was_sent(
    aws: AwsWorld,
) -> None:
    """One after the other, some thousands would be all that the clock does in a minute."""
    for _ in range(20):
        aws.world.send(send_at=FIRST)
    aws.at(START + 2 * DAY)
    before = len(aws.calls())
    aws.world.tick()
    turns: Counter[tuple[int, str]] = Counter()
    for call in aws.calls()[before:]:
        if call.action == "sqs:SendMessageBatch":
            turns[call.turn, "sent"] += len(call.params["Entries"])
        elif call.action == "dynamodb:DeleteItem" and "#" in call.params["Key"]["pk"]["S"]:
            turns[call.turn, call.params["Key"]["pk"]["S"].partition("#")[0]] += 1
    assert [(what, times) for (_, what), times in sorted(turns.items())] == [
        ("sent", 20),
        ("due", 20),
        ("held", 20),
    ]
    aws.drain()
    assert len(aws.world.taken) == 20


def test_a_reply_goes_to_what_was_sent_and_not_to_what_waits(aws: AwsWorld) -> None:
    sent, moved = aws.world.send(), aws.world.send(send_at=FIRST)
    aws.world.call("PATCH", f"/schedules/{moved}", {"send_at": LATER})
    aws.drain()
    reply = {"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "sim"}
    aws.world.tell(reply)
    aws.drain()
    pass_days(aws, 13)
    aws.world.tell({**reply, "id": "mo-2"})
    aws.drain()
    answered = [told["message_id"] for told in aws.world.told if "short_message" in told]
    assert answered == [sent, moved]
