"""What the OpenAPI document says, as the tests ask it."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from recado.openapi import document
from recado.openapi.page import resolved

DOCUMENT = document()

Operation = tuple[str, str, dict[str, Any]]


def operations() -> list[Operation]:
    """Method, path and what is said, of every operation."""
    return [
        (method.upper(), path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


OPERATIONS = {operation["operationId"]: (method, path) for method, path, operation in operations()}


def callbacks() -> list[dict[str, Any]]:
    return [methods["post"] for methods in DOCUMENT["webhooks"].values()]


def validator(schema: dict[str, Any]) -> Any:
    """A validator of a schema of the document, which may refer to others."""
    whole = {"components": DOCUMENT["components"], **schema}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def holds(schema: dict[str, Any], value: Any, about: object = "") -> None:
    problems = [error.message for error in validator(schema).iter_errors(value)]
    assert not problems, (about, value)


def contents(thing: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each example within a part of the document, with its schema."""
    if isinstance(thing, list):
        for inner in thing:
            yield from contents(inner)
    elif isinstance(thing, dict):
        if isinstance(thing.get("schema"), dict):
            for example in thing.get("examples", {}).values():
                yield thing["schema"], example["value"]
            if "example" in thing:
                yield thing["schema"], thing["example"]
        for inner in thing.values():
            yield from contents(inner)


def references(thing: Any) -> Iterator[str]:
    if isinstance(thing, list):
        for inner in thing:
            yield from references(inner)
    elif isinstance(thing, dict):
        if isinstance(thing.get("$ref"), str):
            yield thing["$ref"]
        for inner in thing.values():
            yield from references(inner)


def answered(operation: dict[str, Any], status: int, headers: dict[str, str], body: Any) -> None:
    """Holds an answer to what the document says of it."""
    name = operation["operationId"]
    assert str(status) in operation["responses"], (name, status, body)
    told = resolved(operation["responses"][str(status)], DOCUMENT)
    media = headers["content-type"].partition(";")[0]
    holds(told["content"][media]["schema"], body, (name, status))
    for wanted, described in told.get("headers", {}).items():
        holds(described["schema"], _as_told(headers[wanted.lower()], described["schema"]), name)


def _as_told(value: str, schema: dict[str, Any]) -> Any:
    return int(value) if schema["type"] == "integer" else value


def operation_at(method: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return operation


def operation_named(name: str) -> dict[str, Any]:
    method, path = OPERATIONS[name]
    return operation_at(method, path)


def schema_of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
