"""A `World` whose upstream is an SMSC, and whose customers send by SMPP: what the holders of the
binds would exchange, in whole PDUs. (The sessions themselves are tested in tests/smpp.)

The SMSC takes every submit_sm and gives it an id, until a test puts something else into `answer`;
what it took and what it tells stands here.
"""

from collections.abc import Callable
from itertools import count

from msgspec.structs import replace

from recado import wiring
from recado.accept import Accepted, accept
from recado.connectors import Part
from recado.connectors.smpp import raw_of
from recado.costcentre import CostCentre
from recado.dialects import Ask, Wish, zoug
from recado.engine import Mail
from recado.http import Outgoing, Reached, Unreached
from recado.mailbox import Mailed, read_mail
from recado.message import encode
from recado.smpp import pdu
from recado.smpp.pdu import Address, ShortMessage
from recado.smpp.receipt import receipt_text
from recado.smpp.text import encoded
from recado.smpp.udh import concatenation
from tests.support.world import World

NUMBER = "5534998887755"
SHORT_CODE = "28001"


class BoundTo:
    """One SMSC called "smsc", to which the default route leads."""

    def __init__(self, world: World, *, holds_binds: bool = True, **settings: str) -> None:
        self.world = world
        self.taken: dict[str, ShortMessage] = {}
        self.answer: Callable[[ShortMessage], Reached | Unreached] = self.take
        self._ids = count(1)
        self._others = world.customer
        world.customer = self.reach
        settings = {"host": "smsc.example", "system_id": "us", "password": "secret", **settings}
        world.upstream_is("smsc", kind="smpp", settings=settings)
        world.route_is(upstream="smsc")
        self.hold_binds(holds_binds)

    def hold_binds(self, holds: bool) -> None:
        """Whether the world's process is the one that holds them."""
        self.world.deps = replace(self.world.deps, holds_binds=holds)
        wiring.use(self.world.deps)

    def reach(self, request: Outgoing) -> Reached | Unreached:
        """What the world's exchange does with a request that is for no simulator."""
        if request.url != "smpp:smsc":
            return self._others(request)
        [asked], _ = pdu.split(request.body, 10_000)
        assert asked.command == pdu.SUBMIT_SM
        return self.answer(pdu.read_message(asked.body))

    def take(self, message: ShortMessage) -> Reached:
        """submit_sm_resp with an id."""
        upstream_id = f"s{next(self._ids)}"
        self.taken[upstream_id] = message
        return Reached(0, pdu.id_body(upstream_id))

    def tell_receipt(self, upstream_id: str, stat: str = "DELIVRD", err: str = "000") -> None:
        """A receipt comes over a bind, and lies on the Inbound queue."""
        now = self.world.now
        text = receipt_text(upstream_id, stat, err, now, now)
        self._come(ShortMessage(text=text, esm_class=pdu.RECEIPT, source=Address(1, 1, NUMBER)))

    def tell_receipts(self, stat: str = "DELIVRD") -> None:
        """One for everything that was taken."""
        for upstream_id in self.taken:
            self.tell_receipt(upstream_id, stat)

    def tell_reply(self, text: str, part: Part | None = None, source: str = NUMBER) -> None:
        """A deliver_sm that somebody wrote, or a part of one."""
        header = concatenation(part) if part else b""
        message = ShortMessage(
            source=Address(1, 1, source),
            destination=Address(3, 0, SHORT_CODE),
            text=header + encoded(text, 0),
            esm_class=pdu.UDHI if part else 0,
        )
        self._come(message)

    def _come(self, message: ShortMessage) -> None:
        raw = raw_of("smsc", pdu.DELIVER_SM, pdu.message_body(message), self.world.now)
        self.world.bare.queue.send("Inbound", [encode(raw)], "")

    def texts(self) -> list[bytes]:
        """The octets of what was taken, in order."""
        return [message.payload for message in self.taken.values()]


# --- a customer of ours that sends by SMPP -------------------------------------------------------


def cost_centre_of(world: World, which: str) -> CostCentre:
    world.deps.directory.forget()
    found = world.deps.directory.cost_centre(which)
    assert found is not None
    return found


def order(
    world: World, which: str, *numbers: str, text: str = "oi", registered: int = 1, udh: str = ""
) -> Accepted:
    """What a submit_sm of this cost centre becomes, or a submit_multi."""
    cost_centre = cost_centre_of(world, which)
    ask = Ask(
        wishes=tuple(Wish(number, text) for number in numbers or (NUMBER,)),
        batch=len(numbers) > 1,
        numbering=zoug.numbering(cost_centre),
        registered=registered,
        udh=udh,
    )
    return accept(ask, cost_centre, zoug.NAME, world.deps)


def mails(world: World, which: str) -> list[Mail]:
    """What lies in its mailbox."""
    return world.bare.store.mails(which, "", 1_000)


def mailed(world: World, which: str) -> list[Mailed]:
    return [read_mail(mail.body) for mail in mails(world, which)]
