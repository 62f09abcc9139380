"""What a gateway promises, over real HTTP: its customers, its upstream and its operators are all
outside of it, and what is claimed here is counted in their logs.

tests/cloud runs the same tests on the template, deployed to an emulator of AWS.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest

from tests.flow.customer import NUMBER, TEXT, WORD, Customer, magic
from tests.flow.installations import Installation
from tests.support.processes import json_lines, until

FULL_BATCH = 400
_DELIVERED = ("ESME_ROK", "DELIVRD")
# What becomes of a message to each magic number (docs/simulator.md), and in how many tries.
_ENDINGS = {
    0: _DELIVERED,
    1: ("ESME_ROK", "UNDELIV"),
    2: ("ESME_ROK", "EXPIRED"),
    3: ("ESME_RINVDSTADR", "REJECTD"),
    4: _DELIVERED,
    7: _DELIVERED,
    8: _DELIVERED,
    9: _DELIVERED,
    13: ("ESME_ROK", "UNKNOWN"),
    15: _DELIVERED,
    17: ("ESME_ROK", "REJECTD"),
}
_AHEAD = 10.0  # seconds; a function's first call takes its time
_BAD = "553481000099"  # one digit too few
_BAD_QUERY = f"/message?destination_addr={_BAD}&message={WORD}"
_logins = (f"cliente-{number}" for number in count())


class Early(msgspec.Struct, frozen=True):
    """What takes its time, begun before everything else."""

    customer: Customer
    doubled: str
    silent: str
    due_at: float
    scheduled: str
    taken_back: str
    scheduled_batch: str


@pytest.fixture
def make_customer(installation: Installation) -> Callable[..., Customer]:
    """Makes customers with a login of their own each."""

    def make(**switches: str) -> Customer:
        return Customer(installation, next(_logins), **switches)

    return make


@pytest.fixture
def ana(make_customer: Callable[..., Customer]) -> Customer:
    return make_customer()


def callback_target(installation: Installation) -> str:
    """Where the upstream posts its receipts, as it was told with a submit: the path alone."""
    taken = [
        line for line in json_lines(installation.others.simulator_log) if line["event"] == "taken"
    ]
    url: str = taken[-1]["callback_url"]
    return urlsplit(url).path


@pytest.fixture(scope="module", autouse=True)
def early(installation: Installation) -> Early:
    """A packet that is delivered twice, a submit that is never answered, a callback that nobody can
    read, and messages that wait for their minute: the tests that ask what came of them are the last
    ones."""
    ana = Customer(installation, next(_logins))
    first = ana.send()
    ana.until_told(first, *_DELIVERED)
    assert ana.state(first) == "DELIVERED"
    garbage = {"event": "reply", "id": 1, "from": NUMBER, "text": TEXT}
    assert ana.ask_quietly("POST", callback_target(installation), garbage) == 204
    with installation.paused():
        from_cli = ("send", "--cost-centre", ana.login, "--to", NUMBER, TEXT, "--json")
        doubled = installation.recado(*from_cli).json()["message_id"]
        assert installation.double("Submit") == 1
    due_at = time.time() + _AHEAD
    on_time = {"send_at": datetime.fromtimestamp(due_at, UTC).isoformat()}
    early = Early(
        customer=ana,
        doubled=doubled,
        silent=ana.send(magic(6)),
        due_at=due_at,
        scheduled=ana.send(**on_time),
        taken_back=ana.send(**on_time),
        scheduled_batch=ana.send_batch([(NUMBER, TEXT)], **on_time),
    )
    assert ana.state(early.scheduled) == "SCHEDULED"
    status, answer = ana.ask("DELETE", f"/message/{early.taken_back}")
    assert (status, answer["state"]) == (200, "DELETED")
    return early


# --- one message ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["POST", "GET with a body", "GET with a query string"])
def test_a_message_is_sent_once_and_both_reports_come_in_order(ana: Customer, how: str) -> None:
    body = {"destination_addr": NUMBER, "message": TEXT, "reference_id": "pedido-7"}
    if how.endswith("query string"):
        answer = ana.ask("GET", f"/message?{urlencode(body)}")
    else:
        answer = ana.ask(how.partition(" ")[0], "/message", body)
    identifier = ana.sent(answer)
    ana.until_told(identifier, *_DELIVERED)
    first, second = ana.reports(identifier)
    assert (first["type"], second["type"], second["err"]) == (1, 2, "000")
    assert first["reference_id"] == second["reference_id"] == "pedido-7"
    (submit,) = ana.submits(identifier)
    assert (submit["to"], submit["segments"]) == (NUMBER, 1)
    assert ana.state(identifier) == "DELIVERED"


def test_each_magic_number_ends_as_it_must_and_is_submitted_no_more_than_that(
    ana: Customer,
) -> None:
    sent = {last: ana.send(magic(last)) for last in _ENDINGS}
    for last, ending in _ENDINGS.items():
        ana.until_told(sent[last], *ending)
    submits = {last: len(ana.submits(identifier)) for last, identifier in sent.items()}
    assert submits == {last: 0 if last == 3 else 2 if last == 15 else 1 for last in _ENDINGS}


def test_what_never_gets_through_ends_with_its_validity(ana: Customer) -> None:
    unavailable, closed = ana.send(magic(5), validity=5), ana.send(magic(16), validity=5)
    ana.until_told(unavailable, "ESME_RSUBMITFAIL", "EXPIRED")
    # Nobody knows of a connection that was closed whether the other side took something.
    ana.until_told(closed, "ESME_RSUBMITFAIL", "UNKNOWN")
    assert ana.submits(unavailable) == ana.submits(closed) == []


@pytest.mark.parametrize("last", [10, 12], ids=["naming its message", "naming none"])
def test_a_reply_reaches_the_customer_with_what_it_answers(ana: Customer, last: int) -> None:
    identifier = ana.send(magic(last), reference_id="pedido-8")
    until(lambda: len(ana.reports(identifier)) == 3, "two reports and the reply", 60.0, pause=0.1)
    (reply,) = [report for report in ana.reports(identifier) if "short_message" in report]
    assert reply["source_addr"] == magic(last)
    assert reply["cost_center_id"] == ana.id
    assert reply["reference_id"] == "pedido-8"


def test_callbacks_by_get_carry_a_query_string(make_customer: Callable[..., Customer]) -> None:
    bia = make_customer(**{"callback-method": "GET", "callback-get-form": "query"})
    identifier = bia.send()

    def told() -> list[dict[str, list[str]]]:
        queries = [parse_qs(line["query"]) for line in bia.callbacks() if line["method"] == "GET"]
        return [query for query in queries if query.get("message_id") == [identifier]]

    until(lambda: len(told()) == 2, "both reports", 60.0, pause=0.1)
    assert [query["type"] for query in told()] == [["1"], ["2"]]


def test_a_report_that_was_not_taken_comes_again_under_the_same_id(
    installation: Installation, ana: Customer
) -> None:
    installation.others.sink_answers(status=503, first=1)
    identifier = ana.send()
    ana.until_told(identifier, "ESME_ROK", "ESME_ROK", "DELIVRD")
    lines = [it for it in ana.callbacks() if (it["body"] or {}).get("message_id") == identifier]
    assert [(it["headers"]["webhook-id"], it["answered"]) for it in lines] == [
        (f"{identifier}.1", 503),
        (f"{identifier}.1", 200),
        (f"{identifier}.2", 200),
    ]


def test_a_replay_gives_every_report_once_more(installation: Installation, ana: Customer) -> None:
    identifier = ana.send()
    ana.until_told(identifier, *_DELIVERED)

    def times() -> list[int]:
        lines = installation.others.sink_lines()
        ids = [line["headers"]["webhook-id"] for line in lines]
        return [ids.count(f"{identifier}.{kind}") for kind in (1, 2)]

    first, second = times()
    told = installation.recado("replay", "--cost-centre", ana.login, "--since", "10m", "--json")
    assert told.json()["id"] == ana.id
    until(lambda: times()[0] > first and times()[1] > second, "both again", 60.0, pause=0.1)


# --- the same request twice ----------------------------------------------------------------------


def test_the_same_key_gives_the_same_id_and_one_submit(ana: Customer) -> None:
    body = {"destination_addr": NUMBER, "message": TEXT}
    key = {"Idempotency-Key": "pedido-9"}
    answers = [ana.ask("POST", "/message", body, key) for _ in range(3)]
    assert len({ana.sent(answer) for answer in answers}) == 1
    identifier = ana.sent(answers[0])
    ana.until_told(identifier, *_DELIVERED)
    # What came after it is through, so a second submit would be too.
    ana.until_told(ana.send(), *_DELIVERED)
    assert len(ana.submits(identifier)) == 1
    status, answer = ana.ask("POST", "/message", {**body, "message": f"{TEXT}!"}, key)
    assert (status, answer["esme"]) == (409, "ESME_RINVOPTPARAMVAL")


# --- batches -------------------------------------------------------------------------------------


def test_a_batch_is_announced_before_its_reports_and_every_one_comes(ana: Customer) -> None:
    bad = (_BAD, TEXT)
    batch = ana.send_batch([(NUMBER, TEXT), bad, (magic(1), TEXT)], reference_id="lote")
    until(lambda: ana.batch_callback(batch), "the batch's callback", 60.0, pause=0.1)
    listed = (ana.batch_callback(batch) or {})["list"]
    assert [one["destination_addr"] for one in listed] == [NUMBER, bad[0], magic(1)]
    assert [one["error"] for one in listed] == [False, True, False]
    good, _, undeliverable = (one["message_id"] for one in listed)
    ana.until_told(good, *_DELIVERED)
    ana.until_told(undeliverable, "ESME_ROK", "UNDELIV")
    told = ana.told()
    announced = told.index(ana.batch_callback(batch) or {})
    assert announced < min(
        told.index(report) for one in (good, undeliverable) for report in ana.reports(one)
    )
    assert [len(ana.submits(one["message_id"])) for one in listed] == [1, 0, 1]
    status, shown = ana.ask("GET", f"/message/batch/{batch}")
    assert (status, shown["counts"]) == (200, {"REFUSED": 1, "DELIVERED": 1, "UNDELIVERABLE": 1})


@pytest.mark.timeout(300)  # the emulator takes a while for what are some 8,000 calls to it
def test_a_full_batch_of_long_texts_goes_by_blob_and_each_is_sent_once_and_reported(
    installation: Installation, ana: Customer
) -> None:
    numbers = [str(int(NUMBER) + place) for place in range(FULL_BATCH)]
    long = f"{TEXT} " * 40  # 640 characters: 250 KB altogether
    batch = ana.send_batch([(number, long) for number in numbers])
    assert f"submission-{batch}" in installation.blobs()
    until(lambda: ana.batch_callback(batch), "the batch's callback", 60.0, pause=0.2)
    listed = (ana.batch_callback(batch) or {})["list"]
    assert [one["destination_addr"] for one in listed] == numbers
    ids = [one["message_id"] for one in listed]

    def stats() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {identifier: [] for identifier in ids}
        for body in ana.told():
            if body.get("message_id") in found:
                found[body["message_id"]].append(body.get("report_stat") or body["stat"])
        return found

    def missing() -> int:
        return 2 * FULL_BATCH - sum(map(len, stats().values()))

    until(lambda: missing() <= 0, lambda: f"{missing()} reports are missing", 240.0, pause=0.5)
    assert stats() == {identifier: list(_DELIVERED) for identifier in ids}
    taken = [
        line for line in json_lines(installation.others.simulator_log) if line["event"] == "taken"
    ]
    assert (
        sorted(line["to"] for line in taken if line["reference"].partition(".")[2] in set(ids))
        == numbers
    )


# --- what is refused -----------------------------------------------------------------------------


_REFUSED = [
    ("POST", "/message", b"{" + WORD.encode(), 400, "ESME_RINVCMDLEN", "Body is not valid JSON!"),
    ("POST", "/message", {"x": TEXT}, 400, "ESME_RINVDSTADR", "Destination_addr is missing!"),
    ("GET", _BAD_QUERY, None, 400, "ESME_RINVDSTADR", "Destination_addr is invalid!"),
    ("POST", "/message/batch", {"list": []}, 400, "ESME_RINVNUMDESTS", "List is empty!"),
    ("GET", f"/{WORD}/{NUMBER}", None, 404, "ESME_RINVCMDID", "Path is unknown!"),
    ("PUT", "/message", None, 405, "ESME_RINVCMDID", "Method is not possible here!"),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "esme", "message"),
    _REFUSED,
    ids=[message for *_, message in _REFUSED],
)
def test_what_can_not_be_done_is_answered_in_the_dialect(
    ana: Customer, method: str, target: str, body: Any, status: int, esme: str, message: str
) -> None:
    told = ana.ask(method, target, body)
    assert told == (
        status,
        {"message_id": told[1]["message_id"], "error": True, "message": message, "esme": esme},
    )


def test_nobody_gets_in_without_the_password(ana: Customer) -> None:
    body = {"destination_addr": NUMBER, "message": TEXT}
    for password, message in (
        (None, "Authorization is missing!"),
        (WORD, "Login or password is invalid!"),
    ):
        status, answer = ana.ask("POST", "/message", body, password=password)
        assert (status, answer["esme"], answer["message"]) == (401, "ESME_RINVPASWD", message)


def test_a_suspended_customer_is_refused(installation: Installation, ana: Customer) -> None:
    assert installation.recado("costcentre", "suspend", ana.login).code == 0
    status, answer = ana.ask("POST", "/message", {"destination_addr": NUMBER, "message": TEXT})
    assert (status, answer["esme"]) == (403, "ESME_RBINDFAIL")


def test_what_is_anothers_looks_like_what_never_was(
    ana: Customer, make_customer: Callable[..., Customer]
) -> None:
    bia = make_customer()
    identifier = ana.send()
    ana.until_told(identifier, *_DELIVERED)
    never = identifier[:-4] + ("0000" if identifier[-4:] != "0000" else "0001")
    for path in ("/message/{}", "/message/batch/{}"):
        hers, nobodys = (bia.ask("GET", path.format(one)) for one in (identifier, never))
        assert str(hers).replace(identifier, never) == str(nobodys)
    assert (
        bia.ask("DELETE", f"/message/{identifier}")[0] == bia.ask("DELETE", f"/message/{never}")[0]
    )
    assert ana.state(identifier) == "DELIVERED"
    unreadable = bia.ask("GET", f"/message/{WORD}")
    assert (unreadable[0], unreadable[1]["esme"]) == (404, "ESME_RQUERYFAIL")


def test_what_has_gone_can_not_be_taken_back(ana: Customer) -> None:
    identifier = ana.send()
    ana.until_told(identifier, *_DELIVERED)
    status, answer = ana.ask("DELETE", f"/message/{identifier}")
    assert (status, answer["esme"]) == (409, "ESME_RCANCELFAIL")


def test_a_callback_without_the_secret_is_not_found(
    installation: Installation, ana: Customer
) -> None:
    target = callback_target(installation)
    status, _ = ana.ask("POST", f"{target}x", {"event": "receipt", "id": "1", "stat": "DELIVRD"})
    assert status == 404


# --- what waits, fails and comes again -----------------------------------------------------------


def test_a_submit_without_an_answer_is_tried_again(early: Early) -> None:
    early.customer.until_told(early.silent, *_DELIVERED)
    first, second = early.customer.submits(early.silent)
    assert first["lost"]
    assert "lost" not in second


def test_a_schedule_waits_for_its_minute_and_what_was_taken_back_is_never_sent(
    early: Early,
) -> None:
    ana = early.customer
    ana.until_told(early.scheduled, *_DELIVERED, seconds=100.0)
    until(lambda: ana.batch_callback(early.scheduled_batch), "the batch's callback", 30.0)
    (listed,) = (ana.batch_callback(early.scheduled_batch) or {})["list"]
    ana.until_told(listed["message_id"], *_DELIVERED)
    for identifier in (early.scheduled, listed["message_id"]):
        (submit,) = ana.submits(identifier)
        assert submit["at"] >= early.due_at
    assert ana.submits(early.taken_back) == ana.reports(early.taken_back) == []
    assert ana.state(early.taken_back) == "DELETED"


def test_a_callback_that_nobody_can_read_is_a_dead_letter_until_a_redrive_brings_it_back(
    installation: Installation,
) -> None:
    def dead() -> int:
        (queue,) = [
            queue
            for queue in installation.recado("queue", "list", "--json").json()
            if queue["queue"] == "Inbound"
        ]
        return int(queue["dead"])

    def failures() -> int:
        return installation.logged().count("a queue message comes again")

    until(lambda: dead() == 1, "a dead letter", 60.0, pause=0.5)
    before = failures()
    told = installation.recado("queue", "redrive", "Inbound", "--json").json()
    assert told == {"queue": "Inbound", "redriven": 1}
    # It is read again. Nobody has mended anything, so it will end where it was.
    until(lambda: failures() > before, "another try", 30.0, pause=0.5)
    assert dead() == 0


def test_a_packet_that_is_delivered_twice_is_submitted_once(
    installation: Installation, early: Early
) -> None:
    early.customer.until_told(early.doubled, *_DELIVERED)
    # The second one waited until the first one's claim could have run out.
    until(lambda: _lies_on("Submit", installation) == 0, "an empty queue", 60.0, pause=0.2)
    assert len(early.customer.submits(early.doubled)) == 1
    assert early.customer.stats(early.doubled) == list(_DELIVERED)


def _lies_on(queue: str, installation: Installation) -> int:
    """How many messages lie on it, in hand or not."""
    listed = installation.recado("queue", "list", "--json").json()
    return int(next(row["ready"] + row["delayed"] for row in listed if row["queue"] == queue))


# --- what operators read -------------------------------------------------------------------------


def test_no_text_and_no_full_number_stands_in_the_logs(installation: Installation) -> None:
    """Of all that the tests before this one sent, were told, and had refused."""
    logged = installation.logged()
    assert "a queue message comes again" in logged
    assert WORD not in logged
    assert "Resposta" not in logged
    ours = r"(?<![0-9a-f])(55)?(3498100\d{4}|119000000\d\d|3481000099)(?![0-9a-f])"
    assert all(re.search(ours, number) for number in (NUMBER, magic(3), _BAD))
    found = [logged[max(0, it.start() - 200) : it.end()] for it in re.finditer(ours, logged)]
    assert found == []
