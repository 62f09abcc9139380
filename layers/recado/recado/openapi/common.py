"""What several parts of the document have in common: how one is let in, and how a failure is told
in the form of Zoug's document, which our own paths have too."""

from types import MappingProxyType

from recado.message import State
from recado.openapi.parts import (
    Json,
    always,
    answer,
    content,
    either,
    examples,
    header,
    one_of,
    parameter,
    ref,
    text,
    thing,
    uuid,
    whole,
)

BASIC: tuple[Json, ...] = ({"basic": []},)
TOKEN_OR_BASIC: tuple[Json, ...] = ({"token": []}, {"bearer": []}, {"basic": []})
OPEN: tuple[Json, ...] = ()

SECURITY_SCHEMES: Json = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Login and password of a cost centre.",
    },
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "access_token",
        "description": "An access token of Directcall's API, from `/request_token`; in the body "
        "or the query.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same token in the Authorization header (ours).",
    },
}

_FAILED_ID = "019e7044-8800-7b02-9d11-0b7a5c3e4f60"
DIGITS_OF_A_MOBILE = r"^(\+?55)?([14689][1-9]|2[12478]|3[1-578]|5[1345]|7[134579])9[0-9]{8}$"

SCHEMAS: Json = {
    "Failure": thing(
        "Why a request was refused, or that we failed at it. The document's form.",
        {
            "message_id": uuid("By it the failure is found in our log."),
            "error": always(True),
            "message": text("What is wrong, in words."),
            "esme": text("The same as SMPP has it.", pattern="^ESME_[A-Z]+$"),
        },
    ),
    "GatewayFailure": thing(
        "What API Gateway answers by itself, on AWS alone.", {"message": text()}
    ),
    "State": one_of(
        [state.value for state in State],
        "Where a message is. SCHEDULED: waits for its hour. PAUSED: its batch was paused. QUEUED: "
        "nobody has submitted it yet. SUBMITTING: an upstream is being asked. ENROUTE, ACCEPTED: "
        "on its way. The others are its end; DELETED: taken back. FAILED: our side could not.",
    ),
}

ID_IN_PATH = parameter(
    "id",
    "path",
    text("The id that the answer gave, a UUID of version 7.", format="uuid"),
    required=True,
)
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    text(
        "For 24 hours the same request with the same key gets the same answer, and is sent once.",
        minLength=1,
        maxLength=255,
        pattern="^[!-~]+$",
    ),
)
PARAMETERS: Json = {"Id": ID_IN_PATH, "IdempotencyKey": IDEMPOTENCY_KEY}


def _failure(message: str, esme: str) -> Json:
    return {"message_id": _FAILED_ID, "error": True, "message": message, "esme": esme}


def _refusal(description: str, *cases: tuple[str, str], **headers: Json) -> Json:
    named = {
        message.rstrip("!").replace(" ", "_"): _failure(message, code) for message, code in cases
    }
    kept = {name.replace("_", "-").title(): header(schema) for name, schema in headers.items()}
    return answer(description, content(ref("Failure"), examples(**named)), headers=kept)


_SECONDS = whole("Seconds.", minimum=1)

RESPONSES: Json = {
    "Refused": _refusal(
        "The request can't be taken as it stands.",
        ("Destination_addr is invalid!", "ESME_RINVDSTADR"),
        ("Message is empty!", "ESME_RINVMSGLEN"),
        ("Body is not valid JSON!", "ESME_RINVCMDLEN"),
    ),
    "Unauthorized": _refusal(
        "Nobody knows who asks.",
        ("Login or password is invalid!", "ESME_RINVPASWD"),
        www_authenticate=text(pattern="^Basic "),
    ),
    "NoBalance": _refusal(
        "The cost centre pays in advance, and has not enough.",
        ("Balance is insufficient!", "ESME_RSUBMITFAIL"),
    ),
    "Suspended": _refusal(
        "The operator has suspended the cost centre, or lets it send by SMPP alone.",
        ("Cost centre is suspended!", "ESME_RBINDFAIL"),
        ("Cost centre sends by SMPP alone!", "ESME_RBINDFAIL"),
    ),
    "Unknown": _refusal(
        "No such id, or it is another cost centre's.", ("Id is unknown!", "ESME_RQUERYFAIL")
    ),
    "Conflict": _refusal(
        "It has gone already; or its Idempotency-Key was used for another request.",
        ("Message has already gone!", "ESME_RCANCELFAIL"),
        ("Idempotency-Key was used for another request!", "ESME_RINVOPTPARAMVAL"),
    ),
    "TooLarge": answer(
        "The body has more than 6 MB. On AWS the answer is API Gateway's own.",
        content(
            either(ref("Failure"), ref("GatewayFailure")),
            examples(Body_is_too_large=_failure("Body is too large!", "ESME_RINVCMDLEN")),
        ),
    ),
    "Throttled": _refusal(
        "More requests a second than the cost centre may send, or its segments of today are used "
        "up.",
        ("Rate is exceeded!", "ESME_RTHROTTLED"),
        retry_after=_SECONDS,
    ),
    "Fault": _refusal(
        "We failed, and nobody knows whether it was taken: repeat it, best with an "
        "Idempotency-Key.",
        ("Request failed, try again!", "ESME_RSYSERR"),
    ),
    "NoRoute": _refusal(
        "No upstream can take it at present; nothing was taken.",
        ("Message has no route!", "ESME_RSYSERR"),
        retry_after=_SECONDS,
    ),
}

_BY_STATUS = MappingProxyType(
    {
        "400": "Refused",
        "401": "Unauthorized",
        "402": "NoBalance",
        "403": "Suspended",
        "404": "Unknown",
        "409": "Conflict",
        "413": "TooLarge",
        "429": "Throttled",
        "500": "Fault",
        "503": "NoRoute",
    }
)
_EVERYWHERE = ("401", "403", "429", "500")


def failures(*statuses: str) -> Json:
    """The answers of a path that asks for credentials: the failures that any may meet, and its
    own."""
    return {
        status: ref(_BY_STATUS[status], "responses") for status in sorted({*_EVERYWHERE, *statuses})
    }
