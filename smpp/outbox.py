"""Outbox: what a session writes, gathered until the end of the loop's turn.

What was written while the other side did not read stays here and not in the transport, so that it
is known of each request whether it may have left.
"""

import asyncio
from collections.abc import Callable


class Outbox:
    """The outgoing half of a connection."""

    __slots__ = (
        "_after",
        "_loop",
        "_out",
        "_scheduled",
        "_transport",
        "choked",
        "handed",
        "queued",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        after: Callable[[], None],
    ) -> None:
        """`after` is called at the end of each turn that wrote something."""
        self._transport, self._loop, self._after = transport, loop, after
        self._out: list[bytes] = []
        self._scheduled = False
        self.choked = False  # the other side does not read
        self.queued = self.handed = 0  # octets written, and handed to the transport, ever

    def put(self, octets: bytes) -> None:
        self._out.append(octets)
        self.queued += len(octets)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    @property
    def unsent(self) -> int:
        """Octets that the system has not taken."""
        return self.queued - self.handed + self._transport.get_write_buffer_size()

    def hand_over(self) -> None:
        """Gives the transport all that there is."""
        out = self._out
        if out:
            self.handed = self.queued
            octets = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self._transport.write(octets)

    def drop(self) -> None:
        """Forgets what was not handed over."""
        self._out.clear()

    def _flush(self) -> None:
        self._scheduled = False
        if not self.choked:
            self.hand_over()
        self._after()
