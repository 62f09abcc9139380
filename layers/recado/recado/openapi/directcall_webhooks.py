"""What is called at the customers of Directcall's API. No document says what stands there."""

from recado.openapi.directcall_schemas import CALLERID, DATE
from recado.openapi.parts import Json, always, mapping, text, thing, whole
from recado.openapi.webhooks import callback

_CALLERID = "62925845049598"
_DATE = "2026-05-28 17:26:40"
_AT = text("In the cost centre's time zone.", pattern=DATE)

SCHEMAS: Json = {
    "SmsReport": thing(
        "What became of a message: `tipo` 1, of sending it; 2, its end.",
        {
            "api": always("sms"),
            "modulo": always("status"),
            "callerid": CALLERID,
            "destino": text(),
            "origem": text(),
            "tipo": whole(enum=[1, 2]),
            "status": text("As `/sms/status` says it."),
            "erro": text("tipo 1: an ESME name; tipo 2: the upstream's, 000 where it gave none."),
            "data": _AT,
            "campos": mapping(text(), "Your own fields."),
        },
        {"id_mensagem": whole("Where it was sent alone.")},
    ),
    "SmsReply": thing(
        "What somebody answered (MO).",
        {
            "api": always("sms"),
            "modulo": always("recebimento"),
            "callerid": CALLERID,
            "origem": text("Who wrote."),
            "texto": text(),
            "destino": text("What was written to, where the upstream says so."),
            "dataHora": _AT,
        },
    ),
}

WEBHOOKS: Json = {
    "smsReport": callback(
        "tellSmsReport",
        "Report (Directcall)",
        "Of a message that came by Directcall's API.",
        "SmsReport",
        {
            "api": "sms",
            "modulo": "status",
            "callerid": _CALLERID,
            "id_mensagem": int(f"{_CALLERID}00"),
            "destino": "5541999792010",
            "origem": "554130600300",
            "tipo": 2,
            "status": "ENTREGUE",
            "erro": "000",
            "data": _DATE,
            "campos": {"pedido": "7"},
        },
    ),
    "smsReply": callback(
        "tellSmsReply",
        "Reply (Directcall)",
        "To a message that came by Directcall's API.",
        "SmsReply",
        {
            "api": "sms",
            "modulo": "recebimento",
            "callerid": _CALLERID,
            "origem": "5541999792010",
            "texto": "Sim, quero",
            "destino": "",
            "dataHora": _DATE,
        },
    ),
}
