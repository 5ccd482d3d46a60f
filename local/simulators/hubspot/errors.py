"""HubSpot's error answers: {status, message, correlationId, category} and what some add to it."""

import json
import uuid
from typing import Any


class HubspotError(Exception):
    """A refusal: HTTP status, HubSpot's category, a message, and further members of the body."""

    def __init__(
        self, status: int, category: str, message: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.headers = headers or {}
        self.members = members

    def body(self) -> dict[str, Any]:
        """The JSON answer."""
        return {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
            **self.members,
        }

    def as_batch_error(self) -> dict[str, Any]:
        """The same refusal as one entry of a batch answer's `errors`."""
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": self.members.get("context", {}),
            "errors": self.members.get("errors", []),
            "links": {},
        }


def not_found(kind_label: str = "") -> HubspotError:
    """404: no record or endpoint there."""
    return HubspotError(404, "OBJECT_NOT_FOUND", f"{kind_label or 'resource'} not found".strip())


def bad_request(message: str, **members: Any) -> HubspotError:
    """400 VALIDATION_ERROR with a message."""
    return HubspotError(400, "VALIDATION_ERROR", message, **members)


def invalid_values(problems: list[dict[str, Any]]) -> HubspotError:
    """400 for property values: the findings stand as JSON inside the message, and as `errors`."""
    listed = json.dumps(
        [
            {
                "isValid": False,
                "message": problem["message"],
                "error": problem["error"],
                "name": problem["name"],
                "localizedErrorMessage": problem["message"],
            }
            for problem in problems
        ],
        separators=(",", ":"),
    )
    errors = [
        {
            "message": problem["message"],
            "code": problem["error"],
            "context": {"propertyName": [problem["name"]]},
        }
        for problem in problems
    ]
    return HubspotError(400, "VALIDATION_ERROR", f"Property values were not valid: {listed}", errors=errors)


def missing_required(kind_label: str, names: list[str]) -> HubspotError:
    """400 for a create without the properties its type needs."""
    return bad_request(
        f"Error creating {kind_label}. Some required properties were not set.",
        errors=[
            {
                "message": f"Error creating {kind_label}. Some required properties were not set.",
                "code": "REQUIRED_PROPERTY_MISSING",
                "context": {"properties": names},
            }
        ],
        context={"properties": names},
    )


def contact_exists(record_id: str) -> HubspotError:
    """409 for an e-mail that is taken; the holder's id stands in the message and nowhere else."""
    return HubspotError(409, "CONFLICT", f"Contact already exists. Existing ID: {record_id}")


def unauthorised() -> HubspotError:
    """401 for a missing or wrong token."""
    return HubspotError(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find "
        "more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )


def rate_limited(retry_after: int, policy: str) -> HubspotError:
    """429 with the whole seconds to wait in Retry-After; `policy` is ten_secondly_rolling or secondly."""
    return HubspotError(
        429,
        "RATE_LIMITS",
        f"You have reached your {policy} limit.",
        headers={"Retry-After": str(retry_after)},
        errorType="RATE_LIMIT",
        policyName=policy.upper(),
    )
