"""Zoug's API in the document: sending. docs/zoug-api.md tells it at length."""

from recado.dialects.zoug import MAX_BATCH
from recado.openapi.common import BASIC, DIGITS_OF_A_MOBILE, failures
from recado.openapi.parts import (
    JSON,
    Json,
    answer,
    asked,
    content,
    examples,
    link,
    moment,
    operation,
    parameter,
    ref,
    several,
    text,
    thing,
    uuid,
    whole,
)

TAG: Json = {
    "name": "Zoug",
    "description": "Zoug's HTTP API: a client of Zoug moves over by changing its host. Basic Auth.",
}
_MESSAGE_ID = "019e7044-8800-7a4f-8b7e-6c1f0e9d2a31"
_BATCH_ID = "019e7044-8800-7e91-a3d5-1c2b3a495867"

_NUMBER = text(
    "A Brazilian mobile: area code and nine digits, with or without 55 before them.",
    pattern=DIGITS_OF_A_MOBILE,
)
_TEXT = text(
    "The text, up to 10 segments unless the cost centre is set otherwise: 160 characters in one "
    "segment and 153 in each of several, or 70 and 67 where GSM-7 lacks a character.",
    minLength=1,
    maxLength=1530,
    pattern=r"\S",
)
_REFERENCE = text(
    "Ours: your own reference. It stands in every report and reply of the message.", maxLength=255
)
_VALIDITY = whole(
    "Ours: for how many seconds from `send_at`, or from now, it may be sent. Past that a message "
    "is EXPIRED. Left out: as the cost centre is set, 24 hours as a rule.",
    minimum=5,
    maximum=259_200,
)
_SEND_AT = moment(
    "Ours: when it is to be sent, up to 90 days ahead. Without a zone the time is in the cost "
    "centre's."
)

SCHEMAS: Json = {
    "Send": thing(
        "One message. Unknown fields are ignored.",
        {"destination_addr": _NUMBER, "message": _TEXT},
        {"reference_id": _REFERENCE, "validity": _VALIDITY, "send_at": _SEND_AT},
    ),
    "Sent": thing(
        "The message was taken: it will be submitted, or ends as EXPIRED with its reports.",
        {"message_id": uuid("It stands in every report and reply.")},
    ),
    "SendBatch": thing(
        "Up to 400 messages.",
        {
            "list": several(
                ref("BatchElement"),
                "In this order the callback tells their ids.",
                minItems=1,
                maxItems=MAX_BATCH,
            )
        },
        {"validity": _VALIDITY, "send_at": _SEND_AT},
    ),
    "BatchElement": thing(
        "One message of a batch. A number or a text that can't be sent refuses its element alone, "
        "which the callback tells.",
        {"destination_addr": text("As in a single message."), "message": text("As there.")},
        {"reference_id": _REFERENCE},
    ),
    "BatchSent": thing(
        "The batch was taken. The ids of its messages come with its callback.",
        {
            "batchCount": text("How many elements were read, as a string.", pattern="^[0-9]+$"),
            "batchId": uuid(),
        },
    ),
}

_KEY = ref("IdempotencyKey", "parameters")
_GOOD: Json = {"destination_addr": "5534998887755", "message": "Olá"}
_FULL: Json = {
    **_GOOD,
    "message": "Sua consulta é amanhã às 9h.",
    "reference_id": "pedido-7",
    "validity": 3600,
}
_SEND = content(ref("Send"), examples(a_message=_GOOD, with_all_fields_of_ours=_FULL))
_SEND_BATCH = content(
    ref("SendBatch"),
    examples(
        two_messages={"list": [{**_GOOD, "destination_addr": "553488556644"}, _GOOD]},
        with_references={"list": [{**_GOOD, "reference_id": "pedido-8"}], "validity": 600},
    ),
)
_ASK_MESSAGE = {
    "show": link("showMessage", id="message_id"),
    "takeBack": link("cancelMessage", id="message_id"),
}
_ASK_BATCH = {
    "show": link("showBatch", id="batchId"),
    "takeBack": link("cancelBatch", id="batchId"),
}
_SENT = answer(
    "Taken, and on disk.",
    content(ref("Sent"), examples(taken={"message_id": _MESSAGE_ID})),
    links=_ASK_MESSAGE,
)
_BATCH_SENT = answer(
    "Taken, and on disk.",
    content(ref("BatchSent"), examples(taken={"batchCount": "2", "batchId": _BATCH_ID})),
    links=_ASK_BATCH,
)
_SENDING_FAILURES = failures("400", "402", "409", "413", "503")


def _query(name: str, schema: Json, example: str | int | None = None) -> Json:
    return parameter(name, "query", schema, example=example)


PATHS: Json = {
    "/message": {
        "get": operation(
            "sendMessageByGet",
            TAG["name"],
            "Send a message by GET",
            "As POST does it. The document has the JSON body on GET as well; without a body the "
            "query string serves, which then needs `destination_addr` and `message`. A plus in a "
            "query string is written `%2B`.",
            security=BASIC,
            given=asked(
                _KEY,
                _query("destination_addr", _NUMBER, "5534998887755"),
                _query("message", _TEXT, "Olá"),
                _query("reference_id", _REFERENCE),
                _query("validity", _VALIDITY),
                _query("send_at", _SEND_AT),
                body={JSON: {"schema": ref("Send")}},
                body_required=False,
            ),
            answers={"200": _SENT, **_SENDING_FAILURES},
        ),
        "post": operation(
            "sendMessage",
            TAG["name"],
            "Send a message",
            "A number that can't be sent to is an impediment: the answer is 400 and has an id all "
            "the same.",
            security=BASIC,
            given=asked(_KEY, body=_SEND),
            answers={"200": _SENT, **_SENDING_FAILURES},
        ),
    },
    "/message/batch": {
        "post": operation(
            "sendBatch",
            TAG["name"],
            "Send a batch",
            "Up to 400 messages at once. The ids come with one callback, in the order of the "
            "request; an element that can't be read refuses the whole request, and is named by its "
            "position.",
            security=BASIC,
            given=asked(_KEY, body=_SEND_BATCH),
            answers={"200": _BATCH_SENT, **_SENDING_FAILURES},
        ),
    },
}
