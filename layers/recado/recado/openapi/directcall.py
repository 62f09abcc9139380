"""Directcall's API in the document. docs/directcall-api.md tells it at length."""

from types import MappingProxyType

from recado.openapi import directcall_schemas
from recado.openapi.common import TOKEN_OR_BASIC
from recado.openapi.parts import (
    Fields,
    Json,
    answer,
    asked,
    content,
    either,
    examples,
    link,
    operation,
    parameter,
    ref,
    text,
)

TAG: Json = {
    "name": "Directcall",
    "description": "Directcall's HTTP API: a client of Directcall moves over by changing its host. "
    "Its parameters come urlencoded, as multipart/form-data, as JSON or in the query string. What "
    "is wrong with a request is told with HTTP 200, `status` erro and a published `codigo`.",
}
SCHEMAS = directcall_schemas.SCHEMAS

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
XML = "application/xml"
_CALLERID = "62925845049598"
_URL = "https://customer.example/reports"
_CODE = "9f2c6b0a4d1e8f7356a0c4b2d8e1f90357bd26ac"


def _yes(
    module: str, message: object, *, api: str = "sms", code: str = "000", **more: object
) -> Json:
    head = {"api": api, "modulo": module, "status": "ok", "codigo": code, "msg": message}
    return head | more


def _no(module: str, message: str) -> Json:
    code = message[:3]
    return {"api": "sms", "modulo": module, "status": "erro", "codigo": code, "msg": message}


_AS_XML = content(text("The same fields as elements of `directcall`."), media=XML)
_EITHER_FORM = content(ref("SmsRefused")) | _AS_XML
RESPONSES: Json = {
    "SmsTooLarge": answer("The body is too large.", _EITHER_FORM),
    "SmsFault": answer("We failed, and nobody knows whether it was taken.", _EITHER_FORM),
    "SmsNoRoute": answer("No upstream can take it at present; nothing was taken.", _EITHER_FORM),
}
_FAULTS = {"413": "SmsTooLarge", "500": "SmsFault", "503": "SmsNoRoute"}


def _fields(told: str, shown: Json) -> Json:
    """A body of a few fields, in either form."""
    named = examples(example=shown)
    return content(ref(told), named, URLENCODED) | content(ref(told), named)


def _answers(yes: str, shown: Json, no: Json, links: Fields = MappingProxyType({})) -> Json:
    """HTTP 200 says yes and no; what is our own fault has a status, and the same form."""
    told = content(either(ref(yes), ref("SmsRefused")), examples(yes=shown, no=no))
    return {
        "200": answer("Yes, or what is wrong.", told | _AS_XML, links=links),
        **{status: ref(name, "responses") for status, name in _FAULTS.items()},
    }


def _query(told: Json, shown: Json) -> list[Json]:
    """A request's fields as parameters in the query. The token in it is a security scheme."""
    needed = told.get("required", ())
    return [
        parameter(name, "query", field, required=name in needed, example=shown.get(name))
        for name, field in told["properties"].items()
        if name != "access_token"
    ]


def _asking(identifier: str, summary: str, description: str, given: Json, answers: Json) -> Json:
    return operation(identifier, TAG["name"], summary, description, given, answers, TOKEN_OR_BASIC)


_WHY_NONE = "006 - client_id ou client_secret: inválido ou expirado"
_TOKEN = operation(
    "requestToken",
    TAG["name"],
    "Request a token",
    "An access token for an hour, unless the cost centre is set otherwise.",
    asked(body=_fields("RequestToken", {"client_id": "ana", "client_secret": "segredo"})),
    {
        "200": answer(
            "A token, or why there is none.",
            content(
                either(ref("Token"), ref("NoToken")),
                examples(
                    token={"access_token": "AZ5wRIgAq1w9Xo2vN0cT7dE"},
                    none={
                        "access_token": False,
                        "codigo": "006",
                        "msg": _WHY_NONE,
                        "error_description": _WHY_NONE,
                    },
                ),
            )
            | content(text("The same as elements of `oauth`."), media=XML),
        ),
        "413": ref("SmsTooLarge", "responses"),
        "500": answer("We failed.", content(either(ref("NoToken"), ref("SmsRefused"))) | _AS_XML),
    },
    (),
)

_ONE = {"origem": "554130600300", "destino": "5541999792010", "texto": "Olá"}
_SEVERAL = {**_ONE, "destino": "5541999792010;5541999792020;5541999792010", "id_origem": "s"}
_AS_ARRAY = {**_ONE, "destino": ["5541999792010", "41999792020"], "campos": {"pedido": "7"}}
_FILE = {"origem": "554130600300", "texto": "Olá", "destino_csv": "5541999792010;5541999792020"}
_SENT = _yes(
    "enviar",
    f"001 - Mensagem enviada com sucessso - CALLER-ID: {_CALLERID}",
    destino=["5541999792010"],
    callerid=_CALLERID,
    detalhe=[{"destino": "5541999792010", "id_mensagem": int(f"{_CALLERID}00")}],
)
_SEND = _asking(
    "sendSms",
    "Send to one number or many",
    "`destino` names one number or several, `destino_csv` is a file of them; duplicates are sent "
    "once. A request of more than 400 numbers is a list, which is read on step by step. `tipo` voz "
    "speaks the text. An Idempotency-Key (ours) makes repeating it harmless.",
    asked(
        ref("IdempotencyKey", "parameters"),
        body=content(ref("SmsSend"), examples(one=_ONE, several=_SEVERAL), URLENCODED)
        | content(ref("SmsSendFile"), examples(a_file=_FILE), MULTIPART)
        | content(ref("SmsSend"), examples(one=_ONE, several=_AS_ARRAY)),
    ),
    _answers(
        "SmsSent",
        _SENT,
        _no("enviar", "001 - destino: valor inválido"),
        {
            "status": link("showSmsStatus", code="callerid"),
            "remove": link("removeSms", code="callerid"),
        },
    ),
)

_BY_CODE = {"code": _CALLERID}
_STATUS = _answers(
    "SmsStatus",
    _yes(
        "status",
        "ENTREGUE",
        callerid=_CALLERID,
        destino="5541999792010",
        data="2026-05-28 17:26:40",
        sms=1,
        segmentos=1,
    ),
    _no("status", "010 - code: inexistente"),
)
_REMOVED = _answers(
    "SmsRemoved",
    _yes("remove", "Envio cancelado", callerid=_CALLERID),
    _no("remove", "010 - code: inexistente ou previamente cancelado"),
)
_DATE = "2026-05-28 17:26:40"
_REPLY = {"origem": "5541999792010", "texto": "Sim, quero", "destino": "", "dataHora": _DATE}
_REPLIES = _answers(
    "SmsReplied",
    _yes("recebimento", [_REPLY]),
    _no("recebimento", "001 - data_fim: vem antes de data_inicio"),
)
_CALLBACKS = _answers(
    "SmsCallbacks",
    _yes("list-callback", [{"code": _CODE, "url": _URL}]),
    _no("list-callback", "006 - access_token: inválido ou expirado"),
)


def _post(
    identifier: str, summary: str, description: str, told: str, shown: Json, yes: Json
) -> Json:
    """An operation whose parameters come in the body."""
    return _asking(identifier, summary, description, asked(body=_fields(told, shown)), yes)


def _get(identifier: str, summary: str, told: str, shown: Json, yes: Json) -> Json:
    """The same with its parameters in the query."""
    description = "As by POST; the parameters stand in the query string."
    return _asking(identifier, summary, description, asked(*_query(SCHEMAS[told], shown)), yes)


_SINCE = {"data_inicio": "2026-05-28 00:00:00", "data_fim": "2026-05-28 23:59:59", "pagina": 1}

PATHS: Json = {
    "/request_token": {"post": _TOKEN},
    "/sms/send": {"post": _SEND},
    "/sms/status": {
        "get": _get("showSmsStatus", "Ask what became of it", "SmsCode", _BY_CODE, _STATUS),
        "post": _post(
            "showSmsStatusByPost",
            "Ask what became of it",
            "By the `callerid` of a request, or the `id_mensagem` of one of its messages.",
            "SmsCode",
            _BY_CODE,
            _STATUS,
        ),
    },
    "/sms/remove": {
        "get": _get("removeSms", "Take it back", "SmsCode", _BY_CODE, _REMOVED),
        "post": _post(
            "removeSmsByPost",
            "Take it back",
            "What has not gone, scheduled or not, will not be sent. 010: unknown, or gone.",
            "SmsCode",
            _BY_CODE,
            _REMOVED,
        ),
    },
    "/sms/recebimento": {
        "post": _post(
            "listSmsReplies",
            "List replies",
            "By date, page by page.",
            "SmsReplies",
            _SINCE,
            _REPLIES,
        )
    },
    "/sms/received": {
        "post": _post(
            "listSmsReceived",
            "List replies, the older way",
            "The same, which older clients ask for one number.",
            "SmsReplies",
            {**_SINCE, "destino": "5541999792010"},
            _REPLIES,
        )
    },
    "/sms/add-callback-status": {
        "post": _post(
            "addSmsCallback",
            "Set the callback URL",
            "A cost centre has one: another takes its place (ours).",
            "SmsCallbackUrl",
            {"url": _URL},
            _answers(
                "SmsCallbackAdded",
                _yes("add-callback", "Callback adicionado", code="001") | {"code": _CODE},
                _no("add-callback", "001 - url: deve ser um endereço http ou https"),
            ),
        )
    },
    "/sms/list-callback": {
        "get": _get("listSmsCallbacks", "Ask for the callback URL", "SmsNothing", {}, _CALLBACKS),
        "post": _post(
            "listSmsCallbacksByPost",
            "Ask for the callback URL",
            "One, or none.",
            "SmsNothing",
            {"format": "json"},
            _CALLBACKS,
        ),
    },
    "/sms/remove-callback": {
        "post": _post(
            "removeSmsCallback",
            "Remove the callback URL",
            "By the code that setting it was answered with (ours).",
            "SmsCallbackCode",
            {"code": _CODE},
            _answers(
                "SmsCallbackRemoved",
                _yes("remove-callback", "Callback removido") | {"code": _CODE},
                _no("remove-callback", "010 - code: inexistente"),
            ),
        )
    },
    "/extrato/saldo": {
        "post": _post(
            "showSaldo",
            "Ask for the balance",
            "What is left of what was paid in advance.",
            "SmsNothing",
            {"format": "json"},
            _answers(
                "Saldo",
                _yes("saldo", "Saldo", api="extrato", result={"moeda": "BRL", "saldo": "12.34"}),
                _no("saldo", "006 - access_token: inválido ou expirado") | {"api": "extrato"},
            ),
        )
    },
}
