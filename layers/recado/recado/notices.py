"""What travels on the Notify queue: never a report itself, only where to look for what is owed."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from msgspec import Struct

from recado.costcentre import CostCentre
from recado.message import Key, Record, encode
from recado.report import next_owed, told_by_mailbox
from recado.wiring import Deps

QUEUE = "Notify"
LOOK_BACK = 3 * 86_400.0  # an id's time is when a message was due; what it owes comes later
_UNDER_WAY = 60.0
_ITS_TIME = 30.0  # no handful of notices takes longer, unless its customers are slow


class Look(Struct, frozen=True, tag="look"):
    """Look at this record: it may owe something."""

    cost_centre: str
    id: str


class Probe(Struct, frozen=True, tag="probe"):
    """Try a stalled cost centre's endpoint with this record."""

    cost_centre: str
    id: str
    sent_at: float
    attempt: int = 1


class Replay(Struct, frozen=True, tag="replay"):
    """Look at every record of a time range, page by page. `again`: what was given in that time is
    owed anew."""

    cost_centre: str
    since: float
    until: float
    after: str = ""
    again: bool = False


Notice: TypeAlias = Look | Probe | Replay
_decoder: msgspec.json.Decoder[Notice] = msgspec.json.Decoder(Notice)


def decode_notice(body: str) -> Notice:
    """A notice from its queue message. Raises msgspec's errors on what is none."""
    return _decoder.decode(body)


def send(notice: Notice, deps: Deps, delay: float = 0.0) -> None:
    """Puts a notice on the queue, to be dealt with after `delay` seconds."""
    deps.engine.queue.send(QUEUE, [encode(notice)], notice.cost_centre, delay=delay)


def look_later(key: Key, delay: float, deps: Deps) -> None:
    """Looks at a record again after `delay` seconds."""
    send(Look(key.cost_centre, key.id), deps, delay)


def is_looked_at(record: Record, now: float) -> bool:
    """Whether a Look at this record is probably under way, so that another one now would only have
    two workers give the same report. It may have been dropped, because its customer had no callback
    URL then: so look again, but later (`emit_again`)."""
    report = next_owed(record)
    return report is not None and (report.attempts > 0 or now - report.owed_at < _UNDER_WAY)


def customers_of(records: Iterable[Record], deps: Deps) -> dict[str, CostCentre | None]:
    """The cost centres of records, each looked up once."""
    names = {record.cost_centre for record in records}
    return {name: deps.directory.cost_centre(name) for name in names}


def emit_again(records: Iterable[Record], deps: Deps) -> None:
    """For what comes a second time, or while a look at it is probably under way: that one may never
    come (its sender died, or it was dropped), so another follows when it has had its time."""
    emit(records, deps, delay=_ITS_TIME)


def emit(records: Iterable[Record], deps: Deps, delay: float = 0.0) -> None:
    """Looks at those of the records that owe something, where there is somebody to tell; after
    `delay` seconds."""
    owing: dict[str, list[Record]] = {}
    for record in records:
        if next_owed(record) is not None:
            owing.setdefault(record.cost_centre, []).append(record)
    for name, some in owing.items():
        cost_centre = deps.directory.cost_centre(name)
        if cost_centre is None:
            continue
        by_url = bool(cost_centre.callback_url)
        told = [r for r in some if by_url or told_by_mailbox(r, cost_centre)]
        if told:
            bodies = [encode(Look(name, record.id)) for record in told]
            deps.engine.queue.send(QUEUE, bodies, name, delay=delay)
