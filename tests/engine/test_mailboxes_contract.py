"""What every Store has to do about mailboxes and leases, sentence by sentence of
recado.engine.Store."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from recado.engine import Mail
from recado.engine.embedded import open_engine
from tests.engine.conftest import DAY, RETENTION, START, Harness

_EXPIRES = START + 90 * DAY


def _mail(n: int, cost_centre: str = "ana", body: str = "", **fields: float) -> Mail:
    place = f"{int(START * 1000) + n:013d}#0190f9c1-0000-7000-8000-{n:012d}#2"
    return Mail(cost_centre, place, body or f'{{"n":{n}}}', fields.get("expires", _EXPIRES))


def _posted(engine: Harness, numbers: Sequence[int], cost_centre: str = "ana") -> list[Mail]:
    mails = [_mail(n, cost_centre) for n in numbers]
    engine.store.post(mails)
    return mails


def _all(engine: Harness, cost_centre: str = "ana") -> list[Mail]:
    return engine.store.mails(cost_centre, "", 1000)


# --- mailboxes -----------------------------------------------------------------------------------


def test_a_mail_waits_in_its_mailbox_as_it_was_posted(engine: Harness) -> None:
    [mail] = _posted(engine, [1])
    assert _all(engine) == [mail]
    engine.reopen()
    assert _all(engine) == [mail]


def test_a_mailbox_that_nothing_was_posted_to_is_empty(engine: Harness) -> None:
    _posted(engine, [1], "rui")
    assert _all(engine) == []
    assert engine.store.mails("nobody", "0", 10) == []


def test_what_is_posted_again_is_there_once_as_it_was_posted_last(engine: Harness) -> None:
    mails = _posted(engine, range(3))
    changed = replace(mails[1], body='{"again":true}')
    engine.store.post([mails[0], changed])
    assert _all(engine) == [mails[0], changed, mails[2]]


def test_of_a_mail_that_is_posted_twice_in_one_go_the_last_stands(engine: Harness) -> None:
    first, last = _mail(1, body="first"), _mail(1, body="last")
    engine.store.post([first, _mail(2), last])
    assert _all(engine) == [last, _mail(2)]


def test_mails_come_in_the_order_of_their_places_however_they_were_posted(engine: Harness) -> None:
    for n in (7, 2, 9, 4):
        _posted(engine, [n])
    _posted(engine, [8, 1, 3])
    assert _all(engine) == [_mail(n) for n in (1, 2, 3, 4, 7, 8, 9)]


def test_places_of_any_letters_are_in_one_order_on_every_engine(engine: Harness) -> None:
    places = ["#", "0", "10", "9", "A", "a", "a#b", "ab", "~", "é", "\uffee", "😀", "😀b"]
    engine.store.post([Mail("ana", place, "x", _EXPIRES) for place in reversed(places)])
    assert [mail.place for mail in _all(engine)] == places
    for n, place in enumerate(places):
        assert [mail.place for mail in engine.store.mails("ana", place, 99)] == places[n + 1 :]


def test_up_to_the_limit_is_given_and_after_the_last_of_it_it_goes_on(engine: Harness) -> None:
    mails = _posted(engine, range(7))
    found: list[Mail] = []
    after = ""
    while page := engine.store.mails("ana", after, 3):
        assert len(page) <= 3
        found += page
        after = page[-1].place
    assert found == mails
    assert engine.store.mails("ana", "", 0) == []


def test_it_goes_on_after_a_mail_that_was_forgotten_meanwhile(engine: Harness) -> None:
    mails = _posted(engine, range(4))
    engine.store.forget(mails[:2])
    assert engine.store.mails("ana", mails[1].place, 1) == [mails[2]]


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(engine: Harness) -> None:
    mails = _posted(engine, range(5))
    for _ in range(2):
        engine.store.forget([mails[0], mails[3], mails[0]])
        assert _all(engine) == [mails[1], mails[2], mails[4]]
    engine.reopen()
    engine.store.forget(mails)
    engine.store.forget([_mail(99, "nobody")])
    assert _all(engine) == []


def test_forgetting_goes_by_the_place_alone(engine: Harness) -> None:
    [mail] = _posted(engine, [1])
    engine.store.forget([replace(mail, body="", expires=0.0)])
    assert _all(engine) == []


def test_posting_and_forgetting_nothing_is_well(engine: Harness) -> None:
    engine.store.post([])
    engine.store.forget([])
    assert _all(engine) == []


def test_what_was_forgotten_may_be_posted_anew(engine: Harness) -> None:
    mails = _posted(engine, [1])
    engine.store.forget(mails)
    assert _posted(engine, [1]) == _all(engine)


def test_each_customer_has_a_mailbox_of_its_own(engine: Harness) -> None:
    names = ["ana", "ana#1", "an", "ANA", "é", "x" * 3000, "x" * 3001]
    engine.store.post([_mail(n, name) for name in names for n in range(3)])
    engine.store.forget([_mail(1, "ana#1")])
    for name in names:
        left = (0, 2) if name == "ana#1" else (0, 1, 2)
        assert _all(engine, name) == [_mail(n, name) for n in left]


def test_hundreds_are_posted_read_and_forgotten_at_once(engine: Harness) -> None:
    mails = _posted(engine, range(230))
    assert _all(engine) == mails
    assert engine.store.mails("ana", mails[99].place, 100) == mails[100:200]
    engine.store.forget(mails[:-1])
    assert _all(engine) == mails[-1:]


@pytest.mark.parametrize(
    "body", ["ação \u2028 😀 \x00", "x" * 20_000, " "], ids=["any letters", "long", "a space"]
)
def test_a_body_comes_back_letter_by_letter(engine: Harness, body: str) -> None:
    mail = _mail(1, body=body)
    engine.store.post([mail])
    assert _all(engine) == [mail]


def test_a_mail_whose_time_is_not_over_is_kept(engine: Harness) -> None:
    mail = _mail(1, expires=START + 2 * DAY)
    engine.store.post([mail])
    engine.advance(DAY)
    engine.store.expire(engine.now, 100)
    assert _all(engine) == [mail]


def test_a_mail_whose_time_is_over_may_vanish_and_the_others_stay(engine: Harness) -> None:
    old = [_mail(n, name, expires=START + DAY) for name in ("ana", "rui") for n in (1, 3)]
    young = [_mail(n, name, expires=START + 3 * DAY) for name in ("ana", "rui") for n in (2, 4)]
    engine.store.post([*old, *young])
    engine.advance(2 * DAY)
    for _ in range(10):
        engine.store.expire(engine.now, 3)
    kept = _all(engine) + _all(engine, "rui")
    assert [mail for mail in kept if mail not in old] == young
    if not engine.expires_by_itself:
        assert kept == young


# --- leases --------------------------------------------------------------------------------------

_END = START + 30.0


def test_a_lease_that_nobody_has_is_taken(engine: Harness) -> None:
    assert engine.store.lease("bind#claro#1", "a", _END, START)


def test_a_lease_is_refused_to_another_until_it_is_over(engine: Harness) -> None:
    assert engine.store.lease("bind#claro#1", "a", _END, START)
    assert not engine.store.lease("bind#claro#1", "b", _END + 10, START)
    assert not engine.store.lease("bind#claro#1", "b", _END + 10, _END - 0.001)
    assert engine.store.lease("bind#claro#1", "b", _END + 10, _END)
    assert not engine.store.lease("bind#claro#1", "a", _END + 20, _END)


def test_its_holder_keeps_a_lease(engine: Harness) -> None:
    assert engine.store.lease("mail#ana", "a", _END, START)
    assert engine.store.lease("mail#ana", "a", _END + 10, START + 10)
    assert not engine.store.lease("mail#ana", "b", _END + 20, _END)
    assert engine.store.lease("mail#ana", "a", _END + 20, _END + 1)


def test_a_holder_may_come_back_to_a_lease_that_is_over(engine: Harness) -> None:
    assert engine.store.lease("mail#ana", "a", _END, START)
    assert engine.store.lease("mail#ana", "a", _END + 60, _END + 30)
    assert not engine.store.lease("mail#ana", "b", _END + 90, _END + 59)


def test_a_lease_may_be_made_shorter_by_its_holder(engine: Harness) -> None:
    assert engine.store.lease("mail#ana", "a", _END, START)
    assert engine.store.lease("mail#ana", "a", START + 2, START + 1)
    assert engine.store.lease("mail#ana", "b", _END, START + 2)


@pytest.mark.parametrize("until", [0.0, START, START + 1])
def test_a_lease_that_is_given_back_is_free(engine: Harness, until: float) -> None:
    assert engine.store.lease("mail#ana", "a", _END, START)
    assert not engine.store.lease("mail#ana", "a", until, START + 1)
    assert engine.store.lease("mail#ana", "b", _END, START + 1)


def test_nobody_gives_back_what_another_holds(engine: Harness) -> None:
    assert engine.store.lease("mail#ana", "a", _END, START)
    assert not engine.store.lease("mail#ana", "b", 0.0, START + 1)
    assert not engine.store.lease("mail#ana", "b", _END, START + 1)
    assert engine.store.lease("mail#ana", "a", _END, START + 1)


def test_giving_back_may_be_done_again_and_with_nothing_in_hand(engine: Harness) -> None:
    for _ in range(2):
        assert not engine.store.lease("mail#ana", "a", 0.0, START)
    assert engine.store.lease("mail#ana", "b", _END, START)


def test_leases_of_any_name_are_kept_apart(engine: Harness) -> None:
    names = ["bind#claro#1", "bind#claro#11", "mail#ana", "é", "lease", "x" * 3000, "x" * 3001]
    for name in names:
        assert engine.store.lease(name, f"holder of {name}"[:100], _END, START)
    for name in names:
        assert not engine.store.lease(name, "another", _END, START)


# --- one engine alone ----------------------------------------------------------------------------


def test_of_a_machine_no_lease_of_a_process_that_died_keeps_the_next_one_waiting(
    tmp_path: Path,
) -> None:
    """There is one process at a time on a data directory."""
    for holder in ("a", "b"):
        engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
        assert engine.store.lease("bind#claro#1", holder, _END, START)
        database.connection.close()


def test_a_machine_removes_expired_mails_a_few_at_a_time(tmp_path: Path) -> None:
    engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
    young = [_mail(n) for n in range(0, 20, 2)]
    engine.store.post([*young, *[_mail(n, expires=START + 1) for n in range(1, 20, 2)]])
    gone = [engine.store.expire(START + 1, 4) for _ in range(6)]
    assert max(gone) <= 4
    assert sum(gone) == 10
    assert engine.store.mails("ana", "", 100) == young
    database.close()


def test_a_machine_loses_what_a_spoiled_unit_posted_and_forgot(tmp_path: Path) -> None:
    engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
    engine.store.post([_mail(1)])
    database.schedule = lambda _: None
    engine.store.forget([_mail(1)])
    engine.store.post([_mail(2)])
    assert engine.store.mails("ana", "", 10) == [_mail(2)]
    database.connection.execute("ROLLBACK")
    database.connection.close()
    engine, database = open_engine(tmp_path, {}, lambda: START, RETENTION)
    assert engine.store.mails("ana", "", 10) == [_mail(1)]
    database.close()
