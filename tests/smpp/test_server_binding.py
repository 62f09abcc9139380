import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from recado import operations
from recado.costcentre import KeptPassword, digest, new_smpp_password, new_smpp_system_id
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    Pdu,
)
from smpp.server import Server, ServerSettings
from smpp.session import Limits
from tests.support.smpp_hands import Hands
from tests.support.smpp_place import PASSWORD, SYSTEM_ID, Place, put_login, serving, smpp_login
from tests.support.smpp_wire import MESSAGE, Wire
from tests.support.world import World

Run = Callable[[Coroutine[Any, Any, None]], None]
_SUBMITS = (
    wire.SUBMIT_SM,
    wire.SUBMIT_MULTI,
    wire.DATA_SM,
    wire.QUERY_SM,
    wire.CANCEL_SM,
    wire.REPLACE_SM,
)
_MODES = {
    BIND_TRANSMITTER: ("transmitter", True, False),
    BIND_RECEIVER: ("receiver", False, True),
    BIND_TRANSCEIVER: ("transceiver", True, True),
}


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world whose customer may bind."""
    made = make_world()
    smpp_login(made)
    return made


def _cost_centre(world: World, system_id: str = SYSTEM_ID) -> str:
    body = world.bare.store.config("smpp-login", system_id) or b""
    return str(msgspec.json.decode(body)["cost_centre"])


def _switch(world: World, **switches: Any) -> None:
    operations.costcentre_update(world.deps, _cost_centre(world), **switches)


async def _refused(place: Place, command_status: int, **how: Any) -> None:
    """A bind gets this answer and the connection's end."""
    other = await place.connect()
    answer = await other.bind(**how)
    assert answer == Pdu(answer.command, command_status, 1), status.name_of(answer.command_status)
    assert await other.until_closed() == b""
    await other.close()


# --- binding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(_MODES))
def test_a_customer_binds_in_each_mode(run: Run, world: World, command: int) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.connect()
            answer = await other.bind(command=command)
            assert answer == Pdu(command | RESPONSE, 0, 1, b"Recado\0\x02\x10\0\x01\x34")
            [customer] = place.bound
            assert place.server.customers_of(_cost_centre(world)) == [customer]
            assert customer.system_id == SYSTEM_ID
            assert (customer.mode, customer.sends, customer.receives) == _MODES[command]
            assert customer.session.window == 64
            await other.close()

    run(body())


@pytest.mark.parametrize("version", [0x00, 0x33])
def test_a_client_before_3_4_gets_no_optional_parameters(
    run: Run, world: World, version: int
) -> None:
    async def body() -> None:
        async with serving(world, system_id="SMSC") as place:
            other = await place.connect()
            assert (await other.bind(version=version)).body == b"SMSC\0"
            assert place.bound[0].interface_version == version
            await other.close()

    run(body())


def test_a_client_after_3_4_is_told_that_we_speak_3_4(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.connect()
            assert (await other.bind(version=0x50)).body.endswith(b"\x02\x10\0\x01\x34")
            await other.close()

    run(body())


@pytest.mark.parametrize("command", [*_SUBMITS, UNBIND, DELIVER_SM])
def test_before_a_bind_nothing_else_is_taken(run: Run, world: World, command: int) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.connect()
            answer = await other.call(command, MESSAGE)
            assert answer == Pdu(command | RESPONSE, status.ESME_RINVBNDSTS, 1)
            assert (await other.bind()).command_status == 0
            assert place.taken == []
            await other.close()

    run(body())


def test_an_enquire_link_is_answered_before_a_bind_too(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.connect()
            assert await other.call(ENQUIRE_LINK) == Pdu(ENQUIRE_LINK | RESPONSE, 0, 1)
            await other.close()

    run(body())


def test_a_second_bind_is_refused_and_the_first_one_stands(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            answer = await other.bind(command=BIND_RECEIVER)
            assert answer == Pdu(BIND_RECEIVER | RESPONSE, status.ESME_RALYBND, 2)
            assert (await other.call(SUBMIT_SM, MESSAGE)).command_status == 0
            assert len(place.bound) == 1
            await other.close()

    run(body())


def test_a_bind_beside_one_that_is_looked_at_is_refused(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            place.hands.held = []
            other = await place.connect()
            bind = wire.bind_body(wire.Bind(SYSTEM_ID, PASSWORD))
            other.ask(BIND_TRANSCEIVER, bind)
            other.ask(BIND_TRANSCEIVER, bind)
            other.ask(SUBMIT_SM, MESSAGE)
            answers = [await other.read(), await other.read()]
            assert [(pdu.sequence, pdu.command_status) for pdu in answers] == [
                (2, status.ESME_RALYBND),
                (3, status.ESME_RINVBNDSTS),
            ]
            [work] = place.hands.held
            work()
            assert (await other.read()).command_status == 0
            await other.close()

    run(body())


def test_who_has_gone_while_its_bind_was_looked_at_is_not_bound(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            place.hands.held = []
            other = await place.connect()
            other.ask(BIND_TRANSCEIVER, wire.bind_body(wire.Bind(SYSTEM_ID, PASSWORD)))
            other.ask(ENQUIRE_LINK)
            await other.read()
            await other.close()
            while place.server._links:  # until the server has noticed
                await asyncio.sleep(0)
            place.hands.held[0]()
            await asyncio.sleep(0.01)
            assert place.bound == []

    run(body())


@pytest.mark.parametrize("command", _SUBMITS)
def test_a_receiver_may_not_submit(run: Run, world: World, command: int) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer(BIND_RECEIVER)
            answer = await other.call(command, MESSAGE)
            assert answer.command_status == status.ESME_RINVBNDSTS
            assert place.taken == []
            await other.close()

    run(body())


@pytest.mark.parametrize("command", _SUBMITS)
def test_what_a_transmitter_asks_for_goes_to_the_orders(
    run: Run, world: World, command: int
) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer(BIND_TRANSMITTER)
            answer = await other.call(command, MESSAGE)
            assert answer == Pdu(command | RESPONSE, 0, 2, b"id-1\0")
            assert place.taken == [(place.bound[0], Pdu(command, 0, 2, MESSAGE))]
            await other.close()

    run(body())


def test_what_only_a_centre_says_is_not_taken_from_a_customer(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            answer = await other.call(DELIVER_SM, MESSAGE)
            assert answer == Pdu(DELIVER_SM | RESPONSE, status.ESME_RINVCMDID, 2)
            for command in (wire.OUTBIND, wire.ALERT_NOTIFICATION):
                answer = await other.call(command)
                assert (answer.command, answer.command_status) == (
                    GENERIC_NACK,
                    status.ESME_RINVCMDID,
                )
            await other.close()

    run(body())


def test_who_does_not_bind_in_time_is_cut_off(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, bind_seconds=0.1) as place:
            silent, bound = await place.connect(), await place.customer()
            assert await silent.until_closed() == b""
            assert (await bound.call(ENQUIRE_LINK)).command_status == 0
            await silent.close()
            await bound.close()

    run(body())


# --- refused binds ------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            for name, password in ((SYSTEM_ID, "wrong"), ("nobody", PASSWORD), ("", "")):
                await _refused(place, status.ESME_RINVPASWD, system_id=name, password=password)
            assert place.bound == []

    run(body())


def test_a_refusal_comes_late_whatever_its_reason(run: Run, world: World) -> None:
    async def body() -> None:
        _switch(world, sends_by=["http"])
        async with serving(world, refusal_seconds=0.2) as place:
            loop = asyncio.get_running_loop()
            for how, code in (
                ({"password": "wrong"}, status.ESME_RINVPASWD),
                ({"system_id": "nobody"}, status.ESME_RINVPASWD),
                ({"password": "too long for it"}, status.ESME_RINVPASWD),
                ({}, status.ESME_RBINDFAIL),
            ):
                began = loop.time()
                await _refused(place, code, **how)
                assert loop.time() - began >= 0.19

    run(body())


@pytest.mark.parametrize(
    ("body_of_bind", "code"),
    [
        (b"", status.ESME_RINVCMDLEN),
        (b"ana\0segredo", status.ESME_RINVCMDLEN),
        (b"a" * 16 + b"\0segredo\0\0\x34\0\0\0", status.ESME_RINVSYSID),
        (b"ana\0" + b"9" * 9 + b"\0\0\x34\0\0\0", status.ESME_RINVPASWD),
        (b"ana\0segredo\0" + b"t" * 13 + b"\0\x34\0\0\0", status.ESME_RINVSYSTYP),
    ],
)
def test_a_bind_that_can_not_be_read_is_refused(
    run: Run, world: World, body_of_bind: bytes, code: int
) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.connect()
            assert (await other.call(BIND_TRANSMITTER, body_of_bind)).command_status == code
            assert await other.until_closed() == b""
            await other.close()

    run(body())


def test_who_is_suspended_or_sends_by_http_alone_can_not_bind(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            _switch(world, sends_by=["http"])
            await _refused(place, status.ESME_RBINDFAIL)
            _switch(world, sends_by=["smpp"])
            operations.costcentre_suspend(world.deps, _cost_centre(world))
            await _refused(place, status.ESME_RBINDFAIL)
            operations.costcentre_resume(world.deps, _cost_centre(world))
            await (await place.customer()).close()

    run(body())


def test_a_customer_with_an_address_list_binds_from_there_alone(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            _switch(world, smpp_addresses=["192.0.2.0/24", "127.0.0.2"])
            await _refused(place, status.ESME_RINVPASWD)
            await (await place.customer(source="127.0.0.2")).close()
            _switch(world, smpp_addresses=["127.0.0.0/30"])
            await (await place.customer()).close()

    run(body())


def test_the_binds_of_a_customer_are_limited_and_one_that_ends_makes_room(
    run: Run, world: World
) -> None:
    async def body() -> None:
        _switch(world, smpp_binds=2)
        async with serving(world) as place:
            first, second = await place.customer(BIND_RECEIVER), await place.customer()
            await _refused(place, status.ESME_RALYBND)
            await first.close()
            await place.somebody_gone.wait()
            third = await place.customer()
            assert len(place.server.customers_of(_cost_centre(world))) == 2
            await second.close()
            await third.close()

    run(body())


def test_many_binds_of_one_customer_may_come_at_once(run: Run, world: World) -> None:
    async def body() -> None:
        _switch(world, smpp_binds=100)
        async with serving(world, unbound_per_peer=100) as place:
            binds = await asyncio.gather(*[place.customer() for _ in range(60)])
            assert len(place.server.customers) == 60
            for bind in binds:
                await bind.close()

    run(body())


def test_a_password_that_was_rotated_opens_until_its_overlap_is_over(
    run: Run, world: World
) -> None:
    async def body() -> None:
        kept = (
            KeptPassword(digest("new", b"pepper")),
            KeptPassword(digest(PASSWORD, b"pepper"), until=world.now + 60),
        )
        put_login(world, SYSTEM_ID, _cost_centre(world), *kept, version=1)
        async with serving(world) as place:
            await (await place.customer()).close()
            world.now += 61
            await _refused(place, status.ESME_RINVPASWD)
            other = await place.connect()
            assert (await other.bind(password="new")).command_status == 0
            await other.close()

    run(body())


def test_names_and_passwords_that_we_make_fit_and_open(run: Run, world: World) -> None:
    async def body() -> None:
        name, password = new_smpp_system_id(), new_smpp_password()
        assert len(name) <= 15
        assert len(password) == 8
        assert password.isalnum()
        kept = KeptPassword(digest(password, b"pepper"))
        put_login(world, name, _cost_centre(world), kept)
        async with serving(world) as place:
            other = await place.connect()
            assert (await other.bind(name, password)).command_status == 0
            await other.close()

    run(body())


# --- unbinding ----------------------------------------------------------------------------------


def test_an_unbind_is_answered_and_the_connection_closed(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            assert await other.call(UNBIND) == Pdu(UNBIND | RESPONSE, 0, 2)
            assert await other.until_closed() == b""
            assert place.gone == place.bound
            assert place.server.customers == []
            await other.close()

    run(body())


def test_an_unbind_waits_for_the_answers_to_what_is_in_hand(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            place.keeps = True
            other = await place.customer()
            for command in (SUBMIT_SM, SUBMIT_SM, UNBIND, SUBMIT_SM):
                other.ask(command, MESSAGE)
            late = await other.read()
            assert (late.sequence, late.command_status) == (5, status.ESME_RINVBNDSTS)
            assert place.gone == place.bound  # nothing is delivered to it any more
            for customer, pdu in place.taken:
                customer.session.respond(pdu, b"id\0")
            answers = [await other.read() for _ in range(3)]
            assert [pdu.sequence for pdu in answers] == [2, 3, 4]
            assert await other.until_closed() == b""
            await other.close()

    run(body())


def test_an_unbind_does_not_wait_for_ever(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, limits=Limits(response=0.1)) as place:
            place.keeps = True
            other = await place.customer()
            other.ask(SUBMIT_SM, MESSAGE)
            other.ask(UNBIND)
            assert await other.until_closed() == b""
            await other.close()

    run(body())


def test_a_customer_that_breaks_off_is_gone_once(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            other.writer.transport.abort()
            await place.somebody_gone.wait()
            assert place.gone == place.bound
            assert place.server.customers_of(_cost_centre(world)) == []
            await other.close()
        assert len(place.gone) == 1

    run(body())


async def _unbound(other: Wire) -> None:
    """The server takes its leave."""
    pdu = await other.read()
    assert pdu.command == UNBIND
    other.answer(pdu)
    assert await other.until_closed() == b""
    await other.close()


def test_who_may_not_be_bound_any_more_is_unbound(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world, review_seconds=0.05) as place:
            other = await place.customer()
            operations.costcentre_suspend(world.deps, _cost_centre(world))
            await _unbound(other)
            operations.costcentre_resume(world.deps, _cost_centre(world))
            other = await place.customer()
            kept = KeptPassword(digest("new", b"pepper"))
            put_login(world, SYSTEM_ID, _cost_centre(world), kept, version=1)
            await _unbound(other)
            assert place.gone == place.bound

    run(body())


def test_a_review_leaves_who_still_may_be_bound_and_takes_its_new_window(
    run: Run, world: World
) -> None:
    async def body() -> None:
        async with serving(world, review_seconds=0.02) as place:
            other = await place.customer()
            _switch(world, smpp_window=7)
            async with asyncio.timeout(10):
                while place.bound[0].session.window != 7:
                    await asyncio.sleep(0.01)
            assert (await other.call(SUBMIT_SM, MESSAGE)).command_status == 0
            assert place.gone == []
            await other.close()

    run(body())


def test_closing_unbinds_everybody_and_waits_for_what_is_in_hand(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            place.keeps = True
            busy, idle = await place.customer(), await place.customer()
            unbound = await place.connect()
            assert (await unbound.call(ENQUIRE_LINK)).command_status == 0
            busy.ask(SUBMIT_SM, MESSAGE)
            assert (await busy.call(ENQUIRE_LINK)).command_status == 0
            closing = asyncio.create_task(place.server.close(10.0))
            await _unbound(idle)
            assert await unbound.until_closed() == b""
            goodbye = await busy.read()
            assert place.server.customers == []
            last = busy.ask(SUBMIT_SM, MESSAGE)  # it was on its way
            busy.answer(goodbye)
            assert (await busy.call(ENQUIRE_LINK)).command_status == 0
            assert len(place.taken) == 2
            for customer, pdu in place.taken:
                customer.session.respond(pdu, b"id\0")
            assert [(await busy.read()).sequence for _ in range(2)][1] == last
            assert await busy.until_closed() == b""
            await closing
            for connection in (busy, unbound):
                await connection.close()
            with pytest.raises(ConnectionRefusedError):
                await place.connect()

    run(body())


def test_closing_cuts_off_who_does_not_answer(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            other = await place.customer()
            await place.server.close(0.1)
            assert (await other.read()).command == UNBIND
            assert await other.until_closed() == b""
            await other.close()

    run(body())


# --- TLS, a balancer before us ------------------------------------------------------------------


def test_tls_has_a_port_of_its_own(
    run: Run, world: World, secure: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def body() -> None:
        async with serving(world, tls_port=0, ssl_context=secure[0]) as place:
            other = await Wire.to(place.server.tls_port, secure=secure[1])
            assert (await other.bind()).command_status == 0
            other.send(b"".join(wire.framed(SUBMIT_SM, n, MESSAGE) for n in range(1_000)))
            assert [(await other.read()).sequence for _ in range(1_000)] == list(range(1_000))
            assert (await other.call(UNBIND)).command_status == 0
            assert await other.until_closed() == b""
            await other.close()
            await (await place.customer()).close()  # the plain one is there, too

    run(body())


def test_a_handshake_that_fails_or_never_comes_harms_nobody(
    run: Run, world: World, secure: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def body() -> None:
        settings = {"tls_port": 0, "ssl_context": secure[0], "port": None, "bind_seconds": 0.2}
        async with serving(world, **settings) as place:
            assert place.server.port is None
            plain = await Wire.to(place.server.tls_port)
            plain.send(b"\0\0\0\x10 this is no handshake")
            silent = await Wire.to(place.server.tls_port)
            for connection in (plain, silent):
                await connection.until_closed()
                await connection.close()
            other = await Wire.to(place.server.tls_port, secure=secure[1])
            assert (await other.bind()).command_status == 0
            assert len(place.server._links) == 1
            await other.close()

    run(body())


_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FROM_192_0_2_7 = bytes((192, 0, 2, 7, 10, 0, 0, 1)) + b"\x9c\x40\x07\x76"


def _header(command: int, family: int, rest: bytes) -> bytes:
    return _SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2) + rest


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (_header(0x21, 0x11, _FROM_192_0_2_7), "192.0.2.7"),
        (_header(0x21, 0x11, _FROM_192_0_2_7 + b"\xea\0\x05hello"), "192.0.2.7"),
        (_header(0x21, 0x21, b"\x20\x01\x0d\xb8" + bytes(11) + b"\x05" + bytes(20)), "2001:db8::5"),
        (
            _header(0x21, 0x21, bytes(10) + b"\xff\xff\xc0\0\x02\x07" + bytes(20)),
            "192.0.2.7",
        ),
        (_header(0x20, 0x00, b""), "127.0.0.1"),
        (_header(0x21, 0x00, b"unknown"), "127.0.0.1"),
    ],
)
def test_behind_a_balancer_the_customers_own_address_is_known(
    run: Run, world: World, header: bytes, peer: str
) -> None:
    async def body() -> None:
        async with serving(world, proxy_protocol=True) as place:
            other = await place.connect()
            for octet in header:  # the slowest of balancers
                other.send(bytes((octet,)))
                await asyncio.sleep(0)
            assert (await other.bind()).command_status == 0
            assert place.bound[0].session.peer == peer
            await other.close()

    run(body())


@pytest.mark.parametrize(
    "octets",
    [
        wire.framed(ENQUIRE_LINK, 1),
        _header(0x22, 0x11, _FROM_192_0_2_7),
        _header(0x21, 0x11, _FROM_192_0_2_7[:6]),
        _header(0x21, 0x11, bytes(5_000)),
        b"",
        _SIGNATURE,
    ],
)
def test_behind_a_balancer_nobody_comes_in_without_its_word(
    run: Run, world: World, octets: bytes
) -> None:
    async def body() -> None:
        async with serving(world, proxy_protocol=True, bind_seconds=0.2) as place:
            other = await place.connect()
            other.send(octets)
            assert await other.until_closed() == b""
            await other.close()
            assert place.server._links == {}

    run(body())


def test_the_balancers_word_comes_before_the_handshake(
    run: Run, world: World, secure: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def body() -> None:
        settings = {"tls_port": 0, "ssl_context": secure[0], "proxy_protocol": True}
        async with serving(world, **settings) as place:
            other = await Wire.to(place.server.tls_port)
            other.send(_header(0x21, 0x11, _FROM_192_0_2_7))
            await other.writer.start_tls(secure[1], server_hostname="localhost")
            assert (await other.bind()).command_status == 0
            assert place.bound[0].session.peer == "192.0.2.7"
            await other.close()

    run(body())


# --- what is written down -----------------------------------------------------------------------


def test_the_log_tells_of_binds_and_refusals_and_no_secrets(
    run: Run, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def body() -> None:
        async with serving(world) as place:
            await _refused(place, status.ESME_RINVPASWD, password="wrOng")
            await _refused(place, status.ESME_RINVPASWD, system_id="myPassword")
            other = await place.customer()
            await other.call(SUBMIT_SM, MESSAGE)
            await other.call(UNBIND)
            await other.until_closed()
            await other.close()

    run(body())
    lines = [(record.message, vars(record).get("reason")) for record in caplog.records]
    assert [line for line in lines if "custom" in line[0] or "bind" in line[0]] == [
        ("a bind was refused", "credentials"),
        ("a bind was refused", "credentials"),
        ("a customer has bound", None),
        ("a customer is gone", "the customer unbound"),
    ]
    everything = " ".join(str(vars(record)) for record in caplog.records)
    for secret in (PASSWORD, "wrOng", "myPassword", "5534998887755"):
        assert secret not in everything


def test_a_port_that_is_taken_is_an_os_error(run: Run, world: World) -> None:
    async def body() -> None:
        async with serving(world) as place:
            settings = ServerSettings(port=place.server.port)
            second = Server(world.deps, Hands(), settings, lambda *_: None)
            with pytest.raises(OSError, match="Address already in use"):
                await second.start()
            await second.close(0.0)

    run(body())


def test_a_store_that_fails_is_our_fault_and_not_the_customers(
    run: Run, make_world: Callable[..., World]
) -> None:
    async def body() -> None:
        class Failing:
            def __getattr__(self, name: str) -> Any:
                raise RuntimeError("no store")

        world = make_world(wrap=lambda engine: replace(engine, store=Failing()))
        async with serving(world) as place:
            await _refused(place, status.ESME_RSYSERR)

    run(body())
