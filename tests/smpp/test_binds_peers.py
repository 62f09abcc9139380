"""Binds to a server that is not ours: that of smpp34, which is written in Rust."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import smpp34

from recado.connectors import Incoming, Receipt, Rejected, Submit, Submitted, smpp
from recado.message import State
from recado.smpp import status
from recado.smpp.receipt import receipt_text
from tests.support.smsc_binds import QUICK, Bound, configure_port
from tests.support.world import World


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


def part_of(event: Any) -> int:
    """By the user data header; 0 of a message that is whole."""
    return int(event.short_message[5]) if event.esm_class == 0x40 else 0


class Rust:
    """Its server: takes everything but what says "recuse", and tells receipts and a reply."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.server = smpp34.Server("127.0.0.1", port, system_id="RUST")
        self.esme: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.taken: list[Any] = []
        self.unbound = asyncio.Event()

    async def serve(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.SubmitSmEvent):
                self.taken.append(event)
                if b"recuse" in event.short_message:
                    event.reject(status.ESME_RINVDSTADR)
                else:
                    # It hands over in any order what came at once: the id says what it is of.
                    event.accept(f"{event.destination_addr}-{part_of(event)}")
            elif isinstance(event, smpp34.Unbound):
                self.unbound.set()
            else:
                self.esme.set_result(event)


async def with_rust(
    world: World, scene: Callable[[Rust, Bound], Coroutine[Any, Any, None]]
) -> None:
    rust = Rust(free_port())
    await rust.server.start()
    serving = asyncio.ensure_future(rust.serve())
    configure_port(world, rust.port, binds=1)
    bound = Bound(world, "one", QUICK)
    await bound.binds.start()
    try:
        await bound.are("bound")
        await scene(rust, bound)
    finally:
        await bound.binds.close(1.0)
        async with asyncio.timeout(10.0):
            await rust.unbound.wait()
        serving.cancel()
        await asyncio.wait([serving])
        await rust.server.stop()


def test_submits_long_texts_and_refusals_are_understood_on_both_sides(world: World) -> None:
    async def scene(rust: Rust, bound: Bound) -> None:
        found = await bound.submit(
            Submit("cc.1", "5534998887755", "Olé €", 1, source="Recado"),
            Submit("cc.2", "5534998887756", "coração " * 20, 3),
            Submit("cc.3", "5534998887757", "recuse", 1),
        )
        assert found[0] == Submitted("5534998887755-0")
        ids = [f"5534998887756-{number}" for number in (1, 2, 3)]
        assert found[1] == Submitted(ids[0], tuple(ids[1:]))
        assert found[2] == Rejected("ESME_RINVDSTADR")
        whole = {taken.destination_addr: taken for taken in rust.taken if not part_of(taken)}
        first = whole["5534998887755"]
        assert (first.source_addr, first.source_addr_ton) == ("Recado", 5)
        assert (first.dest_addr_ton, first.dest_addr_npi, first.data_coding) == (1, 1, 0)
        assert first.short_message == b"Ol\x05 \x1be"
        parts = sorted((taken for taken in rust.taken if part_of(taken)), key=part_of)
        assert [taken.data_coding for taken in parts] == [8, 8, 8]
        text = b"".join(taken.short_message[6:] for taken in parts)
        assert text.decode("utf-16-be") == "coração " * 20

    asyncio.run(with_rust(world, scene))


def test_a_burst_is_answered_whole(world: World) -> None:
    async def scene(rust: Rust, bound: Bound) -> None:
        submits = [Submit(f"cc.{n}", f"55349988{n:05d}", "oi", 1) for n in range(500)]
        found = await bound.submit(*submits)
        assert len({one.upstream_id for one in found if isinstance(one, Submitted)}) == 500

    asyncio.run(with_rust(world, scene))


def test_receipts_and_replies_are_heard_and_acknowledged(world: World) -> None:
    async def scene(rust: Rust, bound: Bound) -> None:
        esme = await rust.esme
        text = receipt_text("abc", "UNDELIV", "012", 0.0, 0.0)
        answer = await esme.deliver_sm("27400", text, source_addr="5534998887755", esm_class=4)
        assert answer.is_success
        answer = await esme.deliver_sm(
            "27400", "Não".encode("utf-16-be"), source_addr="5534998887755", data_coding=8
        )
        assert answer.is_success
        upstream = configure_port(world, rust.port)
        [[receipt], [reply]] = [smpp.parse_callback(raw, upstream) for raw in bound.kept()]
        assert receipt == Receipt(State.UNDELIVERABLE, "012", upstream_id="abc")
        assert isinstance(reply, Incoming)
        assert (reply.source, reply.text, reply.destination) == ("5534998887755", "Não", "27400")

    asyncio.run(with_rust(world, scene))
