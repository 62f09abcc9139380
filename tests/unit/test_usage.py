"""Usage: what was sent, by day, connector and state, counted from the records."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recado import account, usage
from recado.account_operations import usage as operated_usage
from recado.costcentre import CostCentre
from recado.engine import Usage
from recado.http import Reached
from recado.ids import first_id, new_id
from recado.message import Message, State
from recado.moments import iso
from recado.settings import Settings
from recado.usage import bounds, roll_up, usage_of
from tests.support.books import LOGIN, payer, post_batch, posted
from tests.support.world import START, World

HOUR = 3_600.0
DAY = 86_400.0
TODAY = "2026-05-28"
NEXT_MORNING = START + 9 * HOUR  # 02:26 in São Paulo
MOBILE = "55349988877{:02}".format


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world()
    payer(made, prepaid=False)
    return made


def busy_day(world: World) -> None:
    """Messages of several states and connectors on the first day."""
    for n in range(3):
        posted(world, to=MOBILE(n), text="x" * (1 + 160 * n))
    post_batch(world, [MOBILE(n) for n in range(3, 8)])
    world.drain()
    world.upstream_is("other")
    world.route_is(upstream="other")
    posted(world)
    world.drain(receipts=False)
    world.receipts.clear()
    world.upstream = lambda _: Reached(503, b"")
    posted(world, validity=30)
    world.run(60.0, step=10.0)
    world.upstream = world.take


def recounted(world: World, login: str = LOGIN) -> Counter[tuple[str, str]]:
    """What the records say themselves."""
    records = world.every_record(login)
    return Counter((m.connector, str(m.state)) for m in records if isinstance(m, Message))


def asked(world: World, query: str = "", login: str = LOGIN) -> list[dict[str, Any]]:
    status, answer = world.call("GET", f"/usage{query}", login=login)
    assert status == 200, answer
    rows: list[dict[str, Any]] = answer["usage"]
    return rows


def counts(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter({(row["connector"], row["state"]): row["messages"] for row in rows})


def kept(world: World, day: str = TODAY, login: str = LOGIN) -> Usage | None:
    found = world.bare.store.usages(world._which(login), day, day)
    return found[0] if found else None


# --- asked for -----------------------------------------------------------------------------------


def test_usage_is_a_count_of_the_records_by_connector_and_state(world: World) -> None:
    busy_day(world)
    rows = asked(world)
    assert counts(rows) == recounted(world)
    columns = ("day", "cost_centre", "connector", "state", "messages", "segments", "units")
    assert [tuple(row) for row in rows] == [columns] * 3
    assert {(row["day"], row["cost_centre"]) for row in rows} == {(TODAY, world._which(LOGIN))}
    assert [tuple(row.values())[2:] for row in rows] == [
        ("other", "ENROUTE", 1, 1, 1),
        ("other", "EXPIRED", 1, 1, 1),
        ("simulator", "DELIVERED", 8, 11, 11),
    ]


def test_usage_comes_as_csv_too(world: World) -> None:
    busy_day(world)
    status, headers, body = world.call_raw("GET", "/usage?format=CSV", login=LOGIN)
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    told = list(csv.DictReader(io.StringIO(body)))
    rows = asked(world)
    assert told == [{name: str(value) for name, value in row.items()} for row in rows]
    assert body.startswith("day,cost_centre,connector,state,messages,segments,units\r\n")


def test_another_customers_usage_is_not_seen(world: World) -> None:
    world.cost_centre("caio")
    busy_day(world)
    world.run(DAY, step=HOUR)
    assert asked(world, f"?since={TODAY}", login="caio") == []
    assert asked(world, f"?since={TODAY}") != []
    assert world.call("GET", "/usage", login="nobody")[0] == 401


def test_usage_is_asked_for_by_days_both_included(world: World) -> None:
    for _ in range(3):
        posted(world)
        world.run(DAY, step=HOUR)
    days = [row["day"] for row in asked(world, "?since=2026-05-01&until=2026-07-01")]
    assert days == ["2026-05-28", "2026-05-29", "2026-05-30"]
    some = asked(world, "?since=2026-05-29&until=2026-05-30")
    assert [row["day"] for row in some] == days[1:]
    assert [row["day"] for row in asked(world, "?until=2026-05-29")] == ["2026-05-29"]
    assert asked(world) == [], "today is asked for where nothing is said"


@pytest.mark.parametrize(
    "query",
    [
        *("?since=yesterday", "?until=28/05/2026", "?since=2026-05-29&until=2026-05-28"),
        *("?since=2026-01-01&until=2026-05-28", "?format=xml", "?since=2026-02-30"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(world: World, query: str) -> None:
    status, answer = world.call("GET", f"/usage{query}", login=LOGIN)
    assert (status, answer["esme"]) == (400, "ESME_RINVOPTPARAMVAL")


def test_usage_is_asked_for_92_days_at_most(world: World) -> None:
    posted(world)
    world.drain()
    assert len(asked(world, "?since=2026-02-26&until=2026-05-28")) == 1
    status, answer = world.call("GET", "/usage?since=2026-02-25&until=2026-05-28", login=LOGIN)
    assert (status, answer["message"]) == (400, "Since and until may span at most 92 days!")


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_that_there_are_were_quiet(world: World, day: str) -> None:
    assert asked(world, f"?since={day}&until={day}") == []


def test_a_day_that_takes_too_long_to_count_is_refused_until_it_has_been_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_day(world)
    monkeypatch.setattr(account, "_PATIENCE", 0.0)
    status, answer = world.call("GET", "/usage", login=LOGIN)
    assert (status, answer["esme"]) == (503, "ESME_RMSGQFUL")
    assert answer["message"].startswith(f"Usage of {TODAY} is too much to count while you wait")
    world.now = NEXT_MORNING
    roll_up(world.now, world.deps)
    roll_up(world.now, world.deps)
    assert counts(asked(world, f"?since={TODAY}&until={TODAY}")) == recounted(world)


# --- rolled up -----------------------------------------------------------------------------------


def test_the_clock_counts_a_day_when_it_is_over(world: World) -> None:
    busy_day(world)
    world.tick()
    assert kept(world) is None
    world.now = NEXT_MORNING
    world.tick()
    found = kept(world)
    assert found is not None
    assert (found.after, found.final) == ("", False)
    assert Counter({row[:2]: row[2] for row in found.rows}) == recounted(world)
    assert asked(world, f"?since={TODAY}&until={TODAY}") == list(
        operated_usage(world.deps, TODAY, TODAY, LOGIN)
    )


def test_counting_a_day_again_changes_nothing(world: World) -> None:
    busy_day(world)
    world.now = NEXT_MORNING
    world.tick()
    first = kept(world)
    for _ in range(3):
        world.deps.resting.clear()
        world.tick()
    assert kept(world) == first
    found = usage_of(cost_centre(world), date(2026, 5, 28), date(2026, 5, 28), world.deps)
    assert [one.rows for one in found] == [first.rows if first else ()]


def cost_centre(world: World) -> CostCentre:
    found = world.deps.directory.cost_centre(world._which(LOGIN))
    assert found is not None
    return found


def test_counting_goes_on_where_its_budget_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PAGE", 3)
    busy_day(world)
    world.now = NEXT_MORNING
    seen = []
    for _ in range(20):
        roll_up(world.now, world.deps)  # no time but for a page
        found = kept(world)
        assert found is not None
        seen.append(sum(row[2] for row in found.rows))
        if not found.after:
            break
        # What is half counted is counted for whoever asks.
        assert counts(asked(world, f"?since={TODAY}&until={TODAY}")) == recounted(world)
    assert len(seen) > 3
    assert seen == sorted(seen)
    found = kept(world)
    assert found is not None
    assert (found.after, {row[:2]: row[2] for row in found.rows}) == ("", recounted(world))


def test_a_day_is_counted_for_good_after_four_days(world: World) -> None:
    identifier = posted(world)
    world.drain(receipts=False)
    world.now = NEXT_MORNING
    world.tick()
    assert [row["state"] for row in asked(world, f"?since={TODAY}&until={TODAY}")] == ["ENROUTE"]
    world.drain()
    assert world.record(identifier, LOGIN).state == "DELIVERED"
    for days in range(1, 4):
        world.now = NEXT_MORNING + days * DAY - (0 if days < 3 else 2 * HOUR)
        world.tick()
    found = kept(world)
    assert found is not None
    assert (found.final, found.rows[0][1]) == (False, "ENROUTE")
    world.now = NEXT_MORNING + 3 * DAY
    world.tick()
    found = kept(world)
    assert found is not None
    assert (found.final, found.rows) == (True, (("simulator", "DELIVERED", 1, 1, 1),))


def test_a_day_is_not_final_while_something_of_it_waits_for_its_hour(world: World) -> None:
    single, several = posted(world, send_at=iso(world.now + HOUR)), _scheduled_batch(world)
    for n, identifier in enumerate((single, several)):
        moved = {"send_at": iso(world.now + (7 + n) * DAY)}
        path = f"/schedules/{identifier}"
        assert world.call("PATCH", path, moved, login=LOGIN)[0] == 200
    world.run(5.5 * DAY, step=HOUR)
    found = kept(world)
    assert found is not None
    assert not found.final
    assert counts(asked(world, f"?since={TODAY}&until={TODAY}")) == {("", "SCHEDULED"): 1}
    world.run(6 * DAY, step=HOUR)
    found = kept(world)
    assert found is not None
    assert (found.final, found.rows) == (True, (("simulator", "DELIVERED", 3, 3, 3),))


def _scheduled_batch(world: World) -> str:
    numbers = [MOBILE(1), MOBILE(2)]
    status, answer = post_batch(world, numbers, send_at=iso(world.now + HOUR))
    assert status == 200, answer
    return str(answer["batchId"])


def test_a_day_is_final_in_the_end_whatever_waits(world: World) -> None:
    identifier = posted(world)
    world.drain(receipts=False)
    record = world.record(identifier, LOGIN)
    world.now = START + 33 * DAY
    world.tick()
    found = kept(world)
    assert record.state is State.ENROUTE
    assert found is not None
    assert not found.final
    world.now = START + 34 * DAY
    world.deps.resting.clear()
    world.tick()
    found = kept(world)
    assert found is not None
    assert found.final


def test_a_day_that_waits_is_counted_ever_less_often(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(world)
    world.drain(receipts=False)
    ages: list[int] = []
    pages = usage.pages

    def watched(of: CostCentre, day: date, *given: Any) -> Any:
        if str(day) == TODAY:
            ages.append(int((world.now - START) // DAY))
        return pages(of, day, *given)

    monkeypatch.setattr(usage, "pages", watched)
    for _ in range(33 * 24):
        world.now += HOUR
        roll_up(world.now + 100.0, world.deps)
    assert ages[:3] == [0, 3, 4]
    assert 5 < len(ages) < 14


def test_what_was_half_counted_before_the_fourth_day_is_begun_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PAGE", 1)
    for _ in range(3):
        posted(world)
    world.drain(receipts=False)
    world.now = NEXT_MORNING
    roll_up(world.now, world.deps)
    world.drain()
    world.now = NEXT_MORNING + 10 * DAY  # the clock stood still
    world.tick()
    found = kept(world)
    assert found is not None
    assert (found.final, found.rows) == (True, (("simulator", "DELIVERED", 3, 3, 3),))


def test_days_on_which_the_clock_stood_still_are_made_up_for(world: World) -> None:
    posted(world)
    world.drain()
    world.now = START + 20 * DAY
    world.tick()
    found = kept(world)
    assert found is not None
    assert (found.final, len(found.rows)) == (True, 1)


def test_a_day_whose_records_are_gone_stays_as_it_was_counted(world: World) -> None:
    posted(world)
    world.drain()
    world.now = NEXT_MORNING
    world.tick()
    before = kept(world)
    assert before is not None
    assert len(before.rows) == 1
    short = replace(world.deps, settings=Settings(retention_days=3), resting={})
    world.now = NEXT_MORNING + 5 * DAY
    world.bare.store.expire(world.now + 90 * DAY, 1_000)
    roll_up(world.now + 100.0, short)
    assert kept(world) == before


def test_nothing_is_counted_twice_or_left_out_between_two_days(world: World) -> None:
    since, until = bounds(date(2026, 5, 28), cost_centre(world))
    edges = [since - 0.001, since, until, until + 0.001, until + 0.002]
    store, name = world.bare.store, world._which(LOGIN)
    for at in edges:
        store.create([_message(name, at)])
    world.now = START + 3 * DAY
    days = [date(2026, 5, 27) + timedelta(days=n) for n in range(3)]
    early = replace(cost_centre(world), created_at=0.0)
    found = {u.day: u.rows[0][2] for u in usage_of(early, days[0], days[-1], world.deps)}
    assert found == {"2026-05-27": 1, "2026-05-28": 2, "2026-05-29": 2}


def _message(name: str, at: float) -> Message:
    return Message(
        cost_centre=name,
        id=new_id(round(at * 1000) / 1000),
        dialect="zoug",
        state=State.DELIVERED,
        due_at=at,
        expires_at=at,
        accepted_at=at,
        connector="simulator",
        segments=1,
        units=1,
    )


@given(
    day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    name=st.sampled_from(["America/Sao_Paulo", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_the_next_day_begins_a_millisecond_after_the_last_one_ends(day: date, name: str) -> None:
    here = CostCentre(id="c", name="c", created_at=0.0, time_zone=name)
    until = bounds(day, here)[1]
    since = bounds(day + timedelta(days=1), here)[0]
    assert first_id(until + 0.001) == first_id(since)
    assert first_id(until) < first_id(since)
