"""The books when processes die, when everything comes twice, and when lists are cancelled midway:
the ledger's sum is the balance, which pays for what an upstream has, and for nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recado import expand, longlists
from recado.customers import costcentre_update
from recado.dialects import directcall_orders
from recado.http import Reached
from recado.message import Batch, State
from tests.support.books import (
    LOGIN,
    PRICE,
    balance,
    entries,
    ledger,
    payer,
    post,
    post_batch,
    post_sms,
    posted,
)
from tests.support.dying import Death, Dying
from tests.support.world import World

PAID = 1_000_000
LATER = "2026-05-28T20:36:40Z"  # ten minutes after the start of a world's time
MOBILE = "55349988{:05}".format


def the_books_are_right(world: World) -> None:
    """What was taken from the balance pays for the units that the upstream has, once each."""
    sent = {taken["reference"].rpartition(".")[2] for taken in world.taken}
    units = sum(world.record(identifier, LOGIN).units for identifier in sent)
    assert PAID - balance(world) == PRICE * units
    assert world.dead_letters() == 0


# --- death between any two calls -----------------------------------------------------------------


class Life:
    """A world with a customer who has paid, and whose process may die once."""

    def __init__(self, folder: Path, dying: Dying) -> None:
        self.dying = dying
        self.world = World(folder, wrap=dying.wrap)
        payer(self.world, "100.00", daily_quota=1_000, low_balance=PAID)
        self.dying.arm()

    def survive(self, act: Callable[[], Any]) -> Any:
        """Does it; where the process dies over it, a new one starts, and None is the answer."""
        try:
            return act()
        except Death:
            self.world.reopen()
            return None

    def live(self, seconds: float = 200.0) -> None:
        self.survive(self.world.drain)
        self.dying.disarm()
        self.world.run(seconds, step=10.0)


Script = Callable[[Life], None]


def die_everywhere(folder: Path, script: Script, at_least: int) -> None:
    """Plays the script with a kill before and after each call; the books are right each time."""
    lives = 0
    for after in (False, True):
        at, died_in = 0, "nothing yet"
        while died_in:
            at, lives = at + 1, lives + 1
            home = folder / f"{lives}"
            home.mkdir()
            life = Life(home, Dying(at, after=after))
            try:
                script(life)
                life.dying.disarm()
                died_in = life.dying.died_in
                the_books_are_right(life.world)
                one_notice_at_most(life)
            except AssertionError as error:
                error.add_note(f"killed {'after' if after else 'before'} call {at}, {died_in}")
                raise
            finally:
                life.world.close()
    assert lives > 2 * at_least, f"only {lives} calls were there to die in"


def one_notice_at_most(life: Life) -> None:
    ids = {told["webhook-id"] for told in life.world.told if told["webhook-id"].endswith(".alert")}
    assert len(ids) <= 1


def test_killed_anywhere_a_message_is_charged_if_it_is_sent(tmp_path: Path) -> None:
    def script(life: Life) -> None:
        answered = life.survive(lambda: post(life.world))
        life.live()
        assert answered is None or len(life.world.taken) >= 1

    die_everywhere(tmp_path, script, at_least=15)


def test_killed_anywhere_a_low_balance_is_told_with_the_next_message(tmp_path: Path) -> None:
    def script(life: Life) -> None:
        life.survive(lambda: post(life.world))
        life.survive(life.world.drain)
        life.dying.disarm()
        post(life.world)
        life.world.run(200.0, step=10.0)
        told = {t["webhook-id"] for t in life.world.told if "alert" in t}
        assert len(told) == 1

    die_everywhere(tmp_path, script, at_least=15)


def test_killed_anywhere_a_request_repeated_with_its_key_is_charged_once(tmp_path: Path) -> None:
    asked = {"destination_addr": MOBILE(1), "message": "oi"}

    def script(life: Life) -> None:
        def ask() -> Any:
            key = {"idempotency-key": "pedido-7"}
            return life.world.call("POST", "/message", asked, login=LOGIN, headers=key)

        if life.survive(ask) is None:
            life.world.run(5.0)
            assert ask()[0] == 200
        life.live()
        assert entries(life.world, "charge") == [-PRICE]

    die_everywhere(tmp_path, script, at_least=15)


def test_killed_anywhere_a_batch_is_charged_for_what_is_sent_of_it(tmp_path: Path) -> None:
    def script(life: Life) -> None:
        def take(submit: dict[str, Any]) -> Reached:
            if submit["to"] == MOBILE(2):
                return Reached(200, b'{"esme": "ESME_RINVDSTADR"}')
            return life.world.take(submit)

        life.world.upstream = take
        life.survive(lambda: post_batch(life.world, [MOBILE(1), "nobody", MOBILE(2)]))
        life.live()

    die_everywhere(tmp_path, script, at_least=25)


def test_killed_anywhere_what_a_receipt_says_was_rejected_is_given_back(tmp_path: Path) -> None:
    def script(life: Life) -> None:
        life.dying.disarm()
        posted(life.world)
        life.world.drain(receipts=False)
        life.world.receipts[0]["stat"] = "REJECTD"
        life.world.taken.clear()  # for the books it was never sent
        life.dying.arm()
        life.live()
        assert entries(life.world, "refund") == [PRICE]

    die_everywhere(tmp_path, script, at_least=6)


@pytest.mark.parametrize("path", ["/message", "/schedules"])
def test_killed_anywhere_what_is_cancelled_before_its_hour_is_given_back(
    tmp_path: Path, path: str
) -> None:
    def script(life: Life) -> None:
        life.dying.disarm()
        identifier = posted(life.world, send_at=LATER)
        life.dying.arm()
        life.survive(lambda: life.world.call("DELETE", f"{path}/{identifier}", login=LOGIN))
        life.live(1_000.0)

    die_everywhere(tmp_path, script, at_least=5)


def test_killed_anywhere_a_batch_that_is_cancelled_before_its_hour_is_given_back(
    tmp_path: Path,
) -> None:
    def script(life: Life) -> None:
        life.dying.disarm()
        batch = post_batch(life.world, [MOBILE(1), MOBILE(2)], send_at=LATER)[1]["batchId"]
        life.dying.arm()
        life.survive(lambda: life.world.call("DELETE", f"/message/batch/{batch}", login=LOGIN))
        life.live(1_000.0)

    die_everywhere(tmp_path, script, at_least=5)


def test_killed_anywhere_a_list_that_is_cancelled_midway_is_charged_for_what_is_sent_of_it(
    tmp_path: Path, small_steps: None
) -> None:
    def script(life: Life) -> None:
        batch = list_of(life.world, 12, life)
        life.survive(life.world.step)
        life.survive(life.world.step)
        if batch:
            life.survive(lambda: life.world.call("DELETE", f"/message/batch/{batch}", login=LOGIN))
        life.live(100.0)

    die_everywhere(tmp_path, script, at_least=30)


# --- lists ---------------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen numbers are a long list here, and four are a stretch of it."""
    monkeypatch.setattr(directcall_orders, "MAX_WISHES", 5)
    for module in (longlists, expand):
        monkeypatch.setattr(module, "STRETCH", 4)
    monkeypatch.setattr(expand, "PACKET_RECIPIENTS", 2)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world()
    payer(made, "100.00")
    return made


def list_of(world: World, size: int, life: Life | None = None) -> str:
    """A long list by Directcall's API; its id, where the request was answered."""
    numbers = ";".join(MOBILE(n) for n in range(size))
    answer = life.survive(lambda: post_sms(world, destino=numbers)) if life else None
    if life is None:
        answer = post_sms(world, destino=numbers)
    charges = [entry.id for entry in ledger(world) if entry.kind == "charge"]
    return charges[0] if answer else ""


@pytest.mark.parametrize("steps", range(12))
def test_a_list_that_is_cancelled_after_so_many_steps_is_charged_for_what_is_sent_of_it(
    world: World, small_steps: None, steps: int
) -> None:
    batch = list_of(world, 12)
    assert balance(world) == PAID - 12 * PRICE
    seen: set[tuple[str, str]] = set()
    for _ in range(steps):
        seen |= set(world.database.read("SELECT queue, body FROM queue"))
        world.step()
    world.call("DELETE", f"/message/batch/{batch}", login=LOGIN)
    seen |= set(world.database.read("SELECT queue, body FROM queue"))
    world.run(100.0, step=10.0)
    the_books_are_right(world)
    for queue, body in sorted(seen):  # at-least-once queues may bring any of it again
        if queue in ("Expand", "Submit", "SubmitBulk"):
            world.queue.send(queue, [body], "again")
    world.run(200.0, step=10.0)
    the_books_are_right(world)


def test_a_step_that_died_after_its_packets_is_given_back_once(
    world: World, small_steps: None
) -> None:
    """Its packets are on their queue; that they are does not stand in the record."""
    batch = list_of(world, 12)
    world.step()
    before = world.record(batch, LOGIN)
    assert isinstance(before, Batch)
    old = list(world.database.read("SELECT queue, body FROM queue"))
    world.step()
    present = world.record(batch, LOGIN)
    world.database.write(  # as it was before the second step
        "UPDATE records SET body = replace(body, ?, ?) WHERE id = ?",
        (f'"offset":{present.offset},"expanded":{present.expanded}',
         f'"offset":{before.offset},"expanded":{before.expanded}', batch),
    )  # fmt: skip
    world.database.touched()
    world.reopen()  # the store remembers what it wrote itself
    assert world.record(batch, LOGIN).expanded == before.expanded < present.expanded
    world.call("DELETE", f"/message/batch/{batch}", login=LOGIN)
    for queue, body in old:
        world.queue.send(queue, [body], "again")
    world.run(100.0, step=10.0)
    the_books_are_right(world)


@pytest.mark.parametrize("path", ["/message", "/message/batch"])
def test_a_list_that_nobody_has_taken_up_is_given_back_whole(
    world: World, small_steps: None, path: str
) -> None:
    batch = list_of(world, 12)
    assert world.call("DELETE", f"{path}/{batch}", login=LOGIN)[0] == 200
    world.run(100.0, step=10.0)
    assert world.taken == []
    assert entries(world, "refund") == [12 * PRICE]


def test_a_message_of_a_list_that_was_cancelled_by_itself_is_given_back(
    world: World, small_steps: None
) -> None:
    batch = list_of(world, 12)
    only = longlists.message_id(batch, MOBILE(7))
    assert world.call("DELETE", f"/message/{only}", login=LOGIN)[0] == 200
    world.step()
    world.call("DELETE", f"/message/batch/{batch}", login=LOGIN)
    world.run(100.0, step=10.0)
    assert world.record(only, LOGIN).state is State.DELETED
    the_books_are_right(world)


def test_what_of_a_cancelled_list_waits_for_its_upstream_is_not_sent_and_given_back(
    world: World, small_steps: None
) -> None:
    world.upstream = lambda _: Reached(503, b"")
    batch = list_of(world, 12)
    waiting: list[Any] = []
    while not waiting:
        world.step()
        waiting = [r for r in world.every_record(LOGIN) if r.state is State.SUBMITTING]
    assert world.call("DELETE", f"/message/batch/{batch}", login=LOGIN)[0] == 200
    world.upstream = world.take
    world.run(200.0, step=10.0)
    assert {world.record(message.id, LOGIN).state for message in waiting} == {State.DELETED}
    assert world.taken == []
    assert balance(world) == PAID


def test_a_file_that_is_cancelled_midway_is_charged_for_what_is_sent_of_it(
    world: World, small_steps: None
) -> None:
    identifier = file_of(world, 12, "oi {nome}")
    assert world.call("POST", f"/bulk/{identifier}/send", login=LOGIN)[0] == 200
    assert entries(world, "charge") == [-12 * PRICE]
    for _ in range(2):
        world.step()
    assert world.call("DELETE", f"/bulk/{identifier}", login=LOGIN)[0] == 200
    world.run(100.0, step=10.0)
    the_books_are_right(world)
    assert sum(entries(world, "refund")) > 0


def test_what_of_a_file_was_checked_goes_though_the_customers_switches_change(world: World) -> None:
    identifier = file_of(world, 5, "oi {nome}", "Rui;3432221111\n")
    assert world.call("POST", f"/bulk/{identifier}/send", login=LOGIN)[0] == 200
    assert entries(world, "charge") == [-6 * PRICE]
    switch(world, fixed_lines=False)
    world.run(100.0, step=10.0)
    assert len(world.taken) == 6
    assert entries(world, "refund") == []
    the_books_are_right(world)


def switch(world: World, **switches: Any) -> None:
    costcentre_update(world.deps, LOGIN, **switches)


def file_of(world: World, size: int, text: str, more: str = "") -> str:
    """A file that was uploaded and checked: its id."""
    if more:
        switch(world, fixed_lines=True)
    status, answer = world.call("POST", "/bulk", {"text": text}, login=LOGIN)
    assert status == 201, answer
    rows = [f"Ana {n};{MOBILE(n)}" for n in range(size)]
    content = "\n".join(["nome;telefone", *rows, more]).encode()
    world.bare.blobs.put(f"upload-{answer['bulk_id']}", content)
    world.call("POST", f"/bulk/{answer['bulk_id']}/check", login=LOGIN)
    world.drain()
    return str(answer["bulk_id"])
