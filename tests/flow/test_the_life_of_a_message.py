"""One message's way from the request to the customer's callback, in one process."""

import msgspec

from tests.support.world import World


def test_a_message_is_sent_once_and_both_reports_come_in_order(world: World) -> None:
    identifier = world.send(text="Olá", reference_id="pedido-7")
    world.drain()
    assert [taken["text"] for taken in world.taken] == ["Ola"]
    first, second = world.reports(identifier)
    assert first == {
        "stat": "ESME_ROK",
        "type": 1,
        "report_date": "2026-05-28 17:26:40",
        "message_id": identifier,
        "reference_id": "pedido-7",
        "webhook-id": f"{identifier}.1",
    }
    assert (second["report_stat"], second["err"], second["type"]) == ("DELIVRD", "000", 2)
    assert world.message(identifier)["state"] == "DELIVERED"


def test_segments_are_counted_by_the_sizes_of_the_upstream_it_goes_through(world: World) -> None:
    sizes = {"gsm7_sizes": "152,149", "ucs2_sizes": "66,63"}
    old = msgspec.json.decode(world.bare.store.config("upstream", "simulator") or b"")
    world.upstream_is(settings={**old["settings"], **sizes})
    texts = ["x" * 152, "x" * 153, "x" * 298, "x" * 299, "я" * 66, "я" * 67]
    sent = [world.send(text=text) for text in texts]
    world.drain()
    assert [taken["segments"] for taken in world.taken] == [1, 2, 2, 3, 1, 2]
    assert [world.message(identifier)["segments"] for identifier in sent] == [1, 2, 2, 3, 1, 2]
