"""No request, however strange, makes Zoug's routes fail or answer in any form but their own."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.world import World

GOOD = "5534998887755"
# How long an example takes is not what is tested here.
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MEGABYTE = 1_000_000
REFUSALS = {400, 401, 404, 405, 409}
# What an answer that is no refusal begins with: of /message, of a batch, of what is shown of one.
FIRST_FIELDS = {"message_id", "batchCount", "batchId"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all: what it has taken has to come through in the end."""
    world = World(tmp_path_factory.mktemp("fuzz"))
    world.cost_centre()
    yield world
    world.drain()
    assert world.dead_letters() == 0
    assert sum(depth.ready for depth in world.queue.depths()) == 0
    world.close()


def check(world: World, method: str, target: str, body: bytes = b"", **headers: str) -> int:
    """Asks, and holds the answer to its form. Its status."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, content = world.call_raw(method, target, body, headers=sent)
    assert answered["content-type"] == "application/json"
    answer = json.loads(content.encode())
    if status == 200:
        assert next(iter(answer)) in FIRST_FIELDS
        assert "error" not in answer
        return status
    assert status in REFUSALS
    assert list(answer) == ["message_id", "error", "message", "esme"]
    assert UUID(answer["message_id"]).version == 7
    assert answer["error"] is True
    assert answer["message"].endswith("!")
    assert answer["esme"].startswith("ESME_R")
    return status


# --- arbitrary everything ------------------------------------------------------------------------

METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"])
SENDING = st.sampled_from([("GET", "/message"), ("POST", "/message"), ("POST", "/message/batch")])
ROUTES = ["", "/message", "/message/", "/message/batch", "/message/batch/", "/messages/"]
PATHS = st.builds(
    lambda route, rest: f"{route}{rest}" or "/",
    st.sampled_from(ROUTES),
    st.text().map(lambda text: quote(text, safe="/:@!$&'()*+,;=")) | st.uuids().map(str),
).filter(lambda path: not path.startswith("/callback/"))  # upstreams' own, and no dialect's
ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))
HEADER = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()  # NaN and the infinities too, which are no JSON
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Cc"]))  # lone surrogates, NULs
)
ANY_JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
NUMBERS = st.just(GOOD) | st.from_regex(r"\+?(55)?[0-9]{2}9?[0-9]{8}", fullmatch=True) | ANY_JSON
TEXTS = st.text() | ANY_JSON
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "destination_addr": NUMBERS,
        "message": TEXTS,
        "reference_id": st.text(max_size=300) | ANY_JSON,
        "validity": st.integers(0, 300_000) | ANY_JSON,
        "send_at": st.datetimes().map(str) | st.text(max_size=30) | ANY_JSON,
        "list": st.lists(
            ANY_JSON
            | st.fixed_dictionaries(
                {"destination_addr": NUMBERS, "message": TEXTS},
                optional={"reference_id": ANY_JSON, "x": ANY_JSON},
            ),
            max_size=5,
        ),
    },
)


@FUZZ
@given(METHODS, PATHS, ASCII, st.binary())
def test_any_method_path_query_and_body(
    world: World, method: str, path: str, query: str, body: bytes
) -> None:
    check(world, method, f"{path}?{query}", body)


@FUZZ
@given(SENDING, st.binary())
def test_any_bytes_as_a_body(world: World, route: tuple[str, str], body: bytes) -> None:
    check(world, *route, body)


@FUZZ
@given(SENDING, ANY_JSON)
def test_any_json_as_a_body(world: World, route: tuple[str, str], content: Any) -> None:
    check(world, *route, json.dumps(content).encode())


@FUZZ
@given(SENDING, MESSAGES)
def test_any_values_in_the_fields_that_we_know(
    world: World, route: tuple[str, str], content: dict[str, Any]
) -> None:
    check(world, *route, json.dumps(content).encode())


@FUZZ
@given(st.dictionaries(st.sampled_from(["destination_addr", "message", "send_at"]), st.text()))
def test_any_values_in_a_query_string(world: World, fields: dict[str, str]) -> None:
    check(world, "GET", "/message?" + urlencode(fields, errors="surrogatepass"))


@FUZZ
@given(SENDING, HEADER)
def test_any_authorization(world: World, route: tuple[str, str], value: str) -> None:
    for offered in (value, f"Basic {value}"):
        status, headers, content = world.call_raw(
            *route, login=None, headers={"authorization": offered}
        )
        assert (status, json.loads(content)["esme"]) == (401, "ESME_RINVPASWD")
        assert headers["www-authenticate"].startswith("Basic ")


@FUZZ
@given(SENDING, HEADER, HEADER)
def test_any_other_header(
    world: World, route: tuple[str, str], content_type: str, key: str
) -> None:
    body = json.dumps({"destination_addr": GOOD, "message": "oi"}).encode()
    check(world, *route, body, content_type=content_type, idempotency_key=key)


@FUZZ
@given(METHODS, st.uuids() | st.uuids(version=1) | st.text(min_size=1))
def test_any_id(world: World, method: str, identifier: Any) -> None:
    for collection in ("/message", "/message/batch"):
        check(world, method, f"{collection}/{quote(str(identifier), safe='')}")


# --- what is known to be hard --------------------------------------------------------------------


@pytest.mark.parametrize("depth", [10, 100, 500, 900, 1_000, 1_100, 10_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting(world: World, depth: int, opening: str, closing: str, closed: bool) -> None:
    nested = opening * depth + "1" + closing * (depth if closed else 0)
    for body in (nested, f'{{"destination_addr":"{GOOD}","message":"oi","send_at":{nested}}}'):
        assert check(world, "POST", "/message", body.encode()) == 400


@pytest.mark.parametrize(
    "number", ["9" * 30, "9" * 4_299, "9" * 5_000, "1e999", "-1e999", "1e-999", "0." + "3" * 5_000]
)
@pytest.mark.parametrize("field", ["validity", "send_at", "reference_id", "message"])
def test_huge_numbers(world: World, number: str, field: str) -> None:
    fields = {"destination_addr": f'"{GOOD}"', "message": '"oi"', field: number}
    body = ",".join(f'"{name}":{value}' for name, value in fields.items())
    status = check(world, "POST", "/message", f"{{{body}}}".encode())
    assert status == (200 if (field, number) == ("reference_id", "9" * 30) else 400)


@pytest.mark.parametrize("bad", [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xff"'])
@pytest.mark.parametrize("field", ["destination_addr", "message", "reference_id", "x"])
def test_lone_surrogates_and_what_is_no_utf_8(world: World, bad: bytes, field: str) -> None:
    fields = {"destination_addr": b'"%s"' % GOOD.encode(), "message": b'"oi"', field: bad}
    body = b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items())
    assert check(world, "POST", "/message", b"{%s}" % body) == 400


def test_nuls_are_characters_as_any(world: World) -> None:
    body = {"destination_addr": GOOD, "message": "a\0b", "reference_id": "\0"}
    assert check(world, "POST", "/message", json.dumps(body).encode()) == 200
    world.drain()
    assert world.taken[-1]["text"] == "a\0b"
    assert world.told[-1]["reference_id"] == "\0"


def test_of_a_field_given_twice_the_last_counts(world: World) -> None:
    twice = f'{{"destination_addr":"1","message":"a","destination_addr":"{GOOD}","message":"b"}}'
    assert check(world, "POST", "/message", twice.encode()) == 200
    world.drain()
    assert (world.taken[-1]["to"], world.taken[-1]["text"]) == (GOOD, "b")


@pytest.mark.parametrize("character", ["a", "\0", "ã", "😀", "€", "ж", "1", " ", "\u0301"])
@pytest.mark.parametrize("field", ["destination_addr", "message", "reference_id", "send_at", "x"])
def test_a_string_of_a_megabyte(world: World, character: str, field: str) -> None:
    text = character * (MEGABYTE // len(character.encode()))
    fields = {"destination_addr": GOOD, "message": "oi", field: text}
    body = json.dumps(fields, ensure_ascii=False).encode()
    assert check(world, "POST", "/message", body) == (200 if field == "x" else 400)
    batch = json.dumps({"list": [fields]}, ensure_ascii=False).encode()
    refused = 400 if field == "reference_id" else 200
    assert check(world, "POST", "/message/batch", batch) == refused
