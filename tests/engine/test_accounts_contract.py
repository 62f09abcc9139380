"""What every Store has to do about accounts, sentence by sentence of recado.engine.Store."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from recado.engine import ACCOUNTS_KEPT, Entry, Held, Usage, place_of
from recado.engine.embedded import open_engine
from tests.engine.conftest import DAY, RETENTION, START, Harness, id_at

_HOUR = 3_600.0


def _entry(n: int, kind: str, amount: int, cost_centre: str = "ana", at: float = START) -> Entry:
    return Entry(cost_centre, id_at(at + n, n), kind, amount, at)


def _charge(n: int, amount: int, cost_centre: str = "ana") -> Entry:
    return _entry(n, "charge", -amount, cost_centre)


def _paid(engine: Harness, amount: int, cost_centre: str = "ana") -> None:
    assert engine.store.credit([_entry(-1, "credit", amount, cost_centre)]) == [True]


def _held(n: int, due_at: float = START + _HOUR, cost_centre: str = "ana") -> Held:
    return Held(id_at(START + n, n), due_at, "Submit", cost_centre, f'{{"n":{n}}}')


def _ledger(engine: Harness, cost_centre: str = "ana") -> list[Entry]:
    return engine.store.ledger(cost_centre, "", 1000)


# --- counters ------------------------------------------------------------------------------------


def _add(
    engine: Harness, amounts: dict[str, int], limit: int | None = None, counter: str = "day"
) -> bool:
    return engine.store.add(counter, amounts, limit=limit, expires=START + DAY)


def test_what_is_added_to_a_counter_is_counted_field_by_field(engine: Harness) -> None:
    assert _add(engine, {"messages": 1, "segments": 3})
    assert _add(engine, {"segments": 2, "units": 7})
    assert engine.store.counts("day") == {"messages": 1, "segments": 5, "units": 7}
    engine.reopen()
    assert engine.store.counts("day") == {"messages": 1, "segments": 5, "units": 7}


def test_a_counter_nobody_added_to_has_no_fields(engine: Harness) -> None:
    _add(engine, {"segments": 1})
    assert engine.store.counts("another") == {}


def test_a_counter_takes_up_to_its_limit_and_no_more(engine: Harness) -> None:
    assert _add(engine, {"segments": 4}, limit=5)
    assert not _add(engine, {"segments": 2}, limit=5)
    assert engine.store.counts("day") == {"segments": 4}
    assert _add(engine, {"segments": 1}, limit=5)
    assert not _add(engine, {"segments": 1}, limit=5)
    assert engine.store.counts("day") == {"segments": 5}


def test_what_is_above_the_limit_by_itself_is_refused_where_nothing_stands(engine: Harness) -> None:
    assert not _add(engine, {"segments": 6}, limit=5)
    assert engine.store.counts("day") == {}
    assert _add(engine, {"segments": 5}, limit=5)


def test_of_fields_of_which_one_would_pass_the_limit_none_is_added_to(engine: Harness) -> None:
    _add(engine, {"a": 3, "b": 1})
    assert not _add(engine, {"b": 1, "a": 3}, limit=5)
    assert not _add(engine, {"new": 6, "b": 1}, limit=5)
    assert engine.store.counts("day") == {"a": 3, "b": 1}


def test_what_is_given_back_makes_room_and_is_never_refused(engine: Harness) -> None:
    _add(engine, {"segments": 9})
    assert _add(engine, {"segments": -2}, limit=5)
    assert engine.store.counts("day") == {"segments": 7}
    assert _add(engine, {"segments": 0}, limit=5)
    assert _add(engine, {"segments": -12}, limit=5)
    assert _add(engine, {"segments": 10}, limit=5)
    assert engine.store.counts("day") == {"segments": 5}


def test_counters_and_fields_of_any_name_are_kept_apart(engine: Harness) -> None:
    names = ["a", "a#b", "é", "count", "quota#ana#2026-05-28", "x" * 3000, "x" * 3001]
    fields = ["pk", "sk", "expires", "w", "taken", "", "a b", "n#a", "é'\"", "size"]
    for place, name in enumerate(names):
        assert _add(engine, dict.fromkeys(fields, place + 1), limit=10, counter=name)
    for place, name in enumerate(names):
        assert engine.store.counts(name) == dict.fromkeys(fields, place + 1)


def test_fifty_fields_are_added_to_at_once(engine: Harness) -> None:
    amounts = {f"simulator/DELIVERED/{n}": n for n in range(50)}
    assert _add(engine, amounts, limit=49)
    assert not _add(engine, amounts, limit=49)
    assert _add(engine, amounts)
    assert engine.store.counts("day") == {field: 2 * n for field, n in amounts.items()}


def test_adding_to_no_field_is_well(engine: Harness) -> None:
    assert _add(engine, {}, limit=1)
    assert engine.store.counts("day") == {}


# --- charge --------------------------------------------------------------------------------------


def test_a_charge_takes_from_the_balance_writes_its_entry_and_holds(engine: Harness) -> None:
    _paid(engine, 1000)
    entry, held = _charge(1, 300), _held(1)
    assert engine.store.charge(entry, held) == 700
    assert engine.store.balance("ana") == 700
    assert _ledger(engine)[1:] == [entry]
    assert engine.store.due(held.due_at, 10) == [held]
    assert engine.store.held_of("ana", None, 10) == [held]
    engine.reopen()
    assert engine.store.balance("ana") == 700
    assert _ledger(engine)[1:] == [entry]
    assert engine.store.held(held.due_at, held.id) == held


def test_a_charge_may_take_all_that_is_left_and_not_a_bit_more(engine: Harness) -> None:
    _paid(engine, 500)
    assert engine.store.charge(_charge(1, 300), _held(1)) == 200
    assert engine.store.charge(_charge(2, 201), _held(2)) is None
    assert engine.store.charge(_charge(3, 200), _held(3)) == 0
    assert engine.store.charge(_charge(4, 1), _held(4)) is None


def test_of_a_charge_that_the_balance_does_not_suffice_for_nothing_is_done(engine: Harness) -> None:
    _paid(engine, 100)
    before = _ledger(engine)
    assert engine.store.charge(_charge(1, 101), _held(1)) is None
    assert engine.store.balance("ana") == 100
    assert _ledger(engine) == before
    assert engine.store.due(START + DAY, 10) == []
    assert engine.store.held_of("ana", None, 10) == []


def test_who_never_paid_has_nothing_to_be_charged(engine: Harness) -> None:
    assert engine.store.charge(_charge(1, 1), _held(1)) is None
    assert engine.store.balance("ana") == 0
    assert engine.store.charge(_charge(2, 0), _held(2)) == 0
    assert _ledger(engine) == [_charge(2, 0)]


def test_a_charge_done_again_takes_nothing_and_holds_again(engine: Harness) -> None:
    _paid(engine, 1000)
    entry, held = _charge(1, 300), _held(1)
    engine.store.charge(entry, held)
    engine.store.release([held])
    _paid_more = _entry(9, "credit", 50)
    engine.store.credit([_paid_more])
    assert engine.store.charge(entry, held) == 750
    assert engine.store.balance("ana") == 750
    assert engine.store.due(held.due_at, 10) == [held]
    assert engine.store.held_of("ana", None, 10) == [held]
    assert _ledger(engine)[1:] == [entry, _paid_more]


def test_a_charge_done_again_is_known_again_although_the_balance_is_used_up(
    engine: Harness,
) -> None:
    _paid(engine, 300)
    entry, held = _charge(1, 300), _held(1)
    assert engine.store.charge(entry, held) == 0
    engine.store.release([held])
    assert engine.store.charge(entry, held) == 0
    assert engine.store.due(held.due_at, 10) == [held]


def test_a_charge_of_what_is_overdue_is_handed_over_with_the_rest(engine: Harness) -> None:
    _paid(engine, 1000)
    overdue = _held(1, START - DAY)
    engine.store.charge(_charge(1, 1), overdue)
    engine.store.charge(_charge(2, 1), _held(2, START + 60))
    assert engine.store.due(START, 10) == [overdue]
    assert engine.store.due(START + 60, 10) == [overdue, _held(2, START + 60)]


def test_a_charge_holds_what_is_large(engine: Harness) -> None:
    _paid(engine, 1)
    large = replace(_held(1), body="é" * 100_000)
    assert engine.store.charge(_charge(1, 1), large) == 0
    assert engine.store.held(large.due_at, large.id) == large


def test_a_cost_centre_pays_for_itself_alone(engine: Harness) -> None:
    names = ["ana", "rui", "ana#rui", "x" * 600]
    for place, name in enumerate(names):
        _paid(engine, 100 * (place + 1), name)
    for place, name in enumerate(names):
        assert engine.store.charge(_charge(1, 1, name), _held(1, cost_centre=name)) is not None
        assert engine.store.balance(name) == 100 * (place + 1) - 1
        assert [entry.cost_centre for entry in _ledger(engine, name)] == [name, name]


# --- credit --------------------------------------------------------------------------------------


def test_entries_are_credited_once_and_each_is_told_whether_it_was_new(engine: Harness) -> None:
    one, two, three = (_entry(n, "refund", 10**n) for n in range(3))
    assert engine.store.credit([one, three]) == [True, True]
    assert engine.store.credit([one, two, three]) == [False, True, False]
    assert engine.store.credit([one, two, three]) == [False, False, False]
    assert engine.store.balance("ana") == 111
    engine.reopen()
    assert engine.store.balance("ana") == 111
    assert _ledger(engine) == [one, two, three]


def test_of_one_entry_given_twice_at_once_the_first_is_credited(engine: Harness) -> None:
    one, other = _entry(1, "credit", 5), _entry(1, "credit", 7)
    assert engine.store.credit([one, other, one]) == [True, False, False]
    assert engine.store.balance("ana") == 5
    assert _ledger(engine) == [one]


def test_an_id_has_one_entry_of_each_kind(engine: Harness) -> None:
    _paid(engine, 100)
    engine.store.charge(_charge(1, 60), _held(1))
    assert engine.store.credit([_entry(1, "refund", 60), _entry(1, "charge", 60)]) == [True, False]
    assert engine.store.balance("ana") == 100
    assert [entry.kind for entry in _ledger(engine)] == ["credit", "charge", "refund"]


def test_entries_of_several_cost_centres_are_credited_each_to_its_own(engine: Harness) -> None:
    entries = [_entry(n, "refund", 1 + n % 3, f"cc-{n % 3}") for n in range(120)]
    stand = entries[30:40]
    engine.store.credit(stand)
    assert engine.store.credit(entries) == [entry not in stand for entry in entries]
    for n in range(3):
        assert engine.store.balance(f"cc-{n}") == 40 * (1 + n)
        assert _ledger(engine, f"cc-{n}") == entries[n::3]


def test_what_is_put_right_by_hand_may_leave_a_balance_below_zero(engine: Harness) -> None:
    _paid(engine, 10)
    assert engine.store.credit([_entry(1, "credit", -30)]) == [True]
    assert engine.store.balance("ana") == -20
    assert engine.store.charge(_charge(2, 0), _held(2)) is None
    assert engine.store.credit([_entry(3, "credit", 25)]) == [True]
    assert engine.store.charge(_charge(4, 5), _held(4)) == 0


def test_crediting_nothing_is_well(engine: Harness) -> None:
    assert engine.store.credit([]) == []
    assert engine.store.balance("ana") == 0


def test_large_amounts_are_exact(engine: Harness) -> None:
    amount = 10**15 + 1
    _paid(engine, amount)
    assert engine.store.credit([_entry(1, "credit", amount)]) == [True]
    assert engine.store.charge(_charge(2, 1), _held(2)) == 2 * amount - 1
    assert engine.store.balance("ana") == 2 * amount - 1


# --- ledger --------------------------------------------------------------------------------------


def test_a_ledger_is_read_by_id_and_kind_page_by_page(engine: Harness) -> None:
    entries = [_entry(n, kind, 1) for n in range(6) for kind in ("charge", "credit", "refund")]
    engine.store.credit(entries[::-1])
    engine.store.credit([_entry(1, "credit", 1, "rui"), _entry(9, "credit", 1, "an")])
    read: list[Entry] = []
    while page := engine.store.ledger("ana", place_of(read[-1]) if read else "", 4):
        assert len(page) == min(4, len(entries) - len(read))
        read += page
    assert read == entries


def test_a_ledger_is_read_from_an_id_on(engine: Harness) -> None:
    entries = [_entry(n, "credit", 1) for n in range(3)]
    engine.store.credit(entries)
    assert engine.store.ledger("ana", entries[1].id, 10) == entries[1:]
    assert engine.store.ledger("ana", place_of(entries[1]), 10) == entries[2:]
    assert engine.store.ledger("ana", place_of(entries[2]), 10) == []


def test_who_has_no_ledger_has_no_entries(engine: Harness) -> None:
    assert _ledger(engine) == []


def test_every_field_of_an_entry_survives(engine: Harness) -> None:
    note = "çãé 👍🏽 \x00\n '\"" + "x" * 1000
    entry = Entry("ana", id_at(START), "credit", 5, START + 0.123456, note)
    engine.store.credit([entry])
    engine.reopen()
    assert _ledger(engine) == [entry]


# --- usage ---------------------------------------------------------------------------------------


def _usage(day: int, *rows: tuple[str, str, int, int, int], cost_centre: str = "ana") -> Usage:
    return Usage(cost_centre, f"2026-05-{day:02}", rows or (("simulator", "DELIVERED", 1, 2, 3),))


def test_usage_is_read_by_day_both_ends_included(engine: Harness) -> None:
    usages = [_usage(day) for day in (3, 28, 9, 10, 11)]
    for usage in usages:
        engine.store.put_usage(usage)
    engine.store.put_usage(_usage(10, cost_centre="rui"))
    by_day = sorted(usages, key=lambda usage: usage.day)
    assert engine.store.usages("ana", "2026-05-01", "2026-05-31") == by_day
    assert engine.store.usages("ana", "2026-05-09", "2026-05-11") == by_day[1:4]
    assert engine.store.usages("ana", "2026-05-28", "2026-05-28") == by_day[4:]
    assert engine.store.usages("ana", "2026-05-12", "2026-05-27") == []
    assert engine.store.usages("ana", "2026-05-11", "2026-05-09") == []


def test_a_days_usage_takes_the_place_of_what_was_kept_of_it(engine: Harness) -> None:
    engine.store.put_usage(_usage(1))
    later = replace(_usage(1, ("a", "REJECTED", 5, 5, 5), ("ü", "", 0, 0, 10**12)), final=True)
    engine.store.put_usage(later)
    engine.reopen()
    assert engine.store.usages("ana", "2026-05-01", "2026-05-01") == [later]


def test_a_day_of_many_rows_and_a_year_of_days_survive(engine: Harness) -> None:
    rows = [(f"connector-{n}", "DELIVERED", n, n * 2, n * 3) for n in range(5000)]
    large = _usage(1, *rows)
    engine.store.put_usage(large)
    assert engine.store.usages("ana", "2026-05-01", "2026-05-01") == [large]
    days = [f"2025-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    for day in days[::9]:
        engine.store.put_usage(Usage("rui", day, ()))
    found = engine.store.usages("rui", "2025-01-01", "2025-12-31")
    assert [usage.day for usage in found] == days[::9]


# --- time to live --------------------------------------------------------------------------------


def _expire(engine: Harness, limit: int) -> Sequence[int]:
    steps = [engine.store.expire(engine.now, limit)]
    while steps[-1]:
        steps.append(engine.store.expire(engine.now, limit))
    return steps


def test_a_ledger_outlives_messages_and_a_balance_outlives_its_ledger(engine: Harness) -> None:
    assert engine.retention < ACCOUNTS_KEPT
    old = [_entry(-n, "refund", 1, at=START - ACCOUNTS_KEPT) for n in range(1, 26)]
    young = [_entry(n, "refund", 1, at=START - ACCOUNTS_KEPT) for n in range(10)]
    others = [_entry(-n, "refund", 1, "rui", at=START - ACCOUNTS_KEPT) for n in range(1, 6)]
    engine.store.credit([*young, *old, *others])
    engine.store.put_usage(Usage("ana", "2025-05-28", ()))
    steps = _expire(engine, 10)
    if not engine.expires_by_itself:
        assert steps == [10, 10, 10, 0]
        assert _ledger(engine) == young
        assert _ledger(engine, "rui") == []
    assert _ledger(engine)[-10:] == young
    assert (engine.store.balance("ana"), engine.store.balance("rui")) == (35, 5)
    assert engine.store.usages("ana", "2025-05-28", "2025-05-28") == [
        Usage("ana", "2025-05-28", ())
    ]


def test_a_counter_goes_as_a_whole_after_the_last_that_was_said_of_its_time(
    engine: Harness,
) -> None:
    for n in range(25):
        engine.store.add(f"gone-{n}", {"a": 1}, limit=None, expires=START - 1 - n)
    engine.store.add("kept", {"a": 1}, limit=None, expires=START - 1)
    engine.store.add("kept", {"b": 1}, limit=None, expires=START + 1)
    steps = _expire(engine, 10)
    assert engine.store.counts("kept") == {"a": 1, "b": 1}
    if not engine.expires_by_itself:
        assert steps == [10, 10, 5, 0]
        assert engine.store.counts("gone-7") == {}


# --- the embedded engine's own -------------------------------------------------------------------


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_charge_is_one_unit_of_work(tmp_path: Path, scheduled: bool) -> None:
    engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
    engine.store.credit([_entry(-1, "credit", 1000)])
    if scheduled:
        database.schedule = lambda _: None
    before = database.commits
    assert engine.store.charge(_charge(1, 1), _held(1)) == 999
    database.commit()
    assert database.commits == before + 1
    database.close()


def test_of_a_charge_whose_unit_is_lost_nothing_stays(tmp_path: Path) -> None:
    engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
    engine.store.credit([_entry(-1, "credit", 1000)])
    database.connection.execute("DROP TABLE held")
    with pytest.raises(Exception, match="no such table: held"):
        engine.store.charge(_charge(1, 1), _held(1))
    assert engine.store.balance("ana") == 1000
    assert len(engine.store.ledger("ana", "", 10)) == 1
    database.close()
