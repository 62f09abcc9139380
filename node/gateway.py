"""The front door's handling: HTTP becomes an API Gateway event, and the answer leaves only after
the commit that makes it true. Before the template's routes come the node's own pages."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from node.http_server import RawRequest, Reply
from node.template import Router
from node.waiting import Durably, start
from recado import esme
from recado.engine.embedded.blobs import UPLOADS
from recado.errors import Conflict
from recado.http import Answer, Event
from recado.ids import new_id
from recado.observability import count, log, words_of
from recado.registry import dialect_of
from recado.submission import Refusal

Function: TypeAlias = Callable[[Event, Any], Any]
Page: TypeAlias = Callable[[RawRequest, Reply], None]
"""Answers a GET or HEAD for one path of the node's own: now or later, and once."""

# The statuses that the server gives by itself, as refusals: field, reason, code, text.
_SERVER_REFUSALS = {
    400: Refusal("request", "type", esme.RINVCMDLEN, "is not valid HTTP!"),
    403: Refusal("upload", "type", esme.RINVPASWD, "is not signed, or comes too late!"),
    408: Refusal("request", "type", esme.RINVCMDLEN, "took too long!"),
    409: Refusal("upload", "gone", esme.RCANCELFAIL, "has come already!"),
    411: Refusal("request", "type", esme.RINVCMDLEN, "has no length!"),
    413: Refusal("body", "large", esme.RINVCMDLEN),
    431: Refusal("headers", "large", esme.RINVCMDLEN, "are too large!"),
    501: Refusal("request", "type", esme.RINVCMDLEN, "asks for what we can't do!"),
    503: Refusal("gateway", "busy", esme.RMSGQFUL),
}
# The metrics of the answers, made once: no string is built for a request.
_ANSWERS = {kind: f"http_{kind}xx" for kind in range(1, 6)}
_FAULT = Refusal("request", "fault", esme.RSYSERR)


class Gateway:
    """Answers requests by calling the functions that the template's routes name."""

    def __init__(
        self,
        router: Router,
        functions: Mapping[str, Function],
        durable: Durably,
        clock: Callable[[], float],
        pages: Mapping[str, Page] = MappingProxyType({}),
    ) -> None:
        self._router, self._functions = router, functions
        self._durable, self._clock, self._pages = durable, clock, pages

    def handle(self, request: RawRequest, reply: Reply) -> None:
        """Calls the function, which never blocks here, and keeps its answer until the commit."""
        if request.upload is not None:
            request.upload.finish(partial(self._uploaded, reply))
            return
        path, _, query = request.target.partition("?")
        page = self._pages.get(path)
        if page is not None and request.method in ("GET", "HEAD"):
            page(request, reply)
            return
        match = self._router.find(request.method, path)
        event = event_of(request, path, query, match.route_key, match.parameters)

        def work() -> None:
            try:
                answer = self._functions[match.function](event, None)
            except Exception:  # `observed` has logged it
                answer = self._fault("a request failed by our fault", path)

            def durable(problem: BaseException | None) -> None:
                if problem is None:
                    _send(answer, reply)
                else:
                    why = words_of(problem) or type(problem).__name__
                    _send(self._fault(f"a commit failed: {why}", path), reply)

            self._durable.then(durable)

        # It may step aside: a list of 300,000 numbers is not read in one go.
        start(work)

    def _uploaded(self, reply: Reply, problem: BaseException | None) -> None:
        if problem is None:
            count(_ANSWERS[2])
            reply(200, {}, b"")
        else:
            status = 409 if isinstance(problem, Conflict) else 500
            reply(status, *self.refuse(status, UPLOADS))

    def _fault(self, why: str, path: str) -> Answer:
        identifier = new_id(self._clock())
        log.error(why, extra={"correlation_id": identifier})
        return dialect_of(path).turned_away(_FAULT, identifier, path)

    def refuse(self, status: int, path: str) -> tuple[Mapping[str, str], bytes]:
        """What the server answers by itself, in the form of the path's dialect."""
        refusal = _SERVER_REFUSALS.get(status, _FAULT)
        count(_ANSWERS[status // 100])
        answer = dialect_of(path).turned_away(refusal, new_id(self._clock()), path)
        return answer["headers"], answer["body"].encode()


def _send(answer: Answer, reply: Reply) -> None:
    body: str = answer.get("body", "")
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    count(_ANSWERS.get(answer["statusCode"] // 100, _ANSWERS[5]))
    reply(answer["statusCode"], answer.get("headers", {}), content)


def event_of(
    request: RawRequest, path: str, query: str, route_key: str, parameters: Mapping[str, str]
) -> Event:
    """The event (payload format 2.0) that API Gateway would make of the request. It sends as text
    what the content type calls text, and everything else in base64."""
    event: Event = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": request.headers,
        "requestContext": {
            "http": {"method": request.method, "path": path, "sourceIp": request.peer},
            "routeKey": route_key,
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if parameters:
        event["pathParameters"] = dict(parameters)
    if request.body:
        _put_body(event, request.body, request.headers.get("content-type", ""))
    return event


def _put_body(event: Event, body: bytes, content_type: str) -> None:
    if content_type.startswith(("application/json", "text/")):
        try:
            event["body"] = body.decode()
            return
        except UnicodeDecodeError:
            pass
    event["body"] = base64.b64encode(body).decode()
    event["isBase64Encoded"] = True
