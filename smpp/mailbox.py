"""One customer's mailbox while it is bound: what lies there goes to its receivers, in order.

A mail is forgotten only once its customer has acknowledged it. All that is to be done with the
Store at one time is one errand, and they follow one another: so none brings what was acknowledged
while it was under way.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from recado.engine import Mail
from recado.observability import count, log
from recado.retry import backoff
from recado.smpp import status
from recado.smpp.pdu import DELIVER_SM, RESPONSE, Pdu
from recado.smpp_mail import Errand, Ran, lease_of, run
from recado.wiring import Deps
from smpp.customer import Customer
from smpp.hands import Hands
from smpp.letters import Letter, Letters
from smpp.limits import Limits
from smpp.session import Session

_FOR_GOOD = frozenset({status.ESME_RX_P_APPN, status.ESME_RX_R_APPN})
_TOO_FAST = frozenset({status.ESME_RTHROTTLED, status.ESME_RMSGQFUL})


class Rhythm(Struct, frozen=True):
    """How often and how long, in seconds."""

    lease: float = 30.0  # how long a mailbox stays ours when we die
    renew: float = 10.0
    lapse: float = Limits().response  # before its end: what is sent then may be unanswered at it
    retry: float = 5.0  # until it is asked again for what somebody else has, or after a fault
    look: float = 1.0  # between two looks where nobody rings
    pause: float = 1.0  # after a mail was refused for now, doubling
    longest_pause: float = 60.0
    in_order: int = 3  # tries of one mail for which all others wait
    page: int = 128  # mails that are read at once


class Mailbox:
    """The mailbox of one cost centre. Made and used in the loop."""

    def __init__(
        self,
        cost_centre: str,
        deps: Deps,
        hands: Hands,
        receivers: Callable[[], Sequence[Customer]],
        holder: str,
        rhythm: Rhythm,
    ) -> None:
        self._cost_centre, self._deps, self._hands = cost_centre, deps, hands
        self._receivers, self._holder, self._rhythm = receivers, holder, rhythm
        self._loop = asyncio.get_running_loop()
        self._letters = Letters()
        self._over: list[Mail] = []  # to be forgotten
        self._unreadable: set[str] = set()
        self._rung = True
        self._after: str | None = None  # how far this walk through the mailbox has come
        self._called = self._out = False  # a turn is due; an errand is under way
        # After a refusal; after a fault. (Flags, for a timer may come a little before its time.)
        self._paused = self._resting = False
        self._ours_until = self._lease_at = 0.0
        self._delivered = self._failures = self._turns = 0
        self._window = 1
        self._ended: Callable[[], None] | None = None

    # --- what others tell ------------------------------------------------------------------------

    def look(self) -> None:
        """Mail may have come, or a receiver."""
        self._rung = True
        self._soon()

    def end(self, ended: Callable[[], None]) -> None:
        """Sends nothing more; calls `ended` when all that is under way is known, and the lease is
        given back."""
        self._ended = ended
        self._soon()

    def reopen(self) -> None:
        """A receiver came before that: `ended` is not called."""
        self._ended = None
        self._lease_at = 0.0
        self.look()

    def _soon(self) -> None:
        if not self._called:
            self._called = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._called = False
        now = self._loop.time()
        ours = now < self._ours_until - self._rhythm.lapse
        if ours and self._ended is None and not self._paused:
            self._send()
        if not self._out and not self._resting:
            self._go(now)

    # --- sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        ready, window = self._letters.ready, self._window
        free = [one for one in self._receivers() if one.session.in_flight < window]
        now, sent = self._deps.clock(), 0
        while sent < len(ready) and free:
            letter = ready[sent]
            sent += 1
            if letter.mail.expires <= now:
                self._forget(letter, "mails_expired")
                continue
            self._turns += 1
            customer = free[self._turns % len(free)]
            self._letters.in_flight[letter.place] = letter
            self._deliver(letter, customer)
            if customer.session.in_flight >= window:
                free.remove(customer)
        del ready[:sent]

    def _deliver(self, letter: Letter, customer: Customer) -> None:
        session, body = customer.session, letter.body_for(customer)
        answered = partial(self._answered, letter, session)
        session.request(DELIVER_SM, body, answered, late=partial(self._answered_late, letter))

    def _forget(self, letter: Letter, why: str) -> None:
        count(why)
        letter.done = True
        self._over.append(letter.mail)

    def _answered(
        self, letter: Letter, session: Session, pdu: Pdu | None, _why: str, _sent: bool
    ) -> None:
        del self._letters.in_flight[letter.place]
        if letter.done or self._is_settled(letter, pdu):
            pass
        elif self._letters.is_of_old(letter):
            self._rung = True  # it is read again, if it is there still
        elif pdu is None and session.closed:
            self._letters.put_back(letter)  # over another bind at once
        else:
            self._put_off(letter, _said(pdu))
        self._soon()

    def _answered_late(self, letter: Letter, pdu: Pdu) -> None:
        """Its answer came when it was put off already, or on its way again."""
        if not letter.done and self._is_settled(letter, pdu):
            self._letters.settle(letter.place)
            self._soon()

    def _is_settled(self, letter: Letter, pdu: Pdu | None) -> bool:
        """Whether this answer is the last word on it."""
        command_status = _said(pdu)
        if command_status == status.ESME_ROK:
            self._delivered += 1
            self._failures = 0
            self._forget(letter, "mails_delivered")
        elif command_status in _FOR_GOOD:
            self._forget(letter, "mails_refused")
        return letter.done

    def _put_off(self, letter: Letter, command_status: int | None) -> None:
        """It comes again: before all others, which wait for it, as long as the customer may be
        able to take none; by itself, once it has shown that it takes others."""
        count("mails_put_off")
        letter.others = letter.others if letter.tries else self._delivered
        letter.tries += 1
        rhythm = self._rhythm
        alone = self._delivered > letter.others or letter.tries > 4 * rhythm.in_order
        if command_status not in _TOO_FAST and letter.tries > rhythm.in_order and alone:
            pause = backoff(letter.tries, base=rhythm.pause, cap=rhythm.longest_pause)
            self._letters.set_aside(letter, pause, self._soon)
            return
        self._letters.put_back(letter)
        if not self._paused:  # all that fail together are one failure
            self._paused = True
            self._failures += 1
            pause = backoff(self._failures, base=rhythm.pause, cap=rhythm.longest_pause)
            self._loop.call_later(pause, self._go_on)

    def _go_on(self) -> None:
        self._paused = False
        self._soon()

    # --- errands ---------------------------------------------------------------------------------

    def _go(self, now: float) -> None:
        """Sends somebody to the Store, where there is anything to do."""
        rhythm, ending = self._rhythm, self._ended is not None
        gives_back = ending and not self._letters.in_flight
        asks = gives_back or now >= self._lease_at
        reads = not ending and (asks or now < self._ours_until) and self._wants_more()
        if not (asks or reads or self._over):
            return
        errand = Errand(
            cost_centre=self._cost_centre,
            forget=tuple(self._over),
            holder=self._holder if asks else "",
            lease=0.0 if gives_back else rhythm.lease,
            after=self._after if reads else None,
            page=rhythm.page,
            known=self._letters.places() | self._unreadable,
        )
        self._out = True
        if gives_back:
            self._ours_until = 0.0  # from here on, whoever may bind meanwhile
        came_back = partial(self._came_back, errand, now)
        self._hands.do(lease_of(self._cost_centre), partial(run, errand, self._deps), came_back)

    def _wants_more(self) -> bool:
        """Whether to read on. Who rings starts a walk from the front: what was posted may lie
        before what has gone already."""
        if self._after is None and self._rung:
            self._rung, self._after = False, ""
        return self._after is not None and len(self._letters.ready) < self._rhythm.page

    def _came_back(
        self, errand: Errand, began: float, ran: Any, problem: BaseException | None
    ) -> None:
        self._out = False
        if isinstance(ran, Ran):
            del self._over[: len(errand.forget)]
            self._took(errand, began, ran)
        else:
            self._failed(problem)
        if errand.holder and not errand.lease:
            self._gave_back()
        self._soon()

    def _took(self, errand: Errand, began: float, ran: Ran) -> None:
        if errand.holder:
            if began >= self._ours_until:
                self._start_over()  # meanwhile it may have been anybody's
            rhythm = self._rhythm
            self._ours_until = began + rhythm.lease if ran.ours else 0.0
            self._lease_at = began + (rhythm.renew if ran.ours else rhythm.retry)
        if not ran.ours:
            self._start_over()
        elif errand.after is not None:
            self._after, self._window = ran.after, ran.window
            self._unreadable.update(ran.unreadable)
            over = {mail.place for mail in self._over}  # while the errand was under way
            for ready in ran.ready:
                if ready.mail.place not in over:
                    self._letters.take(ready)

    def _failed(self, problem: BaseException | None) -> None:
        """Nothing of it is known to be done: what was to be forgotten is kept in mind."""
        count("faults")
        extra = {"cost_centre": self._cost_centre}
        log.error("a mailbox can't be read", exc_info=problem, extra=extra)
        self._rung, self._after = True, None
        self._resting = True
        self._loop.call_later(self._rhythm.retry, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._soon()

    def _start_over(self) -> None:
        self._letters.start_over()
        self._rung, self._after = True, None

    def _gave_back(self) -> None:
        self._ours_until = self._lease_at = 0.0
        if self._ended is not None:
            self._start_over()
            ended, self._ended = self._ended, None
            self._lease_at = float("inf")
            ended()


def _said(pdu: Pdu | None) -> int | None:
    """The command_status of a deliver_sm_resp; None where there is none, or another answer."""
    return pdu.command_status if pdu and pdu.command == DELIVER_SM | RESPONSE else None
