"""How words, tables, examples and schemas look on the page."""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape

from recado.openapi.parts import Json

_CODE = re.compile(r"`([^`]+)`")
_LIMITS = {
    "format": "{}",
    "enum": "one of {}",
    "pattern": "pattern {}",
    "minLength": "length from {}",
    "maxLength": "length to {}",
    "minimum": "from {}",
    "maximum": "to {}",
    "minItems": "{} or more",
    "maxItems": "{} or fewer",
    "contentMediaType": "{}",
}


def inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def paragraphs(text: str) -> str:
    return "".join(f"<p>{inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def anchor(name: str) -> str:
    return escape(re.sub(r"[^A-Za-z0-9]+", "-", name))


def badge(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are HTML already; a small screen shows each with its title."""
    titles = list(titles)
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-title="{title}">{cell}</td>' for title, cell in zip(titles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def json_block(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return f'<pre tabindex="0"><code>{escape(shown)}</code></pre>'


def needed(required: bool) -> str:
    return ' <span class="required">required</span>' if required else ""


# --- schemas -------------------------------------------------------------------------------------


def kind(schema: Json) -> str:
    """A schema's type in a few words; another schema's name is a link to it."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "items" in schema:
        return f"list of {kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"names to {kind(schema['additionalProperties'])}"
    types = schema.get("type", "anything")
    return escape(types if isinstance(types, str) else " or ".join(types))


def limits(schema: Json) -> str:
    """What a value may be, beyond its type."""
    told = []
    for name, words in _LIMITS.items():
        if name in schema:
            value = schema[name]
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            told.append(words.format(f"<code>{escape(shown)}</code>"))
    return f'<div class="limits">{"; ".join(told)}</div>' if told else ""


def schema(told: Json) -> str:
    """A schema as a table of its fields, or as its type."""
    if "properties" not in told:
        return f"<p>{kind(told)} {inline(told.get('description', ''))}</p>{limits(told)}"
    about = paragraphs(told.get("description", ""))
    return about + table(("Field", "Type", "What it is"), _fields(told, ""))


def _fields(told: Json, before: str) -> Iterator[tuple[str, str, str]]:
    """The rows of an object's fields, and of those of the objects in it."""
    for name, field in told["properties"].items():
        yield (
            f"<code>{escape(before + name)}</code>{needed(name in told.get('required', []))}",
            kind(field),
            inline(field.get("description", "")) + limits(field),
        )
        if "properties" in field:
            yield from _fields(field, f"{before}{name}.")
