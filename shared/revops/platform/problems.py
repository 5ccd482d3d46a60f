"""RFC 9457 problem details: what went wrong, as the caller is told it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import (
    DomainError,
    FieldIssue,
    Invalid,
    JsonError,
    NotFound,
    TooManyRequests,
    Unavailable,
    canonical_json,
    issue_of,
)

JSON = "application/json"
PROBLEM = "application/problem+json"
_TYPE_BASE = "https://revops.invalid/problems/"


class ProblemIssue(BaseModel):
    """One field of a refused request."""

    model_config = ConfigDict(defer_build=True)

    field: str = Field(examples=["email"])
    rule: str = Field(examples=["missing"])
    message: str = Field(examples=["is missing"])
    accepted: str = Field(default="", description="What would be accepted instead")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    type: str = Field(examples=[_TYPE_BASE + "invalid"])
    title: str = Field(examples=["Invalid input"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["email: is missing"])
    correlation_id: str = Field(description="Quote it when asking for help; the logs have it")
    issues: list[ProblemIssue] = Field(default_factory=list)


ERRORS: Mapping[int, str] = {
    400: "The input breaks a rule; `issues` names fields, rules and what would be accepted",
    401: "No acceptable proof of who is asking",
    402: "A cap leaves no room; the numbers are in the body",
    403: "Readable, but not to be changed by this caller",
    404: "Not there, or not for this caller",
    409: "The state does not allow this now, or the record changed meanwhile",
    413: "The body is larger than this route takes",
    415: "Not a content type this route takes",
    429: "Too many requests; `Retry-After` says when to come back",
    503: "A dependency did not answer; try again",
}
"""What each status means in the API's description."""


def known_error(error: Exception) -> DomainError | None:
    """What an exception means to the caller; None for a defect of ours."""
    match error:
        case DomainError():
            return error
        case JsonError():
            return Invalid.field("body", "json", str(error), "one JSON value in UTF-8")
        case _ if type(error).__module__.startswith("aws_lambda_powertools."):
            return _resolver_error(error)
        case _:
            return None


def _resolver_error(error: Exception) -> DomainError | None:
    from aws_lambda_powertools.event_handler.exceptions import NotFoundError
    from aws_lambda_powertools.event_handler.openapi.exceptions import (
        RequestUnsupportedContentType,
        RequestValidationError,
    )

    match error:
        case RequestValidationError():
            return Invalid("the request does not fit", [_issue(item) for item in error.errors()[:50]])
        case RequestUnsupportedContentType():
            return unsupported_type()
        case NotFoundError():
            return NotFound("this route")
        case _:
            return None


def problem(error: DomainError | None, correlation_id: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of the problem answer; None is an internal error, of which nothing is told."""
    headers = {"Content-Type": PROBLEM}
    if error is None:
        body: dict[str, Any] = {
            "type": _TYPE_BASE + "internal",
            "title": "Internal error",
            "status": 500,
            "detail": "something failed on our side; it is logged under the correlation id",
        }
    else:
        core = {"type": _TYPE_BASE + error.slug, "title": error.title, "status": error.status, "detail": error.detail}
        body = {**error.extra, **core}
        if isinstance(error, Invalid) and error.issues:
            body["issues"] = [
                {"field": issue.field, "rule": issue.rule, "message": issue.message, "accepted": issue.accepted}
                for issue in error.issues
            ]
        if isinstance(error, Unavailable | TooManyRequests) and error.retry_after:
            headers["Retry-After"] = str(max(1, round(error.retry_after)))
    body["correlation_id"] = correlation_id
    return int(body["status"]), canonical_json(body), headers


def unsupported_type(accepted: str = JSON) -> Invalid:
    """The refusal of a body that does not say it is of the type a route takes: 415."""
    refused = Invalid.field("content-type", "content-type", "not a type this route takes", accepted)
    refused.status = 415
    return refused


def _issue(item: Mapping[str, Any]) -> FieldIssue:
    place = tuple(item["loc"])
    return issue_of(item, place[1:] if place and place[0] in ("body", "query", "path", "header") else place)
