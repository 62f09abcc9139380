"""A link between two processes of one node: calls both ways over one stream socket.

What a turn of the loop has to say goes in one write. A call is a header and its arguments in
msgpack, typed at both ends by the signature that both have in their code; whoever calls runs in a
greenlet and steps aside until the answer is there.
"""

import asyncio
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import msgspec
from greenlet import getcurrent

from node.rpc_errors import packed, raised
from node.rpc_operations import Operation, Served
from recado.observability import log

Waiter: TypeAlias = Callable[[int, bytes], object]

# The octets after these four; the call's number (0: nobody waits for an answer); what it is.
_HEAD = struct.Struct("<IIH")
_BLANK = bytes(_HEAD.size)
_LENGTH = 4
_MOST_CALLS = 2**32 - 1
# What an answer is, in place of an operation's number.
_DONE, _FAILED, _LOST = 0xFFFF, 0xFFFE, 0xFFFD
_NOBODY = 0


class Lost(ConnectionError):
    """The other process has ended: whether it did what it was asked is not known."""


class Link(asyncio.Protocol):
    """One end of it. `served`: what the other end may ask for, by the operation's number."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.on_lost: Callable[[], object] = _nothing
        """Called when the other end has gone, before whoever waits is told."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, Waiter] = {}
        self._last = _NOBODY
        self._out = bytearray()
        self._pieces: list[bytes] = []  # of a message that is not whole yet
        self._have = self._need = 0
        self._encoder = msgspec.msgpack.Encoder()

    # --- to ask ----------------------------------------------------------------------------------

    def ask(self, operation: Operation, arguments: tuple[Any, ...]) -> Any:
        """What the other end gives, or raises. Only for greenlets of node.waiting. Raises Lost."""
        mine: Any = getcurrent()
        hub = mine.parent
        if hub is None:
            raise RuntimeError(f"{operation.name} has to be asked for in a greenlet")
        self._call(operation.number, arguments, mine.switch)
        return _outcome(operation, *hub.switch())

    def asked(self, operation: Operation, *arguments: Any) -> "asyncio.Future[Any]":
        """The same for whoever awaits it."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._call(operation.number, arguments, partial(_settle, future, operation))
        return future

    def tell(self, operation: Operation, *arguments: Any) -> None:
        """Asks for what needs no answer. Does nothing where the other end has gone."""
        if self._transport is not None:
            self._put(_NOBODY, operation.number, arguments)

    def _call(self, number: int, arguments: tuple[Any, ...], waiter: Waiter) -> None:
        if self._transport is None:
            raise Lost("the other process is not there")
        call = self._last = self._last % _MOST_CALLS + 1
        self._put(call, number, arguments)
        self._waiting[call] = waiter

    # --- the wire --------------------------------------------------------------------------------

    def _put(self, call: int, what: int, content: Any) -> None:
        out = self._out
        start = len(out)
        if not start:
            self._loop.call_soon(self._flush)
        out += _BLANK
        try:
            if content is not None:
                self._encoder.encode_into(content, out, -1)
        except BaseException:
            del out[start:]  # what else the turn has to say goes all the same
            raise
        _HEAD.pack_into(out, start, len(out) - start - _LENGTH, call, what)

    def _flush(self) -> None:
        out, self._out = self._out, bytearray()
        if self._transport is not None:
            self._transport.write(out)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of a stream

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self.on_lost()
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            waiter(_LOST, b"")

    def close(self) -> None:
        """After what was said so far has gone."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._pieces:
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data, self._pieces = b"".join(self._pieces), []
        at, end = 0, len(data)
        while end - at >= _HEAD.size:
            length, call, what = _HEAD.unpack_from(data, at)
            stop = at + _LENGTH + length
            if stop > end:
                break
            self._take(call, what, data[at + _HEAD.size : stop])
            at = stop
        if at < end:
            self._pieces, self._have = [data[at:]], end - at
            self._need = _need(self._pieces[0])

    def _take(self, call: int, what: int, content: bytes) -> None:
        if what >= _LOST:
            waiter = self._waiting.pop(call, None)
            if waiter is not None:
                waiter(what, content)
            return
        operation, serve = self._served[what]
        respond = _nobody if call == _NOBODY else partial(self._respond, call, operation.name)
        try:
            serve(operation.arguments.decode(content), respond)
        except Exception as error:
            respond(None, error)

    def _respond(self, call: int, name: str, result: Any, error: BaseException | None) -> None:
        if self._transport is None:
            return
        if error is None:
            try:
                self._put(call, _DONE, result)
                return
            except Exception as problem:  # it can't be written: whoever asked must know
                error = problem
        told = packed(error)
        if told.ours:
            log.error("a call failed", exc_info=error, extra={"operation": name})
        self._put(call, _FAILED, told)


def _need(start: bytes) -> int:
    """The octets of a message that begins so, or of as much as says it."""
    if len(start) < _HEAD.size:
        return _HEAD.size
    return _LENGTH + int(_HEAD.unpack_from(start)[0])


def _outcome(operation: Operation, what: int, content: bytes) -> Any:
    if what == _DONE:
        return operation.answer.decode(content) if content else None
    if what == _FAILED:
        raise raised(content)
    raise Lost("the other process has ended")


def _settle(future: "asyncio.Future[Any]", operation: Operation, what: int, content: bytes) -> None:
    if future.done():  # whoever waited may have been cancelled
        return
    try:
        future.set_result(_outcome(operation, what, content))
    except Exception as error:
        future.set_exception(error)


def _nobody(_result: Any, error: BaseException | None) -> None:
    if error is not None:
        log.error("what was told could not be done", exc_info=error)


def _nothing() -> None:
    pass
