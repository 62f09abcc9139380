"""What every Store has to do, sentence by sentence of recado.engine.Store."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from msgspec.structs import replace

from recado.engine import Endpoint, Held, Remembered
from recado.message import Alert, Event, Key, Record, Report, State, key_of
from tests.engine.conftest import DAY, START, Harness, batch, id_at, message, reply

_KINDS: list[Callable[..., Record]] = [message, batch, reply]
_EMOJI = "çãé 👍🏽 \U0001f1e7\U0001f1f7 \x00\t\n '\"\\"


def _ids(records: Sequence[Record]) -> list[str]:
    return [record.id for record in records]


# --- create --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
def test_a_record_is_read_as_it_was_created(engine: Harness, kind: Callable[..., Record]) -> None:
    record = kind(START)
    assert engine.store.create([record]) == [None]
    assert engine.one(key_of(record)) == record
    engine.reopen()
    assert engine.one(key_of(record)) == record


def test_creating_over_a_record_returns_it_and_leaves_it_untouched(engine: Harness) -> None:
    engine.store.create([message(text="first")])
    stood = replace(engine.one(key_of(message())), state=State.SUBMITTING, claim="token")
    [written] = engine.store.replace([stood])
    assert engine.store.create([message(text="second")]) == [written]
    assert engine.one(key_of(message())) == written


def test_each_record_of_a_create_stands_for_itself(engine: Harness) -> None:
    one, two, three = (message(START, n) for n in range(3))
    engine.store.create([two])
    other = replace(two, text="other")
    assert engine.store.create([one, other, three]) == [None, two, None]
    assert engine.store.records([key_of(r) for r in (one, two, three)]) == [one, two, three]


def test_of_one_key_created_twice_at_once_the_first_stands(engine: Harness) -> None:
    first, second = message(text="first"), message(text="second")
    assert engine.store.create([first, second]) == [None, first]
    assert engine.one(key_of(first)) == first


def test_another_kind_of_record_may_not_take_a_taken_id(engine: Harness) -> None:
    taken = message()
    engine.store.create([taken])
    late = replace(batch(), id=taken.id)
    assert engine.store.create([late]) == [taken]
    assert engine.one(key_of(taken)) == taken


def test_creating_nothing_is_well(engine: Harness) -> None:
    assert engine.store.create([]) == []
    assert engine.store.replace([]) == []
    assert engine.store.records([]) == []


def test_every_field_and_every_character_survives(engine: Harness) -> None:
    full = message(
        text=_EMOJI,
        reference=_EMOJI,
        batch_id="b",
        connector="simulator",
        upstream_ids=("u1", "ü2"),
        claim="token",
        claimed_until=START + 0.123456,
        submits=2,
        maybe_sent=True,
        ours=True,
        segments=3,
        history=(Event(START + 0.001, State.QUEUED, _EMOJI),),
        reports=(Report("1", START, stat="ESME_ROK", given_at=START + 1.5),),
    )
    engine.store.create([full])
    engine.reopen()
    assert engine.one(key_of(full)) == full


@pytest.mark.parametrize("letter", ["x", "é", "👍"])
def test_a_large_record_survives(engine: Harness, letter: str) -> None:
    large = message(text=letter * (240_000 // len(letter.encode())))
    engine.store.create([large])
    assert engine.one(key_of(large)) == large


# --- replace -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
def test_replacing_writes_over_the_version_and_returns_the_next(
    engine: Harness, kind: Callable[..., Record]
) -> None:
    record = kind(START)
    engine.store.create([record])
    changed = replace(record, reports=(Report("1", START),))
    [written] = engine.store.replace([changed])
    assert written == replace(changed, version=record.version + 1)
    assert engine.one(key_of(record)) == written
    engine.reopen()
    assert engine.one(key_of(record)) == written


def test_replacing_a_stale_version_changes_nothing_and_returns_none(engine: Harness) -> None:
    engine.store.create([message()])
    [written] = engine.store.replace([message(text="new")])
    assert engine.store.replace([message(text="stale")]) == [None]
    assert engine.one(key_of(message())) == written


def test_replacing_a_version_that_was_never_there_changes_nothing(engine: Harness) -> None:
    engine.store.create([message()])
    assert engine.store.replace([message(text="ahead", version=1)]) == [None]
    assert engine.one(key_of(message())) == message()


def test_replacing_what_does_not_exist_creates_nothing(engine: Harness) -> None:
    assert engine.store.replace([message()]) == [None]
    assert engine.one(key_of(message())) is None


def test_each_record_of_a_replace_stands_for_itself(engine: Harness) -> None:
    one, two = message(START, 1), message(START, 2)
    engine.store.create([one, two])
    engine.store.replace([two])
    [first, second] = engine.store.replace([replace(one, text="new"), replace(two, text="stale")])
    assert (first and first.version, second) == (1, None)
    assert engine.one(key_of(two)).text == two.text


def test_of_two_writers_who_create_and_replace_in_turns_exactly_one_wins_each_time(
    engine: Harness,
) -> None:
    left, right = message(claim="left"), message(claim="right")
    assert [engine.store.create([w])[0] for w in (left, right)] == [None, left]
    for turn in range(10):
        seen = engine.one(key_of(left))
        writers = [replace(seen, claim=f"left {turn}"), replace(seen, claim=f"right {turn}")]
        first, second = writers if turn % 2 else reversed(writers)
        won = [engine.store.replace([first])[0], engine.store.replace([second])[0]]
        assert won == [replace(first, version=turn + 1), None]
        assert engine.one(key_of(left)) == won[0]


# --- records, records_between ---------------------------------------------------------------------


def test_records_come_in_the_order_of_the_keys_and_none_for_the_unknown(engine: Harness) -> None:
    one, two, three = message(START, 1), batch(START, 2), reply(START, 3)
    engine.store.create([one, two, three])
    keys = [key_of(three), Key("ana", id_at(START, "unknown")), key_of(one), key_of(two)]
    keys += [key_of(one), Key("nobody", one.id)]
    assert engine.store.records(keys) == [three, None, one, two, one, None]


def test_cost_centres_never_see_each_others_records_though_their_ids_are_equal(
    engine: Harness,
) -> None:
    hers, his = message(text="hers", cost_centre="ana"), message(text="his", cost_centre="rui")
    assert hers.id == his.id
    assert engine.store.create([hers]) == [None]
    assert engine.one(key_of(his)) is None
    assert engine.store.create([his]) == [None]
    engine.store.replace([replace(his, text="changed")])
    assert engine.one(key_of(hers)) == hers
    for cost_centre, text in (("ana", "hers"), ("rui", "changed"), ("an", None), ("anab", None)):
        found = engine.store.records_between(cost_centre, START - DAY, START + DAY, "", 10)
        assert [getattr(record, "text", "") for record in found] == ([text] if text else [])


# In binary, 1.001 times 1000 is less than 1001.
@pytest.mark.parametrize("first", [1_001, *(1_780_000_000_000 + ms for ms in (1, 123, 250, 501))])
def test_a_range_is_exact_to_the_millisecond_at_both_ends(engine: Harness, first: int) -> None:
    last = first + 7
    records = [message(ms / 1000, "edge") for ms in range(first - 3, last + 4)]
    engine.store.create(records)
    found = engine.store.records_between("ana", first / 1000, last / 1000, "", 100)
    assert _ids(found) == _ids(records[3:-3])


def test_a_range_of_one_instant_is_that_millisecond(engine: Harness) -> None:
    records = [message(START + n / 1000, n) for n in range(400)]
    engine.store.create(records)
    for n in range(0, 400, 7):
        at = START + n / 1000
        assert _ids(engine.store.records_between("ana", at, at, "", 10)) == [records[n].id]


def test_a_range_covers_all_three_kinds_in_the_order_of_their_ids(engine: Harness) -> None:
    records = [kind(START + n, n) for n, kind in enumerate(_KINDS * 3)]
    records += [kind(START + 1, "same millisecond") for kind in _KINDS]
    engine.store.create(list(reversed(records)))
    found = engine.store.records_between("ana", START, START + 9, "", 100)
    assert found == sorted(records, key=lambda record: record.id)


def test_a_range_is_read_page_by_page_and_each_record_once(engine: Harness) -> None:
    records = [message(START + n // 3, n) for n in range(20)]
    engine.store.create(records)
    engine.store.create([message(START - 1), message(START + 100)])
    pages, after = [], ""
    while page := engine.store.records_between("ana", START, START + 50, after, 6):
        pages.append(len(page))
        assert page == [r for r in sorted(records, key=lambda r: r.id) if r.id > after][:6]
        after = page[-1].id
    assert pages == [6, 6, 6, 2]


def test_an_after_before_the_range_leaves_the_range_as_it_is(engine: Harness) -> None:
    early, late = message(START), message(START + 10)
    engine.store.create([early, late])
    between = engine.store.records_between
    assert between("ana", START + 5, START + 20, id_at(START - 5), 10) == [late]
    assert between("ana", START + 5, START + 20, late.id, 10) == []


def test_a_range_from_the_beginning_of_time_has_everything(engine: Harness) -> None:
    engine.store.create([message()])
    assert engine.store.records_between("ana", 0.0, START + DAY, "", 10) == [message()]
    assert engine.store.records_between("ana", -DAY, START + DAY, "", 10) == [message()]


# --- newest_to, refs -----------------------------------------------------------------------------


def test_the_newest_messages_to_a_number_are_the_newest_by_id_of_any_cost_centre(
    engine: Harness,
) -> None:
    number = "5534998887755"
    newest = message(START + 2, cost_centre="rui")
    engine.store.create([newest])
    engine.store.create([message(START + 1), message(START)])
    engine.store.create([message(START + 3, to="5511999990000")])
    older = [key_of(message(START + 1)), key_of(message(START))]
    assert engine.store.newest_to(number, 1) == [key_of(newest)]
    assert engine.store.newest_to(number, 10) == [key_of(newest), *older]
    newer = message(START + 4, cost_centre="ana")
    engine.store.create([newer])
    assert engine.store.newest_to(number, 2) == [key_of(newer), key_of(newest)]
    engine.reopen()
    assert engine.store.newest_to(number, 3) == [key_of(newer), key_of(newest), older[0]]


def test_a_message_is_the_newest_still_after_it_has_changed(engine: Harness) -> None:
    engine.store.create([message()])
    engine.store.replace([message(state=State.DELIVERED)])
    assert engine.store.newest_to("5534998887755", 10) == [key_of(message())]


def test_tombstones_replies_and_batches_were_sent_to_nobody(engine: Harness) -> None:
    engine.store.create([message(START)])
    engine.store.create([message(START + 1, to="", state=State.DELETED)])
    engine.store.create([reply(START + 2), batch(START + 3)])
    assert engine.store.newest_to("5534998887755", 10) == [key_of(message(START))]
    assert engine.store.newest_to("", 10) == []


def test_a_number_that_nothing_was_sent_to_has_no_newest(engine: Harness) -> None:
    engine.store.create([message()])
    for number in ("5534998887756", "553499888775", "55349988877551"):
        assert engine.store.newest_to(number, 10) == []


def test_a_ref_leads_to_its_message(engine: Harness) -> None:
    one, two = Key("ana", id_at(START, 1)), Key("rui", id_at(START, 2))
    engine.store.put_refs([("simulator", "u-1", one), ("simulator", "ü 👍", two)])
    engine.reopen()
    assert engine.store.by_refs([("simulator", "u-1")])[0] == one
    assert engine.store.by_refs([("simulator", "ü 👍")])[0] == two


def test_a_ref_is_of_one_connector_and_exact(engine: Harness) -> None:
    one, two = Key("ana", id_at(START, 1)), Key("rui", id_at(START, 2))
    engine.store.put_refs([("a", "U-1", one), ("b", "U-1", two)])
    assert engine.store.by_refs([("a", "U-1")])[0] == one
    assert engine.store.by_refs([("b", "U-1")])[0] == two
    for connector, upstream_id in (("c", "U-1"), ("a", "u-1"), ("a", "U-"), ("a", "U-1 ")):
        assert engine.store.by_refs([(connector, upstream_id)])[0] is None


def test_putting_refs_is_repeatable(engine: Harness) -> None:
    refs = [("simulator", f"u-{n}", Key("ana", id_at(START, n))) for n in range(3)]
    engine.store.put_refs(refs)
    engine.store.put_refs(refs)
    engine.store.put_refs([])
    assert engine.store.by_refs([ref[:2] for ref in refs]) == [ref[2] for ref in refs]


def test_refs_are_found_in_the_order_in_which_they_are_asked_for(engine: Harness) -> None:
    refs = [("simulator", f"u-{n}", Key("ana", id_at(START, n))) for n in range(250)]
    engine.store.put_refs(refs)
    asked = [
        ref[:2] for ref in (*reversed(refs), ("simulator", "nobody's", None), refs[7], refs[7])
    ]
    wanted = [ref[2] for ref in reversed(refs)]
    assert engine.store.by_refs(asked) == [*wanted, None, refs[7][2], refs[7][2]]
    assert engine.store.by_refs([]) == []


# --- remember ------------------------------------------------------------------------------------


def _entry(at: float = START, **fields: str) -> Remembered:
    told = {"cost_centre": "ana", "key": "k", "body_hash": "hash", "answer_id": "id", **fields}
    return Remembered(**told, at=at)  # type: ignore[arg-type] # the four texts among its fields


def test_an_entry_is_kept_if_its_key_is_free_and_else_the_one_that_stood_there_is_told(
    engine: Harness,
) -> None:
    first, second = _entry(), _entry(START + 5, body_hash="other", answer_id="other")
    assert engine.store.remember(first) is None
    assert engine.store.remember(second) == first
    engine.reopen()
    assert engine.store.remember(second) == first


def test_keys_are_each_cost_centres_own_and_exact(engine: Harness) -> None:
    assert engine.store.remember(_entry(key="k👍")) is None
    assert engine.store.remember(_entry(key="k👍", cost_centre="rui")) is None
    assert engine.store.remember(_entry(key="K👍")) is None


def test_an_entry_whose_submission_is_durable_says_so_to_a_repeat(engine: Harness) -> None:
    engine.store.remember(_entry())
    engine.store.mark_queued(_entry())
    queued = replace(_entry(), queued=True)
    assert engine.store.remember(_entry(START + 1)) == queued
    engine.store.mark_queued(queued)
    engine.reopen()
    assert engine.store.remember(_entry(START + 1)) == queued


def test_an_entry_is_recalled_for_a_day_and_only_by_its_own_key(engine: Harness) -> None:
    assert engine.store.recall("ana", "k", START) is None
    engine.store.remember(_entry())
    assert engine.store.recall("ana", "k", START + DAY - 1) == _entry()
    assert engine.store.recall("ana", "k", START + DAY + 1) is None
    assert engine.store.recall("rui", "k", START) is None
    assert engine.store.recall("ana", "K", START) is None
    engine.store.mark_queued(_entry())
    assert engine.store.recall("ana", "k", START) == replace(_entry(), queued=True)


def test_marking_one_entry_marks_no_other(engine: Harness) -> None:
    engine.store.remember(_entry(key="a"))
    engine.store.remember(_entry(key="b"))
    engine.store.mark_queued(_entry(key="a"))
    assert engine.store.remember(_entry(key="b")) == _entry(key="b")


def test_an_entry_is_forgotten_after_a_day_and_not_before(engine: Harness) -> None:
    engine.store.remember(_entry())
    engine.store.mark_queued(_entry())
    engine.advance(DAY - 1)
    assert engine.store.remember(_entry(START + DAY - 1)) == replace(_entry(), queued=True)
    engine.advance(2)
    new = _entry(START + DAY + 1, answer_id="new")
    assert engine.store.remember(new) is None
    assert engine.store.remember(_entry(START + DAY + 2)) == new


# --- hold, take ----------------------------------------------------------------------------------


def _held(n: int, due_at: float) -> Held:
    return Held(id_at(START, n), due_at, "Submit", "ana", f'{{"n":{n},"text":"{_EMOJI}"}}')


def test_held_messages_are_due_at_their_hour_the_longest_due_first(engine: Harness) -> None:
    held = {n: _held(n, START + n) for n in (30, 10, 20)}
    for one in held.values():
        engine.store.hold(one)
    engine.reopen()
    assert engine.store.due(START + 9.999, 10) == []
    assert engine.store.due(START + 10, 10) == [held[10]]
    assert engine.store.due(START + 99, 10) == [held[10], held[20], held[30]]


def test_no_more_held_messages_are_told_than_the_limit(engine: Harness) -> None:
    for n in range(9, 0, -1):
        engine.store.hold(_held(n, START + n))
    assert engine.store.due(START + 99, 4) == [_held(n, START + n) for n in (1, 2, 3, 4)]


def test_messages_that_are_due_at_one_instant_are_all_kept(engine: Harness) -> None:
    for n in range(5):
        engine.store.hold(_held(n, START))
    assert {held.id for held in engine.store.due(START, 10)} == {id_at(START, n) for n in range(5)}


def test_holding_is_repeatable_by_the_id(engine: Harness) -> None:
    for _ in range(3):
        engine.store.hold(_held(1, START))
    assert engine.store.due(START, 10) == [_held(1, START)]


def test_a_held_message_stays_until_it_is_released_and_is_forgotten_then(engine: Harness) -> None:
    one, two = _held(1, START), _held(2, START)
    engine.store.hold(one)
    engine.store.hold(two)
    assert len(engine.store.due(START, 10)) == len(engine.store.due(START, 10)) == 2
    engine.store.release([one])
    assert engine.store.due(START + DAY, 10) == [two]
    engine.store.release([one])
    engine.reopen()
    assert engine.store.due(START + DAY, 10) == [two]


def test_many_are_released_at_once_and_those_that_are_gone_do_no_harm(engine: Harness) -> None:
    held = [_held(n, START + n / 4) for n in range(60)]
    for one in held:
        engine.store.hold(one)
    engine.store.release(held[5:10])
    engine.store.release([])
    engine.store.release(held[:50])
    engine.reopen()
    assert engine.store.due(START + DAY, 100) == held[50:]
    assert engine.store.held_of("ana", None, 100) == held[50:]


def test_a_bucket_takes_up_to_its_limit_in_each_second(engine: Harness) -> None:
    take = engine.store.take
    assert [take("ana", 4, 10, START + n / 10) for n in range(4)] == [True, True, False, False]
    assert take("ana", 2, 10, START + 0.9)  # what was refused was not counted
    assert not take("ana", 1, 10, START + 0.999)
    assert take("ana", 10, 10, START + 1)
    assert not take("ana", 1, 10, START + 1.5)


def test_a_bucket_never_takes_more_than_its_limit_at_once(engine: Harness) -> None:
    assert not engine.store.take("ana", 11, 10, START)
    assert engine.store.take("ana", 10, 10, START)


def test_buckets_do_not_share_their_counts(engine: Harness) -> None:
    assert engine.store.take("ana", 10, 10, START)
    assert engine.store.take("rui", 10, 10, START)


# --- config, endpoints ---------------------------------------------------------------------------


def test_a_configuration_record_is_read_as_it_was_put(engine: Harness) -> None:
    body = msgspec.json.encode({"name": _EMOJI})
    assert engine.store.config("route", "default") is None
    assert engine.store.put_config("route", "default", body, 0)
    engine.reopen()
    assert engine.store.config("route", "default") == body
    assert engine.store.config("upstream", "default") is None


def test_a_configuration_record_is_written_over_the_version_before_alone(engine: Harness) -> None:
    put = engine.store.put_config
    assert not put("route", "r", b"1", 1)  # nothing stands there
    assert engine.store.config("route", "r") is None
    assert put("route", "r", b"0", 0)
    assert not put("route", "r", b"again", 0)
    assert not put("route", "r", b"2", 2)
    assert put("route", "r", b"1", 1)
    assert not put("route", "r", b"stale", 1)
    assert engine.store.config("route", "r") == b"1"
    assert put("route", "r", b"2", 2)
    assert engine.store.config("route", "r") == b"2"


def test_a_kind_of_configuration_is_listed_by_name(engine: Harness) -> None:
    for name in ("c", "a", "b"):
        engine.store.put_config("route", name, name.encode(), 0)
    engine.store.put_config("upstream", "x", b"x", 0)
    assert engine.store.configs("route") == [b"a", b"b", b"c"]
    assert engine.store.configs("upstream") == [b"x"]
    assert engine.store.configs("nothing") == []


def test_an_endpoint_is_open_where_nothing_was_written(engine: Harness) -> None:
    assert engine.store.endpoint("ana") == Endpoint("ana", state="open", since=0.0, version=0)


def test_an_endpoint_is_written_over_the_version_before_alone(engine: Harness) -> None:
    stalled = Endpoint("ana", "stalled", START, version=1)
    assert engine.store.put_endpoint(stalled)
    assert not engine.store.put_endpoint(replace(stalled, state="parked"))
    assert not engine.store.put_endpoint(replace(stalled, version=3))
    engine.reopen()
    assert engine.store.endpoint("ana") == stalled
    opened = Endpoint("ana", "open", 0.0, version=2)
    assert engine.store.put_endpoint(opened)
    assert engine.store.endpoint("ana") == opened
    assert not engine.store.put_endpoint(stalled)
    assert engine.store.endpoint("ana") == opened


def test_an_endpoint_that_has_no_version_before_is_refused(engine: Harness) -> None:
    assert not engine.store.put_endpoint(Endpoint("ana", "stalled", START, version=2))
    assert engine.store.endpoint("ana") == Endpoint("ana")


def test_endpoints_are_each_cost_centres_own(engine: Harness) -> None:
    engine.store.put_endpoint(Endpoint("ana", "parked", START, version=1))
    assert engine.store.endpoint("rui") == Endpoint("rui")


# --- expire, settle ------------------------------------------------------------------------------


def _expire(engine: Harness, limit: int = 10) -> list[int]:
    """Expires until long after the last thing has gone: how many at each step."""
    return [engine.store.expire(engine.now, limit) for _ in range(60)]


def test_records_older_than_the_retention_by_their_ids_go_and_only_those(engine: Harness) -> None:
    edge = START - engine.retention
    old = [kind(edge - 0.001, kind.__name__) for kind in _KINDS]
    old += [message(edge - n, n, cost_centre=f"cc-{n % 3}") for n in range(1, 40)]
    # Written long ago, due late: the id's time counts.
    kept = [kind(edge, kind.__name__) for kind in _KINDS]
    kept += [message(edge + n, n, cost_centre=f"cc-{n % 3}", accepted_at=1.0) for n in range(1, 9)]
    engine.store.create([*old, *kept])
    _expire(engine)
    assert engine.store.records([key_of(record) for record in kept]) == kept
    if not engine.expires_by_itself:
        assert engine.store.records([key_of(record) for record in old]) == [None] * len(old)


def test_refs_and_remembered_keys_go_with_their_time(engine: Harness) -> None:
    edge = START - engine.retention
    # The old ones lie behind the young: an upstream's ids have no order.
    keys = {f"u-{99 - n}": Key("ana", id_at(edge - 20.5 + n, n)) for n in range(40)}
    engine.store.put_refs([("simulator", upstream_id, key) for upstream_id, key in keys.items()])
    kept = _entry(START - DAY + 60, key="kept")
    engine.store.remember(kept)
    engine.store.remember(_entry(START - DAY - 60, key="gone"))
    steps = _expire(engine)
    found = [
        upstream_id for upstream_id in keys if engine.store.by_refs([("simulator", upstream_id)])[0]
    ]
    if engine.expires_by_itself:
        assert found[-19:] == list(keys)[21:]
    else:
        assert found == list(keys)[21:]
        assert sum(steps) == 21 + 1
    assert engine.store.remember(_entry(key="kept")) == kept
    assert engine.store.remember(_entry(key="gone")) is None


def test_expiring_goes_in_bounded_steps(engine: Harness) -> None:
    edge = START - engine.retention
    engine.store.create([message(edge - n, n, cost_centre=f"cc-{n % 7}") for n in range(1, 101)])
    engine.store.put_refs([("s", f"u-{n}", Key("ana", id_at(edge - 1, n))) for n in range(100)])
    for n in range(100):
        engine.store.remember(_entry(START - DAY - n - 1, key=f"k-{n}"))
    steps = _expire(engine)
    # Records, refs and keys, up to the limit of each.
    assert max(steps) <= 3 * 10
    if not engine.expires_by_itself:
        assert sum(steps) == 300
        assert steps[-1] == 0


def test_expiring_removes_nothing_young_and_nothing_of_the_configuration(engine: Harness) -> None:
    engine.store.create([message()])
    engine.store.put_refs([("simulator", "u-1", key_of(message()))])
    engine.store.hold(_held(1, START - engine.retention - DAY))
    engine.store.put_config("route", "r", b"{}", 0)
    engine.store.put_endpoint(Endpoint("ana", "parked", 1.0, version=1))
    assert set(_expire(engine)) == {0}
    assert engine.one(key_of(message())) == message()
    assert engine.store.by_refs([("simulator", "u-1")])[0] == key_of(message())
    assert len(engine.store.due(START, 10)) == 1
    assert engine.store.config("route", "r") == b"{}"
    assert engine.store.endpoint("ana").state == "parked"


def test_what_was_settled_survives_the_process(engine: Harness) -> None:
    engine.store.create([message()])
    engine.store.put_refs([("simulator", "u-1", key_of(message()))])
    engine.store.settle()
    engine.reopen()
    assert engine.one(key_of(message())) == message()
    assert engine.store.by_refs([("simulator", "u-1")])[0] == key_of(message())


def test_settling_nothing_returns_at_once(engine: Harness) -> None:
    engine.store.settle()
    engine.store.settle()


# --- listed, alerts ------------------------------------------------------------------------------


def _alert(at: float = START, *origin: str | int, cost_centre: str = "ana") -> Alert:
    return Alert(
        cost_centre=cost_centre,
        id=id_at(at, "alert", *origin),
        dialect="directcall",
        kind="low_balance",
        at=at,
        balance=-1,
        reports=(Report("alert", at),),
    )


def _all_listed(
    engine: Harness, kind: str, since: float, until: float, limit: int, cost_centre: str = "ana"
) -> list[Record]:
    """Page by page, until an empty one."""
    found: list[Record] = []
    after = ""
    while page := engine.store.listed(kind, cost_centre, since, until, after, limit):
        assert len(page) <= limit
        found += page
        after = page[-1].id
    return found


def test_an_alert_is_a_record_that_was_sent_to_nobody(engine: Harness) -> None:
    assert engine.store.create([_alert()]) == [None]
    assert engine.store.create([replace(_alert(), balance=5)]) == [_alert()]
    [written] = engine.store.replace([replace(_alert(), reports=())])
    engine.reopen()
    assert engine.one(key_of(_alert())) == written == replace(_alert(), reports=(), version=1)
    assert engine.store.newest_to("", 10) == []
    assert engine.store.records_between("ana", START, START, "", 10) == [written]


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize(("kind", "made"), [("batch", batch), ("reply", reply)])
def test_one_kind_is_listed_by_id_over_days_with_nothing_else_among_it(
    engine: Harness, kind: str, made: Callable[..., Record], limit: int
) -> None:
    times = [START + n * 7 * 3600 for n in range(12)]  # of four days
    for n, at in enumerate(times):
        tombstone = message(at, n, to="", state=State.DELETED)
        engine.store.create([message(at, n, "sent"), batch(at, n), reply(at, n), tombstone])
        engine.store.create([_alert(at, n)])
    engine.store.create([made(START, "hers", cost_centre="rui")])
    engine.reopen()
    assert _all_listed(engine, kind, START, times[-1], limit) == [
        made(at, n) for n, at in enumerate(times)
    ]


def test_listed_is_exact_to_the_millisecond_and_goes_on_after_an_id(engine: Harness) -> None:
    records = [batch(START + n / 1000, n) for n in range(10)]
    engine.store.create(records)
    since, until = START + 2 / 1000, START + 7 / 1000
    assert engine.store.listed("batch", "ana", since, until, "", 100) == records[2:8]
    assert engine.store.listed("batch", "ana", since, until, records[4].id, 100) == records[5:8]
    assert engine.store.listed("batch", "ana", since, until, records[0].id, 100) == records[2:8]
    assert engine.store.listed("batch", "ana", since, until, records[7].id, 100) == []
    assert engine.store.listed("batch", "ana", until, since, "", 100) == []


def test_what_was_listed_tells_how_the_record_stands_now(engine: Harness) -> None:
    engine.store.create([batch()])
    [written] = engine.store.replace([replace(batch(), state=State.DELETED, expanded=2)])
    assert engine.store.listed("batch", "ana", START, START, "", 10) == [written]


def test_a_record_whose_id_another_kind_had_taken_is_not_listed(engine: Harness) -> None:
    taken = message()
    engine.store.create([taken])
    engine.store.create([replace(batch(), id=taken.id)])
    assert engine.store.listed("batch", "ana", START, START, "", 10) == []


def test_a_cost_centre_never_finds_anothers_batches(engine: Harness) -> None:
    for cost_centre in ("ana", "ana#1", "an"):
        engine.store.create([batch(cost_centre=cost_centre)])
    for cost_centre in ("ana", "ana#1", "an"):
        found = _all_listed(engine, "batch", 0.0, START + DAY, 10, cost_centre)
        assert found == [batch(cost_centre=cost_centre)]
    assert engine.store.listed("batch", "nobody", 0.0, START + DAY, "", 10) == []


# --- held, held_of -------------------------------------------------------------------------------


def _all_held_of(engine: Harness, group: str, limit: int) -> list[Held]:
    found: list[Held] = []
    after = None
    while page := engine.store.held_of(group, after, limit):
        assert len(page) <= limit
        found += page
        after = page[-1]
    return found


def test_a_held_message_is_found_by_its_id_and_due_date(engine: Harness) -> None:
    one = _held(1, START + 60.25)
    engine.store.hold(one)
    engine.reopen()
    assert engine.store.held(one.due_at, one.id) == one
    assert engine.store.held(one.due_at + 1, one.id) is None
    assert engine.store.held(one.due_at, id_at(START, 2)) is None
    engine.store.release([one])
    assert engine.store.held(one.due_at, one.id) is None


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_what_is_held_of_a_group_comes_by_due_date_and_id(engine: Harness, limit: int) -> None:
    held = [_held(n, START + n // 3 * 50.5) for n in range(11)]
    for one in reversed(held):
        engine.store.hold(one)
    for group in ("rui", "ana#1", ""):
        engine.store.hold(replace(_held(99, START + 10), group=group, id=f"of {group}"))
    engine.reopen()
    in_order = sorted(held, key=lambda one: (one.due_at, one.id))
    assert _all_held_of(engine, "ana", limit) == in_order
    assert [one.id for one in _all_held_of(engine, "rui", limit)] == ["of rui"]
    assert [one.id for one in _all_held_of(engine, "", limit)] == ["of "]
    assert engine.store.held_of("nobody", None, limit) == []


def test_what_is_held_goes_on_after_one_that_is_gone_meanwhile(engine: Harness) -> None:
    held = [_held(n, START + n) for n in range(5)]
    for one in held:
        engine.store.hold(one)
    engine.store.release([held[1]])
    assert engine.store.held_of("ana", held[1], 10) == held[2:]
    assert engine.store.held_of("ana", None, 10) == [held[0], *held[2:]]


def test_what_is_moved_stands_twice_until_the_old_one_is_released(engine: Harness) -> None:
    old = _held(1, START + 60)
    new = replace(old, due_at=START + 7200)
    engine.store.hold(old)
    engine.store.hold(new)
    assert engine.store.held_of("ana", None, 10) == [old, new]
    engine.store.release([old])
    assert engine.store.held_of("ana", None, 10) == [new]
    assert engine.store.held(old.due_at, old.id) is None
    assert engine.store.held(new.due_at, new.id) == new
    assert engine.store.due(START + DAY, 10) == [new]


def test_what_is_held_again_with_another_body_has_that_one(engine: Harness) -> None:
    engine.store.hold(_held(1, START))
    changed = replace(_held(1, START), body="{}")
    engine.store.hold(changed)
    assert engine.store.held_of("ana", None, 10) == [changed]
    assert engine.store.held(START, changed.id) == changed
