"""Contract checks: the vendors' published shapes, read from a folder beside the project if it is there.

The folder is `$REVOPS_CONTRACTS`, else `../shared/contracts` next to the project's root. Without it checks are
off. `SchemaChecker` covers the keywords those contracts use: $ref, type, enum, anyOf, oneOf, allOf, items,
properties, required, additionalProperties, nullable.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

type Schema = Mapping[str, Any]
type ProblemCode = Literal["endpoint", "unknown", "missing", "type", "enum", "empty"]

_PROJECT = Path(__file__).resolve().parents[3]
_DEPTH = 60


@dataclass(frozen=True)
class Problem:
    """One departure from a contract. `where` is the field's path, as `items[0][price]`."""

    code: ProblemCode
    where: str
    detail: str


def contracts_folder(vendor: str) -> Path | None:
    """The folder with a vendor's contract, or None where there is none."""
    named = os.environ.get("REVOPS_CONTRACTS")
    folder = (Path(named) if named else _PROJECT.parent / "shared" / "contracts") / vendor
    return folder if folder.is_dir() else None


class SchemaChecker:
    """Checks values against the schemas of one document.

    `form` reads text as form-encoded scalars. `closed` refuses fields a referenced schema does not name even
    when it does not say `additionalProperties: false`.
    """

    def __init__(self, document: Schema, *, form: bool = False, closed: bool = False) -> None:
        self._document = document
        self._form = form
        self._closed = closed

    def resolve(self, reference: str) -> Schema:
        """The schema a local reference (`#/a/b`) points to; KeyError if it points nowhere."""
        found: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return found  # type: ignore[no-any-return]  # the JSON of a contract

    def check(self, value: Any, schema: Schema, where: str = "") -> list[Problem]:
        """Every departure of a value from a schema."""
        return self._check(value, schema, where, referenced=False, depth=0)

    def _check(self, value: Any, schema: Schema, where: str, *, referenced: bool, depth: int) -> list[Problem]:
        if depth > _DEPTH:
            return []
        if "$ref" in schema:
            return self._check(value, self.resolve(schema["$ref"]), where, referenced=True, depth=depth + 1)
        if value is None and (schema.get("nullable") or schema.get("type") == "null"):
            return []
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._check_any(value, schema[keyword], where, depth)
        problems = [
            problem
            for part in schema.get("allOf", ())
            for problem in self._check(value, part, where, referenced=False, depth=depth + 1)
        ]
        if "enum" in schema and not self._among(value, schema["enum"]):
            known = ", ".join(_text(item) for item in schema["enum"][:12]) + (" …" if len(schema["enum"]) > 12 else "")
            return [*problems, Problem("enum", where, f"{value!r} is not one of {known}")]
        if "type" in schema and "enum" not in schema:
            if self._form and value == "":
                return [*problems, Problem("empty", where, "an empty value")]
            if not self._is(value, schema["type"]):
                return [*problems, Problem("type", where, f"{value!r} is not of type {schema['type']}")]
        if isinstance(value, Mapping):
            problems += self._check_object(value, schema, where, referenced, depth)
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                inner = f"{where}[{index}]"
                problems += self._check(item, schema["items"], inner, referenced=False, depth=depth + 1)
        return problems

    def _check_any(self, value: Any, branches: list[Schema], where: str, depth: int) -> list[Problem]:
        """No problem if one branch fits; otherwise those of the branch that comes nearest."""
        nearest: list[Problem] | None = None
        for branch in self._likely(value, branches):
            problems = self._check(value, branch, where, referenced=False, depth=depth + 1)
            if not problems:
                return []
            here = problems[0].where == where and problems[0].code in ("type", "enum", "empty")
            if (
                nearest is None
                or (not here and nearest[0].where == where)
                or (not here and len(problems) < len(nearest))
            ):
                nearest = problems
        return nearest or []

    def _likely(self, value: Any, branches: list[Schema]) -> list[Schema]:
        """Where an object names its kind, only the branches of that kind."""
        if not isinstance(value, Mapping) or "object" not in value:
            return branches
        kept = []
        for branch in branches:
            target = self.resolve(branch["$ref"]) if "$ref" in branch else branch
            kinds = target.get("properties", {}).get("object", {}).get("enum")
            if kinds is None or value["object"] in kinds:
                kept.append(branch)
        return kept or branches

    def _check_object(
        self, value: Mapping[str, Any], schema: Schema, where: str, referenced: bool, depth: int
    ) -> list[Problem]:
        problems = [
            Problem("missing", _join(where, name), "a required field")
            for name in schema.get("required", ())
            if name not in value
        ]
        properties: Schema = schema.get("properties", {})
        others = schema.get("additionalProperties", not (self._closed and referenced and bool(properties)))
        for name, inner in value.items():
            place = _join(where, name)
            if name in properties:
                problems += self._check(inner, properties[name], place, referenced=False, depth=depth + 1)
            elif others is False:
                problems.append(Problem("unknown", place, "not a field of this schema"))
            elif isinstance(others, Mapping) and inner != "":
                problems += self._check(inner, others, place, referenced=False, depth=depth + 1)
        return problems

    def _among(self, value: Any, allowed: list[Any]) -> bool:
        if value in allowed:
            return True
        return self._form and isinstance(value, str) and value in [_text(item) for item in allowed]

    def _is(self, value: Any, kind: str | list[str]) -> bool:
        return any(self._is_one(value, one) for one in ([kind] if isinstance(kind, str) else kind))

    def _is_one(self, value: Any, kind: str) -> bool:
        if self._form and isinstance(value, str):
            return {
                "string": True,
                "integer": re.fullmatch(r"-?\d+", value) is not None,
                "number": re.fullmatch(r"-?\d+(\.\d+)?", value) is not None,
                "boolean": value in ("true", "false"),
            }.get(kind, False)
        if isinstance(value, bool):
            return kind == "boolean"
        types: dict[str, type | tuple[type, ...]] = {
            "string": str,
            "integer": int,
            "number": (int, float),
            "object": Mapping,
            "array": list,
            "null": type(None),
        }
        return isinstance(value, types.get(kind, ()))


def leaves(value: Any, where: str = "") -> list[tuple[str, Any]]:
    """Every scalar of a document with its path, as `/entry/changes[]/field`, to compare it with a published example."""
    if isinstance(value, Mapping):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{where}/{name}")]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, f"{where}[]")]
    return [(where, value)]


def _join(where: str, name: str) -> str:
    return f"{where}[{name}]" if where else name


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
