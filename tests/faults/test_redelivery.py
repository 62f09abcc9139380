"""The same thing twice, too early, in the wrong order or for nobody: queues and upstreams do it."""

import json
from typing import Any

import pytest

from recado import operations, track
from recado.connectors import Incoming, RawCallback, Receipt, Upstream, simulator
from recado.http import Reached, Unreached
from recado.message import State
from tests.support.world import World

HOUR = 3_600.0
DAY = 86_400.0
NUMBER = "5534998887755"

Echo = pytest.mark.parametrize("echo", [True, False], ids=["echo", "refs"])


@pytest.fixture
def either(make_world: Any, echo: bool) -> World:
    """A world whose upstream echoes our reference, or does not."""
    made: World = make_world(echo=echo)
    made.cost_centre()
    return made


def types(world: World, identifier: str) -> list[int]:
    return [told["type"] for told in world.reports(identifier) if "type" in told]


def replies(world: World) -> list[dict[str, Any]]:
    return [told for told in world.told if "short_message" in told]


def reply(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": "reply", "id": event, "from": NUMBER, "text": "sim", **fields}


def dead(world: World, queue: str = "Inbound") -> int:
    return next(depth.dead for depth in world.queue.depths() if depth.queue == queue)


def at_rest(world: World) -> bool:
    return all(depth.ready + depth.delayed == 0 for depth in world.queue.depths())


def send_batch(world: World, count: int) -> str:
    listed = [
        {"destination_addr": f"55349{90_000_000 + number}", "message": "oi"}
        for number in range(count)
    ]
    return str(world.call("POST", "/message/batch", {"list": listed})[1]["batchId"])


# --- the same packet twice -----------------------------------------------------------------------


@Echo
def test_two_workers_with_the_same_packet_submit_once(either: World) -> None:
    world = either
    nested = 0

    def submitted_meanwhile(submit: dict[str, Any]) -> Reached:
        nonlocal nested
        if nested < 3:
            nested += 1
            for body in bodies:
                world.queue.send("Submit", [body], "again")
            world.step()
        return world.take(submit)

    identifier = world.send()
    bodies = [body for (body,) in world.database.read("SELECT body FROM queue")]
    world.upstream = submitted_meanwhile
    world.run(60.0)
    assert nested == 1, "the one submit there was"
    assert len(world.submits(identifier)) == 1
    assert not world.record(identifier).maybe_sent
    assert types(world, identifier) == [1, 2]
    assert at_rest(world)


@Echo
def test_a_packet_that_comes_again_at_any_time_changes_nothing(either: World) -> None:
    world = either
    identifier = world.send()
    bodies = [body for (body,) in world.database.read("SELECT body FROM queue")]
    for _ in range(4):
        world.queue.send("Submit", bodies, "again")
        world.step()
        world.run(20.0, step=10.0)
    assert len(world.submits(identifier)) == 1
    assert types(world, identifier) == [1, 2]
    assert at_rest(world)


def test_a_message_twice_in_one_packet_of_work_is_submitted_once(world: World) -> None:
    identifier = world.send()
    bodies = [body for (body,) in world.database.read("SELECT body FROM queue")]
    world.queue.send("Submit", bodies * 3, world.queue.receive("Submit", 1)[0].group)
    world.run(60.0)
    assert len(world.submits(identifier)) == 1
    assert types(world, identifier) == [1, 2]


def test_a_submitter_whose_claim_ran_out_keeps_its_hands_off_what_another_one_did(
    world: World,
) -> None:
    """It slept through its claim; meanwhile another one sent the message, and heard a yes."""
    asleep = False

    def sleeps(submit: dict[str, Any]) -> Reached | Unreached:
        nonlocal asleep
        if asleep:
            return world.take(submit)
        asleep = True
        world.queue.send("Submit", bodies, "again")
        world.now += 60.0
        while world.step():
            pass
        return Reached(200, json.dumps({"esme": "ESME_RSYSERR"}).encode())

    identifier = world.send()
    bodies = [body for (body,) in world.database.read("SELECT body FROM queue")]
    world.upstream = sleeps
    world.drain(receipts=False)
    message = world.record(identifier)
    assert message.state is State.ENROUTE, "the refusal of the one who slept is not written"
    assert (message.submits, message.maybe_sent) == (2, True)
    world.run(60.0)
    assert types(world, identifier) == [1, 2]


def test_a_batch_that_is_expanded_twice_is_sent_and_announced_once(world: World) -> None:
    batch_id = send_batch(world, 120)
    bodies = [body for (body,) in world.database.read("SELECT body FROM queue")]
    world.queue.send("Expand", bodies, "again")
    world.drain()
    world.queue.send("Expand", bodies, "again")
    world.run(60.0)
    assert len(world.taken) == 120
    assert len([told for told in world.told if told.get("batchId") == batch_id]) == 1
    assert len(world.told) == 241
    assert at_rest(world)


# --- receipts ------------------------------------------------------------------------------------


@Echo
def test_the_same_receipt_twice_is_reported_once(either: World) -> None:
    world = either
    identifier = world.send()
    world.drain(receipts=False)
    receipt = world.receipts[0]
    assert world.tell(receipt) == 204
    assert world.tell(receipt) == 204
    world.run(60.0)
    assert world.tell(receipt) == 204
    world.run(60.0)
    assert types(world, identifier) == [1, 2]
    history = [event.state for event in world.record(identifier).history]
    assert history == ["QUEUED", "SUBMITTING", "ENROUTE", "DELIVERED"]
    assert at_rest(world)


@pytest.mark.parametrize("later", ["ENROUTE", "ACCEPTD", "UNDELIV", "EXPIRED", "UNKNOWN"])
@Echo
def test_after_a_final_receipt_no_other_one_changes_anything(either: World, later: str) -> None:
    world = either
    identifier = world.send()
    world.drain()
    taken = world.taken[0]
    assert world.tell(world.receipt(taken["id"], taken["reference"], later, "034")) == 204
    world.run(60.0)
    assert world.record(identifier).state is State.DELIVERED
    assert types(world, identifier) == [1, 2]
    assert world.reports(identifier)[1]["report_stat"] == "DELIVRD"
    assert at_rest(world)


@Echo
def test_receipts_that_are_not_final_move_the_state_and_are_not_reported(either: World) -> None:
    world = either
    identifier = world.send()
    world.drain(receipts=False)
    taken = world.taken[0]
    states = []
    for stat in ("ACCEPTD", "ENROUTE"):
        assert world.tell(world.receipt(taken["id"], taken["reference"], stat)) == 204
        world.drain(receipts=False)
        states.append(world.record(identifier).state)
    assert states == [State.ACCEPTED, State.ACCEPTED]
    assert types(world, identifier) == [1]
    world.run(10.0)
    assert types(world, identifier) == [1, 2]


@Echo
def test_a_receipt_before_the_answer_to_its_submit_is_kept(either: World) -> None:
    world = either

    def receipt_first(submit: dict[str, Any]) -> Reached:
        answer = world.take(submit)
        world.tell_receipts()
        while world.step():
            pass
        return answer

    world.upstream = receipt_first
    identifier = world.send()
    world.run(60.0)
    message = world.record(identifier)
    assert message.state is State.DELIVERED
    assert message.upstream_ids == (world.taken[0]["id"],)
    assert len(world.taken) == 1
    assert types(world, identifier) == [1, 2]
    assert at_rest(world)


def test_a_receipt_for_nobody_is_tried_for_a_day_and_is_then_one_dead_letter(
    world: World,
) -> None:
    which = operations.costcentre_show(world.deps, "ana")["id"]
    nobody = f"{which}.019e7044-8800-7bf1-9b6f-0e8b3ce1e0aa"
    assert world.tell(world.receipt("up-99", nobody)) == 204
    world.run(DAY - 60.0, step=60.0)
    assert dead(world) == 0
    world.run(HOUR, step=60.0)
    assert dead(world) == 1
    for _ in range(2):
        assert operations.queue_redrive(world.deps, "inbound")["redriven"] == 1
        world.run(60.0)
        assert dead(world) == 1, "redriven it is tried once more, and buried again"
    assert at_rest(world)
    assert world.told == []


def test_a_receipt_for_nobody_finds_its_message_hours_later(make_world: Any) -> None:
    world: World = make_world(echo=False)
    world.cost_centre()
    assert world.tell(world.receipt("up-1", None)) == 204
    world.run(5 * HOUR, step=60.0)
    identifier = world.send()
    world.drain(receipts=False)
    assert world.taken[0]["id"] == "up-1"
    assert types(world, identifier) == [1]
    world.run(6 * HOUR, step=60.0, receipts=False)
    assert types(world, identifier) == [1, 2]


@Echo
def test_a_receipt_from_another_upstream_than_the_messages_is_ignored(either: World) -> None:
    world = either
    world.upstream_is("other")
    identifier = world.send()
    world.drain(receipts=False)
    receipt = world.receipts[0]
    assert world.tell({**receipt, "stat": "UNDELIV"}, upstream="other") == 204
    world.run(60.0, receipts=False)
    assert world.record(identifier).state is State.ENROUTE
    world.run(60.0)
    assert world.record(identifier).state is State.DELIVERED
    assert [t.get("report_stat") for t in world.reports(identifier)] == [None, "DELIVRD"]


def test_a_receipt_cannot_name_a_reply_or_a_batch(world: World) -> None:
    batch_id = send_batch(world, 1)
    world.drain()
    record = world.record(batch_id)
    assert world.tell(world.receipt("up-1", f"{record.cost_centre}.{batch_id}")) == 204
    world.run(60.0)
    assert world.record(batch_id) == record


# --- callbacks that can't be read ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", {"event": "surprise"}, {"event": "receipt", "id": "up-1", "stat": "NEW"}],
    ids=["garbage", "empty", "unknown event", "unknown stat"],
)
def test_a_callback_that_cannot_be_read_is_a_dead_letter_and_holds_up_no_other(
    world: World, body: Any
) -> None:
    identifier = world.send()
    world.drain(receipts=False)
    assert world.tell(body) == 204
    world.run(HOUR, step=10.0)
    assert dead(world) == 1
    assert types(world, identifier) == [1, 2]
    assert at_rest(world)
    assert operations.queue_redrive(world.deps, "Inbound")["redriven"] == 1
    world.run(HOUR, step=10.0)
    assert dead(world) == 1


def test_once_the_parser_is_mended_a_redriven_callback_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = world.send()
    world.drain(receipts=False)
    assert world.tell({**world.receipts.pop(), "stat": "ARRIVED"}) == 204
    world.run(HOUR, step=10.0)
    assert (dead(world), types(world, identifier)) == (1, [1])
    monkeypatch.setitem(simulator.STATES, "ARRIVED", State.DELIVERED)
    operations.queue_redrive(world.deps, "Inbound")
    world.run(10.0)
    assert (dead(world), types(world, identifier)) == (0, [1, 2])


class Several:
    """The simulator, but for one thing: a callback of its holds a list of events."""

    def __getattr__(self, name: str) -> Any:
        return getattr(simulator, name)

    def parse_callback(self, raw: RawCallback, upstream: Upstream) -> list[Receipt | Incoming]:
        events = json.loads(raw.body)
        raws = [
            RawCallback(raw.upstream, "POST", "", {}, json.dumps(event), raw.received_at)
            for event in events
        ]
        return [told for one in raws for told in simulator.parse_callback(one, upstream)]


def test_a_callback_of_several_receipts_waits_for_none_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "CONNECTORS", {"simulator": Several()})
    first, second = world.send(), world.send()
    world.drain(receipts=False)
    which = world.record(first).cost_centre
    nobody = world.receipt("up-99", f"{which}.019e7044-8800-7bf1-9b6f-0e8b3ce1e0aa")
    assert world.tell([nobody, *world.receipts]) == 204
    world.run(10.0, receipts=False)
    assert [types(world, identifier) for identifier in (first, second)] == [[1, 2], [1, 2]]
    world.run(DAY + HOUR, step=60.0, receipts=False)
    assert dead(world) == 1


# --- replies -------------------------------------------------------------------------------------


@Echo
def test_a_reply_that_names_its_message_goes_to_that_one(either: World) -> None:
    world = either
    first = world.send(reference_id="pedido-1")
    world.drain()
    world.send(reference_id="pedido-2")
    world.drain()
    taken = world.taken[0]
    assert world.tell(reply("mo-1", in_reply_to=taken["id"], reference=taken["reference"])) == 204
    world.run(10.0)
    assert [(told["message_id"], told["reference_id"]) for told in replies(world)] == [
        (first, "pedido-1")
    ]


@Echo
def test_a_reply_that_names_none_answers_the_newest_message_to_its_number(either: World) -> None:
    world = either
    world.cost_centre("bia")
    world.send()
    world.run(1.0)
    newest = world.call(
        "POST", "/message", {"destination_addr": NUMBER, "message": "oi"}, login="bia"
    )[1]
    world.run(1.0)
    world.send(to="5534998887756")
    world.run(1.0)
    assert world.tell(reply("mo-1")) == 204
    world.run(10.0)
    assert [told["message_id"] for told in replies(world)] == [newest["message_id"]]
    assert (
        replies(world)[0]["cost_center_id"] == world.record(newest["message_id"], "bia").cost_centre
    )


def test_a_reply_for_nobody_is_tried_for_a_day_and_is_then_a_dead_letter(world: World) -> None:
    assert world.tell(reply("mo-1")) == 204
    world.run(DAY + HOUR, step=60.0)
    assert dead(world) == 1
    assert world.told == []
    world.send()
    world.run(1.0)
    operations.queue_redrive(world.deps, "Inbound")
    world.run(10.0)
    assert dead(world) == 0
    assert len(replies(world)) == 1


@Echo
def test_a_reply_that_the_upstream_tells_of_twice_is_given_once(either: World) -> None:
    world = either
    world.send()
    world.run(1.0)
    for _ in range(2):
        assert world.tell(reply("mo-1")) == 204
    world.run(100.0)
    assert world.tell(reply("mo-1")) == 204
    world.run(100.0)
    assert len(replies(world)) == 1
    assert world.tell(reply("mo-2", text="nao")) == 204
    world.run(10.0)
    assert [told["short_message"] for told in replies(world)] == ["sim", "nao"]


def test_a_reply_told_again_does_not_go_to_whoever_has_sent_to_that_number_meanwhile(
    world: World,
) -> None:
    world.cost_centre("bia")
    mine = world.send()
    world.run(1.0)
    assert world.tell(reply("mo-1")) == 204
    world.run(10.0)
    world.call("POST", "/message", {"destination_addr": NUMBER, "message": "oi"}, login="bia")
    world.run(10.0)
    assert world.tell(reply("mo-1")) == 204
    world.run(10.0)
    assert [told["message_id"] for told in replies(world)] == [mine]


def test_a_reply_is_persistent_like_any_report(world: World) -> None:
    world.send()
    world.drain()
    world.customer = lambda _: Unreached("connection refused", sent=False)
    assert world.tell(reply("mo-1")) == 204
    world.run(HOUR, step=10.0)
    assert replies(world) == []
    world.customer = lambda _: Reached(200, b"")
    world.run(HOUR, step=10.0)
    assert len(replies(world)) == 1
