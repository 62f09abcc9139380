"""The life of a file: uploaded, checked, sent, paused, resumed, cancelled."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from recado import bulk, bulk_api, doubles, longlists, rows
from recado.customers import costcentre_update
from recado.engine import Entry
from recado.engine.embedded.blobs import DirectoryBlobs
from recado.ids import new_id
from recado.message import Batch, State
from recado.moments import iso
from recado.wiring import Turns
from tests.support.world import World

_TEXT = "Olá {nome}, até já"


def _number(n: int) -> str:
    return f"55349{n:08}"


def _file(count: int, name: Callable[[int], str] = "Ana {}".format) -> bytes:
    lines = [f"{name(n)};{_number(n)}" for n in range(count)]
    return "\n".join(["nome;telefone", *lines, ""]).encode()


def _open(world: World, text: str = _TEXT, **fields: Any) -> str:
    status, answer = world.call("POST", "/bulk", {"text": text, **fields})
    assert status == 201, answer
    return str(answer["bulk_id"])


def _upload(world: World, identifier: str, content: bytes) -> None:
    assert isinstance(world.bare.blobs, DirectoryBlobs)
    world.bare.blobs.put(f"upload-{identifier}", content)


def _act(world: World, identifier: str, act: str, method: str = "POST") -> dict[str, Any]:
    status, answer = world.call(method, f"/bulk/{identifier}{act}")
    assert status == 200, answer
    return answer


def _checked(world: World, content: bytes, text: str = _TEXT, **fields: Any) -> str:
    identifier = _open(world, text, **fields)
    _upload(world, identifier, content)
    _act(world, identifier, "/check")
    world.drain()
    return identifier


def _shown(world: World, identifier: str) -> dict[str, Any]:
    return _act(world, identifier, "", "GET")


def _texts(world: World) -> dict[str, str]:
    return {taken["to"]: taken["text"] for taken in world.taken}


def test_a_file_is_checked_and_then_each_number_gets_its_own_text(world: World) -> None:
    identifier = _checked(world, _file(250))
    found = _shown(world, identifier)
    assert (found["state"], found["good"], found["units"], found["bad"]) == (
        "checked",
        250,
        250,
        [],
    )
    assert not world.taken
    assert _act(world, identifier, "/send")["state"] == "sending"
    world.drain()
    assert _texts(world) == {_number(n): f"Ola Ana {n}, até ja" for n in range(250)}
    assert len(world.taken) == 250
    shown = _shown(world, identifier)
    assert (shown["state"], shown["submitted"], shown["percent"]) == ("done", 250, 100)


def test_every_message_of_a_file_is_reported_at_once(world: World) -> None:
    identifier = _checked(world, _file(3))
    _act(world, identifier, "/send")
    world.drain()
    assert Counter(report["type"] for report in world.reports()) == {1: 3, 2: 3}


def test_the_dry_run_lists_bad_rows_and_counts_duplicates_and_units(world: World) -> None:
    content = b"nome;telefone\nAna;34998887755\nBia;123\nCris;\n\nDavi;5534998887755\n" + (
        b"x" * 150 + b";34998887744\n" + b"y" * 150 + b";34998887744\n"
    )
    found = _shown(world, _checked(world, content))
    assert found["bad"] == [
        {"line": 3, "value": "123", "reason": "the number is invalid"},
        {"line": 4, "value": "", "reason": "the number is missing"},
    ]
    counted = {name: found[name] for name in ("rows", "good", "duplicates", "bad_rows", "units")}
    assert counted == {"rows": 6, "good": 2, "duplicates": 2, "bad_rows": 2, "units": 1 + 2}


def test_of_a_number_that_stands_twice_the_first_row_is_sent(world: World) -> None:
    names = [f"n{n}" for n in range(6)]
    numbers = [1, 2, 1, 3, 2, 1]
    lines = [f"{name};{_number(n)}" for name, n in zip(names, numbers, strict=True)]
    identifier = _checked(world, "\n".join(["nome;telefone", *lines]).encode(), "{nome}")
    _act(world, identifier, "/send")
    world.drain()
    assert _texts(world) == {_number(1): "n0", _number(2): "n1", _number(3): "n3"}
    assert len(world.taken) == 3


def test_steps_passes_and_stretches_change_nothing_of_what_comes_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file in many small steps: blocks, passes over the numbers, pages of doubles."""
    monkeypatch.setattr(bulk, "_BLOCK", 1_000)
    monkeypatch.setattr(rows, "BLOCK", 700)
    monkeypatch.setattr(longlists, "STRETCH", 7)
    monkeypatch.setattr(doubles, "_A_PASS", 50)
    monkeypatch.setattr(doubles, "_PAGE", 64)
    monkeypatch.setattr(doubles, "_AT_ONCE", 7)
    monkeypatch.setattr(doubles, "_SPAN", 1_500)
    monkeypatch.setattr(bulk, "KEPT_BAD", 5)
    lines = [f"n{n};{_number(n % 120)}" if n % 17 else f"n{n};bad" for n in range(400)]
    identifier = _checked(world, "\n".join(["nome;telefone", *lines]).encode(), "{nome}")
    found = _shown(world, identifier)
    first: dict[str, str] = {}
    for n in range(400):
        if n % 17:
            first.setdefault(_number(n % 120), f"n{n}")
    bad = [n + 2 for n in range(400) if n % 17 == 0]
    assert (found["good"], found["bad_rows"]) == (len(first), len(bad))
    assert found["good"] + found["duplicates"] + found["bad_rows"] == found["rows"] == 400
    assert [row["line"] for row in found["bad"]] == bad[:5]
    _act(world, identifier, "/send")
    world.drain()
    assert _texts(world) == first
    assert len(world.taken) == len(first) == found["units"]


def test_one_text_for_all_is_sent_to_a_plain_list(world: World) -> None:
    identifier = _checked(world, b"34998887755\n34998887744\n", "{{oi}} para todos")
    _act(world, identifier, "/send")
    world.drain()
    assert set(_texts(world).values()) == {"{oi} para todos"}
    assert len(world.taken) == 2


def test_nothing_is_sent_before_a_check_has_ended(world: World) -> None:
    identifier = _open(world)
    status, answer = world.call("POST", f"/bulk/{identifier}/check")
    assert (status, answer["message"]) == (409, "File has not come yet!")
    _upload(world, identifier, _file(3))
    status, answer = world.call("POST", f"/bulk/{identifier}/send")
    assert (status, answer["message"]) == (409, "Bulk has not been checked yet!")
    assert _act(world, identifier, "/check")["state"] == "checking"
    assert world.call("POST", f"/bulk/{identifier}/send")[0] == 409
    world.drain()
    assert not world.taken


def test_what_is_wrong_with_a_file_as_a_whole_is_told_by_its_check(world: World) -> None:
    found = _shown(world, _checked(world, b"telefone\n34998887755\n", "Deve {valor}"))
    assert found["state"] == "failed"
    assert "{valor}, which is no column: there are telefone" in found["problem"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "Text is missing!"),
        ({"text": 5}, "Text must be a string!"),
        ({"text": "a {"}, "Text has a { without its other half: write {{!"),
        ({"text": "  "}, "Text is empty!"),
        ({"text": "x", "send_at": "amanhã"}, "Send_at must be a date and time in ISO 8601!"),
        ({"text": "x", "send_at": "2020-01-01T00:00"}, "Send_at is in the past!"),
        ({"text": "x", "name": "n" * 101}, "Name is too long: 100 characters are allowed!"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_at_once(
    world: World, fields: dict[str, Any], problem: str
) -> None:
    status, answer = world.call("POST", "/bulk", fields)
    assert (status, answer["message"]) == (400, problem)


def test_a_paused_file_stands_still_and_a_resumed_one_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.expand.STRETCH", 100)
    identifier = _checked(world, _file(1_000))
    _act(world, identifier, "/send")
    world.step()
    assert _act(world, identifier, "/pause")["state"] == "paused"
    world.drain()
    stood = len(world.taken)
    assert stood < 1_000
    world.run(120.0)
    assert len(world.taken) == stood
    assert _act(world, identifier, "/resume")["state"] == "sending"
    world.run(120.0)
    assert Counter(taken["to"] for taken in world.taken) == {_number(n): 1 for n in range(1_000)}
    status, answer = world.call("POST", f"/bulk/{identifier}/pause")
    assert (status, answer["message"]) == (409, "Bulk has gone already!")


def test_a_prepaid_file_costs_what_was_checked_and_what_was_cancelled_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.expand.STRETCH", 100)
    world.cost_centre("paga", prepaid=True, price=1_000)
    key = world._which("paga")
    made = world.call("POST", "/bulk", {"text": "{nome}"}, login="paga")[1]["bulk_id"]
    # Three of four cost one segment, the fourth two.
    _upload(world, made, _file(1_000, lambda n: "x" * (200 if n % 4 == 0 else 20)))
    world.call("POST", f"/bulk/{made}/check", login="paga")
    world.drain()
    status, answer = world.call("POST", f"/bulk/{made}/send", login="paga")
    assert (status, answer["message"]) == (402, "Balance is insufficient!")
    _credit(world, key, 2_000_000)
    assert world.call("POST", f"/bulk/{made}/send", login="paga")[0] == 200
    assert world.bare.store.balance(key) == 2_000_000 - 1_250 * 1_000
    world.step()
    world.step()
    assert world.call("DELETE", f"/bulk/{made}", login="paga")[1]["state"] == "cancelled"
    world.run(200.0)
    went = sum(2 if len(taken["text"]) > 160 else 1 for taken in world.taken)
    assert 0 < went < 1_250
    assert world.bare.store.balance(key) == 2_000_000 - went * 1_000
    assert world.dead_letters() == 0


def _credit(world: World, cost_centre: str, amount: int) -> None:
    entry = Entry(cost_centre, new_id(world.now), "credit", amount, world.now)
    assert world.bare.store.credit([entry]) == [True]


def test_a_scheduled_file_waits_for_its_hour(world: World) -> None:
    identifier = _checked(world, _file(5), send_at="2026-05-28T18:00", name="Campanha")
    shown = _act(world, identifier, "/send")
    assert (shown["state"], shown["due_at"]) == ("scheduled", "2026-05-28T21:00:00.000+00:00")
    world.drain()
    assert not world.taken
    world.run(3 * 3600.0, step=600.0)
    assert len(world.taken) == 5
    assert _shown(world, identifier)["state"] == "done"


def test_a_scheduled_file_can_be_cancelled(world: World) -> None:
    identifier = _checked(world, _file(5), send_at="2026-05-28T18:00")
    _act(world, identifier, "/send")
    assert _act(world, identifier, "", "DELETE")["state"] == "cancelled"
    world.run(3 * 3600.0, step=600.0)
    assert not world.taken


def test_files_are_listed_newest_first_and_nobody_elses(world: World) -> None:
    made = []
    for _ in range(3):
        made.append(_open(world))
        world.now += 60.0
    world.cost_centre("bia")
    assert world.call("GET", "/bulk", login="bia")[1] == {"list": []}
    listed = world.call("GET", "/bulk")[1]["list"]
    assert [one["bulk_id"] for one in listed] == made[::-1]
    older = world.call("GET", f"/bulk?before={made[1]}")[1]["list"]
    assert [one["bulk_id"] for one in older] == made[:1]
    for method, act in (("GET", ""), ("DELETE", ""), ("POST", "/send"), ("POST", "/pause")):
        assert world.call(method, f"/bulk/{made[0]}{act}", login="bia")[0] == 404


def test_a_step_that_is_done_twice_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_BLOCK", 1_000)
    identifier = _open(world)
    _upload(world, identifier, _file(300))
    _act(world, identifier, "/check")
    _act(world, identifier, "/check")
    while in_hand := world.queue.receive("Expand", 1):
        for row in in_hand:
            bulk.check(row.body, world.deps)
            bulk.check(row.body, world.deps)
        world.queue.done(in_hand)
    world.run(60.0)
    found = _shown(world, identifier)
    assert (found["state"], found["good"], found["duplicates"]) == ("checked", 300, 0)
    _act(world, identifier, "/send")
    _act(world, identifier, "/send")
    world.drain()
    assert Counter(taken["to"] for taken in world.taken) == {_number(n): 1 for n in range(300)}


def test_a_check_whose_next_step_was_lost_goes_on_when_the_last_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_BLOCK", 1_000)
    identifier = _open(world)
    _upload(world, identifier, _file(300))
    _act(world, identifier, "/check")
    [first] = world.queue.receive("Expand", 1)
    bulk.check(first.body, world.deps)
    world.queue.done(world.queue.receive("Expand", 1))  # what it emitted is lost
    bulk.check(first.body, world.deps)
    world.run(60.0)
    assert _shown(world, identifier)["state"] == "checked"


def test_a_cancelled_check_stops_and_can_not_be_sent(world: World) -> None:
    identifier = _open(world)
    _upload(world, identifier, _file(10))
    _act(world, identifier, "/check")
    assert _act(world, identifier, "", "DELETE")["state"] == "cancelled"
    world.drain()
    assert world.call("POST", f"/bulk/{identifier}/send")[0] == 409
    assert world.record(identifier).state is State.DELETED


def test_a_file_without_a_row_that_can_be_sent_is_refused(world: World, tmp_path: Path) -> None:
    identifier = _checked(world, b"telefone\nabc\n", "Oi")
    status, answer = world.call("POST", f"/bulk/{identifier}/send")
    assert (status, answer["message"]) == (400, "File has no row that can be sent!")


# --- what may happen between the steps -----------------------------------------------------------


def test_a_file_that_was_moved_goes_at_its_new_hour_though_sending_is_asked_for_again(
    world: World,
) -> None:
    identifier = _checked(world, _file(5), send_at=iso(world.now + 600))
    _act(world, identifier, "/send")
    moved = {"send_at": iso(world.now + 1_200)}
    assert world.call("PATCH", f"/schedules/{identifier}", moved)[0] == 200
    _act(world, identifier, "/send")
    world.run(900.0, step=30.0)
    assert not world.taken
    world.run(600.0, step=30.0)
    assert len(world.taken) == 5
    assert _shown(world, identifier)["state"] == "done"


def test_what_was_lost_after_a_file_was_moved_is_held_at_its_new_hour(world: World) -> None:
    identifier = _checked(world, _file(5), send_at=iso(world.now + 600))
    _act(world, identifier, "/send")
    moved = {"send_at": iso(world.now + 90_000)}  # its first validity is over by then
    assert world.call("PATCH", f"/schedules/{identifier}", moved)[0] == 200
    store = world.bare.store
    held = store.held(world.record(identifier).due_at, identifier)
    assert held is not None
    store.release([held])
    _act(world, identifier, "/send")
    world.run(89_000.0, step=1_000.0)
    assert not world.taken
    world.run(2_000.0, step=30.0)
    assert len(world.taken) == 5


def test_a_list_whose_count_fell_short_is_done_when_its_validity_is_over(world: World) -> None:
    identifier = _checked(world, _file(5))
    _act(world, identifier, "/send")
    world.drain()
    counter = longlists.progress_counter(identifier)
    world.bare.store.add(counter, {"taken": -1}, limit=None, expires=world.now + 1e6)
    assert _shown(world, identifier)["state"] == "sending"
    world.now += 86_400.0
    assert _shown(world, identifier)["state"] == "sending"
    world.now += 1.0
    assert _shown(world, identifier)["state"] == "done"


def test_a_file_that_was_opened_two_days_ago_is_sent_no_more(world: World) -> None:
    old, scheduled = (
        _checked(world, _file(2)),
        _checked(world, _file(3), send_at=_in_days(world, 3)),
    )
    world.now += 2 * 86_400.0 + 1
    status, answer = world.call("POST", f"/bulk/{old}/send")
    told = "Bulk has waited for more than two days: upload it anew!"
    assert (status, answer["message"]) == (409, told)
    assert _act(world, scheduled, "/send")["state"] == "scheduled"


def _in_days(world: World, days: int) -> str:
    return iso(world.now + days * 86_400.0)


_FIXED = b"nome;telefone\nAna;34998887755\nBia;3432123456\n"


def test_a_file_is_checked_again_where_the_settings_have_changed(world: World) -> None:
    identifier = _checked(world, _FIXED + b"Cris;34998887755\n")
    assert _shown(world, identifier)["good"] == 1
    costcentre_update(world.deps, "ana", fixed_lines=True)
    world.deps.directory.forget()
    status, answer = world.call("POST", f"/bulk/{identifier}/send")
    told = "Bulk must be checked again: the cost centre's settings have changed!"
    assert (status, answer["message"]) == (409, told)
    assert _act(world, identifier, "/check")["state"] == "checking"
    world.drain()
    found = _shown(world, identifier)
    counted = [found[name] for name in ("state", "good", "duplicates", "bad_rows", "bad")]
    assert counted == ["checked", 2, 1, 0, []]
    of_each = [
        world.bare.blobs.size(f"numbers-0-{name}") for name in (identifier, f"1-{identifier}")
    ]
    assert of_each == [4 + 2 * 17, 4 + 3 * 17]  # a blob never changes
    _act(world, identifier, "/check")  # nothing has changed since
    _act(world, identifier, "/send")
    world.drain()
    assert sorted(_texts(world)) == ["553432123456", "5534998887755"]


def test_what_was_checked_is_what_is_sent_whatever_the_settings_are_at_its_hour(
    world: World,
) -> None:
    identifier = _checked(world, _FIXED, send_at=iso(world.now + 600))
    _act(world, identifier, "/send")
    costcentre_update(world.deps, "ana", fixed_lines=True, replace_accents=False)
    world.deps.directory.forget()
    world.run(900.0, step=30.0)
    assert _texts(world) == {"5534998887755": "Ola Ana, até ja"}


def test_settings_that_change_during_a_check_change_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_BLOCK", 30)
    identifier = _open(world)
    _upload(world, identifier, _FIXED)
    _act(world, identifier, "/check")
    world.work("Expand", 1)
    costcentre_update(world.deps, "ana", fixed_lines=True)
    world.deps.directory.forget()
    world.drain()
    found = _shown(world, identifier)
    assert (found["state"], found["good"], found["bad_rows"]) == ("checked", 1, 1)


def test_a_file_of_quotes_that_never_close_fails_its_check(world: World) -> None:
    lines = b'a";"c\n' * 1_500
    found = _shown(world, _checked(world, b"nome;telefone\nAna;34998887755\n" + lines))
    assert found["state"] == "failed"
    told = "file has 1,000 rows whose quotes make no sense: line 1002 and those before it"
    assert found["problem"] == told


def test_slow_rows_let_others_have_their_turn_sooner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaths(per_second: int) -> int:
        ticks, taken = count(), list[int]()
        monkeypatch.setattr(rows, "monotonic", lambda: next(ticks) / per_second)
        identifier = _open(world)
        _upload(world, identifier, _file(600))
        _act(world, identifier, "/check")
        [step] = world.queue.receive("Expand", 1)
        turns = Turns(lambda: taken.append(1), world.deps.turns.pace)
        bulk.check(step.body, replace(world.deps, turns=turns))
        world.drain()
        return len(taken)

    assert breaths(1_000) > 90
    assert breaths(100_000) < 3


def test_a_page_of_lists_is_found_among_many_other_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops after so many batches, and the next page goes on from there."""
    monkeypatch.setattr(bulk_api, "_READ_AT_ONCE", 20)
    monkeypatch.setattr(bulk_api, "_MOST_READ", 150)
    monkeypatch.setattr(bulk_api, "PAGE", 5)
    made = []
    for n in range(600):
        world.now += 1.0 if n % 3 else 0.001
        if n % 50 == 0 or 200 < n < 260:
            made.append(_open(world))
        _other_batch(world)
    made.append(_open(world, send_at=_in_days(world, 80)))
    seen, pages, before = list[str](), 0, ""
    while True:
        pages += 1
        answer = world.call("GET", f"/bulk{before}")[1]
        seen += [one["bulk_id"] for one in answer["list"]]
        if "before" not in answer:
            break
        before = f"?before={answer['before']}"
    assert seen == made[::-1]
    assert pages > 4


def _other_batch(world: World) -> None:
    batch = Batch(
        cost_centre=world._which("ana"),
        id=new_id(world.now),
        dialect="zoug",
        due_at=world.now,
        accepted_at=world.now,
        count=1,
        blob="b",
    )
    world.bare.store.create([batch])


def test_a_file_of_one_number_makes_no_large_blob(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "_A_PASS", 100)
    monkeypatch.setattr(doubles, "_SPAN", 1_400)  # a hundred rows
    identifier = _checked(world, b"5534998887755\n" * 1_000, "Oi")
    found = _shown(world, identifier)
    assert (found["good"], found["duplicates"]) == (1, 999)
    blobs = world.bare.blobs
    names = [f"doubles-{stretch}-{identifier}" for stretch in range(10)]
    assert [blobs.size(name) for name in names] == [8 * 99] + [8 * 100] * 9
    _act(world, identifier, "/send")
    world.drain()
    assert len(world.taken) == 1
