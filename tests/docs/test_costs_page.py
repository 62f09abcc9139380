"""docs/costs.md: its tables and figures are what the budget file comes to, at the kept prices."""

import re

import pytest

from node.cloudformation import load
from node.installation import TEMPLATE
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


def test_the_guide_to_deploying_names_the_same_figures() -> None:
    guide = re.sub(r"\s+", " ", (ROOT / "docs/deploying.md").read_text())
    assert f"costs {QUIET:.2f} USD a month" in guide
    single, batch = USD["single_twice"], USD["batch_twice"]
    assert f"single messages cost {single:.2f}, and in batches of 400 {batch:.2f}" in guide
