"""The document as one HTML page: no script, nothing from elsewhere, readable on a telephone."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from recado.openapi.markup import (
    anchor,
    badge,
    inline,
    json_block,
    kind,
    limits,
    needed,
    paragraphs,
    schema,
    table,
)
from recado.openapi.parts import Json

STYLE = Path(__file__).with_name("page.css").read_text()


def page(document: Json) -> str:
    """The whole page."""
    info = document["info"]
    groups = list(_groups(document))
    return "".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body>",
            '<a class="skip" href="#content">To the content</a>',
            _navigation(groups),
            '<main id="content">',
            f"<header><h1>{escape(info['title'])} API",
            f" <small>{escape(info['version'])}</small></h1>",
            f"{paragraphs(info['description'])}{_servers(document)}{_security(document)}",
            '<p><a href="openapi.json">openapi.json</a> is what this page is made of.</p></header>',
            *(_group(tag, operations, document) for tag, operations in groups),
            _failures(document),
            _schemas(document),
            "</main></body></html>",
        ]
    )


# --- what is shown -------------------------------------------------------------------------------

_Operation = tuple[str, str, Json]  # method, path or name, what it does


def _operations(document: Json) -> Iterator[_Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation
    for methods in document["webhooks"].values():
        for operation in methods.values():
            yield "calls", "your callback URL", operation


def _groups(document: Json) -> Iterator[tuple[Json, list[_Operation]]]:
    """Each tag with its operations, in the document's order."""
    every = list(_operations(document))
    for tag in document["tags"]:
        yield tag, [found for found in every if tag["name"] in found[2]["tags"]]


def resolved(thing: Json, document: Json) -> Json:
    """The thing itself, or what it refers to within the document."""
    while "$ref" in thing:
        found = document
        for part in thing["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        thing = found
    return thing


# --- parts of the page ---------------------------------------------------------------------------


def _navigation(groups: list[tuple[Json, list[_Operation]]]) -> str:
    lists = "".join(
        f'<li><a href="#tag-{anchor(tag["name"])}">{escape(tag["name"])}</a><ul>'
        + "".join(
            f'<li><a href="#{anchor(operation["operationId"])}">'
            f"{badge(method)} {escape(operation['summary'])}</a></li>"
            for method, _, operation in operations
        )
        + "</ul></li>"
        for tag, operations in groups
    )
    more = '<li><a href="#failures">Failures</a></li><li><a href="#schemas">Schemas</a></li>'
    return f'<nav aria-label="Contents"><ul>{lists}{more}</ul></nav>'


def _servers(document: Json) -> str:
    servers = document.get("servers", [])
    return "".join(f"<p>Server: <code>{escape(server['url'])}</code></p>" for server in servers)


def _security(document: Json) -> str:
    rows = [
        (f"<code>{escape(name)}</code>", inline(scheme.get("description", "")))
        for name, scheme in document["components"]["securitySchemes"].items()
    ]
    return table(("Let in by", "What it is"), rows)


def _group(tag: Json, operations: list[_Operation], document: Json) -> str:
    name = tag["name"]
    shown = "".join(_operation(*operation, document) for operation in operations)
    about = paragraphs(tag.get("description", ""))
    return f'<section id="tag-{anchor(name)}"><h2>{escape(name)}</h2>{about}{shown}</section>'


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    name = anchor(operation["operationId"])
    return "".join(
        [
            f'<article id="{name}"><h3><a href="#{name}">{escape(operation["summary"])}</a>',
            f'</h3><p class="path">{badge(method)} <code>{escape(path)}</code>',
            f"{_who(operation)}</p>",
            paragraphs(operation["description"]),
            _parameters(operation, document),
            _body(operation, document),
            _answers(operation, document),
            "</article>",
        ]
    )


def _who(operation: Json) -> str:
    names = [name for choice in operation["security"] for name in choice]
    return f' <span class="who">{escape(", ".join(names))}</span>' if names else ""


def _parameters(operation: Json, document: Json) -> str:
    rows = []
    for told in operation.get("parameters", []):
        parameter = resolved(told, document)
        rows.append(
            (
                f"<code>{escape(parameter['name'])}</code>{needed(parameter['required'])}",
                escape(parameter["in"]),
                kind(parameter["schema"]),
                inline(parameter.get("description", ""))
                + limits(parameter["schema"])
                + _example(parameter),
            )
        )
    shown = table(("Parameter", "In", "Type", "What it is"), rows)
    return f"<h4>Parameters</h4>{shown}" if rows else ""


def _example(parameter: Json) -> str:
    if "example" not in parameter:
        return ""
    return f'<div class="limits">Example: <code>{escape(str(parameter["example"]))}</code></div>'


def _body(operation: Json, document: Json) -> str:
    if "requestBody" not in operation:
        return ""
    body = resolved(operation["requestBody"], document)
    content = body["content"]
    named = {told["schema"]["$ref"]: told["schema"] for told in content.values()}
    fields = "".join(
        f"<p>{kind(told)}</p>{schema(resolved(told, document))}" for told in named.values()
    )
    return f"<h4>Body{needed(body['required'])}</h4>{fields}{_content(content)}"


def _content(content: Json) -> str:
    """Each media type with its schema and examples; what several have in common, once."""
    shown: dict[str, list[str]] = {}
    for media, told in content.items():
        one = f": {kind(told['schema'])}</p>{limits(told['schema'])}" + "".join(
            f"<details open><summary>{escape(example['summary'])}</summary>"
            f"{json_block(example['value'])}</details>"
            for example in told.get("examples", {}).values()
        )
        shown.setdefault(one, []).append(f"<code>{escape(media)}</code>")
    return "".join(f"<p>{' or '.join(medias)}{one}" for one, medias in shown.items())


def _answers(operation: Json, document: Json) -> str:
    """Each answer; one that several operations have is told in a place of its own."""
    shown = []
    for status, told in operation["responses"].items():
        answer = resolved(told, document)
        title = f'<span class="status">{escape(status)}</span> {inline(answer["description"])}'
        inner = "" if "$ref" in told else _answer(answer)
        if "$ref" in told:
            name = escape(told["$ref"].rpartition("/")[2])
            title += f' <a href="#answer-{name}">{name}</a>'
        opened = " open" if status.startswith("2") else ""
        shown.append(
            f"<details{opened}><summary>{title}</summary>{inner}</details>"
            if inner
            else f'<p class="answer">{title}</p>'
        )
    return f"<h4>Answers</h4>{''.join(shown)}"


def _answer(answer: Json) -> str:
    headers = "".join(
        f"<p>Header <code>{escape(name)}</code> {kind(header['schema'])}</p>"
        for name, header in answer.get("headers", {}).items()
    )
    return headers + _content(answer.get("content", {}))


def _failures(document: Json) -> str:
    shown = "".join(
        _named(f"answer-{name}", name, f"<p>{inline(answer['description'])}</p>{_answer(answer)}")
        for name, answer in document["components"]["responses"].items()
    )
    return f'<section id="failures"><h2>Failures</h2>{shown}</section>'


def _schemas(document: Json) -> str:
    shown = "".join(
        _named(f"schema-{name}", name, schema(told))
        for name, told in document["components"]["schemas"].items()
    )
    return f'<section id="schemas"><h2>Schemas</h2>{shown}</section>'


def _named(identifier: str, name: str, inner: str) -> str:
    """An article with a heading that links to itself."""
    place = escape(identifier)
    heading = f'<h3><a href="#{place}">{escape(name)}</a></h3>'
    return f'<article id="{place}">{heading}{inner}</article>'
