"""Recipients: what a customer wrote, checked against its cost centre's rules."""

from collections.abc import Callable

from msgspec import Struct

from recado import esme
from recado.costcentre import CostCentre
from recado.dialects import Ask, Wish
from recado.numbers import NumberProblem, number_of
from recado.segments import segment_count, segmented, septets
from recado.submission import Recipient, Refusal

# What a segment's 160 septets may be written with. A text beyond is not even looked at: to compose
# megabytes of accents would take minutes.
_CHARACTERS = 320


class Sized(Struct, frozen=True):
    """A text as it will be sent, its segments, and what is wrong with it."""

    text: str = ""
    segments: int = 0
    refusal: Refusal | None = None


def recipient(
    wish: Wish,
    identifier: str,
    ask: Ask,
    cost_centre: CostCentre,
    reaches: Callable[[str], bool],
) -> Recipient:
    """The recipient that a wish is for: taken, or with its refusal. `reaches`: whether a route
    leads to a number."""
    number = number_of(wish.destination, ask.numbering)
    made = Sized()
    refusal: Refusal | None
    if isinstance(number, NumberProblem):
        reason = "empty" if not wish.destination.strip() else number.value
        refusal = Refusal("destination", reason, esme.RINVDSTADR)
    else:
        made = sized(wish.text, cost_centre, voice=ask.voice)
        refusal = made.refusal
    if refusal is None and not reaches(str(number)):
        refusal = no_route(voice=ask.voice)
    if refusal is not None:
        return Recipient(
            id=identifier, as_written=wish.destination, reference=wish.reference, refusal=refusal
        )
    return Recipient(
        id=identifier,
        as_written=wish.destination,
        to=str(number),
        text=made.text,
        segments=made.segments,
        units=ask.units or made.segments,
        reference=wish.reference,
    )


def no_route(*, voice: bool) -> Refusal:
    """No upstream takes it; of voice: none that can speak."""
    if voice:
        return Refusal("voice", "no_voice", esme.RINVSERTYP)
    return Refusal("message", "no_route", esme.RSYSERR)


def sized(text: str, cost_centre: CostCentre, *, voice: bool = False) -> Sized:
    """The text as it will be sent. A spoken one is sent as it is, and counts as one."""
    if not text.strip():
        return Sized(refusal=Refusal("text", "empty", esme.RINVMSGLEN))
    if voice:
        return Sized(text, 1)
    most = cost_centre.max_segments
    if len(text) > _CHARACTERS * most:
        return Sized(refusal=_long(f"{len(text)} characters, at most {most} segments are allowed!"))
    if septets(text) is not None:
        segments = segment_count(text, replace_accents=False)
    else:
        fitted = segmented(text, replace_accents=cost_centre.replace_accents)
        text, segments = fitted.text, fitted.count
    if not text.strip():
        return Sized(refusal=Refusal("text", "empty", esme.RINVMSGLEN))
    if segments > most:
        return Sized(refusal=_long(f"{segments} segments, at most {most} are allowed!"))
    return Sized(text, segments)


def _long(why: str) -> Refusal:
    return Refusal("text", "long", esme.RINVMSGLEN, f"is too long: {why}")
