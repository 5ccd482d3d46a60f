"""What the API's description shows as an example: every body and answer has one, and the whole ones are what the
schema takes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local import generate

_DOCUMENT: dict[str, Any] = json.loads(generate.OPENAPI.read_text(encoding="utf-8"))
_SCHEMAS: dict[str, Any] = _DOCUMENT["components"]["schemas"]


def _bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every route that takes JSON, and what it says of the body."""
    for path, methods in _DOCUMENT["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                yield f"{method} {path}", content


_BODIES = dict(_bodies())


def _shows_one(node: Any, seen: frozenset[str] = frozenset()) -> bool:
    """Whether there is an example anywhere in it, or in what it refers to."""
    if isinstance(node, list):
        return any(_shows_one(each, seen) for each in node)
    if not isinstance(node, dict):
        return False
    name = str(node.get("$ref", "")).rpartition("/")[2]
    referred = bool(name) and name not in seen and _shows_one(_SCHEMAS[name], seen | {name})
    return "examples" in node or "example" in node or referred or any(_shows_one(each, seen) for each in node.values())


@pytest.mark.parametrize("route", _BODIES)
def test_every_body_has_an_example(route: str) -> None:
    assert _shows_one(_BODIES[route])


def _answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every answer in JSON, problems too, and what it says of its content; the description itself has no shape here."""
    for path, methods in _DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                kinds = [each for each in answer.get("content", {}) if each.endswith("json")]
                if kinds and path != "/api/v1/openapi.json":
                    yield f"{method} {path} {status}", answer["content"][kinds[0]]


def test_every_answer_has_an_example() -> None:
    assert not [where for where, content in _answers() if not _shows_one(content)]


def test_every_route_that_can_be_sent_a_body_says_what_becomes_of_one_it_does_not_take() -> None:
    """Too large, or of another type: it is refused before the route looks at it, whatever the route is."""
    routes = [
        (f"{method} {path}", operation["responses"].keys())
        for path, methods in _DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if method in {"post", "put", "patch"}
    ]
    assert len(routes) > 50
    assert not [route for route, answers in routes if not {"400", "413", "415", "503"} <= answers]


def test_every_schema_has_the_name_of_one_thing() -> None:
    """Two models of one name would show the modules they stand in."""
    assert not [name for name in _SCHEMAS if "__" in name]


def _whole() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of a whole body: where it stands, the schema, the example."""
    for route, content in _BODIES.items():
        for example in content.get("examples", {}).values():
            yield route, content["schema"], example["value"]
    for name, schema in _SCHEMAS.items():
        for example in schema.get("examples", []) if schema.get("type") == "object" else []:
            yield name, {"$ref": f"#/components/schemas/{name}"}, example


@pytest.mark.parametrize(("where", "schema", "example"), list(_whole()), ids=lambda value: str(value)[:40])
def test_a_whole_example_is_a_body_that_the_schema_takes(where: str, schema: Any, example: Any) -> None:
    validator = Draft202012Validator(schema | {"components": _DOCUMENT["components"]})
    assert not [f"{where}: {error.message}" for error in validator.iter_errors(example)]
