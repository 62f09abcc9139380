"""Zoug's /message/batch: one request, one callback, reports one by one."""

from typing import Any

import pytest

from recado.http import Outgoing, Reached, Unreached
from recado.segments import segment_count
from tests.support.world import World

GOOD, OTHER, BAD = "5534998887755", "5511987654321", "553488556644"
BATCH = "/message/batch"


def element(to: str = GOOD, text: str = "oi", **fields: Any) -> dict[str, Any]:
    return {"destination_addr": to, "message": text, **fields}


def send(world: World, *elements: dict[str, Any], **fields: Any) -> str:
    """Sends a batch; its id."""
    status, answer = world.call("POST", BATCH, {"list": list(elements), **fields})
    assert (status, answer["batchCount"]) == (200, str(len(elements)))
    return str(answer["batchId"])


def callback_of(world: World, batch_id: str) -> dict[str, Any]:
    """The one batch callback that the customer took."""
    (told,) = (told for told in world.told if told.get("batchId") == batch_id)
    return told


def kinds(world: World) -> list[str]:
    """What the customer took, in order: "batch", or the type of a report."""
    return ["batch" if "batchId" in told else str(told["type"]) for told in world.told]


def test_good_and_bad_elements_stand_in_the_callback_as_they_were_written(world: World) -> None:
    written = [f"+{GOOD}", BAD, GOOD[2:], "", "554130600300", "Ana", GOOD]
    batch_id = send(world, *[element(number) for number in written])
    world.drain()
    lines = callback_of(world, batch_id)["list"]
    assert [line["destination_addr"] for line in lines] == written
    assert [line["error"] for line in lines] == [False, True, False, True, True, True, False]
    assert [line.get("message") for line in lines] == [
        None,
        "Error: Destination_addr is invalid!",
        None,
        "Error: Destination_addr is empty!",
        "Error: Destination_addr is a fixed line!",
        "Error: Destination_addr is invalid!",
        None,
    ]
    assert {line.get("esme") for line in lines} == {None, "ESME_RINVDSTADR"}
    assert len({line["message_id"] for line in lines}) == len(written)
    assert [taken["to"] for taken in world.taken] == [GOOD] * 3


def test_a_text_that_cannot_be_sent_is_an_element_refused(world: World) -> None:
    batch_id = send(world, element(text=" "), element(text="a" * 1531), element())
    world.drain()
    first, second, third = callback_of(world, batch_id)["list"]
    assert (first["message"], first["esme"]) == ("Error: Message is empty!", "ESME_RINVMSGLEN")
    too_long = "Error: Message is too long: 11 segments, at most 10 are allowed!"
    assert (second["message"], second["esme"]) == (too_long, "ESME_RINVMSGLEN")
    assert third["error"] is False


def test_a_batch_of_refused_elements_alone_has_its_callback_and_no_reports(world: World) -> None:
    send(world, element(BAD), element(BAD))
    world.run(61)
    assert (kinds(world), world.taken) == (["batch"], [])


def test_references_are_echoed_in_the_callback_and_in_the_reports(world: World) -> None:
    batch_id = send(world, element(reference_id="a"), element(BAD, reference_id=2), element(OTHER))
    world.drain()
    lines, reports = callback_of(world, batch_id)["list"], world.told[1:]
    assert [line.get("reference_id") for line in lines] == ["a", "2", None]
    assert list(lines[0]) == ["destination_addr", "message_id", "error", "reference_id"]
    assert {(told["message_id"], told.get("reference_id")) for told in reports} == {
        (lines[0]["message_id"], "a"),
        (lines[2]["message_id"], None),
    }


def test_400_texts_of_ten_segments_in_four_byte_characters_come_through(world: World) -> None:
    text = "😀" * 330
    assert segment_count(text, replace_accents=True) == 10
    numbers = [f"55119876{n:05}" for n in range(400)]
    batch_id = send(world, *[element(number, text) for number in numbers])
    world.drain()
    assert [line["destination_addr"] for line in callback_of(world, batch_id)["list"]] == numbers
    assert sorted(taken["to"] for taken in world.taken) == numbers
    assert {taken["text"] for taken in world.taken} == {text}
    assert sorted(kinds(world)) == ["1"] * 400 + ["2"] * 400 + ["batch"]


@pytest.mark.parametrize("answer", [Reached(500, b""), Unreached("refused", sent=False)])
def test_reports_wait_for_the_batch_callback_to_be_taken(
    world: World, answer: Reached | Unreached
) -> None:
    batch_id = send(world, element(), element(OTHER))
    world.customer = lambda _: answer
    world.run(30)
    assert {request.headers["webhook-id"] for request in customers(world)} == {f"{batch_id}.batch"}
    world.customer = lambda _: Reached(204, b"")
    world.run(30)
    assert (kinds(world)[0], sorted(kinds(world)[1:])) == ("batch", ["1", "1", "2", "2"])


def test_after_a_minute_reports_wait_no_longer_and_hold_nothing_else_up(world: World) -> None:
    batch_id = send(world, element())
    world.customer = lambda request: Reached(500 if is_batch(request) else 200, b"")
    singles = []
    for _ in range(5):
        world.run(11)
        singles += [world.send()]
    assert {told["message_id"] for told in world.told} == set(singles[:-1])
    world.run(20)
    mine = [told["type"] for told in world.told if told["message_id"] not in singles]
    assert mine == [1, 2]
    world.customer = lambda _: Reached(200, b"")
    world.run(900, step=30)
    assert callback_of(world, batch_id)["list"][0]["error"] is False


def customers(world: World) -> list[Outgoing]:
    return [request for request in world.requests if "customer" in request.url]


def is_batch(request: Outgoing) -> bool:
    return request.headers["webhook-id"].endswith(".batch")


def test_validity_holds_for_every_element(world: World) -> None:
    send(world, element(), element(OTHER), validity=60)
    world.now += 60
    world.drain()
    assert world.taken == []
    reports = [told for told in world.told if "type" in told]
    assert {told.get("stat") for told in reports if told["type"] == 1} == {"ESME_RSUBMITFAIL"}
    assert {told.get("report_stat") for told in reports if told["type"] == 2} == {"EXPIRED"}


def test_send_at_holds_for_the_whole_batch_its_callback_included(world: World) -> None:
    batch_id = send(world, element(), element(OTHER), send_at="2026-05-28T18:26:40")
    world.run(3_599, step=600)
    assert (world.taken, world.told) == ([], [])
    world.run(2)
    assert len(callback_of(world, batch_id)["list"]) == len(world.taken) == 2


def test_unknown_fields_are_ignored_in_the_batch_and_in_its_elements(world: World) -> None:
    send(world, element(priority=1, x=[{}]), name="maio", x=None)
    world.drain()
    assert len(world.taken) == 1
