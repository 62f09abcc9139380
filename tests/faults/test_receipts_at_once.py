"""A batch of receipts: they are applied side by side, and none stands in another's way."""

from collections.abc import Callable, Sequence
from typing import Any

from node.workers import sqs_event
from recado import operations, track
from recado.engine import Engine
from recado.http import Reached
from recado.message import Key, Record
from tests.support.world import _HANDLERS, CALLBACK_URL, World

NUMBER = "5534998887755"


def stats(world: World, identifier: str) -> list[str]:
    """The states that it went through."""
    return [event["state"] for event in world.message(identifier)["history"]]


def submitted(world: World) -> tuple[str, dict[str, Any]]:
    """A message that the upstream took, and the receipt that it has for it."""
    identifier = world.send()
    world.step()
    return identifier, world.receipts.pop()


def tell(world: World, *events: Any) -> list[Any]:
    """Callbacks in one batch of the Inbound queue, and what became of them."""
    for event in events:
        assert world.tell(event) == 204
    rows = world.queue.receive("Inbound", 100)
    assert len(rows) == len(events)
    answer = _HANDLERS["track"](sqs_event(rows), None)
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    world.queue.done([row for row in rows if row.id not in failed])
    return [row for row in rows if row.id in failed]


def test_several_for_one_message_are_applied_in_their_order(world: World) -> None:
    identifier, receipt = submitted(world)
    told = [{**receipt, "stat": stat} for stat in ("ENROUTE", "ACCEPTD", "DELIVRD", "UNDELIV")]
    assert tell(world, *told) == []
    assert stats(world, identifier)[-3:] == ["ENROUTE", "ACCEPTED", "DELIVERED"]
    world.drain()
    assert [report["type"] for report in world.reports(identifier)] == [1, 2]


def looks(world: World) -> int:
    [notify] = [depth for depth in world.queue.depths() if depth.queue == "Notify"]
    return notify.ready


def test_one_while_the_report_before_it_is_under_way_has_nobody_look_a_second_time_at_once(
    world: World,
) -> None:
    """Two that look at a record at once would both give what it owes: on AWS they are in two
    environments, which know nothing of each other."""
    identifier, receipt = submitted(world)
    assert looks(world) == 1
    tell(world, receipt)
    assert looks(world) == 1
    world.drain()
    assert [report["type"] for report in world.reports(identifier)] == [1, 2]


def test_one_that_is_faster_than_the_submits_answer_has_one_look_as_well(world: World) -> None:
    def told_first(submit: dict[str, Any]) -> Reached:
        answer = world.take(submit)
        tell(world, world.receipts.pop())
        return answer

    world.upstream = told_first
    identifier = world.send()
    world.step()
    assert looks(world) == 1
    world.drain()
    assert [report["type"] for report in world.reports(identifier)] == [1, 2]


def test_what_was_owed_before_its_customer_had_a_callback_url_comes_with_the_next_receipt(
    world: World,
) -> None:
    which = world.cost_centre("rui", callback_url="")
    status, answer = world.call(
        "POST", "/message", {"destination_addr": NUMBER, "message": "oi"}, login="rui"
    )
    assert status == 200
    world.drain(receipts=False)
    operations.costcentre_update(world.deps, which, callback_url=CALLBACK_URL)
    world.run(120.0, receipts=False, step=60.0)
    world.drain()
    assert [report["type"] for report in world.reports(answer["message_id"])] == [1, 2]


def test_one_that_nobody_can_read_comes_again_alone(world: World) -> None:
    first, receipt = submitted(world)
    second, another = submitted(world)
    failed = tell(world, receipt, {"event": "nonsense"}, another)
    assert ["nonsense" in row.body for row in failed] == [True]
    assert stats(world, first)[-1] == stats(world, second)[-1] == "DELIVERED"


def test_one_that_is_ahead_of_its_message_waits_alone(make_world: Callable[..., World]) -> None:
    world = make_world(echo=False)
    world.cost_centre()
    identifier, receipt = submitted(world)
    assert tell(world, world.receipt("up-unknown", None), receipt) == []
    assert stats(world, identifier)[-1] == "DELIVERED"
    [inbound] = [depth for depth in world.queue.depths() if depth.queue == "Inbound"]
    assert (inbound.ready, inbound.delayed) == (0, 1)


class _SlowReader:
    """A store on which, between our reading and our writing, somebody else is faster: once."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.meanwhile: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def records(self, keys: Sequence[Key]) -> list[Record | None]:
        found: list[Record | None] = self._store.records(keys)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return found


def test_a_receipt_is_applied_to_what_somebody_else_made_of_its_message_meanwhile(
    make_world: Callable[..., World],
) -> None:
    stores: list[_SlowReader] = []

    def wrap(engine: Engine) -> Engine:
        stores.append(_SlowReader(engine.store))
        return Engine(stores[-1], engine.queue, engine.blobs)

    world = make_world(wrap=wrap)
    world.cost_centre()
    first, receipt = submitted(world)
    second, another = submitted(world)
    accepted = {**receipt, "stat": "ACCEPTD"}
    world.drain()

    def somebody_else() -> None:
        assert world.tell(accepted) == 204
        [row] = world.queue.receive("Inbound", 1)
        track.track([track.hear(row.body, world.deps)], world.deps)
        world.queue.done([row])

    stores[-1].meanwhile = somebody_else
    assert tell(world, receipt, another) == []
    assert stats(world, first)[-3:] == ["ENROUTE", "ACCEPTED", "DELIVERED"]
    assert stats(world, second)[-2:] == ["ENROUTE", "DELIVERED"]
