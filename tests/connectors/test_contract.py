"""What dispatch, ingest and track count on, of every connector that there is."""

import re
from collections.abc import Callable, Sequence

import pytest

from recado.connectors import (
    Abilities,
    Connector,
    RawCallback,
    Rejected,
    Submit,
    Submitted,
    Unavailable,
    Uncertain,
    Upstream,
)
from recado.http import Outgoing, Reached, Unreached
from recado.lifecycle import ids_of
from recado.registry import CONNECTORS

NEEDED = {
    "simulator": {"url": "http://127.0.0.1:9", "callback_url": "http://127.0.0.1:9/callback/x/y"},
    "smpp": {"host": "127.0.0.1", "system_id": "recado"},
}
SUBMITS = [
    Submit("ana.1", "5511999998888", "oi", 1),
    Submit("ana.2", "5511999998888", "é" * 200, 3, source="Recado", validity=60.0),
    Submit("ana.3", "5511999998888", "parte", 1, udh="050003010201"),
]
NO_ONE = Unreached("nobody", sent=False)
Answer = Callable[[Outgoing], Reached | Unreached]


@pytest.fixture(params=list(CONNECTORS))
def upstream(request: pytest.FixtureRequest) -> Upstream:
    kind: str = request.param
    return Upstream(name="there", kind=kind, settings=NEEDED[kind], callback_secret="s")


@pytest.fixture
def connector(upstream: Upstream) -> Connector:
    return CONNECTORS[upstream.kind]


def submitted(connector: Connector, upstream: Upstream, answer: Answer) -> Sequence[object]:
    def exchange(requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        return [answer(request) for request in requests]

    return connector.submit(SUBMITS, upstream, exchange)


def test_its_settings_say_what_they_mean_and_what_they_look_like(
    connector: Connector, upstream: Upstream
) -> None:
    for name, setting in connector.SETTINGS.items():
        assert setting.meaning
        re.compile(setting.form)
        assert not setting.needed or setting.secret or name in NEEDED[upstream.kind]


def test_it_says_what_it_is_able_to_do(connector: Connector, upstream: Upstream) -> None:
    able = connector.abilities(upstream)
    assert isinstance(able, Abilities)
    assert able.gsm7_sizes[0] >= able.gsm7_sizes[1] > 1
    assert able.ucs2_sizes[0] >= able.ucs2_sizes[1] > 1


def test_what_never_left_is_unavailable(connector: Connector, upstream: Upstream) -> None:
    found = submitted(connector, upstream, lambda _: Unreached("no way there", sent=False))
    assert [type(one) for one in found] == [Unavailable] * len(SUBMITS)


def test_what_was_perhaps_sent_is_uncertain(connector: Connector, upstream: Upstream) -> None:
    found = submitted(connector, upstream, lambda _: Unreached("the line is dead", sent=True))
    assert [type(one) for one in found] == [Uncertain] * len(SUBMITS)


@pytest.mark.parametrize("body", [b"", b"\0", b"\xff" * 70, b"{}", b"[]", b'{"id": 7}'])
def test_an_answer_that_says_nothing_is_never_taken_for_a_yes(
    connector: Connector, upstream: Upstream, body: bytes
) -> None:
    found = submitted(connector, upstream, lambda _: Reached(299, body))
    assert all(isinstance(one, Uncertain | Rejected) for one in found)


def test_nothing_to_submit_has_no_outcome(connector: Connector, upstream: Upstream) -> None:
    assert connector.submit([], upstream, lambda requests: [NO_ONE for _ in requests]) == []


def test_each_upstream_waits_as_long_as_it_is_told(
    connector: Connector, upstream: Upstream
) -> None:
    asked: list[Outgoing] = []

    def answer(request: Outgoing) -> Unreached:
        asked.append(request)
        return Unreached("no way there", sent=False)

    submitted(connector, upstream, answer)
    assert {request.timeout for request in asked} == {upstream.submit_timeout}


@pytest.mark.parametrize("method", ["POST", "GET", "SMPP"])
@pytest.mark.parametrize("body", ["", "{}", "AAAA", "\x00", "é", '{"event":"receipt"}'])
def test_a_callback_that_can_not_be_read_is_a_value_error(
    connector: Connector, upstream: Upstream, method: str, body: str
) -> None:
    raw = RawCallback("there", method, "", {"command": "5"}, body, 1_790_000_000.0)
    with pytest.raises(ValueError):  # noqa: PT011 - what it says differs by connector
        connector.parse_callback(raw, upstream)


def test_what_acknowledges_a_callback_is_an_http_answer(connector: Connector) -> None:
    answer = connector.acknowledgement()
    assert 200 <= answer["statusCode"] < 300
    assert isinstance(answer["body"], str)


def test_a_taken_message_is_known_by_the_upstreams_id(
    connector: Connector, upstream: Upstream
) -> None:
    taken = {"simulator": Reached(200, b'{"id":"77"}'), "smpp": Reached(0, b"77\0")}
    found = submitted(connector, upstream, lambda _: taken[upstream.kind])
    assert all(isinstance(one, Submitted) and one.upstream_id == "77" for one in found)


def test_an_id_that_is_longer_than_any_is_no_id(connector: Connector, upstream: Upstream) -> None:
    def answers(identifier: str) -> Answer:
        body = {"simulator": f'{{"id":"{identifier}"}}', "smpp": f"{identifier}\0"}
        ok = {"simulator": 200, "smpp": 0}
        return lambda _: Reached(ok[upstream.kind], body[upstream.kind].encode())

    taken = submitted(connector, upstream, answers("7" * 64))
    assert all(isinstance(one, Submitted) and one.upstream_id == "7" * 64 for one in taken)
    found = submitted(connector, upstream, answers("7" * 65))
    for one in found:
        assert isinstance(one, Uncertain) or (isinstance(one, Submitted) and not ids_of(one))
