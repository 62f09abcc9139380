"""What waits for its hour: listed, moved, taken back; one conditional write decides."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from recado import clock, schedules
from recado.accept import INLINE_BYTES, accept
from recado.account_operations import credit_add, credit_show
from recado.configuration import cost_centre_of
from recado.customers import costcentre_show
from recado.dialects import Ask, Wish, directcall
from recado.engine import Engine, Held
from recado.errors import NotFound, RecadoError
from recado.ids import new_id
from recado.message import Key, State
from recado.numbers import Numbering
from recado.schedule_operations import schedule_cancel, schedule_list, schedule_move
from recado.wiring import ALONE, Turns
from tests.support.meddling import Meddling
from tests.support.world import START, World

DAY = 86_400.0
HOUR = 3_600.0
SOON = "2026-05-28T21:26:40Z"  # an hour after START
LATER = "2026-05-28T23:26:40Z"


def schedule(world: World, at: str = LATER, text: str = "oi", **fields: Any) -> str:
    return world.send(text=text, send_at=at, **fields)


def batch(world: World, numbers: int = 2, text: str = "oi", at: str = LATER) -> str:
    listed = [{"destination_addr": f"55349988877{n:02}", "message": text} for n in range(numbers)]
    answer = world.call("POST", "/message/batch", {"list": listed, "send_at": at})[1]
    return str(answer["batchId"])


def move(world: World, identifier: str, to: str, **how: Any) -> tuple[int, dict[str, Any]]:
    return world.call("PATCH", f"/schedules/{identifier}", {"send_at": to}, **how)


def cancel(world: World, identifier: str, **how: Any) -> tuple[int, dict[str, Any]]:
    return world.call("DELETE", f"/schedules/{identifier}", **how)


def listed(world: World, query: str = "", **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.call("GET", f"/schedules{query}", **how)[1]["schedules"]
    return found


def run_to(world: World, seconds: float) -> None:
    """Lets time pass until so many seconds after the start."""
    world.run(START + seconds - world.now, step=60.0)


def owner(world: World) -> str:
    return str(costcentre_show(world.deps, "ana")["id"])


def held(world: World) -> int:
    return int(world.database.read("SELECT count(*) FROM held")[0][0])


# --- list ----------------------------------------------------------------------------------------


def test_a_single_message_is_listed_with_all_that_its_customer_said(world: World) -> None:
    identifier = schedule(world, text="Sua consulta é amanhã.")
    assert listed(world) == [
        {
            "id": identifier,
            "kind": "message",
            "due_at": "2026-05-28T23:26:40.000+00:00",
            "count": 1,
            "segments": 1,
            "destination_addr": "5534998887755",
            "text": "Sua consulta é amanha.",
        }
    ]


def test_a_batch_is_listed_with_its_size_and_the_segments_of_all(world: World) -> None:
    identifier = batch(world, 3, text="a" * 200)
    [found] = listed(world)
    assert (found["id"], found["kind"]) == (identifier, "batch")
    assert (found["count"], found["segments"]) == (3, 6)


def test_schedules_are_listed_by_due_date_page_by_page(world: World) -> None:
    dates = [f"2026-05-{day}T12:00:00Z" for day in (31, 29, 30)]
    ids = dict(zip(dates, [schedule(world, at) for at in dates], strict=True))
    seen: list[str] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        answer = world.call("GET", f"/schedules?limit=1&after={after}")[1]
        seen += [one["id"] for one in answer["schedules"]]
        after, pages = answer["after"], pages + 1
    assert seen == [ids[at] for at in sorted(dates)]
    assert pages == 4


def test_what_is_due_now_is_no_schedule_and_nor_is_what_has_gone(world: World) -> None:
    world.send()
    schedule(world, SOON)
    assert len(listed(world)) == 1
    run_to(world, 2 * HOUR)
    assert listed(world) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=x", "after=~"])
def test_a_page_that_can_not_be_is_refused(world: World, query: str) -> None:
    assert world.call("GET", f"/schedules?{query}")[0] == 400


def test_schedules_are_their_customers_alone(world: World) -> None:
    world.cost_centre("bia")
    identifier = schedule(world)
    assert listed(world, login="bia") == []
    assert move(world, identifier, SOON, login="bia")[0] == 404
    run_to(world, 1.5 * HOUR)
    assert world.taken == []
    assert [one["id"] for one in listed(world)] == [identifier]


# --- move ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [schedule, batch])
def test_moved_earlier_it_goes_at_its_new_hour_and_not_again_at_the_old(
    world: World, make: Callable[[World], str]
) -> None:
    identifier = make(world)
    status, answer = move(world, identifier, SOON)
    assert status == 200
    assert answer == {
        "id": identifier,
        "state": "SCHEDULED",
        "due_at": "2026-05-28T21:26:40.000+00:00",
    }
    run_to(world, HOUR - 60)
    assert world.taken == []
    run_to(world, HOUR + 60)
    taken = len(world.taken)
    assert taken == (1 if make is schedule else 2)
    run_to(world, 4 * HOUR)
    assert len(world.taken) == taken
    assert held(world) == 0


@pytest.mark.parametrize("make", [schedule, batch])
def test_moved_later_it_does_not_go_at_its_old_hour(
    world: World, make: Callable[[World], str]
) -> None:
    identifier = make(world)
    assert move(world, identifier, "2026-06-10T12:00:00Z")[0] == 200
    run_to(world, 12 * DAY)
    assert world.taken == []
    assert [one["due_at"] for one in listed(world)] == ["2026-06-10T12:00:00.000+00:00"]
    run_to(world, 13 * DAY)
    assert len(world.taken) == (1 if make is schedule else 2)


def test_a_moved_message_keeps_its_id_and_its_validity_begins_at_the_new_hour(
    world: World,
) -> None:
    identifier = schedule(world, validity=3600, reference_id="pedido-7")
    move(world, identifier, SOON)
    run_to(world, HOUR + 120)
    message = world.message(identifier)
    assert message["due_at"] == "2026-05-28T21:26:40.000+00:00"
    assert message["expires_at"] == "2026-05-28T22:26:40.000+00:00"
    assert message["reference_id"] == "pedido-7"
    assert [event["state"] for event in message["history"]] == [
        "SCHEDULED",
        "SCHEDULED",
        "SUBMITTING",
        "ENROUTE",
        "DELIVERED",
    ]
    assert [report["type"] for report in world.reports(identifier)] == [1, 2]


def test_until_it_goes_a_moved_message_says_when_it_will(world: World) -> None:
    identifier, many = schedule(world), batch(world)
    move(world, identifier, SOON)
    move(world, many, SOON)
    due = {"state": "SCHEDULED", "recorded": True, "due_at": "2026-05-28T21:26:40.000+00:00"}
    assert world.message(identifier) == {"message_id": identifier, **due}
    assert world.call("GET", f"/message/batch/{many}")[1] == {"batchId": many, **due}


def test_it_can_be_moved_again_and_again_and_back(world: World) -> None:
    identifier = schedule(world)
    for to in (SOON, LATER, "2026-05-30T12:00:00Z", LATER, LATER):
        assert move(world, identifier, to)[0] == 200
        assert len(listed(world)) == held(world) == 1
    run_to(world, 3 * HOUR - 60)
    assert world.taken == []
    run_to(world, 2 * DAY)
    assert len(world.taken) == 1


def test_a_batch_too_large_to_travel_in_line_is_moved_with_its_blob(world: World) -> None:
    text = "ç" * 600
    identifier = batch(world, 100, text=text)
    row = world.database.read("SELECT body FROM held")[0][0]
    assert len(row) < INLINE_BYTES < 100 * len(text.encode()) * 2
    assert move(world, identifier, SOON)[0] == 200
    assert listed(world)[0]["count"] == 100
    run_to(world, 1.5 * HOUR)
    assert len(world.taken) == 100


@pytest.mark.parametrize("to", [SOON, "2026-06-10T12:00:00Z"])
def test_a_list_is_one_schedule_and_is_moved_as_one(world: World, to: str) -> None:
    numbers = [f"5534{n:09}" for n in range(900_000_000, 900_000_300)]
    ask = Ask(
        wishes=(),
        batch=True,
        numbering=Numbering(),
        numbers=numbers,
        text="oi",
        send_at=START + 3 * HOUR,
    )
    cost_centre = cost_centre_of("ana", world.deps)
    accepted = accept(ask, cost_centre, directcall.NAME, world.deps)
    [found] = listed(world)
    assert (found["id"], found["kind"]) == (accepted.id, "list")
    assert (found["count"], found["segments"], found["text"]) == (300, 300, "oi")
    assert move(world, accepted.id, to)[0] == 200
    assert [one["id"] for one in listed(world)] == [accepted.id]
    run_to(world, 4 * HOUR)
    assert len(world.taken) == (300 if to == SOON else 0)
    run_to(world, 14 * DAY)
    assert sorted(taken["to"] for taken in world.taken) == numbers


def test_a_moved_batch_is_announced_when_it_goes(world: World) -> None:
    identifier = batch(world)
    move(world, identifier, SOON)
    run_to(world, HOUR - 60)
    assert world.told == []
    run_to(world, HOUR + 60)
    assert [told["batchId"] for told in world.told if "batchId" in told] == [identifier]


def test_a_move_to_now_leads_a_minute_ahead(world: World) -> None:
    identifier = schedule(world)
    assert move(world, identifier, "2026-05-28T20:26:40Z")[1]["due_at"] == (
        "2026-05-28T20:27:40.000+00:00"
    )
    world.run(59.0)
    assert world.taken == []
    world.run(2.0)
    assert len(world.taken) == 1


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("2026-05-28T20:00:00Z", "Send_at is in the past!"),
        ("2026-06-27T23:26:41Z", "Send_at must be at most 30 days after its first date!"),
        ("2026-09-28T20:00:00Z", "Send_at must be at most 90 days ahead!"),
        ("soon", "Send_at must be a date and time in ISO 8601!"),
        (None, "Send_at is missing!"),
    ],
)
def test_a_date_that_makes_no_sense_is_refused(world: World, to: str | None, problem: str) -> None:
    identifier = schedule(world)
    status, answer = world.call("PATCH", f"/schedules/{identifier}", {"send_at": to})
    assert (status, answer["message"]) == (400, problem)
    assert listed(world)[0]["due_at"] == "2026-05-28T23:26:40.000+00:00"


def test_a_date_without_a_zone_is_in_the_cost_centres(world: World) -> None:
    identifier = schedule(world)
    answer = move(world, identifier, "2026-05-28T18:26:40")[1]
    assert answer["due_at"] == "2026-05-28T21:26:40.000+00:00"


@pytest.mark.parametrize("make", [schedule, batch])
def test_what_has_gone_can_not_be_moved(world: World, make: Callable[..., str]) -> None:
    identifier = make(world, at=SOON)
    run_to(world, 2 * HOUR)
    status, answer = move(world, identifier, "2026-05-30T12:00:00Z")
    assert (status, answer["message"]) == (409, "Schedule has already gone!")
    assert held(world) == 0


@pytest.mark.parametrize("make", [schedule, batch])
def test_what_is_on_its_queue_can_not_be_moved(world: World, make: Callable[..., str]) -> None:
    identifier = make(world, at=SOON)
    world.now = START + HOUR
    world.tick()
    assert move(world, identifier, "2026-05-30T12:00:00Z")[0] == 409
    world.drain()
    assert len(world.taken) == (1 if make is schedule else 2)


def test_what_was_cancelled_can_not_be_moved(world: World) -> None:
    identifier = schedule(world)
    assert cancel(world, identifier)[0] == 200
    assert move(world, identifier, SOON)[0] == 409
    run_to(world, 4 * HOUR)
    assert world.taken == []


@pytest.mark.parametrize("at", [START - 4 * DAY, START + DAY])
def test_nobodys_id_is_unknown(world: World, at: float) -> None:
    for name in (new_id(at), "12345678901234", "x"):
        assert move(world, name, SOON)[0] == 404


def test_a_reply_goes_to_what_was_sent_and_not_to_what_waits(world: World) -> None:
    sent = world.send()
    moved = schedule(world)
    move(world, moved, "2026-05-30T12:00:00Z")
    world.drain()
    world.tell({"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "sim"})
    world.drain()
    answered = [told["message_id"] for told in world.told if "short_message" in told]
    assert answered == [sent]


def test_what_came_by_directcalls_api_goes_by_its_callerid_too(world: World) -> None:
    ask = Ask(
        wishes=(Wish("3432191234", "Alô"),),
        numbering=Numbering(fixed_lines=True),
        voice=True,
        send_at=START + DAY,
    )
    cost_centre = cost_centre_of("ana", world.deps)
    accepted = accept(ask, cost_centre, directcall.NAME, world.deps)
    world.bare.store.put_refs([directcall.reference(cost_centre.id, accepted.id)])
    [found] = listed(world)
    assert (found["id"], found["voice"]) == (accepted.id, True)
    callerid = found["callerid"]
    assert len(callerid) == 14
    assert move(world, callerid, SOON)[1]["id"] == accepted.id
    world.cost_centre("bia")
    assert move(world, callerid, SOON, login="bia")[0] == 404
    assert cancel(world, callerid)[1] == {"id": accepted.id, "state": "DELETED"}


# --- cancel --------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("make", [schedule, batch])
def test_a_cancelled_schedule_never_goes_and_owes_no_report(
    world: World, make: Callable[[World], str], moved: bool
) -> None:
    identifier = make(world)
    if moved:
        move(world, identifier, "2026-05-30T12:00:00Z")
    assert cancel(world, identifier) == (200, {"id": identifier, "state": "DELETED"})
    assert listed(world) == []
    run_to(world, 3 * DAY)
    assert (world.taken, world.told, held(world)) == ([], [], 0)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("make", [schedule, batch])
def test_a_schedule_is_cancelled_between_its_hour_and_its_sending(
    world: World, make: Callable[..., str], moved: bool
) -> None:
    identifier = make(world, at=LATER if moved else SOON)
    if moved:
        move(world, identifier, SOON)
    world.now = START + HOUR + 1
    world.tick()
    assert held(world) == 0
    assert cancel(world, identifier)[0] == 200
    world.drain()
    assert (world.taken, world.told) == ([], [])


def test_what_has_gone_can_not_be_cancelled(world: World) -> None:
    identifier = schedule(world, SOON)
    run_to(world, 2 * HOUR)
    assert cancel(world, identifier)[0] == 409


def test_a_cancelling_can_be_repeated(world: World) -> None:
    identifier = schedule(world)
    assert cancel(world, identifier) == cancel(world, identifier)


# --- money ---------------------------------------------------------------------------------------


def prepaid(make_world: Callable[..., World]) -> World:
    world = make_world()
    world.cost_centre(prepaid=True, price=1000)
    credit_add(world.deps, "ana", "1.00")
    return world


def balance(world: World) -> str:
    return str(credit_show(world.deps, "ana")["balance"])


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("make", [schedule, batch])
def test_a_cancelled_schedule_is_given_back_once(
    make_world: Callable[..., World], make: Callable[[World], str], moved: bool
) -> None:
    world = prepaid(make_world)
    identifier = make(world)
    if moved:
        move(world, identifier, SOON)
    assert balance(world) == ("0.90" if make is schedule else "0.80")
    cancel(world, identifier)
    world.drain()
    assert balance(world) == "1.00"
    cancel(world, identifier)
    run_to(world, 4 * HOUR)
    assert balance(world) == "1.00"


def test_a_moved_message_is_paid_once(make_world: Callable[..., World]) -> None:
    world = prepaid(make_world)
    identifier = schedule(world)
    move(world, identifier, SOON)
    run_to(world, 4 * HOUR)
    assert len(world.taken) == 1
    assert balance(world) == "0.90"


def test_what_was_paid_and_is_due_now_is_no_schedule(make_world: Callable[..., World]) -> None:
    kept: list[Held] = []

    def wrap(engine: Engine) -> Engine:
        return Meddling(release=kept.extend).wrap(engine)

    world = make_world(wrap=wrap)
    world.cost_centre(prepaid=True, price=1000)
    credit_add(world.deps, "ana", "1.00")
    identifier = world.send()
    for one in kept:
        world.bare.store.hold(one)  # as if its process had died before it released that
    assert held(world) == 1
    assert listed(world) == []
    assert move(world, identifier, SOON)[0] == 409


# --- at the same time ----------------------------------------------------------------------------


def meddled(make_world: Callable[..., World], **meddling: Callable[..., None]) -> World:
    """A world in which, after the first of these calls, something else happens first."""
    world = make_world(wrap=Meddling(**meddling).wrap)
    world.cost_centre()
    return world


@pytest.mark.parametrize("other", [SOON, "2026-05-29T12:00:00Z"])
@pytest.mark.parametrize("step", ["hold", "create", "release"])
@pytest.mark.parametrize("moved", [False, True])
def test_of_two_moves_at_once_one_wins_and_it_goes_once(
    make_world: Callable[..., World], step: str, other: str, moved: bool
) -> None:
    """Another process moves it while this one is between two steps of its own."""

    def meddle(*_: object) -> None:
        if identifier:
            move(world, identifier.pop(), other)

    identifier: list[str] = []
    step = "replace" if moved and step == "create" else step
    world = meddled(make_world, **{step: meddle})
    name = schedule(world, "2026-05-30T12:00:00Z")
    if moved:
        move(world, name, "2026-05-31T12:00:00Z")
    identifier.append(name)
    assert move(world, name, SOON)[0] == 200
    assert identifier == []
    [found] = listed(world)
    due = found["due_at"]
    assert due in ("2026-05-28T21:26:40.000+00:00", "2026-05-29T12:00:00.000+00:00")
    run_to(world, 4 * DAY)
    assert len(world.taken) == 1
    assert world.message(name)["due_at"] == due
    assert held(world) == 0


def test_a_move_back_while_a_slow_move_ends_loses_nothing(
    make_world: Callable[..., World],
) -> None:
    identifier: list[str] = []

    def back(*_: object) -> None:
        if identifier:
            move(world, identifier.pop(), LATER)

    world = meddled(make_world, create=back)
    name = schedule(world, LATER)
    identifier.append(name)
    move(world, name, SOON)
    assert [one["due_at"] for one in listed(world)] == ["2026-05-28T23:26:40.000+00:00"]
    run_to(world, 4 * HOUR)
    assert len(world.taken) == 1


@pytest.mark.parametrize("step", ["hold", "create"])
def test_a_cancelling_amid_a_move_wins_or_takes_back_what_was_moved(
    make_world: Callable[..., World], step: str
) -> None:
    identifier: list[str] = []

    def meddle(*_: object) -> None:
        if identifier:
            assert cancel(world, identifier.pop())[0] == 200

    world = meddled(make_world, **{step: meddle})
    name = schedule(world, LATER)
    identifier.append(name)
    assert move(world, name, SOON)[0] == (409 if step == "hold" else 200)
    run_to(world, 4 * HOUR)
    assert (world.taken, held(world)) == ([], 0)
    assert world.message(name)["state"] == "DELETED"


def test_what_a_crash_left_of_a_move_is_neither_listed_nor_sent(world: World) -> None:
    identifier = schedule(world)
    key = Key(owner(world), identifier)
    [old] = world.bare.store.held_of(key.cost_centre, None, 10)
    move(world, identifier, SOON)
    world.bare.store.hold(old)  # never released
    assert held(world) == 2
    assert len(listed(world)) == 1
    run_to(world, 4 * HOUR)
    assert len(world.taken) == 1


# --- many ----------------------------------------------------------------------------------------


def test_thousands_that_are_due_at_once_let_others_have_their_turn(world: World) -> None:
    one = world.bare.store.held_of(owner(world), None, 1)
    assert one == []
    schedule(world, SOON)
    [like] = world.bare.store.held_of(owner(world), None, 1)
    for _ in range(2_000):
        identifier = new_id(like.due_at)
        body = like.body.replace(like.id, identifier)
        world.bare.store.hold(replace(like, id=identifier, body=body))
    world.now = START + HOUR
    left: list[int] = []
    turns = Turns(lambda: left.append(held(world)), ALONE.pace)
    clock.tick(replace(world.deps, turns=turns))
    assert held(world) == 0
    steps = [before - after for before, after in zip([2_001, *left], left, strict=False)]
    assert max(steps) <= 100
    assert len(left) >= 20


# --- operators -----------------------------------------------------------------------------------


def test_an_operator_sees_the_schedules_of_all_cost_centres(world: World) -> None:
    world.cost_centre("bia")
    world.cost_centre("eva")
    first, second = schedule(world), schedule(world, SOON)
    other = world.call(
        "POST",
        "/message",
        {"destination_addr": "5534998887755", "message": "oi", "send_at": LATER},
        login="eva",
    )[1]["message_id"]
    found, after = [], ""
    while True:
        page = schedule_list(world.deps, after=after)
        found += [(one["cost_centre"], one["id"]) for one in page["schedules"]]
        after = page["after"]
        if not after:
            break
    assert sorted(found) == sorted([("ana", first), ("ana", second), ("eva", other)])
    of_ana = schedule_list(world.deps, which="ana")["schedules"]
    assert [one["id"] for one in of_ana] == [second, first]


def test_an_operator_moves_and_cancels_by_the_id_alone(world: World) -> None:
    world.cost_centre("bia")
    identifier = schedule(world)
    moved = schedule_move(world.deps, identifier, START + HOUR)
    assert moved["due_at"] == "2026-05-28T21:26:40.000+00:00"
    assert schedule_cancel(world.deps, identifier)["state"] is State.DELETED
    with pytest.raises(RecadoError, match="has already gone"):
        schedule_move(world.deps, identifier, START + HOUR)
    with pytest.raises(NotFound):
        schedule_move(world.deps, new_id(START + DAY), START + HOUR)


def test_the_date_of_each_move_is_one_that_the_schedule_never_had(world: World) -> None:
    identifier = schedule(world)
    key = Key(owner(world), identifier)
    dates = {schedules.move(key, START + HOUR, world.deps) for _ in range(5)}
    assert len(dates) == 5
    assert all(0 < due - START - HOUR < 0.001 for due in dates)
    [body] = [row[0] for row in world.database.read("SELECT body FROM held")]
    assert msgspec.json.decode(body)["due_at"] in dates
