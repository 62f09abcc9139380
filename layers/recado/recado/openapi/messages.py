"""Asking about messages and batches, and taking them back: ours, in the form of Zoug's API."""

from recado.openapi.common import BASIC, failures
from recado.openapi.parts import (
    Json,
    always,
    answer,
    asked,
    content,
    either,
    examples,
    flag,
    mapping,
    moment,
    operation,
    or_null,
    ref,
    several,
    text,
    thing,
    uuid,
    whole,
)

TAG: Json = {
    "name": "Messages",
    "description": "What became of messages and batches, and taking them back. Ours: no document "
    "of a provider has it.",
}

_MESSAGE_ID = "019e7044-8800-7a4f-8b7e-6c1f0e9d2a31"
_BATCH_ID = "019e7044-8800-7e91-a3d5-1c2b3a495867"
_AT = "2026-05-28T20:26:40.000+00:00"
_NEXT_DAY = "2026-05-29T20:26:40.000+00:00"
_ID = ref("Id", "parameters")

SCHEMAS: Json = {
    "Event": thing(
        "A line of a message's history.",
        {"at": moment(), "state": ref("State"), "note": text("The upstream, or what it said.")},
    ),
    "ShownReport": thing(
        "A report that is owed, or was given.",
        {
            "type": whole("1: what became of sending it; 2: its end.", enum=[1, 2]),
            "stat": text("ESME_ROK and the like for type 1, DELIVRD and the like for type 2."),
            "owed_at": moment(),
            "given_at": or_null(moment("When your URL took it.")),
            "attempts": whole("How often it was tried.", minimum=0),
        },
    ),
    "ShownMessage": thing(
        "A message that has a record: somebody has submitted it, or taken it back.",
        {
            "message_id": uuid(),
            "state": ref("State"),
            "recorded": always(True),
            "destination_addr": text(
                "Digits with the country code; empty for one that was taken back early."
            ),
            "segments": whole(minimum=0),
            "due_at": moment(),
            "expires_at": moment(),
            "history": several(ref("Event")),
            "reports": several(ref("ShownReport")),
        },
        {"reference_id": text("Yours, where there is one."), "batch_id": uuid("Its batch.")},
    ),
    "MessageWithoutRecord": thing(
        "An id that is still young and has no record: it is queued or SCHEDULED, or it was never "
        "yours.",
        {"message_id": uuid(), "state": ref("State"), "recorded": always(False)},
    ),
    "MovedMessage": thing(
        "A message that waits for its hour, and was moved there.",
        {
            "message_id": uuid(),
            "state": always("SCHEDULED"),
            "recorded": always(True),
            "due_at": moment(),
        },
    ),
    "BatchLine": thing(
        "A message of a batch.",
        {
            "message_id": uuid(),
            "destination_addr": text("As it was written."),
            "state": text("As of a message; or REFUSED: it never was one."),
        },
    ),
    "ShownBatch": thing(
        "A batch whose list was looked at.",
        {
            "batchId": uuid(),
            "recorded": always(True),
            "batchCount": text(pattern="^[0-9]+$"),
            "announced_at": or_null(moment("When its callback was taken, or given up.")),
            "counts": mapping(whole(minimum=1), "How many are in which state."),
            "list": several(ref("BatchLine"), "In the order of the request."),
        },
    ),
    "BatchWithoutList": thing(
        "A batch whose list was not looked at: it waits, it was taken back before, or it was never "
        "yours (`recorded` is false where we can't tell).",
        {"batchId": uuid(), "state": ref("State"), "recorded": flag()},
        {"due_at": moment("Where it was moved to.")},
    ),
    "LongBatch": thing(
        "A list of more than 400 numbers, which is read step by step.",
        {
            "batchId": uuid(),
            "recorded": always(True),
            "state": ref("State"),
            "batchCount": text(pattern="^[0-9]+$"),
            "read": whole("Lines that were read.", minimum=0),
            "refused": whole("Of these no message was made.", minimum=0),
            "taken": whole("Messages that somebody has taken up.", minimum=0),
            "waiting": whole("Messages that wait.", minimum=0),
        },
    ),
    "MessageTakenBack": thing(
        "It will not be sent, and has no reports.",
        {"message_id": uuid(), "state": always("DELETED")},
    ),
    "BatchTakenBack": thing(
        "None of it will be sent.", {"batchId": uuid(), "state": always("DELETED")}
    ),
    "BatchPartlyTakenBack": thing(
        "What had not gone will not be sent.",
        {"batchId": uuid(), "cancelled": whole(minimum=0), "gone": whole(minimum=0)},
    ),
}

_SHOWN_MESSAGE: Json = {
    "message_id": _MESSAGE_ID,
    "state": "DELIVERED",
    "recorded": True,
    "destination_addr": "5534998887755",
    "segments": 1,
    "due_at": _AT,
    "expires_at": _NEXT_DAY,
    "history": [
        {"at": _AT, "state": "QUEUED", "note": ""},
        {"at": _AT, "state": "SUBMITTING", "note": "simulator"},
        {"at": _AT, "state": "ENROUTE", "note": ""},
        {"at": _AT, "state": "DELIVERED", "note": "000"},
    ],
    "reports": [
        {"type": 1, "stat": "ESME_ROK", "owed_at": _AT, "given_at": _AT, "attempts": 1},
        {"type": 2, "stat": "DELIVRD", "owed_at": _AT, "given_at": None, "attempts": 0},
    ],
    "reference_id": "pedido-8",
}
_SHOWN_BATCH: Json = {
    "batchId": _BATCH_ID,
    "recorded": True,
    "batchCount": "1",
    "announced_at": _AT,
    "counts": {"DELIVERED": 1},
    "list": [
        {"message_id": _MESSAGE_ID, "destination_addr": "5534998887755", "state": "DELIVERED"}
    ],
}

PATHS: Json = {
    "/message/{id}": {
        "get": operation(
            "showMessage",
            TAG["name"],
            "Ask about a message",
            "Its state, its history and its reports. Before it is first submitted a message has no "
            "record: until it could have expired its id is answered with `recorded` false.",
            security=BASIC,
            given=asked(_ID),
            answers={
                "200": answer(
                    "What is known.",
                    content(
                        either(
                            ref("ShownMessage"), ref("MessageWithoutRecord"), ref("MovedMessage")
                        ),
                        examples(
                            delivered=_SHOWN_MESSAGE,
                            queued={
                                "message_id": _MESSAGE_ID,
                                "state": "QUEUED",
                                "recorded": False,
                            },
                        ),
                    ),
                ),
                **failures("404"),
            },
        ),
        "delete": operation(
            "cancelMessage",
            TAG["name"],
            "Take a message back",
            "Until an upstream may have it. Taking it back twice is fine.",
            security=BASIC,
            given=asked(_ID),
            answers={
                "200": answer(
                    "It will not be sent.",
                    content(
                        ref("MessageTakenBack"),
                        examples(taken_back={"message_id": _MESSAGE_ID, "state": "DELETED"}),
                    ),
                ),
                **failures("404", "409"),
            },
        ),
    },
    "/message/batch/{id}": {
        "get": operation(
            "showBatch",
            TAG["name"],
            "Ask about a batch",
            "How many of its messages are in which state, and every id in the request's order.",
            security=BASIC,
            given=asked(_ID),
            answers={
                "200": answer(
                    "What is known.",
                    content(
                        either(ref("ShownBatch"), ref("LongBatch"), ref("BatchWithoutList")),
                        examples(
                            delivered=_SHOWN_BATCH,
                            queued={"batchId": _BATCH_ID, "state": "QUEUED", "recorded": False},
                        ),
                    ),
                ),
                **failures("404"),
            },
        ),
        "delete": operation(
            "cancelBatch",
            TAG["name"],
            "Take a batch back",
            "What of it has not gone will not be sent.",
            security=BASIC,
            given=asked(_ID),
            answers={
                "200": answer(
                    "All of it, or what was left.",
                    content(
                        either(ref("BatchTakenBack"), ref("BatchPartlyTakenBack")),
                        examples(
                            all_of_it={"batchId": _BATCH_ID, "state": "DELETED"},
                            what_was_left={"batchId": _BATCH_ID, "cancelled": 1, "gone": 1},
                        ),
                    ),
                ),
                **failures("404", "409"),
            },
        ),
    },
}
