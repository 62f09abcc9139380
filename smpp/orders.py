"""Orders: what bound customers ask for goes to the line, and its answer back by their session.

How many of a customer's requests are in hand at once is the session's affair: what comes beyond its
window is not read before others are answered.
"""

from functools import partial
from typing import Any

from recado.ids import new_id
from recado.observability import count, log
from recado.smpp import status
from recado.smpp.pdu import Malformed, Pdu
from recado.smpp_orders import COMMANDS, Answer, answer
from recado.wiring import Deps
from smpp.customer import Customer
from smpp.hands import Hands
from smpp.session import Session


class Orders:
    """Called with each request of a bound customer; its response follows once all that it says is
    durable."""

    def __init__(self, deps: Deps, hands: Hands) -> None:
        self._deps, self._hands = deps, hands

    def __call__(self, customer: Customer, pdu: Pdu) -> None:
        """Raises Malformed on a command that nobody asks an SMSC for."""
        if pdu.command not in COMMANDS:
            raise Malformed(status.ESME_RINVCMDID, "no request to an SMSC")
        if not customer.sends:
            customer.session.respond(pdu, b"", status.ESME_RINVBNDSTS)
            return
        self._hands.do(
            customer.lane,
            partial(answer, pdu, customer.cost_centre, self._deps),
            partial(self._answered, customer.session, pdu),
        )

    def _answered(
        self, session: Session, pdu: Pdu, told: Any, problem: BaseException | None
    ) -> None:
        if problem is None and isinstance(told, Answer):
            session.respond(pdu, told.body, told.command_status)
            return
        # Nothing is known to be durable: whoever asks again does no harm but, perhaps, a double.
        count("faults")
        identifier = new_id(self._deps.clock())
        extra = {"correlation_id": identifier, "command": pdu.command}
        log.error("an order failed by our fault", exc_info=problem, extra=extra)
        session.respond(pdu, b"", status.ESME_RSYSERR)
