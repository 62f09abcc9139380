"""Directcall's /sms/send: what a request asks for.

The seed document says what the parameters are; the rule of 140 characters, the 700, the numbers
abroad and `campos[...]` are from Directcall's pages on the single send. What no page says is marked
"not in the document" here and in docs/directcall-api.md.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from recado import esme
from recado.costcentre import CostCentre, zone
from recado.dialects import Ask, Wish
from recado.dialects.directcall_callbacks import MAX_TOLD
from recado.dialects.directcall_forms import Form
from recado.errors import Refused
from recado.numbers import KEPT_BAD, Found, Numbering, NumberProblem, number_of, numbers_in
from recado.recipients import sized
from recado.submission import Refusal

MAX_WISHES = 400  # recipients that are told about one by one; more are a list
MAX_TEXT = 700
CHARACTERS = 140  # "Um SMS pode ter até 140 caracteres"
BRASILIA = "America/Sao_Paulo"

# Not in the document.
_MAX_SOURCE = 20
_MAX_KEPT, _MAX_KEPT_NAME, _MAX_KEPT_VALUE = 20, 40, 200
_MAX_KEY = 255
_BREATH = 2_000  # numbers between two breaths: about 5 ms

# Not kept as campos. Credentials that stray into a request must not come back in its reports.
_KNOWN = frozenset(
    ("access_token", "client_id", "client_secret", "cron", "destino", "destino_csv", "format")
) | frozenset(("formato", "id_origem", "origem", "short_number", "texto", "tipo"))


class Order(Struct, frozen=True):
    """A request to send, understood. How many numbers came again, how many things are no number,
    and of the first thousand of those the line (of `destino`: the place), from 1, and what stands
    there."""

    ask: Ask
    duplicates: int = 0
    bad_count: int = 0
    bad: list[tuple[int, str]] = []


def refuse(field: str, reason: str, code: str, detail: str = "") -> Refused:
    """A refusal of a field by Directcall's own name. Its detail, if any, is Portuguese."""
    return Refused(Refusal(field, reason, code, detail))


def send_order(form: Form, cost_centre: CostCentre, breathe: Callable[[], None]) -> Order:
    """What a request to /sms/send asks. Calls `breathe` between stretches of a long list. Raises
    Refused, and refuses a request whole only for what all its recipients share, or where it has
    no recipient at all."""
    if form.problem is not None:
        raise Refused(form.problem)
    fields = form.fields
    source = _source(fields)
    voice = _choice(fields, "tipo", ("texto", "voz")) == "voz"
    # Not in the document: of a voice message nothing is said but its text.
    shown = source if _is_yes(fields, "id_origem") and not voice else ""
    short = _is_yes(fields, "short_number")
    written = _text(fields)
    text = f"{shown} {written}" if shown else written
    made = sized(text, cost_centre, voice=voice)
    if made.refusal is not None:
        raise Refused(made.refusal)
    send_at, kept, key = _cron(fields), _kept(fields), _idempotency_key(form)
    numbering = Numbering(
        plus=True,
        trunk_zero=True,
        # The switch is about texts: "voz" is "Torpedo de Voz para telefonia fixa".
        fixed_lines=voice or cost_centre.fixed_lines is not False,
        abroad=cost_centre.international,
    )
    found = _recipients(form, numbering, breathe)
    few = len(found.numbers) <= MAX_WISHES
    wishes = _wishes(found.wishes, text) if few else ()
    ask = Ask(
        wishes=wishes,
        batch=not few or len(wishes) > 1 or bool(found.duplicates or found.bad_count),
        numbering=numbering,
        numbers=() if few else list(found.numbers),
        text="" if few else text,
        units=1 if voice else -(-len(written + shown) // CHARACTERS),
        voice=voice,
        # Not in the document: what a short number shows in place of origem. Here: the upstream's.
        source="" if short else source,
        fields=kept,
        send_at=send_at,
        idempotency_key=key,
    )
    return Order(ask, found.duplicates, found.bad_count, found.bad)


def _wishes(numbers: Sequence[str], text: str) -> tuple[Wish, ...]:
    """One each. Its place in the request is a message's reference: its reports then have its
    id_mensagem."""
    return tuple(Wish(to, text, str(n) if n < MAX_TOLD else None) for n, to in enumerate(numbers))


# --- parameters ----------------------------------------------------------------------------------


def _source(fields: dict[str, str]) -> str:
    """ "Número de quem esta enviando o SMS". Not in the document: a word is taken as well."""
    source = fields.get("origem")
    if source is None:
        raise refuse("origem", "missing", esme.RINVOPTPARAMVAL)
    source = source.strip()
    if not source:
        raise refuse("origem", "empty", esme.RINVOPTPARAMVAL)
    if len(source) > _MAX_SOURCE:
        raise refuse("origem", "long", esme.RINVOPTPARAMVAL, f"passa de {_MAX_SOURCE} caracteres")
    if not source.isprintable():
        raise refuse("origem", "invalid", esme.RINVOPTPARAMVAL)
    return source


def _text(fields: dict[str, str]) -> str:
    text = fields.get("texto")
    if text is None:
        raise refuse("texto", "missing", esme.RINVMSGLEN)
    if not text.strip():
        raise refuse("texto", "empty", esme.RINVMSGLEN)
    if len(text) > MAX_TEXT:
        raise refuse("texto", "long", esme.RINVMSGLEN, f"passa de {MAX_TEXT} caracteres")
    return text


def _choice(fields: dict[str, str], name: str, choices: tuple[str, str]) -> str:
    """One of two words in any case; empty or missing means the first."""
    value = fields.get(name, "").strip().lower() or choices[0]
    if value not in choices:
        detail = f"deve ser {choices[0]} ou {choices[1]}"
        raise refuse(name, "invalid", esme.RINVOPTPARAMVAL, detail)
    return value


def _is_yes(fields: dict[str, str], name: str) -> bool:
    return _choice(fields, name, ("n", "s")) == "s"


_date = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4})-(\d{1,2})-(\d{1,2})-(\d{1,2})", re.ASCII).fullmatch


def _cron(fields: dict[str, str]) -> float | None:
    """ "<dia-mes-ano-hora-minuto-segundo>", in Brasília's time whatever the cost centre's is: the
    document names no time zone. Empty means now."""
    value = fields.get("cron", "").strip()
    if not value:
        return None
    parts = _date(value)
    try:
        if parts is None:
            raise ValueError(value)
        day, month, year, hour, minute, second = map(int, parts.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=zone(BRASILIA)).timestamp()
    except (ValueError, OverflowError) as error:
        detail = "deve ser uma data no formato dia-mes-ano-hora-minuto-segundo"
        raise refuse("cron", "type", esme.RINVSCHED, detail) from error


def _kept(fields: dict[str, str]) -> dict[str, str]:
    """`campos[chave]=valor`, and every parameter that nobody knows."""
    kept: dict[str, str] = {}
    for key, value in fields.items():
        if key in _KNOWN:
            continue
        name = key[7:-1] if key.startswith("campos[") and key.endswith("]") else key
        if not 0 < len(name) <= _MAX_KEPT_NAME:
            detail = f"o nome de um campo tem de 1 a {_MAX_KEPT_NAME} caracteres"
            raise refuse(key[:_MAX_KEPT_NAME], "long", esme.RINVOPTPARAMVAL, detail)
        if len(value) > _MAX_KEPT_VALUE:
            detail = f"passa de {_MAX_KEPT_VALUE} caracteres"
            raise refuse(name, "long", esme.RINVOPTPARAMVAL, detail)
        kept[name] = value
        if len(kept) > _MAX_KEPT:
            detail = f"há mais de {_MAX_KEPT} campos"
            raise refuse(name, "long", esme.RINVOPTPARAMVAL, detail)
    return kept


def _idempotency_key(form: Form) -> str | None:
    """Not in the document: the header that our own extension of both dialects reads."""
    key = form.request.headers.get("idempotency-key")
    if key is None or 0 < len(key) <= _MAX_KEY:
        return key
    detail = f"deve ter de 1 a {_MAX_KEY} caracteres"
    raise refuse("idempotency-key", "type", esme.RINVOPTPARAMVAL, detail)


# --- recipients ----------------------------------------------------------------------------------


class _Found(Struct):
    """A request's recipients: the numbers, each once, and how they are told about one by one."""

    numbers: dict[str, None] = {}
    wishes: list[str] = []
    duplicates: int = 0
    bad_count: int = 0
    bad: list[tuple[int, str]] = []
    problem: str = NumberProblem.INVALID  # of the last that is no number


def _recipients(form: Form, numbering: Numbering, breathe: Callable[[], None]) -> _Found:
    """The numbers of `destino` and of `destino_csv` together. Raises Refused where none is."""
    listed = form.lists.get("destino") or [form.fields.get("destino", "")]
    parts = (value.replace(";", " ").replace(",", " ").split() for value in listed)
    written = [one for some in parts for one in some]
    found = _one_by_one(written, numbering, breathe)
    table = _table(form)
    if table:
        _add_table(found, table, numbering, breathe)
    if found.numbers:
        return found
    if not written and not table:
        given = {"destino", "destino_csv"} & (form.fields.keys() | form.files.keys())
        raise refuse("destino", "empty" if given else "missing", esme.RINVDSTADR)
    if len(written) == 1 and not table:
        raise refuse("destino", found.problem, esme.RINVDSTADR)
    raise refuse("destino", "invalid", esme.RINVDSTADR, "nenhum número válido")


def _one_by_one(written: list[str], numbering: Numbering, breathe: Callable[[], None]) -> _Found:
    """What stands in `destino`: what is no number of it is a recipient too, as long as it is told
    about, and `accept` refuses that."""
    found = _Found()
    told = len(written) <= MAX_WISHES
    for place, one in enumerate(written, 1):
        number = number_of(one, numbering)
        if isinstance(number, NumberProblem):
            found.problem = number.value
            found.bad_count += 1
            if found.bad_count <= KEPT_BAD:
                found.bad.append((place, one))
            if told:
                found.wishes.append(one)
        elif number in found.numbers:
            found.duplicates += 1
        else:
            found.numbers[number] = None
            found.wishes.append(one)
        if place % _BREATH == 0:
            breathe()
    return found


def _table(form: Form) -> str:
    """ "Deve conter o Arquivo CSV com os números de destino". Not in the document: the same as a
    field without a file's name. Only digits count, so that its encoding does not matter."""
    columns = [form.files["destino_csv"].decode("latin-1")] if "destino_csv" in form.files else []
    columns += form.lists.get("destino_csv") or [form.fields.get("destino_csv", "")]
    return "\n".join(column for column in columns if column.strip())


def _add_table(
    found: _Found, table: str, numbering: Numbering, breathe: Callable[[], None]
) -> None:
    listed = Found()
    for listed in numbers_in(table, numbering):  # noqa: B007 - the last one is whole
        breathe()
    before = len(found.numbers)
    found.numbers.update(listed.numbers)
    new = len(found.numbers) - before
    found.duplicates += listed.duplicates + len(listed.numbers) - new
    found.bad_count += listed.bad_count
    found.bad += listed.bad
    if len(found.numbers) <= MAX_WISHES:
        found.wishes += list(found.numbers)[before:]
