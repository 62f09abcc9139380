"""What AWS bills for messages, counted, and held to the budget file: it may cost no more; and where
it costs less, the budget is to follow."""

from collections import Counter
from pathlib import Path

import pytest

from recado.operations import credit_add
from tests.support.aws_world import AwsWorld, Invocation
from tests.support.billing import Units, counted, gb_seconds, memory_of, usd
from tests.support.bills import BUDGET, budgets, total
from tests.support.metering import Call, read_units, write_units
from tests.support.monthly import minute
from tests.support.shapes import CODE, SHAPES, Shape, send_batch

# Ids and times make a line or an item a byte shorter or longer; all else is counted in whole calls.
_WOBBLE = 0.01

pytestmark = pytest.mark.timeout(300)  # a batch of 400 takes moto half a minute


def _over(found: Units, budget: Units) -> dict[str, tuple[float, float]]:
    """What is more than its budget, or so much less that the budget is too large."""
    names = {*found, *budget}
    both = {name: (found.get(name, 0.0), budget.get(name, 0.0)) for name in names}
    return {name: (a, b) for name, (a, b) in both.items() if abs(a - b) > _WOBBLE * max(a, b)}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_message_is_billed_for_what_its_budget_says(shape: Shape, tmp_path: Path) -> None:
    found = counted(shape, tmp_path)
    assert _over(found.units, budgets()[shape.name]) == {}
    assert total(found.units) <= BUDGET["shape"][shape.name]["usd"] * (1 + _WOBBLE)
    assert len(found.metrics) <= BUDGET["counted"]["custom_metrics"]


def test_a_quiet_minute_is_billed_for_what_its_budget_says(tmp_path: Path) -> None:
    assert _over(minute(tmp_path), BUDGET["minute"]) == {}


@pytest.mark.parametrize("shape", BUDGET["target"])
def test_the_budget_is_within_the_target(shape: str) -> None:
    assert total(budgets()[shape]) <= BUDGET["target"][shape]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_budget_in_dollars_is_what_its_units_come_to(shape: Shape) -> None:
    assert BUDGET["shape"][shape.name]["usd"] == round(total(budgets()[shape.name]), 2)


# --- the counting itself -------------------------------------------------------------------------


@pytest.mark.parametrize(("echo", "writes", "reads"), [(True, 6, 5), (False, 7, 6)])
def test_a_message_with_its_two_reports_takes_so_many_units(
    tmp_path: Path, echo: bool, writes: int, reads: int
) -> None:
    """A claim with its index entry, an outcome, a receipt, two reports; and a ref, where the
    upstream does not carry our id. Read are the ref, the message by track, and by notify for each
    report the message and the state of the customer's endpoint."""
    with AwsWorld(tmp_path, echo=echo) as aws:
        aws.world.send(text="the day's first")
        aws.drain()
        before = len(aws.calls())
        aws.world.send(text=CODE)
        aws.drain()
        calls = aws.calls()[before:]
        assert len(aws.world.reports()) == 4
    assert (write_units(calls), read_units(calls)) == (writes, reads)


def test_what_is_paid_in_advance_takes_two_units_for_each_write_of_its_transaction(
    tmp_path: Path,
) -> None:
    """The balance, the ledger's entry, what is held and its line; besides, its minute is listed,
    and what is held is deleted with its line. Read is the balance."""
    with AwsWorld(tmp_path) as aws:
        aws.world.cost_centre("paga", prepaid=True, price=850)
        credit_add(aws.world.deps, "paga", "1")
        asked = {"destination_addr": "5534998887755", "message": CODE}
        for _ in range(2):
            before = len(aws.calls())
            assert aws.world.call("POST", "/message", asked, login="paga")[0] == 200
        calls = aws.calls(of="send")[before:]
    assert (write_units(calls), read_units(calls)) == (4 * 2 + 1 + 2, 1)


def test_a_batch_goes_through_few_calls(tmp_path: Path) -> None:
    with AwsWorld(tmp_path, echo=False) as aws:
        send_batch(aws, 100, CODE)
        aws.drain()
        calls = Counter((call.by, call.action) for call in aws.calls())
    assert calls["batch_send", "sqs:SendMessageBatch"] == 1
    assert calls["dispatch", "dynamodb:BatchWriteItem"] == 100 / 25
    assert calls["track", "dynamodb:BatchGetItem"] == 2  # the refs, and their messages
    assert calls["track", "sqs:SendMessageBatch"] == 100 / 10


def test_calls_side_by_side_take_the_time_of_one_and_callbacks_that_of_a_window() -> None:
    def called(turn: int) -> Call:
        return Call("track", "dynamodb:PutItem", {}, {}, turn)

    def seconds(calls: list[Call]) -> float:
        given = Invocation("track", 1, calls, [], "", None)
        return gb_seconds([given], 0, 0) * 1024 / memory_of("track")

    share = memory_of("track") / 1769
    assert seconds([]) == pytest.approx(0.001)
    assert seconds([called(1)]) == pytest.approx(0.001 + 0.005 + 0.0007 / share)
    assert seconds([called(1)] * 16) == pytest.approx(0.001 + 0.005 + 16 * 0.0007 / share)
    assert seconds([called(1)] * 17) == pytest.approx(0.001 + 0.010 + 17 * 0.0007 / share)
    assert seconds([called(1), called(2)]) == pytest.approx(0.001 + 0.010 + 2 * 0.0007 / share)


def test_a_million_messages_cost_a_million_times_their_units() -> None:
    bill = usd({"dynamodb_write_units": 7, "log_gb": 1e-6, "kept_gb": 1.0})
    assert bill == {"dynamodb_write_units": pytest.approx(4.375), "log_gb": pytest.approx(0.5)}
