"""Which reports are owed, where they go, and what a customer's mailbox holds of them."""

import pytest
from msgspec import ValidationError

from recado.costcentre import REPORTS_BY, CostCentre
from recado.mailbox import MailedReceipt, MailedReply, mail_of, read_mail
from recado.message import Alert, Batch, Message, Reply, Report, State
from recado.report import (
    FAILURE,
    FINAL_STATE,
    REPLY,
    SUBMIT_OUTCOME,
    told_by_mailbox,
    wanted,
    with_report,
)

AT = 1_780_000_000.5
BATCH_ID = "019e6bd0-0000-7000-8000-000000000000"
DONE = Report(FINAL_STATE, AT + 9, "DELIVRD", "000")
DIED = Report(FINAL_STATE, AT + 9, "UNDELIV", "008")


def cost_centre(reports_by: str = "origin", *reports: str) -> CostCentre:
    return CostCentre(
        id="c1", name="Ana", created_at=0.0, reports_by=reports_by, reports=reports or ("1", "2")
    )


def message(**fields: object) -> Message:
    made = {
        "cost_centre": "c1",
        "id": "m1",
        "dialect": "zoug",
        "state": State.DELIVERED,
        "due_at": AT,
        "expires_at": AT + 60,
        "accepted_at": AT,
        "to": "5534998887755",
        "text": "Seu código chegou: 123456",
        "source": "28001",
        "registered": 1,
        **fields,
    }
    return Message(**made)  # type: ignore[arg-type] # a test names what it varies


def reply(**fields: object) -> Reply:
    made = {
        "cost_centre": "c1",
        "id": "r1",
        "dialect": "zoug",
        "message_id": "m1",
        "source": "5534998887755",
        "text": "sim",
        "received_at": AT,
        "destination": "28001",
        **fields,
    }
    return Reply(**made)  # type: ignore[arg-type] # a test names what it varies


@pytest.mark.parametrize(
    ("registered", "kinds"), [(0, ()), (1, ("2",)), (2, (FAILURE,)), (3, ("2",)), (0x11, ("2",))]
)
@pytest.mark.parametrize("reports_by", ["origin", "smpp"])
def test_to_a_mailbox_goes_what_registered_delivery_asks_for(
    reports_by: str, registered: int, kinds: tuple[str, ...]
) -> None:
    assert wanted(cost_centre(reports_by), registered) == kinds


@pytest.mark.parametrize("registered", [None, 0, 1, 2])
def test_to_a_callback_url_goes_what_its_cost_centre_has(registered: int | None) -> None:
    assert wanted(cost_centre("http", "1"), registered) == ("1",)
    assert wanted(cost_centre("origin", "1"), None) == ("1",)


def test_a_mailbox_takes_no_submit_outcome_of_what_came_by_http() -> None:
    assert wanted(cost_centre("smpp"), None) == ("2",)
    assert wanted(cost_centre("smpp", "1"), None) == ()


def test_a_cost_centre_that_is_gone_wants_nothing() -> None:
    assert wanted(None, 1) == wanted(None, None) == ()


@pytest.mark.parametrize("reports_by", sorted(REPORTS_BY))
def test_where_a_report_goes_is_said_by_its_cost_centre_or_by_the_way_it_came(
    reports_by: str,
) -> None:
    which = cost_centre(reports_by)
    by_smpp = {"origin": True, "smpp": True, "http": False}[reports_by]
    by_http = reports_by == "smpp"
    assert told_by_mailbox(message(registered=0), which) is by_smpp
    assert told_by_mailbox(message(registered=None), which) is by_http
    assert told_by_mailbox(reply(by_smpp=True), which) is by_smpp
    assert told_by_mailbox(reply(), which) is by_http


def test_batches_and_alerts_never_go_to_a_mailbox() -> None:
    batch = Batch(cost_centre="c1", id=BATCH_ID, dialect="zoug", due_at=AT, accepted_at=AT, count=2)
    alert = Alert(cost_centre="c1", id="a1", dialect="zoug", kind="low_balance", at=AT, balance=1)
    assert not told_by_mailbox(batch, cost_centre("smpp"))
    assert not told_by_mailbox(alert, cost_centre("smpp"))


def test_who_wants_failures_alone_is_owed_nothing_of_what_was_delivered() -> None:
    assert with_report((), DONE, (FAILURE,)) == ()
    assert with_report((), DIED, (FAILURE,)) == (DIED,)
    assert with_report((), Report(SUBMIT_OUTCOME, AT), (FAILURE,)) == ()


def test_a_failure_that_was_none_after_all_is_owed_no_more() -> None:
    failed = with_report((), DIED, (FAILURE,))
    assert with_report(failed, DONE, (FAILURE,)) == ()
    told = (Report(FINAL_STATE, AT, "UNKNOWN", given_at=AT),)
    assert with_report(told, DONE, (FAILURE,)) == told


def test_a_receipt_has_what_a_bind_has_to_tell() -> None:
    mail = mail_of(message(reference="77"), DONE, AT + 100)
    assert (mail.cost_centre, mail.expires) == ("c1", AT + 100)
    assert read_mail(mail.body) == MailedReceipt(
        message_id="m1",
        to="5534998887755",
        source="28001",
        stat="DELIVRD",
        err="000",
        submitted_at=AT,
        done_at=AT + 9,
        text="Seu código chegou: 1",
        reference="77",
    )


def test_a_reply_has_what_a_bind_has_to_tell() -> None:
    mail = mail_of(reply(), Report(REPLY, AT), AT + 100)
    assert read_mail(mail.body) == MailedReply("5534998887755", "28001", "sim", AT, "m1")


def test_what_was_sent_by_submit_multi_is_known_by_the_id_that_answered_it() -> None:
    both = {"batch_id": BATCH_ID}
    receipt = read_mail(mail_of(message(**both), DONE, AT).body)
    answer = read_mail(mail_of(reply(**both, by_smpp=True), Report(REPLY, AT), AT).body)
    assert receipt.message_id == answer.message_id == BATCH_ID


def test_what_was_sent_in_a_batch_by_http_is_known_by_its_own_id() -> None:
    both = {"batch_id": BATCH_ID}
    receipt = read_mail(mail_of(message(**both, registered=None), DONE, AT).body)
    answer = read_mail(mail_of(reply(**both), Report(REPLY, AT), AT).body)
    assert receipt.message_id == answer.message_id == "m1"


@pytest.mark.parametrize(
    ("err", "three"),
    [("", "000"), ("8", "008"), ("034", "034"), ("0x22", "x22"), ("12345", "345"), ("á1", "000")],
)
def test_an_error_has_three_characters(err: str, three: str) -> None:
    mail = mail_of(message(), Report(FINAL_STATE, AT, "UNDELIV", err), AT)
    receipt = read_mail(mail.body)
    assert isinstance(receipt, MailedReceipt)
    assert receipt.err == three


def test_the_same_report_has_the_same_place_and_places_are_in_order_of_what_is_owed() -> None:
    again = Report(FINAL_STATE, DONE.owed_at, "DELIVRD", given_at=AT + 50, attempts=3)
    assert mail_of(message(), DONE, AT).place == mail_of(message(), again, AT + 9).place
    earlier = mail_of(reply(), Report(REPLY, AT), AT)
    assert earlier.place < mail_of(message(), DONE, AT).place
    other = mail_of(message(id="m2"), DONE, AT)
    assert other.place != mail_of(message(), DONE, AT).place


def test_what_is_no_mail_is_not_read() -> None:
    with pytest.raises(ValidationError):
        read_mail('{"type":"card"}')
