"""What the document is made of: schemas, examples, answers and operations, each a plain dict as
OpenAPI 3.1.0 has it (sections 4.8.9 to 4.8.24)."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Fields: TypeAlias = Mapping[str, Json]

JSON = "application/json"
_NONE: Fields = MappingProxyType({})


def ref(name: str, kind: str = "schemas") -> Json:
    """A link to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


# --- schemas -------------------------------------------------------------------------------------


def text(description: str = "", **facets: Any) -> Json:
    return _described({"type": "string", **facets}, description)


def whole(description: str = "", **facets: Any) -> Json:
    return _described({"type": "integer", **facets}, description)


def flag(description: str = "", **facets: Any) -> Json:
    return _described({"type": "boolean", **facets}, description)


def always(value: Any, description: str = "") -> Json:
    """The one value that stands there."""
    return _described({"const": value}, description)


def one_of(values: Iterable[str], description: str = "", **facets: Any) -> Json:
    """One of some words."""
    return text(description, enum=list(values), **facets)


def uuid(description: str = "") -> Json:
    return text(description, format="uuid")


def moment(description: str = "") -> Json:
    """A time in ISO 8601, with its zone."""
    return text(description, format="date-time")


def or_null(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def several(items: Json, description: str = "", **facets: Any) -> Json:
    return _described({"type": "array", "items": items, **facets}, description)


def mapping(values: Json, description: str = "") -> Json:
    """An object whose names are not known before."""
    return _described({"type": "object", "additionalProperties": values}, description)


def either(*schemas: Json) -> Json:
    return {"anyOf": list(schemas)}


def thing(description: str, required: Fields, optional: Fields = _NONE) -> Json:
    """An object: the fields that it always has, and those that it may have."""
    schema: Json = {"type": "object", "properties": {**required, **optional}}
    if required:
        schema["required"] = list(required)
    return _described(schema, description)


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description} if description else schema


# --- requests and answers ------------------------------------------------------------------------


def examples(**values: Any) -> Json:
    """Examples by their names: {"a_reply": {...}} is told as "A reply"."""
    return {
        name: {"summary": name.replace("_", " ").capitalize(), "value": value}
        for name, value in values.items()
    }


def content(schema: Json, shown: Json | None = None, media: str = JSON) -> Json:
    """A body's content in one media type, with its examples."""
    told = {"schema": schema, "examples": shown} if shown else {"schema": schema}
    return {media: told}


def answer(
    description: str,
    body: Json | None = None,
    *,
    headers: Fields = _NONE,
    links: Mapping[str, Json] = MappingProxyType({}),
) -> Json:
    """An answer; `body` is its content."""
    told: Json = {"description": description}
    for name, value in (("headers", headers), ("content", body), ("links", links)):
        if value:
            told[name] = dict(value)
    return told


def header(schema: Json) -> Json:
    """A header of an answer that always comes with it."""
    return {"schema": schema, "required": True}


def link(operation_id: str, **parameters: str) -> Json:
    """Where an answer leads: what of it are the parameters of another operation."""
    found = {name: f"$response.body#/{pointer}" for name, pointer in parameters.items()}
    return {"operationId": operation_id, "parameters": found}


def parameter(
    name: str, place: str, schema: Json, *, required: bool = False, example: Any = None
) -> Json:
    """A parameter in the path, the query or a header. Its description is its schema's."""
    plain = {key: value for key, value in schema.items() if key != "description"}
    told: Json = {"name": name, "in": place, "required": required, "schema": plain}
    if "description" in schema:
        told["description"] = schema["description"]
    if example is not None:
        told["example"] = example
    return told


def asked(*parameters: Json, body: Json | None = None, body_required: bool = True) -> Json:
    """What an operation is given: parameters, and its body's content."""
    told: Json = {"parameters": list(parameters)} if parameters else {}
    if body is not None:
        told["requestBody"] = {"required": body_required, "content": body}
    return told


def operation(
    identifier: str,
    tag: str,
    summary: str,
    description: str,
    given: Json,
    answers: Mapping[str, Json],
    security: Iterable[Json],
) -> Json:
    """What one method does at one path. `given` is what `asked` made; answers go by status."""
    return {
        "operationId": identifier,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": list(security),
        **given,
        "responses": dict(answers),
    }
