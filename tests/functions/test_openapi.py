"""The OpenAPI document by itself: it is valid, complete, and its examples are what it says."""

import tomllib

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from node.installation import TEMPLATE
from node.template import read_template
from recado.openapi import methods
from recado.openapi.page import resolved
from tests.functions.described import (
    DOCUMENT,
    callbacks,
    contents,
    holds,
    operations,
    references,
    validator,
)

# What no customer asks: there upstreams call, with a secret in the path; and the simulator's own.
NOT_FOR_CUSTOMERS = ("/callback/", "/simulator/")
ROUTES = {
    (route.method, route.path)
    for route in read_template(TEMPLATE, {"Simulator": "true"}).routes
    if not route.path.startswith(NOT_FOR_CUSTOMERS)
}


def test_the_document_is_valid_openapi_3_1() -> None:
    problems = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)
    assert [error.message for error in problems] == []


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_a_valid_json_schema(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(DOCUMENT["components"]["schemas"][name])
    validator({"$ref": f"#/components/schemas/{name}"})


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(references(DOCUMENT))
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert used == components


def test_every_route_is_described_and_every_described_path_is_a_route() -> None:
    assert {(method, path) for method, path, _ in operations()} == ROUTES


def test_every_operation_says_what_it_is_who_may_and_how_it_fails() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    for _, path, operation in operations():
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags
        assert {name for choice in operation["security"] for name in choice} <= schemes
        told = {status for status in operation["responses"] if status != "200"}
        assert "500" in told or operation["security"] == [], path
    names = [operation["operationId"] for *_, operation in operations()]
    names += [operation["operationId"] for operation in callbacks()]
    assert len(names) == len(set(names))


def test_every_parameter_of_a_path_is_described() -> None:
    for _, path, operation in operations():
        told = [resolved(parameter, DOCUMENT) for parameter in operation.get("parameters", [])]
        in_path = {parameter["name"] for parameter in told if parameter["in"] == "path"}
        assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_example_is_valid_by_its_schema() -> None:
    examples = list(contents(DOCUMENT))
    assert len(examples) > 20
    for schema, value in examples:
        holds(schema, value)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/message", ["GET", "POST"]),
        ("/message/batch", ["POST"]),
        ("/message/7", ["GET", "DELETE"]),
        ("/message/batch/7", ["GET", "DELETE"]),
        ("/schedules/7", ["PATCH", "DELETE"]),
        ("/bulk/7/check", ["POST"]),
        ("/message/", []),
        ("/message/7/8", []),
        ("/messages", []),
    ],
)
def test_it_is_known_which_methods_a_path_has(path: str, allowed: list[str]) -> None:
    assert methods(path) == allowed


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((TEMPLATE.parent / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == project["version"]
