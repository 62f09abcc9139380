"""Long lists that are paused, cancelled and killed: nothing is lost, and nothing is paid for that
was not sent. Crashes fall between two calls on the engine, each durable by itself, as on AWS."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from recado.engine import Blobs, Engine, Queue, Store
from recado.message import State
from tests.support.books import LOGIN, PRICE, balance, ledger, payer, post_sms
from tests.support.dying import Death
from tests.support.world import World

PAID = 1_000_000  # a hundred
MakeWorld = Callable[..., World]


class Fated:
    """Before the next call of that name the process dies, or what it asks fails."""

    def __init__(self) -> None:
        self.call = ""
        self.fate: BaseException = Death()

    def wrap(self, engine: Engine) -> Engine:
        parts = [_Part(part, self) for part in (engine.store, engine.queue, engine.blobs)]
        return Engine(cast(Store, parts[0]), cast(Queue, parts[1]), cast(Blobs, parts[2]))


class _Part:
    def __init__(self, part: Any, fated: Fated) -> None:
        self._part, self._fated = part, fated

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self._fated.call == name:
                self._fated.call = ""
                raise self._fated.fate
            return method(*arguments, **named)

        return call


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recado.dialects.directcall_orders.MAX_WISHES", 10)
    monkeypatch.setattr("recado.longlists.STRETCH", 50)


def listed(world: World, size: int) -> tuple[str, str]:
    """Sends a list: its id and its callerid."""
    numbers = ";".join(f"55349988{n:05}" for n in range(size))
    status, answer = post_sms(world, destino=numbers)
    assert (status, answer["codigo"]) == (200, "000"), answer
    charge = next(entry.id for entry in ledger(world) if entry.kind == "charge")
    return charge, str(answer["callerid"])


def act(world: World, identifier: str, path: str = "", method: str = "POST") -> Any:
    return world.call(method, f"/bulk/{identifier}{path}", login=LOGIN)[1]


def paid_for_what_was_sent(world: World) -> None:
    assert balance(world) == PAID - PRICE * len(world.taken)


def test_a_paused_list_waits_quietly_and_expires_on_time(make_world: MakeWorld) -> None:
    world = make_world()
    payer(world, "100.00", validity=600)
    identifier, _ = listed(world, 100)
    world.work("Expand")
    assert act(world, identifier, "/pause")["state"] == "paused"
    world.run(590.0, step=5.0)
    assert world.taken == []
    world.run(120.0, step=1.0)
    assert {message.state for message in world.messages(LOGIN)} == {State.EXPIRED}
    assert not any(depth.ready + depth.delayed for depth in world.queue.depths())
    paid_for_what_was_sent(world)


def test_cancelling_stops_what_is_in_hand_and_says_how_many(make_world: MakeWorld) -> None:
    world = make_world()
    payer(world, "100.00")
    world.upstream_is(concurrency=5)
    _, callerid = listed(world, 100)
    world.work("Expand")
    said: list[Any] = []

    def taking(submit: dict[str, Any]) -> Any:
        if not said:
            said.append(world.call("POST", "/sms/remove", {"code": callerid}, login=LOGIN)[1])
        return world.take(submit)

    world.upstream = taking
    world.run(300.0, step=5.0)
    assert (said[0]["enviadas"], said[0]["canceladas"]) == (5, 95)
    assert len(world.taken) == 5
    paid_for_what_was_sent(world)


def test_a_list_whose_first_step_died_is_paused_and_resumed(make_world: MakeWorld) -> None:
    fated = Fated()
    world = make_world(wrap=fated.wrap)
    payer(world, "100.00")
    identifier, _ = listed(world, 30)
    fated.call = "put"
    with pytest.raises(Death):
        world.work("Expand")
    world.reopen()
    assert act(world, identifier, "/pause")["state"] == "paused"
    world.drain()
    act(world, identifier, "/resume")
    world.run(600.0, step=5.0)
    assert len(world.taken) == 30
    paid_for_what_was_sent(world)


def test_a_paused_list_whose_cancelling_died_is_given_back_when_it_is_cancelled_again(
    make_world: MakeWorld,
) -> None:
    fated = Fated()
    world = make_world(wrap=fated.wrap)
    payer(world, "100.00")
    identifier, _ = listed(world, 300)
    world.work("Expand", 1)
    assert act(world, identifier, "/pause")["state"] == "paused"
    fated.call = "send"
    with pytest.raises(Death):
        act(world, identifier, method="DELETE")
    world.reopen()
    assert act(world, identifier, method="DELETE")["state"] == "cancelled"
    world.run(600.0, step=5.0)
    assert world.taken == []
    paid_for_what_was_sent(world)


def test_what_is_taken_up_goes_though_it_can_not_be_counted(make_world: MakeWorld) -> None:
    fated = Fated()
    world = make_world(wrap=fated.wrap)
    payer(world, "100.00")
    listed(world, 30)
    world.work("Expand")
    fated.call, fated.fate = "add", RuntimeError("throttled")
    world.run(60.0, step=5.0)
    assert len(world.taken) == 30
    assert not any(message.maybe_sent for message in world.messages(LOGIN))


def test_a_list_is_done_though_one_of_it_was_cancelled(make_world: MakeWorld) -> None:
    world = make_world()
    payer(world, "100.00")
    identifier, callerid = listed(world, 30)
    world.work("Expand")
    asked = {"code": callerid, "destino": "5534998800007"}
    assert world.call("POST", "/sms/remove", asked, login=LOGIN)[1]["codigo"] == "000"
    world.run(60.0, step=5.0)
    assert len(world.taken) == 29
    assert act(world, identifier, method="GET")["state"] == "done"
    paid_for_what_was_sent(world)
