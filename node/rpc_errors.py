"""Errors that cross from one process of a node to the other: what is meant for whoever caused it
arrives as it was raised, a fault of ours with such words as a log may have."""

import sqlite3

import msgspec
from msgspec import Struct

from recado import errors
from recado.errors import Invalid, RecadoError, Refused
from recado.observability import words_of
from recado.submission import Refusal

_WORDS = {kind.__name__: kind for kind in (errors.NotFound, errors.Conflict, errors.Misconfigured)}


class Fault(Exception):
    """The other process failed; what, is in the log that both write."""


class Told(Struct, array_like=True, frozen=True):
    """An error on its way. `ours`: it is a fault of ours."""

    kind: str
    ours: bool
    text: str = ""
    number: int = 0
    refusal: Refusal | None = None


_told = msgspec.msgpack.Decoder(Told)


def packed(error: BaseException) -> Told:
    kind = type(error).__name__
    if isinstance(error, Refused):
        return Told("Refused", False, refusal=error.refusal)
    if isinstance(error, Invalid):
        return Told("Invalid", False, str(error))
    if isinstance(error, RecadoError):
        return Told(kind, False, str(error))
    if type(error).__module__ == "sqlite3":
        return Told("sqlite3", True, str(error))
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return Told("OSError", True, words_of(error), error.errno)
    return Told(kind, True)


def raised(content: bytes) -> Exception:
    """What whoever asked is to raise."""
    told = _told.decode(content)
    if told.refusal is not None:
        return Refused(told.refusal)
    if told.kind == "Invalid":
        field, _, problem = told.text.partition(" ")
        return Invalid(field, problem)
    if told.kind in _WORDS:
        return _WORDS[told.kind](told.text)
    if told.kind == "sqlite3":
        return sqlite3.OperationalError(told.text)
    if told.kind == "OSError":
        return OSError(told.number, told.text)
    return Fault(told.kind)
