"""`recado`: the gateway's command line.

Commands that read or change an installation run inside the node that has the data directory, if
one runs (node/control.py), and else on the directory itself; with --stack they run here, on the
tables and queues of a stack on AWS (node/stack.py).
"""

import os
import sqlite3
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from node import (
    cli_account,
    cli_bulk,
    cli_costcentre,
    cli_mailbox,
    cli_print,
    cli_schedule,
    cli_upstreams,
)
from node.cli_ask import DEFAULT_DATA, DataOption, JsonOption, OnAWS, TargetOption, ask, moment
from node.logs import log_to_stderr
from recado.errors import Invalid, Misconfigured, RecadoError
from recado.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
message_app = typer.Typer(help="What became of a message.", no_args_is_help=True)
queue_app = typer.Typer(help="Queues and their dead letters.", no_args_is_help=True)
app.add_typer(cli_costcentre.app, name="costcentre")
app.add_typer(cli_upstreams.connector_app, name="connector")
app.add_typer(cli_upstreams.route_app, name="route")
app.add_typer(cli_account.credit_app, name="credit")
app.command()(cli_account.usage)
app.add_typer(cli_schedule.app, name="schedule")
app.add_typer(cli_bulk.app, name="bulk")
app.add_typer(cli_mailbox.app, name="mailbox")
app.add_typer(message_app, name="message")
app.add_typer(queue_app, name="queue")
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
_ONE_MACHINE = frozenset({"up", "simulator", "backup", "restore"})


@app.callback()
def where(
    context: typer.Context,
    stack: Annotated[
        str | None,
        typer.Option(
            envvar="RECADO_STACK",
            help="Work on this stack on AWS, instead of a data directory, with your own"
            " credentials. Its functions see a change within a minute.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(envvar="AWS_REGION", help="The stack's; else the AWS profile's own."),
    ] = None,
) -> None:
    """Recado: an SMS gateway, in one process and one directory or on AWS."""
    if stack is None:
        source = context.get_parameter_source("region")
        if source is not None and source.name == "COMMANDLINE":
            raise Invalid("--region", "is that of a --stack: it needs one")
        return
    if context.invoked_subcommand in _ONE_MACHINE:
        command = context.invoked_subcommand
        raise Misconfigured(f"`{command}` is for one machine: it takes no --stack (RECADO_STACK)")
    if not stack.strip():
        raise Invalid("--stack", "names no stack")
    context.obj = OnAWS(stack, region)


@app.command()
def up(
    data: DataOption = Path("data"),
    host: Annotated[
        str, typer.Option(envvar="RECADO_HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    http_port: Annotated[
        int, typer.Option(envvar="RECADO_HTTP_PORT", min=0, max=65535, help="0: any free one.")
    ] = 8080,
    smpp_port: Annotated[
        int, typer.Option(envvar="RECADO_SMPP_PORT", min=0, max=65535, help="0: any free one.")
    ] = 1910,
    smpp_tls_port: Annotated[
        int | None,
        typer.Option(
            envvar="RECADO_SMPP_TLS_PORT", min=0, max=65535, help="Another one, with TLS."
        ),
    ] = None,
    smpp_tls_only: Annotated[
        bool,
        typer.Option(
            "--smpp-tls-only",
            envvar="RECADO_SMPP_TLS_ONLY",
            help="Listen on --smpp-tls-port alone, and not on --smpp-port.",
        ),
    ] = False,
    smpp: Annotated[
        bool, typer.Option(envvar="RECADO_SMPP", help="Take customers' binds, and bind to SMSCs.")
    ] = True,
    tls_certificate: Annotated[
        Path | None, typer.Option(envvar="RECADO_TLS_CERTIFICATE", help="PEM; with --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(envvar="RECADO_TLS_KEY", help="PEM.")] = None,
    fronts: Annotated[
        int,
        typer.Option(
            envvar="RECADO_FRONTS",
            min=0,
            max=1,
            help="1: a second process has the sockets to the world, and two cores are used.",
        ),
    ] = 0,
    simulator: Annotated[bool, typer.Option(help="Start a simulator beside the gateway.")] = True,
    simulator_url: Annotated[
        str | None, typer.Option(help="Use the simulator that runs there instead.")
    ] = None,
) -> None:
    """Run the gateway: front door, SMPP, workers, and one durable directory."""
    from node.smpp import Ports
    from node.up import UpSettings
    from node.up import up as run

    settings = read_settings(os.environ)
    log_to_stderr(settings.log_level, settings.log_format)
    ports = Ports(plain=None if smpp_tls_only else smpp_port, tls=smpp_tls_port)
    told = UpSettings(
        data=data,
        host=host,
        http_port=http_port,
        smpp=ports if smpp else None,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        fronts=fronts,
        simulator=simulator,
        simulator_url=simulator_url,
    )
    run(told, settings, cli_print.started)


@app.command()
def simulator(
    log: Annotated[Path, typer.Option(help="Its log of what it took, one JSON line each.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8090,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    receipt_delay: Annotated[
        float, typer.Option(min=0.0, help="Seconds from a submit to its receipt.")
    ] = 0.05,
    trust: Annotated[
        Path | None, typer.Option(help="The gateway's own certificate (PEM), where it has TLS.")
    ] = None,
    parent_pipe: Annotated[
        bool, typer.Option("--parent-pipe", help="End when standard input ends.")
    ] = False,
    announce: Annotated[
        bool, typer.Option("--announce", help="Print the port as JSON when listening.")
    ] = False,
) -> None:
    """Run an upstream that does not exist: it behaves by magic numbers (docs/simulator.md)."""
    from node.simulator import SimulatorSettings, run

    log_to_stderr("WARNING", read_settings(os.environ).log_format)
    settings = SimulatorSettings(
        host=host, port=port, log=log, receipt_delay=receipt_delay, trust=trust
    )
    try:
        run(settings, parent_pipe=parent_pipe, announce=announce)
    except OSError as error:
        fail(f"can't listen on {host}:{port}: {error.strerror}")


@app.command()
def send(
    cost_centre: Annotated[str, typer.Option(help="Its id, login or name.")],
    to: Annotated[str, typer.Option(help="The number to send to.")],
    text: Annotated[str, typer.Argument(help="The text.")],
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Send one message in a cost centre's name."""
    result = ask(target, "send_message", which=cost_centre, to=to, text=text)
    cli_print.shown(result, as_json)


@message_app.command("show")
def message_show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """State, history, and each try at a callback."""
    cli_print.message(ask(target, "message_show", identifier=identifier), as_json)


@app.command()
def replay(
    cost_centre: Annotated[str, typer.Option(help="Its id, login or name.")],
    since: Annotated[str, typer.Option(help="ISO 8601, or a while ago: 90s, 30m, 2h, 3d.")],
    until: Annotated[str | None, typer.Option(help="The same; now by default.")] = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Give every report and reply of a time range to the callback URL once more."""
    result = ask(
        target,
        "replay",
        which=cost_centre,
        since=moment(since),
        until=None if until is None else moment(until),
    )
    cli_print.shown(result, as_json)


@queue_app.command("list")
def queue_list(target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """What lies in each queue, and in its dead letters; on AWS these are estimates."""
    cli_print.table(ask(target, "queue_list"), as_json, ("queue", "ready", "delayed", "dead"))


@queue_app.command("redrive")
def queue_redrive(
    name: Annotated[str, typer.Argument(help="The queue whose dead letters go back on it.")],
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Put a queue's dead letters back on it."""
    cli_print.shown(ask(target, "queue_redrive", name=name), as_json)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Copy the data directory as it is at one instant; the gateway may be running."""
    from node.backup import backup as run

    run(data, target)
    cli_print.shown({"backup": str(target)}, as_json)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Make a data directory of a backup. The gateway must not be running on it."""
    from node.backup import restore as run

    run(source, data)
    cli_print.shown({"data": str(data)}, as_json)


def fail(problem: str) -> None:
    """One clear line, and exit status 1."""
    errors.print(f"recado: {problem}", style="red", markup=False)
    raise SystemExit(1)


def main() -> Any:
    """The entry point: what a person caused is told in one line, never as a stack trace."""
    os.umask(0o077)  # what we write holds numbers, texts and secrets
    try:
        app()
    except RecadoError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"the database failed: {error}")
    except msgspec.MsgspecError as error:
        fail(f"can't be read: {error}")


if __name__ == "__main__":
    main()
