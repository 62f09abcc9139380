"""Expand: a batch becomes its record, its packets and its callback.

Every id was fixed when the batch was accepted, so that expanding it twice changes nothing.
"""

from collections.abc import Iterator

import msgspec

from recado.dialects import Listed
from recado.message import Batch, Message, Packet, Recipient, Report, State, Submission, encode
from recado.notices import emit
from recado.observability import count, follow, follows, log
from recado.report import BATCH
from recado.wiring import Deps

PACKET_RECIPIENTS = 100
PACKET_BYTES = 60_000  # SQS bills by 64 KB


def expand(body: str, deps: Deps) -> None:
    """One submission from the Expand queue. A batch that was cancelled meanwhile goes nowhere."""
    submission = _whole(body, deps)
    batch = _batch(submission, deps)
    stood = deps.engine.store.create([batch])[0]
    if isinstance(stood, Batch | Message) and stood.state is State.DELETED:
        return
    packets = list(_packets(submission))
    bodies = [encode(packet) for packet in packets]
    deps.engine.queue.send("SubmitBulk", bodies, submission.cost_centre)
    emit([stood or batch], deps)
    count("batches_expanded")
    if follows():
        log.debug("expanded", extra={"correlation_id": batch.id, "packets": len(packets)})
        for packet in packets:
            follow("put into a packet", packet.recipients, batch_id=batch.id)


def _whole(body: str, deps: Deps) -> Submission:
    submission = msgspec.json.decode(body, type=Submission)
    if submission.blob is None:
        return submission
    return msgspec.json.decode(deps.engine.blobs.get(submission.blob), type=Submission)


def _batch(submission: Submission, deps: Deps) -> Batch:
    assert submission.batch_id is not None  # noqa: S101 - accept sends nothing else here
    listed = [Listed(r.as_written, r.id, r.refusal, r.reference) for r in submission.recipients]
    name = f"batch-{submission.batch_id}"
    deps.engine.blobs.put(name, msgspec.json.encode(listed))
    return Batch(
        cost_centre=submission.cost_centre,
        id=submission.batch_id,
        dialect=submission.dialect,
        due_at=submission.due_at,
        accepted_at=submission.accepted_at,
        count=len(listed),
        blob=name,
        reports=(Report(BATCH, deps.clock()),),
    )


def _packets(submission: Submission) -> Iterator[Packet]:
    taken: list[Recipient] = []
    size = 0
    for recipient in submission.recipients:
        if recipient.refusal:
            continue
        weight = 150 + len((recipient.text or "").encode())
        if taken and (len(taken) == PACKET_RECIPIENTS or size + weight > PACKET_BYTES):
            yield _packet(submission, taken)
            taken, size = [], 0
        taken.append(recipient)
        size += weight
    if taken:
        yield _packet(submission, taken)


def _packet(submission: Submission, recipients: list[Recipient]) -> Packet:
    return Packet(
        cost_centre=submission.cost_centre,
        dialect=submission.dialect,
        accepted_at=submission.accepted_at,
        due_at=submission.due_at,
        expires_at=submission.expires_at,
        recipients=tuple(recipients),
        batch_id=submission.batch_id,
        text=submission.text,
    )
