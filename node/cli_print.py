"""What the commands print: JSON for programs, tables for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from node.up import Started

_console = Console(highlight=False, soft_wrap=True)


def shown(result: Mapping[str, Any], as_json: bool) -> None:
    """One thing, a line a field."""
    if as_json:
        _json(result)
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in result.items():
        grid.add_row(name, _plain(value))
    _console.print(grid)


def table(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    """Many things, a line each."""
    if as_json:
        _json(rows)
        return
    printed = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        printed.add_row(*(_plain(row[column]) for column in columns))
    _console.print(printed)


def message(record: Mapping[str, Any], as_json: bool) -> None:
    """A record with its history and the tries at its callbacks."""
    if as_json:
        _json(record)
        return
    lists = {name: record.get(name, []) for name in ("history", "reports")}
    shown({k: v for k, v in record.items() if k not in lists}, as_json=False)
    for event in lists["history"]:
        note = event.get("note", "")
        _console.print(f"  {_time(event['at'])}  {event['state']}  {note}", markup=False)
    for report in lists["reports"]:
        given = report.get("given_at")
        what = f"given {_time(given)}" if given else "owed" if report["owed"] else "given up"
        kind, stat = report["kind"], report.get("stat", "")
        _console.print(f"  report {kind}  {stat}  {what}", markup=False)
        for attempt in report.get("tries", []):
            status, note = attempt.get("status", 0), attempt.get("note", "")
            _console.print(f"    {_time(attempt['at'])}  {status or note}", markup=False)


def started(node: Started) -> None:
    """What a newcomer needs to see, and on the first start a line that works as it stands."""
    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    say(f"Recado listens on {node.url}, its data is in {node.data}/", markup=False)
    if node.simulator_url is None:
        return
    say(f"The upstream is a simulator ({node.simulator_url}): nothing is really sent.")
    if node.demo is None:
        return
    login, password = node.demo["login"], node.demo["password"]
    say("\nA demo cost centre was made; its password is shown this once. Try, elsewhere:\n")
    body = '{"destination_addr":"5534998887755","message":"Olá do Recado"}'
    say(
        f"  curl -u {login}:{password} {node.url}/message"
        f" -H 'content-type: application/json' -d '{body}'\n",
        markup=False,
    )
    say("Its two reports then show up here. A batch, and its callback:\n")
    batch = f'{{"list":[{body},{{"destination_addr":"553488556644","message":"Oi"}}]}}'
    say(
        f"  curl -u {login}:{password} {node.url}/message/batch"
        f" -H 'content-type: application/json' -d '{batch}'\n",
        markup=False,
    )
    say("Next: docs/zoug-api.md (the API), docs/simulator.md (numbers that misbehave),")
    say("`recado costcentre create --help` (a cost centre of your own). Ctrl-C ends it.")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(_plain, value)) or "none"
    return "" if value is None else str(value)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="milliseconds")


def _json(thing: Any) -> None:
    sys.stdout.write(json.dumps(thing, ensure_ascii=False) + "\n")
