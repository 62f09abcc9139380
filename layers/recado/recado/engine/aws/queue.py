"""Queue on SQS standard queues, fair between groups: MessageGroupId is the cost centre.

SQS keeps no order, counts roughly, and may deliver twice: nothing in the line asks for more.
`Received.id` is the receipt handle, which is what SQS wants to hear when a message is done.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

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
        self._send(self._urls[queue], bodies, group, math.ceil(delay))

    def bury(self, queue: str, body: str, group: str) -> None:
        self._send(self._dead[queue], [body], group)

    def _send(self, url: str, bodies: Sequence[str], group: str, delay: int = 0) -> None:
        common: dict[str, Any] = {"MessageGroupId": _group(group)} if group else {}
        if delay > 0:
            common["DelaySeconds"] = delay
        # Taken here, and not in the threads: a session may make one client at a time.
        send = partial(_send_batch, self._clients.sqs, url)
        self._many(send, [[{**common, "MessageBody": b} for b in batch] for batch in _cut(bodies)])

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
            for group in dict.fromkeys(row.group for row in rows):
                bodies = [row.body for row in rows if row.group == group]
                self._send(self._urls[queue], bodies, group)
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


def _cut(bodies: Sequence[str]) -> list[list[str]]:
    """The bodies in as many lists as calls are needed."""
    batches: list[list[str]] = []
    size = 0
    for body in map(_allowed, bodies):
        length = len(body.encode())
        if not batches or len(batches[-1]) == _AT_ONCE or size + length > _BYTES_AT_ONCE:
            batches.append([])
            size = 0
        batches[-1].append(body)
        size += length
    return batches


def _send_batch(sqs: "SQSClient", url: str, messages: Sequence[dict[str, Any]]) -> None:
    left = [{**message, "Id": str(place)} for place, message in enumerate(messages)]
    for _ in rounds():
        failed = sqs.send_message_batch(QueueUrl=url, Entries=left).get("Failed", [])  # type: ignore[arg-type] # entries as plain dicts
        _raise_for_faults(failed)
        again = {failure["Id"] for failure in failed}
        left = [message for message in left if message["Id"] in again]
        if not left:
            return


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
        raise NotAllTaken(f"SQS refused messages: {', '.join(sorted(codes))}")
