"""Limits: how long a session waits, and how much it takes."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """How long and how much, in seconds and octets."""

    most_octets: int = 70_000  # of a PDU: a message_payload has up to 65,535
    response: float = 10.0  # until a request without response is given up
    enquire: float = 30.0  # of silence until we ask whether the other side is there; 0: never
    # Of silence, enquire_links apart, until a session ends; 0: never. A receiver hears nothing for
    # a whole night and is there all the same: enquire_link has shown it.
    inactivity: float = 0.0
    most_unsent: int = 4_000_000  # octets that the other side does not read: then it is closed
