"""A customer: one bound session, and whose it is."""

from msgspec import Struct

from smpp.session import Session

TRANSMITTER, RECEIVER, TRANSCEIVER = "transmitter", "receiver", "transceiver"


class Customer(Struct, frozen=True, kw_only=True, eq=False):
    """A session from its bind to its unbind. Two are never equal."""

    session: Session
    system_id: str
    cost_centre: str  # its id
    mode: str
    digest: str  # of the password that it came with: once that opens nothing, the bind ends
    lane: str  # where its work is done, in its order
    interface_version: int = 0x34

    @property
    def sends(self) -> bool:
        """Whether it may submit."""
        return self.mode != RECEIVER

    @property
    def receives(self) -> bool:
        """Whether reports and replies may be delivered to it."""
        return self.mode != TRANSMITTER
