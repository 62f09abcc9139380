"""A callback URL for who has none yet: each report that arrives there becomes a line to read.

The reports are in the form of docs' Zoug dialect: type 1, type 2, a reply (MO), a batch's list.
"""

from typing import Any
from urllib.parse import parse_qsl

import msgspec


def report_of(query: str, body: bytes) -> object:
    """What a callback carries: its JSON body, else its query string's fields, else its text."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        pass
    return dict(parse_qsl(query, keep_blank_values=True)) or body.decode(errors="replace")


def described(report: object) -> str:
    """One line for the terminal. A reply's number is cut to its end and its text left out: the
    line may end up in a journal."""
    if not isinstance(report, dict):
        return "<- something that is no report"
    if isinstance(report.get("list"), list):
        return _batch(report)
    if "short_message" in report:
        return _line("reply", f"from ...{_field(report, 'source_addr')[-4:]}", report, "message_id")
    kind = _field(report, "type")
    if kind not in ("1", "2"):
        return "<- something that is no report"
    stat = _field(report, "stat" if kind == "1" else "report_stat")
    err = f"  err {_field(report, 'err')}" if kind == "2" else ""
    return _line(f"report type {kind}", f"stat {stat}{err}", report, "message_id")


def _batch(report: dict[str, Any]) -> str:
    entries = [entry for entry in report["list"] if isinstance(entry, dict)]
    refused = sum(entry.get("error") is True for entry in entries)
    counts = f"{len(entries)} messages, {refused} refused"
    return _line("batch", counts, report, "batchId")


def _line(what: str, detail: str, report: dict[str, Any], field: str) -> str:
    named = "batch" if field == "batchId" else "message"
    return f"<- {what:<14} {detail:<24} {named} {_field(report, field)}"


def _field(report: dict[str, Any], name: str) -> str:
    """A field's text, without what could play tricks on a terminal."""
    return "".join(c for c in str(report.get(name, "")) if c.isprintable())[:60]
