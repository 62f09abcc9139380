"""Directcall's requests and answers as schemas. docs/directcall-api.md tells them at length, and
which of it stands in a document."""

from recado.dialects.directcall_callbacks import MAX_TOLD
from recado.dialects.directcall_orders import MAX_TEXT
from recado.openapi.parts import (
    Json,
    always,
    either,
    mapping,
    one_of,
    ref,
    several,
    text,
    thing,
    whole,
)

TOKEN = {
    "access_token": text("From `/request_token`. The Authorization header serves in its place.")
}
_FORM = one_of(("json", "xml"), "The form of the answer, in any case. `formato` is the same.")
FORMAT = {"format": _FORM}
CALLERID = text("14 digits by which the request is known.", pattern="^[0-9]{14}$")
_CODE = text("The published code.", pattern="^[0-9]{3}$")
DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}$"
_COUNT = whole(minimum=0)


def told(module: str, description: str, more: Json, *, api: str = "sms", code: str = "000") -> Json:
    """A yes: the five fields that all answers have, and those of the module, in their order."""
    message = more.get("msg", text("In words."))
    head = {
        "api": always(api),
        "modulo": always(module),
        "status": always("ok"),
        "codigo": always(code),
    }
    return thing(description, {**head, "msg": message, **{k: more[k] for k in more if k != "msg"}})


def extended(schema: Json, optional: Json) -> Json:
    """With fields that it may have."""
    return {**schema, "properties": {**schema["properties"], **optional}}


_SEND = {
    "origem": text("Who it is from: a number, or a word (ours).", minLength=1, maxLength=20),
    "texto": text(
        "The text. It is charged by 140 characters, those of a shown `origem` included, and sent "
        "in segments of SMS.",
        minLength=1,
        maxLength=MAX_TEXT,
    ),
}
_OPTIONS = {
    "tipo": one_of(("texto", "voz"), "A text, or spoken."),
    "cron": text(
        "When, as day-month-year-hour-minute-second in Brasília's time. Empty: now.",
        examples=["01-06-2026-09-00-00"],
    ),
    "short_number": one_of(("s", "n"), "s: the upstream's own number shows in place of `origem`."),
    "id_origem": one_of(("s", "n"), "s: `origem` stands before the text."),
    **FORMAT,
    **TOKEN,
}
_NUMBERS = (
    "Numbers: with or without 55, with a 0 before the area code, fixed lines too; abroad with 00 "
    "where the cost centre may. Several are parted by `;`, repeated, or an array."
)
_DESTINO = either(text(minLength=1), several(text(), minItems=1)) | {"description": _NUMBERS}
_OTHERS = mapping(
    text(maxLength=200),
    "Up to 20 fields of your own, which its reports repeat as `campos`; in a form "
    "`campos[pedido]=7`. Any parameter that has no meaning here is one, too.",
)

REQUESTS: Json = {
    "RequestToken": thing(
        "Who asks.",
        {
            "client_id": text("The login of a cost centre.", minLength=1),
            "client_secret": text("Its password.", minLength=1),
        },
        FORMAT,
    ),
    "SmsSend": thing(
        "One text to one number or several.",
        {"origem": _SEND["origem"], "destino": _DESTINO, "texto": _SEND["texto"]},
        {**_OPTIONS, "campos": _OTHERS},
    ),
    "SmsSendFile": thing(
        "One text to the numbers of a file, of hundreds of thousands.",
        {
            "origem": _SEND["origem"],
            "destino_csv": text(
                "The file: numbers, parted by whatever is no digit.",
                contentMediaType="text/csv",
            ),
            "texto": _SEND["texto"],
        },
        {"destino": _DESTINO, **_OPTIONS},
    ),
    "SmsCode": thing(
        "Which request.",
        {"code": text("The `callerid`, or an `id_mensagem` for one of its messages.")},
        {"destino": text("Ours: for the message to this number."), **FORMAT, **TOKEN},
    ),
    "SmsReplies": thing(
        "Which replies. Left out: those of the last 24 hours.",
        {},
        {
            "data_inicio": text("From, as year-month-day hour:minute:second.", pattern=DATE),
            "data_fim": text("To, both included; 31 days at most.", pattern=DATE),
            "pagina": whole("The page, from 1.", minimum=1),
            "itens_por_pagina": whole("Replies in one.", minimum=1, maximum=500, default=50),
            "destino": text("Of or to this number alone."),
            **FORMAT,
            **TOKEN,
        },
    ),
    "SmsCallbackUrl": thing(
        "Where reports and replies are to go.",
        {"url": text("An http or https address.", format="uri")},
        {**FORMAT, **TOKEN},
    ),
    "SmsCallbackCode": thing(
        "Which callback.",
        {"code": text("As adding it was answered.", pattern="^[0-9a-f]{40}$")},
        {**FORMAT, **TOKEN},
    ),
    "SmsNothing": thing("Nothing but who asks.", {}, {**FORMAT, **TOKEN}),
}

DETAIL = either(
    thing(
        "Taken.",
        {"destino": text(), "id_mensagem": whole("The callerid and its place in the request.")},
    ),
    thing("Refused.", {"destino": text(), "erro": text("The code, the field and the problem.")}),
)
_LIST = thing(
    "Ours: what became of a list.",
    {
        "total": _COUNT,
        "aceitos": whole("Taken: each is sent once.", minimum=0),
        "duplicados": whole("Came again.", minimum=0),
        "invalidos": whole("Can't be sent to.", minimum=0),
        "recusados": several(
            thing("One of them.", {"linha": whole(minimum=1), "valor": text(maxLength=40)}),
            "The first hundred of these.",
            maxItems=MAX_TOLD,
        ),
    },
)

ANSWERS: Json = {
    "Token": thing(
        "A token. Its life in seconds stands in the header `x-expires-in`.",
        {"access_token": text(minLength=1)},
    ),
    "NoToken": thing(
        "No token.",
        {
            "access_token": always(False),
            "codigo": _CODE,
            "msg": text(),
            "error_description": text("The same."),
        },
    ),
    "SmsRefused": thing(
        "Refused, or we failed. HTTP 200 as long as its customer can mend it.",
        {
            "api": text(),
            "modulo": text(),
            "status": always("erro"),
            "codigo": _CODE,
            "msg": text("The code, the field and the problem."),
        },
    ),
    "SmsSent": extended(
        told(
            "enviar",
            "Taken. With more than a hundred numbers `destino` and `detalhe` are left out.",
            {
                "msg": text(pattern="^001 - Mensagem enviada com sucessso - CALLER-ID: [0-9]{14}$"),
                "callerid": CALLERID,
            },
        ),
        {
            "destino": several(text(), "The numbers as they were written.", maxItems=MAX_TOLD),
            "detalhe": several(DETAIL, maxItems=MAX_TOLD),
            "lote": _LIST,
        },
    ),
    "SmsStatus": extended(
        told(
            "status",
            "What became of it.",
            {"msg": text("The state; of many, how many are in which."), "callerid": CALLERID},
        ),
        {
            "destino": text("Ours, as all behind it: the number."),
            "data": text("When it came to this.", pattern=DATE),
            "sms": whole("What it costs, in SMS.", minimum=0),
            "segmentos": whole("In how many it was sent.", minimum=0),
            "contagem": mapping(whole(minimum=1), "How many are in which state."),
        },
    ),
    "SmsRemoved": extended(
        told("remove", "It will not be sent.", {"callerid": CALLERID}),
        {
            "canceladas": whole("Of many: how many will not be sent.", minimum=0),
            "enviadas": whole("And how many had gone.", minimum=0),
        },
    ),
    "SmsReceived": thing(
        "A reply.",
        {
            "origem": text("Who wrote."),
            "texto": text(),
            "destino": text("What was written to, where the upstream says so."),
            "dataHora": text(pattern=DATE),
        },
    ),
}

ANSWERS |= {
    "SmsReplied": told(
        "recebimento", "The replies, by date.", {"msg": several(ref("SmsReceived"))}
    ),
    "SmsCallbackAdded": told(
        "add-callback",
        "Set. The code 001 is the documented one of a success here.",
        {"code": text(pattern="^[0-9a-f]{40}$")},
        code="001",
    ),
    "SmsCallbacks": told(
        "list-callback",
        "The callback URLs: one, or none.",
        {
            "msg": several(
                thing("One.", {"code": text(pattern="^[0-9a-f]{40}$"), "url": text()}), maxItems=1
            )
        },
    ),
    "SmsCallbackRemoved": told("remove-callback", "Removed.", {"code": text()}),
    "Saldo": told(
        "saldo",
        "What is left.",
        {"result": thing("It.", {"moeda": text("By ISO 4217."), "saldo": text("12.34")})},
        api="extrato",
    ),
}

SCHEMAS: Json = REQUESTS | ANSWERS
