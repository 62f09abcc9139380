"""What the AWS engine's accounts are like on their own: what they cost, how long they live, lost
answers and transactions that meet; and rivals, on ministack, with real threads."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from msgspec.structs import replace

from recado.engine import ACCOUNTS_KEPT, Engine, Entry, Held, Usage
from recado.engine.aws.parallel import NotAllTaken
from tests.engine.conftest import DAY, START, id_at
from tests.engine.test_aws import Aws, the_first_answer_is_lost
from tests.engine.test_aws_concurrency import RIVALS, Cloud
from tests.support.emulator import Emulator
from tests.support.metering import Call
from tests.support.processes import until


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.account.close()


@pytest.fixture
def cloud(emulator: Emulator) -> Iterator[Cloud]:
    made = Cloud(emulator)
    yield made
    made.account.close()


def _entry(n: int, kind: str, amount: int, cost_centre: str = "ana") -> Entry:
    return Entry(cost_centre, id_at(START + n, n), kind, amount, START)


def _held(n: int, due_at: float = START + DAY) -> Held:
    return Held(id_at(START + n, n), due_at, "Submit", "ana", f'{{"n":{n}}}')


def _pay(engine: Engine, amount: int) -> None:
    assert engine.store.credit([_entry(-1, "credit", amount)]) == [True]


def _charge(engine: Engine, n: int, amount: int, due_at: float = START + DAY) -> int | None:
    return engine.store.charge(_entry(n, "charge", -amount), _held(n, due_at))


def _actions(calls: list[Call]) -> list[str]:
    return [call.action.removeprefix("dynamodb:") for call in calls]


# --- what it costs -------------------------------------------------------------------------------


def test_a_charge_is_one_read_and_one_transaction(aws: Aws) -> None:
    _pay(aws.engine, 100)
    calls = aws.meter.during(lambda: _charge(aws.engine, 1, 1))
    # The minute in which it is due is listed first, and once: nobody could make up for it.
    assert _actions(calls) == ["GetItem", "PutItem", "TransactWriteItems"]
    assert calls[1].params["Item"]["pk"] == {"S": "due"}
    calls = aws.meter.during(lambda: _charge(aws.engine, 2, 1))
    assert _actions(calls) == ["GetItem", "TransactWriteItems"]
    assert [next(iter(write)) for write in calls[1].params["TransactItems"]] == [
        "Update",
        "Put",
        "Put",
        "Put",
    ]


def test_a_charge_that_can_not_be_paid_writes_nothing(aws: Aws) -> None:
    _pay(aws.engine, 1)
    calls = aws.meter.during(lambda: _charge(aws.engine, 1, 2))
    assert _actions(calls) == ["GetItem", "GetItem"]


def test_what_a_charge_holds_lies_there_as_hold_files_it(aws: Aws) -> None:
    _pay(aws.engine, 100)

    def filed() -> list[dict[str, Any]]:
        items = [i for i in aws.items() if i["pk"]["S"].partition("#")[0] in ("due", "held")]
        for item in items:
            item.pop("w", None)
        return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    held = replace(_held(1), body="oi " * 1000)
    aws.store.hold(held)
    as_held = filed()
    aws.store.release([held])
    assert len(filed()) < len(as_held)
    aws.store.charge(_entry(1, "charge", -1), held)
    assert filed() == as_held


def test_the_minute_of_what_is_overdue_is_listed_after_the_charge_too(aws: Aws) -> None:
    """It is over, so whoever finds it empty may take it off the list."""
    _pay(aws.engine, 100)
    overdue = START - DAY
    _, other, meter = aws.another()

    def take_it_off(**_: Any) -> None:
        assert other.store.due(START, 10) == []

    aws.on("before-call.dynamodb.TransactWriteItems", take_it_off)
    assert _charge(aws.engine, 1, 1, overdue) == 99
    assert _actions(meter.calls)[-1] == "DeleteItem"
    assert aws.store.due(START, 10) == [_held(1, overdue)]


def test_sixty_refunds_of_a_cost_centre_are_three_transactions(aws: Aws) -> None:
    refunds = [_entry(n, "refund", 1) for n in range(60)]
    calls = aws.meter.during(lambda: aws.store.credit(refunds))
    assert _actions(calls) == ["TransactWriteItems"] * 3
    # Where some stand, the others are credited without them.
    more = [_entry(n, "refund", 1) for n in range(50, 75)]
    calls = aws.meter.during(lambda: aws.store.credit(more))
    assert [len(call.params["TransactItems"]) for call in calls] == [1 + 25, 1 + 15]
    assert aws.store.balance("ana") == 75


# --- how long it lives ---------------------------------------------------------------------------


def test_entries_usage_and_counters_have_a_time_to_live_and_a_balance_has_none(aws: Aws) -> None:
    _pay(aws.engine, 5)
    aws.store.put_usage(Usage("ana", "2026-05-28", ()))
    aws.store.add("day", {"segments": 1}, limit=5, expires=START + 0.5)
    expires = {
        item["pk"]["S"].partition("#")[0]: int(item["expires"]["N"])
        for item in aws.items()
        if "expires" in item
    }
    assert expires.keys() == {"ledger", "usage", "count"}
    assert expires["ledger"] == int(START) - 1 + ACCOUNTS_KEPT
    assert expires["usage"] > START + ACCOUNTS_KEPT
    assert expires["count"] == START + 1
    assert {item["pk"]["S"] for item in aws.items() if "expires" not in item} == {"balance#ana"}


def test_what_has_lived_its_time_goes_and_the_balance_stays(cloud: Cloud) -> None:
    _pay(cloud.engine, 5)
    cloud.store.put_usage(Usage("ana", "2026-05-28", ()))
    cloud.store.add("day", {"segments": 1}, limit=5, expires=START + DAY)
    all_of_it = Counter({"balance": 1, "ledger": 1, "usage": 1, "count": 1})
    assert cloud.kinds() == all_of_it
    for later, left in (
        (DAY + 100, all_of_it - Counter({"count": 1})),
        (ACCOUNTS_KEPT + 3 * DAY, Counter({"balance": 1})),
    ):
        cloud.at(START + later)
        until(partial(_lies_there, cloud, left), lambda: f"{cloud.kinds()}")
    assert cloud.store.balance("ana") == 5


def _lies_there(cloud: Cloud, kinds: Counter[str]) -> bool:
    return cloud.kinds() == kinds


# --- lost answers, transactions that meet --------------------------------------------------------


def test_a_charge_whose_answer_was_lost_is_charged_once(aws: Aws) -> None:
    """moto knows no tokens: here it is the entry that stands."""
    _pay(aws.engine, 100)
    attempts = the_first_answer_is_lost(aws, "TransactWriteItems")
    assert _charge(aws.engine, 1, 30) == 70
    assert attempts == [1, 2]
    assert aws.store.balance("ana") == 70
    assert aws.store.due(START + DAY, 10) == [_held(1)]


def test_a_transaction_whose_answer_was_lost_is_known_again_as_our_own(cloud: Cloud) -> None:
    attempts: list[int] = []

    def again(**event: Any) -> int | None:
        attempts.append(event["attempts"])
        return 0 if event["attempts"] == 1 else None

    clients = cloud.account.clients()
    store = cloud.account.engine(lambda: START, ACCOUNTS_KEPT, clients).store
    events: Any = clients.dynamodb.meta.events
    events.register("needs-retry.dynamodb.TransactWriteItems", again)
    assert store.credit([_entry(n, "credit", 50) for n in range(2)]) == [True, True]
    assert store.charge(_entry(3, "charge", -30), _held(3)) == 70
    assert attempts == [1, 2] * 2
    assert store.balance("ana") == 70


def _cancelled(aws: Aws, *codes: str) -> list[str]:
    """The next transactions are cancelled for these reasons, one after another, for their first
    write. The tokens of all that are asked for from now on."""
    left, tokens = list(codes), []

    def cancel(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        asked = json.loads(params["body"])
        tokens.append(asked["ClientRequestToken"])
        if not left:
            return None
        reasons = [{"Code": "None"} for _ in asked["TransactItems"]]
        reasons[0] = {"Code": left.pop(0), "Message": "as the test wants it"}
        error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
        told = {"Error": error, "CancellationReasons": reasons, "ResponseMetadata": {}}
        return AWSResponse(params["url"], 400, HTTPHeaders(), None), told

    aws.on("before-call.dynamodb.TransactWriteItems", cancel)
    return tokens


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, at their longest; nobody waits."""
    made: list[float] = []
    monkeypatch.setattr("recado.engine.aws.parallel.time.sleep", made.append)
    monkeypatch.setattr("recado.engine.aws.parallel.random.uniform", lambda _, most: most)
    return made


@pytest.mark.parametrize(
    "code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_transactions_that_meet_others_are_tried_again_after_growing_pauses(
    aws: Aws, pauses: list[float], code: str
) -> None:
    tokens = _cancelled(aws, code, code)
    assert aws.store.credit([_entry(1, "credit", 100)]) == [True]
    assert pauses == [0.1, 0.2]
    assert len(set(tokens)) == len(tokens) == 3
    _cancelled(aws, code)
    assert _charge(aws.engine, 2, 30) == 70
    assert pauses == [0.1, 0.2, 0.1]


@pytest.mark.usefixtures("pauses")
def test_a_balance_that_others_change_each_time_is_charged_as_long_as_it_suffices(
    aws: Aws,
) -> None:
    _pay(aws.engine, 100)
    _, other, _ = aws.another()
    told: list[int | None] = []

    def be_faster(**_: Any) -> None:
        told.append(_charge(other, 100 + len(told), 10))

    aws.on("before-call.dynamodb.TransactWriteItems", be_faster)
    # Four turns from a balance that has changed by then, and a fifth from any that suffices.
    assert _charge(aws.engine, 1, 10) == 40
    assert told == [90, 80, 70, 60, 50]
    assert aws.store.balance("ana") == 40


@pytest.mark.usefixtures("pauses")
def test_a_balance_that_others_use_up_meanwhile_does_not_suffice(aws: Aws) -> None:
    _pay(aws.engine, 100)
    _, other, _ = aws.another()

    def spend(**_: Any) -> None:
        assert _charge(other, 2, 95) == 5

    aws.on("before-call.dynamodb.TransactWriteItems", spend)
    assert _charge(aws.engine, 1, 10) is None
    assert aws.store.balance("ana") == 5
    assert aws.store.due(START + DAY, 10) == [_held(2)]


@pytest.mark.usefixtures("pauses")
def test_in_a_rush_a_balance_that_others_use_up_meanwhile_does_not_suffice_either(aws: Aws) -> None:
    _pay(aws.engine, 100)
    _, other, _ = aws.another()
    amounts = [10, 10, 10, 10, 55]

    def spend(**_: Any) -> None:
        if amounts:
            assert _charge(other, 100 - len(amounts), amounts.pop(0)) is not None

    aws.on("before-call.dynamodb.TransactWriteItems", spend)
    assert _charge(aws.engine, 1, 10) is None
    assert aws.store.balance("ana") == 5


def test_transactions_that_always_meet_others_are_our_fault_and_change_nothing(
    aws: Aws, pauses: list[float]
) -> None:
    _pay(aws.engine, 100)
    _cancelled(aws, *["TransactionConflict"] * 16)
    with pytest.raises(NotAllTaken):
        _charge(aws.engine, 1, 10)
    with pytest.raises(NotAllTaken):
        aws.store.credit([_entry(2, "credit", 1)])
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0] * 2
    assert aws.store.balance("ana") == 100
    assert aws.store.due(START + DAY, 10) == []


@pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded"])
def test_a_transaction_that_can_not_be_made_is_not_tried_again(
    aws: Aws, pauses: list[float], code: str
) -> None:
    _pay(aws.engine, 100)
    tokens = _cancelled(aws, code, code)
    with pytest.raises(ClientError, match="cancelled"):
        _charge(aws.engine, 1, 10)
    with pytest.raises(ClientError, match="cancelled"):
        aws.store.credit([_entry(2, "credit", 1)])
    assert (len(tokens), pauses) == (2, [])


# --- rivals --------------------------------------------------------------------------------------


def test_of_rivals_who_spend_one_balance_none_overdraws_it_and_all_of_it_is_spent(
    cloud: Cloud,
) -> None:
    _pay(cloud.engine, 100)

    def spend(rival: int, engine: Engine) -> list[int]:
        numbers = [rival * 100 + n for n in range(20)]
        return [n for n in numbers if _charge(engine, n, 3) is not None]

    charged = sorted(n for mine in cloud.rivals(spend, 4) for n in mine)
    assert len(charged) == 33
    assert cloud.store.balance("ana") == 1
    ledger = cloud.store.ledger("ana", "", 1000)[1:]
    assert ledger == [_entry(n, "charge", -3) for n in charged]
    held = cloud.store.due(START + DAY, 100)
    assert {one.id for one in held} == {entry.id for entry in ledger}


def test_of_rivals_who_charge_the_same_only_one_charges(cloud: Cloud) -> None:
    _pay(cloud.engine, 100)

    def charge(_: int, engine: Engine) -> list[int | None]:
        return [_charge(engine, n, 10) for n in range(9)]

    told = cloud.rivals(charge)
    assert cloud.store.balance("ana") == 10
    assert len(cloud.store.ledger("ana", "", 100)) == 1 + 9
    assert all(balance is not None for mine in told for balance in mine)
    assert [mine[-1] for mine in told] == [10] * RIVALS
    assert len(cloud.store.due(START + DAY, 100)) == 9


def test_of_rivals_who_credit_the_same_each_entry_is_credited_by_one(cloud: Cloud) -> None:
    refunds = [_entry(n, "refund", n, f"cc-{n % 2}") for n in range(60)]

    def credit(rival: int, engine: Engine) -> list[bool]:
        # Each begins elsewhere, so that each finds some that stand.
        first = rival * 10
        told = engine.store.credit(refunds[first:] + refunds[:first])
        return told[60 - first :] + told[: 60 - first]

    told = cloud.rivals(credit, 3)
    assert [sum(mine) for mine in zip(*told, strict=True)] == [1] * 60
    assert cloud.store.balance("cc-0") == sum(range(0, 60, 2))
    assert cloud.store.balance("cc-1") == sum(range(1, 60, 2))


def test_what_some_charge_while_others_credit_adds_up(cloud: Cloud) -> None:
    _pay(cloud.engine, 1000)

    def work(rival: int, engine: Engine) -> int:
        numbers = range(rival * 100, rival * 100 + 10)
        if rival % 2:
            return sum(engine.store.credit([_entry(n, "refund", 7) for n in numbers])) * 7
        return -sum(5 for n in numbers if _charge(engine, n, 5) is not None)

    changes = cloud.rivals(work, 4)
    assert sorted(changes) == [-50, -50, 70, 70]
    assert cloud.store.balance("ana") == 1000 + sum(changes)
    assert sum(entry.amount for entry in cloud.store.ledger("ana", "", 1000)) == 1040


def test_a_counter_that_many_add_to_takes_its_limit_and_no_more(cloud: Cloud) -> None:
    def add(engine: Engine, fields: dict[str, int]) -> bool:
        return engine.store.add("day", fields, limit=100, expires=START + DAY)

    def work(_: int, engine: Engine) -> int:
        return sum(add(engine, {"segments": 3, "messages": 1}) for _ in range(20))

    assert sum(cloud.rivals(work)) == 33
    assert cloud.store.counts("day") == {"segments": 99, "messages": 33}
