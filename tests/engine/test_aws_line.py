"""The whole line on the AWS engine, with the functions' own handlers."""

from pathlib import Path

import pytest

from tests.support.aws_world import AwsWorld
from tests.support.world import START

DAY = 86_400.0


def _is_at_rest(aws: AwsWorld) -> bool:
    depths = aws.world.deps.engine.queue.depths()
    return not any(depth.ready or depth.delayed or depth.dead for depth in depths)


@pytest.mark.parametrize("echo", [True, False], ids=["our id comes back", "by its ref"])
def test_a_message_is_sent_once_and_both_reports_come_in_order(tmp_path: Path, echo: bool) -> None:
    with AwsWorld(tmp_path, echo=echo) as aws:
        identifier = aws.world.send(text="Olá", reference_id="pedido-7")
        aws.drain()
        assert [taken["text"] for taken in aws.world.taken] == ["Ola"]
        assert [report["type"] for report in aws.world.reports(identifier)] == [1, 2]
        assert aws.world.message(identifier)["state"] == "DELIVERED"
        assert _is_at_rest(aws)


def test_all_that_is_scheduled_goes_although_the_clock_stood_still_for_a_day(
    tmp_path: Path,
) -> None:
    with AwsWorld(tmp_path) as aws:
        ids = [aws.world.send(send_at=f"2026-05-29 {hour:02}:00:00") for hour in range(10)]
        aws.drain()
        assert aws.world.taken == []
        aws.at(START + DAY)
        aws.world.tick()
        aws.drain()
        assert len(aws.world.taken) == len(ids)
        assert [len(aws.world.reports(identifier)) for identifier in ids] == [2] * len(ids)
        assert _is_at_rest(aws)
