"""Frames: what came in, piece by piece, made into whole PDUs."""

from recado.smpp.pdu import HEADER_SIZE, Malformed, Pdu, split


class Frames:
    """The unfinished end of a stream of PDUs."""

    __slots__ = ("_left", "_most", "_needed", "broken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = bytearray()  # a PDU that is not whole yet
        self._needed = HEADER_SIZE  # octets until it may be
        self.broken: tuple[Malformed, int] | None = (
            None  # with the sequence number that stood there
        )

    def feed(self, data: bytes) -> list[Pdu]:
        """The PDUs that are whole now. Where a length makes no sense, `broken` is set: what follows
        can't be found any more."""
        left = self._left
        if left:
            # Joined once a PDU, not once a piece: somebody may send one octet at a time.
            left += data
            if len(left) < self._needed:
                return []
            data = bytes(left)
            left.clear()
        pdus, rest = self._split(data)
        while len(rest) >= HEADER_SIZE and self.broken is None:
            more, after = self._split(rest)
            if len(after) == len(rest):
                break
            pdus += more
            rest = after
        left += rest
        self._needed = HEADER_SIZE
        if len(left) >= HEADER_SIZE:
            self._needed = int.from_bytes(left[:4])
        return pdus

    def _split(self, data: bytes) -> tuple[list[Pdu], bytes]:
        try:
            pdus, used = split(data, self._most)
        except Malformed as malformed:
            self.broken = malformed, int.from_bytes(data[12:16])
            return [], b""
        return pdus, data[used:] if used else data
