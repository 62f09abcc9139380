"""One message's way from the request to the customer's callback, in one process."""

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
