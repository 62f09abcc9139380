"""Files of millions in the document: ours."""

from collections.abc import Mapping
from types import MappingProxyType

from recado.bulk_api import PAGE
from recado.openapi.common import BASIC, failures
from recado.openapi.parts import (
    Json,
    answer,
    asked,
    content,
    examples,
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

TAG: Json = {
    "name": "Bulk",
    "description": "A file of up to ten million rows: opened, uploaded by PUT to the URL that was "
    "given, checked, sent; paused, resumed, cancelled. Ours: no document of a provider has it.",
}

_BULK_ID = "019e7044-8800-7c18-b6a4-d0c2f8e41b95"
_AT = "2026-05-28T20:26:40.000+00:00"
_STATES = (
    "awaiting_upload",
    "checking",
    "checked",
    "failed",
    "scheduled",
    "sending",
    "paused",
    "done",
    "cancelled",
)
_COUNT = {"minimum": 0}

_SHOWN: Json = {
    "bulk_id": _BULK_ID,
    "state": "checked",
    "name": "campanha",
    "created_at": _AT,
    "due_at": _AT,
    "text": "Olá {nome}",
    "bytes": 62,
    "rows": 3,
    "good": 1,
    "duplicates": 1,
    "bad_rows": 1,
    "units": 1,
    "bad": [{"line": 4, "value": "123", "reason": "invalid number"}],
    "bad_listed": 1,
    "messages": 0,
    "expanded": 0,
    "submitted": 0,
    "percent": 100,
}

SCHEMAS: Json = {
    "OpenBulk": thing(
        "How a file is to be sent.",
        {
            "text": text(
                "The text. `{nome}` stands for what the row has in the column nome.",
                minLength=1,
                maxLength=10_000,
            )
        },
        {
            "column": text("Where the numbers stand. Left out: it is found.", maxLength=100),
            "source": text("Who it is from.", maxLength=20),
            "name": text("What you call it.", maxLength=100),
            "send_at": moment("When it is to be sent, up to 90 days ahead."),
        },
    ),
    "BulkOpened": thing(
        "The file is awaited.",
        {
            "bulk_id": uuid(),
            "upload_url": text(
                "Where to PUT the file, up to 1 GB: a URL, or a path of this host. It is a secret."
            ),
            "upload_headers": thing(
                "The headers to PUT it with.", {"If-None-Match": text("A file comes once.")}
            ),
            "upload_until": moment("So long an upload may begin."),
        },
    ),
    "BadRow": thing(
        "A row that can't be sent.",
        {
            "line": whole("From 1.", minimum=1),
            "value": text("What stands there."),
            "reason": text(),
        },
    ),
    "Bulk": thing(
        "How far it is.",
        {
            "bulk_id": uuid(),
            "state": one_of(_STATES),
            "name": text(),
            "created_at": moment(),
            "due_at": moment(),
            "messages": whole("To be sent.", **_COUNT),
            "expanded": whole("Put into packets.", **_COUNT),
            "submitted": whole("Taken up.", **_COUNT),
            "percent": whole(
                "Of the file while it is checked, of its messages while it is sent.",
                minimum=0,
                maximum=100,
            ),
        },
        {
            "problem": text("Why it failed."),
            "text": text(),
            "bytes": whole("Of the file.", **_COUNT),
            "rows": whole("That were read.", **_COUNT),
            "good": whole("That can be sent.", **_COUNT),
            "duplicates": whole("Numbers that came again: each is sent once.", **_COUNT),
            "bad_rows": whole("That can't be sent.", **_COUNT),
            "units": whole("What all of it costs, in segments.", **_COUNT),
            "bad": several(ref("BadRow"), "The first thousand of these."),
            "bad_listed": whole("How many of them.", minimum=0),
        },
    ),
    "Bulks": thing(
        "The newest first.",
        {"list": several(ref("Bulk"), maxItems=PAGE)},
        {"before": uuid("Given back as the parameter `before` it leads to the next page.")},
    ),
}

_ID = ref("Id", "parameters")


def _act(
    identifier: str,
    summary: str,
    description: str,
    state: str,
    *refused: str,
) -> Json:
    """Something that is done to one, and answered with how far it is."""
    shown = examples(an_example={**_SHOWN, "state": state})
    told = {
        "200": answer("How far it is.", content(ref("Bulk"), shown)),
        **failures("404", *refused),
    }
    return operation(identifier, TAG["name"], summary, description, asked(_ID), told, BASIC)


def _links(*names: str) -> Mapping[str, Json]:
    return MappingProxyType({name: link(name, id="bulk_id") for name in names})


PATHS: Json = {
    "/bulk": {
        "post": operation(
            "openBulk",
            TAG["name"],
            "Open a bulk",
            "Makes room for a file, and says where it is to be uploaded.",
            asked(
                body=content(
                    ref("OpenBulk"),
                    examples(
                        one_text={"text": "Olá"},
                        a_template={"text": "Olá {nome}", "column": "fone", "name": "campanha"},
                    ),
                )
            ),
            {
                "201": answer(
                    "Upload the file, then have it checked.",
                    content(
                        ref("BulkOpened"),
                        examples(
                            opened={
                                "bulk_id": _BULK_ID,
                                "upload_url": "https://sms.example.com/upload/AZ5wRIgAq1w9",
                                "upload_headers": {"If-None-Match": "*"},
                                "upload_until": _AT,
                            }
                        ),
                    ),
                    links=_links("showBulk", "checkBulk", "sendBulk", "pauseBulk", "cancelBulk"),
                ),
                **failures("400", "413"),
            },
            BASIC,
        ),
        "get": operation(
            "listBulks",
            TAG["name"],
            "List bulks",
            "And all other lists of more than 400 numbers.",
            asked(
                parameter(
                    "days", "query", whole("Of so many days.", minimum=1, maximum=90), example=7
                ),
                parameter("before", "query", uuid("Those before this one.")),
            ),
            {
                "200": answer(
                    "A page of them.",
                    content(
                        ref("Bulks"),
                        examples(one={"list": [{**_SHOWN, "state": "sending"}]}),
                    ),
                ),
                **failures("400"),
            },
            BASIC,
        ),
    },
    "/bulk/{id}": {
        "get": _act(
            "showBulk",
            "Ask about a bulk",
            "How far it is, and what is wrong with its rows.",
            "checked",
        ),
        "delete": _act(
            "cancelBulk",
            "Cancel a bulk",
            "What of it has not gone will not be sent.",
            "cancelled",
            "409",
        ),
    },
    "/bulk/{id}/check": {
        "post": _act(
            "checkBulk",
            "Check a bulk",
            "The dry run: every row is looked at, and nothing is sent.",
            "checking",
            "409",
            "413",
        )
    },
    "/bulk/{id}/send": {
        "post": _act(
            "sendBulk",
            "Send a bulk",
            "What was checked is paid for, and sent at its hour. Sending it twice is fine.",
            "sending",
            "400",
            "402",
            "409",
            "503",
        )
    },
    "/bulk/{id}/pause": {
        "post": _act(
            "pauseBulk",
            "Pause a bulk",
            "No more of it is sent until it is resumed. Its validity goes on running.",
            "paused",
            "409",
        )
    },
    "/bulk/{id}/resume": {
        "post": _act("resumeBulk", "Resume a bulk", "It goes on where it was.", "sending", "409")
    },
}
