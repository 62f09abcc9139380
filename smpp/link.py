"""Links: a connection to the server, from OPEN over its bind to its unbind (SMPP 3.4, section 2).

A bind that is refused is answered late, and its connection closed: guessing takes time.
"""

import asyncio
import enum
import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from recado.directory import Client
from recado.observability import count, log, words_of
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import UNBIND, Bind, Malformed, Pdu
from recado.wiring import Deps
from smpp.binding import Verdict, bind_answer, decide, mode_of
from smpp.customer import Customer
from smpp.hands import Hands
from smpp.server_settings import ServerSettings
from smpp.session import Session

Orders: TypeAlias = Callable[[Customer, Pdu], None]
"""Answers a request of a customer that may submit: now or later, and once."""

_SUBMITS = frozenset(
    {wire.SUBMIT_SM, wire.SUBMIT_MULTI, wire.DATA_SM, wire.QUERY_SM, wire.CANCEL_SM}
    | {wire.REPLACE_SM}
)
_WITHOUT_RESPONSE = frozenset({wire.OUTBIND, wire.ALERT_NOTIFICATION})


class State(enum.Enum):
    """Of a link. In LEAVING we unbind it, and what is on its way is still dealt with; in EXPELLED
    it may not be bound any more, and nothing that it asks for is done."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    LEAVING = "leaving"
    EXPELLED = "expelled"
    UNBOUND = "unbound"


_TAKES_ORDERS = frozenset({State.BOUND, State.LEAVING})
_WE_UNBIND = frozenset({State.LEAVING, State.EXPELLED})


class Common:
    """What the links of a server have in common: what they work with, and who is bound."""

    def __init__(self, deps: Deps, hands: Hands, settings: ServerSettings, orders: Orders) -> None:
        self.deps, self.hands, self.settings, self.orders = deps, hands, settings, orders
        self.on_bound: Callable[[Customer], None] = _nobody
        self.on_gone: Callable[[Customer], None] = _nobody
        self.customers: dict[str, list[Customer]] = {}  # by cost centre, in the order of binds
        self.closing = False

    def enter(self, customer: Customer) -> None:
        self.customers.setdefault(customer.cost_centre, []).append(customer)

    def leave(self, customer: Customer) -> None:
        bound = self.customers[customer.cost_centre]
        bound.remove(customer)
        if not bound:
            del self.customers[customer.cost_centre]
        self.on_gone(customer)


def _nobody(_: Customer) -> None:
    """Nobody wants to know."""


class Link:
    """One connection of somebody who is a customer, or would be."""

    __slots__ = ("_common", "_timer", "customer", "lane", "peer", "session", "state")

    def __init__(
        self, common: Common, peer: str, lane: str, on_closed: Callable[[Session, str], None]
    ) -> None:
        self._common, self.peer, self.lane = common, peer, lane
        self.state = State.OPEN
        self.customer: Customer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.session = Session(
            self._request, on_closed, common.settings.limits, on_made=self._made, peer=peer
        )

    def _made(self, session: Session) -> None:
        if self._common.closing:
            session.abort("the server closes")
            return
        seconds = self._common.settings.bind_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, session.close, "no bind came")

    def ended(self, why: str) -> None:
        """The connection is gone."""
        self._stop_timer()
        if self.state is State.BOUND:
            self._leave(why)
        self.state = State.UNBOUND

    # --- requests --------------------------------------------------------------------------------

    def _request(self, session: Session, pdu: Pdu) -> None:
        command, customer = pdu.command, self.customer
        if command in _SUBMITS:
            if customer is not None and customer.sends and self.state in _TAKES_ORDERS:
                self._common.orders(customer, pdu)
            else:
                session.respond(pdu, b"", status.ESME_RINVBNDSTS)
        elif command in wire.BINDS:
            self._bind(pdu)
        elif command == UNBIND:
            self._unbind(pdu)
        elif command in _WITHOUT_RESPONSE:
            session.nack(pdu.sequence, status.ESME_RINVCMDID)
        else:  # deliver_sm: that is what we send
            wrong = status.ESME_RINVBNDSTS if customer is None else status.ESME_RINVCMDID
            session.respond(pdu, b"", wrong)

    # --- bind ------------------------------------------------------------------------------------

    def _bind(self, pdu: Pdu) -> None:
        if self.state is not State.OPEN:
            unbound = self.state is State.UNBOUND
            wrong = status.ESME_RINVBNDSTS if unbound else status.ESME_RALYBND
            self.session.respond(pdu, b"", wrong)
            return
        self.state = State.BINDING
        began = asyncio.get_running_loop().time()
        try:
            bind = wire.read_bind(pdu.body)
        except Malformed as malformed:
            self._refuse(pdu, Verdict(malformed.command_status, "malformed"), "", began)
            return
        common = self._common
        work = partial(decide, bind, self.peer, common.deps)
        # One lane, so that a customer's own many binds do not look like many guesses at once.
        lane = f"bind#{self.peer}#{bind.system_id}"
        common.hands.do(lane, work, partial(self._decided, pdu, bind, began))

    def _decided(
        self,
        pdu: Pdu,
        bind: Bind,
        began: float,
        verdict: Verdict | None,
        error: BaseException | None,
    ) -> None:
        if self.session.closed:
            return
        if verdict is None:
            count("faults")
            why = words_of(error) if error else ""
            log.error(
                "a bind could not be looked at", extra={"reason": why or type(error).__name__}
            )
            verdict = Verdict(status.ESME_RSYSERR, "fault")
        elif verdict.client is not None:
            verdict = self._room(verdict, verdict.client)
        if verdict.client is None:
            self._refuse(pdu, verdict, bind.system_id, began)
        else:
            self._welcome(pdu, bind, verdict.client)

    def _room(self, verdict: Verdict, client: Client) -> Verdict:
        """Whether there is room for one bind more."""
        common = self._common
        if common.closing:
            return Verdict(status.ESME_RBINDFAIL, "the server closes", known=True)
        if len(common.customers.get(client.cost_centre.id, ())) >= client.cost_centre.smpp_binds:
            return Verdict(status.ESME_RALYBND, "too many binds", known=True)
        return verdict

    def _welcome(self, pdu: Pdu, bind: Bind, client: Client) -> None:
        self._stop_timer()
        self.state = State.BOUND
        customer = self.customer = Customer(
            session=self.session,
            system_id=bind.system_id,
            cost_centre=client.cost_centre.id,
            mode=mode_of(pdu.command),
            digest=client.digest,
            lane=self.lane,
            interface_version=bind.interface_version,
        )
        self.session.window = client.cost_centre.smpp_window
        self.session.respond(pdu, bind_answer(self._common.settings.system_id, bind))
        count("smpp_binds")
        log.info("a customer has bound", extra=self._described(customer))
        self._common.enter(customer)
        self._common.on_bound(customer)

    def _refuse(self, pdu: Pdu, verdict: Verdict, system_id: str, began: float) -> None:
        """Answers when all refusals are answered, and closes."""
        self._stop_timer()
        count("smpp_binds_refused")
        # What nobody has may be anything, a password in the wrong field for example.
        fields = {"system_id": system_id} if verdict.known else {}
        reason = {"reason": verdict.reason, "peer": self.peer}
        log.info("a bind was refused", extra={**reason, **fields})
        due = began + self._common.settings.refusal_seconds
        answer = partial(self._answer_refused, pdu, verdict)
        self._timer = asyncio.get_running_loop().call_at(due, answer)

    def _answer_refused(self, pdu: Pdu, verdict: Verdict) -> None:
        self.state = State.UNBOUND
        self.session.respond(pdu, b"", verdict.command_status)
        self.session.close(f"bind refused: {verdict.reason}")

    # --- unbind ----------------------------------------------------------------------------------

    def _unbind(self, pdu: Pdu) -> None:
        """The customer takes its leave: it gets the answers that it waits for, then this one."""
        if self.state is not State.BOUND and self.state not in _WE_UNBIND:
            self.session.respond(pdu, b"", status.ESME_RINVBNDSTS)
            return
        if self.state is State.BOUND:
            self._leave("the customer unbound")
        self.state = State.UNBOUND
        self._close_within_response("unbound")
        self.session.when_drained(partial(self._answer_unbind, pdu))

    def _answer_unbind(self, pdu: Pdu) -> None:
        self.session.respond(pdu)
        self.session.close("unbound")

    def say_goodbye(self, why: str, patience: float, *, expelled: bool = False) -> None:
        """Unbinds a customer, `expelled` where it may not be bound any more; whoever is none is cut
        off. What it is being told it may acknowledge first, for so many seconds: many a client
        closes as soon as it hears of an unbind."""
        if self.state is State.BOUND:
            self._leave(why)
            self.state = State.EXPELLED if expelled else State.LEAVING
            unbind = partial(self._say_unbind, why)
            self._timer = asyncio.get_running_loop().call_later(patience, unbind)
            self.session.when_answered(unbind)
        elif self.customer is None:
            self.session.close(why)

    def _say_unbind(self, why: str) -> None:
        if self.state not in _WE_UNBIND or self.session.closed:
            return
        self.session.when_answered(None)  # or this is called once more
        # By the link's own timer: whoever keeps us from reading has longer for his response.
        self._close_within_response(why)
        told = partial(self._answered_goodbye, why)
        self.session.request(UNBIND, b"", told, timeout=math.inf)

    def _answered_goodbye(self, why: str, _pdu: Pdu | None, _why: str, _sent: bool) -> None:
        if not self.session.closed and self.state in _WE_UNBIND:
            self.state = State.UNBOUND
            self._close_within_response(why)
            close = partial(self.session.close, why)
            self.session.when_drained(partial(self.session.when_answered, close))

    def _close_within_response(self, why: str) -> None:
        """Whatever else is waited for, it is not waited for longer."""
        self._stop_timer()
        seconds = self._common.settings.limits.response
        self._timer = asyncio.get_running_loop().call_later(seconds, self.session.close, why)

    def _leave(self, why: str) -> None:
        """Not bound any more, as far as others are concerned."""
        customer = self.customer
        if customer is not None:
            count("smpp_unbinds")
            log.info("a customer is gone", extra={**self._described(customer), "reason": why})
            self._common.leave(customer)

    def _described(self, customer: Customer) -> dict[str, str]:
        return {
            "system_id": customer.system_id,
            "cost_centre": customer.cost_centre,
            "mode": customer.mode,
            "peer": self.peer,
        }

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
