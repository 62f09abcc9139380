"""What a cost centre may ask of itself, in the document; and the document's own two paths."""

from recado.openapi.common import BASIC, OPEN, failures
from recado.openapi.parts import (
    Json,
    answer,
    asked,
    content,
    examples,
    flag,
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
    "name": "Account",
    "description": "Balance and usage, and this description. Ours: no document of a provider has "
    "it.",
}

_ROW: Json = {
    "day": "2026-05-28",
    "cost_centre": "aec1d02e-276d-4b51-9b55-5ad2f85df265",
    "connector": "simulator",
    "state": "DELIVERED",
    "messages": 2,
    "segments": 3,
    "units": 3,
}
_CSV = f"{','.join(_ROW)}\r\n{','.join(map(str, _ROW.values()))}\r\n"

SCHEMAS: Json = {
    "Balance": thing(
        "What is left.",
        {
            "prepaid": flag("Whether it pays in advance; else the balance counts for nothing."),
            "currency": text("By ISO 4217."),
            "balance": text("An amount: 12.34, 0.085.", pattern=r"^-?[0-9]+\.[0-9]{2,4}$"),
        },
        {
            "daily_quota": whole("Segments that it may send in a day, where it has a quota."),
            "used_today": whole("Of these.", minimum=0),
        },
    ),
    "UsageRow": thing(
        "What was sent in a day by one connector and is in one state.",
        {
            "day": text("In the cost centre's time zone.", format="date"),
            "cost_centre": uuid(),
            "connector": text("Empty: it never came to one."),
            "state": ref("State"),
            "messages": whole(minimum=1),
            "segments": whole("As they were sent.", minimum=0),
            "units": whole("As they are charged.", minimum=0),
        },
    ),
    "Usage": thing("Day by day.", {"usage": several(ref("UsageRow"))}),
}


def _day(name: str, description: str) -> Json:
    return parameter(name, "query", text(description, format="date"))


PATHS: Json = {
    "/balance": {
        "get": operation(
            "showBalance",
            TAG["name"],
            "Ask for the balance",
            "What is left of what was paid in advance, and of today's quota.",
            asked(),
            {
                "200": answer(
                    "What is left.",
                    content(
                        ref("Balance"),
                        examples(
                            in_advance={"prepaid": True, "currency": "BRL", "balance": "12.34"}
                        ),
                    ),
                ),
                **failures(),
            },
            BASIC,
        )
    },
    "/usage": {
        "get": operation(
            "showUsage",
            TAG["name"],
            "Ask for the usage",
            "Messages, segments and units by day, connector and state; of 92 days at most.",
            asked(
                _day("since", "The first day. Left out: the last one."),
                _day("until", "The last day. Left out: today."),
                parameter(
                    "format", "query", one_of(("json", "csv"), default="json"), example="json"
                ),
            ),
            {
                "200": answer(
                    "A row for each day, connector and state that there is.",
                    content(ref("Usage"), examples(two_messages={"usage": [_ROW]}))
                    | content(
                        text("A table with a header line (RFC 4180)."),
                        examples(the_same=_CSV),
                        "text/csv",
                    ),
                ),
                **failures("400"),
            },
            BASIC,
        )
    },
    "/openapi.json": {
        "get": operation(
            "showDocument",
            TAG["name"],
            "This document",
            "For programs. The server in it is the host that was asked.",
            asked(),
            {
                "200": answer(
                    "OpenAPI 3.1.",
                    content({"type": "object", "required": ["openapi", "paths", "webhooks"]}),
                )
            },
            OPEN,
        )
    },
    "/docs": {
        "get": operation(
            "showPage",
            TAG["name"],
            "This document as a page",
            "For people. It has no script and takes nothing from elsewhere.",
            asked(),
            {"200": answer("HTML.", content(text(), media="text/html"))},
            OPEN,
        )
    },
}
