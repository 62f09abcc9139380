"""The bill as it is kept and shown: the budget file, and the tables of docs/costs.md."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.support.billing import MILLION, PRICES, ROOT, Counted, Units, usd
from tests.support.shapes import SHAPES, Shape

BUDGET_FILE: Final = ROOT / "tests/engine/budget.toml"
BUDGET: Final[dict[str, Any]] = tomllib.loads(BUDGET_FILE.read_text())

TABLES: Final = tuple(dict.fromkeys(shape.table for shape in SHAPES))
_NAMES: Final = {
    "http api": "HTTP API",
    "function url": "Function URL",
    "lambda": "Lambda",
    "sqs": "SQS",
    "dynamodb": "DynamoDB",
    "s3": "S3",
}
_LINES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("API Gateway: requests", ("http_api_requests",)),
    ("Lambda: requests", ("lambda_requests",)),
    ("Lambda: time", ("lambda_gb_seconds",)),
    ("SQS: requests", ("sqs_requests",)),
    ("SQS: fairness between customers", ("sqs_fair_sends",)),
    ("DynamoDB: writes", ("dynamodb_write_units",)),
    ("DynamoDB: reads", ("dynamodb_read_units",)),
    ("S3, Secrets Manager", ("s3_puts", "s3_gets", "secrets_reads")),
    ("CloudWatch: logs and metrics in them", ("log_gb",)),
    ("Data to the internet", ("gb_out",)),
)


def budgets() -> dict[str, Units]:
    """Units of one message by shape."""
    return {shape.name: BUDGET["shape"][shape.name]["units"] for shape in SHAPES}


def total(units: Mapping[str, float]) -> float:
    """USD for a million messages."""
    return sum(usd(units).values())


def toml(counted: Mapping[str, Counted], a_minute: Units) -> str:
    """The budget file's part that is counted."""
    metrics = {metric for it in counted.values() for metric in it.metrics}
    lines = ["[counted]", f"custom_metrics = {len(metrics)}", "", "[minute]", *_units(a_minute)]
    for name, it in counted.items():
        lines += ["", f"[shape.{name}]", f"usd = {total(it.units):.2f}"]
        lines += ["", f"[shape.{name}.units]", *_units(it.units)]
    return "\n".join(lines) + "\n"


def _units(units: Units) -> list[str]:
    return [f"{name} = {amount:.6g}" for name, amount in units.items() if amount]


def per_million(units_by_shape: Mapping[str, Units], table: str) -> str:
    """A table of USD for a million messages of its shapes: a row for each line of the bill."""
    shapes = _shapes(table)
    bills = [usd(units_by_shape[shape.name]) for shape in shapes]
    rows = [["USD for a million messages", *(shape.title for shape in shapes)]]
    rows += [
        [line, *(f"{sum(bill.get(name, 0.0) for name in names):.2f}" for bill in bills)]
        for line, names in _LINES
    ]
    rows.append(["**together**", *(f"**{sum(bill.values()):.2f}**" for bill in bills)])
    return _table(rows)


def counts(units_by_shape: Mapping[str, Units], table: str) -> str:
    """A table of what one message is billed for: calls and units."""
    shapes = _shapes(table)
    rows = [["billed for one message", *(shape.title for shape in shapes), "USD a million"]]
    for name, price in PRICES["million"].items():
        amounts = [units_by_shape[shape.name].get(name, 0.0) for shape in shapes]
        if any(amounts):
            rows.append([_words(name), *(f"{amount:.4g}" for amount in amounts), f"{price:.3f}"])
    return _table(rows)


def _words(name: str) -> str:
    words = name.replace("_", " ")
    for plain, proper in _NAMES.items():
        words = words.replace(plain, proper)
    return words


def kept(units: Mapping[str, float], days: int) -> float:
    """USD for a million messages kept for so many days, with point-in-time recovery."""
    prices = PRICES["month"]
    a_gb = prices["dynamodb_gb"] + prices["dynamodb_restorable_gb"]
    months = days * 86_400 / PRICES["idle"]["seconds_of_a_month"]
    return float(units["kept_gb"] * MILLION * a_gb * months)


def month(bill: Mapping[str, float]) -> str:
    """A table of USD a month."""
    rows = [["paid each month", "USD"]]
    rows += [[what, f"{amount:.2f}"] for what, amount in bill.items()]
    rows.append(["**together**", f"**{sum(bill.values()):.2f}**"])
    return _table(rows)


def _shapes(table: str) -> list[Shape]:
    return [shape for shape in SHAPES if shape.table == table]


def _table(rows: Iterable[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
