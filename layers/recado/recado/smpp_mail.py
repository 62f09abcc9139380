"""An errand to a mailbox: what its customer has is forgotten, the lease is kept, what comes next is
read. Plain code over the Store, for the hands of the SMPP service."""

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from recado.costcentre import CostCentre
from recado.dialects.smpp_deliveries import deliver_body
from recado.engine import Mail
from recado.mailbox import read_mail
from recado.observability import count, log
from recado.wiring import Deps

_WINDOW = 64


class Errand(Struct, frozen=True, kw_only=True):
    """What is to be done."""

    cost_centre: str
    forget: Sequence[Mail] = ()
    holder: str = ""  # who takes the lease, or keeps it; empty: it need not be asked for
    lease: float = 0.0  # for so many seconds; 0: gives it back
    after: str | None = None  # reads from this place on; None: reads nothing
    page: int = 0  # so many mails at most
    known: Collection[str] = ()  # places that need not be read again


class Ready(Struct, frozen=True):
    """A mail, and the body of its deliver_sm."""

    mail: Mail
    body: bytes


class Ran(Struct, frozen=True, kw_only=True):
    """What an errand brought."""

    ours: bool = True  # the lease; False: whatever lies there is somebody else's affair
    ready: Sequence[Ready] = ()
    unreadable: Sequence[str] = ()  # places of what no customer can be given
    after: str | None = None  # where to read on; None: this was the end
    window: int = _WINDOW  # deliver_sm that its customer takes unanswered, on one session


def lease_of(cost_centre: str) -> str:
    """The name of the lease of a mailbox."""
    return f"mail#{cost_centre}"


def run(errand: Errand, deps: Deps) -> Ran:
    """Does it. What was acknowledged is forgotten whoever has the lease."""
    store = deps.engine.store
    if errand.forget:
        store.forget(errand.forget)
    if errand.holder and not _leased(errand, deps):
        return Ran(ours=False)
    cost_centre = deps.directory.cost_centre(errand.cost_centre)
    if cost_centre is None or errand.after is None:
        return Ran()
    mails = store.mails(errand.cost_centre, errand.after, errand.page)
    new = [mail for mail in mails if mail.place not in errand.known]
    over = [mail for mail in new if mail.expires <= deps.clock()]
    if over:
        count("mails_expired", len(over))
        store.forget(over)
    ready = list(_rendered([mail for mail in new if mail not in over], cost_centre))
    return Ran(
        ready=[one for one in ready if one.body],
        unreadable=[one.mail.place for one in ready if not one.body],
        after=mails[-1].place if len(mails) == errand.page else None,
        window=cost_centre.smpp_window,
    )


def _leased(errand: Errand, deps: Deps) -> bool:
    now = deps.clock()
    name = lease_of(errand.cost_centre)
    return deps.engine.store.lease(name, errand.holder, now + errand.lease, now)


def _rendered(mails: Sequence[Mail], cost_centre: CostCentre) -> Iterator[Ready]:
    """Each with its body; empty where we made a mail that we can't read."""
    for mail in mails:
        try:
            yield Ready(mail, deliver_body(read_mail(mail.body), cost_centre))
        except Exception:  # one must not keep all others from their customer
            count("faults")
            extra = {"correlation_id": mail.place, "cost_centre": cost_centre.id}
            log.exception("a mail can't be read", extra=extra)
            yield Ready(mail, b"")
