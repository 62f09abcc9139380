"""A message that we split is delivered when all of its parts are, and fails by the first that does;
whatever comes first, twice, or on top of a second try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recado.connectors import Abilities, Receipt, Submitted
from recado.lifecycle import claimed, counted, given_up, received, submitted, uncertain
from recado.message import Message, State
from recado.report import FINAL_STATE, SUBMIT_OUTCOME

BOTH = (SUBMIT_OUTCOME, FINAL_STATE)
SPLITS = Abilities(splits=True)
TOKEN = "t1"


def queued(text: str = "a" * 400, segments: int = 3, **fields: str) -> Message:
    return Message(
        cost_centre="c1",
        id="m1",
        dialect="zoug",
        state=State.QUEUED,
        due_at=0.0,
        expires_at=99.0,
        accepted_at=0.0,
        text=text,
        segments=segments,
        **fields,  # type: ignore[arg-type] # strings all
    )


def on_its_way(parts: int, token: str = TOKEN) -> Message:
    whole = queued("a" * 153 * parts, parts)
    return claimed(counted(whole, SPLITS), "smsc", token, 1.0, 20.0)


def took(*ids: str) -> Submitted:
    return Submitted(ids[0], ids[1:])


def told(message: Message, part: str, state: State = State.DELIVERED, err: str = "") -> Message:
    return received(message, Receipt(state, err, upstream_id=part), 5.0, BOTH)


def stats(message: Message) -> list[str]:
    return [report.stat for report in message.reports]


def test_a_long_text_has_as_many_parts_as_segments_where_we_split_it() -> None:
    assert counted(queued(), SPLITS).parts == 3
    assert counted(queued(), Abilities()).parts == 0
    assert counted(queued("oi", 1), SPLITS).parts == 0


def test_what_goes_to_an_upstream_that_splits_by_itself_after_all_has_no_parts() -> None:
    assert counted(counted(queued(), SPLITS), Abilities()).parts == 0


def test_parts_are_counted_by_the_sizes_of_the_upstream() -> None:
    narrow = Abilities(splits=True, gsm7_sizes=(70, 67))
    assert (counted(queued(), narrow).segments, counted(queued(), narrow).parts) == (6, 6)


def test_a_part_of_its_customer_and_what_is_spoken_are_not_cut() -> None:
    narrow = Abilities(splits=True, gsm7_sizes=(70, 67))
    part = queued(segments=1, udh="050003070301")
    assert counted(part, narrow) == part
    spoken = replace(queued(segments=1), voice=True)
    assert counted(spoken, narrow) == spoken


@given(st.data(), st.integers(2, 6))
def test_in_any_order_and_however_often_it_is_delivered_when_all_parts_are(
    data: st.DataObject, parts: int
) -> None:
    ids = [f"s{n}" for n in range(parts)]
    events = data.draw(st.permutations([*ids, *data.draw(st.lists(st.sampled_from(ids)))]))
    answered_after = data.draw(st.integers(0, len(events)))
    message = on_its_way(parts)
    for n, part in enumerate([*events, ""]):
        if n == answered_after:
            message = submitted(message, took(*ids), TOKEN, 4.0, BOTH)
        if part:
            message = told(message, part)
        seen = set(events[: n + 1])
        assert (message.state is State.DELIVERED) == (seen == set(ids))
    assert stats(message) == ["ESME_ROK", "DELIVRD"]
    assert message.claim == ""
    assert message.upstream_ids == tuple(ids)
    assert [event.state for event in message.history].count(State.DELIVERED) == 1


@given(st.integers(2, 6), st.data())
def test_the_first_failure_is_its_end(parts: int, data: st.DataObject) -> None:
    ids = [f"s{n}" for n in range(parts)]
    bad = data.draw(st.sampled_from(ids))
    message = submitted(on_its_way(parts), took(*ids), TOKEN, 4.0, BOTH)
    for part in data.draw(st.permutations(ids)):
        failed = part == bad
        state = State.UNDELIVERABLE if failed else State.DELIVERED
        message = told(message, part, state, "008" if failed else "")
    assert message.state is State.UNDELIVERABLE
    assert stats(message) == ["ESME_ROK", "UNDELIV"]
    assert message.reports[-1].err == "008"


@pytest.mark.parametrize("ids", [("s1", "", "s3"), ("", "s1", "s3"), ("s1", "s3", "")])
def test_the_parts_that_have_an_id_count(ids: tuple[str, ...]) -> None:
    message = submitted(on_its_way(3), took(*ids), TOKEN, 4.0, BOTH)
    assert (message.state, message.upstream_ids) == (State.ENROUTE, ("s1", "s3"))
    message = told(message, "s1")
    assert message.state is State.ENROUTE
    assert told(message, "s3").state is State.DELIVERED


@pytest.mark.parametrize("parts", [0, 2])
def test_what_was_taken_without_an_id_was_taken(parts: int) -> None:
    ids = [""] * max(parts, 1)
    message = submitted(on_its_way(parts), took(*ids), TOKEN, 4.0, BOTH)
    assert (message.state, message.claim, message.upstream_ids) == (State.ENROUTE, "", ())
    assert stats(message) == ["ESME_ROK"]


def test_the_same_receipt_twice_changes_nothing_the_second_time() -> None:
    message = told(submitted(on_its_way(2), took("s1", "s2"), TOKEN, 4.0, BOTH), "s1")
    assert told(message, "s1") is message
    assert message.state is State.ENROUTE
    assert message.delivered == ("s1",)


def test_a_receipt_that_is_not_final_is_a_state_as_ever() -> None:
    message = submitted(on_its_way(2), took("s1", "s2"), TOKEN, 4.0, BOTH)
    assert told(message, "s1", State.ACCEPTED).state is State.ACCEPTED


def test_a_claim_stays_until_the_answer_comes_though_a_part_was_faster() -> None:
    """What came of the other parts is not known: perhaps the upstream refused one."""
    message = told(on_its_way(2), "s1")
    assert (message.state, message.claim, message.reports) == (State.SUBMITTING, TOKEN, ())


def twice() -> Message:
    """Submitted by two who did not know of each other: the first answer came when the claim of the
    second was on it."""
    message = uncertain(on_its_way(2), TOKEN, 30.0, "its submitter did not come back")
    message = claimed(message, "smsc", "t2", 31.0, 50.0)
    message = submitted(message, took("s1", "s2"), TOKEN, 32.0, BOTH)
    assert message.state is State.SUBMITTING
    return message


@pytest.mark.parametrize(
    ("delivered", "state"),
    [
        (("s1", "s3"), State.ENROUTE),  # the first part, twice
        (("s1", "s4"), State.DELIVERED),
        (("s2", "s3"), State.DELIVERED),
        (("s3", "s4"), State.DELIVERED),
        (("s4", "s2"), State.ENROUTE),
    ],
)
def test_of_two_tries_each_part_has_to_arrive_once(
    delivered: tuple[str, ...], state: State
) -> None:
    message = submitted(twice(), took("s3", "s4"), "t2", 33.0, BOTH)
    assert message.upstream_ids == ("s1", "s2", "s3", "s4")
    for part in delivered:
        message = told(message, part)
    assert message.state is state


def test_of_two_tries_a_receipt_may_be_faster_than_the_second_answer() -> None:
    message = told(told(twice(), "s4"), "s1")
    assert message.state is State.SUBMITTING
    message = submitted(message, took("s3", "s4"), "t2", 33.0, BOTH)
    assert message.state is State.DELIVERED
    assert stats(message) == ["ESME_ROK", "DELIVRD"]


def test_an_unknown_of_ours_is_corrected_when_all_parts_have_arrived() -> None:
    message = uncertain(on_its_way(2), TOKEN, 30.0, "no answer")
    message = given_up(submitted(message, took("s1", "s2"), "", 31.0, ()), 99.0, BOTH)
    message = told(message, "s1")
    assert message.state is State.UNKNOWN
    assert told(message, "s2").state is State.DELIVERED


def test_its_ids_say_how_many_parts_it_had_after_all() -> None:
    """Where the connector cuts otherwise than we counted."""
    message = submitted(on_its_way(3), took("s1", "s2"), TOKEN, 4.0, BOTH)
    assert told(told(message, "s1"), "s2").state is State.DELIVERED
    one = submitted(told(on_its_way(3), "s1"), took("s1"), TOKEN, 4.0, BOTH)
    assert one.state is State.DELIVERED
    more = submitted(on_its_way(1), took("s1", "s2"), TOKEN, 4.0, BOTH)
    assert told(more, "s2").state is State.ENROUTE


def test_an_upstream_that_gives_all_parts_one_id_delivers_them_by_one_receipt() -> None:
    message = submitted(on_its_way(2), took("s1", "s1"), TOKEN, 4.0, BOTH)
    assert told(message, "s1").state is State.DELIVERED


def test_the_answer_twice_adds_no_ids() -> None:
    message = submitted(on_its_way(2), took("s1", "s2"), TOKEN, 4.0, BOTH)
    assert submitted(message, took("s1", "s2"), TOKEN, 9.0, BOTH).upstream_ids == ("s1", "s2")
