"""HubSpot's published OpenAPI documents as a check on every request and answer; off where they are absent."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.common import Answer, Call, Json, Problem, SchemaChecker
from local.simulators.hubspot.catalogue import object_type

_OBJECTS = "/crm/objects/2026-09/"
_DOCUMENTS = {
    "associations": "associations.2026-09.json",
    "properties": "properties.v3.json",
    "owners": "owners.v3.json",
    "contacts": "contacts.2026-09.json",
    "companies": "companies.2026-09.json",
    "deals": "deals.2026-09.json",
    "tickets": "tickets.2026-09.json",
    "notes": "notes.2026-09.json",
}


@dataclass(frozen=True)
class _Operation:
    document: Json
    definition: Json


class Contract:
    """The documents of one folder."""

    def __init__(self, folder: Path) -> None:
        self._documents: dict[str, Json] = {
            name: json.loads((folder / file).read_text()) for name, file in _DOCUMENTS.items()
        }

    @property
    def size(self) -> int:
        """How many operations the documents define."""
        return sum(
            len([method for method in methods if method != "parameters"])
            for document in self._documents.values()
            for methods in document["paths"].values()
        )

    def check_request(self, call: Call) -> list[Problem]:
        """Unknown endpoint, unknown or ill-typed query parameter, body outside its schema."""
        operation = self._operation(call)
        if operation is None:
            return [Problem("endpoint", call.path, f"no operation {call.method} {call.path}")]
        return self._check_query(operation, call) + self._check_body(operation, call)

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Status the operation does not define, body outside its schema."""
        operation = self._operation(call)
        if operation is None:
            return []
        responses: Json = operation.definition["responses"]
        if answer.status >= 400:
            error = {"$ref": "#/components/schemas/Error"}
            return SchemaChecker(operation.document).check(answer.body, error)
        documented = str(answer.status)
        undocumented = documented == "207" and documented not in responses
        if undocumented:  # HubSpot sends it all the same, with the body of a success
            documented = next(status for status in responses if status in ("200", "201"))
        if documented not in responses:
            return [Problem("enum", "status", f"{answer.status} is not one of {sorted(responses)}")]
        content: Json = responses[documented].get("content", {})
        if not content:
            return [] if answer.body is None else [Problem("unknown", "", "a body where none is defined")]
        schema = next(iter(content.values()))["schema"]
        return SchemaChecker(operation.document, closed=True).check(answer.body, schema)

    def _operation(self, call: Call) -> _Operation | None:
        for document in self._candidates(call.path):
            for template, methods in document["paths"].items():
                pattern = re.sub(r"\{\w+\}", "[^/]+", template)
                if re.fullmatch(pattern, call.path) and call.method.lower() in methods:
                    if _literal_elsewhere(document, template, call.path):
                        continue
                    return _Operation(document, methods[call.method.lower()])
        return None

    def _candidates(self, path: str) -> list[Json]:
        if path.startswith("/crm/v3/properties"):
            return [self._documents["properties"]]
        if path.startswith("/crm/v3/owners"):
            return [self._documents["owners"]]
        if path.startswith("/crm/associations/") or "/associations/" in path:
            return [self._documents["associations"]]
        kind = object_type(path.removeprefix(_OBJECTS).split("/")[0]) if path.startswith(_OBJECTS) else None
        return [self._documents[kind.plural]] if kind is not None else []

    def _check_query(self, operation: _Operation, call: Call) -> list[Problem]:
        defined = operation.definition.get("parameters", ())
        known = {one["name"]: one["schema"] for one in defined if one["in"] == "query"}
        problems = []
        checker = SchemaChecker(operation.document, form=True)
        for name, value in parse_qsl(call.query, keep_blank_values=True):
            if name not in known:
                problems.append(Problem("unknown", name, "not a parameter of this operation"))
            elif known[name].get("type") != "array":
                problems += checker.check(value, known[name], name)
        return problems

    def _check_body(self, operation: _Operation, call: Call) -> list[Problem]:
        defined = operation.definition.get("requestBody")
        if defined is None:
            return [Problem("unknown", "", "a body where none is defined")] if call.body.strip() else []
        try:
            body = json.loads(call.body, parse_constant=_no_constant)
        except ValueError as error:
            return [Problem("type", "", f"not JSON: {error}")]
        schema = next(iter(defined["content"].values()))["schema"]
        return SchemaChecker(operation.document, closed=True).check(body, schema)


def _literal_elsewhere(document: Json, template: str, path: str) -> bool:
    """Whether another template of the document names this path more closely (`…/batch/read`, `…/search`)."""
    return any(
        other != template
        and other.count("{") < template.count("{")
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", other), path)
        for other in document["paths"]
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
