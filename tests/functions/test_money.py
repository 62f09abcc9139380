"""Who pays in advance: what is charged, what is given back, and who is told of a low balance."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from recado import operations
from recado.account_operations import credit_add
from recado.costcentre import CostCentre
from recado.dialects import directcall_callbacks
from recado.http import Reached, Unreached
from recado.message import Message, State
from recado.money import refunds
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
    sent_by,
)
from tests.support.meddling import Meddling
from tests.support.world import START, World

HOUR = 3_600.0
DAY = 86_400.0
LATER = "2026-05-28T23:26:40Z"  # three hours after the start of a world's time
MIDNIGHT = START + 6 * HOUR + 33 * 60 + 20  # in São Paulo
MOBILE = "55349988877{:02}".format


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def switch(world: World, **switches: Any) -> None:
    operations.costcentre_update(world.deps, LOGIN, **switches)


def queued(world: World) -> list[tuple[str, str]]:
    return [
        (str(queue), str(body))
        for queue, body in world.database.read("SELECT queue, body FROM queue")
    ]


# --- charges -------------------------------------------------------------------------------------


def test_without_a_balance_zougs_api_answers_402_and_esme_rsubmitfail(world: World) -> None:
    payer(world)
    status, answer = post(world)
    assert (status, answer["esme"]) == (402, "ESME_RSUBMITFAIL")
    assert (answer["error"], answer["message"]) == (True, "Balance is insufficient!")
    world.run(120.0, step=10.0)
    assert world.taken == []
    assert ledger(world) == []


def test_without_a_balance_directcalls_api_answers_201(world: World) -> None:
    payer(world)
    status, answer = post_sms(world)
    assert (status, answer["status"], answer["codigo"]) == (200, "erro", "201")
    assert answer["msg"] == "201 - saldo: insuficiente"
    world.run(120.0, step=10.0)
    assert world.taken == []
    assert ledger(world) == []


def test_a_balance_never_falls_below_zero(world: World) -> None:
    payer(world, "0.25")
    assert [post(world)[0] for _ in range(4)] == [200, 200, 402, 402]
    assert balance(world) == 500
    world.drain()
    assert len(world.taken) == 2
    assert post_batch(world, [MOBILE(1), MOBILE(2)])[0] == 402, "a batch is taken whole or not"
    credit_add(world.deps, LOGIN, "0.05")
    assert post(world)[0] == 200
    assert balance(world) == 0


def test_a_message_is_charged_when_it_is_accepted_and_sent_at_once(world: World) -> None:
    payer(world, "1.00")
    identifier = posted(world)
    assert balance(world) == 10_000 - PRICE
    [charge] = [entry for entry in ledger(world) if entry.kind == "charge"]
    assert (charge.id, charge.amount) == (identifier, -PRICE)
    world.drain()
    assert len(world.taken) == 1, "without the clock"
    world.run(300.0, step=10.0)
    assert len(world.taken) == 1
    assert entries(world, "charge") == [-PRICE]
    assert entries(world, "refund") == []


def test_the_clock_leaves_what_is_being_accepted_alone(make_world: Callable[..., World]) -> None:
    worlds: list[World] = []
    meddling = Meddling(charge=lambda *_: worlds[0].tick())
    worlds.append(make_world(wrap=meddling.wrap))
    payer(worlds[0], "1.00")
    posted(worlds[0])
    assert [queue for queue, _ in queued(worlds[0])] == ["Submit"]


def test_each_segment_of_zougs_api_costs_the_price(world: World) -> None:
    payer(world, "1.00")
    posted(world, text="x" * 161)
    assert entries(world, "charge") == [-2 * PRICE]


def test_directcalls_api_charges_by_its_own_140_characters(world: World) -> None:
    payer(world, "1.00")
    status, answer = post_sms(world, texto="x" * 141, origem="5534988887777", id_origem="n")
    assert (status, answer["codigo"]) == (200, "000")
    assert entries(world, "charge") == [-2 * PRICE]
    world.drain()
    [message] = sent_by(world)
    assert (message.segments, message.units) == (1, 2)


def test_a_spoken_message_costs_the_price_of_voice(world: World) -> None:
    payer(world, "1.00")
    assert post_sms(world, tipo="voz")[1]["codigo"] == "000"
    assert entries(world, "charge") == [-3 * PRICE]


def test_who_does_not_pay_in_advance_is_charged_nothing(world: World) -> None:
    payer(world, prepaid=False)
    posted(world)
    world.drain()
    assert len(world.taken) == 1
    assert ledger(world) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"to": "553488556644"},
        {"to": "nobody"},
        {"text": " "},
        {"text": "x" * 5_000},
        {"send_at": "2026-05-27T12:00:00Z"},
        {"validity": 1},
        {"reference_id": ["x"]},
    ],
    ids=str,
)
def test_a_refused_request_is_charged_nothing(world: World, asked: dict[str, Any]) -> None:
    payer(world, "1.00", daily_quota=100)
    assert post(world, **asked)[0] == 400
    assert balance(world) == 10_000
    assert used_today(world) == 0


def test_what_no_route_leads_to_is_charged_nothing(world: World) -> None:
    payer(world, "1.00", daily_quota=100)
    world.route_is(prefix="5521")
    assert post(world)[0] == 503
    assert post_batch(world, [MOBILE(1), MOBILE(2)])[0] == 503
    assert post_sms(world)[0] == 503
    assert (balance(world), used_today(world)) == (10_000, 0)


def test_what_comes_too_fast_or_from_a_suspended_customer_is_charged_nothing(world: World) -> None:
    payer(world, "1.00", per_second=1)
    assert [post(world)[0] for _ in range(3)] == [200, 429, 429]
    operations.costcentre_suspend(world.deps, LOGIN)
    world.now += 2
    assert post(world)[0] == 403
    assert balance(world) == 10_000 - PRICE


def test_a_request_repeated_with_its_key_is_charged_once(world: World) -> None:
    payer(world, "1.00")
    asked = {"destination_addr": MOBILE(1), "message": "oi"}
    key = {"idempotency-key": "pedido-7"}
    answers = [world.call("POST", "/message", asked, login=LOGIN, headers=key) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert entries(world, "charge") == [-PRICE]


@pytest.mark.parametrize("switches", [{}, {"daily_quota": 1}], ids=["balance", "quota"])
def test_what_balance_or_quota_refuse_uses_up_no_key(
    world: World, switches: dict[str, Any]
) -> None:
    payer(world, "1.00" if switches else "", **switches)
    key = {"idempotency-key": "pedido-7"}
    long = {"destination_addr": MOBILE(1), "message": "oi " * 60}
    refused = world.call("POST", "/message", long, login=LOGIN, headers=key)[0]
    assert refused == (429 if switches else 402)
    credit_add(world.deps, LOGIN, "1.00")
    short = {"destination_addr": MOBILE(1), "message": "oi"}
    assert world.call("POST", "/message", short, login=LOGIN, headers=key)[0] == 200
    assert entries(world, "charge") == [-PRICE]


def test_a_batch_is_charged_for_its_valid_recipients_alone(world: World) -> None:
    payer(world, "1.00")
    numbers = [MOBILE(1), "nobody", MOBILE(2), "553488556644", MOBILE(3)]
    status, answer = post_batch(world, numbers, text="x" * 161)
    assert status == 200
    [charge] = [entry for entry in ledger(world) if entry.kind == "charge"]
    assert (charge.id, charge.amount) == (answer["batchId"], -3 * 2 * PRICE)
    world.drain()
    assert len(world.taken) == 3
    assert balance(world) == 10_000 - 6 * PRICE


def test_a_list_of_directcalls_is_charged_for_each_number_once(world: World) -> None:
    payer(world, "10.00")
    numbers = [MOBILE(n) for n in range(20)]
    answer = post_sms(world, destino=";".join([*numbers, numbers[0], "nobody"]))[1]
    assert answer["codigo"] == "000"
    world.drain()
    assert len(world.taken) == 20
    assert balance(world) == 100_000 - 20 * PRICE


def test_a_scheduled_message_is_charged_when_it_is_accepted_and_not_again(world: World) -> None:
    payer(world, "1.00")
    posted(world, send_at=LATER)
    assert balance(world) == 10_000 - PRICE
    world.run(4 * HOUR, step=600.0)
    assert len(world.taken) == 1
    assert balance(world) == 10_000 - PRICE


# --- refunds -------------------------------------------------------------------------------------


Way = Callable[[World], str]


def _answer(**said: str) -> Reached:
    return Reached(200, json.dumps(said).encode())


def _refused_by_the_upstream(world: World) -> str:
    world.upstream = lambda _: _answer(esme="ESME_RINVDSTADR")
    return posted(world)


def _told(stat: str) -> Way:
    def way(world: World) -> str:
        identifier = posted(world)
        world.drain(receipts=False)
        world.receipts[0]["stat"] = stat
        return identifier

    return way


def _told_before_the_answer(stat: str) -> Way:
    """The receipt comes while the upstream's answer to the submit is still on its way."""

    def way(world: World) -> str:
        def take(submit: dict[str, Any]) -> Reached:
            answer = world.take(submit)
            world.receipts[0]["stat"] = stat
            world.tell_receipts()
            while world.step():
                pass
            return answer

        world.upstream = take
        return posted(world)

    return way


def _never_taken(world: World) -> str:
    world.upstream = lambda _: Reached(503, b"")
    return posted(world, validity=30)


def _nowhere_to_go(world: World) -> str:
    identifier = posted(world, validity=30)
    world.route_is(prefix="5521")
    return identifier


def _perhaps_sent(world: World) -> str:
    world.upstream_is(after_uncertain="report")
    world.upstream = lambda _: Unreached("timed out", sent=True)
    return posted(world)


def _perhaps_sent_and_over(world: World) -> str:
    world.upstream = lambda _: Unreached("timed out", sent=True)
    return posted(world, validity=30)


def _cancelled(world: World) -> str:
    identifier = posted(world)
    assert world.call("DELETE", f"/message/{identifier}", login=LOGIN)[0] == 200
    return identifier


def _cancelled_before_its_hour(world: World) -> str:
    identifier = posted(world, send_at=LATER)
    assert world.call("DELETE", f"/message/{identifier}", login=LOGIN)[0] == 200
    return identifier


def _cancelled_as_a_schedule(world: World) -> str:
    identifier = posted(world, send_at=LATER)
    assert world.call("DELETE", f"/schedules/{identifier}", login=LOGIN)[0] == 200
    return identifier


def _moved_and_cancelled(world: World) -> str:
    identifier = posted(world, send_at=LATER)
    asked = {"send_at": "2026-05-29T23:26:40Z"}
    assert world.call("PATCH", f"/schedules/{identifier}", asked, login=LOGIN)[0] == 200
    assert world.call("DELETE", f"/schedules/{identifier}", login=LOGIN)[0] == 200
    return identifier


def _cancelled_while_it_waits_for_the_upstream(world: World) -> str:
    world.upstream = lambda _: Reached(503, b"")
    identifier = posted(world)
    world.drain()
    assert world.call("DELETE", f"/message/{identifier}", login=LOGIN)[0] == 200
    return identifier


GIVEN_BACK: dict[str, tuple[Way, State]] = {
    "the upstream refuses it": (_refused_by_the_upstream, State.REJECTED),
    "a receipt says REJECTED": (_told("REJECTD"), State.REJECTED),
    "an early receipt says REJECTED": (_told_before_the_answer("REJECTD"), State.REJECTED),
    "a receipt says DELETED": (_told("DELETED"), State.DELETED),
    "its validity ends before an upstream takes it": (_never_taken, State.EXPIRED),
    "its validity ends without a route": (_nowhere_to_go, State.EXPIRED),
    "it is cancelled on its queue": (_cancelled, State.DELETED),
    "it is cancelled before its hour": (_cancelled_before_its_hour, State.DELETED),
    "it is cancelled as a schedule": (_cancelled_as_a_schedule, State.DELETED),
    "it is moved and cancelled": (_moved_and_cancelled, State.DELETED),
    "it is cancelled between two tries": (
        _cancelled_while_it_waits_for_the_upstream,
        State.DELETED,
    ),
}
KEPT: dict[str, tuple[Way, State]] = {
    "it is delivered": (_told("DELIVRD"), State.DELIVERED),
    "a receipt says UNDELIV": (_told("UNDELIV"), State.UNDELIVERABLE),
    "a receipt says EXPIRED": (_told("EXPIRED"), State.EXPIRED),
    "an early receipt says EXPIRED": (_told_before_the_answer("EXPIRED"), State.EXPIRED),
    "a receipt says UNKNOWN": (_told("UNKNOWN"), State.UNKNOWN),
    "it was perhaps sent": (_perhaps_sent, State.UNKNOWN),
    "it was perhaps sent, and its validity ends": (_perhaps_sent_and_over, State.UNKNOWN),
}


@pytest.mark.parametrize("how", GIVEN_BACK)
def test_what_nobody_carried_is_given_back_once_however_often_all_of_it_comes_again(
    world: World, how: str
) -> None:
    payer(world, "1.00")
    way, state = GIVEN_BACK[how]
    identifier = way(world)
    bodies, receipts = queued(world), list(world.receipts)
    assert balance(world) == 10_000 - PRICE or state is State.DELETED
    world.run(300.0, step=10.0)
    assert world.record(identifier, LOGIN).state is state
    assert entries(world, "refund") == [PRICE]
    for _ in range(3):
        for queue, body in bodies:
            world.queue.send(queue, [body], "again")
        world.receipts += receipts
        world.run(100.0, step=10.0)
    assert world.record(identifier, LOGIN).state is state
    [refund] = [entry for entry in ledger(world) if entry.kind == "refund"]
    assert (refund.id, refund.amount) == (identifier, PRICE)
    assert balance(world) == 10_000


@pytest.mark.parametrize("how", KEPT)
def test_what_an_upstream_carried_or_may_have_is_not_given_back(world: World, how: str) -> None:
    payer(world, "1.00")
    way, state = KEPT[how]
    identifier = way(world)
    receipts = list(world.receipts)
    world.run(300.0, step=10.0)
    world.receipts += receipts
    world.run(100.0, step=10.0)
    assert world.record(identifier, LOGIN).state is state
    assert entries(world, "refund") == []
    assert balance(world) == 10_000 - PRICE


def test_what_was_perhaps_sent_is_given_back_when_a_receipt_says_that_it_was_rejected(
    world: World,
) -> None:
    payer(world, "1.00")
    identifier = _perhaps_sent(world)
    world.upstream = lambda submit: (world.take(submit), Unreached("timed out", sent=True))[1]
    world.drain(receipts=False)
    assert world.record(identifier, LOGIN).state is State.UNKNOWN
    assert balance(world) == 10_000 - PRICE
    world.receipts[0]["stat"] = "REJECTD"
    world.run(60.0)
    assert world.record(identifier, LOGIN).state is State.REJECTED
    assert balance(world) == 10_000


def test_what_our_side_could_not_send_is_given_back() -> None:
    """Nothing makes a message FAILED yet."""
    failed = Message(
        cost_centre="c", id="m", dialect="zoug", state=State.FAILED, due_at=0.0, expires_at=1.0,
        accepted_at=0.0, units=1, price=PRICE, submits=1,
    )  # fmt: skip
    assert refunds(failed)
    assert not refunds(msgspec.structs.replace(failed, price=0))


def test_a_price_that_changes_meanwhile_gives_back_what_was_charged(world: World) -> None:
    payer(world, "1.00")
    world.upstream = lambda _: _answer(esme="ESME_RINVDSTADR")
    posted(world)
    switch(world, price=7 * PRICE, prepaid=False)
    world.drain()
    assert entries(world, "refund") == [PRICE]
    assert balance(world) == 10_000


def test_of_a_batch_each_message_that_nobody_carried_is_given_back(world: World) -> None:
    payer(world, "1.00")

    def take(submit: dict[str, Any]) -> Reached:
        refused = submit["to"] == MOBILE(2)
        return _answer(esme="ESME_RINVDSTADR") if refused else world.take(submit)

    world.upstream = take
    post_batch(world, [MOBILE(1), MOBILE(2), MOBILE(3)], text="x" * 161)
    world.run(60.0)
    assert entries(world, "charge") == [-6 * PRICE]
    assert entries(world, "refund") == [2 * PRICE]
    assert balance(world) == 10_000 - 4 * PRICE


# --- cancelled batches ---------------------------------------------------------------------------


def _batch(world: World, **fields: Any) -> str:
    return str(post_batch(world, [MOBILE(1), "nobody", MOBILE(2)], **fields)[1]["batchId"])


@pytest.mark.parametrize("path", ["/message/batch", "/schedules"])
def test_a_batch_that_is_cancelled_before_its_hour_is_given_back(world: World, path: str) -> None:
    payer(world, "1.00")
    identifier = _batch(world, send_at=LATER)
    assert balance(world) == 10_000 - 2 * PRICE
    for _ in range(2):
        world.call("DELETE", f"{path}/{identifier}", login=LOGIN)
        world.run(4 * HOUR, step=600.0)
    assert world.taken == []
    assert entries(world, "refund") == [2 * PRICE]


def test_a_batch_that_was_moved_and_is_cancelled_is_given_back(world: World) -> None:
    payer(world, "1.00")
    identifier = _batch(world, send_at=LATER)
    asked = {"send_at": "2026-05-29T23:26:40Z"}
    assert world.call("PATCH", f"/schedules/{identifier}", asked, login=LOGIN)[0] == 200
    assert world.call("DELETE", f"/schedules/{identifier}", login=LOGIN)[0] == 200
    world.run(2 * DAY, step=HOUR)
    assert world.taken == []
    assert entries(world, "refund") == [2 * PRICE]


def test_a_batch_that_is_cancelled_on_its_queue_is_given_back(world: World) -> None:
    payer(world, "1.00")
    identifier = _batch(world)
    bodies = queued(world)
    assert world.call("DELETE", f"/message/batch/{identifier}", login=LOGIN)[0] == 200
    for _ in range(2):
        for queue, body in bodies:
            world.queue.send(queue, [body], "again")
        world.run(100.0, step=10.0)
    assert world.taken == []
    assert entries(world, "refund") == [2 * PRICE]


def test_what_of_a_batch_has_not_gone_when_it_is_cancelled_is_given_back(world: World) -> None:
    payer(world, "1.00")
    world.upstream = lambda submit: (
        world.take(submit) if submit["to"] == MOBILE(1) else Reached(503, b"")
    )
    identifier = _batch(world)
    world.drain()
    status, answer = world.call("DELETE", f"/message/batch/{identifier}", login=LOGIN)
    assert (status, answer["cancelled"], answer["gone"]) == (200, 1, 1)
    world.upstream = world.take
    world.run(300.0, step=10.0)
    assert len(world.taken) == 1
    assert entries(world, "refund") == [PRICE]


def test_a_message_that_is_cancelled_by_its_batchs_way_is_given_back(world: World) -> None:
    """Somebody who does not know which of the two an id is."""
    payer(world, "1.00")
    identifier = _batch(world)
    assert world.call("DELETE", f"/message/{identifier}", login=LOGIN)[0] == 200
    single = posted(world)
    assert world.call("DELETE", f"/message/batch/{single}", login=LOGIN)[0] == 200
    world.run(100.0, step=10.0)
    assert world.taken == []
    assert sorted(entries(world, "refund")) == [PRICE, 2 * PRICE]
    assert balance(world) == 10_000


# --- the daily quota -----------------------------------------------------------------------------


def used_today(world: World) -> int:
    return int(world.call("GET", "/balance", login=LOGIN)[1].get("used_today", 0))


def test_the_quota_counts_segments_and_is_taken_whole_or_not(world: World) -> None:
    payer(world, prepaid=False, daily_quota=3)
    posted(world, text="x" * 161)
    status, answer = post(world, text="x" * 161)
    assert (status, answer["esme"]) == (429, "ESME_RTHROTTLED")
    assert answer["message"] == "Daily quota of 3 segments does not suffice for 2 more today!"
    posted(world)
    assert post(world)[0] == 429
    assert post_sms(world)[1]["codigo"] == "008"
    assert used_today(world) == 3
    world.drain()
    assert len(world.taken) == 2


def test_the_quota_counts_what_is_taken_of_a_batch_and_of_a_list(world: World) -> None:
    payer(world, prepaid=False, daily_quota=25)
    assert _batch(world)
    assert used_today(world) == 2
    numbers = ";".join(MOBILE(n) for n in range(20))
    assert post_sms(world, destino=numbers)[1]["codigo"] == "000"
    assert used_today(world) == 22
    assert post_sms(world, destino=numbers)[1]["codigo"] == "008"
    assert used_today(world) == 22


@pytest.mark.parametrize(
    ("zone", "midnight"), [("America/Sao_Paulo", MIDNIGHT), ("UTC", MIDNIGHT - 3 * HOUR)]
)
def test_the_quota_begins_anew_at_the_customers_midnight(
    world: World, zone: str, midnight: float
) -> None:
    payer(world, prepaid=False, daily_quota=1, time_zone=zone)
    posted(world)
    world.now = midnight - 0.001
    assert post(world)[0] == 429
    world.now = midnight
    assert used_today(world) == 0
    posted(world)
    assert post(world)[0] == 429


def test_the_quota_is_given_back_where_the_balance_does_not_suffice(world: World) -> None:
    payer(world, "0.20", daily_quota=4)
    posted(world, text="x" * 161)
    assert [post(world)[0] for _ in range(3)] == [402, 402, 402]
    assert used_today(world) == 2
    credit_add(world.deps, LOGIN, "1.00")
    assert [post(world)[0] for _ in range(3)] == [200, 200, 429]


def test_a_quota_that_is_over_charges_nothing(world: World) -> None:
    payer(world, "1.00", daily_quota=1)
    assert [post(world)[0] for _ in range(3)] == [200, 429, 429]
    assert balance(world) == 10_000 - PRICE


# --- the low balance -----------------------------------------------------------------------------


def alerts(world: World) -> list[dict[str, Any]]:
    return [told for told in world.told if "alert" in told or "alerta" in told]


def test_a_low_balance_is_told_once_until_the_customer_pays(world: World) -> None:
    identifier = payer(world, "1.00", low_balance=8 * PRICE)
    for _ in range(2):
        posted(world)
    world.drain()
    assert alerts(world) == []
    for _ in range(3):
        posted(world)
        world.run(DAY, step=HOUR)
    [told] = alerts(world)
    assert told.pop("webhook-id").endswith(".alert")
    assert told == {
        "alert": "low_balance",
        "balance": "0.70",
        "report_date": "2026-05-28 17:26:40",
        "cost_center_id": identifier,
    }
    credit_add(world.deps, LOGIN, "0.40")
    posted(world)
    world.drain()
    assert len(alerts(world)) == 1, "0.80 is not below 0.80"
    posted(world)
    world.drain()
    assert [told["balance"] for told in alerts(world)] == ["0.70", "0.70"]


def test_what_is_given_back_does_not_make_it_told_again(world: World) -> None:
    payer(world, "1.00", low_balance=10 * PRICE)
    world.upstream = lambda _: _answer(esme="ESME_RINVDSTADR")
    for _ in range(5):
        posted(world)
        world.run(60.0)
        assert balance(world) == 10_000
    assert len(alerts(world)) == 1


def test_a_request_that_the_balance_refuses_tells_of_it_too(world: World) -> None:
    payer(world, "0.50", low_balance=8 * PRICE)
    assert post_batch(world, [MOBILE(n) for n in range(9)])[0] == 402
    world.drain()
    assert [told["balance"] for told in alerts(world)] == ["0.50"]


def test_who_wants_to_be_told_at_another_balance_is_told_at_that(world: World) -> None:
    payer(world, "1.00", low_balance=10 * PRICE)
    posted(world)
    switch(world, low_balance=9 * PRICE)
    posted(world)
    posted(world)
    world.drain()
    assert [told["balance"] for told in alerts(world)] == ["0.90", "0.80"]


def test_a_low_balance_is_told_in_the_dialect_of_the_request_that_found_it(world: World) -> None:
    payer(world, "1.00", low_balance=10 * PRICE)
    post_sms(world)
    world.drain()
    [told] = alerts(world)
    told.pop("webhook-id")
    [alert] = [r for r in world.every_record(LOGIN) if type(r).__name__ == "Alert"]
    cost_centre = msgspec.json.decode(
        world.bare.store.config("cost-centre", alert.cost_centre) or b"", type=CostCentre
    )
    assert alert.dialect == "directcall"
    assert told == directcall_callbacks.alert(alert, cost_centre)
    assert told["saldo"] == "0.90"


def test_a_notice_of_a_low_balance_waits_for_the_callback_url_and_is_replayed(world: World) -> None:
    payer(world, "1.00", low_balance=10 * PRICE)
    world.customer = lambda _: Reached(500, b"")
    posted(world)
    world.run(60.0)
    assert alerts(world) == []
    world.customer = lambda _: Reached(200, b"")
    world.run(HOUR, step=10.0)
    assert len(alerts(world)) == 1
    operations.replay(world.deps, LOGIN, START - 60, world.now)
    world.run(60.0)
    first, second = alerts(world)
    assert first == second


def test_without_a_limit_or_a_callback_url_nobody_is_told(world: World) -> None:
    payer(world, "0.20", login=LOGIN, callback_url="", low_balance=PRICE)
    payer(world, "0.10", login="caio")
    posted(world)
    posted(world)
    asked = {"destination_addr": MOBILE(1), "message": "oi"}
    assert world.call("POST", "/message", asked, login="caio")[0] == 200
    world.run(60.0)
    assert alerts(world) == []
    switch(world, callback_url="https://customer.example/reports")
    operations.replay(world.deps, LOGIN, START - 60, world.now)
    world.run(60.0)
    assert len(alerts(world)) == 1


# --- the customer's own look ---------------------------------------------------------------------


def test_the_balance_is_shown_to_its_customer(world: World) -> None:
    payer(world, "1.00", daily_quota=10)
    posted(world, text="x" * 161)
    assert world.call("GET", "/balance", login=LOGIN) == (
        200,
        {
            "prepaid": True,
            "currency": "BRL",
            "balance": "0.80",
            "daily_quota": 10,
            "used_today": 2,
        },
    )
    world.cost_centre("caio")
    assert world.call("GET", "/balance", login="caio")[1]["balance"] == "0.00"
    assert world.call("GET", "/balance", login="nobody")[0] == 401
