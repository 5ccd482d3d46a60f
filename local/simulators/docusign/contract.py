"""DocuSign's published OpenAPI document as a check on every request and answer of the API, and its sample of a Connect
message as a check on every message. Off where they are absent; OAuth is checked by its documentation, always."""

import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.common import Answer, Call, Json, Problem, SchemaChecker, leaves

API = "/restapi"
_OAUTH = {("POST", "/oauth/token"), ("GET", "/oauth/userinfo")}
_FORM = {"grant_type", "assertion"}


class Contract:
    """The documents of one folder."""

    def __init__(self, folder: Path) -> None:
        self._document: Json = json.loads((folder / "esignature.v2.1.repaired.json").read_text())
        self._checker = SchemaChecker(self._document, closed=True)
        sample = json.loads((folder / "connect.schema-v2.json").read_text())
        self._message = {where: type(leaf) for where, leaf in leaves(sample)}

    @property
    def size(self) -> int:
        """How many operations the document defines."""
        return sum(len(methods.keys() - {"parameters"}) for methods in self._document["paths"].values())

    def check_request(self, call: Call) -> list[Problem]:
        """Unknown endpoint, unknown query parameter, body outside its schema."""
        operation = self._operation(call)
        if operation is None:
            return [Problem("endpoint", call.path, f"no operation {call.method} {call.path}")]
        parameters = operation.get("parameters", [])
        known = {one["name"] for one in parameters if one["in"] == "query"}
        asked = parse_qsl(call.query, keep_blank_values=True)
        problems = [
            Problem("unknown", name, "not a parameter of this operation") for name, _ in asked if name not in known
        ]
        schema = next((one["schema"] for one in parameters if one["in"] == "body"), None)
        return problems + self._check_body(call, schema)

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Status the operation does not define, body outside its schema, a file that is none."""
        operation = self._operation(call)
        if operation is None:
            return []
        if answer.status >= 400:
            return self._checker.check(answer.body, {"$ref": "#/definitions/errorDetails"})
        promised = operation["responses"].get(str(answer.status))
        if promised is None:
            return [Problem("enum", "status", f"{answer.status} is not one of {sorted(operation['responses'])}")]
        schema = promised.get("schema", {})
        if schema.get("type") == "file":
            is_pdf = isinstance(answer.body, bytes) and answer.body.startswith(b"%PDF-")
            return [] if is_pdf else [Problem("type", call.path, "not a PDF")]
        return self._checker.check(answer.body, schema)

    def check_message(self, message: Json) -> list[Problem]:
        """Fields of a Connect message that its published sample does not have, or has of another type."""
        problems = []
        for where, leaf in leaves(message):
            if where not in self._message:
                problems.append(Problem("unknown", where, "not in the sample of a Connect message"))
            elif not isinstance(leaf, self._message[where]):
                problems.append(Problem("type", where, f"a {type(leaf).__name__} where the sample has another"))
        return problems

    def _operation(self, call: Call) -> Json | None:
        """The operation of a path; fixed steps win over parameters."""
        if not call.path.startswith(API + "/"):
            return None
        path, found = call.path.removeprefix(API), []
        for template, methods in self._document["paths"].items():
            if call.method.lower() in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                found.append((template.count("{"), methods[call.method.lower()]))
        best: Json | None = min(found, key=lambda one: one[0])[1] if found else None
        return best

    def _check_body(self, call: Call, schema: Json | None) -> list[Problem]:
        if schema is None:
            return [Problem("unknown", "", "a body where none is defined")] if call.body.strip() else []
        if call.method == "PUT" and not call.body.strip() and call.path.endswith("/status"):
            return []  # the ids may stand in the query
        try:
            body: Any = json.loads(call.body)
        except ValueError as error:
            return [Problem("type", "", f"not JSON: {error}")]
        return self._checker.check(body, schema)


@functools.cache
def contract_of(folder: Path) -> Contract:
    """The contract of a folder, read once in a process."""
    return Contract(folder)


def check_oauth(call: Call) -> list[Problem] | None:
    """The two endpoints of the authorisation server; None where it is another."""
    if (call.method, call.path) not in _OAUTH:
        return None
    if call.query:
        return [Problem("unknown", call.query.partition("=")[0], "not a parameter of this operation")]
    if call.method == "GET":
        return []
    kind = call.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        return [Problem("type", "content-type", f"{kind!r} is not a form")]
    given = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    problems = [Problem("unknown", name, "not a field of this grant") for name in given if name not in _FORM]
    return problems + [Problem("missing", name, "a required field") for name in sorted(_FORM - given.keys())]
