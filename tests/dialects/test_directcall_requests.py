"""Directcall's /sms/send as a pure translation: what is read from a request."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from recado.costcentre import CostCentre
from recado.dialects import directcall
from recado.dialects.directcall import Form, Order
from recado.dialects.directcall_forms import MAX_FIELDS
from recado.dialects.directcall_multipart import MAX_PARTS
from recado.errors import Refused
from recado.http import Request
from recado.numbers import number_of
from recado.submission import Refusal

GOOD, OTHER, FIXED = "5534998887755", "5541997999999", "554130600300"
BASE = {"origem": FIXED, "destino": GOOD, "texto": "oi", "access_token": "t0"}
FORM = "application/x-www-form-urlencoded"
ANA = CostCentre(id="ana", name="Ana", created_at=0.0)


def request(
    body: bytes = b"", content_type: str | None = FORM, query: str = "", **headers: str
) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["content-type"] = content_type
    return Request("POST", "/sms/send", named, query, {}, body)


def form(**fields: Any) -> Form:
    """A request with the least that it takes, and these fields; None takes one away."""
    given = {name: value for name, value in {**BASE, **fields}.items() if value is not None}
    return directcall.read(request(urlencode(given, doseq=True).encode()))


def multipart(*parts: tuple[str, bytes] | tuple[str, bytes, str], end: bool = True) -> Request:
    """Parts of a name, a content and, for some, further header lines."""
    body = b""
    for name, content, *more in parts:
        head = f'Content-Disposition: form-data; name="{name}"' + "".join(more)
        body += b"--limite\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return request(
        body + (b"--limite--\r\n" if end else b""), "multipart/form-data; boundary=limite"
    )


def a_file(name: str, content: bytes) -> tuple[str, bytes, str]:
    return name, content, '; filename="lista.csv"\r\nContent-Type: text/csv'


def with_file(content: bytes, **fields: str) -> Form:
    given = {**BASE, "destino": "", **fields}
    parts = [(name, value.encode()) for name, value in given.items() if value]
    return directcall.read(multipart(*parts, a_file("destino_csv", content)))


def order(
    of: Form, cost_centre: CostCentre = ANA, breathe: Callable[[], None] = lambda: None
) -> Order:
    return directcall.send_order(of, cost_centre, breathe)


def refusal(of: Form, cost_centre: CostCentre = ANA) -> Refusal:
    with pytest.raises(Refused) as caught:
        order(of, cost_centre)
    return caught.value.refusal


def why(of: Form, cost_centre: CostCentre = ANA) -> tuple[str, str]:
    found = refusal(of, cost_centre)
    return found.field, found.reason


def to(of: Order) -> list[str]:
    """The numbers that it is for."""
    ask = of.ask
    return list(ask.numbers) or [
        str(number_of(wish.destination, ask.numbering)) for wish in ask.wishes
    ]


# --- forms of a request --------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [FORM, FORM + "; charset=UTF-8", "text/plain", "", None])
@pytest.mark.parametrize("text", ["Olá, até já", "a&b=c;d+e%", "€ 😀", "linha\r\nlinha"])
def test_a_form_is_read_under_whatever_content_type(content_type: str | None, text: str) -> None:
    body = urlencode({**BASE, "texto": text}).encode()
    read = directcall.read(request(body, content_type))
    assert (read.fields["texto"], read.problem, read.xml) == (text, None, False)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("write", [lambda raw: raw, lambda raw: quote(raw).encode()])
def test_raw_spaces_and_raw_bytes_are_read_as_they_are_meant(
    encoding: str, write: Callable[[bytes], bytes]
) -> None:
    body = b"origem=1&destino=2&texto=" + write("Olá amanhã, João".encode(encoding))
    assert directcall.read(request(body)).fields["texto"] == "Olá amanhã, João"


def test_what_windows_writes_is_no_control_character() -> None:
    assert directcall.read(request(b"texto=\x93oi\x94 \x80 5")).fields["texto"] == "“oi” € 5"
    assert directcall.read(request(b"texto=\x81")).fields["texto"] == "\x81"


def test_a_semicolon_parts_numbers_and_not_fields() -> None:
    read = directcall.read(request(f"destino={GOOD};{OTHER}&texto=a;b=c".encode()))
    assert read.fields == {"destino": f"{GOOD};{OTHER}", "texto": "a;b=c"}


def test_of_a_repeated_name_the_last_counts_and_all_are_kept() -> None:
    read = directcall.read(request(b"texto=a&texto=b&x=1&destino=1&destino=2"))
    assert read.fields == {"texto": "b", "x": "1", "destino": "2"}
    assert read.lists == {"texto": ["a", "b"], "destino": ["1", "2"]}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f"destino[]={GOOD}&destino[]={OTHER}", FORM),
        (f"destino%5B%5D={GOOD}&destino%5B%5D={OTHER}", FORM),
        (f"destino[0]={GOOD}&destino[1]={OTHER}", FORM),
        (f"destino={GOOD}&destino={OTHER}", FORM),
        (json.dumps({"destino": [GOOD, OTHER]}), "application/json"),
        (json.dumps({"destino": [int(GOOD), int(OTHER)]}), "application/json"),
        (json.dumps({"destino": [int(GOOD), OTHER]}), "application/json"),
        (json.dumps({"destino[]": [GOOD, OTHER]}), "application/json"),
    ],
)
def test_an_array_of_destinations_is_read_however_it_is_written(
    body: str, content_type: str
) -> None:
    query = urlencode({**BASE, "destino": "1"})
    read = directcall.read(request(body.encode(), content_type, query))
    assert read.lists["destino"] == [GOOD, OTHER]
    assert to(order(read)) == [GOOD, OTHER]


def test_an_array_of_one_and_an_empty_one() -> None:
    assert to(order(form(**{"destino": None, "destino[]": GOOD}))) == [GOOD]
    body = json.dumps({**BASE, "destino": []}).encode()
    assert why(directcall.read(request(body, "application/json"))) == ("destino", "missing")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", FORM, None]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \r\n"])
def test_json_is_read_and_known_by_its_brace(content_type: str | None, mark: bytes) -> None:
    content = {**BASE, "texto": "Olá 😀", "campos": {"pedido": 17, "x": "y"}, "nada": None}
    read = directcall.read(request(mark + json.dumps(content).encode(), content_type))
    assert read.problem is None
    assert read.fields == {**BASE, "texto": "Olá 😀", "campos[pedido]": "17", "campos[x]": "y"}


def test_a_number_in_json_is_taken_as_its_digits() -> None:
    body = b'{"destino":5534998887755,"texto":10,"x":1.50,"y":1e3,"z":true,"w":%s}' % (b"9" * 5000)
    read = directcall.read(request(body, "application/json"))
    expected = {"destino": GOOD, "texto": "10", "x": "1.50", "y": "1e3", "z": "true"}
    assert read.fields == {**expected, "w": "9" * 5000}
    many = b'{"destino":[5534998887755,1.0,true]}'
    assert directcall.read(request(many, "application/json")).lists["destino"] == [
        GOOD,
        "1.0",
        "true",
    ]


def test_json_in_latin_1_is_read() -> None:
    body = '{"texto":"Olá"}'.encode("iso-8859-1")
    assert directcall.read(request(body, "application/json")).fields == {"texto": "Olá"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[1]", "body"),
        (b'"a"', "body"),
        (b"{", "body"),
        (b'{"texto":"\\ud800"}', "body"),
        (b'{"texto":' + b"[" * 10_000, "body"),
        (b'{"texto":{"a":1}}', "texto"),
        (b'{"texto":[["a"]]}', "texto"),
    ],
)
def test_what_is_no_json_object_of_texts_is_a_problem(body: bytes, field: str) -> None:
    read = directcall.read(request(body, "application/json"))
    assert read.problem is not None
    assert (read.problem.field, read.problem.reason) == (field, "type")
    assert why(read) == (field, "type")


def test_the_query_string_serves_and_the_body_wins_over_it() -> None:
    query = urlencode({**BASE, "texto": "da busca", "destino[]": OTHER})
    assert to(order(directcall.read(request(b"", None, query)))) == [GOOD, OTHER]
    read = directcall.read(request(b"texto=do+corpo&destino=" + GOOD.encode(), FORM, query))
    assert (read.fields["texto"], read.fields["access_token"]) == ("do corpo", "t0")
    assert to(order(read)) == [GOOD]


# --- multipart -----------------------------------------------------------------------------------


def test_fields_and_the_file_are_read_from_multipart() -> None:
    read = with_file(f"{GOOD};{OTHER}".encode(), texto="Olá & até já")
    assert (read.fields["texto"], read.files) == (
        "Olá & até já",
        {"destino_csv": f"{GOOD};{OTHER}".encode()},
    )
    assert to(order(read)) == [GOOD, OTHER]


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("", "utf-8"),
        ("", "iso-8859-1"),
        ("UTF-8", "utf-8"),
        ("ISO-8859-1", "iso-8859-1"),
        ("utf-16le", "utf-16-le"),
        ("utf-16", "utf-16"),
        ("cp850", "cp850"),
        ("punycode", "utf-8"),
        ("nenhum", "iso-8859-1"),
    ],
)
def test_a_text_part_is_read_in_its_charset(charset: str, encoding: str) -> None:
    header = f"\r\nContent-Type: text/plain; charset={charset}" if charset else ""
    read = directcall.read(multipart(("texto", "Olá, João".encode(encoding), header)))
    assert read.fields == {"texto": "Olá, João"}


def test_a_name_of_a_part_may_have_accents() -> None:
    read = directcall.read(multipart(("campos[ação]", b"1")))
    assert read.fields == {"campos[ação]": "1"}


def test_a_file_without_a_name_is_a_field_and_read_all_the_same() -> None:
    parts = [(name, value.encode()) for name, value in BASE.items() if name != "destino"]
    read = directcall.read(multipart(*parts, ("destino_csv", GOOD.encode())))
    assert (read.files, to(order(read))) == ({}, [GOOD])


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=outro"]
)
def test_a_body_that_is_not_its_content_type_is_a_problem(content_type: str) -> None:
    body = multipart(("texto", b"oi")).body
    assert why(directcall.read(request(body, content_type))) == ("body", "type")


def test_of_a_body_that_was_cut_nothing_is_sent_and_the_format_is_known() -> None:
    parts = [(name, value.encode()) for name, value in {**BASE, "format": "XML"}.items()]
    cut = multipart(*parts, a_file("destino_csv", GOOD.encode()), end=False)
    read = directcall.read(cut)
    assert (why(read), read.xml) == (("body", "type"), True)


def test_fields_and_parts_are_bounded() -> None:
    assert directcall.read(request(b"x=1&" * (MAX_FIELDS - 1))).problem is None
    endless = directcall.read(request(b"x=1&" * MAX_FIELDS))
    assert endless.problem is not None
    assert endless.problem.reason == "large"
    assert directcall.read(multipart(*[("x", b"1")] * MAX_PARTS)).problem is None
    endless = directcall.read(multipart(*[("x", b"1")] * (MAX_PARTS + 1)))
    assert endless.problem is not None
    assert endless.problem.reason == "large"


# --- format and who asks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["format", "formato"])
@pytest.mark.parametrize(
    ("written", "xml"),
    [("JSON", False), ("json", False), ("", False), ("XML", True), ("Xml", True), (" xml ", True)],
)
def test_the_format_is_told_in_any_case(name: str, written: str, xml: bool) -> None:
    read = form(**{name: written})
    assert (read.xml, read.problem) == (xml, None)


def test_an_unknown_format_is_refused_in_json() -> None:
    read = form(format="yaml")
    assert (why(read), read.xml) == (("format", "invalid"), False)
    with pytest.raises(Refused):
        directcall.credential(read)


@pytest.mark.parametrize(
    "read",
    [
        request(b"[", "application/json", "format=XML"),
        request(b'{"formato": "Xml", "texto": ', "application/json"),
        request(b"format=XML" + b"&x=1" * MAX_FIELDS),
    ],
)
def test_the_format_of_a_body_that_cant_be_read_is_found_where_it_can(read: Request) -> None:
    opened = directcall.read(read)
    assert (opened.problem is not None, opened.xml) == (True, True)


def test_the_access_token_opens_and_a_header_where_there_is_none() -> None:
    header = {"authorization": "Basic YTpi"}
    assert directcall.credential(form()) == "Bearer t0"
    body = urlencode(BASE).encode()
    assert directcall.credential(directcall.read(request(body, **header))) == "Bearer t0"
    assert directcall.credential(directcall.read(request(b"texto=oi", **header))) == "Basic YTpi"
    for missing in (form(access_token=None), form(access_token=" ")):
        with pytest.raises(Refused) as caught:
            directcall.credential(missing)
        assert (caught.value.refusal.field, caught.value.refusal.reason) == (
            "access_token",
            "missing",
        )


def test_who_asks_for_a_token_gives_an_id_and_a_secret() -> None:
    both = {"client_id": "ana@x.br", "client_secret": "s3"}
    read = directcall.read(request(urlencode(both).encode()))
    assert directcall.client_of(read) == ("ana@x.br", "s3")
    for name in both:
        with pytest.raises(Refused) as caught:
            directcall.client_of(directcall.read(request(urlencode({**both, name: ""}).encode())))
        assert (caught.value.refusal.field, caught.value.refusal.reason) == (name, "missing")


# --- origem, short_number, id_origem, texto ------------------------------------------------------


@pytest.mark.parametrize("origem", [FIXED, "29188", "Loja da Ana", "Ação", "x" * 20])
def test_the_origin_is_a_number_or_a_word(origem: str) -> None:
    assert order(form(origem=f" {origem} ")).ask.source == origem


@pytest.mark.parametrize(
    ("origem", "reason"),
    [
        (None, "missing"),
        ("", "empty"),
        ("  ", "empty"),
        ("x" * 21, "long"),
        ("a\0b", "invalid"),
        ("a\nb", "invalid"),
        ("a\u200bb", "invalid"),
    ],
)
def test_the_origin_is_required_short_and_printable(origem: str | None, reason: str) -> None:
    assert why(form(origem=origem)) == ("origem", reason)


@pytest.mark.parametrize(
    ("written", "source"),
    [(None, FIXED), ("", FIXED), ("n", FIXED), ("N", FIXED), ("s", ""), (" S ", "")],
)
def test_with_a_short_number_the_upstreams_own_sends(written: str | None, source: str) -> None:
    assert order(form(short_number=written)).ask.source == source


@pytest.mark.parametrize(
    ("written", "text"), [(None, "oi"), ("", "oi"), ("N", "oi"), ("s", f"{FIXED} oi")]
)
def test_the_origin_is_put_at_the_beginning_where_it_is_asked_for(
    written: str | None, text: str
) -> None:
    assert order(form(id_origem=written)).ask.wishes[0].text == text
    assert order(form(id_origem=written, tipo="voz")).ask.wishes[0].text == "oi"


@pytest.mark.parametrize("name", ["short_number", "id_origem"])
@pytest.mark.parametrize("value", ["sim", "1", "true", "x"])
def test_a_yes_or_no_is_s_or_n(name: str, value: str) -> None:
    assert why(form(**{name: value})) == (name, "invalid")


@pytest.mark.parametrize(
    ("texto", "reason"),
    [(None, "missing"), ("", "empty"), (" \n ", "empty"), ("a" * 701, "long"), ("ж" * 701, "long")],
)
def test_the_text_is_required_and_has_at_most_700_characters(
    texto: str | None, reason: str
) -> None:
    assert why(form(texto=texto)) == ("texto", reason)
    assert order(form(texto="a" * 700)).ask.wishes[0].text == "a" * 700


def test_a_text_of_more_segments_than_allowed_is_refused_whole() -> None:
    """Every recipient has the same text: to take the request would be to send nothing."""
    narrow = CostCentre(id="ana", name="Ana", created_at=0.0, max_segments=1)
    assert why(form(texto="a" * 161), narrow) == ("text", "long")
    assert why(form(texto="a" * 161, destino=f"{GOOD};{OTHER}"), narrow) == ("text", "long")
    assert order(form(texto="a" * 161, tipo="voz"), narrow).ask.voice


@pytest.mark.parametrize(
    ("length", "shown", "units"),
    [
        *[(1, "n", 1), (140, "n", 1), (141, "n", 2), (280, "n", 2), (281, "n", 3), (700, "n", 5)],
        *[(128, "s", 1), (129, "s", 2), (268, "s", 2), (269, "s", 3)],
    ],
)
def test_a_customer_is_charged_by_140_characters_with_the_origin_where_it_is_shown(
    length: int, shown: str, units: int
) -> None:
    assert len(FIXED) == 12
    asked = order(form(texto="ã" * length, id_origem=shown)).ask
    assert asked.units == units


# --- tipo, cron ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tipo", "voice"),
    [(None, False), ("", False), ("texto", False), ("TEXTO", False), ("voz", True), ("Voz ", True)],
)
def test_a_message_is_text_or_voice(tipo: str | None, voice: bool) -> None:
    asked = order(form(tipo=tipo, texto="a" * 300)).ask
    assert (asked.voice, asked.units) == (voice, 1 if voice else 3)


def test_any_other_kind_is_refused() -> None:
    assert why(form(tipo="fax")) == ("tipo", "invalid")


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("25-12-2026-08-30-05", "2026-12-25T11:30:05+00:00"),
        ("1-2-2027-3-4-5", "2027-02-01T06:04:05+00:00"),
        ("01-01-2018-00-00-00", "2018-01-01T02:00:00+00:00"),  # summer time was one hour more
        (" 29-02-2028-23-59-59 ", "2028-03-01T02:59:59+00:00"),
    ],
)
@pytest.mark.parametrize("time_zone", ["America/Sao_Paulo", "Asia/Tokyo"])
def test_a_schedule_is_in_the_time_of_brasilia(cron: str, expected: str, time_zone: str) -> None:
    far = CostCentre(id="ana", name="Ana", created_at=0.0, time_zone=time_zone)
    send_at = order(form(cron=cron), far).ask.send_at
    assert send_at is not None
    assert datetime.fromtimestamp(send_at, UTC).isoformat() == expected


@pytest.mark.parametrize("cron", [None, "", "  "])
def test_no_schedule_means_now(cron: str | None) -> None:
    assert order(form(cron=cron)).ask.send_at is None


@pytest.mark.parametrize(
    "cron",
    [
        "amanhã",
        "2026-12-25-08-30-00",
        "25-12-2026",
        "25-12-2026 08:30:00",
        "31-02-2027-00-00-00",
        "25-12-2026-24-00-00",
        "25-12-26-08-30-00",
        "٢٥-12-2026-08-30-00",
        "25-12-2026-08-30-00-00",
        "0-0-0000-0-0-0",
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(cron: str) -> None:
    assert why(form(cron=cron)) == ("cron", "type")


# --- campos and what is ours ---------------------------------------------------------------------


def test_what_nobody_knows_is_kept() -> None:
    asked = order(form(**{"campos[pedido]": "17", "campos[a[b]": "x", "lote": "7", "Texto": "y"}))
    assert asked.ask.fields == {"pedido": "17", "a[b": "x", "lote": "7", "Texto": "y"}


def test_what_is_known_is_not_kept_nor_are_stray_credentials() -> None:
    known = {"tipo": "", "cron": "", "format": "", "formato": "", "short_number": "s"}
    more = {"id_origem": "s", "destino_csv": "", "client_id": "a", "client_secret": "b"}
    assert order(form(**known, **more)).ask.fields == {}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({f"campos[c{n}]": "x" for n in range(21)}, "c20"),
        ({"campos[" + "x" * 41 + "]": "1"}, "campos[" + "x" * 33),
        ({"y" * 41: "1"}, "y" * 40),
        ({"pedido": "x" * 201}, "pedido"),
        ({"campos[]": "x"}, "campos[]"),
    ],
)
def test_what_is_kept_is_little(fields: dict[str, str], named: str) -> None:
    assert why(form(**fields)) == (named, "long")


def test_as_much_as_may_be_is_kept() -> None:
    most = {f"{n:02}" + "x" * 38: "y" * 200 for n in range(20)}
    assert order(form(**most)).ask.fields == most


def test_an_idempotency_key_is_read_from_the_header() -> None:
    body = urlencode(BASE).encode()
    assert order(directcall.read(request(body))).ask.idempotency_key is None
    keyed = directcall.read(request(body, idempotency_key="a1"))
    assert order(keyed).ask.idempotency_key == "a1"
    for bad in ("", "k" * 256):
        keyed = directcall.read(request(body, idempotency_key=bad))
        assert why(keyed) == ("idempotency-key", "type")


# --- destinations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (GOOD, GOOD),
        ("34998887755", GOOD),
        ("034998887755", GOOD),
        ("+5534998887755", GOOD),
        ("005534998887755", GOOD),
        (FIXED, FIXED),
        ("4130600300", FIXED),
        (f" {GOOD};", GOOD),
    ],
)
def test_one_number_is_a_message_however_it_is_written(written: str, number: str) -> None:
    taken = order(form(destino=written))
    assert (taken.ask.batch, taken.ask.numbers, to(taken)) == (False, (), [number])
    assert (taken.duplicates, taken.bad) == (0, [])


def test_fixed_lines_can_be_switched_off_for_texts_alone() -> None:
    without = CostCentre(id="ana", name="Ana", created_at=0.0, fixed_lines=False)
    assert why(form(destino=FIXED), without) == ("destino", "fixed_line")
    assert to(order(form(destino=FIXED, tipo="voz"), without)) == [FIXED]


def test_numbers_abroad_are_taken_where_the_cost_centre_may() -> None:
    abroad = CostCentre(id="ana", name="Ana", created_at=0.0, international=True)
    assert to(order(form(destino="0034612345678"), abroad)) == ["34612345678"]
    assert why(form(destino="0034612345678")) == ("destino", "invalid")


@pytest.mark.parametrize("between", [";", ",", " ", "\n", "; ", ";;", "\r\n", "\t"])
def test_several_numbers_are_a_batch(between: str) -> None:
    taken = order(form(destino=between.join([GOOD, OTHER, FIXED])))
    assert (taken.ask.batch, to(taken)) == (True, [GOOD, OTHER, FIXED])
    assert {wish.text for wish in taken.ask.wishes} == {"oi"}


def test_of_a_number_that_comes_again_the_first_is_sent() -> None:
    taken = order(form(destino=f"{GOOD};034998887755;{OTHER};+{GOOD}"))
    assert [wish.destination for wish in taken.ask.wishes] == [GOOD, OTHER]
    assert (taken.duplicates, taken.ask.batch) == (2, True)


def test_what_is_no_number_stays_among_the_others_and_is_listed() -> None:
    taken = order(form(destino=f"{GOOD};nada;5541xx99792010;{OTHER}"))
    wishes = [wish.destination for wish in taken.ask.wishes]
    assert wishes == [GOOD, "nada", "5541xx99792010", OTHER]
    assert (taken.bad_count, taken.bad) == (2, [(2, "nada"), (3, "5541xx99792010")])


def test_one_number_and_anything_else_is_a_batch() -> None:
    assert order(form(destino=f"{GOOD};nada")).ask.batch
    assert order(form(destino=f"{GOOD};{GOOD}")).ask.batch


@pytest.mark.parametrize(
    ("destino", "reason"),
    [
        (None, "missing"),
        ("", "empty"),
        (" ;;, ", "empty"),
        ("553488556644", "invalid"),
        ("nada", "invalid"),
        ("nada;553488556644", "invalid"),
    ],
)
def test_a_request_without_a_number_is_refused(destino: str | None, reason: str) -> None:
    assert why(form(destino=destino)) == ("destino", reason)


@pytest.mark.parametrize("count", [11, 100, 400])
def test_up_to_400_recipients_are_told_about_one_by_one(count: int) -> None:
    numbers = [f"55419{n:08}" for n in range(count)]
    for taken in (
        order(form(destino=";".join(numbers))),
        order(with_file("\n".join(numbers).encode())),
    ):
        assert [wish.destination for wish in taken.ask.wishes] == numbers
        assert (taken.ask.numbers, taken.ask.batch) == ((), True)


def test_more_are_a_list_to_one_text() -> None:
    numbers = [f"55419{n:08}" for n in range(401)]
    noisy = [*numbers, numbers[0], "12345"]
    for taken in (
        order(form(destino=";".join(noisy), texto="a" * 200)),
        order(with_file(";".join(noisy).encode(), texto="a" * 200)),
    ):
        assert (taken.ask.wishes, taken.ask.numbers, taken.ask.batch) == ((), numbers, True)
        assert (taken.ask.text, taken.ask.units, taken.duplicates) == ("a" * 200, 2, 1)
        assert (taken.bad_count, [what for _, what in taken.bad]) == (1, ["12345"])


def test_400_numbers_among_more_things_are_told_about_without_those() -> None:
    numbers = [f"55419{n:08}" for n in range(400)]
    taken = order(form(destino=";".join([*numbers, "nada"])))
    assert [wish.destination for wish in taken.ask.wishes] == numbers
    assert taken.bad == [(401, "nada")]


# --- destino_csv ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        f"{GOOD};{OTHER}",
        f"{GOOD}\r\n{OTHER}\r\n",
        f'nome,"fone"\nJoão,"{GOOD}"\nAna,"{OTHER}"\n',
        f"{GOOD}xx{OTHER}",
        f"\ufeff{GOOD}|{OTHER}",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_numbers_of_a_file_are_parted_by_whatever_is_no_digit(content: str, encoding: str) -> None:
    assert to(order(with_file(content.encode(encoding)))) == [GOOD, OTHER]


def test_a_masked_number_of_a_file_is_two_things_that_are_none() -> None:
    taken = order(with_file(f"{GOOD}\n5541xx99792010\n{GOOD}\n".encode()))
    assert (to(taken), taken.duplicates) == ([GOOD], 1)
    assert (taken.bad_count, taken.bad) == (2, [(2, "5541"), (2, "99792010")])


def test_one_number_in_a_file_is_a_message() -> None:
    assert not order(with_file(f"{GOOD}\n".encode())).ask.batch


def test_a_file_and_destinations_are_joined() -> None:
    taken = order(with_file(f"{OTHER}\n{GOOD}\n7\n{FIXED}".encode(), destino=f"{GOOD};nada"))
    assert [wish.destination for wish in taken.ask.wishes] == [GOOD, "nada", OTHER, FIXED]
    assert (taken.duplicates, taken.bad) == (1, [(2, "nada"), (3, "7")])


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"\r\n", "empty"), (b"nome;fone\n1;2", "invalid")]
)
def test_a_file_without_a_number_is_refused(content: bytes, reason: str) -> None:
    assert why(with_file(content)) == ("destino", reason)


@pytest.mark.parametrize("where", ["destino", "destino_csv"])
def test_a_long_list_breathes_while_it_is_read(where: str) -> None:
    numbers = "\n".join(f"55419{n:08}" for n in range(20_000))
    read = form(destino=numbers) if where == "destino" else with_file(numbers.encode())
    breaths: list[int] = []
    taken = order(read, breathe=lambda: breaths.append(1))
    assert (len(taken.ask.numbers), len(breaths) > 3) == (20_000, True)


def test_of_endless_rubbish_the_first_thousand_are_kept_and_all_are_counted() -> None:
    taken = order(with_file(f"{GOOD}\n".encode() + b"7\n" * 50_000))
    assert (taken.bad_count, len(taken.bad), taken.bad[-1]) == (50_000, 1_000, (1_001, "7"))
    taken = order(form(destino=GOOD + ";x" * 50_000))
    assert (taken.bad_count, len(taken.bad), taken.bad[-1]) == (50_000, 1_000, (1_001, "x"))


# --- what is too large ---------------------------------------------------------------------------


def urlencoded(body: bytes) -> Form:
    sent = {"content-type": "application/x-www-form-urlencoded"}
    return directcall.read(Request("POST", "/sms/send", sent, "", {}, body))


@pytest.mark.parametrize("name", [b"texto", b"origem", b"campos[x]"])
def test_no_field_but_the_list_of_numbers_may_be_megabytes(name: bytes) -> None:
    problem = urlencoded(name + b"=" + b"%" * 1_000_000).problem
    assert problem is not None
    assert problem.reason == "large"


def test_a_list_of_numbers_in_a_field_may_be_and_is_read_whole() -> None:
    numbers = [f"5534{990_000_000 + n}" for n in range(20_000)]
    written = "%3B".join(numbers).encode()
    assert urlencoded(b"destino=" + written).fields["destino"].split(";") == numbers
