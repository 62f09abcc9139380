"""A session: one connection, either end of it. PDUs in and out, responses matched with requests.

All PDUs of one turn of the loop leave in one write: singly they cost four times as much.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from recado.smpp.pdu import Pdu

Answered: TypeAlias = Callable[[Pdu | None, str, bool], None]
"""Called once with the response to a request; or with None, why there is none, and whether the
request may have left."""


class Limits(Struct, frozen=True, kw_only=True):
    """How long and how much, in seconds and octets."""

    most_octets: int = 70_000  # of a PDU: a message_payload has up to 65,535
    response: float = 10.0  # until a request without response is given up
    enquire: float = 30.0  # of silence until we ask whether the other side is there
    inactivity: float = 120.0  # of silence, enquire_links apart, until a session ends; 0: never
    most_unsent: int = 4_000_000  # octets that the other side does not read: then it is closed


class Session(asyncio.Protocol):
    """One SMPP connection."""
