"""What an SMSC tells by its binds: queued as it came, and acknowledged once that is durable.

All that came in one turn of the loop is one piece of work, and so one commit or one batch.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from recado.connectors.smpp import raw_of
from recado.message import encode
from recado.observability import count, log, words_of
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import Pdu
from recado.wiring import Deps
from smpp.doubts import Doubts
from smpp.hands import Hands
from smpp.session import Session

_MOST_AT_ONCE = 100
_EMPTY_ID = wire.id_body("")


class _Told(Struct, frozen=True):
    session: Session
    pdu: Pdu
    raw: str
    in_doubt: bool  # whether it is one that must not be told twice


class Ingress:
    """The deliver_sm and data_sm of one connector."""

    def __init__(self, connector: str, deps: Deps, hands: Hands) -> None:
        self._connector, self._deps, self._hands = connector, deps, hands
        self._told: list[_Told] = []
        self._doubts = Doubts()
        self._loop = asyncio.get_running_loop()

    def take(self, session: Session, pdu: Pdu) -> None:
        """Queues it soon, and then answers it."""
        received_at = self._deps.clock()
        in_doubt = not _may_be_receipt(pdu)
        if in_doubt:
            now = self._loop.time()
            received_at = self._doubts.came(session, pdu.body, now, received_at)
        raw = encode(raw_of(self._connector, pdu.command, pdu.body, received_at))
        if not self._told:
            self._loop.call_soon(self._keep)
        self._told.append(_Told(session, pdu, raw, in_doubt))

    def gone(self, session: Session) -> None:
        """The session is no more: what it did not hear from us may come again."""
        self._doubts.gone(session, self._loop.time())

    def _keep(self) -> None:
        told, self._told = self._told, []
        for start in range(0, len(told), _MOST_AT_ONCE):
            some = told[start : start + _MOST_AT_ONCE]
            queue, bodies = self._deps.engine.queue, [one.raw for one in some]
            # Of no group: whose message it is about only the connector can tell, later.
            self._hands.do(
                f"smsc:{self._connector}",
                partial(queue.send, "Inbound", bodies, ""),
                partial(self._answer, some),
            )

    def _answer(self, told: Sequence[_Told], _: object, error: BaseException | None) -> None:
        if error is None:
            count("callbacks_received", len(told))
            command_status = status.ESME_ROK
        else:
            count("callbacks_not_kept", len(told))
            told_of = {"connector": self._connector, "problem": words_of(error)}
            log.error("what an SMSC told could not be kept", extra=told_of)
            command_status = status.ESME_RX_T_APPN  # not now: it keeps it, and tells it again
        now = self._loop.time()
        for one in told:
            one.session.respond(one.pdu, _EMPTY_ID, command_status)
            if one.in_doubt:
                self._doubts.answered(one.session, one.pdu.body, now, kept=error is None)


def _may_be_receipt(pdu: Pdu) -> bool:
    """A guess, and cheap: a receipt that comes twice changes nothing, so it need not be kept in
    mind."""
    return b"stat:" in pdu.body
