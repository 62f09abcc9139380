"""The process is killed before and after every call that moving or cancelling a schedule makes."""

from pathlib import Path
from typing import Any

import pytest

from recado import accept
from tests.faults.test_death_between_calls import Life, die_everywhere, send
from tests.support.world import START

FIRST = "2026-05-28T21:00:00Z"  # 2,000 s after START
EARLIER, LATER = "2026-05-28T20:40:00Z", "2026-05-28T22:00:00Z"
DUE = {FIRST: 2_000.0, EARLIER: 800.0, LATER: 5_600.0}
BATCH = [{"destination_addr": f"553499888775{n}", "message": "oi"} for n in range(2)]


def batch(life: Life) -> str:
    body = {"list": BATCH, "send_at": FIRST}
    return str(life.world.call("POST", "/message/batch", body)[1]["batchId"])


def move(life: Life, identifier: str, to: str) -> tuple[int, dict[str, Any]] | None:
    """A move's answer, or None where the process died over it."""
    answer: tuple[int, dict[str, Any]] | None = life.survive(
        lambda: life.world.call("PATCH", f"/schedules/{identifier}", {"send_at": to})
    )
    return answer


def live_to(life: Life, seconds: float) -> None:
    """Lets time pass until so many seconds after the start."""
    life.world.run(START + seconds - life.world.now, step=100.0)


def goes_at(life: Life, due: list[float], amount: int) -> None:
    """What was promised goes at one of these times and not at another, and once."""
    live_to(life, min(due) - 10)
    assert life.world.taken == []
    for at in sorted(due):
        before = len(life.world.taken)
        live_to(life, at + 10)
        assert len(life.world.taken) in (before, amount)
    live_to(life, max(DUE.values()) + 300)
    assert len(life.world.taken) == amount
    assert life.world.database.read("SELECT count(*) FROM held") == [(0,)]


@pytest.mark.parametrize("to", [EARLIER, LATER])
def test_killed_in_a_move_a_message_goes_once_at_its_old_hour_or_at_its_new(
    tmp_path: Path, to: str
) -> None:
    def script(life: Life) -> None:
        identifier = send(life, send_at=FIRST)
        assert identifier is not None
        life.dying.arm()
        answer = move(life, identifier, to)
        life.dying.disarm()
        goes_at(life, [DUE[to]] if answer else [DUE[FIRST], DUE[to]], 1)

    die_everywhere(tmp_path, script, echo=True, at_least=5)


@pytest.mark.parametrize("to", [EARLIER, LATER])
def test_killed_in_a_second_move_a_message_goes_once(tmp_path: Path, to: str) -> None:
    between = "2026-05-28T21:30:00Z"

    def script(life: Life) -> None:
        identifier = send(life, send_at=FIRST)
        assert identifier is not None
        assert move(life, identifier, between)
        life.dying.arm()
        answer = move(life, identifier, to)
        life.dying.disarm()
        goes_at(life, [DUE[to]] if answer else [3_800.0, DUE[to]], 1)

    die_everywhere(tmp_path, script, echo=True, at_least=5)


@pytest.mark.parametrize("to", [EARLIER, LATER])
def test_killed_in_a_move_a_batch_goes_once(tmp_path: Path, to: str) -> None:
    def script(life: Life) -> None:
        identifier = batch(life)
        life.dying.arm()
        answer = move(life, identifier, to)
        life.dying.disarm()
        goes_at(life, [DUE[to]] if answer else [DUE[FIRST], DUE[to]], 2)
        [announced] = [t for t in life.world.told if t.get("batchId") == identifier]
        life.promised += [line["message_id"] for line in announced["list"]]
        assert len(life.promised) == 2

    die_everywhere(tmp_path, script, echo=True, at_least=5)


def test_killed_in_a_move_it_can_be_moved_once_more(tmp_path: Path) -> None:
    def script(life: Life) -> None:
        identifier = send(life, send_at=FIRST)
        assert identifier is not None
        life.dying.arm()
        move(life, identifier, LATER)
        life.dying.disarm()
        status, _ = life.world.call("PATCH", f"/schedules/{identifier}", {"send_at": EARLIER})
        assert status == 200
        listed = life.world.call("GET", "/schedules")[1]["schedules"]
        assert [one["id"] for one in listed] == [identifier]
        goes_at(life, [DUE[EARLIER]], 1)

    die_everywhere(tmp_path, script, echo=True, at_least=5)


def test_killed_in_a_move_a_batch_in_a_blob_goes_where_it_is_moved_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "INLINE_BYTES", 10)

    def script(life: Life) -> None:
        identifier = batch(life)
        life.dying.arm()
        move(life, identifier, EARLIER)
        life.dying.disarm()
        assert move(life, identifier, LATER)
        goes_at(life, [DUE[LATER]], 2)
        [announced] = [t for t in life.world.told if t.get("batchId") == identifier]
        life.promised += [line["message_id"] for line in announced["list"]]

    die_everywhere(tmp_path, script, echo=True, at_least=6)


@pytest.mark.parametrize("moved", [False, True])
def test_killed_in_a_cancelling_it_is_cancelled_or_goes_and_the_repetition_decides(
    tmp_path: Path, moved: bool
) -> None:
    def script(life: Life) -> None:
        identifier = send(life, send_at=FIRST)
        assert identifier is not None
        life.promised.clear()
        if moved:
            move(life, identifier, EARLIER)
        life.dying.arm()
        life.survive(lambda: life.world.call("DELETE", f"/schedules/{identifier}"))
        life.dying.disarm()
        again = life.world.call("DELETE", f"/schedules/{identifier}")
        assert again == (200, {"id": identifier, "state": "DELETED"})
        live_to(life, max(DUE.values()) + 300)
        assert (life.world.taken, life.world.told) == ([], [])
        assert life.world.database.read("SELECT count(*) FROM held") == [(0,)]

    die_everywhere(tmp_path, script, echo=True, at_least=3)
