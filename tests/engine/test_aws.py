"""What is the AWS engine's own: what it costs, lost answers, what AWS leaves over, what it refuses,
and what waits for its hour."""

import math
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from msgspec.structs import replace
from urllib3.response import HTTPResponse

from recado.engine import Endpoint, Engine, Held, Remembered
from recado.engine.aws import open_engine
from recado.engine.aws.blobs import S3Blobs
from recado.engine.aws.clients import Clients
from recado.engine.aws.held import items_of
from recado.engine.aws.parallel import NotAllTaken, in_threads
from recado.errors import Misconfigured, NotFound
from recado.message import Alert, Event, Key, Report, State, key_of
from tests.engine.conftest import DAY, RETENTION, START, batch, id_at, message, reply
from tests.support.aws import Account
from tests.support.metering import Meter, read_units, write_units

MINUTE = 60.0


class Aws:
    """An account with an engine on it, and everything that the engine asks."""

    def __init__(self) -> None:
        self.now = START
        self.account = Account(START)
        self.clients, self.engine, self.meter = self.another()
        self.store, self.queue = self.engine.store, self.engine.queue

    def another(self) -> tuple[Clients, Engine, Meter]:
        """Another environment on the same account."""
        clients = self.account.clients()
        engine = self.account.engine(lambda: self.now, RETENTION, clients)
        return clients, engine, Meter(clients)

    def at(self, now: float) -> None:
        self.now = now
        self.account.at(now)

    def on(self, event: str, work: Callable[..., Any]) -> None:
        """Calls `work` at an event of botocore."""
        service = event.split(".")[1]
        client: Any = {"dynamodb": self.clients.dynamodb, "sqs": self.clients.sqs}[service]
        client.meta.events.register(event, work)

    def items(self) -> list[dict[str, Any]]:
        """All that lies in the messages table."""
        answer = self.clients.dynamodb.scan(TableName="MessagesTable")
        assert "LastEvaluatedKey" not in answer
        return list(answer["Items"])

    def sent(self, work: Callable[[], Any]) -> list[list[dict[str, Any]]]:
        """The entries of each call by which some work sends to a queue."""
        calls = self.meter.during(work)
        return [c.params["Entries"] for c in calls if c.action == "sqs:SendMessageBatch"]


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.account.close()


def the_first_answer_is_lost(aws: Aws, operation: str) -> list[int]:
    """From now on botocore takes every first answer for none, as when a connection breaks."""
    attempts: list[int] = []

    def again(**event: Any) -> int | None:
        attempts.append(event["attempts"])
        return 0 if event["attempts"] == 1 else None

    aws.on(f"needs-retry.dynamodb.{operation}", again)
    return attempts


# --- what it costs -------------------------------------------------------------------------------

_CODE = "Seu código de acesso é 123456. Não o compartilhe com ninguém. Ele vale por dez minutos."
_LONG = "Prezada cliente, a sua fatura de maio está disponível no nosso aplicativo. " * 9


def _lived(text: str) -> list[Any]:
    """A message in the states of its usual life, as they are written one after another."""
    times = [START + n + 0.1234567 for n in range(7)]
    claimed = message(
        START + 0.123,
        cost_centre="0d5a2b0e-7b0f-4f5e-9e57-3c1f0f4f7a11",
        text=text,
        state=State.SUBMITTING,
        segments=1,
        reference="pedido-2026-000123",
        connector="simulator",
        claim="019e7044-8800-73b0-8442-98fc1c149afb",
        claimed_until=times[1] + 60,
        submits=1,
        history=(Event(times[0], State.QUEUED), Event(times[1], State.SUBMITTING, "simulator")),
    )
    enroute = replace(
        claimed,
        state=State.ENROUTE,
        claim="",
        upstream_ids=("f3b0c442-98fc-4c14-9afb-f4c8996fb924",),
        history=(*claimed.history, Event(times[2], State.ENROUTE)),
        reports=(Report("1", times[2], stat="ESME_ROK"),),
    )
    told = replace(enroute, reports=(replace(enroute.reports[0], given_at=times[3]),))
    second = Report("2", times[4], stat="DELIVRD", err="000")
    delivered = replace(
        told,
        state=State.DELIVERED,
        history=(*told.history, Event(times[4], State.DELIVERED, "000")),
        reports=(*told.reports, second),
    )
    done = replace(delivered, reports=(*told.reports, replace(second, given_at=times[5])))
    return [
        replace(one, version=n) for n, one in enumerate((claimed, enroute, told, delivered, done))
    ]


@pytest.mark.parametrize("text", [_CODE, _LONG], ids=["a code", "five segments"])
def test_a_message_and_its_reports_take_six_units_of_writing(aws: Aws, text: str) -> None:
    """The claim and its index entry, the outcome, the first report, the receipt, the second."""
    states = _lived(text)
    aws.store.create([message(START, "the day's first", cost_centre=states[0].cost_centre)])

    def live() -> None:
        assert aws.store.create([states[0]]) == [None]
        for before, after in enumerate(states[1:]):
            assert aws.store.replace([replace(after, version=before)]) == [after]

    calls = aws.meter.during(live)
    assert [call.action for call in calls] == ["dynamodb:PutItem"] * 5
    assert (write_units(calls), read_units(calls)) == (6, 0)
    assert aws.store.records([key_of(states[-1])]) == [states[-1]]


def test_a_packet_of_a_hundred_is_read_in_one_call_and_its_refs_are_written_in_four(
    aws: Aws,
) -> None:
    records = [message(START + n / 1000, n) for n in range(100)]
    aws.store.create(records)
    keys = [key_of(record) for record in records]
    calls = aws.meter.during(lambda: aws.store.records(keys))
    assert [call.action for call in calls] == ["dynamodb:BatchGetItem"]
    assert read_units(calls) == 100
    refs = [("simulator", f"u-{n}", key) for n, key in enumerate(keys)]
    calls = aws.meter.during(lambda: aws.store.put_refs(refs))
    assert [call.action for call in calls] == ["dynamodb:BatchWriteItem"] * 4
    assert write_units(calls) == 100
    assert aws.store.by_refs([("simulator", "u-99")])[0] == keys[99]


def test_more_than_a_call_reads_are_read_by_several(aws: Aws) -> None:
    records = [message(START + n / 1000, n) for n in range(201)]
    aws.store.create(records)
    keys = [key_of(record) for record in records]
    calls = aws.meter.during(lambda: aws.store.records(keys))
    assert [len(c.params["RequestItems"]["MessagesTable"]["Keys"]) for c in calls] == [100, 100, 1]
    assert aws.store.records(keys) == records


def test_a_day_of_a_cost_centre_is_announced_once_by_each_environment(aws: Aws) -> None:
    _, other, meter = aws.another()
    aws.store.create([message(START, 1)])
    assert len(aws.meter.during(lambda: aws.store.create([message(START, 2)]))) == 1
    assert len(meter.during(lambda: other.store.create([message(START, 3)]))) == 2
    assert len(meter.during(lambda: other.store.create([message(START, 4)]))) == 1


def test_a_range_is_read_where_there_is_something_and_nowhere_else(aws: Aws) -> None:
    records = [message(START + n * 9 * DAY) for n in range(3)]
    aws.store.create(records)

    def read() -> None:
        found = aws.store.records_between("ana", 0.0, START + 1000 * DAY, "", 100)
        assert found == records

    # The list of days, and at most three days of 24 hours in 8 shards.
    calls = aws.meter.during(read)
    assert 1 + 8 < len(calls) <= 1 + 3 * 24 * 8
    first_page = aws.meter.during(
        lambda: aws.store.records_between("ana", START - 60, START + 1000 * DAY, "", 1)
    )
    assert len(first_page) == 1 + 8


def test_a_page_of_large_records_is_whole(aws: Aws) -> None:
    """A query answers a megabyte at a time, and a page that ends early would end a replay."""
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(100_000))
    records = [message(START + n, text=noise) for n in range(8)]
    aws.store.create(records)
    keys = [key_of(record) for record in records]
    assert aws.store.records_between("ana", START, START + 60, "", 8) == records
    assert aws.store.records(keys) == records


def test_a_held_message_costs_two_writes_and_its_minute_another_once(aws: Aws) -> None:
    def hold(n: int) -> Callable[[], None]:
        return lambda: aws.store.hold(_held(n, START + 3600 + n))

    assert write_units(aws.meter.during(hold(1))) == 3
    assert write_units(aws.meter.during(hold(2))) == 2


def test_a_minute_in_which_nothing_is_due_costs_one_read(aws: Aws) -> None:
    aws.store.hold(_held(1, START + DAY))
    calls = aws.meter.during(lambda: aws.store.due(START, 500))
    assert [call.action for call in calls] == ["dynamodb:Query"]
    assert read_units(calls) == 1


# --- lost answers --------------------------------------------------------------------------------


def test_a_write_whose_answer_was_lost_is_known_again_as_our_own(aws: Aws) -> None:
    attempts = the_first_answer_is_lost(aws, "PutItem")
    record, entry = message(), Remembered("ana", "k", "hash", "id", START)
    assert aws.store.create([record]) == [None]
    [written] = aws.store.replace([replace(record, text="new")])
    assert written == replace(record, text="new", version=1)
    assert aws.store.remember(entry) is None
    assert aws.store.put_config("route", "r", b"0", 0)
    assert aws.store.put_config("route", "r", b"1", 1)
    assert aws.store.put_endpoint(Endpoint("ana", "stalled", START, version=1))
    assert attempts.count(1) == attempts.count(2) == 7  # the day's, and these six


def test_what_stood_there_is_told_also_where_an_answer_was_lost(aws: Aws) -> None:
    first, second = message(claim="first"), message(claim="second")
    aws.store.create([first])
    the_first_answer_is_lost(aws, "PutItem")
    assert aws.store.create([second]) == [first]
    assert aws.store.replace([replace(second, version=7)]) == [None]
    assert aws.store.remember(Remembered("ana", "k", "hash", "id", START)) is None
    other = Remembered("ana", "k", "other", "other", START + 1)
    assert aws.store.remember(other) == Remembered("ana", "k", "hash", "id", START)


# --- what AWS leaves over ------------------------------------------------------------------------


def test_what_a_read_leaves_over_is_asked_for_again(aws: Aws) -> None:
    records = [message(START, n) for n in range(20)]
    aws.store.create(records)
    asked: list[int] = []

    def half(parsed: dict[str, Any], **_: Any) -> None:
        items = parsed["Responses"]["MessagesTable"]
        asked.append(len(items))
        keep = math.ceil(len(items) / 2)
        keys = [{name: item[name] for name in ("pk", "sk")} for item in items[keep:]]
        del items[keep:]
        if keys:
            left = {"Keys": keys, "ConsistentRead": True}
            parsed["UnprocessedKeys"] = {"MessagesTable": left}

    aws.on("after-call.dynamodb.BatchGetItem", half)
    assert aws.store.records([key_of(record) for record in records]) == records
    assert asked == [20, 10, 5, 2, 1]


def test_what_a_write_leaves_over_is_written_again(aws: Aws) -> None:
    written: list[int] = []
    asked: list[list[Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params["RequestItems"]["MessagesTable"])

    def all_but_one(parsed: dict[str, Any], **_: Any) -> None:
        written.append(len(asked[-1]))
        if len(asked[-1]) > 1:
            parsed["UnprocessedItems"] = {"MessagesTable": asked[-1][1:]}

    aws.on("before-parameter-build.dynamodb.BatchWriteItem", note)
    aws.on("after-call.dynamodb.BatchWriteItem", all_but_one)
    aws.store.put_refs([("simulator", f"u-{n}", Key("ana", id_at(START, n))) for n in range(3)])
    assert written == [3, 2, 1]


def test_messages_that_a_batch_call_did_not_take_are_sent_again_and_no_others(aws: Aws) -> None:
    def the_second_fails(parsed: dict[str, Any], **_: Any) -> None:
        if len(parsed["Successful"]) > 1:
            failed = parsed["Successful"].pop(1)["Id"]
            parsed["Failed"] = [{"Id": failed, "SenderFault": False, "Code": "InternalError"}]

    aws.on("after-call.sqs.SendMessageBatch", the_second_fails)
    calls = aws.sent(lambda: aws.queue.send("Submit", ["one", "two", "three"], "ana", delay=5))
    assert [[e["MessageBody"] for e in entries] for entries in calls] == [
        ["one", "two", "three"],
        ["two"],
    ]
    assert {(e["MessageGroupId"], e["DelaySeconds"]) for es in calls for e in es} == {("ana", 5)}


def test_what_is_left_over_each_time_is_asked_for_with_growing_pauses_and_then_our_fault(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("recado.engine.aws.parallel.time.sleep", pauses.append)
    monkeypatch.setattr("recado.engine.aws.parallel.random.uniform", lambda _, most: most)

    def all_left(parsed: dict[str, Any], **_: Any) -> None:
        parsed["UnprocessedKeys"] = {"MessagesTable": {"Keys": [], "ConsistentRead": True}}

    aws.on("after-call.dynamodb.BatchGetItem", all_left)
    aws.store.create([message()])
    with pytest.raises(NotAllTaken):
        aws.store._table.get_all([("x", "y")])  # type: ignore[attr-defined] # DynamoDBStore's
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_a_message_that_sqs_never_takes_is_our_fault(aws: Aws) -> None:
    def fails(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Failed"] = [{"Id": "0", "SenderFault": True, "Code": "InvalidMessageContents"}]

    aws.on("after-call.sqs.SendMessageBatch", fails)
    with pytest.raises(NotAllTaken, match="InvalidMessageContents"):
        aws.queue.send("Submit", ["one"], "ana")
    with pytest.raises(NotAllTaken, match="InvalidMessageContents"):
        aws.queue.bury("Submit", "one", "ana")


# --- what SQS and DynamoDB refuse ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "sizes"),
    [
        (["x"] * 25, [10, 10, 5]),
        (["x" * 60_000] * 6, [4, 2]),
        (["é" * 60_000] * 3, [2, 1]),
        (["x" * 240_000, "y", "z" * 240_000], [2, 1]),
        (["x" * 300_000, "y"], [1, 1]),
    ],
    ids=["many", "large", "of two bytes", "mixed", "above the bound"],
)
def test_a_call_sends_at_most_ten_messages_and_256_kilobytes(
    aws: Aws, bodies: list[str], sizes: list[int]
) -> None:
    calls = aws.sent(lambda: aws.queue.send("Submit", bodies, "ana"))
    assert [len(entries) for entries in calls] == sizes
    assert [entry["MessageBody"] for entries in calls for entry in entries] == bodies


@pytest.mark.parametrize("group", ["operadora são joão", "a b", "x" * 129, "é"])
def test_a_group_may_have_any_name(aws: Aws, group: str) -> None:
    [[entry]] = aws.sent(lambda: aws.queue.send("Submit", ["one"], group))
    name = entry["MessageGroupId"]
    assert name.isascii()
    assert name.isalnum()
    assert len(name) <= 128
    [[other]] = aws.sent(lambda: aws.queue.send("Submit", ["one"], group + "x"))
    assert other["MessageGroupId"] != name


def test_what_has_no_group_names_none_which_would_be_paid_for(aws: Aws) -> None:
    calls = aws.sent(lambda: aws.queue.send("Submit", ["one", "two"], "", delay=5))
    calls += aws.sent(lambda: aws.queue.bury("Submit", "three", ""))
    assert [sorted(entry) for entries in calls for entry in entries] == [
        ["DelaySeconds", "Id", "MessageBody"],
        ["DelaySeconds", "Id", "MessageBody"],
        ["Id", "MessageBody"],
    ]


def test_a_delay_is_whole_seconds_and_never_shorter(aws: Aws) -> None:
    for delay, sent in ((0.2, 1), (1.0, 1), (1.5, 2), (899.1, 900)):
        [[entry]] = aws.sent(lambda: aws.queue.send("Submit", ["x"], "ana", delay=delay))  # noqa: B023 - called at once
        assert entry["DelaySeconds"] == sent


def test_characters_that_sqs_does_not_carry_go_as_their_escapes(aws: Aws) -> None:
    aws.queue.send("Submit", ['{"text":"a\uffffb\ufffec"}'], "ana")
    [row] = aws.queue.receive("Submit", 1)
    assert row.body == '{"text":"a\\uffffb\\ufffec"}'


@pytest.mark.parametrize("body", ["çãé 👍🏽 \t\n '\"", "x" * 240_000, "é" * 120_000])
def test_what_a_dead_process_had_in_hand_comes_back_as_it_went_in(aws: Aws, body: str) -> None:
    aws.queue.send("Submit", [body], "ana")
    assert [row.body for row in aws.queue.receive("Submit", 1)] == [body]
    _, other, _ = aws.another()
    assert other.queue.receive("Submit", 1) == []
    aws.at(START + 241)
    assert [row.body for row in other.queue.receive("Submit", 1)] == [body]


def test_what_is_no_id_of_ours_is_the_key_of_nothing_and_costs_no_read(aws: Aws) -> None:
    names = [
        "",
        "x",
        "x" * 3000,
        id_at(START)[:-1],
        "não é",
        "00000000-0000-0000-0000-000000000000",
    ]
    keys = [Key("ana", name) for name in names]
    assert aws.meter.during(lambda: aws.store.records(keys)) == []
    assert aws.store.records([*keys, key_of(message())]) == [None] * 7
    assert aws.store.records([Key("x" * 3000, id_at(START))]) == [None]


@pytest.mark.parametrize("name", ["", "x" * 1025, "é" * 513])
def test_a_login_that_can_be_no_key_is_unknown(aws: Aws, name: str) -> None:
    assert aws.store.config("login", name) is None


def test_names_of_any_length_lead_to_their_own(aws: Aws) -> None:
    long = "u" * 5_000
    one, two = Key("ana", id_at(START, 1)), Key("ana", id_at(START, 2))
    aws.store.put_refs([("simulator", long + "1", one), ("simulator", long + "2", two)])
    assert aws.store.by_refs([("simulator", long + "1")])[0] == one
    assert aws.store.by_refs([("simulator", long + "2")])[0] == two
    entry = Remembered("ana", long, "hash", "id", START)
    assert aws.store.remember(entry) is None
    assert aws.store.remember(replace(entry, body_hash="other")) == entry
    assert aws.store.remember(replace(entry, key=long + "x")) is None


def test_a_separator_within_a_name_runs_nothing_together(aws: Aws) -> None:
    one, two = Key("ana", id_at(START, 1)), Key("ana", id_at(START, 2))
    aws.store.put_refs([("a", "b#c", one), ("a#b", "c", two)])
    assert (aws.store.by_refs([("a", "b#c")])[0], aws.store.by_refs([("a#b", "c")])[0]) == (
        one,
        two,
    )
    assert aws.store.remember(Remembered("a", "b#c", "hash", "id", START)) is None
    assert aws.store.remember(Remembered("a#b", "c", "hash", "id", START)) is None
    aws.store.create([message(cost_centre="a#b")])
    assert aws.store.newest_to(message().to, 1) == [Key("a#b", message().id)]


# --- time to live --------------------------------------------------------------------------------


def test_everything_has_its_time_to_live_counted_from_its_due_date(aws: Aws) -> None:
    due = START + 30 * DAY + 0.5  # scheduled
    aws.store.create([message(due), batch(due), reply(due)])
    aws.store.replace([message(due)])
    aws.store.put_refs([("simulator", "u-1", key_of(message(due)))])
    aws.store.hold(_held(1, due))
    aws.store.remember(Remembered("ana", "k", "hash", "id", START))
    aws.store.mark_queued(Remembered("ana", "k2", "hash", "id", START))
    aws.store.take("rate#ana", 1, 10, START)
    aws.store.put_endpoint(Endpoint("ana", "parked", START, version=1))
    expires: dict[str, set[int]] = {}
    for item in aws.items():
        kind = item["pk"]["S"].partition("#")[0]
        expires.setdefault(kind, set()).add(int(item["expires"]["N"]) if "expires" in item else 0)
    ends = int(due + RETENTION)
    [announced] = expires.pop("days")
    assert ends < announced <= ends + 2 * DAY
    assert expires == {
        "cc": {ends},
        "ref": {ends},
        "due": {ends},
        "held": {ends},
        "list": {ends},
        "idem": {int(START + DAY)},
        "take": {int(START) + 3600},
        "endpoint": {0},
    }


def test_what_is_held_although_it_is_long_overdue_lives_from_now_on(aws: Aws) -> None:
    aws.store.hold(_held(1, START - RETENTION - DAY))
    assert {int(item["expires"]["N"]) for item in aws.items()} == {int(START + RETENTION)}


# --- what waits for its hour ---------------------------------------------------------------------


def _held(n: int, due_at: float, body: str = "{}") -> Held:
    return Held(id_at(START, n), due_at, "Submit", "ana", body)


def _hand_over(aws: Aws, limit: int = 500) -> list[Held]:
    """What the clock function does."""
    handed: list[Held] = []
    while due := aws.store.due(aws.now, limit):
        aws.store.release(due)
        handed += due
    return handed


def _listed_minutes(aws: Aws) -> int:
    return sum(item["pk"]["S"] == "due" for item in aws.items())


def test_all_is_handed_over_in_order_although_the_clock_stood_still_for_a_day(aws: Aws) -> None:
    held = [_held(n, START + 1 + n * 1_733.3) for n in range(50)]
    for one in reversed(held):
        aws.store.hold(one)
    aws.at(START + DAY + 10)
    assert _hand_over(aws, limit=20) == held
    assert aws.store.due(aws.now, 500) == []
    assert [item for item in aws.items() if item["pk"]["S"].startswith("due#")] == []


def test_the_list_of_minutes_shrinks_to_those_that_may_still_hold_something(aws: Aws) -> None:
    for n in range(10):
        aws.store.hold(_held(n, START + 1 + n * MINUTE))
    aws.at(START + 10 * MINUTE)
    _hand_over(aws)
    aws.at(START + 30 * MINUTE)
    assert _hand_over(aws) == []
    assert _listed_minutes(aws) == 0


def test_what_comes_late_for_a_minute_that_left_the_list_is_handed_over(aws: Aws) -> None:
    early, late = _held(1, START + 1), _held(2, START + 2)
    aws.store.hold(early)
    aws.at(START + 30 * MINUTE)
    assert _hand_over(aws) == [early]
    _hand_over(aws)
    assert _listed_minutes(aws) == 0
    aws.store.hold(late)
    assert _hand_over(aws) == [late]


def test_what_is_held_while_its_minute_leaves_the_list_is_handed_over(aws: Aws) -> None:
    """The minute was found empty, and its leaving is on its way."""
    _, other, _ = aws.another()
    first, late = _held(1, START + 1), _held(2, START + 2)
    aws.store.hold(first)
    aws.store.release([first])
    aws.at(START + 30 * MINUTE)
    held: list[Held] = []

    def just_now(**_: Any) -> None:
        if not held:
            held.append(late)
            other.store.hold(late)

    aws.on("before-call.dynamodb.DeleteItem", just_now)
    assert aws.store.due(aws.now, 500) == []
    assert held
    assert aws.store.due(aws.now, 500) == [late]


@pytest.mark.parametrize("looked_before", [2, 3])
def test_what_is_held_while_another_looks_is_handed_over(aws: Aws, looked_before: int) -> None:
    """The other looks after each write of a hold but the last, while the minute is still on the
    list and long over."""
    _, other, _ = aws.another()
    aws.store.hold(_held(1, START + 1))
    aws.store.release([_held(1, START + 1)])
    aws.at(START + 30 * MINUTE)
    writes: list[Any] = []

    def look(params: Any, **_: Any) -> None:
        writes.append(params)
        if len(writes) == looked_before:
            other.store.due(aws.now, 500)

    aws.on("before-call.dynamodb.PutItem", look)
    aws.store.hold(_held(2, START + 2))
    assert len(writes) == 3
    assert aws.store.due(aws.now, 500) == [_held(2, START + 2)]


def test_a_minute_that_this_environment_listed_long_ago_is_listed_again_when_it_must(
    aws: Aws,
) -> None:
    _, other, _ = aws.another()
    aws.store.hold(_held(1, START + 1))
    other.store.hold(_held(2, START + 2))
    aws.at(START + 30 * MINUTE)
    assert len(_hand_over(aws)) == 2
    _hand_over(aws)
    other.store.hold(_held(3, START + 3))
    assert _hand_over(aws) == [_held(3, START + 3)]


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_more_than_a_page_of_large_bodies_is_handed_over_in_order(aws: Aws, limit: int) -> None:
    """A page ends at a megabyte, at another hour in each shard."""
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(60_000))
    held = [_held(n, START + 1 + n / 10, noise) for n in range(30)]
    for one in held:
        aws.store.hold(one)
    aws.at(START + 10)
    assert _hand_over(aws, limit) == held


def test_what_is_due_later_in_the_present_minute_waits(aws: Aws) -> None:
    minute = START - START % MINUTE
    held = [_held(n, minute + n) for n in range(60)]
    for one in held:
        aws.store.hold(one)
    assert aws.store.due(minute + 20, 500) == held[:21]
    assert aws.store.due(minute + 20, 5) == held[:5]


# --- lines beside what they lead to --------------------------------------------------------------


def _fails(aws: Aws, operation: str, nth: int) -> None:
    """The process dies before the nth call of this kind."""
    calls = 0

    def die(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise ConnectionAbortedError

    aws.on(f"before-call.dynamodb.{operation}", die)


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_hold_that_broke_off_is_completed_by_its_repeat(aws: Aws, written: int) -> None:
    one, two = _held(1, START + 60), _held(2, START + 61)
    _, other, _ = aws.another()
    _fails(aws, "PutItem", written + 1)
    with pytest.raises(ConnectionAbortedError):
        aws.store.hold(one)
    stood = [one] if written == 2 else []
    assert other.store.held_of("ana", None, 10) == stood
    other.store.hold(two)
    assert other.store.held_of("ana", None, 1) == [one, two][1 - len(stood) :][:1]
    other.store.hold(one)
    assert other.store.held_of("ana", None, 10) == [one, two]
    assert other.store.due(START + 61, 10) == [one, two]


def test_a_release_that_broke_off_hides_nothing_else_and_is_completed_by_its_repeat(
    aws: Aws,
) -> None:
    held = [_held(n, START + n) for n in range(3)]
    for one in held:
        aws.store.hold(one)
    _fails(aws, "DeleteItem", 2)
    with pytest.raises(ConnectionAbortedError):
        aws.store.release([held[0]])
    assert aws.store.held_of("ana", None, 1) == [held[1]]
    aws.store.release([held[0]])
    lines = [item for item in aws.items() if item["pk"]["S"] == "held#ana"]
    assert len(lines) == 2


def test_what_is_read_of_a_group_is_its_lines_and_their_messages(aws: Aws) -> None:
    held = [_held(n, START + n) for n in range(30)]
    for one in held:
        aws.store.hold(one)
        aws.store.hold(replace(one, id=f"{one.id}-rui", group="rui"))
    calls = aws.meter.during(lambda: aws.store.held_of("ana", held[9], 10))
    assert [call.action for call in calls] == ["dynamodb:Query", "dynamodb:BatchGetItem"]
    assert read_units(calls) <= 1 + 11


def test_what_holding_writes_may_be_written_by_another(aws: Aws) -> None:
    """As a charge does, together with what it takes."""
    one = _held(1, START + 60)
    for item in items_of(one, START, RETENTION):
        aws.clients.dynamodb.put_item(TableName="MessagesTable", Item=item)
    assert aws.store.held_of("ana", None, 10) == [one]
    assert aws.store.held(one.due_at, one.id) == one
    assert aws.store.due(START + 60, 10) == []
    aws.store.hold(one)
    assert aws.store.due(START + 60, 10) == [one]


def test_names_of_any_length_are_held(aws: Aws) -> None:
    long = Held("i" * 5_000, START + 60, "Submit", "g" * 5_000, "{}")
    other = replace(long, id=long.id + "x")
    aws.store.hold(long)
    aws.store.hold(other)
    found = aws.store.held_of(long.group, None, 10)
    assert sorted(found, key=lambda one: one.id) == [long, other]
    aws.store.release([long])
    assert aws.store.held_of(long.group, None, 10) == [other]


def test_a_batch_and_a_reply_cost_a_line_each_and_a_message_and_an_alert_none(aws: Aws) -> None:
    alert = Alert(
        cost_centre="ana", id=id_at(START), dialect="zoug", kind="low_balance", at=START, balance=0
    )
    aws.store.create([message(START, "the day's first")])
    for record, puts in ((message(), 1), (alert, 1), (batch(), 2), (reply(), 2)):
        calls = aws.meter.during(lambda: aws.store.create([record]))  # noqa: B023 - called at once
        assert [call.action for call in calls] == ["dynamodb:PutItem"] * puts


def test_a_record_is_never_there_without_its_line(aws: Aws) -> None:
    aws.store.create([message(START, "the day's first")])
    _fails(aws, "PutItem", 2)
    _, other, _ = aws.another()
    with pytest.raises(ConnectionAbortedError):
        aws.store.create([batch()])
    assert other.store.records([key_of(batch())]) == [None]
    assert other.store.listed("batch", "ana", START, START, "", 10) == []
    later = [batch(START + n) for n in (1, 2, 3)]
    other.store.create(later)
    assert other.store.listed("batch", "ana", START, START + 9, "", 1) == later[:1]
    assert other.store.create([batch()]) == [None]
    assert other.store.listed("batch", "ana", START, START + 9, "", 10) == [batch(), *later]


def test_a_list_is_read_where_there_is_something_and_nowhere_else(aws: Aws) -> None:
    replies = [reply(START + n * 9 * DAY) for n in range(3)]
    aws.store.create([*replies, message(START + DAY)])

    def read(limit: int) -> list[str]:
        calls = aws.meter.during(
            lambda: aws.store.listed("reply", "ana", 0.0, START + 1000 * DAY, "", limit)
        )
        return [call.action.removeprefix("dynamodb:") for call in calls]

    # The list of days, the four days, the records.
    assert read(100) == ["Query"] * 5 + ["BatchGetItem"]
    assert read(1) == ["Query"] * 2 + ["BatchGetItem"]


# --- blobs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["us-east-1", "sa-east-1", "eu-central-1", "mx-central-1"])
def test_an_upload_url_leads_to_the_buckets_own_region_and_is_signed_for_it(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url = urlsplit(S3Blobs(Clients(), "the-bucket").upload_url("list-1", 900))
    asked = parse_qs(url.query)
    regional = "s3" if region == "us-east-1" else f"s3.{region}"  # whose own is the global one
    assert (url.scheme, url.netloc) == ("https", f"the-bucket.{regional}.amazonaws.com")
    assert url.path == "/list-1"
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-Credential"][0].split("/")[2:] == [region, "s3", "aws4_request"]
    assert (asked["X-Amz-Expires"], asked["X-Amz-SignedHeaders"]) == (
        ["900"],
        ["host;if-none-match"],
    )


def _s3_answers(aws: Aws, status: int) -> None:
    """From now on, and without a body."""

    def answer(request: Any, **_: Any) -> Any:
        return AWSResponse(
            request.url, status, HTTPHeaders(), HTTPResponse(BytesIO(), preload_content=False)
        )

    aws.clients.s3.meta.events.register_first("before-send.s3", answer)


@pytest.mark.parametrize("status", [403, 404])
def test_a_blob_that_s3_will_not_tell_of_is_not_found(aws: Aws, status: int) -> None:
    """Without the right to list the bucket, S3 says 403 of what is not there."""
    _s3_answers(aws, status)
    with pytest.raises(NotFound, match="list-1"):
        aws.engine.blobs.size("list-1")


def test_what_s3_refuses_for_another_reason_is_our_fault(aws: Aws) -> None:
    _s3_answers(aws, 400)
    for ask in (
        lambda: aws.engine.blobs.size("list-1"),
        lambda: aws.engine.blobs.read("list-1", 0, 10),
    ):
        with pytest.raises(ClientError):
            ask()


# --- together ------------------------------------------------------------------------------------


def test_things_in_threads_keep_their_order_and_tell_what_went_wrong() -> None:
    many = in_threads(4)
    assert many(lambda n: n * 2, range(100)) == [n * 2 for n in range(100)]
    assert many(lambda n: n * 2, []) == []
    with pytest.raises(ZeroDivisionError):
        many(lambda n: 1 / n, [2, 1, 0])


@pytest.mark.parametrize(
    "missing",
    [
        "RECADO_MESSAGES_TABLE",
        "RECADO_CONFIG_TABLE",
        "RECADO_BLOB_BUCKET",
        "RECADO_DEAD_QUEUE_NOTIFY",
    ],
)
def test_an_environment_that_lacks_a_name_is_refused_by_that_name(aws: Aws, missing: str) -> None:
    environment = aws.account.environment()
    del environment[missing]
    named = "RECADO_DEAD_QUEUE_" if "QUEUE" in missing else missing
    with pytest.raises(Misconfigured, match=named):
        open_engine(environment, aws.clients, lambda: START, RETENTION)


def test_all_queues_of_the_template_are_there_by_our_names(aws: Aws) -> None:
    names = [depth.queue for depth in aws.queue.depths()]
    assert names == ["Expand", "Inbound", "Notify", "Smpp", "SmppBulk", "Submit", "SubmitBulk"]
