"""Forms with files (multipart/form-data, RFC 7578), as Directcall's clients send them."""

from collections.abc import Iterable

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from recado import esme
from recado.dialects.directcall_forms import Pairs, text_of
from recado.errors import Refused
from recado.submission import Refusal

MAX_PARTS = 1_000
MAX_PART_BYTES = 64 * 1024 * 1024  # a body is bounded long before by who hands it to us
_MAX_BOUNDARY = 200  # RFC 2046 allows 70


def options_of(content_type: str) -> tuple[str, dict[str, str]]:
    """A header's media type, and what stands behind it."""
    kind, options = parse_options_header(content_type)
    return str(kind), dict(options)


def read_parts(body: bytes, boundary: str, pairs: Pairs, files: dict[str, bytes]) -> None:
    """RFC 7578. Nothing of a body that ends too soon is used but its format: half a list of
    numbers is not what its customer meant to send. Raises Refused."""
    try:
        for segment, content in _segments(body, boundary):
            # Header bytes stand here one a character, and are UTF-8 as a rule.
            name = text_of((segment.name or "").encode("latin-1", "replace")).strip()
            if segment.filename is not None:
                files[name] = content
            elif name:
                pairs.append((name, text_of(content, segment.charset or "")))
    except ParserLimitReached as error:
        raise Refused(Refusal("body", "large", esme.RINVCMDLEN)) from error
    except MultipartError as error:
        detail = "não é multipart/form-data válido"
        raise Refused(Refusal("body", "type", esme.RINVCMDLEN, detail)) from error


def _segments(body: bytes, boundary: str) -> Iterable[tuple[MultipartSegment, bytes]]:
    segment, pieces = None, list[bytes]()
    with PushMultipartParser(
        boundary.encode("latin-1", "replace")[:_MAX_BOUNDARY],
        max_segment_size=MAX_PART_BYTES,
        max_segment_count=MAX_PARTS,
        header_charset="latin-1",
    ) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                segment, pieces = event, []
            elif event:
                pieces.append(event)
            elif segment is not None:
                yield segment, b"".join(pieces)
