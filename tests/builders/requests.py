"""Requests as API Gateway hands them to a function, and the answers read back."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from revops.kernel import Principal, Role, Unauthenticated

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class KnownCallers:
    """Tokens name their user by `sub`, keys stand for themselves; nobody else is let in."""

    def __init__(self, *users: Principal, keys: Mapping[str, frozenset[str]] | None = None) -> None:
        self.users = {user.id: user for user in users}
        self.keys = dict(keys or {})
        self.rates: dict[str, int] = {}

    def token(self, claims: Mapping[str, str]) -> Principal:
        if claims.get("token_use") != "access" or claims.get("sub") not in self.users:
            raise Unauthenticated("this user has no access here")
        return self.users[claims["sub"]]

    def key(self, presented: str) -> Principal:
        if presented not in self.keys:
            raise Unauthenticated("this key is not valid")
        rate = self.rates.get(presented, 0)
        return Principal(f"key:{presented}", Role.INTEGRATION, scopes=self.keys[presented], rate_per_minute=rate)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> set[str]:
        """The fields that a problem names."""
        return {issue["field"] for issue in self.body.get("issues", ())}


def http_event(
    method: str,
    path: str,
    body: object = None,
    *,
    sub: str = "",
    headers: Mapping[str, str] | None = None,
    raw: str | None = None,
    encoded: bytes | None = None,
) -> dict[str, Any]:
    """An HTTP API event, payload 2.0. `raw` is a body as text, `encoded` one that comes as base64."""
    route, _, query = path.partition("?")
    names: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        names.setdefault(name, []).append(value)
    text = raw if raw is not None else None if body is None else json.dumps(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": route,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "requestId": "req-77",
            "stage": "$default",
            "http": {"method": method, "path": route, "sourceIp": "203.0.113.9", "userAgent": "tests/1"},
        },
        "isBase64Encoded": encoded is not None,
    }
    if names:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in names.items()}
    if encoded is not None:
        event["body"] = base64.b64encode(encoded).decode()
    elif text is not None:
        event["body"] = text
    if sub:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": sub, "token_use": "access"}}}
    return event


def ask(handler: Handler, method: str, path: str, body: object = None, **more: Any) -> Answer:
    """Sends a request to a function and reads its answer."""
    answer = handler(http_event(method, path, body, **more), None)
    headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers[name.lower()] = values[0]
    return Answer(answer["statusCode"], json.loads(answer["body"]), headers)
