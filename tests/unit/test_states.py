"""A message's states only go forward, and what is owed to the customer is owed in order, once."""

from collections.abc import Callable
from itertools import groupby
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recado import report as reports
from recado.connectors import Abilities
from recado.lifecycle import counted, queued
from recado.message import (
    Attempt,
    Batch,
    Event,
    Message,
    Record,
    Reply,
    Report,
    State,
    decode_record,
    encode,
    is_final,
    key_of,
    may_become,
    moved,
    noted,
)
from recado.report import BATCH, FINAL_STATE, REPLY, SUBMIT_OUTCOME
from recado.submission import Packet, Recipient

FORWARD = [
    State.SCHEDULED,
    State.PAUSED,
    State.QUEUED,
    State.SUBMITTING,
    State.ENROUTE,
    State.ACCEPTED,
]
FINAL = [
    State.DELIVERED,
    State.UNDELIVERABLE,
    State.EXPIRED,
    State.DELETED,
    State.REJECTED,
    State.UNKNOWN,
    State.FAILED,
]
BOTH = (SUBMIT_OUTCOME, FINAL_STATE)

states = st.sampled_from(State)
seconds = st.floats(0, 2**33, allow_nan=False)
texts = st.text(max_size=20)
counts = st.integers(0, 2**53)
events = st.builds(Event, at=seconds, state=states, note=texts)
attempts = st.builds(Attempt, at=seconds, status=st.integers(0, 599), note=texts)
any_report = st.builds(
    Report,
    kind=st.sampled_from([SUBMIT_OUTCOME, FINAL_STATE, REPLY, BATCH]),
    owed_at=seconds,
    stat=texts,
    err=texts,
    given_at=st.none() | seconds,
    abandoned_at=st.none() | seconds,
    attempts=counts,
    tries=st.lists(attempts, max_size=3).map(tuple),
)
report_lists = st.lists(any_report, max_size=3).map(tuple)
messages = st.builds(
    Message,
    cost_centre=texts,
    id=texts,
    dialect=texts,
    state=states,
    due_at=seconds,
    expires_at=seconds,
    accepted_at=seconds,
    to=texts,
    text=texts,
    segments=counts,
    units=counts,
    voice=st.booleans(),
    source=texts,
    fields=st.dictionaries(texts, texts, max_size=3),
    price=counts,
    reference=st.none() | texts,
    batch_id=st.none() | texts,
    connector=texts,
    upstream_ids=st.lists(texts, max_size=3).map(tuple),
    claim=texts,
    claimed_until=seconds,
    submits=counts,
    ours=st.booleans(),
    history=st.lists(events, max_size=3).map(tuple),
    reports=report_lists,
    version=counts,
)
batches = st.builds(
    Batch,
    cost_centre=texts,
    id=texts,
    dialect=texts,
    due_at=seconds,
    accepted_at=seconds,
    count=counts,
    blob=texts,
    state=states,
    announced_at=st.none() | seconds,
    reports=report_lists,
    version=counts,
)
replies = st.builds(
    Reply,
    cost_centre=texts,
    id=texts,
    dialect=texts,
    message_id=texts,
    source=texts,
    text=texts,
    received_at=seconds,
    reference=st.none() | texts,
    destination=texts,
    reports=report_lists,
    version=counts,
)


def a_message(state: State = State.QUEUED, *, ours: bool = False) -> Message:
    return Message(
        cost_centre="loja",
        id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        dialect="zoug",
        state=state,
        due_at=1.0,
        expires_at=2.0,
        accepted_at=1.0,
        ours=ours,
    )


def a_batch(*owed: Report) -> Batch:
    return Batch(
        cost_centre="loja",
        id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        dialect="zoug",
        due_at=1.0,
        accepted_at=1.0,
        count=2,
        reports=owed,
    )


def a_reply(*owed: Report) -> Reply:
    return Reply(
        cost_centre="loja",
        id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        dialect="zoug",
        message_id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcc",
        source="5534998887755",
        text="sim",
        received_at=1.0,
        reports=owed,
    )


def rank(state: State) -> int:
    return FORWARD.index(state) if state in FORWARD else len(FORWARD)


# States


def test_every_state_is_either_on_the_way_or_final() -> None:
    assert {*FORWARD, *FINAL} == set(State)
    assert [state for state in State if is_final(state)] == FINAL


@pytest.mark.parametrize("becoming", State)
@pytest.mark.parametrize("state", FORWARD)
def test_a_state_on_the_way_becomes_any_later_one_and_no_other(
    state: State, becoming: State
) -> None:
    assert may_become(a_message(state), becoming) == (rank(becoming) > rank(state))


@pytest.mark.parametrize("becoming", State)
@pytest.mark.parametrize("state", FINAL)
def test_a_final_state_that_an_upstream_gave_never_changes(state: State, becoming: State) -> None:
    assert not may_become(a_message(state), becoming)
    with pytest.raises(ValueError, match="does not become"):
        moved(a_message(state), becoming, 5.0)


@pytest.mark.parametrize("becoming", State)
def test_an_unknown_of_our_own_may_still_be_corrected(becoming: State) -> None:
    guessed = a_message(State.UNKNOWN, ours=True)
    assert may_become(guessed, becoming) == (becoming in FINAL)


def test_a_corrected_unknown_is_the_upstreams_word_and_stays() -> None:
    corrected = moved(a_message(State.UNKNOWN, ours=True), State.DELIVERED, 5.0)
    assert corrected.state is State.DELIVERED
    assert not corrected.ours
    assert not any(may_become(corrected, state) for state in State)


def test_a_move_writes_a_line_of_history() -> None:
    message = moved(a_message(), State.SUBMITTING, 5.0)
    message = moved(message, State.ENROUTE, 6.0, "taken")
    assert message.history == (
        Event(5.0, State.SUBMITTING, ""),
        Event(6.0, State.ENROUTE, "taken"),
    )


@given(st.sampled_from(State), st.lists(st.tuples(states, st.booleans()), max_size=20))
def test_no_sequence_of_states_ever_goes_back(
    first: State, steps: list[tuple[State, bool]]
) -> None:
    message = a_message(first)
    walked = []
    for at, (state, ours) in enumerate(steps):
        before = message
        if may_become(message, state):
            message = moved(message, state, float(at))
            walked.append(state)
            if state is State.UNKNOWN and ours:
                message = replace(message, ours=True)
            assert message.state is state
        else:
            with pytest.raises(ValueError, match="does not become"):
                moved(message, state, float(at))
        assert rank(message.state) >= rank(before.state)
        if message.state is not before.state:
            assert rank(message.state) > rank(before.state) or before.ours
        if is_final(before.state) and not before.ours:
            assert message == before
    seen = [event.state for event in message.history]
    assert [state for state, _ in groupby(seen)] == [state for state, _ in groupby(walked)]


def test_a_history_says_nothing_twice_in_a_row() -> None:
    message = noted(a_message(), 5.0, "no answer")
    assert message.history == (Event(5.0, State.QUEUED, "no answer"),)
    assert noted(message, 6.0, "no answer") == message
    assert len(noted(message, 6.0, "refused").history) == 2
    assert len(moved(message, State.SUBMITTING, 6.0, "no answer").history) == 2


def test_a_long_history_keeps_its_first_line_and_the_newest() -> None:
    message = a_message()
    for at in range(100):
        message = noted(message, float(at), f"try {at}")
    kept = len(message.history)
    assert 5 <= kept <= 50
    assert [event.at for event in message.history] == [
        0.0,
        *(float(at) for at in range(101 - kept, 100)),
    ]
    message = moved(message, State.ENROUTE, 100.0)
    assert len(message.history) == kept
    assert message.history[0].at == 0.0
    assert message.history[-1] == Event(100.0, State.ENROUTE)


@given(messages, states)
def test_a_move_changes_nothing_but_state_and_history(message: Message, state: State) -> None:
    if may_become(message, state):
        after = moved(message, state, 5.0, "note")
        assert after.state is state
        assert not after.ours
        assert after.history[:-1] == message.history
        assert after.history[-1] == Event(5.0, state, "note")
        undone = replace(after, state=message.state, ours=message.ours, history=message.history)
        assert undone == message


# Reports


def owing(record: Record, report: Report) -> Message:
    """The message, owing this report to a cost centre that wants both kinds."""
    assert isinstance(record, Message)
    return replace(record, reports=reports.with_report(record.reports, report, BOTH))


def test_a_report_that_the_cost_centre_does_not_want_is_not_owed() -> None:
    assert reports.with_report((), Report(SUBMIT_OUTCOME, 1.0), (FINAL_STATE,)) == ()


def test_the_submits_outcome_goes_before_the_final_state_whichever_came_first() -> None:
    record: Record = owing(a_message(), Report(FINAL_STATE, 1.0, "DELIVRD"))
    record = owing(record, Report(SUBMIT_OUTCOME, 2.0, "ESME_ROK"))
    assert [report.kind for report in record.reports] == [SUBMIT_OUTCOME, FINAL_STATE]
    first = reports.next_owed(record)
    assert first is not None
    assert first.kind == SUBMIT_OUTCOME
    record = reports.given(record, first, Attempt(3.0, 200))
    second = reports.next_owed(record)
    assert second is not None
    assert second.kind == FINAL_STATE
    record = reports.given(record, second, Attempt(4.0, 204))
    assert reports.next_owed(record) is None


def test_a_second_final_state_changes_one_that_was_not_given_and_adds_none() -> None:
    record: Record = owing(a_message(), Report(FINAL_STATE, 1.0, "UNKNOWN"))
    owed = record.reports[0]
    record = reports.failed(record, owed, Attempt(2.0, 500))
    record = owing(record, Report(FINAL_STATE, 3.0, "DELIVRD", "000"))
    assert record.reports == (
        Report(FINAL_STATE, 1.0, "DELIVRD", "000", attempts=1, tries=(Attempt(2.0, 500),)),
    )


def test_a_second_final_state_does_not_change_one_that_was_given() -> None:
    record: Record = owing(a_message(), Report(FINAL_STATE, 1.0, "UNKNOWN"))
    record = reports.given(record, record.reports[0], Attempt(2.0, 200))
    assert owing(record, Report(FINAL_STATE, 3.0, "DELIVRD")) == record


def test_a_second_final_state_changes_one_that_was_abandoned() -> None:
    record: Record = owing(a_message(), Report(FINAL_STATE, 1.0, "UNKNOWN"))
    record = reports.abandoned(record, record.reports[0], 2.0)
    record = owing(record, Report(FINAL_STATE, 3.0, "DELIVRD"))
    replayed = reports.next_owed(reports.owed_again(record, 0.0, 9.0))
    assert replayed is not None
    assert replayed.stat == "DELIVRD"


def test_a_try_that_failed_leaves_the_report_owed() -> None:
    record: Record = owing(a_message(), Report(SUBMIT_OUTCOME, 1.0, "ESME_ROK"))
    record = reports.failed(record, record.reports[0], Attempt(2.0, 0, "timed out"))
    owed = reports.next_owed(record)
    assert owed is not None
    assert (owed.attempts, owed.tries) == (1, (Attempt(2.0, 0, "timed out"),))


def test_only_the_newest_ten_tries_are_kept_and_all_are_counted() -> None:
    record: Record = a_batch(Report(BATCH, 1.0))
    for at in range(25):
        record = reports.failed(record, record.reports[0], Attempt(float(at), 500))
    record = reports.given(record, record.reports[0], Attempt(25.0, 200))
    done = record.reports[0]
    assert done.attempts == 26
    assert [attempt.at for attempt in done.tries] == [float(at) for at in range(16, 26)]
    assert done.given_at == 25.0


def test_an_abandoned_report_is_not_owed_until_a_replay_owes_it_again() -> None:
    record: Record = a_reply(Report(REPLY, 5.0))
    record = reports.abandoned(record, record.reports[0], 9.0)
    assert record.reports[0].abandoned_at == 9.0
    assert reports.next_owed(record) is None
    again = reports.next_owed(reports.owed_again(record, 5.0, 5.0))
    assert again is not None
    assert again.kind == REPLY


@pytest.mark.parametrize(
    ("since", "until", "owed"),
    [
        (0.0, 0.9, []),
        (1.0, 1.0, [SUBMIT_OUTCOME]),
        (1.1, 2.0, [FINAL_STATE]),
        (1.0, 2.0, [SUBMIT_OUTCOME, FINAL_STATE]),
        (2.1, 9.0, []),
    ],
)
def test_a_replay_owes_what_was_owed_in_its_time_range(
    since: float, until: float, owed: list[str]
) -> None:
    record: Record = a_message()
    for report in (Report(SUBMIT_OUTCOME, 1.0), Report(FINAL_STATE, 2.0)):
        record = owing(record, report)
        record = reports.given(record, report, Attempt(3.0, 200))
    replayed = reports.owed_again(record, since, until)
    assert [report.kind for report in replayed.reports if report.owed] == owed


@given(messages | batches | replies, seconds, seconds)
def test_a_replay_takes_nothing_that_is_owed_away(
    record: Record, since: float, until: float
) -> None:
    replayed = reports.owed_again(record, since, until)
    for before, after in zip(record.reports, replayed.reports, strict=True):
        assert after.owed == (before.owed or since <= before.owed_at <= until)
        assert replace(after, given_at=None, abandoned_at=None) == (
            replace(before, given_at=None, abandoned_at=None)
        )


Step: TypeAlias = Callable[[Record], Record]


def coming_due(kind: str, at: float, stat: str) -> Step:
    return lambda record: owing(record, Report(kind, at, stat))


def trying(status: int, at: float) -> Step:
    def step(record: Record) -> Record:
        report = reports.next_owed(record)
        if report is None:
            return record
        done = reports.given if status < 300 else reports.failed
        return done(record, report, Attempt(at, status))

    return step


def giving_up(at: float) -> Step:
    def step(record: Record) -> Record:
        report = reports.next_owed(record)
        return record if report is None else reports.abandoned(record, report, at)

    return step


def replaying(since: float, until: float) -> Step:
    return lambda record: reports.owed_again(record, since, until)


short = st.integers(0, 9).map(float)
steps = st.one_of(
    st.builds(coming_due, st.sampled_from(BOTH), short, st.sampled_from(["DELIVRD", "UNDELIV"])),
    st.builds(trying, st.sampled_from([200, 500]), short),
    st.builds(giving_up, short),
    st.builds(replaying, short, short),
)


@given(st.lists(steps, max_size=30))
def test_type_1_always_goes_before_type_2_and_each_is_owed_once(todo: list[Step]) -> None:
    record: Record = a_message()
    for step in todo:
        record = step(record)
        kinds = [report.kind for report in record.reports]
        assert kinds == sorted(set(kinds))
        due = reports.next_owed(record)
        owed = [report for report in record.reports if report.owed]
        assert due == (owed[0] if owed else None)
        if due is not None and due.kind == FINAL_STATE:
            assert not any(report.owed for report in record.reports if report.kind < due.kind)


@given(st.lists(steps, max_size=30), attempts)
def test_a_try_changes_its_own_report_alone(todo: list[Step], attempt: Attempt) -> None:
    record: Record = a_message()
    for step in todo:
        record = step(record)
    due = reports.next_owed(record)
    if due is None:
        return
    others = [report for report in record.reports if report.kind != due.kind]
    for after in (
        reports.given(record, due, attempt),
        reports.failed(record, due, attempt),
        reports.abandoned(record, due, attempt.at),
    ):
        assert [report for report in after.reports if report.kind != due.kind] == others
        assert replace(after, reports=()) == replace(record, reports=())
    assert reports.next_owed(reports.given(record, due, attempt)) != due
    still = reports.next_owed(reports.failed(record, due, attempt))
    assert still is not None
    assert (still.kind, still.attempts) == (due.kind, due.attempts + 1)


# Records as text


@given(messages | batches | replies)
def test_a_record_written_and_read_is_the_same(record: Record) -> None:
    body = encode(record)
    assert decode_record(body) == record
    assert decode_record(body.encode()) == record
    assert type(decode_record(body)) is type(record)
    assert key_of(decode_record(body)) == key_of(record)


def test_a_record_is_read_as_what_it_was_written_as() -> None:
    for record in (a_message(), a_batch(), a_reply()):
        assert type(decode_record(encode(record))) is type(record)


# From a packet


def a_packet(recipient: Recipient, *, voice: bool = False) -> Packet:
    return Packet(
        cost_centre="loja",
        dialect="directcall",
        accepted_at=1.0,
        due_at=2.0,
        expires_at=3.0,
        recipients=(recipient,),
        batch_id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcc",
        text="a todos",
        segments=4,
        units=5,
        voice=voice,
        source="554130600300",
        fields={"pedido": "17"},
        price=800,
        attempt=2,
    )


def a_recipient(text: str | None = None) -> Recipient:
    segments, units = (0, 0) if text is None else (2, 3)
    return Recipient(
        id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcb",
        to="5534998887755",
        text=text,
        segments=segments,
        units=units,
        reference="17",
    )


def test_a_message_has_all_that_its_packet_says_of_it() -> None:
    recipient = a_recipient()
    assert queued(a_packet(recipient, voice=True), recipient) == Message(
        cost_centre="loja",
        id=recipient.id,
        dialect="directcall",
        state=State.QUEUED,
        accepted_at=1.0,
        due_at=2.0,
        expires_at=3.0,
        to="5534998887755",
        text="a todos",
        segments=4,
        units=5,
        voice=True,
        source="554130600300",
        fields={"pedido": "17"},
        price=800,
        reference="17",
        batch_id="018bcfe5-6800-7d54-9a03-8fe19f2a3bcc",
        history=(Event(1.0, State.QUEUED),),
    )


@pytest.mark.parametrize(
    ("text", "expected"), [(None, ("a todos", 4, 5)), ("a ti", ("a ti", 2, 3)), ("", ("", 2, 3))]
)
def test_segments_and_units_are_those_of_the_text_that_is_sent(
    text: str | None, expected: tuple[str, int, int]
) -> None:
    recipient = a_recipient(text)
    message = queued(a_packet(recipient), recipient)
    assert (message.text, message.segments, message.units) == expected


SMALL = Abilities(gsm7_sizes=(10, 7), ucs2_sizes=(5, 3))


def test_a_text_is_counted_by_the_sizes_of_its_upstream_and_costs_what_it_did() -> None:
    message = replace(a_message(), text="x" * 21, segments=1, units=1)
    assert counted(message, SMALL) == replace(message, segments=3)
    assert counted(message, Abilities()) == message


def test_what_is_spoken_is_never_cut() -> None:
    message = replace(a_message(), text="x" * 700, segments=1, units=2, voice=True)
    assert counted(message, SMALL) == message
    assert counted(message, Abilities()) == message
