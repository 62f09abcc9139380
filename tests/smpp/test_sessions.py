import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.smpp import pdu as wire
from recado.smpp import status
from recado.smpp.pdu import (
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    LAST_SEQUENCE,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    Malformed,
    Pdu,
    framed,
)
from smpp.frames import Frames
from smpp.requests import Requests
from smpp.session import Limits, Session
from tests.support.smpp_place import Counted
from tests.support.smpp_wire import Wire

Run = Callable[[Coroutine[Any, Any, None]], None]
_BODY = b"a body"


class End:
    """Our end of a connection: a session, what it was asked and how its requests ended."""

    def __init__(self, limits: Limits) -> None:
        self.asked: asyncio.Queue[Pdu] = asyncio.Queue()
        self.answers: asyncio.Queue[tuple[Pdu | None, str, bool]] = asyncio.Queue()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.answering = False  # each request at once
        self.raising: Exception | None = None
        self.session = Session(self._request, self._closed, limits)

    def _request(self, session: Session, pdu: Pdu) -> None:
        self.asked.put_nowait(pdu)
        if self.raising is not None:
            raise self.raising
        if self.answering:
            session.respond(pdu)

    def _closed(self, _: Session, why: str) -> None:
        self.closed.set_result(why)

    def ask(self, body: bytes = _BODY, timeout: float | None = None) -> None:
        self.session.request(DELIVER_SM, body, self._answered, timeout)

    def _answered(self, pdu: Pdu | None, why: str, sent: bool) -> None:
        self.answers.put_nowait((pdu, why, sent))

    async def why_closed(self) -> str:
        async with asyncio.timeout(10):
            return await self.closed

    async def answered(self) -> tuple[Pdu | None, str, bool]:
        async with asyncio.timeout(10):
            return await self.answers.get()


@asynccontextmanager
async def _connected(**limits: Any) -> AsyncIterator[tuple[End, Wire]]:
    """A session, and the other side of it."""
    end = End(Limits(**limits))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: end.session, "127.0.0.1", 0)
    other = await Wire.to(listener.sockets[0].getsockname()[1])
    try:
        other.send(framed(ENQUIRE_LINK, 77))
        assert await other.read() == Pdu(ENQUIRE_LINK | RESPONSE, 0, 77)
        yield end, other
    finally:
        if not end.closed.done():
            end.session.abort("the test is over")
        await end.why_closed()
        await other.close()
        listener.close()
        await listener.wait_closed()


def test_responses_find_their_requests_in_whatever_order_they_come(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            for number in range(3):
                end.ask(bytes((number,)))
            assert end.session.in_flight == 3
            asked = [await other.read() for _ in range(3)]
            assert [pdu.sequence for pdu in asked] == [1, 2, 3]
            for pdu in reversed(asked):
                other.answer(pdu, b"to " + pdu.body)
            bodies = [pdu.body for pdu, _, _ in [await end.answered() for _ in range(3)] if pdu]
            assert bodies == [b"to \2", b"to \1", b"to \0"]
            assert end.session.in_flight == 0

    run(body())


def test_a_generic_nack_is_the_answer_to_the_request_of_its_number(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.ask()
            asked = await other.read()
            other.send(framed(GENERIC_NACK, asked.sequence, b"", status.ESME_RINVCMDID))
            answer = await end.answered()
            assert answer == (Pdu(GENERIC_NACK, 3, asked.sequence), "", True)

    run(body())


def test_a_response_that_nobody_waits_for_is_counted_and_no_more(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            counted = Counted()
            end.ask()
            asked = await other.read()
            other.send(framed(DELIVER_SM | RESPONSE, 99))
            other.send(framed(SUBMIT_SM | RESPONSE, asked.sequence))  # not what was asked
            other.answer(asked)
            other.answer(asked)  # again
            assert (await end.answered())[0] == Pdu(DELIVER_SM | RESPONSE, 0, asked.sequence)
            assert (await other.call(ENQUIRE_LINK)).command == ENQUIRE_LINK | RESPONSE
            assert end.answers.empty()
            assert counted["smpp_responses_ignored"] == 3

    run(body())


def test_a_request_without_response_in_time_may_have_left_and_the_session_goes_on(
    run: Run,
) -> None:
    async def body() -> None:
        async with _connected(response=0.1) as (end, other):
            end.ask(b"patient", timeout=30.0)
            end.ask(b"late")
            assert await end.answered() == (None, "no response in time", True)
            patient, late = await other.read(), await other.read()
            other.answer(late)
            other.answer(patient)
            pdu, _, _ = await end.answered()
            assert pdu is not None
            assert pdu.sequence == patient.sequence

    run(body())


def test_who_asks_for_it_is_told_of_a_response_that_came_too_late(run: Run) -> None:
    async def body() -> None:
        async with _connected(response=0.05) as (end, other):
            counted, late = Counted(), asyncio.Queue[Pdu]()
            end.session.request(DELIVER_SM, _BODY, end._answered, late=late.put_nowait)
            assert await end.answered() == (None, "no response in time", True)
            asked = await other.read()
            assert end.session.in_flight == 0
            other.send(framed(SUBMIT_SM | RESPONSE, asked.sequence))  # not what was asked
            other.answer(asked, b"at last")
            other.answer(asked)  # again
            async with asyncio.timeout(10):
                told = await late.get()
            assert told == Pdu(DELIVER_SM | RESPONSE, 0, asked.sequence, b"at last")
            await other.call(ENQUIRE_LINK)
            assert late.empty()
            assert counted["smpp_responses_ignored"] == 2

    run(body())


def test_a_late_response_is_awaited_for_five_minutes_and_its_number_not_used_meanwhile() -> None:
    requests = Requests()
    late: list[Pdu] = []

    def ask(deadline: float) -> int:
        return requests.add(SUBMIT_SM, lambda *_: None, deadline, 0, late.append)

    assert [ask(10.0), ask(20.0)] == [1, 2]
    requests.time_out(10.0)
    requests.time_out(20.0)
    requests._sequence = 0  # after two thousand million more
    assert ask(1_000.0) == 3
    requests.time_out(310.0)  # five minutes after the first
    assert not requests.match(Pdu(SUBMIT_SM | RESPONSE, 0, 1))
    assert requests.match(Pdu(SUBMIT_SM | RESPONSE, 0, 2))
    assert [pdu.sequence for pdu in late] == [2]


def test_that_we_do_not_read_excuses_a_response_for_five_minutes_and_no_longer() -> None:
    requests, told = Requests(), []
    requests.add(SUBMIT_SM, lambda *answer: told.append(answer), 10.0, 0)
    requests.time_out(300.0, reading=False)
    requests.postpone(295.0)  # since the fifth second
    requests.time_out(304.0)
    assert told == []
    requests.time_out(305.0)
    assert told == [(None, "no response in time", True)]
    requests.add(SUBMIT_SM, lambda *answer: told.append(answer), 10.0, 0)
    requests.time_out(309.0, reading=False)
    assert len(told) == 1
    requests.time_out(310.0, reading=False)
    assert len(told) == 2


def test_once_no_request_is_without_response_whoever_asked_last_is_told(run: Run) -> None:
    async def body() -> None:
        async with _connected(response=0.3) as (end, other):
            told: list[str] = []
            end.session.when_answered(partial(told.append, "nothing was asked"))
            assert told == ["nothing was asked"]
            for _ in range(2):
                end.ask()
            end.session.when_answered(partial(told.append, "replaced"))
            all_answered = asyncio.Event()
            end.session.when_answered(all_answered.set)
            other.answer(await other.read())
            await end.answered()
            assert not all_answered.is_set()
            async with asyncio.timeout(10):
                await all_answered.wait()  # the second one has no response in time
            assert told == ["nothing was asked"]

    run(body())


def test_sequence_numbers_begin_again_after_the_last_and_pass_over_those_in_use() -> None:
    requests = Requests(last=LAST_SEQUENCE - 1)
    told: list[object] = []

    def remember() -> int:
        return requests.add(SUBMIT_SM, lambda *answer: told.append(answer), 1.0, 0)

    assert [remember(), remember()] == [LAST_SEQUENCE, 1]
    again = Requests()
    assert again.add(SUBMIT_SM, lambda *answer: told.append(answer), 1.0, 0) == 1
    again._sequence = LAST_SEQUENCE  # after two thousand million more
    assert again.add(SUBMIT_SM, lambda *answer: told.append(answer), 1.0, 0) == 2


def test_a_response_handler_that_fails_harms_no_other() -> None:
    requests, told = Requests(), []

    def fail(*_: object) -> None:
        raise RuntimeError("ours")

    requests.add(SUBMIT_SM, fail, 1.0, 0)
    requests.add(SUBMIT_SM, lambda *answer: told.append(answer), 1.0, 0)
    requests.give_up("over", 10)
    assert told == [(None, "over", True)]


def test_when_the_connection_is_lost_what_was_sent_may_have_left(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.ask()
            await other.read()
            await other.close()
            assert await end.answered() == (None, "the other side closed", True)
            assert await end.why_closed() == "the other side closed"
            end.ask()
            assert await end.answered() == (None, "the other side closed", False)

    run(body())


def test_a_request_that_was_never_written_has_not_left(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.ask(b"written")
            await other.read()
            end.ask(b"not written")
            end.session.abort("enough")
            ends = sorted([await end.answered(), await end.answered()], key=lambda one: one[2])
            assert ends == [(None, "enough", False), (None, "enough", True)]
            assert await other.until_closed() == b""

    run(body())


def test_what_the_other_side_does_not_read_has_not_left(run: Run) -> None:
    async def body() -> None:
        async with _connected(most_unsent=100_000_000) as (end, other):
            other.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own
            for _ in range(400):
                end.ask(bytes(60_000))
                await asyncio.sleep(0)
            end.session.abort("enough")
            sent = [(await end.answered())[2] for _ in range(400)]
            assert sent[0] is True
            assert sent[-1] is False
            assert sent == sorted(sent, reverse=True)

    run(body())


def test_who_does_not_read_is_cut_off(run: Run) -> None:
    async def body() -> None:
        async with _connected(most_unsent=500_000) as (end, other):
            other.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own
            asked = 0
            while not end.session.closed and asked < 1_000:
                end.ask(bytes(60_000))
                asked += 1
                await asyncio.sleep(0)
            assert await end.why_closed() == "the other side does not read"

    run(body())


def test_after_silence_it_asks_and_an_answer_keeps_the_session(run: Run) -> None:
    async def body() -> None:
        async with _connected(enquire=0.1, response=0.3) as (end, other):
            for _ in range(3):
                asked = await other.read()
                assert asked.command == ENQUIRE_LINK
                assert end.session.in_flight == 0
                other.answer(asked)
            assert not end.session.closed

    run(body())


def test_who_does_not_answer_an_enquire_link_is_gone(run: Run) -> None:
    async def body() -> None:
        async with _connected(enquire=0.1, response=0.2) as (end, other):
            end.ask(timeout=30.0)
            assert await end.why_closed() == "enquire_link was not answered"
            assert await end.answered() == (None, "enquire_link was not answered", True)
            assert (await other.read()).command == DELIVER_SM

    run(body())


def test_who_talks_is_there_even_if_it_never_answers_an_enquire_link(run: Run) -> None:
    async def body() -> None:
        async with _connected(enquire=0.1, response=0.2) as (end, other):
            end.answering = True
            seen = 0
            while seen < 3:
                asked = await other.read()
                assert asked.command == ENQUIRE_LINK
                assert (await other.call(SUBMIT_SM)).command == SUBMIT_SM | RESPONSE
                seen += 1
            assert not end.session.closed

    run(body())


def test_enquire_links_do_not_make_a_session_active(run: Run) -> None:
    async def body() -> None:
        async with _connected(enquire=0.05, inactivity=0.4) as (end, other):

            async def answer() -> None:
                while True:
                    other.answer(await other.read())

            answering = asyncio.create_task(answer())
            assert await end.why_closed() == "inactive"
            answering.cancel()

    run(body())


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_a_length_that_no_pdu_has_is_nacked_and_ends_the_session(run: Run, length: int) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            good = framed(SUBMIT_SM, 5, _BODY)
            bad = length.to_bytes(4) + framed(SUBMIT_SM, 6)[4:]
            other.send(good + bad + bytes(100_000))
            assert await other.read() == Pdu(SUBMIT_SM | RESPONSE, 0, 5)
            assert await other.read() == Pdu(GENERIC_NACK, status.ESME_RINVCMDLEN, 6)
            assert await other.until_closed() == b""
            await other.close()
            assert f"{length} octets" in await end.why_closed()

    run(body())


def test_the_longest_pdu_is_taken(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            other.send(framed(SUBMIT_SM, 5, bytes(70_000 - 16)))
            assert await other.read() == Pdu(SUBMIT_SM | RESPONSE, 0, 5)
            assert len((await end.asked.get()).body) == 70_000 - 16

    run(body())


def test_an_unknown_command_is_nacked_and_the_session_goes_on(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            other.send(framed(0x7777, 5, _BODY))
            assert await other.read() == Pdu(GENERIC_NACK, status.ESME_RINVCMDID, 5)
            other.send(framed(0x7777 | RESPONSE, 5, _BODY))  # a response: to nothing
            assert (await other.call(SUBMIT_SM)).command_status == 0
            assert end.asked.qsize() == 1

    run(body())


def test_what_can_not_be_read_is_answered_with_its_status(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.raising = Malformed(status.ESME_RINVSRCADR, "source_addr has no end")
            answer = await other.call(SUBMIT_SM)
            assert answer == Pdu(SUBMIT_SM | RESPONSE, status.ESME_RINVSRCADR, 1)
            assert await other.call(wire.ALERT_NOTIFICATION) == Pdu(
                GENERIC_NACK, status.ESME_RINVSRCADR, 2
            )
            end.raising = RuntimeError("ours")
            assert (await other.call(SUBMIT_SM)).command_status == status.ESME_RSYSERR
            assert end.session.unanswered == 0

    run(body())


def test_octets_one_by_one_are_a_pdu_in_the_end(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            for octet in framed(SUBMIT_SM, 5, _BODY) + framed(SUBMIT_SM, 6):
                other.send(bytes((octet,)))
                await other.writer.drain()
                await asyncio.sleep(0)
            assert [(await other.read()).sequence for _ in range(2)] == [5, 6]
            assert (await end.asked.get()).body == _BODY

    run(body())


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 50)))
def test_however_a_stream_is_cut_the_same_pdus_come_out(
    bodies: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(framed(SUBMIT_SM, n, body) for n, body in enumerate(bodies))
    frames, found, at = Frames(1_000), [], 0
    for cut in [*cuts, len(stream)]:
        found += frames.feed(stream[at : at + cut])
        at += cut
    assert [pdu.body for pdu in found] == bodies
    assert frames.broken is None


def test_thousands_of_pdus_in_one_write_are_answered_in_order(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            other.send(b"".join(framed(SUBMIT_SM, n, _BODY * 20) for n in range(10_000)))
            answers = [await other.read() for _ in range(10_000)]
            assert [pdu.sequence for pdu in answers] == list(range(10_000))
            assert end.session.unanswered == 0

    run(body())


def test_beyond_the_window_requests_wait_and_enquire_link_does_not(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.session.window = 3
            for _ in range(8):
                other.ask(SUBMIT_SM)
            other.send(framed(ENQUIRE_LINK, 100))
            assert (await other.read()).sequence == 100
            assert (end.asked.qsize(), end.session.unanswered) == (3, 8)
            in_hand = 3
            for number in range(1, 9):
                pdu = await end.asked.get()
                end.session.respond(pdu)
                assert (await other.read()).sequence == pdu.sequence == number
                in_hand = min(8, in_hand + 1)
                assert number + end.asked.qsize() == in_hand
            assert end.session.unanswered == 0

    run(body())


def test_a_flood_beyond_the_window_is_not_read_and_nothing_of_it_is_lost(run: Run) -> None:
    async def body() -> None:
        async with _connected(enquire=0.1, response=1.0) as (end, other):
            end.session.window = 10
            flood = b"".join(framed(SUBMIT_SM, n, bytes(4_000)) for n in range(5_000))
            other.send(flood)
            end.ask()  # whose answer is behind the flood, and is not late for that
            other.send(framed(DELIVER_SM | RESPONSE, 1))
            asked = await other.read()
            assert asked.command == DELIVER_SM
            await asyncio.sleep(1.5)
            assert end.session.unanswered < 500
            assert not end.session.closed
            end.answering = True
            for _ in range(10):
                end.session.respond(await end.asked.get())
            answers: list[int] = []
            while len(answers) < 5_000:
                pdu = await other.read()
                if pdu.command == SUBMIT_SM | RESPONSE:
                    answers.append(pdu.sequence)
                elif pdu.command == ENQUIRE_LINK:
                    other.answer(pdu)
            assert answers == list(range(5_000))
            assert (await end.answered())[0] is not None

    run(body())


def test_a_paused_session_hands_over_nothing_until_it_is_resumed(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.answering = True
            end.session.pause_reading()
            other.ask(SUBMIT_SM)
            await other.writer.drain()
            await asyncio.sleep(0.05)
            assert end.asked.empty()
            end.session.resume_reading()
            assert (await other.read()).command == SUBMIT_SM | RESPONSE

    run(body())


def test_closing_sends_what_is_unsent(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            end.ask()
            end.session.nack(9, status.ESME_RINVCMDID)
            end.session.close("done")
            assert end.session.closed
            assert await end.answered() == (None, "done", True)
            assert (await other.read()).command == DELIVER_SM
            assert (await other.read()).sequence == 9
            assert await other.until_closed() == b""
            assert await end.why_closed() == "done"

    run(body())


def test_drained_is_told_when_the_last_answer_has_been_given(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            drained: list[int] = []
            end.session.when_drained(lambda: drained.append(0))
            assert drained == [0]
            other.ask(SUBMIT_SM)
            other.ask(SUBMIT_SM)
            pdus = [await end.asked.get(), await end.asked.get()]
            end.session.when_drained(lambda: end.session.close("drained"))
            end.session.respond(pdus[1])
            await asyncio.sleep(0.01)
            assert not end.session.closed
            end.session.respond(pdus[0])
            assert [(await other.read()).sequence for _ in range(2)] == [2, 1]
            assert await end.why_closed() == "drained"

    run(body())


def test_an_unbind_is_not_in_hand(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, other):
            other.ask(UNBIND)
            pdu = await end.asked.get()
            assert end.session.unanswered == 0
            end.session.respond(pdu)
            assert (await other.read()).command == UNBIND | RESPONSE

    run(body())


def test_the_peer_is_the_address_without_its_port(run: Run) -> None:
    async def body() -> None:
        async with _connected() as (end, _):
            assert end.session.peer == "127.0.0.1"

    run(body())


def test_sessions_at_both_ends_understand_each_other(run: Run) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        server, client = End(Limits()), End(Limits())
        server.answering = True
        listener = await loop.create_server(lambda: server.session, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        await loop.create_connection(lambda: client.session, "127.0.0.1", port)
        for number in range(500):
            client.ask(b"%d" % number)
        answers = [(await client.answered())[0] for _ in range(500)]
        assert [pdu.sequence for pdu in answers if pdu] == list(range(1, 501))
        client.session.close("done")
        assert await client.why_closed() == "done"
        assert await server.why_closed() == "the other side closed"
        listener.close()
        await listener.wait_closed()

    run(body())
