"""Dispatch: a packet's messages are claimed, submitted to an upstream, and their outcome is kept.

A claim is durable before its submit leaves (recado.claims). What can't go now is put back as a
smaller packet that comes later, so that waiting fills no dead letters.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from recado.claims import SOON, Job, Later, claim
from recado.connectors import Outcome, Rejected, Submit, Submitted, Unavailable, Upstream
from recado.lifecycle import given_up, ids_of, rejected, submitted, unavailable, uncertain
from recado.longlists import called_off
from recado.message import Message, Record, State, encode, key_of
from recado.money import refund
from recado.notices import emit, emit_again, is_looked_at
from recado.observability import count, follow, follows
from recado.registry import CONNECTORS
from recado.report import wanted
from recado.retry import backoff
from recado.submission import Packet, Recipient
from recado.track import reference_to
from recado.wiring import Deps

BUDGET = 20.0  # seconds of submitting in one go; what is left is put back
# Of what goes on to the process that holds the binds: single messages, and what is many.
BIND_QUEUE, BIND_BULK_QUEUE = "Smpp", "SmppBulk"
_LONGEST_WAIT = 60.0
_LONGEST_DELAY = 900.0  # of a queue
_SUBMITTING = State.SUBMITTING
_NOBODY = Upstream(name="", kind="")  # what has no route is routed here to its end, when it is over


_packets: msgspec.json.Decoder[Packet] = msgspec.json.Decoder(Packet)


def decode_packet(body: str) -> Packet:
    """A packet from its queue message. Raises msgspec's errors on what is none."""
    return _packets.decode(body)


def dispatch(packets: Sequence[Packet], deps: Deps) -> None:
    """Submits what the packets hold, or puts it back for later: on return each recipient has an
    outcome, is claimed by somebody else, or waits in a new packet."""
    now = deps.clock()
    lines, later = _routed(packets, now, deps)
    for name in sorted(lines):
        upstream = lines[name][0].upstream
        here = _here(lines[name], upstream, later, deps)
        later += _submit_line(here, upstream, now + BUDGET, deps)
    _put_back(later, deps)


def _routed(
    packets: Sequence[Packet], now: float, deps: Deps
) -> tuple[dict[str, list[Job]], list[Later]]:
    """By the name of the upstream that they go to, and those that have no route."""
    lines: dict[str, list[Job]] = {}
    later: list[Later] = []
    known: dict[tuple[str, int | None], tuple[str, ...]] = {}  # all of a handful want the same
    for packet in packets:
        wants = packet.cost_centre, packet.registered
        kinds = known.get(wants)
        if kinds is None:
            cost_centre = deps.directory.cost_centre(packet.cost_centre)
            kinds = known[wants] = wanted(cost_centre, packet.registered)
        for recipient in packet.recipients:
            upstream = deps.routing.upstream_for(
                packet.cost_centre, recipient.to, voice=packet.voice
            )
            if upstream is None and now < packet.expires_at:
                count("no_route")
                later.append(_later(packet, recipient, 0.0, deps))
            else:
                upstream = upstream or _NOBODY
                job = Job(packet, recipient, upstream, kinds)
                lines.setdefault(upstream.name, []).append(job)
    return lines, later


def _here(jobs: list[Job], upstream: Upstream, later: list[Later], deps: Deps) -> list[Job]:
    """Those that are to be submitted here and now. What goes to an upstream that is paused waits;
    what only a bind carries goes on to the process that holds it, before anything is claimed. What
    is past its validity comes to its end anywhere."""
    elsewhere = not deps.holds_binds and _over_bind(upstream)
    if not upstream.paused and not elsewhere:
        return jobs
    now = deps.clock()
    waiting = [job for job in jobs if now < job.packet.expires_at]
    if upstream.paused:
        later += [_later(job.packet, job.recipient, 0.0, deps) for job in waiting]
    else:
        _hand_on(waiting, deps)
    return [job for job in jobs if now >= job.packet.expires_at]


def _over_bind(upstream: Upstream) -> bool:
    return upstream is not _NOBODY and CONNECTORS[upstream.kind].abilities(upstream).over_bind


def _hand_on(jobs: Sequence[Job], deps: Deps) -> None:
    """Packets as they came, with these recipients alone."""
    by_packet: dict[int, list[Job]] = {}
    for job in jobs:
        by_packet.setdefault(id(job.packet), []).append(job)
    bodies: dict[tuple[str, str], list[str]] = {}
    for some in by_packet.values():
        packet = some[0].packet
        part = replace(packet, recipients=tuple(job.recipient for job in some))
        queue = BIND_BULK_QUEUE if packet.batch_id else BIND_QUEUE
        bodies.setdefault((queue, packet.cost_centre), []).append(encode(part))
        follow("handed on", part.recipients, batch_id=packet.batch_id, queue=queue)
    for (queue, cost_centre), packets in bodies.items():
        deps.engine.queue.send(queue, packets, cost_centre)
    count("handed_on", len(jobs))


def _later(packet: Packet, recipient: Recipient, at_least: float, deps: Deps) -> Later:
    """After a growing pause; no later than its validity ends, so that it is EXPIRED on time. All of
    a packet wait the same, lest it fall apart into as many packets."""
    chance = int(packet.recipients[0].id[-4:], 16) / 0xFFFF
    pause = max(at_least, backoff(packet.attempt + 1, cap=_LONGEST_WAIT, chance=chance))
    remaining = packet.expires_at - deps.clock()
    return Later(packet, recipient, min(pause, max(remaining, SOON), _LONGEST_DELAY))


def _submit_line(jobs: list[Job], upstream: Upstream, stop_at: float, deps: Deps) -> list[Later]:
    """Window by window: only as many are claimed as are in flight at once."""
    later: list[Later] = []
    while jobs and deps.clock() < stop_at:
        at_once = upstream.concurrency
        if jobs[0].packet.batch_id:
            at_once = min(at_once, deps.turns.pace())  # what is many lets single messages pass
        window, jobs = jobs[:at_once], jobs[at_once:]
        window, paused = _going(window, deps)
        mine, waiting = claim(window, deps)
        later += paused + waiting
        if not mine:
            continue
        # Nothing goes upstream before its claim is durable: a crash must leave the claim behind.
        deps.engine.store.settle()
        outcomes = _submit([message for _, message in mine], upstream, deps)
        later += _record(mine, outcomes, upstream, deps)
        if all(isinstance(outcome, Unavailable) for outcome in outcomes):
            break  # it is down or full: the rest need not find out one by one
    return later + [_later(job.packet, job.recipient, 0.0, deps) for job in jobs]


def _going(window: list[Job], deps: Deps) -> tuple[list[Job], list[Later]]:
    """Of a window those that may go, and those whose list is paused: looked at window by window,
    so that pausing and cancelling take hold at once."""
    packets = {id(job.packet): job.packet for job in window if job.packet.bulk}
    if not packets:
        return window, []
    asked = [
        replace(packet, recipients=tuple(j.recipient for j in window if j.packet is packet))
        for packet in packets.values()
    ]
    go, paused = called_off(asked, deps)
    may = {recipient.id for packet in go for recipient in packet.recipients}
    wait = {recipient.id for packet in paused for recipient in packet.recipients}
    going = [job for job in window if job.recipient.id in may or not job.packet.bulk]
    # With the packet that they came in, so that they stay together.
    return going, [
        _later(job.packet, job.recipient, 0.0, deps) for job in window if job.recipient.id in wait
    ]


# --- submit and record ---------------------------------------------------------------------------


def _submit(messages: Sequence[Message], upstream: Upstream, deps: Deps) -> list[Outcome]:
    now = deps.clock()
    submits = [
        Submit(
            reference_to(key_of(message)),
            message.to,
            message.text,
            message.segments,
            message.source,
            message.voice,
            message.udh,
            message.expires_at - now,
        )
        for message in messages
    ]
    count("submits", len(submits))
    return deps.submit(submits, upstream)


def _record(
    mine: Sequence[tuple[Job, Message]],
    outcomes: Sequence[Outcome],
    upstream: Upstream,
    deps: Deps,
) -> list[Later]:
    """Writes what came out, the refs first: a receipt must find its message as soon as its
    outcome stands."""
    if not CONNECTORS[upstream.kind].abilities(upstream).carries_our_id:
        refs = [
            (upstream.name, upstream_id, key_of(message))
            for (_, message), outcome in zip(mine, outcomes, strict=True)
            if isinstance(outcome, Submitted)
            for upstream_id in ids_of(outcome)
        ]
        deps.engine.store.put_refs(refs)
    now = deps.clock()
    changed = [
        _after(message, outcome, message.claim, job, now)
        for (job, message), outcome in zip(mine, outcomes, strict=True)
    ]
    written = deps.engine.store.replace(changed)
    kept: list[Record] = []
    owing: list[Record] = []
    later: list[Later] = []
    for (job, message), outcome, record in zip(mine, outcomes, written, strict=True):
        if record is None:
            stands = _record_late(message, outcome, job, owing, deps)
        else:
            stands = record
            owing.append(stands)
        kept.append(stands)
        if isinstance(stands, Message) and stands.state is _SUBMITTING:
            pause = outcome.retry_after if isinstance(outcome, Unavailable) else 0.0
            later.append(_later(job.packet, job.recipient, pause, deps))
    for kind, amount in Counter(map(type, outcomes)).items():
        count(f"outcome_{kind.__name__.lower()}", amount)
    if follows():
        for record, outcome in zip(kept, outcomes, strict=True):
            follow(type(outcome).__name__.lower(), [record], connector=upstream.name)
    refund(owing, deps)
    emit(owing, deps)
    return later


def _after(message: Message, outcome: Outcome, token: str, job: Job, now: float) -> Message:
    if isinstance(outcome, Submitted):
        return submitted(message, outcome, token, now, job.wanted)
    if isinstance(outcome, Rejected):
        return rejected(message, outcome.esme, token, now, job.wanted)
    if isinstance(outcome, Unavailable):
        return unavailable(message, token, now, outcome.problem)
    message = uncertain(message, token, now, outcome.problem)
    if job.upstream.after_uncertain == "report" and message.state is State.SUBMITTING:
        return given_up(message, now, job.wanted)
    return message


def _record_late(
    message: Message, outcome: Outcome, job: Job, owing: list[Record], deps: Deps
) -> Record:
    """The message was changed while it was being submitted, by a receipt that was faster or by
    somebody who took over our claim: the outcome goes on top of that. It joins `owing`, or is
    looked at later where a look at it is under way."""
    key = key_of(message)
    while True:
        present = deps.engine.store.records([key])[0]
        if not isinstance(present, Message):
            return message
        changed = _after(present, outcome, message.claim, job, deps.clock())
        written = present if changed is present else deps.engine.store.replace([changed])[0]
        if written is not None:
            if is_looked_at(present, deps.clock()):
                emit_again([written], deps)
            else:
                owing.append(written)
            return written


# --- put back ------------------------------------------------------------------------------------


def queue_of(packet: Packet) -> str:
    """Batches have a queue of their own, so that they never stand before a single message."""
    return "SubmitBulk" if packet.batch_id else "Submit"


def _put_back(later: Sequence[Later], deps: Deps) -> None:
    """What has to wait, in packets by where it came from and by how many seconds it waits."""
    by_packet: dict[tuple[int, int], list[Later]] = {}
    for item in later:
        by_packet.setdefault((id(item.packet), int(item.wait * 2)), []).append(item)
    for items in by_packet.values():
        packet = items[0].packet
        rest = replace(
            packet,
            recipients=tuple(item.recipient for item in items),
            attempt=packet.attempt + 1,
        )
        wait = max(item.wait for item in items)
        deps.engine.queue.send(queue_of(packet), [encode(rest)], packet.cost_centre, delay=wait)
        count("put_back", len(items))
        follow("put back", rest.recipients, batch_id=packet.batch_id, wait=round(wait, 1))
