"""Whatever comes, Directcall's translation refuses it in its own words or understands it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st

from recado.costcentre import CostCentre
from recado.dialects import directcall
from recado.dialects.directcall import Form
from recado.errors import Refused
from recado.http import Answer, Request
from recado.numbers import NumberProblem, number_of
from recado.submission import Refusal

ID = "019e7000-0000-7000-8000-000000000000"
GOOD = "5534998887755"
FUZZ = settings(deadline=None)
COST_CENTRES = st.builds(
    CostCentre,
    id=st.just("ana"),
    name=st.just("Ana"),
    created_at=st.just(0.0),
    fixed_lines=st.sampled_from([None, True, False]),
    international=st.booleans(),
    replace_accents=st.booleans(),
    max_segments=st.integers(1, 12),
)
CONTENT_TYPES = (
    st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "application/json",
            "multipart/form-data; boundary=B",
            'multipart/form-data; boundary="B"; charset=utf-16',
            "multipart/form-data",
            "text/plain; charset=utf-16",
            "application/x-www-form-urlencoded; charset=punycode",
            "",
        ]
    )
    | st.text(st.characters(max_codepoint=255), max_size=60)
    | st.none()
)
NAMES = st.sampled_from(
    [
        *["origem", "destino", "destino[]", "destino[0]", "destino_csv", "texto", "tipo", "cron"],
        *["access_token", "format", "formato", "short_number", "id_origem", "campos[x]", "campos"],
    ]
)
VALUES = (
    st.sampled_from(
        [
            *["", " ", "s", "n", "S", "texto", "VOZ", "xml", "JSON", "01-01-2030-00-00-00", "oi"],
            *[GOOD, f"{GOOD};{GOOD}", f"{GOOD};x", "34998887755\n034998887756", "554130600300"],
        ]
    )
    | st.from_regex(r"[0-9]{1,2}(-[0-9]{1,4}){5}", fullmatch=True)
    | st.text()
)
FIELDS = st.dictionaries(NAMES | st.text(max_size=50), VALUES | st.lists(VALUES), max_size=24)
COMPLETE = st.fixed_dictionaries(
    {"origem": st.just("Ana"), "texto": st.text(min_size=1), "access_token": st.just("t")},
    optional={"destino": VALUES, "destino_csv": VALUES, "tipo": VALUES, "cron": VALUES},
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES | st.text(), inner),
)


def asked(body: bytes, content_type: str | None, query: str = "", path: str = "/sms/send") -> Form:
    headers = {} if content_type is None else {"content-type": content_type}
    return directcall.read(Request("POST", path, headers, query, {}, body))


def is_an_answer(answer: Answer, form: Form) -> None:
    """It can be read in the form that was asked for."""
    if form.xml:
        assert ElementTree.fromstring(answer["body"]).tag in ("directcall", "oauth")
    else:
        assert isinstance(json.loads(answer["body"]), dict)
    assert answer["body"].encode()
    assert answer["statusCode"] in (200, 413)


def is_refused(refusal: Refusal, cost_centre: CostCentre, form: Form) -> None:
    is_an_answer(directcall.refused(refusal, ID, cost_centre, form), form)
    is_an_answer(directcall.token_refused(form, refusal), form)


def check(form: Form, cost_centre: CostCentre) -> None:
    """Nothing but Refused comes out, and of what is understood every promise holds."""
    for read in (directcall.credential, directcall.client_of):
        try:
            read(form)
        except Refused as refused:
            is_refused(refused.refusal, cost_centre, form)
    try:
        order = directcall.send_order(form, cost_centre, lambda: None)
    except Refused as refused:
        is_refused(refused.refusal, cost_centre, form)
        return
    ask = order.ask
    numbers = [number_of(wish.destination, ask.numbering) for wish in ask.wishes]
    good = [number for number in numbers if not isinstance(number, NumberProblem)] or ask.numbers
    assert good
    assert len(set(good)) == len(good)
    assert bool(ask.wishes) != bool(ask.numbers)
    assert ask.batch == (len(numbers) != 1 or bool(order.duplicates or order.bad_count))
    assert (len(ask.source) <= 20, ask.units >= 1, len(ask.fields) <= 20) == (True, True, True)
    is_an_answer(directcall.sent(form, order, ID, ()), form)


def multipart(fields: Mapping[str, Any], end: bytes) -> bytes:
    body = b""
    for name, value in fields.items():
        extra = b'; filename="a"' if name == "destino_csv" else b""
        content = str(value).encode("utf-8", "replace")
        head = b'Content-Disposition: form-data; name="%s"' % name.encode("utf-8", "replace")
        body += b"--B\r\n" + head + extra + b"\r\n\r\n" + content + b"\r\n"
    return body + end


@FUZZ
@given(st.binary(), CONTENT_TYPES, st.text(), COST_CENTRES)
def test_any_bytes_under_any_content_type(
    body: bytes, content_type: str | None, query: str, cost_centre: CostCentre
) -> None:
    check(asked(body, content_type, query), cost_centre)


@FUZZ
@given(st.binary(), COST_CENTRES)
def test_any_bytes_within_a_form(body: bytes, cost_centre: CostCentre) -> None:
    check(asked(b"origem=a&texto=oi&destino=" + body, None), cost_centre)
    check(asked(b'{"origem":"a","texto":"oi","destino":"' + body, "application/json"), cost_centre)
    part = b'--B\r\nContent-Disposition: form-data; name="destino_csv"' + body + b"\r\n--B--"
    check(asked(part, "multipart/form-data; boundary=B"), cost_centre)


@FUZZ
@given(FIELDS | COMPLETE, COST_CENTRES)
def test_any_mixture_of_fields(fields: dict[str, Any], cost_centre: CostCentre) -> None:
    encoded = urlencode(fields, doseq=True, errors="surrogatepass")
    check(asked(encoded.encode(), "application/x-www-form-urlencoded"), cost_centre)
    check(asked(b"", None, encoded), cost_centre)
    check(asked(json.dumps(fields).encode(), "application/json"), cost_centre)
    check(asked(multipart(fields, b"--B--"), "multipart/form-data; boundary=B"), cost_centre)


@FUZZ
@given(FIELDS, CONTENT_TYPES, st.sampled_from([b"", b"--B", b"--B--\r\nmais"]), COST_CENTRES)
def test_any_multipart_under_any_content_type(
    fields: dict[str, Any], content_type: str | None, end: bytes, cost_centre: CostCentre
) -> None:
    check(asked(multipart(fields, end), content_type), cost_centre)


@FUZZ
@given(ANY_JSON, COST_CENTRES)
@example({"destino": [[[]]], "texto": {}}, CostCentre(id="a", name="a", created_at=0.0))
def test_any_json(content: Any, cost_centre: CostCentre) -> None:
    check(asked(json.dumps(content).encode(), "application/json"), cost_centre)
    check(
        asked(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"), ""), cost_centre
    )


@FUZZ
@given(
    st.text(st.characters(max_codepoint=255)),
    st.text(st.characters(max_codepoint=255)),
    COST_CENTRES,
)
def test_any_other_header(key: str, value: str, cost_centre: CostCentre) -> None:
    body = urlencode({"origem": "a", "texto": "oi", "destino": GOOD}).encode()
    headers = {"idempotency-key": key, "authorization": value}
    check(directcall.read(Request("POST", "/sms/send", headers, "", {}, body)), cost_centre)


@FUZZ
@given(st.text(), st.text(), st.text(), st.text(), st.booleans())
def test_any_refusal_can_be_told(
    path: str, field: str, reason: str, detail: str, xml: bool
) -> None:
    """A lone surrogate can't come: no charset that is read has any."""
    refusal = Refusal(field, reason, "", detail)
    form = asked(b"format=xml" if xml else b"", None, "", path)
    answer = directcall.refused(refusal, ID, None, form)
    root = ElementTree.fromstring(answer["body"]) if xml else json.loads(answer["body"])
    assert len(root) >= 4
    assert json.loads(directcall.turned_away(refusal, ID, "/sms/send")["body"])["status"] == "erro"


@FUZZ
@given(st.integers(1, 5_000), st.sampled_from([b"[", b'{"a":', b"[{", b'"\\']))
def test_deep_and_open_nesting(depth: int, opening: bytes) -> None:
    cost_centre = CostCentre(id="a", name="a", created_at=0.0)
    check(asked(b'{"destino":' + opening * depth, "application/json"), cost_centre)
    check(asked(opening * depth, "application/json"), cost_centre)
