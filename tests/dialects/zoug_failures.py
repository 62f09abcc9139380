"""Every failure that a caller of Zoug's routes can meet, as docs/zoug-api.md tells them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from recado import operations
from tests.support.world import World

GOOD = "5534998887755"
BODY = {"destination_addr": GOOD, "message": "oi"}
BATCH = "/message/batch"
UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"

VALIDITY = "Validity must be a number of seconds from 5 to 259200!"
SEND_AT = "Send_at must be a date and time in ISO 8601!"
REFERENCE = "eference_id must be a string of at most 255 characters!"
NO_STRINGS: list[Any] = [7, 7.5, True, [], {}]
WRONG: list[tuple[Any, str]] = [
    *((wrong, "must be a string") for wrong in NO_STRINGS),
    *((empty, "is empty") for empty in ("", " \t")),
]
QUOTA = "Daily quota of 1 segments does not suffice for 2 more today!"
BALANCE = "Balance is insufficient!"
LONG = "a" * 161  # two segments
KEY = "Idempotency-Key must have 1 to 255 characters!"


class Failure(NamedTuple):
    """A request, and how it is refused."""

    what: str
    status: int
    esme: str
    message: str
    body: Any = BODY
    target: str = "/message"
    method: str = "POST"
    headers: Mapping[str, str] = MappingProxyType({})
    login: str | None = "ana"
    before: Callable[[World], object] | None = None
    stranger: bool = False  # nobody asks whose request it is


def without(field: str) -> dict[str, str]:
    return {name: value for name, value in BODY.items() if name != field}


def listing(*elements: Any, **fields: Any) -> dict[str, Any]:
    return {"list": list(elements), **fields}


def header(value: str) -> dict[str, Any]:
    return {"login": None, "headers": {"authorization": value}}


def credentials(what: str, message: str, **how: Any) -> Failure:
    return Failure(what, 401, "ESME_RINVPASWD", message, stranger=True, **how)


def field(name: str, message: str, code: str) -> list[Failure]:
    """What can be wrong with a field that has to be a string."""
    return [
        Failure(f"{name} missing", 400, code, f"{message} is missing!", without(name)),
        Failure(f"{name} null", 400, code, f"{message} is missing!", {**BODY, name: None}),
        *(
            Failure(f"{name} {wrong!r}", 400, code, f"{message} {problem}!", {**BODY, name: wrong})
            for wrong, problem in WRONG
        ),
    ]


def option(name: str, code: str, message: str, wrong: list[Any]) -> list[Failure]:
    """What can be wrong with a field of ours."""
    return [
        Failure(f"{name} {str(value)[:20]!r}", 400, code, message, {**BODY, name: value})
        for value in wrong
    ]


def number(what: str, written: str, message: str) -> Failure:
    body = {**BODY, "destination_addr": written}
    return Failure(what, 400, "ESME_RINVDSTADR", message, body)


def text(what: str, content: str, message: str) -> Failure:
    return Failure(what, 400, "ESME_RINVMSGLEN", message, {**BODY, "message": content})


def raw(what: str, body: bytes, message: str, **how: Any) -> Failure:
    return Failure(what, 400, "ESME_RINVCMDLEN", message, body, **how)


def batch(what: str, code: str, message: str, body: Any) -> Failure:
    return Failure(what, 400, code, message, body, BATCH)


def nowhere(what: str, method: str, target: str, **how: Any) -> Failure:
    allowed = how.pop("allowed", None)
    status, message = (
        (405, "Method is not possible here!") if allowed else (404, "Path is unknown!")
    )
    return Failure(what, status, "ESME_RINVCMDID", message, BODY, target, method, **how)


def suspend(world: World) -> None:
    operations.costcentre_suspend(world.deps, "ana")


def send_by_smpp_alone(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", sends_by=("smpp",))


def spend(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", per_second=1)
    world.call("POST", "/message", BODY)


def without_balance(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", prepaid=True, price=1_000)


def with_little_quota(world: World) -> None:
    operations.costcentre_update(world.deps, "ana", daily_quota=1)


def use_key(world: World) -> None:
    headers = {"idempotency-key": "chave"}
    world.call("POST", "/message", {**BODY, "message": "outra"}, headers=headers)


NO_JSON, NO_OBJECT = "Body is not valid JSON!", "Body is not a JSON object!"
BAD_LOGIN = "Login or password is invalid!"

FAILURES = [
    credentials("no credentials", "Authorization is missing!", login=None),
    credentials("empty credentials", "Authorization is missing!", **header("")),
    credentials("unknown login", BAD_LOGIN, login="eva"),
    credentials("wrong password", BAD_LOGIN, **header("Basic YW5hOmVycmFkYQ==")),
    credentials("another scheme", BAD_LOGIN, **header("Bearer YW5hOnNlZ3JlZG8=")),
    credentials("no base64", BAD_LOGIN, **header("Basic %%%")),
    credentials("base64 without a colon", BAD_LOGIN, **header("Basic YW5h")),
    credentials("base64 of no UTF-8", BAD_LOGIN, **header("Basic /zo6/w==")),
    credentials("beyond ASCII", BAD_LOGIN, **header("Basic á")),
    Failure("suspended", 403, "ESME_RBINDFAIL", "Cost centre is suspended!", before=suspend),
    Failure(
        "SMPP alone",
        403,
        "ESME_RBINDFAIL",
        "Cost centre sends by SMPP alone!",
        before=send_by_smpp_alone,
    ),
    Failure("rate", 429, "ESME_RTHROTTLED", "Rate is exceeded!", before=spend),
    Failure(
        "quota", 429, "ESME_RTHROTTLED", QUOTA, {**BODY, "message": LONG}, before=with_little_quota
    ),
    Failure(
        "quota of a batch",
        429,
        "ESME_RTHROTTLED",
        QUOTA,
        listing(BODY, BODY),
        BATCH,
        before=with_little_quota,
    ),
    *(
        Failure(what, 402, "ESME_RSUBMITFAIL", BALANCE, body, target, before=without_balance)
        for what, body, target in (
            ("balance", BODY, "/message"),
            ("balance of a batch", listing(BODY), BATCH),
        )
    ),
    raw("body no JSON", b"{", NO_JSON),
    raw("body empty", b"", NO_JSON),
    raw("body no UTF-8", b'{"message":"\xff"}', NO_JSON),
    raw("body with a lone surrogate", b'{"message":"\\ud800"}', NO_JSON),
    raw("body nested too deep", b"[" * 100_000, NO_JSON),
    raw("body form-encoded", b"destination_addr=5534998887755&message=oi", NO_JSON),
    raw("body an array", b"[1]", NO_OBJECT),
    raw("body a string", b'"oi"', NO_OBJECT),
    raw("body null", b"null", NO_OBJECT),
    raw("batch body no JSON", b"", NO_JSON, target=BATCH),
    raw("batch body an array", b"[]", NO_OBJECT, target=BATCH),
    *field("destination_addr", "Destination_addr", "ESME_RINVDSTADR"),
    *field("message", "Message", "ESME_RINVMSGLEN"),
    number("number without its ninth digit", "553488556644", "Destination_addr is invalid!"),
    number("number with letters", "55349988877AB", "Destination_addr is invalid!"),
    number("number of another country", "+14155550123", "Destination_addr is invalid!"),
    number("number of a fixed line", "554130600300", "Destination_addr is a fixed line!"),
    text("text too long", "a" * 1531, "Message is too long: 11 segments, at most 10 are allowed!"),
    text(
        "text far too long",
        "a\u0301\u0323" * 1_000_000,
        "Message is too long: 3000000 characters, at most 10 segments are allowed!",
    ),
    text("UCS-2 too long", "€ж" * 336, "Message is too long: 11 segments, at most 10 are allowed!"),
    *option(
        "validity",
        "ESME_RINVEXPIRY",
        VALIDITY,
        [4, 259_201, -1, 60.5, True, [], "a", "-60", "٦٠", "9" * 30],
    ),
    *option(
        "send_at", "ESME_RINVSCHED", SEND_AT, [1_780_000_000, True, {}, "amanhã", "2026-13-01"]
    ),
    *option("send_at", "ESME_RINVSCHED", "Send_at is in the past!", ["2026-05-28T17:25:00"]),
    *option(
        "send_at",
        "ESME_RINVSCHED",
        "Send_at must be at most 90 days ahead!",
        ["2026-09-01", "9999-12-31"],
    ),
    *option(
        "reference_id", "ESME_RINVOPTPARAMVAL", "R" + REFERENCE, ["x" * 256, 1.5, True, [], {}]
    ),
    *(
        Failure(
            f"Idempotency-Key of {len(key)}",
            400,
            "ESME_RINVOPTPARAMVAL",
            KEY,
            headers={"idempotency-key": key},
        )
        for key in ("", "k" * 256)
    ),
    Failure(
        "Idempotency-Key of another request",
        409,
        "ESME_RINVOPTPARAMVAL",
        "Idempotency-Key was used for another request!",
        headers={"idempotency-key": "chave"},
        before=use_key,
    ),
    batch("list missing", "ESME_RINVNUMDESTS", "List is missing!", {}),
    batch("list null", "ESME_RINVNUMDESTS", "List is missing!", {"list": None}),
    batch("list an object", "ESME_RINVNUMDESTS", "List must be an array!", {"list": BODY}),
    batch("list empty", "ESME_RINVNUMDESTS", "List is empty!", listing()),
    batch(
        "list of 401",
        "ESME_RINVNUMDESTS",
        "List has 401 elements, at most 400 are allowed!",
        listing(*[BODY] * 401),
    ),
    batch(
        "element no object", "ESME_RINVNUMDESTS", "list[1] must be an object!", listing(BODY, "oi")
    ),
    batch(
        "element without a number",
        "ESME_RINVDSTADR",
        "list[2].destination_addr is missing!",
        listing(BODY, BODY, without("destination_addr")),
    ),
    batch(
        "element with a number as a number",
        "ESME_RINVDSTADR",
        "list[0].destination_addr must be a string!",
        listing({**BODY, "destination_addr": int(GOOD)}),
    ),
    batch(
        "element without a text",
        "ESME_RINVMSGLEN",
        "list[1].message is missing!",
        listing(BODY, without("message")),
    ),
    batch(
        "element with a text of a wrong type",
        "ESME_RINVMSGLEN",
        "list[1].message must be a string!",
        listing(BODY, {**BODY, "message": ["oi"]}),
    ),
    batch(
        "element with a bad reference_id",
        "ESME_RINVOPTPARAMVAL",
        "list[0].r" + REFERENCE,
        listing({**BODY, "reference_id": {}}),
    ),
    batch("validity of a batch", "ESME_RINVEXPIRY", VALIDITY, listing(BODY, validity=1)),
    batch("send_at of a batch", "ESME_RINVSCHED", SEND_AT, listing(BODY, send_at="x")),
    nowhere("unknown path", "POST", "/messages", stranger=True),
    nowhere("the root", "GET", "/", stranger=True),
    nowhere("PUT /message", "PUT", "/message", allowed=True, stranger=True),
    nowhere("DELETE /message", "DELETE", "/message", allowed=True, stranger=True),
    nowhere("PUT /message/batch", "PUT", BATCH, allowed=True, stranger=True),
    nowhere("GET /message/batch", "GET", BATCH, allowed=True),
    nowhere("DELETE /message/batch", "DELETE", BATCH, allowed=True),
    nowhere("POST /message/{id}", "POST", f"/message/{UNKNOWN_ID}", allowed=True, stranger=True),
    nowhere("PUT /message/batch/{id}", "PUT", f"{BATCH}/{UNKNOWN_ID}", allowed=True, stranger=True),
    *(
        Failure(
            f"{method} of {what}", 404, "ESME_RQUERYFAIL", "Id is unknown!", None, target, method
        )
        for method in ("GET", "DELETE")
        for what, target in {
            "an old id": f"/message/{UNKNOWN_ID}",
            "an old batch id": f"{BATCH}/{UNKNOWN_ID}",
            "no id": "/message/7",
            "another UUID": "/message/76f13548-aa2f-4489-bf5c-b402b3fc34a4",
            "an id of times to come": "/message/7fffffff-ffff-7000-8000-000000000000",
        }.items()
    ),
]
