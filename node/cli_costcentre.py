"""`recado costcentre`: the customers, their switches and their passwords."""

from typing import Annotated, Any

import typer

from node.cli_ask import DEFAULT_DATA, JsonOption, TargetOption, ask
from node.cli_print import shown, table
from node.cli_secrets import secret_option
from recado.amounts import amount_of

app = typer.Typer(help="Cost centres: the customers.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="Its id, login, SMPP system_id or name.")]
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
SendsBy = Annotated[
    str | None, typer.Option(help="The ways by which it may send: http,smpp, http or smpp.")
]
ReportsBy = Annotated[
    str | None,
    typer.Option(
        help="Where its reports and replies go: origin (the way their message came), http or smpp."
    ),
]
SmppBinds = Annotated[int | None, typer.Option(help="How many SMPP binds it may have at once.")]
SmppWindow = Annotated[
    int | None, typer.Option(help="PDUs without an answer that it may have, and that we send it.")
]
SmppAlphabet = Annotated[
    str | None, typer.Option(help="What its data_coding 0 means: gsm or latin1.")
]
SmppAddresses = Annotated[
    str | None,
    typer.Option(help="From where it may bind: 192.0.2.7,198.51.100.0/24, for example; any."),
]


_LISTS = {"reports": "none", "sends_by": "none", "smpp_addresses": "any"}  # what an empty one is


def _switches(**given: Any) -> dict[str, Any]:
    """The settings that were named; lists as they are kept."""
    named = {name: value for name, value in given.items() if value is not None}
    for name, empty in _LISTS.items():
        if name in named:
            text = named[name].strip().lower()
            named[name] = [] if text == empty else [each.strip() for each in text.split(",")]
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
        str | None,
        typer.Option(
            callback=secret_option,
            help="One that exists already; random if none is given. @FILE: the one line of a file"
            " (one that begins with @ is written @@). -: asked for, unseen.",
        ),
    ] = None,
    smpp_system_id: Annotated[
        str | None,
        typer.Option(help="Its login for SMPP, 15 characters; made up if unsaid."),
    ] = None,
    smpp_password: Annotated[
        str | None,
        typer.Option(
            callback=secret_option,
            help="The password for it, 8 characters; random if unsaid. @FILE, - as above.",
        ),
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
    sends_by: SendsBy = None,
    reports_by: ReportsBy = None,
    smpp_binds: SmppBinds = None,
    smpp_window: SmppWindow = None,
    smpp_alphabet: SmppAlphabet = None,
    smpp_addresses: SmppAddresses = None,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new cost centre. Its passwords are printed this once.

    Login and password open Zoug's API; Directcall's API calls the same two client_id and
    client_secret. smpp_system_id and smpp_password are what it binds with. A customer that moves
    brings its own: --login, --password, --smpp-system-id, --smpp-password."""
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
        sends_by=sends_by,
        reports_by=reports_by,
        smpp_binds=smpp_binds,
        smpp_window=smpp_window,
        smpp_alphabet=smpp_alphabet,
        smpp_addresses=smpp_addresses,
    )
    arguments = {
        "name": name,
        "login": login,
        "password": password,
        "sign": sign,
        "smpp_system_id": smpp_system_id,
        "smpp_password": smpp_password,
    }
    shown(ask(target, "costcentre_create", **arguments, **switches), as_json)


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
    sends_by: SendsBy = None,
    reports_by: ReportsBy = None,
    smpp_binds: SmppBinds = None,
    smpp_window: SmppWindow = None,
    smpp_alphabet: SmppAlphabet = None,
    smpp_addresses: SmppAddresses = None,
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
        sends_by=sends_by,
        reports_by=reports_by,
        smpp_binds=smpp_binds,
        smpp_window=smpp_window,
        smpp_alphabet=smpp_alphabet,
        smpp_addresses=smpp_addresses,
    )
    shown(ask(target, "costcentre_update", which=which, **switches), as_json)


@app.command()
def rotate(
    which: Which,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, help="How long the old password still opens.")
    ] = 24.0,
    smpp: Annotated[
        bool, typer.Option("--smpp", help="That of SMPP; with a system_id, if it has none yet.")
    ] = False,
    target: TargetOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """A new password, printed this once. It is the client_secret of Directcall's API, too; access
    tokens end with the password that they were given for. That of SMPP is another one."""
    overlap = overlap_hours * 3600
    result = ask(target, "costcentre_rotate", which=which, overlap=overlap, smpp=smpp)
    shown(result, as_json)


@app.command()
def suspend(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Refuse its requests from now on."""
    shown(ask(target, "costcentre_suspend", which=which), as_json)


@app.command()
def resume(which: Which, target: TargetOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Take its requests again."""
    shown(ask(target, "costcentre_resume", which=which), as_json)
