"""HTTP as every function speaks it: strict JSON in, RFC 9457 problems out, one log line a request.

Built on Powertools' resolver with validation on, so that the OpenAPI document is generated from the same signatures
that check the requests. The resolver is loaded when a request needs it: a webhook reads raw bytes, has no parameter to
check, and does not pay for it at its cold start (docs/benchmarks.md).
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from revops.kernel import (
    CallContext,
    DomainError,
    Forbidden,
    Invalid,
    JsonError,
    Principal,
    Role,
    TooLarge,
    parse_json,
)
from revops.platform.logging import LogCode, log, log_error
from revops.platform.problems import ERRORS, JSON, PROBLEM, Problem, known_error, problem, unsupported_type

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from pydantic import BaseModel

MAX_BODY = 1_000_000
_UNREAD = dict.fromkeys(("POST", "PUT", "PATCH"), (413, 415))
"""What a method answers to a body that no route is shown: it is looked at before any of them."""


class Authenticator(Protocol):
    """Turns token claims or a presented key into a principal; raises Unauthenticated."""

    def token(self, claims: Mapping[str, str]) -> Principal: ...

    def key(self, presented: str) -> Principal: ...


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer of a plain route that is not JSON, such as an image, a page or a redirection."""

    status: int
    content_type: str = ""
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> dict[str, Any]:
        """As Lambda hands it to API Gateway."""
        headers = {"Content-Type": self.content_type, **self.headers} if self.content_type else dict(self.headers)
        binary = isinstance(self.body, bytes)
        text = base64.b64encode(self.body).decode() if isinstance(self.body, bytes) else self.body
        return {"statusCode": self.status, "headers": headers, "body": text, "isBase64Encoded": binary}


@dataclass(frozen=True, slots=True)
class _Plain:
    """A plain route: what answers it, the content types it takes, and whether it minds unknown query parameters."""

    path: str
    function: Callable[..., BaseModel | Raw]
    status: int
    takes: tuple[str, ...]
    minds_query: bool


class Api:
    """The routes of one function and how its requests are read and answered.

    `get`, `post`, `patch`, `put` and `delete` register a handler whose signature is the contract: path and query
    parameters by name, a pydantic model for the body. `errors` lists the problem statuses it can answer with, for the
    document, which knows by itself those of a body that is not taken. A `plain` one has no parameters but the last part
    of its path: it reads the raw body and the headers itself and returns a model, or a `Raw` answer. It `takes` JSON
    unless told; `minds_query` False lets it pass over parameters that others added to its address.
    """

    def __init__(self, authenticator: Authenticator, *, max_body: int = MAX_BODY) -> None:
        self._authenticator = authenticator
        self._max_body = max_body
        self._paths: set[str] = set()
        self._declared: list[tuple[Callable[..., Any], str, dict[str, Any]]] = []
        self._plain: dict[tuple[str, str], _Plain] = {}
        self._keyed: list[tuple[str, str, re.Pattern[str]]] = []
        self.event: Mapping[str, Any] = {}
        """The event of the request that is being answered."""
        self._seen: dict[str, Any] = {}
        self.public: set[tuple[str, str]] = set()
        """Method and path of the routes that ask nobody who they are, as the API's description shows them."""

    @property
    def paths(self) -> frozenset[str]:
        """The templates of the paths of all routes."""
        return frozenset(self._paths)

    @cached_property
    def app(self) -> APIGatewayHttpResolver:
        """The resolver with every route declared so far."""
        from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

        app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_json_object, serializer=_json_text)

        def refuse_unknown_parameters(app, next_middleware):  # type: ignore[no-untyped-def]
            return self._refuse_unknown_parameters(app, next_middleware)

        # A function, and without annotations: the resolver keeps what it found out about it, which it cannot for a
        # method and would find out again for every request.
        app.use(middlewares=[refuse_unknown_parameters])
        app.exception_handler(Exception)(self._problem)
        app.not_found(self._problem)
        for function, path, documented in self._declared:
            app.route(path.replace("{", "<").replace("}", ">"), **documented)(function)
        return app

    # -- registering ---------------------------------------------------------------------------------------------

    def get(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("GET", path, summary, errors, **more)

    def head(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("HEAD", path, summary, errors, **more)

    def post(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("POST", path, summary, errors, **more)

    def patch(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("PATCH", path, summary, errors, **more)

    def put(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("PUT", path, summary, errors, **more)

    def delete(self, path: str, summary: str, *, errors: tuple[int, ...] = (), **more: Any) -> Callable[[Any], Any]:
        return self._route("DELETE", path, summary, errors, **more)

    def _route(
        self,
        method: str,
        path: str,
        summary: str,
        errors: tuple[int, ...],
        *,
        tag: str,
        status: int = 200,
        model: type[BaseModel] | None = None,
        example: Any = None,
        also: Mapping[int, str] | None = None,
        security: list[dict[str, list[str]]] | None = None,
        plain: bool = False,
        takes: tuple[str, ...] = (JSON,),
        gives: str = JSON,
        minds_query: bool = True,
    ) -> Callable[[Any], Any]:
        content: dict[str, Any] = {} if model is None else {"model": model}
        if example is not None:
            content["examples"] = {"example": {"value": example}}
        responses: dict[int, Any] = {status: {"description": "Done", "content": {gives: content}}}
        for code, description in (also or {}).items():
            responses[code] = {"description": description, "content": {JSON: content}}
        responses |= _refusals({*errors, *_UNREAD.get(method, ()), 400, 503})
        self._open(method, path, security)
        documented: dict[str, Any] = {
            "method": method,
            "summary": summary,
            "description": summary,
            "responses": responses,
            "tags": [tag],
            "security": security,
        }

        def decorate(function: Any) -> Any:
            self._declared.append((function, path, documented))
            self.__dict__.pop("app", None)  # a resolver made before this route does not have it
            if plain:
                self._plain[method, _any_last(path)] = _Plain(path, function, status, takes, minds_query)
            return function

        return decorate

    def _open(self, method: str, path: str, security: list[dict[str, list[str]]] | None) -> None:
        """Notes who may come in by a route: everybody, or a machine with its key."""
        self._paths.add(path)
        if security == []:
            self.public.add((method.lower(), path))
        elif security and "apiKey" in security[0]:
            self._keyed.append((method, path, re.compile(re.sub(r"{[a-z_]+}", "[^/]+", path))))

    # -- reading a request ---------------------------------------------------------------------------------------

    def user_call(self) -> CallContext:
        """The call of a logged-in user, from the claims the authoriser verified. Raises Unauthenticated."""
        context = self.event.get("requestContext", {})
        claims = (context.get("authorizer") or {}).get("jwt", {}).get("claims", {})
        return self._call(self._authenticator.token(claims))

    def key_call(self, scope: str) -> CallContext:
        """The call of a machine with a key that has a scope. Raises Unauthenticated or Forbidden."""
        principal = self._authenticator.key(self.header("x-api-key"))
        if scope not in principal.scopes:
            raise Forbidden(f"this key lacks the scope {scope}")
        return self._call(principal)

    def public_call(self, name: str) -> CallContext:
        """The call of nobody in particular; `name` stands in the audit as who."""
        return self._call(Principal(f"public:{name}", Role.SYSTEM))

    def header(self, name: str) -> str:
        """A header's value, or an empty text."""
        headers: Mapping[str, str] = self.event.get("headers") or {}
        return headers.get(name) or headers.get(name.title()) or ""

    @property
    def raw_body(self) -> bytes:
        """The body as the sender signed it."""
        return _raw_body(self.event)

    def _call(self, principal: Principal) -> CallContext:
        context = self.event.get("requestContext", {})
        http = context.get("http", {})
        self._seen["principal"] = principal.id
        self._seen["role"] = principal.role.value
        return CallContext(
            principal,
            request_id=context.get("requestId", ""),
            ip=http.get("sourceIp", ""),
            user_agent=http.get("userAgent", ""),
        )

    def _refuse_unknown_parameters(self, app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        route = app.context["_route"]
        if route.openapi_path not in self._paths:  # no route of ours: the path is the caller's own words
            return next_middleware(app)
        self._seen["route"] = route.openapi_path
        known = {parameter.alias for parameter in route.dependant.query_params}
        _refuse_unknown(app.current_event.query_string_parameters, known)
        return next_middleware(app)

    def note(self, error: DomainError) -> None:
        """Has the request's log line name an error that its answer does not show."""
        self._seen["problem"] = error.slug

    # -- answering -----------------------------------------------------------------------------------------------

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler."""
        started = time.perf_counter()
        request = event.get("requestContext", {})
        self.event = event
        self._seen = {"route": "unmatched"}
        refused = self._refusal(event) or self._keyless(event)
        answer = refused or self._plain_answer(event) or self.app.resolve(event, context)
        log(
            LogCode.REQUEST,
            method=request.get("http", {}).get("method", ""),
            status=answer["statusCode"],
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
            request_id=request.get("requestId", ""),
            **self._seen,
        )
        return answer

    def _refusal(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """A body that no route can read is refused before any looks at it."""
        try:
            body = _raw_body(event)
            if len(body) > self._max_body:
                raise TooLarge(f"the body has {len(body)} bytes; this route takes {self._max_body}")
            if event.get("isBase64Encoded"):
                body.decode("utf-8")
            if body and not self._is_taken(event):
                raise unsupported_type(", ".join(self._takes(event)))
        except (DomainError, ValueError) as error:  # ValueError: neither base64 nor UTF-8
            known = error if isinstance(error, DomainError) else Invalid.field("body", "encoding", "not UTF-8", "UTF-8")
            status, text, headers = self._explained(known)
            return Raw(status, "", text, headers).answer
        return None

    def _keyless(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Who has no machine's key is told that, and not what is wrong with the body; None when there is one."""
        method, asked = event.get("requestContext", {}).get("http", {}).get("method", ""), event.get("rawPath", "")
        path = next((path for verb, path, fits in self._keyed if verb == method and fits.fullmatch(asked)), "")
        if not path:
            return None
        self._seen["route"] = path
        try:
            self._authenticator.key(self.header("x-api-key"))
        except Exception as error:  # as above every route: a defect is logged and answered as such
            status, text, headers = self._explained(error)
            return Raw(status, "", text, headers).answer
        return None

    def _plain_answer(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of a plain route; None when the request is for none of them."""
        found = self._plain_route(event)
        if found is None:
            return None
        route, parameters = found
        self._seen["route"] = route.path
        try:
            if route.minds_query:
                _refuse_unknown(event.get("queryStringParameters"), set())
            made = route.function(*parameters)
            answer = made if isinstance(made, Raw) else Raw(route.status, JSON, made.model_dump_json())
        except Exception as error:  # the one place above every plain route: a defect is logged and answered as such
            status, text, headers = self._explained(error)
            answer = Raw(status, "", text, headers)
        return answer.answer

    def _plain_route(self, event: Mapping[str, Any]) -> tuple[_Plain, tuple[str, ...]] | None:
        """The plain route of a request, and the last part of its path where the route leaves it open."""
        method, path = event.get("requestContext", {}).get("http", {}).get("method", ""), event.get("rawPath", "")
        route = self._plain.get((method, path))
        if route is not None:
            return route, ()
        head, _, last = path.rpartition("/")
        route = self._plain.get((method, f"{head}/{{}}"))
        return (route, (last,)) if route is not None and last else None

    def _is_taken(self, event: Mapping[str, Any]) -> bool:
        """Whether a body says it is of a type that its route takes."""
        said = (event.get("headers") or {}).get("content-type", JSON)
        takes = self._takes(event)
        return _is_json(said) if takes == (JSON,) else said.partition(";")[0].strip().lower() in takes

    def _takes(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """The types of body that the route of a request takes."""
        found = self._plain_route(event)
        return found[0].takes if found else (JSON,)

    def _problem(self, error: Exception) -> Response[Any]:
        from aws_lambda_powertools.event_handler import Response

        status, text, headers = self._explained(error)
        return Response(status_code=status, content_type=PROBLEM, body=text, headers=dict(headers))

    def _explained(self, error: Exception) -> tuple[int, str, dict[str, str]]:
        known = known_error(error)
        request_id = self.event.get("requestContext", {}).get("requestId", "")
        if known is None:
            log_error(LogCode.REQUEST_FAILED, error, request_id=request_id)
        self._seen["problem"] = known.slug if known else "internal"
        return problem(known, request_id)


def _refusals(codes: set[int]) -> dict[int, Any]:
    """What a route says of its errors."""
    return {code: {"description": ERRORS[code], "content": {PROBLEM: {"model": Problem}}} for code in sorted(codes)}


def _any_last(path: str) -> str:
    """A path whose last part is left open, under one name for all such."""
    head, _, last = path.rpartition("/")
    return f"{head}/{{}}" if last.startswith("{") else path


def _refuse_unknown(given: Mapping[str, str] | None, known: set[str]) -> None:
    unknown = sorted(set(given or {}) - known)
    if unknown:
        accepted = ", ".join(sorted(known)) or "none"
        raise Invalid.field(unknown[0][:60], "unknown-parameter", "not a parameter of this route", accepted)


def _is_json(content_type: str) -> bool:
    """Whether a body says it is JSON. Anything else is refused unread: a form would be taken for one, and a page of
    another origin may post one without asking first."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def _json_object(text: str) -> dict[str, Any]:
    """The object that a body is. Raises JsonError also for a list, which would pass for its first element, and for
    U+FFFD, which the gateway puts where bytes were not UTF-8."""
    if "\ufffd" in text:
        raise JsonError("the body is not UTF-8")
    value = parse_json(text)
    if not isinstance(value, dict):
        raise JsonError("the body is not a JSON object")
    return value


def _raw_body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return base64.b64decode(text, validate=True)
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)


def _json_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
