"""Binding: whether somebody may bind. Plain code over the Store, for the hands.

A system_id that there is not, a wrong password and an address that is not on the list get the same
answer, ESME_RINVPASWD, after the same time. ESME_RINVSYSID would tell which there are, and half of
what opens a bind; another answer to the right password from elsewhere would tell all of it.
"""

from msgspec import Struct

from recado.costcentre import CostCentre
from recado.directory import Client
from recado.smpp import status
from recado.smpp.pdu import BIND_RECEIVER, BIND_TRANSMITTER, SC_INTERFACE_VERSION, Bind, tlv_octets
from recado.wiring import Deps
from smpp import throttle
from smpp.customer import RECEIVER, TRANSCEIVER, TRANSMITTER
from smpp.peers import is_within

VERSION = 0x34
_ADDRESS = "address"


class Verdict(Struct, frozen=True):
    """What becomes of a bind."""

    command_status: int = status.ESME_ROK
    reason: str = ""
    client: Client | None = None
    known: bool = False  # there is such a system_id


def decide(bind: Bind, peer: str, deps: Deps) -> Verdict:
    """Whether this system_id and password open a bind from this address."""
    tries = throttle.take(bind.system_id, peer, deps)
    if tries is None:
        return _refused(status.ESME_RTHROTTLED, "throttled", bind, deps)
    client = deps.directory.smpp_client(bind.system_id, bind.password)
    if client is None:
        return _refused(status.ESME_RINVPASWD, "credentials", bind, deps)
    hindered = hindrance(client.cost_centre, peer)
    if hindered == _ADDRESS:
        return Verdict(status.ESME_RINVPASWD, hindered, known=True)
    throttle.give_back(tries, deps)
    if hindered:
        return Verdict(status.ESME_RBINDFAIL, hindered, known=True)
    throttle.know(bind.system_id, peer, deps)
    return Verdict(client=client, known=True)


def _refused(command_status: int, reason: str, bind: Bind, deps: Deps) -> Verdict:
    known = deps.directory.knows_system_id(bind.system_id)
    return Verdict(command_status, reason, known=known)


def hindrance(cost_centre: CostCentre, peer: str) -> str:
    """Why this cost centre may not be bound from there; empty where it may. Its address list comes
    first: whom that keeps out is told nothing of the rest."""
    if cost_centre.smpp_addresses and not is_within(peer, cost_centre.smpp_addresses):
        return _ADDRESS
    if cost_centre.suspended:
        return "suspended"
    if "smpp" not in cost_centre.sends_by:
        return "not by SMPP"
    return ""


def mode_of(command: int) -> str:
    """What a bind makes of its session."""
    if command == BIND_TRANSMITTER:
        return TRANSMITTER
    return RECEIVER if command == BIND_RECEIVER else TRANSCEIVER


def bind_answer(our_system_id: str, bind: Bind) -> bytes:
    """The body of the three bind responses (4.1.2). A client older than 3.4 knows no optional
    parameters."""
    body = our_system_id.encode("latin-1") + b"\0"
    if bind.interface_version < VERSION:
        return body
    return body + tlv_octets([(SC_INTERFACE_VERSION, bytes((VERSION,)))])
