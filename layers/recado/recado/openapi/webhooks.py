"""What Recado calls at its customers: reports, replies, batch callbacks and alerts."""

from recado.openapi.parts import (
    Json,
    always,
    answer,
    content,
    either,
    examples,
    operation,
    parameter,
    ref,
    several,
    text,
    thing,
    uuid,
)

TAG: Json = {
    "name": "Callbacks",
    "description": "What comes to the callback URL of a cost centre, by POST or GET as it is set. "
    "2xx means that it was taken; else it is tried again for 24 hours. Signed in the form of "
    "Standard Webhooks where the cost centre has a signing secret.",
}

_MESSAGE_ID = "019e7044-8800-7a4f-8b7e-6c1f0e9d2a31"
_COST_CENTRE = "aec1d02e-276d-4b51-9b55-5ad2f85df265"
_DATE = "2026-05-28 17:26:40"

_REPORT_DATE = text(
    "In the cost centre's time zone.", pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}$"
)
_REFERENCE = {"reference_id": text("Ours: your reference, where the message had one.")}

SCHEMAS: Json = {
    "Report1": thing(
        "What became of sending a message.",
        {
            "stat": text("ESME_ROK, or the upstream's code.", pattern="^ESME_[A-Z]+$"),
            "type": always(1),
            "report_date": _REPORT_DATE,
            "message_id": uuid(),
        },
        _REFERENCE,
    ),
    "Report2": thing(
        "The end of a message.",
        {
            "err": text("The upstream's, 000 where it gave none."),
            "report_stat": text(
                "As in SMPP's receipts.",
                enum=["DELIVRD", "UNDELIV", "EXPIRED", "DELETED", "UNKNOWN", "REJECTD"],
            ),
            "type": always(2),
            "report_date": _REPORT_DATE,
            "message_id": uuid(),
        },
        _REFERENCE,
    ),
    "Reply": thing(
        "What somebody answered (MO).",
        {
            "short_message": text("The text."),
            "report_date": _REPORT_DATE,
            "esme_class": always(0, "Always 0."),
            "message_id": uuid("The message that it answers."),
            "cost_center_id": uuid(),
            "source_addr": text("The number that it came from."),
        },
        _REFERENCE,
    ),
    "BatchCallback": thing(
        "The ids of a batch, in the order of the request.",
        {"batchId": uuid(), "list": several(either(ref("ListedMessage"), ref("ListedRefusal")))},
    ),
    "ListedMessage": thing(
        "It was taken.",
        {
            "destination_addr": text("As it was written."),
            "message_id": uuid(),
            "error": always(False),
        },
        _REFERENCE,
    ),
    "ListedRefusal": thing(
        "It was not, and has no reports.",
        {
            "destination_addr": text("As it was written."),
            "message_id": uuid(),
            "message": text("Why.", pattern="^Error: "),
            "error": always(True),
            "esme": text(pattern="^ESME_[A-Z]+$"),
        },
        _REFERENCE,
    ),
    "LowBalance": thing(
        "Ours: the balance of a cost centre fell below what it wants to be told of.",
        {
            "alert": always("low_balance"),
            "balance": text("An amount.", pattern=r"^-?[0-9]+\.[0-9]{2,4}$"),
            "report_date": _REPORT_DATE,
            "cost_center_id": uuid(),
        },
    ),
}

_REPORT_1: Json = {
    "stat": "ESME_ROK",
    "type": 1,
    "report_date": _DATE,
    "message_id": _MESSAGE_ID,
}
_REPORT_2: Json = {
    "err": "000",
    "report_stat": "DELIVRD",
    "type": 2,
    "report_date": _DATE,
    "message_id": _MESSAGE_ID,
}
_REPLY: Json = {
    "short_message": "Sim, quero",
    "report_date": _DATE,
    "esme_class": 0,
    "message_id": _MESSAGE_ID,
    "cost_center_id": _COST_CENTRE,
    "source_addr": "5534998887755",
}
_BATCH: Json = {
    "batchId": "019e7044-8800-7e91-a3d5-1c2b3a495867",
    "list": [
        {
            "destination_addr": "553488556644",
            "message_id": "019e7044-8800-7f10-8123-4567890abcde",
            "message": "Error: Destination_addr is invalid!",
            "error": True,
            "esme": "ESME_RINVDSTADR",
        },
        {
            "destination_addr": "5534998887755",
            "message_id": "019e7044-8800-7f11-8fed-cba098765432",
            "error": False,
        },
    ],
}
_LOW_BALANCE: Json = {
    "alert": "low_balance",
    "balance": "12.34",
    "report_date": _DATE,
    "cost_center_id": _COST_CENTRE,
}

_HEADERS = (
    parameter(
        "webhook-id",
        "header",
        text("The same at every try and every replay of one callback, and of no other."),
        required=True,
    ),
    parameter("webhook-timestamp", "header", text("Where it is signed: seconds since 1970.")),
    parameter(
        "webhook-signature",
        "header",
        text("Where it is signed: `v1,` and the base64 of its HMAC-SHA-256."),
    ),
)
_ANSWERS = {
    "2XX": answer("Taken. The body is not looked at."),
    "410": answer("The URL is parked: nothing comes until it is set again."),
    "default": answer("It is tried again, later each time, for 24 hours."),
}


def callback(identifier: str, summary: str, description: str, schema: str, shown: Json) -> Json:
    """One kind of callback, with an example."""
    body = content(ref(schema), examples(example=shown))
    given = {"parameters": list(_HEADERS), "requestBody": {"required": True, "content": body}}
    return {"post": operation(identifier, TAG["name"], summary, description, given, _ANSWERS, ())}


WEBHOOKS: Json = {
    "report1": callback(
        "tellReport1",
        "Report of type 1",
        "An upstream took the message, or refused it.",
        "Report1",
        _REPORT_1,
    ),
    "report2": callback(
        "tellReport2", "Report of type 2", "The message came to its end.", "Report2", _REPORT_2
    ),
    "reply": callback("tellReply", "Reply (MO)", "Somebody answered a message.", "Reply", _REPLY),
    "batch": callback(
        "tellBatch",
        "Batch callback",
        "The ids of a batch's messages. Their reports come after it.",
        "BatchCallback",
        _BATCH,
    ),
    "alert": callback(
        "tellAlert",
        "Alert",
        "Ours: something about the account that its owner has to know, whichever API it uses.",
        "LowBalance",
        _LOW_BALANCE,
    ),
}
