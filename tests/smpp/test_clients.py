"""Customers with client libraries that we did not write, against a node that runs."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import aiosmpplib as aio  # type: ignore[import-untyped]  # ships no type information
import pytest
import smpp34
import smpplib.gsm  # type: ignore[import-untyped]  # ships no type information
import smpplib.smpp  # type: ignore[import-untyped]  # ships no type information

from tests.support.smpp_clients import (
    GSM,
    LATIN1,
    LIBRARIES,
    MODES,
    UCS2,
    Answer,
    Client,
    Heard,
    Refused,
    Smpplib,
    Wish,
    bound,
    by_aiosmpplib,
    by_smpp34,
    by_smpplib,
    encoded,
)
from tests.support.smpp_node import Node, certificates, heard, node_in, sent

DELIVERED, UNDELIVERABLE, REPLIES = "5511900000000", "5511900000001", "5511900000010"
LONG = "Sua consulta é amanhã às 10h, na Rua Augusta. " * 8  # in GSM-7 but for the tilde
RECEIPTED = {"DELIVRD": 2, "EXPIRED": 3, "UNDELIV": 5, "UNKNOWN": 7, "REJECTD": 8}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("clients")
    with node_in(folder, certificates(folder)) as started:
        yield started


every_library = pytest.mark.parametrize("library", LIBRARIES)


# --- to bind -------------------------------------------------------------------------------------


@every_library
@pytest.mark.parametrize("mode", MODES)
def test_it_binds_in_each_mode_and_unbinds(node: Node, library: str, mode: str) -> None:
    place = node.customer()

    async def work() -> None:
        for _ in range(2):
            async with bound(library, place, mode) as client:
                if mode != "receiver":
                    await sent(client, Wish(to=node.phone(), registered=0))
                await client.leave()

    asyncio.run(work())


@every_library
def test_a_wrong_password_is_refused(node: Node, library: str) -> None:
    """smpp34 shows every refusal as one that never came."""
    place = node.customer()
    wrong = type(place)(place.port, place.system_id, "wrong")
    how: dict[str, Any] = {"connect_seconds": 2.0} if library == "smpp34" else {}

    async def work() -> int | None:
        with pytest.raises(Refused) as refused:
            async with bound(library, wrong, **how):
                pass
        return refused.value.command_status

    assert asyncio.run(work()) == (None if library == "smpp34" else 0x0E)


def test_a_bind_too_many_is_refused(node: Node) -> None:
    place = node.customer("--smpp-binds", "2")

    async def work() -> None:
        async with by_smpplib(place, "transceiver"), by_aiosmpplib(place, "transmitter"):
            with pytest.raises(Refused) as refused:
                async with by_smpplib(place, "receiver"):
                    pass
            assert refused.value.command_status == 0x05
        async with by_smpplib(place, "receiver") as client:
            await client.leave()

    asyncio.run(work())


@pytest.mark.parametrize("library", ["smpplib", "smpp34"])
def test_it_binds_by_tls(node: Node, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiosmpplib speaks none."""
    place = node.by_tls(node.customer())
    monkeypatch.setenv("SSL_CERT_FILE", place.ca)

    async def work() -> None:
        async with bound(library, place) as client:
            [answer] = await sent(client, Wish(to=node.phone()))
            assert (await client.hear()).id == answer.message_id
            await client.leave()

    asyncio.run(work())


# --- texts ---------------------------------------------------------------------------------------


@every_library
@pytest.mark.parametrize(
    ("coding", "text"),
    [
        (GSM, "Olà, é às 5 {€}"),
        (LATIN1, "Amanhã: ação às 10h, não há preço"),
        (UCS2, "Amanhã às 10h 🎉 до свидания"),
    ],
)
def test_a_text_arrives_as_it_was_written(node: Node, library: str, coding: int, text: str) -> None:
    place = node.customer("--no-replace-accents")

    async def work() -> None:
        async with bound(library, place) as client:
            answers = await sent(client, Wish(to=node.phone(), text=text, coding=coding))
            assert node.taken(answers) == [text]
            assert (await client.hear()).id == answers[0].message_id
            await client.leave()

    asyncio.run(work())


@every_library
def test_what_gsm_lacks_goes_without_its_accent_where_that_is_set(node: Node, library: str) -> None:
    place = node.customer()  # as costcentre create makes it

    async def work() -> None:
        async with bound(library, place) as client:
            answers = await sent(client, Wish(to=node.phone(), text="amanhã", coding=LATIN1))
            assert node.taken(answers) == ["amanha"]

    asyncio.run(work())


def parts_of(text: str, way: str, to: str) -> list[Wish]:
    """A long text in parts, by the library's own splitting."""
    octets, coding, esm_class = smpplib.gsm.make_parts(text, LATIN1, use_udhi=way == "udh")
    sar = [
        {0x020C: b"\0\x07", 0x020E: bytes((len(octets),)), 0x020F: bytes((number,))}
        for number in range(1, len(octets) + 1)
    ]
    return [
        Wish(
            to=to,
            octets=one,
            coding=coding,
            esm_class=esm_class,
            tlvs=sar[at] if way == "sar" else {},
        )
        for at, one in enumerate(octets)
    ]


@pytest.mark.parametrize("library", ["smpplib", "smpp34"])
@pytest.mark.parametrize("way", ["udh", "sar"])
def test_a_long_text_goes_in_parts(node: Node, library: str, way: str) -> None:
    place = node.customer("--no-replace-accents")

    async def work() -> None:
        async with bound(library, place) as client:
            wishes = parts_of("Rua Augusta, à direita. " * 12, way, node.phone())
            assert len(wishes) == 3
            answers = await sent(client, *wishes)
            assert "".join(node.taken(answers)) == "Rua Augusta, à direita. " * 12
            receipts = await heard(client, len(wishes))
            assert {one.id for one in receipts} == {one.message_id for one in answers}

    asyncio.run(work())


@pytest.mark.parametrize("library", ["smpplib", "smpp34"])
def test_a_long_text_goes_in_message_payload(node: Node, library: str) -> None:
    place = node.customer("--no-replace-accents")

    async def work() -> None:
        async with bound(library, place) as client:
            tlvs = {0x0424: encoded(LONG, UCS2)}
            answers = await sent(client, Wish(to=node.phone(), coding=UCS2, tlvs=tlvs))
            assert node.taken(answers) == [LONG]
            assert (await client.hear()).id == answers[0].message_id

    asyncio.run(work())


def test_aiosmpplib_puts_a_long_text_into_message_payload(node: Node) -> None:
    place = node.customer("--no-replace-accents")

    async def work() -> None:
        async with by_aiosmpplib(place, "transceiver") as client:
            answers = await sent(client, Wish(to=node.phone(), text=LONG, coding=UCS2))
            assert node.taken(answers) == [LONG]

    asyncio.run(work())


def test_aiosmpplib_cuts_a_long_text_itself_and_puts_its_receipts_together(node: Node) -> None:
    """It shows one answer and one receipt, the last; by SAR parameters it can't cut."""
    place, to = node.customer("--no-replace-accents"), node.phone()

    async def work() -> None:
        async with by_aiosmpplib(place, "transceiver") as client:
            message = aio.SubmitSm(
                short_message="Rua Augusta, à direita. " * 12,
                destination=aio.PhoneNumber(to),
                esm_class=0x40,
                auto_message_payload=False,
            )
            [answer] = await client.send([message])
            assert answer.command_status == 0
            assert (await client.hear()).stat == "DELIVRD"

    asyncio.run(work())


# --- receipts ------------------------------------------------------------------------------------


@every_library
def test_registered_delivery_says_which_receipts_come(node: Node, library: str) -> None:
    place = node.customer()

    async def work() -> None:
        async with bound(library, place) as client:
            answers = await sent(
                client,
                *[Wish(to=DELIVERED, registered=registered) for registered in (0, 1, 2)],
                *[Wish(to=UNDELIVERABLE, registered=registered) for registered in (0, 1, 2)],
            )
            receipts = {one.id: one.stat for one in await heard(client, 3)}
            assert receipts == {
                answers[1].message_id: "DELIVRD",
                answers[4].message_id: "UNDELIV",
                answers[5].message_id: "UNDELIV",
            }
            # Nor does another come before one that was asked for later.
            [last] = await sent(client, Wish(to=DELIVERED))
            assert (await client.hear()).id == last.message_id

    asyncio.run(work())


@every_library
def test_a_receipt_says_what_became_of_a_message(node: Node, library: str) -> None:
    place = node.customer()
    ends = {
        "5511900000000": ("DELIVRD", "000"),
        "5511900000001": ("UNDELIV", "001"),
        "5511900000002": ("EXPIRED", "002"),
        "5511900000003": ("REJECTD", "000"),  # refused at submit
        "5511900000013": ("UNKNOWN", "013"),
        "5511900000017": ("REJECTD", "017"),
    }

    async def work() -> None:
        async with bound(library, place) as client:
            answers = await sent(client, *[Wish(to=to, text="Olà, 1") for to in ends])
            receipts = {one.source: one for one in await heard(client, len(ends))}
            for to, answer in zip(ends, answers, strict=True):
                receipt, (stat, err) = receipts[to], ends[to]
                number = int(err)
                assert receipt == Heard(
                    source=to,
                    destination="27000",
                    text="Ola, 1",
                    esm_class=0x04,
                    id=answer.message_id,
                    stat=stat,
                    err=err,
                    receipted_message_id=answer.message_id,
                    message_state=RECEIPTED[stat],
                    network_error_code=b"\x03" + number.to_bytes(2) if number else b"",
                )

    asyncio.run(work())


@every_library
def test_a_user_message_reference_comes_back_in_the_receipt(node: Node, library: str) -> None:
    place = node.customer()

    async def work() -> None:
        async with bound(library, place) as client:
            [answer] = await sent(client, Wish(to=node.phone(), tlvs={0x0204: b"\x12\x34"}))
            receipt = await client.hear()
            assert (receipt.id, receipt.user_message_reference) == (answer.message_id, 0x1234)

    asyncio.run(work())


# --- replies -------------------------------------------------------------------------------------


@every_library
def test_a_reply_comes_after_the_receipt(node: Node, library: str) -> None:
    place = node.customer()

    async def work() -> None:
        async with bound(library, place) as client:
            [answer] = await sent(client, Wish(to=REPLIES))
            came = await heard(client, 2)
            if library == "smpp34":
                came.sort(key=lambda one: -one.esm_class)
            assert (came[0].id, came[0].stat) == (answer.message_id, "DELIVRD")
            reply = Heard(
                source=REPLIES, destination="27000", text="Resposta: recebi a sua mensagem."
            )
            assert came[1] == reply

    asyncio.run(work())


@every_library
@pytest.mark.parametrize("text", ["Não {€}, às 5 🎉", "à tarde " * 30, "não é já, amanhã " * 20])
def test_a_reply_is_read_as_it_was_written(node: Node, library: str, text: str) -> None:
    place, to = node.customer(), node.phone()

    async def work() -> None:
        async with bound(library, place) as client:
            await sent(client, Wish(to=to))
            await client.hear()
            await asyncio.to_thread(node.reply, to, text)
            assert await client.hear() == Heard(source=to, destination="27000", text=text)

    asyncio.run(work())


# --- many ----------------------------------------------------------------------------------------


@every_library
def test_a_thousand_in_flight_are_answered_once_each_and_have_a_receipt_each(
    node: Node, library: str
) -> None:
    place = node.customer()
    wishes = [Wish(to=node.phone(), text=f"mensagem {n}") for n in range(1_000)]

    async def work() -> None:
        async with bound(library, place) as client:
            answers = await sent(client, *wishes)
            ids = {answer.message_id for answer in answers}
            assert len(ids) == 1_000
            receipts = await heard(client, 1_000)
            assert {receipt.id for receipt in receipts} == ids
            by_id = {receipt.id: receipt.source for receipt in receipts}
            assert [by_id[one.message_id] for one in answers] == [one.to for one in wishes]
            assert node.taken(answers) == [one.text for one in wishes]
            await client.leave()

    asyncio.run(work())


# --- the mailbox ---------------------------------------------------------------------------------


async def three_wait(node: Node, library: str, place: Any) -> list[str]:
    """Three messages whose receipts lie in the mailbox, the ids in their order."""
    ids = []
    async with bound(library, place, "transmitter") as client:
        for _ in range(3):
            [answer] = await sent(client, Wish(to=node.phone()))
            await asyncio.to_thread(node.in_mailbox, answer)
            ids.append(answer.message_id)
        await client.leave()
    return ids


@pytest.mark.parametrize("library", ["smpplib", "smpp34"])
@pytest.mark.parametrize("mode", ["receiver", "transceiver"])
def test_receipts_that_waited_come_in_order(node: Node, library: str, mode: str) -> None:
    place = node.customer()

    async def work() -> None:
        ids = await three_wait(node, library, place)
        async with bound(library, place, mode) as client:
            came = [one.id for one in await heard(client, 3)]
            assert (sorted(came) if library == "smpp34" else came) == ids
            await client.leave()

    asyncio.run(work())


class Died(Exception):
    """The client did."""


def test_a_client_that_dies_before_it_acknowledges_gets_them_again_in_order(node: Node) -> None:
    place = node.customer()

    async def work() -> None:
        ids = await three_wait(node, "smpplib", place)
        async with by_smpplib(place, "receiver") as client:
            assert (await client.hear()).id == ids[0]
            client.delivered = died
            with pytest.raises(Died):
                await client.hear()
        async with by_smpplib(place, "receiver") as client:
            assert [one.id for one in await heard(client, 2)] == ids[1:]
            await client.leave()

    def died(pdu: Any) -> int:
        raise Died

    asyncio.run(work())


def test_aiosmpplib_binds_again_by_itself_and_loses_none(node: Node) -> None:
    """It knows the messages of its own life alone: the receipts come while it is bound."""
    place = node.customer()
    cut: list[str] = []

    async def work() -> None:
        async with by_aiosmpplib(place, "transceiver") as client:

            def first(message: Any) -> None:
                if isinstance(message, aio.DeliverSm) and not cut:
                    cut.append(message.parse_receipt()["id"])
                    client.esme._writer.transport.abort()

            client.hook.first = first
            answers = await sent(client, *[Wish(to=node.phone()) for _ in range(3)])
            came = [one.id for one in await heard(client, 4)]
            assert came[0] == cut[0]
            assert sorted(came[1:]) == sorted(answer.message_id for answer in answers)

    asyncio.run(work())


def test_smpp34_loses_none_of_what_it_has_no_room_for(node: Node) -> None:
    """What comes faster than it is taken from it, it refuses, with an octet more than it says:
    where the next PDU begins can't be known, so the session ends. It comes at the next bind."""
    place = node.customer()

    async def work() -> None:
        async with by_smpp34(place, "transmitter") as client:
            answers = await sent(client, *[Wish(to=node.phone()) for _ in range(20)])
            await asyncio.to_thread(node.in_mailbox, *answers)
        ids = {answer.message_id for answer in answers}
        came: set[str] = set()
        async with by_smpp34(place, "receiver", capacity=1) as client:
            while isinstance(event := await client.smsc.next(), smpp34.DeliverSmEvent):
                came.add(event.short_message[3:39].decode())
        assert came < ids
        async with by_smpp34(place, "receiver") as client:
            while came != ids:
                came.add((await client.hear()).id)

    asyncio.run(work())


@every_library
def test_receipts_come_to_the_receiver_of_a_pair(node: Node, library: str) -> None:
    """aiosmpplib's receiver knows no message that its transmitter has sent."""
    place = node.customer()

    async def work() -> None:
        async with bound(library, place, "transmitter") as sender:
            receives = "smpplib" if library == "aiosmpplib" else library
            async with bound(receives, place, "receiver") as receiver:
                answers = await sent(sender, *[Wish(to=node.phone()) for _ in range(5)])
                receipts = await heard(receiver, 5)
                assert {one.id for one in receipts} == {one.message_id for one in answers}

    asyncio.run(work())


# --- other requests ------------------------------------------------------------------------------


def asked(client: Smpplib, command: str, **fields: Any) -> Any:
    """A request that smpplib can write: its answer."""
    pdu = smpplib.smpp.make_pdu(command, client=client.client, **fields)
    client.client.send_pdu(pdu)
    answer = client.client.read_pdu()
    assert answer.sequence == pdu.sequence
    return answer


def test_smpplib_queries_a_message(node: Node) -> None:
    place = node.customer()

    async def work() -> None:
        async with by_smpplib(place, "transceiver") as client:
            [done] = await sent(client, Wish(to=UNDELIVERABLE))
            await client.hear()
            [waits] = await sent(client, Wish(to=DELIVERED, schedule="000000010000000R"))
            found = [
                asked(client, "query_sm", message_id=answer.message_id)
                for answer in (done, waits, Answer(0, "nobody"))
            ]
            assert [one.status for one in found] == [0, 0, 0x67]
            assert [one.message_state for one in found[:2]] == [5, 1]
            assert [one.error_code for one in found[:2]] == [1, 0]
            assert [len(one.final_date) for one in found[:2]] == [16, 0]
            assert found[0].message_id.decode() == done.message_id

    asyncio.run(work())


def test_smpplib_sends_by_data_sm(node: Node) -> None:
    place, to = node.customer(), node.phone()

    async def work() -> None:
        async with by_smpplib(place, "transceiver") as client:
            answer = asked(
                client,
                "data_sm",
                dest_addr_ton=1,
                destination_addr=to,
                registered_delivery=1,
                data_coding=UCS2,
                message_payload=encoded("até já", UCS2),
            )
            assert (answer.command, answer.status) == ("data_sm_resp", 0)
            taken = Answer(0, answer.message_id.decode())
            assert node.taken([taken]) == ["até ja"]
            assert (await client.hear()).id == taken.message_id

    asyncio.run(work())


@every_library
def test_a_message_waits_for_its_hour(node: Node, library: str) -> None:
    place = node.customer()

    async def work() -> tuple[Answer, float]:
        async with bound(library, place, "transmitter") as client:
            now = time.time()
            [answer] = await sent(client, Wish(to=node.phone(), schedule="000000010000000R"))
            return answer, now

    answer, now = asyncio.run(work())
    [due] = [
        datetime.fromisoformat(one["due_at"]).timestamp()
        for one in node.recado("schedule", "list")
        if one["id"] == answer.message_id
    ]
    assert now + 3_600 - 1 < due < time.time() + 3_600 + 1


def test_aiosmpplib_writes_local_times_west_of_greenwich_so_that_none_can_read_them(
    node: Node,
) -> None:
    """Three hours behind become 84 quarters of an hour: the hour is refused, not guessed."""
    place, to = node.customer(), aio.PhoneNumber("5511910000000")
    hour = datetime.now(UTC) + timedelta(hours=1)

    async def work() -> list[int]:
        async with by_aiosmpplib(place, "transceiver") as client:
            messages = [
                aio.SubmitSm(short_message="oi", destination=to, schedule_delivery_time=at)
                for at in (hour.astimezone(timezone(timedelta(hours=-3))), hour)
            ]
            return [answer.command_status for answer in await client.send(messages)]

    assert asyncio.run(work()) == [0x61, 0]


@every_library
def test_a_message_ends_with_its_validity(node: Node, library: str) -> None:
    place = node.customer()

    async def work() -> None:
        async with bound(library, place) as client:
            wish = Wish(to="5511900000005", validity="000000000002000R")  # never available
            [answer] = await sent(client, wish)
            receipt = await client.hear()
            assert (receipt.id, receipt.stat) == (answer.message_id, "EXPIRED")

    asyncio.run(work())


# --- what is refused -----------------------------------------------------------------------------


@every_library
@pytest.mark.parametrize(
    ("wish", "command_status"),
    [
        (Wish(to="123"), 0x0B),
        (Wish(to="5534998887755", text="a" * 161 * 10), 0x01),
        (Wish(to="5534998887755", text=" "), 0x01),
        (Wish(to="5534998887755", schedule="000000000000000R", validity="000000000000000R"), 0x62),
    ],
)
def test_what_makes_no_sense_is_refused(
    node: Node, library: str, wish: Wish, command_status: int
) -> None:
    place = node.customer()
    if library != "aiosmpplib" and len(wish.text) > 254:
        wish = Wish(to=wish.to, tlvs={0x0424: wish.content})

    async def work() -> None:
        async with bound(library, place) as client:
            refused = Answer(command_status)
            assert await client.submit([wish]) == [refused]
            await sent(client, Wish(to=node.phone()))  # and the next is taken

    asyncio.run(work())


@pytest.mark.parametrize("library", ["smpplib", "smpp34"])
def test_an_empty_text_is_refused(node: Node, library: str) -> None:
    """aiosmpplib sends none."""
    place = node.customer()

    async def work() -> Sequence[Answer]:
        async with bound(library, place) as client:
            answers: Sequence[Answer] = await client.submit([Wish(to=node.phone(), text="")])
            return answers

    assert asyncio.run(work()) == [Answer(0x01)]


@every_library
def test_more_than_is_allowed_a_second_is_throttled(node: Node, library: str) -> None:
    place = node.customer("--per-second", "2")

    async def work() -> Sequence[Answer]:
        async with bound(library, place) as client:
            answers: Sequence[Answer] = await client.submit([Wish(to=node.phone())] * 10)
            return answers

    statuses = [answer.command_status for answer in asyncio.run(work())]
    assert set(statuses) == {0, 0x58}
    assert statuses.count(0) < 10


@every_library
def test_who_has_no_balance_is_refused(node: Node, library: str) -> None:
    place = node.customer("--prepaid", "--price", "0.10")

    async def work(client: Client) -> None:
        assert await client.submit([Wish(to=node.phone())]) == [Answer(0x45)]

    async def bind() -> None:
        async with bound(library, place) as client:
            await work(client)

    asyncio.run(bind())
