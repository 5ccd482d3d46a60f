"""Adobe's error answers: `code` and `message` from REST v6, `error` and `error_description` from OAuth."""

from dataclasses import dataclass

from local.simulators.common import Answer, Json

_WORDS = {
    "AGREEMENT_IN_DRAFT_STATE": (403, "The agreement is in draft state."),
    "DUPLICATE_WEBHOOK_CONFIGURATION": (400, "There is already a webhook registered with same configuration."),
    "INVALID_ACCESS_TOKEN": (401, "Access token provided is invalid or has expired."),
    "INVALID_AGREEMENT_ID": (404, "The Agreement ID specified is invalid."),
    "INVALID_ARGUMENTS": (400, "One or more arguments to the method are invalid."),
    "INVALID_CURSOR": (400, "Page cursor provided is invalid."),
    "INVALID_EMAIL": (400, "Email provided is invalid."),
    "INVALID_FILE_INFO": (400, "Invalid or no file info is provided."),
    "INVALID_JSON": (400, "An invalid JSON was specified."),
    "INVALID_MIME_TYPE": (400, "The mime type specified is invalid."),
    "INVALID_MULTIPART": (400, "An invalid multipart was specified."),
    "INVALID_ORDER": (400, "Order of participant sets define an invalid range."),
    "INVALID_PAGE_SIZE": (400, "Page size is either invalid or not within permissible range."),
    "INVALID_PARTICIPANT_ROLE": (400, "Role provided is invalid."),
    "INVALID_TRANSIENTDOCUMENT_ID": (404, "The Transient Document ID specified is invalid."),
    "INVALID_WEBHOOK_ID": (404, "The Webhook ID specified is invalid."),
    "INVALID_WEBHOOK_URL": (
        400,
        "The webhook url specified is invalid. Please provide a well-formatted https based url.",
    ),
    "MIN_ADDRESSES_NOT_MET": (400, "Some fields minimum entries requirement is not met."),
    "MISSING_IF_MATCH_HEADER": (400, "If-Match header missing."),
    "MISSING_REQUIRED_PARAM": (400, "Required parameters are missing."),
    "NO_AUTHORIZATION_HEADER": (401, "Authorization header not provided."),
    "NO_FILE_CONTENT": (400, "Must provide file body."),
    "NO_FILE_NAME": (400, "Must provide file name."),
    "OPERATION_NOT_ALLOWED": (403, "Requested Operation is not allowed."),
    "PAST_EXPIRY_TIME": (400, "Expiry time is set before the use time."),
    "RESOURCE_MODIFIED": (412, "Resource is already modified with newer version."),
    "RESOURCE_NOT_FOUND": (404, "The specified resource was not found."),
    "TRANSIENT_RESOURCE_DELETED": (404, "Transient Resource deleted from the server."),
    "TRANSIENT_RESOURCE_PROCESSING_FAILED": (404, "Adobe Sign could not process the document."),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Content type was not provided or is not supported."),
}


@dataclass(frozen=True)
class AdobeError(Exception):
    """A refusal of REST v6 by its code; `detail` adds what was wrong here."""

    code: str
    detail: str = ""

    def answer(self) -> Answer:
        status, words = _WORDS[self.code]
        return Answer(status, {"code": self.code, "message": f"{words} {self.detail}".rstrip()})


@dataclass(frozen=True)
class GrantError(Exception):
    """A refusal of the authorisation server."""

    error: str
    description: str
    status: int = 400

    def answer(self) -> Answer:
        return Answer(self.status, {"error": self.error, "error_description": self.description})


def throttled(seconds: int) -> Answer:
    """Too many requests; how long to wait stands in the body and in a header."""
    body: Json = {
        "code": "THROTTLING_TOO_MANY_REQUESTS",
        "message": f"Request limit exceeded. Try again after {seconds} seconds (apiActionId=simulated)",
        "retryAfter": seconds,
    }
    return Answer(429, body, {"Retry-After": str(seconds)})


def trouble(status: int) -> Answer:
    """Adobe's own trouble."""
    return Answer(status, {"code": "MISC_SERVER_ERROR", "message": "Some miscellaneous error has occurred."})
