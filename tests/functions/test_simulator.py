"""The simulator as a function: what comes of a message that goes to it, and whom it may call.

A sleep of the function lets the world's time pass.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from recado import simulated
from recado.connectors import Upstream
from recado.courier import session_exchange
from recado.http import Outgoing, Reached, Unreached
from recado.message import Reply
from recado.settings import Settings
from recado.simulator_behaviours import BEHAVIOURS, MAGIC_BLOCK
from recado.wiring import assemble
from tests.support.aws import Account
from tests.support.metering import Meter
from tests.support.world import CALLBACK_URL, START, World

OURS = "http://gateway.example/callback/simulator/secret"
DAY = 86_400.0
_HTTP = {"method": "POST", "path": "/simulator/submit", "sourceIp": "192.0.2.1"}


class Simulator:
    """One environment of the function, in a world whose upstream it is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tries: dict[str, int] = {}
        self.steps: list[str] = []  # "told" and "answered", in their order
        self.told: list[dict[str, Any]] = []
        self.callback: Callable[[Outgoing], Reached | Unreached] = self.take
        world.upstream = self._upstream
        world.customer = self._called

    def _upstream(self, asked: dict[str, Any]) -> Reached:
        answer = self.answer(asked)
        return Reached(answer["statusCode"], answer["body"].encode(), answer["headers"])

    def _called(self, request: Outgoing) -> Reached | Unreached:
        if request.url == CALLBACK_URL:
            return Reached(200, b"")
        self.told.append(json.loads(request.body))
        self.steps.append("told")
        return self.callback(request)

    def take(self, request: Outgoing) -> Reached:
        """The gateway takes what it is told."""
        return Reached(self.world.tell(json.loads(request.body)), b"")

    def sleep(self, seconds: float) -> None:
        self.world.now += seconds

    def answer(self, asked: Any) -> dict[str, Any]:
        event = {"requestContext": {"http": _HTTP}, "rawPath": _HTTP["path"], "headers": {}}
        event["body"] = asked if isinstance(asked, str) else json.dumps(asked)
        answer = simulated.submit(event, self.world.deps, self.tries, self.sleep)
        self.steps.append("answered")
        return answer

    def submit(self, to: str = "5534998887755", **fields: Any) -> tuple[int, dict[str, Any]]:
        """Its answer to a submit: status, and JSON."""
        asked = {"reference": "ours", "to": to, "text": "oi", "segments": 1, "callback_url": OURS}
        answer = self.answer({**asked, **fields})
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def simulator(world: World) -> Simulator:
    return Simulator(world)


def magic(digits: str) -> str:
    return MAGIC_BLOCK + digits


# --- what comes of a message ---------------------------------------------------------------------

ENDS = {
    "00": "DELIVERED",
    "01": "UNDELIVERABLE",
    "02": "EXPIRED",
    "03": "REJECTED",
    "04": "DELIVERED",
    "05": "EXPIRED",
    "06": "DELIVERED",
    "07": "DELIVERED",
    "08": "DELIVERED",
    "09": "DELIVERED",
    "10": "DELIVERED",
    "11": "DELIVERED",
    "12": "DELIVERED",
    "13": "UNKNOWN",
    "14": "ENROUTE",
    "15": "DELIVERED",
    "16": "UNKNOWN",
    "17": "REJECTED",
    "20": "DELIVERED",
    "21": "UNDELIVERABLE",
    "22": "UNDELIVERABLE",
    "23": "DELIVERED",
}


def test_every_magic_number_is_tried() -> None:
    assert set(ENDS) == set(BEHAVIOURS)


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "refs"])
@pytest.mark.parametrize(("digits", "state"), ENDS.items())
def test_a_message_ends_as_its_number_says(
    make_world: Callable[..., World], digits: str, state: str, echo: bool
) -> None:
    world = make_world(echo=echo)
    world.cost_centre()
    Simulator(world)
    identifier = world.send(magic(digits), validity=300)
    world.run(400.0, step=2.0)
    assert world.message(identifier)["state"] == state
    types = [told["type"] for told in world.reports(identifier) if "type" in told]
    assert types == ([1] if state == "ENROUTE" else [1, 2])
    replies = [told for told in world.told if "short_message" in told]
    assert len(replies) == (1 if digits in ("10", "12") else 0)
    assert world.dead_letters() == 0


def test_an_ordinary_number_has_its_receipt_before_the_answer(simulator: Simulator) -> None:
    identifier = simulator.world.send()
    simulator.world.run(5.0)
    assert simulator.steps == ["told", "answered"]
    assert simulator.world.message(identifier)["state"] == "DELIVERED"


def test_receipts_come_in_the_order_of_the_table(simulator: Simulator) -> None:
    assert simulator.submit(magic("09"))[0] == 200
    assert [told["stat"] for told in simulator.told] == ["DELIVRD", "ENROUTE", "ACCEPTD"]
    assert len({told["id"] for told in simulator.told}) == 1


@pytest.mark.parametrize("to", [magic(digits) for digits in ("20", "21", "22", "23")])
def test_a_call_ends_as_a_text_to_the_same_number(simulator: Simulator, to: str) -> None:
    for voice in (False, True):
        assert simulator.submit(to, voice=voice)[0] == 200
    written, spoken = ((told["stat"], told["err"]) for told in simulator.told)
    assert written == spoken
    assert written[1] == ("000" if to == magic("20") else f"0{to[-2:]}")


def test_a_call_to_a_fixed_line_is_answered(simulator: Simulator) -> None:
    assert simulator.submit("554130600300", voice=True)[0] == 200
    assert [told["stat"] for told in simulator.told] == ["DELIVRD"]


def test_a_reply_goes_to_who_the_message_was_from(simulator: Simulator) -> None:
    identifier = simulator.world.send(magic("10"))
    simulator.world.run(5.0)
    asked = json.loads(simulator.world.requests[0].body)
    assert simulator.submit(**asked | {"source": "554130600300"})[0] == 200
    simulator.world.run(5.0)
    told = [told for told in simulator.told if told["event"] == "reply"]
    assert [reply.get("to") for reply in told] == [None, "554130600300"]
    kept = _replies_to(identifier, simulator.world)
    assert [reply.destination for reply in kept] == ["", "554130600300"]


def _replies_to(identifier: str, world: World) -> list[Reply]:
    cost_centre = world.record(identifier).cost_centre
    found = world.bare.store.listed("reply", cost_centre, 0.0, world.now + 1.0, "", 10)
    replies = [record for record in found if isinstance(record, Reply)]
    assert {reply.message_id for reply in replies} == {identifier}
    return sorted(replies, key=lambda reply: reply.received_at)


def test_only_tries_of_the_same_message_count(simulator: Simulator) -> None:
    statuses = [simulator.submit(magic("04"), reference=name)[0] for name in "ababab"]
    assert statuses == [429, 429, 429, 429, 200, 200]


def test_an_environment_forgets_its_tries_rather_than_grow(simulator: Simulator) -> None:
    simulator.tries.update({f"other {number}": 1 for number in range(10_000)})
    assert simulator.submit(magic("04"))[0] == 429
    assert simulator.tries == {"ours": 1}


# --- in time -------------------------------------------------------------------------------------


def _time_of(work: Callable[[], object], world: World) -> float:
    before = world.now
    work()
    return world.now - before


@pytest.mark.parametrize("timeout", [10.0, 15.0])
@pytest.mark.parametrize("digits", sorted(set(BEHAVIOURS) - {"06"}))
def test_an_answer_comes_in_time_although_nobody_hears_the_callbacks(
    simulator: Simulator, digits: str, timeout: float
) -> None:
    """With two seconds left for a cold start."""

    def silent(request: Outgoing) -> Unreached:
        simulator.sleep(request.timeout)
        return Unreached("timed out", sent=True)

    simulator.callback = silent
    simulator.world.upstream_is(submit_timeout=timeout)
    took = _time_of(lambda: simulator.answer(_asked(magic(digits))), simulator.world)
    assert took <= timeout - 2.0


def _asked(to: str) -> dict[str, Any]:
    return {"reference": "ours", "to": to, "text": "oi", "segments": 1, "callback_url": OURS}


@pytest.mark.parametrize(("timeout", "silence"), [(10.0, 11.0), (60.0, 25.0)])
def test_silence_lasts_until_nobody_waits_and_ends_before_the_function_does(
    simulator: Simulator, timeout: float, silence: float
) -> None:
    simulator.world.upstream_is(submit_timeout=timeout)
    took = _time_of(lambda: simulator.submit(magic("06")), simulator.world)
    assert took == silence
    assert simulator.told == []


def test_what_can_not_be_told_is_not_taken(simulator: Simulator) -> None:
    simulator.callback = lambda _: Reached(500, b"")
    answer = simulator.answer(_asked("5534998887755"))
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "1"
    assert len(simulator.told) == 5
    simulator.callback = simulator.take
    assert simulator.submit()[0] == 200


def test_a_message_waits_for_as_long_as_the_callback_endpoint_is_down(
    simulator: Simulator,
) -> None:
    world = simulator.world
    simulator.callback = lambda _: Unreached("the connection was refused", sent=False)
    identifier = world.send()
    world.run(60.0)
    assert world.message(identifier)["state"] == "SUBMITTING"
    simulator.callback = simulator.take
    world.run(120.0)
    assert world.message(identifier)["state"] == "DELIVERED"
    assert [told["type"] for told in world.reports(identifier)] == [1, 2]


def test_a_callback_is_posted_again_until_it_is_acknowledged(simulator: Simulator) -> None:
    statuses = [500, 302, 204, 503, 204, 204]
    simulator.callback = lambda _: Reached(statuses.pop(0), b"")
    assert simulator.submit(magic("09"))[0] == 200
    stats = [told["stat"] for told in simulator.told]
    assert stats == ["DELIVRD", "DELIVRD", "DELIVRD", "ENROUTE", "ENROUTE", "ACCEPTD"]


def test_a_message_whose_first_receipt_was_heard_is_taken(simulator: Simulator) -> None:
    simulator.callback = lambda _: Reached(204 if len(simulator.told) == 1 else 500, b"")
    status, answer = simulator.submit(magic("08"))
    assert (status, answer["id"]) == (200, simulator.told[0]["id"])


# --- whom it calls -------------------------------------------------------------------------------


def _refused(simulator: Simulator, **fields: Any) -> bool:
    """With 400, and nobody was called."""
    before = len(simulator.told)
    status, answer = simulator.submit(**fields)
    assert len(simulator.told) == before
    return status == 400 and "callback_url" in answer["problem"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/callback/simulator/secret",
        "https://gateway.example/callback/simulator/secret",
        "http://victim.example/callback/simulator/secret",
        "http://169.254.169.254/callback/simulator/secret",
        "http://gateway.example@victim.example/callback/simulator/secret",
        "http://victim.example/?http://gateway.example/callback/simulator/secret",
        "http://victim.example#http://gateway.example/callback/simulator/secret",
        "http://gateway.example:8080/callback/simulator/secret",
        "http://GATEWAY.example/callback/simulator/secret",
        "http://gateway.example/callback/simulator/secret/",
        "http://gateway.example/callback/simulator/secret?x=1",
        "http://gateway.example/callback/simulator/secret#x",
        "http://gateway.example/callback/simulator/../simulator/secret",
        "http://gateway.example/callback/simulator/guess",
        "http://gateway.example/callback/simulator/",
        "http://gateway.example/callback/nobody/secret",
        "http://gateway.example/message/simulator/secret",
        " http://gateway.example/callback/simulator/secret",
        "http://gateway.example/callback/simulator/secret\r\nx: y",
        "http://gateway.example/callback/simulator/sécret",
    ],
)
@pytest.mark.parametrize("to", ["5534998887755", magic("03"), magic("06")])
def test_a_url_that_is_not_exactly_that_of_a_simulator_here_is_refused_and_not_called(
    simulator: Simulator, url: str, to: str
) -> None:
    before = simulator.world.now
    assert _refused(simulator, to=to, callback_url=url)
    assert simulator.world.now == before, "nobody without the secret makes it wait"


def test_an_upstream_of_another_kind_is_not_called(simulator: Simulator) -> None:
    url = "http://gateway.example/callback/other/secret"
    simulator.world.upstream_is("other", settings={"callback_url": url}, kind="simulator")
    assert simulator.submit(callback_url=url)[0] == 200
    simulator.world.upstream_is("other", kind="other")
    assert _refused(simulator, callback_url=url)


def test_an_upstream_without_a_secret_is_not_called(simulator: Simulator) -> None:
    url = "http://gateway.example/callback/simulator/"
    simulator.world.upstream_is(settings={"callback_url": url}, callback_secret="")
    assert _refused(simulator, callback_url=url)


@pytest.mark.parametrize(
    "url", ["http://gateway.example/simulator/submit", "http://elsewhere.example/simulator/x", ""]
)
def test_settings_that_name_no_callback_endpoint_are_not_followed(
    simulator: Simulator, url: str
) -> None:
    simulator.world.upstream_is(settings={"callback_url": url})
    assert _refused(simulator, callback_url=url)


def test_an_upstream_that_was_configured_a_moment_ago_is_known(simulator: Simulator) -> None:
    world = simulator.world
    url = "http://gateway.example/callback/new/s3cret"
    assert _refused(simulator, callback_url=url)
    new = Upstream(
        name="new", kind="simulator", settings={"callback_url": url}, callback_secret="s3cret"
    )
    assert world.bare.store.put_config("upstream", "new", msgspec.json.encode(new), 0)
    assert simulator.submit(callback_url=url)[0] == 200


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", '{"to":"5511987654321"}', '{"reference":1}', '"\\ud800"']
)
def test_what_is_no_submit_is_refused(simulator: Simulator, body: str) -> None:
    answer = simulator.answer(body)
    assert answer["statusCode"] == 400
    assert set(json.loads(answer["body"])) == {"problem"}


class _Endpoint(ThreadingHTTPServer):
    """A callback endpoint on this machine, which keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, Any]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                endpoint.came.append((self.path, json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def endpoint() -> Iterator[_Endpoint]:
    with _Endpoint() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,)).start()
        yield running
        running.shutdown()


@pytest.mark.parametrize("private", [None, False, True])
def test_a_private_address_is_called_only_where_callback_urls_may_reach_one(
    world: World, endpoint: _Endpoint, private: bool | None
) -> None:
    url = f"http://127.0.0.1:{endpoint.server_port}/callback/simulator/secret"
    world.upstream_is(settings={"callback_url": url})
    simulator = Simulator(world)
    with contextlib.closing(session_exchange()) as exchange:
        settings = Settings(private_callbacks=private)
        world.deps = replace(world.deps, exchange=exchange, settings=settings)
        status, answer = simulator.submit(callback_url=url)
    if private:
        receipt = {"event": "receipt", "id": answer["id"], "stat": "DELIVRD", "err": "000"}
        assert endpoint.came == [("/callback/simulator/secret", {**receipt, "reference": "ours"})]
    else:
        assert (status, endpoint.came) == (503, [])


# --- what it is allowed on AWS -------------------------------------------------------------------


def test_on_aws_it_asks_for_nothing_but_the_configuration(simulator: Simulator) -> None:
    """Its role in template.yaml allows that alone: tests/template/test_parameters.py."""
    world = simulator.world
    upstream = world.bare.store.config("upstream", "simulator") or b""
    with contextlib.closing(Account(START, ["Submit"])) as account:
        clients = account.clients()
        engine = account.engine(world.clock, 90 * DAY, clients)
        engine.store.put_config("upstream", "simulator", upstream, 0)
        world.deps = assemble(engine, b"pepper", world.exchange, Settings(), world.clock)
        simulator.callback = lambda _: Reached(204, b"")
        meter = Meter(clients)
        assert simulator.submit(magic("10"))[0] == 200
        assert _refused(simulator, callback_url="http://victim.example/")
    table = account.environment()["RECADO_CONFIG_TABLE"]
    asked = {(call.action, call.params["TableName"]) for call in meter.calls}
    assert asked == {("dynamodb:Query", table)}
