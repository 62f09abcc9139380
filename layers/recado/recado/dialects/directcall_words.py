"""Directcall's words: its codes, what is wrong with a request in Portuguese, its states' names."""

from collections.abc import Mapping
from types import MappingProxyType

from recado import esme
from recado.message import State
from recado.submission import Refusal

SENT = "000"

# "Códigos de retorno ou de erro": the published codes, by our reasons for a refusal. Which of them
# Directcall gives when is not in the document; so is the HTTP status, which is 200 for whatever its
# customer can mend.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "001",
        "empty": "001",
        "type": "001",
        "invalid": "001",
        "fixed_line": "001",
        "long": "001",
        "large": "001",
        "past": "001",
        "reused": "001",
        "method": "001",
        "no_voice": "002",
        "credentials": "006",
        "suspended": "006",
        "by_http": "006",
        "by_smpp": "006",
        "no_route": "007",
        "fault": "007",
        "busy": "007",
        "rate": "008",
        "quota": "008",
        "unknown": "010",
        "gone": "010",
        "balance": "201",
    }
)
_STATUS = {"fault": 500, "busy": 503, "no_route": 503, "large": 413, "method": 405}

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "parâmetro obrigatório não informado",
        "empty": "está vazio",
        "type": "não pôde ser lido",
        "invalid": "valor inválido",
        "fixed_line": "telefone fixo não recebe SMS",
        "long": "é longo demais",
        "large": "é grande demais",
        "past": "data no passado",
        "reused": "já foi usada em outra requisição",
        "method": "não é aceito neste endereço",
        "no_voice": "não há rota para torpedo de voz",
        "credentials": "inválido ou expirado",
        "suspended": "está suspensa",
        "by_http": "envia somente por SMPP",
        "by_smpp": "envia somente por HTTP",
        "no_route": "não há rota para este número",
        "fault": "falha nossa, tente de novo",
        "busy": "servidor ocupado, tente de novo",
        "rate": "limite por segundo excedido",
        "quota": "limite diário esgotado",
        "unknown": "inexistente",
        "gone": "inexistente ou previamente cancelado",
        "balance": "insuficiente",
    }
)

# What the core calls a field, in Directcall's names. The details of its refusals are English.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "destination": "destino",
        "text": "texto",
        "send_at": "cron",
        "login or password": "access_token",
        "authorization": "access_token",
        "cost centre": "conta",
        "rate": "requisições",
        "daily quota": "cota",
        "balance": "saldo",
        "message": "destino",
        "voice": "tipo",
        "id": "code",
        "batch": "code",
        "schedule": "code",
        "request": "requisição",
        "gateway": "servidor",
        "method": "método",
        "path": "endereço",
        "headers": "cabeçalhos",
        "Idempotency-Key": "chave de idempotência",
    }
)
_OURS = {"body": "corpo da requisição"}

STATES: Mapping[State, str] = MappingProxyType(
    {
        State.SCHEDULED: "AGENDADO",
        State.PAUSED: "PAUSADO",
        State.QUEUED: "NA FILA",
        State.SUBMITTING: "ENVIANDO",
        State.ENROUTE: "ENVIADO",
        State.ACCEPTED: "ENVIADO",
        State.DELIVERED: "ENTREGUE",
        State.UNDELIVERABLE: "NAO ENTREGUE",
        State.EXPIRED: "EXPIRADO",
        State.DELETED: "CANCELADO",
        State.REJECTED: "REJEITADO",
        State.UNKNOWN: "DESCONHECIDO",
        State.FAILED: "FALHOU",
    }
)


def code_of(refusal: Refusal) -> str:
    """The published code. An unknown address is a wrong parameter, not a wrong identifier."""
    return "001" if refusal.field == "path" else CODES.get(refusal.reason, "001")


def status_of(refusal: Refusal) -> int:
    """The HTTP status."""
    return 404 if refusal.field == "path" else _STATUS.get(refusal.reason, 200)


def told(refusal: Refusal) -> str:
    """A refusal as `msg` has it: the code, the field by Directcall's own name, and the problem."""
    if refusal.field == "message" and refusal.reason == "gone":
        return _line(refusal, "code", PROBLEMS["gone"])
    if refusal.field in NAMES:
        problem = PROBLEMS.get(refusal.reason, PROBLEMS["invalid"])
        return _line(refusal, NAMES[refusal.field], problem)
    name = _OURS.get(refusal.field, refusal.field)
    return _line(refusal, name, refusal.detail or PROBLEMS.get(refusal.reason, PROBLEMS["invalid"]))


def _line(refusal: Refusal, name: str, problem: str) -> str:
    return f"{code_of(refusal)} - {name}: {problem}"


def status_name(state: State) -> str:
    """Not in the document: what /sms/status and the callbacks call a message's state."""
    return STATES[state]


def stat_name(stat: str) -> str:
    """The same, of a report's own `stat`: a receipt's, or an ESME name."""
    return _BY_STAT.get(stat, STATES[State.UNKNOWN])


_BY_STAT = {stat: STATES[state] for state, stat in reversed(esme.RECEIPT_STAT.items())} | {
    esme.ROK: STATES[State.ENROUTE]
}
