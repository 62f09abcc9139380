"""Letters: mails of one mailbox that have been read, in their order, until each is forgotten."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable
from operator import attrgetter

from recado.dialects.smpp_deliveries import without_tlvs
from recado.smpp_mail import Ready
from smpp.binding import VERSION
from smpp.customer import Customer

_place = attrgetter("place")


class Letter:
    """A mail on its way."""

    __slots__ = ("_body", "done", "mail", "others", "place", "reading", "tries")

    def __init__(self, ready: Ready, reading: int) -> None:
        self.mail, self._body, self.place = ready.mail, ready.body, ready.mail.place
        self.reading = reading  # which of the mailbox it came with
        self.tries = 0
        self.others = 0  # how many had been delivered when it was refused first
        self.done = False  # what becomes of it is known

    def body_for(self, customer: Customer) -> bytes:
        """Its deliver_sm. A client older than 3.4 knows no optional parameters."""
        return self._body if customer.interface_version >= VERSION else without_tlvs(self._body)


class Letters:
    """Those that are ready, on their way, or set aside for a while. What was read is good as long
    as the mailbox is ours: then a new reading begins, and nothing of an earlier one comes back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.reading = 0
        self.ready: list[Letter] = []  # by place
        self.in_flight: dict[str, Letter] = {}
        self._aside: dict[str, tuple[Letter, asyncio.TimerHandle]] = {}

    def places(self) -> set[str]:
        """Where all these lie in the mailbox."""
        return {letter.place for letter in self.ready}.union(self.in_flight, self._aside)

    def take(self, ready: Ready) -> None:
        self.put_back(Letter(ready, self.reading))

    def put_back(self, letter: Letter) -> None:
        insort(self.ready, letter, key=_place)

    def is_of_old(self, letter: Letter) -> bool:
        """Whether the mailbox has been somebody else's, perhaps, since it was read."""
        return letter.reading != self.reading

    def set_aside(self, letter: Letter, seconds: float, then: Callable[[], None]) -> None:
        """It is ready again after that, and `then` is called."""

        def back() -> None:
            del self._aside[letter.place]
            self.put_back(letter)
            then()

        self._aside[letter.place] = letter, self._loop.call_later(seconds, back)

    def settle(self, place: str) -> None:
        """What lies there is done with, wherever it is now."""
        at = bisect_left(self.ready, place, key=_place)
        if at < len(self.ready) and self.ready[at].place == place:
            del self.ready[at]
        if place in self._aside:
            self._aside.pop(place)[1].cancel()
        if place in self.in_flight:
            self.in_flight[place].done = True

    def start_over(self) -> None:
        """Forgets all but what is on its way."""
        self.reading += 1
        for _, timer in self._aside.values():
            timer.cancel()
        self._aside.clear()
        self.ready.clear()
