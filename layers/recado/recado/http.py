"""HTTP as the package sees it, on Lambda and on a machine alike: requests in, exchanges out.

A request in is an API Gateway HTTP API event (payload format 2.0); the node makes the same events.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Struct

Event: TypeAlias = dict[str, Any]
Answer: TypeAlias = dict[str, Any]


class Request(Struct, frozen=True):
    """A request to us. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: str
    parameters: Mapping[str, str]  # of the route: {"id": ...}
    body: bytes

    def query_fields(self) -> dict[str, str]:
        """The query string's fields; the last of a repeated name counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


def request_of(event: Event) -> Request:
    """The request that an event carries."""
    body: str = event.get("body") or ""
    http = event["requestContext"]["http"]
    return Request(
        method=http["method"],
        path=event["rawPath"],
        headers=event["headers"],
        query=event.get("rawQueryString", ""),
        parameters=event.get("pathParameters") or {},
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )


def json_answer(status: int, body: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": body,
        "isBase64Encoded": False,
    }


class Outgoing(Struct, frozen=True):
    """A request of ours to a customer or an upstream. Redirects are never followed.

    By a bind (SMPP) it is one PDU: `url` is "smpp:<connector>", `body` the framed request with any
    sequence number; what comes back is `Reached` with the command_status and the body of its
    response, or `Unreached`."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    timeout: float = 15.0
    private_allowed: bool = False  # may it reach loopback, private and link-local addresses


class Reached(Struct, frozen=True):
    """The other side answered."""

    status: int
    body: bytes  # the first 64 KB
    headers: Mapping[str, str] = {}


class Unreached(Struct, frozen=True):
    """The other side did not answer. `sent`: it may have read the request all the same."""

    problem: str
    sent: bool


Exchange: TypeAlias = Callable[[Sequence[Outgoing]], list[Reached | Unreached]]
"""Sends all at once, answers in their order, and raises nothing for what the network does."""
