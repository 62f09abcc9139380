"""Whole nodes between software that is not ours: SMSCs of two makers, Kannel before us, and a chain
of two nodes of our own."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import smpp34

from recado.smpp.receipt import receipt_text
from tests.support.kannel import (
    ACKNOWLEDGED,
    DELIVERED,
    EXPIRED,
    FAILED,
    Kannel,
    Reply,
    Smsc,
    program,
)
from tests.support.processes import Process, Processes, free_port, processes_in, request, until
from tests.support.smpp_nodes import Login, goes_to_port, smpp_customer, until_bound

STRANGER = Login("", "recado", "segredo")
NUMBER = "5534998887755"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        started.sink()
        yield started


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Processes]:
    """Another gateway of ours, which is an SMSC to the first one, with the simulator behind it."""
    (tmp_path / "second").mkdir()
    with processes_in(tmp_path / "second") as started:
        started.simulator()
        yield started


def kannel_bound_to(processes: Processes) -> Kannel:
    """Kannel as a customer of a node that runs."""
    login = smpp_customer(processes, "kannel")
    place = Smsc(
        name="node",
        port=processes.smpp_port,
        system_id=login.system_id,
        password=login.password,
    )
    kannel = Kannel(processes.folder / "kannel", processes, place)
    kannel.start()
    kannel.bound("node")
    return kannel


def told(processes: Processes, identifier: str) -> list[str]:
    """What the callback URL was told of a message: its outcome, its end, replies."""
    return [_said(report) for report in processes.reports(identifier)]


def _said(report: dict[str, Any]) -> str:
    if "short_message" in report:
        return f"{report['source_addr']}: {report['short_message']}"
    return report["stat"] if report["type"] == 1 else f"{report['report_stat']} {report['err']}"


def hears(processes: Processes, identifier: str, *all_of_it: str) -> None:
    """Waits until the callback URL was told this of a message, and no more."""
    wanted = list(all_of_it)
    until(lambda: told(processes, identifier) == wanted, lambda: str(told(processes, identifier)))


def kannel_hears(kannel: Kannel, to: str, *types: str) -> None:
    until(lambda: kannel.types(to) == list(types), lambda: f"{types}: {kannel.types(to)}")


# --- Kannel's own test of its SMPP, drive_smpp ---------------------------------------------------


@contextmanager
def a_port_for_boxes() -> Iterator[None]:
    """drive_smpp means to test a bearerbox, and dies where nothing listens on that one's port."""
    try:
        listening = socket.create_server(("127.0.0.1", 13001), reuse_port=True)
    except OSError:  # something does already
        yield
        return
    with listening:
        yield


def test_drive_smpp_has_its_submits_answers_and_unbinds_and_each_of_its_messages_is_kept(
    processes: Processes,
) -> None:
    port = free_port()
    with a_port_for_boxes():
        # No more than that it should log everything, and send five messages.
        options = ("-v", "0", "-p", str(port), "-m", "5")
        smsc = processes.start("drive_smpp", [program("drive_smpp"), *options])
        # It answers without a message_id, which leaves open whether it took the message.
        once = "--after-uncertain=report"
        goes_to_port(processes, port, STRANGER, once, bind_mode="separate", enquire="1")
        processes.cost_centre()
        node = processes.node("--no-simulator")
        until_bound(processes, 2)
        kannel = kannel_bound_to(processes)
        processes.send(text="por HTTP, {1}")
        kannel.send("node", NUMBER, "pelo Kannel")
        until(lambda: smsc.said.count("type deliver_sm_resp") == 5, "what it is told of its five")
        for text in (b"por HTTP, \x1b(1\x1b)", b"pelo Kannel"):
            line = b"submit_sm: short_message = <%b>" % text
            until(lambda line=line: smsc.err.read_bytes().count(line) == 1, f"{text!r} there")  # type: ignore[misc]  # a lambda's default has no type
        # Each way: it asks after each of its messages, we ask on both of our binds.
        until(lambda: smsc.said.count("type enquire_link_resp") == 5, "answers to its enquire_link")
        until(lambda: smsc.said.count("of type enquire_link\n") >= 2, "enquire_links of ours")
        assert in_queue(processes, "Inbound") == 5
        assert node.end() == 0
        until(lambda: smsc.said.count("of type unbind\n") == 2, "an unbind from both")
        assert "Unhandled" not in smsc.said


def in_queue(processes: Processes, name: str) -> int:
    """How many messages a queue holds, ready or not."""
    rows = processes.recado("queue", "list", "--json").json()
    [row] = [row for row in rows if row["queue"] == name]
    return int(row["ready"] + row["delayed"] + row["dead"])


# --- the server of smpp34, which is written in Rust ----------------------------------------------


class Rust:
    """Takes everything, by numbers; and who binds to it can be told something."""

    def __init__(self) -> None:
        self.port = free_port()
        self.server = smpp34.Server("127.0.0.1", self.port, system_id="RUST")
        self.esme: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.taken: dict[str, Any] = {}
        self.unbound = asyncio.Event()

    async def serve(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.SubmitSmEvent):
                identifier = f"r{len(self.taken) + 1}"
                self.taken[identifier] = event
                event.accept(identifier)
            elif isinstance(event, smpp34.Unbound):
                self.unbound.set()
            else:
                self.esme.set_result(event)

    async def tell(self, source: str, text: bytes, to: str = "27000", **how: Any) -> None:
        esme = await self.esme
        answer = await esme.deliver_sm(to, text, source_addr=source, **how)
        assert answer.is_success

    async def tell_receipts(self, stat: str, err: str) -> None:
        """Of all that it took."""
        for identifier, event in self.taken.items():
            text = receipt_text(identifier, stat, err, 0.0, 0.0)
            await self.tell(event.destination_addr, text, event.source_addr, esm_class=4)


def beside_rust(scene: Callable[[Rust], Coroutine[Any, Any, None]]) -> None:
    async def test() -> None:
        rust = Rust()
        await rust.server.start()
        serving = asyncio.ensure_future(rust.serve())
        try:
            await scene(rust)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            await rust.server.stop()

    asyncio.run(test())


async def soon(condition: Callable[[], object], what: str) -> None:
    """As `until`, while the server goes on."""
    await asyncio.to_thread(until, condition, what)


def node_before(processes: Processes, rust: Rust) -> Process:
    goes_to_port(processes, rust.port, STRANGER)
    processes.cost_centre()
    node = processes.node("--no-simulator")
    until_bound(processes)
    return node


def test_a_message_goes_to_a_server_in_rust_and_its_receipt_and_a_reply_to_the_callback_url(
    processes: Processes,
) -> None:
    async def scene(rust: Rust) -> None:
        node = await asyncio.to_thread(node_before, processes, rust)
        identifier = await asyncio.to_thread(processes.send, text="é {1}")
        await asyncio.to_thread(hears, processes, identifier, "ESME_ROK")
        [event] = rust.taken.values()
        assert (event.destination_addr, event.short_message) == (NUMBER, b"\x05 \x1b(1\x1b)")
        await rust.tell_receipts("UNDELIV", "012")
        await asyncio.to_thread(hears, processes, identifier, "ESME_ROK", "UNDELIV 012")
        await rust.tell(NUMBER, "Não".encode("utf-16-be"), data_coding=8)
        await asyncio.to_thread(
            hears, processes, identifier, "ESME_ROK", "UNDELIV 012", f"{NUMBER}: Não"
        )
        assert await asyncio.to_thread(node.end) == 0
        async with asyncio.timeout(10.0):
            await rust.unbound.wait()

    beside_rust(scene)


def test_kannels_parts_pass_through_us_to_a_server_in_rust_as_they_are(
    processes: Processes,
) -> None:
    async def scene(rust: Rust) -> None:
        await asyncio.to_thread(node_before, processes, rust)
        kannel = await asyncio.to_thread(kannel_bound_to, processes)
        text = "".join(f"ção{number:03} " for number in range(30))
        await asyncio.to_thread(kannel.send, "node", NUMBER, text, coding="2")
        await soon(lambda: len(rust.taken) == 4, "four parts")
        parts = sorted(rust.taken.values(), key=lambda part: part.short_message[5])
        assert {(part.esm_class, part.data_coding) for part in parts} == {(0x40, 8)}
        [header] = {part.short_message[:5] for part in parts}
        assert (header[:3], header[4]) == (b"\x05\x00\x03", 4)
        assert [part.short_message[5] for part in parts] == [1, 2, 3, 4]
        octets = b"".join(part.short_message[6:] for part in parts)
        assert octets.decode("utf-16-be") == text
        await rust.tell_receipts("EXPIRED", "007")
        await asyncio.to_thread(kannel_hears, kannel, NUMBER, ACKNOWLEDGED, EXPIRED)

    beside_rust(scene)


# --- two nodes -----------------------------------------------------------------------------------


def chained(processes: Processes, second: Processes) -> None:
    """The first node goes to the second one."""
    login = smpp_customer(second, "first")
    second.node()
    goes_to_port(processes, second.smpp_port, login)
    processes.cost_centre()
    processes.node("--no-simulator")
    until_bound(processes)


def texts(simulated: Processes, to: str) -> list[str]:
    listed = request(simulated.simulator_port, "GET", "/taken?limit=1000")[1]
    return [one["text"] for one in reversed(listed) if one["to"] == to]


def test_kannel_and_a_client_by_http_send_through_two_nodes_and_hear_of_it_all_the_way_back(
    processes: Processes, second: Processes
) -> None:
    chained(processes, second)
    kannel = kannel_bound_to(processes)
    long = "".join(f"{number:03} " for number in range(100))
    identifier = processes.send(to=NUMBER, text=f"olá {long}")
    failing = processes.send(to="5511900000001", text="oi")
    kannel.send("node", "5534998887756", "Ж do Kannel", coding="2")
    kannel.send("node", "5511900000017", "oi do Kannel")
    kannel.send("node", "5511900000010", "quem?", **{"from": "27000"})
    hears(processes, identifier, "ESME_ROK", "DELIVRD 000")
    hears(processes, failing, "ESME_ROK", "UNDELIV 001")
    kannel_hears(kannel, "5534998887756", DELIVERED, ACKNOWLEDGED)
    kannel_hears(kannel, "5511900000017", FAILED, ACKNOWLEDGED)
    kannel_hears(kannel, "5511900000010", DELIVERED, ACKNOWLEDGED)
    until(kannel.replies, "a reply")
    [reply] = kannel.replies()
    assert reply == Reply("node", "+5511900000010", "27000", "Resposta: recebi a sua mensagem.")
    assert texts(second, "5534998887756") == ["Ж do Kannel"]
    parts = sorted(texts(second, NUMBER), key=f"ola {long}".index)
    assert "".join(parts) == f"ola {long}"
