import pytest

from node.courier_request import written
from recado.addresses import wire_of
from recado.http import Outgoing

_URL = "http://us%40er:p@[fe80::1%25eth0]:81/%41 b%"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"", b"%s\x00"])
@pytest.mark.parametrize("query", ["", "?", "?a=%s&b=%C3%A9", "?x[]=é&y=%zz#part?no", "#part?no"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-One": "1%s", "b%c": "é", "Content-Type": "text/plain"},
        {"User-Agent": "mine", "Host": "elsewhere", "a": "1", "A": "2", "Content-Length": "9"},
    ],
)
def test_a_request_in_bytes_says_what_its_wire_says(
    method: str, body: bytes, query: str, headers: dict[str, str]
) -> None:
    for value in ("", "other"):  # the second time from what was made once
        request = Outgoing(method, _URL + query, {**headers, "x-last": value}, body)
        wire = wire_of(request)
        form, data = written(request)
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert (form.place, form.head_only, rest) == (wire.place, False, body)
        assert first == f"{method} {wire.target} HTTP/1.1"
        assert sorted(lines) == sorted(f"{name}: {said}" for name, said in wire.headers.items())


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "a\u0100b"])
def test_a_header_that_would_be_more_than_one_is_refused(value: str) -> None:
    for headers in ({"x": value}, {"x": "fine", "y": value}):
        with pytest.raises(ValueError, match=r"^a header is invalid$"):
            written(Outgoing("GET", "http://example.com/", headers))
