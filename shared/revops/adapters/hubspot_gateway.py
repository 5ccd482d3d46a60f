"""Contacts of a HubSpot portal over its REST API, version 2026-09 (properties: v3).

A small client on httpx: HubSpot's own SDK is unmaintained. Timeouts end well before a lease of `HubspotFields` does.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from revops.kernel import Unavailable, canonical_json, parse_time
from revops.sync.fields import FieldMap, Form
from revops.sync.model import IDENTITY, ContactWrite, RemoteContact
from revops.sync.ports import OutcomeUnknown, RateLimited, RemoteExists, RemoteGone, RemoteRefused

VENDOR_BASE: Final = "https://api.hubapi.com"
_CONTACTS: Final = "/crm/objects/2026-09/contacts"
_PROPERTIES: Final = "/crm/v3/properties/contacts"
_GROUP: Final = "contactinformation"
_TIMEOUT: Final = httpx.Timeout(6.0, connect=2.0)
_PAUSE: Final = 5.0
_EXISTING = re.compile(r"Existing ID:\s*(\d+)")
_TYPES: Mapping[Form, tuple[str, str]] = {
    Form.TEXT: ("string", "text"),
    Form.NUMBER: ("number", "number"),
    Form.DATETIME: ("datetime", "date"),
}


class HttpHubspotGateway:
    """`HubspotGateway` over HTTP. `token` is asked for the token with every call, so that a rotated one reaches
    running workers; `transport` lets a test look at the wire."""

    def __init__(
        self, token: Callable[[], str], base_url: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self._token = token
        self._client = httpx.Client(
            base_url=base_url or VENDOR_BASE,
            headers={"Accept": "application/json"},
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def contact(self, remote_id: str, properties: Sequence[str]) -> RemoteContact | None:
        return self._read(remote_id, {"properties": ",".join(properties)})

    def contact_of(self, person_id: str, properties: Sequence[str]) -> RemoteContact | None:
        return self._read(person_id, {"properties": ",".join(properties), "idProperty": IDENTITY})

    def contacts(self, remote_ids: Sequence[str], properties: Sequence[str]) -> list[RemoteContact]:
        body = {
            "inputs": [{"id": remote_id} for remote_id in remote_ids],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        answer = self._call("POST", f"{_CONTACTS}/batch/read", body)
        return [_contact(entry) for entry in answer["results"]]

    def write(self, write: ContactWrite) -> RemoteContact:
        if write.remote_id:
            path = f"{_CONTACTS}/{quote(write.remote_id, safe='')}"
            return _contact(self._call("PATCH", path, {"properties": dict(write.properties)}))
        properties = {**write.properties, IDENTITY: write.person_id}
        entry = {"id": write.person_id, "idProperty": IDENTITY, "properties": properties}
        answer = self._call("POST", f"{_CONTACTS}/batch/upsert", {"inputs": [entry]})
        if not answer["results"]:
            raise RemoteRefused(_message(answer, "the upsert had no result"))
        return _contact(answer["results"][0])

    def define(self, lines: Sequence[FieldMap]) -> int:
        known = {entry["name"]: entry for entry in self._call("GET", _PROPERTIES)["results"]}
        held = known.get(IDENTITY)
        if held is not None and not held.get("hasUniqueValue"):
            raise RemoteRefused(f"the property {IDENTITY} exists and its values are not unique")
        wanted = [_definition(line.property, *_TYPES[line.form]) for line in lines]
        wanted.append({**_definition(IDENTITY, "string", "text"), "hasUniqueValue": True})
        missing = [definition for definition in wanted if definition["name"] not in known]
        for definition in missing:
            self._define_one(definition)
        return len(missing)

    def _define_one(self, definition: dict[str, Any]) -> None:
        response = self._send("POST", _PROPERTIES, definition, {})
        if response.status_code != httpx.codes.CONFLICT:  # somebody else made it meanwhile
            _checked(response)

    def _read(self, record_id: str, query: Mapping[str, str]) -> RemoteContact | None:
        response = self._send("GET", f"{_CONTACTS}/{quote(record_id, safe='')}", None, query)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return _contact(_checked(response))

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return _checked(self._send(method, path, body, {}))

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else canonical_json(body).encode()
        try:
            return self._client.request(method, path, params=query, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable("HubSpot cannot be reached", retry_after=_PAUSE) from error
        except httpx.TransportError as error:
            raise OutcomeUnknown("HubSpot did not answer", retry_after=_PAUSE) from error


def _definition(name: str, form: str, field: str) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    return {"name": name, "label": label, "type": form, "fieldType": field, "groupName": _GROUP}


def _checked(response: httpx.Response) -> dict[str, Any]:
    """The body of a good answer; HubSpot's refusals as errors of the port."""
    status = response.status_code
    body = _body(response)
    if response.is_success:
        if body is None:
            raise OutcomeUnknown("HubSpot's answer was not JSON", retry_after=_PAUSE)
        return body
    message = _message(body or {}, f"HubSpot answered {status}")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimited(message, retry_after=_seconds(response.headers.get("Retry-After", "")))
    if status >= 500:
        raise OutcomeUnknown(message, retry_after=_PAUSE)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        # the token or its scopes: once mended, everything that waits goes through
        raise Unavailable(message, retry_after=60.0)
    if status == httpx.codes.NOT_FOUND:
        raise RemoteGone(message)
    existing = _EXISTING.search(message)
    if status == httpx.codes.CONFLICT and existing is not None:
        raise RemoteExists(message, existing.group(1))
    raise RemoteRefused(message)


def _body(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _message(body: Mapping[str, Any], otherwise: str) -> str:
    errors = body.get("errors") or []
    first = errors[0].get("message", "") if errors and isinstance(errors[0], dict) else ""
    return str(body.get("message") or first or otherwise)[:1000]


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) else None


def _contact(entry: Mapping[str, Any]) -> RemoteContact:
    properties = {name: str(value) for name, value in entry["properties"].items() if value is not None}
    return RemoteContact(str(entry["id"]), properties, _time(entry.get("updatedAt")))


def _time(text: Any) -> datetime:
    return parse_time(text) if isinstance(text, str) else datetime.fromtimestamp(0, UTC)
