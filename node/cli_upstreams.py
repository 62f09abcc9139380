"""`recado connector` and `recado route`: where messages go."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer import echo

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask
from node.cli_print import shown, table
from node.cli_secrets import ASKED, meant
from recado.errors import Invalid
from recado.upstreams import connector_kinds

connector_app = typer.Typer(
    help="Connectors: the upstreams that messages are handed to.", no_args_is_help=True
)
route_app = typer.Typer(
    help="Routes: which connector a message goes through.", no_args_is_help=True
)

ConnectorName = Annotated[str, typer.Argument(help="The connector's name.")]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        metavar="NAME=VALUE",
        help="Repeatable; `connector kinds` has all. NAME=@FILE: the one line of a file (a value"
        " that begins with @ is written @@). Of a secret NAME=-: asked for, unseen.",
    ),
]
CallbackBase = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where the upstream reaches this gateway; else RECADO_PUBLIC_BASE_URL or, on AWS,"
        " the parameter PublicBaseUrl or the output CallbackUrl, free of the API's price.",
    ),
]
Concurrency = Annotated[int | None, typer.Option(help="Messages in flight at once (50).")]
SubmitTimeout = Annotated[
    float | None, typer.Option(help="Seconds until a submit without answer is uncertain (10).")
]
AfterUncertain = Annotated[
    str | None, typer.Option(help="resend (the default), or report UNKNOWN to the customer.")
]
RouteName = Annotated[str, typer.Argument(help="The route's name: routes are tried by name.")]
RouteUpstream = Annotated[str, typer.Option(help="The connector that its messages go through.")]
RouteCostCentre = Annotated[
    str, typer.Option(help="Only this one's messages: its id, login or name. Empty: anybody's.")
]
RoutePrefix = Annotated[
    str, typer.Option(help="Only numbers that begin so, such as 5534. Empty: all.")
]


_APART = frozenset({"settings", "binds"})  # what is no field of one line


def _pairs(given: Sequence[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in given or ()]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise Invalid("--setting", f"must be NAME=VALUE: {name}")
    return {name: value for name, _, value in pairs}


def _settings(given: Sequence[str] | None, kind: Callable[[], str]) -> dict[str, str]:
    """What is meant by what was given, to a connector of that kind."""
    pairs = _pairs(given)
    asked = kind() if ASKED in pairs.values() else None
    secrets = {
        row["setting"] for row in connector_kinds() if row["secret"] and row["kind"] == asked
    }
    return {name: meant(name, value, secret=name in secrets) for name, value in pairs.items()}


def _given(**options: Any) -> dict[str, Any]:
    """The options that were named."""
    return {name: value for name, value in options.items() if value is not None}


def _connector(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        shown(found, as_json)
        return
    settings = {f"setting {name}": value for name, value in found.get("settings", {}).items()}
    shown({**{k: v for k, v in found.items() if k not in _APART}, **settings}, as_json)
    if found.get("binds"):
        echo()
        table(found["binds"], as_json, tuple(found["binds"][0]))


@connector_app.command("kinds")
def kinds(as_json: JsonOption = False) -> None:
    """The kinds of upstream that there are, and the settings of each."""
    table(connector_kinds(), as_json, ("kind", "setting", "needed", "secret", "meaning"))


@connector_app.command("add")
def connector_add(
    name: ConnectorName,
    kind: Annotated[str, typer.Option(help="One of `connector kinds`.")],
    setting: SettingOption = None,
    callback_base: CallbackBase = None,
    concurrency: Concurrency = None,
    submit_timeout: SubmitTimeout = None,
    after_uncertain: AfterUncertain = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new connector. Prints the callback URL to give to the upstream, if it is of a kind that
    calls; it holds a secret. Settings that are secrets themselves are never shown again."""
    options = _given(
        callback_base=callback_base,
        concurrency=concurrency,
        submit_timeout=submit_timeout,
        after_uncertain=after_uncertain,
    )
    settings = _settings(setting, lambda: kind)
    made = ask(target, "connector_add", name=name, kind=kind, settings=settings, **options)
    _connector(made, as_json)


@connector_app.command("list")
def connector_list(target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every connector, and the routes that lead to it."""
    limits = ("concurrency", "submit_timeout", "after_uncertain")
    columns = ("name", "kind", "paused", *limits, "routes")
    table(ask(target, "connector_list"), as_json, columns)


@connector_app.command("show")
def connector_show(
    name: ConnectorName,
    secrets: Annotated[bool, typer.Option("--secrets", help="The callback URL whole.")] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """One connector with its settings, and its binds where a gateway that runs here holds them."""
    _connector(ask(target, "connector_show", name=name, secrets=secrets), as_json)


@connector_app.command("update")
def connector_update(
    name: ConnectorName,
    setting: SettingOption = None,
    callback_base: CallbackBase = None,
    concurrency: Concurrency = None,
    submit_timeout: SubmitTimeout = None,
    after_uncertain: AfterUncertain = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Change what is named; NAME= takes a setting away. The callback's secret stays."""
    options = _given(
        callback_base=callback_base,
        concurrency=concurrency,
        submit_timeout=submit_timeout,
        after_uncertain=after_uncertain,
    )
    settings = _settings(setting, lambda: str(ask(target, "connector_show", name=name)["kind"]))
    changed = ask(target, "connector_update", name=name, settings=settings, **options)
    _connector(changed, as_json)


@connector_app.command("pause")
def connector_pause(
    name: ConnectorName, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Hand it nothing more: what is routed to it waits. Receipts and replies still come."""
    _connector(ask(target, "connector_pause", name=name), as_json)


@connector_app.command("resume")
def connector_resume(
    name: ConnectorName, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Hand it messages again."""
    _connector(ask(target, "connector_resume", name=name), as_json)


@connector_app.command("test")
def connector_test(
    name: ConnectorName, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Whether it is there; nothing is sent through it. An SMSC is asked over the binds of the
    gateway that runs here; where none runs, by one bind that ends at once."""
    _connector(ask(target, "connector_test", name=name), as_json)


@connector_app.command("remove")
def connector_remove(
    name: ConnectorName, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Forget a connector that no route leads to. Receipts that still come for it are refused:
    take the routes away first, and wait until the last ones are in."""
    shown(ask(target, "connector_remove", name=name), as_json)


def _routes(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if not as_json:
        rows = [
            {
                **row,
                "cost_centre": row["cost_centre_name"] or row["cost_centre"] or "any",
                "prefix": row["prefix"] or "all",
            }
            for row in rows
        ]
    table(rows, as_json, ("name", "cost_centre", "prefix", "upstream"))


@route_app.command("add")
def route_add(
    name: RouteName,
    upstream: RouteUpstream,
    cost_centre: RouteCostCentre = "",
    prefix: RoutePrefix = "",
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new route. The first one that matches takes a message; they are tried by name."""
    arguments = {"upstream": upstream, "cost_centre": cost_centre, "prefix": prefix}
    shown(ask(target, "route_add", name=name, **arguments), as_json)


@route_app.command("list")
def route_list(target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every route, in the order in which they are tried."""
    _routes(ask(target, "route_list"), as_json)


@route_app.command("test")
def route_test(
    number: Annotated[str, typer.Argument(help="The number that a message would go to.")],
    cost_centre: Annotated[
        str,
        typer.Option(help="This one's: its id, login or name. Empty: one that no route names."),
    ] = "",
    voice: Annotated[bool, typer.Option("--voice", help="To be spoken.")] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Which route and connector a message would take, or that none does. Nothing is sent."""
    arguments = {"number": number, "cost_centre": cost_centre, "voice": voice}
    found = ask(target, "route_test", **arguments)
    if not as_json and found["route"] is None:
        echo(f"no route takes {found['number']}")
    else:
        shown(found, as_json)


@route_app.command("update")
def route_update(
    name: RouteName,
    upstream: Annotated[str | None, typer.Option(help="Another connector.")] = None,
    cost_centre: Annotated[
        str | None, typer.Option(help="Another one's messages; empty: anybody's.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="Another prefix; empty: all numbers.")] = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Change what is named."""
    changes = _given(upstream=upstream, cost_centre=cost_centre, prefix=prefix)
    shown(ask(target, "route_update", name=name, **changes), as_json)


@route_app.command("remove")
def route_remove(
    name: RouteName, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Forget a route. What it took goes by the others, and waits where there is none."""
    shown(ask(target, "route_remove", name=name), as_json)
