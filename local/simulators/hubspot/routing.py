"""A request as a route sees it, and the lookup of the route."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.common import Answer, Call, Json
from local.simulators.hubspot.errors import bad_request, not_found
from local.simulators.hubspot.portal import Source
from local.simulators.hubspot.shapes import shaped


@dataclass(frozen=True)
class Asked:
    """One request: path arguments, query values, and who asks."""

    call: Call
    arguments: dict[str, str]
    source: Source

    def body(self, shape: Json) -> Any:
        """The JSON sent; 400 for what is not JSON or not of the shape."""
        try:
            sent = json.loads(self.call.body)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"Invalid input JSON: {error}") from None
        return shaped(sent, shape)

    def one(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self._values(name)
        return values[-1] if values else None

    def many(self, name: str) -> list[str]:
        """Every value of a query parameter, given repeatedly or with commas."""
        return [part.strip() for value in self._values(name) for part in value.split(",") if part.strip()]

    def flag(self, name: str) -> bool:
        """A boolean query parameter, false if absent."""
        return self.one(name) == "true"

    def _values(self, name: str) -> list[str]:
        return [value for key, value in parse_qsl(self.call.query, keep_blank_values=True) if key == name]


def journalled(call: Call) -> Json:
    """What the journal of requests keeps of a call: its query and its body."""
    try:
        body = json.loads(call.body) if call.body else None
    except (ValueError, RecursionError):
        body = "not JSON"
    return {"query": call.query, "body": body}


type Handler = Callable[[Asked], Answer]
type Route = tuple[str, str, Handler]


class Router:
    """Routes tried in order; `{name}` in a pattern is one path segment."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = [
            (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler)
            for method, pattern, handler in routes
        ]

    def answer(self, call: Call, source: Source) -> Answer:
        """The answer of the first route that fits; 404 if none does."""
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(call.path)
            if found is not None and method == call.method:
                return handler(Asked(call, found.groupdict(), source))
        raise not_found()
