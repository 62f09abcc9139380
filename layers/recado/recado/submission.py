"""What is on its way in: a submission, its recipients, and the packets that it becomes."""

from collections.abc import Iterable

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """Why a recipient, or a whole request, can't be taken. A dialect puts it into its words."""

    field: str  # "destination", "text", "validity", ...
    reason: str  # "missing", "empty", "type", "invalid", "long", "fixed_line", ...
    esme: str
    detail: str = ""  # for the person who reads it: limits, positions


class Listing(Struct, frozen=True, omit_defaults=True):
    """A long list in a blob, read from its beginning to its end, a stretch at a time."""

    blob: str
    form: str = "numbers"  # one number a line, checked; or "rows": a customer's table as it came
    count: int = 0  # lines to come, where that is known
    units: int = 0  # of all of them together, where they differ
    column: str = ""  # of a table: where the number stands
    encoding: str = "utf-8"
    delimiter: str = ";"


class Recipient(Struct, frozen=True, omit_defaults=True):
    """One number of a submission, checked. `id` is fixed here and never changes."""

    id: str
    as_written: str = ""
    to: str = ""  # 5511..., digits alone; empty where refused
    text: str | None = None  # None: the submission's common text, with its segments and units
    segments: int = 0
    units: int = 0
    reference: str | None = None
    refusal: Refusal | None = None


class Submission(Struct, frozen=True, omit_defaults=True):
    """What `accept` makes durable: one message, a batch, a file of numbers. One message is written
    as it is and read as its packet: what both have bears the same name in the same order."""

    cost_centre: str
    dialect: str
    accepted_at: float
    due_at: float
    expires_at: float
    recipients: tuple[Recipient, ...]
    batch_id: str | None = None
    text: str | None = None
    segments: int = 0  # of the common text
    units: int = 0  # what it costs its customer, in SMS as its dialect counts them
    voice: bool = False  # spoken, not written
    source: str = ""  # who it is from, where the customer says so: a number or a word
    udh: str = ""  # the user data header of one part of a long text, in hexadecimal
    registered: int | None = None  # registered_delivery, where it came by SMPP
    fields: dict[str, str] = {}  # what the customer wants back in its reports
    price: int = 0  # of a unit, in ten-thousandths of the currency; 0: nothing was charged for it
    blob: str | None = None  # where the recipients lie, when they are too many to travel in line
    listing: Listing | None = None  # or that which they are read from, step by step


class Packet(Struct, frozen=True, omit_defaults=True):
    """What `dispatch` takes: at most 100 recipients whose ids are fixed. Waiting makes a smaller
    packet with a later attempt."""

    cost_centre: str
    dialect: str
    accepted_at: float
    due_at: float
    expires_at: float
    recipients: tuple[Recipient, ...]
    batch_id: str | None = None
    text: str | None = None
    segments: int = 0
    units: int = 0
    voice: bool = False
    source: str = ""
    udh: str = ""
    registered: int | None = None
    fields: dict[str, str] = {}
    price: int = 0
    bulk: bool = False  # its batch may be paused or cancelled while it is under way
    attempt: int = 0


def packet_of(submission: Submission, recipients: Iterable[Recipient]) -> Packet:
    """Some of a submission's recipients, with all that they have in common."""
    return Packet(
        cost_centre=submission.cost_centre,
        dialect=submission.dialect,
        accepted_at=submission.accepted_at,
        due_at=submission.due_at,
        expires_at=submission.expires_at,
        recipients=tuple(recipients),
        batch_id=submission.batch_id,
        text=submission.text,
        segments=submission.segments,
        units=submission.units,
        voice=submission.voice,
        source=submission.source,
        udh=submission.udh,
        registered=submission.registered,
        fields=submission.fields,
        price=submission.price,
        bulk=submission.listing is not None,
    )
