"""docs/costs.md: its tables and figures are what the budget file comes to, at the kept prices."""

import re

import pytest

from node.cloudformation import load
from node.installation import TEMPLATE
from smpp import container
from smpp.bind import Timing
from smpp.mailbox import Rhythm
from tests.support import bills
from tests.support.billing import PRICES, ROOT
from tests.support.monthly import monthly

PAGE = (ROOT / "docs" / "costs.md").read_text()
UNITS = bills.budgets()
USD = {name: bills.total(units) for name, units in UNITS.items()}
IDLE = monthly(bills.BUDGET["minute"])
QUIET = sum(IDLE.values())
DAYS = load(TEMPLATE)["Parameters"]["RetentionDays"]["Default"]
METRICS = bills.BUDGET["counted"]["custom_metrics"]


def _more(**parameters: str) -> float:
    """What a quiet month costs more with these parameters."""
    return sum(monthly(bills.BUDGET["minute"], **parameters).values()) - QUIET


@pytest.mark.parametrize(
    "table",
    [
        *(bills.per_million(UNITS, table) for table in bills.TABLES),
        *(bills.counts(UNITS, table) for table in bills.TABLES),
        bills.month(IDLE),
    ],
    ids=[*bills.TABLES, *(f"units: {table}" for table in bills.TABLES), "a month"],
)
def test_a_table_is_the_one_that_is_counted(table: str) -> None:
    assert f"\n\n{table}\n\n" in PAGE


@pytest.mark.parametrize(
    "said",
    [
        f"list prices of {PRICES['region']}, {PRICES['date']}",
        f"**{QUIET:.2f} a month** with no traffic",
        f"**{USD['single_twice']:.2f} a million single messages**",
        f"**{USD['batch_twice']:.2f} a million in batches of 400**",
        f"makes that **{USD['single']:.2f}** and **{USD['batch']:.2f}**",
        f"a million messages for {DAYS} days costs {bills.kept(UNITS['single'], DAYS):.2f}",
        f"takes {UNITS['single']['kept_gb'] * 1e9:,.0f} bytes",
        f"{METRICS} of them, {METRICS * PRICES['month']['custom_metric']:.2f}, where all goes well",
        f"`StaticEgress=true` adds {_more(StaticEgress='true'):.2f}",
        f"`SnapStart=true` adds {_more(SnapStart='true'):.2f}",
        f"answer in {PRICES['duration']['http_ms']} ms",
        f"CPU is {PRICES['duration']['cpu_ms_of_aws_call']} ms for a call",
        f"(`echo`) | {USD['single'] - USD['single_echo']:.2f} less",
        f"`CallbackUrl` | {PRICES['million']['http_api_requests']:.2f} more for each call",
        f"alone | {USD['single_twice'] - USD['single']:.2f} less than with two calls",
        f"at 50 a second up to {USD['steady'] - USD['single']:.2f} less",
    ],
)
def test_a_figure_in_a_sentence_is_the_one_that_is_counted(said: str) -> None:
    assert said in re.sub(r"\s+", " ", PAGE)


# --- the SMPP service ----------------------------------------------------------------------------

MONTH, MILLION = PRICES["idle"]["seconds_of_a_month"], PRICES["million"]
READ, WRITE = MILLION["dynamodb_read_units"], MILLION["dynamodb_write_units"]


def _each(seconds: float, price: float) -> float:
    """USD a month for what is done so often."""
    return float(MONTH / seconds * price / 1_000_000)


LOOKS = _each(Timing().look, READ)  # what is configured is less than 4 KB
BIND = _each(Timing().renew, WRITE)
STANDING_BY = _each(Timing().look, WRITE)  # also a write that is refused is paid
MAILBOX = _each(Rhythm().look, READ) + _each(Rhythm().renew, WRITE)
IN_TENS, BY_ITSELF = 3 / 10, 3
SMPP = {
    "asking the queues Smpp and SmppBulk": 2 * _each(container._WAIT, MILLION["sqs_requests"]),
    "reading the configuration": 2 * LOOKS,
    "leases": 2 * BIND + STANDING_BY,
    "two more alarms": 2 * PRICES["month"]["alarm_metric"],
}


def _rows(heading: str) -> dict[str, float]:
    """A table's rows by how they begin."""
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {name.strip("*"): float(amount.strip("*")) for name, amount in cells}


@pytest.mark.parametrize("what", SMPP)
def test_what_the_smpp_service_asks_of_aws_while_nothing_is_sent_is_counted(what: str) -> None:
    rows = _rows("two tasks of a quarter of a CPU | USD |")
    [said] = [amount for name, amount in rows.items() if name.startswith(what)]
    assert said == round(SMPP[what], 2)


def test_the_smpp_services_month_is_the_sum_of_its_rows() -> None:
    rows = _rows("two tasks of a quarter of a CPU | USD |")
    together = rows.pop("together")
    assert together == pytest.approx(sum(rows.values()), abs=0.02)  # each is rounded
    assert f"it costs {together:.2f} more each month" in PAGE


@pytest.mark.parametrize(
    "said",
    [
        f"Each bind more adds {BIND:.2f}",
        f"each task more, besides itself, {LOOKS + STANDING_BY:.2f}",
        f"bound as a receiver adds {MAILBOX:.2f}",
        f"{IN_TENS * MILLION['sqs_requests']:.2f} | {BY_ITSELF * MILLION['sqs_requests']:.2f} |",
        f"{MILLION['sqs_fair_sends'] / 10:.2f} | {MILLION['sqs_fair_sends']:.2f} |",
    ],
)
def test_what_more_of_it_costs_is_counted(said: str) -> None:
    assert said in re.sub(r"\s+", " ", PAGE)


def test_a_busy_month_is_ten_times_a_million() -> None:
    hop = MILLION["sqs_requests"], MILLION["sqs_fair_sends"]
    least = 10 * (IN_TENS * hop[0] + hop[1] / 10)
    most = 10 * (BY_ITSELF * hop[0] + hop[1])
    said = f"a busy month of ten million costs {least:.2f} to {most:.2f} for that"
    assert said in re.sub(r"\s+", " ", PAGE)


def test_the_guide_to_deploying_names_the_same_figures() -> None:
    guide = re.sub(r"\s+", " ", (ROOT / "docs/deploying.md").read_text())
    assert f"costs {QUIET:.2f} USD a month" in guide
    single, batch = USD["single_twice"], USD["batch_twice"]
    assert f"single messages cost {single:.2f}, and in batches of 400 {batch:.2f}" in guide
