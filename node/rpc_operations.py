"""What may be asked for across a link: the methods of Protocols, each with the types of its own
signature, so that an engine is served and reached without a line written for each operation."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import Any, TypeAlias, get_type_hints

import msgspec
from msgspec import Struct

from node.waiting import start

Ask: TypeAlias = Callable[["Operation", tuple[Any, ...]], Any]
Respond: TypeAlias = Callable[[Any, BaseException | None], None]
"""Called once with what comes of a call, or with None and why nothing does."""
Serve: TypeAlias = Callable[[tuple[Any, ...], Respond], None]
"""Does what a call asks for, now or later. It may raise instead of responding."""
Served: TypeAlias = dict[int, tuple["Operation", Serve]]
Then: TypeAlias = Callable[[Callable[[BaseException | None], None]], None]
"""Calls what it is given once all that was written so far is durable, or with why it is not."""


class Operation(Struct, frozen=True):
    """One method. Both processes number them alike, since they run the same code."""

    name: str
    number: int
    signature: inspect.Signature  # without self
    arguments: msgspec.msgpack.Decoder[tuple[Any, ...]]
    answer: msgspec.msgpack.Decoder[Any]


class Operations:
    """Those of some Protocols. An answer is never None within: None is no answer at all."""

    def __init__(self, *protocols: type) -> None:
        methods = list(chain.from_iterable(map(_methods, protocols)))
        self.of: dict[tuple[type, str], Operation] = {
            (protocol, name): _operation(name, number, method)
            for number, (protocol, name, method) in enumerate(methods)
        }

    def remote(self, protocol: type, ask: Ask) -> Any:
        """A member of the Protocol whose work is done at the other end of a link."""
        made = SimpleNamespace()
        for (of, name), operation in self.of.items():
            if of is protocol:
                setattr(made, name, _asking(operation, ask))
        return made

    def served(self, protocol: type, member: Any, then: Then) -> Served:
        """Has a member of the Protocol do what is asked for. What it writes is durable when its
        answer leaves."""
        return {
            operation.number: (operation, _straight(_called(member, operation), then))
            for operation in self._those_of(protocol)
        }

    def awaited(self, protocol: type, member: Any) -> Served:
        """The same of one whose methods are coroutines."""
        return {
            operation.number: (operation, _awaiting(_called(member, operation)))
            for operation in self._those_of(protocol)
        }

    def carried(self, protocol: type, member: Any) -> Served:
        """The same of one whose methods run in a greenlet, and may step aside."""
        return {
            operation.number: (operation, _stepping_aside(_called(member, operation)))
            for operation in self._those_of(protocol)
        }

    def _those_of(self, protocol: type) -> list[Operation]:
        return [operation for (of, _), operation in self.of.items() if of is protocol]


def _methods(protocol: type) -> Iterator[tuple[type, str, Callable[..., Any]]]:
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            yield protocol, name, method


def _operation(name: str, number: int, method: Callable[..., Any]) -> Operation:
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    types = tuple(hints[parameter.name] for parameter in parameters)
    return Operation(
        name,
        number,
        inspect.Signature(parameters),
        msgspec.msgpack.Decoder(tuple[types] if types else tuple[()]),  # type: ignore[valid-type]  # made here
        msgspec.msgpack.Decoder(hints["return"]),
    )


def _asking(operation: Operation, ask: Ask) -> Callable[..., Any]:
    parameters = operation.signature.parameters.values()
    amount, signature = len(parameters), operation.signature
    defaults = tuple(one.default for one in parameters)

    def asking(*arguments: Any, **named: Any) -> Any:
        if named:
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            arguments = (*bound.args, *bound.kwargs.values())
        elif len(arguments) < amount:
            arguments += defaults[len(arguments) :]
        return ask(operation, arguments)

    return asking


def _called(member: Any, operation: Operation) -> Callable[..., Any]:
    """The member's method, for arguments by place alone."""
    method: Callable[..., Any] = getattr(member, operation.name)
    parameters = operation.signature.parameters.values()
    named = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    if not named:
        return method

    def called(*arguments: Any) -> Any:
        last = dict(zip(named, arguments[-len(named) :], strict=True))
        return method(*arguments[: -len(named)], **last)

    return called


def _straight(method: Callable[..., Any], then: Then) -> Serve:
    def serve(arguments: tuple[Any, ...], respond: Respond) -> None:
        then(partial(respond, method(*arguments)))

    return serve


def _stepping_aside(method: Callable[..., Any]) -> Serve:
    def serve(arguments: tuple[Any, ...], respond: Respond) -> None:
        def work() -> None:
            try:
                result = method(*arguments)
            except Exception as error:
                respond(None, error)
            else:
                respond(result, None)

        start(work)

    return serve


def _awaiting(method: Callable[..., Any]) -> Serve:
    tasks: set[asyncio.Task[Any]] = set()  # the loop alone would forget them

    def serve(arguments: tuple[Any, ...], respond: Respond) -> None:
        task = asyncio.get_running_loop().create_task(method(*arguments))
        tasks.add(task)
        task.add_done_callback(partial(ended, respond))

    def ended(respond: Respond, task: asyncio.Task[Any]) -> None:
        tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        respond(None if error else task.result(), error)

    return serve
