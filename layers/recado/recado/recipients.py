"""Recipients: what a customer wrote, checked against its cost centre's rules."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from recado import esme
from recado.costcentre import CostCentre
from recado.dialects import Ask, Wish
from recado.numbers import NumberProblem, number_of
from recado.segments import gsm7_segment_count, segmented
from recado.submission import Recipient, Refusal

if TYPE_CHECKING:  # at run time it would import the dialects, one of which imports this
    from recado.routing import Routing

# What a segment's 160 septets may be written with. A text beyond is not even looked at: to compose
# megabytes of accents would take minutes.
_CHARACTERS = 320
_USER_DATA = 140  # octets of a segment (3GPP TS 23.040, section 9.2.3.16)
_ONE_SEGMENT = "with its header it must fit into one segment!"


class Sized(Struct, frozen=True):
    """A text as it will be sent, its segments, and what is wrong with it."""

    text: str = ""
    segments: int = 0
    refusal: Refusal | None = None


def recipient(
    wish: Wish, identifier: str, ask: Ask, cost_centre: CostCentre, routing: "Routing"
) -> Recipient:
    """The recipient that a wish is for: taken, or with its refusal."""
    made = sized(wish.text, cost_centre, voice=ask.voice, udh=ask.udh)
    return _recipient(wish, identifier, made, ask, cost_centre, routing)


def recipients(
    ask: Ask, identifiers: Iterable[str], cost_centre: CostCentre, routing: "Routing"
) -> tuple[Recipient, ...]:
    """The recipients that a request's wishes are for, in their order and with these ids."""
    checked = []
    text, made = None, Sized()
    for wish, identifier in zip(ask.wishes, identifiers, strict=True):
        # A request for many has the same text for all as a rule, and to compose and cut it for
        # each would take seconds.
        if wish.text != text:
            text = wish.text
            made = sized(text, cost_centre, voice=ask.voice, udh=ask.udh)
        checked.append(_recipient(wish, identifier, made, ask, cost_centre, routing))
    return tuple(checked)


def _recipient(
    wish: Wish, identifier: str, made: Sized, ask: Ask, cost_centre: CostCentre, routing: "Routing"
) -> Recipient:
    number = number_of(wish.destination, ask.numbering)
    if isinstance(number, NumberProblem):
        reason = "empty" if not wish.destination.strip() else number.value
        return _refused(wish, identifier, Refusal("destination", reason, esme.RINVDSTADR))
    if made.refusal is not None:
        return _refused(wish, identifier, made.refusal)
    if not routing.reaches(cost_centre.id, number, voice=ask.voice):
        return _refused(wish, identifier, no_route(voice=ask.voice))
    return Recipient(
        id=identifier,
        as_written=wish.destination,
        to=number,
        text=made.text,
        segments=made.segments,
        units=ask.units or made.segments,
        reference=wish.reference,
    )


def _refused(wish: Wish, identifier: str, refusal: Refusal) -> Recipient:
    return Recipient(
        id=identifier, as_written=wish.destination, reference=wish.reference, refusal=refusal
    )


def no_route(*, voice: bool) -> Refusal:
    """No upstream takes it; of voice: none that can speak."""
    if voice:
        return Refusal("voice", "no_voice", esme.RINVSERTYP)
    return Refusal("message", "no_route", esme.RSYSERR)


def sized(text: str, cost_centre: CostCentre, *, voice: bool = False, udh: str = "") -> Sized:
    """The text as it will be sent. A spoken one is sent as it is, and counts as one; so does what
    a customer has cut by itself and given a user data header."""
    if udh:
        return _part(text, len(udh) // 2, cost_centre)
    if not text.strip():
        return Sized(refusal=Refusal("text", "empty", esme.RINVMSGLEN))
    if voice:
        return Sized(text, 1)
    most = cost_centre.max_segments
    if len(text) > _CHARACTERS * most:
        return Sized(refusal=_long(f"{len(text)} characters, at most {most} segments are allowed!"))
    segments = gsm7_segment_count(text)
    if segments is None:
        fitted = segmented(text, replace_accents=cost_centre.replace_accents)
        text, segments = fitted.text, fitted.count
        if not text.strip():
            return Sized(refusal=Refusal("text", "empty", esme.RINVMSGLEN))
    if segments > most:
        return Sized(refusal=_long(f"{segments} segments, at most {most} are allowed!"))
    return Sized(text, segments)


def _part(text: str, header: int, cost_centre: CostCentre) -> Sized:
    """One part of a long text, beside its header of so many octets. It is sent as it is, and may
    be blank; only what does not fit because of its accents goes without them."""
    left = _USER_DATA - header
    septets_left, units_left = left * 8 // 7, left // 2
    if not text:
        return Sized(refusal=Refusal("text", "empty", esme.RINVMSGLEN))
    if units_left < 2 or len(text) > septets_left:
        return Sized(refusal=_long(_ONE_SEGMENT))
    for replace_accents in (False, cost_centre.replace_accents):
        fitted = segmented(
            text,
            replace_accents=replace_accents,
            gsm7_sizes=(septets_left, septets_left),
            ucs2_sizes=(units_left, units_left),
        )
        if fitted.count == 1:
            return Sized(fitted.text, 1)
    return Sized(refusal=_long(_ONE_SEGMENT))


def _long(why: str) -> Refusal:
    return Refusal("text", "long", esme.RINVMSGLEN, f"is too long: {why}")
