"""Money, quota and usage on the AWS engine, with the functions' own handlers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from recado.account_operations import credit_add
from recado.http import Reached
from recado.message import Message, State
from tests.support.aws_world import AwsWorld
from tests.support.books import (
    LOGIN,
    PRICE,
    balance,
    entries,
    payer,
    post,
    post_batch,
    post_sms,
    posted,
)
from tests.support.world import START

HOUR = 3_600.0
DAY = 86_400.0
LATER = "2026-05-28T23:26:40Z"
MOBILE = "55349988877{:02}".format


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[AwsWorld]:
    with AwsWorld(tmp_path) as made:
        yield made


def later(aws: AwsWorld, seconds: float) -> None:
    """Lets time pass, and works."""
    aws.at(aws.world.now + seconds)
    aws.world.tick()
    aws.drain()


def test_a_message_is_charged_once_and_sent_at_once(aws: AwsWorld) -> None:
    payer(aws.world, "0.25")
    posted(aws.world)
    aws.drain()
    assert len(aws.world.taken) == 1
    for _ in range(3):
        later(aws, 60.0)
    assert len(aws.world.taken) == 1
    assert [post(aws.world)[0] for _ in range(2)] == [200, 402]
    assert post_sms(aws.world)[1]["codigo"] == "201"
    assert balance(aws.world) == 500
    assert entries(aws.world, "charge") == [-PRICE, -PRICE]


def test_what_nobody_carried_is_given_back_once(aws: AwsWorld) -> None:
    payer(aws.world, "1.00")
    aws.world.upstream = lambda _: Reached(200, b'{"esme": "ESME_RINVDSTADR"}')
    posted(aws.world)
    aws.drain()
    aws.world.upstream = aws.world.take
    identifier = posted(aws.world)
    aws.work("Submit")
    aws.world.receipts = [{**told, "stat": "REJECTD"} for told in aws.world.receipts] * 3
    aws.drain()
    assert aws.world.record(identifier, LOGIN).state is State.REJECTED
    assert entries(aws.world, "refund") == [PRICE, PRICE]
    assert balance(aws.world) == 10_000


def test_what_is_cancelled_before_its_hour_is_given_back(aws: AwsWorld) -> None:
    payer(aws.world, "1.00")
    single = posted(aws.world, send_at=LATER)
    batch = post_batch(aws.world, [MOBILE(1), "nobody", MOBILE(2)], send_at=LATER)[1]["batchId"]
    assert balance(aws.world) == 10_000 - 3 * PRICE
    assert aws.world.call("DELETE", f"/message/{single}", login=LOGIN)[0] == 200
    assert aws.world.call("DELETE", f"/message/batch/{batch}", login=LOGIN)[0] == 200
    later(aws, 4 * HOUR)
    assert aws.world.taken == []
    assert sorted(entries(aws.world, "refund")) == [PRICE, 2 * PRICE]
    assert balance(aws.world) == 10_000


def test_the_quota_is_taken_by_the_local_day_and_given_back(aws: AwsWorld) -> None:
    payer(aws.world, "0.20", daily_quota=3)
    posted(aws.world, text="x" * 161)
    assert post(aws.world)[0] == 402
    credit_add(aws.world.deps, LOGIN, "1.00")
    assert [post(aws.world)[0] for _ in range(2)] == [200, 429]
    assert aws.world.call("GET", "/balance", login=LOGIN)[1]["used_today"] == 3
    aws.at(START + 7 * HOUR)  # past midnight in São Paulo
    posted(aws.world)
    assert aws.world.call("GET", "/balance", login=LOGIN)[1]["used_today"] == 1


def test_a_low_balance_is_told_once(aws: AwsWorld) -> None:
    payer(aws.world, "1.00", low_balance=10 * PRICE)
    for _ in range(3):
        posted(aws.world)
        aws.drain()
    assert [told["balance"] for told in aws.world.told if "alert" in told] == ["0.90"]


def test_usage_is_a_count_of_the_records_and_is_kept(aws: AwsWorld) -> None:
    payer(aws.world, prepaid=False)
    for n in range(5):
        posted(aws.world, to=MOBILE(n))
    post_batch(aws.world, [MOBILE(n) for n in range(9)])
    aws.drain()
    asked = "/usage?since=2026-05-28&until=2026-05-28"
    before = aws.world.call("GET", asked, login=LOGIN)[1]["usage"]
    records = [r for r in aws.world.every_record(LOGIN) if isinstance(r, Message)]
    counted = Counter((record.connector, str(record.state)) for record in records)
    assert {(row["connector"], row["state"]): row["messages"] for row in before} == counted
    assert counted == {("simulator", "DELIVERED"): 14}
    later(aws, 9 * HOUR)
    [kept] = aws.world.bare.store.usages(aws.world._which(LOGIN), "2026-05-28", "2026-05-28")
    assert (kept.after, kept.final) == ("", False)
    assert kept.rows == (("simulator", "DELIVERED", 14, 14, 14),)
    assert aws.world.call("GET", asked, login=LOGIN)[1]["usage"] == before
    assert aws.world.call("GET", asked, login="ana")[1]["usage"] == []
    later(aws, 3 * DAY)
    [kept] = aws.world.bare.store.usages(aws.world._which(LOGIN), "2026-05-28", "2026-05-28")
    assert kept.final
