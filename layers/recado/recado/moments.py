"""Moments: times as our own answers and lists write them."""

from datetime import UTC, datetime


def iso(at: float) -> str:
    """A time since 1970 in ISO 8601 and UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
