"""How fast: messages a second over the binds of a connector, and the pauses of one that was told
it is too fast. Times are those of the loop, in seconds."""

_BURST = 0.05  # seconds' worth that may go at once after a rest
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class Pace:
    """Spreads messages evenly over each second; 0 a second is without limit."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._next = 0.0  # when the next one is due, had none come early

    def change(self, per_second: float) -> None:
        self._per_second = per_second

    def wait(self, now: float) -> float:
        """How long until one may go; 0: now."""
        if not self._per_second:
            return 0.0
        return max(0.0, self._next - self._early() - now)

    def went(self, now: float) -> None:
        """One goes now."""
        if self._per_second:
            self._next = max(self._next, now) + 1 / self._per_second

    def _early(self) -> float:
        # Never less than one: at 1 a second the first goes at once.
        return max(0.0, _BURST - 1 / self._per_second)


class Brake:
    """A bind's pauses after ESME_RTHROTTLED and ESME_RMSGQFUL: 0.1 s doubling to 5 s, and half of
    it again each time that as long went well."""

    def __init__(self) -> None:
        self.until = 0.0  # nothing goes before
        self._pause = 0.0
        self._eased = 0.0

    def throttled(self, now: float) -> None:
        """What was sent before the pause began, and is answered during it, says nothing new."""
        if now >= self.until:
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self.until = self._eased = now + self._pause

    def taken(self, now: float) -> None:
        """One was taken."""
        if self._pause and now >= self._eased + self._pause:
            self._pause = self._pause / 2 if self._pause > _FIRST_PAUSE else 0.0
            self._eased = now
