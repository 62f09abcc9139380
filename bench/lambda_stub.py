"""AWS, the upstream and the customers as the functions on Lambda see them, with no network.

AWS is played below botocore, in place of its HTTP session, and the others below requests, in place
of its sockets: everything above runs as it is. The answers have the form of the real ones. Items
are those that the engine itself wrote while `keeping` was on; after that they stand still, so that
the same event can be handled again and again.
"""

import email.utils
import io
import socket
import time
import uuid
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

UPSTREAM_HOST = "upstream.example"

Items: TypeAlias = dict[tuple[str, str], dict[str, bytes]]
"""JSON of items: by table and partition key, then by sort key."""

_MD5 = "fafb00f5732ab283681e124bf8747ed1"  # of the right length: botocore does not look at it
_ENTRY = '{"Id":"%s","MD5OfMessageBody":"%s","MessageId":"%s"}'
_PEPPER = "64 hex digits, as the template has it made for an installation.."
_decode, _encode = msgspec.json.decode, msgspec.json.encode


class Aws:
    """The account. `calls` counts by operation; `queued` has the bodies by queue, while keeping."""

    def __init__(self, items: Items | None = None, blobs: dict[str, bytes] | None = None) -> None:
        self.items: Items = items or {}
        self.blobs: dict[str, bytes] = blobs or {}
        self.keeping = False
        self.calls: Counter[str] = Counter()
        self.queued: defaultdict[str, list[str]] = defaultdict(list)

    def install(self) -> None:
        """From now on botocore's clients, those already made too, speak to this account."""

        def send(_: URLLib3Session, request: Any) -> AWSResponse:
            return self._answer(request)

        setattr(URLLib3Session, "send", send)  # noqa: B010 - mypy takes no assignment to a method

    def _answer(self, request: Any) -> AWSResponse:
        target = request.headers.get("X-Amz-Target")
        if target is None:
            return self._answer_s3(request)
        service, _, operation = str(target, "ascii").partition(".")
        self.calls[operation] += 1
        content: bytes = getattr(self, f"_{operation.lower()}")(request.body)
        headers = {
            "Server": "Server",
            "Date": email.utils.formatdate(usegmt=True),
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Length": str(len(content)),
            "Connection": "keep-alive",
            "x-amzn-RequestId": "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG",
        }
        if service.startswith("DynamoDB"):
            headers["x-amz-crc32"] = str(zlib.crc32(content))  # which botocore compares
        return _response(request, headers, content)

    # --- DynamoDB --------------------------------------------------------------------------------

    def _keep(self, table: str, item: Any) -> None:
        rows = self.items.setdefault((table, item["pk"]["S"]), {})
        rows[item["sk"]["S"]] = _encode(item)

    def _found(self, table: str, key: Any) -> bytes | None:
        return self.items.get((table, key["pk"]["S"]), {}).get(key["sk"]["S"])

    def _putitem(self, asked: bytes) -> bytes:
        """Its condition always holds."""
        if self.keeping:
            put = _decode(asked)
            self._keep(put["TableName"], put["Item"])
        return b"{}"

    def _batchwriteitem(self, asked: bytes) -> bytes:
        if self.keeping:
            for table, requests in _decode(asked)["RequestItems"].items():
                for request in requests:
                    self._keep(table, request["PutRequest"]["Item"])
        return b'{"UnprocessedItems":{}}'

    def _getitem(self, asked: bytes) -> bytes:
        get = _decode(asked)
        item = self._found(get["TableName"], get["Key"])
        return b'{"Item":%b}' % item if item else b"{}"

    def _batchgetitem(self, asked: bytes) -> bytes:
        [(table, wanted)] = _decode(asked)["RequestItems"].items()
        found = [item for key in wanted["Keys"] if (item := self._found(table, key))]
        answer = b'{"Responses":{"%b":[%b]},"UnprocessedKeys":{}}'
        return answer % (table.encode(), b",".join(found))

    def _query(self, asked: bytes) -> bytes:
        """A whole partition, as the configuration is read."""
        query = _decode(asked)
        partition = query["ExpressionAttributeValues"][":pk"]["S"]
        rows = list(self.items.get((query["TableName"], partition), {}).values())
        answer = b'{"Count":%d,"Items":[%b],"ScannedCount":%d}'
        return answer % (len(rows), b",".join(rows), len(rows))

    # --- SQS, Secrets Manager, S3 ----------------------------------------------------------------

    def _sendmessage(self, asked: bytes) -> bytes:
        sent = _decode(asked)
        if self.keeping:
            self.queued[_name(sent)].append(sent["MessageBody"])
        return _encode({"MD5OfMessageBody": _MD5, "MessageId": _message_id()})

    def _sendmessagebatch(self, asked: bytes) -> bytes:
        sent = _decode(asked)
        if self.keeping:
            self.queued[_name(sent)] += [entry["MessageBody"] for entry in sent["Entries"]]
        entries = [_ENTRY % (entry["Id"], _MD5, _message_id()) for entry in sent["Entries"]]
        return ('{"Successful":[%s]}' % ",".join(entries)).encode()  # noqa: UP031 - braces

    def _getsecretvalue(self, _: bytes) -> bytes:
        return _encode({"ARN": "arn", "Name": "PepperSecret", "SecretString": _PEPPER})

    def _answer_s3(self, request: Any) -> AWSResponse:
        name = urlsplit(request.url).path
        self.calls[f"{request.method} object"] += 1
        headers = {"x-amz-request-id": "0A49CE4060975EAC", "Server": "AmazonS3"}
        if request.method == "PUT":
            body = request.body if isinstance(request.body, bytes) else request.body.read()
            if self.keeping:
                self.blobs[name] = _unchunked(body, request.headers)
            return _response(request, {**headers, "ETag": f'"{_MD5}"'}, b"")
        content = self.blobs[name]
        return _response(request, {**headers, "Content-Length": str(len(content))}, content)


def _name(sent: Any) -> str:
    return str(sent["QueueUrl"]).rpartition("/")[2]


def _unchunked(body: bytes, headers: Any) -> bytes:
    """What a body in one aws-chunk holds."""
    length = headers.get("X-Amz-Decoded-Content-Length")
    if length is None:
        return body
    start = body.index(b"\r\n") + 2
    return body[start : start + int(length)]


def _message_id() -> str:
    return str(uuid.UUID(int=time.monotonic_ns()))


class _Body(io.BytesIO):
    def stream(self, amount: int = 1024) -> Iterator[bytes]:
        """As urllib3's."""
        while piece := self.read(amount):
            yield piece


def _response(request: Any, headers: dict[str, str], content: bytes) -> AWSResponse:
    answer = AWSResponse(request.url, 200, headers, _Body(content))  # type: ignore[arg-type] # as botocore calls it
    if not request.stream_output:
        _ = answer.content  # read here, as botocore's own session does
    return answer


# --- upstream and customers ----------------------------------------------------------------------

_ids = count(1)
_YES = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\nserver: nginx\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b"
)


class _Connection(socket.socket):
    """A connection on which each request is answered: by the upstream with an id, by a customer
    with nothing. There is a real one underneath, for its state is asked of the system."""

    def __init__(self, host: str) -> None:
        here, self._other_end = socket.socketpair()
        super().__init__(here.family, here.type, here.proto, here.detach())
        self._upstream = host == UPSTREAM_HOST

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Nobody reads it."""

    def makefile(self, *_: Any, **__: Any) -> Any:
        """The next answer."""
        body = b'{"id":"up-%d"}' % next(_ids) if self._upstream else b""
        date = email.utils.formatdate(usegmt=True).encode()
        return io.BufferedReader(io.BytesIO(_YES % (date, len(body), body)))

    def close(self) -> None:
        """Both ends."""
        self._other_end.close()
        super().close()


def connected_socket(host: str, *_: Any) -> socket.socket:
    """Stands in for recado.addresses.connected_socket."""
    return _Connection(host)
