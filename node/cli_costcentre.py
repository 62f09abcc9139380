"""`recado costcentre`: the customers, their switches and their passwords."""

from typing import Annotated, Any

import typer

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask
from node.cli_print import shown, table
from recado.amounts import amount_of

app = typer.Typer(help="Cost centres: the customers.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="Its id, login or name.")]
CallbackUrl = Annotated[str | None, typer.Option(help="Where reports and replies go.")]
CallbackMethod = Annotated[str | None, typer.Option(help="POST or GET.")]
CallbackGetForm = Annotated[
    str | None, typer.Option(help="What a GET callback carries: both, body or query.")
]
Reports = Annotated[str | None, typer.Option(help="Which report types it wants: 1,2, 1, 2, none.")]
TimeZone = Annotated[str | None, typer.Option(help="For the dates in reports.")]
Validity = Annotated[int | None, typer.Option(help="Seconds until a message is EXPIRED.")]
StrictNumbers = Annotated[bool | None, typer.Option(help="Refuse a leading +.")]
FixedLines = Annotated[
    bool | None,
    typer.Option(help="Try texts to fixed lines. As its API has it (Directcall's does) if unsaid."),
]
International = Annotated[
    bool | None, typer.Option(help="Take 00 and another country's number (Directcall's API).")
]
ReplaceAccents = Annotated[
    bool | None, typer.Option(help="Send what GSM-7 lacks without its accent.")
]
MaxSegments = Annotated[int | None, typer.Option(help="The longest text, in segments.")]
PerSecond = Annotated[int | None, typer.Option(help="Requests a second; 0: unlimited.")]
DailyQuota = Annotated[int | None, typer.Option(help="Segments a day; 0: unlimited.")]
Prepaid = Annotated[bool | None, typer.Option(help="Charge in advance; refuse without balance.")]
Price = Annotated[str | None, typer.Option(help="Of an SMS: 0.085, for example.")]
VoicePrice = Annotated[str | None, typer.Option(help="Of a voice message.")]
LowBalance = Annotated[
    str | None, typer.Option(help="Tell it when its balance falls below; 0: never.")
]
Currency = Annotated[str | None, typer.Option(help="What its prices are in: BRL, for example.")]
TokenSeconds = Annotated[
    int | None, typer.Option(help="How long an access token opens (Directcall's API).")
]
ImpedimentsOk = Annotated[bool | None, typer.Option(help="Answer impediments with HTTP 200.")]


def _switches(**given: Any) -> dict[str, Any]:
    """The settings that were named; reports as the list that they are kept as."""
    named = {name: value for name, value in given.items() if value is not None}
    if "reports" in named:
        kinds = named["reports"].lower()
        named["reports"] = [] if kinds == "none" else [k.strip() for k in kinds.split(",")]
    if "callback_method" in named:
        named["callback_method"] = named["callback_method"].upper()
    for name in ("price", "voice_price", "low_balance"):
        if name in named:
            named[name] = amount_of(named[name], name)
    return named


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What it is called.")],
    login: Annotated[str | None, typer.Option(help="Made up if none is given.")] = None,
    password: Annotated[
        str | None, typer.Option(help="One that exists already; random if none is given.")
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign callbacks (Standard Webhooks).")
    ] = False,
    callback_url: CallbackUrl = None,
    callback_method: CallbackMethod = None,
    callback_get_form: CallbackGetForm = None,
    reports: Reports = None,
    time_zone: TimeZone = None,
    validity: Validity = None,
    strict_numbers: StrictNumbers = None,
    fixed_lines: FixedLines = None,
    international: International = None,
    replace_accents: ReplaceAccents = None,
    max_segments: MaxSegments = None,
    per_second: PerSecond = None,
    daily_quota: DailyQuota = None,
    prepaid: Prepaid = None,
    price: Price = None,
    voice_price: VoicePrice = None,
    low_balance: LowBalance = None,
    currency: Currency = None,
    token_seconds: TokenSeconds = None,
    impediments_ok: ImpedimentsOk = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new cost centre. Its password is printed this once.

    Login and password open Zoug's API; Directcall's API calls the same two client_id and
    client_secret. A customer that moves brings its own with --login and --password."""
    switches = _switches(
        callback_url=callback_url,
        callback_method=callback_method,
        callback_get_form=callback_get_form,
        reports=reports,
        time_zone=time_zone,
        validity=validity,
        strict_numbers=strict_numbers,
        fixed_lines=fixed_lines,
        international=international,
        replace_accents=replace_accents,
        max_segments=max_segments,
        per_second=per_second,
        daily_quota=daily_quota,
        prepaid=prepaid,
        price=price,
        voice_price=voice_price,
        low_balance=low_balance,
        currency=currency,
        token_seconds=token_seconds,
        impediments_ok=impediments_ok,
    )
    arguments = {"name": name, "login": login, "password": password, "sign": sign, **switches}
    shown(ask(target, "costcentre_create", **arguments), as_json)


@app.command("list")
def list_all(target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every cost centre."""
    columns = ("id", "name", "login", "suspended", "callbacks", "callback_url")
    table(ask(target, "costcentre_list"), as_json, columns)


@app.command()
def show(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """One cost centre with all its settings."""
    shown(ask(target, "costcentre_show", which=which), as_json)


@app.command()
def update(
    which: Which,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    callback_url: CallbackUrl = None,
    callback_method: CallbackMethod = None,
    callback_get_form: CallbackGetForm = None,
    reports: Reports = None,
    time_zone: TimeZone = None,
    validity: Validity = None,
    strict_numbers: StrictNumbers = None,
    fixed_lines: FixedLines = None,
    international: International = None,
    replace_accents: ReplaceAccents = None,
    max_segments: MaxSegments = None,
    per_second: PerSecond = None,
    daily_quota: DailyQuota = None,
    prepaid: Prepaid = None,
    price: Price = None,
    voice_price: VoicePrice = None,
    low_balance: LowBalance = None,
    currency: Currency = None,
    token_seconds: TokenSeconds = None,
    impediments_ok: ImpedimentsOk = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Change settings. A callback URL, also the same again, opens an endpoint that was parked."""
    switches = _switches(
        name=name,
        callback_url=callback_url,
        callback_method=callback_method,
        callback_get_form=callback_get_form,
        reports=reports,
        time_zone=time_zone,
        validity=validity,
        strict_numbers=strict_numbers,
        fixed_lines=fixed_lines,
        international=international,
        replace_accents=replace_accents,
        max_segments=max_segments,
        per_second=per_second,
        daily_quota=daily_quota,
        prepaid=prepaid,
        price=price,
        voice_price=voice_price,
        low_balance=low_balance,
        currency=currency,
        token_seconds=token_seconds,
        impediments_ok=impediments_ok,
    )
    shown(ask(target, "costcentre_update", which=which, **switches), as_json)


@app.command()
def rotate(
    which: Which,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, help="How long the old password still opens.")
    ] = 24.0,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new password, printed this once. It is the client_secret of Directcall's API, too; access
    tokens end with the password that they were given for."""
    result = ask(target, "costcentre_rotate", which=which, overlap=overlap_hours * 3600)
    shown(result, as_json)


@app.command()
def suspend(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Refuse its requests from now on."""
    shown(ask(target, "costcentre_suspend", which=which), as_json)


@app.command()
def resume(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Take its requests again."""
    shown(ask(target, "costcentre_resume", which=which), as_json)
