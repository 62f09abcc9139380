"""Directcall's questions about an account: the replies to its messages, and its balance.

Its pages name /sms/recebimento with its four parameters. The older /sms/received and /extrato/saldo
are known from clients alone; what those leave open is marked "not in the document".
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from recado import esme
from recado.amounts import shown_amount
from recado.costcentre import CostCentre, zone
from recado.dialects import directcall
from recado.dialects.directcall import Form
from recado.errors import Refused
from recado.http import Answer
from recado.message import Reply
from recado.numbers import Numbering, NumberProblem, number_of
from recado.replies import is_whole
from recado.sms_query import fields_of
from recado.submission import Refusal
from recado.wiring import Deps

# Not in the document: what is meant where nothing is said, and how much may be asked for at once.
_DAY = 86_400.0
_ITEMS, _MOST_ITEMS = 50, 500
_LONGEST = 31 * _DAY
_MOST_PAGES = 100_000
_READ = 500  # replies at a time
_MOST_READ = 50_000  # for one answer
_FORMS = ("%Y-%m-%d %H:%M:%S", "%d-%m-%Y-%H-%M-%S")
_ANY_NUMBER = Numbering(plus=True, trunk_zero=True, fixed_lines=True, abroad=True)


def recebimento(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /sms/recebimento: the replies of a time, by date."""
    return directcall.answered(form, "recebimento", _listed(form, cost_centre, deps))


def received(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /sms/received, the older name: of one `destino`. Not in the document: whether that is
    who wrote or what was written to; here it is either."""
    return directcall.answered(form, "recebimento", _listed(form, cost_centre, deps))


def balance(form: Form, cost_centre: CostCentre, deps: Deps) -> Answer:
    """POST /extrato/saldo. Clients read //directcall/result/saldo."""
    amount = shown_amount(deps.engine.store.balance(cost_centre.id))
    result = {"moeda": cost_centre.currency, "saldo": amount}
    return directcall.answered(form, "saldo", "Saldo", result=result)


def _listed(form: Form, cost_centre: CostCentre, deps: Deps) -> list[dict[str, str]]:
    fields = fields_of(form)
    since, until = _range(fields, cost_centre, deps.clock())
    page = _amount(fields, "pagina", 1, _MOST_PAGES)
    items = _amount(fields, "itens_por_pagina", _ITEMS, _MOST_ITEMS)
    replies = _of(_number(fields), _replies(cost_centre.id, since, until, deps))
    asked = islice(replies, (page - 1) * items, page * items)
    return [directcall.received(reply, cost_centre) for reply in asked]


def _replies(cost_centre: str, since: float, until: float, deps: Deps) -> Iterator[Reply]:
    after, read = "", 0
    while listed := deps.engine.store.listed("reply", cost_centre, since, until, after, _READ):
        read += len(listed)
        if read > _MOST_READ:
            detail = "há respostas demais até esta página: peça um período menor"
            raise _refuse("data_fim", "long", detail)
        yield from (one for one in listed if isinstance(one, Reply) and is_whole(one))
        after = listed[-1].id
        deps.breathe()


def _of(number: str, replies: Iterator[Reply]) -> Iterator[Reply]:
    return (r for r in replies if not number or number in (r.source, r.destination))


# --- parameters ----------------------------------------------------------------------------------


def _refuse(field: str, reason: str, detail: str) -> Refused:
    return Refused(Refusal(field, reason, esme.RINVOPTPARAMVAL, detail))


def _range(fields: dict[str, str], cost_centre: CostCentre, now: float) -> tuple[float, float]:
    """Both seconds included; the last 24 hours where nothing is said."""
    end = _moment(fields, "data_fim", cost_centre)
    until = now if end is None else end + 0.999
    begin = _moment(fields, "data_inicio", cost_centre)
    since = until - _DAY if begin is None else begin
    if since > until:
        raise _refuse("data_fim", "invalid", "vem antes de data_inicio")
    if until - since > _LONGEST + 1:
        raise _refuse("data_fim", "long", f"o período passa de {_LONGEST // _DAY:.0f} dias")
    return since, until


def _moment(fields: dict[str, str], name: str, cost_centre: CostCentre) -> float | None:
    """A date in either of the two forms, in the cost centre's time zone."""
    written = fields.get(name, "").strip()
    if not written:
        return None
    for form in _FORMS:
        try:
            local = datetime.strptime(written, form).replace(tzinfo=zone(cost_centre.time_zone))
            return max(local.timestamp(), 0.0)
        except (ValueError, OverflowError):
            continue
    raise _refuse(name, "type", "deve ser uma data no formato Y-m-d H:i:s ou d-m-Y-H-i-s")


def _amount(fields: dict[str, str], name: str, default: int, most: int) -> int:
    written = fields.get(name, "").strip() or str(default)
    amount = int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0
    if not 1 <= amount <= most:
        raise _refuse(name, "invalid", f"deve ser um número de 1 a {most}")
    return amount


def _number(fields: dict[str, str]) -> str:
    """The number that `destino` names, or what else it may be: a short code has no country."""
    written = fields.get("destino", "").strip()
    number = number_of(written, _ANY_NUMBER)
    return written if isinstance(number, NumberProblem) else number
