"""What can go wrong, as types. A handler never builds an answer by hand: platform.http maps these to RFC 9457."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldIssue:
    """One thing wrong with one field: where, which rule, and what would be accepted instead."""

    field: str
    rule: str
    message: str
    accepted: str = ""


_WORDS = {
    "missing": ("is missing", ""),
    "string_type": ("is no text", "a text"),
    "tuple_type": ("is no list", "a list"),
    "list_type": ("is no list", "a list"),
    "dict_type": ("is no object", "an object"),
    "model_type": ("is no object", "an object"),
    "model_attributes_type": ("is no object", "an object"),
    "timezone_aware": ("has no time zone", "a time such as 2026-11-20T09:00:00Z"),
}
"""Findings that are told in words of our own: message, and what would be accepted."""


def issue_of(error: Mapping[str, Any], place: Sequence[object]) -> FieldIssue:
    """What pydantic finds wrong at a place of what was sent, as a person is told it."""
    where, rule = ".".join(map(str, place))[:200], str(error["type"])
    if rule == "extra_forbidden":
        return FieldIssue(where, "unknown-or-read-only", "unknown or read-only field", "leave it out")
    context = error.get("ctx") or {}
    found = str(error["msg"]).removeprefix("Value error, ")
    message, accepted = _WORDS.get(rule, (found, str(context.get("expected", "")) or str(context.get("pattern", ""))))
    return FieldIssue(where or "body", rule, message, accepted)


class DomainError(Exception):
    """Root of every error a person may be told about. `retryable` tells workers whether trying again can help."""

    status = 400
    title = "Bad request"
    slug = "bad-request"
    retryable = False

    def __init__(self, detail: str, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}


class Invalid(DomainError):
    """The input breaks a rule; `issues` names each field."""

    title = "Invalid input"
    slug = "invalid"

    def __init__(self, detail: str, issues: Sequence[FieldIssue] = ()) -> None:
        super().__init__(detail)
        self.issues = tuple(issues)

    @classmethod
    def field(cls, name: str, rule: str, message: str, accepted: str = "") -> "Invalid":
        """The common case: one field, one rule."""
        return cls(f"{name}: {message}", [FieldIssue(name, rule, message, accepted)])


class Unauthenticated(DomainError):
    """No proof, or no acceptable proof, of who is asking."""

    status = 401
    title = "Not authenticated"
    slug = "unauthenticated"


class Forbidden(DomainError):
    """Readable, but not to be changed by this caller."""

    status = 403
    title = "Not allowed"
    slug = "forbidden"


class NotFound(DomainError):
    """Does not exist, or the caller may not know that it does. The two look the same on purpose (S1)."""

    status = 404
    title = "Not found"
    slug = "not-found"

    def __init__(self, what: str, identifier: str = "") -> None:
        super().__init__(f"{what} {identifier[:60]} was not found" if identifier else f"{what} was not found")


class Conflict(DomainError):
    """The state of the world does not allow this now."""

    status = 409
    title = "Conflict"
    slug = "conflict"


class VersionConflict(Conflict):
    """Somebody changed the record first; carries the version that stands."""

    title = "Changed meanwhile"
    slug = "version-conflict"

    def __init__(self, detail: str, current_version: int | None = None) -> None:
        super().__init__(detail, {} if current_version is None else {"current_version": current_version})


class Refused(Conflict):
    """A rule of the business forbids the step; the detail names the steps that are allowed."""

    title = "Step not allowed"
    slug = "step-not-allowed"


class CapReached(DomainError):
    """A spend or usage cap leaves no room (USE-3); `extra` carries the numbers."""

    status = 402
    title = "Cap reached"
    slug = "cap-reached"


class TooLarge(DomainError):
    """More than the route or the table takes."""

    status = 413
    title = "Too large"
    slug = "too-large"


class TooManyRequests(DomainError):
    """More than this caller's rate; the same request succeeds later."""

    status = 429
    title = "Too many requests"
    slug = "too-many-requests"
    retryable = True

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A dependency did not answer; the same request may succeed later."""

    status = 503
    title = "Temporarily unavailable"
    slug = "unavailable"
    retryable = True

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
