"""Replies: an MO is kept for the cost centre whose message it answers.

That is one which went through the upstream that tells of it: what another tells may be anything,
and what somebody wrote to one customer is none of the next one's business.

A long one comes in parts, in any order, each of them perhaps twice. They are gathered in one
record, which owes nothing until it is whole, or until ten minutes have shown that it never will be.
"""

from msgspec import Struct
from msgspec.structs import replace

from recado.connectors import Incoming, Part
from recado.ids import derived_id
from recado.message import Key, Message, Record, Reply, Report, key_of
from recado.observability import count, follow
from recado.report import REPLY
from recado.wiring import Deps

GATHERING = 600.0  # seconds until a reply goes without the parts that have not come
_MISSING = "..."
_CANDIDATES = 10  # of the newest messages to a number: how many are looked at
_STEP = 60.0  # parts of the same text that come at once find each other's record


class Told(Struct, frozen=True):
    """One MO, as an upstream told of it. `body`: the queue message that it came in."""

    upstream: str
    incoming: Incoming
    at: float
    named: Key | None  # the message that it answers, where the upstream says so
    body: str

    @property
    def event(self) -> tuple[str, str]:
        """The ref of the reply that it became."""
        return self.upstream, f"reply:{self.incoming.upstream_event}"


class Kept(Struct, frozen=True):
    """The reply's record, and whether it stood already; None where no message is known yet that
    it could answer, of those that went through its upstream."""

    record: Record | None
    again: bool = False


def keep(told: Told, deps: Deps) -> Kept:
    """Keeps a reply, or a part of one. Told again it stays the one that it was, though another
    message to that number may be the newest now."""
    part = told.incoming.part
    known = deps.engine.store.by_refs([told.event])[0]
    kept = deps.engine.store.records([known])[0] if known else None
    if part and 1 <= part.number <= part.total and part.total > 1:
        return _keep_part(told, part, kept if isinstance(kept, Reply) else None, deps)
    if kept is not None:
        return Kept(kept, again=True)
    message = _answered(told, deps)
    if message is None:
        return Kept(None)
    identifier = known.id if known else derived_id(told.at, *told.event)
    deps.engine.store.put_refs([(*told.event, Key(message.cost_centre, identifier))])
    whole = replace(_reply(told, message, identifier), reports=(Report(REPLY, told.at),))
    return Kept(_created(whole, told, deps))


def _answered(told: Told, deps: Deps) -> Message | None:
    """The message that the upstream names, or the newest to that number: rather one from where the
    reply was sent to, for a phone may have messages of several customers."""
    keys = [told.named] if told.named else _newest_to(told, deps)
    found: Message | None = None
    # The newest is the one as a rule; only where it is not sure are the others read.
    for some in (keys[:1], keys[1:]):
        for record in deps.engine.store.records(some) if some else ():
            if isinstance(record, Message) and record.connector == told.upstream:
                if told.named or _is_from(record, told.incoming.destination):
                    return record
                found = found or record
    return found


def _newest_to(told: Told, deps: Deps) -> list[Key]:
    return deps.engine.store.newest_to(told.incoming.source, _CANDIDATES)


def _is_from(message: Message, destination: str) -> bool:
    """Where the upstream does not say, it may be."""
    return not destination or message.source.removeprefix("+") == destination.removeprefix("+")


def _reply(told: Told, message: Message, identifier: str) -> Reply:
    return Reply(
        cost_centre=message.cost_centre,
        id=identifier,
        dialect=message.dialect,
        message_id=message.id,
        source=told.incoming.source,
        text=told.incoming.text,
        received_at=told.at,
        reference=message.reference,
        batch_id=message.batch_id,
        destination=told.incoming.destination,
        by_smpp=message.registered is not None,
    )


def _created(reply: Reply, told: Told, deps: Deps) -> Record:
    """The record of that id as it stands now: this one, or what somebody else was faster with."""
    stood = deps.engine.store.create([reply])[0]
    if reply.reports:
        count("replies", 0 if stood else 1)
    follow("reply", [stood or reply], connector=told.upstream, message_id=reply.message_id)
    return stood or reply


# --- in parts ------------------------------------------------------------------------------------


def is_whole(reply: Reply) -> bool:
    """Whether it is more than some parts that wait for the others."""
    return bool(reply.reports) or not reply.of


def _keep_part(told: Told, part: Part, kept: Reply | None, deps: Deps) -> Kept:
    """`kept`: the record that this very part was put into, or was about to be."""
    piece = _piece(told, part)
    while True:
        if kept is None or not (piece in kept.pieces or _takes(kept, part)):
            kept = _gathering(told, part, deps)
            if kept is None:
                return Kept(None)
            deps.engine.store.put_refs([(*told.event, key_of(kept))])
        if piece in kept.pieces:
            return _waited(told, kept, deps)
        joined = _ended_if_whole(
            replace(kept, pieces={**kept.pieces, piece: told.incoming.text}), told.at
        )
        written = deps.engine.store.replace([joined])[0]
        if isinstance(written, Reply):
            count("replies", 1 if is_whole(written) else 0)
            return Kept(written)
        kept = _reply_at(key_of(kept), deps)


def _waited(told: Told, kept: Reply, deps: Deps) -> Kept:
    """Its part stands in the record. What began that, or comes again, sees to it that somebody
    looks again when its fellows have had their time."""
    while not is_whole(kept):
        now = deps.clock()
        left = kept.received_at + GATHERING - now
        if left > 0:
            deps.engine.queue.send("Inbound", [told.body], "", delay=left)
            return Kept(kept)
        written = deps.engine.store.replace([_ended(kept, now)])[0]
        if isinstance(written, Reply):
            count("replies_in_part")
            return Kept(written)
        present = _reply_at(key_of(kept), deps)
        if present is None:
            break
        kept = present
    return Kept(kept, again=True)


def _gathering(told: Told, part: Part, deps: Deps) -> Reply | None:
    """The record that this part belongs into: the one that gathers its fellows, or a new one, with
    this part in it. None where no message is known that it could answer."""
    ref = _ref(told, part)
    known = deps.engine.store.by_refs([ref])[0]
    found = _reply_at(known, deps) if known else None
    found = found or _begun(told, part, ref, deps)
    piece = _piece(told, part)
    while found is not None and not (piece in found.pieces or _takes(found, part)):
        # Another text by the same reference: its record follows from that of the one before.
        found = _begun(told, part, (*ref, found.id), deps)
    return found


def _begun(told: Told, part: Part, origin: tuple[str, ...], deps: Deps) -> Reply | None:
    """A new record; or that of another part which came at the same moment, and made the same."""
    message = _answered(told, deps)
    if message is None:
        return None
    reply = _reply(told, message, derived_id(told.at - told.at % _STEP, *origin))
    pieces = {_piece(told, part): told.incoming.text}
    reply = replace(reply, text="", pieces=pieces, of=part.total)
    deps.engine.store.put_refs([(*_ref(told, part), key_of(reply))])
    stood = _created(reply, told, deps)
    return stood if isinstance(stood, Reply) else None


def _reply_at(key: Key, deps: Deps) -> Reply | None:
    found = deps.engine.store.records([key])[0]
    return found if isinstance(found, Reply) else None


def _ref(told: Told, part: Part) -> tuple[str, str]:
    incoming = told.incoming
    name = f"mo:{incoming.source}:{incoming.destination}:{part.reference}:{part.total}"
    return told.upstream, name


def _piece(told: Told, part: Part) -> str:
    """A part's name among the pieces. With its event, for a reference says little: it is one of
    256, and some phones have always the same."""
    return f"{part.number}:{told.incoming.upstream_event}"


def _numbers(reply: Reply) -> dict[int, str]:
    """The texts of its parts, by their numbers."""
    return {int(piece.partition(":")[0]): text for piece, text in reply.pieces.items()}


def _takes(reply: Reply, part: Part) -> bool:
    return not is_whole(reply) and part.number not in _numbers(reply)


def _ended_if_whole(reply: Reply, at: float) -> Reply:
    return _ended(reply, at) if len(reply.pieces) == reply.of else reply


def _ended(reply: Reply, at: float) -> Reply:
    """The reply as its customer is told it. The names of its parts stay: one that comes again is
    known by them."""
    texts = _numbers(reply)
    text = "".join(texts.get(number, _MISSING) for number in range(1, reply.of + 1))
    return replace(
        reply, text=text, pieces=dict.fromkeys(reply.pieces, ""), reports=(Report(REPLY, at),)
    )
