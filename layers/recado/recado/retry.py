"""How long to wait before the next try. Pure, with the chance as an argument."""

import random


def backoff(
    attempt: int, *, base: float = 1.0, cap: float = 900.0, chance: float | None = None
) -> float:
    """Seconds before try number `attempt` + 1 (attempt counts from 1): doubling from `base` up to
    `cap`, less up to half by chance (0 to 1), so that many who failed at once don't come back at
    once."""
    whole = min(base * 2.0 ** min(max(attempt - 1, 0), 30), cap)
    luck = random.random() if chance is None else chance  # noqa: S311 - spreads load, guards nothing
    return whole * (1 - luck / 2)
