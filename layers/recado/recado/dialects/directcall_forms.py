"""Reading Directcall's requests: fields and files from whatever form a client sends them in.

The document names multipart/form-data for the file and nothing for the rest. Clients send the rest
urlencoded, also with raw spaces and raw bytes of UTF-8 or Latin-1, as JSON, and without any content
type; those of the older pages put it into the query string.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from recado import esme
from recado.errors import Refused
from recado.http import Request
from recado.submission import Refusal

_LARGE = 65_536  # bytes of a field as it is sent; more has only a list of numbers
MAX_FIELDS = 10_000  # of an urlencoded body or a query string

Value: TypeAlias = str | list[str]  # a list is an array: in JSON one may be long
Pairs: TypeAlias = list[tuple[str, Value]]


class Form(Struct, frozen=True):
    """A request, opened. `problem`: why its body or its format can't be read; what could be read
    of it stands here all the same."""

    request: Request
    fields: dict[str, str] = {}  # the last of a repeated name
    lists: dict[str, list[str]] = {}  # what came repeated, or as an array
    files: dict[str, bytes] = {}
    problem: Refusal | None = None
    xml: bool = False


class _Content(Struct):
    """What was read so far."""

    pairs: Pairs = []
    files: dict[str, bytes] = {}


def read(request: Request) -> Form:
    """The request as a form. The body's fields win over the query string's. Raises nothing."""
    problem = None
    asked: Pairs = []
    content = _Content()
    try:
        asked.extend(_urlencoded(request.query.encode("utf-8", "replace")))
        _read_body(request, content)
    except Refused as refused:
        problem = refused.refusal
    fields, lists = _gathered(content.pairs)
    asked_fields, asked_lists = _gathered(asked)
    lists = {k: v for k, v in asked_lists.items() if k not in fields} | lists
    fields = asked_fields | fields
    xml = _is_xml(fields)
    if xml is None and problem is None:
        problem = Refusal("format", "invalid", esme.RINVOPTPARAMVAL, "deve ser JSON ou XML")
    if problem is not None and not _format_of(fields):
        xml = _asks_for_xml(request.body[:65_536]) is not None
    return Form(request, fields, lists, content.files, problem, bool(xml))


_asks_for_xml = re.compile(rb'formato?"?\s*[:=]\s*"?xml\b', re.IGNORECASE).search


def _format_of(fields: dict[str, str]) -> str:
    """The older pages call it `format`, those of /extrato and /did `formato`."""
    return (fields.get("format") or fields.get("formato") or "").strip().lower()


def _is_xml(fields: dict[str, str]) -> bool | None:
    """ "se não informado JSON será o padrão"; None where it is neither of the two."""
    return {"": False, "json": False, "xml": True}.get(_format_of(fields))


_element = re.compile(r"(?!campos\[)(.+)\[[0-9]*\]", re.DOTALL).fullmatch


def _gathered(pairs: Pairs) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Fields, and those that are lists: `destino` more than once, `destino[]`, `destino[0]`."""
    fields: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for written, value in pairs:
        element = _element(written)
        name = element[1] if element else written
        values = value if isinstance(value, list) else [value]
        if name in fields:
            lists.setdefault(name, [fields[name]]).extend(values)
        elif element or values is value:
            lists[name] = list(values)
        if values:
            fields[name] = values[-1]
    return fields, lists


def _read_body(request: Request, into: _Content) -> None:
    """Raises Refused where the body is not what its content type says, or is endless."""
    body = request.body
    if not body.strip():
        return
    # Few functions read forms: the others need not import what parses them.
    from recado.dialects import directcall_multipart  # noqa: PLC0415 - see above

    kind, options = directcall_multipart.options_of(request.headers.get("content-type", ""))
    if kind == "multipart/form-data":
        boundary = options.get("boundary", "")
        directcall_multipart.read_parts(body, boundary, into.pairs, into.files)
        return
    if kind.endswith(("/json", "+json")):
        into.pairs.extend(_json_pairs(body))
        return
    # Clients send JSON under curl's urlencoded, too. A form's first name never begins with a brace.
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        into.pairs.extend(_json_pairs(body))
        return
    into.pairs.extend(_urlencoded(body, options.get("charset", "")))


# --- text ----------------------------------------------------------------------------------------

# Not every codec that Python knows: some unpack, some evaluate, some take time by the square.
_CHARSETS = {
    name: codec
    for codec, names in {
        "utf-8": ("utf-8", "utf8", "us-ascii", "ascii"),
        "cp1252": ("iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252"),
        "iso-8859-15": ("iso-8859-15", "latin9", "latin-9"),
        "cp850": ("cp850", "ibm850"),
        "utf-16": ("utf-16", "utf16"),
        "utf-16-le": ("utf-16le", "utf-16-le"),
        "utf-16-be": ("utf-16be", "utf-16-be"),
    }.items()
    for name in names
}


def text_of(data: bytes, charset: str = "") -> str:
    """The bytes as text: as UTF-8 or in the charset that is named, where they can be; else as in
    Windows and Latin-1. A charset that is not ASCII's extension goes first: its bytes may well make
    sense in UTF-8, too."""
    named = _CHARSETS.get(charset.strip().lower(), "utf-8")
    order = (named, "utf-8") if named.startswith("utf-16") else ("utf-8", named)
    for codec in (*order, "cp1252"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


# --- urlencoded ----------------------------------------------------------------------------------


def _urlencoded(data: bytes, charset: str = "") -> Iterator[tuple[str, Value]]:
    """The pairs of a form or a query string. Only "&" parts them: a list of numbers has ";"."""
    if data.count(b"&") >= MAX_FIELDS:
        raise Refused(Refusal("body", "large", esme.RINVCMDLEN))
    for piece in data.split(b"&"):
        name, _, value = piece.partition(b"=")
        if name.strip():
            _may_be_so_large(name, value)
            yield _unquoted(name, charset).strip(), _unquoted(value, charset)


def _may_be_so_large(name: bytes, value: bytes) -> None:
    """Lists of numbers alone are large: to unquote megabytes takes hundreds of them."""
    if len(name) > _LARGE or (len(value) > _LARGE and not name.strip().startswith(b"destino")):
        raise Refused(Refusal("body", "large", esme.RINVCMDLEN))


def _unquoted(quoted: bytes, charset: str) -> str:
    slices = [quoted] if len(quoted) <= _LARGE else _slices(quoted)
    plain = b"".join(unquote_to_bytes(piece.replace(b"+", b" ")) for piece in slices)
    return text_of(plain, charset)


def _slices(quoted: bytes) -> Iterator[bytes]:
    """Pieces that cut no %41 in two."""
    start = 0
    while start < len(quoted):
        end = start + _LARGE
        mark = quoted.rfind(b"%", max(end - 2, start), end)
        end = mark if start < mark < end else end
        yield quoted[start:end]
        start = end


# --- JSON ----------------------------------------------------------------------------------------

_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_array_decoder = msgspec.json.Decoder(list[Raw])
_plain_decoder = msgspec.json.Decoder(list[str | int])
_string_decoder = msgspec.json.Decoder(str)


def _json_pairs(body: bytes) -> Pairs:
    """A JSON object's members as pairs. Raises Refused where it is none."""
    try:
        members = _object_decoder.decode(text_of(body).removeprefix("\ufeff"))
        return [pair for name, value in members.items() for pair in _json_member(name, value)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        detail = "não é um objeto JSON válido"
        raise Refused(Refusal("body", "type", esme.RINVCMDLEN, detail)) from error


def _json_member(name: str, value: Raw) -> Iterator[tuple[str, Value]]:
    """Whatever the member holds, as text: of a number its digits as they stand there."""
    content = bytes(value).strip()
    if content.startswith(b"["):
        yield name, _json_array(name, content)
    elif content.startswith(b"{") and name == "campos":
        for key, item in _object_decoder.decode(content).items():
            yield f"campos[{key}]", _json_text(key, bytes(item).strip())
    elif content != b"null":
        yield name, _json_text(name, content)


def _json_array(name: str, content: bytes) -> list[str]:
    try:
        return list(map(str, _plain_decoder.decode(content)))  # 300,000 numbers in 30 ms
    except msgspec.ValidationError:
        items = _array_decoder.decode(content)
        return [_json_text(name, bytes(item).strip()) for item in items]


def _json_text(name: str, content: bytes) -> str:
    if content.startswith(b'"'):
        return _string_decoder.decode(content)
    if content.startswith((b"[", b"{")):
        raise Refused(Refusal(name, "type", esme.RINVCMDLEN, "deve ser um texto"))
    return content.decode()
