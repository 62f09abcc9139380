"""Money: what a message costs who pays in advance, what is given back, and who is told in time.

Amounts are integers: ten-thousandths of the currency. A message is charged when it is accepted, in
one transaction with what makes it durable; it is given back when it ends in a state that costs
nothing, once, by the ledger's entry for it. docs/money.md has the table of these states.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from recado.costcentre import CostCentre
from recado.engine import ACCOUNTS_KEPT, Entry
from recado.ids import derived_id
from recado.message import Alert, Batch, Message, Record, Report, State
from recado.notices import emit, emit_again
from recado.observability import count, log
from recado.report import ALERT
from recado.submission import Submission
from recado.wiring import Deps

CHARGE, REFUND, CREDIT = "charge", "refund", "credit"
LOW_BALANCE = "low_balance"

# Nobody carried it: it is given back however it came to this state. EXPIRED is one of them only
# while no upstream was left with it; what was taken and not delivered has cost us too.
_FREE = frozenset({State.REJECTED, State.DELETED, State.FAILED})
_PAYMENTS = "payments"
_DAY = 86_400.0


# --- charges -------------------------------------------------------------------------------------


def price_of(cost_centre: CostCentre, *, voice: bool) -> int:
    """What a unit costs this cost centre in advance; 0 where it pays later, or nothing."""
    if not cost_centre.prepaid:
        return 0
    return cost_centre.voice_price if voice else cost_centre.price


def units_of(submission: Submission) -> int:
    """What a submission as a whole is charged for: its valid recipients alone."""
    if submission.listing:
        return submission.listing.units or submission.listing.count * submission.units
    return sum(recipient.units for recipient in submission.recipients if not recipient.refusal)


# --- refunds -------------------------------------------------------------------------------------


def refunds(message: Message) -> bool:
    """Whether this message's charge is given back."""
    if not message.price:
        return False
    if message.state is State.EXPIRED:
        # A submit that was surely not taken is not counted among them. (Its upstream's id does not
        # tell: a receipt can say EXPIRED before the answer to the submit has come.)
        return not message.submits
    return message.state in _FREE


def refund(records: Iterable[Record], deps: Deps) -> None:
    """Gives back what those of the records cost that cost nothing after all. Done again it gives
    nothing twice: call it after the write of the state, and again when that comes again."""
    entries = [
        Entry(
            record.cost_centre,
            record.id,
            REFUND,
            record.price * record.units,
            deps.clock(),
            record.state,
        )
        for record in records
        if isinstance(record, Message) and refunds(record)
    ]
    if entries:
        count("refunds", sum(deps.engine.store.credit(entries)))


def is_cancelled(record: Record) -> bool:
    return isinstance(record, Message | Batch) and record.state is State.DELETED


def refund_cancelled(messages: Iterable[Message], deps: Deps) -> None:
    """As `refund`, for messages that were found cancelled when they were taken up. Whoever
    cancelled them knew their ids alone: what they cost stands in their packet."""
    refund([replace(message, state=State.DELETED) for message in messages], deps)


def refund_rest(submission: Submission, used: int, note: str, deps: Deps) -> None:
    """Gives back what a batch was charged beyond `used` units, once: of one batch only ever the
    same may be asked."""
    rest = units_of(submission) - used
    if submission.price and rest > 0 and submission.batch_id:
        amount = submission.price * rest
        now, name = deps.clock(), submission.cost_centre
        entry = Entry(name, submission.batch_id, REFUND, amount, now, f"{rest} SMS {note}")
        count("refunds", sum(deps.engine.store.credit([entry])))


# --- the low balance -----------------------------------------------------------------------------


def watch(cost_centre: CostCentre, left: int, dialect: str, deps: Deps) -> None:
    """Tells a customer that its balance is below what it wants to be told at: once, until it has
    paid again, or wants to be told at another. Looked at with every charge, and with every request
    that the balance refuses: a notice that a crash has prevented goes with the next of these."""
    low = cost_centre.low_balance
    if left >= low:
        return
    store, now, counter = deps.engine.store, deps.clock(), _counter(cost_centre.id)
    counts = store.counts(counter)
    turn = counts.get(_PAYMENTS, 0) + 1
    field = f"told at {low}"
    told = counts.get(field, 0)
    if told >= turn:
        return
    _tell(cost_centre, left, dialect, turn, deps)
    # Last: who dies before it is followed by one who makes the very same record.
    store.add(counter, {field: turn - told}, limit=turn, expires=now + ACCOUNTS_KEPT)


def _tell(cost_centre: CostCentre, left: int, dialect: str, turn: int, deps: Deps) -> None:
    now = deps.clock()
    low = cost_centre.low_balance
    # The same id for all who find out at once (within a day, since an id has a time).
    identifier = derived_id(now - now % _DAY, cost_centre.id, LOW_BALANCE, turn, low)
    alert = Alert(
        cost_centre=cost_centre.id,
        id=identifier,
        dialect=dialect,
        kind=LOW_BALANCE,
        at=now,
        balance=left,
        reports=(Report(ALERT, now),),
    )
    stood = deps.engine.store.create([alert])[0]
    if stood is not None:
        emit_again([stood], deps)
        return
    count("balances_low")
    log.warning("a balance is low", extra={"cost_centre": cost_centre.id})
    emit([alert], deps)


def watch_anew(cost_centre_id: str, deps: Deps) -> None:
    """It pays: when its balance is low after that, it is told again."""
    expires = deps.clock() + ACCOUNTS_KEPT
    deps.engine.store.add(_counter(cost_centre_id), {_PAYMENTS: 1}, limit=None, expires=expires)


def _counter(cost_centre_id: str) -> str:
    return f"low#{cost_centre_id}"
