"""Bulk files: what a batch's record says of the file that it is read from."""

from msgspec import Struct


class Rules(Struct, frozen=True, omit_defaults=True):
    """What of a cost centre's settings says which rows can be sent, and what they cost."""

    fixed_lines: bool
    international: bool
    replace_accents: bool
    max_segments: int


class Bulk(Struct, frozen=True, omit_defaults=True):
    """A customer's file: how it wants it sent, and what checking it has found so far."""

    text: str  # `{nome}` in it is the value of the column of that name
    column: str = ""  # where the numbers stand; empty: where they look to be
    source: str = ""
    upload_until: float = 0.0
    stage: str = "upload"  # then "rows", "doubles", "join": the check; then "checked", "sending"
    problem: str = ""  # why the file as a whole can't be sent: stage "failed"
    size: int = 0  # of the file, in bytes
    rules: Rules | None = None  # as they were when the check began: it is sent by these, too
    checks: int = 0  # that were made before this one
    step: int = 0  # of the check; of these the first `row_steps` read rows
    row_steps: int = 0
    offset: int = 0  # bytes that were checked
    line: int = 0  # the next one
    good: int = 0  # rows, the doubles among them
    doubles: int = 0  # of those, the ones whose number an earlier one has: they are not sent
    bad: int = 0
    bad_steps: tuple[int, ...] = ()  # where the first bad rows lie
    segments: int = 0  # of the good rows but for the doubles
    reached: bool = False  # a route leads to at least one of the numbers


def found_as(bulk_id: str, bulk: Bulk) -> str:
    """What the blobs of a check are called by: a check that is made again has blobs of its own."""
    return f"{bulk.checks}-{bulk_id}" if bulk.checks else bulk_id
