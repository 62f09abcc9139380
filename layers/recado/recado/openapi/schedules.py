"""What waits for its hour, in the document: ours, and for what either dialect has scheduled."""

from recado.openapi.common import BASIC, failures
from recado.openapi.parts import (
    Json,
    always,
    answer,
    asked,
    content,
    examples,
    flag,
    link,
    moment,
    one_of,
    operation,
    parameter,
    ref,
    several,
    text,
    thing,
    uuid,
    whole,
)
from recado.schedules import PAGE

TAG: Json = {
    "name": "Schedules",
    "description": "What waits for its hour, whichever API it came by. Ours: no document of a "
    "provider has it.",
}

_SCHEDULE_ID = "019e82fa-be00-7d3a-8c44-5e6f7a8b9c0d"
_DUE = "2026-06-01T12:00:00.000+00:00"

SCHEMAS: Json = {
    "Schedule": thing(
        "One request that waits for its hour.",
        {
            "id": uuid("The message's id, or the batch's."),
            "kind": one_of(("message", "batch", "list"), "list: more than 400 numbers."),
            "due_at": moment(),
            "count": whole("Messages.", minimum=1),
            "segments": whole("Of all of them.", minimum=0),
        },
        {
            "destination_addr": text("Of a single message."),
            "text": text("Where it is one for all."),
            "voice": flag("It is to be spoken."),
            "callerid": text("Of Directcall's API.", pattern="^[0-9]{14}$"),
        },
    ),
    "Schedules": thing(
        "Some of them.",
        {
            "schedules": several(ref("Schedule"), "By due date."),
            "after": {
                "type": ["string", "null"],
                "description": "Given back as the parameter `after` it leads to the next page; "
                "null: there is none. A page may be short and yet not the last.",
            },
        },
    ),
    "Move": thing(
        "Where to.",
        {
            "send_at": moment(
                "At least a minute ahead, else it is that; at most 90 days, and at most a third of "
                "the time for which messages are kept after its first date."
            )
        },
    ),
    "Moved": thing(
        "It was moved.", {"id": uuid(), "state": always("SCHEDULED"), "due_at": moment()}
    ),
    "ScheduleTakenBack": thing(
        "It will not be sent.",
        {"id": uuid(), "state": always("DELETED")},
        {
            "cancelled": whole("Where it had begun: how many will not be sent.", minimum=0),
            "gone": whole("And how many had gone.", minimum=0),
        },
    ),
}

_ID = parameter(
    "id",
    "path",
    text("The id of a message or a batch, or a `callerid` of Directcall's API.", minLength=14),
    required=True,
    example=_SCHEDULE_ID,
)
_SHOWN: Json = {
    "id": _SCHEDULE_ID,
    "kind": "message",
    "due_at": _DUE,
    "count": 1,
    "segments": 1,
    "destination_addr": "5534998887755",
    "text": "Sua consulta é hoje às 9h.",
}

PATHS: Json = {
    "/schedules": {
        "get": operation(
            "listSchedules",
            TAG["name"],
            "List schedules",
            "By due date, page by page.",
            asked(
                parameter("after", "query", text("From the page before: its `after`.")),
                parameter(
                    "limit", "query", whole("At most so many.", minimum=1, maximum=PAGE), example=10
                ),
            ),
            {
                "200": answer(
                    "A page of them.",
                    content(ref("Schedules"), examples(one={"schedules": [_SHOWN], "after": None})),
                    links={
                        "move": link("moveSchedule", id="schedules/0/id"),
                        "takeBack": link("cancelSchedule", id="schedules/0/id"),
                    },
                ),
                **failures("400"),
            },
            BASIC,
        )
    },
    "/schedules/{id}": {
        "patch": operation(
            "moveSchedule",
            TAG["name"],
            "Move a schedule",
            "To another hour. Its ids stay.",
            asked(_ID, body=content(ref("Move"), examples(to={"send_at": _DUE}))),
            {
                "200": answer(
                    "Moved.",
                    content(
                        ref("Moved"),
                        examples(moved={"id": _SCHEDULE_ID, "state": "SCHEDULED", "due_at": _DUE}),
                    ),
                ),
                **failures("400", "404", "409", "413"),
            },
            BASIC,
        ),
        "delete": operation(
            "cancelSchedule",
            TAG["name"],
            "Take a schedule back",
            "It will not be sent. Taking it back twice is fine.",
            asked(_ID),
            {
                "200": answer(
                    "Taken back.",
                    content(
                        ref("ScheduleTakenBack"),
                        examples(taken_back={"id": _SCHEDULE_ID, "state": "DELETED"}),
                    ),
                ),
                **failures("404", "409"),
            },
            BASIC,
        ),
    },
}
