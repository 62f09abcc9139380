"""What the commands print: JSON for programs, tables for people."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from typer import echo

from node.up import Started


def shown(result: Mapping[str, Any], as_json: bool) -> None:
    """One thing, a line a field."""
    if as_json:
        _json(result)
    else:
        _aligned([(name, _plain(value)) for name, value in result.items()])


def table(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    """Many things, a line each."""
    if as_json:
        _json(rows)
    else:
        _aligned([columns, *([_plain(row[column]) for column in columns] for row in rows)])


def _aligned(lines: Sequence[Sequence[str]]) -> None:
    """Columns in full, whatever the terminal's width: an id or a password is of no use cut short,
    and a program may read them."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(padded).rstrip())


def message(record: Mapping[str, Any], as_json: bool) -> None:
    """A record with its history and the tries at its callbacks."""
    if as_json:
        _json(record)
        return
    lists = {name: record.get(name, []) for name in ("history", "reports")}
    shown({k: v for k, v in record.items() if k not in lists}, as_json=False)
    for event in lists["history"]:
        note = event.get("note", "")
        echo(f"  {_time(event['at'])}  {event['state']}  {_plain(note)}".rstrip())
    for report in lists["reports"]:
        given = report.get("given_at")
        what = f"given {_time(given)}" if given else "owed" if report["owed"] else "given up"
        kind, stat = report["kind"], report.get("stat", "")
        echo(f"  report {kind}  {stat}  {what}")
        for attempt in report.get("tries", []):
            status, note = attempt.get("status", 0), attempt.get("note", "")
            echo(f"    {_time(attempt['at'])}  {status or _plain(note)}")


def started(node: Started) -> None:
    """What a newcomer needs to see, and on the first start a line that works as it stands."""
    say = partial(echo, err=True)
    smpp = "".join(
        f", by SMPP{' with TLS' if place else ''} on {address}"
        for place, address in enumerate(node.smpp)
    )
    say(f"Recado listens on {node.url}{smpp}; its data is in {node.data}/")
    if node.simulator_url is None:
        return
    say(f"The upstream is a simulator ({node.simulator_url}): nothing is really sent.")
    if node.demo is None:
        return
    login, password = node.demo["login"], node.demo["password"]
    say("\nA demo cost centre was made; its password is shown this once. Try, elsewhere:\n")
    body = '{"destination_addr":"5534998887755","message":"Olá do Recado"}'
    trust = f" --cacert {node.certificate}" if node.certificate else ""
    curl = f"  curl{trust} -u {login}:{password} {node.url}/message"
    say(f"{curl} -H 'content-type: application/json' -d '{body}'\n")
    if node.demo_told:
        say("Its two reports then show up here. A batch, and its callback:\n")
    else:
        say("Its reports don't show up here: callbacks to private addresses are refused, since")
        say("this listens not on loopback alone (RECADO_PRIVATE_CALLBACKS=true allows them).")
        say("A batch:\n")
    batch = f'{{"list":[{body},{{"destination_addr":"553488556644","message":"Oi"}}]}}'
    say(f"{curl}/batch -H 'content-type: application/json' -d '{batch}'\n")
    if node.smpp:
        host, _, port = node.smpp[0].rpartition(":")
        system_id, smpp_password = node.demo["smpp_system_id"], node.demo["smpp_password"]
        say("It may bind by SMPP, too, and then has its reports there (docs/smpp.md):\n")
        say(f"  host {host}, port {port}, system_id {system_id}, password {smpp_password}\n")
    say("Next: docs/zoug-api.md (the API), docs/simulator.md (numbers that misbehave),")
    say("`recado costcentre create --help` (a cost centre of your own). Ctrl-C ends it.")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value)) or "none"
    text = "" if value is None else str(value)
    # Texts are written by strangers, and must not play tricks on a terminal.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="milliseconds")


def _json(thing: Any) -> None:
    echo(json.dumps(thing, ensure_ascii=False))
