"""The API's own description: /openapi.json for programs, /docs for people. Open to all, and made
on our side: the page has no script and asks for nothing from elsewhere."""

import base64
import hashlib
import re
from functools import cache
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from recado.http import Answer, Event, json_answer, request_of
from recado.wiring import Deps

_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_NAME}|\[[0-9a-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?")
# Made once, whatever hosts strangers ask for; it gives way to the one that was asked.
_ANY_SERVER = "https://gateway.invalid"
_COMMON = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}


def openapi(event: Event, deps: Deps) -> Answer:
    """GET /openapi.json: the OpenAPI 3.1 document, with the host that was asked as its server."""
    headers = {**_COMMON, "access-control-allow-origin": "*"}  # for tools that run in a browser
    body = _made().document.replace(_ANY_SERVER, _server(event, deps))
    return json_answer(200, body, headers)


def docs(event: Event, deps: Deps) -> Answer:
    """GET /docs: the same as a page."""
    headers = {
        **_COMMON,
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _made().policy,
        "referrer-policy": "no-referrer",
    }
    return {
        "statusCode": 200,
        "headers": headers,
        "body": _made().page.replace(_ANY_SERVER, _server(event, deps)),
        "isBase64Encoded": False,
    }


def _policy(style: str) -> str:
    """The one style sheet by its hash, and nothing else (CSP level 3, section 2.3.1)."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _server(event: Event, deps: Deps) -> str:
    """The URL that was asked, as far as we can know it. A Host that is none gives "/": whence the
    document came."""
    headers = request_of(event).headers
    host = headers.get("host", "").lower()
    if not _HOST.fullmatch(host):
        return "/"
    return f"{_scheme(host, headers.get('x-forwarded-proto', ''), deps)}://{host}"


def _scheme(host: str, forwarded: str, deps: Deps) -> str:
    """As whoever ended TLS says: API Gateway always does, and so may a reverse proxy. Else as our
    own public URL has it, where that is its host."""
    if forwarded in ("http", "https"):
        return forwarded
    public = urlsplit(deps.settings.public_base_url)
    return public.scheme if public.netloc.lower() == host and public.scheme else "http"


class _Made(Struct, frozen=True):
    document: str
    page: str
    policy: str


@cache
def _made() -> _Made:
    """Imported when somebody asks: questions about messages don't wait for it at a cold start."""
    from recado.openapi import document  # noqa: PLC0415 - see above
    from recado.openapi.page import STYLE, page  # noqa: PLC0415 - see above

    described = {**document(), "servers": [{"url": _ANY_SERVER}]}
    encoded = msgspec.json.encode(described).decode()
    return _Made(encoded, page(described), _policy(STYLE))
