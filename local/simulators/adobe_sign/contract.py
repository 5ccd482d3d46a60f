"""Adobe's published Swagger (1.2) of REST v6 as a check on every request and answer, and its templates of webhook
payloads as a check on every notification. Off where they are absent; OAuth and base URIs are checked always."""

import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.adobe_sign.oauth import FIELDS
from local.simulators.adobe_sign.transient import check_parts
from local.simulators.common import Answer, Call, Json, Problem, SchemaChecker, leaves

API = "/api/rest/v6"
_RESOURCES = ("agreements", "transientDocuments", "webhooks")
_PRIMITIVES = {"string": "string", "date": "string", "boolean": "boolean", "integer": "integer", "void": "null"}
_ERROR: Json = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "retryAfter": {"type": "integer"}},
    "additionalProperties": False,
}
# Marked as required there, and left out of answers: "will never get returned", "if not returned, there are no further
# pages", or null where it does not apply.
_NOT_ANSWERED = {
    "AgreementInfo": {"state", "fileInfos"},
    "PageInfo": {"nextCursor"},
    "WebhookInfo": {"state"},
    "AgreementEvent": {
        *("deviceLocation", "devicePhoneNumber", "digitalSignatureInfo", "initiatingUserEmail", "initiatingUserName"),
        *("synchronizationId", "vaultEventId", "vaultProviderName"),
    },
}


class Contract:
    """The documents of one folder."""

    def __init__(self, folder: Path) -> None:
        self._operations: dict[tuple[str, str], Json] = {}
        models: Json = {}
        for resource in _RESOURCES:
            document = json.loads((folder / f"{resource}.json").read_text())
            models |= document["models"]
            for api in document["apis"]:
                for operation in api["operations"]:
                    self._operations[operation["httpMethod"], api["path"]] = operation
        self._requests = SchemaChecker({"models": _schemas(models, {})}, closed=True)
        self._answers = SchemaChecker({"models": _schemas(models, _NOT_ANSWERED)}, closed=True)
        self._notifications = {
            path.stem: {where for where, _ in leaves(json.loads(path.read_text()))}
            for path in folder.glob("AGREEMENT_*.json")
        }

    @property
    def size(self) -> int:
        """How many operations the documents define."""
        return len(self._operations)

    def check_request(self, call: Call) -> list[Problem]:
        """Unknown endpoint, unknown or ill-typed query parameter, body outside its model."""
        operation = self._operation(call)
        if operation is None:
            return [Problem("endpoint", call.path, f"no operation {call.method} {call.path}")]
        defined = operation["parameters"]
        known = {one["name"]: one for one in defined if one["paramType"] == "query"}
        problems = []
        for name, value in parse_qsl(call.query, keep_blank_values=True):
            if name not in known:
                problems.append(Problem("unknown", name, "not a parameter of this operation"))
            else:
                problems += SchemaChecker({}, form=True).check(value, _schema(known[name]), name)
        if any(one["paramType"] == "form" for one in defined):
            return problems + check_parts(call)
        body = next((one for one in defined if one["paramType"] == "body"), None)
        if body is None:
            return problems + ([Problem("unknown", "", "a body where none is defined")] if call.body.strip() else [])
        try:
            given: Any = json.loads(call.body)
        except ValueError as error:
            return [*problems, Problem("type", "", f"not JSON: {error}")]
        return problems + self._requests.check(given, {"$ref": f"#/models/{body['type']}"})

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """A body outside its model, a document that is none, an error in another shape."""
        operation = self._operation(call)
        if operation is None:
            return []
        if answer.status >= 400:
            return SchemaChecker({}).check(answer.body, _ERROR)
        if operation["type"] == "void":
            return [] if answer.body is None else [Problem("unknown", "", "a body where none is defined")]
        if operation["type"] == "string":
            is_pdf = isinstance(answer.body, bytes) and answer.body.startswith(b"%PDF-")
            return [] if is_pdf else [Problem("type", call.path, "not a PDF")]
        return self._answers.check(answer.body, {"$ref": f"#/models/{operation['type']}"})

    def check_notification(self, message: Json) -> list[Problem]:
        """Fields that the published template of the event does not have."""
        known = self._notifications.get(message["event"])
        if known is None:
            return [Problem("enum", "event", f"no template of {message['event']}")]
        return [
            Problem("unknown", where, f"not in the template of {message['event']}")
            for where, _ in leaves(message)
            if where not in known
        ]

    def _operation(self, call: Call) -> Json | None:
        """The operation of a path; fixed steps win over parameters."""
        if not call.path.startswith(API + "/"):
            return None
        path, found = call.path.removeprefix(API), []
        for (method, template), operation in self._operations.items():
            if method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                found.append((template.count("{"), operation))
        best: Json | None = min(found, key=lambda one: one[0])[1] if found else None
        return best


@functools.cache
def contract_of(folder: Path) -> Contract:
    """The contract of a folder, read once in a process."""
    return Contract(folder)


def check_beside(call: Call) -> list[Problem] | None:
    """The endpoints that the documents do not hold: OAuth and base URIs. None where it is another."""
    if (call.method, call.path) == ("GET", f"{API}/baseUris"):
        return [Problem("unknown", call.query.partition("=")[0], "not a parameter")] if call.query else []
    if (call.method, call.path) != ("POST", "/oauth/v2/refresh"):
        return None
    kind = call.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        return [Problem("type", "content-type", f"{kind!r} is not a form")]
    given = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    problems = [Problem("unknown", name, "not a field of this grant") for name in sorted(given.keys() - FIELDS)]
    return problems + [Problem("missing", name, "a required field") for name in sorted(FIELDS - given.keys())]


def _schemas(models: Json, exempt: dict[str, set[str]]) -> Json:
    """Swagger 1.2 models as JSON Schema, without what is exempt from being required."""
    return {
        name: {
            "type": "object",
            "properties": {field: _schema(one) for field, one in model["properties"].items()},
            "required": [
                field
                for field, one in model["properties"].items()
                if one.get("required") and field not in exempt.get(name, set())
            ],
        }
        for name, model in models.items()
    }


def _schema(field: Json) -> Json:
    kind = field.get("type") or field.get("$ref")
    if kind == "array":
        return {"type": "array", "items": _schema(field["items"])}
    if kind not in _PRIMITIVES:
        return {"$ref": f"#/models/{kind}"}
    values = {"enum": field["enum"]} if field.get("enum") else {}
    return {"type": _PRIMITIVES[kind], **values}
