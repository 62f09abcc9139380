"""The link between a node's two processes, over a real socket pair."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import pytest
import uvloop

from node.rpc import Link, Lost
from node.rpc_errors import Fault
from node.rpc_operations import Operations, Served
from node.waiting import start, wait
from recado.errors import Conflict, Invalid, Misconfigured, NotFound, Refused
from recado.message import Key
from recado.submission import Refusal

_TEXT = "çãé 👍🏽 \x00 '\"\\"


class Shop(Protocol):
    """Something to ask for."""

    def keys(self, keys: Sequence[Key], *, reverse: bool, most: int | None) -> list[Key | None]: ...

    def echo(self, content: bytes, times: int = 1) -> bytes: ...

    def nothing(self) -> None: ...

    def fail(self, which: str) -> None: ...


OPERATIONS = Operations(Shop)
_ERRORS: dict[str, Exception] = {
    "not found": NotFound("a blob"),
    "conflict": Conflict("it has changed"),
    "misconfigured": Misconfigured("no port"),
    "invalid": Invalid("name", "is too long"),
    "refused": Refused(Refusal("balance", "balance", "RSUBMITFAIL")),
    "system": OSError(28, "No space left on device"),
    "fault": KeyError("of ours"),
}


class Counter:
    """A Shop."""

    def __init__(self) -> None:
        self.calls = 0

    def keys(self, keys: Sequence[Key], *, reverse: bool, most: int | None) -> list[Key | None]:
        found: list[Key | None] = [*keys, None]
        return found[::-1][:most] if reverse else found[:most]

    def echo(self, content: bytes, times: int = 1) -> bytes:
        return content * times

    def nothing(self) -> None:
        self.calls += 1

    def fail(self, which: str) -> None:
        raise _ERRORS[which]


class Carrier(Counter):
    """A Shop whose echo steps aside until somebody has asked for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def nothing(self) -> None:
        self.asked.set()

    def echo(self, content: bytes, times: int = 1) -> bytes:
        wait(self.asked.wait())
        return super().echo(content, times)


def straight(shop: Counter) -> Served:
    return OPERATIONS.served(Shop, shop, lambda after: after(None))


def linked(
    test: Callable[[Link, Link, Counter], Awaitable[None]],
    make: Callable[[], Counter] = Counter,
    serve: Callable[[Counter], Served] = straight,
) -> None:
    """Runs a test with both ends of a link; the second one serves."""

    async def run() -> None:
        loop, shop = asyncio.get_running_loop(), make()
        asking = Link({})
        serving = Link(serve(shop))
        ours, theirs = socket.socketpair()
        await loop.create_unix_connection(lambda: asking, sock=ours)
        await loop.create_unix_connection(lambda: serving, sock=theirs)
        gone = asyncio.Event()
        serving.on_lost = gone.set
        try:
            await asyncio.wait_for(test(asking, serving, shop), 20.0)
        finally:
            asking.close()
            serving.close()
            await gone.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def in_greenlet(work: Callable[[], Any]) -> Any:
    end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def told() -> None:
        try:
            end.set_result(work())
        except Exception as error:
            end.set_exception(error)

    start(told)
    return await end


def test_a_call_comes_back_with_the_types_of_the_protocol() -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        shop: Shop = OPERATIONS.remote(Shop, asking.ask)
        keys = [Key("ana", "1"), Key("bia", _TEXT)]
        work = lambda: shop.keys(keys, reverse=True, most=None)  # noqa: E731 - a call to be made
        assert await in_greenlet(work) == [None, *reversed(keys)]
        assert await in_greenlet(lambda: shop.echo(b"ab")) == b"ab"
        assert await in_greenlet(lambda: shop.echo(b"ab", times=2)) == b"abab"
        assert await in_greenlet(shop.nothing) is None

    linked(test)


def test_what_is_larger_than_any_buffer_arrives_whole_and_so_does_what_comes_after() -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        sizes = [0, 3_000_000, 1, 100_000, 9_000_000, 17]
        echo = OPERATIONS.of[Shop, "echo"]
        answers = [asking.asked(echo, b"x" * size, 1) for size in sizes]
        assert [len(await answer) for answer in answers] == sizes

    linked(test)


def test_a_thousand_calls_at_once_each_have_their_own_answer() -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        shop: Shop = OPERATIONS.remote(Shop, asking.ask)
        calls = [in_greenlet(lambda n=n: shop.echo(str(n).encode())) for n in range(1_000)]  # type: ignore[misc]
        assert await asyncio.gather(*calls) == [str(n).encode() for n in range(1_000)]

    linked(test)


@pytest.mark.parametrize("which", ["not found", "conflict", "misconfigured", "invalid", "refused"])
def test_an_error_that_is_meant_for_somebody_arrives_as_it_was(which: str) -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        shop: Shop = OPERATIONS.remote(Shop, asking.ask)
        error = _ERRORS[which]
        with pytest.raises(type(error)) as caught:
            await in_greenlet(lambda: shop.fail(which))
        assert str(caught.value) == str(error)
        assert {**vars(caught.value)} == {**vars(error)}

    linked(test)


def test_a_fault_arrives_as_a_fault_and_the_link_goes_on() -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        shop: Shop = OPERATIONS.remote(Shop, asking.ask)
        with pytest.raises(OSError, match="No space left") as full:
            await in_greenlet(lambda: shop.fail("system"))
        assert full.value.errno == 28
        with pytest.raises(Fault, match="KeyError"):
            await in_greenlet(lambda: shop.fail("fault"))
        wrong: Any = object()
        with pytest.raises(TypeError):
            await in_greenlet(lambda: shop.echo(wrong))
        with pytest.raises(Fault, match="ValidationError"):
            await asking.asked(OPERATIONS.of[Shop, "echo"], "no bytes", 1)
        assert await in_greenlet(lambda: shop.echo(b"x")) == b"x"

    linked(test)


def test_what_is_carried_out_in_a_greenlet_may_step_aside_while_others_are_answered() -> None:
    async def test(asking: Link, _: Link, __: Counter) -> None:
        first = asking.asked(OPERATIONS.of[Shop, "echo"], b"ab", 2)
        with pytest.raises(NotFound, match="a blob"):
            await asking.asked(OPERATIONS.of[Shop, "fail"], "not found")
        with pytest.raises(Fault, match="KeyError"):
            await asking.asked(OPERATIONS.of[Shop, "fail"], "fault")
        assert not first.done()
        await asking.asked(OPERATIONS.of[Shop, "nothing"])
        assert await first == b"abab"

    linked(test, Carrier, lambda shop: OPERATIONS.carried(Shop, shop))


def test_what_is_told_is_done_without_an_answer() -> None:
    async def test(asking: Link, _: Link, shop: Counter) -> None:
        asking.tell(OPERATIONS.of[Shop, "nothing"])
        await asking.asked(OPERATIONS.of[Shop, "nothing"])
        assert shop.calls == 2

    linked(test)


def test_whoever_waits_when_the_other_end_goes_is_told_and_so_is_who_asks_later() -> None:
    async def test(asking: Link, serving: Link, _: Counter) -> None:
        shop: Shop = OPERATIONS.remote(Shop, asking.ask)
        waiting = asyncio.ensure_future(in_greenlet(lambda: shop.echo(b"x")))
        await asyncio.sleep(0)
        serving.close()
        with pytest.raises(Lost):
            await waiting
        with pytest.raises(Lost):
            await in_greenlet(lambda: shop.echo(b"x"))
        asking.tell(OPERATIONS.of[Shop, "nothing"])

    linked(test)
