"""Stripe's contract: which operations exist, which parameters they take, what shape their answers have.

It is read from the contracts folder, and where that is absent from the types of the installed SDK.
"""

import json
from pathlib import Path
from typing import Any

from local.simulators.common import Problem, SchemaChecker, contracts_folder
from local.simulators.stripe.context import Object

# Parameters that requests without a version header (the account's default version) may still carry.
_UNVERSIONED = {
    ("POST", "/v1/payment_intents"): {"payment_method_types"},
    ("POST", "/v1/setup_intents"): {"payment_method_types"},
}


class StripeContract:
    """Request and response checks for one API version."""

    def __init__(self, requests: Object, responses: Object | None, source: str) -> None:
        self.source = source
        self._operations: dict[tuple[str, int], list[tuple[list[str], Object]]] = {}
        for name, operation in requests["operations"].items():
            method, path = name.split(" ")
            steps = path.strip("/").split("/")
            self._operations.setdefault((method, len(steps)), []).append((steps, operation))
        self._v2 = any(" /v2/" in name for name in requests["operations"])
        self._requests = SchemaChecker(requests, form=True)
        self._request_defs = requests["$defs"]
        self._responses = SchemaChecker(responses, closed=True) if responses else None
        self._response_defs: Object = responses["$defs"] if responses else {}
        self._by_object: Object = (responses or {}).get("objects") or {
            schema["properties"]["object"]["enum"][0]: name
            for name, schema in self._response_defs.items()
            if "enum" in schema.get("properties", {}).get("object", {})
        }

    @classmethod
    def load(cls, version: str) -> "StripeContract | None":
        """The contract of a version; None where neither the folder nor the SDK describes it."""
        folder = contracts_folder("stripe")
        requests = _read(folder, f"request_contract_{version}.json")
        responses = _read(folder, f"response_contract_{version}.json")
        if requests and responses:
            return cls(requests, responses, "the contracts folder")
        from local.simulators.stripe import sdk_types  # costs a second: only where it is needed

        if sdk_types.api_version() != version:
            return cls(requests, None, "the contracts folder, requests only") if requests else None
        source = "the SDK's types" if requests is None else "the contracts folder, answers by the SDK's types"
        return cls(requests or sdk_types.request_document(), responses or sdk_types.response_document(), source)

    def operation(self, method: str, path: str) -> Object | None:
        """The operation for a path; fixed steps win over parameters."""
        steps = path.strip("/").split("/")
        best: tuple[int, Object] | None = None
        for pattern, operation in self._operations.get((method, len(steps)), []):
            if all(p.startswith("{") or p == s for p, s in zip(pattern, steps, strict=True)):
                loose = sum(p.startswith("{") for p in pattern)
                best = (loose, operation) if best is None or loose < best[0] else best
        return best[1] if best else None

    def request(self, method: str, path: str, params: Object, *, versioned: bool) -> list[Problem]:
        """Where a request leaves the contract."""
        operation = self.operation(method, path)
        if self._untold(path):
            return []
        if operation is None:
            return [Problem("endpoint", path, f"Unrecognized request URL ({method}: {path}).")]
        schema = self._request_defs.get(operation["params"])
        if schema is None:
            return []
        old = set() if versioned else _UNVERSIONED.get((method, path), set())
        return self._requests.check({key: value for key, value in params.items() if key not in old}, schema)

    def answer(self, method: str, path: str, status: int, body: Any) -> list[Problem]:
        """Where an answer leaves the contract."""
        if self._responses is None or self._untold(path) or not isinstance(body, dict):
            return []
        if status >= 400:
            error = self._response_defs.get("stripe._error_object.ErrorObject")
            return self._responses.check(body.get("error"), error) if error else []
        if body.get("deleted") is True:
            return []
        body = _without_deleted(body)
        if body.get("object") in ("list", "search_result"):
            return [problem for item in body["data"] for problem in self._one(item, None)]
        operation = self.operation(method, path)
        return self._one(body, operation["returns_ref"] if operation else None)

    def _untold(self, path: str) -> bool:
        """Whether a path is of an API that this contract does not tell of: the SDK's types are read for v1 alone."""
        return path.startswith("/v2/") and not self._v2

    def _one(self, item: Object, expected: str | None) -> list[Problem]:
        if item.get("object") == "v2.core.event":  # its data is the type's own, and no schema here has all types
            item = {name: value for name, value in item.items() if name not in ("data", "related_object")}
        named = self._by_object.get(item.get("object", ""))
        if named is None or self._responses is None:
            return [Problem("type", "object", f"no such object: {item.get('object')}")]
        if expected is not None and expected != named:
            return [Problem("type", "object", f"{named} where {expected} is promised")]
        return self._responses.check(item, {"$ref": f"#/$defs/{named}"})


def _without_deleted(body: Any) -> Any:
    """The body with deleted objects, which keep only their id, put back to that id."""
    if isinstance(body, list):
        return [_without_deleted(item) for item in body]
    if not isinstance(body, dict):
        return body
    return body["id"] if body.get("deleted") is True else {name: _without_deleted(v) for name, v in body.items()}


def _read(folder: Path | None, name: str) -> Object | None:
    path = folder / name if folder else None
    return json.loads(path.read_text()) if path and path.is_file() else None
