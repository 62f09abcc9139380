"""A request of ours in bytes, for the node's courier: what all that go to one URL have in common is
made once."""

from functools import lru_cache

from msgspec import Struct

from recado.addresses import INVALID_HEADER, Place, query_of, wire_of
from recado.http import Outgoing


class Form(Struct, frozen=True):
    """What requests by one method to one URL, with headers of the same names, have in common."""

    place: Place
    head: str  # to be filled with the query, the values of those headers, and the body's length
    head_only: bool  # the answer has no body


def written(request: Outgoing) -> tuple[Form, bytes]:
    """The request that recado.addresses.wire_of makes of it. Raises ValueError, with the words for
    the outcome, where it cannot be sent as it stands."""
    url, headers, body, query = request.url, request.headers, request.body, ""
    if "?" in url or "#" in url:
        url, _, query = url.partition("#")[0].partition("?")
        query = query_of(query)
    form = _form(request.method, url, tuple(headers), bool(body))
    values = headers.values()
    said = "".join(values)
    if "\r" in said or "\n" in said or "\0" in said:
        raise ValueError(INVALID_HEADER)
    try:
        head = (form.head % (query, *values, len(body))).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(INVALID_HEADER) from None
    return form, head + body


@lru_cache(maxsize=1024)
def _form(method: str, url: str, names: tuple[str, ...], has_body: bool) -> Form:
    places = {name: f"<{name}>" for name in names}
    wire = wire_of(Outgoing(method, url, places, b"." if has_body else b""))
    size = "content-length: %d\r\n" if wire.headers.pop("content-length", "") else "%.0s"
    own, kept = frozenset(places.values()), frozenset(wire.headers.values())
    fields = [
        f"{name}: {value}\r\n".replace("%", "%%")
        for name, value in wire.headers.items()
        if value not in own
    ]
    # What is not kept is ours to say, or is said twice: "%.0s" takes its value and shows nothing.
    for name, place in places.items():
        line = name.lower().replace("%", "%%") + ": %s\r\n"
        fields.append(line if place in kept else "%.0s")
    line = f"{method} {wire.target}".replace("%", "%%") + "%s HTTP/1.1\r\n"
    return Form(wire.place, "".join([line, *fields, size, "\r\n"]), method == "HEAD")
