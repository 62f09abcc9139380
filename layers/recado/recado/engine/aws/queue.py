"""Queue on SQS standard queues, fair between groups: MessageGroupId is the cost centre.

SQS keeps no order, counts roughly, and may deliver twice: nothing in the line asks for more.
`Received.id` is the receipt handle, which is what SQS wants to hear when a message is done.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from recado.engine import Depth, Received
from recado.engine.aws.clients import Clients
from recado.engine.aws.parallel import Many, NotAllTaken, rounds

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_AT_ONCE = 10
# Of one call. SQS takes 1 MiB today, and took this for years; it bills by 64 KB either way.
_BYTES_AT_ONCE = 262_144
# What a group may be called; anything else goes under its hash.
_GROUP = re.compile(r"[!-~]{1,128}")
_GONE = "ReceiptHandleIsInvalid"  # it was done before


class Posting(Struct, frozen=True):
    """A message on its way to a queue."""

    body: str
    group: str = ""
    delay: int = 0  # seconds


def postings_of(bodies: Sequence[str], group: str, delay: float) -> list[Posting]:
    """As `Queue.send` is told them."""
    whole = math.ceil(max(delay, 0.0))
    return [Posting(body, group, whole) for body in bodies]


class SQSQueue:
    """recado.engine.Queue. `urls`, `dead`: of the queues and of their dead letters, by our names.
    `wait`: for how many seconds a receive waits for a message. Raises NotAllTaken where SQS does
    not take a message, however often it is asked."""

    def __init__(
        self,
        clients: Clients,
        urls: Mapping[str, str],
        dead: Mapping[str, str],
        many: Many,
        wait: int,
    ) -> None:
        self._clients, self._urls, self._dead = clients, urls, dead
        self._many, self._wait = many, wait

    def send(self, queue: str, bodies: Sequence[str], group: str, delay: float = 0.0) -> None:
        self._send(self._urls[queue], postings_of(bodies, group, delay))

    def bury(self, queue: str, body: str, group: str) -> None:
        self._send(self._dead[queue], [Posting(body, group)])

    def send_each(self, queue: str, postings: Sequence[Posting]) -> list[Exception | None]:
        """Puts messages of any groups on a queue, as few calls as that takes. For each why it was
        not taken, or None."""
        return self._posted(self._urls[queue], postings)

    def _send(self, url: str, postings: Sequence[Posting]) -> None:
        for problem in self._posted(url, postings):
            if problem is not None:
                raise problem

    def _posted(self, url: str, postings: Sequence[Posting]) -> list[Exception | None]:
        # Taken here, and not in the threads: a session may make one client at a time.
        send = partial(_send_batch, self._clients.sqs, url)
        return [problem for told in self._many(send, _cut(postings)) for problem in told]

    def receive(self, queue: str, limit: int) -> list[Received]:
        return self._receive(queue, self._urls[queue], limit)

    def _receive(self, queue: str, url: str, limit: int) -> list[Received]:
        answer = self._clients.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(limit, _AT_ONCE),
            WaitTimeSeconds=self._wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "MessageGroupId"],
        )
        return [
            Received(
                message["ReceiptHandle"],
                queue,
                message["Attributes"].get("MessageGroupId", ""),
                message["Body"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in answer.get("Messages", [])
        ]

    def done(self, received: Sequence[Received]) -> None:
        for queue in dict.fromkeys(row.queue for row in received):
            handles = [row.id for row in received if row.queue == queue]
            self._delete(self._urls[queue], handles)

    def _delete(self, url: str, handles: Sequence[str]) -> None:
        distinct = list(dict.fromkeys(handles))
        chunks = [distinct[at : at + _AT_ONCE] for at in range(0, len(distinct), _AT_ONCE)]
        self._many(partial(_delete_batch, self._clients.sqs, url), chunks)

    def give_back(self, received: Sequence[Received]) -> None:
        """What was received and nobody began with may be received at once, by others. It counts as
        received; where this fails it comes again like all that was in hand."""
        for queue in dict.fromkeys(row.queue for row in received):
            handles = [row.id for row in received if row.queue == queue]
            for at in range(0, len(handles), _AT_ONCE):
                entries = [
                    {"Id": str(place), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for place, handle in enumerate(handles[at : at + _AT_ONCE])
                ]
                self._clients.sqs.change_message_visibility_batch(
                    QueueUrl=self._urls[queue],
                    Entries=entries,  # type: ignore[arg-type] # entries as plain dicts
                )

    def depths(self) -> list[Depth]:
        return [self._depth(queue) for queue in sorted(self._urls)]

    def _depth(self, queue: str) -> Depth:
        ready, delayed = self._counted(self._urls[queue])
        dead, _ = self._counted(self._dead[queue])
        return Depth(queue, ready, delayed, dead)

    def _counted(self, url: str) -> tuple[int, int]:
        """How many are there, in hand or not, and how many are delayed."""
        counts = self._clients.sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        )["Attributes"]
        visible = int(counts["ApproximateNumberOfMessages"])
        in_hand = int(counts["ApproximateNumberOfMessagesNotVisible"])
        return visible + in_hand, int(counts["ApproximateNumberOfMessagesDelayed"])

    def redrive(self, queue: str) -> int:
        # By hand: SQS's own redrive runs in the background and tells nobody how many it moved.
        # No more than lay there at its beginning, and what the last receive brought beyond them: a
        # consumer that buries as fast as this puts back would keep it busy for ever.
        url, moved = self._dead[queue], 0
        there, _ = self._counted(url)
        while rows := self._receive(queue, url, _AT_ONCE):
            self._send(self._urls[queue], [Posting(row.body, row.group) for row in rows])
            self._delete(url, [row.id for row in rows])
            moved += len(rows)
            if moved >= there:
                break
        return moved


def _group(name: str) -> str:
    if _GROUP.fullmatch(name):
        return name
    return hashlib.sha256(name.encode()).hexdigest()


def _allowed(body: str) -> str:
    """Bodies are JSON, which escapes all that SQS refuses except these two. As an escape they mean
    the same; they can stand in its strings only."""
    return body.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _cut(postings: Sequence[Posting]) -> list[list[Posting]]:
    """The messages in as many lists as calls are needed, their bodies as SQS takes them."""
    batches: list[list[Posting]] = []
    size = 0
    for posting in postings:
        body = _allowed(posting.body)
        length = len(body.encode())
        if not batches or len(batches[-1]) == _AT_ONCE or size + length > _BYTES_AT_ONCE:
            batches.append([])
            size = 0
        batches[-1].append(Posting(body, posting.group, posting.delay))
        size += length
    return batches


def _entry(place: int, posting: Posting) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(place), "MessageBody": posting.body}
    if posting.group:
        entry["MessageGroupId"] = _group(posting.group)
    if posting.delay:
        entry["DelaySeconds"] = posting.delay
    return entry


def _send_batch(sqs: "SQSClient", url: str, postings: Sequence[Posting]) -> list[Exception | None]:
    """For each why it was not taken, or None."""
    told: dict[str, Exception] = {}
    left = [_entry(place, posting) for place, posting in enumerate(postings)]
    try:
        for _ in rounds():
            failed = sqs.send_message_batch(QueueUrl=url, Entries=left).get("Failed", [])  # type: ignore[arg-type] # entries as plain dicts
            told |= {one["Id"]: _fault([one["Code"]]) for one in failed if one["SenderFault"]}
            again = {one["Id"] for one in failed if not one["SenderFault"]}
            left = [entry for entry in left if entry["Id"] in again]
            if not left:
                break
    except Exception as problem:  # of a call: none of what is left was taken
        told |= {entry["Id"]: problem for entry in left}
    return [told.get(str(place)) for place in range(len(postings))]


def _delete_batch(sqs: "SQSClient", url: str, handles: Sequence[str]) -> None:
    left = [{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(handles)]
    for _ in rounds():
        failed = sqs.delete_message_batch(QueueUrl=url, Entries=left).get("Failed", [])  # type: ignore[arg-type] # entries as plain dicts
        failed = [failure for failure in failed if failure["Code"] != _GONE]
        _raise_for_faults(failed)
        again = {failure["Id"] for failure in failed}
        left = [message for message in left if message["Id"] in again]
        if not left:
            return


def _raise_for_faults(failed: Sequence[Any]) -> None:
    """What SQS calls our own fault it would refuse again."""
    codes = {failure["Code"] for failure in failed if failure["SenderFault"]}
    if codes:
        raise _fault(codes)


def _fault(codes: Iterable[str]) -> NotAllTaken:
    return NotAllTaken(f"SQS refused messages: {', '.join(sorted(codes))}")
