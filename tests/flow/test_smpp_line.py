"""What comes or goes by SMPP on its way through the line: the real handlers over the embedded
engine, with an SMSC at the end of a bind and a mailbox at the customer's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from recado import operations
from recado.dispatch import decode_packet, dispatch
from recado.engine import Mail
from recado.errors import Invalid, Refused
from recado.http import Reached, Unreached
from recado.mailbox import MailedReceipt, MailedReply
from recado.message import Batch, Message, State
from recado.smpp import status
from tests.support.bound import NUMBER, BoundTo, cost_centre_of, mailed, mails, order
from tests.support.meddling import Meddling
from tests.support.world import World

LONG = "Bom dia! " * 40  # 360 septets: three segments
UDH = "050003070301"
LATIN = "ação, pão, não " * 8


@pytest.fixture
def ana(world: World) -> str:
    return str(operations.costcentre_show(world.deps, "ana")["id"])


@pytest.fixture
def smsc(world: World) -> BoundTo:
    return BoundTo(world)


def make(world: World, login: str, **switches: Any) -> str:
    return world.cost_centre(login, **{"callback_url": "", **switches})


def deliver(world: World, smsc: BoundTo, stat: str = "DELIVRD") -> None:
    world.drain()
    smsc.tell_receipts(stat)
    world.drain()


# --- receipts ------------------------------------------------------------------------------------


def test_a_message_that_came_by_smpp_has_its_receipt_in_the_mailbox(
    world: World, ana: str, smsc: BoundTo
) -> None:
    began = world.now
    identifier = order(world, ana, text="Seu codigo: 123456").id
    deliver(world, smsc)
    assert mailed(world, ana) == [
        MailedReceipt(
            message_id=identifier,
            to=NUMBER,
            source="",
            stat="DELIVRD",
            err="000",
            submitted_at=began,
            done_at=world.now,
            text="Seu codigo: 123456",
        )
    ]
    assert mails(world, ana)[0].expires == world.now + 90 * 86_400
    assert world.told == []
    [report] = world.record(identifier).reports
    assert (report.kind, report.tries[0].status, report.tries[0].note) == ("2", 0, "mailbox")
    assert not report.owed


def test_a_customer_without_a_callback_url_has_its_receipts_all_the_same(
    world: World, smsc: BoundTo
) -> None:
    rui = make(world, "rui")
    identifier = order(world, rui).id
    deliver(world, smsc)
    assert [receipt.message_id for receipt in mailed(world, rui)] == [identifier]


@pytest.mark.parametrize(
    ("registered", "stat", "amount"),
    [(0, "UNDELIV", 0), (1, "DELIVRD", 1), (2, "DELIVRD", 0), (2, "UNDELIV", 1), (0x10, "X", 0)],
)
def test_registered_delivery_says_which_receipts_come(
    world: World, ana: str, smsc: BoundTo, registered: int, stat: str, amount: int
) -> None:
    order(world, ana, registered=registered)
    deliver(world, smsc, stat)
    assert len(mailed(world, ana)) == amount
    assert world.told == []


def test_one_that_an_upstream_refuses_ends_in_the_mailbox_too(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.answer = lambda _: Reached(status.ESME_RINVDSTADR, b"")
    order(world, ana)
    world.drain()
    [receipt] = mailed(world, ana)
    assert isinstance(receipt, MailedReceipt)
    assert (receipt.stat, receipt.err) == ("REJECTD", "000")


def test_one_that_could_not_be_sent_in_its_time_is_told_as_expired(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.answer = lambda _: Unreached("no bind", sent=False)
    operations.costcentre_update(world.deps, ana, validity=60)
    order(world, ana)
    world.run(120.0, step=10.0)
    [receipt] = mailed(world, ana)
    assert isinstance(receipt, MailedReceipt)
    assert receipt.stat == "EXPIRED"


def test_whoever_holds_the_bind_hears_of_it(world: World, ana: str, smsc: BoundTo) -> None:
    heard: list[tuple[str, int]] = []
    world.deps.bell.heard = lambda name: heard.append((name, len(mails(world, name))))
    for _ in range(3):
        order(world, ana)
    world.drain()
    assert heard == []
    smsc.tell_receipts()
    world.drain()
    assert heard == [(ana, 3)]


def test_a_callback_url_that_is_down_holds_no_mailbox_up(
    world: World, ana: str, smsc: BoundTo
) -> None:
    world.customer = lambda request: (
        smsc.reach(request) if request.url.startswith("smpp:") else Reached(410, b"")
    )
    world.send()
    world.drain()
    assert world.bare.store.endpoint(ana).state == "parked"
    identifier = order(world, ana).id
    deliver(world, smsc)
    assert [mail.message_id for mail in mailed(world, ana)] == [identifier]


def test_an_smsc_is_told_what_is_left_of_the_validity(
    world: World, ana: str, smsc: BoundTo
) -> None:
    operations.costcentre_update(world.deps, ana, validity=3600)
    order(world, ana)
    world.now += 600
    world.drain()
    assert [message.validity_period for message in smsc.taken.values()] == ["000000005000000R"]


# --- where reports go ----------------------------------------------------------------------------


def test_what_came_by_http_is_told_at_the_callback_url_and_what_came_by_smpp_in_the_mailbox(
    world: World, ana: str, smsc: BoundTo
) -> None:
    by_http, by_smpp = world.send(), order(world, ana).id
    deliver(world, smsc)
    assert [told["type"] for told in world.reports(by_http)] == [1, 2]
    assert world.reports(by_smpp) == []
    assert [mail.message_id for mail in mailed(world, ana)] == [by_smpp]


def test_a_cost_centre_may_have_everything_in_its_mailbox(
    world: World, ana: str, smsc: BoundTo
) -> None:
    operations.costcentre_update(world.deps, ana, reports_by="smpp")
    identifier = world.send()
    deliver(world, smsc)
    world.now += 1
    smsc.tell_reply("sim")
    world.drain()
    receipt, reply = mailed(world, ana)
    assert receipt.message_id == reply.message_id == identifier
    assert isinstance(reply, MailedReply)
    assert world.told == []


def test_a_cost_centre_may_have_everything_at_its_callback_url(
    world: World, ana: str, smsc: BoundTo
) -> None:
    operations.costcentre_update(world.deps, ana, reports_by="http")
    identifier = order(world, ana, registered=0).id
    deliver(world, smsc)
    assert [told["type"] for told in world.reports(identifier)] == [1, 2]
    assert mails(world, ana) == []


def test_who_changes_to_smpp_is_not_told_of_submits_in_its_mailbox(
    world: World, smsc: BoundTo
) -> None:
    rui = make(world, "rui")
    world.call("POST", "/message", {"destination_addr": NUMBER, "message": "oi"}, login="rui")
    world.drain()
    operations.costcentre_update(world.deps, rui, reports_by="smpp")
    smsc.tell_receipts()
    world.run(60.0, step=20.0)
    assert [mail.stat for mail in mailed(world, rui) if isinstance(mail, MailedReceipt)] == [
        "DELIVRD"
    ]
    [message] = world.messages("rui")
    assert not any(report.owed for report in message.reports)


def test_a_batch_by_http_is_announced_by_its_callback_and_its_receipts_do_not_wait(
    world: World, ana: str, smsc: BoundTo
) -> None:
    operations.costcentre_update(world.deps, ana, reports_by="smpp")
    lines = [{"destination_addr": number, "message": "oi"} for number in (NUMBER, "5511988887777")]
    assert world.call("POST", "/message/batch", {"list": lines})[0] == 200
    deliver(world, smsc)
    [told] = world.told
    assert {line["message_id"] for line in told["list"]} == {
        mail.message_id for mail in mailed(world, ana)
    }


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_to_what_came_by_smpp_goes_to_the_mailbox(
    world: World, ana: str, smsc: BoundTo
) -> None:
    identifier = order(world, ana, registered=0).id
    world.drain()
    smsc.tell_reply("sim")
    world.drain()
    assert mailed(world, ana) == [MailedReply(NUMBER, "28001", "sim", world.now, identifier)]
    assert world.told == []


def test_a_reply_to_what_came_by_http_goes_to_the_callback_url(
    world: World, ana: str, smsc: BoundTo
) -> None:
    world.send()
    world.drain()
    smsc.tell_reply("sim")
    world.drain()
    assert [told["short_message"] for told in world.told if "short_message" in told] == ["sim"]
    assert mails(world, ana) == []


# --- submit_multi --------------------------------------------------------------------------------


def test_a_submit_multi_owes_no_callback_and_its_receipts_have_its_id(
    world: World, ana: str, smsc: BoundTo
) -> None:
    accepted = order(world, ana, NUMBER, "5511988887777", "12")
    deliver(world, smsc)
    batch = world.record(accepted.id)
    assert isinstance(batch, Batch)
    assert (batch.reports, batch.announced_at) == ((), world.now)
    receipts = mailed(world, ana)
    assert {mail.message_id for mail in receipts} == {accepted.id}
    assert {mail.to for mail in receipts if isinstance(mail, MailedReceipt)} == {
        NUMBER,
        "5511988887777",
    }
    assert world.told == []


# --- a replay ------------------------------------------------------------------------------------


def test_a_replay_puts_everything_into_the_mailbox_once_more(world: World, smsc: BoundTo) -> None:
    rui = make(world, "rui")
    since = world.now - 1
    order(world, rui)
    deliver(world, smsc)
    before = mails(world, rui)
    world.bare.store.forget(before)
    world.now += 60
    operations.replay(world.deps, "rui", since=since)
    world.drain()
    assert [(m.place, m.body) for m in mails(world, rui)] == [(m.place, m.body) for m in before]


def test_a_replay_of_what_lies_there_still_doubles_nothing(world: World, smsc: BoundTo) -> None:
    rui = make(world, "rui")
    order(world, rui)
    deliver(world, smsc)
    operations.replay(world.deps, "rui", since=world.now - 1, until=world.now + 1)
    world.drain()
    assert len(mails(world, rui)) == 1


def test_a_replay_to_nobody_is_refused(world: World) -> None:
    make(world, "rui", sends_by=("http",))
    with pytest.raises(Invalid, match="nobody to tell"):
        operations.replay(world.deps, "rui", since=world.now - 60)
    make(world, "eva", reports_by="smpp")
    assert operations.replay(world.deps, "eva", since=world.now - 60)["since"] == world.now - 60


# --- its customer's own parts --------------------------------------------------------------------


def test_a_part_goes_with_its_header_and_as_it_is(world: World, ana: str, smsc: BoundTo) -> None:
    identifier = order(world, ana, text="pão e você", udh=UDH).id
    deliver(world, smsc)
    assert smsc.texts() == [bytes.fromhex(UDH) + "pão e você".encode("utf-16-be")]
    [sent] = smsc.taken.values()
    assert sent.esm_class & 0x40
    message = world.record(identifier)
    assert (message.segments, message.units, message.parts) == (1, 1, 0)
    assert message.state is State.DELIVERED


@pytest.mark.parametrize(
    ("text", "udh"),
    [
        ("a" * 154, UDH),
        ("я" * 68, UDH),
        ("a" * 153, "06080400070301"),
        ("я" * 67, "06080400070301"),
        ("\N{GRINNING FACE}" * 34, UDH),
        ("", UDH),
        ("a", "8b" + "00" * 139),
    ],
)
def test_a_part_that_no_segment_holds_is_refused(
    world: World, ana: str, smsc: BoundTo, text: str, udh: str
) -> None:
    with pytest.raises(Refused) as refused:
        order(world, ana, text=text, udh=udh)
    assert refused.value.refusal.esme == "ESME_RINVMSGLEN"


@pytest.mark.parametrize("text", ["a" * 153, "я" * 67, " ", "€" * 76 + "a"])
def test_a_part_that_fills_its_segment_is_taken(
    world: World, ana: str, smsc: BoundTo, text: str
) -> None:
    order(world, ana, text=text, udh=UDH)
    world.drain()
    assert len(smsc.taken) == 1


def test_a_part_that_its_accents_make_too_long_goes_without_them_where_that_is_allowed(
    world: World, ana: str, smsc: BoundTo
) -> None:
    """In Latin-1 it was one segment, as its customer cut it."""
    identifier = order(world, ana, text=LATIN, udh=UDH).id
    world.drain()
    assert world.record(identifier).text == "açao, pao, nao ".replace("ç", "c") * 8
    operations.costcentre_update(world.deps, ana, replace_accents=False)
    with pytest.raises(Refused):
        order(world, ana, text=LATIN, udh=UDH)


# --- who may send how ----------------------------------------------------------------------------


def test_who_sends_by_smpp_alone_is_refused_by_http(world: World, ana: str) -> None:
    operations.costcentre_update(world.deps, ana, sends_by=("smpp",))
    world.deps.directory.forget()
    told, answer = world.call("POST", "/message", {"destination_addr": NUMBER, "message": "oi"})
    assert (told, answer["message"]) == (403, "Cost centre sends by SMPP alone!")
    assert order(world, ana).id


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sends_by", ()),
        ("sends_by", ("http", "http")),
        ("sends_by", ("fax",)),
        ("reports_by", "fax"),
        ("smpp_alphabet", "utf8"),
        ("smpp_addresses", ("192.0.2.0/33",)),
        ("smpp_addresses", ("example.com",)),
        ("smpp_window", 0),
    ],
)
def test_a_setting_of_smpp_that_makes_no_sense_is_refused(
    world: World, ana: str, setting: str, value: Any
) -> None:
    with pytest.raises(Invalid) as invalid:
        operations.costcentre_update(world.deps, ana, **{setting: value})
    assert setting in str(invalid.value)


def test_settings_of_smpp_are_kept(world: World, ana: str) -> None:
    networks = ("192.0.2.7", "198.51.100.0/24", "2001:db8::/32")
    operations.costcentre_update(
        world.deps, ana, smpp_addresses=networks, smpp_alphabet="latin1", sends_by=("http",)
    )
    kept = cost_centre_of(world, ana)
    assert (kept.smpp_addresses, kept.smpp_alphabet) == (networks, "latin1")


# --- who holds the binds -------------------------------------------------------------------------


def handed_on(world: World, queue: str = "Smpp") -> list[Any]:
    rows = world.queue.receive(queue, 10)
    world.queue.done(rows)
    return [decode_packet(row.body) for row in rows]


def test_what_only_a_bind_carries_goes_on_to_who_holds_it(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.hold_binds(False)
    world.route_is("a mobile of another", upstream="simulator", prefix="5511")
    accepted = order(world, ana, NUMBER, "5511988887777")
    world.drain()
    assert smsc.taken == {}
    assert [submit["to"] for submit in world.taken] == ["5511988887777"]
    assert handed_on(world) == []  # where single messages wait
    [packet] = handed_on(world, "SmppBulk")
    assert [recipient.to for recipient in packet.recipients] == [NUMBER]
    assert (packet.batch_id, packet.registered, packet.attempt) == (accepted.id, 1, 0)
    [other] = world.messages()
    assert other.to == "5511988887777"
    smsc.hold_binds(True)
    dispatch([packet], world.deps)
    assert len(smsc.taken) == 1


def test_what_was_put_back_goes_on_again_with_its_attempts(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.answer = lambda _: Unreached("no bind", sent=False)
    order(world, ana)
    world.drain()
    smsc.hold_binds(False)
    world.run(10.0)
    [packet] = handed_on(world)
    assert packet.attempt >= 1


def test_what_is_past_its_validity_needs_no_bind_to_end(
    world: World, ana: str, smsc: BoundTo
) -> None:
    smsc.hold_binds(False)
    operations.costcentre_update(world.deps, ana, validity=60)
    order(world, ana)
    world.now += 61
    world.drain()
    assert handed_on(world) == []
    [receipt] = mailed(world, ana)
    assert isinstance(receipt, MailedReceipt)
    assert receipt.stat == "EXPIRED"


# --- an upstream that is paused ------------------------------------------------------------------


@pytest.mark.parametrize("holds", [True, False])
def test_what_goes_to_a_paused_upstream_waits_unclaimed_and_goes_when_it_is_resumed(
    world: World, ana: str, smsc: BoundTo, holds: bool
) -> None:
    world.upstream_is("smsc", paused=True)
    smsc.hold_binds(holds)
    order(world, ana)
    world.run(300.0, step=10.0)
    assert smsc.taken == {}
    assert world.messages() == []
    assert handed_on(world) == []
    world.upstream_is("smsc", paused=False)
    smsc.hold_binds(True)
    world.run(120.0, step=10.0)
    assert len(smsc.taken) == 1


def test_what_waits_for_a_paused_upstream_ends_with_its_validity(
    world: World, ana: str, smsc: BoundTo
) -> None:
    world.upstream_is("smsc", paused=True)
    operations.costcentre_update(world.deps, ana, validity=100)
    identifier = order(world, ana).id
    world.run(99.0, step=10.0)
    assert world.record(identifier) is None
    world.run(20.0)
    assert world.record(identifier).state is State.EXPIRED
    assert len(mailed(world, ana)) == 1


def test_one_that_waits_for_a_paused_upstream_can_be_cancelled(
    world: World, ana: str, smsc: BoundTo
) -> None:
    world.upstream_is("smsc", paused=True)
    identifier = world.send()
    world.drain()
    assert world.call("DELETE", f"/message/{identifier}")[0] == 200
    world.upstream_is("smsc", paused=False)
    world.run(120.0, step=10.0)
    assert smsc.taken == {}


# --- money ---------------------------------------------------------------------------------------


def test_a_long_text_costs_as_many_units_as_it_has_segments(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    ana = world.cost_centre(prepaid=True, price=1_000)
    smsc = BoundTo(world)
    operations.credit_add(world.deps, "ana", "1.00")
    order(world, ana, text=LONG)
    deliver(world, smsc)
    assert len(smsc.taken) == 3
    assert world.bare.store.balance(ana) == 10_000 - 3 * 1_000
    assert len(mailed(world, ana)) == 1


# --- a message that changes while it is told -----------------------------------------------------


def changing(folder: Path, change: Callable[[Message], Message]) -> tuple[World, str, list[Mail]]:
    """A world whose receipts are changed once by somebody else while they are posted; all posts."""
    posts: list[Mail] = []
    changes = [change]

    def meanwhile(mails: Sequence[Mail]) -> None:
        posts.extend(mails)
        if changes:
            [message] = world.messages()
            assert world.bare.store.replace([changes.pop()(message)]) != [None]

    world: World = World(folder, wrap=Meddling(post=meanwhile).wrap)
    return world, world.cost_centre(), posts


def test_a_message_that_changes_while_it_is_told_is_told_once(tmp_path: Path) -> None:
    world, ana, posts = changing(tmp_path, lambda m: replace(m, submits=m.submits + 1))
    smsc = BoundTo(world)
    identifier = order(world, ana).id
    deliver(world, smsc)
    assert len(posts) == len(mails(world, ana)) == 1
    message = world.record(identifier)
    assert (message.submits, [report.owed for report in message.reports]) == (2, [False])
    world.close()


def test_a_report_that_changes_while_it_is_told_is_told_as_it_is_then(tmp_path: Path) -> None:
    def corrected(message: Message) -> Message:
        [report] = message.reports
        final = replace(report, stat="DELIVRD")
        return replace(message, state=State.DELIVERED, reports=(final,))

    world, ana, posts = changing(tmp_path, corrected)
    smsc = BoundTo(world)
    order(world, ana)
    deliver(world, smsc, "UNKNOWN")
    assert len(posts) == 2
    assert [getattr(mail, "stat", "") for mail in mailed(world, ana)] == ["DELIVRD"]
    world.close()
